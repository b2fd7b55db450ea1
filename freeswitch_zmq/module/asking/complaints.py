"""Lines in the log about what goes wrong again and again: the first at once, then one in ten seconds with a count."""

from __future__ import annotations

import threading
import time

from freeswitch_zmq.module import host

__all__ = ["Complaints"]

EVERY_SECONDS = 10.0
KINDS_AT_MOST = 100


class Complaints:
    """From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}
        self._kept_back: dict[str, int] = {}

    def log(self, level: str, kind: str, text: str) -> None:
        """One line, or none when there was one of that kind a moment ago."""
        now = time.monotonic()
        with self._lock:
            if len(self._told) >= KINDS_AT_MOST and kind not in self._told:
                kind = ""  # of more kinds than anybody reads
            if now - self._told.get(kind, -EVERY_SECONDS) < EVERY_SECONDS:
                self._kept_back[kind] = self._kept_back.get(kind, 0) + 1
                return
            self._told[kind] = now
            more = self._kept_back.pop(kind, 0)
        host.log(level, f"{text} (and {more} more like this since the last line)" if more else text)
