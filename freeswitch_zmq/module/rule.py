"""Who may connect to one endpoint."""

from __future__ import annotations

import time
from collections.abc import Sequence

from freeswitch_zmq.certificate import public_key_hex
from freeswitch_zmq.module.addresses import AddressList, peer_address
from freeswitch_zmq.module.conduct import Conduct
from freeswitch_zmq.module.keys import KeyRing
from freeswitch_zmq.module.refusals import AT_THE_END, Refusals
from freeswitch_zmq.module.traffic import TrafficBook

__all__ = ["ASK", "LET_IN", "Rule"]

LET_IN = ""
REFUSED_OPEN_AT_MOST = 10_000
WELCOME_AT_MOST = 10_000
JUST_NOW_SECONDS = 0.1
ASK = "ask"
"""Only FreeSWITCH knows: it has to be asked whether one of `list_names` has the address."""


class Rule:
    """See above.

    Args:
        publisher: whose endpoint it is; None: the API's.
        endpoint: its address, for counting.
        acl: the values of `apply-inbound-acl`, one that matches is enough; None where peers have no address (ipc).
        curve: whether peers need a key too.
        ring: the keys.
        refusals: where who isn't let in is counted.

    Attributes:
        domain: what libzmq calls the endpoint when it asks; unique.
        connections: peers that are connected or about to be.
        conduct: how peers have behaved here.
        patience: seconds that a peer may take to be let in, `handshake-ms`.
        traffic: which connections ended, and of the API what went over each.
        unfinished_bytes: of the API: what may come without that a request is whole and taken; 0: not the API.
        given_up: by libzmq, because the other side of a connection that we make spoke something else. It has to be made
            anew.
    """

    def __init__(
        self,
        publisher: str | None,
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
        self.given_up = False
        self.conduct = Conduct()
        self.patience = 2.0
        self.traffic = TrafficBook()
        self.unfinished_bytes = 0
        self._refused_open: dict[str, tuple[int, float]] = {}
        self._welcome: set[str] = set()
        self._just_failed = "", 0.0
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
        if self.conduct.is_away(address):
            return "flood"
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
        """Notes that it was let in. Returns its key in hex, empty without one."""
        if len(self._welcome) >= WELCOME_AT_MOST:
            self._welcome.clear()
        self._welcome.add(address)
        if not self._curve:
            return ""
        self._ring.note_let_in(key, address)
        return public_key_hex(key)

    def is_stranger(self, address: str) -> bool:
        """Whether nothing speaks for a peer there: no network of ours has its address, and nobody there was let in."""
        return address not in self._welcome and self._judge_address(address) != LET_IN

    def refuse(self, reason: str, address: str, key: bytes = b"") -> None:
        """Counts that it was not let in."""
        self.refusals.add(self.endpoint, reason, address, self._ring.name(key) if key else "")
        if reason not in AT_THE_END and not self._had_failed(address):
            if len(self._refused_open) >= REFUSED_OPEN_AT_MOST:
                self._refused_open.clear()
            count, _ = self._refused_open.get(address, (0, 0.0))
            self._refused_open[address] = count + 1, time.monotonic()

    def failed(self, address: str) -> None:
        """Counts that a connection from there has ended in the middle of its handshake."""
        self.refuse("handshake", address)
        self._just_failed = address, time.monotonic()

    def _had_failed(self, address: str) -> bool:
        """Whether it had talked on before it was refused, so that its end was told, and counted, first."""
        failed, at = self._just_failed
        if failed not in (address, "") or time.monotonic() - at > JUST_NOW_SECONDS:
            return False
        self._just_failed = "", 0.0
        self.refusals.take_back(self.endpoint, "handshake")
        return True

    @property
    def latest_refused(self) -> str:
        """The address that was refused last and may still be connected; empty: none."""
        return next(reversed(self._refused_open), "")

    def ended(self, address: str) -> bool:
        """A connection from there has ended. Whether it was, or may have been, one that had been refused."""
        count, at = self._refused_open.pop(address, (0, 0.0))
        # libzmq ends what was refused after `handshake-ms`; what had gone before that leaves a mark.
        if not count or time.monotonic() - at > self.patience + 1.0:
            return False
        if count > 1:
            self._refused_open[address] = count - 1, at
        return True
