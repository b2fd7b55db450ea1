"""Answers that callers have not read: libzmq holds them in memory, and this keeps that bounded.

libzmq counts only messages. For tcp the kernel says how many bytes have arrived; for other transports nobody does, and
`endpoint.API_SEND_HWM` alone holds.
"""

from __future__ import annotations

import time

from freeswitch_zmq.module import descriptors

__all__ = ["Unread"]

SMALL_BYTES = 4096
LITTLE_BYTES = 64 * 1024
"""Who has no more than that unread gets answers up to SMALL_BYTES whatever others do."""

OF_ONE_BYTES = 16_000_000
OF_ALL_BYTES = 256_000_000
"""What one caller, and all of an endpoint together, may have unread before another answer is kept back."""

WORDS_BYTES = 1_000_000
"""What one caller may have unread beyond that of words about answers that were dropped."""

LOOK_SECONDS = 0.1


class Unread:
    """By connection.

    Args:
        given: bytes handed to libzmq for each descriptor. Others take out what has been closed.
    """

    def __init__(self, given: dict[int, int]) -> None:
        self._given = given
        self._of_all_at_most = 0
        self._looked = 0.0

    def add(self, fd: int, size: int) -> None:
        """An answer was handed over."""
        if fd >= 0:
            self._given[fd] = self._given.get(fd, 0) + size
            self._of_all_at_most += size

    def has_room(self, fd: int, size: int) -> bool:
        """Whether an answer of that size may be handed over too."""
        unread = self._of(fd)
        if unread is None or (unread <= LITTLE_BYTES and size <= SMALL_BYTES):
            return True
        return unread <= OF_ONE_BYTES and self._all_have_room()

    def has_room_for_a_word(self, fd: int) -> bool:
        """Whether it may be told of an answer for which there is none."""
        unread = self._of(fd) or 0
        return unread <= LITTLE_BYTES or (unread <= OF_ONE_BYTES + WORDS_BYTES and self._all_have_room())

    def _all_have_room(self) -> bool:
        now = time.monotonic()
        # Only then it is looked at each of them, some 3 µs each, and not for every answer that there is no room for.
        if self._of_all_at_most > OF_ALL_BYTES and now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._of_all_at_most = sum(self._of(each) or 0 for each in list(self._given))
        return self._of_all_at_most <= OF_ALL_BYTES

    def _of(self, fd: int) -> int | None:
        """None: nobody knows."""
        acked, given = descriptors.bytes_acked(fd) if fd >= 0 else None, self._given.get(fd, 0)
        if acked is None:
            return None
        if acked > given:  # what libzmq writes around answers arrives too; it must not become a credit
            self._given[fd] = given = acked
        return given - acked
