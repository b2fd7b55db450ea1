"""`python -m freeswitch_zmq.standin` as users start it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.esl import Esl
from tests.support.switch import REPOSITORY

Folders = tuple[Path, Path]


PATIENT = """
import runpy
from freeswitch_zmq.standin import esl_connection, switch
esl_connection._ANSWER_TIMEOUT = switch._STOP_TIMEOUT = switch._DELIVERY_TIMEOUT = 20.0
runpy.run_module("freeswitch_zmq.standin", run_name="__main__", alter_sys=True)
"""


class Started:
    """A stand-in that took a free port and said which.

    Args:
        arguments: of the command line.
        patient: its end gives up on nobody because the machine stands still for a moment.
    """

    def __init__(self, arguments: list[str], patient: bool = False) -> None:
        program = ["-c", PATIENT] if patient else ["-m", "freeswitch_zmq.standin"]
        self.process = subprocess.Popen(
            [sys.executable, *program, "--esl-port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("event socket: "), line
        self.port = int(line.split()[-1])

    def end(self) -> None:
        self.process.kill()
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def start(folders: Folders) -> Iterator[Callable[..., Started]]:
    """``start(*arguments)`` starts one, and with ``patient=True`` a patient one."""
    started: list[Started] = []

    def start(*arguments: str, patient: bool = False) -> Started:
        conf, scripts = folders
        started.append(Started(["--conf", str(conf), "--scripts", str(scripts), *arguments], patient))
        return started[-1]

    yield start
    for each in started:
        each.end()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "freeswitch_zmq.standin", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def test_help_tells_every_option() -> None:
    done = run("--help")
    assert done.returncode == 0
    for option in ("--conf", "--scripts", "--log", "--esl-port", "--esl-password", "--calls", "--calls-to"):
        assert option in done.stdout


def test_a_folder_that_is_not_there(folders: Folders) -> None:
    conf, scripts = folders
    done = run("--conf", str(conf / "nowhere"), "--scripts", str(scripts))
    assert done.returncode == 2
    assert "there is no folder" in done.stderr


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (None, "Cannot Open log directory or XML Root!"),
        ("<document>\n<section></document>", "[error near line 2]: unexpected closing tag </document>"),
    ],
)
def test_a_configuration_that_cannot_be_read(folders: Folders, xml: str | None, reason: str) -> None:
    conf, scripts = folders
    (conf / "freeswitch.xml").unlink()
    if xml is not None:
        (conf / "freeswitch.xml").write_text(xml, "utf-8")
    done = run("--conf", str(conf), "--scripts", str(scripts))
    assert (done.returncode, done.stderr) == (1, f"Cannot Initialize [{reason}]\n")


def test_a_port_that_is_taken(folders: Folders) -> None:
    conf, scripts = folders
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--conf", str(conf), "--scripts", str(scripts), "--esl-port", str(port))
    assert done.returncode == 1
    assert f"Could not listen on 127.0.0.1:{port}" in done.stderr


def test_log_and_password(start: Callable[..., Started], tmp_path: Path) -> None:
    log = tmp_path / "logs" / "switch.log"
    started = start("--log", str(log), "--esl-password", "secret")
    with Esl.connect(started.port, "secret") as esl:
        assert "is ready" in esl.api("status")
        esl.api("log NOTICE seen in the file")
    assert "[NOTICE] mod_commands.c:7247 seen in the file\n" in log.read_text("utf-8")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it(start: Callable[..., Started], number: signal.Signals) -> None:
    started = start(patient=True)
    with Esl.connect(started.port) as esl:
        esl.events("json SHUTDOWN")
        started.process.send_signal(number)
        message = esl.receive()
        assert message is not None
        assert message.event()["Event-Info"] == "System Shutting Down"
    assert started.process.wait(30) == 0


def test_threads_of_scripts_do_not_hold_it(start: Callable[..., Started], folders: Folders) -> None:
    (folders[1] / "stays.py").write_text(
        "import threading, time\n"
        "def runtime(args):\n"
        "    threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "    time.sleep(60)\n",
        "utf-8",
    )
    started = start()
    with Esl.connect(started.port) as esl:
        assert esl.api("pyrun stays") == "OK\n"
        before = time.monotonic()
        assert esl.api("fsctl shutdown") == "+OK\n"
    assert started.process.wait(30) == 0
    assert time.monotonic() - before < 30.0  # half of what they sleep


def test_who_asks_for_the_end_is_answered_however_long_that_takes_within_reason(start: Callable[..., Started]) -> None:
    started = start(patient=True)
    with Esl.connect(started.port) as esl:
        assert esl.api("eval ${fsctl(shutdown)}${msleep(300)}") == "+OK\n+OK"
    assert started.process.wait(30) == 0


def test_shutdown_now(start: Callable[..., Started]) -> None:
    started = start()
    with Esl.connect(started.port) as esl:
        esl.sock.sendall(b"api fsctl shutdown now\n\n")
        assert started.process.wait(30) == 0


def test_calls_are_made(start: Callable[..., Started]) -> None:
    started = start("--calls", "20")
    with Esl.connect(started.port) as esl:
        esl.events("json CHANNEL_HANGUP_COMPLETE")
        ended = []
        for _ in range(6):
            message = esl.receive()
            assert message is not None
            ended.append(message.event())
    assert {event["Hangup-Cause"] for event in ended} == {"NORMAL_CLEARING"}
    assert len({event["Unique-ID"] for event in ended}) == 6
    assert {event["variable_loopback_leg"] for event in ended} == {"A", "B"}


def test_a_startup_script_runs(folders: Folders, start: Callable[..., Started], tmp_path: Path) -> None:
    conf, scripts = folders
    xml = (conf / "freeswitch.xml").read_text("utf-8")
    settings = '<settings><param name="startup-script" value="begins now"/></settings>'
    (conf / "freeswitch.xml").write_text(xml.replace("<settings/>", settings), "utf-8")
    note = tmp_path / "note"
    (scripts / "begins.py").write_text(
        f"import freeswitch\ndef runtime(args):\n    open({str(note)!r}, 'w').write(args + freeswitch.__name__)\n",
        "utf-8",
    )
    start()
    deadline = time.monotonic() + 20
    while not (note.exists() and note.read_text("utf-8")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert note.read_text("utf-8") == "nowfreeswitch"
