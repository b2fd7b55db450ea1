"""A publisher in the test's own thread, and endpoints that are played by the test."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import zmq

from freeswitch_zmq.module.link import Link
from freeswitch_zmq.module.publisher import Publisher, TakenEvent
from tests.unit.configurations import publisher_config
from tests.unit.fake_freeswitch import FakeEvent

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]


class Player:
    """An endpoint without a thread and its only subscriber, who gets what the link hands over.

    Its network socket is a real one, so that checks are answered as an endpoint's are.

    Args:
        context: the publisher's.
        link: the publisher's end.
        hwm: messages that it lets wait; 0 for any number.
    """

    def __init__(self, context: Context, link: Link, hwm: int = 0) -> None:
        self.link = link
        self.socket = context.socket(zmq.PAIR)
        self.socket.set(zmq.RCVHWM, hwm)
        self.socket.set(zmq.LINGER, 0)
        self.socket.connect(link.address)
        self.front = context.socket(zmq.XPUB)
        self.front.set(zmq.LINGER, 0)
        self.front.bind(link.probe_address)
        self._peer = context.socket(zmq.XSUB)
        self._peer.set(zmq.LINGER, 0)
        self._peer.connect(link.probe_address)

    def subscribe(self, prefix: bytes) -> None:
        self._peer.send(b"\x01" + prefix)

    def unsubscribe(self, prefix: bytes) -> None:
        """Once for each time that it subscribed."""
        self._peer.send(b"\x00" + prefix)

    def forward(self) -> None:
        """Hands what its network socket told to the link."""
        while self.front.poll(0):
            self.socket.send(self.front.recv())

    def update(self, publisher: Publisher) -> None:
        """Goes on until the publisher knows what the subscriber wants, and has it checked."""
        self.forward()
        while publisher.update_subscriptions() or self.front.poll(0):
            self.forward()

    def end(self) -> None:
        """As an endpoint's thread ends."""
        self.link.gone = self.link.ended = True
        self.close()

    def close(self) -> None:
        """The sockets alone: to the link it looks as if the thread never came to them."""
        for socket in (self.socket, self._peer, self.front):
            socket.close()


class Bench(contextlib.ExitStack):
    """Makes publishers and players, and closes them when it is left."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context

    def publisher(self, **params: Any) -> Publisher:
        """With the params of its `<publisher>`; see `configurations.local`."""
        publisher = Publisher(publisher_config(**params), self.context)
        self.callback(publisher.close)
        return publisher

    def player(self, publisher: Publisher, *prefixes: bytes, hwm: int = 0) -> Player:
        """An endpoint whose subscriber gets everything (no prefix given) or what begins like one of them; the
        publisher knows of it.

        Args:
            publisher: whom to subscribe to.
            prefixes: of the first frame.
            hwm: messages that it lets wait; 0 for any number.
        """
        player = Player(self.context, publisher.open_link(), hwm)
        self.callback(player.close)
        for prefix in prefixes or (b"",):
            player.subscribe(prefix)
        player.update(publisher)
        return player

    def subscriber(self, publisher: Publisher, *prefixes: bytes, hwm: int = 0) -> Socket:
        """The same, where only what arrives matters."""
        return self.player(publisher, *prefixes, hwm=hwm).socket


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
