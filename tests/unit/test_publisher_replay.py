"""A publisher with a ring: every event that it accepts is held, whoever wants it, and each is accounted for."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import zmq
from hypothesis import strategies as st

from freeswitch_zmq.errors import NotHeld
from freeswitch_zmq.module import publisher as publisher_module
from freeswitch_zmq.module.link import Link
from freeswitch_zmq.module.publisher import Publisher, TakenEvent
from freeswitch_zmq.module.ring import Ring
from tests.unit.configurations import publisher_config
from tests.unit.conftest import end_context
from tests.unit.fake_freeswitch import FakeEvent
from tests.unit.publishing import Bench, Context, balance, offer, received, received_json, send_all, sequences


@pytest.fixture
def bench(context: Context) -> Iterator[Bench]:
    with Bench(context) as bench:
        yield bench


def ring_of(publisher: Publisher) -> Ring:
    assert publisher.ring is not None
    return publisher.ring


def held(publisher: Publisher) -> list[dict[str, Any]]:
    """All events in its ring."""
    ring = ring_of(publisher)
    page = ring.page(ring.oldest, None, None, 100_000)
    assert page.next is None
    return [json.loads(message) for message in page.events]


def test_without_replay_there_is_no_ring(bench: Bench) -> None:
    assert bench.publisher().ring is None
    assert bench.publisher(replay_mb=0, replay_events=5).ring is None


def test_what_nobody_wants_is_held(bench: Bench) -> None:
    publisher = bench.publisher(replay_mb=1)
    offer(publisher, "API", "HEARTBEAT", "API")
    assert (publisher.queued, publisher.skipped, ring_of(publisher).count) == (3, 0, 0)
    assert publisher.send(32) == 3
    assert [
        (event["Event-Name"], event["ZMQ-Epoch"], event["ZMQ-Sequence"], event["ZMQ-Name-Sequence"])
        for event in held(publisher)
    ] == [
        ("API", str(publisher.epoch), "1", "1"),
        ("HEARTBEAT", str(publisher.epoch), "2", "1"),
        ("API", str(publisher.epoch), "3", "2"),
    ]
    assert balance(publisher) == (3, 0, 3, 0)


def test_what_is_held_is_what_was_sent(bench: Bench) -> None:
    publisher = bench.publisher(replay_mb=1)
    subscriber = bench.subscriber(publisher, b'{"Event-Name":"API"')
    offer(publisher, "API", "HEARTBEAT", FakeEvent("API", [("x", "ü\udce9")]), "CHANNEL_ANSWER")
    send_all(publisher)
    ring = ring_of(publisher)
    assert ring.page(1, None, ["API"], 10).events == [message for [message] in received(subscriber)]
    assert sequences(held(publisher)) == [1, 2, 3, 4]
    assert balance(publisher) == (4, 2, 2, 0)


def test_one_that_has_an_event_finds_all_that_came_before_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = bench.publisher(replay_mb=1)
    subscriber = bench.subscriber(publisher, b'{"Event-Name":"HEARTBEAT"')
    hand_over = Link.send

    def send(link: Link, topic: bytes | None, message: bytes) -> bool:
        sequence = int(json.loads(message)["ZMQ-Sequence"])
        assert sequences(held(publisher))[:sequence] == list(range(1, sequence + 1))
        return hand_over(link, topic, message)

    monkeypatch.setattr(Link, "send", send)
    for _ in range(20):
        offer(publisher, "API", "API", "HEARTBEAT", "API")
        publisher.send(3)
    send_all(publisher)
    assert sequences(received_json(subscriber)) == list(range(3, 81, 4))
    assert balance(publisher) == (80, 20, 60, 0)


def test_the_filters_come_first(bench: Bench) -> None:
    publisher = bench.publisher(replay_mb=1, event_filter="API", header_filter="x = 1")
    event = FakeEvent("HEARTBEAT", [("x", "1")])
    offer(publisher, event, "API", FakeEvent("API", [("x", "1")]))
    send_all(publisher)
    assert sequences(held(publisher)) == [1]
    assert event.serialized == 0


def test_what_was_shed_is_not_held(bench: Bench) -> None:
    publisher = bench.publisher(replay_mb=1, queue_size=5)
    offer(publisher, *["API"] * 20)
    assert (publisher.queued, publisher.shed) == (5, 15)
    send_all(publisher)
    offer(publisher, "API")
    send_all(publisher)
    assert sequences(held(publisher)) == [1, 2, 3, 4, 5, 21]
    assert balance(publisher) == (21, 0, 6, 15)


def test_the_queue_is_bounded_whether_somebody_subscribed_or_not(bench: Bench) -> None:
    publisher = bench.publisher(replay_mb=1, queue_size=3)
    bench.subscriber(publisher, b'{"Event-Name":"API"')
    offer(publisher, "HEARTBEAT", "API", "HEARTBEAT", "API", "HEARTBEAT")
    assert (publisher.queued, publisher.shed) == (3, 2)
    offer(publisher, "SHUTDOWN", last=True)
    send_all(publisher)
    assert sequences(held(publisher)) == [1, 2, 3, 6]
    assert balance(publisher) == (6, 1, 3, 2)


def test_what_is_given_up_at_a_stop_is_shed(bench: Bench) -> None:
    publisher = bench.publisher(replay_mb=1)
    offer(publisher, *["API"] * 5)
    publisher.send(2)
    publisher.shed_queue(keep=1)
    send_all(publisher)
    assert sequences(held(publisher)) == [1, 2, 5]
    assert balance(publisher) == (5, 0, 3, 2)


def test_an_event_that_breaks_is_not_held_and_those_behind_it_are(bench: Bench) -> None:
    publisher = bench.publisher(replay_mb=1)
    broken = FakeEvent("API")
    broken.broken = ValueError("broken")
    offer(publisher, "API", broken, "API")
    with pytest.raises(ValueError, match="broken"):
        publisher.send(32)
    send_all(publisher)
    assert sequences(held(publisher)) == [1, 3]
    assert balance(publisher) == (3, 0, 2, 1)


@pytest.mark.parametrize("prefix", [None, b"HEART", b""])
def test_in_topic_framing_the_json_is_held(bench: Bench, prefix: bytes | None) -> None:
    publisher = bench.publisher(framing="topic", replay_mb=1)
    subscriber = bench.subscriber(publisher, *[prefix] if prefix is not None else [b'{"Event-Name":"'])
    offer(publisher, "API", FakeEvent("HEARTBEAT", [("Unique-ID", "u")]))
    send_all(publisher)
    came = [topic for topic, _ in received(subscriber)]
    assert came == {None: [], b"HEART": [b"HEARTBEAT.u"], b"": [b"API", b"HEARTBEAT.u"]}[prefix]
    assert [(event["Event-Name"], event["ZMQ-Sequence"]) for event in held(publisher)] == [
        ("API", "1"),
        ("HEARTBEAT", "2"),
    ]
    assert balance(publisher) == (2, len(came), 2 - len(came), 0)


@pytest.mark.parametrize("framing", ["single", "topic"])
def test_one_that_subscribes_later_gets_what_comes_then(bench: Bench, framing: str) -> None:
    publisher = bench.publisher(framing=framing, replay_mb=1)
    offer(publisher, "API", "API")
    subscriber = bench.subscriber(publisher)
    offer(publisher, "API")
    send_all(publisher)
    messages = received(subscriber)
    assert {len(frames) for frames in messages} == {1 if framing == "single" else 2}
    assert [json.loads(frames[-1])["ZMQ-Sequence"] for frames in messages] == ["3"]
    assert sequences(held(publisher)) == [1, 2, 3]
    assert balance(publisher) == (3, 1, 2, 0)


def test_only_the_fields_are_held(bench: Bench) -> None:
    publisher = bench.publisher(fields="x", replay_mb=1)
    offer(publisher, FakeEvent("API", [("x", "1"), ("y", "2")]))
    send_all(publisher)
    [event] = held(publisher)
    assert list(event) == ["Event-Name", "x", "ZMQ-Epoch", "ZMQ-Sequence", "ZMQ-Name-Sequence"]


def test_an_event_is_serialized_once_for_the_ring_and_others(bench: Bench) -> None:
    publishers = [bench.publisher(replay_mb=1), bench.publisher(), bench.publisher(replay_mb=1, fields="x")]
    subscriber = bench.subscriber(publishers[1])
    event = FakeEvent("API")
    gone = weakref.ref(event)
    taken = TakenEvent(event, "API")
    for publisher in publishers:
        publisher.offer(taken)
    for publisher in publishers:
        publisher.send(1)
    assert event.serialized == 1
    del event, taken
    assert gone() is None
    assert sequences(received_json(subscriber)) == [1]
    assert [sequences(held(publishers[number])) for number in (0, 2)] == [[1], [1]]


def test_the_newest_are_held_when_it_is_full(bench: Bench) -> None:
    by_count = bench.publisher(replay_mb=1, replay_events=7)
    by_size = bench.publisher(replay_mb=1)
    for publisher in (by_count, by_size):
        offer(publisher, *[FakeEvent("API", [("x", "y" * 10_000)])] * 200)
        send_all(publisher)
        assert balance(publisher) == (200, 0, 200, 0)
    assert sequences(held(by_count)) == list(range(194, 201))
    ring = ring_of(by_size)
    assert 950_000 < ring.bytes <= publisher_module.MEGABYTE == 1_000_000
    assert sequences([json.loads(each) for each in ring.page(ring.oldest, None, None, 100).events]) == list(
        range(ring.oldest, 201)
    )


# A change of the configuration.


def test_a_reload_keeps_what_fits_and_numbers_go_on(bench: Bench) -> None:
    publisher = bench.publisher(replay_mb=1, replay_events=10)
    offer(publisher, *["API"] * 20)
    send_all(publisher)
    ring = ring_of(publisher)
    publisher.configure(publisher_config(replay_mb=2, replay_events=12))
    assert publisher.ring is ring
    offer(publisher, *["API"] * 5)
    send_all(publisher)
    assert sequences(held(publisher)) == list(range(14, 26))
    publisher.configure(publisher_config(replay_mb=1, replay_events=3))
    assert sequences(held(publisher)) == [23, 24, 25]
    publisher.configure(publisher_config(replay_mb=1, replay_events=3, event_filter="HEARTBEAT"))
    offer(publisher, "API", "HEARTBEAT")
    send_all(publisher)
    assert sequences(held(publisher)) == [24, 25, 26]
    assert balance(publisher) == (26, 0, 26, 0)


def test_without_replay_at_a_reload_nothing_is_held_any_more(bench: Bench) -> None:
    publisher = bench.publisher(replay_mb=1)
    offer(publisher, "API", "API")
    publisher.send(1)
    publisher.configure(publisher_config())
    event = FakeEvent("API")
    offer(publisher, event)
    send_all(publisher)
    assert publisher.ring is None
    assert event.serialized == 0
    assert balance(publisher) == (3, 0, 3, 0)


def test_with_replay_from_a_reload_on_it_begins_with_the_next(bench: Bench) -> None:
    publisher = bench.publisher()
    some = bench.subscriber(publisher, b'{"Event-Name":"HEARTBEAT"')
    offer(publisher, "HEARTBEAT", "API", "HEARTBEAT")
    publisher.configure(publisher_config(replay_mb=1))
    ring = ring_of(publisher)
    assert (ring.oldest, ring.newest) == (4, 3)
    # Those two are queued still; the one between them is gone, so that from there on it would not be whole.
    offer(publisher, "API")
    send_all(publisher)
    assert sequences(received_json(some)) == [1, 3]
    assert sequences(held(publisher)) == [4]
    with pytest.raises(NotHeld):
        ring.page(3, None, None, 10)
    assert balance(publisher) == (4, 2, 2, 0)


@hypothesis.settings(max_examples=40)
@hypothesis.given(
    st.lists(
        st.tuples(st.sampled_from(("none", "some", "all", "replay")), st.integers(0, 30), st.integers(1, 32)),
        max_size=20,
    ),
    st.integers(1, 40),
    st.sampled_from(("single", "topic")),
)
def test_whoever_comes_and_goes_what_is_not_held_was_shed(
    rounds: list[tuple[str, int, int]], size: int, framing: str
) -> None:
    context: Context = zmq.Context()
    with Bench(context) as bench:
        publisher = bench.publisher(queue_size=size, framing=framing, replay_mb=1)
        player = bench.player(publisher, b"nothing")
        found: list[int] = []
        everything, some = b"", b'{"Event-Name":"API"' if framing == "single" else b"API"
        for who, coming, going in rounds:
            if who == "replay":
                publisher.configure(publisher_config(queue_size=size, framing=framing, replay_mb=1 + coming % 3))
            for prefix, subscribed in ((everything, who == "all"), (some, who == "some")):
                (player.subscribe if subscribed else player.unsubscribe)(prefix)
            player.update(publisher)
            offer(publisher, *["API", "HEARTBEAT"] * coming)
            publisher.send(going)
            found += sequences(received_json(player.socket))
            assert set(found) <= set(sequences(held(publisher)))
            balance(publisher)
        send_all(publisher)
        found += sequences(received_json(player.socket))
        numbers = sequences(held(publisher))
        assert found == sorted(set(found))
        assert numbers == sorted(set(numbers))
        assert set(found) <= set(numbers) <= set(range(1, publisher.accepted + 1))
        assert balance(publisher) == (
            publisher.accepted,
            len(found),
            len(numbers) - len(found),
            publisher.accepted - len(numbers),
        )
    end_context(context)
