"""A hundred thousand inputs against the handshake: what strangers may send to the ports lets nobody in."""

from __future__ import annotations

import itertools
import random
import struct
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import SwitchFactory
from tests.security.keys_configuration import CURVE, Keys
from tests.support.module import Module, configuration, publisher
from tests.support.zmtp import RawPeer, command, frame, greeting, ready

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

CONNECTIONS = 50_000
"""To each of two endpoints; as many inputs go to the handler itself (tests/unit/test_fuzz_access.py)."""


class Inputs:
    """What strangers send: transcripts that begin like real ones, and are then spoilt."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def make(self) -> bytes:
        chance = self._random.random()
        if chance < 0.1:
            return self._random.randbytes(self._random.randrange(1, 400))
        raw = self._null() if chance < 0.55 else self._curve()
        for _ in range(self._random.choice((0, 0, 1, 1, 2, 5))):
            raw = self._spoil(raw)
        return raw

    def _greeting(self, mechanism: bytes) -> bytes:
        return greeting(
            self._random.choice((mechanism, mechanism, b"NULL", b"CURVE", b"PLAIN", b"")), self._pick(0, 1, 9)
        )

    def _pick(self, *values: int) -> int:
        return self._random.choice(values)

    def _null(self) -> bytes:
        subscriptions = frame(b"\x01") + command(b"SUBSCRIBE") + frame(b"\x00") + frame(b"\x01{", 1) + frame(b"\x01")
        return (
            self._greeting(b"NULL") + ready(self._random.choice((b"SUB", b"XSUB", b"PUB", b"DEALER"))) + subscriptions
        )

    def _curve(self) -> bytes:
        hello = b"\x01\x00" + b"\0" * 72 + self._random.randbytes(32) + struct.pack(">Q", self._pick(0, 1, 2**63))
        hello += self._random.randbytes(80)
        initiate = self._random.randbytes(96) + struct.pack(">Q", 2) + self._random.randbytes(144)
        message = struct.pack(">Q", 3) + self._random.randbytes(33)
        return (
            self._greeting(b"CURVE")
            + command(b"HELLO", hello[: self._pick(194, 194, 10, 193)])
            + command(b"INITIATE", initiate)
            + command(b"MESSAGE", message)
        )

    def _spoil(self, raw: bytes) -> bytes:
        at = self._random.randrange(len(raw)) if raw else 0
        size = self._pick(1, 1, 8, 40)
        how = self._random.randrange(5)
        if how == 0:
            return raw[:at] + self._random.randbytes(size) + raw[at + size :]
        if how == 1:
            return raw[:at]
        if how == 2:
            return raw[:at] + raw[at : at + size] * 2 + raw[at + size :]
        if how == 3:
            return raw[:at] + struct.pack(">BQ", self._pick(2, 3, 6), self._pick(0, 2**16, 2**31, 2**63)) + raw[at:]
        return raw[:at] + self._random.randbytes(size) + raw[at:]


def test_raw_bytes_to_the_ports(live_switch_factory: SwitchFactory, tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys")
    short = ("handshake-ms", "200")
    module = Module(
        live_switch_factory(
            event_zmq_xml=configuration(
                publisher(short, ("apply-inbound-acl", "192.0.2.0/24"), name="nobody"),
                publisher(short, CURVE, name="keyed"),
                publisher(name="good"),
                access=keys.access(crm="keyed"),
            )
        )
    )
    module.start()
    before, began = len(module.switch.log_text()), time.monotonic()
    done = threading.Event()
    counts = {"nobody": 0, "keyed": 0}

    def strangers(name: str, seed: int) -> None:
        inputs, endpoint = Inputs(seed), module.endpoint(name)
        # More connections than one address has ports for, within the minute that a port rests afterwards.
        sources = itertools.cycle(f"127.0.0.{number}" for number in range(2, 60))
        while counts[name] < CONNECTIONS and not done.is_set():
            with RawPeer(endpoint, next(sources)) as peer:
                raw = inputs.make()
                if peer.send(raw) and counts[name] % 4:
                    peer.socket.settimeout(0.05)  # some stay until they get an answer, others just go
                    try:
                        answer = peer.socket.recv(10_000)
                    except OSError:
                        answer = b""
                    assert b"Event-Name" not in answer
            counts[name] += 1

    threads = [
        threading.Thread(target=strangers, args=(name, seed), name=f"strangers at {name}")
        for seed, name in enumerate(counts, start=1)
    ]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            module.switch.api("evgen 500 15 2000")
            status = module.status()
            for name in counts:
                part = status["publishers"][name]
                assert (part["subscriptions"], part["published"], part["queued"]) == (0, 0, 0), part
            assert status["errors"] == 0
            print(counts, {name: status["publishers"][name]["refused"] for name in counts}, flush=True)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert min(counts.values()) >= CONNECTIONS
    final = module.wait(module.status, lambda now: all(now["publishers"][name]["connections"] == 0 for name in counts))
    assert final["publishers"]["nobody"]["refused"] > CONNECTIONS // 20, "the inputs were no test"
    assert final["publishers"]["keyed"]["refused"] > CONNECTIONS // 20, "the inputs were no test"
    lines = [line for line in module.switch.log_text()[before:].splitlines() if "[WARNING]" in line or "[ERR]" in line]
    ours = [line for line in lines if "event_zmq: " in line and " refused " in line]
    assert lines == ours
    kinds = len(counts) * 3  # an address, a key, a handshake
    assert len(lines) <= kinds * (1 + (time.monotonic() - began) / 10)
    module.command("stop")
