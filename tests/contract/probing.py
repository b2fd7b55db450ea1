"""Calls the probe scripts in a switch, and reads what they answer."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any

from tests.support.switch import Switch

PROBES = Path(__file__).parent / "probes"
_names = itertools.count()


class SeenEvent:
    """An event as a script in the switch saw it.

    Attributes:
        type: What ``getType()`` gave.
        name: What ``getHeader("Event-Name")`` gave; empty for None.
        subclass: The same for ``Event-Subclass``.
        missing: The ``repr`` of a header's value that is not there.
        body: What ``getBody()`` gave.
        json: What ``serialize("json")`` gave, as bytes.
        pairs: That, decoded: every key in its order, also one that is there twice.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        self.type: str = told["type"]
        self.name = _text(told["name"])
        self.subclass = _text(told["subclass"])
        self.missing: str = told["missing"]
        self.body = None if told["body"] is None else bytes.fromhex(told["body"])
        self.json = bytes.fromhex(told["json"])
        decoded = json.loads(self.json.decode("utf-8", "surrogateescape"), object_pairs_hook=list)
        self.pairs: list[tuple[str, Any]] = decoded

    def keys(self) -> list[str]:
        """Every key, in its order."""
        return [key for key, _ in self.pairs]

    def values(self, key: str) -> list[Any]:
        """Every value of a key."""
        return [value for name, value in self.pairs if name == key]


def _text(digits: str) -> str:
    return bytes.fromhex(digits).decode("utf-8", "surrogateescape")


class Probe:
    """The probe scripts of one switch."""

    def __init__(self, switch: Switch) -> None:
        self.switch = switch

    def call(self, script: str, function: str, *args: Any, timeout: float = 10.0) -> Any:
        """What a function of a script returns; an exception in it fails the test."""
        digits = json.dumps(args).encode().hex()
        output = self.switch.api(f"python {script} {function} {digits}", timeout)
        try:
            answer = json.loads(output)
        except ValueError:
            raise AssertionError(f"{script} {function}{args!r} printed {output!r}") from None
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["result"]

    def calls(self) -> list[dict[str, Any]]:
        """What the doors have noted since the last time."""
        noted: list[dict[str, Any]] = self.call("probe_calls", "take")
        return noted

    def wait_calls(self, count: int = 1, timeout: float = 30.0) -> list[dict[str, Any]]:
        """The same, after waiting for at least `count` of them."""
        deadline = time.monotonic() + timeout
        noted = self.calls()
        while len(noted) < count and time.monotonic() < deadline:
            time.sleep(0.02)
            noted += self.calls()
        assert len(noted) >= count, noted
        return noted

    def consumer(self, event: str, subclass: str = "", length: int = 1000) -> Consumer:
        """A new EventConsumer in the switch, to be used with ``with``."""
        return Consumer(self, event, subclass, length)


class Consumer:
    """An EventConsumer in the switch that lives from call to call."""

    def __init__(self, probe: Probe, event: str, subclass: str, length: int) -> None:
        self.probe = probe
        self.name = f"consumer{next(_names)}"
        self.after_cleanup = ""
        probe.call("probe_events", "open", self.name, event, subclass, length)

    def __enter__(self) -> Consumer:
        return self

    def __exit__(self, *_: object) -> None:
        self.after_cleanup = self.probe.call("probe_events", "close", self.name)

    def take(self, last: str, timeout: float = 30.0) -> SeenEvent:
        """The next event of the type or subclass `last`; those before it are lost."""
        event = self.take_all(last, timeout)[-1]
        assert last in (event.type, event.subclass), f"no {last} within {timeout} s, but {event.json!r}"
        return event

    def take_all(self, last: str, timeout: float = 30.0) -> list[SeenEvent]:
        """All events up to the first of the type or subclass `last`, or all that come in time."""
        told = self.probe.call("probe_events", "take", self.name, last, timeout, timeout=timeout + 5)
        assert told, f"no event within {timeout} s"
        return [SeenEvent(one) for one in told]

    def drain(self) -> list[SeenEvent]:
        """What is queued right now."""
        return [SeenEvent(one) for one in self.probe.call("probe_events", "drain", self.name)]

    def pop(self, block: int, timeout: int) -> tuple[bool, float]:
        """One ``pop``: whether it gave None, and the seconds that it took."""
        told = self.probe.call("probe_events", "timed_pop", self.name, block, timeout)
        return told["none"], told["seconds"]


def hexed(text: str | bytes) -> str:
    """Text for a probe that takes hex digits."""
    return (text if isinstance(text, bytes) else text.encode()).hex()
