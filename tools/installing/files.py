"""Files written whole or not at all, and the manifest that remembers them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Optional

from tools.installing.folders import InstallError

MANIFEST = ".event_zmq.manifest"
_FORMAT = 1


def sha256(content: bytes) -> str:
    """The fingerprint by which a file is recognized."""
    return hashlib.sha256(content).hexdigest()


def read(path: Path) -> Optional[bytes]:
    """A file's content, or None when there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def make_folder(path: Path) -> list[Path]:
    """Make a folder and those above it, readable by all; returns those that were missing, outermost first."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    missing.reverse()
    for folder in missing:
        folder.mkdir()
        folder.chmod(0o755)  # Whatever the umask is: the switch runs as another user.
    return missing


def write(path: Path, content: bytes, *, keep_owner: bool = False) -> bool:
    """Put `content` at `path` in one step: a switch that reads it meanwhile sees the old file or the new one.

    Args:
        path: Where; its folder must be there.
        content: The whole file.
        keep_owner: Owner and mode stay as those of the file that was there; otherwise the mode is 0644.

    Returns:
        Whether the content is another one than before.
    """
    mode, owner = 0o644, None
    if keep_owner and path.exists():
        before = path.stat()
        mode, owner = stat.S_IMODE(before.st_mode), (before.st_uid, before.st_gid)
    if not path.is_symlink() and read(path) == content:
        path.chmod(mode)
        return False
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            if owner is not None:
                with contextlib.suppress(PermissionError):  # Only root can give files away.
                    os.fchown(stream.fileno(), *owner)
            os.fsync(stream.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return True


def remove(path: Path) -> bool:
    """Remove a file, if it is there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def remove_bytecode(path: Path) -> None:
    """Remove what Python compiled from the source `path`, and the ``__pycache__`` when it is empty then."""
    cache = path.parent / "__pycache__"
    for compiled in cache.glob(f"{path.stem}.*.pyc"):
        remove(compiled)
    remove_empty(cache)


def remove_empty(folder: Path) -> None:
    """Remove a folder if nothing is in it; one with something in it, or none at all, is left alone."""
    with contextlib.suppress(OSError):
        folder.rmdir()


class Manifest(NamedTuple):
    """What was installed.

    Attributes:
        version: Of the package.
        files: Relative to the script folder, with their fingerprints.
        configuration: The path of ``event_zmq.conf.xml`` as the switch names it.
        shipped: Fingerprints of every configuration that we ever put there, or beside it as ``.new``: a file
            with another one was changed by the admin.
        folders: Those that we made and that are not below the package, as the switch names them.
    """

    version: str
    files: dict[str, str]
    configuration: str
    shipped: list[str]
    folders: list[str]

    def dump(self) -> bytes:
        """The manifest as a file."""
        return (json.dumps({"format": _FORMAT, **self._asdict()}, indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def load(cls, scripts: Path) -> Optional[Manifest]:
        """The manifest in a script folder, or None.

        Raises:
            InstallError: It is damaged: nothing it says may be believed, least of all what to remove.
        """
        path = scripts / MANIFEST
        content = read(path)
        if content is None:
            return None
        try:
            data: dict[str, Any] = json.loads(content)
            if data.pop("format") != _FORMAT:
                raise ValueError("it was written by another version")
            manifest = cls(**data)
            for name in manifest.files:
                _check_inside(name)
            if PurePosixPath(manifest.configuration).name != "event_zmq.conf.xml":
                raise ValueError(f"{manifest.configuration!r} is no configuration of ours")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InstallError(
                f"{path} is damaged ({error}). Remove it and run `make install`, which then keeps any "
                "configuration that is not the shipped one"
            ) from error
        return manifest


def _check_inside(name: str) -> None:
    parts = PurePosixPath(name).parts
    ours = parts[:1] == ("freeswitch_zmq",) or parts == ("event_zmq.py",)
    if not ours or ".." in parts:
        raise ValueError(f"{name!r} is no file of ours")
