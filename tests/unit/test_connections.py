"""What is made of libzmq's own events about an endpoint's connections."""

from __future__ import annotations

import contextlib
import itertools
import struct
from pathlib import Path

import pytest
import zmq

from freeswitch_zmq.module import connections as connections_module
from freeswitch_zmq.module.connections import EVENTS, Connections
from freeswitch_zmq.module.keys import KeyRing
from freeswitch_zmq.module.refusals import Refusals
from freeswitch_zmq.module.rule import Rule
from tests.support.zmtp import RawPeer, frame, greeting
from tests.unit.publishing import Context
from tests.unit.waiting import wait_for


class Listening(contextlib.ExitStack):
    """A socket as an endpoint has it, with its monitor read in this thread."""

    def __init__(self, context: Context, bind: str = "tcp://127.0.0.1:*") -> None:
        super().__init__()
        self.rule = Rule("default", "tcp://here", None, False, KeyRing([]), Refusals(), "domain")
        self._connections = Connections(self.rule)
        self._server = self.enter_context(context.socket(zmq.XPUB))
        self._server.set(zmq.LINGER, 0)
        self._server.set(zmq.HANDSHAKE_IVL, 300)
        self._server.monitor("inproc://monitor", EVENTS)
        self._monitor = self.enter_context(context.socket(zmq.PAIR))
        self._monitor.connect("inproc://monitor")
        self.callback(self._server.disable_monitor)
        self._server.bind(bind)
        last = self._server.get(zmq.LAST_ENDPOINT)
        assert isinstance(last, bytes)
        self.address = last.decode().rstrip("\0")

    def update(self) -> None:
        """Reads what libzmq told."""
        while self._monitor.poll(0):
            self._connections.update(self._monitor.recv_multipart())

    def wait_connections(self, count: int) -> None:
        def there() -> bool:
            self.update()
            return self.rule.connections == count

        wait_for(there, f"{count} connections")

    def cut_floods(self, seconds: float) -> None:
        self.update()
        self._connections.cut_floods(seconds)

    def refused(self) -> dict[str, tuple[int, str]]:
        """Count and latest address by reason."""
        self.update()
        return {reason: (each.count, each.address) for (_, reason), each in self.rule.refusals.by_reason.items()}

    def received(self, count: int) -> None:
        """Waits until so many subscriptions were taken off the network."""
        for _ in range(count):
            assert self._server.poll(5000)
            self._server.recv()


@pytest.fixture
def listening(context: Context) -> contextlib.AbstractContextManager[Listening]:
    return Listening(context)


def test_connections_are_counted_up_and_down(listening: Listening) -> None:
    with listening:
        assert listening.rule.connections == 0
        peers = [RawPeer(listening.address) for _ in range(3)]
        listening.wait_connections(3)
        peers[1].close()
        listening.wait_connections(2)
        # libzmq may give the new one the descriptor that has just become free.
        peers[1] = RawPeer(listening.address)
        listening.wait_connections(3)
        for left, peer in zip((2, 1, 0), peers):
            peer.close()
            listening.wait_connections(left)
        assert listening.refused() == {}


def test_many_that_come_and_go_leave_nothing(listening: Listening) -> None:
    with listening:
        for _ in range(300):
            RawPeer(listening.address).close()
        with RawPeer(listening.address) as last:
            last.shake_hands()
            listening.wait_connections(1)
        listening.wait_connections(0)


def test_over_ipc_connections_are_counted_too(context: Context, tmp_path: Path) -> None:
    with Listening(context, f"ipc://{tmp_path}/events") as listening:
        with context.socket(zmq.SUB) as peer:
            peer.set(zmq.LINGER, 0)
            peer.connect(listening.address)
            listening.wait_connections(1)
        listening.wait_connections(0)
        assert listening.refused() == {}


def test_a_failed_handshake_is_counted_with_the_peers_address(listening: Listening) -> None:
    with listening, RawPeer(listening.address, source="127.0.0.9") as good:
        good.shake_hands()
        for number, source in enumerate(("127.0.0.7", "127.0.0.8"), 1):
            with RawPeer(listening.address, source=source) as bad:
                listening.wait_connections(2)
                bad.send(greeting(b"CURVE"))
                listening.wait_connections(1)
            assert listening.refused() == {"handshake": (number, source)}


@pytest.mark.parametrize(
    "text", [b"", b"\xff", greeting()[:20], greeting()], ids=["nothing", "a byte", "half a greeting", "a greeting"]
)
def test_who_just_goes_did_not_fail(listening: Listening, text: bytes) -> None:
    with listening:
        with RawPeer(listening.address) as peer:
            peer.send(text)
            listening.wait_connections(1)
        listening.wait_connections(0)
        # Nor one that says nothing more until its time is over.
        with RawPeer(listening.address) as slow:
            slow.send(text)
            slow.rest()
            listening.wait_connections(0)
        assert listening.refused() == {}


def event(kind: int, value: int, address: bytes = b"tcp://127.0.0.1:5556") -> list[bytes]:
    return [struct.pack("=HI", kind, value), address]


def test_a_descriptor_that_is_another_file_by_now_gives_no_address(tmp_path: Path) -> None:
    rule = Rule("default", "tcp://here", None, False, KeyRing([]), Refusals(), "domain")
    connections = Connections(rule)
    with (tmp_path / "file").open("w") as file:
        connections.update(event(zmq.EVENT_ACCEPTED, file.fileno()))
        assert rule.connections == 1
        connections.update(event(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, 0))
        connections.update(event(zmq.EVENT_DISCONNECTED, file.fileno()))
    [refusal] = rule.refusals.by_reason.values()
    assert (refusal.count, refusal.address) == (1, "")
    assert rule.connections == 0


def test_a_descriptor_that_is_another_connection_by_now_gives_no_address(listening: Listening) -> None:
    with listening, RawPeer(listening.address) as other:
        rule = Rule("default", "tcp://here", None, False, KeyRing([]), Refusals(), "domain")
        connections = Connections(rule)
        # One of the peer's side: its local port is not the endpoint's.
        connections.update(event(zmq.EVENT_ACCEPTED, other.socket.fileno(), listening.address.encode()))
        connections.update(event(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, 0))
        connections.cut_floods(0.0)
        connections.update(event(zmq.EVENT_DISCONNECTED, other.socket.fileno()))
        [refusal] = rule.refusals.by_reason.values()
        assert refusal.address == ""


def test_an_end_of_which_no_beginning_was_seen_is_survived() -> None:
    rule = Rule("default", "tcp://here", None, False, KeyRing([]), Refusals(), "domain")
    connections = Connections(rule)
    connections.update(event(zmq.EVENT_DISCONNECTED, 4711))
    assert (rule.connections, rule.refusals.count) == (0, 0)
    connections.update(event(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, 0))
    connections.update(event(zmq.EVENT_DISCONNECTED, 4711))
    assert (rule.connections, rule.refusals.count) == (0, 1)


# Who sends too much.


_numbers = itertools.count()


def flood(peer: RawPeer, count: int) -> None:
    """So many subscriptions of 1000 bytes, that nobody had before."""
    for _ in range(count):
        assert peer.send(frame(b"\x01%05d" % next(_numbers) + b"x" * 990))


def test_one_that_sends_too_much_at_once_is_cut_off_alone(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections_module, "BURST_BYTES", 50_000)
    monkeypatch.setattr(connections_module, "RATE_BYTES", 10_000)
    with listening, RawPeer(listening.address) as good, RawPeer(listening.address, source="127.0.0.7") as bad:
        for peer in (good, bad):
            peer.shake_hands()
        flood(good, 30)
        listening.received(30)
        listening.cut_floods(0.25)
        assert listening.refused() == {}
        flood(bad, 60)
        listening.received(60)
        listening.cut_floods(0.25)
        assert listening.refused() == {"flood": (1, "127.0.0.7")}
        bad.rest()
        listening.wait_connections(1)
        # It counts once, and the others go on.
        for _ in range(3):
            listening.cut_floods(0.25)
        assert listening.refused() == {"flood": (1, "127.0.0.7")}
        assert good.subscribe(b"one more")
        listening.received(1)


def test_one_that_sends_as_much_in_a_longer_time_is_not(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections_module, "BURST_BYTES", 50_000)
    monkeypatch.setattr(connections_module, "RATE_BYTES", 10_000)
    with listening, RawPeer(listening.address) as peer:
        peer.shake_hands()
        for _ in range(10):
            flood(peer, 20)
            listening.received(20)
            listening.cut_floods(2.0)  # as it passed
        assert listening.refused() == {}
        # Who was quiet for long has no more than one burst to its credit.
        listening.cut_floods(1000.0)
        flood(peer, 60)
        listening.received(60)
        listening.cut_floods(0.25)
        assert listening.refused() == {"flood": (1, "127.0.0.1")}


def test_over_ipc_nobody_is_cut_off(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # There is no address to name, and file permissions said who may come.
    monkeypatch.setattr(connections_module, "BURST_BYTES", 0)
    monkeypatch.setattr(connections_module, "RATE_BYTES", 0)
    with Listening(context, f"ipc://{tmp_path}/events") as listening, context.socket(zmq.SUB) as peer:
        peer.set(zmq.LINGER, 0)
        peer.connect(listening.address)
        peer.subscribe(b"x")
        listening.received(1)
        listening.wait_connections(1)
        listening.cut_floods(0.25)
        assert listening.refused() == {}
        listening.wait_connections(1)
