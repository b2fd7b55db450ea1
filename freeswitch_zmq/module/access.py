"""Who is let in: the ZAP handler that libzmq asks about every connection to an endpoint of ours.

It fails closed: an endpoint whose rule is not known, or an address that can't be read, is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

import zmq

from freeswitch_zmq.module.addresses import AddressList, peer_address
from freeswitch_zmq.module.worker import Worker

__all__ = ["Access", "Rule"]

POLL_MS = 100
"""How soon a stop is noticed."""

ZAP_ADDRESS = "inproc://zeromq.zap.01"  # given by ZeroMQ RFC 27
_OK = b"200"
# libzmq lets a peer that is refused with 300 try again by itself; after 400 it never would, not even when an admin
# has let it in meanwhile.
_NOT_NOW = b"300"


class Rule:
    """Who may connect to the endpoints of one publisher, and how many were not let in.

    Args:
        acl: the values of `apply-inbound-acl`; one that matches is enough.

    Attributes:
        refused: connections that were not let in. A peer comes back every few seconds and counts each time.
        latest: the address of the last of them.
    """

    def __init__(self, acl: Sequence[str]) -> None:
        self.refused = 0
        self.latest = ""
        self.configure(acl)

    def configure(self, acl: Sequence[str]) -> None:
        """Other addresses from now on; connections that are there stay."""
        self._lists = [AddressList(text) for text in acl]

    def lets_in(self, address: str) -> bool:
        """Whether a peer at that address may connect; counts it when not."""
        try:
            peer = peer_address(address)
            allowed = any(addresses.has(peer) for addresses in self._lists)
        except ValueError:
            allowed = False
        if not allowed:
            self.refused += 1
            self.latest = address
        return allowed


class Access(Worker):
    """The handler. Start it before the first endpoint, stop it after the last one.

    Args:
        context: the module's.
        on_error: called with an exception that was caught; the handler goes on.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        on_error: Callable[[BaseException], None],
    ) -> None:
        super().__init__("event_zmq access", on_error)
        self.rules: dict[str, Rule] = {}
        self._context = context
        self._handler: zmq.Socket[bytes] | None = None

    def open(self) -> None:
        """See `Worker`."""
        self._handler = self._context.socket(zmq.ROUTER)
        self._handler.set(zmq.LINGER, 0)
        self._handler.bind(ZAP_ADDRESS)

    def run(self) -> None:
        """See `Worker`."""
        assert self._handler is not None
        while not self.stopping:
            if self._handler.poll(POLL_MS):
                self._answer(self._handler.recv_multipart())

    def close(self) -> None:
        """See `Worker`."""
        if self._handler is not None:
            self._handler.close()

    def _answer(self, frames: list[bytes]) -> None:
        assert self._handler is not None
        # [peer, "", version, request, domain, address, identity, mechanism, …]; libzmq itself sends it.
        envelope, request = frames[:2], frames[2:]
        status, text = _NOT_NOW, b"not let in"
        try:
            domain, address = request[2].decode(), request[3].decode()
            rule = self.rules.get(domain)
            if rule is not None and rule.lets_in(address):
                status, text = _OK, b"OK"
        except Exception as error:  # noqa: BLE001  # survived and reported
            self.on_error(error)
        request_id = request[1] if len(request) > 1 else b""
        self._handler.send_multipart([*envelope, b"1.0", request_id, status, text, b"", b""], zmq.NOBLOCK)
