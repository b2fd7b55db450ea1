"""When nobody reads as fast as events come: nothing is lost that is not counted, and never a part of a message."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest
import zmq
from hypothesis import stateful
from hypothesis import strategies as st

from freeswitch_zmq.module.link import INPROC_HWM
from tests.unit.configurations import publisher_config
from tests.unit.conftest import end_context
from tests.unit.fake_freeswitch import FakeEvent
from tests.unit.publishing import (
    Bench,
    Context,
    Player,
    balance,
    offer,
    received,
    received_json,
    send_all,
    sequences,
)


@pytest.fixture
def bench(context: Context) -> Iterator[Bench]:
    with Bench(context) as bench:
        yield bench


@pytest.mark.parametrize("framing", ["single", "topic"])
def test_when_nobody_reads_events_wait_and_then_go_on_without_loss(bench: Bench, framing: str) -> None:
    publisher = bench.publisher(framing=framing)
    reader = bench.subscriber(publisher, hwm=INPROC_HWM)  # as a proxy thread has it
    offer(publisher, *["API"] * 5000)
    send_all(publisher)
    full = publisher.published
    assert INPROC_HWM <= full <= 3 * INPROC_HWM
    assert publisher.queued == 5000 - full
    assert publisher.send(32) == 0
    balance(publisher)
    messages = []
    while publisher.queued or reader.poll(0):
        messages += received(reader)
        send_all(publisher)
    assert {len(frames) for frames in messages} == {1 if framing == "single" else 2}
    assert [b'"ZMQ-Sequence":"%d"' % number in frames[-1] for number, frames in enumerate(messages, 1)] == [True] * 5000
    assert balance(publisher) == (5000, 5000, 0, 0)


def test_when_nobody_reads_what_is_beyond_the_queue_is_shed_exactly(bench: Bench) -> None:
    publisher = bench.publisher(queue_size=100)
    reader = bench.subscriber(publisher, hwm=INPROC_HWM)
    for _ in range(5000):
        offer(publisher, "API")
        publisher.send(32)
    full = publisher.published
    assert publisher.queued == 100
    assert balance(publisher) == (5000, full, 0, 5000 - full - 100)
    events = received_json(reader)
    send_all(publisher)
    offer(publisher, "API")
    send_all(publisher)
    events += received_json(reader)
    found = sequences(events)
    assert found == [*range(1, full + 101), 5001]
    assert 5001 - len(found) == publisher.shed
    balance(publisher)


def test_one_that_does_not_read_holds_up_but_costs_nothing(bench: Bench) -> None:
    publisher = bench.publisher(queue_size=10_000)
    slow = bench.player(publisher, hwm=INPROC_HWM)
    quick = bench.subscriber(publisher)
    offer(publisher, *["API"] * 4000)
    send_all(publisher)
    assert publisher.queued
    before = sequences(received_json(quick))
    slow_events = sequences(received_json(slow.socket))
    # Whoever took the one that the other could not take is not given it again.
    assert slow_events == list(range(1, publisher.published + 1))
    assert before[: len(slow_events)] == slow_events
    assert len(before) <= len(slow_events) + 1
    slow.end()
    while publisher.queued:
        send_all(publisher)
    assert before + sequences(received_json(quick)) == list(range(1, 4001))


@pytest.mark.parametrize("slow_first", [True, False])
def test_one_that_is_behind_makes_nobody_get_anything_twice(bench: Bench, slow_first: bool) -> None:
    publisher = bench.publisher(framing="topic")
    players = [bench.player(publisher, hwm=hwm) for hwm in ((1, 0, 50) if slow_first else (0, 50, 1))]
    found: list[list[bytes]] = [[] for _ in players]
    offer(publisher, *["API"] * 3000)
    while publisher.queued:
        send_all(publisher)
        for player, messages in zip(players, found):
            # Not all of them at once, so that now this one and now that one is behind.
            for _ in range(250 if player is players[0] else 400):
                if player.socket.poll(0):
                    messages.append(player.socket.recv_multipart()[-1])
    for player, messages in zip(players, found):
        messages += [frames[-1] for frames in received(player.socket)]
    assert [b'"ZMQ-Sequence":"%d"' % number in message for number, message in enumerate(found[0], 1)] == [True] * 3000
    assert found[0] == found[1] == found[2]
    assert balance(publisher) == (3000, 3000, 0, 0)


def test_one_that_comes_while_the_pipe_is_full_sees_whole_messages(bench: Bench) -> None:
    publisher = bench.publisher(framing="topic")
    slow = bench.subscriber(publisher, hwm=1)
    offer(publisher, *["API"] * 2000)
    send_all(publisher)
    assert publisher.queued
    late = bench.subscriber(publisher)
    found = []
    while publisher.queued:
        found += received(slow)
        send_all(publisher)
    assert {len(frames) for frames in found} == {2}
    assert {len(frames) for frames in received(late)} == {2}
    assert publisher.published == 2000


def test_the_newest_is_kept_though_it_is_ready_to_go_out(bench: Bench) -> None:
    publisher = bench.publisher()
    reader = bench.subscriber(publisher, hwm=1)
    offer(publisher, *["API"] * 1100)
    send_all(publisher)
    offer(publisher, "SHUTDOWN", last=True)
    publisher.send(1100)
    assert publisher.queued == 100
    publisher.shed_queue(keep=1)
    assert publisher.queued == 1
    received(reader)
    publisher.send(1)
    assert [event["Event-Name"] for event in received_json(reader)] == ["SHUTDOWN"]


_NAMES = ("API", "HEARTBEAT", "CHANNEL_ANSWER", "CUSTOM")
_PREFIXES = (b"", b'{"Event-Name":"A', b'{"Event-Name":"HEARTBEAT"', b'{"Event-Name":"API","x":"1', b"nothing")


class OnPurpose(Exception):
    """What a broken event raises."""


class PublisherMachine(stateful.RuleBasedStateMachine):
    """Anything in any order: numbers have no gap, and every event is accounted for, once, at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.context: Context = zmq.Context()
        self.bench = Bench(self.context)
        self.publisher = self.bench.publisher(queue_size=7)
        # One that gets everything and reads, one that wants this and that, one that hardly reads.
        self.everything = self.bench.player(self.publisher)
        self.some = self.bench.player(self.publisher, b"nothing at all")
        self.slow: Player | None = None
        self.found: list[int] = []
        self.names: dict[str, int] = {}
        self.taken = 0

    def read(self) -> None:
        for event in received_json(self.everything.socket):
            self.found.append(int(event["ZMQ-Sequence"]))

    @stateful.rule(names=st.lists(st.sampled_from(_NAMES), max_size=12), last=st.booleans())
    def offer(self, names: list[str], last: bool) -> None:
        for name in names:
            before = self.publisher.accepted
            offer(self.publisher, FakeEvent(name, [("x", "12")]), last=last)
            taken = self.publisher.accepted - before
            assert taken == int(
                name in self.publisher.config.event_filter or "ALL" in self.publisher.config.event_filter
            )
            self.taken += taken

    @stateful.rule()
    def offer_one_that_breaks(self) -> None:
        broken = FakeEvent("API")
        broken.broken = OnPurpose()
        offer(self.publisher, broken)
        self.taken = self.publisher.accepted

    @stateful.rule(most=st.integers(1, 32))
    def send(self, most: int) -> None:
        queued = self.publisher.queued
        try:
            left = self.publisher.send(most)
        except OnPurpose:
            left = 0
        assert 0 <= left <= queued

    @stateful.rule(prefix=st.sampled_from(_PREFIXES), coming=st.booleans())
    def subscribe(self, prefix: bytes, coming: bool) -> None:
        if coming:
            self.some.subscribe(prefix)
        else:
            self.some.unsubscribe(prefix)

    @stateful.rule(everybody=st.booleans())
    def go_and_come(self, everybody: bool) -> None:
        if everybody:
            self.everything.subscribe(b"")
        else:
            self.everything.unsubscribe(b"")

    @stateful.rule()
    def update(self) -> None:
        for player in (self.everything, self.some):
            player.forward()
        self.publisher.update_subscriptions()

    @stateful.rule()
    def come_slow(self) -> None:
        if self.slow is None:
            self.slow = self.bench.player(self.publisher, hwm=1)

    @stateful.rule(ended=st.booleans())
    def go_slow(self, ended: bool) -> None:
        slow, self.slow = self.slow, None
        if slow is not None:
            if ended:  # at first only its thread
                slow.end()
            else:
                self.publisher.close_link(slow.link)

    @stateful.rule()
    def read_some(self) -> None:
        received(self.some.socket)
        if self.slow is not None:
            received(self.slow.socket)
        self.read()

    @stateful.rule(size=st.integers(1, 20), names=st.sampled_from(("ALL", "API", "HEARTBEAT,CUSTOM")))
    def configure(self, size: int, names: str) -> None:
        self.publisher.configure(publisher_config(queue_size=size, event_filter=names))

    @stateful.rule(keep=st.integers(0, 3))
    def give_up(self, keep: int) -> None:
        self.publisher.shed_queue(keep)
        assert self.publisher.queued <= keep

    @stateful.invariant()
    def it_comes_out_even(self) -> None:
        assert balance(self.publisher)[0] == self.taken

    @stateful.invariant()
    def what_arrives_is_what_was_published_in_order(self) -> None:
        self.read()
        assert self.found == sorted(set(self.found))
        assert len(self.found) <= self.publisher.published
        assert not self.found or self.found[-1] <= self.publisher.accepted

    def teardown(self) -> None:
        self.bench.close()
        # At rest.
        assert balance(self.publisher)[0] == self.taken
        assert self.publisher.queued == 0
        end_context(self.context)


TestAnythingInAnyOrder = PublisherMachine.TestCase
TestAnythingInAnyOrder.settings = hypothesis.settings(max_examples=30, stateful_step_count=30)


@hypothesis.settings(max_examples=25)
@hypothesis.given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 32)), max_size=25), st.integers(1, 50))
def test_the_holes_that_a_subscriber_sees_are_what_was_shed(rounds: list[tuple[int, int]], size: int) -> None:
    context: Context = zmq.Context()
    with Bench(context) as bench:
        publisher = bench.publisher(queue_size=size)
        subscriber = bench.subscriber(publisher)
        for coming, going in rounds:
            offer(publisher, *["API"] * coming)
            publisher.send(going)
        send_all(publisher)
        found = sequences(received_json(subscriber))
        assert found == sorted(set(found))
        assert set(found) <= set(range(1, publisher.accepted + 1))
        assert publisher.accepted - len(found) == publisher.shed
        assert publisher.published == len(found)
        balance(publisher)
    end_context(context)
