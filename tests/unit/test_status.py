from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import zmq

from freeswitch_zmq import __version__
from freeswitch_zmq.jsonrpc import FORBIDDEN, METHOD_NOT_FOUND
from freeswitch_zmq.module import status
from freeswitch_zmq.module.keys import KeyRing
from freeswitch_zmq.module.schema import AccessConfig, KeyConfig
from tests.support.caller import Caller
from tests.support.module import Subscriber
from tests.support.waiting import wait_for
from tests.unit.asking import api_station
from tests.unit.clock import Clock
from tests.unit.configurations import api, configuration, local, publisher
from tests.unit.fake_freeswitch import FakeEvent, FakeSwitch
from tests.unit.stations import Station
from tests.unit.whole import Whole


def a_publisher(**changes: Any) -> dict[str, Any]:
    return {
        "epoch": "1700000000000001",
        "endpoints": ["tcp://0.0.0.0:5556", "ipc:///run/a"],
        "accepted": 140223,
        "published": 140121,
        "skipped": 102,
        "shed": 0,
        "queued": 0,
        "subscriptions": 2,
        "refused": 3,
        "rate": 812.5,
        "security": "curve",
        "connections": 5,
        "replay": None,
        "refusals": [],
        **changes,
    }


def test_the_counters_of_a_publisher(switch: FakeSwitch) -> None:
    station = Station(
        switch, publisher(*local(bind=["tcp://127.0.0.1:*", "tcp://127.0.0.2:*", "inproc://unit-status"]))
    )
    first, second, _ = station.addresses()
    with (
        Subscriber(first) as subscriber,
        Subscriber(second, prefixes=[b"nothing"]),
        Subscriber(second, prefixes=[b"x"]),
    ):
        station.subscribed(subscriber)
        publication = station.publication()
        wait_for(lambda: publication.publisher.subscriptions == 3, "all subscriptions")
        wait_for(lambda: status.publication_status(publication)["connections"] == 3, "all connections")
        publication.refusals.add(second, "address", "192.0.2.1")
        publication.refusals.add(first, "key", "192.0.2.2", "0a1b")
        publication.refusals.add(first, "address", "")
        publication.refusals.add(second, "address", "192.0.2.3")
        publication.rate = 12.34
        counted = station.at_rest()
        found = status.publication_status(publication)
        assert found == {
            "epoch": str(counted.epoch),
            "endpoints": station.addresses(),
            "accepted": counted.accepted,
            "published": counted.published,
            "skipped": counted.skipped,
            "shed": 0,
            "queued": 0,
            "subscriptions": 3,
            "refused": 4,
            "rate": 12.3,
            "security": "null",
            "connections": 3,
            "replay": None,
            "refusals": [
                refusal(first, "address", 1),
                refusal(first, "key", 1, "192.0.2.2", "0a1b"),
                refusal(second, "address", 2, "192.0.2.3"),
            ],
        }
        assert json.loads(status.as_json(found)) == found
        assert found["accepted"] == found["published"] + found["skipped"] + found["shed"] > 0
        # What was bound, not what was asked for.
        assert found["endpoints"][0] != "tcp://127.0.0.1:*"
    station.close()


def test_what_is_held_for_replay(switch: FakeSwitch) -> None:
    station = Station(switch, publisher(*local(replay_mb=1, replay_events=3, event_filter="TRAP")))
    publication = station.publication()

    def held() -> Any:
        return status.publication_status(publication)["replay"]

    assert held() == {"held": 0, "bytes": 0, "oldest": 1, "newest": 0}
    switch.fire(*[FakeEvent("TRAP") for _ in range(5)])
    wait_for(lambda: publication.publisher.skipped == 5, "all events")
    ring = publication.publisher.ring
    assert ring is not None
    assert held() == {"held": 3, "bytes": ring.bytes, "oldest": 3, "newest": 5}
    station.close()


def an_api(**changes: Any) -> dict[str, Any]:
    return {
        "endpoints": ["tcp://127.0.0.1:5557", "ipc:///run/api"],
        "requests": 100,
        "succeeded": 80,
        "errors": 18,
        "notifications": 5,
        "late": 4,
        "undelivered": 3,
        "errors_by_code": {"-32602": 17, "-32001": 1},
        "refused": 1,
        "pending": 2,
        "security": "null",
        "connections": 7,
        "refusals": [],
        **changes,
    }


def test_the_counters_of_the_api(switch: FakeSwitch, tmp_path: Path) -> None:
    binds = ["tcp://127.0.0.1:*", f"ipc://{tmp_path}/api"]
    with (
        api_station(switch, bind=binds, allow="ping, api:slow *") as station,
        Caller(station.asked_at(0), zmq.DEALER) as one,
        Caller(station.asked_at(1)) as other,
    ):
        assert one.call("ping")
        assert other.call("ping")
        assert other.code("pong") == METHOD_NOT_FOUND
        for _ in range(2):
            assert one.code("status") == FORBIDDEN
        one.send("api", {"command": "slow", "args": "x"})
        one.notify("ping")

        def all_but_the_slow_one() -> bool:
            counted = station.channel.counted()
            return bool(counted["requests"] == 7 and counted["succeeded"] + counted["errors"] == 6)

        wait_for(all_but_the_slow_one, "all requests to be dealt with")
        wait_for(lambda: status.api_status(station.channel)["connections"] == 2, "the connections to be counted")
        found = status.api_status(station.channel)
        here = station.asked_at(0)
        assert found == {
            "endpoints": [here, binds[1]],
            "requests": 7,
            "succeeded": 3,
            "errors": 3,
            "notifications": 1,
            "late": 0,
            "undelivered": 0,
            "errors_by_code": {str(METHOD_NOT_FOUND): 1, str(FORBIDDEN): 2},
            "refused": 2,
            "pending": 1,
            "security": "null",
            "connections": 2,
            "refusals": [refusal(here, "forbidden", 2, "127.0.0.1")],
        }
        assert json.loads(status.as_json(found)) == found
        assert set(found) == set(an_api())


def test_the_api_is_in_the_status_where_there_is_one(whole: Whole) -> None:
    whole.service.start()
    assert "api" not in whole.service.status()
    whole.xml = configuration(publisher(*local()), api=api(*local(bind="inproc://unit-status-api")))
    whole.service.reload()
    found = whole.service.status()
    assert found["api"]["endpoints"] == ["inproc://unit-status-api"]
    assert set(found["api"]) == set(an_api())
    with whole.service.context().socket(zmq.REQ) as caller:
        caller.set(zmq.LINGER, 0)
        caller.connect("inproc://unit-status-api")
        caller.send(b'{"jsonrpc":"2.0","id":1,"method":"status"}')
        assert caller.poll(20_000)
        asked = json.loads(caller.recv())["result"]
    # Who asks is counted when it is answered.
    assert asked["api"]["requests"] == 1
    assert asked.keys() == found.keys()
    assert "\napi: 0 commands running\n" in status.as_text(asked)
    whole.xml = configuration(publisher(*local()))
    whole.service.reload()
    assert "api" not in whole.service.status()
    assert "api: " not in status.as_text(whole.service.status())


def test_the_text_about_the_api() -> None:
    found = {
        **status.head("running", 0.0, "uuid", True, 0),
        "api": an_api(refusals=[refusal("tcp://127.0.0.1:5557", "forbidden", 1, "192.0.2.1", "crm")]),
    }
    assert status.as_text(found).split("\n")[2:] == [
        "",
        "api: 2 commands running",
        "  at            tcp://127.0.0.1:5557",
        "  at            ipc:///run/api",
        "  requests      100",
        "  succeeded     80",
        "  errors        18",
        "  late          4",
        "  undelivered   3",
        "  connections   7",
        "  refused       1",
        "    1 for forbidden at tcp://127.0.0.1:5557, the latest from 192.0.2.1 with the key crm",
    ]
    assert "\napi: 1 command running\n" in status.as_text({**found, "api": an_api(pending=1)})


def a_service(**changes: Any) -> dict[str, Any]:
    return {
        "endpoints": ["tcp://127.0.0.1:5558", "ipc:///run/b"],
        "requests": 100,
        "succeeded": 80,
        "errors": 18,
        "errors_by_status": {"timeout": 11, "invalid": 7},
        "abandoned": 2,
        "pending": 3,
        "connections": [
            {"endpoint": "tcp://127.0.0.1:5558", "connected": True, "left_alone": True},
            {"endpoint": "ipc:///run/b", "connected": False, "left_alone": False},
        ],
        **changes,
    }


def test_the_text_about_services() -> None:
    ends = {"cached": 10, "found": 70, "not_found": 9, "stale": 1, "failed": 17}
    found = {
        **status.head("running", 0.0, "uuid", True, 0),
        "callouts": {"ivr": a_service()},
        "xml_bindings": {
            "users": a_service(lookups=107, **ends, cache={"entries": 1, "bytes": 1_234_567}, errors_by_status={}),
            "none": a_service(connections=[], lookups=0, **ends, cache={"entries": 0, "bytes": 0}, errors_by_status={}),
        },
    }
    text = status.as_text(found).split("\n")
    assert text[2:24] == [
        "",
        "callout ivr:",
        "  asks          tcp://127.0.0.1:5558: is there, left alone because it did not answer",
        "  asks          ipc:///run/b: nobody is there",
        "  requests      100",
        "  succeeded     80",
        "  errors        18",
        "  abandoned     2",
        "  pending       3",
        "    7 invalid",
        "    11 timeout",
        "",
        "binding users:",
        "  asks          tcp://127.0.0.1:5558: is there, left alone because it did not answer",
        "  asks          ipc:///run/b: nobody is there",
        "  lookups       107",
        "  cached        10",
        "  found         70",
        "  not found     9",
        "  stale         1",
        "  failed        17",
        "  pending       3",
    ]
    assert text[24:28] == ["  cache         1 document (1.2 MB)", "", "binding none:", "  lookups       0"]
    assert text[-1] == "  cache         0 documents (0.0 MB)"


def refusal(endpoint: str, reason: str, count: int, address: str = "", key: str = "") -> dict[str, Any]:
    return {
        "endpoint": endpoint,
        "reason": reason,
        "count": count,
        "latest_address": address,
        "latest_key": key,
    }


def test_who_is_known_by_a_key_and_was_last_let_in() -> None:
    alice, bob = KeyConfig("alice", b"a" * 32, ("one", "two"), ()), KeyConfig("bob", b"b" * 32, (), ())
    ring = KeyRing([alice, bob])
    for _ in range(2):
        ring.note_let_in(alice.public_key, "192.0.2.1")
    ring.let_in["alice"].at = 1_700_000_000.9
    assert status.key_status(ring, AccessConfig(None, (alice, bob))) == {
        "alice": {
            "publishers": ["one", "two"],
            "let_in": 2,
            "last_let_in": "2023-11-14T22:13:20Z",
            "last_address": "192.0.2.1",
        },
        "bob": {"publishers": [], "let_in": 0, "last_let_in": "", "last_address": ""},
    }
    # While a reload goes over from one to the other, the ring may know less than the configuration.
    ring.configure([])
    ring.forget_others()
    assert status.key_status(ring, AccessConfig(None, (alice,)))["alice"]["let_in"] == 0


def test_what_is_there_in_every_state(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock().set(monkeypatch, status)
    found = status.head("running", clock.now - 12.345, "uuid", True, 4)
    assert found.pop("uptime_seconds") == 12.3
    assert found == {
        "version": __version__,
        "protocol": 1,
        "state": "running",
        "core_uuid": "uuid",
        "threaded_system_exec": True,
        "errors": 4,
        "libzmq": zmq.zmq_version(),
        "pyzmq": zmq.__version__,
        "keys": {},
        "publishers": {},
    }
    assert status.head("stopped", 0.0, "uuid", False, 0)["uptime_seconds"] == 0


def test_json_is_one_line_that_can_be_read_back() -> None:
    found = status.head("running", 0.0, "uuid", True, 0)
    found["publishers"] = {"default": a_publisher(endpoints=["ipc:///run/ü\U0001f600"])}
    text = status.as_json(found)
    assert "\n" not in text
    assert json.loads(text) == found
    assert "ipc:///run/ü" in text


def test_the_text_for_a_person() -> None:
    here = "tcp://0.0.0.0:5556"
    refusals = [
        refusal(here, "address", 1, "198.51.100.7"),
        refusal(here, "key", 2, "192.0.2.9", "0a1b"),
        refusal("ipc:///run/a", "key", 3, "", "crm"),
        refusal("ipc:///run/a", "handshake", 4),
    ]
    found = {
        **status.head("running", 0.0, "uuid", True, 2),
        "version": "1.2.3",
        "libzmq": "4.3.4",
        "pyzmq": "24.0.1",
        "uptime_seconds": 3 * 86400 + 4 * 3600 + 5 * 60 + 6.7,
        "publishers": {
            "default": a_publisher(refusals=refusals, replay=held(12_345_678, 26687, 140222)),
            "other": a_publisher(
                subscriptions=1, rate=0.0, endpoints=[], connections=0, refused=0, replay=held(0, 7, 6)
            ),
        },
        "keys": {
            "crm": a_key(["default", "other"], 3, "2023-11-14T22:13:20Z", "192.0.2.8"),
            "local": a_key(["default"], 1, "2023-11-14T22:13:21Z"),
            "new": a_key([]),
        },
    }
    assert status.as_text(found).split("\n") == [
        "event_zmq 1.2.3 is running, up 3d 04:05:06",
        "threaded-system-exec on | protocol 1 | libzmq 4.3.4, pyzmq 24.0.1 | unexpected errors 2",
        "",
        "publisher default: 2 subscriptions, 812.5 events/s",
        "  at          tcp://0.0.0.0:5556",
        "  at          ipc:///run/a",
        "  accepted    140223",
        "  published   140121",
        "  skipped     102",
        "  shed        0",
        "  queued      0",
        "  connections 5",
        "  refused     3",
        "    1 for address at tcp://0.0.0.0:5556, the latest from 198.51.100.7",
        "    2 for key at tcp://0.0.0.0:5556, the latest from 192.0.2.9 with the key 0a1b",
        "    3 for key at ipc:///run/a with the key crm",
        "    4 for handshake at ipc:///run/a",
        "  replay      113536 events (12.3 MB), from 26687 to 140222",
        "",
        "publisher other: 1 subscription, 0 events/s",
        "  accepted    140223",
        "  published   140121",
        "  skipped     102",
        "  shed        0",
        "  queued      0",
        "  connections 0",
        "  refused     0",
        "  replay      nothing is held yet",
        "",
        "keys:",
        "  crm: default, other; let in 3 times, last at 2023-11-14T22:13:20Z from 192.0.2.8",
        "  local: default; let in 1 time, last at 2023-11-14T22:13:21Z from this machine",
        "  new: no publisher; never let in",
    ]


def held(size: int, oldest: int, newest: int) -> dict[str, int]:
    return {"held": newest - oldest + 1, "bytes": size, "oldest": oldest, "newest": newest}


def a_key(publishers: list[str], let_in: int = 0, last: str = "", address: str = "") -> dict[str, Any]:
    return {"publishers": publishers, "let_in": let_in, "last_let_in": last, "last_address": address}


def test_the_text_when_stopped_says_how_to_start() -> None:
    found = {**status.head("stopped", 0.0, "uuid", False, 0), "version": "1.2.3", "libzmq": "4", "pyzmq": "24"}
    assert status.as_text(found).split("\n") == [
        "event_zmq 1.2.3 is stopped",
        "threaded-system-exec OFF: see docs/operations.md | protocol 1 | libzmq 4, pyzmq 24 | unexpected errors 0",
        "start it with: pyrun event_zmq",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "00:00:00"), (59.9, "00:00:59"), (86399, "23:59:59"), (86400, "1d 00:00:00")]
)
def test_how_long_it_is_up(seconds: float, text: str) -> None:
    found = {**status.head("running", 0.0, "uuid", True, 0), "uptime_seconds": seconds}
    assert status.as_text(found).split("\n")[0].endswith(f"is running, up {text}")
