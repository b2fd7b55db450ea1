"""A socket to the network and the thread that owns it: what endpoints have in common, whatever goes through them."""

from __future__ import annotations

import errno
import re
import secrets
import time
from dataclasses import dataclass, replace
from typing import Callable, Optional

import zmq

from freeswitch_zmq.certificate import KeyPair
from freeswitch_zmq.errors import StartError
from freeswitch_zmq.module.access import Access
from freeswitch_zmq.module.connections import EVENTS
from freeswitch_zmq.module.rule import Rule
from freeswitch_zmq.module.worker import Worker

__all__ = ["EndpointOptions", "NetworkEndpoint"]

GIVEN_UP_SECONDS = 5.0

LINGER_MS = 400
"""What is on its way to peers at a stop gets this long; a peer that doesn't read can't hold it up more."""

_WITH_HANDSHAKE = ("tcp://", "ipc://", "tipc://")

_REMEDIES = {
    errno.EADDRINUSE: "another program listens there, perhaps a second switch; take another port or stop that program",
    errno.EADDRNOTAVAIL: "this machine has no such address; name one of its own, or * for all",
    errno.ENODEV: "this machine has no such interface or address; name one of its own, or * for all",
    errno.EACCES: "FreeSWITCH's user may not open it; take a port above 1023, or a folder that the user can write to",
    errno.ENOENT: "there is no such folder; create it, writable for FreeSWITCH's user",
}


@dataclass(frozen=True)
class EndpointOptions:
    """How a socket to the network is set up; `address` as in the configuration.

    Attributes:
        acl: `apply-inbound-acl` where peers have an address, else None.
        curve: the switch's keys where they are needed.
        collector_key: with `connect`, the public key that the other side must have.
    """

    address: str
    connect: bool
    send_hwm: int
    handshake_ms: int
    max_message_bytes: int
    ipv6: bool
    acl: Optional[tuple[str, ...]]
    curve: Optional[KeyPair]
    collector_key: Optional[bytes]

    @property
    def guarded(self) -> bool:
        """Whether peers are let in one by one, if only to tell them apart (`traffic.py`)."""
        return not self.connect and self.address.startswith(_WITH_HANDSHAKE)

    @property
    def connects_by_handshake(self) -> bool:
        """Whether it goes to a collector that could refuse it."""
        return self.connect and self.address.startswith(_WITH_HANDSHAKE)

    def same_socket(self, other: EndpointOptions) -> bool:
        """Whether going from one to the other keeps the socket and its connections.

        The limits for new peers and `ipv6` wait until a socket is opened anyway: libzmq copies them when it begins to
        listen, and beginning anew would cut all connections. So does all of an inproc endpoint, whose subscribers
        would not come back by themselves.
        """
        if self.address.startswith("inproc://"):
            return self.connect == other.connect
        return self._socket_options == other._socket_options

    @property
    def _socket_options(self) -> tuple[object, ...]:
        return self.connect, self.send_hwm, self.curve, self.collector_key


class NetworkEndpoint(Worker):
    """A subclass calls `open_front` in `open`, and `close_front` in `close`.

    Args:
        context: the module's.
        options: see there.
        access: lets peers in.
        rule: whom it lets in, and what is known of its connections; None where there is nothing to know.
        on_error: called with an exception that ended the thread.

    Attributes:
        address: as really bound.
        linger_ms: how long what was handed over still may go out at the end.
        tripped: it has ended or is about to because of what its peers sent, and has to be opened anew.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        options: EndpointOptions,
        access: Access,
        rule: Optional[Rule],
        on_error: Callable[[BaseException], None],
    ) -> None:
        super().__init__(f"event_zmq {options.address}", on_error)
        self.options = options
        self.address = options.address
        self.rule = rule
        self.tripped = False
        self.linger_ms = LINGER_MS
        self._opened = time.monotonic()
        self._context = context
        self._access = access
        self._monitor: zmq.Socket[bytes] | None = None
        self._front: zmq.Socket[bytes] | None = None

    def make_front(self, kind: int) -> zmq.Socket[bytes]:
        """The socket, set up; it listens after `open_front`."""
        front = self._front = self._context.socket(kind)
        options = self.options
        front.set(zmq.SNDHWM, options.send_hwm)
        # No bound here; what a peer sends is bounded by its bytes (`connections.py`). When what waits of a peer reaches
        # this bound libzmq stops reading, perhaps before a heartbeat in its buffer. When that connection breaks then,
        # and reading goes on, answering the heartbeat ends the process (seen, 4.3.4: "Assertion failed: !_io_error").
        front.set(zmq.RCVHWM, 0)
        front.set(zmq.IPV6, int(options.ipv6))
        front.set(zmq.HANDSHAKE_IVL, options.handshake_ms)
        front.set(zmq.MAXMSGSIZE, options.max_message_bytes)
        if options.guarded and self.rule is not None:
            front.set_string(zmq.ZAP_DOMAIN, self.rule.domain)
            front.set(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without it everybody would get in while nobody answers
        if options.curve is not None:
            front.set(zmq.CURVE_SECRETKEY, options.curve.secret)
            front.set(zmq.CURVE_PUBLICKEY, options.curve.public)
            if options.connect:
                front.set(zmq.CURVE_SERVERKEY, options.collector_key or b"")
            else:
                front.set(zmq.CURVE_SERVER, 1)
        return front

    def open_front(self) -> None:
        """Listens, or connects, from now on.

        Raises:
            StartError: that isn't possible.
        """
        assert self._front is not None
        if self.rule is not None:
            self._open_monitor(self._front, self.rule)
        try:
            if self.options.connect:
                self._front.connect(self.options.address)
            else:
                self._front.bind(self.options.address)
        except zmq.ZMQError as error:
            verb = "connect to" if self.options.connect else "listen on"
            remedy = _REMEDIES.get(error.errno or 0, "see the address in event_zmq.conf.xml")
            reason = zmq.strerror(error.errno or 0)
            raise StartError(f"can't {verb} {self.options.address}: {reason}; {remedy}") from error
        if not self.options.connect:
            last = self._front.get(zmq.LAST_ENDPOINT)
            assert isinstance(last, bytes)
            self.address = last.decode().rstrip("\0")
        if self.rule is not None:
            self.rule.endpoint = self.address

    def _open_monitor(self, front: zmq.Socket[bytes], rule: Rule) -> None:
        """Before the socket listens: libzmq's I/O thread would wait for somebody to read the first event."""
        address = f"inproc://event_zmq-monitor-{secrets.token_hex(8)}"
        front.monitor(address, EVENTS)
        monitor = self._context.socket(zmq.PAIR)
        monitor.set(zmq.LINGER, 0)
        monitor.set(zmq.RCVHWM, 0)
        monitor.connect(address)
        self._monitor = monitor
        self._access.watch(monitor, rule)

    def close_front(self) -> None:
        """Closes it; what was handed over still goes out, within `linger_ms`."""
        if self._front is None:
            return
        try:
            if self._monitor is not None:
                self._front.disable_monitor()
        finally:  # it fails when the context is being ended, and then the monitor is ended by that
            self._front.close(self.linger_ms)
            if self._monitor is not None:
                self._access.unwatch(self._monitor)

    @property
    def given_up(self) -> bool:
        """Whether libzmq has given the collector up, some time ago: it may be right by now."""
        if self.rule is None or not self.options.connect or not self.rule.given_up:
            return False
        return time.monotonic() - self._opened > GIVEN_UP_SECONDS

    def let_in(self, acl: tuple[str, ...]) -> None:
        """Other addresses from now on, also when it is opened anew; connections that are there stay."""
        if self.rule is not None and self.options.acl is not None:
            self.options = replace(self.options, acl=acl)
            self.rule.configure(acl)

    def end_connections(self) -> None:
        """Ends those of tcp peers, who then can't keep the thread busy."""
        if self._monitor is not None:
            self._access.end_connections(self._monitor)

    def serves(self, address: str) -> bool:
        """Whether a `bind` of this text means the socket that is open here."""
        port = self.address.rpartition(":")[2]
        found = f"{self.options.address[:-1]}{port}" if self.options.address.endswith(":*") else self.options.address
        return address in (self.options.address, self.address, found) or _same_place(address, self.address)

    def is_in_the_way(self, address: str) -> bool:
        """Whether that address can perhaps not be bound while this endpoint is open."""
        if not address.startswith("tcp://") or self.options.connect:
            return self.serves(address)
        # By the port alone: which hosts mean the same (lo, localhost, 127.0.0.1) is not for us to find out.
        return self.serves(address) or address.rpartition(":")[2] == self.address.rpartition(":")[2]


def _same_place(asked: str, bound: str) -> bool:
    """`tcp://HOST:*` is any port of that host, and `*` the same as all addresses."""
    pattern = re.escape(asked).replace(r"tcp://\*:", r"tcp://(?:0\.0\.0\.0|\[::\]):")
    pattern = re.sub(r":\\\*$", r":[0-9]+", pattern)
    return re.fullmatch(pattern, bound) is not None
