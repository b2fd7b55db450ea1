"""Builds mod_evgen, which fires events at a chosen size and rate, for the FreeSWITCH that was found."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).parent / "mod_evgen.c"
_BUILD_TIMEOUT = 60.0


class Evgen(NamedTuple):
    """The built module.

    Attributes:
        folder: Where ``mod_evgen.so`` lies, or None when it could not be built.
        missing: Why not; empty when it could.
    """

    folder: Path | None
    missing: str


@functools.cache
def build_evgen(freeswitch: Path) -> Evgen:
    """Compile mod_evgen against the headers of `freeswitch`, once for each process of ours."""
    headers = freeswitch.parent.parent / "include" / "freeswitch"
    compiler = shutil.which("gcc")
    if compiler is None:
        return Evgen(None, "no gcc to build mod_evgen with")
    if not (headers / "switch.h").is_file():
        return Evgen(None, f"no {headers}/switch.h to build mod_evgen with")
    folder = Path(tempfile.mkdtemp(prefix="event_zmq-evgen-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [compiler, "-O2", "-fPIC", "-shared", f"-I{headers}"]
    command += ["-o", str(folder / "mod_evgen.so"), str(SOURCE)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_BUILD_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return Evgen(None, f"gcc took more than {_BUILD_TIMEOUT:g} s to build mod_evgen")
    if done.returncode != 0:
        return Evgen(None, f"gcc could not build mod_evgen: {done.stderr.strip()[-500:]}")
    return Evgen(folder, "")
