from __future__ import annotations

from collections.abc import Callable

import hypothesis
import pytest
from hypothesis import strategies as st

from freeswitch_zmq.module.subscriptions import Subscriptions
from freeswitch_zmq.wire import known_prefix

NAMES = ("API", "CHANNEL_ANSWER", "CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE")


def of(*prefixes: bytes) -> Subscriptions:
    subscriptions = Subscriptions()
    for prefix in prefixes:
        subscriptions.update(b"\x01" + prefix)
    return subscriptions


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        (b"", set(NAMES)),
        (b"{", set(NAMES)),
        (b'{"Event-Name":"', set(NAMES)),
        (b'{"Event-Name":"CHANNEL_', set(NAMES) - {"API"}),
        (b'{"Event-Name":"CHANNEL_HANGUP', {"CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE"}),
        (b'{"Event-Name":"CHANNEL_HANGUP"', {"CHANNEL_HANGUP"}),
        (b'{"Event-Name":"CHANNEL_HANGUP","Core-UUID":"a', {"CHANNEL_HANGUP"}),
        (b'{"Event-Name": "API"', set()),
        (b"CHANNEL_HANGUP", set()),
        (b'x"Event-Name":"API"y', set()),
        (b'{"Event-Name":"NO_SUCH_EVENT"', set()),
        (b"\x00\x01", set()),
    ],
)
def test_which_names_may_be_wanted_by_one_prefix(prefix: bytes, names: set[str]) -> None:
    subscriptions = of(prefix)
    assert {name for name in NAMES if subscriptions.may_want(known_prefix(name))} == names
    subscriptions.update(b"\x00" + prefix)
    assert not any(subscriptions.may_want(known_prefix(name)) for name in NAMES)
    assert not subscriptions.want(prefix)


def test_a_prefix_counts_once_and_what_is_no_subscription_not_at_all() -> None:
    subscriptions = of(b"a", b"a")
    for message in (b"", b"\x02b", b"b", b"\x00never", b"\xff"):
        subscriptions.update(message)
    assert len(subscriptions) == 1
    assert subscriptions.want(b"ab")
    assert not subscriptions.want(b"b")
    assert not subscriptions.want(b"")
    subscriptions.update(b"\x00a")
    assert len(subscriptions) == 0
    assert not subscriptions.want(b"ab")


def test_the_same_prefix_told_twice_goes_at_once() -> None:
    prefix = b'{"Event-Name":"API","a'
    subscriptions = of(prefix, prefix)
    subscriptions.update(b"\x00" + prefix)
    assert not subscriptions.may_want(known_prefix("API"))


def test_two_prefixes_in_one_name_are_counted_apart() -> None:
    first, second = b'{"Event-Name":"API","a', b'{"Event-Name":"API","b'
    subscriptions = of(first, second)
    subscriptions.update(b"\x00" + first)
    assert subscriptions.may_want(known_prefix("API"))
    subscriptions.update(b"\x00" + second)
    assert not subscriptions.may_want(known_prefix("API"))


_prefixes = st.one_of(
    st.binary(max_size=3),
    st.sampled_from(NAMES).flatmap(
        lambda name: st.integers(0, 60).map(lambda size: (known_prefix(name) + b',"x":"abcdefghijklmnopqrst"')[:size])
    ),
)


@hypothesis.given(st.lists(st.tuples(st.booleans(), _prefixes), max_size=20), st.sampled_from(NAMES), _prefixes)
def test_it_says_what_a_plain_search_says(steps: list[tuple[bool, bytes]], name: str, other: bytes) -> None:
    subscriptions = Subscriptions()
    plain: set[bytes] = set()
    change: dict[bool, Callable[[bytes], None]] = {True: plain.add, False: plain.discard}
    for coming, prefix in steps:
        subscriptions.update((b"\x01" if coming else b"\x00") + prefix)
        change[coming](prefix)
    assert len(subscriptions) == len(plain)
    message = known_prefix(name) + b',"x":"abcdefghijklmnopqrst","y":"z"}'
    for each in (message, other):
        assert subscriptions.want(each) is any(each.startswith(prefix) for prefix in plain)
    # Before the event is JSON: never a no to what will be wanted, nor a yes when only other names are.
    start = known_prefix(name)
    assert subscriptions.may_want(start) is any(
        start.startswith(prefix) or (prefix.startswith(start) and prefix.startswith(b'{"Event-Name":"'))
        for prefix in plain
    )
