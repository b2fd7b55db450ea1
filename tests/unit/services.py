"""A service as another program has it: a ROUTER that answers what a test says, when it says so."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Callable, Optional

import zmq

from tests.support.ports import free_port
from tests.support.waiting import wait_for

Answer = Callable[[dict[str, Any]], Any]


class ServiceDouble:
    """Takes requests in a thread of its own.

    Args:
        answer: gives what to send for a request: bytes as they are, a result, or None: nothing, for now.
        endpoint: where it listens; by default on a free port.

    Attributes:
        requests: all that came.
    """

    def __init__(self, answer: Optional[Answer] = None, endpoint: str = "") -> None:
        self.endpoint = endpoint or f"tcp://127.0.0.1:{free_port()}"
        self.requests: list[dict[str, Any]] = []
        self._answer = answer if answer is not None else lambda request: None
        self._ids: dict[str, list[bytes]] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._ready = threading.Event()
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._main, name="service double")

    def __enter__(self) -> ServiceDouble:
        self._thread.start()
        assert self._ready.wait(20.0)
        assert self._error is None, self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        assert self._error is None, self._error

    def came(self, count: int) -> list[dict[str, Any]]:
        """The requests, when there are so many."""
        wait_for(lambda: len(self.requests) >= count, f"{count} requests")
        return self.requests

    def send(self, request: dict[str, Any], message: bytes) -> None:
        """A message to who sent that request, now."""
        with self._lock:
            self._socket.send_multipart([*self._ids[request["id"]], message])

    def result(self, request: dict[str, Any], result: Any) -> None:
        """Its answer, now."""
        self.send(request, answer_of(request, result))

    def _main(self) -> None:
        context = zmq.Context()
        self._socket = context.socket(zmq.ROUTER)
        try:
            self._socket.set(zmq.LINGER, 0)
            self._socket.set(zmq.SNDHWM, 0)
            self._socket.bind(self.endpoint)
            self._ready.set()
            while not self._ending.is_set():
                if self._socket.poll(20):
                    self._take()
        except BaseException as error:  # noqa: BLE001  # raised in the test
            self._error = error
        finally:
            self._ready.set()
            with self._lock:
                self._socket.close()
            context.term()

    def _take(self) -> None:
        with self._lock:
            *envelope, body = self._socket.recv_multipart()
        request = json.loads(body)
        self._ids[request["id"]] = envelope
        answer = self._answer(request)
        self.requests.append(request)
        if answer is not None:
            self.send(request, answer if isinstance(answer, bytes) else answer_of(request, answer))


def answer_of(request: dict[str, Any], result: Any) -> bytes:
    """As JSON-RPC has it."""
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode()


def error_of(request: dict[str, Any], code: int, message: str) -> bytes:
    """The same for an error."""
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}}).encode()


@contextmanager
def several(*answers: Optional[Answer]) -> Iterator[list[ServiceDouble]]:
    """So many services, each on a port of its own."""
    with ExitStack() as stack:
        yield [stack.enter_context(ServiceDouble(answer)) for answer in answers]
