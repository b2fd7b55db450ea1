"""A source tree and a switch's folders to install into, and the installer run as its users run it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Optional

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIGURATION = "event_zmq.conf.xml"
MANIFEST = ".event_zmq.manifest"


class Result(NamedTuple):
    """What a run of the installer came to."""

    code: int
    out: str
    err: str


class Site:
    """A copy of the source tree, and the folders of a switch that does not run, below one temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tree = root / "tree"
        self.scripts = root / "switch" / "scripts"
        self.conf = root / "switch" / "conf"
        for name in ("tools", "freeswitch_zmq", "scripts", "conf"):
            shutil.copytree(REPOSITORY / name, self.tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        self.environ = {
            "PATH": "/usr/bin:/bin",
            "FREESWITCH_SCRIPTS": str(self.scripts),
            "FREESWITCH_CONF": str(self.conf),
            # A Python that has everything, whatever this machine's has; the tests of the check name others.
            "FREESWITCH_PYTHON": str(self.python("complete", '"24.0.1"', '"5.7.0"')),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    @property
    def configuration(self) -> Path:
        return self.conf / "autoload_configs" / CONFIGURATION

    @property
    def beside(self) -> Path:
        return self.configuration.with_name(f"{CONFIGURATION}.new")

    @property
    def shipped(self) -> Path:
        """The configuration in the source tree."""
        return self.tree / "conf" / "autoload_configs" / CONFIGURATION

    def python(self, name: str, zmq: str, ujson: str, version: str = "[3, 11]") -> Path:
        """A program that answers the installer's questions like a Python with these versions (as JSON)."""
        answer = f'{{"python": {version}, "modules": {{"zmq": {zmq}, "ujson": {ujson}}}}}'
        return self.program(name, f"echo '{answer}'")

    def program(self, name: str, script: str) -> Path:
        """A shell script that can be run."""
        path = self.root / "programs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        path.chmod(0o755)
        return path

    def run(self, *arguments: str, environ: Optional[Mapping[str, str]] = None, umask: int = 0o022) -> Result:
        """Run tools/install.py; `environ` adds to what names the folders, and an empty value takes it away."""
        env = {**self.environ, **(environ or {})}
        done = subprocess.run(
            [sys.executable, str(self.tree / "tools" / "install.py"), *arguments],
            cwd=self.root,
            env={name: value for name, value in env.items() if value},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=lambda: os.umask(umask) and None,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def install(self, **environ: str) -> Result:
        """Install, and see it go well."""
        result = self.run(environ=environ)
        assert result.code == 0, result
        return result

    def uninstall(self, **environ: str) -> Result:
        """Uninstall, and see it go well."""
        result = self.run("--uninstall", environ=environ)
        assert result.code == 0, result
        return result


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its relative name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def mode(path: Path) -> int:
    """Its permission bits."""
    return stat.S_IMODE(path.stat().st_mode)
