"""What an event looks like that the switch hands over: keys, order, values, bytes."""

from __future__ import annotations

import pytest

from tests.support.switch import Switch

from .probing import Probe, SeenEvent, hexed

BASE = [
    "Event-Name",
    "Core-UUID",
    "FreeSWITCH-Hostname",
    "FreeSWITCH-Switchname",
    "FreeSWITCH-IPv4",
    "FreeSWITCH-IPv6",
    "Event-Date-Local",
    "Event-Date-GMT",
    "Event-Date-Timestamp",
    "Event-Calling-File",
    "Event-Calling-Function",
    "Event-Calling-Line-Number",
    "Event-Sequence",
]


def test_an_event_that_was_sent(switch: Switch, probe: Probe) -> None:
    with probe.consumer("MESSAGE") as consumer:
        reply = switch.sendevent("MESSAGE", [("X-One", "1"), ("X-Two", "a: b")])
        event = consumer.take("MESSAGE")
    assert event.keys() == ["Command", "X-One", "X-Two", "Event-UUID", *BASE]
    assert event.values("Command") == ["sendevent MESSAGE"]
    assert event.values("X-Two") == ["a: b"]
    assert [f"+OK {uuid}" for uuid in event.values("Event-UUID")] == [reply]
    assert event.values("Core-UUID") == [switch.api("global_getvar core_uuid")]
    assert all(isinstance(value, str) for _, value in event.pairs)
    assert event.missing == "None"
    assert event.body is None


def test_the_json_has_no_space_around_its_keys(switch: Switch, probe: Probe) -> None:
    with probe.consumer("MESSAGE") as consumer:
        switch.sendevent("MESSAGE", [("X-One", "1")])
        assert consumer.take("MESSAGE").json.startswith(b'{"Command":"sendevent MESSAGE","X-One":"1",')


def test_a_custom_event_has_its_subclass_first(switch: Switch, probe: Probe) -> None:
    with probe.consumer("CUSTOM", "contract::sub") as consumer:
        switch.sendevent("CUSTOM", [("X-One", "1"), ("Event-Subclass", "contract::sub")])
        event = consumer.take("contract::sub")
    assert event.keys() == ["Event-Subclass", "Command", "X-One", "Event-UUID", *BASE]
    assert event.subclass == "contract::sub"


def test_a_second_event_name_comes_before_the_real_one(switch: Switch, probe: Probe) -> None:
    with probe.consumer("MESSAGE") as consumer:
        switch.sendevent("MESSAGE", [("Event-Name", "FORGED"), ("Core-UUID", "forged")])
        event = consumer.take("MESSAGE")
    assert event.values("Event-Name") == ["FORGED", "MESSAGE"]
    assert event.values("Core-UUID")[0] == "forged"
    assert event.name == "FORGED"  # getHeader believes the first
    assert event.type == "MESSAGE"


def test_a_header_twice_is_a_key_twice(switch: Switch, probe: Probe) -> None:
    with probe.consumer("MESSAGE") as consumer:
        switch.sendevent("MESSAGE", [("X-Twice", "1"), ("X-Twice", "2"), ("x-twice", "3")])
        event = consumer.take("MESSAGE")
    assert event.values("X-Twice") == ["1", "2"]
    assert event.values("x-twice") == ["3"]


def test_arrays(switch: Switch, probe: Probe) -> None:
    with probe.consumer("MESSAGE") as consumer:
        switch.sendevent("MESSAGE", [("X-Array", "ARRAY::a|:b|:c"), ("X-One", "ARRAY::a")])
        event = consumer.take("MESSAGE")
    assert event.values("X-Array") == [["a", "b", "c"]]
    assert event.values("X-One") == [["a"]]


def test_an_empty_value_is_dropped(switch: Switch, probe: Probe) -> None:
    with probe.consumer("MESSAGE") as consumer:
        switch.sendevent("MESSAGE", [("X-Empty", ""), ("X-Full", "1")])
        event = consumer.take("MESSAGE")
    assert event.values("X-Empty") == []
    assert event.values("X-Full") == ["1"]


@pytest.mark.parametrize(
    "value",
    [
        b"\xff\xfe",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x98\x80 \xc3\xa4",
        b'"quoted" \\ back/slash',
        bytes(set(range(1, 32)) - {10, 13}) + b"\x7f",
    ],
    ids=["not-utf-8", "cut-off", "surrogate", "emoji", "quotes", "control"],
)
def test_bytes_arrive_as_they_were_sent(switch: Switch, probe: Probe, value: bytes) -> None:
    with probe.consumer("MESSAGE") as consumer:
        switch.sendevent("MESSAGE", [("X-Bytes", b"<" + value + b">")])
        event = consumer.take("MESSAGE")
    (received,) = event.values("X-Bytes")
    assert received.encode("utf-8", "surrogateescape") == b"<" + value + b">"


def test_how_control_characters_are_written(switch: Switch, probe: Probe) -> None:
    with probe.consumer("MESSAGE") as consumer:
        switch.sendevent("MESSAGE", [("X-Bytes", b'\x01\t\x1f\x7f"\\/\xe4')])
        event = consumer.take("MESSAGE")
    assert b'"X-Bytes":"\\u0001\\t\\u001f\x7f\\"\\\\/\xe4"' in event.json


def test_a_body(switch: Switch, probe: Probe) -> None:
    body = b"line one\nline \xff two\x01"
    with probe.consumer("MESSAGE") as consumer:
        switch.sendevent("MESSAGE", [("X-One", "1")], body)
        event = consumer.take("MESSAGE")
    assert event.body == body
    assert event.keys() == ["Command", "X-One", "Content-Length", "Event-UUID", *BASE, "Content-Length", "_body"]
    assert event.values("Content-Length") == [str(len(body))] * 2
    assert event.values("_body")[0].encode("utf-8", "surrogateescape") == body


def test_a_large_body(switch: Switch, probe: Probe) -> None:
    body = b"0123456789abcdef" * 65536
    with probe.consumer("MESSAGE") as consumer:
        switch.sendevent("MESSAGE", (), body)
        assert consumer.take("MESSAGE").body == body


@pytest.mark.parametrize("name", ["NO_SUCH_NAME", ""])
def test_a_name_that_is_none_is_sent_as_custom(switch: Switch, probe: Probe, name: str) -> None:
    with probe.consumer("CUSTOM") as consumer:
        switch.sendevent(name, [("X-Marker", "none")])
        event = consumer.take("CUSTOM")
    assert event.values("X-Marker") == ["none"]
    assert event.values("Event-Name") == ["CUSTOM"]
    assert event.subclass == ""


def test_an_event_made_by_a_script(probe: Probe) -> None:
    headers = [("X-Twice", "1"), ("X-Twice", "2"), ("X-Array", "ARRAY::a|:b"), ("X-Lines", "a\nb"), ("X-Empty", "")]
    pairs = [[hexed(key), hexed(value)] for key, value in headers]
    with probe.consumer("CUSTOM", "contract::made") as consumer:
        told = probe.call("probe_events", "fire", "CUSTOM", "contract::made", pairs, hexed("body"))
        event = consumer.take("contract::made")
    tail = ["X-Twice", "X-Twice", "X-Array", "X-Lines", "Content-Length", "_body"]
    assert SeenEvent(told["before"]).keys() == [*BASE, "Event-Subclass", *tail]
    assert event.keys() == ["Event-Subclass", *BASE, *tail]  # the copy that a consumer gets
    assert event.values("X-Array") == [["a", "b"]]
    assert event.values("X-Lines") == ["a\nb"]
    assert event.body == b"body"
    assert told["fired"] == "True"


def test_the_methods_of_an_event(probe: Probe) -> None:
    with probe.consumer("CUSTOM", "contract::methods") as consumer:
        given = probe.call("probe_events", "methods")
        bodies = [consumer.take("contract::methods").body for _ in range(2)]
    assert given == {
        "array": "ARRAY::a|:b",
        "twice": "1",
        "fired": ["True", "True", "True"],  # firing takes a copy
        "type": "CUSTOM",
    }
    assert bodies == [b"first body", b"second body"]


def test_a_subclass_makes_any_event_custom(probe: Probe) -> None:
    with probe.consumer("CUSTOM", "contract::any") as consumer:
        probe.call("probe_events", "fire", "HEARTBEAT", "contract::any", [], None)
        assert consumer.take("contract::any").type == "CUSTOM"


def test_evgen(switch: Switch, probe: Probe) -> None:
    missing = getattr(switch, "evgen_missing", "")
    if missing:
        pytest.skip(missing)
    with probe.consumer("CUSTOM", "bench::tick") as consumer:
        assert switch.api("evgen 3 2 0").startswith("+OK 3 events")
        events = [consumer.take("bench::tick") for _ in range(3)]
    tail = ["variable_bench_header_0", "variable_bench_header_1", "Bench-Seq", "Bench-NS"]
    assert [event.keys() for event in events] == [["Event-Subclass", *BASE, *tail]] * 3
    assert [event.values("Bench-Seq") for event in events] == [["0"], ["1"], ["2"]]


def test_the_event_socket_gives_the_same_json(switch: Switch) -> None:
    with switch.esl() as esl:
        esl.events("json CUSTOM contract::esl")
        switch.sendevent("CUSTOM", [("Event-Subclass", "contract::esl"), ("X-Array", "ARRAY::a|:b")])
        message = esl.receive()
    assert message is not None
    assert message.content_type == "text/event-json"
    assert message.event()["X-Array"] == ["a", "b"]
    assert message.event()["Event-Name"] == "CUSTOM"
