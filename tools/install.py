"""Puts the module on a switch, or takes it away again.

    python3 -m tools.install              what `make install` does
    python3 -m tools.install --uninstall  what `make uninstall` does

Said in the environment (or to make, as in `make install FREESWITCH_CONF=/etc/freeswitch`):

  FREESWITCH_SCRIPTS  the switch's script folder      ) asked from a running switch when not given,
  FREESWITCH_CONF     the folder of autoload_configs  ) else those of FreeSWITCH's Debian packages
  FREESWITCH_MODS     the module folder, where mod_python3.so tells which Python the switch embeds
  FREESWITCH_PYTHON   that Python's program, where mod_python3.so does not tell
  FS_CLI              fs_cli and its options, such as "fs_cli -P 8022 -p secret"
  DESTDIR             put before every folder, for packagers; then nothing on this machine is asked or checked

A configuration that an admin changed is never overwritten: the new one is put beside it, with .new added.
Exit codes: 0 done, 1 nothing was done, 3 installed but the switch's Python lacks what the module needs.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
if __package__ in (None, ""):  # Run as a file, from wherever.
    sys.path.insert(0, str(_ROOT))

from tools import python_check  # noqa: E402 - the path has to be there first
from tools.installing import files, folders, hints  # noqa: E402
from tools.installing.folders import InstallError  # noqa: E402

PACKAGE = "freeswitch_zmq"
SHIM = "event_zmq.py"
CONFIGURATION = "event_zmq.conf.xml"
# Parts of the package that are not for inside a switch.
_LEFT_OUT = {"standin", "cli"}
PYTHON_LACKS = 3


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tools.install",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--uninstall", action="store_true", help="take away what was installed")
    options = parser.parse_args()
    try:
        job = Job(environ)
        return job.uninstall() if options.uninstall else job.install()
    except InstallError as error:
        print(f"{error}.", file=sys.stderr)
    except PermissionError as error:
        print(f"May not write {error.filename}: run this as root.", file=sys.stderr)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}.", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def sources(root: Path = _ROOT) -> dict[str, Path]:
    """What goes into the script folder: relative name -> file.

    The shim comes last, so that it never finds half a package.
    """
    found = {}
    for path in sorted((root / PACKAGE).rglob("*")):
        parts = path.relative_to(root / PACKAGE).parts
        if path.is_file() and path.suffix != ".pyc" and parts[0] not in _LEFT_OUT:
            found["/".join((PACKAGE, *parts))] = path
    found[SHIM] = root / "scripts" / SHIM
    return found


class Job:
    """One install or uninstall.

    Args:
        environ: Where the user says what; see the head of this file.
        root: The source tree.
    """

    def __init__(self, environ: Mapping[str, str], root: Path = _ROOT) -> None:
        self._environ = environ
        self._root = root
        destdir = environ.get("DESTDIR", "")
        self._destdir = str(Path(destdir).absolute()).rstrip("/") if destdir else ""
        self._switch = None if destdir else folders.Switch(environ.get("FS_CLI", ""))

    def install(self) -> int:
        """Install, or bring up to date."""
        scripts = folders.scripts_folder(self._environ, self._switch)
        conf = folders.conf_folder(self._environ, self._switch)
        target, configs = self._on_disk(scripts.path), conf.path / "autoload_configs"
        self._check_target(target)
        content = {name: path.read_bytes() for name, path in sources(self._root).items()}
        configuration = (self._root / "conf" / "autoload_configs" / CONFIGURATION).read_bytes()
        before = files.Manifest.load(target)
        if self._destdir:
            files.make_folder(Path(self._destdir))
        made = files.make_folder(target) + files.make_folder(self._on_disk(configs))
        earlier = before.files if before else {}
        shipped = before.shipped if before else []
        after = files.Manifest(
            version=self._version(),
            files={name: files.sha256(data) for name, data in content.items()},
            configuration=str(configs / CONFIGURATION),
            shipped=sorted({*shipped, files.sha256(configuration)}),
            folders=[*(before.folders if before else []), *(self._as_named(folder) for folder in made)],
        )
        # All there was and will be first, so that an install that is interrupted can be repeated or taken away.
        files.write(target / files.MANIFEST, after._replace(files={**earlier, **after.files}).dump())
        print(f"Scripts:       {target} ({scripts.reason})")
        changed = self._write_files(target, content)
        self._remove_files(target, set(earlier) - set(content))
        print(f"               {len(content)} files, {'written' if changed else 'all as they should be'}")
        print(f"Configuration: {self._on_disk(configs / CONFIGURATION)} ({conf.reason})")
        print(f"               {self._write_configuration(self._on_disk(configs), configuration, shipped)}")
        if before and before.configuration != after.configuration:
            print(f"               the one of an earlier install stays: {before.configuration}")
        files.write(target / files.MANIFEST, after.dump())
        if self._switch is None:
            return 0
        lacks = self._check_python()
        print(*hints.after_install(configs, self._switch, updated=changed and before is not None), sep="\n")
        return PYTHON_LACKS if lacks else 0

    def uninstall(self) -> int:
        """Take away what the manifest lists, and nothing else."""
        scripts = folders.scripts_folder(self._environ, self._switch)
        target = self._on_disk(scripts.path)
        manifest = files.Manifest.load(target)
        if manifest is None:
            print(
                f"Nothing to take away: {target} ({scripts.reason}) has no {files.MANIFEST}. "
                "FREESWITCH_SCRIPTS= names another folder."
            )
            return 0
        path = self._on_disk(Path(manifest.configuration))
        content = files.read(path)
        files.remove(path.with_name(f"{CONFIGURATION}.new"))
        if content is not None and not path.is_symlink() and files.sha256(content) in manifest.shipped:
            files.remove(path)
        elif content is not None:
            print(f"Kept, because it was changed here: {path}")
        self._remove_files(target, set(manifest.files))
        files.remove(target / files.MANIFEST)
        for folder in reversed(manifest.folders):
            files.remove_empty(self._on_disk(Path(folder)))
        print(f"Taken away: {len(manifest.files)} files in {target}, version {manifest.version}.")
        if hints.startup_script_is_set(path.parent):
            print(f"Left to do: take the startup-script event_zmq out of {path.parent / 'python.conf.xml'}.")
        if self._switch is not None:
            print("A switch that has the module running keeps it: `python event_zmq stop` in fs_cli ends it.")
        return 0

    def _on_disk(self, path: Path) -> Path:
        return Path(f"{self._destdir}{path}")

    def _as_named(self, path: Path) -> str:
        return str(path)[len(self._destdir) :]

    def _version(self) -> str:
        text = (self._root / PACKAGE / "__init__.py").read_text("utf-8")
        found = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
        if found is None:
            raise InstallError(f"{self._root / PACKAGE / '__init__.py'} names no version")
        return found.group(1)

    def _check_target(self, target: Path) -> None:
        if target.exists() and not target.is_dir():
            raise InstallError(f"{target} is not a folder")
        package = target / PACKAGE
        if package.is_symlink():
            raise InstallError(f"{package} is a symbolic link (to {package.readlink()}): remove it first")
        if target.exists() and target.resolve() == (self._root / "scripts").resolve():
            raise InstallError(f"{target} is this source tree's own folder, which needs no install")

    @staticmethod
    def _write_files(target: Path, content: Mapping[str, bytes]) -> bool:
        changed = False
        for name, data in content.items():
            files.make_folder((target / name).parent)
            changed |= files.write(target / name, data)
        return changed

    @staticmethod
    def _write_configuration(folder: Path, content: bytes, shipped: list[str]) -> str:
        """Write the configuration where that destroys nothing, and return what was done."""
        path = folder / CONFIGURATION
        beside = path.with_name(f"{CONFIGURATION}.new")
        there = files.read(path)
        if there is not None and there != content and (path.is_symlink() or files.sha256(there) not in shipped):
            files.write(beside, content)
            return f"was changed here and is left as it is; the new one is {beside}"
        files.remove(beside)
        if there == content:
            return "as it should be"
        files.write(path, content, keep_owner=True)
        return "written" if there is None else "brought up to date (it was as an earlier version shipped it)"

    @staticmethod
    def _remove_files(target: Path, names: set[str]) -> None:
        parents: set[Path] = set()
        for name in names:
            files.remove(target / name)
            files.remove_bytecode(target / name)
            parents.update((target / name).relative_to(target).parents)
        # The innermost first; "." is the script folder itself, which is the switch's.
        for parent in sorted(parents - {Path()}, key=lambda folder: len(folder.parts), reverse=True):
            files.remove_empty(target / parent)

    def _check_python(self) -> bool:
        """Say whether the switch's Python has what the module imports; returns whether it lacks something."""
        mods = folders.mods_folders(self._environ, self._switch)
        python = python_check.find_switch_python(mods, self._environ.get("FREESWITCH_PYTHON", ""))
        found = python_check.problems(python.path)
        print(f"Python:        {python.path} ({python.reason})")
        if not found:
            print("               has pyzmq and ujson, new enough")
            return False
        command = python_check.remedy(python.path, found)
        print(f"               THE MODULE CAN'T RUN: {'; '.join(found)}. As root:\n\n    {command}\n")
        return True


if __name__ == "__main__":
    sys.exit(main())
