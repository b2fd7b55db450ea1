"""The methods `api` and `bgapi`: what reaches FreeSWITCH, what is kept from it, and what its outputs mean."""

from __future__ import annotations

import time
import uuid
from typing import Any, Optional

import pytest

from freeswitch_zmq.jsonrpc import BUSY, FAILED, FORBIDDEN, INVALID_PARAMS, SHUTTING_DOWN, RpcError
from freeswitch_zmq.module.api.commands import result_of
from tests.unit.asking import Asking
from tests.unit.fake_freeswitch import FakeEvent, FakeSwitch

ALLOW = "api:echo *, api:status, bgapi:echo *, api:show calls*, api:bgapi *, api:eval *, api:expand *"
HALF = "\ud83d"


def fullwidth(text: str) -> str:
    """Letters that look the same, and that Unicode says are the same."""
    return "".join(chr(ord(char) + 0xFEE0) for char in text)


@pytest.fixture
def asking(switch: FakeSwitch) -> Asking:
    return Asking(switch, allow=ALLOW)


def failure(asking: Asking, output: Optional[str]) -> RpcError:
    with pytest.raises(RpcError) as caught:
        asking.output(output)
    return caught.value


# What reaches FreeSWITCH.


@pytest.mark.parametrize(
    "args",
    [
        "calls as json",
        "a  b",
        "a\vb\tc",
        "ü\U0001f600\u2028\x85",
        '%s %n "x" \\n \\',
        "; | & ` $ ( ) < > * ? ${a} $${b}",
        "\x01\x7f",
        "x" * 60_000,
    ],
    ids=["words", "two spaces", "tabs", "UTF-8", "escapes", "signs", "control", "long"],
)
def test_arguments_reach_freeswitch_byte_for_byte(asking: Asking, args: str) -> None:
    assert asking.ask("api", command="echo", args=args) is None
    assert asking.line == f"echo {args}"
    asking.ask("bgapi", command="echo", args=args)
    assert asking.line == f"echo {args}"


@pytest.mark.parametrize("args", [" a ", "\ta\v", " \t a \v "])
def test_what_freeswitch_takes_off_is_taken_off_before(asking: Asking, args: str) -> None:
    # It does so but for console_complete, whose event would say something else than we expect then.
    asking.ask("api", command="echo", args=args)
    assert asking.line == "echo a"


@pytest.mark.parametrize("more", [{}, {"args": ""}, {"args": " \t"}, {"args": None}, {"timeout": None}])
def test_without_arguments_it_is_the_name_alone(asking: Asking, more: dict[str, Any]) -> None:
    asking.ask("api", command="status", **more)
    assert asking.line == "status"


def test_a_name_may_be_in_any_case(asking: Asking) -> None:
    asking.ask("api", command="Status")
    assert asking.line == "Status"
    # That is how FreeSWITCH would tell of it.
    assert failure(asking, "Status: Command not found!\n").code == FAILED


def test_each_command_has_an_id_of_its_own_that_nobody_can_guess(asking: Asking) -> None:
    ids = set()
    for _ in range(10):
        asking.ask("api", command="status")
        ids.add(asking.job)
    assert {len(each) for each in ids} == {32}
    assert len(ids) == 10


# What is kept from it.

FORBIDDEN_COMMANDS: dict[str, dict[str, Any]] = {
    "one that is not granted": {"command": "version"},
    "with other arguments": {"command": "show", "args": "channels"},
    "without the arguments": {"command": "show"},
    "arguments where none are granted": {"command": "status", "args": "x"},
    # What is forbidden with any arguments is that first, whatever else is wrong with it.
    "a line break in its arguments": {"command": "version", "args": "a\nb"},
    "arguments that are none": {"command": "version", "args": 1},
    "a time that is none": {"command": "version", "timeout": -1},
    "arguments in the name": {"command": "version x"},
    "a blank before it": {"command": " version"},
    "a line break before it": {"command": "\nversion"},
    "a NUL behind it": {"command": "version\0status"},
    "a sign before it": {"command": "!version"},
    "fullwidth letters": {"command": fullwidth("version")},
    "half a character behind it": {"command": f"version{HALF}"},
    "two of them": {"command": "version;status"},
    "a prefix of one": {"command": "statu"},
    "more than one": {"command": "status2"},
    "in capitals": {"command": "VERSION"},
}


@pytest.mark.parametrize("params", FORBIDDEN_COMMANDS.values(), ids=FORBIDDEN_COMMANDS.keys())
def test_what_is_not_granted_does_not_reach_it(asking: Asking, params: dict[str, Any]) -> None:
    error = asking.refused("api", **params)
    assert (error.code, error.data) == (FORBIDDEN, None)
    assert asking.switch.commands == []
    assert asking.desk.pending == 0


WRONG_COMMANDS: dict[str, dict[str, Any]] = {
    "no command": {},
    "null": {"command": None},
    "a number": {"command": 1},
    "an empty one": {"command": ""},
    "only blanks": {"command": " \t"},
    "only signs": {"command": "!$%"},
    "arguments in the name": {"command": "status x"},
    "a blank behind it": {"command": "status "},
    "a blank before it": {"command": " status"},
    "a line break behind it": {"command": "status\n"},
    "a NUL behind it": {"command": "status\0"},
    "half a character behind it": {"command": f"status{HALF}"},
    "fullwidth letters": {"command": fullwidth("status")},
    "a line break in the arguments": {"command": "echo", "args": "a\nstatus"},
    "another line break": {"command": "echo", "args": "a\r"},
    "a NUL in the arguments": {"command": "echo", "args": "a\0b"},
    "half a character": {"command": "echo", "args": HALF},
    "arguments in an array": {"command": "echo", "args": ["a"]},
    "arguments that are a number": {"command": "echo", "args": 1},
    "an unknown param": {"command": "status", "arg": "x"},
    # It is told before anything is looked at.
    "an unknown param of one that is forbidden": {"command": "version", "arg": "x"},
}


@pytest.mark.parametrize("method", ["api", "bgapi"])
@pytest.mark.parametrize("params", WRONG_COMMANDS.values(), ids=WRONG_COMMANDS.keys())
def test_what_is_no_command_does_not_reach_it_either(switch: FakeSwitch, method: str, params: dict[str, Any]) -> None:
    asking = Asking(switch, allow="api:echo *, api:status, bgapi:echo *, bgapi:status")
    error = asking.refused(method, **params)
    assert (error.code, error.data) == (INVALID_PARAMS, None)
    assert switch.commands == []
    assert asking.desk.pending == 0


def test_each_method_has_its_own_permissions(asking: Asking) -> None:
    assert asking.code("bgapi", command="status") == FORBIDDEN
    assert asking.ask("api", command="status") is None


def test_what_is_forbidden_is_told_without_arguments_and_not_at_any_length(asking: Asking) -> None:
    error = asking.refused("api", command="v" * 1000, args="secret")
    assert error.message == f'you may not run the command "{"v" * 60}" with api'
    error = asking.refused("api", command="show", args="secret")
    assert error.message == 'you may not run the command "show" with these arguments'


def test_denied_is_denied_also_to_a_key(switch: FakeSwitch) -> None:
    asking = Asking(switch, allow="api:echo *, api:status", deny="api:echo *secret*")
    assert asking.code("api", command="echo", args="a secret b") == FORBIDDEN
    assert asking.ask("api", command="echo", args="a") is None


# FreeSWITCH trusts some ids, and a long one ends it.

TRUSTING = [
    {"command": "bgapi", "args": "uuid:{} status"},
    {"command": "BGAPI", "args": "UUID:{} status"},
    {"command": "eval", "args": "uuid:{} x"},
    {"command": "expand", "args": "uuid:{} status"},
    {"command": "expand", "args": "bgapi uuid:1 bgapi uuid:{} status"},
    {"command": "echo", "args": "x bgapi uuid:{}"},
]
ODD_IDS = ["", "a" * 65, "a.b", "ü", "a\tb", "x" * 60_000, "${uuid}", "'a'"]


@pytest.mark.parametrize("params", TRUSTING)
def test_an_id_that_freeswitch_would_trust_is_looked_at(asking: Asking, params: dict[str, str]) -> None:
    for odd in ODD_IDS:
        error = asking.refused("api", command=params["command"], args=params["args"].format(odd))
        assert error.message == "the id after uuid: is 1 to 64 characters of A-Z, a-z, 0-9, _ and -"
    assert asking.switch.commands == []
    assert asking.desk.pending == 0
    for good in ("a", "A-b_9", "a" * 64):
        args = params["args"].format(good)
        asking.ask("api", command=params["command"], args=args)
        assert asking.line == f"{params['command']} {args}"


def test_where_no_id_is_trusted_anything_may_stand_there(asking: Asking) -> None:
    asking.ask("api", command="echo", args="uuid:" + "x" * 100)
    assert asking.switch.commands


@pytest.mark.parametrize("args", ["ARRAY::a", " ARRAY::a|:b", "\t\v ARRAY::"])
def test_what_freeswitch_would_tell_of_as_a_list_does_not_reach_it(asking: Asking, args: str) -> None:
    # The event about it would not bear the text by which it is kept out of the streams.
    for method in ("api", "bgapi"):
        error = asking.refused(method, command="echo", args=args)
        assert (error.code, error.message) == (
            INVALID_PARAMS,
            '"args" begins with ARRAY::, which FreeSWITCH takes for a list',
        )
    assert asking.switch.commands == []
    assert asking.desk.pending == 0
    for fine in ("a ARRAY::b", "array::a", "ARRAY:a", "\x85ARRAY::a"):
        asking.ask("api", command="echo", args=fine)
        assert asking.line == f"echo {fine}"


# What comes of them.


@pytest.mark.parametrize(
    "output",
    [
        "",
        " ",
        "+OK\n",
        "UP 0 years\n\n",
        "ERR no reply",
        "x -ERR no",
        "+OK\n-ERR no\n",
        "-err no",
        "- ERR",
        "echo: Command not found",
        "Command not found!",
        "version: Command not found!",
        "status: Command not found!\nreally",
        "COMMAND RETURNED ERROR! Why?",
        "\0ü\U0001f600",
        "x" * 1_000_000,
    ],
    ids=range(16),
)
def test_an_output_is_given_as_it_is(asking: Asking, output: str) -> None:
    asking.ask("api", command="status")
    assert asking.output(output) == {"output": output}


def test_bytes_that_are_no_utf8_become_what_stands_for_them(asking: Asking) -> None:
    asking.ask("api", command="status")
    assert asking.output("a\udcffb\udced\udca0\udc80ü") == {"output": "a\ufffdb\ufffd\ufffd\ufffdü"}
    asking.ask("api", command="status")
    error = failure(asking, "-ERR \udcff\nmore \udcfe")
    assert (error.message, error.data) == ("-ERR \ufffd", {"output": "-ERR \ufffd\nmore \ufffd"})


def test_no_output_is_an_empty_one(asking: Asking) -> None:
    # FreeSWITCH's event then has no body.
    asking.ask("api", command="status")
    assert asking.output(None) == {"output": ""}


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("-ERR No such channel!\n", "-ERR No such channel!"),
        ("-ERR", "-ERR"),
        ("-ERROR x", "-ERROR x"),
        ("\n -ERR no\n", "-ERR no"),
        ("-ERR one\r\ntwo\n", "-ERR one"),
        ("-USAGE: <uuid>\n  [more]\n", "-USAGE: <uuid>"),
        ("status: Command not found!\n", "status: Command not found!"),
        ("COMMAND RETURNED ERROR!", "COMMAND RETURNED ERROR!"),
        ("COMMAND RETURNED ERROR!\n", "COMMAND RETURNED ERROR!"),
    ],
)
def test_what_freeswitch_refused_is_an_error_with_all_of_its_words(asking: Asking, output: str, message: str) -> None:
    asking.ask("api", command="status")
    error = failure(asking, output)
    assert (error.code, error.message, error.data) == (FAILED, message, {"output": output})


def test_only_its_own_output_comes_to_a_caller(asking: Asking) -> None:
    first = asking.request("api", {"command": "status"})
    second = asking.request("api", {"command": "echo", "args": "x"})
    asking.do(first)
    jobs = [asking.job]
    asking.do(second)
    jobs.append(asking.job)
    forged = FakeEvent("BACKGROUND_JOB", [("Event-Calling-Function", "Fire"), ("Job-UUID", jobs[0])], "forged")
    assert not asking.commands.claim(forged, "BACKGROUND_JOB")
    asking.came("two")
    assert asking.outputs == [(second, "two")]


def test_at_a_stop_those_who_wait_are_told(asking: Asking) -> None:
    asking.ask("api", command="status")
    asking.commands.close()
    [(waiting, output)] = asking.outputs
    with pytest.raises(RpcError, match="its output is lost") as caught:
        result_of(waiting, output)
    assert (caught.value.code, caught.value.data) == (SHUTTING_DOWN, None)
    assert asking.desk.pending == 0
    # Nor is a further one run.
    assert asking.switch.is_running
    assert asking.code("api", command="status") == FAILED
    asking.switch.is_running = False
    for method in ("api", "bgapi"):
        error = asking.refused(method, command="echo", args="x")
        assert (error.code, error.data) == (SHUTTING_DOWN, None)


def test_what_freeswitch_does_not_take_is_told_without_its_words(asking: Asking) -> None:
    asking.switch.answers["bgapi"] = "-ERR out of threads, says /usr/secret\n"
    for method in ("api", "bgapi"):
        error = asking.refused(method, command="echo", args="x")
        assert (error.code, error.data) == (FAILED, {"output": ""})
        assert error.message == "FreeSWITCH did not take the command; its log says why"
    assert (asking.desk.pending, asking.outputs) == (0, [])


# How long a caller waits.


@pytest.mark.parametrize(
    ("params", "seconds"), [({}, 7.0), ({"timeout": 0.25}, 0.25), ({"timeout": 86400}, 86400.0), ({"timeout": None}, 7)]
)
def test_how_long_a_caller_waits(switch: FakeSwitch, params: dict[str, Any], seconds: float) -> None:
    asking = Asking(switch, allow="api:status", timeout_ms=7000)
    request = asking.request("api", {"command": "status", **params})
    assert request.started <= time.monotonic()
    asking.do(request)
    assert request.deadline - request.started == pytest.approx(seconds)


@pytest.mark.parametrize("timeout", [0, -1, 86400.1, 1e308, "10", True, [1]])
def test_what_is_no_time_to_wait(asking: Asking, timeout: Any) -> None:
    assert asking.code("api", command="status", timeout=timeout) == INVALID_PARAMS
    assert asking.switch.commands == []
    assert asking.desk.pending == 0


def test_in_the_background_nobody_waits(asking: Asking) -> None:
    assert asking.code("bgapi", command="echo", args="x", timeout=1) == INVALID_PARAMS


# How many run.


def test_no_more_commands_run_than_may(switch: FakeSwitch) -> None:
    asking = Asking(switch, allow="api:status, bgapi:status", max_pending=2)
    asking.ask("api", command="status")
    first = asking.job
    asking.ask("bgapi", command="status", job_uuid="b")
    assert asking.desk.pending == 2
    for method in ("api", "bgapi"):
        error = asking.refused(method, command="status")
        assert (error.code, error.message) == (BUSY, "2 commands are running; try again when some have ended")
    assert len(switch.commands) == 2
    asking.came("in the background")
    assert (asking.desk.pending, asking.outputs) == (1, [])
    asking.ask("api", command="status")
    assert asking.desk.pending == 2
    asking.came("")
    assert asking.desk.pending == 1
    assert first != asking.job


def test_one_that_timed_out_counts_until_freeswitch_has_finished_it(switch: FakeSwitch) -> None:
    asking = Asking(switch, allow="api:status", max_pending=1)
    request = asking.request("api", {"command": "status"})
    asking.do(request)
    assert request.job is not None
    request.job.abandoned = True
    assert asking.code("api", command="status") == BUSY
    asking.came("at last")
    assert (asking.desk.pending, asking.commands.late) == (0, 1)


def test_what_nobody_expected_takes_no_place(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(asking.commands, "start", broken)
    monkeypatch.setattr(asking.commands, "start_background", broken)
    for method in ("api", "bgapi"):
        with pytest.raises(RuntimeError):
            asking.ask(method, command="echo", args="x")
    assert asking.desk.pending == 0


# Jobs.


def test_a_job_has_the_id_that_its_caller_gave(asking: Asking) -> None:
    for job in ("a", "A-b_9", "a" * 64, str(uuid.uuid4())):
        assert asking.ask("bgapi", command="echo", args="x", job_uuid=job) == {"job_uuid": job}
        assert asking.job == job


@pytest.mark.parametrize("more", [{}, {"job_uuid": None}])
def test_without_one_it_gets_one(asking: Asking, more: dict[str, Any]) -> None:
    found = asking.ask("bgapi", command="echo", args="x", **more)
    assert found == {"job_uuid": asking.job}
    assert str(uuid.UUID(asking.job)) == asking.job
    assert asking.ask("bgapi", command="echo", args="x") != found


@pytest.mark.parametrize(
    "job", ["", "a" * 65, "a b", "a\n", "a\0", "ü", HALF, "a/b", "${uuid}", 1, True, ["a"], "x" * 60_000]
)
def test_an_id_that_could_harm_freeswitch_does_not_reach_it(asking: Asking, job: Any) -> None:
    assert asking.code("bgapi", command="echo", args="x", job_uuid=job) == INVALID_PARAMS
    assert asking.switch.commands == []
    assert asking.desk.pending == 0


def test_an_id_is_used_by_one_at_a_time(asking: Asking) -> None:
    asking.ask("bgapi", command="echo", args="x", job_uuid="job-1")
    error = asking.refused("bgapi", command="echo", args="y", job_uuid="job-1")
    assert (error.code, error.message) == (INVALID_PARAMS, 'the "job_uuid" job-1 is in use')
    assert asking.desk.pending == 1
    asking.came("done")
    assert asking.desk.pending == 0
    asking.ask("bgapi", command="echo", args="y", job_uuid="job-1")
    assert asking.line == "echo y"


def test_the_ids_of_commands_that_wait_for_their_output_are_in_use_too(asking: Asking) -> None:
    asking.ask("api", command="status")
    assert asking.code("bgapi", command="echo", args="x", job_uuid=asking.job) == INVALID_PARAMS


# What is written down about them is looked at in test_api_audit; here only that it is there.


def test_who_may_run_it_is_known_by_the_permission(asking: Asking) -> None:
    request = asking.request("api", {"command": "show", "args": "calls as json"})
    asking.do(request)
    assert request.what == 'api show (13 characters of arguments) by "api:show calls*"'
    request = asking.request("bgapi", {"command": "echo", "args": "x", "job_uuid": "j"})
    asking.do(request)
    assert request.what == 'bgapi echo (1 characters of arguments) by "bgapi:echo *" as j'
    request = asking.request("api", {"command": "reboot\nnow", "args": "secret"})
    assert asking.refusal(request).code == FORBIDDEN
    assert request.what == "api reboot"
