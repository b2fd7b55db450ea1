"""Who has missed events gets them again: those that came and those asked for are every event, once, in order."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from tests.live.conftest import LiveModuleFactory
from tests.support.caller import Caller, RpcFailure
from tests.support.flow import Good, Load
from tests.support.module import Event, Module, Param, Subscriber, api, configuration, publisher, sequences, ticks
from tests.support.process import Child
from tests.support.replaying import Follower, Line, lines, replayed
from tests.support.ringing import Waits
from tests.support.switch import REPOSITORY

pytestmark = pytest.mark.live

API = api(("allow", "ping, replay:*"))
NOT_HELD = -32006
ROUND, ROUNDS = 10_000, 5
BURST_A_SECOND = 10_000

_NUMBERS = re.compile(rb'"ZMQ-Sequence":"(\d+)"')


def holding(megabytes: int, *given: Param) -> str:
    """A publisher that holds so much, and an API."""
    return configuration(publisher(("replay-mb", str(megabytes)), *given), api=API)


def end(module: Module) -> None:
    """Fires the event by which a `Follower`'s program ends."""
    module.switch.sendevent("CUSTOM", [("Event-Subclass", "test::end")])


def without_a_gap(numbers: list[int]) -> None:
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


class Life:
    """A run of tests/support/replaying.py, which ends with SIGKILL."""

    def __init__(self, module: Module, file: Path) -> None:
        self._file = file
        before = module.publisher()["subscriptions"]
        command = [sys.executable, "-m", "tests.support.replaying", module.endpoint(), module.api_endpoint(), str(file)]
        self._output = file.with_suffix(".log")
        self._child = Child(command, self._output, os.environ, REPOSITORY)
        try:
            module.wait(module.publisher, lambda now: now["subscriptions"] > before)
        except BaseException:
            self._child.kill()
            raise

    def has(self, count: int) -> None:
        """Returns when it has written so many lines."""
        Module.wait(lambda: len(lines(self._file)), lambda now: now >= count, 30)

    def still_runs(self) -> None:
        """Fails when it has ended."""
        assert self._child.poll() is None, self._output.read_text("utf-8")

    def ends(self) -> str:
        """Waits for its end; what it printed."""
        code = self._child.wait(60)
        output = self._output.read_text("utf-8")
        assert code == 0, (code, output)
        return output.strip()

    def __enter__(self) -> Life:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.kill()


class Burst(threading.Thread):
    """Fires ROUND events at least ROUNDS times, the last time with the subscriber `back`.

    Attributes:
        back: to be set when it is.
        rounds: how many there were.
    """

    def __init__(self, module: Module) -> None:
        super().__init__(name="burst")
        self.back = threading.Event()
        self.rounds = 0
        self._switch = module.switch

    def run(self) -> None:
        last = False
        while not last:
            last = self.back.is_set() and self.rounds >= ROUNDS - 1
            self._switch.api(f"evgen {ROUND} 15 {BURST_A_SECOND}", timeout=60)
            self.rounds += 1

    def __enter__(self) -> Burst:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.back.set()
        if self.ident is not None:
            self.join()


def test_killed_in_a_burst_and_begun_anew(live_module_factory: LiveModuleFactory, tmp_path: Path) -> None:
    module = live_module_factory(holding(200))
    file = tmp_path / "events"
    with Burst(module) as burst:
        with Life(module, file) as life:
            burst.start()
            life.has(ROUND // 2)
            life.still_runs()
        had = len(lines(file))
        accepted = module.publisher()["accepted"]
        module.wait(module.publisher, lambda now: now["accepted"] > accepted + ROUND // 2)
        with Life(module, file) as life:
            burst.back.set()
            burst.join()
            end(module)
            said = life.ends()
    both = lines(file)
    print(f"\nkilled after {had} events; begun anew: {said}")
    without_a_gap([line.number for line in both])
    assert [line.tick for line in both if line.tick >= 0] == list(range(ROUND)) * burst.rounds
    assert module.at_rest()["shed"] == 0

    # One that comes when all is over gets the same, byte for byte.
    with Subscriber(module.endpoint()) as subscriber, Caller(module.api_endpoint()) as caller:
        subscriber.subscribed(module.switch)
        began = time.monotonic()
        late = [Line(Line.of(event)) for event in replayed(caller, 1, None, module.publisher()["epoch"])]
        took = time.monotonic() - began
    print(f"one that came late got {len(late)} events in {took:.1f} s")
    without_a_gap([line.number for line in late])
    assert late[0].number == 1
    same = {line.number: line.digest for line in late}
    assert all(same[line.number] == line.digest for line in both)


def test_one_that_reads_too_slowly_fills_its_gaps(live_module_factory: LiveModuleFactory) -> None:
    module = live_module_factory(holding(200, ("send-hwm", "100")))
    count = 6_000
    events: list[Event] = []
    with Subscriber(module.endpoint(), hwm=100) as subscriber, Caller(module.api_endpoint()) as caller:
        subscriber.subscribed(module.switch)
        follower = Follower(subscriber, caller)
        assert module.switch.api(f"bgapi evgen {count} 60 5000").startswith("+OK")
        for event in follower.events(when_silent=lambda: end(module)):
            events.append(event)
            tick = int(event.get("Bench-Seq", -1))
            if tick == count - 1:
                break
            if tick < count // 2:
                time.sleep(0.0005)  # this is how it is slow
    print(f"\n{follower.lost} of {len(events)} events were lost on their way, in {follower.gaps} gaps")
    assert follower.lost > 1000, "it was no test"
    without_a_gap(sequences(events))
    assert [int(event["Bench-Seq"]) for event in ticks(events)] == list(range(count))
    assert module.at_rest()["shed"] == 0


def test_one_name_alone(live_module_factory: LiveModuleFactory) -> None:
    """Who subscribes to one name sees gaps in ZMQ-Name-Sequence, and gets just those."""
    module = live_module_factory(holding(20))
    switch = module.switch
    with Subscriber(module.endpoint(), prefixes=[b'{"Event-Name":"MESSAGE"', b'{"Event-Name":"CUSTOM"']) as subscriber:
        subscriber.subscribed(switch)
        for number in range(40):
            switch.api("evgen 25 15 0")
            switch.sendevent("TRAP", [("Number", str(number))])
            switch.sendevent("MESSAGE", [("Number", str(number))])
        subscriber.until(lambda event: (event["Event-Name"], event.get("Number")) == ("MESSAGE", "39"))
    part = module.publisher()
    params = {"publisher": "default", "epoch": part["epoch"]}
    with Caller(module.api_endpoint()) as caller:
        found: list[Event] = []
        following: int | None = 1
        pages = 0
        while following is not None:
            page = caller.call("replay", first=following, names=["TRAP"], limit=7, **params)
            assert len(page["events"]) <= 7
            found += page["events"]
            following = page["next"]
            pages += 1
        assert pages == 6
        assert {event["Event-Name"] for event in found} == {"TRAP"}
        assert [event["Number"] for event in found] == [str(number) for number in range(40)]
        assert [int(event["ZMQ-Name-Sequence"]) for event in found] == list(range(1, 41))
        assert sequences(found) == sorted(sequences(found))
        # As one who has the 10th and the 21st asks for what was in between.
        first, last = int(found[9]["ZMQ-Sequence"]) + 1, int(found[20]["ZMQ-Sequence"]) - 1
        page = caller.call("replay", first=str(first), last=str(last), names=["TRAP"], **params)
        assert page["events"] == found[10:20]
        assert page["next"] is None
        both = caller.call("replay", first=1, names=["MESSAGE", "TRAP"], **params)["events"]
        assert [event["Event-Name"] for event in both] == ["TRAP", "MESSAGE"] * 40
        nothing = caller.call("replay", first=1, names=["SHUTDOWN"], **params)
        assert (nothing["events"], nothing["next"]) == ([], None)
        assert caller.code("replay", first=1, names=["TARP"], **params) == -32602


def refused(caller: Caller, **params: Any) -> dict[str, Any]:
    """The data of the -32006 with which it is refused."""
    with pytest.raises(RpcFailure) as error:
        caller.call("replay", publisher="default", **params)
    assert error.value.code == NOT_HELD
    data: dict[str, Any] = error.value.data
    return data


def test_another_epoch_after_a_restart(live_module_factory: LiveModuleFactory) -> None:
    module = live_module_factory(holding(20, ("event-filter", "TRAP")))
    with Caller(module.api_endpoint()) as caller:
        old = module.publisher()["epoch"]
        for _ in range(3):
            module.switch.sendevent("TRAP")
        module.wait(module.publisher, lambda now: now["replay"]["held"] == 3)
        assert caller.call("replay", publisher="default", epoch=old, first=1)["events"]
    module.command("stop")
    module.start()
    part = module.publisher()
    assert int(part["epoch"]) > int(old)
    with Caller(module.api_endpoint()) as caller:
        module.switch.sendevent("TRAP")
        module.wait(module.publisher, lambda now: now["replay"]["newest"] >= 1)
        data = refused(caller, epoch=old, first=4)
        assert data == {"epoch": part["epoch"], "oldest": 1, "newest": 1}
        page = caller.call("replay", publisher="default", epoch=data["epoch"], first=data["oldest"])
        assert page["events"][0]["ZMQ-Sequence"] == "1"


def test_the_oldest_are_gone(live_module_factory: LiveModuleFactory) -> None:
    module = live_module_factory(holding(20, ("replay-events", "100"), ("event-filter", "TRAP")))
    for _ in range(300):
        module.switch.sendevent("TRAP")
    epoch = module.wait(module.publisher, lambda now: now["replay"]["newest"] == 300)["epoch"]
    with Caller(module.api_endpoint()) as caller:
        for first in (1, 100, 200):
            assert refused(caller, epoch=epoch, first=first) == {"epoch": epoch, "oldest": 201, "newest": 300}
        events = list(replayed(caller, 201, None, epoch, limit=33))
        assert sequences(events) == list(range(201, 301))
        # Nothing to come is not the same as nothing held.
        page = caller.call("replay", publisher="default", epoch=epoch, first=301)
        assert (page["events"], page["next"], page["oldest"], page["newest"]) == ([], None, 201, 300)


class Pages(threading.Thread):
    """A caller that asks for all that is held, again and again, and looks whether it is without a gap."""

    def __init__(self, module: Module, done: threading.Event) -> None:
        super().__init__(name="replays")
        self.pages = self.events = self.outrun = 0
        self.error: BaseException | None = None
        self._done = done
        self._endpoint = module.api_endpoint()
        self._epoch = module.publisher()["epoch"]

    def run(self) -> None:
        try:
            with Caller(self._endpoint) as caller:
                self._work(caller)
        except BaseException as error:  # noqa: BLE001  # looked at by the test
            self.error = error

    def _work(self, caller: Caller) -> None:
        first = 1
        while not self._done.is_set():
            caller.send("replay", {"publisher": "default", "epoch": self._epoch, "first": first})
            raw = caller.receive_raw(30)
            if b'"error"' in raw[:60]:
                # The ring was faster.
                found = re.search(rb'"code":(-?\d+).*"oldest":(\d+)', raw)
                assert found is not None
                assert int(found[1]) == NOT_HELD, raw
                self.outrun += 1
                first = int(found[2])
                continue
            numbers = [int(number) for number in _NUMBERS.findall(raw)]
            if numbers:
                assert numbers[0] == first or first == 1
                without_a_gap(numbers)
            self.pages += 1
            self.events += len(numbers)
            following = re.search(rb'"next":(null|\d+),"oldest":(\d+)', raw[-120:])
            assert following is not None
            first = int(following[2]) if following[1] == b"null" else int(following[1])


def test_four_replay_while_the_ring_fills(live_module_factory: LiveModuleFactory) -> None:
    module = live_module_factory(holding(2))  # half a second of events
    done = threading.Event()
    with Good(module.endpoint(), module.switch) as good, Load(module.switch, 2000):
        alone = delays(module, 1000)
        callers = [Pages(module, done) for _ in range(4)]
        for caller in callers:
            caller.start()
        try:
            during = delays(module, 4000)
            module.wait(lambda: min(caller.pages for caller in callers), lambda pages: pages > 10)
        finally:
            done.set()
            for caller in callers:
                caller.join()
        good.lost_nothing()
    assert not [caller.error for caller in callers if caller.error is not None]
    pages, events = sum(caller.pages for caller in callers), sum(caller.events for caller in callers)
    outrun = sum(caller.outrun for caller in callers)
    print(f"\n{pages} pages, {events} events replayed, {outrun} times the ring was faster; {good}")
    print(f"  event alone:  {alone}\n  event during: {during}")
    assert min(caller.pages for caller in callers) > 10
    assert module.publisher()["replay"]["oldest"] > 4000, "it was no test"
    assert module.at_rest()["shed"] == 0
    assert module.status()["errors"] == 0


def delays(module: Module, count: int) -> Waits:
    """How long so many events took to a subscriber of their own, in this process."""
    waited: list[float] = []
    with Subscriber(module.endpoint(), prefixes=[b'{"Event-Name":"CUSTOM"']) as subscriber:
        subscriber.subscribed(module.switch)
        while len(waited) < count:
            raw = subscriber.raw()
            now = time.monotonic_ns()
            at = raw.find(b'"Bench-NS":"')
            if at > 0:
                waited.append((now - int(raw[at + 12 : raw.index(b'"', at + 12)])) / 1e6)
    return Waits(waited)
