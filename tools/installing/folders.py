"""Where a switch keeps its scripts, its configuration and its modules."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Optional

# Where FreeSWITCH's own Debian packages put them.
PACKAGE_SCRIPTS = Path("/usr/share/freeswitch/scripts")
PACKAGE_CONF = Path("/etc/freeswitch")
PACKAGE_MODS = Path("/usr/lib/freeswitch/mod")

_ASK_TIMEOUT = 10.0


class InstallError(Exception):
    """Nothing was done; the message names the remedy."""


class Folder(NamedTuple):
    """A folder on the switch.

    Attributes:
        path: Absolute, as the switch names it: without DESTDIR.
        reason: How it was found, for the person who reads it.
    """

    path: Path
    reason: str


class Switch:
    """A switch that runs on this machine, asked through fs_cli.

    Args:
        fs_cli: The program and its options, as a shell would read them; empty: the one on PATH.
    """

    def __init__(self, fs_cli: str = "") -> None:
        self._command = shlex.split(fs_cli) or [shutil.which("fs_cli") or ""]
        self.silence = "" if self._command[0] else "there is no fs_cli on PATH (FS_CLI= names one)"

    def ask(self, command: str) -> Optional[str]:
        """What the switch answers, or None.

        After the first failure nothing more is asked, and :attr:`silence` says why.
        """
        if self.silence:
            return None
        try:
            done = subprocess.run(
                [*self._command, "-x", command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_ASK_TIMEOUT,
                check=False,
            )
        except OSError as error:
            self.silence = f"{self._command[0]} can't be run: {error.strerror}"
        except subprocess.TimeoutExpired:
            self.silence = f"{self._command[0]} got no answer within {_ASK_TIMEOUT:g} s"
        else:
            if done.returncode == 0:
                return done.stdout.strip()
            self.silence = f"{self._command[0]} reached no switch: {(done.stdout + done.stderr).strip()}"
        return None

    def folder(self, variable: str) -> Optional[Folder]:
        """The folder that a global variable of the switch names, such as ``script_dir``."""
        answer = self.ask(f"global_getvar {variable}")
        # An error message is an answer too; only an absolute path in one line is a folder.
        if not answer or not answer.startswith("/") or "\n" in answer:
            return None
        return Folder(Path(os.path.normpath(answer)), f"the running switch's {variable}")


def named(environ: Mapping[str, str], variable: str) -> Optional[Folder]:
    """The folder that the user named in the environment, if any."""
    value = environ.get(variable, "")
    if not value:
        return None
    return Folder(Path(value).expanduser().absolute(), variable)


def scripts_folder(environ: Mapping[str, str], switch: Optional[Switch]) -> Folder:
    """The script folder: as named, else as the running switch says, else the Debian package's.

    Args:
        environ: FREESWITCH_SCRIPTS.
        switch: Whom to ask; None asks nobody and takes the package's folder unseen (for packagers).
    """
    return _find(environ, "FREESWITCH_SCRIPTS", switch, "script_dir", PACKAGE_SCRIPTS, PACKAGE_SCRIPTS.parent)


def conf_folder(environ: Mapping[str, str], switch: Optional[Switch]) -> Folder:
    """The folder that holds ``autoload_configs``; see :func:`scripts_folder`."""
    found = _find(environ, "FREESWITCH_CONF", switch, "conf_dir", PACKAGE_CONF, PACKAGE_CONF)
    if found.path.name == "autoload_configs":
        raise InstallError(
            f"{found.path} ({found.reason}) is autoload_configs itself; name the folder that holds it: "
            f"FREESWITCH_CONF={found.path.parent}"
        )
    return found


def mods_folders(environ: Mapping[str, str], switch: Optional[Switch]) -> list[Path]:
    """Where mod_python3.so may lie, the likeliest first."""
    given = named(environ, "FREESWITCH_MODS")
    if given:
        return [given.path]
    asked = switch.folder("mod_dir") if switch else None
    return [asked.path] if asked else [PACKAGE_MODS]


def _find(
    environ: Mapping[str, str],
    variable: str,
    switch: Optional[Switch],
    asked: str,
    default: Path,
    evidence: Path,
) -> Folder:
    given = named(environ, variable)
    if given:
        return given
    if switch is None:
        return Folder(default, "the Debian package's folder")
    answer = switch.folder(asked)
    if answer:
        return answer
    if not evidence.is_dir():
        why = switch.silence or f"the running switch does not say its {asked}"
        raise InstallError(
            f"No FreeSWITCH found: {why}, and there is no {evidence}. Start the switch, "
            "or say where it has its folders: make install FREESWITCH_SCRIPTS=/…/scripts FREESWITCH_CONF=/…/conf"
        )
    return Folder(default, "the Debian package's folder; no running switch was asked: " + switch.silence)
