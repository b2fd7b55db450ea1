"""The project's stand-in for FreeSWITCH, started as users start it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .switch import Switch


class StandinSwitch(Switch):
    """See :class:`Switch`. It runs under the interpreter that runs the tests.

    Attributes:
        evgen_missing: Always empty: the stand-in has ``evgen`` built in.
    """

    kind = "standin"
    evgen_missing = ""

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "freeswitch_zmq.standin"]
        command += ["--conf", str(self.conf_dir), "--scripts", str(self.scripts_dir)]
        command += ["--log", str(self.log_file)]
        command += ["--esl-port", str(self.esl_port), "--esl-password", self.esl_password]
        return command


def standin_switch(tmp_path: Path, **options: Any) -> StandinSwitch:
    """A stand-in below `tmp_path`, not started yet; the options are those of :class:`Switch`."""
    return StandinSwitch(tmp_path, **options)
