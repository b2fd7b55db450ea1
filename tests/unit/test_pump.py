from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from freeswitch_zmq.errors import StartError
from freeswitch_zmq.module import events
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.events import Pump
from tests.support.module import Subscriber, sequences
from tests.support.waiting import wait_for
from tests.unit.configurations import local, publisher
from tests.unit.fake_freeswitch import FakeEvent, FakeSwitch, job_event
from tests.unit.stations import Station, held_up


@pytest.fixture
def station(switch: FakeSwitch) -> Iterator[Station]:
    station = Station(switch, publisher(*local()))
    yield station
    station.close()


@pytest.fixture
def subscriber(station: Station) -> Iterator[Subscriber]:
    with Subscriber(*station.addresses()) as subscriber:
        station.subscribed(subscriber)
        yield subscriber


def test_every_event_arrives_in_order(station: Station, subscriber: Subscriber) -> None:
    first = station.publication().publisher.accepted + 1
    station.switch.fire(*[FakeEvent("HEARTBEAT", [("Number", str(number))]) for number in range(5000)])
    found = [subscriber.event() for _ in range(5000)]
    assert [event["Number"] for event in found] == [str(number) for number in range(5000)]
    assert sequences(found) == list(range(first, first + 5000))
    assert station.at_rest().shed == 0


def test_a_burst_beyond_the_queue_is_shed_by_us_and_counted(switch: FakeSwitch) -> None:
    station = Station(switch, publisher(*local(queue_size=50)))
    with Subscriber(*station.addresses()) as subscriber:
        station.subscribed(subscriber)
        before = station.at_rest().accepted
        station.fire_at_once(*[FakeEvent("HEARTBEAT") for _ in range(5000)])
        station.at_rest()
        station.fire("CUSTOM", "end")
        found = sequences(subscriber.until(lambda event: event.get("Mark") == "end"))
        counted = station.at_rest()
        assert found == sorted(set(found))
        assert counted.accepted == before + 5001
        assert counted.shed > 0
        # The holes are what was shed, to the event.
        assert 5001 - len(found) == counted.shed
    station.close()
    assert "Cannot queue" not in str(switch.lines)


class Queued:
    """Stands for a publisher that has `queued` events, of which `takes` can go out."""

    def __init__(self, queued: int, takes: int) -> None:
        self.queued, self.takes = queued, takes
        self.sent: list[int] = []

    def send(self, most: int) -> int:
        left = min(most, self.queued, self.takes)
        self.queued -= left
        self.takes -= left
        self.sent.append(left)
        return left


@pytest.mark.parametrize(
    ("seconds", "takes", "sent", "behind"),
    [(0.0, 100, [32], False), (3600.0, 100, [32, 32, 32, 4], False), (3600.0, 40, [32, 8, 0], True)],
)
def test_a_round_sends_for_as_long_as_it_took(seconds: float, takes: int, sent: list[int], behind: bool) -> None:
    """So what was taken does not wait for what is just coming in; without time a round still sends some."""
    publisher = Queued(100, takes)
    pump = Pump(Commands(), lambda: None, lambda error: None)
    pump._publishers = (publisher,)  # type: ignore[assignment]
    assert pump._send(seconds) is behind
    assert publisher.sent == sent


def test_a_switch_that_has_more_and_more_is_taken_from_first(
    switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds: list[float] = []
    rounds = iter([(events.TAKE_AT_MOST, 0.5)] * 4 + [(7, 0.5)] + [(events.TAKE_AT_MOST, 0.5)] * 3)
    monkeypatch.setattr(events, "FULL_ROUNDS", 2)
    pump = Pump(Commands(), lambda: None, lambda error: None)

    def send(most: float) -> bool:
        seconds.append(most)
        pump.stopping = len(seconds) == 8
        return False

    monkeypatch.setattr(pump, "_take", lambda wait_ms, most: next(rounds))
    monkeypatch.setattr(pump, "_send", send)
    pump.run()
    assert seconds == [0.5, 0.5, 0.0, 0.0, 0.5, 0.5, 0.5, 0.0]


def test_nothing_is_serialized_for_nobody(station: Station) -> None:
    fired = [FakeEvent("HEARTBEAT") for _ in range(20)]
    station.switch.fire(*fired)
    publisher = station.at_rest()
    assert (publisher.accepted, publisher.skipped) == (20, 20)
    assert [event.serialized for event in fired] == [0] * 20


def test_the_modules_own_commands_are_no_news(station: Station, subscriber: Subscriber) -> None:
    station.switch.answers["fsctl"] = "+OK"
    before = station.at_rest().accepted
    assert station.running.commands.run("version").startswith("FreeSWITCH")
    assert station.running.commands.instant("fsctl threaded_system_exec") == "+OK"
    assert station.at_rest().accepted == before
    # The same of somebody else is, and so is a forged answer.
    station.switch.execute("version")
    station.switch.fire(job_event("00000000000000000000000000000000", "forged"))
    found = [subscriber.event(), subscriber.event()]
    assert [(event["Event-Name"], event.get("API-Command")) for event in found] == [
        ("API", "version"),
        ("BACKGROUND_JOB", None),
    ]
    assert sequences(found) == [before + 1, before + 2]


def test_an_event_that_breaks_is_reported_and_the_others_go_on(switch: FakeSwitch) -> None:
    station = Station(switch, publisher(*local()))
    with Subscriber(*station.addresses()) as subscriber:
        station.subscribed(subscriber)
        before = station.at_rest().accepted
        broken = FakeEvent("HEARTBEAT")
        broken.broken = RuntimeError("broken on purpose")
        switch.fire(FakeEvent("HEARTBEAT"), broken, FakeEvent("HEARTBEAT"))
        assert [int(subscriber.event()["ZMQ-Sequence"]) for _ in range(2)] == [before + 1, before + 3]
        assert station.at_rest().shed == 1
    station.close(faults=1)
    assert switch.texts("ERR")[0].startswith("the event pump met RuntimeError: broken on purpose (")


def test_subscriptions_that_break_cost_no_event(switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch) -> None:
    station = Station(switch, publisher(*local(), name="a"), publisher(*local(), name="b"))
    with Subscriber(*station.addresses("b")) as subscriber:
        station.subscribed(subscriber)
        before = station.at_rest("b").accepted
        broken = station.publication("a").publisher

        def fail() -> bool:
            raise RuntimeError("broken on purpose")

        monkeypatch.setattr(broken, "update_subscriptions", fail)
        switch.fire(*[FakeEvent("HEARTBEAT")] * 10)
        assert sequences(subscriber.event() for _ in range(10)) == list(range(before + 1, before + 11))
        monkeypatch.undo()
    faults = station.faults.count
    assert faults > 0
    station.close(faults)


def test_publishers_have_their_own_numbers(switch: FakeSwitch) -> None:
    station = Station(
        switch,
        publisher(*local(), name="all"),
        publisher(*local(event_filter="HEARTBEAT", framing="topic"), name="some"),
    )
    switch.fire(*[FakeEvent(name) for name in ("API", "HEARTBEAT", "API", "HEARTBEAT")])
    assert station.at_rest("all").accepted == 4
    assert station.at_rest("some").accepted == 2
    assert station.publication("all").publisher.epoch <= station.publication("some").publisher.epoch
    station.close()


def test_a_forged_shutdown_stops_nothing(station: Station, subscriber: Subscriber) -> None:
    station.fire("SHUTDOWN", "forged")
    assert subscriber.event()["Mark"] == "forged"
    station.fire("HEARTBEAT", "after")
    assert subscriber.event()["Mark"] == "after"
    assert station.shutdowns == 0


@pytest.mark.usefixtures("patient_flush")
def test_the_switchs_shutdown_goes_out_before_anything_stops(station: Station, subscriber: Subscriber) -> None:
    station.switch.is_running = False
    station.fire("HEARTBEAT", "before")
    station.fire("SHUTDOWN", "true")
    wait_for(lambda: station.shutdowns, "the shutdown to be told")
    assert [subscriber.event()["Mark"] for _ in range(2)] == ["before", "true"]
    assert station.shutdowns == 1


def test_the_shutdown_goes_out_though_thousands_stand_before_it(station: Station, subscriber: Subscriber) -> None:
    text = "x" * 2000
    station.switch.is_running = False
    station.switch.fire(*[FakeEvent("HEARTBEAT", [("Text", text)]) for _ in range(20_000)])
    station.fire("SHUTDOWN", "true")
    started = time.process_time()
    wait_for(lambda: station.shutdowns, "the shutdown to be told")
    assert time.process_time() - started < 2.0  # of the processor: what others do on the machine is not in it
    found = subscriber.until(lambda event: event["Event-Name"] == "SHUTDOWN")
    publisher = station.at_rest()
    assert publisher.accepted - publisher.skipped - publisher.shed == publisher.published
    assert int(found[-1]["ZMQ-Sequence"]) == publisher.accepted


@pytest.mark.usefixtures("patient_flush")
def test_the_shutdown_is_told_though_an_event_before_it_breaks(switch: FakeSwitch) -> None:
    station = Station(switch, publisher(*local()))
    with Subscriber(*station.addresses()) as subscriber:
        station.subscribed(subscriber)
        switch.is_running = False
        broken = FakeEvent("HEARTBEAT")
        broken.broken = RuntimeError("broken on purpose")
        switch.fire(broken, FakeEvent("SHUTDOWN"))
        wait_for(lambda: station.shutdowns, "the shutdown to be told")
        assert subscriber.event()["Event-Name"] == "SHUTDOWN"
        assert station.at_rest().shed == 1
    station.close(faults=1)


# Calls from other threads.


@pytest.fixture
def pump(switch: FakeSwitch) -> Iterator[Pump]:
    errors: list[BaseException] = []
    pump = Pump(Commands(), lambda: None, errors.append)
    pump.start()
    yield pump
    assert pump.stop()
    assert errors == []
    assert switch.consumers == []


def test_a_call_runs_in_the_pumps_thread_and_brings_its_result(pump: Pump) -> None:
    assert pump.call(threading.current_thread).name == "event_zmq pump"
    assert pump.call(lambda: None) is None


def test_a_call_brings_its_error(pump: Pump) -> None:
    def fail() -> None:
        raise KeyError("no")

    with pytest.raises(KeyError, match="no"):
        pump.call(fail)
    assert pump.call(lambda: "still there") == "still there"


def test_a_call_that_does_not_come_to_its_turn_says_so(pump: Pump) -> None:
    with held_up(pump), pytest.raises(StartError) as caught:
        pump.call(lambda: None, timeout=0.02)
    assert str(caught.value) == ("the event pump did not answer within 0.02 s; see the log for what it is doing")


def test_calls_go_through_between_events(station: Station) -> None:
    stop = threading.Event()

    def flood() -> None:
        [consumer] = station.switch.consumers
        while not stop.is_set():
            if consumer.waiting < 10_000:  # else the pump stands still, and the switch's queue would overflow
                station.switch.fire(*[FakeEvent("HEARTBEAT")] * 10)
            else:
                time.sleep(0.001)

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        for number in range(20):
            assert station.running.pump.call(partial(abs, -number), timeout=20.0) == number
    finally:
        stop.set()
        flooding.join()


def test_the_consumer_is_long_enough_and_is_closed_by_who_made_it(switch: FakeSwitch) -> None:
    pump = Pump(Commands(), lambda: None, lambda error: None)
    pump.start()
    [consumer] = switch.consumers
    assert consumer._length == events.CONSUMER_LENGTH
    assert pump.stop()
    assert consumer.closed
