"""The commands that the module runs, from inside and as everyone sees them."""

from __future__ import annotations

import re
import time

import pytest

from tests.support.switch import Switch

from .probing import Probe


def execute(probe: Probe, command: str) -> str:
    return bytes.fromhex(probe.call("probe_commands", "execute", command)).decode()


def test_execute(switch: Switch, probe: Probe) -> None:
    assert execute(probe, "version") == switch.api("version")
    assert execute(probe, r"echo a\nb 'quoted' ${esl_port}") == r"a\nb 'quoted' ${esl_port}"
    assert execute(probe, "no_such_command x") == "INVALID COMMAND!\n"
    assert execute(probe, "") == "-ERR No application specified"


def test_commands_that_are_none(switch: Switch) -> None:
    assert switch.api("no_such_command x") == "-ERR no_such_command Command not found!\n"


def test_threaded_system_exec(switch: Switch, probe: Probe) -> None:
    ask = "fsctl threaded_system_exec"
    try:
        assert execute(probe, f"{ask} true") == "+OK threaded_system_exec is true \n"
        assert execute(probe, ask) == "+OK threaded_system_exec is true \n"
        assert switch.api(f"{ask} no_such_word") == "+OK threaded_system_exec is false \n"
        assert execute(probe, ask) == "+OK threaded_system_exec is false \n"
    finally:
        switch.api(f"{ask} false")


def test_threaded_system_exec_is_off_as_configured(switch: Switch) -> None:
    assert switch.api("fsctl threaded_system_exec") == "+OK threaded_system_exec is false \n"


def test_bgapi_with_an_id(probe: Probe) -> None:
    with probe.consumer("BACKGROUND_JOB") as consumer:
        assert execute(probe, "bgapi uuid:contract-1 echo one two") == "+OK Job-UUID: contract-1\n"
        job = consumer.take("BACKGROUND_JOB")
    assert job.values("Job-UUID") == ["contract-1"]
    assert job.values("Job-Command") == ["echo"]
    assert job.values("Job-Command-Arg") == ["one two"]
    assert job.body == b"one two"
    assert job.keys()[-2:] == ["Content-Length", "_body"]


def test_bgapi_without_an_id_makes_one(probe: Probe) -> None:
    with probe.consumer("BACKGROUND_JOB") as consumer:
        answer = execute(probe, "bgapi version")
        job = consumer.take("BACKGROUND_JOB")
    assert answer == f"+OK Job-UUID: {job.values('Job-UUID')[0]}\n"
    assert len(job.values("Job-UUID")[0]) == 36
    assert job.values("Job-Command-Arg") == []


def test_bgapi_of_a_command_that_is_none(probe: Probe) -> None:
    with probe.consumer("BACKGROUND_JOB") as consumer:
        assert execute(probe, "bgapi uuid:contract-2 no_such_command x") == "+OK Job-UUID: contract-2\n"
        assert consumer.take("BACKGROUND_JOB").body == b"no_such_command: Command not found!\n"


@pytest.mark.parametrize("command", ["bgapi", "bgapi uuid:contract-3"])
def test_bgapi_without_a_command(probe: Probe, command: str) -> None:
    assert execute(probe, command) == "-ERR Invalid syntax\n"


def test_bgapi_output_that_is_not_utf_8(switch: Switch, probe: Probe) -> None:
    with probe.consumer("BACKGROUND_JOB") as consumer:
        switch.api(b"bgapi uuid:contract-4 echo \xff\xe4")
        assert consumer.take("BACKGROUND_JOB").body == b"\xff\xe4"


def test_bgapi_over_the_event_socket(switch: Switch) -> None:
    with switch.esl() as esl:
        esl.events("json BACKGROUND_JOB")
        assert esl.bgapi("echo hello", job_uuid="contract-5") == "contract-5"
        job = esl.receive()
    assert job is not None
    assert job.event()["Job-UUID"] == "contract-5"
    assert job.event()["_body"] == "hello"


def test_a_shell_command(probe: Probe) -> None:
    with probe.consumer("BACKGROUND_JOB") as consumer:
        execute(probe, "bgapi uuid:contract-6 system echo from the shell")
        assert consumer.take("BACKGROUND_JOB").body == b"from the shell\n"


def test_every_command_is_an_event(switch: Switch, probe: Probe) -> None:
    with probe.consumer("API") as consumer:
        execute(probe, "bgapi uuid:contract-7 echo seen by all")
        switch.api("version")
        wanted = {("bgapi", "uuid:contract-7 echo seen by all"), ("echo", "seen by all"), ("version", "")}
        deadline = time.monotonic() + 30
        while wanted and time.monotonic() < deadline:
            event = consumer.take("API")
            arguments = event.values("API-Command-Argument")
            wanted.discard((event.values("API-Command")[0], arguments[0] if arguments else ""))
    assert not wanted


def test_the_event_of_a_command_comes_when_it_is_done(probe: Probe) -> None:
    with probe.consumer("API") as consumer:
        drained = [event.values("API-Command-Argument")[0] for event in consumer.drain()]
        assert not [argument for argument in drained if "drain" in argument]
        later = [consumer.take("API").values("API-Command-Argument")[0] for _ in range(2)]
        assert [argument for argument in later if "drain" in argument]


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ("127.0.0.1 test_local", "true"),
        ("::1 test_local", "true"),
        ("192.0.2.1 test_local", "false"),
        ("127.0.0.1 test_nobody", "false"),
        ("127.0.0.2 test_second_only", "true"),
        ("127.0.0.1 test_second_only", "false"),
        ("127.0.0.1 loopback.auto", "true"),
        ("192.0.2.1 loopback.auto", "false"),
        ("127.0.0.1 no_such_list", "false"),
        ("10.1.2.3 10.0.0.0/8", "true"),
        ("192.0.2.1 10.0.0.0/8", "false"),
    ],
)
def test_acl(switch: Switch, arguments: str, answer: str) -> None:
    assert switch.api(f"acl {arguments}") == answer


def test_version(switch: Switch) -> None:
    assert re.match(r"FreeSWITCH Version \d+\.\d+\.\d+", switch.api("version"))


def test_the_module_stays(switch: Switch) -> None:
    assert switch.api("module_exists mod_python3") == "true"
    assert switch.api("unload mod_python3") == "-ERR [Module is not unloadable]\n"
