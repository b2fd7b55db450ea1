"""One publisher inside the pump: its filters, its numbers, its queue and its end of the inproc socket."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple, Optional

import zmq

from freeswitch_zmq.module import host
from freeswitch_zmq.module.config import PublisherConfig
from freeswitch_zmq.module.filters import EventFilter, FieldFilter, HeaderFilter
from freeswitch_zmq.module.subscriptions import Subscriptions
from freeswitch_zmq.wire import TopicFormat, close_json, known_prefix, open_json, select_fields

__all__ = ["Publisher", "TakenEvent"]

INPROC_HWM = 1000
"""Events between the pump and each proxy thread: enough that the proxy never runs dry, and bounded."""

SUBSCRIPTIONS_A_ROUND = 1000
"""Subscriptions read in one go, so that a peer that sends them without end can't keep events from flowing."""


class TakenEvent:
    """An event that the pump took from the switch. Serialized once, and only when somebody wants it."""

    __slots__ = ("_event", "_opened", "name", "subclass")

    def __init__(self, event: host.Event, name: str) -> None:
        self._event: host.Event | None = event
        self._opened = ""
        self.name = name
        self.subclass: str | None = event.getHeader("Event-Subclass") if name == "CUSTOM" else None

    def header(self, name: str) -> str | None:
        """A header's value; Event-Name is the real one, whatever the event says of itself."""
        if name.lower() == "event-name":  # FreeSWITCH doesn't mind the case either
            return self.name
        assert self._event is not None
        value: str | None = self._event.getHeader(name)
        return value

    def opened_json(self) -> str:
        """Its JSON as `wire.open_json` gives it."""
        if not self._opened:
            assert self._event is not None
            self._opened = open_json(self._event.serialize("json"), self.name)
            self._event = None  # the switch's copy is about twice as large as the text
        return self._opened


class _Queued(NamedTuple):
    event: TakenEvent
    sequence: int
    name_sequence: int
    topic: Optional[bytes]


class Publisher:
    """Made, used and closed in the pump's thread; only the counters are read by others.

    Attributes:
        epoch: microseconds since 1970 at which it started.
        accepted: events that passed the filters; the last number given out.
        published: of these, handed to the sockets.
        skipped: of these, nobody had subscribed.
        shed: of these, dropped here: the queue was full, or the module stopped.
    """

    def __init__(self, config: PublisherConfig, context: zmq.Context[zmq.Socket[bytes]], inproc: str) -> None:
        self.inproc = inproc
        self.epoch = time.time_ns() // 1000
        self.accepted = self.published = self.skipped = self.shed = 0
        self.subscriptions = Subscriptions()
        self._names: dict[str, int] = {}
        self._queue: deque[_Queued] = deque()
        self._ready: deque[tuple[Optional[bytes], bytes]] = deque()
        self.configure(config)
        self._socket = context.socket(zmq.XPUB)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.SNDHWM, INPROC_HWM)
        # A full inproc pipe means that the proxy thread is behind: the events stay in our queue, where they are
        # counted, instead of being dropped by libzmq.
        self._socket.set(zmq.XPUB_NODROP, 1)
        self._socket.bind(inproc)

    def configure(self, config: PublisherConfig) -> None:
        """Takes up filters, formats and sizes; numbers and sockets stay."""
        self.config = config
        self._take = EventFilter(config.event_filter)
        self._leave = EventFilter(config.event_exclude)
        self._header_filters = [HeaderFilter(text) for text in config.header_filter]
        self._fields = FieldFilter(config.fields) if config.fields else None
        self._topic = TopicFormat(config.format_fields) if config.framing == "topic" else None

    @property
    def queued(self) -> int:
        """Events waiting for their turn."""
        return len(self._queue) + len(self._ready)

    def offer(self, event: TakenEvent, last: bool = False) -> None:
        """Numbers an event that passes the filters, and queues it if somebody wants it.

        Args:
            event: the next one that the switch delivered.
            last: it is the switch's SHUTDOWN, which is never shed.
        """
        name = event.name
        if not self._take.matches(name, event.subclass) or self._leave.matches(name, event.subclass):
            return
        for header_filter in self._header_filters:
            if not header_filter.holds(event.header(header_filter.header) or ""):
                return
        self.accepted += 1
        name_sequence = self._names[name] = self._names.get(name, 0) + 1
        try:
            topic, wanted = self._judge(event)
        except BaseException:
            self.shed += 1
            raise
        if not wanted:
            self.skipped += 1
        elif self.queued >= self.config.queue_size and not last:
            self.shed += 1
        else:
            self._queue.append(_Queued(event, self.accepted, name_sequence, topic))

    def _judge(self, event: TakenEvent) -> tuple[Optional[bytes], bool]:
        """The event's topic, where it has one, and whether somebody may want it."""
        if not self.subscriptions:
            return None, False
        if self._topic is not None:
            topic = self._topic.topic(event.header)
            return topic, self.subscriptions.want(topic)
        return None, self.subscriptions.may_want(known_prefix(event.name))

    def send(self, most: int) -> int:
        """Hands up to `most` queued events to the sockets.

        Returns:
            How many left the queue; 0 when there are none, or when the proxy threads are behind.

        Raises:
            Exception: an event could not be serialized; it is counted as shed, and the next call goes on behind it.
        """
        # First all the work, then all the sending: what is sent in a row wakes the proxy thread and the I/O thread
        # once, and waking two threads costs as much as serializing an event.
        left = 0
        for _ in range(most - len(self._ready)):
            if not self._queue:
                break
            left += not self._prepare(self._queue.popleft())
        try:
            while self._ready:
                topic, message = self._ready[0]
                if topic is not None:
                    self._socket.send(topic, zmq.NOBLOCK | zmq.SNDMORE)
                self._socket.send(message, zmq.NOBLOCK)
                self._ready.popleft()
                self.published += 1
                left += 1
        except zmq.Again:
            pass  # only a first frame meets it: the rest of a message goes where its beginning went
        return left

    def _prepare(self, queued: _Queued) -> bool:
        """Makes an event ready to go out; False when nobody wants it after all."""
        try:
            opened = queued.event.opened_json()
            if self._fields is not None:
                opened = select_fields(opened, self._fields.keeps)
            message = close_json(opened, self.epoch, queued.sequence, queued.name_sequence)
        except BaseException:
            self.shed += 1  # one event that can't be serialized must not hold up those behind it
            raise
        if self.subscriptions.want(message if queued.topic is None else queued.topic):
            self._ready.append((queued.topic, message))
            return True
        self.skipped += 1
        return False

    def update_subscriptions(self) -> bool:
        """Reads what subscribers told since the last time. True when there may be more."""
        for _ in range(SUBSCRIPTIONS_A_ROUND):
            if not int(self._socket.get(zmq.EVENTS)) & zmq.POLLIN:
                return False
            self.subscriptions.update(self._socket.recv(zmq.NOBLOCK))
        return True

    def shed_queue(self, keep: int = 0) -> list[object]:
        """Gives up what is still queued, counted, but for the `keep` newest.

        Returns:
            What was given up. Dropping it frees FreeSWITCH's events, some 10 µs each.
        """
        given_up: list[object] = []
        while self.queued > keep:
            # What is ready is older than what is queued.
            given_up.append(self._ready.popleft() if self._ready else self._queue.popleft())
        self.shed += len(given_up)
        return given_up

    def close(self) -> None:
        """Closes the inproc socket; what was handed to it still reaches the proxies."""
        self.shed_queue()
        self._socket.close()
