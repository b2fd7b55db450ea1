"""A peer that speaks ZeroMQ's wire protocol by hand, and need not keep to it (RFC 37/ZMTP 3.1)."""

from __future__ import annotations

import secrets
import socket
import struct
import time
from types import TracebackType

MORE, LONG, COMMAND = 1, 2, 4
GREETING_BYTES = 64


def greeting(mechanism: bytes = b"NULL", minor: int = 0) -> bytes:
    """What both sides send first."""
    return b"\xff\0\0\0\0\0\0\0\x01\x7f\x03" + bytes([minor]) + mechanism.ljust(20, b"\0") + b"\0" * 32


def frame(body: bytes, flags: int = 0) -> bytes:
    """A frame with its flags and length."""
    if len(body) > 255:
        return struct.pack(">BQ", flags | LONG, len(body)) + body
    return struct.pack(">BB", flags, len(body)) + body


def command(name: bytes, data: bytes = b"") -> bytes:
    """A command frame."""
    return frame(bytes([len(name)]) + name + data, COMMAND)


def ready(socket_type: bytes = b"SUB") -> bytes:
    """How a peer of the NULL mechanism says what it is."""
    return command(b"READY", b"\x0bSocket-Type" + struct.pack(">I", len(socket_type)) + socket_type)


def place(endpoint: str) -> tuple[str, int]:
    """Host and port of a tcp endpoint."""
    host, _, port = endpoint.partition("tcp://")[2].rpartition(":")
    return host.strip("[]").replace("0.0.0.0", "127.0.0.1"), int(port)


class RawPeer:
    """A connection to a tcp endpoint on which anything can be sent.

    Args:
        endpoint: where to.
        source: the address to come from; the system's choice by default.
    """

    def __init__(self, endpoint: str, source: str = "") -> None:
        self.socket = socket.create_connection(place(endpoint), 10.0, (source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self.socket.close()

    def send(self, raw: bytes) -> bool:
        """Sends bytes as they are; False when the other side has closed the connection."""
        try:
            self.socket.sendall(raw)
        except (ConnectionError, socket.timeout):
            return False
        return True

    def shake_hands(self, socket_type: bytes = b"SUB") -> None:
        """Becomes a peer of the NULL mechanism; fails when the other side doesn't want it."""
        self.send(greeting(minor=1) + ready(socket_type))
        self.receive(GREETING_BYTES)
        length = self.receive(2)[1]
        assert self.receive(length).startswith(b"\x05READY")

    def comes_in(self) -> bool:
        """The same as a subscriber; false when the other side doesn't want it."""
        try:
            self.shake_hands()
        except (AssertionError, OSError):
            return False
        return True

    def receive(self, count: int) -> bytes:
        """So many bytes; fails when the connection is closed before."""
        received = b""
        while len(received) < count:
            part = self.socket.recv(count - len(received))
            assert part, f"the connection was closed after {received!r}"
            received += part
        return received

    def heard(self, timeout: float = 30.0) -> bool:
        """Waits until the other side has read all that was sent; False when it closed the connection instead."""
        mark = secrets.token_bytes(8)
        if not self.send(command(b"PING", b"\0\0" + mark)):
            return False
        self.socket.settimeout(timeout)
        received = b""
        while mark not in received:
            try:
                part = self.socket.recv(65536)
            except ConnectionError:
                return False
            if not part:
                return False
            received = received[-len(mark) :] + part
        return True

    def subscribe(self, prefix: bytes) -> bool:
        """Asks for what begins so."""
        return self.send(frame(b"\x01" + prefix))

    def unsubscribe(self, prefix: bytes) -> bool:
        """Asks for it no more."""
        return self.send(frame(b"\x00" + prefix))

    def rest(self, timeout: float = 10.0) -> bytes:
        """All that comes until the other side closes the connection, which it has to do in time."""
        received = bytearray()
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            assert left > 0, (
                f"the connection is still open after {timeout:g} s; until then came {bytes(received[:200])!r}"
            )
            self.socket.settimeout(left)
            try:
                part = self.socket.recv(65536)
            except socket.timeout:
                continue
            except ConnectionError:
                break
            if not part:
                break
            received += part
        return bytes(received)
