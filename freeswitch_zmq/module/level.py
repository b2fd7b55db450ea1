"""How much somebody sent of late."""

from __future__ import annotations

import time

__all__ = ["Level"]


class Level:
    """Goes up with every byte and down by `rate` a second, not below zero."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self.now = 0.0
        self._at = time.monotonic()

    def add(self, count: float) -> None:
        """So many bytes came since the last time."""
        now = time.monotonic()
        self.now = max(0.0, self.now + count - self._rate * (now - self._at))
        self._at = now
