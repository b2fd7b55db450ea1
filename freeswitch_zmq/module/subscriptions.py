"""What the subscribers of an endpoint want, as its XPUB socket tells it. No I/O."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from freeswitch_zmq.wire import known_prefix

__all__ = ["Subscriptions"]

_Key = TypeVar("_Key")

_NAME_STARTS = len(known_prefix("")) - 1

CHECKED_LENGTH = 2048
"""Longer prefixes are not checked: libzmq's XSUB, which asks, forgets them in a recursion as deep as they are long (80
bytes of stack for each byte, libzmq 4.3.4 and 4.3.5). Over a network none is longer (`proxy.MESSAGE_BYTES`)."""

CHECKED_AT_ONCE = 1000

OVERHEAD = 16
"""What a subscription counts beside its prefix."""


class Subscriptions:
    """The set of prefixes. Asking costs the same for one as for a hundred thousand of the same length.

    XPUB reports a prefix when the first subscriber comes and when the last one goes. But it also reports, in the same
    words, that a peer takes back what it never had, so any subscriber could cut off all others. Therefore nothing is
    believed gone before it was checked: `update` gives a message that subscribes to a prefix and unsubscribes again,
    between two secrets. XPUB takes it in one go, and only if nobody else has the prefix it reports that it came and
    went. Until then the prefix counts as wanted.

    Attributes:
        size: bytes of all prefixes that are not in doubt, and OVERHEAD for each.
    """

    def __init__(self) -> None:
        self.size = 0
        self._prefixes: set[bytes] = set()
        self._lengths = Counter[int]()
        # Prefixes that reach beyond the event's name, counted by `{"Event-Name":"NAME"`.
        self._beyond_name = Counter[bytes]()
        self._doubted: set[bytes] = set()
        self._checking: list[bytes] = []
        self._left_out: set[bytes] = set()  # of `size`: doubted, or under check
        self._begin = self._end = b""
        self._inside = False

    def __len__(self) -> int:
        return len(self._prefixes)

    def update(self, report: bytes) -> Sequence[bytes]:
        r"""Takes a frame from an XPUB socket: b"\x01" + prefix, b"\x00" + prefix; anything else is ignored.

        Returns:
            The frames of a message to send to the XPUB socket, all at once; empty when there is nothing to check.
        """
        kind, prefix = report[:1], report[1:]
        if self._checking and kind == b"\x01" and prefix in (self._begin, self._end):
            self._inside = prefix == self._begin
            if not self._inside:
                self._conclude()
        elif self._inside:
            if kind == b"\x00" and prefix in self._prefixes:
                self._remove(prefix)
        elif kind == b"\x01" and prefix not in self._prefixes:
            self._prefixes.add(prefix)
            self.size += _size(prefix)
            self._count(prefix, 1)
        elif kind == b"\x00" and prefix in self._prefixes:
            if len(prefix) > CHECKED_LENGTH:
                self._remove(prefix)
            else:
                self._doubted.add(prefix)
                self._leave_out(prefix)
        return () if self._checking or not self._doubted else self._check()

    def _check(self) -> list[bytes]:
        self._begin, self._end = secrets.token_bytes(16), secrets.token_bytes(16)
        frames = [b"\x01" + self._begin]
        for _ in range(min(len(self._doubted), CHECKED_AT_ONCE)):
            prefix = self._doubted.pop()
            self._checking.append(prefix)
            frames += (b"\x01" + prefix, b"\x00" + prefix)
        return [*frames, b"\x01" + self._end, b"\x00" + self._begin, b"\x00" + self._end]

    def _conclude(self) -> None:
        """What was checked and is still there counts again, unless it is in doubt again."""
        for prefix in self._checking:
            if prefix in self._left_out and prefix not in self._doubted:
                self._left_out.discard(prefix)
                self.size += _size(prefix)
        self._checking = []

    def _leave_out(self, prefix: bytes) -> None:
        if prefix not in self._left_out:
            self._left_out.add(prefix)
            self.size -= _size(prefix)

    def _remove(self, prefix: bytes) -> None:
        self._leave_out(prefix)
        self._left_out.discard(prefix)
        self._doubted.discard(prefix)
        self._prefixes.discard(prefix)
        self._count(prefix, -1)

    def _count(self, prefix: bytes, by: int) -> None:
        _add(self._lengths, len(prefix), by)
        _add(self._beyond_name, _name_part(prefix), by)

    def want(self, message: bytes) -> bool:
        """Whether anyone subscribed to a prefix of this."""
        if b"" in self._prefixes:
            return True
        size = len(message)
        return any(length <= size and message[:length] in self._prefixes for length in self._lengths)

    def may_want(self, prefix: bytes) -> bool:
        """Whether anyone could want a `single` message of which only `known_prefix(name)` is known yet."""
        return self.want(prefix) or prefix in self._beyond_name


def _size(prefix: bytes) -> int:
    return len(prefix) + OVERHEAD


def _add(counter: Counter[_Key], key: _Key, by: int) -> None:
    counter[key] += by
    if not counter[key]:
        del counter[key]


def _name_part(prefix: bytes) -> bytes:
    """`{"Event-Name":"NAME"` of a longer prefix, and b"" of one that ends before the name does."""
    end = prefix.find(b'"', _NAME_STARTS)
    return prefix[: end + 1] if 0 <= end < len(prefix) - 1 else b""
