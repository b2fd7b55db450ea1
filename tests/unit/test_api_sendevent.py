"""The method `sendevent`: what is fired, and what nobody can make up."""

from __future__ import annotations

from typing import Any

import pytest

from freeswitch_zmq.event_names import EVENT_NAMES
from freeswitch_zmq.jsonrpc import FAILED, FORBIDDEN, INVALID_PARAMS
from tests.unit.asking import Asking
from tests.unit.fake_freeswitch import FakeEvent, FakeSwitch

HALF = "\ud83d"


@pytest.fixture
def asking(switch: FakeSwitch) -> Asking:
    return Asking(switch, allow="sendevent:*, sendevent:CUSTOM^my::*, sendevent:SHUTDOWN")


def sent(asking: Asking) -> list[tuple[str, list[tuple[str, Any]], Any]]:
    """Name, headers and body of each event that was fired."""
    return [(event.name, event.headers, event.body) for event in asking.switch.sent]


def test_an_event_is_fired_as_it_was_given(asking: Asking) -> None:
    headers = {"A-B_9": "1 ü\U0001f600\t%s", "b": "x:y", "B": "{}"}
    assert asking.ask("sendevent", name="CUSTOM", subclass="my::x ü", headers=headers, body="one\r\ntwo\n%s") == {}
    assert sent(asking) == [
        (
            "CUSTOM",
            [("Event-Subclass", "my::x ü"), ("Event-Name", "CUSTOM"), *headers.items()],
            "one\r\ntwo\n%s",
        )
    ]
    assert asking.switch.lines == []


@pytest.mark.parametrize("more", [{}, {"subclass": "", "headers": {}, "body": ""}, {"subclass": None, "headers": None}])
def test_a_name_is_enough(asking: Asking, more: dict[str, Any]) -> None:
    assert asking.ask("sendevent", name="HEARTBEAT", **more) == {}
    assert sent(asking) == [("HEARTBEAT", [("Event-Name", "HEARTBEAT")], None)]


def test_a_name_may_be_in_any_case(asking: Asking) -> None:
    asking.ask("sendevent", name="Presence_in")
    assert [event.name for event in asking.switch.sent] == ["PRESENCE_IN"]


def test_every_event_that_freeswitch_has_can_be_sent_under_its_name(switch: FakeSwitch) -> None:
    # FreeSWITCH would make MESSAGE of a name that it doesn't have, and CUSTOM of all that has a subclass.
    asking = Asking(switch, allow=",".join(f"sendevent:{name}" for name in EVENT_NAMES))
    for name in EVENT_NAMES:
        asking.ask("sendevent", name=name)
    assert [event.name for event in switch.sent] == list(EVENT_NAMES)


def test_an_event_may_look_like_an_answer_and_is_none(asking: Asking) -> None:
    request = asking.request("api", {})
    asking.commands.start("status", lambda output: asking.outputs.append((request, output)))
    for name in ("SHUTDOWN", "MESSAGE"):
        asking.ask("sendevent", name=name, headers={"Job-UUID": asking.job}, body="forged")
    for event in asking.switch.sent:
        assert isinstance(event, FakeEvent)
        assert not asking.commands.claim(event, "BACKGROUND_JOB")
    assert asking.outputs == []


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"name": "BACKGROUND_JOB"}, "you may not send BACKGROUND_JOB events"),
        ({"name": "CALL_SETUP_REQ"}, "you may not send CALL_SETUP_REQ events"),
        (
            {"name": "HEARTBEET"},
            'you may not send HEARTBEET events, and FreeSWITCH has none (did you mean "HEARTBEAT"?)',
        ),
        ({"name": "\0"}, r"you may not send \x00 events, and FreeSWITCH has none"),
        ({"name": HALF}, r"you may not send \ud83d events, and FreeSWITCH has none"),
        ({"name": ""}, "you may not send  events, and FreeSWITCH has none"),
        ({"name": "x" * 100_000}, f"you may not send {'X' * 40} events, and FreeSWITCH has none"),
        ({"name": "0123456789012HEARTBEAT"}, "you may not send 0123456789012HEARTBEAT events, and FreeSWITCH has none"),
        # What is forbidden is that first, whatever else is wrong with it.
        (
            {"name": "BACKGROUND_JOB", "headers": {"Event-Name": "x"}, "body": 5},
            "you may not send BACKGROUND_JOB events",
        ),
    ],
)
def test_what_is_not_granted_is_not_fired(asking: Asking, params: dict[str, Any], told: str) -> None:
    error = asking.refusal(asking.request("sendevent", params))
    assert (error.code, error.data) == (FORBIDDEN, None)
    assert error.message.startswith(told)
    assert asking.switch.sent == []


def test_a_subclass_is_granted_by_itself(switch: FakeSwitch) -> None:
    asking = Asking(switch, allow="sendevent:CUSTOM^my::*", deny="sendevent:CUSTOM^my::secret")
    asking.ask("sendevent", name="CUSTOM", subclass="my::x")
    for subclass in ("your::x", "my::secret", "MY::SECRET", "my:x", ""):
        error = asking.refused("sendevent", name="CUSTOM", subclass=subclass)
        assert error.code == FORBIDDEN
        assert error.message == "you may not send CUSTOM events" + (" of this subclass" if subclass else "")
    assert len(switch.sent) == 1


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"name": None},
        {"name": 5},
        {"name": ["HEARTBEAT"]},
        {"name": "HEARTBEAT", "subclass": 5},
        {"name": "CUSTOM", "subclass": "my::\0x"},
        {"name": "CUSTOM", "subclass": f"my::{HALF}"},
        {"name": "CUSTOM", "subclass": "my::\nEvent-Name: SHUTDOWN"},
        {"name": "CUSTOM", "subclass": "my::\r"},
        {"name": "HEARTBEAT", "subclass": "my::x"},
        {"name": "HEARTBEAT", "headers": [["A", "b"]]},
        {"name": "HEARTBEAT", "headers": {"A": 1}},
        {"name": "HEARTBEAT", "headers": {"A": None}},
        {"name": "HEARTBEAT", "headers": {"A": "b", "C": ["d"]}},
        {"name": "HEARTBEAT", "body": 5},
        {"name": "HEARTBEAT", "body": {"a": "b"}},
        {"name": "HEARTBEAT", "body": "a\0b"},
        {"name": "HEARTBEAT", "body": HALF},
        {"name": "HEARTBEAT", "haeders": {}},
    ],
)
def test_what_is_no_event_is_not_fired(asking: Asking, params: dict[str, Any]) -> None:
    error = asking.refusal(asking.request("sendevent", params))
    assert (error.code, error.data) == (INVALID_PARAMS, None)
    assert asking.switch.sent == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "A B",
        "A:",
        "A\n",
        "A\nEvent-Name",
        "Ä",
        "A.B",
        "A[0]",
        "A%s",
        "\0",
        "A\0",
        HALF,
        "x" * 1000 + ":",
        "\u017f",
    ],
)
def test_what_is_no_name_of_a_header(asking: Asking, name: str) -> None:
    error = asking.refused("sendevent", name="HEARTBEAT", headers={"Good": "x", name: "secret"})
    assert error.code == INVALID_PARAMS
    assert error.message.endswith("is not of A-Z, a-z, 0-9, _ and -")
    assert len(error.message) < 300
    assert "secret" not in error.message
    assert asking.switch.sent == []


RESERVED = [
    "Event-Name",
    "Event-Subclass",
    "Event-Sequence",
    "Event-UUID",
    "Event-Calling-Function",
    "Event-Date-Timestamp",
    "Event-",
    "Event-Whatever",
    "Core-UUID",
    "FreeSWITCH-Hostname",
    "FreeSWITCH-",
    "Content-Length",
    "_body",
    "ZMQ-Sequence",
    "ZMQ-Epoch",
    "ZMQ-",
]


@pytest.mark.parametrize("name", RESERVED)
def test_what_freeswitch_and_this_module_add_can_not_be_sent_in_any_case(asking: Asking, name: str) -> None:
    for spelt in (name, name.lower(), name.upper(), name.swapcase()):
        error = asking.refused("sendevent", name="HEARTBEAT", headers={"Good": "x", spelt: "secret"})
        assert (error.code, error.message) == (
            INVALID_PARAMS,
            f'the header "{spelt}" is one that FreeSWITCH or this module adds by itself',
        )
    assert asking.switch.sent == []


@pytest.mark.parametrize(
    "name",
    ["Event", "Events-Name", "X-Event-Name", "Core-UUID-2", "Job-UUID", "Content-Type", "body", "ZMQ"],
)
def test_names_that_only_look_like_those_can(asking: Asking, name: str) -> None:
    asking.ask("sendevent", name="HEARTBEAT", headers={name: "x"})
    [event] = asking.switch.sent
    assert event.headers == [("Event-Name", "HEARTBEAT"), (name, "x")]


@pytest.mark.parametrize("value", ["a\nEvent-Name: SHUTDOWN", "\r", "a\0b", HALF])
def test_a_value_is_one_line(asking: Asking, value: str) -> None:
    # Over the event socket, which has no other way to tell headers apart, the rest would be another header.
    error = asking.refused("sendevent", name="HEARTBEAT", headers={"A": value})
    assert (error.code, error.message) == (
        INVALID_PARAMS,
        'the header "A" has a line break, a NUL or half a character in it',
    )
    assert asking.switch.sent == []


def test_a_list_may_have_so_many_values_and_no_more(asking: Asking) -> None:
    values = ["x"] * 200
    asking.ask("sendevent", name="HEARTBEAT", headers={"A": "ARRAY::" + "|:".join(values), "B": "|:" * 1000})
    assert asking.switch.sent[0].headers[1:] == [("A", values), ("B", "|:" * 1000)]
    error = asking.refused("sendevent", name="HEARTBEAT", headers={"A": "ARRAY::" + "|:".join([*values, "x"])})
    assert (error.code, error.message) == (INVALID_PARAMS, 'the header "A" is a list of more than 200 values')
    error = asking.refused("sendevent", name="CUSTOM", subclass="ARRAY::my")
    assert (error.code, error.message) == (
        INVALID_PARAMS,
        '"subclass" begins with ARRAY::, which FreeSWITCH takes for a list',
    )
    assert len(asking.switch.sent) == 1


def test_an_event_that_freeswitch_does_not_take_has_failed(asking: Asking) -> None:
    asking.switch.takes_events = False
    error = asking.refused("sendevent", name="HEARTBEAT")
    assert (error.code, error.message, error.data) == (
        FAILED,
        "FreeSWITCH did not take the event; its log says why",
        {"output": ""},
    )


def test_who_may_send_it_is_known_by_the_permission(asking: Asking) -> None:
    request = asking.request("sendevent", {"name": "custom", "subclass": "my::x", "headers": {"A": "secret"}})
    asking.do(request)
    assert request.what == 'sendevent CUSTOM by "sendevent:*"'
    request = asking.request("sendevent", {"name": "BACKGROUND_JOB", "headers": {"A": "secret"}})
    assert asking.refusal(request).code == FORBIDDEN
    assert request.what == "sendevent BACKGROUND_JOB"
