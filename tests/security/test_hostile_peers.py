"""What a peer may send to a publisher harms nobody else."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import zmq

from tests.support import attacks
from tests.support.flow import Good, Load
from tests.support.module import Module, Subscriber, configuration, publisher
from tests.support.toll import Toll
from tests.support.zmtp import RawPeer

from .conftest import ModuleFactory

# A subscription that somebody has already, hidden in a message of several frames, once ended the endpoint for all.
MESSAGES = [
    [b"\x02x", b"\x01"],
    [b"\x01", b"x", b"\x01{"],
    [b"\x01a", b"\x01a", b"\x00a"],
    [b"", b"\x01", b""],
    [b"x" * 60_000],
    [b"\x00", b"\x00", b"\x01"],
]


@pytest.mark.parametrize("message", MESSAGES, ids=range(len(MESSAGES)))
def test_odd_messages_from_a_subscriber(module: Module, message: list[bytes]) -> None:
    with Subscriber(module.endpoint()) as good, zmq.Context() as context, context.socket(zmq.XSUB) as odd:
        good.subscribed(module.switch)
        odd.set(zmq.LINGER, 0)
        odd.connect(module.endpoint())
        for _ in range(3):
            odd.send_multipart(message)
            good.subscribed(module.switch)
        with Subscriber(module.endpoint()) as later:
            later.subscribed(module.switch)
    assert module.status()["errors"] == 0


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(range(256)) * 40,
        b"\xff" + struct.pack(">Q", 2**31) + b"\x7f\x03",
        b"",
    ],
    ids=["HTTP", "bytes", "half a greeting", "nothing"],
)
def test_garbage_on_the_port(module: Module, garbage: bytes) -> None:
    host, _, port = module.endpoint().rpartition("/")[2].partition(":")
    with Subscriber(module.endpoint()) as good:
        good.subscribed(module.switch)
        with socket.create_connection((host, int(port))) as peer:
            peer.sendall(garbage)
            good.subscribed(module.switch)
        good.subscribed(module.switch)
    assert module.status()["errors"] == 0


class Case(NamedTuple):
    """What is done to an endpoint, and by how many MB the switch may grow (about twice what was measured)."""

    attack: Callable[[str], Any]
    megabytes: float


CASES = {
    "garbage": Case(attacks.garbage, 20),
    "half-open handshakes": Case(attacks.half_open, 20),
    "2000 subscribers to nothing": Case(partial(attacks.many, prefix=None), 140),
    "2000 subscribers to what never comes": Case(partial(attacks.many, prefix=b"never"), 140),
    "frames of 2 GB": Case(attacks.gigabytes, 20),
    # More than a peer may send in a burst, and so little that two are no reason to open the endpoint anew.
    "60000 subscriptions": Case(partial(attacks.subscriptions, count=60_000), 80),
    # So few that none is a flood; libzmq looked for nothing else when the next one came as soon as one had gone.
    "30000 subscriptions by one visitor after the other": Case(partial(attacks.subscriptions, count=30_000), 60),
    "coming and going": Case(attacks.come_and_go, 20),
    "subscriptions of 60000 bytes": Case(attacks.long_subscription, 60),
    "taking back what it never had": Case(
        partial(
            attacks.unsubscribe, prefixes=[b"", b"{", b'{"Event-Name":"CUSTOM"', b"\xff\xfe", b"x" * 1500], times=500
        ),
        20,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_good_subscriber_loses_nothing(module: Module, case: Case) -> None:
    with Good(module.endpoint(), module.switch) as good, Load(module.switch), Toll(module, case.megabytes):
        enough = good.count + 2000
        deadline = time.monotonic() + 60
        gave: list[object] = []
        while good.count < enough:
            assert time.monotonic() < deadline, f"after {len(gave)} times: {good}"
            gave.append(case.attack(module.endpoint()))
        good.lost_nothing()
        print(f"{len(gave)} times, the last one gave {gave[-1]}; {good}")
    assert module.switch.api("status").startswith("UP ")


def test_a_subscriber_that_never_reads(module_factory: ModuleFactory) -> None:
    module = module_factory(configuration(publisher(("send-hwm", "2000"))))
    with (
        Good(module.endpoint(), module.switch) as good,
        RawPeer(module.endpoint()) as stuck,
        Toll(module, 60),
        Load(module.switch, headers=60),
    ):
        stuck.shake_hands()
        stuck.subscribe(b"")
        accepted = module.publisher()["accepted"]
        module.wait(module.publisher, lambda now: now["accepted"] > accepted + 8000, 60)
        good.lost_nothing()
        print(good)


def test_a_peer_that_floods_is_cut_off(module: Module) -> None:
    with Good(module.endpoint(), module.switch) as good, Load(module.switch), Toll(module, 300):
        assert not attacks.subscriptions(module.endpoint(), 1_000_000, length=1000)
        refusal = module.wait_refused("flood", count=1)
        assert (refusal["count"], refusal["latest_address"]) == (1, "127.0.0.1")
        good.lost_nothing()
        print(good)
    module.wait(module.publisher, lambda now: now["subscriptions"] == 0)


def test_a_message_without_end_is_cut_off(module: Module) -> None:
    with Good(module.endpoint(), module.switch) as good, Load(module.switch), Toll(module, 60):
        assert not attacks.endless_message(module.endpoint(), seconds=30)
        good.lost_nothing()


def test_an_endpoint_that_holds_too_much_is_opened_anew(module_factory: ModuleFactory, tmp_path: Path) -> None:
    """Over ipc nobody can say who sent how much. Here a subscriber may lose events, but comes back by itself."""
    endpoint = f"ipc://{tmp_path}/events"
    module = module_factory(configuration(publisher(bind=endpoint)))
    with Good(endpoint, module.switch) as good, Load(module.switch, 500), Toll(module, 1000):
        with zmq.Context() as context, contextlib.ExitStack() as peers:
            for number in range(4):
                peer = peers.enter_context(context.socket(zmq.XSUB))
                peer.set(zmq.LINGER, 0)
                peer.set(zmq.SNDHWM, 0)
                peer.connect(endpoint)
                attacks.fill(peer, number, 1_900_000)
            module.wait_log("it was opened anew", 30)
        good.caught_up()
        print(good)
    module.wait(lambda: module.publisher()["subscriptions"], lambda subscriptions: subscriptions == 0)
