from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import zmq

from freeswitch_zmq.errors import StartError
from freeswitch_zmq.module import link as link_module
from freeswitch_zmq.module.access import Access
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.endpoint import LINGER_MS, EndpointOptions
from freeswitch_zmq.module.keys import KeyRing
from freeswitch_zmq.module.link import INPROC_HWM, Link
from freeswitch_zmq.module.proxy import MESSAGE_BYTES, Endpoint
from freeswitch_zmq.module.publisher import Publisher
from freeswitch_zmq.module.refusals import Refusals
from freeswitch_zmq.module.rule import Rule
from freeswitch_zmq.module.subscriptions import CHECKED_LENGTH
from tests.support.module import Subscriber
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.support.zmtp import RawPeer, frame
from tests.unit.clock import Clock
from tests.unit.fake_freeswitch import FakeEvent
from tests.unit.publishing import Bench, Context, Socket, offer, received_json, send_all, sequences
from tests.unit.stations import is_free

OPTIONS = EndpointOptions(
    address="tcp://127.0.0.1:*",
    connect=False,
    send_hwm=100_000,
    handshake_ms=30_000,  # a peer of the test's own may be stopped in the middle of it
    max_message_bytes=65536,
    ipv6=False,
    acl=None,
    curve=None,
    collector_key=None,
)


def a_rule() -> Rule:
    """One that lets in this machine, if somebody asks it."""
    return Rule("default", OPTIONS.address, ("loopback.auto",), False, KeyRing(()), Refusals(), "events")


class Unread(Access):
    """Access control that never comes to its work: nobody answers libzmq, and nobody reads its monitors."""

    def watch(self, monitor: Socket, rule: Rule) -> None:
        self.monitor = monitor

    def unwatch(self, monitor: Socket) -> None:
        monitor.close()


class Line(Bench):
    """A publisher in this thread and endpoints that it feeds."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.errors: list[BaseException] = []
        self.only: Publisher = self.publisher()

    def endpoint(self, rule: Rule | None = None, **changes: object) -> Endpoint:
        """A started one."""
        options = replace(OPTIONS, **changes)  # type: ignore[arg-type]  # of many types
        access = Unread(self.context, Commands(), self.errors.append)
        link = self.only.open_link()
        endpoint = Endpoint(self.context, link, options, access, rule, self.errors.append)
        link.on_overrun = endpoint.trip
        self.callback(endpoint.stop)
        endpoint.start()
        return endpoint

    def subscriptions(self) -> int:
        self.only.update_subscriptions()
        return self.only.subscriptions

    def wait_subscribed(self) -> None:
        wait_for(self.subscriptions, "a subscription")

    def send(self, count: int, text: str = "") -> None:
        offer(self.only, *[FakeEvent("API", [("Text", text)])] * count)

        def all_sent() -> bool:
            send_all(self.only)
            return not self.only.queued

        wait_for(all_sent, "the proxy to take them")


@pytest.fixture
def line(context: Context) -> Iterator[Line]:
    with Line(context) as line:
        yield line
        assert line.errors == []


def numbers(subscriber: Subscriber, count: int) -> list[int]:
    return [int(subscriber.event()["ZMQ-Sequence"]) for _ in range(count)]


def test_events_go_from_the_pump_to_the_network(line: Line) -> None:
    endpoint = line.endpoint()
    assert endpoint.alive
    with Subscriber(endpoint.address) as one, Subscriber(endpoint.address, prefixes=[b"nothing"]) as other:
        wait_for(lambda: line.subscriptions() == 2, "both subscriptions")
        line.send(3)
        assert numbers(one, 3) == [1, 2, 3]
        assert not other.socket.poll(0)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:*", "tcp://*:*", "ipc://{tmp}/events", "inproc://unit-proxy"])
def test_a_free_port_is_told_and_everything_else_is_as_it_was_given(line: Line, tmp_path: Path, address: str) -> None:
    address = address.format(tmp=tmp_path)
    endpoint = line.endpoint(address=address)
    if address.endswith(":*"):
        host, _, port = endpoint.address.rpartition(":")
        assert host == address[:-2].replace("*", "0.0.0.0")
        assert 1 <= int(port) <= 65535
    else:
        assert endpoint.address == address
    assert endpoint.serves(address)
    assert endpoint.serves(endpoint.address)
    assert not endpoint.serves("tcp://127.0.0.1:1")


@pytest.mark.parametrize(
    ("bound", "asked", "same"),
    [
        ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*", True),
        ("tcp://127.0.0.1:*", "tcp://127.0.0.2:*", False),
        ("tcp://127.0.0.1:*", "tcp://127.0.0.1:55560", False),
        ("tcp://127.0.0.1:*", "tcp://127.0.0.111:*", False),
        ("tcp://*:*", "tcp://*:*", True),
        ("tcp://*:*", "tcp://0.0.0.0:*", True),
        ("tcp://*:*", "tcp://127.0.0.1:*", False),
        ("tcp://127.0.0.1:*", "tcp://*:*", False),
        ("tcp://127.0.0.1:*", "ipc:///127.0.0.1:*", False),
        ("inproc://unit.proxy", "inproc://unit.proxy", True),
        ("inproc://unit.proxy", "inproc://unit_proxy", False),
    ],
)
def test_which_texts_mean_the_socket_that_is_there(line: Line, bound: str, asked: str, same: bool) -> None:
    assert line.endpoint(address=bound).serves(asked) is same


def test_the_port_that_was_found_may_be_written_out(line: Line) -> None:
    everywhere = line.endpoint(address="tcp://*:*")
    port = everywhere.address.rpartition(":")[2]
    for host in ("*", "0.0.0.0"):
        assert everywhere.serves(f"tcp://{host}:{port}")
        assert not everywhere.serves(f"tcp://{host}:{port}0")
    assert not everywhere.serves(f"tcp://{port}")


def test_it_connects_to_a_collector_that_may_come_later(line: Line, context: Context) -> None:
    port = free_port()
    endpoint = line.endpoint(address=f"tcp://127.0.0.1:{port}", connect=True)
    assert endpoint.address == f"tcp://127.0.0.1:{port}"
    with context.socket(zmq.SUB) as collector:
        collector.set(zmq.LINGER, 0)
        collector.subscribe(b"")
        collector.bind(f"tcp://127.0.0.1:{port}")
        # libzmq sends its subscriptions when its program touches it.
        wait_for(lambda: collector.poll(5) or line.subscriptions(), "its subscription")
        line.send(2)
        assert collector.poll(20_000)
        assert sequences(received_json(collector))[0] == 1


def test_a_place_that_is_taken_is_told_and_nothing_is_left(line: Line) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartError) as caught:
            line.endpoint(address=address)
        assert str(caught.value) == (
            f"can't listen on {address}: Address already in use; another program listens there, perhaps a second "
            "switch; take another port or stop that program"
        )
    assert not [thread for thread in threading.enumerate() if address in thread.name]
    assert line.endpoint(address=address).address == address


@pytest.mark.parametrize(
    ("address", "remedy"),
    [
        ("tcp://192.0.2.1:5556", "name one of its own, or * for all"),
        ("tcp://nosuchif0:5556", "name one of its own, or * for all"),
        ("ipc:///nonexistent/folder/events", "there is no such folder; create it, writable for FreeSWITCH's user"),
    ],
)
def test_other_places_that_can_not_be(line: Line, address: str, remedy: str) -> None:
    with pytest.raises(StartError) as caught:
        line.endpoint(address=address)
    assert str(caught.value).startswith(f"can't listen on {address}: ")
    assert str(caught.value).endswith(remedy)


def test_what_libzmq_has_no_remedy_for_says_where_to_look(line: Line) -> None:
    with pytest.raises(StartError) as caught:
        line.endpoint(address="udp://127.0.0.1:5556", connect=True)
    assert str(caught.value).startswith("can't connect to udp://127.0.0.1:5556: ")
    assert str(caught.value).endswith("; see the address in event_zmq.conf.xml")


def test_the_place_is_free_again_when_it_is_stopped(line: Line) -> None:
    for _ in range(20):
        endpoint = line.endpoint()
        assert not is_free(endpoint.address)
        assert endpoint.stop()
        assert not endpoint.alive
        wait_for(partial(is_free, endpoint.address), "libzmq to let go of it")


def test_it_ends_with_connected_peers_and_at_once(line: Line) -> None:
    for _ in range(10):
        endpoint = line.endpoint()
        with Subscriber(endpoint.address):
            line.wait_subscribed()
            # One that waits for its peers would never be gone.
            assert endpoint.stop(timeout=20.0)
        wait_for(lambda: line.subscriptions() == 0, "the subscription to go")


def test_what_was_handed_over_before_the_stop_still_arrives(line: Line) -> None:
    endpoint = line.endpoint()
    with Subscriber(endpoint.address) as subscriber:
        line.wait_subscribed()
        line.send(1000)
        assert endpoint.stop()
        assert numbers(subscriber, 1000) == list(range(1, 1001))


def test_what_the_proxy_left_behind_still_arrives(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    # The proxy ends at once when it is told to; here it has ended, surely, before the events come.
    ended, go_on = threading.Event(), threading.Event()
    proxy = zmq.proxy_steerable

    def ending_proxy(*sockets: zmq.Socket[bytes]) -> None:
        with contextlib.suppress(zmq.Again):
            proxy(*sockets)
        ended.set()
        assert go_on.wait(60.0)

    monkeypatch.setattr(zmq, "proxy_steerable", ending_proxy)
    endpoint = line.endpoint()
    with Subscriber(endpoint.address) as subscriber:
        line.wait_subscribed()
        endpoint.ask_to_stop()
        assert ended.wait(20.0)
        line.send(500)
        go_on.set()
        assert endpoint.stop()
        assert numbers(subscriber, 500) == list(range(1, 501))


def test_while_its_thread_is_behind_only_so_much_is_handed_over(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is beyond it waits in the publisher's queue, where it is counted.
    go_on = threading.Event()
    proxy = zmq.proxy_steerable
    held = threading.Event()

    def held_proxy(*sockets: zmq.Socket[bytes]) -> None:
        if line.only.subscriptions:
            held.set()
            assert go_on.wait(60.0)
        proxy(*sockets)

    monkeypatch.setattr(zmq, "proxy_steerable", held_proxy)
    endpoint = line.endpoint()
    with Subscriber(endpoint.address) as subscriber, RawPeer(endpoint.address) as peer:
        line.wait_subscribed()
        peer.shake_hands()
        peer.send(frame(b"x", 1) + frame(b"\x01"))  # half a message brings the proxy back to here
        assert held.wait(20.0)
        offer(line.only, *[FakeEvent("API")] * 10_000)
        send_all(line.only)
        assert INPROC_HWM <= line.only.published <= 3 * INPROC_HWM
        assert line.only.queued == 10_000 - line.only.published
        go_on.set()

        def all_sent() -> bool:
            send_all(line.only)
            return not line.only.queued

        wait_for(all_sent, "the proxy to go on")
        assert numbers(subscriber, 10_000) == list(range(1, 10_001))


def test_a_subscriber_that_does_not_read_holds_up_the_end_by_the_linger_alone(line: Line, context: Context) -> None:
    endpoint = line.endpoint()
    with Subscriber(endpoint.address, hwm=1) as subscriber:
        line.wait_subscribed()
        line.send(3000, "x" * 5000)  # more than the kernel's buffers take
        assert endpoint.stop(timeout=20.0)
        line.close()
        started = time.monotonic()
        context.term()
        assert time.monotonic() - started < LINGER_MS / 1000 + 20.0  # without a bound it would never end
        assert subscriber.event()["ZMQ-Sequence"] == "1"


def test_two_endpoints_of_one_publisher_get_each_everything(line: Line, tmp_path: Path) -> None:
    first, second = line.endpoint(), line.endpoint(address=f"ipc://{tmp_path}/events")
    with Subscriber(first.address) as one, Subscriber(second.address) as other:
        wait_for(lambda: line.subscriptions() == 2, "both")
        line.send(1)
        last = line.only.accepted
        for subscriber in (one, other):
            subscriber.until(lambda event: int(event["ZMQ-Sequence"]) == last)
        assert first.stop()
        line.send(1)
        assert numbers(other, 1) == [last + 1]
        assert not one.socket.poll(0)


def test_a_peer_that_says_nothing_is_closed_after_the_handshake_time(line: Line) -> None:
    endpoint = line.endpoint(handshake_ms=50)
    host, _, port = endpoint.address[len("tcp://") :].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20.0) as peer, contextlib.suppress(ConnectionResetError):
        while peer.recv(4096):
            pass


def test_a_peer_whose_message_is_too_large_is_cut_off(line: Line) -> None:
    endpoint = line.endpoint(max_message_bytes=100)
    with Subscriber(endpoint.address, prefixes=[b"x" * 90]):
        line.wait_subscribed()
        with Subscriber(prefixes=[b"y" * 200]) as bad:
            wait_cut_off(bad, endpoint.address)
            assert line.subscriptions() == 1


def wait_cut_off(subscriber: Subscriber, address: str) -> None:
    """Connects it, and waits until the other side has ended the connection."""
    with subscriber.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
        subscriber.socket.connect(address)
        assert monitor.poll(20_000), "it was not cut off"
        subscriber.socket.disable_monitor()


def test_with_a_rule_and_nobody_to_ask_nobody_gets_in(line: Line) -> None:
    endpoint = line.endpoint(a_rule(), acl=("loopback.auto",), handshake_ms=100)
    with Subscriber() as subscriber:
        wait_cut_off(subscriber, endpoint.address)
    assert line.subscriptions() == 0


def test_a_monitor_that_nobody_reads_holds_up_nobody(line: Line) -> None:
    rule = a_rule()
    watched, other = line.endpoint(rule, handshake_ms=60_000), line.endpoint()
    assert rule.endpoint == watched.address
    with Subscriber(other.address) as subscriber:
        line.wait_subscribed()
        # Each is two events; without a bound libzmq keeps them all, and its only I/O thread goes on.
        for _ in range(2500):
            RawPeer(watched.address).close()
        line.send(10)
        assert numbers(subscriber, 10) == list(range(1, 11))
        assert watched.stop(timeout=20.0)
        line.send(1)
        assert numbers(subscriber, 1) == [11]


def test_what_a_peer_sends_besides_subscriptions_changes_nothing(line: Line, context: Context) -> None:
    endpoint = line.endpoint()
    with context.socket(zmq.XSUB) as peer:
        peer.set(zmq.LINGER, 0)
        peer.connect(endpoint.address)
        for frames in (
            [b"hello"],
            [b""],
            [b"\x02"],
            [b"\xff" * 1000],
            [b"\x01API", b"\x01more"],
            [b"two", b"frames"],
            [b"hidden", b"\x00more"],
            [b"hidden", b"\x00never"],
            [b"\x00more", b"", b"\x00never", b"\x01more"],
        ):
            peer.send_multipart(frames)
        peer.send(b"\x01")
        wait_for(lambda: line.subscriptions() and endpoint.link.subscriptions.want(b""), "its last subscription")
        line.send(2)
        assert peer.poll(20_000)
        assert endpoint.alive


def test_a_subscription_hidden_in_a_message_stops_nothing_for_the_others(
    line: Line, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = line.endpoint()
    told: list[bytes] = []
    update = endpoint.link.subscriptions.update

    def note(report: bytes) -> Sequence[bytes]:
        told.append(report)
        return update(report)

    monkeypatch.setattr(endpoint.link.subscriptions, "update", note)
    with Subscriber(endpoint.address) as subscriber, context.socket(zmq.XSUB) as peer:
        line.wait_subscribed()
        peer.set(zmq.LINGER, 0)
        peer.connect(endpoint.address)
        peer.send(b"\x01API")
        # libzmq drops a subscription that it needn't tell; the proxy must not wait for what never comes.
        peer.send_multipart([b"hello", b"\x01API"])
        peer.send_multipart([b"after"])
        wait_for(lambda: line.subscriptions() and b"after" in told, "the messages to pass")
        assert b"hello" in told
        line.send(10)
        assert numbers(subscriber, 10) == list(range(1, 11))
    assert endpoint.alive


# Each is the bodies of the frames of one message.
HALVES = [
    [b"x", b"\x00p"],
    [b"x", b"\x01p"],
    [b"x", b"y", b"\x00p"],
    [b"\x00p", b"x", b"\x01p"],
    [b"\x01", b"\x00", b"\x01"],
    [b"", b"\x00p"],
    [b"x", b""],
]


@pytest.mark.parametrize("bodies", HALVES, ids=str)
def test_half_messages_end_no_proxy_and_no_subscription(line: Line, bodies: list[bytes]) -> None:
    endpoint = line.endpoint()
    with Subscriber(endpoint.address, prefixes=[b"", b"p"]) as subscriber, RawPeer(endpoint.address) as peer:
        wait_for(lambda: line.subscriptions() == 2, "both subscriptions")
        peer.shake_hands()
        for _ in range(20):
            peer.send(b"".join(frame(body, 1) for body in bodies[:-1]) + frame(bodies[-1]))
        peer.subscribe(b"last")
        wait_for(lambda: line.subscriptions() >= 3 and endpoint.link.subscriptions.want(b"last"), "its subscription")
        # And one of which the end never comes.
        peer.send(frame(b"x", 1))
        peer.close()
        wait_for(lambda: line.subscriptions() == 2, "its subscription to go")
        line.send(10)
        assert numbers(subscriber, 10) == list(range(1, 11))
    assert endpoint.alive


# Who is let in.


def test_what_watches_its_connections_goes_with_it(line: Line, context: Context) -> None:
    access = Access(context, Commands(), line.errors.append)
    access.start()

    def open_one(address: str) -> Endpoint:
        rule = a_rule()
        access.rules[rule.domain] = rule
        endpoint = Endpoint(
            context, line.only.open_link(), replace(OPTIONS, address=address), access, rule, line.errors.append
        )
        line.callback(endpoint.stop)
        endpoint.start()
        return endpoint

    try:
        for _ in range(3):
            endpoint = open_one("tcp://127.0.0.1:*")
            with Subscriber(endpoint.address):
                line.wait_subscribed()
                rule = endpoint.rule
                assert rule is not None
                wait_for(lambda rule=rule: rule.connections == 1, "the connection to be counted")  # type: ignore[misc]
                # Neither does one that can't be opened leave anything.
                with pytest.raises(StartError, match="already in use"):
                    open_one(endpoint.address)
                assert endpoint.stop()
            wait_for(lambda: not access._watched and not access._changes, "the monitor's socket to be closed")
    finally:
        line.close()  # the endpoints end before the handler
        assert access.stop()


def test_other_addresses_hold_for_its_next_opening_too(line: Line) -> None:
    guarded, open_ = line.endpoint(a_rule(), acl=("loopback.auto",)), line.endpoint()
    for endpoint in (guarded, open_):
        endpoint.let_in(("192.0.2.0/24",))
    assert guarded.rule is not None
    assert guarded.rule.judge("127.0.0.1", b"NULL", b"") == "address"
    assert guarded.options == replace(OPTIONS, acl=("192.0.2.0/24",))
    # Where peers are not let in by address nothing changes.
    assert open_.options == OPTIONS


def test_its_connections_can_be_ended(line: Line, context: Context) -> None:
    access = Access(context, Commands(), line.errors.append)
    access.start()
    rule = a_rule()
    access.rules[rule.domain] = rule
    options = replace(OPTIONS, acl=("loopback.auto",))
    endpoint = Endpoint(context, line.only.open_link(), options, access, rule, line.errors.append)
    line.callback(endpoint.stop)
    endpoint.start()
    try:
        with RawPeer(endpoint.address) as one, RawPeer(endpoint.address) as other:
            one.shake_hands()
            wait_for(lambda: rule.connections == 2, "both to be counted")
            endpoint.end_connections()
            for peer in (one, other):
                peer.rest()
            wait_for(lambda: rule.connections == 0, "them to be gone")
        # It goes on with whoever comes.
        with Subscriber(endpoint.address) as subscriber:
            line.wait_subscribed()
            line.send(1)
            assert numbers(subscriber, 1) == [1]
    finally:
        line.close()
        assert access.stop()


# Who takes back what is not its own, over the wire.


def test_a_forged_unsubscription_cuts_off_nobody(line: Line) -> None:
    endpoint = line.endpoint()
    with Subscriber(endpoint.address) as honest, RawPeer(endpoint.address) as forging:
        line.wait_subscribed()
        forging.shake_hands()
        for round_ in range(3):
            for _ in range(100):
                assert forging.unsubscribe(b"")
            mark = b"%d" % round_
            forging.subscribe(mark)
            # What it sent before this has been told, and what came of it checked, when this is known and gone again.
            wait_for(lambda mark=mark: line.subscriptions() == 2, "its subscription")  # type: ignore[misc]
            forging.unsubscribe(mark)
            wait_for(lambda: line.subscriptions() == 1, "its subscription to go")
            line.send(10)
        assert numbers(honest, 30) == list(range(1, 31))
    wait_for(lambda: line.subscriptions() == 0, "the honest one to go")


def test_who_subscribes_and_forges_without_a_pause_cuts_off_nobody_who_comes_meanwhile(line: Line) -> None:
    endpoint = line.endpoint()
    end = threading.Event()

    def forge() -> None:
        with RawPeer(endpoint.address) as peer:
            peer.shake_hands()
            turn = b"".join(frame(body) for body in (b"\x01", b"\x00", b"\x00"))
            while not end.is_set():
                assert peer.send(turn * 5)

    forging = threading.Thread(target=forge)
    forging.start()
    try:
        for _ in range(20):
            with Subscriber(endpoint.address) as honest:

                def one_comes(honest: Subscriber = honest) -> bool:
                    line.subscriptions()
                    line.send(1)
                    return bool(honest.socket.poll(1))

                wait_for(one_comes, "its first event")
                line.subscriptions()
                line.send(20)
                last = line.only.accepted
                found = honest.until(lambda event, last=last: int(event["ZMQ-Sequence"]) == last)  # type: ignore[misc]
                assert sequences(found) == list(range(last - len(found) + 1, last + 1))
    finally:
        end.set()
        forging.join()


# More subscriptions than it may hold.


def test_it_ends_when_it_is_tripped_without_an_error(line: Line) -> None:
    endpoint = line.endpoint()
    with Subscriber(endpoint.address):
        line.wait_subscribed()
        endpoint.trip()
        wait_for(lambda: not endpoint.alive, "the thread to end")
        assert endpoint.tripped
        assert endpoint.failure is None
        assert endpoint.link.gone
        endpoint.trip()  # it may be told again before the pump knows
        assert endpoint.stop()
        wait_for(lambda: is_free(endpoint.address), "libzmq to let go of it")
        # It holds up nothing.
        line.send(5)
        assert line.only.shed == 0


def test_one_that_subscribes_without_end_trips_its_own_endpoint_alone(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "SUBSCRIPTIONS_SIZE", 10_000)
    endpoint, other = line.endpoint(), line.endpoint()
    with Subscriber(other.address) as subscriber, RawPeer(endpoint.address) as greedy:
        line.wait_subscribed()
        greedy.shake_hands()
        for number in range(1000):
            greedy.subscribe(b"%d" % number)
        wait_for(lambda: line.subscriptions() and not endpoint.alive, "it to end")
        assert (endpoint.tripped, endpoint.failure) == (True, None)
        greedy.rest()  # and its connection with it
        line.send(10)
        assert numbers(subscriber, 10) == list(range(1, 11))
        assert other.alive
        assert line.only.subscriptions == 1


def test_what_was_handed_over_before_it_was_tripped_still_arrives(line: Line) -> None:
    endpoint = line.endpoint()
    with Subscriber(endpoint.address) as subscriber:
        line.wait_subscribed()
        line.send(500)
        endpoint.trip()
        assert numbers(subscriber, 500) == list(range(1, 501))


def test_it_ends_though_the_first_word_about_it_is_lost(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "SUBSCRIPTIONS_SIZE", 100)
    endpoint = line.endpoint()
    send, lost = endpoint._send_terminate, [True]

    def lossy(timeout_ms: int) -> bool:
        return False if lost and lost.pop() else send(timeout_ms)

    monkeypatch.setattr(endpoint, "_send_terminate", lossy)
    with RawPeer(endpoint.address) as greedy:
        greedy.shake_hands()
        for number in range(100):
            greedy.subscribe(b"%d" % number)

        def ended() -> bool:
            line.subscriptions()
            return not endpoint.alive

        wait_for(ended, "the thread to end")


def test_one_that_takes_nothing_for_long_is_tripped_and_the_others_go_on(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long each takes nothing is the test's to say: on a busy machine it could be any of them.
    clock = Clock().set(monkeypatch, link_module)
    go_on = threading.Event()
    proxy = zmq.proxy_steerable
    stuck: list[zmq.Socket[bytes]] = []

    def stuck_proxy(back: zmq.Socket[bytes], front: zmq.Socket[bytes], *rest: zmq.Socket[bytes]) -> None:
        if front in stuck:
            assert go_on.wait(60.0)
        proxy(back, front, *rest)

    monkeypatch.setattr(zmq, "proxy_steerable", stuck_proxy)
    first, second = line.endpoint(), line.endpoint()
    with Subscriber(first.address), Subscriber(second.address) as other, RawPeer(first.address) as peer:
        wait_for(lambda: line.subscriptions() == 2, "both")
        peer.shake_hands()
        assert first._front is not None
        stuck.append(first._front)
        peer.send(frame(b"x", 1) + frame(b"\x01"))  # half a message brings the proxy back to us
        try:

            def all_sent() -> bool:
                send_all(line.only)
                return not line.only.queued

            offer(line.only, *[FakeEvent("API")] * 10_000)
            send_all(line.only)
            assert line.only.queued  # the first is full, and the second has to wait for it
            handed_over = line.only.published
            found = numbers(other, handed_over)
            clock.now += link_module.STUCK_SECONDS + 0.1
            wait_for(all_sent, "the other one to get them all")
            assert first.tripped
            assert not second.tripped
            assert found + numbers(other, 10_000 - handed_over) == list(range(1, 10_001))
        finally:
            go_on.set()
        wait_for(lambda: not first.alive, "its thread to end")


@pytest.mark.parametrize("length", [1000, MESSAGE_BYTES - 16])  # of which ZMTP 3.1 takes ten
def test_a_prefix_that_is_long_comes_and_goes(line: Line, length: int) -> None:
    endpoint = line.endpoint()
    for _ in range(3):
        with Subscriber(endpoint.address, prefixes=[b"x" * length]):
            line.wait_subscribed()
        wait_for(lambda: line.subscriptions() == 0, "the subscription to go")
    assert endpoint.alive
    # Whether it is checked or not, over a network none is longer.
    assert MESSAGE_BYTES <= CHECKED_LENGTH


def test_a_prefix_that_is_too_long_is_not_taken_whatever_is_configured(line: Line) -> None:
    endpoint = line.endpoint(max_message_bytes=65536)
    with Subscriber(endpoint.address):
        line.wait_subscribed()
        with Subscriber(prefixes=[b"y" * (MESSAGE_BYTES + 1)]) as bad:
            wait_cut_off(bad, endpoint.address)
            assert line.subscriptions() == 1


def test_when_the_context_goes_the_error_is_reported(line: Line) -> None:
    context: Context = zmq.Context()
    link = Link(context)
    endpoint = Endpoint(
        context, link, OPTIONS, Unread(context, Commands(), line.errors.append), None, line.errors.append
    )
    endpoint.start()
    link.close()
    context.term()
    wait_for(lambda: not endpoint.alive, "the thread to end")
    assert [type(error) for error in line.errors] == [zmq.ContextTerminated]
    line.errors.clear()


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_descriptors_do_not_pile_up(line: Line) -> None:
    def come_and_go() -> int:
        endpoint = line.endpoint()
        with Subscriber(endpoint.address):
            line.wait_subscribed()
        assert endpoint.stop()
        line.only.close_link(endpoint.link)
        assert line.subscriptions() == 0
        return descriptors()

    for _ in range(3):
        come_and_go()
    # libzmq closes some time after the thread is gone.
    first = come_and_go()
    for _ in range(5):
        come_and_go()
    wait_for(lambda: descriptors() <= first, "descriptors to be as many as before")
