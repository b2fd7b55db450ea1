"""A service that sends what nobody asked for: how much is borne, and for how long it is left alone then."""

from __future__ import annotations

__all__ = ["Flood"]

MESSAGES, BYTES = 1000, 4_000_000
"""Of messages in a second that answer nothing. To read a megabyte takes up to 0.1 s, and the GIL."""

PAUSE_SECONDS, PAUSE_AT_MOST_SECONDS = 1.0, 30.0
"""Twice as long each time, until there was none for FORGOTTEN_SECONDS."""

FORGOTTEN_SECONDS = 60.0


class Flood:
    """Of one endpoint."""

    def __init__(self) -> None:
        self._second = 0.0
        self._messages = self._bytes = 0
        self._pause = PAUSE_SECONDS
        self._until = 0.0

    def useless(self, size: int, now: float) -> bool:
        """A message of so many bytes came that answers nothing. Whether those are too many."""
        if now - self._second >= 1.0:
            self._second, self._messages, self._bytes = now, 0, 0
        self._messages += 1
        self._bytes += size
        return self._messages > MESSAGES or self._bytes > BYTES

    def pause_until(self, now: float) -> float:
        """There were too many: when it may come back."""
        self._pause = PAUSE_SECONDS if now - self._until > FORGOTTEN_SECONDS else self._pause * 2
        self._until = now + min(self._pause, PAUSE_AT_MOST_SECONDS)
        return self._until
