"""A subscriber that misses nothing: where a number is left out, it asks for what it lacks.

    python -m tests.support.replaying EVENTS API FILE

writes a line for each event into FILE, at once: its ZMQ-Sequence, its Bench-Seq, and a digest of all of it. What it had
when it was killed stands there, and begun anew it goes on behind that. It ends after an event of `test::end`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .caller import Caller
from .module import Event, Subscriber


def replayed(api: Caller, first: int, last: int | None, epoch: str, limit: int = 1000) -> Iterator[Event]:
    """The events of the publisher `default` from `first` to `last` (None: the newest), page by page."""
    following: int | None = first
    while following is not None:
        params: dict[str, Any] = {"publisher": "default", "epoch": epoch, "first": following, "limit": limit}
        if last is not None:
            params["last"] = last
        page = api.call("replay", **params)
        yield from page["events"]
        assert page["next"] is None or page["next"] > following
        following = page["next"]


class Follower:
    """Every event once and in order.

    Args:
        subscriber: to all events of the publisher `default`.
        api: a caller that may replay them.
        last: the number of the latest event that it has; 0: none, then it begins with the next that comes.

    Attributes:
        lost: events that did not come by themselves, and had to be asked for.
        gaps: how often some were missing.
    """

    def __init__(self, subscriber: Subscriber, api: Caller, last: int = 0) -> None:
        self.lost = self.gaps = 0
        self._subscriber = subscriber
        self._api = api
        self._last = last

    def events(self, when_silent: Callable[[], object] = lambda: None, timeout: float = 30.0) -> Iterator[Event]:
        """Without end.

        Args:
            when_silent: called when nothing has come for a moment: what was lost at the very end shows only when
                another event comes.
            timeout: fails when nothing comes for so many seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            if not self._subscriber.socket.poll(500) and time.monotonic() < deadline:
                when_silent()
                continue
            event = self._subscriber.event(0)
            deadline = time.monotonic() + timeout
            number = int(event["ZMQ-Sequence"])
            if number <= self._last:  # it was among those that were asked for
                continue
            if self._last and number > self._last + 1:
                self.gaps += 1
                for missed in replayed(self._api, self._last + 1, number - 1, event["ZMQ-Epoch"]):
                    self.lost += 1
                    yield missed
            self._last = number
            yield event


class Line:
    """What is kept of an event."""

    def __init__(self, text: str) -> None:
        number, tick, self.digest = text.split()
        self.number, self.tick = int(number), int(tick)

    @staticmethod
    def of(event: Event) -> str:
        """Of an event; -1 where it is none of `evgen`'s."""
        digest = hashlib.sha256(json.dumps(event, sort_keys=True).encode()).hexdigest()[:16]
        return f"{event['ZMQ-Sequence']} {event.get('Bench-Seq', -1)} {digest}"


def lines(file: Path) -> list[Line]:
    """All of a file, which may not be there yet."""
    return [Line(text) for text in file.read_text("ascii").splitlines()] if file.exists() else []


def main() -> None:
    """See above."""
    events, api, file = sys.argv[1:]
    had = lines(Path(file))
    out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with Subscriber(events) as subscriber, Caller(api) as caller:
        follower = Follower(subscriber, caller, had[-1].number if had else 0)
        for event in follower.events():
            os.write(out, Line.of(event).encode() + b"\n")
            if event.get("Event-Subclass") == "test::end":
                break
    print(f"{follower.lost} of {follower.gaps} gaps asked for")


if __name__ == "__main__":
    main()
