"""A service that runs, and those who ask it over a socket as a switch does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Optional

import zmq

from freeswitch_zmq.client.service import Service
from tests.support.waiting import wait_for

SECONDS = 20.0

Context = zmq.Context[zmq.Socket[bytes]]


@contextmanager
def served(service: Service) -> Iterator[str]:
    """It runs in a thread of its own meanwhile; the endpoint."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            service.run()
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=run, name="served")
    thread.start()
    try:
        wait_for(lambda: service.endpoint or failed, "the service listens")
        yield service.endpoint
    finally:
        service.stop()
        thread.join(SECONDS)
        assert not thread.is_alive()
        assert service.endpoint == ""
        assert not failed


def call_params(name: str = "ivr", **params: Any) -> dict[str, Any]:
    return {"name": name, "args": "", "uuid": "u-1", "turn": 1, "channel": {}, "variables": {}, "result": [], **params}


class Asker:
    """A DEALER, as the switch has it.

    Args:
        context: the test's.
        endpoint: of the service.
        bind: listen there instead, for a service that connects.
        options: of the socket.
    """

    def __init__(
        self, context: Context, endpoint: str, bind: bool = False, options: Optional[Mapping[int, Any]] = None
    ) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.set(zmq.LINGER, 0)
        for option, value in (options or {}).items():
            self.socket.set(option, value)
        (self.socket.bind if bind else self.socket.connect)(endpoint)

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, method: str, params: Any, id: Any) -> None:
        request = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
        self.socket.send_multipart([b"", json.dumps(request).encode()])

    def frames(self, seconds: float = SECONDS) -> Optional[list[bytes]]:
        """What comes next; None: nothing in that time."""
        return self.socket.recv_multipart() if self.socket.poll(round(seconds * 1000)) else None

    def receive(self) -> dict[str, Any]:
        frames = self.frames()
        assert frames is not None, "no answer"
        empty, body = frames
        assert empty == b""
        found: dict[str, Any] = json.loads(body)
        assert found["jsonrpc"] == "2.0"
        return found

    def ask(self, method: str, params: Any, id: Any = 1) -> dict[str, Any]:
        self.send(method, params, id)
        found = self.receive()
        assert found["id"] == id
        return found

    def call(self, name: str = "ivr", **params: Any) -> dict[str, Any]:
        return self.ask("dialplan.call", call_params(name, **params))

    def answers(self, ids: Iterable[Any]) -> dict[Any, dict[str, Any]]:
        """One answer for each of these, in whatever order."""
        wanted = list(ids)
        found: dict[Any, dict[str, Any]] = {}
        while len(found) < len(wanted):
            answer = self.receive()
            assert answer["id"] in wanted
            assert answer["id"] not in found
            found[answer["id"]] = answer
        return found
