"""What call-outs rely on: a transfer from a script, the applications that there are, and who runs meanwhile."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest

from tests.support.switch import Switch

from .probing import Probe

SCRIPT = "loopback/python-probe_session/default"
AT_ONCE = ("execute_minute", "play_minute", "sleep_minute")


def run(switch: Switch, probe: Probe, *steps: str, calls: int = 1) -> list[tuple[str, str]]:
    """What the steps of probe_session gave, and those of the extensions that they transfer to; last the call's uuid."""
    switch.api(f"bgapi originate {{python_args='{' '.join(steps)}'}}{SCRIPT} &park()")
    noted: list[dict[str, Any]] = []
    while [note["step"] for note in noted].count("done") < calls:
        noted += probe.wait_calls()
    return [(note["step"], note["result"]) for note in noted if note["step"] != "done" or note is noted[-1]]


def test_a_transfer(switch: Switch, probe: Probe) -> None:
    told = ("answer", "next_number", "transfer", "ready", "state", "answered", "number", "set", "get")
    *noted, _ = run(switch, probe, *told, calls=2)
    assert noted == [
        ("answer", "1"),
        ("next_number", "None"),
        ("transfer", "None"),
        ("ready", "False"),
        ("state", "'CS_ROUTING'"),
        ("answered", "True"),
        ("number", "'python-probe_session'"),
        ("set", "None"),
        ("get", "'from python'"),
        # The `hangup` that follows in the extension was not run, but the new one.
        ("number", "'python-probe_session'"),
        ("context", "'default'"),
        ("ready", "True"),
        ("get", "'from python'"),
    ]


def test_a_transfer_without_a_context(switch: Switch, probe: Probe) -> None:
    noted = run(switch, probe, "next_number", "transfer_short", "ready", "answered", calls=2)
    assert [result for _, result in noted][2:6] == ["False", "False", "'python-probe_session'", "'default'"]


def test_after_a_transfer_applications_run_but_nothing_waits(switch: Switch, probe: Probe) -> None:
    start = time.monotonic()
    noted = run(switch, probe, "next_number", "transfer", *AT_ONCE, "execute", "get_executed", calls=2)
    assert noted[2:7] == [
        ("execute_minute", "None"),
        ("play_minute", "None"),
        ("sleep_minute", "1"),
        ("execute", "None"),
        ("get_executed", "'yes '"),
    ]
    assert time.monotonic() - start < 60.0


def test_the_latest_transfer_counts(switch: Switch, probe: Probe) -> None:
    noted = run(switch, probe, "next_number", "transfer_nowhere", "number", "transfer", "number", calls=2)
    assert [result for step, result in noted if step == "number"] == [
        "'no-such-number'",
        "'python-probe_session'",
        "'python-probe_session'",
    ]


@pytest.mark.parametrize("where", ["transfer_nowhere", "transfer_other"])
def test_a_transfer_to_nowhere(switch: Switch, probe: Probe, where: str) -> None:
    with probe.consumer("CHANNEL_HANGUP") as consumer:
        *noted, (_, id) = run(switch, probe, where, "ready", "state")
        assert noted[1:] == [("ready", "False"), ("state", "'CS_ROUTING'")]
        event = consumer.take("CHANNEL_HANGUP")
        while event.values("Unique-ID") != [id]:
            event = consumer.take("CHANNEL_HANGUP")
    assert event.values("Hangup-Cause") == ["NO_ROUTE_DESTINATION"]


def test_the_events_of_a_transfer(switch: Switch, probe: Probe) -> None:
    with probe.consumer("all", length=10_000) as consumer:
        *_, (_, id) = run(switch, probe, "next_number", "transfer", calls=2)
        events: list[tuple[str, ...]] = []
        keys = ("Channel-State", "Application", "Application-Data", "Caller-Destination-Number")
        while not events or events[-1][0] != "CHANNEL_DESTROY":
            seen = [each for each in consumer.take_all("CHANNEL_DESTROY") if each.values("Unique-ID") == [id]]
            events += [(each.type, *("".join(each.values(key)) for key in keys)) for each in seen]
    number = "python-probe_session"
    told = [event for event in events if event[0].startswith("CHANNEL_EXECUTE") or event[0] == "CHANNEL_STATE"]
    routed = ("CHANNEL_STATE", "CS_ROUTING", "", "", number)
    second = len(told) - told[::-1].index(routed) - 1
    argument = "probe_session next_number transfer"
    assert told[second - 5 : second + 3] == [
        ("CHANNEL_STATE", "CS_EXECUTE", "", "", number),
        ("CHANNEL_EXECUTE", "CS_EXECUTE", "python", argument, number),
        ("CHANNEL_EXECUTE", "CS_EXECUTE", "transfer", f"{number} XML default", number),
        ("CHANNEL_EXECUTE_COMPLETE", "CS_EXECUTE", "transfer", f"{number} XML default", number),
        ("CHANNEL_EXECUTE_COMPLETE", "CS_EXECUTE", "python", argument, number),
        routed,
        ("CHANNEL_STATE", "CS_EXECUTE", "", "", number),
        ("CHANNEL_EXECUTE", "CS_EXECUTE", "python", "probe_session number context ready get", number),
    ]


def test_other_threads_run_while_an_application_does(switch: Switch, probe: Probe) -> None:
    id = str(uuid.uuid4())
    steps = "ready execute_minute ready state"
    switch.api(f"bgapi originate {{origination_uuid={id},python_args='{steps}'}}{SCRIPT} &park()")
    # The script is in a sleep of a minute, and so these calls of another one are answered beside it.
    assert [note["step"] for note in probe.wait_calls()] == ["ready"]
    switch.wait_log("EXECUTE [depth=0] loopback/python-probe_session-b sleep(60000)")
    assert probe.calls() == []
    assert switch.api(f"uuid_kill {id}").startswith("+OK")
    noted = probe.wait_calls(4)
    assert [(note["step"], note["result"]) for note in noted[:3]] == [
        ("execute_minute", "None"),
        ("ready", "False"),
        ("state", "'CS_HANGUP'"),
    ]


def test_the_applications_that_there_are(switch: Switch) -> None:
    shown = json.loads(switch.api("show application as json"))
    names = [row["name"] for row in shown["rows"]]
    assert shown["row_count"] == len(names)
    assert {"answer", "hangup", "log", "playback", "python", "set", "sleep", "transfer"} <= set(names)
    assert "no_such_application" not in names
