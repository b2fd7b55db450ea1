"""EventConsumer: its queue, its pop, its order."""

from __future__ import annotations

import json

from tests.support.switch import Switch

from .probing import Probe, SeenEvent

DROPPED = "Cannot queue any more events....."


def fire(switch: Switch, subclass: str, number: int) -> None:
    switch.sendevent("CUSTOM", [("Event-Subclass", subclass), ("X-Number", str(number))])


def number(event: SeenEvent) -> str:
    (value,) = event.values("X-Number")
    return str(value)


def test_events_come_in_the_order_in_which_they_were_fired(switch: Switch, probe: Probe) -> None:
    with probe.consumer("CUSTOM", "contract::order") as consumer:
        for count in range(50):
            fire(switch, "contract::order", count)
        assert [number(consumer.take("contract::order")) for _ in range(50)] == [str(n) for n in range(50)]


def test_only_what_was_bound_comes(switch: Switch, probe: Probe) -> None:
    with probe.consumer("CUSTOM", "contract::bound") as consumer:
        fire(switch, "contract::other", 1)
        switch.sendevent("MESSAGE")
        fire(switch, "contract::bound", 2)
        assert [number(event) for event in consumer.take_all("contract::bound")] == ["2"]


def test_a_full_queue_drops_the_newest_and_logs_each(switch: Switch, probe: Probe) -> None:
    before = switch.log_text().count(DROPPED)
    with probe.consumer("CUSTOM", "contract::full", 5) as consumer:
        for count in range(8):
            fire(switch, "contract::full", count)
        switch.wait_log(DROPPED, before + 3)
        assert [number(event) for event in consumer.drain()] == ["0", "1", "2", "3", "4"]
        fire(switch, "contract::full", 9)
        assert number(consumer.take("contract::full")) == "9"
    assert switch.log_text().count(DROPPED) == before + 3


def test_pop_with_nothing_there(probe: Probe) -> None:
    with probe.consumer("CUSTOM", "contract::silence") as consumer:
        # Without a wait: it takes less than the time that it is not to wait for, on a machine that is busy too.
        none, _ = consumer.pop(0, 0)
        assert none
        none, seconds = consumer.pop(0, 30_000)
        assert none
        assert seconds < 10
        # Milliseconds, and not a thousand times as much.
        none, seconds = consumer.pop(1, 200)
        assert none
        assert 0.19 < seconds < 10


def test_pop_lets_other_threads_run(probe: Probe) -> None:
    with probe.consumer("CUSTOM", "contract::turns") as consumer:
        # It is another thread that fires what the pop waits for, after so many turns.
        answer = probe.call("probe_events", "pop_beside_thread", consumer.name, "contract::turns", 20, timeout=40)
    assert answer == {"none": False, "turns": 20}


def test_pop_without_a_timeout_waits_for_the_event(switch: Switch, probe: Probe) -> None:
    with probe.consumer("CUSTOM", "contract::wait") as consumer:
        with switch.esl() as esl:
            esl.events("json BACKGROUND_JOB")
            digits = json.dumps([consumer.name, 1, 0]).encode().hex()
            esl.bgapi(f"python probe_events timed_pop {digits}")
            assert esl.receive(0.3) is None
            fire(switch, "contract::wait", 1)
            job = esl.receive()
            assert job is not None
        assert '"none": false' in job.event()["_body"]


def test_after_cleanup_there_is_nothing(switch: Switch, probe: Probe) -> None:
    with probe.consumer("CUSTOM", "contract::cleanup") as consumer:
        fire(switch, "contract::cleanup", 1)
        consumer.take("contract::cleanup")
        fire(switch, "contract::cleanup", 2)
    assert consumer.after_cleanup == "None"


def test_an_event_name_that_is_none(switch: Switch, probe: Probe) -> None:
    with probe.consumer("NO_SUCH_EVENT") as consumer:
        switch.wait_log("Can't bind to NO_SUCH_EVENT, event not found")
        assert consumer.pop(0, 0)[0]
