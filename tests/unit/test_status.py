from __future__ import annotations

import json
import time
from typing import Any

import pytest
import zmq

from freeswitch_zmq import __version__
from freeswitch_zmq.module import status
from tests.support.module import Subscriber
from tests.unit.configurations import local, publisher
from tests.unit.fake_freeswitch import FakeSwitch
from tests.unit.stations import Station


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
        **changes,
    }


def test_the_counters_of_a_publisher(switch: FakeSwitch) -> None:
    station = Station(switch, publisher(*local(bind=["tcp://127.0.0.1:*", "inproc://unit-status"])))
    with Subscriber(station.addresses()[0]) as subscriber:
        station.subscribed(subscriber)
        publication = station.publication()
        publication.rule.refused = 3
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
            "subscriptions": 1,
            "refused": 3,
            "rate": 12.3,
        }
        assert found["accepted"] == found["published"] + found["skipped"] + found["shed"] > 0
        # What was bound, not what was asked for.
        assert found["endpoints"][0] != "tcp://127.0.0.1:*"
    station.close()


def test_what_is_there_in_every_state() -> None:
    found = status.head("running", time.monotonic() - 12.345, "uuid", True, 4)
    assert found.pop("uptime_seconds") == pytest.approx(12.3, abs=0.2)
    assert found == {
        "version": __version__,
        "protocol": 1,
        "state": "running",
        "core_uuid": "uuid",
        "threaded_system_exec": True,
        "errors": 4,
        "libzmq": zmq.zmq_version(),
        "pyzmq": zmq.__version__,
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
    found = {
        **status.head("running", 0.0, "uuid", True, 2),
        "version": "1.2.3",
        "libzmq": "4.3.4",
        "pyzmq": "24.0.1",
        "uptime_seconds": 3 * 86400 + 4 * 3600 + 5 * 60 + 6.7,
        "publishers": {"default": a_publisher(), "other": a_publisher(subscriptions=1, rate=0.0, endpoints=[])},
    }
    assert status.as_text(found).split("\n") == [
        "event_zmq 1.2.3 is running, up 3d 04:05:06",
        "threaded-system-exec on | protocol 1 | libzmq 4.3.4, pyzmq 24.0.1 | unexpected errors 2",
        "",
        "publisher default: 2 subscriptions, 812.5 events/s",
        "  at        tcp://0.0.0.0:5556",
        "  at        ipc:///run/a",
        "  accepted  140223",
        "  published 140121",
        "  skipped   102",
        "  shed      0",
        "  queued    0",
        "  refused   3",
        "",
        "publisher other: 1 subscription, 0 events/s",
        "  accepted  140223",
        "  published 140121",
        "  skipped   102",
        "  shed      0",
        "  queued    0",
        "  refused   3",
    ]


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
