"""Answers that callers have not read: libzmq holds them in memory, and this keeps that bounded.

libzmq counts only messages. For tcp the kernel says how many bytes have arrived; for other transports nobody does, and
`endpoint.API_SEND_HWM` alone holds.
"""

from __future__ import annotations

import time

from freeswitch_zmq.module import descriptors
from freeswitch_zmq.module.traffic import Traffic, TrafficBook

__all__ = ["Unread"]

SMALL_BYTES = 4096
LITTLE_BYTES = 64 * 1024
"""Who has no more than that unread gets answers up to SMALL_BYTES whatever others do."""

OF_ONE_BYTES = 16_000_000
OF_ALL_BYTES = 256_000_000
"""What one caller, and all of an endpoint together, may have unread before another answer is kept back."""

WORDS_BYTES = 1_000_000
"""How many words about answers that were dropped one caller may be given until it has read enough: the answer before
them may have been of any size.
"""

LOOK_SECONDS = 0.1


class Unread:
    """By connection.

    Args:
        book: where what was given is written down.
    """

    def __init__(self, book: TrafficBook) -> None:
        self._book = book
        self._of_all_at_most = 0
        self._looked = 0.0

    def add(self, traffic: Traffic, size: int) -> None:
        """An answer was handed over."""
        traffic.given += size
        self._of_all_at_most += size

    def has_room(self, traffic: Traffic, size: int) -> bool:
        """Whether an answer of that size may be handed over too."""
        unread = self._of(traffic)
        if unread is None or (unread <= LITTLE_BYTES and size <= SMALL_BYTES):
            return True
        if unread > OF_ONE_BYTES:
            return False
        traffic.words = 0
        return self._all_have_room()

    def has_room_for_a_word(self, traffic: Traffic) -> bool:
        """Whether it may be told of an answer for which there is none."""
        unread = self._of(traffic) or 0
        return unread <= LITTLE_BYTES or (traffic.words <= WORDS_BYTES and self._all_have_room())

    def _all_have_room(self) -> bool:
        now = time.monotonic()
        # Only then it is looked at each of them, some 3 µs each, and not for every answer that there is no room for.
        if self._of_all_at_most > OF_ALL_BYTES and now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._of_all_at_most = sum(self._of(each) or 0 for each in self._book.open())
        return self._of_all_at_most <= OF_ALL_BYTES

    def _of(self, traffic: Traffic) -> int | None:
        """None: nobody knows."""
        acked = descriptors.bytes_acked(traffic.fd) if self._book.is_there(traffic) else None
        if acked is None:
            return None
        # What libzmq writes around answers arrives too; it must not become a credit.
        traffic.given = max(traffic.given, acked)
        return traffic.given - acked
