"""Who was not let in: counted for each endpoint and reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["AT_THE_END", "REASONS", "Refusal", "Refusals"]

REASONS: Mapping[str, str] = {
    "address": "apply-inbound-acl doesn't have its address; if it is to come in, add the address there (a list of "
    "acl.conf.xml takes effect with the command reloadacl)",
    "key": "<access> doesn't know its key; if it is to come in, add a <key> with this public-key",
    "publisher": "its <key> in <access> doesn't name this publisher",
    "handshake": "it didn't speak ZeroMQ's protocol as the endpoint asks for it: with security curve it needs "
    "CURVE and this switch's public key, otherwise neither",
    "flood": "it sent more than a subscriber has to say, or the API a request that doesn't end, or came and went "
    "without a pause, and nobody comes in from its address for some seconds; find out what that program does",
    "crowd": "too many connections were there that had not been let in yet; find out who opens them",
    "frames": "it sent a message of very many frames to the API, and was disconnected; find out what that program does",
    "forbidden": "it may not do what it asked the API for; if it is to do that, add the permission to allow, of its "
    "<key> or of <api>",
    "busy": "FreeSWITCH was too busy to say whether an access list has its address; it tries again by itself",
}
"""Each reason in words that say what to do."""

AT_THE_END = ("handshake", "crowd")
"""Those that are told by the end of the connection. After the others it is still there for some time."""


@dataclass
class Refusal:
    """How many connections, and of the latest of which that is known the address and the key's name."""

    count: int = 0
    address: str = ""
    key: str = ""


class Refusals:
    """Those of one publisher, or the API, by endpoint and reason.

    Each reason is written by one thread only: `frames` and `forbidden` by the endpoint's, the others by the access
    handler's.
    """

    def __init__(self) -> None:
        self.by_reason: dict[tuple[str, str], Refusal] = {}

    def add(self, endpoint: str, reason: str, address: str, key: str = "") -> None:
        """One more; a peer comes back every few seconds and counts each time."""
        refusal = self.by_reason.setdefault((endpoint, reason), Refusal())
        refusal.count += 1
        if address or key:  # some are gone before they can be looked at
            refusal.address, refusal.key = address, key

    def take_back(self, endpoint: str, reason: str) -> None:
        """One less: the latest was counted for another reason as well."""
        refusal = self.by_reason.get((endpoint, reason))
        if refusal is not None and refusal.count:
            refusal.count -= 1

    @property
    def count(self) -> int:
        """All of them."""
        return sum(refusal.count for refusal in list(self.by_reason.values()))
