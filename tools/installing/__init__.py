"""The parts of tools/install.py."""
