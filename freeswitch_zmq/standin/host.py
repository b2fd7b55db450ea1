"""Which switch this process is: what scripts import has no other way to know it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core import Core

__all__ = ["core", "set_core"]

_cores: list[Core] = []


def set_core(core: Core) -> None:
    """It is this one from now on; a process has one, as a FreeSWITCH process is one switch."""
    _cores[:] = [core]


def core() -> Core:
    """The switch."""
    return _cores[0]
