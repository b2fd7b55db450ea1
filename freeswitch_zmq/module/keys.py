"""The keys of `<access>`: whose public key it is, what its owner may subscribe to, and when it was last let in."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from freeswitch_zmq.certificate import public_key_hex
from freeswitch_zmq.module.schema import KeyConfig

__all__ = ["KeyRing", "LetIn", "narrowed"]


@dataclass
class LetIn:
    """How often a key was let in, and the last time (seconds since 1970) and address; 0 and empty: never yet."""

    count: int = 0
    at: float = 0.0
    address: str = ""


class KeyRing:
    """Changed by a reload while the access handler asks; each change is one assignment.

    Attributes:
        let_in: by the key's name; also of keys that were taken away, until `forget_others`.
    """

    def __init__(self, keys: Sequence[KeyConfig]) -> None:
        self.let_in: dict[str, LetIn] = {}
        self._by_key: dict[bytes, KeyConfig] = {}
        self.configure(keys)

    def configure(self, keys: Sequence[KeyConfig]) -> None:
        """Other keys from now on."""
        before = {key.name: key.public_key for key in self._by_key.values()}
        for key in keys:
            if before.get(key.name, key.public_key) != key.public_key:
                self.let_in.pop(key.name, None)
        self.let_in = {**{key.name: LetIn() for key in keys}, **self.let_in}
        self._by_key = {key.public_key: key for key in keys}

    def forget_others(self) -> None:
        """What is known of keys that aren't there any more."""
        self.let_in = {key.name: self.let_in[key.name] for key in self._by_key.values()}

    def find(self, public_key: bytes) -> KeyConfig | None:
        """Whose key it is; None: it isn't known."""
        return self._by_key.get(public_key)

    def name(self, public_key: bytes) -> str:
        """What to call it in a log: its name, or the key itself, which is no secret."""
        known = self._by_key.get(public_key)
        return known.name if known is not None else public_key_hex(public_key)

    def refuses(self, public_key: bytes, publisher: str | None) -> str:
        """Why its owner may not connect: `key` (unknown), `publisher`, or empty: it may.

        Args:
            public_key: its.
            publisher: to which it connects; None: to the API, which looks at each request.
        """
        key = self._by_key.get(public_key)
        if key is None:
            return "key"
        return "" if publisher is None or publisher in key.publishers else "publisher"

    def note_let_in(self, public_key: bytes, address: str) -> None:
        """It has been let in just now."""
        key = self._by_key.get(public_key)
        record = self.let_in.get(key.name) if key is not None else None
        if record is not None:
            record.count += 1
            record.at, record.address = time.time(), address


def narrowed(old: Sequence[KeyConfig], new: Sequence[KeyConfig]) -> list[KeyConfig]:
    """What both allow: in force while a reload goes over from one to the other, and may still fail."""
    later = {key.public_key: key for key in new}
    return [
        replace(key, publishers=tuple(name for name in key.publishers if name in later[key.public_key].publishers))
        for key in old
        if key.public_key in later
    ]
