"""What it costs a switch to hold events for replay.

    python -m benchmarks.replay_cost [--events N] [--headers H] [--rate R]

It starts a FreeSWITCH (FREESWITCH=/path/to/bin/freeswitch, or the one on PATH) and fires events with and without a
ring, with and without a subscriber. For each it prints the processor time of the whole switch for an event at a steady
rate, less what the switch takes when nothing happens, and the events a second of a burst, from the first that is fired
to the last that has left the publisher's queue. Firing an event costs too: that is the line "the switch alone".
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks._program import BenchmarkError, idle_share, positive, progress, run, running
from tests.support.background import Background
from tests.support.livefs import LiveSwitch
from tests.support.module import Module, Subscriber, configuration, publisher

_IDLE_SECONDS = 3.0
_SETTLE_SECONDS = 0.5  # after this at the latest the pump has nothing left to do at a steady rate


class Case(NamedTuple):
    """What is measured; `like` is the one that it is compared with."""

    name: str
    ring: bool
    subscriber: bool
    like: int


CASES = (
    Case("no ring, nobody subscribed", False, False, 0),
    Case("ring, nobody subscribed", True, False, 0),
    Case("no ring, one subscriber", False, True, 2),
    Case("ring, one subscriber", True, True, 2),
)


class Figures(NamedTuple):
    """Of one case."""

    cpu_us: float
    burst: float


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.replay_cost",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--events", type=positive, default=20_000, help="in each measurement (default: 20000)")
    parser.add_argument("--headers", type=positive, default=60, help="of an event; 60 make 5 KB (default: 60)")
    parser.add_argument("--rate", type=positive, default=2000, help="events a second, for the cost (default: 2000)")
    parser.add_argument("--replay-mb", type=positive, default=20, help="size of the ring (default: 20)")
    parser.add_argument("--rounds", type=positive, default=5, help="the best of how many (default: 5)")
    options = parser.parse_args()

    def measure(folder: Path) -> None:
        with running(_switch(folder)) as switch:
            Bench(switch, options).run()

    return run("replay_cost", measure)


def _switch(folder: Path) -> LiveSwitch:
    switch = LiveSwitch(folder, event_zmq_xml=configuration())
    if switch.evgen_missing:
        raise BenchmarkError(f"nothing to fire events with: {switch.evgen_missing}")
    return switch


class Bench:
    """All measurements on one switch.

    Args:
        switch: it runs.
        options: of the command line.
    """

    def __init__(self, switch: LiveSwitch, options: argparse.Namespace) -> None:
        self._switch = switch
        self._module = Module(switch)
        self._options = options
        self._idle = 0.0
        self._done = 0

    def run(self) -> None:
        """Measures, round by round so that all cases have the same share of what else the machine does, and prints."""
        options = self._options
        self._idle = idle_share(self._switch, _IDLE_SECONDS)
        self._fire(options.events // 4, 0)  # its memory has its size from then on
        progress("the switch alone")
        alone = self._cost()
        self._module.start()
        found: list[list[Figures]] = [[] for _ in CASES]
        for number in range(options.rounds):
            for case, figures in zip(CASES, found):
                progress(f"round {number + 1} of {options.rounds}: {case.name}")
                figures.append(self._measure(case))
        progress("")
        # What else the machine does only ever adds to the time.
        best = [Figures(min(each.cpu_us for each in figures), max(each.burst for each in figures)) for figures in found]
        print(
            f"{options.events} events of {options.headers} headers, {options.rate} a second; a ring of "
            f"{options.replay_mb} MB; the best of {options.rounds}; idle {self._idle * 100:.1f} % of a core"
        )
        print(table(alone, best))

    def _fire(self, count: int, rate: int) -> None:
        answer = self._switch.api(f"evgen {count} {self._options.headers} {rate}", timeout=600.0)
        if not answer.startswith(f"+OK {count} events"):
            raise BenchmarkError(f"evgen answered {answer.strip()}")

    def _cost(self) -> float:
        """Microseconds of processor time for an event."""
        began, before = time.monotonic(), self._switch.cpu_seconds()
        self._fire(self._options.events, self._options.rate)
        time.sleep(_SETTLE_SECONDS)
        used = self._switch.cpu_seconds() - before - self._idle * (time.monotonic() - began)
        count: int = self._options.events
        return used / count * 1e6

    def _measure(self, case: Case) -> Figures:
        options = self._options
        params = [("event-filter", "bench::tick"), ("queue-size", str(2 * options.events))]
        params.append(("replay-mb", str(options.replay_mb if case.ring else 0)))
        answer = self._module.reload(configuration(publisher(*params)))
        if not answer.startswith("+OK"):
            raise BenchmarkError(answer)
        with Reader(self._module) if case.subscriber else contextlib.nullcontext():
            self._burst(options.events // 4)  # the ring is full from then on, or as full as it gets
            cost = self._cost()
            return Figures(cost, self._burst(options.events))

    def _burst(self, count: int) -> float:
        """Events a second, when they are fired as fast as it goes."""
        before = self._module.publisher()
        began = time.monotonic()
        self._fire(count, 0)
        # It is asked for seldom, because the pump is what it asks.
        now = self._module.wait(
            self._module.publisher,
            lambda now: now["accepted"] - before["accepted"] >= count and not now["queued"],
            timeout=600.0,
        )
        seconds = time.monotonic() - began
        if now["shed"]:
            raise BenchmarkError(f"{now['shed']} events were shed: take fewer --events")
        return count / seconds


class Reader(Background):
    """A subscriber to everything, who throws it away in a thread of its own."""

    def __init__(self, module: Module) -> None:
        super().__init__("reader")
        self._module = module
        self._subscriber = Subscriber(module.endpoint())

    def work(self) -> None:
        """See `Background`."""
        socket = self._subscriber.socket
        while not self.ending.is_set():
            if socket.poll(50):
                socket.recv()

    def begin(self) -> None:
        """See `Background`; events come from then on."""
        super().begin()
        self._module.wait(self._module.publisher, lambda now: now["subscriptions"] == 1)

    def release(self) -> None:
        """See `Background`."""
        self._subscriber.__exit__(None, None, None)
        self._module.wait(self._module.publisher, lambda now: now["subscriptions"] == 0)


def table(alone: float, best: list[Figures]) -> str:
    """For people: each case with what it is of the one that it is compared with."""
    lines = [
        f"{'':28}{'CPU µs/event':>14}{'ratio':>8}{'burst events/s':>18}{'ratio':>8}",
        f"{'the switch alone':28}{alone:14.1f}",
    ]
    for case, figures in zip(CASES, best):
        like = best[case.like]
        lines.append(
            f"{case.name:28}{figures.cpu_us:14.1f}{figures.cpu_us / like.cpu_us:8.2f}"
            f"{figures.burst:18.0f}{figures.burst / like.burst:8.2f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
