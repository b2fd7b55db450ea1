"""Who may connect to one endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from freeswitch_zmq.module.addresses import AddressList, peer_address
from freeswitch_zmq.module.keys import KeyRing
from freeswitch_zmq.module.refusals import Refusals

__all__ = ["ASK", "LET_IN", "Rule"]

LET_IN = ""
ASK = "ask"
"""Only FreeSWITCH knows: it has to be asked whether one of `list_names` has the address."""


class Rule:
    """See above.

    Args:
        publisher: whose endpoint it is.
        endpoint: its address, for counting.
        acl: the values of `apply-inbound-acl`, one that matches is enough; None where peers have no address (ipc).
        curve: whether peers need a key too.
        ring: the keys.
        refusals: where who isn't let in is counted.

    Attributes:
        domain: what libzmq calls the endpoint when it asks; unique.
        connections: peers that are connected or about to be.
    """

    def __init__(
        self,
        publisher: str,
        endpoint: str,
        acl: Sequence[str] | None,
        curve: bool,
        ring: KeyRing,
        refusals: Refusals,
        domain: str,
    ) -> None:
        self.publisher = publisher
        self.endpoint = endpoint
        self.domain = domain
        self.connections = 0
        self.refusals = refusals
        self._curve = curve
        self._ring = ring
        self.configure(acl)

    def configure(self, acl: Sequence[str] | None) -> None:
        """Other addresses from now on; connections that are there stay."""
        self._lists = None if acl is None else [AddressList(text) for text in acl]

    def judge(self, address: str, mechanism: bytes, key: bytes) -> str:
        """LET_IN, ASK, or the reason (`refusals.REASONS`) why not.

        Args:
            address: the peer's, as ZAP gives it.
            mechanism: NULL or CURVE.
            key: with CURVE the peer's public key, 32 bytes.
        """
        verdict = self._judge_address(address)
        if verdict not in (LET_IN, ASK):
            return verdict
        return self.judge_key(mechanism, key) or verdict

    def _judge_address(self, address: str) -> str:
        if self._lists is None:
            return LET_IN
        try:
            peer = peer_address(address)
        except ValueError:
            return "address"
        if any(each.has(peer) for each in self._lists):
            return LET_IN
        return ASK if self.list_names else "address"

    def judge_key(self, mechanism: bytes, key: bytes) -> str:
        """The same for the key alone."""
        if mechanism != (b"CURVE" if self._curve else b"NULL"):
            return "handshake"
        return self._ring.refuses(key, self.publisher) if self._curve else LET_IN

    @property
    def list_names(self) -> list[str]:
        """Lists of FreeSWITCH's, one of which must have the address."""
        return [each.list_name for each in self._lists or () if each.list_name]

    def let_in(self, address: str, key: bytes) -> str:
        """Notes that it was let in. Returns the name of its key, empty without one."""
        if not self._curve:
            return ""
        self._ring.note_let_in(key, address)
        return self._ring.name(key)

    def refuse(self, reason: str, address: str, key: bytes = b"") -> None:
        """Counts that it was not let in."""
        self.refusals.add(self.endpoint, reason, address, self._ring.name(key) if key else "")
