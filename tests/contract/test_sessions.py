"""A script on a call."""

from __future__ import annotations

import time

from tests.support.switch import Switch

from .probing import Probe


def run(switch: Switch, probe: Probe, *steps: str) -> list[str]:
    """What the steps of probe_session gave on a call of their own."""
    script = "loopback/python-probe_session/default"
    switch.api(f"originate {{python_args='{' '.join(steps)}'}}{script} &park()")
    noted = probe.wait_calls(len(steps) + 1)
    assert [note["step"] for note in noted] == [*steps, "done"], noted
    return [note["result"] for note in noted[:-1]]


def test_answer(switch: Switch, probe: Probe) -> None:
    assert run(switch, probe, "ready", "answer", "ready") == ["True", "1", "True"]


def test_variables(switch: Switch, probe: Probe) -> None:
    assert run(switch, probe, "set", "get", "get_missing") == ["None", "'from python'", "None"]


def test_execute(switch: Switch, probe: Probe) -> None:
    results = run(switch, probe, "set", "execute", "get_executed", "execute_no_args", "ready")
    assert results == ["None", "None", "'yes from python'", "None", "True"]


def test_an_application_that_does_not_exist_hangs_up(switch: Switch, probe: Probe) -> None:
    assert run(switch, probe, "ready", "execute_missing", "ready") == ["True", "None", "False"]


def test_hangup(switch: Switch, probe: Probe) -> None:
    assert run(switch, probe, "hangup", "ready", "set", "get") == ["None", "False", "None", "'from python'"]


def test_the_events_of_a_call(switch: Switch, probe: Probe) -> None:
    with probe.consumer("all") as consumer:
        answer = switch.api("originate loopback/1000/default &park()")
        assert answer.startswith("+OK ")
        uuid = answer.split()[1]
        events: list[tuple[str, list[str]]] = []
        deadline = time.monotonic() + 30
        while ("CHANNEL_DESTROY", [uuid]) not in events and time.monotonic() < deadline:
            seen = consumer.take_all("CHANNEL_DESTROY")
            events += [(event.type, event.values("Unique-ID")) for event in seen]
    names = [name for name, owner in events if owner == [uuid]]
    # Threads of the call's own fire them, so an early one may overtake another.
    assert {"CHANNEL_CREATE", "CHANNEL_ANSWER", "CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE"} <= set(names)
    assert names[-1] == "CHANNEL_DESTROY"
    assert names.count("CHANNEL_CREATE") == 1
