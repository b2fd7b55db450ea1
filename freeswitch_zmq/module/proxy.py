"""From the pump's inproc socket to the network: one thread for each endpoint, in which libzmq's proxy runs.

The proxy runs without the GIL. A socket of its own for each endpoint is what lets an endpoint come and go at a reload
without its neighbours noticing, and lets access control tell them apart.
"""

from __future__ import annotations

import errno
import re
import secrets
from dataclasses import dataclass
from typing import Callable

import zmq

from freeswitch_zmq.errors import StartError
from freeswitch_zmq.module.publisher import INPROC_HWM
from freeswitch_zmq.module.worker import Worker

__all__ = ["Endpoint", "EndpointOptions"]

Context = zmq.Context[zmq.Socket[bytes]]

_MULTICAST = ("pgm://", "epgm://", "norm://")
_DRAIN_AT_MOST = 4 * INPROC_HWM
_WAKE_ATTEMPTS = 10

LINGER_MS = 400
"""What is on its way to subscribers at a stop gets this long; a subscriber that doesn't read can't hold it up more."""

_REMEDIES = {
    errno.EADDRINUSE: "another program listens there, perhaps a second switch; take another port or stop that program",
    errno.EADDRNOTAVAIL: "this machine has no such address; name one of its own, or * for all",
    errno.ENODEV: "this machine has no such interface or address; name one of its own, or * for all",
    errno.EACCES: "FreeSWITCH's user may not open it; take a port above 1023, or a folder that the user can write to",
    errno.ENOENT: "there is no such folder; create it, writable for FreeSWITCH's user",
}


@dataclass(frozen=True)
class EndpointOptions:
    """How a socket to the network is set up; `address` as in the configuration."""

    address: str
    connect: bool
    send_hwm: int
    handshake_ms: int
    max_message_bytes: int
    ipv6: bool
    zap_domain: str

    def same_socket(self, other: EndpointOptions) -> bool:
        """Whether going from one to the other keeps the socket and its connections.

        The limits for new peers and `ipv6` wait until a socket is opened anyway: libzmq copies them when it begins to
        listen, and beginning anew would cut all connections. So does all of an inproc endpoint, whose subscribers
        would not come back by themselves.
        """
        if self.address.startswith("inproc://"):
            return self.connect == other.connect
        return (self.connect, self.send_hwm) == (other.connect, other.send_hwm)


class Endpoint(Worker):
    """A PUB-compatible socket that is bound or connected, fed from a publisher's inproc address.

    Args:
        context: the module's.
        inproc: where the publisher's socket is bound.
        options: see there.
        on_error: called with an exception that ended the proxy.
    """

    def __init__(
        self,
        context: Context,
        inproc: str,
        options: EndpointOptions,
        on_error: Callable[[BaseException], None],
    ) -> None:
        super().__init__(f"event_zmq {options.address}", on_error)
        self.options = options
        self.address = options.address
        self._context = context
        self._inproc = inproc
        self._control_address = f"inproc://event_zmq-control-{secrets.token_hex(8)}"
        self._control: zmq.Socket[bytes] | None = None
        self._back: zmq.Socket[bytes] | None = None
        self._front: zmq.Socket[bytes] | None = None

    def open(self) -> None:
        """See `Worker`."""
        self._control = self._context.socket(zmq.PAIR)
        self._control.set(zmq.LINGER, 0)
        self._control.set(zmq.SNDTIMEO, 0)
        self._control.bind(self._control_address)
        self._front = self._context.socket(zmq.XPUB)
        self._set_options(self._front)
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
        self._back = self._context.socket(zmq.XSUB)
        self._back.set(zmq.LINGER, 0)
        self._back.set(zmq.RCVHWM, INPROC_HWM)
        self._back.connect(self._inproc)
        if self.address.startswith(_MULTICAST):
            self._back.send(b"\x01")  # nobody can subscribe over multicast, so everything goes out

    def _set_options(self, front: zmq.Socket[bytes]) -> None:
        options = self.options
        front.set(zmq.SNDHWM, options.send_hwm)
        # Every frame that a peer sends goes upstream. Otherwise a second subscription to the same, hidden in a
        # message of two frames, would be swallowed in the middle of it, and the proxy would end for everybody.
        front.set(zmq.XPUB_VERBOSER, 1)
        front.set(zmq.IPV6, int(options.ipv6))
        front.set(zmq.HANDSHAKE_IVL, options.handshake_ms)
        front.set(zmq.MAXMSGSIZE, options.max_message_bytes)
        if options.zap_domain:
            front.set_string(zmq.ZAP_DOMAIN, options.zap_domain)
            front.set(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def run(self) -> None:
        """See `Worker`."""
        assert self._front is not None
        assert self._back is not None
        try:
            zmq.proxy_steerable(self._back, self._front, None, self._control)
        except zmq.ZMQError:
            # libzmq 4.3.5 answers TERMINATE, and who sent it may be gone already.
            if not self.stopping:
                raise
        # The proxy ends at once; what the pump handed over before still goes out.
        for _ in range(_DRAIN_AT_MOST):
            try:
                parts = self._back.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            self._front.send_multipart(parts, zmq.NOBLOCK)

    def close(self) -> None:
        """See `Worker`."""
        for socket in (self._back, self._control):
            if socket is not None:
                socket.close()
        if self._front is not None:
            self._front.close(LINGER_MS)

    def wake(self) -> None:
        """Ends the proxy's loop, from any thread.

        Raises:
            zmq.Again: it did not work out in a second.
        """
        for attempt in range(_WAKE_ATTEMPTS):
            with self._context.socket(zmq.PAIR) as control:
                control.set(zmq.LINGER, 100)
                control.set(zmq.SNDTIMEO, 100)
                control.connect(self._control_address)
                try:
                    control.send(b"TERMINATE")
                    return
                except zmq.Again:  # seen with libzmq 4.3.4 on a busy machine; another socket gets through
                    if attempt == _WAKE_ATTEMPTS - 1:
                        raise

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
