from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import zmq
import zmq.utils.monitor

from freeswitch_zmq.module.access import Access, Rule
from tests.support.module import Subscriber
from tests.unit.configurations import local, publisher
from tests.unit.fake_freeswitch import FakeSwitch
from tests.unit.publishing import Context
from tests.unit.stations import Station, fire_until_heard
from tests.unit.waiting import wait_for

NOBODY_HERE = "192.0.2.0/24"
"""RFC 5737: never the address of a peer."""


def test_one_list_that_matches_is_enough() -> None:
    rule = Rule(("192.0.2.0/24", "loopback.auto"))
    assert rule.lets_in("127.0.0.1")
    assert rule.lets_in("192.0.2.200")
    assert rule.lets_in("::ffff:192.0.2.200")
    assert (rule.refused, rule.latest) == (0, "")
    assert not rule.lets_in("198.51.100.1")
    assert not rule.lets_in("2001:db8::1")
    assert (rule.refused, rule.latest) == (2, "2001:db8::1")


@pytest.mark.parametrize("address", ["", "garbage", "127.0.0.1 ", "localhost", "127.0.0.1:5556"])
def test_what_is_no_address_is_refused(address: str) -> None:
    rule = Rule(("0.0.0.0/0", "::/0"))
    assert not rule.lets_in(address)
    assert rule.refused == 1


def test_without_a_list_nobody_is_let_in() -> None:
    assert not Rule(()).lets_in("127.0.0.1")


def test_a_rule_can_change_and_goes_on_counting() -> None:
    rule = Rule((NOBODY_HERE,))
    assert not rule.lets_in("127.0.0.1")
    rule.configure(("loopback.auto",))
    assert rule.lets_in("127.0.0.1")
    assert rule.refused == 1


# The handler, asked as libzmq asks it.


@pytest.fixture
def errors() -> list[BaseException]:
    return []


@pytest.fixture
def access(context: Context, errors: list[BaseException]) -> Iterator[Access]:
    access = Access(context, errors.append)
    access.start()
    yield access
    assert access.stop()


def ask(context: Context, *requests: Sequence[bytes]) -> list[list[bytes]]:
    """The replies to requests, one after the other."""
    replies = []
    with context.socket(zmq.REQ) as asking:
        asking.connect("inproc://zeromq.zap.01")
        for request in requests:
            asking.send_multipart(request)
            assert asking.poll(5000), request
            replies.append(asking.recv_multipart())
    return replies


def zap(domain: bytes, address: bytes) -> list[bytes]:
    return [b"1.0", b"id-7", domain, address, b"", b"NULL"]


def test_the_answers_that_libzmq_gets(access: Access, context: Context, errors: list[BaseException]) -> None:
    access.rules["events"] = Rule(("127.0.0.0/8",))
    inside, outside = ask(context, zap(b"events", b"127.0.0.1"), zap(b"events", b"192.0.2.1"))
    assert inside == [b"1.0", b"id-7", b"200", b"OK", b"", b""]
    # 300, not 400: after that libzmq would never try again.
    assert outside == [b"1.0", b"id-7", b"300", b"not let in", b"", b""]
    assert errors == []


@pytest.mark.parametrize(
    "request_",
    [
        zap(b"unknown", b"127.0.0.1"),
        zap(b"", b"127.0.0.1"),
        zap(b"events ", b"127.0.0.1"),
        zap(b"events", b""),
        zap(b"events", b"127.0.0.1\0"),
        zap(b"events", b"\xff"),
        zap(b"\xff", b"127.0.0.1"),
        [b"1.0", b"id-7", b"events"],
        [b"1.0", b"id-7"],
    ],
    ids=lambda frames: str(frames[2:4]),
)
def test_what_is_not_understood_is_refused(access: Access, context: Context, request_: list[bytes]) -> None:
    access.rules["events"] = Rule(("127.0.0.0/8",))
    [reply, after] = ask(context, request_, zap(b"events", b"127.0.0.1"))
    assert reply == [b"1.0", b"id-7", b"300", b"not let in", b"", b""]
    assert after[2] == b"200"


def test_a_request_that_is_none_is_reported_and_survived(
    access: Access, context: Context, errors: list[BaseException]
) -> None:
    access.rules["events"] = Rule(("127.0.0.0/8",))
    [reply, after] = ask(context, [b""], zap(b"events", b"127.0.0.1"))
    assert (reply[2], after[2]) == (b"300", b"200")
    assert [type(error) for error in errors] == [IndexError]


def test_one_context_has_one_handler(access: Access, context: Context) -> None:
    second = Access(context, lambda error: None)
    with pytest.raises(zmq.ZMQError, match="in use"):
        second.start()
    assert second.stop()


def test_without_a_handler_nobody_gets_in(access: Access, context: Context) -> None:
    access.rules["events"] = Rule(("127.0.0.0/8",))
    with context.socket(zmq.XPUB) as server:
        server.set_string(zmq.ZAP_DOMAIN, "events")
        server.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        server.set(zmq.HANDSHAKE_IVL, 200)
        server.set(zmq.LINGER, 0)
        port = server.bind_to_random_port("tcp://127.0.0.1")
        with Subscriber(f"tcp://127.0.0.1:{port}"):
            assert server.poll(5000)
            assert server.recv() == b"\x01"
        assert server.poll(5000)
        assert server.recv() == b"\x00"
        assert access.stop()
        with zmq.Context() as other, other.socket(zmq.SUB) as peer:
            peer.set(zmq.LINGER, 0)
            peer.subscribe(b"")
            with peer.get_monitor_socket() as monitor:
                peer.connect(f"tcp://127.0.0.1:{port}")
                assert wait_for_event(monitor, zmq.EVENT_DISCONNECTED) == [zmq.EVENT_DISCONNECTED]
                peer.disable_monitor()
        assert not server.poll(0)


def wait_for_event(monitor: zmq.Socket[bytes], wanted: int) -> list[int]:
    """What a connection's monitor told until then, of what matters: that it is there, and that it is gone."""
    told: list[int] = []
    while not told or told[-1] != wanted:
        assert monitor.poll(5000), told
        event = int(zmq.utils.monitor.recv_monitor_message(monitor)["event"])
        if event in (zmq.EVENT_HANDSHAKE_SUCCEEDED, zmq.EVENT_DISCONNECTED):
            told.append(event)
    return told


# With real publishers and peers.


def test_a_peer_of_this_machine_is_let_in(switch: FakeSwitch) -> None:
    station = Station(switch, publisher(*local()))
    with Subscriber(*station.addresses()) as subscriber:
        station.subscribed(subscriber)
    assert station.publication().rule.refused == 0
    station.close()


def test_one_that_is_not_let_in_gets_nothing_and_comes_in_by_itself_later(switch: FakeSwitch) -> None:
    refusing = publisher(*local(apply_inbound_acl=NOBODY_HERE, handshake_ms=100))
    station = Station(switch, refusing)
    rule = station.publication().rule
    with Subscriber(*station.addresses()) as subscriber:
        wait_for(lambda: rule.refused >= 3, "three refusals")
        station.fire("HEARTBEAT")
        switch.wait_until_taken()
        wait_for(lambda: station.publication().publisher.accepted == 1, "the event")
        # It could not even subscribe.
        assert len(station.publication().publisher.subscriptions) == 0
        assert rule.latest == "127.0.0.1"
        refused = rule.refused
        wait_for(lambda: rule.refused > refused, "one more")
        assert not subscriber.socket.poll(0)
        # Only the rule changes; nobody touches the subscriber.
        [address] = station.addresses()
        station.reload(publisher(*local(bind=address, apply_inbound_acl=[NOBODY_HERE, "loopback.auto"])))
        assert station.addresses() == [address]
        station.subscribed(subscriber)
        # And out again: who is in stays in, who comes is not let in.
        station.reload(publisher(*local(bind=address, apply_inbound_acl=NOBODY_HERE)))
        refused = rule.refused
        with Subscriber(address) as late:
            wait_for(lambda: rule.refused > refused, "a refusal")
            station.subscribed(subscriber)
            assert not late.socket.poll(0)
    station.close()


def test_not_a_byte_of_an_event_goes_to_one_that_is_not_let_in(switch: FakeSwitch) -> None:
    station = Station(switch, publisher(*local(apply_inbound_acl=NOBODY_HERE, handshake_ms=100)))
    host, _, port = station.addresses()[0][len("tcp://") :].rpartition(":")
    # ZMTP 3.1: signature, version, mechanism. It says nothing about us or the events.
    greeting = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + b"\0" * 32
    ready = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"
    with socket.create_connection((host, int(port)), timeout=5.0) as peer:
        answer = peer.recv(10, socket.MSG_WAITALL)
        peer.sendall(greeting + ready)
        wait_for(lambda: station.publication().rule.refused, "the refusal")
        station.fire("HEARTBEAT", "secret")
        with contextlib.suppress(ConnectionError):
            peer.sendall(b"\x00\x01\x01")  # everything, please
            while part := peer.recv(4096):
                answer += part
    assert greeting.startswith(answer)
    assert len(answer) >= 10
    assert station.publication().rule.refused == 1
    station.close()


def test_a_publisher_is_not_opened_by_its_neighbours_list(switch: FakeSwitch) -> None:
    station = Station(
        switch,
        publisher(*local(), name="open"),
        publisher(*local(apply_inbound_acl=NOBODY_HERE, handshake_ms=100), name="closed"),
    )
    with Subscriber(*station.addresses("closed")) as refused, Subscriber(*station.addresses("open")) as let_in:
        station.subscribed(let_in)
        wait_for(lambda: station.publication("closed").rule.refused, "a refusal")
        assert not refused.socket.poll(0)
    assert station.publication("open").rule.refused == 0
    station.close()


def test_every_endpoint_of_a_publisher_has_its_list(switch: FakeSwitch) -> None:
    binds = ["tcp://127.0.0.1:*", "tcp://127.0.0.2:*"]
    station = Station(switch, publisher(*local(bind=binds, apply_inbound_acl=NOBODY_HERE, handshake_ms=100)))
    rule = station.publication().rule
    for address in station.addresses():
        rule.refused = 0
        with Subscriber(address) as subscriber:
            wait_for(lambda: rule.refused, "a refusal")
            assert not subscriber.socket.poll(0)
    station.close()


def test_ipc_and_inproc_are_not_asked(switch: FakeSwitch, tmp_path: Path) -> None:
    binds = [f"ipc://{tmp_path}/events", "inproc://unit-events"]
    station = Station(switch, publisher(*local(bind=binds, apply_inbound_acl=NOBODY_HERE)))
    with Subscriber(f"ipc://{tmp_path}/events") as subscriber:
        station.subscribed(subscriber)
    with station.running.context.socket(zmq.SUB) as inside:
        inside.subscribe(b"")
        inside.connect("inproc://unit-events")
        fire_until_heard(switch, inside)
    assert station.publication().rule.refused == 0
    station.close()


def test_an_ipv4_peer_on_an_ipv6_socket_counts_as_ipv4(switch: FakeSwitch, context: Context) -> None:
    errors: list[BaseException] = []
    access = Access(context, errors.append)
    access.start()
    access.rules["events"] = Rule(("127.0.0.1",))
    with context.socket(zmq.XPUB) as server:
        server.set(zmq.IPV6, 1)
        server.set(zmq.LINGER, 0)
        server.set_string(zmq.ZAP_DOMAIN, "events")
        server.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        try:
            port = server.bind_to_random_port("tcp://[::]")
        except zmq.ZMQError as error:
            assert access.stop()
            pytest.skip(f"this machine has no IPv6: {error}")
        with Subscriber(f"tcp://127.0.0.1:{port}"):
            assert server.poll(5000)
            assert server.recv() == b"\x01"
    assert access.stop()
    assert access.rules["events"].refused == 0
    assert errors == []
