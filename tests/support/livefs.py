"""A real FreeSWITCH, started on loopback from the tests' own configuration."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from .evgen import build_evgen
from .switch import Switch, SwitchError

_TIMER_SETTLES = 0.25  # Seconds.
_FOLDERS = ("log", "db", "run", "temp", "htdocs", "grammar", "recordings", "storage", "cache", "sounds")
NOT_FOUND = "no FreeSWITCH found (set FREESWITCH=/path/to/bin/freeswitch)"


@functools.cache
def _certificates() -> Path:
    """A folder of certificates for all instances: the first one makes them, which takes it seconds."""
    folder = Path(tempfile.mkdtemp(prefix="event_zmq-certs-"))
    (folder / "wss.pem").touch()  # It makes none where one is, and reads it only for SIP over TLS.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def find_freeswitch() -> Path | None:
    """The FreeSWITCH to test with: what ``FREESWITCH`` names, else the one on PATH, else None.

    Raises:
        SwitchError: ``FREESWITCH`` names something that can't be run: a mistake, no reason to skip.
    """
    named = os.environ.get("FREESWITCH", "")
    found = shutil.which(named or "freeswitch")
    if named and found is None:
        raise SwitchError(f"FREESWITCH={named} is no program that can be run")
    return Path(found).resolve() if found else None


class LiveSwitch(Switch):
    """A real FreeSWITCH; see :class:`Switch`, whose options it takes too.

    Args:
        freeswitch: The program; by default what :func:`find_freeswitch` finds.
        evgen: Whether to build and load mod_evgen where that is possible.

    Attributes:
        freeswitch: The program.
        evgen_missing: Why the command ``evgen`` is not there; empty when it is.
    """

    kind = "live"

    def __init__(self, tmp_path: Path, *, freeswitch: Path | None = None, evgen: bool = True, **options: Any) -> None:
        program = freeswitch if freeswitch is not None else find_freeswitch()
        if program is None:
            raise SwitchError(NOT_FOUND)
        self.freeswitch = program
        self._loaded_at = 0.0
        self._evgen_folder: Path | None = None
        self.evgen_missing = "it was not asked for"
        if evgen:
            self._evgen_folder, self.evgen_missing = build_evgen(program)
        super().__init__(tmp_path, **options)

    def start(self, timeout: float = 30.0) -> None:
        """See :meth:`Switch.start`; a FreeSWITCH without mod_python3 is an error too."""
        self._loaded_at = 0.0
        super().start(timeout)
        if self.api("module_exists mod_python3").strip() != "true":
            self.kill()
            raise SwitchError(f"{self.freeswitch} did not load mod_python3\n{self._tail()}")

    def _not_ready(self, log_start: int) -> str:
        # The event socket answers "is ready" while modules are still being loaded, and calls are refused
        # until the last line of the start.
        reason = super()._not_ready(log_start)
        if reason:
            return reason
        with self.log_file.open("rb") as log:
            log.seek(log_start)
            if b"FreeSWITCH Started" not in log.read():
                return "modules are still being loaded"
        # A shutdown in the 60 ms in which the timer's thread measures the clock is forgotten by that thread,
        # and FreeSWITCH waits for its end for good. Nothing tells from outside when it is done.
        self._loaded_at = self._loaded_at or time.monotonic()
        return "" if time.monotonic() - self._loaded_at > _TIMER_SETTLES else "its timer is still starting"

    def _environment(self) -> dict[str, str]:
        # The embedded Python takes the first python3 on PATH for its own, and looks there for its packages: with a
        # virtual environment's folder first it would find neither `freeswitch` nor the distribution's zmq.
        env = super()._environment()
        if "PATH" not in self._extra_env:
            env["PATH"] = os.pathsep.join(["/usr/bin", env.get("PATH", os.defpath)])
        return env

    def _own_modules(self) -> str:
        if self._evgen_folder is None:
            return ""
        return f'<load module="mod_evgen" path={quoteattr(str(self._evgen_folder))}/>'

    def _command(self) -> list[str]:
        # Without a console and without forking: the process that we start is the switch. Normal priority,
        # because as root it would take the real-time one and starve the tests beside it.
        command = [str(self.freeswitch), "-nc", "-nf", "-np", "-nonat", "-nocal", "-conf", str(self.conf_dir)]
        command += ["-scripts", str(self.scripts_dir), "-certs", str(_certificates())]
        for name in _FOLDERS:
            folder = self.root / name
            folder.mkdir(parents=True, exist_ok=True)
            command += [f"-{name}", str(folder)]
        return command


def live_switch(tmp_path: Path, **options: Any) -> LiveSwitch:
    """A real FreeSWITCH below `tmp_path`, not started yet; the options are those of :class:`LiveSwitch`."""
    return LiveSwitch(tmp_path, **options)
