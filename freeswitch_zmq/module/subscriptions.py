"""What the subscribers of a publisher want, as an XPUB socket tells it. No I/O."""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

from freeswitch_zmq.wire import known_prefix

__all__ = ["Subscriptions"]

_Key = TypeVar("_Key")

_NAME_STARTS = len(known_prefix("")) - 1


class Subscriptions:
    """The set of prefixes. Asking costs the same for one subscription as for a hundred thousand.

    XPUB reports each prefix once, when the first subscriber comes and when the last one goes, so a set is enough.
    """

    def __init__(self) -> None:
        self._prefixes: set[bytes] = set()
        self._lengths = Counter[int]()
        # Prefixes that reach beyond the event's name, counted by `{"Event-Name":"NAME"`.
        self._beyond_name = Counter[bytes]()

    def __len__(self) -> int:
        return len(self._prefixes)

    def update(self, message: bytes) -> None:
        r"""Takes a message from an XPUB socket: b"\\x01" + prefix, b"\\x00" + prefix; anything else is ignored."""
        prefix = message[1:]
        if message[:1] == b"\x01" and prefix not in self._prefixes:
            self._prefixes.add(prefix)
            self._count(prefix, 1)
        elif message[:1] == b"\x00" and prefix in self._prefixes:
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


def _add(counter: Counter[_Key], key: _Key, by: int) -> None:
    counter[key] += by
    if not counter[key]:
        del counter[key]


def _name_part(prefix: bytes) -> bytes:
    """`{"Event-Name":"NAME"` of a longer prefix, and b"" of one that ends before the name does."""
    end = prefix.find(b'"', _NAME_STARTS)
    return prefix[: end + 1] if 0 <= end < len(prefix) - 1 else b""
