"""Makes a virtual environment with this project and the extras it is asked for, unless it is there already.

    python3 -m tools.setup_venv .venv test dev
    /usr/bin/python3 -m tools.setup_venv --debian .venv-debian test

With ``--debian`` pyzmq and ujson are those of the distribution's packages, as they are inside a switch;
nothing but the tests' own tools comes from PyPI. What is missing is installed with apt where that is possible
(Debian, root); otherwise one line says what to type.

Exit codes: 0 it is there, 1 failed, 3 this machine lacks what it takes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from tools import python_check

UNAVAILABLE = 3
_ROOT = Path(__file__).resolve().parents[1]


class SetupError(Exception):
    """Said to the user, with the remedy in it."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tools.setup_venv",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="where the environment is made")
    parser.add_argument("extras", nargs="*", help="extras of pyproject.toml")
    parser.add_argument("--debian", action="store_true", help="pyzmq and ujson from the distribution")
    options = parser.parse_args()
    try:
        ensure(options.folder, options.extras, debian=options.debian)
    except SetupError as error:
        print(error, file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    return 0


def ensure(folder: Path, extras: Sequence[str], *, debian: bool = False) -> None:
    """See that the environment is there, with at least these extras, as pyproject.toml has them now.

    Raises:
        SetupError: It can't be made here.
    """
    stamp = folder / ".made"
    inputs = _inputs()
    try:
        made = json.loads(stamp.read_text("utf-8"))
    except (OSError, ValueError):
        made = {}
    # The interpreter may be gone: a link into a system that was upgraded since.
    there = made.get("inputs") == inputs and (folder / "bin" / "python").exists()
    if there and set(extras) <= set(made["extras"]):
        return
    extras = sorted({*extras, *made.get("extras", [])})
    check_version()
    need_ensurepip()
    if debian:
        need_distribution_packages()
    try:
        make(folder, extras, debian=debian)
    except subprocess.CalledProcessError as error:
        words = " ".join(str(word) for word in error.cmd)
        raise SetupError(f"{folder}: exit code {error.returncode} of: {words}") from error
    stamp.write_text(json.dumps({"inputs": inputs, "extras": extras}), "utf-8")


def _inputs() -> str:
    # What the tools are told below changes nothing about what is installed.
    packaging = (_ROOT / "pyproject.toml").read_text("utf-8").partition("\n[tool.")[0]
    return hashlib.sha256(packaging.encode() + Path(__file__).read_bytes()).hexdigest()


def check_version() -> None:
    """Refuse a Python that is too old."""
    if sys.version_info < python_check.OLDEST_PYTHON:
        raise SetupError(f"{sys.executable} is Python {sys.version.split()[0]}; 3.9 or newer is needed (make PYTHON=…)")


def need_ensurepip() -> None:
    """See that environments can be made: Debian has that in a package of its own."""
    if _has_ensurepip():
        return
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    _apt_install([package], f"{sys.executable} can't make virtual environments")
    if not _has_ensurepip():
        raise SetupError(f"{sys.executable} still can't make virtual environments after installing {package}")


def need_distribution_packages() -> None:
    """See that this interpreter has pyzmq and ujson of its own, new enough."""
    python = Path(sys.executable)
    found = python_check.problems(python)
    if not found:
        return
    says = f"{python}: {'; '.join(found)}"
    if python_check.remedy(python, found) != python_check.APT_COMMAND:
        raise SetupError(f"{says}, and there are no distribution packages that would mend it here", UNAVAILABLE)
    _apt_install(["python3-zmq", "python3-ujson"], says)
    found = python_check.problems(python)
    if found:
        raise SetupError(f"{python}: {'; '.join(found)}", UNAVAILABLE)


def make(folder: Path, extras: Sequence[str], *, debian: bool) -> None:
    """Make the environment anew, and install the project into it."""
    flags = ["--system-site-packages"] if debian else []
    print(f"Making {folder} ({', '.join(['the project', *extras])}) with {sys.executable}", flush=True)
    _run([sys.executable, "-m", "venv", "--clear", *flags, str(folder)])
    python = folder / "bin" / "python"
    project = f"{_ROOT}[{','.join(extras)}]" if extras else str(_ROOT)
    # Quiet but for errors.
    pip = [str(python), "-m", "pip", "-qq", "--disable-pip-version-check", "--no-input"]
    _run([*pip, "install", "pip>=21.3"])  # Older ones can't install a pyproject.toml in place.
    _run([*pip, "install", "--editable", project])
    if debian:
        origin = subprocess.run(
            [str(python), "-c", "import zmq, ujson; print(zmq.__file__, ujson.__file__)"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        if str(folder.resolve()) in origin:
            raise SetupError(f"PyPI's packages stand before the distribution's: {origin.strip()}")


def _has_ensurepip() -> bool:
    # In a process of its own: this one may have looked before the package was there.
    probe = [sys.executable, "-c", "import ensurepip, venv"]
    return subprocess.run(probe, check=False, stderr=subprocess.DEVNULL).returncode == 0


def _apt_install(packages: list[str], why: str) -> None:
    command = f"apt-get install -y {' '.join(packages)}"
    if shutil.which("apt-get") is None or not sys.executable.startswith("/usr/bin/"):
        raise SetupError(f"{why}; install what your system has for that ({' '.join(packages)} on Debian)", UNAVAILABLE)
    if os.geteuid() != 0:
        raise SetupError(f"{why}; as root: {command}", UNAVAILABLE)
    print(f"{why}: {command}", flush=True)
    # A list of packages that is a little old, or one of many sources that does not answer, need not stop us.
    _apt_get("update", "-qq")
    output = _apt_get("install", "-y", "-qq", "--no-install-recommends", *packages)
    if output is not None:
        print(output, file=sys.stderr)
        raise SetupError(f"{why}, and this failed: {command}", UNAVAILABLE)


def _apt_get(*arguments: str) -> Optional[str]:
    """Run apt-get, which has much to say; returns what it said when it failed."""
    done = subprocess.run(
        ["apt-get", *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )
    return done.stdout if done.returncode else None


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
