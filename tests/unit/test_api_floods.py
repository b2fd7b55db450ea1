"""Callers that send without end: as many requests as they like, but each of them has to end."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from freeswitch_zmq.module import access as access_module
from freeswitch_zmq.module import connections as connections_module
from freeswitch_zmq.module.rule import Rule
from tests.support.caller import Caller
from tests.support.waiting import wait_for
from tests.support.zmtp import MORE, RawPeer, command, frame
from tests.unit.asking import api_station, receive_answers
from tests.unit.fake_freeswitch import FakeSwitch
from tests.unit.stations import Station

UNFINISHED = 100_000


@pytest.fixture
def station(switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    """One that looks after its callers all the time, and bears little."""
    monkeypatch.setattr(access_module, "GLANCE_SECONDS", 0.002)
    monkeypatch.setattr(access_module, "LOOK_SECONDS", 0.002)
    monkeypatch.setattr(access_module, "POLL_MS", 2)
    with api_station(switch, allow="api:echo *, ping", max_message_bytes=20_000) as station:
        assert rule_of(station).unfinished_bytes == 10 * 20_000 + 4_000_000
        rule_of(station).unfinished_bytes = UNFINISHED
        yield station


def rule_of(station: Station) -> Rule:
    [endpoint] = station.channel.endpoints
    assert endpoint.rule is not None
    return endpoint.rule


def a_peer(station: Station, source: str = "") -> RawPeer:
    peer = RawPeer(station.asked_at(), source=source)
    peer.shake_hands(b"DEALER")
    return peer


def request(number: int, size: int) -> bytes:
    """One whose answer is as large."""
    params = {"command": "echo", "args": "x" * size}
    return frame(json.dumps({"jsonrpc": "2.0", "id": number, "method": "api", "params": params}).encode())


def flood(peer: RawPeer, raw: bytes) -> None:
    """Sends it again and again, as long as it is taken."""
    peer.socket.settimeout(0.2)
    while peer.send(raw):
        pass


def cut(station: Station) -> dict[str, tuple[int, str]]:
    """Who was, and how many."""
    by_reason = station.channel.refusals.by_reason.items()
    return {reason: (refusal.count, refusal.address) for (_, reason), refusal in by_reason}


def test_whose_requests_end_may_send_any_number_of_them(station: Station) -> None:
    with a_peer(station) as peer:
        for round_ in range(10):
            numbers = range(100 * round_, 100 * round_ + 100)
            peer.send(b"".join(request(number, 9_000) for number in numbers[:3]))
            peer.send(b"".join(request(number, 500) for number in numbers[3:]))
            assert {answer["id"] for answer in receive_answers(peer, 100)} == set(numbers)
        assert cut(station) == {}
        assert station.counted(requests=1000, succeeded=1000)


def test_a_message_without_an_end_ends_the_connection(station: Station) -> None:
    with Caller(station.asked_at()) as other, a_peer(station, "127.0.0.7") as bad:
        assert other.call("ping")
        flood(bad, frame(b"x" * 1000, MORE))
        wait_for(lambda: cut(station), "it to be told")
        assert cut(station) == {"flood": (1, "127.0.0.7")}
        assert other.call("ping")
    assert station.counted(requests=2)["errors"] == 0


def test_so_do_small_frames_without_an_end(station: Station) -> None:
    # Of these libzmq keeps 64 bytes each.
    with a_peer(station, "127.0.0.7") as bad:
        flood(bad, frame(b"", MORE) * 1000)
        wait_for(lambda: cut(station), "it to be told")
        assert cut(station) == {"flood": (1, "127.0.0.7")}


def test_who_asked_properly_before_may_not_do_it_either(station: Station) -> None:
    with a_peer(station, "127.0.0.7") as bad:
        for number in range(20):
            bad.send(request(number, 15_000))
            receive_answers(bad, 1)
        assert cut(station) == {}
        flood(bad, frame(b"x" * 1000, MORE))
        wait_for(lambda: cut(station), "it to be told")
        assert cut(station) == {"flood": (1, "127.0.0.7")}


def test_heartbeats_without_a_request_are_none(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a second may bring is more than anybody's heartbeats are.
    monkeypatch.setattr(connections_module, "RATE_BYTES", 10_000_000)
    rule_of(station).unfinished_bytes = 5_000
    with a_peer(station) as peer:
        for _ in range(1000):
            assert peer.heard()
        peer.send(request(1, 10))
        assert receive_answers(peer, 1)
    assert cut(station) == {}


def test_a_flood_of_heartbeats_is_one(station: Station) -> None:
    with a_peer(station, "127.0.0.7") as bad:
        flood(bad, command(b"PING", b"\0\0" + b"x" * 16) * 100)
        wait_for(lambda: cut(station), "it to be told")
        assert cut(station) == {"flood": (1, "127.0.0.7")}
