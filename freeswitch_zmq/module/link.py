"""The pump's end of the way to one endpoint: events go there, subscriptions come back."""

from __future__ import annotations

import secrets
import time
from typing import Callable, Optional

import zmq

from freeswitch_zmq.module.subscriptions import Subscriptions

__all__ = ["Link"]

Context = zmq.Context[zmq.Socket[bytes]]

INPROC_HWM = 1000
"""Events between the pump and each proxy thread: enough that the proxy never runs dry, and bounded."""

REPORTS_A_ROUND = 200
"""Subscriptions read in one go, so that a peer that sends them without end can't keep events from flowing."""

STUCK_SECONDS = 5.0
"""An endpoint that takes no event for so long is opened anew."""

SUBSCRIPTIONS_SIZE = 4_000_000
"""What the subscribers of an endpoint may have subscribed to (`Subscriptions.size`). libzmq takes up to 45 times as
much memory for it (measured with libzmq 4.3.4), and frees it only when the endpoint's socket goes."""


class Link:
    """Made, used and closed in the pump's thread.

    A PAIR and not the usual XSUB: that keeps the subscriptions in a tree of its own, whose depth is what a subscriber
    sends, and goes through it in recursions that overflow the thread's stack (libzmq 4.3.4, seen).

    Attributes:
        address: where the endpoint's thread connects.
        probe_address: where its network socket listens for the checks of `Subscriptions`.
        subscriptions: what its subscribers want.
        gone: nothing is sent any more, because the endpoint has ended or is about to.
        ended: set by the endpoint's thread when it ends.
        on_overrun: called when the subscribers have subscribed to more than SUBSCRIPTIONS_SIZE, or keep the proxy from
            taking events.
    """

    def __init__(self, context: Context) -> None:
        name = secrets.token_hex(8)
        self.address = f"inproc://event_zmq-link-{name}"
        self.probe_address = f"inproc://event_zmq-probe-{name}"
        self.subscriptions = Subscriptions()
        self.gone = self.ended = False
        self.on_overrun: Callable[[], None] = lambda: None
        self._stuck_since = 0.0
        self._probe = context.socket(zmq.XSUB)
        self._probe.set(zmq.LINGER, 0)
        self._probe.set(zmq.SNDHWM, 0)
        self._probe.connect(self.probe_address)
        self._socket = context.socket(zmq.PAIR)
        self._socket.set(zmq.LINGER, 0)
        # A full pipe means that the proxy thread is behind: the events stay in the publisher's queue, where they are
        # counted.
        self._socket.set(zmq.SNDHWM, INPROC_HWM)
        self._socket.set(zmq.RCVHWM, 0)  # a subscription that is lost here would be lost for good
        self._socket.bind(self.address)

    def send(self, topic: Optional[bytes], message: bytes) -> bool:
        """Hands a message over; False when the proxy thread is behind."""
        try:
            if topic is not None:
                self._socket.send(topic, zmq.NOBLOCK | zmq.SNDMORE)
            # Only a first frame meets a full pipe: the rest of a message goes where its beginning went.
            self._socket.send(message, zmq.NOBLOCK)
        except zmq.Again:
            self._stuck()
            return False
        self._stuck_since = 0.0
        return True

    def _stuck(self) -> None:
        """The proxy thread takes nothing. Not for long, or the other endpoints of the publisher have to wait for it."""
        now = time.monotonic()
        self._stuck_since = self._stuck_since or now
        if now - self._stuck_since > STUCK_SECONDS:
            self.on_overrun()

    def update_subscriptions(self) -> bool:
        """Reads what subscribers told since the last time. True when there may be more."""
        more = False
        for _ in range(REPORTS_A_ROUND):
            more = bool(int(self._socket.get(zmq.EVENTS)) & zmq.POLLIN)
            if not more:
                break
            check = self.subscriptions.update(self._socket.recv(zmq.NOBLOCK))
            if check:
                self._probe.send_multipart(check, zmq.NOBLOCK)
        if (self.gone or self.subscriptions.size > SUBSCRIPTIONS_SIZE) and not self.ended:
            self.on_overrun()
        return more

    def close(self) -> None:
        """What was handed over still reaches the proxy."""
        self.gone = self.ended = True
        self._socket.close()
        self._probe.close()
