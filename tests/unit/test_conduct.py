from __future__ import annotations

import pytest

from freeswitch_zmq.module import conduct as conduct_module
from freeswitch_zmq.module.conduct import (
    AWAY_AT_MOST_SECONDS,
    AWAY_SECONDS,
    VISIT_BYTES,
    VISITS_A_SECOND,
    VISITS_AT_ONCE,
    Conduct,
)
from tests.unit.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().set(monkeypatch, conduct_module)


@pytest.fixture
def conduct(clock: Clock) -> Conduct:
    return Conduct()


def test_who_did_nothing_need_not_stay_away(conduct: Conduct) -> None:
    assert not conduct.is_away("192.0.2.1")
    assert not conduct.is_away("")


def test_who_flooded_stays_away_for_a_while_alone(conduct: Conduct, clock: Clock) -> None:
    conduct.flooded("192.0.2.1")
    assert conduct.is_away("192.0.2.1")
    assert not conduct.is_away("192.0.2.2")
    assert not conduct.is_away("127.0.0.1")
    clock.now += AWAY_SECONDS - 0.1
    assert conduct.is_away("192.0.2.1")
    clock.now += 0.2
    assert not conduct.is_away("192.0.2.1")


def test_who_floods_again_stays_away_longer_up_to_a_bound(conduct: Conduct, clock: Clock) -> None:
    conduct.flooded("192.0.2.1")
    conduct.flooded("192.0.2.1")
    clock.now += 2 * AWAY_SECONDS - 0.1
    assert conduct.is_away("192.0.2.1")
    clock.now += 0.2
    assert not conduct.is_away("192.0.2.1")
    for _ in range(1000):
        conduct.flooded("192.0.2.1")
    clock.now += AWAY_AT_MOST_SECONDS - 0.1
    assert conduct.is_away("192.0.2.1")
    clock.now += 0.2
    assert not conduct.is_away("192.0.2.1")
    # What is over long ago does not count any more.
    conduct.flooded("192.0.2.1")
    clock.now += AWAY_SECONDS + 0.1
    assert not conduct.is_away("192.0.2.1")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.8"])
def test_all_of_loopback_is_one(conduct: Conduct, address: str) -> None:
    # Every program of this machine has all of them.
    conduct.flooded(address)
    for other in ("127.0.0.1", "127.0.0.2", "::1", "::ffff:127.9.9.9"):
        assert conduct.is_away(other)
    for other in ("128.0.0.1", "::2", "::ffff:192.0.2.1", "12.7.0.0"):
        assert not conduct.is_away(other)


def test_who_comes_and_goes_without_end_floods(conduct: Conduct, clock: Clock) -> None:
    for _ in range(round(VISITS_AT_ONCE)):
        conduct.came_and_went("192.0.2.1", 0)
    assert not conduct.is_away("192.0.2.1")
    conduct.came_and_went("192.0.2.2", 0)
    conduct.came_and_went("192.0.2.1", 0)
    assert conduct.is_away("192.0.2.1")
    assert not conduct.is_away("192.0.2.2")
    # That is one flood, and it begins anew after that.
    conduct.came_and_went("192.0.2.1", 0)
    clock.now += AWAY_SECONDS + 0.1
    for _ in range(round(VISITS_AT_ONCE)):
        conduct.came_and_went("192.0.2.1", 0)
    assert not conduct.is_away("192.0.2.1")


def test_as_many_in_a_longer_time_do_not(conduct: Conduct, clock: Clock) -> None:
    for _ in range(20):
        for _ in range(round(VISITS_AT_ONCE)):
            conduct.came_and_went("192.0.2.1", 0)
        assert not conduct.is_away("192.0.2.1")
        clock.now += VISITS_AT_ONCE / VISITS_A_SECOND + 0.1
    # Who was away for long has no more than that to its credit.
    clock.now += 10_000
    for _ in range(round(VISITS_AT_ONCE) + 1):
        conduct.came_and_went("192.0.2.1", 0)
    assert conduct.is_away("192.0.2.1")


def test_what_is_remembered_is_bounded(conduct: Conduct, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conduct_module, "ADDRESSES_AT_MOST", 50)
    for number in range(1000):
        conduct.flooded(f"2001:db8::{number:x}")
        conduct.came_and_went(f"2001:db8::{number:x}", 0)
        assert conduct.is_away(f"2001:db8::{number:x}")
    assert len(conduct._away_until) <= 50
    assert len(conduct._visits) <= 50


def test_thousands_that_end_at_once_are_one_flood(conduct: Conduct, clock: Clock) -> None:
    for _ in range(10 * round(VISITS_AT_ONCE)):
        conduct.came_and_went("192.0.2.1", 0)
    clock.now += AWAY_SECONDS + 0.1
    assert not conduct.is_away("192.0.2.1")


def test_a_visitor_that_sends_much_counts_more(conduct: Conduct, clock: Clock) -> None:
    much = round(VISIT_BYTES * VISITS_AT_ONCE / 2)
    conduct.came_and_went("192.0.2.1", much)
    conduct.came_and_went("192.0.2.2", much)
    assert not conduct.is_away("192.0.2.1")
    conduct.came_and_went("192.0.2.1", much)
    assert conduct.is_away("192.0.2.1")
    clock.now += VISITS_AT_ONCE / VISITS_A_SECOND
    conduct.came_and_went("192.0.2.2", much)
    assert not conduct.is_away("192.0.2.2")
