"""A caller of the API that speaks ZeroMQ's wire protocol by hand, and says of itself what it likes."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterable
from typing import Any

from .zmtp import COMMAND, GREETING_BYTES, LONG, MORE, RawPeer, command, frame, greeting

Property = tuple[bytes, bytes]


class RawCaller(RawPeer):
    """A DEALER without encryption, over tcp or ipc.

    Args:
        endpoint: of the API.
        properties: what it says of itself, beside that it is a DEALER.
        source: the address to come from; the system's choice by default.
        at_once: whether it is let in when it is made; otherwise `come_in` is to be called.
    """

    def __init__(
        self, endpoint: str, properties: Iterable[Property] = (), source: str = "", at_once: bool = True
    ) -> None:
        if endpoint.startswith("ipc://"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(10.0)
            self.socket.connect(endpoint[len("ipc://") :])
        else:
            super().__init__(endpoint, source)
        self._properties = [(b"Socket-Type", b"DEALER"), *properties]
        if at_once:
            try:
                self.come_in()
            except BaseException:
                self.close()
                raise

    def come_in(self) -> None:
        """Says what it is, and waits until it is let in."""
        told = b"".join(
            struct.pack(">B", len(name)) + name + struct.pack(">I", len(value)) + value
            for name, value in self._properties
        )
        self.send(greeting() + command(b"READY", told))
        self.receive(GREETING_BYTES)
        flags, body = self._frame()
        assert flags & COMMAND, body
        assert body.startswith(b"\x05READY"), body

    def __enter__(self) -> RawCaller:
        return self

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Asks, and gives the whole answer."""
        self.request(method, **params)
        return self.answer()

    def request(self, method: str, id: int = 1, **params: Any) -> None:
        """Asks."""
        self.send(frame(json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode()))

    def answer(self, timeout: float = 10.0) -> dict[str, Any]:
        """The next answer."""
        self.socket.settimeout(timeout)
        while True:
            flags, body = self._frame()
            if not flags & (COMMAND | MORE):
                answer: dict[str, Any] = json.loads(body)
                return answer

    def _frame(self) -> tuple[int, bytes]:
        flags = self.receive(1)[0]
        length = struct.unpack(">Q", self.receive(8))[0] if flags & LONG else self.receive(1)[0]
        return flags, self.receive(length)
