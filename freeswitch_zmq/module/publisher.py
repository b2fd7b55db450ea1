"""One publisher inside the pump: its filters, its numbers, its queue and its ends of the ways to its endpoints."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple, Optional

from freeswitch_zmq.module import host
from freeswitch_zmq.module.filters import EventFilter, FieldFilter, HeaderFilter
from freeswitch_zmq.module.link import Context, Link
from freeswitch_zmq.module.ring import Ring
from freeswitch_zmq.module.schema import PublisherConfig
from freeswitch_zmq.wire import TopicFormat, close_json, known_prefix, open_json, select_fields

__all__ = ["Publisher", "TakenEvent"]

MEGABYTE = 1_000_000
"""As `replay-mb` counts them."""


class TakenEvent:
    """An event that the pump took from the switch. Serialized once, and only when somebody wants it or it is held."""

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
    wanted: bool
    """False: it is only to be held."""


class _Ready(NamedTuple):
    topic: Optional[bytes]
    message: bytes
    links: list[Link]
    """Those that want it and don't have it yet."""


class Publisher:
    """Made, used and closed in the pump's thread; only the counters are read by others.

    Attributes:
        epoch: microseconds since 1970 at which it started.
        accepted: events that passed the filters; the last number given out.
        published: of these, handed to the sockets.
        skipped: of these, nobody had subscribed.
        shed: of these, dropped here: the queue was full, or the module stopped.
        ring: what is held for replay, which any thread may read; None without `replay-mb`.
    """

    def __init__(self, config: PublisherConfig, context: Context) -> None:
        self.epoch = time.time_ns() // 1000
        self.accepted = self.published = self.skipped = self.shed = 0
        self._context = context
        self._links: list[Link] = []
        self._names: dict[str, int] = {}
        self._queue: deque[_Queued] = deque()
        self._ready: deque[_Ready] = deque()
        self.ring: Optional[Ring] = None
        self.configure(config)

    def configure(self, config: PublisherConfig) -> None:
        """Takes up filters, formats and sizes; numbers and sockets stay, and of what is held as much as fits."""
        self.config = config
        self._take = EventFilter(config.event_filter)
        self._leave = EventFilter(config.event_exclude)
        self._header_filters = [HeaderFilter(text) for text in config.header_filter]
        self._fields = FieldFilter(config.fields) if config.fields else None
        self._topic = TopicFormat(config.format_fields) if config.framing == "topic" else None
        if not config.replay_mb:
            self.ring = None
        elif self.ring is None:
            # Some before this one may be queued still, but those that nobody wanted are gone.
            self.ring = Ring(config.replay_events, config.replay_mb * MEGABYTE, self.accepted)
        else:
            self.ring.resize(config.replay_events, config.replay_mb * MEGABYTE)

    def open_link(self) -> Link:
        """The way to one more endpoint."""
        link = Link(self._context)
        self._links.append(link)
        return link

    def close_link(self, link: Link) -> None:
        """Nothing goes that way any more."""
        self._links = [each for each in self._links if each is not link]
        link.close()

    @property
    def subscriptions(self) -> int:
        """Different prefixes that the subscribers of each endpoint asked for, added up."""
        return sum(len(link.subscriptions) for link in self._links if not link.gone)

    @property
    def queued(self) -> int:
        """Events waiting for their turn."""
        return len(self._queue) + len(self._ready)

    def offer(self, event: TakenEvent, last: bool = False) -> None:
        """Numbers an event that passes the filters, and queues it if somebody wants it or it is to be held.

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
        if not wanted and self.ring is None:
            self.skipped += 1
        elif self.queued >= self.config.queue_size and not last:
            self.shed += 1
        else:
            self._queue.append(_Queued(event, self.accepted, name_sequence, topic, wanted))

    def _judge(self, event: TakenEvent) -> tuple[Optional[bytes], bool]:
        """The event's topic, where it has one, and whether somebody may want it."""
        if not any(link.subscriptions for link in self._links):
            return None, False
        if self._topic is not None:
            topic = self._topic.topic(event.header)
            return topic, any(link.subscriptions.want(topic) for link in self._links)
        prefix = known_prefix(event.name)
        return None, any(link.subscriptions.may_want(prefix) for link in self._links)

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
        while self._ready and self._hand_over(self._ready[0]):
            self._ready.popleft()
            left += 1
        return left

    def _hand_over(self, ready: _Ready) -> bool:
        """Gives a message to the endpoints that want it; False when one of them can't take it right now."""
        while ready.links:
            link = ready.links[-1]
            if not link.gone and not link.send(ready.topic, ready.message):
                return False
            ready.links.pop()
        self.published += 1
        return True

    def _prepare(self, queued: _Queued) -> bool:
        """Makes an event ready to go out; False when nobody wants it after all."""
        try:
            opened = queued.event.opened_json()
            if self._fields is not None:
                opened = select_fields(opened, self._fields.keeps)
            message = close_json(opened, self.epoch, queued.sequence, queued.name_sequence)
            if self.ring is not None:
                # Before anybody has it: who has seen an event must find all that came before it.
                self.ring.add(queued.sequence, message)
        except BaseException:
            self.shed += 1  # one event that can't be serialized must not hold up those behind it
            raise
        if queued.wanted:
            key = message if queued.topic is None else queued.topic
            links = [link for link in self._links if not link.gone and link.subscriptions.want(key)]
            if links:
                self._ready.append(_Ready(queued.topic, message, links))
                return True
        self.skipped += 1
        return False

    def update_subscriptions(self) -> bool:
        """Reads what subscribers told since the last time. True when there may be more."""
        more = [link.update_subscriptions() for link in self._links]
        return any(more)

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
        """Closes all that is left."""
        self.shed_queue()
        for link in self._links:
            link.close()
        self._links = []
