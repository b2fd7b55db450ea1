"""Who may ask: a service's own keys, the keys of switches, and the ZAP handler that libzmq asks about each connection.

It fails closed: where nobody answers libzmq, or the answer is a mistake, nobody comes in.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional, Union

import zmq
import zmq.asyncio

from freeswitch_zmq.certificate import KeyPair, parse_public_key, read_secret_certificate
from freeswitch_zmq.client.service.complaints import Complaints, logger

__all__ = ["AnyKeys", "Keys", "answer_zap", "tell_of_strangers", "watch"]

DOMAIN = "service"
ZAP_ADDRESS = "inproc://zeromq.zap.01"  # given by ZeroMQ RFC 27
MONITOR_ADDRESS = "inproc://service-monitor"
KEY_BYTES = 32

AnyKeys = Union[KeyPair, str, "os.PathLike[str]", None]
"""A pair, or the whole path of a `.key_secret` file; None: no CURVE."""

_EVENT = struct.Struct("=Hi")
_LET_IN = b"200"
# libzmq lets a peer that is refused with 300 try again by itself; after 400 it never would, not even when the service
# has been started again and knows its key.
_NOT_NOW = b"300"


@dataclass(frozen=True)
class Keys:
    """What makes a service CURVE.

    Attributes:
        own: the service's; what switches have as `server-public-key` is its public half.
        allowed: the public keys of switches that may ask, 32 bytes each.
    """

    own: KeyPair
    allowed: frozenset[bytes]

    @classmethod
    def of(cls, own: AnyKeys, allowed: Iterable[Union[str, bytes]]) -> Optional[Keys]:
        """As a service is given them.

        Args:
            own: the service's.
            allowed: each 40 characters of Z85, 64 hex digits, or 32 bytes.

        Raises:
            ValueError: a key or the file is none; the text does not hold a key.
        """
        if isinstance(allowed, (str, bytes)):
            raise ValueError("allow_keys is a list of keys, not one key")
        keys = frozenset(_public_key(each) for each in allowed)
        if own is None:
            if keys:
                raise ValueError("allow_keys needs the service's own keys as well: keys=…")
            return None
        if isinstance(own, (str, os.PathLike)):
            own = read_secret_certificate(os.fspath(own))
        if not isinstance(own, KeyPair):
            raise ValueError(f"keys is a KeyPair, or the whole path of a .key_secret file, not {type(own).__name__}")
        return cls(own, keys)

    def guard(self, socket: zmq.Socket[Any]) -> None:
        """Sets up a socket that is not bound yet."""
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_PUBLICKEY, self.own.public)
        socket.set(zmq.CURVE_SECRETKEY, self.own.secret)
        socket.set_string(zmq.ZAP_DOMAIN, DOMAIN)
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without it everybody would get in while nobody answers

    def open(self, context: zmq.asyncio.Context) -> zmq.asyncio.Socket:
        """The handler's socket; it must be there before the first connection."""
        socket = context.socket(zmq.ROUTER)
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.RCVHWM, 0)
        socket.bind(ZAP_ADDRESS)
        return socket


async def answer_zap(socket: zmq.asyncio.Socket, keys: Keys, complaints: Complaints) -> None:
    """Answers libzmq until it is cancelled."""
    while True:
        frames = await socket.recv_multipart()
        try:
            await socket.send_multipart(_answer(frames, keys, complaints))
        except Exception:  # noqa: BLE001  # this peer is not let in, and the next one is asked about
            logger.exception("could not answer whether a peer may ask")


def _answer(frames: list[bytes], keys: Keys, complaints: Complaints) -> list[bytes]:
    """To [peer, "", version, request id, domain, address, identity, mechanism, key]."""
    peer, empty, version, request_id, domain, address, _identity, mechanism, *credentials = frames
    is_ours = domain == DOMAIN.encode() and mechanism == b"CURVE" and len(credentials) == 1
    let_in = is_ours and credentials[0] in keys.allowed
    if not let_in:
        key = f"key {credentials[0].hex()}" if is_ours else "lack of a key"
        place = address.decode("ascii", "replace")
        complaints.warn("stranger", f"a peer at {place} is not let in: its {key} is not in allow_keys")
    status, text = (_LET_IN, b"OK") if let_in else (_NOT_NOW, b"not let in")
    return [peer, empty, version, request_id, status, text, b"", b""]


def watch(socket: zmq.asyncio.Socket, context: zmq.asyncio.Context) -> zmq.asyncio.Socket:
    """Where libzmq tells of those who fail before it asks about them; from before the first of them on."""
    events = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    socket.monitor(MONITOR_ADDRESS, int(events))
    monitor = context.socket(zmq.PAIR)
    monitor.set(zmq.LINGER, 0)
    monitor.set(zmq.RCVHWM, 0)  # at a bound libzmq's own thread would wait for us
    monitor.connect(MONITOR_ADDRESS)
    return monitor


async def tell_of_strangers(monitor: zmq.asyncio.Socket, complaints: Complaints) -> None:
    """Logs, until it is cancelled, who can't even say which key is its own."""
    while True:
        told, *_ = await monitor.recv_multipart()
        event, problem = _EVENT.unpack(told)
        if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            # Who does not encrypt often sees before us that it won't do, and goes.
            complaints.warn(
                "gone", "a peer went away before it said its key: does it not encrypt, for want of server-public-key?"
            )
        elif problem == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
            complaints.warn("no CURVE", "a peer is not let in: it does not encrypt, for want of server-public-key")
        elif problem == zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC:
            complaints.warn("wrong key", "a peer is not let in: its server-public-key is not that of this service")


def _public_key(key: object) -> bytes:
    if isinstance(key, str):
        return parse_public_key(key)
    if not isinstance(key, bytes):
        raise ValueError(f"a public key is a string or bytes, not {type(key).__name__}")
    if len(key) != KEY_BYTES:
        raise ValueError(f"a public key as bytes has {KEY_BYTES} of them, not {len(key)}")
    return key
