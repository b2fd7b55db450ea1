"""What `make run` does: a switch with the shipped configuration, calls, and a subscriber that prints events.

    python -m tools.run_demo              until the subscriber has its 100 events
    python -m tools.run_demo --forever    until Ctrl-C

The switch is a real FreeSWITCH where one is found (FREESWITCH=/path/to/bin/freeswitch, or on PATH), else the
stand-in; the first line says which. It listens where the shipped configuration says, the publisher on port 5556 of
every address, the API on port 5557 of loopback; everything else on loopback only. Exit codes: 0 done, 1 something
failed, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Optional

from tests.support.esl import EslError
from tests.support.livefs import find_freeswitch, live_switch
from tests.support.standin import standin_switch
from tests.support.switch import Switch, SwitchError
from tools import python_check, setup_venv

PORT = 5556
API_PORT = 5557
_ROOT = Path(__file__).resolve().parents[1]
_CONFIGURATION = _ROOT / "conf" / "autoload_configs" / "event_zmq.conf.xml"
_CLIENT = _ROOT / "examples" / "wiki_client.py"
# 100 events are three short calls; a machine that needs a minute for them has another problem.
_PATIENCE = 60.0
_PAUSE = 0.5
_CALL = "originate loopback/1000/default &park()"
_START = 10.0
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)  # A supervisor's stop is as clean as a Ctrl-C.


class DemoError(Exception):
    """Said to the user, with the remedy in it."""


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.run_demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--forever", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("--count", type=int, default=100, help="events to print (default: 100)")
    parser.add_argument("--standin", action="store_true", help="the stand-in, whatever there is")
    # Said and checked already, by the Python that had to make .venv first.
    parser.add_argument("--announced", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.count < 1:
        parser.error("--count must be 1 or more; --forever goes on until Ctrl-C")
    try:
        for number in _INTERRUPTS:
            signal.signal(number, _interrupt)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
        freeswitch, which = choose_switch(standin=options.standin)
        if not options.announced:
            print(f"Switch: {which}", flush=True)
            need_ports()
            _enter_venv()
        with tempfile.TemporaryDirectory(prefix="event_zmq-run-") as folder:
            run(make_switch(Path(folder), freeswitch), 0 if options.forever else options.count)
    except (DemoError, SwitchError, EslError, setup_venv.SetupError) as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 0 if options.forever else 130
    return 0


def _enter_venv() -> None:
    """Go on in .venv, which is made when it is missing; a Python that has pyzmq and ujson need not go anywhere."""
    if not python_check.problems(Path(sys.executable)):
        return
    venv = _ROOT / ".venv"
    setup_venv.ensure(venv, [])
    python = str(venv / "bin" / "python")
    signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)  # Kept until the other one can handle them.
    os.execv(python, [python, "-m", "tools.run_demo", *sys.argv[1:], "--announced"])


def choose_switch(*, standin: bool) -> tuple[Optional[Path], str]:
    """The FreeSWITCH to run, or None for the stand-in; and which it is and why, for people."""
    if standin:
        return None, "the stand-in (asked for)"
    freeswitch = find_freeswitch()
    if freeswitch is None:
        return None, (
            "the stand-in (there is no FreeSWITCH on PATH, nor one named by FREESWITCH=/path/to/bin/freeswitch)"
        )
    lacks = _lacks(freeswitch)
    if not lacks:
        return freeswitch, f"FreeSWITCH, {freeswitch}"
    if os.environ.get("FREESWITCH"):  # Asked for by name: another one will not do.
        raise DemoError(lacks)
    return None, f"the stand-in ({lacks})"


def make_switch(folder: Path, freeswitch: Optional[Path]) -> Switch:
    """The switch with the shipped configuration, as it is, and the module started with it."""
    xml = _CONFIGURATION.read_text("utf-8")
    if freeswitch is None:
        return standin_switch(folder, event_zmq_xml=xml, startup_script=True)
    # The embedded Python takes the first python3 on PATH for its own, and that one's packages; ours is no good to it.
    path = os.pathsep.join([str(_switch_python(freeswitch).path.parent), os.environ.get("PATH", os.defpath)])
    return live_switch(
        folder,
        freeswitch=freeswitch,
        evgen=False,
        event_zmq_xml=xml,
        startup_script=True,
        extra_env={"PATH": path},
    )


def _lacks(freeswitch: Path) -> str:
    """Why this FreeSWITCH can't run the module, with the remedy; empty when it can."""
    if not any((folder / "mod_python3.so").exists() for folder in _mods(freeswitch)):
        return f"{freeswitch} has no mod_python3: apt-get install freeswitch-mod-python3, or build it"
    python = _switch_python(freeswitch)
    found = python_check.problems(python.path)
    if not found:
        return ""
    command = python_check.remedy(python.path, found)
    return f"the Python of {freeswitch}, {python.path}: {'; '.join(found)}; as root: {command}"


def _mods(freeswitch: Path) -> list[Path]:
    """Where its modules may lie, when it has one prefix for all, as packages and its own `make install` give it."""
    prefix = freeswitch.parent.parent
    return [prefix / "lib" / "freeswitch" / "mod", prefix / "mod"]


def _switch_python(freeswitch: Path) -> python_check.SwitchPython:
    return python_check.find_switch_python(_mods(freeswitch), os.environ.get("FREESWITCH_PYTHON", ""))


def need_ports() -> None:
    """See that the ports of the shipped configuration are free.

    Raises:
        DemoError: One is not.
    """
    for host, port in (("0.0.0.0", PORT), ("127.0.0.1", API_PORT)):
        _need_port(host, port)


def _need_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # As libzmq does.
        try:
            probe.bind((host, port))
            probe.listen(1)  # With SO_REUSEADDR it is only this that tells.
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise DemoError(f"can't listen on port {port}: {error.strerror}") from error
            raise DemoError(
                f"port {port} is in use, by another `make run` or a switch that runs event_zmq. "
                f"`ss -ltnp 'sport = :{port}'` names the program; stop it and try again"
            ) from error


def run(switch: Switch, count: int) -> None:
    """Start the subscriber, then the switch, and make calls until the subscriber is content.

    Args:
        switch: Not started yet.
        count: Events that the subscriber prints; 0: it goes on until it is stopped.
    """
    # In a session of its own, so that a terminal's Ctrl-C reaches us alone and things end in order.
    client = subprocess.Popen(
        [sys.executable, str(_CLIENT), str(count)], stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        try:
            switch.start()
            _need_running(switch)
            _call(switch, client, time.monotonic() + _PATIENCE if count else math.inf)
        finally:
            _ignore_interrupts()
            _finish(client, switch)
    except KeyboardInterrupt:
        # It may have come between the end of the work and the ignoring; there is only this one.
        _finish(client, switch)
        raise
    if client.returncode != 0:
        raise DemoError(f"the subscriber ended with {client.returncode}")
    if switch.wait_stopped() != 0:
        raise DemoError(f"the switch ended with {switch.wait_stopped()}\n{_tail(switch)}")


def _call(switch: Switch, client: subprocess.Popen[bytes], deadline: float) -> None:
    while client.poll() is None:
        answer = switch.api(_CALL, timeout=30.0).strip()
        if not answer.startswith("+OK"):
            raise DemoError(f"{_CALL}: {answer}\n{_tail(switch)}")
        with contextlib.suppress(subprocess.TimeoutExpired):
            client.wait(_PAUSE)
            return
        if time.monotonic() > deadline:
            raise DemoError(f"the subscriber still wants events after {_PATIENCE:g} s\n{_tail(switch)}")


def _need_running(switch: Switch) -> None:
    """Wait until the module runs: the switch starts it in a thread of its own."""
    deadline = time.monotonic() + _START
    while True:
        answer = switch.api("python event_zmq status json").strip()
        try:
            state = json.loads(answer)["state"]
        except (ValueError, TypeError, KeyError):
            state = ""
        if state == "running":
            return
        if time.monotonic() > deadline:
            raise DemoError(f"the module does not run on the switch; its status: {answer}\n{_tail(switch)}")
        time.sleep(0.05)


def _finish(client: subprocess.Popen[bytes], switch: Switch) -> None:
    """End both, whatever happened before; what has ended is fine."""
    try:
        if client.poll() is None:
            client.terminate()
        if switch.running:
            switch.stop()
    finally:
        switch.kill()
        client.kill()
        client.wait()


def _tail(switch: Switch) -> str:
    return "\n".join(["The end of the switch's log:", *switch.log_text().splitlines()[-30:]])


def _interrupt(_signal: int, _frame: Optional[FrameType]) -> None:
    _ignore_interrupts()
    raise KeyboardInterrupt


def _ignore_interrupts() -> None:
    """One is enough: nothing disturbs the end, which takes its time but not for ever."""
    for number in _INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
