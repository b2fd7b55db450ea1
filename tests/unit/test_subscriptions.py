from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import hypothesis
import pytest
import zmq
from hypothesis import stateful
from hypothesis import strategies as st

from freeswitch_zmq.module import subscriptions as subscriptions_module
from freeswitch_zmq.module.subscriptions import CHECKED_AT_ONCE, CHECKED_LENGTH, OVERHEAD
from freeswitch_zmq.wire import known_prefix
from tests.unit.conftest import end_context
from tests.unit.field import Field
from tests.unit.publishing import Context, Socket

NAMES = ("API", "CHANNEL_ANSWER", "CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE")


@pytest.fixture
def field(context: Context) -> Iterator[Field]:
    with Field(context) as field:
        yield field


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
def test_which_names_may_be_wanted_by_one_prefix(field: Field, prefix: bytes, names: set[str]) -> None:
    peer = field.honest(prefix)
    field.settle()
    assert {name for name in NAMES if field.subscriptions.may_want(known_prefix(name))} == names
    peer.unsubscribe(prefix)
    field.settle()
    assert not any(field.subscriptions.may_want(known_prefix(name)) for name in NAMES)
    assert not field.subscriptions.want(prefix)


def test_a_prefix_counts_once_and_what_is_no_subscription_not_at_all(field: Field) -> None:
    raw = field.raw()
    for message in (b"\x01a", b"\x01a", b"", b"\x02b", b"b", b"\x00never", b"\xff"):
        raw.send(message)
    field.settle()
    assert len(field.subscriptions) == 1
    assert field.subscriptions.want(b"ab")
    assert not field.subscriptions.want(b"b")
    assert not field.subscriptions.want(b"")
    # What was never wanted need not be checked.
    assert field.checks == 0
    raw.send(b"\x00a")
    field.settle()
    assert len(field.subscriptions) == 0
    assert not field.subscriptions.want(b"ab")


def test_the_same_prefix_told_twice_goes_at_once() -> None:
    # An XPUB socket that says more than ours does (XPUB_VERBOSE) must not make it count.
    subscriptions = subscriptions_module.Subscriptions()
    for _ in range(2):
        assert not subscriptions.update(b"\x01p")
    assert (len(subscriptions), subscriptions.size) == (1, 1 + OVERHEAD)


def test_two_prefixes_in_one_name_are_counted_apart(field: Field) -> None:
    first, second = b'{"Event-Name":"API","a', b'{"Event-Name":"API","b'
    peer = field.honest(first, second)
    field.settle()
    for prefix, left in ((first, True), (second, False)):
        peer.unsubscribe(prefix)
        field.settle()
        assert field.subscriptions.may_want(known_prefix("API")) is left


def test_the_size_is_that_of_the_prefixes_and_what_each_costs(field: Field) -> None:
    assert field.subscriptions.size == 0
    peer, other = field.honest(b"", b"abc"), field.honest(b"abc", b"x" * 2000)
    field.settle()
    assert field.subscriptions.size == 3 + 2000 + 3 * OVERHEAD
    field.leave(peer)
    field.settle()
    assert field.subscriptions.size == 3 + 2000 + 2 * OVERHEAD
    field.leave(other)
    field.settle()
    assert field.subscriptions.size == 0


# What is believed gone.


def test_what_the_last_one_takes_back_is_gone_after_one_check(field: Field) -> None:
    one, other = field.honest(b"p"), field.honest(b"p")
    field.settle()
    one.unsubscribe(b"p")
    field.settle()
    assert field.wanted(b"p")
    assert field.checks == 0  # XPUB does not even tell
    other.unsubscribe(b"p")
    field.read()
    assert field.wanted(b"p")  # until it was checked
    field.settle()
    assert not field.wanted(b"p")
    assert field.checks == 1


def test_what_one_had_that_went_away_is_gone(field: Field) -> None:
    one, other = field.honest(b"p", b"q"), field.honest(b"q", b"r")
    field.settle()
    field.leave(one)
    field.settle()
    assert field.wanted(b"p", b"q", b"r") == {b"q", b"r"}
    field.leave(other)
    field.settle()
    assert len(field.subscriptions) == 0


def test_what_is_gone_can_come_again(field: Field) -> None:
    peer = field.honest()
    for _ in range(3):
        peer.subscribe(b"p")
        field.settle()
        assert field.wanted(b"p")
        peer.unsubscribe(b"p")
        field.settle()
        assert not field.wanted(b"p")


def test_nobody_cuts_off_others_by_taking_back_what_is_theirs(field: Field) -> None:
    honest = field.honest(b"", b"p")
    forging = field.raw()
    field.settle()
    for message in (b"\x00", b"\x00p", b"\x00p"):
        forging.send(message)
        field.settle()
        assert field.wanted(b"", b"p") == {b"", b"p"}
    assert field.checks == 3
    honest.unsubscribe(b"p")
    honest.unsubscribe(b"")
    field.settle()
    assert len(field.subscriptions) == 0


def test_many_forgeries_in_a_row_are_not_as_many_checks(field: Field) -> None:
    field.honest(b"p")
    forging = field.raw()
    field.settle()
    for _ in range(5000):
        forging.send(b"\x00p")
    field.settle()
    assert field.checks <= 2
    assert field.wanted(b"p")
    assert len(field.subscriptions) == 1


def test_one_that_comes_and_forges_at_once_does_not_help(field: Field) -> None:
    field.honest(b"p")
    forging = field.raw()
    field.settle()
    for frames in ([b"\x01p", b"\x00p", b"\x00p"], [b"\x00p", b"\x01p"], [b"x", b"\x00p"], [b"\x00p", b"x", b"\x00p"]):
        forging.send_multipart(frames)
        forging.send_multipart(frames)
        field.settle()
        assert field.wanted(b"p"), frames
    field.leave(forging)
    field.settle()
    assert field.wanted(b"p")


@pytest.mark.parametrize("after", [b"\x00p", b"\x00"], ids=["of it", "of another"])
def test_one_that_comes_while_a_check_is_on_its_way_is_not_lost(field: Field, after: bytes) -> None:
    forging = field.raw()
    forging.send(b"\x01p")
    forging.send(b"\x00p")
    field.read()
    assert len(field.held) == 1
    # XPUB tells of both in the words of a check that found nobody, and then comes the check.
    honest = field.honest(b"p")
    field.xpub.poll(0)
    forging.send(after)
    field.xpub.poll(0)
    field.settle()
    assert field.wanted(b"p")
    honest.unsubscribe(b"p")
    field.settle()
    assert not field.wanted(b"p")


@pytest.mark.parametrize("read_between", [False, True])
def test_one_that_comes_before_or_after_the_check_is_believed(field: Field, read_between: bool) -> None:
    first, before, after = field.honest(b"p"), field.honest(), field.honest()
    field.settle()
    first.unsubscribe(b"p")
    field.read()
    before.subscribe(b"p")
    if read_between:
        field.read()
    field.send_checks()
    field.settle()
    assert field.wanted(b"p")
    before.unsubscribe(b"p")
    field.read()
    field.send_checks()
    after.subscribe(b"p")
    if read_between:
        field.read()
    field.settle()
    assert field.wanted(b"p")
    assert len(field.subscriptions) == 1


def test_what_goes_while_its_check_is_on_its_way_goes(field: Field) -> None:
    first, second = field.honest(b"p"), field.honest()
    field.settle()
    first.unsubscribe(b"p")
    field.read()
    second.subscribe(b"p")
    field.read()
    field.send_checks()
    second.unsubscribe(b"p")
    field.settle()
    assert not field.wanted(b"p")


def test_what_goes_twice_before_it_was_checked_is_counted_once(field: Field) -> None:
    peer, other = field.honest(b"p"), field.honest()
    field.settle()
    for _ in range(3):
        peer.unsubscribe(b"p")
        field.read()
        peer.subscribe(b"p")
        field.read()
    peer.unsubscribe(b"p")
    field.settle()
    assert (len(field.subscriptions), field.subscriptions.size) == (0, 0)
    # Prefixes of that length are still looked for.
    other.subscribe(b"q")
    field.settle()
    assert field.wanted(b"q")
    assert field.subscriptions.size == 1 + OVERHEAD


@pytest.mark.parametrize("length", [0, 1, CHECKED_LENGTH, CHECKED_LENGTH + 1, 60_000])
def test_only_so_long_a_prefix_is_checked(field: Field, length: int) -> None:
    prefix = b"x" * length
    peer = field.honest(prefix)
    field.settle()
    assert field.wanted(prefix)
    peer.unsubscribe(prefix)
    field.settle()
    assert not field.wanted(prefix)
    assert field.checks == (length <= CHECKED_LENGTH)
    assert field.subscriptions.size == 0


def test_a_check_asks_for_only_so_many_and_all_come_to_their_turn(field: Field) -> None:
    prefixes = [b"%d" % number for number in range(CHECKED_AT_ONCE + 500)]
    stays, goes = field.honest(*prefixes[::3]), field.honest(*prefixes)
    field.settle()
    field.leave(goes)
    # And forgeries of those that stay.
    forging = field.raw()
    for prefix in prefixes[::3]:
        forging.send(b"\x00" + prefix)
    field.read()
    longest = 0
    while field.held:
        # One is on its way at a time, so what is awaited is bounded.
        assert len(field.held) == 1
        longest = max(longest, len(field.held[0]))
        field.send_checks()
        field.read()
    assert 2 * CHECKED_AT_ONCE < longest < 2 * CHECKED_AT_ONCE + 10
    assert len(field.subscriptions) == len(prefixes[::3])
    assert field.subscriptions.size == sum(len(prefix) + OVERHEAD for prefix in prefixes[::3])
    field.leave(stays)
    field.settle()
    assert (len(field.subscriptions), field.subscriptions.size) == (0, 0)


def test_what_a_check_leaves_behind_is_no_subscription(field: Field) -> None:
    peer = field.honest(b"p")
    field.settle()
    peer.unsubscribe(b"p")
    field.read()
    [check] = field.held
    field.settle()
    # Neither with XPUB nor here.
    for frame in check:
        assert not field.subscriptions.want(frame[1:])
        assert not field.reaches_the_probe(frame[1:])
    assert field.subscriptions.size == 0


def test_no_two_checks_have_the_same_secret(field: Field) -> None:
    peer, seen = field.honest(), set()
    for _ in range(50):
        peer.subscribe(b"p")
        field.settle()
        peer.unsubscribe(b"p")
        field.read()
        seen.add(tuple(field.held[0]))
        field.settle()
    assert len(seen) == 50


def test_the_words_of_an_old_check_end_no_other(field: Field) -> None:
    honest, forging = field.honest(b"p"), field.raw()
    field.settle()
    forging.send(b"\x00p")
    field.read()
    old = list(field.held[0])
    field.settle()
    forging.send(b"\x00p")
    field.read()
    for frame in old:
        forging.send(frame)
    forging.send_multipart(old)
    field.settle()
    assert field.wanted(b"p")
    field.leave(honest)
    field.settle()
    field.leave(forging)
    field.settle()
    assert len(field.subscriptions) == 0


_prefixes = st.one_of(
    st.binary(max_size=3),
    st.sampled_from(NAMES).flatmap(
        lambda name: st.integers(0, 60).map(lambda size: (known_prefix(name) + b',"x":"abcdefghijklmnopqrst"')[:size])
    ),
)


@hypothesis.given(st.lists(st.tuples(st.booleans(), _prefixes), max_size=20), st.sampled_from(NAMES), _prefixes)
def test_it_says_what_a_plain_search_says(steps: list[tuple[bool, bytes]], name: str, other: bytes) -> None:
    plain: set[bytes] = set()
    context: Context = zmq.Context()
    with Field(context) as field:
        raw = field.raw()
        for coming, prefix in steps:
            raw.send((b"\x01" if coming else b"\x00") + prefix)
            (plain.add if coming else plain.discard)(prefix)
        field.settle()
        subscriptions = field.subscriptions
    end_context(context)
    assert (len(subscriptions), subscriptions.size) == (len(plain), sum(len(prefix) + OVERHEAD for prefix in plain))
    message = known_prefix(name) + b',"x":"abcdefghijklmnopqrst","y":"z"}'
    for each in (message, other):
        assert subscriptions.want(each) is any(each.startswith(prefix) for prefix in plain)
    # Before the event is JSON: never a no to what will be wanted, nor a yes when only other names are.
    start = known_prefix(name)
    assert subscriptions.may_want(start) is any(
        start.startswith(prefix) or (prefix.startswith(start) and prefix.startswith(b'{"Event-Name":"'))
        for prefix in plain
    )


_few = st.sampled_from((b"", b"a", b"ab", b"b", b'{"Event-Name":"API"', b'{"Event-Name":"API","x'))


class HonestMachine(stateful.RuleBasedStateMachine):
    """SUB sockets that come, go and change their minds, while reports and checks are at any stage of their way."""

    def __init__(self) -> None:
        super().__init__()
        self.context: Context = zmq.Context()
        self.field = Field(self.context)
        self.peers: list[Socket | None] = [None] * 3
        self.have: list[Counter[bytes]] = [Counter() for _ in self.peers]

    def had(self) -> set[bytes]:
        """What the peers really have."""
        return {prefix for each in self.have for prefix in +each}

    @stateful.rule(number=st.integers(0, 2), prefix=_few)
    def subscribe(self, number: int, prefix: bytes) -> None:
        peer = self.peers[number] = self.peers[number] or self.field.honest()
        peer.subscribe(prefix)
        self.have[number][prefix] += 1

    @stateful.rule(number=st.integers(0, 2), prefix=_few)
    def unsubscribe(self, number: int, prefix: bytes) -> None:
        peer = self.peers[number]
        if peer is not None:
            peer.unsubscribe(prefix)
            self.have[number][prefix] = max(self.have[number][prefix] - 1, 0)

    @stateful.rule(number=st.integers(0, 2))
    def leave(self, number: int) -> None:
        peer, self.peers[number] = self.peers[number], None
        if peer is not None:
            self.field.leave(peer)
        self.have[number].clear()

    @stateful.rule(most=st.integers(0, 5))
    def read(self, most: int) -> None:
        self.field.read(most)

    @stateful.rule(most=st.integers(1, 3))
    def send_checks(self, most: int) -> None:
        self.field.send_checks(most)

    @stateful.rule()
    def settle(self) -> None:
        self.field.settle()
        self.compare()

    def compare(self) -> None:
        """Everything is told and checked."""
        had, believed = self.had(), self.field.subscriptions
        assert (len(believed), believed.size) == (len(had), sum(len(prefix) + OVERHEAD for prefix in had))
        for message in (b"", b"a", b"abc", b"bc", b'{"Event-Name":"API"', b'{"Event-Name":"API","x":"1"}'):
            assert believed.want(message) is any(message.startswith(prefix) for prefix in had)

    def teardown(self) -> None:
        try:
            self.settle()
            for number in range(len(self.peers)):
                self.leave(number)
            self.settle()
        finally:
            self.field.close()
            end_context(self.context)


class ForgingMachine(HonestMachine):
    """The same, while others send what they like."""

    def __init__(self) -> None:
        super().__init__()
        self.forging: list[Socket | None] = [None] * 2
        self.forged: list[set[bytes]] = [set() for _ in self.forging]

    def had(self) -> set[bytes]:
        return super().had().union(*self.forged)

    @stateful.rule(
        number=st.integers(0, 1),
        messages=st.lists(
            st.lists(
                st.one_of(
                    st.tuples(st.sampled_from((b"\x00", b"\x00", b"\x01")), _few).map(b"".join),
                    st.sampled_from((b"", b"x", b"\x02a")),
                ),
                min_size=1,
                max_size=3,
            ),
            min_size=1,
            max_size=4,
        ),
    )
    def forge(self, number: int, messages: list[list[bytes]]) -> None:
        peer = self.forging[number] = self.forging[number] or self.field.raw()
        for frames in messages:
            peer.send_multipart(frames)
        for frame in itertools.chain.from_iterable(messages):
            if frame[:1] == b"\x01":
                self.forged[number].add(frame[1:])
            elif frame[:1] == b"\x00":
                self.forged[number].discard(frame[1:])

    @stateful.rule(number=st.integers(0, 1))
    def forging_one_leaves(self, number: int) -> None:
        peer, self.forging[number] = self.forging[number], None
        if peer is not None:
            self.field.leave(peer)
        self.forged[number].clear()

    def compare(self) -> None:
        """Nobody is cut off."""
        for prefix in self.had():
            assert self.field.subscriptions.want(prefix)
        assert len(self.field.subscriptions) >= len(self.had())


TestHonestPeers = HonestMachine.TestCase
TestHonestPeers.settings = hypothesis.settings(max_examples=60, stateful_step_count=40)
TestForgingPeers = ForgingMachine.TestCase
TestForgingPeers.settings = hypothesis.settings(max_examples=60, stateful_step_count=40)
