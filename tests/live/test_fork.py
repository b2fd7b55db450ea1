"""`system` on a real FreeSWITCH that runs the module: no fork, no crash, no event lost."""

from __future__ import annotations

from tests.conftest import SwitchFactory
from tests.support.module import Module, Subscriber, configuration, sequences, ticks


def test_system_commands_of_all_kinds_under_load(live_switch_factory: SwitchFactory) -> None:
    module = Module(live_switch_factory(event_zmq_xml=configuration()))
    module.start()
    switch = module.switch
    with Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(switch)
        switch.api("bgapi evgen 10000 60 1000")
        for _ in range(70):
            assert switch.api("system echo done") == "done\n"
            assert switch.api("bg_system /bin/true").startswith("+OK")
            assert switch.api("originate loopback/1000 &system(/bin/true)").startswith("+OK")
        events = subscriber.until(lambda event: event.get("Bench-Seq") == "9999", timeout=60)
    numbers = sequences(events)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(ticks(events)) == 10_000
    assert switch.running
    assert module.status()["errors"] == 0
