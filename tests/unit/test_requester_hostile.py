"""Services that harm whom they are connected with, or would; and a machine that has nothing left."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

import pytest
import zmq

from freeswitch_zmq.module.asking import backend as backend_module
from freeswitch_zmq.module.asking import flood as flood_module
from freeswitch_zmq.module.asking import requester as requester_module
from freeswitch_zmq.module.asking.flood import BYTES, FORGOTTEN_SECONDS, MESSAGES, Flood
from freeswitch_zmq.module.asking.question import OK, UNAVAILABLE
from freeswitch_zmq.module.asking.requester import Requester
from tests.support.waiting import wait_for
from tests.support.zmtp import GREETING_BYTES, MORE, frame, greeting, ready
from tests.unit.services import ServiceDouble
from tests.unit.test_requester import LONG, Asking, echo, settled

MEGABYTE = bytes(1_000_000)


class Raw:
    """Listens, shakes hands as a ROUTER, and then does what a test says.

    Attributes:
        came: how many connections did.
        sent: bytes.
        cut_off: set when the other side ended a connection.
    """

    def __init__(self, serve: Callable[[Raw, socket.socket], None]) -> None:
        self.came = self.sent = 0
        self.cut_off = threading.Event()
        self.ending = threading.Event()
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"

    def run(self) -> None:
        self._listener.settimeout(0.1)
        with self._listener:
            while not self.ending.is_set():
                try:
                    connection, _ = self._listener.accept()
                except TimeoutError:
                    continue
                self.came += 1
                with connection:
                    connection.settimeout(LONG)
                    try:
                        connection.sendall(greeting() + ready(b"ROUTER"))
                        left = GREETING_BYTES + len(ready(b"DEALER"))
                        while left > 0:
                            left -= len(connection.recv(left)) or LONG_GONE
                        self._serve(self, connection)
                    except OSError:
                        self.cut_off.set()

    def send(self, connection: socket.socket, raw: bytes) -> None:
        connection.sendall(raw)
        self.sent += len(raw)


LONG_GONE = 10_000


@contextmanager
def raw(serve: Callable[[Raw, socket.socket], None]) -> Iterator[Raw]:
    found = Raw(serve)
    thread = threading.Thread(target=found.run, name="raw service")
    thread.start()
    try:
        yield found
    finally:
        found.ending.set()
        thread.join()


def without_end(flags: int) -> Callable[[Raw, socket.socket], None]:
    message = frame(MEGABYTE, flags)

    def serve(service: Raw, connection: socket.socket) -> None:
        while not service.ending.is_set() and service.sent < 2_000_000_000:
            service.send(connection, message)

    return serve


@pytest.mark.parametrize("flags", [MORE, 0], ids=["a message without end", "messages that nobody asked for"])
def test_one_that_sends_without_end_is_cut_off(flags: int) -> None:
    with raw(without_end(flags)) as service, Asking(service.endpoint, size=1_000_000) as asking:
        asking.connected()
        wait_for(service.cut_off.is_set, "its end")
        service.ending.set()
        assert service.sent < 2_000_000_000
        wait_for(lambda: not asking.connection()["connected"], "it to be noticed")


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "SHORT_PAUSE", LONG)


@pytest.mark.usefixtures("seldom")
def test_one_that_hangs_up_at_once_is_not_called_again_and_again() -> None:
    with raw(lambda service, connection: None) as service, Asking(service.endpoint) as asking:
        wait_for(lambda: asking.connection()["disconnects"] == 1, "its end")
        assert settled(asking.ask()).status == UNAVAILABLE
        assert service.came == 1


def test_a_moment_without_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "AGAIN_SECONDS", 0.1)
    failing = [True, True]
    real = zmq.Context.socket

    def scarce(context: zmq.Context[Any], kind: int, **given: Any) -> Any:
        if kind == zmq.PAIR and failing:
            failing.pop()
            raise zmq.ZMQError(errno.EMFILE)
        return real(context, kind, **given)

    with ServiceDouble(echo) as service, Asking(service.endpoint) as asking:
        asking.connected()
        monkeypatch.setattr(zmq.Context, "socket", scarce)
        [backend] = asking.requester.backends
        look, ends = backend.look, [(False, True)]
        monkeypatch.setattr(backend, "look", lambda: ends.pop() if ends else look())
        asking.ask()  # so that it looks
        wait_for(lambda: not failing, "both failures")
        wait_for(lambda: asking.ask().wait(LONG).status == OK, "an answer")  # type: ignore[union-attr]
        assert [line for line in asking.log if "can't be connected to" in line[1]]


def test_who_asks_while_it_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is left to ask, but its thread is there still."""
    closed, go = threading.Event(), threading.Event()
    close = Requester.close

    def slowly(requester: Requester) -> None:
        close(requester)
        closed.set()
        assert go.wait(LONG)

    monkeypatch.setattr(Requester, "close", slowly)
    monkeypatch.setattr(requester_module, "RETIRED_SECONDS", 0.0)
    with ServiceDouble(echo) as service, Asking(service.endpoint) as asking:
        asking.requester.retire()
        try:
            assert closed.wait(LONG)
            assert asking.requester.alive
            assert settled(asking.ask()).status == UNAVAILABLE
        finally:
            go.set()
        assert asking.counted()["errors"] == 1


def test_a_flood_is_told_from_a_few() -> None:
    flood = Flood()
    assert not any(flood.useless(10, 100.0) for _ in range(MESSAGES))
    assert flood.useless(10, 100.9)
    assert not flood.useless(BYTES, 101.1)
    assert flood.useless(1, 101.2)


def test_who_floods_again_and_again_is_left_alone_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flood_module, "PAUSE_SECONDS", 1.0)
    flood = Flood()
    now, pauses = 1000.0, []
    for _ in range(7):
        until = flood.pause_until(now)
        pauses.append(until - now)
        now = until
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert flood.pause_until(now + FORGOTTEN_SECONDS + 1) - now == FORGOTTEN_SECONDS + 2
