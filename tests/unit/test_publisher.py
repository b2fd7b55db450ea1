from __future__ import annotations

import json
import time
import weakref
from collections.abc import Iterator

import pytest

from freeswitch_zmq.module.link import REPORTS_A_ROUND
from freeswitch_zmq.module.publisher import TakenEvent
from tests.unit.configurations import publisher_config
from tests.unit.fake_freeswitch import FakeEvent
from tests.unit.publishing import Bench, Context, balance, offer, received, received_json, send_all, sequences


@pytest.fixture
def bench(context: Context) -> Iterator[Bench]:
    with Bench(context) as bench:
        yield bench


def test_numbers_from_one_on_and_for_each_name_too(bench: Bench) -> None:
    publisher = bench.publisher()
    subscriber = bench.subscriber(publisher)
    offer(publisher, "API", "HEARTBEAT", "API", "API", "HEARTBEAT")
    send_all(publisher)
    assert [
        (event["Event-Name"], event["ZMQ-Epoch"], event["ZMQ-Sequence"], event["ZMQ-Name-Sequence"])
        for event in received_json(subscriber)
    ] == [
        ("API", str(publisher.epoch), "1", "1"),
        ("HEARTBEAT", str(publisher.epoch), "2", "1"),
        ("API", str(publisher.epoch), "3", "2"),
        ("API", str(publisher.epoch), "4", "3"),
        ("HEARTBEAT", str(publisher.epoch), "5", "2"),
    ]
    assert balance(publisher) == (5, 5, 0, 0)


def test_the_epoch_is_the_time_of_the_start_in_microseconds(bench: Bench) -> None:
    before = time.time()
    publisher = bench.publisher()
    assert before <= publisher.epoch / 1e6 + 1e-5
    assert publisher.epoch / 1e6 <= time.time()


def test_a_number_is_given_when_nobody_listens_too(bench: Bench) -> None:
    publisher = bench.publisher()
    offer(publisher, "API", "API")
    subscriber = bench.subscriber(publisher)
    offer(publisher, "API")
    send_all(publisher)
    assert sequences(received_json(subscriber)) == [3]
    assert balance(publisher) == (3, 1, 2, 0)


def test_no_number_for_what_the_filters_leave_out(bench: Bench) -> None:
    publisher = bench.publisher(event_filter="CHANNEL_*,x::y", event_exclude="CHANNEL_STATE", header_filter="A = b")
    subscriber = bench.subscriber(publisher)
    good: list[tuple[str, str]] = [("A", "b")]
    offer(
        publisher,
        FakeEvent("CHANNEL_ANSWER", good),
        FakeEvent("CHANNEL_STATE", good),
        FakeEvent("HEARTBEAT", good),
        FakeEvent("CHANNEL_ANSWER"),
        FakeEvent("CHANNEL_ANSWER", [("a", "b")]),
        FakeEvent("CUSTOM", good, subclass="x::y"),
        FakeEvent("CUSTOM", good, subclass="x::z"),
        FakeEvent("CUSTOM", good),
    )
    send_all(publisher)
    events = received_json(subscriber)
    assert sequences(events) == [1, 2, 3]
    assert [event["Event-Name"] for event in events] == ["CHANNEL_ANSWER", "CHANNEL_ANSWER", "CUSTOM"]
    assert balance(publisher) == (3, 3, 0, 0)


def test_every_header_filter_must_hold_and_a_missing_header_is_empty(bench: Bench) -> None:
    publisher = bench.publisher(header_filter=["A != b", "C ~ ^$", "Event-Name !~ ^HEART"])
    offer(
        publisher,
        FakeEvent("API"),
        FakeEvent("API", [("A", "b")]),
        FakeEvent("API", [("C", "d")]),
        FakeEvent("API", [("A", "x"), ("C", "")]),
        FakeEvent("HEARTBEAT"),
    )
    assert publisher.accepted == 2


def test_a_header_filter_sees_the_true_name(bench: Bench) -> None:
    publisher = bench.publisher(header_filter="Event-Name = MESSAGE")
    forged = FakeEvent("MESSAGE")
    forged.headers.insert(0, ("Event-Name", "SHUTDOWN"))
    offer(publisher, forged)
    assert publisher.accepted == 1


def test_not_a_byte_is_serialized_for_what_nobody_wants(bench: Bench) -> None:
    publisher = bench.publisher()
    event = FakeEvent("API")
    offer(publisher, event)
    bench.subscriber(publisher, b'{"Event-Name":"HEARTBEAT"', b'{"Event-Name":"API_', b"API")
    offer(publisher, event)
    send_all(publisher)
    assert event.serialized == 0
    assert balance(publisher) == (2, 0, 2, 0)


def test_an_event_is_serialized_once_however_many_publishers_and_subscribers(bench: Bench) -> None:
    publishers = [bench.publisher(fields="x"), bench.publisher(), bench.publisher(framing="topic")]
    subscribers = [bench.subscriber(publisher) for publisher in publishers for _ in range(2)]
    event = FakeEvent("API", [("x", "1"), ("y", "2")])
    taken = TakenEvent(event, "API")
    for publisher in publishers:
        publisher.offer(taken)
    for publisher in publishers:
        publisher.send(1)
    assert event.serialized == 1
    found = [list(received_json(subscriber)[0]) for subscriber in subscribers]
    own = ["ZMQ-Epoch", "ZMQ-Sequence", "ZMQ-Name-Sequence"]
    assert found == [["Event-Name", "x", *own]] * 2 + [["Event-Name", "x", "y", *own]] * 4


def test_the_switchs_copy_is_given_back_as_soon_as_one_made_json_of_it(bench: Bench) -> None:
    publishers = [bench.publisher(), bench.publisher()]
    subscribers = [bench.subscriber(publisher) for publisher in publishers]
    event = FakeEvent("API")
    gone = weakref.ref(event)
    taken = TakenEvent(event, "API")
    for publisher in publishers:
        publisher.offer(taken)
    del event, taken
    assert gone() is not None
    publishers[0].send(1)
    # It waits for the other publisher, as text: half as large.
    assert publishers[1].queued == 1
    assert gone() is None
    publishers[1].send(1)
    assert [sequences(received_json(subscriber)) for subscriber in subscribers] == [[1], [1]]


def test_a_prefix_beyond_the_name_is_decided_by_the_json(bench: Bench) -> None:
    publisher = bench.publisher()
    subscriber = bench.subscriber(publisher, b'{"Event-Name":"API","x":"1')
    offer(publisher, FakeEvent("API", [("x", "1")]), FakeEvent("API", [("x", "2")]), FakeEvent("API", [("x", "12")]))
    send_all(publisher)
    assert [event["x"] for event in received_json(subscriber)] == ["1", "12"]
    assert balance(publisher) == (3, 2, 1, 0)


def test_single_framing_is_one_frame(bench: Bench) -> None:
    publisher = bench.publisher()
    subscriber = bench.subscriber(publisher)
    offer(publisher, "API")
    send_all(publisher)
    [[message]] = received(subscriber)
    assert message.startswith(b'{"Event-Name":"API",')


def test_topic_framing_is_the_topic_and_the_json(bench: Bench) -> None:
    publisher = bench.publisher(framing="topic")
    everything = bench.subscriber(publisher)
    some = bench.subscriber(publisher, b"CUSTOM.sofia::")
    register = FakeEvent("CUSTOM", [("Unique-ID", "u.1")], subclass="sofia::register")
    offer(publisher, register, "HEARTBEAT")
    send_all(publisher)
    assert [topic for topic, _ in received(some)] == [b"CUSTOM.sofia::register.u%2E1"]
    assert [(topic, json.loads(message)["Event-Name"]) for topic, message in received(everything)] == [
        (b"CUSTOM.sofia::register.u%2E1", "CUSTOM"),
        (b"HEARTBEAT", "HEARTBEAT"),
    ]


def test_in_topic_framing_too_nothing_is_serialized_for_nobody(bench: Bench) -> None:
    publisher = bench.publisher(framing="topic", format_fields="#fs1,Event-Name")
    bench.subscriber(publisher, b"fs1.HEART", b'{"Event-Name":"API"')
    event = FakeEvent("API")
    offer(publisher, event)
    send_all(publisher)
    assert event.serialized == 0
    assert balance(publisher) == (1, 0, 1, 0)


def test_a_full_queue_sheds_exactly_what_is_beyond_it(bench: Bench) -> None:
    publisher = bench.publisher(queue_size=5)
    subscriber = bench.subscriber(publisher)
    offer(publisher, *["API"] * 20)
    assert (publisher.queued, publisher.shed) == (5, 15)
    send_all(publisher)
    offer(publisher, "API")
    send_all(publisher)
    # The hole that a subscriber sees is what was shed.
    assert sequences(received_json(subscriber)) == [1, 2, 3, 4, 5, 21]
    assert balance(publisher) == (21, 6, 0, 15)


def test_what_nobody_wants_takes_no_place_in_the_queue(bench: Bench) -> None:
    publisher = bench.publisher(queue_size=1)
    bench.subscriber(publisher, b'{"Event-Name":"API"')
    offer(publisher, "HEARTBEAT", "API", "HEARTBEAT", "API")
    assert (publisher.queued, publisher.skipped, publisher.shed) == (1, 2, 1)


def test_the_switchs_shutdown_is_never_shed(bench: Bench) -> None:
    publisher = bench.publisher(queue_size=1)
    subscriber = bench.subscriber(publisher)
    offer(publisher, "API", "API", "SHUTDOWN")
    offer(publisher, "SHUTDOWN", last=True)
    send_all(publisher)
    assert sequences(received_json(subscriber)) == [1, 4]
    assert balance(publisher) == (4, 2, 0, 2)


def test_an_event_that_breaks_is_shed_and_those_behind_it_go_on(bench: Bench) -> None:
    publisher = bench.publisher()
    subscriber = bench.subscriber(publisher)
    broken = FakeEvent("API")
    broken.broken = ValueError("broken")
    offer(publisher, "API", broken, "API")
    with pytest.raises(ValueError, match="broken"):
        publisher.send(32)
    send_all(publisher)
    assert sequences(received_json(subscriber)) == [1, 3]
    assert balance(publisher) == (3, 2, 0, 1)


def test_a_subscriber_that_went_meanwhile_is_not_waited_for(bench: Bench) -> None:
    publisher = bench.publisher()
    player = bench.player(publisher)
    event = FakeEvent("API")
    offer(publisher, event, event)
    publisher.send(1)
    player.unsubscribe(b"")
    player.update(publisher)
    assert publisher.subscriptions == 0
    send_all(publisher)
    assert balance(publisher) == (2, 1, 1, 0)
    assert sequences(received_json(player.socket)) == [1]


# Several endpoints.


def test_each_endpoint_gets_what_its_subscribers_want(bench: Bench) -> None:
    publisher = bench.publisher()
    everything = bench.subscriber(publisher)
    some = bench.subscriber(publisher, b'{"Event-Name":"HEARTBEAT"', b'{"Event-Name":"API","x":"1')
    nothing = bench.subscriber(publisher, b"nothing")
    offer(publisher, "HEARTBEAT", FakeEvent("API", [("x", "1")]), FakeEvent("API", [("x", "2")]), "SHUTDOWN")
    send_all(publisher)
    assert sequences(received_json(everything)) == [1, 2, 3, 4]
    assert sequences(received_json(some)) == [1, 2]
    assert received(nothing) == []
    # An event counts once, however many endpoints got it.
    assert balance(publisher) == (4, 4, 0, 0)


def test_the_subscriptions_of_all_endpoints_are_added_up(bench: Bench) -> None:
    publisher = bench.publisher()
    assert publisher.subscriptions == 0
    one, other = bench.player(publisher, b"a", b"b"), bench.player(publisher, b"b")
    assert publisher.subscriptions == 3
    other.end()
    assert publisher.subscriptions == 2
    publisher.close_link(one.link)
    assert publisher.subscriptions == 0


def test_an_endpoint_that_has_ended_holds_up_nobody(bench: Bench) -> None:
    publisher = bench.publisher()
    ended, stays = bench.player(publisher, hwm=1), bench.player(publisher)
    offer(publisher, *["API"] * 3000)
    send_all(publisher)
    assert publisher.queued  # the first takes no more
    ended.end()
    send_all(publisher)
    assert balance(publisher) == (3000, 3000, 0, 0)
    assert sequences(received_json(stays.socket)) == list(range(1, 3001))
    # What comes now is for the other alone.
    offer(publisher, "API")
    send_all(publisher)
    assert sequences(received_json(stays.socket)) == [3001]


def test_what_only_an_endpoint_wanted_that_has_ended_is_skipped(bench: Bench) -> None:
    publisher = bench.publisher()
    bench.player(publisher).end()
    event = FakeEvent("API")
    offer(publisher, event)
    send_all(publisher)
    assert balance(publisher) == (1, 0, 1, 0)


def test_nothing_goes_to_an_endpoint_that_was_closed(bench: Bench) -> None:
    publisher = bench.publisher()
    one, other = bench.player(publisher), bench.player(publisher)
    offer(publisher, "API", "API")
    publisher.send(1)
    publisher.close_link(one.link)
    send_all(publisher)
    assert sequences(received_json(one.socket)) == [1]
    assert sequences(received_json(other.socket)) == [1, 2]
    publisher.close_link(one.link)  # harmless
    offer(publisher, "API")
    send_all(publisher)
    assert sequences(received_json(other.socket)) == [3]


def test_one_that_comes_later_gets_what_is_made_ready_from_then_on(bench: Bench) -> None:
    publisher = bench.publisher()
    first = bench.subscriber(publisher)
    offer(publisher, "API", "API")
    publisher.send(1)
    late = bench.subscriber(publisher)
    offer(publisher, "API")
    send_all(publisher)
    assert sequences(received_json(first)) == [1, 2, 3]
    assert sequences(received_json(late)) == [2, 3]


def test_a_round_reads_only_so_many_subscriptions_of_each_endpoint(bench: Bench) -> None:
    publisher = bench.publisher()
    players = [bench.player(publisher, b"x") for _ in range(2)]
    for player in players:
        for number in range(REPORTS_A_ROUND + 1):
            player.subscribe(b"%d" % number)
        player.forward()
    assert publisher.update_subscriptions()
    assert publisher.subscriptions == 2 * (REPORTS_A_ROUND + 1)
    assert not publisher.update_subscriptions()
    assert publisher.subscriptions == 2 * (REPORTS_A_ROUND + 2)


def test_other_settings_count_at_once_and_numbers_go_on(bench: Bench) -> None:
    publisher = bench.publisher(queue_size=10)
    subscriber = bench.subscriber(publisher)
    epoch = publisher.epoch
    offer(publisher, "API", "API", "HEARTBEAT")
    publisher.configure(publisher_config(event_filter="HEARTBEAT", queue_size=1, fields="x"))
    offer(publisher, "API", "HEARTBEAT")
    send_all(publisher)
    offer(publisher, FakeEvent("HEARTBEAT", [("x", "1"), ("y", "2")]))
    send_all(publisher)
    events = received_json(subscriber)
    assert [(event["ZMQ-Sequence"], event["ZMQ-Name-Sequence"]) for event in events] == [
        ("1", "1"),
        ("2", "2"),
        ("3", "1"),
        ("5", "3"),
    ]
    assert {event["ZMQ-Epoch"] for event in events} == {str(epoch)}
    assert "y" not in events[-1]
    assert balance(publisher) == (5, 4, 0, 1)


def test_what_was_queued_keeps_its_framing_at_a_change(bench: Bench) -> None:
    publisher = bench.publisher()
    subscriber = bench.subscriber(publisher)
    offer(publisher, "API")
    publisher.configure(publisher_config(framing="topic"))
    offer(publisher, "API")
    send_all(publisher)
    publisher.configure(publisher_config())
    offer(publisher, "API")
    send_all(publisher)
    assert [len(frames) for frames in received(subscriber)] == [1, 2, 1]


def test_a_queue_can_be_given_up_but_for_the_newest(bench: Bench) -> None:
    publisher = bench.publisher()
    subscriber = bench.subscriber(publisher)
    offer(publisher, *["API"] * 5)
    publisher.shed_queue(keep=2)
    assert (publisher.queued, publisher.shed) == (2, 3)
    send_all(publisher)
    assert sequences(received_json(subscriber)) == [4, 5]
    offer(publisher, "API")
    publisher.shed_queue()
    assert balance(publisher) == (6, 2, 0, 4)


def test_closing_counts_what_was_queued_and_what_was_sent_still_arrives(bench: Bench) -> None:
    publisher = bench.publisher()
    subscriber = bench.subscriber(publisher)
    offer(publisher, "API", "API")
    publisher.send(1)
    publisher.close()
    assert balance(publisher) == (2, 1, 0, 1)
    assert sequences(received_json(subscriber)) == [1]
