"""An XPUB socket as an endpoint has it, peers that are honest or not, and what is believed of them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import zmq

from freeswitch_zmq.module.subscriptions import Subscriptions
from tests.unit.publishing import Context, Socket

_ADDRESS = "inproc://field"


class Field(contextlib.ExitStack):
    """Closes its sockets when it is left.

    Attributes:
        xpub: the endpoint's socket.
        subscriptions: what is believed.
        held: checks that were made and are not on their way yet.
        checks: how many checks were made.
    """

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.subscriptions = Subscriptions()
        self.held: list[Sequence[bytes]] = []
        self.checks = 0
        self.xpub = self._socket(zmq.XPUB)
        self.xpub.bind(_ADDRESS)
        self._probe = self._peer(zmq.XSUB)

    def _socket(self, kind: int) -> Socket:
        socket = self._context.socket(kind)
        self.callback(socket.close)
        socket.set(zmq.LINGER, 0)
        return socket

    def _peer(self, kind: int) -> Socket:
        socket = self._socket(kind)
        socket.set(zmq.SNDHWM, 0)
        socket.connect(_ADDRESS)
        return socket

    def honest(self, *prefixes: bytes) -> Socket:
        """A SUB socket, which takes back only what it has."""
        socket = self._peer(zmq.SUB)
        for prefix in prefixes:
            socket.subscribe(prefix)
        return socket

    def raw(self) -> Socket:
        """A peer that sends what it likes."""
        return self._peer(zmq.PAIR)

    def leave(self, peer: Socket) -> None:
        """Closes a peer; the XPUB socket knows when this returns."""
        peer.disconnect(_ADDRESS)
        for _ in range(3):  # each side confirms the other's end, when it is touched
            peer.poll(0)
            self.xpub.poll(0)
        peer.close()

    def read(self, most: int = 1_000_000) -> None:
        """Takes what the XPUB socket has to tell; checks that come of it are held."""
        for _ in range(most):
            if not self.xpub.poll(0):
                break
            check = self.subscriptions.update(self.xpub.recv())
            if check:
                self.held.append(check)
                self.checks += 1

    def send_checks(self, most: int = 1_000_000) -> None:
        """Sends those that are held, and lets the XPUB socket take them."""
        for check in self.held[:most]:
            self._probe.send_multipart(check)
        del self.held[:most]
        self.xpub.poll(0)

    def settle(self) -> None:
        """Goes on until there is nothing more to read and nothing more to check."""
        self.read()
        for _ in range(1000):
            if not self.held:
                return
            self.send_checks()
            self.read()
        raise AssertionError("one check follows the other without end")

    def reaches_the_probe(self, message: bytes) -> bool:
        """Whether the socket that asks has subscribed to it."""
        self.xpub.send(message)
        return bool(self._probe.poll(0))

    def wanted(self, *prefixes: bytes) -> set[bytes]:
        """Which of them are believed to be subscribed to, alone."""
        return {prefix for prefix in prefixes if self.subscriptions.want(prefix)}
