"""`fszmq keygen`: a pair of CURVE keys in two files, and what to do with them.

Raises ValueError for what can't be asked for, with what would be right, and OSError for what the system refuses.
No file is ever overwritten, and when it fails it leaves none.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import zmq
from zmq.utils import z85

from freeswitch_zmq.certificate import public_key_hex
from freeswitch_zmq.permissions import FORMS, parse_permissions

__all__ = ["PairFiles", "for_client", "for_server", "write_pair"]

_NAME = re.compile(r"(?!\.)[A-Za-z0-9_.-]+")

_CERTIFICATE = """\
# {title}, made by fszmq keygen
# {advice}

metadata
    name = "{name}"
curve
    public-key = "{public}"
"""

_CLIENT = """\
Made two files:

    {secret}
        secret; for the subscriber alone: take it there in a way that nobody can read along, and leave no copy
    {public}
        public; for the switch, which needs no file: the line below has it

On the switch, into <access> of event_zmq.conf.xml, then `python event_zmq reload` in fs_cli:

    {line}

In the subscriber, with server.key from the switch (fszmq keygen --server made it):

    import zmq
    import zmq.auth

    server, _ = zmq.auth.load_certificate("server.key")
    public, secret = zmq.auth.load_certificate("{name}.key_secret")
    subscriber = zmq.Context().socket(zmq.SUB)
    subscriber.curve_serverkey = server
    subscriber.curve_publickey = public
    subscriber.curve_secretkey = secret
    subscriber.subscribe(b"")
    subscriber.connect("tcp://192.0.2.1:5556")

What it may do on the API stands in allow="…" of that line, comma-separated; without it, nothing:

{forms}

PUBLISHER, ARGS, NAME and SUBCLASS may have * and ? in them."""

_SERVER = """\
Made two files:

    {secret}
        secret; it stays on this switch
    {public}
        public; every client needs a copy of it

Into <access> of event_zmq.conf.xml (and <param name="security" value="curve"/> into each publisher that is to use it):

    {line}

FreeSWITCH takes the file only when its own user owns it and nobody else may use it; that user must also get through
the folders above it. Where the user is freeswitch:

    chown freeswitch {quoted}
    chmod 600 {quoted}

Then `python event_zmq reload` in fs_cli. The public key, for clients that do not read {name}.key:

    Z85  {z85}
    hex  {hex}"""


@dataclass(frozen=True)
class PairFiles:
    """A pair that was written.

    Attributes:
        name: of the pair, and of both files.
        public: the certificate for others, with the whole path.
        secret: the certificate of its owner.
        key: the public key, 32 raw bytes.
    """

    name: str
    public: Path
    secret: Path
    key: bytes


def for_client(folder: Path, name: str, publishers: str = "default", allow: str = "") -> str:
    """Make the pair of a client; returns what to tell the admin.

    Args:
        folder: where the files are put.
        name: what they are called.
        publishers: what it may subscribe to, comma-separated; empty: nothing.
        allow: what it may do on the API, as in `<key allow="…"/>`; empty: nothing.
    """
    attributes = {
        "name": name,
        "publishers": ",".join(_publishers(publishers)),
        "allow": ",".join(parse_permissions(allow)),
    }
    pair = write_pair(folder, name)
    words = {"name": name, "public-key": public_key_hex(pair.key), **attributes}
    width = max(len(form) for form, _ in FORMS)
    return _CLIENT.format(
        secret=pair.secret,
        public=pair.public,
        name=name,
        line=f"<key {' '.join(f'{word}={_attribute(value)}' for word, value in words.items() if value)}/>",
        forms="\n".join(f"    {form:{width}}  {text}" for form, text in FORMS),
    )


def for_server(folder: Path, name: str = "server") -> str:
    """Make the pair of a switch; returns what to tell the admin."""
    pair = write_pair(folder, name)
    return _SERVER.format(
        secret=pair.secret,
        public=pair.public,
        name=name,
        line=f'<param name="server-secret-key-file" value={_attribute(str(pair.secret))}/>',
        quoted=shlex.quote(str(pair.secret)),
        z85=z85.encode(pair.key).decode(),
        hex=public_key_hex(pair.key),
    )


def write_pair(folder: Path, name: str) -> PairFiles:
    """Write a new pair as two certificates, NAME.key and NAME.key_secret."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!a} is no name; take letters, digits, dots, hyphens and underscores, and no dot first")
    if not folder.is_dir():
        raise ValueError(f"there is no folder {str(folder)!a}; make it first, or name another with --folder")
    folder = folder.resolve()
    if not str(folder).isprintable():
        raise ValueError(f"{str(folder)!a} has characters that no configuration can hold; name another --folder")
    if not zmq.has("curve"):
        raise ValueError(f"the installed libzmq {zmq.zmq_version()} was built without CURVE; PyPI's pyzmq has it")
    public, secret = (key.decode() for key in zmq.curve_keypair())
    open_part = {"name": name, "public": public}
    contents = {
        folder / f"{name}.key_secret": _CERTIFICATE.format(
            title="Secret half of a ZeroMQ CURVE pair",
            advice="For its owner alone: keep it at mode 0600, and never hand it on.",
            **open_part,
        )
        + f'    secret-key = "{secret}"\n',
        folder / f"{name}.key": _CERTIFICATE.format(
            title="Public half of a ZeroMQ CURVE pair",
            advice="Everybody may have it. Who gets it should know for certain whose it is.",
            **open_part,
        ),
    }
    _write_all(folder, contents)
    return PairFiles(name, folder / f"{name}.key", folder / f"{name}.key_secret", z85.decode(public))


def _write_all(folder: Path, contents: dict[Path, str]) -> None:
    """All of the files or none of them, on the disk when it returns."""
    made: list[Path] = []
    try:
        for path, content in contents.items():
            # The mode counts from the first moment on; the umask can only take away from it.
            mode = 0o600 if path.suffix == ".key_secret" else 0o644
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            made.append(path)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
        _sync(folder)
    except BaseException as error:
        for path in made:
            path.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise ValueError(
                f"{error.filename} is there already, and is never overwritten; take another name or folder"
            ) from None
        raise


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publishers(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")] if text.strip() else []
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            raise ValueError(f"{name!a} is no publisher's name; take letters, digits, dots, hyphens and underscores")
    return names


def _attribute(value: str) -> str:
    """In quotes, so that both XML and FreeSWITCH, which replaces `$${…}` first, read the value itself."""
    return quoteattr(value).replace("$${", "$&#36;{")
