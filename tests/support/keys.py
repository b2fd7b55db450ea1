"""CURVE keys for tests: pairs, the files that they lie in, and how a configuration names them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

import zmq.auth
from zmq.utils import z85


class Pair(NamedTuple):
    """Both halves in Z85, as libzmq takes them."""

    public: bytes
    secret: bytes

    @property
    def hex(self) -> str:
        """The public half as a configuration has it best."""
        return z85.decode(self.public).hex()

    @property
    def fits_xml(self) -> bool:
        """Whether FreeSWITCH reads both halves as they are written; one pair in 100 it doesn't."""
        return not any(part in half for part in (b"<!", b"$${") for half in self)


class Identity(NamedTuple):
    """What a client of an encrypted endpoint has: its own pair, and the public key that the other side must have."""

    pair: Pair
    server: bytes


def new_pair() -> Pair:
    """One that nobody else has."""
    return next(pair for pair in (Pair(*zmq.curve_keypair()) for _ in iter(int, 1)) if pair.fits_xml)


class SecretFile(NamedTuple):
    """A certificate file with both halves, and the pair that is in it."""

    path: Path
    pair: Pair


def new_secret_file(folder: Path, name: str = "server") -> SecretFile:
    """A new pair as `zmq.auth.create_certificates` writes it: `NAME.key` and `NAME.key_secret`, the latter private."""
    folder.mkdir(exist_ok=True)
    while True:
        _, secret = zmq.auth.create_certificates(folder, name)
        path = Path(secret)
        path.chmod(0o600)
        public_key, secret_key = zmq.auth.load_certificate(path)
        assert secret_key is not None
        pair = Pair(public_key, secret_key)
        if pair.fits_xml:
            return SecretFile(path, pair)


def access(secret_file: Path | str | None, keys: Sequence[str] = ()) -> str:
    """An `<access>` element; see `key`."""
    param = (
        f'<param name="server-secret-key-file" value={quoteattr(str(secret_file))}/>' if secret_file is not None else ""
    )
    return f"<access>{param}{''.join(keys)}</access>"


def key(name: str, pair: Pair, publishers: str = "default") -> str:
    """A `<key>` element."""
    return f'<key name="{name}" public-key="{pair.hex}" publishers="{publishers}"/>'
