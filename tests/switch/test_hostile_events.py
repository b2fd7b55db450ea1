"""Events with anything in them: what comes out is always valid, and true."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.support.module import Module, Subscriber
from tests.support.switch import Switch

Headers = list[tuple[bytes, bytes]]
Fire = Callable[[Switch, str, Headers, bytes], None]

CASES: dict[str, tuple[str, Headers, bytes, dict[str, object]]] = {
    "not UTF-8": ("TRAP", [(b"H", b"a\xff\xfeb\xc3")], b"", {"H": "a\ufffd\ufffdb\ufffd"}),
    "a surrogate in UTF-8": ("TRAP", [(b"H", b"\xed\xa0\x80")], b"", {"H": "\ufffd" * 3}),
    "control characters": ("TRAP", [(b"H", b"a\x01\x02\tb\x7f")], b"", {"H": "a\x01\x02\tb\x7f"}),
    "quotes": ("TRAP", [(b"H", b'say "hi" \\ /')], b"", {"H": 'say "hi" \\ /'}),
    "emoji": ("TRAP", [(b"H", "\U0001f4de ☎ é".encode())], b"", {"H": "\U0001f4de ☎ é"}),
    "an array": ("TRAP", [(b"H", b"ARRAY::one|:two|:three")], b"", {"H": ["one", "two", "three"]}),
    "a second name": ("TRAP", [(b"Event-Name", b"SHUTDOWN"), (b"H", b"1")], b"", {"H": "1"}),
    "a name in a value": ("TRAP", [(b"H", b'{"Event-Name":"API"}')], b"", {"H": '{"Event-Name":"API"}'}),
    "headers of ours": (
        "TRAP",
        [(b"ZMQ-Sequence", b"7"), (b"ZMQ-Epoch", b"7"), (b"ZMQ-Other", b"7"), (b"H", b"1")],
        b"",
        {"H": "1", "ZMQ-Other": None},
    ),
    "a subclass": ("CUSTOM", [(b"Event-Subclass", b"test::odd"), (b"H", b"1")], b"", {"Event-Subclass": "test::odd"}),
    "a large body": ("MESSAGE", [(b"H", b"1")], b"x\xff\n" * 350_000, {"_body": "x\ufffd\n" * 350_000}),
}


def from_event_socket(switch: Switch, name: str, headers: Headers, body: bytes) -> None:
    switch.sendevent(name, headers, body)


def from_within(switch: Switch, name: str, headers: Headers, body: bytes) -> None:
    """A script can hand FreeSWITCH only UTF-8, so what isn't is made so."""
    subclass = dict(headers).get(b"Event-Subclass", b"").decode()
    given = [(key.decode(), value.decode("utf-8", "replace")) for key, value in headers if key != b"Event-Subclass"]
    file = switch.root / "fire.json"
    file.write_text(json.dumps([[name, subclass, given, body.decode("utf-8", "replace") if body else None]]), "utf-8")
    assert switch.api(f"python script_fire {file}").strip() == "+OK"


def test_whatever_is_in_an_event_what_comes_out_is_valid_and_true(module: Module) -> None:
    with Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(module.switch)
        for fire in (from_event_socket, from_within):
            for case, (name, headers, body, expected) in CASES.items():
                fire(module.switch, name, [*headers, (b"Case", case.encode())], body)
                raw = subscriber.raw()
                while b'"Case":' not in raw:
                    raw = subscriber.raw()
                event = json.loads(raw.decode("utf-8", "strict"))
                where = f"{fire.__name__}: {case}"
                assert raw.startswith(f'{{"Event-Name":"{name}",'.encode()), where
                assert [key for key, _ in json.loads(raw, object_pairs_hook=list)].count("Event-Name") == 1, where
                assert event["Event-Name"] == name, where
                assert {key: event.get(key) for key in expected} == expected, where
                assert int(event["ZMQ-Sequence"]) > 0, where
                assert event["ZMQ-Epoch"] == module.publisher()["epoch"], where
                if body:
                    assert int(event["Content-Length"]) >= len(body), where
    assert module.status()["errors"] == 0


def test_a_header_that_is_there_twice_stays_so(module: Module) -> None:
    with Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(module.switch)
        for fire in (from_event_socket, from_within):
            fire(module.switch, "TRAP", [(b"Twice", b"one"), (b"Twice", b"two"), (b"Case", b"1")], b"")
            raw = subscriber.raw()
            while b'"Case":' not in raw:
                raw = subscriber.raw()
            pairs = json.loads(raw, object_pairs_hook=list)
            assert [value for key, value in pairs if key == "Twice"] == ["one", "two"]
