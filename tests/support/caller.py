"""A program that asks the switch: JSON-RPC over a REQ or a DEALER."""

from __future__ import annotations

import itertools
import json
import time
from types import TracebackType
from typing import Any, Union

import zmq

from .keys import Identity

Answer = dict[str, Any]


class RpcFailure(Exception):
    """The switch answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


class Caller:
    """A socket with its own context.

    Args:
        endpoint: where the API listens.
        kind: `zmq.REQ` or `zmq.DEALER`.
        delimiter: whether a DEALER sends an empty frame first, as a REQ does by itself.
        identity: its CURVE key and the switch's.
        routing_id: its name towards the ROUTER; empty: none of its own.
    """

    def __init__(
        self,
        endpoint: str,
        kind: int = zmq.REQ,
        delimiter: bool = False,
        identity: Identity | None = None,
        routing_id: bytes = b"",
    ) -> None:
        self._ids = itertools.count(1)
        self._head = [b""] if delimiter else []
        self._context = zmq.Context()
        self.socket = self._context.socket(kind)
        self.socket.set(zmq.LINGER, 0)
        self.socket.set(zmq.SNDHWM, 0)
        self.socket.set(zmq.RCVHWM, 0)
        self.socket.set(zmq.RECONNECT_IVL, 50)
        if routing_id:
            self.socket.set(zmq.ROUTING_ID, routing_id)
        if identity is not None:
            self.socket.set(zmq.CURVE_PUBLICKEY, identity.pair.public)
            self.socket.set(zmq.CURVE_SECRETKEY, identity.pair.secret)
            self.socket.set(zmq.CURVE_SERVERKEY, identity.server)
        self.socket.connect(endpoint.replace("0.0.0.0", "127.0.0.1"))

    def __enter__(self) -> Caller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()
        self._context.term()

    def send(self, method: str, params: Union[dict[str, Any], list[Any], None] = None) -> int:
        """Sends a request; its id."""
        number = next(self._ids)
        request: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": method}
        if params is not None:
            request["params"] = params
        self.send_raw(json.dumps(request).encode())
        return number

    def notify(self, method: str, params: Union[dict[str, Any], None] = None) -> None:
        """Sends a request that wants no answer."""
        self.send_raw(json.dumps({"jsonrpc": "2.0", "method": method, "params": params or {}}).encode())

    def send_raw(self, *frames: bytes) -> None:
        """Sends what isn't a request, perhaps."""
        self.socket.send_multipart([*self._head, *frames])

    def receive_raw(self, timeout: float = 10.0) -> bytes:
        """The next message's last frame."""
        assert self.socket.poll(round(timeout * 1000)), f"no answer within {timeout:g} s"
        frames = self.socket.recv_multipart()
        assert frames[:-1] == self._head, frames
        return frames[-1]

    def receive(self, timeout: float = 10.0) -> Answer:
        """The next answer."""
        answer: Answer = json.loads(self.receive_raw(timeout))
        assert answer["jsonrpc"] == "2.0", answer
        assert ("result" in answer) != ("error" in answer), answer
        return answer

    def answers(self, count: int, timeout: float = 30.0) -> dict[Any, Answer]:
        """So many answers, by id."""
        deadline = time.monotonic() + timeout
        found: dict[Any, Answer] = {}
        while len(found) < count:
            answer = self.receive(max(deadline - time.monotonic(), 0.001))
            assert answer["id"] not in found, f"two answers to {answer['id']}"
            found[answer["id"]] = answer
        return found

    def call(self, method: str, within: float = 10.0, **params: Any) -> Any:
        """Asks and waits, so many seconds; the result.

        Raises:
            RpcFailure: the answer is an error.
        """
        number = self.send(method, params)
        answer = self.receive(within)
        assert answer["id"] == number, answer
        if "error" in answer:
            raise RpcFailure(answer["error"])
        return answer["result"]

    def code(self, method: str, within: float = 10.0, **params: Any) -> int:
        """The error code with which it is answered; 0: none."""
        try:
            self.call(method, within, **params)
        except RpcFailure as error:
            return error.code
        return 0

    def nothing(self, seconds: float) -> None:
        """Fails when anything comes."""
        assert not self.socket.poll(round(seconds * 1000)), self.socket.recv_multipart()
