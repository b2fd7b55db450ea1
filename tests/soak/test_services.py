"""A service that is killed and started at random, under calls and lookups: everybody goes on in time."""

from __future__ import annotations

import itertools
import os
import queue
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable

import pytest

from tests.conftest import SwitchFactory
from tests.support.background import Background
from tests.support.callouts import EXTENSIONS, Calls, callout, heard
from tests.support.callouts import adds_up as callouts_add_up
from tests.support.esl import Esl
from tests.support.lookups import binding, bound, connections, find_user
from tests.support.lookups import counters as lookup_counters
from tests.support.module import Module, nothing_left, threads_of_ours
from tests.support.ports import free_port
from tests.support.process import Child
from tests.support.switch import REPOSITORY
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

SECONDS = 60.0
CALLS_A_SECOND, LOOKUPS_A_SECOND = 20, 50
CALL_MS, LOOKUP_MS = 2000, 500
MACHINE_SECONDS = 2.0
"""What a busy machine may add to a timeout."""

CACHED = [f"cached-{number}" for number in range(5)]
SETTLED_SECONDS = 5.0
"""A service that has listened for so long is connected, and was so all the time: who asks it gets an answer."""

KILLED_SECONDS = 1.0
"""A service that was killed less than so long after an answer need not have given it in time."""


@dataclass
class Life:
    """Of a service's process: when it began to listen, and when it was killed. `time.time()`; `end` 0: it was not."""

    begin: float
    end: float = 0.0


class Mortal:
    """The service, in a process that can be killed and started again.

    Attributes:
        lives: so far.
    """

    def __init__(self, endpoint: str, folder: Path) -> None:
        self.lives: list[Life] = []
        self._endpoint, self._folder = endpoint, folder
        self._child: Child | None = None

    def __enter__(self) -> Mortal:
        self.rise()
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.kill()

    def rise(self) -> None:
        """Starts it; returns when it listens."""
        output = self._folder / f"service-{len(self.lives)}.txt"
        command = [sys.executable, "-m", "tests.soak.service_program", self._endpoint]
        child = self._child = Child(command, output, os.environ, REPOSITORY)

        def told() -> str:
            text = output.read_text()
            assert child.poll() is None, text
            return text if text.endswith("\n") else ""

        self.lives.append(Life(float(wait_for(told, "the service listens", 60.0))))

    def kill(self) -> None:
        assert self._child is not None
        self._child.kill()
        self.lives[-1].end = time.time()

    def was_there(self, begin: float, end: float) -> bool:
        """Whether it lived at some moment in between; a second more or less, for clocks and late threads."""
        return any(life.begin <= end + 1.0 and (not life.end or life.end >= begin - 1.0) for life in self.lives)

    def was_safe(self, begin: float, end: float) -> bool:
        """Whether it lived in between, and for long enough before and after that nothing else could come of it."""
        return any(
            life.begin + SETTLED_SECONDS <= begin and (not life.end or life.end >= end + KILLED_SECONDS)
            for life in self.lives
        )


class Killer(Background):
    """Kills the service and starts it again, at random; at the end it lives."""

    def __init__(self, service: Mortal, seed: int) -> None:
        super().__init__("killer")
        self._service = service
        self._random = random.Random(seed)

    def work(self) -> None:
        while not self.ending.wait(self._random.choice((0.2, 1.0, 3.0, 12.0)) * self._random.random()):
            self._service.kill()
            self.ending.wait(self._random.choice((0.0, 0.5, 5.0)) * self._random.random())
            self._service.rise()


class Caller(Background):
    """Makes calls at an even pace, for SECONDS.

    Attributes:
        made: ids; None: there are no more.
    """

    def __init__(self, calls: Calls) -> None:
        super().__init__("caller")
        self.made: queue.Queue[str | None] = queue.Queue()
        self._calls = calls

    def work(self) -> None:
        try:
            began, count = time.monotonic(), 0
            while not self.ending.wait(max(began + count / CALLS_A_SECOND - time.monotonic(), 0.0)):
                if count >= CALLS_A_SECOND * SECONDS:
                    return
                self.made.put(self._calls.make(f"ivr {count}"))
                count += 1
        finally:
            self.made.put(None)


class Seeker(Background):
    """Looks users up, one a second, on a connection of its own.

    Attributes:
        done: name, whether it was found, when that began and ended (`time.time()`).
    """

    def __init__(self, esl: Esl, names: Callable[[], str], delay: float) -> None:
        super().__init__("seeker")
        self.done: list[tuple[str, bool, float, float]] = []
        self._esl, self._names, self._delay = esl, names, delay

    def work(self) -> None:
        due = time.monotonic() + self._delay
        while not self.ending.wait(max(due - time.monotonic(), 0.0)):
            name, began = self._names(), time.time()
            found = find_user(self._esl, name)
            assert found in ("", name)
            self.done.append((name, bool(found), began, time.time()))
            due = max(due + 1.0, time.monotonic())


def test_a_service_killed_at_random(switch_factory: SwitchFactory, switch_kind: str, tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    print(f"{switch_kind}: seed {seed}")
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    services = binding(endpoint, timeout_ms=LOOKUP_MS, cache_ttl_ms=300, cache_stale_ms=3_600_000, circuit_breaker_ms=0)
    asks = f"<callouts>{callout(endpoint, timeout_ms=CALL_MS)}</callouts>"
    switch = switch_factory(
        event_zmq_xml=bound(services, more=asks),
        extra_extensions=EXTENSIONS,
        loglevel="info",
        xml_handler_bindings="directory" if switch_kind == "standin" else "",
    )
    module = Module(switch)
    module.start()
    numbers, fresh = random.Random(seed), itertools.count()

    def name() -> str:
        return numbers.choice(CACHED) if numbers.random() < 0.4 else f"user-{next(fresh)}"

    with (
        Mortal(endpoint, tmp_path) as service,
        heard(switch) as calls,
        connections(switch, LOOKUPS_A_SECOND) as every,
    ):
        for user in CACHED:
            module.wait(partial(find_user, switch, user), bool)
        # What threads and files the switch keeps for itself, it keeps from now on.
        ids = [calls.make() for _ in range(CALLS_A_SECOND)]
        calls.gone(*[id for id in ids if calls.told(id)])
        mine, threads, fds = threads_of_ours(switch), switch.threads(), switch.fds()
        seekers = [Seeker(esl, name, number / LOOKUPS_A_SECOND) for number, esl in enumerate(every)]
        with ExitStack() as stack:
            stack.enter_context(Killer(service, seed))
            for seeker in seekers:
                stack.enter_context(seeker)
            caller = stack.enter_context(Caller(calls))
            while (id := caller.made.get(timeout=120.0)) is not None:
                calls.told(id)
                ids.append(id)
        calls.gone(*ids)
        print(f"{switch_kind}: {len(service.lives)} lives, {len(ids)} calls {statuses(service, calls, ids)}")
        print(f"{switch_kind}: {looked_up(service, [each for seeker in seekers for each in seeker.done])}")
        part = callouts_add_up(module)
        assert part["requests"] == len(ids)
        part = module.wait(lambda: lookup_counters(module), lambda now: now["pending"] == 0)
        assert part["requests"] == part["succeeded"] + part["errors"] + part["abandoned"]
        assert part["requests"] == part["lookups"] - part["cached"]
        assert part["stale"] > 0
        print(f"{switch_kind}: {part}")
        module.wait(switch.threads, lambda now: now <= threads, 120.0)
        module.wait(switch.fds, lambda now: now <= fds, 120.0)
        assert threads_of_ours(switch) == mine
        assert module.command("stop") == "+OK stopped"
        nothing_left(switch)


def statuses(service: Mortal, calls: Calls, ids: Sequence[str]) -> str:
    """How the calls ended; each has to have ended in time and as it could."""
    counted: Counter[str] = Counter()
    longest = 0.0
    for id in ids:
        before, after = (int(calls.told(id, what)["Event-Date-Timestamp"]) / 1e6 for what in ("before", "after"))
        status, seconds = calls.status(id), after - before
        waited = seconds >= CALL_MS / 1000 * 0.95
        could = {
            "ok": service.was_there(before, after),
            "timeout": waited and service.was_there(before, after),
            "unavailable": not service.was_safe(before, after),
        }
        assert could[status], (id, status, before, after, service.lives)
        assert seconds <= CALL_MS / 1000 + MACHINE_SECONDS, (id, status, before, after, service.lives)
        counted[status] += 1
        longest = max(longest, seconds)
    assert {"ok", "unavailable"} <= set(counted), counted
    return f"{dict(counted)}, {longest:.2f} s at most"


def looked_up(service: Mortal, done: Sequence[tuple[str, bool, float, float]]) -> str:
    """The same for lookups. Who is not found was looked for twice, as FreeSWITCH does."""
    counted: Counter[str] = Counter()
    longest = 0.0
    for name, found, began, ended in done:
        seconds = ended - began
        what = (name, found, began, ended, service.lives)
        assert seconds <= 2 * (LOOKUP_MS / 1000) + MACHINE_SECONDS, what
        if name in CACHED:
            assert found, what
        elif found:
            assert service.was_there(began, ended), what
        else:
            assert seconds >= LOOKUP_MS / 1000 * 0.95 or not service.was_safe(began, ended), what
        counted[f"{'cached' if name in CACHED else 'new'} {'found' if found else 'not found'}"] += 1
        longest = max(longest, seconds)
    assert {"cached found", "new found", "new not found"} <= set(counted), counted
    return f"{len(done)} lookups {dict(counted)}, {longest:.2f} s at most"
