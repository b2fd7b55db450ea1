"""Warnings about what goes wrong again and again: the first at once, then one in ten seconds with a count."""

from __future__ import annotations

import logging
import time

__all__ = ["Complaints", "logger"]

logger = logging.getLogger("freeswitch_zmq.client.service")

EVERY_SECONDS = 10.0
KINDS_AT_MOST = 100


class Complaints:
    """Those of a service; in one thread."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        self._kept_back: dict[str, int] = {}

    def warn(self, kind: str, text: str) -> None:
        """One line, or none when there was one of that kind a moment ago."""
        now = time.monotonic()
        if len(self._told) >= KINDS_AT_MOST and kind not in self._told:
            kind = ""  # of more kinds than anybody reads
        if now - self._told.get(kind, -EVERY_SECONDS) < EVERY_SECONDS:
            self._kept_back[kind] = self._kept_back.get(kind, 0) + 1
            return
        self._told[kind] = now
        more = self._kept_back.pop(kind, 0)
        logger.warning("%s%s", text, f" (and {more} more like this since the last line)" if more else "")
