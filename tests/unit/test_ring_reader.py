"""The ring with a reader in another thread, at whatever point each of the two is."""

from __future__ import annotations

import contextlib
import itertools
import random
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import FrameType
from typing import Any

import pytest

from freeswitch_zmq.errors import NotHeld
from freeswitch_zmq.module import ring as ring_module
from freeswitch_zmq.module.ring import Ring
from tests.support.waiting import wait_for
from tests.unit.ringing import MB, message, numbers


def came(ring: Ring, first: int, last: int | None, names: Collection[str] | None, limit: int) -> bool:
    """Asks for a page while the ring is filled by `shed_some`, and checks it; False when it is not held (any more)."""
    before = ring.newest
    page = None
    with contextlib.suppress(NotHeld):
        page = ring.page(first, last, names, limit)
    if page is None:
        assert first < ring.oldest  # never of something that is there
        return False
    end = page.newest if last is None else min(last, page.newest)
    expected = [
        number
        for number in range(first, end + 1)
        if number % 10 and (names is None or ("CUSTOM" if number % 3 == 0 else "API") in names)
    ]
    assert page.newest >= before
    # What it had when the rest went under its eyes, it gives, and who goes on is told.
    assert numbers(page) == [number for number in expected if page.next is None or number < page.next]
    assert len(page.events) <= limit
    if len(expected) > len(page.events):
        assert page.next is not None
    return True


def shed_some(ring: Ring, first: int, last: int) -> None:
    """Adds those numbers, but every tenth."""
    for number in range(first, last + 1):
        if number % 10:
            ring.add(number, message(number, "API" if number % 3 else "CUSTOM"))


class Interruption:
    """Runs `what` in the middle of something else that the ring does: before its line number `at`.

    Attributes:
        happened: whether there were as many lines.
    """

    def __init__(self, at: int, what: Callable[[], object]) -> None:
        self._left, self._what = at, what
        self.happened = False

    def __enter__(self) -> Interruption:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename != ring_module.__file__:
            return None
        if event == "line":
            self._left -= 1
            if self._left == 0:
                self.happened = True
                self._what()  # not traced itself
        return self._trace


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader looks at few in one go."""
    monkeypatch.setattr(ring_module, "LOOK_AT", 3)
    monkeypatch.setattr(ring_module, "BREATH_SECONDS", 0.0)


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("slots", [1, 2, 8])
@pytest.mark.parametrize("more", [1, 2, 5, 8, 17, 30])
def test_whatever_a_reader_does_when_events_come(slots: int, more: int) -> None:
    outcomes = []
    for first in range(39 - slots, 43):
        for last, names, limit in ((None, None, 100), (None, None, 2), (41, ("API",), 2), (36, None, 100)):
            interrupted, at = True, 0
            while interrupted:
                at += 1
                ring = Ring(slots, MB)
                shed_some(ring, 1, 38)
                with Interruption(at, partial(shed_some, ring, 39, 38 + more)) as interruption:
                    outcomes.append(came(ring, first, last, names, limit))
                interrupted = interruption.happened
    assert set(outcomes) == {True, False}


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("slots", [(1, 2), (2, 1), (8, 20), (20, 8), (8, 7)])
def test_whatever_a_reader_does_when_limits_change(slots: tuple[int, int]) -> None:
    for first in range(39 - slots[0], 41):
        interrupted, at = True, 0
        while interrupted:
            at += 1
            ring = Ring(slots[0], MB)
            shed_some(ring, 1, 38)

            def change(ring: Ring = ring) -> None:
                ring.resize(slots[1], MB)
                shed_some(ring, 39, 49)

            with Interruption(at, change) as interruption:
                came(ring, first, None, None, 100)
            interrupted = interruption.happened


@pytest.mark.parametrize("slots", [1, 2, 8])
@pytest.mark.parametrize("size", [0, 1000])
def test_whatever_the_pump_does_when_somebody_reads(slots: int, size: int) -> None:
    for first in range(39 - slots, 43):
        interrupted, at = True, 0
        while interrupted:
            at += 1
            ring = Ring(slots, 1000)
            shed_some(ring, 1, 38)
            with Interruption(at, partial(came, ring, first, None, None, 100)) as interruption:
                ring.add(39, message(39, size=size))
            interrupted = interruption.happened


@pytest.mark.parametrize("slots", [(1, 2), (8, 20), (20, 8)])
def test_whatever_a_change_of_limits_is_at_when_somebody_reads(slots: tuple[int, int]) -> None:
    for first in range(39 - slots[0], 41):
        interrupted, at = True, 0
        while interrupted:
            at += 1
            ring = Ring(slots[0], MB)
            shed_some(ring, 1, 38)
            with Interruption(at, partial(came, ring, first, None, None, 100)) as interruption:
                ring.resize(slots[1], MB)
            interrupted = interruption.happened


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize(("slots", "first"), [(1, 38), (3, 36), (3, 37), (5, 34)])
def test_both_in_the_middle_of_something(slots: int, first: int) -> None:
    with ThreadPoolExecutor(1) as other_thread:
        for reading, adding in itertools.product(range(1, 60), range(1, 20)):
            ring = Ring(slots, MB)
            shed_some(ring, 1, 38)
            pause = Pause()
            reader = other_thread.submit(_read_and_pause, ring, first, Interruption(reading, pause), pause)
            pause.reached.wait(60)
            with Interruption(adding, partial(_go_on, pause, reader)):
                ring.add(39, message(39))
            _go_on(pause, reader)


class Pause:
    """Called in one thread, it waits there until another says go on."""

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        self.go_on.wait(60)


def _read_and_pause(ring: Ring, first: int, interruption: Interruption, pause: Pause) -> None:
    with interruption:
        came(ring, first, None, None, 100)
    pause.reached.set()  # also when it ended before


def _go_on(pause: Pause, reader: Future[None]) -> None:
    pause.go_on.set()
    reader.result(60)


@pytest.fixture
def haste(small_steps: None) -> Iterator[None]:
    """The interpreter goes from one thread to the other as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("haste")
@pytest.mark.parametrize("slots", [3, 50])
def test_a_reader_gets_what_was_there_or_is_told(slots: int) -> None:
    ring = Ring(slots, MB)
    end = threading.Event()

    def pump() -> None:
        chance = random.Random(4)
        number = 1
        while not end.is_set():
            shed_some(ring, number, number + 9)
            number += 10
            if chance.random() < 0.05:
                ring.resize(chance.choice((1, slots, 2 * slots)), MB)

    thread = threading.Thread(target=pump)
    thread.start()
    chance = random.Random(5)
    outcomes: list[bool] = []
    try:
        wait_for(lambda: ring.newest > 2 * slots, "the pump to begin")
        enough = time.monotonic() + 60.0
        # Both come soon, unless one of the two threads stands still meanwhile.
        while len(outcomes) < 3000 or (len(set(outcomes)) < 2 and time.monotonic() < enough):
            first = max(ring.newest - chance.randrange(-2, slots), ring.oldest - chance.randrange(2), 1)
            last = chance.choice((None, first + chance.randrange(40)))
            names = chance.choice((None, ("CUSTOM",), ("API",)))
            outcomes.append(came(ring, first, last, names, chance.randrange(1, 40)))
    finally:
        end.set()
        thread.join()
    print(f"{ring.newest} added, {outcomes.count(True)} pages, {outcomes.count(False)} refusals")
    assert set(outcomes) == {True, False}


@pytest.mark.usefixtures("haste")
def test_one_that_reads_on_while_events_come_gets_each_once() -> None:
    total = 30_000
    ring = Ring(total, 100 * MB)

    def pump() -> None:
        for number in range(1, total + 1):
            ring.add(number, message(number))

    thread = threading.Thread(target=pump)
    thread.start()
    found: list[int] = []
    following = 1
    while following <= total:
        page = ring.page(following, None, None, 500)
        found += numbers(page)
        following = page.next if page.next is not None else page.newest + 1
    thread.join()
    assert found == list(range(1, total + 1))
