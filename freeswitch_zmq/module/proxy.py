"""From the pump's inproc socket to the network: one thread for each endpoint, in which libzmq's proxy runs.

The proxy runs without the GIL. A socket of its own for each endpoint is what lets an endpoint come and go at a reload
without its neighbours noticing, and lets access control tell them apart.
"""

from __future__ import annotations

import secrets
import time
from typing import Callable, Optional

import zmq

from freeswitch_zmq.errors import StartError
from freeswitch_zmq.module.access import Access
from freeswitch_zmq.module.endpoint import EndpointOptions, NetworkEndpoint
from freeswitch_zmq.module.link import INPROC_HWM, Context, Link
from freeswitch_zmq.module.rule import Rule

__all__ = ["Endpoint"]

_MULTICAST = ("pgm://", "epgm://", "norm://")
_DRAIN_AT_MOST = 4 * INPROC_HWM
_WAKE_ATTEMPTS = 10

MESSAGE_BYTES = 2048
"""The largest message that is taken from a peer, whatever max-message-bytes allows beyond. What libzmq does with a
subscription takes time with each byte of it; a peer that came, subscribed to 60,000 bytes and went, again and again,
kept an endpoint from sending anything else (with 2,000 nobody noticed, libzmq 4.3.4)."""

RECEIVE_BUFFER = 2 * 1024
"""Of the kernel, for each connection. Subscribers have little to say, and who floods is slowed down by it."""

TRIP_AGAIN_SECONDS = 0.1


class Endpoint(NetworkEndpoint):
    """A PUB-compatible socket that is bound or connected, fed from a publisher's inproc address.

    Args:
        context: the module's.
        link: the publisher's end.
        options: see there.
        access: lets peers in.
        rule: whom it lets in, and what is known of its connections; None where there is nothing to know.
        on_error: called with an exception that ended the proxy.

    Attributes:
        tripped: its subscribers subscribed to more than it may hold, and it has ended or is about to; it has to be
            opened anew.
    """

    def __init__(
        self,
        context: Context,
        link: Link,
        options: EndpointOptions,
        access: Access,
        rule: Optional[Rule],
        on_error: Callable[[BaseException], None],
    ) -> None:
        super().__init__(context, options, access, rule, on_error)
        self.link = link
        self._trip_again = 0.0
        self._control_address = f"inproc://event_zmq-control-{secrets.token_hex(8)}"
        self._control: zmq.Socket[bytes] | None = None
        self._back: zmq.Socket[bytes] | None = None

    def open(self) -> None:
        """See `Worker`."""
        self._control = self._context.socket(zmq.PAIR)
        self._control.set(zmq.LINGER, 0)
        self._control.set(zmq.SNDTIMEO, 0)
        self._control.bind(self._control_address)
        front = self.make_front(zmq.XPUB)
        front.set(zmq.MAXMSGSIZE, min(self.options.max_message_bytes, MESSAGE_BYTES))
        front.set(zmq.RCVBUF, RECEIVE_BUFFER)
        front.bind(self.link.probe_address)
        self.open_front()
        self._back = self._context.socket(zmq.PAIR)
        self._back.set(zmq.LINGER, 0)
        self._back.set(zmq.RCVHWM, INPROC_HWM)
        self._back.set(zmq.SNDHWM, 0)  # subscriptions must not be lost, nor hold the proxy up
        self._back.connect(self.link.address)
        if self.address.startswith(_MULTICAST):
            self._back.send(b"\x01")  # nobody can subscribe over multicast, so everything goes out

    def run(self) -> None:
        """See `Worker`."""
        assert self._front is not None
        assert self._back is not None
        while True:
            try:
                zmq.proxy_steerable(self._back, self._front, None, self._control)
                break
            except zmq.Again:
                # In the middle of a message: what a peer sends in several frames is passed on as far as it is news. It
                # is ended here, because until its end the pump sees nothing of it.
                self._back.send(b"", zmq.NOBLOCK)
                if self.stopping or self.tripped:
                    break
            except zmq.ZMQError:
                # libzmq 4.3.5 answers TERMINATE, and who sent it may be gone already.
                if not self.stopping and not self.tripped:
                    raise
                break
        # The proxy ends at once; what the pump handed over before still goes out.
        for _ in range(_DRAIN_AT_MOST):
            try:
                parts = self._back.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            self._front.send_multipart(parts, zmq.NOBLOCK)

    def close(self) -> None:
        """See `Worker`."""
        self.link.gone = self.link.ended = True
        for socket in (self._back, self._control):
            if socket is not None:
                socket.close()
        self.close_front()

    def trip(self) -> None:
        """Ends it because of what its subscribers sent. From the pump's thread, so it doesn't wait for anybody.

        Called until it has ended, because the first message may be lost (see `wake`).
        """
        now = time.monotonic()
        if now >= self._trip_again:
            self._trip_again = now + TRIP_AGAIN_SECONDS
            self.tripped = self.link.gone = True  # other endpoints must not wait for it
            self._send_terminate(0)

    def wake(self) -> None:
        """Ends the proxy's loop, from any thread.

        Raises:
            StartError: it did not work out in a second.
        """
        for _ in range(_WAKE_ATTEMPTS):
            # Seen with libzmq 4.3.4 on a busy machine: the first message of a socket is refused; another gets through.
            if self._send_terminate(100):
                return
        raise StartError(f"{self.name} could not be told to end; please report this")

    def _send_terminate(self, timeout_ms: int) -> bool:
        with self._context.socket(zmq.PAIR) as control:
            control.set(zmq.LINGER, 100)
            control.set(zmq.SNDTIMEO, timeout_ms)
            control.connect(self._control_address)
            try:
                control.send(b"TERMINATE")
            except zmq.Again:
                return False
        return True
