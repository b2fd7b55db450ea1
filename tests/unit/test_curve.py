"""Who gets in at an endpoint that asks for keys, with real CURVE on both sides."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
import zmq.utils.monitor

from freeswitch_zmq.module import status
from tests.support.keys import Identity, Pair, SecretFile, access, key, new_pair, new_secret_file
from tests.support.module import Subscriber
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.support.zmtp import GREETING_BYTES, RawPeer, greeting
from tests.unit.configurations import QUICK_TO_REFUSE, local, publisher
from tests.unit.fake_freeswitch import DirectLists, FakeSwitch
from tests.unit.publishing import Context
from tests.unit.stations import Station, is_free

NOBODY_HERE = "192.0.2.0/24"
"""RFC 5737: never the address of a peer."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> SecretFile:
    """The switch's own key."""
    return new_secret_file(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def alice() -> Pair:
    return new_pair()


@pytest.fixture(scope="module")
def bob() -> Pair:
    return new_pair()


def curve(*, name: str = "default", **params: object) -> str:
    """A `<publisher>` that asks for keys; who is refused comes again."""
    return publisher(*local(**{"security": "curve", "handshake_ms": QUICK_TO_REFUSE, **params}), name=name)


@pytest.fixture
def station(switch: FakeSwitch, server: SecretFile, alice: Pair, bob: Pair) -> Iterator[Station]:
    """Alice may subscribe to both publishers, Bob to the other."""
    with a_station(switch, server, alice, bob, QUICK_TO_REFUSE) as station:
        yield station


@pytest.fixture
def patient_station(switch: FakeSwitch, server: SecretFile, alice: Pair, bob: Pair) -> Iterator[Station]:
    """The same, where nobody's time is over in the middle of a handshake: who is let in is let in once."""
    with a_station(switch, server, alice, bob, 30_000) as station:
        yield station


def a_station(switch: FakeSwitch, server: SecretFile, alice: Pair, bob: Pair, handshake_ms: int) -> Station:
    return Station(
        switch,
        curve(handshake_ms=handshake_ms),
        curve(name="other", handshake_ms=handshake_ms),
        access=access(server.path, [key("alice", alice, "default,other"), key("bob", bob, "other")]),
    )


def connections(station: Station, name: str = "default") -> int:
    count: int = status.publication_status(station.publication(name))["connections"]
    return count


def test_who_has_a_key_gets_events_and_is_counted(patient_station: Station, server: SecretFile, alice: Pair) -> None:
    station = patient_station
    [address] = station.addresses()
    assert connections(station) == 0
    with Subscriber(address, identity=Identity(alice, server.pair.public)) as subscriber:
        station.subscribed(subscriber)
        wait_for(lambda: connections(station) == 1, "the connection to be counted")
        with Subscriber(address, identity=Identity(alice, server.pair.public)) as second:
            station.subscribed(second)
            wait_for(lambda: connections(station) == 2, "both")
        wait_for(lambda: connections(station) == 1, "the second one to be gone")
    wait_for(lambda: connections(station) == 0, "nobody to be there")
    assert station.publication().refusals.count == 0
    records = station.running.ring.let_in
    assert (records["alice"].count, records["alice"].address, records["bob"].count) == (2, "127.0.0.1", 0)


def kept_out(station: Station, subscriber: Subscriber, reason: str, times: int = 2, name: str = "default") -> None:
    """It is refused so many times at least, and gets nothing of what is published meanwhile."""
    publication = station.publication(name)
    wait_for(lambda: station.refused(reason, name) >= times, f"{times} refusals")
    station.fire("HEARTBEAT", "secret")
    station.at_rest(name)
    assert publication.publisher.subscriptions == 0
    assert {reason} == {why for _, why in publication.refusals.by_reason}
    assert not subscriber.socket.poll(0)


def test_an_unknown_key_is_named_in_full(station: Station, server: SecretFile) -> None:
    stranger = new_pair()
    with Subscriber(*station.addresses(), identity=Identity(stranger, server.pair.public)) as subscriber:
        kept_out(station, subscriber, "key")
    assert station.latest("key") == ("127.0.0.1", stranger.hex)


def test_a_key_without_the_publisher_is_named(station: Station, server: SecretFile, bob: Pair) -> None:
    identity = Identity(bob, server.pair.public)
    with Subscriber(*station.addresses(), identity=identity) as subscriber:
        kept_out(station, subscriber, "publisher")
    assert station.latest("publisher") == ("127.0.0.1", "bob")
    with Subscriber(*station.addresses("other"), identity=identity) as subscriber:
        station.subscribed(subscriber)


@pytest.mark.parametrize(
    ("encrypted", "mechanism"), [(True, b"NULL"), (True, b"PLAIN"), (False, b"CURVE"), (False, b"PLAIN")]
)
def test_one_that_speaks_another_mechanism_did_not_shake_hands(
    switch: FakeSwitch, server: SecretFile, encrypted: bool, mechanism: bytes
) -> None:
    asked = curve(handshake_ms=30_000) if encrypted else publisher(*local())
    with Station(switch, asked, access=access(server.path)) as station:
        [address] = station.addresses()
        with RawPeer(address, source="127.0.0.7") as peer:
            wait_for(lambda: connections(station) == 1, "the connection")
            peer.send(greeting(mechanism))
            answer = peer.rest()
            wait_for(lambda: connections(station) == 0, "it to be gone")
        # Nothing but our own greeting.
        assert greeting(b"CURVE" if encrypted else b"NULL").startswith(answer[:10])
        assert len(answer) <= GREETING_BYTES
        assert station.refused("handshake") == station.publication().refusals.count == 1
        assert station.latest("handshake") == ("127.0.0.7", "")


def test_one_without_encryption_gets_nothing(station: Station, server: SecretFile, alice: Pair) -> None:
    [address] = station.addresses()
    with Subscriber(address) as plain, Subscriber(address, identity=Identity(alice, server.pair.public)) as subscriber:
        station.subscribed(subscriber)
        assert station.publication().publisher.subscriptions == 1
        assert not plain.socket.poll(0)


def test_one_that_takes_us_for_another_did_not_shake_hands(station: Station, alice: Pair) -> None:
    with Subscriber(*station.addresses(), identity=Identity(alice, new_pair().public)) as subscriber:
        kept_out(station, subscriber, "handshake")
        # ZAP is never asked about it, so its address comes from the connection, while that is there.
        wait_for(lambda: station.latest("handshake") == ("127.0.0.1", ""), "its address")
    assert station.running.ring.let_in["alice"].count == 0


def test_those_that_are_kept_out_do_not_disturb_who_is_in(station: Station, server: SecretFile, alice: Pair) -> None:
    [address] = station.addresses()
    with contextlib.ExitStack() as stack:
        subscriber = stack.enter_context(Subscriber(address, identity=Identity(alice, server.pair.public)))
        station.subscribed(subscriber)
        for identity in (None, Identity(new_pair(), server.pair.public), Identity(alice, new_pair().public)):
            stack.enter_context(Subscriber(address, identity=identity))
        wait_for(lambda: station.refused("key") and station.refused("handshake"), "them to be refused")
        first = station.publication().publisher.accepted + 1
        station.fire("HEARTBEAT")
        assert subscriber.event()["ZMQ-Sequence"] == str(first)
        assert station.publication().publisher.subscriptions == 1


def test_a_key_does_not_make_up_for_the_address(switch: FakeSwitch, server: SecretFile, alice: Pair) -> None:
    with Station(
        switch, curve(apply_inbound_acl=NOBODY_HERE), access=access(server.path, [key("alice", alice)])
    ) as station:
        with Subscriber(*station.addresses(), identity=Identity(alice, server.pair.public)) as subscriber:
            kept_out(station, subscriber, "address")
        assert station.latest("address") == ("127.0.0.1", "alice")
        assert station.running.ring.let_in["alice"].count == 0


def test_freeswitchs_list_and_the_key_together(
    switch: FakeSwitch, server: SecretFile, alice: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = DirectLists(("127.0.0.1", "lan"))
    monkeypatch.setattr("freeswitch_zmq.module.host.in_list", direct.in_list)
    with Station(
        switch,
        curve(apply_inbound_acl="lan"),
        access=access(server.path, [key("alice", alice)]),
        acl_lists=["lan"],
    ) as station:
        [address] = station.addresses()
        with Subscriber(address, identity=Identity(new_pair(), server.pair.public)) as stranger:
            kept_out(station, stranger, "key")
            assert direct.asked == []
            with Subscriber(address, identity=Identity(alice, server.pair.public)) as subscriber:
                station.subscribed(subscriber)
        assert set(direct.asked) == {("127.0.0.1", "lan")}


def test_over_ipc_the_key_is_asked_for_too(switch: FakeSwitch, server: SecretFile, alice: Pair, tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/events"
    with Station(
        switch, curve(bind=address, apply_inbound_acl=NOBODY_HERE), access=access(server.path, [key("alice", alice)])
    ) as station:
        with Subscriber(address, identity=Identity(new_pair(), server.pair.public)) as stranger:
            kept_out(station, stranger, "key")
            # User, group and process, where libzmq can tell.
            us = ("", f"localhost:{os.geteuid()}:{os.getegid()}:{os.getpid()}")
            assert station.latest("key")[0] in us
            with Subscriber(address, identity=Identity(alice, server.pair.public)) as subscriber:
                station.subscribed(subscriber)
                assert connections(station) >= 1
        assert station.running.ring.let_in["alice"].address in us


def test_inproc_needs_no_key(switch: FakeSwitch, server: SecretFile) -> None:
    with (
        Station(switch, curve(bind="inproc://unit-curve"), access=access(server.path)) as station,
        station.running.context.socket(zmq.SUB) as inside,
    ):
        inside.subscribe(b"")
        inside.connect("inproc://unit-curve")
        wait_for(lambda: station.publication().publisher.subscriptions, "its subscription")
        station.fire("HEARTBEAT")
        assert inside.poll(20_000)


# Where we go, we are the client.


@contextlib.contextmanager
def collecting(context: Context, pair: Pair, port: int) -> Iterator[zmq.Socket[bytes]]:
    """A collector with that pair, which takes everybody's events."""
    address = f"tcp://127.0.0.1:{port}"
    wait_for(lambda: is_free(address), "libzmq to let go of it")
    with context.socket(zmq.SUB) as collector:
        collector.set(zmq.LINGER, 0)
        collector.set(zmq.CURVE_SERVER, 1)
        collector.set(zmq.CURVE_SECRETKEY, pair.secret)
        collector.subscribe(b"")
        collector.bind(address)
        yield collector


def test_events_go_to_the_collector_that_has_the_right_key(
    switch: FakeSwitch, server: SecretFile, context: Context
) -> None:
    pair, port = new_pair(), free_port()
    with Station(
        switch,
        publisher(*local(bind=[], connect=f"tcp://127.0.0.1:{port}", server_public_key=pair.hex)),
        access=access(server.path),
    ) as station:

        def one_comes(collector: zmq.Socket[bytes]) -> bool:
            station.fire("HEARTBEAT")
            return bool(collector.poll(20))

        # First somebody else sits at that address.
        with (
            collecting(context, new_pair(), port) as wrong,
            wrong.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED) as monitor,
        ):
            assert monitor.poll(20_000)
            assert zmq.utils.monitor.recv_monitor_message(monitor)["event"] == zmq.EVENT_DISCONNECTED
            assert not one_comes(wrong)
            wrong.disable_monitor()
        with collecting(context, pair, port) as collector:
            wait_for(lambda: one_comes(collector), "an event")
        assert station.publication().refusals.count == 0
