"""Calls that ring for a while, and how long others wait meanwhile."""

from __future__ import annotations

import statistics
import threading
import time
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import zmq

from .caller import Answer, Caller
from .module import Module, Subscriber, api, configuration, publisher

EXTENSIONS = """
<extension name="rings, then answers">
  <condition field="destination_number" expression="^ring-(\\d+)-answer$">
    <action application="ring_ready"/>
    <action application="sleep" data="$1"/>
    <action application="answer"/>
    <action application="sleep" data="100"/>
  </condition>
</extension>
<extension name="rings, then is busy">
  <condition field="destination_number" expression="^ring-(\\d+)-busy$">
    <action application="ring_ready"/>
    <action application="sleep" data="$1"/>
    <action application="hangup" data="USER_BUSY"/>
  </condition>
</extension>
"""
"""For the dialplan: `ring-MILLISECONDS-answer` and `ring-MILLISECONDS-busy`."""

CONFIGURATION = configuration(publisher(), api=api(("allow", "ping, api:originate *")))

PINGS = 1000
TICKS = 1000
TICKS_A_SECOND = 1000
PING_MS = 5.0
EVENT_MS = 2.0
"""A ping (`Waits.calm`), and by how much an event may take longer than before the calls."""

PAUSE_SECONDS = 0.001
"""Between two pings: a caller that asks again and again without a break would itself be what events wait for."""

MARKS = b'{"Event-Name":"CUSTOM"'
"""What `Subscriber.subscribed` needs."""

_FIRED = b'"Bench-NS":"'


class Waits:
    """Milliseconds that something took, many times."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values = list(values)
        self.median = statistics.median(self.values)
        # Of the best hundred in a row: a machine that does something else for a second keeps hundreds waiting.
        starts = range(0, max(len(self.values) - 99, 1), 100)
        self.calm = min(statistics.median(self.values[start : start + 100]) for start in starts)

    def __str__(self) -> str:
        p99 = statistics.quantiles(self.values, n=100)[98]
        return f"median {self.median:.3f} ms, p99 {p99:.3f} ms, max {max(self.values):.3f} ms ({len(self.values)})"


class Phase:
    """A second or two of `evgen` at 1,000 events a second and a caller's pings. Both phases are measured by this.

    Args:
        module: with `CONFIGURATION`.
        ticks: events that are fired.
    """

    def __init__(self, module: Module, ticks: int = TICKS) -> None:
        self._module = module
        self._ticks = ticks
        self._all_came = threading.Event()
        self._waited: list[float] = []
        self._error: BaseException | None = None

    def run(self) -> tuple[Waits, Waits]:
        """How long a ping took, and how long an event until a subscriber had it."""
        switch = self._module.switch
        with Subscriber(self._module.endpoint()) as subscriber, Caller(self._module.api_endpoint()) as caller:
            subscriber.subscribed(switch)
            thread = threading.Thread(target=self._read, args=(subscriber,), name="subscriber")
            thread.start()
            try:
                assert switch.api(f"bgapi evgen {self._ticks} 15 {TICKS_A_SECOND}").startswith("+OK")
                pings = self._ping(caller)
            finally:
                thread.join()
        assert self._error is None, self._error
        return Waits(pings), Waits(self._waited)

    def _ping(self, caller: Caller) -> list[float]:
        took: list[float] = []
        while len(took) < PINGS or not self._all_came.wait(PAUSE_SECONDS):
            began = time.monotonic()
            assert caller.call("ping")["protocol"] == 1
            took.append((time.monotonic() - began) * 1000)
        return took

    def _read(self, subscriber: Subscriber) -> None:
        try:
            while len(self._waited) < self._ticks:
                raw = subscriber.raw()
                now = time.monotonic_ns()
                at = raw.find(_FIRED)
                if at > 0:
                    start = at + len(_FIRED)
                    self._waited.append((now - int(raw[start : raw.index(b'"', start)])) / 1e6)
        except BaseException as error:  # noqa: BLE001  # raised by `run`
            self._error = error
        finally:
            self._all_came.set()


class Ringing:
    """Calls made by `api originate` of one caller; every other one is answered at last, the rest is busy.

    Args:
        module: with `CONFIGURATION`.
        seconds: for which they ring.
        count: of calls.
    """

    def __init__(self, module: Module, seconds: float, count: int) -> None:
        self._module = module
        self._milliseconds = round(seconds * 1000)
        self._names = [str(uuid.uuid4()) for _ in range(count)]
        self._expected: dict[int, str] = {}
        self._calls = Caller(module.api_endpoint(), zmq.DEALER)

    def ring(self) -> None:
        """Makes the calls and returns when all ring."""
        with Subscriber(self._module.endpoint(), prefixes=[b'{"Event-Name":"CHANNEL_PROGRESS"', MARKS]) as subscriber:
            subscriber.subscribed(self._module.switch)
            for number, name in enumerate(self._names):
                end = "busy" if number % 2 else "answer"
                string = f"{{origination_uuid={name}}}loopback/ring-{self._milliseconds}-{end}/default"
                params: dict[str, Any] = {"command": "originate", "args": f"{string} &hangup()", "timeout": 90}
                self._expected[self._calls.send("api", params)] = "-ERR USER_BUSY" if number % 2 else f"+OK {name}\n"
            left = set(self._names)
            while left:
                left.discard(subscriber.event()["Unique-ID"])

    def still_rings(self) -> None:
        """Fails when one has been answered."""
        self._calls.nothing(0)

    def answers(self, timeout: float) -> dict[Any, Answer]:
        """What came of each; fails unless each is its own."""
        answers = self._calls.answers(len(self._expected), timeout)
        for number, expected in self._expected.items():
            answer = answers[number]
            if "error" in answer:
                assert (answer["error"]["code"], answer["error"]["message"]) == (-32003, expected), answer
            else:
                assert answer["result"]["output"] == expected, answer
        return answers

    def __enter__(self) -> Ringing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._calls.__exit__(None, None, None)


def others_do_not_wait(module: Module, seconds: float, count: int, ticks: int = TICKS) -> None:
    """Has so many calls ring for so long, and fails if a caller or a subscriber notices.

    What the machine does beside it may be noticed too, but not each time.
    """
    for left in (2, 1, 0):
        began = time.monotonic()
        pings_before, events_before = Phase(module, ticks).run()
        # For so long that they still ring at the end of a phase that takes twice as long.
        seconds = max(seconds, 2 + 2 * (time.monotonic() - began))
        with Ringing(module, seconds, count) as ringing:
            ringing.ring()
            pings, events = Phase(module, ticks).run()
            ringing.still_rings()
            ringing.answers(30 + seconds)
        print(
            f"\n{count} ringing for {seconds:g} s"
            f"\n  ping before:  {pings_before}\n  ping during:  {pings}"
            f"\n  event before: {events_before}\n  event during: {events}"
        )
        assert len(pings.values) >= PINGS
        if pings.calm < PING_MS and events.calm - events_before.calm < EVENT_MS:
            break
        assert left, "others had to wait while calls rang, three times"
    status = module.status()
    assert (status["errors"], status["api"]["pending"], status["api"]["late"]) == (0, 0, 0), status
