"""A request under way, and who asks."""

from __future__ import annotations

import time
from typing import NamedTuple, Optional

from freeswitch_zmq.grants import Grants
from freeswitch_zmq.jsonrpc import Call
from freeswitch_zmq.module.commands import Job
from freeswitch_zmq.module.schema import KeyConfig
from freeswitch_zmq.module.traffic import Traffic

__all__ = ["Caller", "Peer", "Request"]


class Caller(NamedTuple):
    """Who asks. Without a key it is one of those that `<api>` speaks of."""

    address: str
    key: Optional[KeyConfig]
    grants: Grants

    def __str__(self) -> str:
        where = self.address or "this machine"
        return f"{self.key.name} at {where}" if self.key is not None else where


class Peer(NamedTuple):
    """Where an answer goes.

    Attributes:
        envelope: the frames before the answer.
        traffic: of the connection that the request came from.
    """

    envelope: list[bytes]
    traffic: Traffic

    @property
    def size(self) -> int:
        """Bytes of the envelope."""
        return sum(map(len, self.envelope[1:]))


class Request:
    """See above.

    Attributes:
        started: when it came (`time.monotonic()`).
        deadline: when its caller stops waiting.
        what: for the audit line; empty: it needs none.
        command: of `api`, the command's name.
        job: the command that runs for it.
    """

    def __init__(self, peer: Peer, caller: Caller, call: Call) -> None:
        self.peer = peer
        self.caller = caller
        self.call = call
        self.started = time.monotonic()
        self.deadline = self.started
        self.what = ""
        self.command = ""
        self.job: Optional[Job] = None
