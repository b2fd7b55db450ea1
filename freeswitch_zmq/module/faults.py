"""Exceptions that nobody expected: counted, logged once each, survived."""

from __future__ import annotations

import threading
import traceback

from freeswitch_zmq.module import host

__all__ = ["Faults"]

_KINDS_AT_MOST = 100


class Faults:
    """Attributes:
    count: how many there were.
    """

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()
        self._seen: set[tuple[str, str]] = set()

    def caught(self, where: str, error: BaseException) -> None:
        """Counts it, and logs the first of each kind and place.

        Args:
            where: what was at work, such as "the event pump".
            error: the exception, with its traceback.
        """
        frames = traceback.extract_tb(error.__traceback__)
        at = f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else "?"
        kind = (where, f"{type(error).__name__} {at}")
        with self._lock:
            self.count += 1
            new = kind not in self._seen and len(self._seen) < _KINDS_AT_MOST
            self._seen.add(kind)
        if new:
            host.log(
                "ERR",
                f"{where} met {type(error).__name__}: {error} ({at}). This is logged only once and counted in "
                "`python event_zmq status`; please report it",
            )
