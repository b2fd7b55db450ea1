"""What subscribers get, on the stand-in and on the live switch."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.conftest import SwitchFactory
from tests.support.module import Module, Subscriber, configuration, publisher, sequences, ticks
from tests.support.ports import free_port
from tests.switch.conftest import ModuleFactory


def test_call_events_are_json_that_begins_with_the_name(module: Module) -> None:
    with Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(module.switch)
        module.switch.api("originate loopback/1000 &park()")
        for _ in range(40):
            raw = subscriber.raw()
            event = json.loads(raw)
            assert raw.startswith(f'{{"Event-Name":"{event["Event-Name"]}"'.encode())
            assert raw.count(b'"Event-Name":') == 1
            assert list(event)[-3:] == ["ZMQ-Epoch", "ZMQ-Sequence", "ZMQ-Name-Sequence"]
            assert all(isinstance(value, (str, list)) for value in event.values())


@pytest.mark.parametrize(("count", "headers"), [(20_000, 60), (80_000, 15)])
def test_a_burst_arrives_whole(module: Module, count: int, headers: int) -> None:
    with Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(module.switch)
        module.switch.api(f"bgapi evgen {count} {headers} 0")
        events = subscriber.until(lambda event: event.get("Bench-Seq") == str(count - 1), timeout=60)
        numbers = sequences(events)
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert [event["Bench-Seq"] for event in ticks(events)] == [str(number) for number in range(count)]
    assert module.at_rest()["shed"] == 0


def test_a_subscriber_may_be_there_before_the_switch_and_outlive_it(switch_factory: SwitchFactory) -> None:
    switch = switch_factory(start=False, startup_script=True)
    port = free_port()
    switch.write_config(configuration(publisher(bind=f"tcp://127.0.0.1:{port}")))
    with Subscriber(f"tcp://127.0.0.1:{port}") as subscriber:
        epochs = set()
        for _ in range(2):
            switch.start()
            subscriber.subscribed(switch)
            switch.sendevent("CUSTOM", [("Event-Subclass", "test::here")])
            (*_, event) = subscriber.until(lambda event: event.get("Event-Subclass") == "test::here")
            epochs.add(event["ZMQ-Epoch"])
            assert switch.stop() == 0
            subscriber.until(lambda event: event["Event-Name"] == "SHUTDOWN")
            while subscriber.socket.poll(100):
                subscriber.frames()
        assert len(epochs) == 2


def test_prefixes_filter_at_the_switch(module: Module) -> None:
    switch = module.switch
    before = module.publisher()
    with Subscriber(module.endpoint(), prefixes=[b'{"Event-Name":"CUSTOM"']) as subscriber:
        subscriber.subscribed(switch)
        switch.sendevent("HEARTBEAT", [("X", "1")])
        switch.sendevent("CUSTOM", [("Event-Subclass", "test::one")])
        event = subscriber.event()
        assert event["Event-Subclass"] == "test::one"
        assert module.publisher()["skipped"] > before["skipped"]
    module.wait(module.publisher, lambda now: now["subscriptions"] == 0)
    at_rest = module.at_rest()
    switch.sendevent("CUSTOM", [("Event-Subclass", "test::two")])
    module.wait(module.publisher, lambda now: now["accepted"] > at_rest["accepted"])
    assert module.at_rest()["published"] == at_rest["published"]


def test_a_gap_in_one_name_can_be_seen(module: Module) -> None:
    switch = module.switch
    with Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(switch)
        for name in ("MESSAGE", "TRAP", "MESSAGE"):  # no event that the switch itself sends
            switch.sendevent(name, [("Mine", "yes")])
        mine = [event for event in subscriber.until(lambda event: event.get("Mine") == "yes") if "Mine" in event]
        mine += [subscriber.until(lambda event: event.get("Mine") == "yes")[-1] for _ in range(2)]
        first, trap, second = mine
        assert int(second["ZMQ-Name-Sequence"]) == int(first["ZMQ-Name-Sequence"]) + 1
        assert trap["ZMQ-Name-Sequence"] == "1"


def test_framing_topic_and_several_publishers_and_endpoints(module_factory: ModuleFactory, tmp_path: Path) -> None:
    xml = configuration(
        publisher(("bind", f"ipc://{tmp_path}/events"), ("event-exclude", "API")),
        publisher(("framing", "topic"), ("event-filter", "test::*"), ("fields", "Kept-*,mark"), name="topics"),
    )
    module = module_factory(xml)
    switch = module.switch
    headers = [("Event-Subclass", "test::a.b c"), ("Kept-One", "1"), ("Dropped", "2"), ("Unique-ID", "u-1")]
    prefix = b"CUSTOM.test::a%2Eb+c.u-1"
    with (
        Subscriber(module.endpoint(), module.endpoint(number=1)) as both,
        Subscriber(module.endpoint("topics"), prefixes=[b"CUSTOM.test::mark", prefix]) as topics,
    ):
        module.wait(module.publisher, lambda now: now["subscriptions"] == 2)  # one at each endpoint
        topics.subscribed(switch)
        switch.sendevent("CUSTOM", headers)
        topic, message = topics.frames()
        event = json.loads(message)
        assert topic == prefix
        assert set(event) == {"Event-Name", "Kept-One", "ZMQ-Epoch", "ZMQ-Sequence", "ZMQ-Name-Sequence"}
        for _ in range(2):
            both.until(lambda event: event.get("Dropped") == "2")
        while both.socket.poll(200):
            assert "Dropped" not in both.event()


def test_own_commands_are_no_news(module: Module) -> None:
    switch = module.switch
    with Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(switch)
        assert module.command("reload").startswith("+OK")
        switch.api("fsctl threaded_system_exec")
        switch.sendevent("CUSTOM", [("Event-Subclass", "test::end")])
        events = subscriber.until(lambda event: event.get("Event-Subclass") == "test::end")
        seen = [
            f"{event['API-Command']} {event.get('API-Command-Argument')}" for event in events if "API-Command" in event
        ]
        # Ours were reloadxml, xml_locate and fsctl; of the one that was asked by somebody else there is news.
        assert sorted(seen) == ["fsctl threaded_system_exec", "python event_zmq reload"]
        assert not [event for event in events if event["Event-Name"] == "BACKGROUND_JOB"]


def test_shedding_adds_up_to_the_event(module_factory: ModuleFactory) -> None:
    module = module_factory(configuration(publisher(("queue-size", "50"))))
    switch = module.switch
    with Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(switch)
        before = module.at_rest()
        assert before["shed"] == 0
        began = time.monotonic()
        fired = 0
        # On a busy machine the switch may fire more slowly than the module takes what it fires.
        while not fired or (module.at_rest()["shed"] == 0 and fired < 100_000):
            switch.api("evgen 20000 60 0", timeout=60)
            fired += 20_000
            module.wait_accepted(before["accepted"] + fired)
        module.at_rest()  # so that there is room for the last one
        switch.sendevent("CUSTOM", [("Event-Subclass", "test::end")])
        events = subscriber.until(lambda event: event.get("Event-Subclass") == "test::end", timeout=60)
        after = module.at_rest()
        numbers = sequences(events)
        assert numbers == sorted(numbers)
        holes = numbers[-1] - numbers[0] + 1 - len(numbers)
        assert holes == after["shed"] > 0
        log = module.wait_log('publisher "default" shed')
        assert "Cannot queue" not in log
        assert log.count('publisher "default" shed') <= 1 + (time.monotonic() - began) / 10
