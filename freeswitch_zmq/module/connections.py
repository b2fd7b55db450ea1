"""What libzmq tells about the connections of an endpoint: how many there are, whose handshake failed, who floods.

Access control is only asked about peers that can speak CURVE with our key; who can't would be seen nowhere else.
"""

from __future__ import annotations

import struct

import zmq

from freeswitch_zmq.module import descriptors
from freeswitch_zmq.module.rule import Rule

__all__ = ["EVENTS", "Connections"]

EVENTS = int(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)

BURST_BYTES = 2_000_000
RATE_BYTES = 256_000
"""What a peer may send: so much at once and so much a second on the average. Subscribers send subscriptions, some 50
bytes each; libzmq takes up to 45 times as much memory for them, and while a peer sends long ones without a pause (60 KB
and more, seen with libzmq 4.3.4) does nothing else for the endpoint."""

_EVENT = struct.Struct("=HI")


class _Connection:
    """One, and how much it sent: `level` goes up with every byte and down by RATE_BYTES a second."""

    def __init__(self, ends: descriptors.Ends | None) -> None:
        self.ends = ends
        self.received = 0
        self.level = 0.0


class Connections:
    """Those of one endpoint.

    Args:
        rule: of the endpoint; gets the counts.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._open: dict[int, _Connection] = {}
        self._failed = False

    def update(self, frames: list[bytes]) -> None:
        """Takes a message of libzmq's monitor: event and value, the endpoint."""
        event, value = _EVENT.unpack(frames[0])
        if event == zmq.EVENT_ACCEPTED:
            ends = descriptors.ends_of(value)
            # libzmq may have closed it by now, and FreeSWITCH opened something else under the same number.
            ours = ends is not None and frames[1].endswith(b":%d" % ends.local_port)
            self._open[value] = _Connection(ends if ours else None)
        elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            self._failed = True
        elif event == zmq.EVENT_DISCONNECTED:
            # Which connection failed is told by what follows: that it is gone. (With several I/O threads another one
            # may come in between; then the log names that one.)
            gone = self._open.pop(value, None)
            if self._failed:
                self._rule.refuse("handshake", gone.ends.address if gone is not None and gone.ends is not None else "")
            self._failed = False
        self._rule.connections = len(self._open)

    def cut_floods(self, seconds: float) -> None:
        """Ends connections whose peers send more than a subscriber has to say.

        Args:
            seconds: since the last time.
        """
        for fd, connection in self._open.items():
            ends = connection.ends
            if ends is None:
                continue
            received = descriptors.bytes_received(fd)
            connection.level = max(0.0, connection.level + received - connection.received - RATE_BYTES * seconds)
            connection.received = received
            if connection.level > BURST_BYTES:
                connection.ends = None  # what follows is the end of it
                if descriptors.hang_up(fd, ends):
                    self._rule.refuse("flood", ends.address)
