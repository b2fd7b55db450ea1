"""The engine that numbers, queues and delivers events."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable
from typing import Callable, NamedTuple

from .events import ALL, Event
from .threads import HostThread

__all__ = ["Binding", "EventEngine", "Origin"]

_QUEUE_LENGTH = 20_000
"""Events that may wait for delivery before whoever fires waits; the real one's figure on two processors."""


class Origin(NamedTuple):
    """Where in FreeSWITCH's source an event is made."""

    file: str
    function: str
    line: str


class Binding(NamedTuple):
    """Who wants which events.

    Attributes:
        type: The event's type, or `ALL`.
        subclass: None for any.
        callback: Called with the one event that all share: who keeps it copies it.
        owner: The file that bound it, for the log.
    """

    type: str
    subclass: str | None
    callback: Callable[[Event], None]
    owner: str

    def wants(self, event: Event) -> bool:
        """Whether an event of the right type is for it."""
        return self.subclass is None or self.subclass == event.subclass


class EventEngine:
    """Numbers events when they are made, queues them when they are fired, delivers them in one thread.

    Args:
        identity: Gives the headers after Event-Name that tell which switch it is; `refresh` asks it again.
        on_error: Gets what a subscriber's callback raised.
    """

    def __init__(
        self, identity: Callable[[], Iterable[tuple[str, str]]], on_error: Callable[[BaseException], None]
    ) -> None:
        self._ask_identity = identity
        self._identity = tuple(identity())
        self._on_error = on_error
        self._sequence = 0
        self._number_lock = threading.Lock()
        self._dates: tuple[int, tuple[tuple[str, str], ...]] = (-1, ())
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._room = threading.Condition()
        self._waiting = 0
        self._bindings: dict[str, tuple[Binding, ...]] = {}
        self._binding_lock = threading.RLock()  # Held while an event is delivered, so unbinding waits for that.
        self._dispatcher: HostThread | None = None
        self._dispatcher_ident = 0
        self._closed = False

    def refresh(self) -> None:
        """Take up an identity that has changed."""
        self._identity = tuple(self._ask_identity())

    # Making.

    def create(self, type_: str, origin: Origin, subclass: str | None = None) -> Event:
        """A new event with FreeSWITCH's own headers."""
        event = Event(type_, (), None, subclass)
        if type_ == "CLONE":
            event.type = "CUSTOM"  # As the real one has it: a clone's type is not set.
        else:
            self.prepare(event, origin)
        if subclass is not None:
            event.headers.append(("Event-Subclass", subclass))
        return event

    def prepare(self, event: Event, origin: Origin) -> None:
        """Add the headers that every event gets."""
        micros = time.time_ns() // 1000
        with self._number_lock:
            self._sequence += 1
            number = self._sequence
        second = micros // 1_000_000
        known, dates = self._dates
        if known != second:
            local = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            # Not strftime's %a and %b: those would speak the process's language.
            gmt = time.gmtime(second)
            date = f"{_DAYS[gmt.tm_wday]}, {gmt.tm_mday:02d} {_MONTHS[gmt.tm_mon - 1]} {gmt.tm_year} "
            date += time.strftime("%H:%M:%S GMT", gmt)
            dates = (("Event-Date-Local", local), ("Event-Date-GMT", date))
            self._dates = (second, dates)
        event.headers += (
            ("Event-Name", event.type),
            *self._identity,
            *dates,
            ("Event-Date-Timestamp", str(micros)),
            ("Event-Calling-File", origin.file),
            ("Event-Calling-Function", origin.function),
            ("Event-Calling-Line-Number", origin.line),
            ("Event-Sequence", str(number)),
        )

    # Delivering.

    def start(self) -> None:
        """Begin to deliver."""
        self._dispatcher = HostThread(self._dispatch, self._on_error)

    def fire(self, event: Event) -> None:
        """Queue it; whoever fires waits while too many are queued. After `stop` it is thrown away."""
        if self._closed:
            return
        if self._queue.qsize() >= _QUEUE_LENGTH and threading.get_ident() != self._dispatcher_ident:
            with self._room:
                self._waiting += 1
                self._room.wait_for(lambda: self._closed or self._queue.qsize() < _QUEUE_LENGTH)
                self._waiting -= 1
        self._queue.put(event)

    def drain(self, timeout: float) -> bool:
        """Wait until what has been fired so far is delivered; False when that took longer."""
        delivered = threading.Event()
        mark = Event("")
        marked = Binding("", None, lambda _event: delivered.set(), "")
        with self._binding_lock:
            self._bindings[""] = (*self._bindings.get("", ()), marked)
        self.fire(mark)
        done = delivered.wait(timeout)
        with self._binding_lock:
            self._bindings[""] = tuple(each for each in self._bindings[""] if each is not marked)
        return done

    def stop(self, timeout: float) -> bool:
        """Deliver no more; False when the delivery that is under way did not end in time."""
        self._closed = True
        self._queue.put(None)
        with self._room:
            self._room.notify_all()
        return self._dispatcher is None or self._dispatcher.join(timeout)

    def bind(self, binding: Binding) -> None:
        """Call it for its events from now on; the newest binding is called first."""
        with self._binding_lock:
            self._bindings[binding.type] = (binding, *self._bindings.get(binding.type, ()))

    def unbind(self, binding: Binding) -> None:
        """Never call it again: when this returns, a call that was under way is over."""
        with self._binding_lock:
            self._bindings[binding.type] = tuple(
                each for each in self._bindings.get(binding.type, ()) if each is not binding
            )

    def _dispatch(self) -> None:
        self._dispatcher_ident = threading.get_ident()
        get, lock = self._queue.get, self._binding_lock
        while True:
            event = get()
            if event is None:
                return
            with lock:
                bindings = self._bindings
                for binding in (*bindings.get(event.type, ()), *(bindings.get(ALL, ()) if event.type else ())):
                    if binding.subclass is None or binding.subclass == event.subclass:
                        try:
                            binding.callback(event)
                        except Exception as error:  # noqa: BLE001  # one subscriber must not end delivery
                            self._on_error(error)
            if self._waiting:
                with self._room:
                    self._room.notify_all()


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
