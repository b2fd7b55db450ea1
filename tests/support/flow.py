"""Events that flow while something else happens, and a subscriber that notes whether any is missing."""

from __future__ import annotations

import secrets
import time

from .background import Background
from .keys import Identity
from .module import Subscriber
from .switch import Switch

_SEQUENCE = b'"ZMQ-Sequence":"'


def sequence_of(raw: bytes) -> int:
    """The ZMQ-Sequence of a message, without parsing all of it."""
    start = raw.rindex(_SEQUENCE) + len(_SEQUENCE)
    return int(raw[start : raw.index(b'"', start)])


class Load(Background):
    """Fires events for as long as it is open.

    Args:
        switch: where.
        rate: a second.
        headers: of each event; 15 make 1.7 KB, 60 make 5 KB.
    """

    def __init__(self, switch: Switch, rate: int = 2000, headers: int = 15) -> None:
        super().__init__("load")
        self._switch = switch
        self._command = f"evgen {rate // 4} {headers} {rate}"

    def work(self) -> None:
        while not self.ending.is_set():
            answer = self._switch.api(self._command, timeout=60)
            assert answer.startswith("+OK"), answer


class Good(Background):
    """A subscriber to everything that reads in a thread of its own, as fast as it can.

    Attributes:
        count: events that came.
        missing: numbers that were left out.
        disorder: events that came after one of a higher number.
        longest: seconds for which nothing came, at most.
        last: the latest number.
    """

    def __init__(self, endpoint: str, switch: Switch, identity: Identity | None = None, timeout: float = 10.0) -> None:
        super().__init__("good")
        self.count = self.missing = self.disorder = self.last = 0
        self.longest = 0.0
        self._switch = switch
        self._marks: set[bytes] = set()
        self._subscriber = Subscriber(endpoint, identity=identity)
        try:
            self._subscriber.subscribed(switch, timeout)
        except BaseException:
            self._subscriber.__exit__(None, None, None)
            raise
        self.begin()

    def work(self) -> None:
        came = time.monotonic()
        while not self.ending.is_set():
            if not self._subscriber.socket.poll(50):
                continue
            raw = self._subscriber.socket.recv()
            now = time.monotonic()
            self.longest, came = max(self.longest, now - came), now
            self._take(raw)

    def _take(self, raw: bytes) -> None:
        number = sequence_of(raw)
        if self.count:
            self.missing += max(number - self.last - 1, 0)
            self.disorder += number <= self.last
        self.last = number
        self.count += 1
        if b'"Good-Mark":"' in raw:
            start = raw.index(b'"Good-Mark":"') + len(b'"Good-Mark":"')
            self._marks.add(raw[start : start + 16])

    def caught_up(self, timeout: float = 30.0) -> None:
        """Returns when an event that is fired now has come; fires again when it was lost on the way."""
        deadline = time.monotonic() + timeout
        mark = secrets.token_hex(8)
        while mark.encode() not in self._marks:
            assert self.error is None, self.error
            assert time.monotonic() < deadline, f"no event came for {timeout:g} s"
            self._switch.sendevent("CUSTOM", [("Event-Subclass", "test::mark"), ("Good-Mark", mark)])
            self.ending.wait(0.2)

    def lost_nothing(self) -> None:
        """All has come until now, and in order."""
        self.caught_up()
        assert self.count > 1
        assert (self.missing, self.disorder) == (0, 0), self

    def __repr__(self) -> str:
        return (
            f"{self.count} events came, {self.missing} are missing, {self.disorder} out of order, "
            f"{self.longest:.2f} s without any at most"
        )

    def release(self) -> None:
        self._subscriber.__exit__(None, None, None)
