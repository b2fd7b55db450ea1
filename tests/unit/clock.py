"""A clock that goes on only when it is told to."""

from __future__ import annotations

from types import ModuleType

import pytest


class Clock:
    """In the place of the module `time` in one module of ours.

    Attributes:
        now: what `monotonic` says.
    """

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def set(self, monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> Clock:
        """Puts it into these modules; everybody else goes on with the real one."""
        for module in modules:
            monkeypatch.setattr(module, "time", self)
        return self
