"""What the module uses of mod_python3's `freeswitch`, for tests of single parts of it in this process.

It behaves as the real one was seen to (each rule is said where it stands) and does nothing else: no threads, no files.
"""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Iterable
from functools import partial
from types import ModuleType
from typing import Any, Callable, Union

from freeswitch_zmq.event_names import EVENT_NAMES
from tests.unit.cjson import Value, as_cjson

Answer = Union[str, Callable[[str], str]]


FAKE_THIS = 4711
"""SWIG's pointer to the C++ object behind an object of the wrapper."""


class FakeEvent:
    """`freeswitch.Event`, as an EventConsumer hands it over.

    Attributes:
        serialized: how many times it was made JSON.
        broken: raised by `serialize`, for what nobody expected.
    """

    def __init__(
        self, name: str, headers: Iterable[tuple[str, Value]] = (), body: str | None = None, subclass: str | None = None
    ) -> None:
        self.name = name
        self.headers: list[tuple[str, Value]] = [("Event-Name", name), *headers]
        if subclass is not None:
            # The copy that an EventConsumer gets has it before everything else.
            self.headers.insert(0, ("Event-Subclass", subclass))
        self.body = body
        self.serialized = 0
        self.broken: BaseException | None = None

    def getType(self) -> str:  # noqa: N802  # FreeSWITCH's name
        return self.name

    def getHeader(self, name: str) -> str | None:  # noqa: N802  # FreeSWITCH's name
        """The first of that name, in any case; several parts as FreeSWITCH writes them in one text."""
        for header, value in self.headers:
            if header.lower() == name.lower():
                return value if isinstance(value, str) else "ARRAY::" + "|:".join(value)
        return self.body if name == "_body" else None

    def getBody(self) -> str | None:  # noqa: N802  # FreeSWITCH's name
        return self.body

    def serialize(self, form: str) -> str:
        assert form == "json"
        self.serialized += 1
        if self.broken is not None:
            raise self.broken
        return as_cjson(self.headers, self.body)


class ScriptEvent:
    """`freeswitch.Event(name, subclass)`: what a script makes and fires."""

    this = FAKE_THIS

    def __init__(self, switch: FakeSwitch, name: str, subclass: str | None = None) -> None:
        self._switch = switch
        # A name that FreeSWITCH doesn't have gives a MESSAGE, and whatever has a subclass is CUSTOM.
        self._name = "CUSTOM" if subclass else _c(name).upper() if name.upper() in EVENT_NAMES else "MESSAGE"
        self._subclass = _c(subclass) if subclass else None
        self._headers: list[tuple[str, Value]] = []
        self._body: str | None = None

    def addHeader(self, name: str, value: str) -> bool:  # noqa: N802  # FreeSWITCH's name
        """An empty value takes those of that name away."""
        if _c(value):
            self._headers.append((_c(name), value[7:].split("|:") if value.startswith("ARRAY::") else value))
        else:
            self._headers = [each for each in self._headers if each[0].lower() != name.lower()]
        return True

    def addBody(self, value: str) -> bool:  # noqa: N802  # FreeSWITCH's name
        self._body = _c(value)
        return True

    def fire(self) -> bool:
        if not self._switch.takes_events:
            self._switch.consoleLog("ERR", "Failed to fire the event!\n")
            return False
        event = FakeEvent(self._name, self._headers, self._body, self._subclass)
        self._switch.sent.append(event)
        self._switch.fire(event)
        return True


def _c(text: str) -> str:
    """As C gets it: it would stop at a NUL, and SWIG refuses half a character."""
    assert "\0" not in text
    text.encode()
    return text


class FakeConsumer:
    """`freeswitch.EventConsumer(name, "", length)`; without a name it gets nothing until `bind`."""

    this = FAKE_THIS

    def __init__(self, switch: FakeSwitch, name: str, subclass: str, length: int) -> None:
        self.closed = False
        self._switch = switch
        self._length = length
        self._events: collections.deque[FakeEvent] = collections.deque()
        self._changed = threading.Condition()
        if name:
            self.bind(name, subclass)

    def bind(self, name: str, subclass: str) -> int:
        assert (name, subclass) == ("all", "")
        self._switch.consumers.append(self)
        return 1

    @property
    def waiting(self) -> int:
        return len(self._events)

    def put(self, event: FakeEvent) -> None:
        with self._changed:
            if len(self._events) >= self._length:
                # Dropped, with one line each.
                self._switch.consoleLog("ERR", "Cannot queue any more events.....\n")
                return
            self._events.append(event)
            self._changed.notify()

    def pop(self, block: int, timeout: int) -> FakeEvent | None:
        """Waits `timeout` milliseconds at most; without `block` not at all. None after `cleanup`."""
        with self._changed:
            if block and not self._events and not self.closed:
                assert timeout > 0, "FreeSWITCH would wait for ever"
                self._changed.wait(timeout / 1000)
            return self._events.popleft() if self._events and not self.closed else None

    def cleanup(self) -> None:
        self.closed = True
        self._switch.consumers.remove(self)


class FakeSwitch:
    """The switch behind the module.

    Attributes:
        is_running: what `freeswitch.running()` says.
        answers: outputs by command (all of it, or its first word), or a function that gets the whole command. What is
            not there is no command of this switch.
        commands: what was run, in order, `bgapi` with what it ran.
        deaf: commands by their first word whose BACKGROUND_JOB does not come.
        takes_events: whether events that scripts make can be fired.
        sent: those that were.
        lines: the log.
        consumers: that are bound and not closed.
    """

    def __init__(self) -> None:
        self.is_running = True
        self.answers: dict[str, Answer] = {"version": "FreeSWITCH Version 1.11.2\n", "bgapi": self._bgapi}
        self.commands: list[str] = []
        self.deaf: set[str] = set()
        self.takes_events = True
        self.sent: list[FakeEvent] = []
        self.lines: list[tuple[str, str]] = []
        self.consumers: list[FakeConsumer] = []

    # What mod_python3 gives.

    def consoleLog(self, level: str, text: str) -> None:  # noqa: N802  # FreeSWITCH's name
        assert "\0" not in text  # The C wrapper would stop there,
        text.encode()  # and refuses lone surrogates.
        self.lines.append((level, text))

    def running(self) -> bool:
        return self.is_running

    def module(self) -> ModuleType:
        """As `import freeswitch` gives it."""
        module: Any = ModuleType("freeswitch")
        module.consoleLog = self.consoleLog
        module.running = self.running
        module.EventConsumer = self._consumer
        module.API = lambda: _Api(self)
        module.Event = partial(ScriptEvent, self)
        return module  # type: ignore[no-any-return]  # Any, so that names can be set on it

    def _consumer(self, name: str, subclass: str, length: int) -> FakeConsumer:
        return FakeConsumer(self, name, subclass, length)

    # What the switch does.

    def execute(self, command: str) -> str:
        """Runs a command; its API event comes after it has run, also when there is no such command."""
        self.commands.append(command)
        name, _, argument = (part.strip() for part in command.partition(" "))
        answer = self.answers.get(command, self.answers.get(name, "INVALID COMMAND!\n"))
        output = answer if isinstance(answer, str) else answer(command)
        self.fire(api_event(name, argument))
        return output

    def _bgapi(self, command: str) -> str:
        """`bgapi uuid:ID COMMAND`: the real one works in a thread; here it is over before the answer is given."""
        _, job_id, inner = command.split(" ", 2)
        assert job_id.startswith("uuid:")
        output = self.execute(inner)
        if inner.split(" ")[0] not in self.deaf:
            self.fire(job_event(job_id[5:], output))
        return f"+OK Job-UUID: {job_id[5:]}\n"

    def fire(self, *events: FakeEvent) -> None:
        for event in events:
            for consumer in self.consumers:
                consumer.put(event)

    def texts(self, level: str) -> list[str]:
        """The lines of that level, without what every line of ours has around it."""
        return [text[len("event_zmq: ") : -1] for at, text in self.lines if at == level]

    def wait_until_taken(self, timeout: float = 20.0) -> None:
        """Waits until nothing is left on the queues."""
        deadline = time.monotonic() + timeout
        while any(consumer.waiting for consumer in self.consumers):
            assert time.monotonic() < deadline, "events are left on the switch's queue"
            time.sleep(0.001)


def job_event(job_id: str, output: str | None) -> FakeEvent:
    """The BACKGROUND_JOB that brings a command's output, or one that somebody made up."""
    return FakeEvent("BACKGROUND_JOB", [("Event-Calling-Function", "bgapi_exec"), ("Job-UUID", job_id)], output)


def api_event(command: str, argument: str = "") -> FakeEvent:
    """What FreeSWITCH tells of a command that was run."""
    headers = [("Event-Calling-Function", "switch_api_execute"), ("API-Command", command)]
    return FakeEvent("API", headers + ([("API-Command-Argument", argument)] if argument else []))


class _Api:
    this = FAKE_THIS

    def __init__(self, switch: FakeSwitch) -> None:
        self._switch = switch

    def executeString(self, command: str) -> str:  # noqa: N802  # FreeSWITCH's name
        return self._switch.execute(command)


class DirectLists:
    """Access lists of a FreeSWITCH that can be asked past its wrapper, in the place of `host.in_list`.

    Attributes:
        known: who is in which list, as (address, list).
        gate: closed, nobody gets an answer, as while `reloadacl` runs.
        waiting: set as soon as somebody asks.
        asked: what was answered.
    """

    def __init__(self, *known: tuple[str, str]) -> None:
        self.known = known
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()
        self.asked: list[tuple[str, str]] = []

    def in_list(self, address: str, name: str) -> bool:
        self.waiting.set()
        assert self.gate.wait(60.0)
        self.asked.append((address, name))
        return (address, name) in self.known
