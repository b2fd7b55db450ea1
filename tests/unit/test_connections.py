"""What is made of libzmq's own events about an endpoint's connections."""

from __future__ import annotations

import contextlib
import itertools
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import zmq

from freeswitch_zmq.module import conduct as conduct_module
from freeswitch_zmq.module import connections as connections_module
from freeswitch_zmq.module import descriptors
from freeswitch_zmq.module import level as level_module
from freeswitch_zmq.module import rule as rule_module
from freeswitch_zmq.module.connections import EVENTS, Connections
from freeswitch_zmq.module.keys import KeyRing
from freeswitch_zmq.module.refusals import Refusals
from freeswitch_zmq.module.rule import Rule
from tests.support.waiting import wait_for
from tests.support.zmtp import RawPeer, frame, greeting
from tests.unit.clock import Clock
from tests.unit.publishing import Context


class Listening(contextlib.ExitStack):
    """A socket as an endpoint has it, with its monitor read in this thread."""

    def __init__(
        self,
        context: Context,
        bind: str = "tcp://127.0.0.1:*",
        acl: Sequence[str] | None = None,
        handshake_ms: int = 60_000,
    ) -> None:
        super().__init__()
        self.rule = Rule("default", "tcp://here", acl, False, KeyRing([]), Refusals(), "domain")
        self._connections = Connections(self.rule)
        self._server = self.enter_context(context.socket(zmq.XPUB))
        self._server.set(zmq.LINGER, 0)
        self._server.set(zmq.HANDSHAKE_IVL, handshake_ms)
        monitored = f"inproc://monitor-{id(self)}"
        self._server.monitor(monitored, EVENTS)
        self._monitor = self.enter_context(context.socket(zmq.PAIR))
        self._monitor.connect(monitored)
        self.callback(self._server.disable_monitor)
        self._server.bind(bind)
        last = self._server.get(zmq.LAST_ENDPOINT)
        assert isinstance(last, bytes)
        self.address = last.decode().rstrip("\0")

    def update(self) -> None:
        """Reads what libzmq told."""
        while self._monitor.poll(0):
            self._connections.update(self._monitor.recv_multipart())

    def ends_with(self, peer: RawPeer) -> descriptors.Ends:
        """Of the connection to it."""
        address, port = peer.socket.getsockname()
        return descriptors.Ends(int(self.address.rpartition(":")[2]), address, port)

    def wait_connections(self, count: int) -> None:
        def there() -> bool:
            self.update()
            return self.rule.connections == count

        wait_for(there, f"{count} connections")

    def cut_floods(self, all_of_them: bool = True) -> None:
        self.update()
        self._connections.cut_floods(all_of_them)

    def has_young(self) -> bool:
        return self._connections.has_young

    def end_all(self) -> None:
        self.update()
        self._connections.end_all()

    def refused(self) -> dict[str, tuple[int, str]]:
        """Count and latest address by reason."""
        self.update()
        return {reason: (each.count, each.address) for (_, reason), each in self.rule.refusals.by_reason.items()}

    def descriptors(self) -> list[int]:
        """Of those that are open."""
        self.update()
        return list(self._connections._open)

    def received(self, count: int) -> None:
        """Waits until so many subscriptions were taken off the network."""
        for _ in range(count):
            assert self._server.poll(20_000)
            self._server.recv()


@pytest.fixture
def listening(context: Context) -> Listening:
    return Listening(context)


def test_connections_are_counted_up_and_down(listening: Listening) -> None:
    with listening:
        assert listening.rule.connections == 0
        peers = [RawPeer(listening.address) for _ in range(3)]
        for peer in peers:
            peer.shake_hands()
        listening.wait_connections(3)
        peers[1].close()
        listening.wait_connections(2)
        # libzmq may give the new one the descriptor that has just become free.
        peers[1] = RawPeer(listening.address)
        peers[1].shake_hands()
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
        good.close()
        listening.wait_connections(0)
        assert listening.refused() == {"handshake": (2, "127.0.0.8")}


@pytest.mark.parametrize(
    "text", [b"", b"\xff", greeting()[:20], greeting()], ids=["nothing", "a byte", "half a greeting", "a greeting"]
)
def test_who_just_goes_did_not_fail(context: Context, listening: Listening, text: bytes) -> None:
    with listening:
        with RawPeer(listening.address) as peer:
            peer.send(text)
            listening.wait_connections(1)
        listening.wait_connections(0)
        assert listening.refused() == {}
    # Nor one that says nothing more until its time is over.
    with Listening(context, handshake_ms=500) as hasty:
        with RawPeer(hasty.address) as slow:
            slow.send(text)
            slow.rest()
            hasty.wait_connections(0)
        assert hasty.refused() == {}


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
        connections.cut_floods(True)
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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """And bounds that are soon reached."""
    monkeypatch.setattr(connections_module, "BURST_BYTES", 50_000)
    monkeypatch.setattr(connections_module, "RATE_BYTES", 10_000)
    return Clock().set(monkeypatch, connections_module, level_module, rule_module, conduct_module)


_numbers = itertools.count()


def flood(peer: RawPeer, count: int) -> None:
    """So many subscriptions of 1000 bytes, that nobody had before."""
    for _ in range(count):
        assert peer.send(frame(b"\x01%05d" % next(_numbers) + b"x" * 990))


@pytest.fixture
def tellers(listening: Listening) -> Iterator[tuple[RawPeer, RawPeer]]:
    """Two peers of it that have shaken hands, from different addresses."""
    with listening, RawPeer(listening.address) as one, RawPeer(listening.address, source="127.0.0.7") as other:
        for peer in (one, other):
            peer.shake_hands()
        yield one, other


def test_one_that_sends_too_much_at_once_is_cut_off_alone(
    clock: Clock, listening: Listening, tellers: tuple[RawPeer, RawPeer]
) -> None:
    good, bad = tellers
    flood(good, 30)
    listening.received(30)
    listening.cut_floods()
    assert listening.refused() == {}
    flood(bad, 60)
    listening.received(60)
    for _ in range(3):  # it counts once
        listening.cut_floods()
    assert listening.refused() == {"flood": (1, "127.0.0.7")}
    bad.rest()
    listening.wait_connections(1)
    for _ in range(3):
        listening.cut_floods()
    assert listening.refused() == {"flood": (1, "127.0.0.7")}
    assert good.subscribe(b"one more")
    listening.received(1)


def test_whoever_is_where_it_came_from_has_to_stay_away(
    clock: Clock, context: Context, listening: Listening, tellers: tuple[RawPeer, RawPeer]
) -> None:
    with Listening(context, "tcp://127.0.0.2:*") as other:
        for each in (listening, other):
            assert each.rule.judge("127.0.0.1", b"NULL", b"") == ""
        flood(tellers[1], 60)
        listening.received(60)
        listening.cut_floods()
        # At this endpoint, not at others.
        assert listening.rule.judge("127.0.0.1", b"NULL", b"") == "flood"
        assert listening.rule.judge("192.0.2.1", b"NULL", b"") == ""
        assert other.rule.judge("127.0.0.1", b"NULL", b"") == ""
        clock.now += conduct_module.AWAY_SECONDS + 0.1
        assert listening.rule.judge("127.0.0.1", b"NULL", b"") == ""


def test_one_that_sends_as_much_in_a_longer_time_is_not_cut_off(
    clock: Clock, listening: Listening, tellers: tuple[RawPeer, RawPeer]
) -> None:
    peer = tellers[0]
    for _ in range(10):
        flood(peer, 20)
        listening.received(20)
        listening.cut_floods()
        clock.now += 2.1
    assert listening.refused() == {}
    # Who was quiet for long has no more than one burst to its credit.
    clock.now += 1000.0
    listening.cut_floods()
    flood(peer, 60)
    listening.received(60)
    listening.cut_floods()
    assert listening.refused() == {"flood": (1, "127.0.0.1")}


def test_however_slowly_nobody_sends_without_end_on_one_connection(
    clock: Clock, listening: Listening, tellers: tuple[RawPeer, RawPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections_module, "ALL_BYTES", 100_000)
    for _ in range(9):
        flood(tellers[0], 10)
        listening.received(10)
        listening.cut_floods()
        clock.now += 1000.0
        assert listening.refused() == {}
    flood(tellers[0], 15)
    listening.received(15)
    listening.cut_floods()
    assert listening.refused() == {"flood": (1, "127.0.0.1")}


def test_those_that_have_just_come_are_looked_at_more_often(
    clock: Clock, listening: Listening, tellers: tuple[RawPeer, RawPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections_module, "LOOK_AT_ALL", 1)  # where there are many
    listening.cut_floods()
    clock.now += connections_module.YOUNG_SECONDS + 0.1
    with RawPeer(listening.address, source="127.0.0.9") as young:
        young.shake_hands()
        for peer in (tellers[0], young):
            flood(peer, 80)
            listening.received(80)
        listening.cut_floods(all_of_them=False)
        assert listening.refused() == {"flood": (1, "127.0.0.9")}
        listening.cut_floods()
        assert listening.refused() == {"flood": (2, "127.0.0.1")}
        young.rest()


def test_who_has_just_come_is_young(clock: Clock, listening: Listening, tellers: tuple[RawPeer, RawPeer]) -> None:
    listening.wait_connections(2)
    assert listening.has_young()
    clock.now += connections_module.YOUNG_SECONDS
    assert not listening.has_young()
    with RawPeer(listening.address) as young:
        young.shake_hands()
        listening.wait_connections(3)
        assert listening.has_young()
        listening.rule.unfinished_bytes = 50_000  # as on the API
        assert not listening.has_young()


def test_a_visit_counts_for_what_was_sent(
    clock: Clock, listening: Listening, tellers: tuple[RawPeer, RawPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    # 30,000 bytes are less than a flood, and count as 12 visits more.
    monkeypatch.setattr(conduct_module, "VISITS_AT_ONCE", 10)
    monkeypatch.setattr(conduct_module, "_group", lambda address: address)
    flood(tellers[1], 30)
    listening.received(30)
    listening.cut_floods()
    for peer in tellers:
        peer.close()
    listening.wait_connections(0)
    assert listening.refused() == {}
    assert listening.rule.conduct.is_away("127.0.0.7")
    assert not listening.rule.conduct.is_away("127.0.0.1")


def test_many_that_send_too_much_only_together_are_cut_off_until_it_is_bearable(
    clock: Clock, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections_module, "ENDPOINT_BURST_BYTES", 100_000)
    monkeypatch.setattr(connections_module, "ENDPOINT_RATE_BYTES", 10_000)
    with listening, contextlib.ExitStack() as stack:
        sources = [f"127.0.0.{number}" for number in range(11, 16)]
        peers = [stack.enter_context(RawPeer(listening.address, source=source)) for source in sources]
        for peer in peers:
            peer.shake_hands()
        # The first sends most.
        for peer, count in zip(peers, (40, 35, 20, 10, 1)):
            flood(peer, count)
            listening.received(count)
        listening.cut_floods()
        assert listening.refused() == {"flood": (2, "127.0.0.12")}
        for peer in peers[:2]:
            peer.rest()
        listening.wait_connections(3)
        # What they sent is not held against those that stay.
        listening.cut_floods()
        flood(peers[4], 1)
        listening.received(1)
        listening.cut_floods()
        assert listening.refused() == {"flood": (2, "127.0.0.12")}


def test_over_ipc_nobody_is_cut_off(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # There is no address to name, and file permissions said who may come.
    for bound in ("BURST_BYTES", "RATE_BYTES", "ALL_BYTES", "ENDPOINT_BURST_BYTES", "STRANGERS_AT_ONCE"):
        monkeypatch.setattr(connections_module, bound, 0)
    with Listening(context, f"ipc://{tmp_path}/events") as listening, context.socket(zmq.SUB) as peer:
        peer.set(zmq.LINGER, 0)
        peer.connect(listening.address)
        peer.subscribe(b"x")
        listening.received(1)
        listening.wait_connections(1)
        listening.cut_floods()
        listening.end_all()
        assert listening.refused() == {}
        listening.wait_connections(1)


def test_all_of_them_can_be_ended(listening: Listening, tellers: tuple[RawPeer, RawPeer]) -> None:
    listening.wait_connections(2)
    listening.end_all()
    for peer in tellers:
        peer.rest()
    listening.wait_connections(0)
    assert listening.refused() == {}
    assert listening.rule.judge("127.0.0.1", b"NULL", b"") == ""


# The same for callers of the API, who may send as much as they like, but in requests that end.


@pytest.fixture
def asked(clock: Clock, listening: Listening) -> Listening:
    """Where they may send 50,000 bytes without an end."""
    listening.rule.unfinished_bytes = 50_000
    return listening


def heard(listening: Listening) -> None:
    """A whole request of each has been taken just now."""
    for fd in listening.descriptors():
        traffic = listening.rule.traffic.of(fd, listening.rule.traffic.ends)
        traffic.heard = traffic.taken = descriptors.bytes_received(fd)


def test_whose_requests_are_taken_may_send_any_number_of_them(
    asked: Listening, tellers: tuple[RawPeer, RawPeer]
) -> None:
    for _ in range(20):
        flood(tellers[0], 40)
        asked.received(40)
        asked.cut_floods()
        heard(asked)
        asked.cut_floods()
    assert asked.refused() == {}


def test_so_may_those_of_whom_nothing_came_between_a_look_and_the_taking(
    asked: Listening, tellers: tuple[RawPeer, RawPeer]
) -> None:
    for _ in range(5):
        flood(tellers[0], 40)
        asked.received(40)
        asked.cut_floods()
        heard(asked)
    assert asked.refused() == {}


def test_who_sends_what_is_no_request_is_cut_off_alone(asked: Listening, tellers: tuple[RawPeer, RawPeer]) -> None:
    good, bad = tellers
    for peer in tellers:
        flood(peer, 40)
    asked.received(80)
    heard(asked)
    asked.cut_floods()
    flood(bad, 40)
    asked.received(40)
    asked.cut_floods()
    assert asked.refused() == {}
    flood(bad, 20)
    asked.received(20)
    for _ in range(3):
        asked.cut_floods()
    assert asked.refused() == {"flood": (1, "127.0.0.7")}
    bad.rest()
    asked.wait_connections(1)
    assert good.subscribe(b"x")
    asked.received(1)


def test_many_with_unfinished_ones_are_ended_until_it_is_bearable(
    asked: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections_module, "UNFINISHED_BYTES", 10_000)
    asked.rule.unfinished_bytes = 25_000  # all together may have twice as much
    with asked, contextlib.ExitStack() as stack:
        sources = [f"127.0.0.{number}" for number in range(11, 16)]
        peers = [stack.enter_context(RawPeer(asked.address, source=source)) for source in sources]
        for peer, count in zip(peers, (0, 24, 10, 20, 1)):
            peer.shake_hands()
            flood(peer, count)
            assert peer.heard()
        asked.cut_floods()
        # Those that have sent most, until there is half of what may be.
        assert asked.refused() == {"flood": (2, "127.0.0.14")}
        peers[1].rest()
        peers[3].rest()
        asked.wait_connections(3)
        asked.cut_floods()
        assert len(asked.descriptors()) == 3


def test_to_come_for_one_request_is_no_flood(asked: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conduct_module, "VISITS_AT_ONCE", 3.0)
    with asked:
        for _ in range(10):
            with RawPeer(asked.address):
                asked.wait_connections(1)
            asked.wait_connections(0)
        assert asked.rule.judge("127.0.0.1", b"NULL", b"") == ""


def test_heartbeats_of_a_long_time_are_no_flood(
    asked: Listening, clock: Clock, tellers: tuple[RawPeer, RawPeer]
) -> None:
    asked.rule.unfinished_bytes = 500
    for _ in range(200):
        assert tellers[0].heard()
        asked.cut_floods()
        clock.now += 1.0
    assert asked.refused() == {}


def test_what_was_known_of_a_descriptor_is_not_the_next_ones(asked: Listening) -> None:
    with asked:
        for number in range(1, 4):
            with RawPeer(asked.address, source="127.0.0.9") as peer:
                peer.shake_hands()
                asked.wait_connections(1)
                [fd] = asked.descriptors()
                assert asked.rule.traffic.seen(fd) is None
                flood(peer, 60)
                assert peer.heard()
                asked.cut_floods()
                assert asked.refused() == {"flood": (number, "127.0.0.9")}
                traffic = asked.rule.traffic.of(fd, asked.rule.traffic.ends)
                peer.rest()
            asked.wait_connections(0)
            # As the endpoint may leave it, which hears of the end later.
            traffic.heard = traffic.taken = traffic.given = 10**9


def test_what_was_taken_before_its_connection_was_told_of_is_its_own(asked: Listening) -> None:
    """Libzmq tells of a connection in one thread, and its messages are taken in another."""
    with asked, RawPeer(asked.address) as peer:
        peer.shake_hands()
        flood(peer, 60)
        assert peer.heard()
        asked.received(60)
        fd = next(fd for fd in range(4, 1000) if descriptors.ends_of(fd) == asked.ends_with(peer))
        traffic = asked.rule.traffic.of(fd, 0)
        traffic.heard = traffic.taken = descriptors.bytes_received(fd)
        asked.cut_floods()
        assert asked.descriptors() == [fd]
        assert asked.refused() == {}


# Who comes too often.


def test_beyond_so_many_connections_strangers_are_ended_at_once(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections_module, "STRANGERS_AT_ONCE", 3)
    # 127.0.0.1 is in a network; whether 127.0.0.9 is in the list only FreeSWITCH knows.
    with (
        Listening(context, acl=("127.0.0.1", "lan"), handshake_ms=60_000) as listening,
        contextlib.ExitStack() as stack,
    ):

        def come(source: str) -> RawPeer:
            return stack.enter_context(RawPeer(listening.address, source=source))

        def is_sent_away(source: str, times: int) -> None:
            before = listening.rule.connections
            peer = come(source)
            wait_for(lambda: listening.refused().get("crowd") == (times, source), "it to be refused")
            peer.rest()
            listening.wait_connections(before)

        for _ in range(3):
            come("127.0.0.9")
        listening.wait_connections(3)
        assert listening.refused() == {}
        is_sent_away("127.0.0.9", 1)
        known = come("127.0.0.1")
        listening.wait_connections(4)
        # Who was let in once is no stranger any more.
        listening.rule.let_in("127.0.0.9", b"")
        back = come("127.0.0.9")
        listening.wait_connections(5)
        for peer in (known, back):
            peer.shake_hands()
        is_sent_away("127.0.0.8", 2)


def test_who_comes_and_goes_without_end_has_to_stay_away(
    clock: Clock, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conduct_module, "VISITS_AT_ONCE", 3.0)

    def visit(seconds: float = 0.0) -> None:
        with RawPeer(listening.address):
            listening.wait_connections(1)
            clock.now += seconds
        listening.wait_connections(0)

    with listening:
        # Those that were there for some time are none of it.
        for _ in range(10):
            visit(connections_module.YOUNG_SECONDS + 0.1)
        for _ in range(3):
            visit()
        assert listening.rule.judge("127.0.0.1", b"NULL", b"") == ""
        visit()
        assert listening.rule.judge("127.0.0.1", b"NULL", b"") == "flood"
        assert listening.refused() == {}


def test_one_that_was_refused_and_goes_on_talking_is_refused_once(listening: Listening) -> None:
    with listening:
        for expected in ({"key": (1, "127.0.0.7")}, {"key": (1, "127.0.0.7"), "handshake": (1, "127.0.0.7")}):
            with RawPeer(listening.address, source="127.0.0.7") as bad:
                listening.wait_connections(1)
                if len(expected) == 1:
                    listening.rule.refuse("key", "127.0.0.7", b"k" * 32)  # as access control does meanwhile
                bad.send(greeting(b"CURVE"))
                listening.wait_connections(0)
            assert listening.refused() == expected
