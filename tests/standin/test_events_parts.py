"""Events and their engine, without a switch."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from freeswitch_zmq.standin.engine import Binding, EventEngine, Origin
from freeswitch_zmq.standin.events import ALL, Event, event_type
from freeswitch_zmq.standin.serialize import from_json, to_json, to_plain, to_xml

ORIGIN = Origin("test.c", "test", "1")


@pytest.fixture
def errors() -> list[BaseException]:
    return []


@pytest.fixture
def engine(errors: list[BaseException]) -> Iterator[EventEngine]:
    engine = EventEngine(lambda: (("Core-UUID", "one"),), errors.append)
    yield engine
    assert engine.stop(5.0)


@pytest.mark.parametrize(
    ("name", "type_"),
    [("heartbeat", "HEARTBEAT"), ("SWITCH_EVENT_TRAP", "TRAP"), ("all", "ALL"), ("nothing", None), ("", None)],
)
def test_names(name: str, type_: str | None) -> None:
    assert event_type(name) == type_


def test_headers() -> None:
    event = Event("CUSTOM")
    event.add("A", "1")
    event.add("a", "2")
    event.add("B", "top", top=True)
    assert event.headers == [("B", "top"), ("A", "1"), ("a", "2")]
    assert (event.get("a"), event.get("A"), event.get("b"), event.get("C")) == ("2", "1", "top", None)
    event.add("A", "")
    assert event.headers == [("B", "top")]
    assert event.delete("b")
    assert not event.delete("b")


def test_parts_of_a_value() -> None:
    event = Event("CUSTOM")
    event.add("list", "ARRAY::a|:b")
    event.add("list[3]", "d")
    event.add("one", "ARRAY::x")
    assert event.headers == [("list", ("a", "b", "", "d")), ("one", ("x",))]
    assert event.get("list") == "ARRAY::a|:b|:|:d"
    assert (event.get("one"), event.parts("LIST")[1], event.parts("none")) == ("x", "b", ())
    event.add("gap[1]", "z")
    # A copy loses empty parts in front.
    assert event.copy().headers[-1] == ("gap", ("z",))


def test_where_one_of_a_name_is_enough() -> None:
    event = Event("REQUEST_PARAMS")
    event.add("a", "1")
    event.add("A", "2")
    assert event.headers == [("A", "2")]


def test_a_copy_begins_with_the_subclass() -> None:
    event = Event("CUSTOM", [("Event-Name", "CUSTOM")])
    event.set_subclass("my::class")
    event.add("Event-Subclass", "another")
    copy = event.copy()
    assert copy.headers == [("Event-Subclass", "my::class"), ("Event-Name", "CUSTOM")]
    copy.add("x", "1")
    assert event.get("x") is None


def test_json() -> None:
    event = Event("CUSTOM", [("a", '"\\/\x01\x7f\n'), ("a", "\udcff\u00fc"), ("b", ("1", '"'))], body="b\u00fc")
    expected = r'{"a":"\"\\/\u0001' + "\x7f" + r'\n","a":"' + "\udcff\u00fc" + r'","b":["1","\""],'
    assert to_json(event) == expected + '"Content-Length":"3","_body":"b\u00fc"}'


def test_json_back() -> None:
    event = from_json('{"Event-Name":"HEARTBEAT","a":"1","n":5,"o":{"x":"y"},"l":["1",2,"3"],"_body":"b"}')
    assert event is not None
    assert (event.type, event.body) == ("HEARTBEAT", "b")
    assert json.loads(to_json(event)) == {
        "Event-Name": "HEARTBEAT",
        "a": "1",
        "l": ["1", "3"],
        "Content-Length": "1",
        "_body": "b",
    }
    assert from_json("{broken") is None


def test_plain_and_xml() -> None:
    event = Event("CUSTOM", [("a", "x y:%2F%zz"), ("e", "")], body="<b>")
    assert to_plain(event) == "a: x%20y%3A%2F%25zz\ne: _undef_\nContent-Length: 3\n\n<b>"
    assert to_plain(Event("CUSTOM")) == "\n"
    assert "<Content-Length>3</Content-Length>\n  <body>&lt;b&gt;</body>\n</event>\n" in to_xml(event)


def test_numbers_are_given_when_an_event_is_made(engine: EventEngine) -> None:
    first, second = engine.create("TRAP", ORIGIN), engine.create("CUSTOM", ORIGIN, "a::b")
    assert [event.get("Event-Sequence") for event in (first, second)] == ["1", "2"]
    assert [name for name, _ in first.headers] == [
        "Event-Name",
        "Core-UUID",
        "Event-Date-Local",
        "Event-Date-GMT",
        "Event-Date-Timestamp",
        "Event-Calling-File",
        "Event-Calling-Function",
        "Event-Calling-Line-Number",
        "Event-Sequence",
    ]
    assert second.headers[-1] == ("Event-Subclass", "a::b")


def test_delivery(engine: EventEngine, errors: list[BaseException]) -> None:
    seen: list[tuple[str, str]] = []

    def fails(_event: Event) -> None:
        raise ValueError("on purpose")

    every = Binding(ALL, None, lambda event: seen.append(("all", event.type)), "")
    engine.bind(every)
    engine.bind(Binding("TRAP", None, fails, ""))
    engine.bind(Binding("CUSTOM", "a::b", lambda event: seen.append(("ab", event.type)), ""))
    engine.start()
    for event in (engine.create("TRAP", ORIGIN), *(engine.create("CUSTOM", ORIGIN, name) for name in ("a::b", "c::d"))):
        engine.fire(event)
    assert engine.drain(20.0)
    assert seen == [("all", "TRAP"), ("ab", "CUSTOM"), ("all", "CUSTOM"), ("all", "CUSTOM")]
    assert [str(error) for error in errors] == ["on purpose"]
    engine.unbind(every)
    engine.fire(engine.create("TRAP", ORIGIN))
    assert engine.drain(20.0)
    assert len(seen) == 4


def test_who_fires_waits_while_too_many_are_queued(engine: EventEngine) -> None:
    gate, fired = threading.Event(), threading.Event()
    engine.bind(Binding("TRAP", None, lambda _event: (gate.wait(60), None)[1], ""))
    engine.start()

    def fire() -> None:
        for _ in range(20_100):
            engine.fire(Event("TRAP"))
        fired.set()

    thread = threading.Thread(target=fire)
    thread.start()
    assert not fired.wait(0.5)
    gate.set()
    assert fired.wait(60)
    thread.join(60)


def test_after_its_end_nothing_is_delivered(engine: EventEngine) -> None:
    seen: list[Event] = []
    engine.bind(Binding(ALL, None, seen.append, ""))
    engine.start()
    assert engine.stop(5.0)
    engine.fire(engine.create("TRAP", ORIGIN))
    assert not seen
