"""Connections that break in the middle of anything, of callers and of subscribers, leave the switch as it was.

libzmq ends its process when a connection breaks while it has stopped reading from it, and a heartbeat is left in what
it had read (seen, 4.3.4: "Assertion failed: !_io_error"). One such connection was enough.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import time
from collections.abc import Iterator

import pytest
import zmq

from tests.support.api_attacks import cut_off, request
from tests.support.flow import Good, Load
from tests.support.module import Module, api, configuration, publisher
from tests.support.rawcaller import RawCaller
from tests.support.served import Served
from tests.support.zmtp import MORE, RawPeer, command, frame

from .conftest import ModuleFactory

PING = command(b"PING", b"\0\0")
SHORT_LIVED = command(b"PING", b"\0\1abcdefgh")
"""After this one the peer is taken for gone in a tenth of a second."""

AT_ONCE = struct.pack("ii", 1, 0)
"""How a connection ends that breaks."""


@pytest.fixture(params=["caller", "subscriber"])
def peer_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def module(module_factory: ModuleFactory) -> Module:
    return module_factory(configuration(publisher(), api=api(("allow", "ping,api:echo *,api:msleep *"))))


def talk(kind: str, count: int) -> bytes:
    """So many small messages, as a caller or a subscriber sends them."""
    if kind == "caller":
        messages = (frame(b"x"), frame(request("ping")), frame(b"", MORE) + frame(b"{}"))
        return b"".join(messages[each % 3] for each in range(count))
    return b"".join(frame(b"\1%d" % each) + frame(b"\0%d" % each) for each in range(count // 2))


@contextlib.contextmanager
def breaking(module: Module, kind: str) -> Iterator[RawPeer]:
    """A peer whose connection breaks, as when its program is killed, instead of being closed."""
    with RawPeer(module.api_endpoint() if kind == "caller" else module.endpoint()) as peer:
        peer.shake_hands(b"DEALER" if kind == "caller" else b"SUB")
        yield peer
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)


def test_with_heartbeats_behind_what_is_still_to_be_taken(module: Module, peer_kind: str) -> None:
    chance = random.Random(1)
    most = 2000 if peer_kind == "caller" else 600  # subscribers that send more and go are kept away
    with Good(module.endpoint(), module.switch) as good, Served(module.api_endpoint()), Load(module.switch, 500):
        for number in range(60):
            with breaking(module, peer_kind) as peer:
                raw = talk(peer_kind, chance.choice((20, 200, most))) + (PING, SHORT_LIVED)[number % 2]
                peer.send(raw * chance.choice((1, 1, 5)))
                time.sleep(chance.random() / 200)  # that it breaks a bit later
            assert module.switch.running
        good.lost_nothing()
    assert module.status()["errors"] == 0


def refused(module: Module) -> int:
    count: int = module.api()["refused"] + module.publisher()["refused"]
    return count


def test_heartbeats_of_who_is_cut_off(module: Module, peer_kind: str) -> None:
    """It is the switch that ends the connection."""
    endless = (frame(b"", MORE) * 500 if peer_kind == "caller" else talk(peer_kind, 1000)) + PING
    with Good(module.endpoint(), module.switch) as good, Served(module.api_endpoint()), Load(module.switch, 500):
        with breaking(module, peer_kind) as peer:
            assert cut_off(peer, endless * 20, lambda: refused(module) > 0)
        module.wait(lambda: refused(module), lambda count: count > 0)
        assert module.switch.running
        good.lost_nothing()
    assert module.status()["errors"] == 0


def test_commands_that_run_for_callers_whose_connections_broke(module: Module) -> None:
    with Served(module.api_endpoint()):
        for number in range(200):
            with breaking(module, "caller") as peer:
                peer.send(frame(request("api", command="msleep", args=str(number % 50))) + PING)
        module.wait(module.api, lambda now: now["pending"] == 0 and now["connections"] == 1)
    assert module.status()["errors"] == 0


def test_names_that_are_taken(module: Module) -> None:
    """Libzmq passes over who comes under a name that is taken; what is left of it must go with it."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as first:
        first.set(zmq.LINGER, 0)
        first.set(zmq.ROUTING_ID, b"crm")
        first.connect(module.api_endpoint())
        first.send(request("ping"))
        assert first.poll(10_000)
        before = module.switch.fds()
        for number in range(50):
            with RawCaller(module.api_endpoint(), [(b"Identity", b"crm")]) as peer:
                peer.send(frame(b"crm") * 50)
                if number % 2:
                    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        module.wait(module.api, lambda now: now["connections"] == 1)
        module.wait(module.switch.fds, lambda now: now <= before + 5)
        first.recv()
        first.send(request("ping"))
        assert first.poll(10_000)
