"""`freeswitch.EventConsumer`: a bounded queue of copies of events."""

from __future__ import annotations

import queue

from .core import Core
from .engine import Binding
from .events import Event as SwitchEvent
from .events import event_type

__all__ = ["ConsumerQueue"]

_FILE = "switch_cpp.cpp"


class ConsumerQueue:
    """The part without Python's wrapping: bindings, and a queue that the dispatch thread never waits for."""

    def __init__(self, core: Core, length: int) -> None:
        self._core = core
        self._length = length
        self._queue: queue.SimpleQueue[SwitchEvent | None] = queue.SimpleQueue()
        self._get_nowait = self._queue.get_nowait
        self._bindings: list[Binding] = []
        self._ready = True
        self._waiting = 0

    def bind(self, name: str, subclass: str | None) -> int:
        """1 when it is bound, else 0 and a line in the log."""
        if not self._ready:
            return 0
        type_ = event_type(name)
        if type_ is None:
            self._core.say("WARNING", f"Can't bind to {name}, event not found\n", _FILE, 76)
            return 0
        binding = Binding(type_, subclass or None, self._put, f"src/{_FILE}")
        self._core.events.bind(binding)
        self._core.say("DEBUG", f"bound to {name} {subclass or ''}\n", _FILE, 86)
        self._bindings.append(binding)
        return 1

    def pop(self, block: int, timeout_ms: int) -> SwitchEvent | None:
        """The oldest event; None when there is none in time, or once it is closed.

        Args:
            block: 0 to not wait at all.
            timeout_ms: How long to wait; 0 or less for as long as it takes.
        """
        if not self._ready:
            return None
        try:
            return self._get_nowait()
        except queue.Empty:
            if not block:
                return None
        self._waiting += 1
        try:
            return self._queue.get(True, timeout_ms / 1000 if timeout_ms > 0 else None)
        except queue.Empty:
            return None
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Take no more events, forget those that wait, and wake who waits for one."""
        if not self._ready:
            return
        self._ready = False
        for binding in self._bindings:
            self._core.events.unbind(binding)
            owner, type_ = binding.owner, binding.type
            self._core.say("DEBUG", f"Event Binding deleted for {owner}:{type_}\n", "switch_event.c", 2197)
        self._bindings.clear()
        try:
            while True:
                self._queue.get_nowait()
        except queue.Empty:
            pass
        for _ in range(self._waiting):
            self._queue.put(None)

    def _put(self, event: SwitchEvent) -> None:
        # One thread delivers, so what is counted here can only become less.
        if self._queue.qsize() >= self._length:
            self._core.say("ERR", "Cannot queue any more events.....\n", _FILE, 48)
        else:
            self._queue.put(event.copy())
