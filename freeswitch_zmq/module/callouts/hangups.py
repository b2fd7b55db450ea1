"""Tells conversations that their call has hung up, as soon as the pump sees the event."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

__all__ = ["Hangups"]


class Hangups:
    """Shared by all call-outs. A call may be in more than one conversation: an application may begin another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    @contextmanager
    def watched(self, uuid: str, wake: Callable[[], None]) -> Iterator[None]:
        """Meanwhile `wake` is called, in the pump's thread, when that call hangs up."""
        with self._lock:
            self._waiting.setdefault(uuid, []).append(wake)
        try:
            yield
        finally:
            with self._lock:
                wakes = self._waiting[uuid]
                wakes.remove(wake)
                if not wakes:
                    del self._waiting[uuid]

    def hung_up(self, uuid: str) -> None:
        """In the pump's thread."""
        if uuid not in self._waiting:
            return
        with self._lock:
            wakes = list(self._waiting.get(uuid, ()))
        for wake in wakes:
            wake()
