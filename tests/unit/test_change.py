"""What a reload does to endpoints and their connections."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import zmq
import zmq.utils.monitor

from freeswitch_zmq.errors import StartError
from freeswitch_zmq.module import endpoint as endpoint_module
from freeswitch_zmq.module import group as group_module
from freeswitch_zmq.module.proxy import Endpoint
from tests.support.module import Subscriber
from tests.support.ports import free_port, taken_port
from tests.support.waiting import wait_for
from tests.support.zmtp import RawPeer, greeting
from tests.unit.configurations import local, publisher
from tests.unit.fake_freeswitch import FakeSwitch
from tests.unit.stations import Station, fire_until_heard, is_free


def on(*binds: str, name: str = "default", **params: object) -> str:
    """A `<publisher>` with those binds."""
    return publisher(*local(bind=list(binds), **params), name=name)


class Watched:
    """A subscriber of which is known whether its connection broke."""

    def __init__(self, station: Station, address: str) -> None:
        self.subscriber = Subscriber()
        self._monitor = self.subscriber.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self.subscriber.socket.connect(address)
        station.subscribed(self.subscriber)

    def broke(self) -> bool:
        return bool(self._monitor.poll(0))

    def close(self) -> None:
        self.subscriber.socket.disable_monitor()
        self._monitor.close()
        self.subscriber.__exit__(None, None, None)


@contextlib.contextmanager
def watching(station: Station, *addresses: str) -> Iterator[list[Watched]]:
    """Subscribers that get events already."""
    with contextlib.ExitStack() as stack:
        watched = []
        for address in addresses:
            watched.append(Watched(station, address))
            stack.callback(watched[-1].close)
        yield watched


def endpoints(station: Station) -> dict[str, list[Endpoint]]:
    return {name: station.endpoints(name) for name in station.running.publications}


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["tcp://127.0.0.1:*"], ["tcp://127.0.0.1:*"]),
        (["tcp://127.0.0.1:*"], ["{found}"]),
        (["tcp://127.0.0.1:{port}"], ["tcp://127.0.0.1:{port}"]),
        (["tcp://127.0.0.1:{port}"], ["tcp://127.0.0.1:*"]),
        (["tcp://*:{port}"], ["tcp://0.0.0.0:{port}"]),
        (["ipc://{tmp}/a"], ["ipc://{tmp}/a"]),
        (["tcp://127.0.0.1:*", "ipc://{tmp}/a"], ["ipc://{tmp}/a", "tcp://127.0.0.1:*"]),
        (["tcp://127.0.0.1:{port}", "tcp://127.0.0.1:*"], ["tcp://127.0.0.1:*", "tcp://127.0.0.1:{port}"]),
        (["tcp://127.0.0.1:*", "tcp://127.0.0.1:{port}"], ["tcp://127.0.0.1:{port}", "tcp://127.0.0.1:*"]),
        (["tcp://lo:*"], ["tcp://lo:*"]),
    ],
)
def test_an_equal_bind_keeps_its_socket_and_its_connections(
    switch: FakeSwitch, tmp_path: Path, port: int, before: Sequence[str], after: Sequence[str]
) -> None:
    station = Station(switch, on(*(text.format(tmp=tmp_path, port=port) for text in before)))
    try:
        was = endpoints(station)
        address = station.addresses()[0]
        # The first of them is watched; 0.0.0.0 is nobody's address to connect to.
        with watching(station, address.replace("0.0.0.0", "127.0.0.1")) as [watched]:
            accepted = station.publication().publisher.accepted
            texts = [text.format(tmp=tmp_path, port=port, found=address) for text in after]
            notes = station.reload(on(*texts, queue_size=7, fields="Mark"))
            assert notes == ['publisher "default" changed']
            assert [*map(id, endpoints(station)["default"])] == [*map(id, was["default"])]
            station.fire("CUSTOM", "after")
            event = watched.subscriber.event()
            assert (event["Mark"], event["ZMQ-Sequence"]) == ("after", str(accepted + 1))
            assert not watched.broke()
    finally:
        station.close()


def test_nothing_changed_is_nothing_done(switch: FakeSwitch) -> None:
    station = Station(switch, on("tcp://127.0.0.1:*"))
    was = endpoints(station)
    assert station.reload(on("tcp://127.0.0.1:*")) == []
    assert endpoints(station) == was
    station.close()


def test_limits_that_wait_for_the_next_start_are_named(switch: FakeSwitch) -> None:
    station = Station(switch, on("tcp://127.0.0.1:*"))
    was = endpoints(station)
    notes = station.reload(on("tcp://127.0.0.1:*", handshake_ms=777, max_message_bytes=100))
    assert notes == [
        'publisher "default" changed',
        'handshake-ms of publisher "default" counts from the next start on',
        'max-message-bytes of publisher "default" counts from the next start on',
    ]
    assert endpoints(station) == was
    station.close()


def test_endpoints_are_added_and_taken_away(switch: FakeSwitch, tmp_path: Path) -> None:
    station = Station(switch, on("tcp://127.0.0.1:*"))
    [first] = station.addresses()
    with watching(station, first) as [watched]:
        notes = station.reload(on(first, f"ipc://{tmp_path}/a"))
        assert notes == ['publisher "default" changed', f"ipc://{tmp_path}/a opened"]
        assert station.addresses() == [first, f"ipc://{tmp_path}/a"]
        with watching(station, f"ipc://{tmp_path}/a"):
            station.subscribed(watched.subscriber)
        notes = station.reload(on(first))
        assert notes == ['publisher "default" changed', f"ipc://{tmp_path}/a closed"]
        assert station.addresses() == [first]
        station.subscribed(watched.subscriber)
        assert not watched.broke()
    station.close()


def test_another_high_water_mark_opens_the_endpoint_anew(switch: FakeSwitch, port: int) -> None:
    address = f"tcp://127.0.0.1:{port}"
    station = Station(switch, on(address))
    was = endpoints(station)
    with watching(station, address) as [watched]:
        notes = station.reload(on(address, send_hwm=5))
        assert notes == ['publisher "default" changed', f"{address} opened"]
        assert station.addresses() == [address]
        assert endpoints(station)["default"][0] is not was["default"][0]
        # The subscriber comes back by itself.
        wait_for(watched.broke, "the connection to end")
        station.subscribed(watched.subscriber)
    station.close()


def test_what_is_opened_anew_at_a_free_port_keeps_the_port(switch: FakeSwitch) -> None:
    station = Station(switch, on("tcp://127.0.0.1:*"))
    try:
        was = station.addresses()
        station.reload(on("tcp://127.0.0.1:*", send_hwm=5))
        assert station.addresses() == was
    finally:
        station.close()


def test_an_address_moves_from_one_publisher_to_another(switch: FakeSwitch, port: int, tmp_path: Path) -> None:
    for address in (f"tcp://127.0.0.1:{port}", f"ipc://{tmp_path}/a"):
        station = Station(switch, on(address, name="a"), on("tcp://127.0.0.1:*", name="b"))
        kept = station.addresses("b")
        with watching(station, address, *kept) as [moved, stays]:
            station.reload(on(f"ipc://{tmp_path}/other", name="a"), on(*kept, address, name="b"))
            assert station.addresses("b") == [*kept, address]
            assert address not in station.addresses("a")
            station.subscribed(moved.subscriber, stays.subscriber)
            assert not stays.broke()
            # It is the other publisher's stream now.
            station.fire("CUSTOM")
            epochs = {moved.subscriber.event()["ZMQ-Epoch"], stays.subscriber.event()["ZMQ-Epoch"]}
            assert epochs == {str(station.publication("b").publisher.epoch)}
        station.close()


def test_an_address_moves_away_from_one_that_takes_any_port(switch: FakeSwitch, port: int) -> None:
    address = f"tcp://127.0.0.1:{port}"
    station = Station(switch, on(address, name="a"))
    try:
        station.reload(on("tcp://127.0.0.1:*", name="a"), on(address, name="b"))
        assert station.addresses("b") == [address]
    finally:
        station.close()


def test_two_publishers_swap_their_addresses(switch: FakeSwitch, port: int) -> None:
    one, other = f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.2:{port}"
    station = Station(switch, on(one, name="a"), on(other, name="b"))
    station.reload(on(other, name="a"), on(one, name="b"))
    assert (station.addresses("a"), station.addresses("b")) == ([other], [one])
    with watching(station, one, other):
        pass
    station.close()


def test_a_publisher_with_another_name_takes_the_address_over(switch: FakeSwitch, port: int) -> None:
    address = f"tcp://127.0.0.1:{port}"
    station = Station(switch, on(address, name="old"))
    notes = station.reload(on(address, name="new"))
    assert notes == ['publisher "new" added', 'publisher "old" removed', f"{address} opened"]
    with watching(station, address):
        assert list(station.running.publications) == ["new"]
    station.close()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tcp://*:{port}", "tcp://127.0.0.1:{port}"),
        ("tcp://127.0.0.1:{port}", "tcp://*:{port}"),
        ("tcp://0.0.0.0:{port}", "tcp://127.0.0.1:{port}"),
        ("tcp://127.0.0.1:{port}", "tcp://lo:{port}"),
        ("tcp://lo:{port}", "tcp://*:{port}"),
    ],
)
def test_the_same_port_at_another_address(switch: FakeSwitch, port: int, before: str, after: str) -> None:
    # What an admin does who wants fewer, or more, to reach it.
    station = Station(switch, on(before.format(port=port)))
    try:
        station.reload(on(after.format(port=port)))
        with watching(station, f"tcp://127.0.0.1:{port}"):
            pass
    finally:
        station.close()


def test_when_one_can_not_be_opened_everything_is_as_before(switch: FakeSwitch, port: int, tmp_path: Path) -> None:
    first, moving = f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.2:{port}"
    station = Station(switch, on(first, name="a"), on(moving, name="b"))
    before, config = endpoints(station), station.config
    with watching(station, first, moving) as [stays, moves], taken_port() as taken:
        numbers = {name: each.publisher.accepted for name, each in station.running.publications.items()}
        for wanted in (
            # Something new that is opened before the one that fails, and after it.
            [on(first, f"ipc://{tmp_path}/x", taken, name="a"), on(moving, name="b")],
            [on(first, taken, f"ipc://{tmp_path}/y", name="a", event_filter="HEARTBEAT"), on(moving, name="b")],
            # A new publisher.
            [on(first, name="a"), on(moving, name="b"), on(taken, name="c")],
            # Only after another was taken away.
            [on(first, moving, taken, name="a"), on("tcp://127.0.0.1:*", name="b")],
            [on(first, name="a"), on(moving, name="c"), on(taken, name="d")],
        ):
            with pytest.raises(StartError, match=r"can't listen on .* already in use"):
                station.reload(*wanted)
            assert station.config == config
            assert {name: [each.address for each in found] for name, found in endpoints(station).items()} == {
                "a": [first],
                "b": [moving],
            }
            assert endpoints(station)["a"] == before["a"]
            assert set(station.running.publications) == {"a", "b"}
        station.subscribed(stays.subscriber, moves.subscriber)
        assert not stays.broke()
        for name, each in station.running.publications.items():
            assert each.publisher.accepted > numbers[name]
    # What was brought back is the same for the next reload.
    was = endpoints(station)
    assert station.reload(on(first, name="a"), on(moving, name="b")) == []
    assert endpoints(station) == was
    station.close()


def test_one_that_was_closed_to_make_room_is_brought_back(switch: FakeSwitch, port: int) -> None:
    first = f"tcp://127.0.0.1:{port}"
    station = Station(switch, on(first, name="a"))
    with watching(station, first) as [watched]:
        # The same port at an address that is not ours: only when the old one is closed can it be tried.
        with pytest.raises(StartError, match=r"can't listen on tcp://192\.0\.2\.1"):
            station.reload(on(f"tcp://192.0.2.1:{port}", name="b"))
        assert set(station.running.publications) == {"a"}
        assert station.addresses("a") == [first]
        station.subscribed(watched.subscriber)
    was = endpoints(station)
    assert station.reload(on(first, name="a")) == []
    assert endpoints(station) == was
    station.close()


def test_what_was_opened_for_nothing_is_free_again(switch: FakeSwitch, port: int) -> None:
    station = Station(switch, on("tcp://127.0.0.1:*"))
    [kept] = station.addresses()
    fresh = f"tcp://127.0.0.1:{port}"
    with taken_port() as taken, pytest.raises(StartError):
        station.reload(on(kept, fresh, taken))
    wait_for(lambda: is_free(fresh), "libzmq to let go of it")
    station.close()


def test_reloads_that_fail_do_not_pile_up_anything(switch: FakeSwitch) -> None:
    station = Station(switch, on("tcp://127.0.0.1:*"))
    [kept] = station.addresses()
    with pytest.raises(StartError):  # what is only opened at the first time
        station.reload(on(kept, "tcp://192.0.2.1:*"))

    def left() -> tuple[int, int, int]:
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        return descriptors, len(station.publication().publisher._links), len(station.running._access.rules)

    with taken_port() as taken:
        before = left()
        for _ in range(5):
            with pytest.raises(StartError):
                station.reload(on(kept, taken), on("tcp://127.0.0.1:*", name="b"))
            with pytest.raises(StartError):
                station.reload(on(kept), on("tcp://127.0.0.1:*", taken, name="b"))
        assert left()[1:] == before[1:] == (1, 1)
        wait_for(lambda: left() <= before, "libzmq to close its descriptors")
    station.close()


def test_a_start_that_fails_leaves_nothing(switch: FakeSwitch, port: int) -> None:
    fresh = f"tcp://127.0.0.1:{port}"
    with taken_port() as taken:
        with pytest.raises(StartError, match=f"can't listen on {taken}"):
            Station(switch, on(fresh, name="a"), on(taken, name="b"))
        assert switch.consumers == []
        wait_for(lambda: is_free(fresh), "libzmq to let go of it")
        assert not [line for line in switch.lines if line[0] == "ERR"]
    Station(switch, on(fresh, name="a"), on(taken, name="b")).close()


def test_connections_that_we_make_come_and_go(switch: FakeSwitch, port: int) -> None:
    station = Station(switch, on("tcp://127.0.0.1:*"))
    [kept] = station.addresses()
    collector_at = f"tcp://127.0.0.1:{port}"
    with zmq.Context() as context, context.socket(zmq.SUB) as collector:
        collector.set(zmq.LINGER, 0)
        collector.subscribe(b"")
        collector.bind(collector_at)
        notes = station.reload(publisher(*local(bind=kept, connect=collector_at)))
        assert notes == ['publisher "default" changed', f"{collector_at} opened"]
        fire_until_heard(switch, collector)
        was = endpoints(station)
        # A collector that tries again and again keeps its connection at a reload.
        station.reload(publisher(*local(bind=kept, connect=collector_at, queue_size=5)))
        assert endpoints(station) == was
        station.reload(publisher(*local(bind=kept)))
        assert station.addresses() == [kept]
    station.close()


def test_a_collector_that_spoke_something_else_is_gone_to_again(
    switch: FakeSwitch, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_module, "GIVEN_UP_SECONDS", 0.0)
    collector_at = f"tcp://127.0.0.1:{port}"
    with socket.socket() as wrong:
        wrong.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        wrong.bind(("127.0.0.1", port))
        wrong.listen()
        wrong.settimeout(20.0)
        station = Station(switch, publisher(*local(bind=[], connect=collector_at)))
        [endpoint] = station.publication().endpoints
        assert not endpoint.given_up
        visitor, _ = wrong.accept()
        with visitor:
            visitor.sendall(greeting(b"CURVE"))
            # libzmq doesn't try again by itself.
            wait_for(lambda: endpoint.given_up, "the collector to be given up")
    with zmq.Context() as context, context.socket(zmq.SUB) as collector:
        collector.set(zmq.LINGER, 0)
        collector.subscribe(b"")
        wait_for(lambda: is_free(collector_at), "the port to be free")
        collector.bind(collector_at)
        assert station.running.reopen() == []
        [again] = station.publication().endpoints
        assert (again.alive, again.given_up, endpoint.alive) == (True, False, False)
        fire_until_heard(switch, collector)
        # While it is right nothing more is done.
        assert station.running.reopen() == []
        assert station.publication().endpoints == [again]
    assert station.refused("handshake") == 1
    station.close()


def test_one_whose_peers_keep_it_busy_is_closed_all_the_same(
    switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_module, "STOP_SECONDS", 0.05)
    proxy = zmq.proxy_steerable
    watched: list[Endpoint] = []

    def busy_proxy(*sockets: zmq.Socket[bytes]) -> None:
        try:
            proxy(*sockets)
        finally:
            for endpoint in watched:
                rule = endpoint.rule
                assert rule is not None
                wait_for(lambda rule=rule: rule.connections == 0, "its peers to be gone")  # type: ignore[misc]

    monkeypatch.setattr(zmq, "proxy_steerable", busy_proxy)
    station = Station(switch, on("tcp://127.0.0.1:*"))
    [endpoint] = station.endpoints()
    with RawPeer(endpoint.address) as peer:
        peer.shake_hands()
        wait_for(lambda: endpoint.rule is not None and endpoint.rule.connections == 1, "it to be counted")
        watched.append(endpoint)
        assert station.publication().close_endpoint(endpoint)
        peer.rest()
    assert station.addresses() == []
    watched.clear()
    station.close()


def test_descriptors_and_threads_do_not_pile_up(switch: FakeSwitch) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    station = Station(switch, on("tcp://127.0.0.1:*"))
    [kept] = station.addresses()

    def change() -> None:
        station.reload(on(kept), on("tcp://127.0.0.1:*", "inproc://unit-change", name="b"))
        station.reload(on(kept))

    change()
    before = descriptors()
    for _ in range(5):
        change()
    wait_for(lambda: descriptors() <= before, "libzmq to close its descriptors")
    station.close()
