"""The event socket, on both kinds of switch: what clients send, and what they get."""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess

import pytest

from tests.support.esl import Esl, EslClosedError, EslError, EslRefusedError, Message
from tests.support.livefs import find_freeswitch
from tests.support.switch import Switch

_names = itertools.count()


@pytest.fixture
def subclass() -> str:
    """A subclass that no other test has."""
    return f"esl::test{next(_names)}"


def fire(switch: Switch, subclass: str, *headers: tuple[str, str], body: bytes = b"") -> None:
    assert switch.sendevent("CUSTOM", [("Event-Subclass", subclass), *headers], body).startswith("+OK ")


def take(esl: Esl) -> Message:
    message = esl.receive(20.0)
    assert message is not None
    return message


def test_a_wrong_password_is_refused(switch: Switch) -> None:
    with pytest.raises(EslRefusedError):
        Esl.connect(switch.esl_port, "wrong")


def test_nothing_works_before_the_login(switch: Switch) -> None:
    with socket.create_connection(("127.0.0.1", switch.esl_port), 10) as client, client.makefile("rwb") as stream:
        assert stream.readline() == b"Content-Type: auth/request\n"
        stream.write(b"api version\n\n")
        stream.flush()
        lines = [stream.readline() for _ in range(4)]
    assert lines[1:] == [b"Content-Type: command/reply\n", b"Reply-Text: -ERR command not found\n", b"\n"]


def test_a_command_that_is_none(esl: Esl) -> None:
    assert esl.command("no_such_thing") == "-ERR command not found"


def test_exit(esl: Esl) -> None:
    assert esl.command("exit") == "+OK bye"
    with pytest.raises(EslClosedError):
        esl.receive()


@pytest.mark.parametrize(("form", "start"), [("json", b'{"Event-Subclass":"'), ("plain", b"Event-Subclass: ")])
def test_formats(switch: Switch, esl: Esl, subclass: str, form: str, start: bytes) -> None:
    assert esl.events(f"{form} CUSTOM {subclass}") == f"+OK event listener enabled {form}"
    fire(switch, subclass, ("X-Test", "a b:c"))
    message = take(esl)
    assert message.content_type == f"text/event-{form}"
    assert message.body.startswith(start)
    assert b"a b:c" in message.body if form == "json" else b"X-Test: a%20b%3Ac\n" in message.body


def test_xml(switch: Switch, esl: Esl, subclass: str) -> None:
    assert esl.events(f"xml CUSTOM {subclass}") == "+OK event listener enabled xml"
    fire(switch, subclass, ("X-Test", "a b"), body=b"<body> & more")
    message = take(esl)
    assert message.content_type == "text/event-xml"
    assert message.text.startswith("<event>\n  <headers>\n    <Event-Subclass>")
    assert "    <X-Test>a%20b</X-Test>\n" in message.text
    assert "  <body>&lt;body&gt; &amp; more</body>\n</event>\n" in message.text


def test_only_what_was_asked_for_comes(switch: Switch, esl: Esl, subclass: str) -> None:
    esl.events(f"json TRAP CUSTOM {subclass}")
    fire(switch, f"{subclass}-other")
    switch.sendevent("MESSAGE")
    switch.sendevent("TRAP", [("X-Test", "1")])
    fire(switch, subclass, ("X-Test", "2"))
    assert [take(esl).event()["X-Test"] for _ in range(2)] == ["1", "2"]


def test_no_keywords(esl: Esl) -> None:
    assert esl.events("json NO_SUCH_EVENT") == "-ERR no keywords supplied"
    assert esl.command("nixevent") == "-ERR no keywords supplied"


def test_nixevent_and_noevents(switch: Switch, esl: Esl, subclass: str) -> None:
    assert esl.command("noevents") == "-ERR not listening for events"
    esl.events("json ALL")
    assert esl.command("nixevent TRAP") == "+OK events nixed"
    switch.sendevent("TRAP", [("X-Test", subclass)])
    fire(switch, subclass)  # Not any more either: of all subclasses only those count that were known before.
    switch.sendevent("MESSAGE", [("X-Test", subclass)])
    names = []
    while "MESSAGE" not in names:
        event = take(esl).event()
        if event.get("X-Test") == subclass or event.get("Event-Subclass") == subclass:
            names.append(event["Event-Name"])
    assert names == ["MESSAGE"]
    assert esl.command("noevents") == "+OK no longer listening for events"


def test_filters(switch: Switch, esl: Esl, subclass: str) -> None:
    esl.events("json TRAP")
    assert esl.command("filter X-Test wanted") == "+OK filter added. [X-Test]=[wanted]"
    assert esl.command("filter X-Test") == "-ERR invalid syntax"
    switch.sendevent("TRAP", [("X-Test", "other"), ("X-Number", "1")])
    switch.sendevent("TRAP", [("X-Number", "2")])
    switch.sendevent("TRAP", [("x-test", "WANTED"), ("X-Number", "3")])
    assert take(esl).event()["X-Number"] == "3"
    assert esl.command("filter delete X-Test") == "+OK filter deleted. [X-Test][]"
    switch.sendevent("TRAP", [("X-Number", "4")])
    assert take(esl).event()["X-Number"] == "4"


def test_bgapi(esl: Esl) -> None:
    esl.events("json BACKGROUND_JOB")
    assert esl.bgapi("echo one two", "esl-job-1") == "esl-job-1"
    job = take(esl).event()
    while job["Job-UUID"] != "esl-job-1":
        job = take(esl).event()
    assert (job["Job-Command"], job["Job-Command-Arg"], job["_body"]) == ("echo", "one two", "one two")
    esl.bgapi("no_such_command x", "esl-job-2")
    job = take(esl).event()
    assert (job["Job-UUID"], job["_body"]) == ("esl-job-2", "-ERR no_such_command Command not found!\n")


def test_sendevent_keeps_what_the_sender_says(switch: Switch, esl: Esl, subclass: str) -> None:
    esl.events(f"json CUSTOM {subclass}")
    fire(
        switch,
        subclass,
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("Event-Name", "FORGED"),
        ("X-Array", "ARRAY::a|:b"),
        ("X-Empty", ""),
        body=b"a body\nof two lines",
    )
    text = take(esl).text
    assert text.startswith(f'{{"Event-Subclass":"{subclass}","Command":"sendevent CUSTOM","X-Twice":"1","X-Twice":"2",')
    assert '"Event-Name":"FORGED","X-Array":["a","b"],"Content-Length":"19","Event-UUID":"' in text
    assert '","Event-Name":"CUSTOM","Core-UUID":"' in text
    assert text.endswith('"Content-Length":"19","_body":"a body\\nof two lines"}')
    assert "X-Empty" not in text


def test_a_name_that_is_none_is_sent_as_custom(switch: Switch, esl: Esl, subclass: str) -> None:
    esl.events("json CUSTOM")
    switch.sendevent("NO_SUCH_EVENT", [("Event-Subclass", subclass), ("X-Test", "1")])
    event = take(esl).event()
    assert (event["Event-Name"], event["Event-Subclass"], event["X-Test"]) == ("CUSTOM", subclass, "1")


def test_log_lines(esl: Esl) -> None:
    assert esl.command("nolog") == "-ERR not loging"
    assert esl.command("log no_such_level") == "-ERR invalid log level"
    assert esl.command("log warning") == "+OK log level warning [4]"
    esl.api("log INFO not this one")
    esl.api("log ERR but this one")
    message = take(esl)
    assert message.content_type == "log/data"
    assert (message.headers["Log-Level"], message.headers["Log-File"]) == ("3", "mod_commands.c")
    assert message.text.endswith("[ERR] mod_commands.c:7247 but this one\n")
    assert esl.command("nolog") == "+OK no longer logging"


@pytest.mark.parametrize("length", ["-1", "99999999999"])
def test_a_body_of_an_impossible_length_ends_the_connection(esl: Esl, length: str) -> None:
    esl.sock.sendall(f"sendevent CUSTOM\nContent-Length: {length}\n\n".encode())
    with pytest.raises(EslClosedError):
        esl.receive()


def test_line_ends_of_both_kinds(switch: Switch) -> None:
    with socket.create_connection(("127.0.0.1", switch.esl_port), 10) as client, client.makefile("rwb") as stream:
        stream.write(f"\n\nauth {switch.esl_password}\r\n\r\napi echo both\r\n\r\nexit\n\n".encode())
        stream.flush()
        answer = stream.read()
    assert b"Reply-Text: +OK accepted\n\n" in answer
    assert b"Content-Type: api/response\nContent-Length: 4\n\nboth" in answer
    assert b"Content-Type: text/disconnect-notice\nContent-Length: 67\n\nDisconnected, goodbye.\n" in answer


def test_two_clients_at_once(switch: Switch, subclass: str) -> None:
    with switch.esl() as first, switch.esl() as second:
        for esl in (first, second):
            esl.events(f"json CUSTOM {subclass}")
        fire(switch, subclass, ("X-Test", "both"))
        assert [take(esl).event()["X-Test"] for esl in (first, second)] == ["both", "both"]


def test_a_client_that_goes_leaves_nothing(switch: Switch, subclass: str) -> None:
    with switch.esl() as esl:
        esl.events("json ALL")
        fire(switch, subclass)
    with pytest.raises(EslError):
        esl.api("status")
    fire(switch, subclass)
    assert "is ready" in switch.api("status")


def test_a_console_command_that_is_none_is_told_whole(esl: Esl) -> None:
    esl.sock.sendall(b"api no_such_command x\nconsole_execute: true\n\n")
    assert esl.api("echo next") == "-ERR no_such_command x Command not found!\n"


@pytest.mark.live
def test_fs_cli(switch: Switch) -> None:
    freeswitch = find_freeswitch()
    assert freeswitch is not None
    program = shutil.which("fs_cli", path=str(freeswitch.parent))
    assert program is not None
    command = [
        program,
        "-H",
        "127.0.0.1",
        "-P",
        str(switch.esl_port),
        "-p",
        switch.esl_password,
        "-x",
        "echo from fs_cli",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "from fs_cli")
