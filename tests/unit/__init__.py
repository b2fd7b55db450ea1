"""Tests of single modules, without any switch."""
