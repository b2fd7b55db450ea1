"""The event socket: who connects from outside and drives the switch, as `fs_cli` does."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable

from .core import Core
from .esl_connection import Connection
from .threads import HostThread

__all__ = ["EslServer"]

_BACKLOG = 50


class EslServer:
    """Accepts connections, each with threads of its own.

    Args:
        core: The switch.
        host: Where it listens.
        port: Where it listens; 0 for any free one.
        password: What a client must know.
        lists: Access lists that a client's address must all be in.

    Raises:
        OSError: It can't listen there.
    """

    def __init__(self, core: Core, host: str, port: int, password: str, lists: Iterable[str]) -> None:
        self._core = core
        self._password = password
        self._lists = tuple(lists)
        self._connections: list[Connection] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
            self._socket.listen(_BACKLOG)
        except OSError:
            self._socket.close()
            raise
        self._acceptor: HostThread | None = None

    @property
    def port(self) -> int:
        """Where it really listens."""
        port: int = self._socket.getsockname()[1]
        return port

    def start(self) -> None:
        """Begin to accept."""
        self._acceptor = self._core.thread(self._accept, "event socket")

    def stop(self, timeout: float) -> None:
        """Close everything; at most `timeout` seconds for clients to take what is there, and for threads to end."""
        deadline = time.monotonic() + timeout

        def left() -> float:
            return max(0.01, deadline - time.monotonic())

        try:
            self._socket.shutdown(socket.SHUT_RDWR)  # Closing alone would leave the accepting thread waiting.
        except OSError:
            pass  # Some systems refuse that for a socket that only listens.
        self._socket.close()
        for connection in self._connections:
            connection.say_goodbye(left())
        if self._acceptor is not None:
            self._acceptor.join(left())
        for connection in self._connections:
            connection.join(left())

    def _accept(self) -> None:
        while True:
            try:
                client, address = self._socket.accept()
            except OSError:
                return  # It was closed.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections = [each for each in self._connections if not each.gone]
            connection = Connection(self._core, client, self._password)
            self._connections.append(connection)
            if all(self._core.acl.check(address[0], name) for name in self._lists):
                connection.start()
            else:
                self._core.say("WARNING", f"IP {address[0]} Rejected by acl\n", "mod_event_socket.c", 2701)
                connection.refuse()
