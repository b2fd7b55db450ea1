"""`make run`, on the stand-in: it is what a newcomer does first."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.install.support import REPOSITORY
from tests.support.ports import free_port
from tools import run_demo

DEADLINE = 60.0


def _demo(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tools.run_demo", "--standin", *arguments],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _processes_of(folder: str) -> list[str]:
    """Processes whose command line names `folder`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if folder in line:
            found.append(line)
    return found


@pytest.fixture
def free_ports() -> None:
    try:
        run_demo.need_ports()
    except run_demo.DemoError as error:
        pytest.skip(str(error))


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the demonstration puts its files; it and its processes have to take everything along again."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield tmp_path
    deadline = time.monotonic() + 30
    while _processes_of(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _processes_of(str(tmp_path)) == []
    assert [path for path in tmp_path.iterdir() if path.name.startswith("event_zmq-run-")] == []


@pytest.mark.usefixtures("free_ports", "temporary")
def test_it_prints_the_events_and_ends() -> None:
    with _demo("--count", "30") as demo:
        out, err = demo.communicate(timeout=DEADLINE)
    assert (demo.returncode, err) == (0, "")
    first, *lines = out.splitlines()
    assert first == "Switch: the stand-in (asked for)"
    assert len(lines) == 30
    for line in lines:
        assert line.startswith('{"Event-Name":"')
        assert "ZMQ-Sequence" in json.loads(line)
    assert any('"CHANNEL_CREATE"' in line for line in lines)


@pytest.mark.usefixtures("free_ports", "temporary")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_with_forever_it_goes_on_until_it_is_stopped(number: signal.Signals) -> None:
    with _demo("--forever") as demo:
        assert demo.stdout is not None
        for _ in range(150):  # More than the 100 that it prints otherwise.
            assert demo.stdout.readline()
        os.killpg(demo.pid, number)  # As a terminal does it.
        _, err = demo.communicate(timeout=DEADLINE)
    assert (demo.returncode, err) == (0, "Stopped.\n")
    run_demo.need_ports()


@pytest.mark.usefixtures("free_ports", "temporary")
def test_it_can_be_stopped_while_it_starts() -> None:
    with _demo() as demo:
        assert demo.stdout is not None
        assert demo.stdout.readline().startswith("Switch: ")
        os.killpg(demo.pid, signal.SIGINT)
        _, err = demo.communicate(timeout=DEADLINE)
    assert (demo.returncode, err) == (130, "Stopped.\n")


@pytest.mark.parametrize("which", ["PORT", "API_PORT"])
def test_a_port_in_use_is_said_with_what_to_do(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port, free = free_port(), free_port()  # nobody takes them meanwhile
    with socket.create_server(("127.0.0.1", port)):
        monkeypatch.setattr(run_demo, "PORT", free)
        monkeypatch.setattr(run_demo, "API_PORT", free)
        monkeypatch.setattr(run_demo, which, port)
        with pytest.raises(run_demo.DemoError, match=rf"port {port} is in use.*`ss -ltnp 'sport = :{port}'`"):
            run_demo.need_ports()
    run_demo.need_ports()


def test_a_freeswitch_without_mod_python3_gives_way_to_the_standin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "freeswitch"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.delenv("FREESWITCH", raising=False)
    freeswitch, which = run_demo.choose_switch(standin=False)
    assert freeswitch is None
    assert which.startswith(f"the stand-in ({program} has no mod_python3")
    # Asked for by name, no other will do.
    monkeypatch.setenv("FREESWITCH", str(program))
    with pytest.raises(run_demo.DemoError, match="has no mod_python3"):
        run_demo.choose_switch(standin=False)


def test_a_freeswitch_whose_python_lacks_pyzmq_is_said_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in (("bin/freeswitch", "#!/bin/sh\n"), ("bin/python3", "#!/bin/sh\nexit 1\n")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, "utf-8")
        path.chmod(0o755)
    mods = tmp_path / "lib" / "freeswitch" / "mod"
    mods.mkdir(parents=True)
    (mods / "mod_python3.so").write_bytes(b"\0libpython3.11.so.1.0\0")
    monkeypatch.setenv("FREESWITCH", str(tmp_path / "bin" / "freeswitch"))
    monkeypatch.setenv("FREESWITCH_PYTHON", str(tmp_path / "bin" / "python3"))
    with pytest.raises(run_demo.DemoError, match=r"as root: .*python3 -m pip install 'pyzmq>=24' 'ujson>=5.7'"):
        run_demo.choose_switch(standin=False)
    monkeypatch.setenv("FREESWITCH_PYTHON", sys.executable)
    assert run_demo.choose_switch(standin=False)[0] == tmp_path / "bin" / "freeswitch"


def test_without_a_freeswitch_it_is_the_standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("FREESWITCH", raising=False)
    assert run_demo.choose_switch(standin=False) == (
        None,
        "the stand-in (there is no FreeSWITCH on PATH, nor one named by FREESWITCH=/path/to/bin/freeswitch)",
    )
