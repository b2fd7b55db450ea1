"""The ring alone; what it holds also against a list that does the same in the simplest way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import hypothesis
import pytest
from hypothesis import stateful
from hypothesis import strategies as st

from freeswitch_zmq.errors import NotHeld
from freeswitch_zmq.module.ring import OVERHEAD, PAGE_BYTES, SMALLEST, Page, Ring
from freeswitch_zmq.wire import close_json, known_prefix, open_json
from tests.unit.ringing import MB, message, numbers, walk


def filled(count: int, most_events: int = 100) -> Ring:
    """With the events from 1 to `count`, as far as they are held."""
    ring = Ring(most_events, MB)
    for number in range(1, count + 1):
        ring.add(number, message(number))
    return ring


# What is held.


def test_an_empty_ring_holds_nothing_and_says_from_where_it_would() -> None:
    ring = Ring(10, MB)
    assert (ring.count, ring.bytes, ring.oldest, ring.newest) == (0, 0, 1, 0)
    assert ring.page(1, None, None, 10) == Page([], None, 1, 0)
    ring = Ring(10, MB, newest=5000)
    assert (ring.oldest, ring.newest) == (5001, 5000)
    assert ring.page(5001, None, None, 10) == Page([], None, 5001, 5000)
    with pytest.raises(NotHeld):
        ring.page(5000, None, None, 10)


def test_the_oldest_goes_when_there_are_too_many() -> None:
    ring = filled(25, most_events=10)
    assert (ring.count, ring.oldest, ring.newest) == (10, 16, 25)
    assert ring.bytes == sum(len(message(number)) + OVERHEAD for number in range(16, 26))
    assert walk(ring, 16).found == list(range(16, 26))


def test_the_oldest_goes_when_they_are_too_large() -> None:
    ring = Ring(1000, 10 * (500 + OVERHEAD))
    for number in range(1, 31):
        ring.add(number, message(number, size=500))
    assert (ring.count, ring.bytes, ring.oldest) == (10, 10 * (500 + OVERHEAD), 21)
    # One more byte than there is room for costs one more event.
    ring.add(31, message(31, size=501))
    assert (ring.count, ring.oldest) == (9, 23)
    ring.add(32, message(32, size=3000))
    assert (ring.count, ring.oldest, ring.newest) == (5, 28, 32)


def test_one_that_is_too_large_by_itself_leaves_nothing() -> None:
    ring = Ring(100, 500 + OVERHEAD)
    ring.add(1, message(1, size=500))
    assert ring.count == 1
    ring.add(2, message(2, size=501))
    assert (ring.count, ring.bytes, ring.oldest, ring.newest) == (0, 0, 3, 2)
    assert ring.page(3, None, None, 1) == Page([], None, 3, 2)
    with pytest.raises(NotHeld):
        ring.page(2, None, None, 1)
    ring.add(3, message(3))
    assert (ring.count, ring.oldest) == (1, 3)


def test_holes_take_no_place_and_are_passed_over() -> None:
    ring = Ring(4, MB)
    for number in (3, 4, 1000, 70_000, 2**40, 2**40 + 5):
        ring.add(number, message(number))
    assert (ring.count, ring.oldest, ring.newest) == (4, 1000, 2**40 + 5)
    assert walk(ring, 1000).found == [1000, 70_000, 2**40, 2**40 + 5]
    assert walk(ring, 1001).found == [70_000, 2**40, 2**40 + 5]
    assert walk(ring, 70_001, 2**40 + 4).found == [2**40]
    assert walk(ring, 70_001, 2**40 - 1).found == []


def test_what_is_no_news_is_not_taken() -> None:
    ring = filled(3)
    ring.add(3, message(3))
    ring.add(1, message(1))
    assert (ring.count, ring.newest) == (3, 3)


def test_a_hundred_million_events_take_no_memory_before_they_are_there() -> None:
    ring = Ring(100_000_000, 2 * MB)
    assert len(ring._slots[0]) == 2 * MB // SMALLEST < 20_000


def test_no_event_is_smaller_than_the_smallest() -> None:
    assert len(close_json(open_json('{"Event-Name":"API"}', "API"), 10**15, 1, 1)) + OVERHEAD >= SMALLEST


# What can be had.


def test_a_page_has_no_more_than_was_asked_for_and_says_where_to_go_on() -> None:
    ring = filled(10)
    assert ring.page(1, None, None, 4) == Page([message(number) for number in (1, 2, 3, 4)], 5, 1, 10)
    assert (numbers(ring.page(5, None, None, 4)), ring.page(5, None, None, 4).next) == ([5, 6, 7, 8], 9)
    assert (numbers(ring.page(9, None, None, 4)), ring.page(9, None, None, 4).next) == ([9, 10], None)
    # Full and done at once.
    assert ring.page(7, None, None, 4).next is None
    assert ring.page(5, 8, None, 4).next is None


def test_a_page_is_no_larger_than_a_mebibyte_but_has_one() -> None:
    ring = Ring(100, 100 * MB)
    for number in range(1, 9):
        ring.add(number, message(number, size=PAGE_BYTES // 4))
    ring.add(9, message(9, size=PAGE_BYTES + 1))
    ring.add(10, message(10))
    assert walk(ring, 1, limit=1000) == ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [4, 4, 1, 1])
    assert walk(ring, 1, limit=0).sizes == [1] * 10


def test_only_events_of_the_names_count() -> None:
    ring = Ring(100, MB)
    names = ["API", "HEARTBEAT", "CHANNEL_ANSWER", "CHANNEL_ANSWERED", "CUSTOM"]
    for number in range(1, 51):
        ring.add(number, message(number, names[number % 5]))
    assert walk(ring, 1, names=["CHANNEL_ANSWER"], limit=3) == (list(range(2, 51, 5)), [3, 3, 3, 1])
    assert walk(ring, 1, 20, {"API", "CUSTOM"}).found == [4, 5, 9, 10, 14, 15, 19, 20]
    nothing = ("CHANNEL", "", "channel_answer", 'API","ZMQ-Sequence":"5', "\ud800", "größe", "*")
    assert walk(ring, 1, names=nothing) == ([], [0])
    assert walk(ring, 1, names=()).found == []
    # The next page begins with one that counts, so none is empty but the first.
    assert ring.page(1, None, ["API"], 1).next == 10


@pytest.mark.parametrize("first", [0, -1, -(2**70), 5])
def test_what_is_too_old_is_told_with_what_there_is(first: int) -> None:
    ring = filled(12, most_events=7)
    with pytest.raises(NotHeld, match=r"the oldest event that is held is 6, the newest 12") as caught:
        ring.page(first, None, None, 10)
    assert (caught.value.oldest, caught.value.newest) == (6, 12)


@pytest.mark.parametrize("first", [13, 2**63 - 1, 2**63, 2**64, 10**400])
def test_what_is_still_to_come_is_an_empty_page(first: int) -> None:
    assert filled(12).page(first, None, None, 10) == Page([], None, 1, 12)
    assert filled(12).page(first, first * 2, ["API"], 10) == Page([], None, 1, 12)


@pytest.mark.parametrize("last", [12, 13, 2**63, 10**400, None])
def test_a_last_beyond_the_newest_is_the_newest(last: Optional[int]) -> None:
    assert walk(filled(12), 9, last).found == [9, 10, 11, 12]


@pytest.mark.parametrize("last", [8, 0, -(2**70)])
def test_a_last_before_the_first_is_nothing(last: int) -> None:
    assert filled(12).page(9, last, None, 10) == Page([], None, 1, 12)


def test_more_than_a_reader_looks_at_in_one_go() -> None:
    ring = Ring(20_000, 100 * MB)
    for number in range(1, 30_001):
        ring.add(number, message(number, "API" if number % 1000 == 0 else "CUSTOM"))
    assert ring.oldest == 10_001
    assert walk(ring, 10_001, names=["API"]).found == list(range(11_000, 30_001, 1000))
    # By bytes, not by number.
    assert walk(ring, 10_001, limit=100_000).found == list(range(10_001, 30_001))
    assert walk(ring, 12_345, 25_678, limit=999).found == list(range(12_345, 25_679))


# Other limits.


@pytest.mark.parametrize(
    ("most_events", "most_bytes", "left"),
    [
        (100, MB, 10),
        (10, MB, 10),
        (4, MB, 4),
        (1, MB, 1),
        (100, 3 * (200 + OVERHEAD), 3),
        (100, 3 * (200 + OVERHEAD) - 1, 2),
        (100, 1, 0),
        (100_000_000, 5 * MB, 10),
    ],
)
def test_the_newest_that_fit_stay(most_events: int, most_bytes: int, left: int) -> None:
    ring = Ring(10, MB)
    for number in range(1, 21):
        ring.add(number, message(number, size=200))
    ring.resize(most_events, most_bytes)
    assert (ring.count, ring.oldest, ring.newest) == (left, 21 - left, 20)
    assert walk(ring, ring.oldest).found == list(range(21 - left, 21))
    for number in range(21, 121):
        ring.add(number, message(number))
    assert ring.bytes <= most_bytes
    assert walk(ring, ring.oldest).found == list(range(ring.oldest, 121))


def test_the_same_limits_change_nothing() -> None:
    ring = filled(20, most_events=10)
    slots = ring._slots
    ring.resize(10, MB)
    assert ring._slots is slots


# Against the simplest thing that does the same.


class RingMachine(stateful.RuleBasedStateMachine):
    """Anything in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.model: list[tuple[int, bytes]] = []
        self.oldest, self.newest = 1, 0

    @stateful.initialize(most_events=st.integers(1, 12), most_bytes=st.integers(1, 4000))
    def begin(self, most_events: int, most_bytes: int) -> None:
        self.ring = Ring(most_events, most_bytes)
        self.limits = most_events, most_bytes

    def fit(self) -> None:
        most_events, most_bytes = self.limits
        slots = max(1, min(most_events, most_bytes // SMALLEST))
        while len(self.model) > slots or sum(len(each) + OVERHEAD for _, each in self.model) > most_bytes:
            del self.model[0]
        self.oldest = self.model[0][0] if self.model else self.newest + 1

    @stateful.rule(
        step=st.integers(1, 4),
        name=st.sampled_from(("API", "CUSTOM", "APIS")),
        size=st.integers(0, 600) | st.just(4000),
    )
    def add(self, step: int, name: str, size: int) -> None:
        self.newest += step
        text = message(self.newest, name, max(size, SMALLEST - OVERHEAD))
        self.ring.add(self.newest, text)
        self.model.append((self.newest, text))
        self.fit()

    @stateful.rule(most_events=st.integers(1, 12), most_bytes=st.integers(1, 4000))
    def resize(self, most_events: int, most_bytes: int) -> None:
        self.ring.resize(most_events, most_bytes)
        self.limits = most_events, most_bytes
        self.fit()

    @stateful.rule(
        data=st.data(),
        names=st.none() | st.lists(st.sampled_from(("API", "CUSTOM", "HEARTBEAT")), max_size=2),
        limit=st.integers(1, 5),
    )
    def page(self, data: st.DataObject, names: Sequence[str] | None, limit: int) -> None:
        first = data.draw(st.integers(-1, self.newest + 3), "first")
        last = data.draw(st.none() | st.integers(-1, self.newest + 3), "last")
        if first < self.oldest:
            with pytest.raises(NotHeld) as caught:
                self.ring.page(first, last, names, limit)
            assert (caught.value.oldest, caught.value.newest) == (self.oldest, self.newest)
            return
        expected = [
            (number, text)
            for number, text in self.model
            if first <= number
            and (last is None or number <= last)
            and (names is None or any(text.startswith(known_prefix(name)) for name in names))
        ]
        following = expected[limit][0] if len(expected) > limit else None
        page = self.ring.page(first, last, names, limit)
        assert page == Page([text for _, text in expected[:limit]], following, self.oldest, self.newest)
        assert walk(self.ring, first, last, names, limit).found == [number for number, _ in expected]

    @stateful.invariant()
    def it_holds_what_it_should(self) -> None:
        if not hasattr(self, "ring"):
            return
        held = sum(len(each) + OVERHEAD for _, each in self.model)
        assert (self.ring.count, self.ring.bytes) == (len(self.model), held)
        assert (self.ring.oldest, self.ring.newest) == (self.oldest, self.newest)
        assert walk(self.ring, self.oldest, limit=3).found == [number for number, _ in self.model]


TestAgainstAList = RingMachine.TestCase
TestAgainstAList.settings = hypothesis.settings(max_examples=60, stateful_step_count=40)
