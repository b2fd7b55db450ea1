from __future__ import annotations

import itertools
import json

import hypothesis
import pytest
from hypothesis import strategies as st

from freeswitch_zmq.event_names import EVENT_NAMES
from freeswitch_zmq.wire import PROTOCOL_VERSION, close_json, known_prefix, open_json, select_fields, to_utf8
from tests.unit.cjson import Pairs, Value, as_cjson, as_seen
from tests.unit.events_strategy import event_names, raw_events, texts

EPOCH = 1_700_000_000_000_001
OWN = [("ZMQ-Epoch", str(EPOCH)), ("ZMQ-Sequence", "7"), ("ZMQ-Name-Sequence", "3")]


def finished(raw: str, name: str) -> bytes:
    return close_json(open_json(raw, name), EPOCH, 7, 3)


def pairs_of(message: bytes) -> Pairs:
    """Its pairs in their order; fails on what is not strictly UTF-8 and JSON."""
    pairs: Pairs = json.loads(message.decode(), object_pairs_hook=list)
    return pairs


def expected(name: str, headers: Pairs, body: str | None) -> Pairs:
    everything = list(headers)
    if body is not None:
        everything += [("Content-Length", str(len(body.encode("utf-8", "surrogateescape")))), ("_body", body)]
    kept = [
        (as_seen(key), seen(value)) for key, value in everything if key != "Event-Name" and not key.startswith("ZMQ-")
    ]
    return [("Event-Name", name), *kept, *OWN]


def seen(value: Value) -> Value:
    return as_seen(value) if isinstance(value, str) else [as_seen(part) for part in value]


def test_the_version_of_the_protocol() -> None:
    assert PROTOCOL_VERSION == 1


@hypothesis.settings(max_examples=100)
@hypothesis.given(raw_events())
def test_every_event_comes_out_as_the_protocol_says(event: tuple[str, Pairs, str | None]) -> None:
    name, headers, body = event
    message = finished(as_cjson(headers, body), name)
    assert message.startswith(known_prefix(name))
    pairs = pairs_of(message)
    assert pairs == expected(name, headers, body)
    assert [key for key, _ in pairs].count("Event-Name") == 1
    # By text and by the parser it is the same: a ZMQ- header is dropped, and closes the way by text.
    parsed = as_cjson([*headers, ("ZMQ-Closes-The-Fast-Path", "")], body)
    assert pairs_of(finished(parsed, name)) == pairs


SHAPES: list[tuple[str, str, Pairs, str | None]] = [
    ("as most events", "HEARTBEAT", [("Event-Name", "HEARTBEAT"), ("Core-UUID", "c"), ("Up-Time", "0")], None),
    ("nothing else", "HEARTBEAT", [("Event-Name", "HEARTBEAT")], None),
    ("CUSTOM of a consumer", "CUSTOM", [("Event-Subclass", "a::b"), ("Event-Name", "CUSTOM"), ("X", "1")], None),
    ("CUSTOM, name last", "CUSTOM", [("Event-Subclass", "a::b"), ("Event-Name", "CUSTOM")], None),
    ("sent, headers first", "MESSAGE", [("a", "1"), ("b", "2"), ("Event-Name", "MESSAGE"), ("c", "3")], "text"),
    ("sent, with a second name", "MESSAGE", [("Event-Name", "SHUTDOWN"), ("Event-Name", "MESSAGE"), ("c", "3")], None),
    ("sent, a second name behind", "MESSAGE", [("Event-Name", "MESSAGE"), ("Event-Name", "SHUTDOWN")], None),
    ("sent, the same name twice", "MESSAGE", [("Event-Name", "MESSAGE"), ("x", "y"), ("Event-Name", "MESSAGE")], None),
    ("only a false name", "MESSAGE", [("Event-Name", "SHUTDOWN"), ("x", "y")], None),
    ("the name as an array", "MESSAGE", [("Event-Name", ["MESSAGE", "SHUTDOWN"]), ("x", "y")], None),
    ("no name", "MESSAGE", [("x", "y")], None),
    ("no header", "MESSAGE", [], None),
    ("a longer name", "API", [("Event-Name", "APIX"), ("x", "y")], None),
    ("a name in a name", "API", [('x"Event-Name', "API"), ("Event-Name", "API"), ("y", "z")], None),
    ("only in a name", "API", [('x,"Event-Name', "API"), ("y", "z")], None),
    ("a name in a value", "API", [("x", '","Event-Name":"API","y":"'), ("Event-Name", "API")], None),
    ("a name after a backslash", "API", [("x", "\\"), ("Event-Name", "API"), ("y", '\\"Event-Name":"API"')], None),
    ("a name in the body", "API", [("Event-Name", "API")], '{"Event-Name":"SHUTDOWN"}'),
    ("ours in a value", "API", [("Event-Name", "API"), ("x", '"ZMQ-Sequence":"1"')], None),
    ("ours in an array", "API", [("Event-Name", "API"), ("x", ["ZMQ-Sequence", '"ZMQ-'])], None),
    ("headers of ours", "API", [("ZMQ-Sequence", "9"), ("Event-Name", "API"), ("ZMQ-Other", ["a", "b"])], "b"),
    ("duplicates", "API", [("Event-Name", "API"), ("x", "1"), ("x", "2"), ("X", "3"), ("x", "1")], None),
    ("arrays", "API", [("Event-Name", "API"), ("x", ["a", "", '"', "\\"]), ("y", ["z"])], None),
    ("quotes", "API", [("Event-Name", "API"), ('"x"', '"'), ("\\", "\\\\"), ("a\\", '\\"')], '"'),
    ("emoji", "API", [("Event-Name", "API"), ("\U0001f600", "\U0001f468‍\U0001f469 ü")], "\U0001f600"),
    ("control characters", "API", [("Event-Name", "API"), ("x\x01", "".join(map(chr, range(1, 32))) + "\x7f")], "\n"),
    ("line separators", "API", [("Event-Name", "API"), ("x", "\u2028\u2029\ufeff\ufffe")], None),
    ("not UTF-8", "API", [("Event-Name", "API"), ("a\udcff", "\udcc3( \udcf0\udc9f")], "\udcff\udcfe"),
    ("not UTF-8, name later", "API", [("a\udcff", "\udced\udca0\udc80"), ("Event-Name", "API")], "ü\udcc3"),
    ("not UTF-8, parsed", "API", [("a\udcff", "\udcc3"), ("ZMQ-x", "\udcc3"), ("b", ["\udcff", "ok"])], "ü\udcc3"),
]


@pytest.mark.parametrize(("name", "headers", "body"), [shape[1:] for shape in SHAPES], ids=[s[0] for s in SHAPES])
def test_a_shape(name: str, headers: Pairs, body: str | None) -> None:
    message = finished(as_cjson(headers, body), name)
    assert message.startswith(f'{{"Event-Name":"{name}","'.encode())
    assert pairs_of(message) == expected(name, headers, body)


def test_every_name_is_told_from_every_other() -> None:
    for name, false in itertools.product(EVENT_NAMES, EVENT_NAMES):
        message = finished(as_cjson([("x", "y"), ("Event-Name", false), ("z", "")]), name)
        assert message.startswith(known_prefix(name) + b',"x":"y",')


def test_the_exact_bytes() -> None:
    assert finished('{"Event-Name":"API","a":"b"}', "API") == (
        b'{"Event-Name":"API","a":"b","ZMQ-Epoch":"1700000000000001","ZMQ-Sequence":"7","ZMQ-Name-Sequence":"3"}'
    )
    # Moved to the front, everything else byte for byte as FreeSWITCH wrote it.
    raw = '{"Event-Subclass":"x","Event-Name":"CUSTOM","u":"\\u001f/\x7fü"}'
    assert open_json(raw, "CUSTOM") == '{"Event-Name":"CUSTOM","Event-Subclass":"x","u":"\\u001f/\x7fü"'


def test_there_is_no_blank_around_the_first_key_when_parsed() -> None:
    message = finished(as_cjson([("Event-Name", "API"), ("ZMQ-x", "1"), ("a", ["b", "c"])]), "API")
    assert message.startswith(b'{"Event-Name":"API","a":["b","c"],"ZMQ-Epoch":')


@pytest.mark.parametrize("extra", [[], [("ZMQ-x", "1")]], ids=["by text", "parsed"])
@pytest.mark.parametrize("unit", ['"Event-Name":"SHUTDOWN",', "\\\x01\U0001f600", "\udcff"])
def test_a_megabyte_of_body(unit: str, extra: Pairs) -> None:
    body = unit * (2**20 // len(unit))
    message = finished(as_cjson([("x", "y"), ("Event-Name", "MESSAGE"), *extra], body), "MESSAGE")
    assert pairs_of(message) == expected("MESSAGE", [("x", "y")], body)


@hypothesis.given(texts)
def test_utf8_is_valid_and_otherwise_the_same(text: str) -> None:
    assert to_utf8(text).decode() == as_seen(text)


@hypothesis.given(event_names)
def test_the_known_prefix_is_what_a_wiki_client_subscribes_to(name: str) -> None:
    assert known_prefix(name) == b'{"Event-Name":"' + name.encode() + b'"'


@hypothesis.given(raw_events(), st.sets(texts))
def test_fields_leave_only_what_is_kept_and_the_name(event: tuple[str, Pairs, str | None], some: set[str]) -> None:
    name, headers, body = event
    keep = some | {key for key, _ in headers[::2]}
    opened = select_fields(open_json(as_cjson(headers, body), name), keep.__contains__)
    message = close_json(opened, EPOCH, 7, 3)
    assert message.startswith(known_prefix(name))
    everything = expected(name, headers, body)
    assert pairs_of(message) == [
        pair
        for pair in everything
        if pair in OWN or pair[0] == "Event-Name" or pair[0] in {as_seen(key) for key in keep}
    ]


def test_fields_may_leave_the_name_alone() -> None:
    opened = select_fields(open_json('{"Event-Name":"API","a":"b"}', "API"), lambda name: False)
    assert close_json(opened, 1, 2, 3) == (
        b'{"Event-Name":"API","ZMQ-Epoch":"1","ZMQ-Sequence":"2","ZMQ-Name-Sequence":"3"}'
    )
