"""The handler, asked as libzmq asks it, and real peers that are let in by their address."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
import zmq.utils.monitor

from freeswitch_zmq.module import access as access_module
from freeswitch_zmq.module import connections as connections_module
from freeswitch_zmq.module import host
from freeswitch_zmq.module import lists as lists_module
from freeswitch_zmq.module.access import GLANCE_SECONDS, PAUSE, QUICK_SECONDS, Access
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.keys import KeyRing
from freeswitch_zmq.module.refusals import Refusals
from freeswitch_zmq.module.rule import Rule
from freeswitch_zmq.module.schema import KeyConfig
from tests.support.module import Subscriber
from tests.support.waiting import wait_for
from tests.support.zmtp import RawPeer
from tests.unit.clock import Clock
from tests.unit.configurations import local, publisher
from tests.unit.fake_freeswitch import DirectLists, FakeSwitch
from tests.unit.publishing import Context
from tests.unit.stations import Station, fire_until_heard

NOBODY_HERE = "192.0.2.0/24"
"""RFC 5737: never the address of a peer."""

ALICE, BOB = b"a" * 32, b"b" * 32


@pytest.fixture
def errors() -> list[BaseException]:
    return []


@pytest.fixture
def commands(switch: FakeSwitch) -> Commands:
    """Whose answers nobody takes."""
    return Commands()


@pytest.fixture
def access(context: Context, commands: Commands, errors: list[BaseException]) -> Iterator[Access]:
    access = Access(context, commands, errors.append)
    access.start()
    yield access
    commands.close()
    assert access.stop()


class Asking(contextlib.ExitStack):
    """Asks as libzmq does: it need not wait for an answer before it asks the next."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._socket = self.enter_context(context.socket(zmq.DEALER))
        self._socket.set(zmq.LINGER, 0)
        self._socket.connect("inproc://zeromq.zap.01")

    def send(self, *frames: bytes) -> None:
        self._socket.send_multipart([b"", *frames])

    def reply(self) -> list[bytes]:
        assert self._socket.poll(20_000), "no answer"
        empty, *frames = self._socket.recv_multipart()
        assert empty == b""
        return frames

    def unanswered(self) -> bool:
        return not self._socket.poll(0)

    def ask(self, *frames: bytes) -> list[bytes]:
        self.send(*frames)
        return self.reply()


@pytest.fixture
def asking(access: Access, context: Context) -> Iterator[Asking]:
    with Asking(context) as asking:
        yield asking


def zap(address: bytes, *key: bytes, domain: bytes = b"events", request_id: bytes = b"id-7") -> list[bytes]:
    """A request; with a key it is one of CURVE."""
    return [b"1.0", request_id, domain, address, b"", b"CURVE" if key else b"NULL", *key]


def a_rule(*acl: str, curve: bool = False, ring: KeyRing | None = None) -> Rule:
    rule = Rule("default", "tcp://here", acl, curve, ring or KeyRing([]), Refusals(), "events")
    rule.patience = 60.0  # an answer is not to be too late because a thread of the test had to wait for its turn
    return rule


def a_ring() -> KeyRing:
    return KeyRing([KeyConfig("alice", ALICE, ("default",), ()), KeyConfig("bob", BOB, (), ())])


def let_in(user: bytes = b"", request_id: bytes = b"id-7") -> list[bytes]:
    return [b"1.0", request_id, b"200", b"OK", b"0 " + user, b""]


# 300, not 400: after that libzmq would never try again.
REFUSED = [b"1.0", b"id-7", b"300", b"not let in", b"", b""]


def test_the_answers_that_libzmq_gets(access: Access, asking: Asking, errors: list[BaseException]) -> None:
    rule = access.rules["events"] = a_rule("127.0.0.0/8")
    assert asking.ask(*zap(b"127.0.0.1")) == let_in()
    assert asking.ask(*zap(b"192.0.2.1")) == REFUSED
    assert rule.refusals.by_reason[("tcp://here", "address")].count == rule.refusals.count == 1
    assert errors == []


def test_the_answers_about_keys(access: Access, asking: Asking, errors: list[BaseException]) -> None:
    ring = a_ring()
    rule = access.rules["events"] = a_rule("127.0.0.0/8", curve=True, ring=ring)
    # The key in hex is what libzmq calls the user, after the number of connections that have ended there.
    assert asking.ask(*zap(b"127.0.0.1", ALICE)) == let_in(ALICE.hex().encode())
    for request in (
        zap(b"127.0.0.1", BOB),
        zap(b"127.0.0.1", b"s" * 32),
        zap(b"127.0.0.1", b""),
        zap(b"192.0.2.1", ALICE),
        zap(b"127.0.0.1"),
        zap(b"127.0.0.1", ALICE)[:-1],
    ):
        assert asking.ask(*request) == REFUSED
    found = {reason: (each.count, each.key) for (_, reason), each in rule.refusals.by_reason.items()}
    assert found == {
        "publisher": (1, "bob"),
        "key": (3, ""),
        "address": (1, "alice"),
        "handshake": (1, ""),
    }
    assert (ring.let_in["alice"].count, ring.let_in["bob"].count) == (1, 0)
    assert errors == []


@pytest.mark.parametrize(
    "request_",
    [
        zap(b"127.0.0.1", domain=b"unknown"),
        zap(b"127.0.0.1", domain=b""),
        zap(b"127.0.0.1", domain=b"events "),
        zap(b""),
        zap(b"127.0.0.1\0"),
        zap(b"\xff"),
        zap(b"127.0.0.1", domain=b"\xff"),
        [b"1.0", b"id-7", b"events", b"127.0.0.1"],
        [b"1.0", b"id-7", b"events"],
        [b"1.0", b"id-7"],
    ],
    ids=lambda frames: str(frames[2:4]),
)
def test_what_is_not_understood_is_refused(access: Access, asking: Asking, request_: list[bytes]) -> None:
    access.rules["events"] = a_rule("127.0.0.0/8")
    assert asking.ask(*request_) == REFUSED
    assert asking.ask(*zap(b"127.0.0.1")) == let_in()


def test_what_could_not_even_be_answered_is_survived(access: Access, context: Context, asking: Asking) -> None:
    access.rules["events"] = a_rule("127.0.0.0/8")
    with context.socket(zmq.DEALER) as odd:
        odd.set(zmq.LINGER, 0)
        odd.connect("inproc://zeromq.zap.01")
        for frames in ([b""], [b"x"], [b"", b"1.0"], [b"x", b"y", b"z"]):
            odd.send_multipart(frames)
            assert odd.poll(20_000)
            assert b"300" in odd.recv_multipart()
    assert asking.ask(*zap(b"127.0.0.1")) == let_in()


def test_what_nobody_expected_is_reported_and_refused(
    access: Access, asking: Asking, errors: list[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = access.rules["events"] = a_rule("127.0.0.0/8")
    with monkeypatch.context() as patch:
        patch.setattr(rule, "judge", lambda *request: 1 / 0)
        assert asking.ask(*zap(b"127.0.0.1")) == REFUSED
    assert asking.ask(*zap(b"127.0.0.1")) == let_in()
    assert [type(error) for error in errors] == [ZeroDivisionError]


def test_one_context_has_one_handler(access: Access, commands: Commands, context: Context) -> None:
    second = Access(context, commands, lambda error: None)
    with pytest.raises(zmq.ZMQError, match="in use"):
        second.start()
    assert second.stop()


# FreeSWITCH's lists.


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> Iterator[DirectLists]:
    """FreeSWITCH's lists, which have 192.0.2.1 in "lan"."""
    direct = DirectLists(("192.0.2.1", "lan"))
    monkeypatch.setattr(host, "in_list", direct.in_list)
    yield direct
    direct.gate.set()


def test_freeswitch_decides_about_its_lists(direct: DirectLists, access: Access, asking: Asking) -> None:
    rule = access.rules["events"] = a_rule("127.0.0.0/8", "wan.auto", "lan")
    for address, reply in (
        (b"192.0.2.1", let_in()),
        (b"192.0.2.2", REFUSED),
        (b"::ffff:192.0.2.1", let_in()),
        (b"fe80::1%eth0", REFUSED),
        (b"127.0.0.1", let_in()),
    ):
        assert asking.ask(*zap(address)) == reply
    assert direct.asked == [
        (address, name)
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "fe80::1")
        for name in ("wan.auto", "lan")
    ]
    assert rule.refusals.by_reason[("tcp://here", "address")].count == 2


def test_nobody_else_waits_while_freeswitch_does_not_answer(
    direct: DirectLists, access: Access, asking: Asking, errors: list[BaseException]
) -> None:
    access.rules["events"] = a_rule("127.0.0.0/8", "lan")
    direct.gate.clear()
    asking.send(*zap(b"192.0.2.1", request_id=b"later"))
    assert direct.waiting.wait(20.0)
    for _ in range(20):
        assert asking.ask(*zap(b"127.0.0.1")) == let_in()
    assert asking.unanswered()
    direct.gate.set()
    assert asking.reply() == let_in(request_id=b"later")
    assert errors == []


def test_an_answer_of_freeswitchs_goes_on_at_once(
    direct: DirectLists, access: Access, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    access.rules["events"] = a_rule("127.0.0.0/8", "lan")
    with monkeypatch.context() as patch:
        patch.setattr(access_module, "POLL_MS", 60_000)  # far more than `reply` waits
        for number in range(5):
            direct.gate.clear()
            direct.waiting.clear()
            asking.send(*zap(b"192.0.2.%d" % (number % 2 + 1)))
            assert direct.waiting.wait(20.0)
            direct.gate.set()
            assert asking.reply()[2] == (b"300" if number % 2 else b"200")
        # And when nobody waits any more it sleeps as long as before.
        assert access._asked == 0
    assert asking.ask(*zap(b"127.0.0.1")) == let_in()  # wakes it, and it can be stopped


def test_when_too_many_wait_the_others_are_refused_at_once(
    direct: DirectLists, context: Context, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists_module, "WAITING_AT_MOST", 3)
    access = Access(context, commands, lambda error: pytest.fail(str(error)))
    access.start()
    try:
        rule = access.rules["events"] = a_rule("lan")
        direct.gate.clear()
        with Asking(context) as asking:
            asking.send(*zap(b"192.0.2.1", request_id=b"first"))
            assert direct.waiting.wait(20.0)
            for number in range(5):
                asking.send(*zap(b"192.0.2.1", request_id=b"%d" % number))
            # Those for which there was no place.
            assert [asking.reply()[1:3] for _ in range(2)] == [[b"3", b"300"], [b"4", b"300"]]
            assert asking.unanswered()
            busy = rule.refusals.by_reason[("tcp://here", "busy")]
            assert (busy.count, busy.address) == (2, "192.0.2.1")
            direct.gate.set()
            assert [asking.reply()[1:3] for _ in range(4)] == [[each, b"200"] for each in (b"first", b"0", b"1", b"2")]
            assert rule.refusals.count == 2
    finally:
        direct.gate.set()
        assert access.stop()


def test_without_an_answer_nobody_is_let_in(
    access: Access, asking: Asking, monkeypatch: pytest.MonkeyPatch, errors: list[BaseException]
) -> None:
    def fail(address: str, name: str) -> bool:
        raise RuntimeError("on purpose")

    rule = access.rules["events"] = a_rule("lan", curve=True, ring=a_ring())
    monkeypatch.setattr(host, "in_list", fail)
    assert asking.ask(*zap(b"192.0.2.1", ALICE)) == REFUSED
    busy = rule.refusals.by_reason[("tcp://here", "busy")]
    assert (busy.count, busy.address, busy.key) == (1, "192.0.2.1", "alice")
    assert [str(error) for error in errors] == ["on purpose"]


def test_who_has_no_key_is_not_worth_a_question(direct: DirectLists, access: Access, asking: Asking) -> None:
    access.rules["events"] = a_rule("lan", curve=True, ring=a_ring())
    for request in (zap(b"192.0.2.1", b"s" * 32), zap(b"192.0.2.1", BOB), zap(b"192.0.2.1")):
        assert asking.ask(*request) == REFUSED
    assert direct.asked == []
    assert asking.ask(*zap(b"192.0.2.1", ALICE)) == let_in(ALICE.hex().encode())


@pytest.mark.parametrize("publishers", [None, ()], ids=["the key", "the publisher from the key"])
def test_a_key_that_is_taken_away_while_freeswitch_is_asked_is_not_let_in(
    direct: DirectLists, access: Access, asking: Asking, publishers: tuple[str, ...] | None
) -> None:
    ring = a_ring()
    rule = access.rules["events"] = a_rule("lan", curve=True, ring=ring)
    direct.gate.clear()
    asking.send(*zap(b"192.0.2.1", ALICE))
    assert direct.waiting.wait(20.0)
    ring.configure([] if publishers is None else [KeyConfig("alice", ALICE, publishers, ())])
    direct.gate.set()
    assert asking.reply() == REFUSED
    [((_, reason), _)] = rule.refusals.by_reason.items()
    assert reason == ("key" if publishers is None else "publisher")
    assert not any(record.count for record in ring.let_in.values())


def test_other_lists_while_freeswitch_is_asked_are_no_answer(
    direct: DirectLists, access: Access, asking: Asking
) -> None:
    rule = access.rules["events"] = a_rule("lan")
    direct.gate.clear()
    asking.send(*zap(b"192.0.2.1"))
    assert direct.waiting.wait(20.0)
    rule.configure(("wan",))
    direct.gate.set()
    # It comes back, and then the new ones are asked.
    assert asking.reply() == REFUSED
    assert rule.refusals.by_reason[("tcp://here", "busy")].count == 1
    assert asking.ask(*zap(b"192.0.2.1")) == REFUSED
    assert rule.refusals.by_reason[("tcp://here", "address")].count == 1


def test_an_answer_that_comes_too_late_is_none(direct: DirectLists, access: Access, asking: Asking) -> None:
    rule = access.rules["events"] = a_rule("lan")
    rule.patience = 0.0  # libzmq has ended the connection by now
    assert asking.ask(*zap(b"192.0.2.1")) == REFUSED
    assert rule.refusals.by_reason[("tcp://here", "busy")].count == rule.refusals.count == 1
    rule.patience = 2.0
    assert asking.ask(*zap(b"192.0.2.1")) == let_in()


def test_an_endpoint_that_is_closed_while_freeswitch_is_asked_lets_nobody_in(
    direct: DirectLists, access: Access, asking: Asking, errors: list[BaseException]
) -> None:
    access.rules["events"] = a_rule("lan")
    direct.gate.clear()
    asking.send(*zap(b"192.0.2.1"))
    assert direct.waiting.wait(20.0)
    del access.rules["events"]
    direct.gate.set()
    assert asking.reply() == REFUSED
    assert errors == []


def test_who_asked_and_is_gone_is_not_missed(
    direct: DirectLists, access: Access, context: Context, asking: Asking, errors: list[BaseException]
) -> None:
    access.rules["events"] = a_rule("lan")
    direct.gate.clear()
    with Asking(context) as gone:
        gone.send(*zap(b"192.0.2.1"))
        assert direct.waiting.wait(20.0)
    direct.gate.set()
    assert asking.ask(*zap(b"192.0.2.1")) == let_in()
    assert errors == []


def test_a_stop_does_not_wait_long_for_freeswitch(
    direct: DirectLists, context: Context, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(context, commands, lambda error: pytest.fail(str(error)))
    access.start()
    access.rules["events"] = a_rule("lan")
    direct.gate.clear()
    with Asking(context) as asking:
        asking.send(*zap(b"192.0.2.1"))
        assert direct.waiting.wait(20.0)
        assert access.stop(20.0)  # FreeSWITCH would not answer for a minute
    direct.gate.set()  # its thread ends as soon as it gets its answer


# Who comes in is told apart from those that have ended before.


@pytest.fixture
def ended(access: Access, context: Context) -> Iterator[Callable[[int], None]]:
    """``ended(count)``: so many connections end at the endpoint "events", as libzmq's monitor tells of an end."""
    rule = access.rules["events"] = a_rule("127.0.0.0/8")
    watched = False
    with context.socket(zmq.PAIR) as monitored:
        monitor = context.socket(zmq.PAIR)
        monitored.bind("inproc://monitored")
        monitor.connect("inproc://monitored")

        def end(count: int) -> None:
            nonlocal watched
            for fd in range(1000, 1000 + count):
                monitored.send_multipart([struct.pack("=HI", zmq.EVENT_DISCONNECTED, fd), b"tcp://127.0.0.1:1"])
            if not watched:
                watched = True
                access.watch(monitor, rule)

        yield end
        assert access.stop()  # which closes the monitor's socket


def test_what_had_ended_before_is_known_of_an_endpoint_that_has_just_been_opened(
    ended: Callable[[int], None], asking: Asking
) -> None:
    ended(2)
    assert asking.ask(*zap(b"127.0.0.1"))[-2] == b"2 "
    ended(1)
    assert asking.ask(*zap(b"127.0.0.1"))[-2] == b"3 "


def test_nobody_comes_in_before_all_that_had_ended_is_known(
    ended: Callable[[int], None], asking: Asking, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_module, "AT_ONCE", 1)
    access.rules["other"] = a_rule("127.0.0.0/8")
    # It looks at none of them before all are there.
    held = access.rules["held"] = a_rule()
    begun, go_on = threading.Event(), threading.Event()

    def judge(*request: object) -> str:
        begun.set()
        assert go_on.wait(60.0)
        return "address"

    monkeypatch.setattr(held, "judge", judge)
    asking.send(*zap(b"127.0.0.1", domain=b"held"))
    assert begun.wait(20.0)
    ended(1000)
    asking.send(*zap(b"127.0.0.1", request_id=b"here"))
    asking.send(*zap(b"127.0.0.1", request_id=b"there", domain=b"other"))
    go_on.set()
    assert asking.reply() == REFUSED
    # Others need not wait for that.
    assert [(reply[1], reply[-2]) for reply in (asking.reply(), asking.reply())] == [
        (b"there", b"0 "),
        (b"here", b"1000 "),
    ]


# With real publishers and peers.


def test_without_a_handler_nobody_gets_in(access: Access, context: Context) -> None:
    access.rules["events"] = a_rule("127.0.0.0/8")
    with context.socket(zmq.XPUB) as server:
        server.set_string(zmq.ZAP_DOMAIN, "events")
        server.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        server.set(zmq.HANDSHAKE_IVL, 200)
        server.set(zmq.LINGER, 0)
        port = server.bind_to_random_port("tcp://127.0.0.1")
        with Subscriber(f"tcp://127.0.0.1:{port}"):
            assert server.poll(20_000)
            assert server.recv() == b"\x01"
        assert server.poll(20_000)
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
        assert monitor.poll(20_000), told
        event = int(zmq.utils.monitor.recv_monitor_message(monitor)["event"])
        if event in (zmq.EVENT_HANDSHAKE_SUCCEEDED, zmq.EVENT_DISCONNECTED):
            told.append(event)
    return told


def test_a_peer_of_this_machine_is_let_in(switch: FakeSwitch) -> None:
    with Station(switch, publisher(*local())) as station:
        with Subscriber(*station.addresses()) as subscriber:
            station.subscribed(subscriber)
        assert station.publication().refusals.count == 0


def test_one_that_is_not_let_in_gets_nothing_and_comes_in_by_itself_later(switch: FakeSwitch) -> None:
    refusing = publisher(*local(apply_inbound_acl=NOBODY_HERE, handshake_ms=100))
    with Station(switch, refusing) as station, Subscriber(*station.addresses()) as subscriber:
        wait_for(lambda: station.refused("address") >= 3, "three refusals")
        station.fire("HEARTBEAT")
        switch.wait_until_taken()
        wait_for(lambda: station.publication().publisher.accepted == 1, "the event")
        # It could not even subscribe.
        assert station.publication().publisher.subscriptions == 0
        assert station.latest("address") == ("127.0.0.1", "")
        refused = station.refused("address")
        wait_for(lambda: station.refused("address") > refused, "one more")
        assert not subscriber.socket.poll(0)
        # Only the rule changes; nobody touches the subscriber.
        [address] = station.addresses()
        station.reload(publisher(*local(bind=address, apply_inbound_acl=[NOBODY_HERE, "loopback.auto"])))
        assert station.addresses() == [address]
        station.subscribed(subscriber)
        # And out again: who is in stays in, who comes is not let in.
        station.reload(publisher(*local(bind=address, apply_inbound_acl=NOBODY_HERE)))
        refused = station.refused("address")
        with Subscriber(address) as late:
            wait_for(lambda: station.refused("address") > refused, "a refusal")
            station.subscribed(subscriber)
            assert not late.socket.poll(0)


def test_a_list_of_freeswitchs_lets_in_and_keeps_out(switch: FakeSwitch) -> None:
    inside = [True]
    switch.answers["acl"] = lambda command: "true" if inside[0] else "false"
    with (
        Station(switch, publisher(*local(apply_inbound_acl="lan", handshake_ms=300)), acl_lists=["lan"]) as station,
        Subscriber(*station.addresses()) as subscriber,
    ):
        station.subscribed(subscriber)
        assert "acl 127.0.0.1 lan" in switch.commands
        accepted = station.at_rest().accepted
        inside[0] = False  # after a reloadacl
        with Subscriber(*station.addresses()) as late:
            wait_for(lambda: station.refused("address") >= 2, "two refusals")
            # What the module asks is no news.
            assert station.at_rest().accepted == accepted
            station.subscribed(subscriber)
            assert not late.socket.poll(0)
            inside[0] = True
            station.subscribed(late)


def test_while_freeswitch_does_not_answer_others_come_and_events_flow(switch: FakeSwitch, direct: DirectLists) -> None:
    direct.known = (("127.0.0.1", "lan"),)
    with Station(
        switch,
        publisher(*local(apply_inbound_acl="lan", handshake_ms=30_000), name="lan"),
        publisher(*local(), name="here"),
        acl_lists=["lan"],
    ) as station:
        direct.gate.clear()
        with Subscriber(*station.addresses("lan")) as waiting:
            assert direct.waiting.wait(20.0)
            with Subscriber(*station.addresses("here")) as subscriber:
                station.subscribed(subscriber)
            assert not waiting.socket.poll(0)
            direct.gate.set()
            station.subscribed(waiting)
        assert station.publication("lan").refusals.count == 0


def test_not_a_byte_of_an_event_goes_to_one_that_is_not_let_in(switch: FakeSwitch) -> None:
    with Station(switch, publisher(*local(apply_inbound_acl=NOBODY_HERE))) as station:
        host_, _, port = station.addresses()[0][len("tcp://") :].rpartition(":")
        # ZMTP 3.1: signature, version, mechanism. It says nothing about us or the events.
        greeting = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + b"\0" * 32
        ready = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"
        with socket.create_connection((host_, int(port)), timeout=20.0) as peer:
            answer = peer.recv(10, socket.MSG_WAITALL)
            peer.sendall(greeting + ready)
            wait_for(lambda: station.refused("address"), "the refusal")
            station.fire("HEARTBEAT", "secret")
            with contextlib.suppress(ConnectionError):
                peer.sendall(b"\x00\x01\x01")  # everything, please
                station.at_rest()
                station.fire("HEARTBEAT", "secret")
                station.at_rest()
                # Its time is long, so that it does not end in the middle; this ends it.
                station.running.close()
                while part := peer.recv(4096):
                    answer += part
        assert greeting.startswith(answer)
        assert len(answer) >= 10
        assert station.refused("address") == 1


def test_a_publisher_is_not_opened_by_its_neighbours_list(switch: FakeSwitch) -> None:
    with Station(
        switch,
        publisher(*local(), name="open"),
        publisher(*local(apply_inbound_acl=NOBODY_HERE, handshake_ms=100), name="closed"),
    ) as station:
        with Subscriber(*station.addresses("closed")) as refused, Subscriber(*station.addresses("open")) as let_in_:
            station.subscribed(let_in_)
            wait_for(lambda: station.refused("address", "closed"), "a refusal")
            assert not refused.socket.poll(0)
        assert station.publication("open").refusals.count == 0


def test_every_endpoint_of_a_publisher_has_its_list_and_its_count(switch: FakeSwitch) -> None:
    binds = ["tcp://127.0.0.1:*", "tcp://127.0.0.2:*"]
    with Station(switch, publisher(*local(bind=binds, apply_inbound_acl=NOBODY_HERE, handshake_ms=100))) as station:
        refusals = station.publication().refusals
        for number, address in enumerate(station.addresses(), 1):
            with Subscriber(address) as subscriber:
                wait_for(lambda address=address: (address, "address") in refusals.by_reason, "a refusal")  # type: ignore[misc]
                assert not subscriber.socket.poll(0)
            assert len(refusals.by_reason) == number
        assert len({endpoint.rule for endpoint in station.publication().endpoints}) == 2


def test_ipc_and_inproc_are_not_asked(switch: FakeSwitch, tmp_path: Path) -> None:
    binds = [f"ipc://{tmp_path}/events", "inproc://unit-events"]
    with Station(switch, publisher(*local(bind=binds, apply_inbound_acl=NOBODY_HERE))) as station:
        with Subscriber(f"ipc://{tmp_path}/events") as subscriber:
            station.subscribed(subscriber)
        with station.running.context.socket(zmq.SUB) as inside:
            inside.subscribe(b"")
            inside.connect("inproc://unit-events")
            fire_until_heard(switch, inside)
        assert station.publication().refusals.count == 0


def test_an_ipv4_peer_on_an_ipv6_socket_counts_as_ipv4(
    access: Access, context: Context, errors: list[BaseException]
) -> None:
    access.rules["events"] = a_rule("127.0.0.1")
    with context.socket(zmq.XPUB) as server:
        server.set(zmq.IPV6, 1)
        server.set(zmq.LINGER, 0)
        server.set_string(zmq.ZAP_DOMAIN, "events")
        server.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        try:
            port = server.bind_to_random_port("tcp://[::]")
        except zmq.ZMQError as error:
            pytest.skip(f"this machine has no IPv6: {error}")
        with Subscriber(f"tcp://127.0.0.1:{port}"):
            assert server.poll(20_000)
            assert server.recv() == b"\x01"
    assert access.rules["events"].refusals.count == 0
    assert errors == []


def test_one_that_sends_too_much_is_cut_off_and_nobody_else(
    switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections_module, "BURST_BYTES", 100_000)
    monkeypatch.setattr(connections_module, "RATE_BYTES", 1000)
    with Station(switch, publisher(*local())) as station:
        [address] = station.addresses()
        with Subscriber(address) as subscriber, RawPeer(address, source="127.0.0.7") as peer:
            station.subscribed(subscriber)
            peer.shake_hands()
            # Our kernel may take long to notice that it can't get rid of it; by then it holds more than the bound.
            peer.socket.settimeout(1.0)
            before = station.at_rest().accepted
            number = 0
            while peer.subscribe(b"%09d" % number + b"x" * 990) and not station.refused("flood"):
                number += 1
                assert number < 100_000
            peer.rest()
            assert number >= 90
            wait_for(lambda: station.refused("flood"), "it to be counted")
            assert station.latest("flood") == ("127.0.0.7", "")
            wait_for(lambda: station.publication().publisher.subscriptions == 1, "its subscriptions to go")
            station.fire("CUSTOM", "end")
            events = subscriber.until(lambda event: event.get("Mark") == "end")
            assert [int(event["ZMQ-Sequence"]) for event in events] == list(range(before + 1, before + len(events) + 1))
            assert station.publication().refusals.count == 1


class Looked:
    """Connections that are looked at: how often, and how long that takes."""

    def __init__(self, clock: Clock, takes: float) -> None:
        self.count, self.has_young = 0, False
        self._clock, self._takes = clock, takes

    def cut_floods(self, _all_of_them: bool) -> None:
        self.count += 1
        self._clock.now += self._takes


@pytest.mark.parametrize(
    ("young", "takes", "seconds"),
    [(False, 0.0, GLANCE_SECONDS), (True, 0.0, QUICK_SECONDS), (True, 0.02, 0.02 * PAUSE), (False, 0.02, 0.02 * PAUSE)],
)
def test_how_soon_it_looks_again(
    young: bool, takes: float, seconds: float, context: Context, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock().set(monkeypatch, access_module)
    access = Access(context, commands, lambda error: None)
    looked = Looked(clock, takes)
    looked.has_young = young
    monkeypatch.setattr(access, "_watched", {None: looked})
    access._look(clock.now)
    assert access._look_again == pytest.approx(1000.0 + seconds)
    assert looked.count == 1


def test_what_is_watched_is_let_go_of(
    access: Access, context: Context, errors: list[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def monitored() -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
        server, monitor = context.socket(zmq.XPUB), context.socket(zmq.PAIR)
        address = f"inproc://monitor-{id(server)}"
        server.monitor(address, connections_module.EVENTS)
        monitor.set(zmq.LINGER, 0)
        monitor.connect(address)
        server.bind("tcp://127.0.0.1:*")
        return server, monitor

    rules = [a_rule("127.0.0.0/8") for _ in range(3)]
    pairs = [monitored() for _ in rules]
    for (_, monitor), rule in zip(pairs, rules):
        access.watch(monitor, rule)
    peers = []
    for server, _ in pairs:
        last = server.get(zmq.LAST_ENDPOINT)
        assert isinstance(last, bytes)
        peers.append(RawPeer(last.decode().rstrip("\0")))
    wait_for(lambda: [rule.connections for rule in rules] == [1, 1, 1], "the connections to be counted")
    # One is closed while the others go on, and one that was never watched.
    pairs[0][0].disable_monitor()
    access.unwatch(pairs[0][1])
    with context.socket(zmq.PAIR) as unknown:
        access.unwatch(unknown)
        wait_for(lambda: pairs[0][1].closed, "it to be closed")
        peers[1].close()
        wait_for(lambda: rules[1].connections == 0, "the connection to be gone")
    # The rest when it stops, also what it had not even begun to watch.
    late = monitored()
    for server, _ in (*pairs[1:], late):
        server.disable_monitor()
    access.watch(late[1], a_rule())
    assert access.stop()
    assert [monitor.closed for _, monitor in (*pairs, late)] == [True] * 4
    for server, _ in (*pairs, late):
        server.close(0)
    for peer in peers:
        peer.close()
    assert errors == []
