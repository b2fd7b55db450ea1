"""Loopback calls, on both kinds of switch."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.support.esl import Esl
from tests.support.switch import Switch

Event = dict[str, Any]

LEG_A = [
    "OUTGOING",
    "CREATE",
    "ORIGINATE",
    "ANSWER",
    "EXECUTE park",
    "PARK",
    "HANGUP",
    "UNPARK",
    "EXECUTE_COMPLETE park",
    "HANGUP_COMPLETE",
    "DESTROY",
]
LEG_B = [
    "STATE CS_INIT",
    "CREATE",
    "CALLSTATE",
    "STATE CS_ROUTING",
    "STATE CS_EXECUTE",
    "EXECUTE answer",
    "ANSWER",
    "CALLSTATE",
    "EXECUTE_COMPLETE answer",
    "EXECUTE sleep",
    "EXECUTE_COMPLETE sleep",
    "EXECUTE hangup",
    "HANGUP",
    "EXECUTE_COMPLETE hangup",
    "STATE CS_HANGUP",
    "CALLSTATE",
    "STATE CS_REPORTING",
    "HANGUP_COMPLETE",
    "DESTROY",
    "STATE CS_DESTROY",
]


def until_destroyed(esl: Esl, legs: int = 2) -> list[Event]:
    """Every event of a call, in the order in which they were made."""
    seen: list[Event] = []
    left = legs
    while left:
        message = esl.receive(20.0)
        assert message is not None, [event["Event-Name"] for event in seen]
        event = message.event()
        seen.append(event)
        left -= event["Event-Name"] == "CHANNEL_STATE" and event["Channel-State"] == "CS_DESTROY"
    return sorted((event for event in seen if "Channel-Name" in event), key=lambda event: int(event["Event-Sequence"]))


def originate(switch: Switch, line: str) -> str:
    answer = switch.api(f"originate {line}")
    assert answer.startswith("+OK "), answer
    return answer[4:].strip()


def wait_channels(switch: Switch, count: int) -> None:
    """Wait until so many are shown: a real one writes its table of channels a little later."""
    deadline = time.monotonic() + 20
    while switch.api("show channels count") != f"\n{count} total.\n":
        assert time.monotonic() < deadline, switch.api("show channels")
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def no_calls_left(switch: Switch) -> None:
    switch.api("hupall")
    wait_channels(switch, 0)


def test_the_events_of_each_leg(switch: Switch, esl: Esl) -> None:
    esl.events("json ALL")
    # Leg b ends the call; until then leg a has to have come to its application, also on a busy machine.
    uuid = originate(switch, "loopback/unhurried/default &park()")
    events = until_destroyed(esl)
    assert 40 <= len(events) <= 50
    legs: dict[str, list[str]] = {"a": [], "b": []}
    for event in events:
        name = event["Event-Name"]
        if name in ("CODEC", "CALL_UPDATE"):
            continue
        shown = event.get("Application") or (event["Channel-State"] if name == "CHANNEL_STATE" else "")
        legs["a" if event["Unique-ID"] == uuid else "b"].append(f"{name.removeprefix('CHANNEL_')} {shown}".strip())
    assert legs["b"] == LEG_B
    # On a real one leg b, which runs beside, may answer before leg a has told that it was created.
    told = sorted(name for name in legs["a"] if not name.startswith(("STATE", "CALLSTATE")))
    assert told == sorted(LEG_A)


def test_what_the_events_tell(switch: Switch, esl: Esl) -> None:
    esl.events("json CHANNEL_HANGUP_COMPLETE CHANNEL_STATE CHANNEL_ANSWER")
    before = time.time_ns() // 1000
    uuid = originate(switch, "{x_own=mine}loopback/1000/default &park() XML default Joe 123")
    events = until_destroyed(esl)
    answered, ended = (
        next(event for event in events if event["Event-Name"] == name and event["Unique-ID"] == uuid)
        for name in ("CHANNEL_ANSWER", "CHANNEL_HANGUP_COMPLETE")
    )
    assert (answered["Answer-State"], answered["Caller-Caller-ID-Name"]) == ("answered", "Joe")
    assert answered["Caller-Caller-ID-Number"] == "123"
    assert answered["Caller-Destination-Number"] == "1000"
    assert answered["variable_x_own"] == "mine"
    assert answered["variable_other_loopback_leg_uuid"] not in ("", uuid)
    assert (ended["Hangup-Cause"], ended["Answer-State"], ended["Channel-State"]) == (
        "NORMAL_CLEARING",
        "hangup",
        "CS_REPORTING",
    )
    assert ended["variable_hangup_cause_q850"] == "16"
    assert 150 <= int(ended["variable_billmsec"]) <= 5000
    created, hung_up = int(ended["Caller-Channel-Created-Time"]), int(ended["Caller-Channel-Hangup-Time"])
    # A real one's clock stands still for 20 ms at a time.
    assert before - 50_000 <= created <= int(answered["Caller-Channel-Answered-Time"]) < hung_up
    assert ended["variable_end_uepoch"] == str(hung_up)


def test_two_calls_share_no_id(switch: Switch) -> None:
    first, second = (originate(switch, "loopback/9196/default &park()") for _ in range(2))
    assert first != second
    wait_channels(switch, 4)
    assert {switch.api(f"uuid_exists {uuid}") for uuid in (first, second)} == {"true"}


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("loopback/busy/default &park()", "-ERR USER_BUSY\n"),
        ("loopback/no-such-number/default &park()", "-ERR NO_ROUTE_DESTINATION\n"),
        ("loopback/1000/no-such-context &park()", "-ERR NO_ROUTE_DESTINATION\n"),
        ("error/USER_BUSY &park()", "-ERR USER_BUSY\n"),
        ("no_such_endpoint/x &park()", "-ERR CHAN_NOT_IMPLEMENTED\n"),
        ("user/nobody &park()", "-ERR SUBSCRIBER_ABSENT\n"),
    ],
)
def test_calls_that_fail(switch: Switch, line: str, answer: str) -> None:
    assert switch.api(f"originate {line}") == answer


@pytest.mark.parametrize("line", ["", "loopback/1000"])
def test_originate_wants_two_words(switch: Switch, line: str) -> None:
    assert switch.api(f"originate {line}").startswith("-USAGE: <call url> ")


def test_originate_waits_for_the_answer(switch: Switch) -> None:
    before = time.monotonic()
    originate(switch, "loopback/late/default &park()")
    assert time.monotonic() - before > 0.25


def test_uuid_kill_ends_both_legs(switch: Switch, esl: Esl) -> None:
    esl.events("json CHANNEL_STATE CHANNEL_HANGUP")
    uuid = originate(switch, "loopback/9196/default &park()")
    assert switch.api(f"uuid_kill {uuid} USER_BUSY") == "+OK\n"
    hung_up = [event for event in until_destroyed(esl) if event["Event-Name"] == "CHANNEL_HANGUP"]
    causes = {event["Unique-ID"] == uuid: event["Hangup-Cause"] for event in hung_up}
    assert (len(hung_up), causes[True]) == (2, "USER_BUSY")
    # A real one's other leg may notice that no more sound comes before it is told why.
    assert causes[False] in ("USER_BUSY", "NORMAL_CLEARING")
    assert switch.api(f"uuid_kill {uuid}") == "-ERR No such channel!\n"
    assert switch.api(f"uuid_exists {uuid}") == "false"


def test_hupall(switch: Switch, esl: Esl) -> None:
    for _ in range(3):
        originate(switch, "loopback/9196/default &park()")
    esl.events("json CHANNEL_STATE CHANNEL_HANGUP_COMPLETE")
    assert switch.api("hupall CALL_REJECTED") == "+OK hangup all channels with cause CALL_REJECTED\n"
    ended = [e for e in until_destroyed(esl, 6) if e["Event-Name"] == "CHANNEL_HANGUP_COMPLETE"]
    assert [event["Hangup-Cause"] for event in ended] == ["CALL_REJECTED"] * 6


def test_actions_of_an_extension(switch: Switch, esl: Esl) -> None:
    esl.events("json PLAYBACK_STOP CHANNEL_EXECUTE")
    originate(switch, "loopback/steps7/default &park()")
    switch.wait_log("digit 7 of steps7")
    applications: list[str] = []
    while applications[-1:] != ["sleep"]:
        message = esl.receive()
        assert message is not None
        event = message.event()
        if event["Event-Name"] == "PLAYBACK_STOP":
            assert event["Playback-File-Path"] == "silence_stream://30"
            assert event["variable_digit"] == "7"
        elif event["variable_loopback_leg"] == "B":
            applications.append(event["Application"])
    assert applications == ["answer", "set", "playback", "log", "sleep"]


@pytest.mark.parametrize(("number", "known"), [("700", "yes"), ("701", "no")])
def test_conditions(switch: Switch, esl: Esl, number: str, known: str) -> None:
    esl.events("json CHANNEL_STATE CHANNEL_HANGUP_COMPLETE")
    seen: list[object] = []
    for _ in range(3):  # on a busy machine a leg may be hung up before it ran anything
        switch.api(f"originate loopback/two/default &park() XML default Joe {number}")
        ended = [e for e in until_destroyed(esl) if e["Event-Name"] == "CHANNEL_HANGUP_COMPLETE"]
        ours = [e for e in ended if e["Caller-Caller-ID-Number"] == number]  # not a call of the test before
        seen = [e.get("variable_known") for e in ours if e["variable_loopback_leg"] == "B"]
        if seen != [None]:
            break
    assert seen == [known]


def test_variables_from_outside(switch: Switch) -> None:
    uuid = originate(switch, "loopback/9196/default &park()")
    assert switch.api(f"uuid_setvar {uuid} x_set a value") == "+OK\n"
    assert switch.api(f"uuid_getvar {uuid} x_set") == "a value"
    assert switch.api(f"uuid_getvar {uuid} x_none") == "_undef_"
    assert switch.api(f"eval uuid:{uuid} ${{variable_x_set}}-${{channel-name}}") == "a value-loopback/9196-a"
    assert "\nvariable_x_set: a%20value\n" in switch.api(f"uuid_dump {uuid}")


def test_show_channels(switch: Switch) -> None:
    uuid = originate(switch, "loopback/9196/default &park() XML default Joe 123")
    deadline = time.monotonic() + 20
    while ",park,," not in switch.api("show channels") and time.monotonic() < deadline:
        time.sleep(0.02)
    shown = switch.api("show channels")
    lines = shown.splitlines()
    assert lines[0].startswith("uuid,direction,created,created_epoch,name,state,cid_name,cid_num,ip_addr,dest,")
    assert lines[-1] == "2 total."
    row = dict(zip(lines[0].split(","), next(line for line in lines if line.startswith(uuid)).split(",")))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row["created"])
    told = {name: row[name] for name in ("direction", "name", "state", "dest", "application", "callstate")}
    assert told == {
        "direction": "outbound",
        "name": "loopback/9196-a",
        "state": "CS_EXECUTE",
        "dest": "9196",
        "application": "park",
        "callstate": "ACTIVE",
    }


def test_many_at_once(switch: Switch, esl: Esl) -> None:
    esl.events("json CHANNEL_STATE CHANNEL_HANGUP_COMPLETE")
    for _ in range(20):
        switch.api("bgapi originate loopback/1000/default &park()")
    ended = [e["Hangup-Cause"] for e in until_destroyed(esl, 40) if e["Event-Name"] == "CHANNEL_HANGUP_COMPLETE"]
    assert ended == ["NORMAL_CLEARING"] * 40
    wait_channels(switch, 0)
