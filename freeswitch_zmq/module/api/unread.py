"""Answers that callers have not read: libzmq holds them in memory, and this keeps that bounded.

libzmq counts only messages. For tcp the kernel says how many bytes have arrived; for other transports nobody does, and
`endpoint.API_SEND_HWM` alone holds.
"""

from __future__ import annotations

from freeswitch_zmq.module import descriptors

__all__ = ["Unread"]

SMALL_BYTES = 4096
"""Answers up to this size always go out: the number of messages bounds them."""

OF_ONE_BYTES = 16_000_000
OF_ALL_BYTES = 256_000_000
"""What one caller, and all of an endpoint together, may have unread before another answer is kept back."""


class Unread:
    """By connection.

    Args:
        given: bytes handed to libzmq for each descriptor. Others take out what has been closed.
    """

    def __init__(self, given: dict[int, int]) -> None:
        self._given = given

    def add(self, fd: int, size: int) -> None:
        """An answer was handed over."""
        if fd >= 0:
            self._given[fd] = self._given.get(fd, 0) + size

    def has_room(self, fd: int, size: int) -> bool:
        """Whether an answer of that size may be handed over too."""
        if size <= SMALL_BYTES or fd < 0:
            return True
        if self._of(fd) > OF_ONE_BYTES:
            return False
        return sum(self._of(each) for each in list(self._given)) <= OF_ALL_BYTES

    def _of(self, fd: int) -> int:
        acked, given = descriptors.bytes_acked(fd), self._given.get(fd, 0)
        if acked is None:
            return 0
        if acked > given:  # what libzmq writes around answers arrives too; it must not become a credit
            self._given[fd] = given = acked
        return given - acked
