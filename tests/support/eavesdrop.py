"""A subscriber to everything that remembers what it heard, to show that something was never said."""

from __future__ import annotations

import json
import secrets
import time

from .background import Background
from .caller import Caller
from .keys import Identity
from .module import Event, Module, Subscriber
from .switch import Switch

_TICK = b"bench::tick"


class Eavesdropper(Background):
    """Reads in a thread of its own. What `evgen` fires is not remembered.

    Args:
        endpoint: a publisher's.
        switch: which switch it is of.
        identity: its CURVE key and the switch's.

    Attributes:
        heard: the JSON of each event.
    """

    def __init__(self, endpoint: str, switch: Switch, identity: Identity | None = None) -> None:
        super().__init__("eavesdropper")
        self.heard: list[bytes] = []
        self._switch = switch
        self._subscriber = Subscriber(endpoint, identity=identity)
        try:
            self._subscriber.subscribed(switch)
        except BaseException:
            self._subscriber.__exit__(None, None, None)
            raise
        self.begin()

    def work(self) -> None:
        while not self.ending.is_set():
            if self._subscriber.socket.poll(50):
                raw = self._subscriber.socket.recv()
                if _TICK not in raw:
                    self.heard.append(raw)

    def release(self) -> None:
        self._subscriber.__exit__(None, None, None)

    def caught_up(self, timeout: float = 30.0) -> None:
        """Returns when everything has been heard that was fired until now."""
        mark = secrets.token_hex(8)
        self._switch.sendevent("CUSTOM", [("Event-Subclass", "test::mark"), ("Mark", mark)])
        self.wait_for(mark, 1, timeout)

    def wait_for(self, word: str, count: int = 1, timeout: float = 30.0) -> list[Event]:
        """The events with that word in them, as soon as there are so many."""
        deadline = time.monotonic() + timeout
        while len(found := self.of(word)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} events with {word} came in {timeout:g} s"
            time.sleep(0.02)
        return found

    def of(self, word: str) -> list[Event]:
        """The events with that word in them, of plain ASCII."""
        sought = word.encode()
        return [json.loads(raw) for raw in list(self.heard) if sought in raw]


def held(caller: Caller, module: Module) -> list[bytes]:
    """What the publisher `default` holds, each page as it came over the wire; the caller is a REQ."""
    part = module.publisher()
    following: int | None = part["replay"]["oldest"]
    answers: list[bytes] = []
    while following is not None:
        caller.send("replay", {"publisher": "default", "epoch": part["epoch"], "first": following})
        answers.append(caller.receive_raw(30.0))
        following = json.loads(answers[-1])["result"]["next"]
    return answers
