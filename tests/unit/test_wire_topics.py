from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from freeswitch_zmq.wire import TopicFormat
from tests.unit.cjson import as_seen
from tests.unit.events_strategy import texts

DEFAULT = "Event-Name,Event-Subclass,Unique-ID"


def topic(fields: str, **headers: str) -> bytes:
    """Of an event with those headers; `_` in a name stands for `-`."""
    return TopicFormat(fields).topic({name.replace("_", "-"): value for name, value in headers.items()}.get)


def test_the_default_gives_what_the_protocol_shows() -> None:
    uuid = "2f1c1c5e-1b1a-4a9e-8a5b-0d1f6f3b2a11"
    assert topic(DEFAULT, Event_Name="CHANNEL_ANSWER", Unique_ID=uuid) == f"CHANNEL_ANSWER.{uuid}".encode()
    assert topic(DEFAULT, Event_Name="CUSTOM", Event_Subclass="sofia::register") == b"CUSTOM.sofia::register"
    assert topic(DEFAULT, Event_Name="HEARTBEAT") == b"HEARTBEAT"


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ("Event-Name", b"API"),
        ("Event-Name,Host", b"API.sip%2Eexample%2Ecom"),
        ("Name-Of,Event-Name", b"Main+Office+1.API"),
        ("Missing,Event-Name,Missing,Name-Of", b"API.Main+Office+1"),
        ("Missing", b""),
        ("Missing|Event-Name", b"API"),
        ("Event-Name|Host", b"API"),
        ("Missing|Absent|Host,Event-Name", b"sip%2Eexample%2Ecom.API"),
        ("Missing|Absent", b""),
        ("#fs1,Event-Name", b"fs1.API"),
        ("#fs1.eu west", b"fs1.eu west"),
        ("Event-Name,#", b"API."),
        (" Event-Name , #fs1 , Missing | Host ", b"API.fs1.sip%2Eexample%2Ecom"),
        ("Event-Name,Event-Name", b"API.API"),
    ],
)
def test_the_rules(fields: str, result: bytes) -> None:
    assert topic(fields, Event_Name="API", Host="sip.example.com", Name_Of="Main Office 1") == result


def test_what_is_not_utf8_is_valid_in_a_topic_too() -> None:
    assert topic("A,B", A="\udcff", B="ü") == "\ufffd.ü".encode()


@pytest.mark.parametrize("fields", ["", ",", "A,", ",A", "A,,B", "A|", "|A", "A||B", "A, ,B"])
def test_an_empty_field_is_told(fields: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        TopicFormat(fields)
    assert str(caught.value) == f'"{fields}" has an empty field; give header names separated by single commas'


@hypothesis.given(st.lists(st.one_of(st.none(), texts), min_size=1, max_size=5))
def test_parts_can_always_be_told_apart(found: list[str | None]) -> None:
    headers = {f"H{number}": value for number, value in enumerate(found) if value is not None}
    result = TopicFormat(",".join(f"H{number}" for number in range(len(found)))).topic(headers.get)
    parts = result.decode().split(".") if headers else []
    assert [part.replace("+", " ") for part in parts] == [
        as_seen(value).replace(".", "%2E").replace("+", " ") for value in headers.values()
    ]
