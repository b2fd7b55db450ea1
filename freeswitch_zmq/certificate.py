"""CURVE keys: as text in a configuration, and as ZeroMQ certificate files.

All raise ValueError with a text that says what is wrong and what would be right. No text holds a key: one who mixes the
two up writes the secret key where the public one belongs.
"""

from __future__ import annotations

import errno
import os
import pwd
import re
import shlex
import stat
import struct
from dataclasses import dataclass, field

import zmq
from zmq.utils import z85

__all__ = ["KeyPair", "parse_public_key", "public_key_hex", "read_secret_certificate"]

_Z85_LENGTH = 40
_RIGHT = "a public key is 40 characters of Z85 or 64 hex digits"
_LIMIT = 65536  # bytes; a certificate has some hundreds
# A key, or most of one: a few characters were lost or added. No path with an underscore is among them.
_LIKE_A_KEY = re.compile(r"[0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-]{30,50}")
_ENTRY = re.compile(rb"""^[ \t]*(public-key|secret-key)[ \t]*=[ \t]*["']?([^"'\s]*)""", re.MULTILINE)


@dataclass(frozen=True)
class KeyPair:
    """Both halves of a pair, 32 raw bytes each. The secret one stays out of every text."""

    public: bytes
    secret: bytes = field(repr=False)


def parse_public_key(text: str) -> bytes:
    """The 32 raw bytes of a key written as 40 characters of Z85 or as 64 hex digits.

    Raises:
        ValueError: it is neither.
    """
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return bytes.fromhex(text)
    # Some paths of 40 characters are Z85 as well. Of real keys one in a thousand million ends like the name of a file.
    if text.endswith((".key", ".key_secret")) or (len(text) != _Z85_LENGTH and text.startswith(("/", "./", "../"))):
        raise ValueError(f"it looks like the name of a file; {_RIGHT}, as it stands in that file after public-key")
    if len(text) != _Z85_LENGTH:
        near = {39: ": one is missing", 41: ": one too many, perhaps a space or a quote"}.get(len(text), "")
        raise ValueError(f"it has {len(text)} characters{near}; {_RIGHT} (in XML take hex: & and < are Z85 too)")
    key = _from_z85(text)
    if key is None:
        raise ValueError(f"it has 40 characters, but is not Z85: a mistake in copying; {_RIGHT}")
    return key


def public_key_hex(key: bytes) -> str:
    """The 64 hex digits of a raw key."""
    return key.hex()


def read_secret_certificate(path: str) -> KeyPair:
    """Both keys from a certificate as czmq and `zmq.auth.create_certificates` write it (`.key_secret`).

    Raises:
        ValueError: it can't be read, others than its owner could have read it, or it holds no pair of keys.
    """
    if not path.startswith("/"):
        # It is not repeated: one who mixes the two up writes the key here.
        raise ValueError("give the whole path of a file, such as /etc/freeswitch/tls/server.key_secret")
    if _LIKE_A_KEY.fullmatch(path) and not os.path.lexists(path):
        raise ValueError(
            "there is no such file; it looks like a key, so it is not repeated here: put a key into a file, and give "
            "the file's whole path"
        )
    try:
        return _key_pair(path, _read_private(path))
    except ValueError as error:
        problem = str(error)
    # Outside of the handler, so that no other exception, which may hold the secret, is chained to it.
    raise ValueError(f"{path}: {problem}")


def _read_private(path: str) -> bytes:
    """What is in a file that is nobody else's business."""
    try:
        # O_NONBLOCK: a FIFO would hold us until somebody writes into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise ValueError(_not_opened(path, error)) from error
    try:
        # Of what is open, and not of the path, which may lead elsewhere by now.
        _check(path, os.fstat(descriptor))
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(_LIMIT + 1)
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}; make the pair anew") from error
    finally:
        os.close(descriptor)
    if len(content) > _LIMIT:
        raise ValueError("is larger than 64 KB, so it is no certificate; name the .key_secret file")
    return content


def _not_opened(path: str, error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "there is no such file; give its whole path (fszmq keygen makes one)"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{_user(os.geteuid())} may not read it; {_chown(path)} (and the folders above must let that user in)"
    return f"can't be opened: {error.strerror}; name the .key_secret file"


def _check(path: str, info: os.stat_result) -> None:
    """Who may read the file, by its owner and mode."""
    if not stat.S_ISREG(info.st_mode):
        what = "a folder" if stat.S_ISDIR(info.st_mode) else "no regular file"
        raise ValueError(f"is {what}; name the .key_secret file")
    if info.st_uid not in (os.geteuid(), 0):
        raise ValueError(
            f"belongs to {_user(info.st_uid)}, who could change or show it; "
            f"{_chown(path)}, or make a new pair if that user is a stranger"
        )
    if info.st_mode & 0o077:
        raise ValueError(
            f"others than its owner may use it (mode {stat.S_IMODE(info.st_mode):04o}); chmod 600 {shlex.quote(path)}, "
            "and make a new pair if somebody may have read it"
        )


def _chown(path: str) -> str:
    return f"chown {_user(os.geteuid())} {shlex.quote(path)}"


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _key_pair(path: str, content: bytes) -> KeyPair:
    found: dict[str, str] = {}
    for name, value in _ENTRY.findall(content):
        word = name.decode()
        if word in found:
            raise ValueError(f"has more than one {word}; make the pair anew")
        found[word] = value.decode("ascii", "replace")
    if "secret-key" not in found:
        raise ValueError(_no_secret(path, "public-key" in found))
    if "public-key" not in found:
        raise ValueError("has no public-key in it; make the pair anew")
    keys = {word: _from_z85(value) for word, value in found.items()}
    public, secret = keys["public-key"], keys["secret-key"]
    if public is None or secret is None:
        word = "public-key" if public is None else "secret-key"
        raise ValueError(f"its {word} is not 40 characters of Z85; copy the file anew, or make a new pair")
    try:
        belongs = zmq.curve_public(z85.encode(secret))
    except zmq.ZMQError as error:
        raise ValueError(
            f"the installed libzmq {zmq.zmq_version()} can't use it: {error}; take one with CURVE"
        ) from error
    if z85.decode(belongs) != public:
        raise ValueError("its public-key does not belong to its secret-key; copy the file anew, or make a new pair")
    return KeyPair(public, secret)


def _no_secret(path: str, has_public: bool) -> str:
    if not has_public:
        return "has no secret-key in it, so it is no certificate; name the .key_secret file"
    name = path if path.endswith(".key") else "NAME.key"
    return f"has no secret-key in it: this is the public half; name {name}_secret"


def _from_z85(text: str) -> bytes | None:
    """The 32 bytes, or None when that is not what the text says."""
    if len(text) != _Z85_LENGTH:
        return None
    try:
        return z85.decode(text)
    except (ValueError, KeyError, struct.error):  # not ASCII; not of the alphabet; five characters above 32 bits
        return None
