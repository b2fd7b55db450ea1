"""The four doors, and the script that mod_python3 loads."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Optional
from xml.etree import ElementTree

import pytest

from freeswitch_zmq.module import entry
from freeswitch_zmq.module.lookups.asked import Asked
from tests.unit.configurations import configuration, param, publisher
from tests.unit.fake_freeswitch import FakeEvent, FakeSwitch
from tests.unit.whole import Whole

SHIM = Path(__file__).parents[2] / "scripts/event_zmq.py"
COMMANDS = "start | stop | reload | status | status json | xml flush | help"


class Stream:
    """`freeswitch.Stream`: the wrapper refuses lone surrogates, and C stops at a NUL."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        text.encode()
        assert "\0" not in text
        self.text += text


class Session:
    """`freeswitch.Session`, as far as it is used."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}

    def setVariable(self, name: str, value: str) -> None:  # noqa: N802  # FreeSWITCH's name
        self.variables[name] = value


@pytest.fixture
def console(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> Whole:
    """The whole module behind the doors."""
    monkeypatch.setattr(entry, "_service", whole.service)
    return whole


def say(command: str) -> str:
    stream = Stream()
    entry.fsapi(stream, command)
    assert stream.text.endswith("\n")
    return stream.text[:-1]


def test_the_commands(console: Whole) -> None:
    assert say("status").startswith("event_zmq ")
    assert json.loads(say("status json"))["state"] == "stopped"
    assert say("start") == f'+OK started: publisher "default" at {console.endpoint()}'
    assert json.loads(say("status json"))["publishers"]["default"]["accepted"] >= 0
    assert say("  status   json ").startswith("{")
    assert say("reload") == "+OK reloaded: nothing changed"
    assert f"  at          {console.endpoint()}" in say("status").split("\n")
    assert say("stop") == "+OK stopped"
    assert "start it with: pyrun event_zmq" in say("status")


def test_help_names_every_command() -> None:
    assert say("help").startswith("+OK ")
    for command in COMMANDS.split(" | "):
        assert f"python event_zmq {command} " in say("help")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("", f"-ERR a command is missing; use: {COMMANDS}"),
        ("  ", f"-ERR a command is missing; use: {COMMANDS}"),
        ("strat", f'-ERR there is no command "strat" (did you mean "start"?); use: {COMMANDS}'),
        ("START", f'-ERR there is no command "START"; use: {COMMANDS}'),
        ("status xml", f'-ERR there is no command "status xml" (did you mean "status"?); use: {COMMANDS}'),
        ("start now", f'-ERR there is no command "start now" (did you mean "start"?); use: {COMMANDS}'),
        ("_take_down", f'-ERR there is no command "_take_down"; use: {COMMANDS}'),
        ("\udcff\0", f'-ERR there is no command "?\\0"; use: {COMMANDS}'),
    ],
)
def test_what_is_no_command(console: Whole, command: str, answer: str) -> None:
    assert say(command) == answer
    # Also in the log: with pyrun there is nobody to be answered.
    assert console.switch.texts("ERR") == [answer[len("-ERR ") :]]


def test_an_error_is_one_line_here_and_in_the_log(console: Whole) -> None:
    assert say("stop") == "-ERR event_zmq is not running; `pyrun event_zmq` starts it"
    assert console.switch.texts("ERR") == ["stop: event_zmq is not running; `pyrun event_zmq` starts it"]
    console.switch.lines.clear()


def test_every_mistake_has_a_line_here_and_in_the_log(console: Whole) -> None:
    console.xml = configuration(publisher(param("framing", "x"), param("queue-size", "y")))
    lines = [
        'event_zmq.conf: <publisher name="default">: framing: "x" is not one of: single, topic',
        'event_zmq.conf: <publisher name="default">: queue-size: "y" is not a whole number from 1 to 10000000',
    ]
    assert say("start").split("\n") == [f"-ERR {line}" for line in lines]
    assert console.switch.texts("ERR") == lines
    console.switch.lines.clear()


def test_what_nobody_expected_tells_neither_a_place_nor_a_traceback(console: Whole) -> None:
    def fail(command: str) -> str:
        raise RuntimeError("/a/path and a secret")

    console.switch.answers["global_getvar core_uuid"] = fail
    assert say("status") == "-ERR status failed: RuntimeError; the log has a line about it"
    line, _ = console.switch.texts("ERR")
    assert line.startswith('"status" met RuntimeError: /a/path and a secret (test_entry.py:')
    console.service.faults.count = 0
    console.switch.answers["global_getvar core_uuid"] = ""


def test_a_stream_that_breaks_is_survived(console: Whole) -> None:
    class Broken:
        def write(self, text: str) -> None:
            raise RuntimeError("gone")

    entry.fsapi(Broken(), "help")
    assert console.service.faults.count == 1
    console.service.faults.count = 0


def test_pyrun_starts_and_tells_the_log(console: Whole) -> None:
    entry.runtime("")
    assert json.loads(say("status json"))["state"] == "running"
    assert [text for text in console.switch.texts("NOTICE") if text.startswith("started: ")]
    entry.runtime(" status ")
    assert console.switch.texts("INFO")[-1].startswith("event_zmq ")
    entry.runtime("stop")
    assert console.switch.texts("INFO")[-1] == "+OK stopped"
    entry.runtime("stop")
    assert console.switch.texts("ERR")[-1].startswith("stop: event_zmq is not running")


def test_a_call_learns_that_nobody_is_there(console: Whole) -> None:
    session = Session()
    entry.handler(session, "ivr x")
    assert session.variables == {"event_zmq_status": "unavailable"}
    [line] = console.switch.texts("WARNING")
    assert line.startswith('a call asks for the call-out "ivr", but event_zmq does not run')
    entry.handler(None, "ivr")
    assert console.service.faults.count == 1
    console.service.faults.count = 0


def lookup() -> FakeEvent:
    """What mod_python3 hands over: what is looked up stands among the event's own headers."""
    words = {"section": "directory", "tag_name": "domain", "key_name": "name", "key_value": "example.com"}
    return FakeEvent("REQUEST_PARAMS", [*words.items(), ("user", "1000")])


def test_a_lookup_finds_nothing_while_it_does_not_run(console: Whole) -> None:
    result = ElementTree.fromstring(entry.xml_fetch(lookup())).find("section/result")
    assert result is not None
    assert result.get("status") == "not found"


def test_a_lookup(console: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Asked] = []

    def fetch(each: Asked) -> Optional[bytes]:
        asked.append(each)
        return "<ä/>".encode()

    monkeypatch.setattr(console.service, "fetch", fetch)
    assert entry.xml_fetch(lookup()) == "<ä/>"
    [one] = asked
    assert one[:4] == ("directory", "domain", "name", "example.com")
    assert one.as_params()["params"] == {"Event-Name": "REQUEST_PARAMS", "user": "1000"}
    # A real FreeSWITCH asks through its own function.
    monkeypatch.setattr(entry, "can_hook", lambda: True)
    assert entry.xml_fetch(lookup()) == entry.NOT_FOUND
    assert len(asked) == 1


def test_a_lookup_that_breaks_finds_nothing(console: Whole) -> None:
    event = lookup()
    event.broken = RuntimeError("no")
    assert entry.xml_fetch(event) == entry.NOT_FOUND
    assert console.service.faults.count == 1
    console.service.faults.count = 0


def test_the_cache_is_flushed(console: Whole) -> None:
    assert say("xml flush").startswith("-ERR event_zmq is not running")
    console.service.start()
    assert say("xml  flush") == "+OK flushed 0 documents"
    console.switch.lines.clear()


def test_the_service_outlives_a_reload_of_its_file(console: Whole) -> None:
    # `python freeswitch_zmq.module.entry` on the console would do that.
    before = entry.service()
    importlib.reload(entry)
    assert entry.service() is before


# The shim.


def load_shim() -> ModuleType:
    """As mod_python3 does at each call: anew."""
    specification = importlib.util.spec_from_file_location("event_zmq", SHIM)
    assert specification is not None
    assert specification.loader is not None
    shim = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(shim)
    return shim


def test_the_script_hands_everything_on_and_keeps_nothing(console: Whole) -> None:
    load_shim().runtime("")
    stream = Stream()
    load_shim().fsapi("na", stream, None, "status json")
    assert json.loads(stream.text)["state"] == "running"
    session = Session()
    load_shim().handler(session, "ivr")
    assert session.variables == {"event_zmq_status": "unavailable"}
    assert load_shim().xml_fetch(lookup(), "") == entry.NOT_FOUND


def test_without_the_package_or_pyzmq_the_script_says_what_is_missing(
    switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "freeswitch", switch.module())
    for name in [name for name in sys.modules if name.startswith("freeswitch_zmq.module")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "zmq", None)
    shim = load_shim()
    problem = (
        "event_zmq can't be loaded: import of zmq halted; None in sys.modules. It needs the package freeswitch_zmq "
        "beside this script, and pyzmq and ujson for FreeSWITCH's own Python: apt-get install python3-zmq python3-ujson"
    )
    assert switch.lines == [("ERR", problem + "\n")]
    stream = Stream()
    shim.fsapi("na", stream, None, "status")
    assert stream.text == f"-ERR {problem}\n"
    shim.runtime("")
    session = Session()
    shim.handler(session, "ivr")
    assert session.variables == {"event_zmq_status": "unavailable"}
    assert shim.xml_fetch(lookup(), "") == entry.NOT_FOUND


def test_the_scripts_not_found_is_the_modules() -> None:
    assert load_shim().NOT_FOUND == entry.NOT_FOUND
