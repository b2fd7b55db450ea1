"""The four doors of mod_python3: what they are called with, and what becomes of what they do."""

from __future__ import annotations

import pytest

from tests.support.switch import Switch
from tests.support.waiting import wait_for

from .probing import Probe

NO_REPLY = "-ERR no reply\n"


def noted_args(note: dict[str, str]) -> str:
    return bytes.fromhex(note["args"]).decode("utf-8", "surrogateescape")


def test_fsapi(switch: Switch, probe: Probe) -> None:
    assert switch.api("python probe_doors two  words") == "written twice"
    (note,) = probe.calls()
    assert noted_args(note) == "two  words"
    assert note["session"] == "na"
    assert note["types"] == ["Event", "Stream"]
    assert note["command"] == "python"


def test_fsapi_without_arguments(switch: Switch, probe: Probe) -> None:
    switch.api("python probe_doors")
    (note,) = probe.calls()
    assert noted_args(note) == ""
    assert note["args_type"] == "str"


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ("   before", "before"),
        ("behind   ", "behind"),
        ("'single quotes' go", "single quotes go"),
        ("it's", "it's"),
        ('"double quotes" stay', '"double quotes" stay'),
        ("a\tb", "a\tb"),
        (r"new\nline", "new\nline"),
        (r"a\sspace", "a space"),
        (r"a\'b", "a'b"),
        (r"a\\b", r"a\b"),
        (r"a\xb", r"a\xb"),
        ("${esl_port} $${esl_port}", "${esl_port} $${esl_port}"),
        ("ä€😀", "ä€😀"),
        ("x" * 5000, "x" * 5000),
    ],
)
def test_what_becomes_of_the_arguments(switch: Switch, probe: Probe, sent: str, received: str) -> None:
    switch.api(f"python probe_doors {sent}")
    (note,) = probe.calls()
    assert noted_args(note) == received


@pytest.mark.parametrize(
    ("command", "answer", "missing"),
    [
        ("python", NO_REPLY, "missing 4 required positional arguments"),
        ("pyrun", "OK\n", "missing 1 required positional argument: 'args'"),
    ],
)
def test_arguments_that_are_not_utf_8_leave_none_at_all(
    switch: Switch, probe: Probe, command: str, answer: str, missing: str
) -> None:
    before = switch.log_text().count(missing)
    assert switch.api(command.encode() + b" probe_doors \xff\xfe") == answer
    switch.wait_log(missing, before + 1)
    assert probe.calls() == []


def test_pyrun(switch: Switch, probe: Probe) -> None:
    assert switch.api("pyrun probe_doors first second") == "OK\n"
    (note,) = probe.wait_calls()
    assert note["door"] == "runtime"
    assert noted_args(note) == "first second"


def test_no_script_named(switch: Switch) -> None:
    assert switch.api("python") == NO_REPLY
    assert switch.api("pyrun").startswith("USAGE:")


def test_startup_script(probe: Probe) -> None:
    # It runs in a thread of its own.
    assert wait_for(lambda: probe.call("probe_calls", "startups"), "the startup script", 30) == [""]


def test_handler(switch: Switch, probe: Probe) -> None:
    switch.api("originate {python_args='first  second'}loopback/python-probe_doors/default &park()")
    (note,) = probe.wait_calls()
    assert note["door"] == "handler"
    assert noted_args(note) == "first  second"
    assert note["session"]["type"] == "Session"
    assert len(note["session"]["uuid"]) == 36


def test_fsapi_in_the_dialplan_has_the_session(switch: Switch, probe: Probe) -> None:
    switch.api("originate loopback/expansion/default &park()")
    (note,) = probe.wait_calls()
    assert note["door"] == "fsapi"
    assert noted_args(note) == "in the dialplan"
    assert note["session"]["type"] == "Session"


def test_fsapi_in_an_expansion_without_a_call_has_none(switch: Switch, probe: Probe) -> None:
    assert switch.api("expand echo ${python(probe_doors x)}") == "written twice"
    (note,) = probe.calls()
    assert note["session"] == "na"


def test_a_script_can_be_asked_for_another_function(switch: Switch, probe: Probe) -> None:
    assert switch.api("python probe_doors::another x") == "another"
    assert [note["door"] for note in probe.calls()] == ["another"]


@pytest.mark.parametrize("function", ["silent", "returns", "leaves"])
def test_nothing_written_is_no_reply(switch: Switch, function: str) -> None:
    assert switch.api(f"python probe_doors::{function}") == NO_REPLY


@pytest.mark.parametrize(
    ("script", "logged"),
    [
        ("probe_doors::raises", "Message: on purpose"),
        ("probe_doors::missing", "Module does not define missing"),
        ("no_such_script", "Message: No module named 'no_such_script'"),
        ("../probe_doors", "Error importing module"),
        ("probe_doors.inner", "Message: No module named 'probe_doors.inner'"),
    ],
)
def test_mistakes_are_logged_and_answered_with_nothing(switch: Switch, script: str, logged: str) -> None:
    before = switch.log_text().count(logged)
    assert switch.api(f"python {script} x") == NO_REPLY
    switch.wait_log(logged, before + 1)


def test_a_script_with_a_syntax_error(switch: Switch) -> None:
    (switch.scripts_dir / "probe_broken.py").write_text("def fsapi(:\n", "ascii")
    assert switch.api("python probe_broken") == NO_REPLY
    switch.wait_log("Message: invalid syntax (probe_broken.py, line 1)")


def test_exit_ends_only_the_call(switch: Switch) -> None:
    errors = switch.log_text().count("Error calling python script")
    assert switch.api("python probe_doors::leaves") == NO_REPLY
    assert switch.api("python probe_doors") == "written twice"
    assert switch.log_text().count("Error calling python script") == errors


def test_a_long_answer(switch: Switch) -> None:
    (switch.scripts_dir / "probe_long.py").write_text(
        "def fsapi(session, stream, env, args):\n    stream.write('%s%n' * 500000)\n", "ascii"
    )
    assert switch.api("python probe_long") == "%s%n" * 500000
