"""The Python that a switch embeds, and whether it can import what the module needs.

mod_python3 is linked against one libpython, most often the distribution's; a virtual environment means
nothing to it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

# Import name -> (distribution, oldest version that works); the same as `dependencies` in pyproject.toml.
REQUIRED = {"zmq": ("pyzmq", "24"), "ujson": ("ujson", "5.7")}
OLDEST_PYTHON = (3, 9)

SYSTEM_PYTHON = Path("/usr/bin/python3")
APT_COMMAND = "apt-get install -y python3-zmq python3-ujson"
_PROBE_TIMEOUT = 30.0

# What is imported, not what is installed: a package that breaks when imported is as good as none.
_PROBE = """
import importlib, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = str(importlib.import_module(name).__version__)
    except Exception as error:
        found[name] = None
print(json.dumps({"python": list(sys.version_info[:2]), "modules": found}))
"""


class SwitchPython(NamedTuple):
    """An interpreter like the one inside the switch.

    Attributes:
        path: The program.
        reason: How it was found, for the person who reads it.
    """

    path: Path
    reason: str


def linked_version(mod_python3: Path) -> Optional[str]:
    """The ``3.11`` of the libpython that a mod_python3.so is linked against, or None.

    The name stands in the file's table of needed libraries; read there, it is found without any program,
    and also when the library itself is missing.
    """
    found = re.search(rb"\0libpython(3\.\d+)[a-z]*\.so[.\d]*\0", mod_python3.read_bytes())
    return found.group(1).decode() if found else None


def find_switch_python(mods: Sequence[Path], named: str = "") -> SwitchPython:
    """The interpreter that matches the first ``mod_python3.so`` in `mods`.

    Args:
        mods: Module folders to look in.
        named: What somebody who knows better says (FREESWITCH_PYTHON); wins.
    """
    if named:
        return SwitchPython(Path(named), "FREESWITCH_PYTHON")
    for module in (folder / "mod_python3.so" for folder in mods):
        try:
            version = linked_version(module)
        except OSError:
            continue
        if version is None:
            continue
        name = f"python{version}"
        # Before PATH, where a version manager's own build may come first.
        places = ["/usr/bin", "/usr/local/bin", *os.get_exec_path()]
        path = Path(shutil.which(name, path=os.pathsep.join(places)) or f"/usr/bin/{name}")
        return SwitchPython(path, f"{module} is linked against Python {version}")
    where = " or ".join(str(folder) for folder in mods) or "any known module folder"
    return SwitchPython(SYSTEM_PYTHON, f"no mod_python3.so in {where}: the distribution's Python is assumed")


def problems(python: Path) -> list[str]:
    """What keeps the module from running under `python`, one sentence each; empty when nothing does."""
    # Isolated, so that neither this user's packages nor this shell's PYTHONPATH answer for the switch's.
    command = [str(python), "-I", "-c", _PROBE, *REQUIRED]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT,
            check=True,
        )
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return [f"{python} can't be asked: {error}"]
    if tuple(answer["python"]) < OLDEST_PYTHON:
        return [f"Python {_dotted(answer['python'])} is too old, {_dotted(OLDEST_PYTHON)} or newer is needed"]
    found = []
    for name, (distribution, oldest) in REQUIRED.items():
        version = answer["modules"][name]
        if version is None:
            found.append(f"it can't import {name}")
        elif _numbers(version) < _numbers(oldest):
            found.append(f"{distribution} {version} is too old, {oldest} or newer is needed")
    return found


def remedy(python: Path, found: Iterable[str]) -> str:
    """The one command, for root, that mends what :func:`problems` found."""
    wanted = " ".join(f"'{name}>={oldest}'" for name, oldest in REQUIRED.values())
    # The Debian packages serve the distribution's default Python alone, and have one version.
    is_default = SYSTEM_PYTHON.exists() and python.resolve() == SYSTEM_PYTHON.resolve()
    too_old = any("too old" in problem for problem in found)
    if is_default and not too_old and shutil.which("apt-get"):
        return APT_COMMAND
    return f"{python} -m pip install {wanted}"


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def _dotted(version: Iterable[int]) -> str:
    return ".".join(str(part) for part in version)
