"""Stands between a peer and an endpoint, and sees what crosses the wire."""

from __future__ import annotations

import selectors
import socket
from typing import Callable

from .background import Background
from .zmtp import place

Change = Callable[[bytes], bytes]


class Relay(Background):
    """Listens on a port of its own and passes on what comes, in both directions.

    Args:
        endpoint: where everything goes to.
        change: what becomes of the bytes on their way to the endpoint.

    Attributes:
        endpoint: where it listens.
        up: all bytes that came from those who connected.
        down: all bytes that came from the endpoint.
    """

    def __init__(self, endpoint: str, change: Change = lambda raw: raw) -> None:
        super().__init__("relay")
        self.up = bytearray()
        self.down = bytearray()
        self._target = place(endpoint)
        self._change = change
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ways: dict[socket.socket, socket.socket] = {}
        self._down: set[socket.socket] = set()

    def work(self) -> None:
        with selectors.DefaultSelector() as selector, self._listener:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self.ending.is_set():
                for key, _ in selector.select(0.05):
                    if key.fileobj is self._listener:
                        self._accept(selector)
                    elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._ways:
                        self._pass_on(selector, key.fileobj)
            for each in list(self._ways):
                each.close()

    def _accept(self, selector: selectors.BaseSelector) -> None:
        peer, _ = self._listener.accept()
        try:
            target = socket.create_connection(self._target, 20.0)
        except OSError:
            peer.close()
            return
        self._ways.update({peer: target, target: peer})
        self._down.add(target)
        selector.register(peer, selectors.EVENT_READ)
        selector.register(target, selectors.EVENT_READ)

    def _pass_on(self, selector: selectors.BaseSelector, source: socket.socket) -> None:
        down = source in self._down
        try:
            raw = source.recv(65536)
            (self.down if down else self.up).extend(raw)
            if raw:
                self._ways[source].sendall(raw if down else self._change(raw))
                return
        except OSError:
            pass
        for end in (source, self._ways[source]):
            del self._ways[end]
            self._down.discard(end)
            selector.unregister(end)
            end.close()
