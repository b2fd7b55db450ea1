"""A publisher in the test's own thread, and subscribers at its inproc socket."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import Any

import zmq

from freeswitch_zmq.module.publisher import Publisher, TakenEvent
from tests.unit.configurations import publisher_config
from tests.unit.fake_freeswitch import FakeEvent

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]

_numbers = itertools.count(1)


class Bench(contextlib.ExitStack):
    """Makes publishers and subscribers, and closes them when it is left."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context

    def publisher(self, **params: Any) -> Publisher:
        """With the params of its `<publisher>`; see `configurations.local`."""
        publisher = Publisher(publisher_config(**params), self._context, f"inproc://bench-{next(_numbers)}")
        self.callback(publisher.close)
        return publisher

    def subscriber(self, publisher: Publisher, *prefixes: bytes, hwm: int = 0) -> Socket:
        """One that gets everything (no prefix given) or what begins like one of them; the publisher knows of it.

        Args:
            publisher: whom to subscribe to.
            prefixes: of the first frame.
            hwm: messages that it lets wait; 0 for any number.
        """
        socket = self._context.socket(zmq.SUB)
        self.callback(socket.close)
        socket.set(zmq.RCVHWM, hwm)
        for prefix in prefixes or (b"",):
            socket.subscribe(prefix)
        socket.connect(publisher.inproc)
        publisher.update_subscriptions()
        return socket


def offer(publisher: Publisher, *events: FakeEvent | str, last: bool = False) -> None:
    """Hands events over as the pump does; a text is the name of one."""
    for event in events:
        fake = FakeEvent(event) if isinstance(event, str) else event
        publisher.offer(TakenEvent(fake, fake.name), last)


def send_all(publisher: Publisher) -> None:
    """Sends until nothing is queued, or nobody takes any more."""
    while publisher.queued and publisher.send(32):
        pass


def received(socket: Socket) -> list[list[bytes]]:
    """All messages that are there, with their frames."""
    messages = []
    while socket.poll(0):
        messages.append(socket.recv_multipart())
    return messages


def received_json(socket: Socket) -> list[dict[str, Any]]:
    """The JSON of all messages that are there."""
    return [json.loads(frames[-1]) for frames in received(socket)]


def sequences(events: list[dict[str, Any]]) -> list[int]:
    return [int(event["ZMQ-Sequence"]) for event in events]


def balance(publisher: Publisher) -> tuple[int, int, int, int]:
    """Accepted, published, skipped and shed; with what is queued it must come out even at any time."""
    assert publisher.accepted == publisher.published + publisher.skipped + publisher.shed + publisher.queued
    return publisher.accepted, publisher.published, publisher.skipped, publisher.shed
