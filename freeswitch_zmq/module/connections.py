"""What libzmq tells about the connections of an endpoint: how many there are, whose handshake failed, who floods.

Access control is only asked about peers that can speak CURVE with our key; who can't would be seen nowhere else.
"""

from __future__ import annotations

import struct
import time

import zmq

from freeswitch_zmq.module import descriptors
from freeswitch_zmq.module.level import Level
from freeswitch_zmq.module.rule import Rule

__all__ = ["EVENTS", "Connections"]

EVENTS = int(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)

BURST_BYTES = 500_000
RATE_BYTES = 16_000
ALL_BYTES = 32_000_000
"""What a peer may send: so much at once, so much a second on the average, and so much until it has to connect again.
Subscribers send subscriptions, some 50 bytes each. libzmq takes up to 45 times as much memory for them, and keeps a
message that never ends, 64 bytes for each frame of two, where nobody sees it."""

ENDPOINT_BURST_BYTES = 2_000_000
ENDPOINT_RATE_BYTES = 128_000
"""The same for all peers of an endpoint together. libzmq needs 0.16 s for a megabyte, and sends nothing meanwhile."""

UNFINISHED_BYTES = 16_000_000
"""What all callers of an endpoint of the API together may have sent that is not a whole request, or has not been taken
yet. libzmq keeps 64 bytes for each frame of two."""

STRANGERS_AT_ONCE = 200
"""Beyond so many connections, those from where nobody may come in, or nobody has yet, are ended at once: each holds a
file descriptor of FreeSWITCH's until it has been refused, and for handshake-ms after that."""

LOOK_AT_ALL = 500
"""Up to so many connections all are looked at each time: in a quarter of a second one could send very much."""

YOUNG_SECONDS = 1.0
"""Connections that have just come are looked at more often: some go before the next look at all of them."""

_EVENT = struct.Struct("=HI")


class _Connection:
    """One that is open; `ends` is None when nothing is known of it, or it is about to end."""

    def __init__(self, ends: descriptors.Ends | None) -> None:
        self.ends = ends
        self.address = ends.address if ends is not None else ""
        self.opened = time.monotonic()
        self.received = 0
        self.taken = 0
        self.level = Level(RATE_BYTES)

    @property
    def is_young(self) -> bool:
        """Whether it has just come."""
        return time.monotonic() - self.opened < YOUNG_SECONDS


class Connections:
    """Those of one endpoint.

    Args:
        rule: of the endpoint; gets the counts.

    Attributes:
        rule: as given.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._open: dict[int, _Connection] = {}
        self._failed = False
        self._level = Level(ENDPOINT_RATE_BYTES)

    def update(self, frames: list[bytes]) -> None:
        """Takes a message of libzmq's monitor: event and value, the endpoint."""
        event, value = _EVENT.unpack(frames[0])
        if event == zmq.EVENT_ACCEPTED:
            ends = descriptors.ends_of(value)
            # libzmq may have closed it by now, and FreeSWITCH opened something else under the same number.
            ours = ends is not None and frames[1].endswith(b":%d" % ends.local_port)
            self._came(value, _Connection(ends if ours else None))
        elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            self._failed = self.rule.given_up = True
        elif event == zmq.EVENT_DISCONNECTED:
            self.rule.traffic.end(value)
            self._went(self._open.pop(value) if value in self._open else _Connection(None))
        self.rule.connections = len(self._open)

    def _came(self, fd: int, connection: _Connection) -> None:
        self._open[fd] = connection
        crowded = len(self._open) > STRANGERS_AT_ONCE
        if crowded and connection.ends is not None and self.rule.is_stranger(connection.address):
            self._end(fd, connection, "crowd")

    def _went(self, connection: _Connection) -> None:
        # Which connection failed, perhaps told twice, shows in what follows: that it is gone. (With several I/O threads
        # another one may come in between; then the log names that one.)
        failed, self._failed = self._failed, False
        # One that was refused and goes on talking is refused only once. If it was gone before it could be looked at, it
        # is taken for the latest.
        unknown = self.rule.latest_refused if failed else ""
        if self.rule.ended(connection.address or unknown):
            return
        if failed:
            self.rule.failed(connection.address)
        # To the API programs come for one request, a script for each call: its end costs libzmq nothing there.
        elif connection.ends is not None and connection.is_young and not self.rule.unfinished_bytes:
            self.rule.conduct.came_and_went(connection.address, connection.received)

    @property
    def has_any(self) -> bool:
        """Whether there is one that can be looked at."""
        return bool(self._open)

    @property
    def has_young(self) -> bool:
        """Whether there is one that may send very much and go before anybody looks. To the API that is no harm."""
        return bool(self._open) and not self.rule.unfinished_bytes and next(reversed(self._open.values())).is_young

    def cut_floods(self, all_of_them: bool) -> None:
        """Ends connections whose peers send more than a subscriber has to say.

        Args:
            all_of_them: whether to look at all connections, or only at those that have just come.
        """
        if self.rule.unfinished_bytes:
            self._cut_unfinished()
            return
        all_of_them = all_of_them or len(self._open) <= LOOK_AT_ALL
        came, gone = 0, 0.0
        # The newest are at the end.
        for fd, connection in reversed(self._open.items()):
            if not (all_of_them or connection.is_young):
                break
            if connection.ends is None:
                continue
            received = descriptors.bytes_received(fd)
            new, connection.received = received - connection.received, received
            came += new
            connection.level.add(new)
            if connection.level.now > BURST_BYTES or received > ALL_BYTES:
                self._end(fd, connection, "flood")
                gone += connection.level.now
        self._level.add(came)
        self._level.now = max(0.0, self._level.now - gone)  # the others are not to be cut off for it
        if self._level.now > ENDPOINT_BURST_BYTES:
            self._level.now -= self._end_largest(self._level.now - ENDPOINT_BURST_BYTES / 2)

    def _cut_unfinished(self) -> None:
        """The same for callers of the API, who may send as many requests as they like, but each must end.

        What waits until it is taken counts too: libzmq holds it.
        """
        total = 0.0
        for fd, connection in self._open.items():
            if connection.ends is None:
                continue
            # In this order: what was taken had been received.
            traffic = self.rule.traffic.seen(fd)
            taken, heard = (traffic.taken, traffic.heard) if traffic is not None else (0, 0)
            received = descriptors.bytes_received(fd)
            connection.level.add(received - connection.received - (taken - connection.taken))
            connection.received, connection.taken = received, taken
            if connection.level.now > self.rule.unfinished_bytes:
                self._end(fd, connection, "flood")
            elif received - heard > ALL_BYTES:
                # Heartbeats of many hours, perhaps: it comes back at once.
                descriptors.hang_up(fd, connection.ends)
                connection.ends = None
            total += connection.level.now if connection.ends is not None else 0.0
        bound = max(UNFINISHED_BYTES, 2.0 * self.rule.unfinished_bytes)
        if total > bound:
            self._end_largest(total - bound / 2)

    def _end_largest(self, too_much: float) -> float:
        """Ends those that sent most of late, until it is so much less. How much less it is then."""
        less = 0.0
        known = [each for each in self._open.items() if each[1].ends is not None]
        for fd, connection in sorted(known, key=lambda each: each[1].level.now, reverse=True):
            if less >= too_much or connection.level.now <= 0:
                break
            less += connection.level.now
            self._end(fd, connection, "flood")
        return less

    def end_all(self) -> None:
        """Ends all of them."""
        for fd, connection in self._open.items():
            if connection.ends is not None:
                descriptors.hang_up(fd, connection.ends)
                connection.ends = None

    def _end(self, fd: int, connection: _Connection, reason: str) -> None:
        ends, connection.ends = connection.ends, None  # what follows is the end of it
        if ends is not None and descriptors.hang_up(fd, ends):
            self.rule.refuse(reason, ends.address)
            if reason == "flood":
                self.rule.conduct.flooded(ends.address)
