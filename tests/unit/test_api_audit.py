"""The lines about who did what through the API."""

from __future__ import annotations

import contextlib
from typing import Optional

import pytest

from freeswitch_zmq.jsonrpc import (
    BUSY,
    FAILED,
    FORBIDDEN,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    SHUTTING_DOWN,
    TIMEOUT,
    RpcError,
)
from freeswitch_zmq.module.api import audit as audit_module
from freeswitch_zmq.module.api import request as request_module
from freeswitch_zmq.module.api.audit import Audit
from freeswitch_zmq.module.api.request import Request
from freeswitch_zmq.module.schema import KeyConfig
from tests.unit.asking import HERE, Asking, key
from tests.unit.clock import Clock
from tests.unit.fake_freeswitch import FakeSwitch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().set(monkeypatch, audit_module, request_module)


@pytest.fixture
def asking(switch: FakeSwitch, clock: Clock) -> Asking:
    return Asking(switch, keys=[key("crm", allow=["api:status"])], allow="ping")


@pytest.fixture
def audit(clock: Clock) -> Audit:
    return Audit()


def ended(asking: Asking, what: str, key: Optional[KeyConfig] = None) -> Request:
    request = asking.request("api", {}, key)
    request.what = what
    return request


def lines(switch: FakeSwitch) -> list[str]:
    assert {level for level, _ in switch.lines} <= {"INFO"}
    return switch.texts("INFO")


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (0, "done"),
        (FORBIDDEN, "forbidden"),
        (TIMEOUT, "no answer in time"),
        (FAILED, "refused by FreeSWITCH, or failed"),
        (BUSY, "not run: too many commands are running"),
        (SHUTTING_DOWN, "not answered: event_zmq stops"),
        (INVALID_PARAMS, "not run: wrong params"),
        (INTERNAL_ERROR, "an unexpected error"),
        (-32099, "-32099"),
    ],
)
def test_a_line_says_who_what_how_and_how_long(
    asking: Asking, audit: Audit, clock: Clock, code: int, outcome: str
) -> None:
    request = ended(asking, 'api status (0 characters of arguments) by "api:status"')
    clock.now += 1.2344
    audit.note(request, code)
    assert lines(asking.switch) == [
        f'api: {HERE}: api status (0 characters of arguments) by "api:status": {outcome}, 1234 ms'
    ]


def test_a_key_is_called_by_its_name_and_this_machine_has_no_address(asking: Asking, audit: Audit) -> None:
    audit.note(ended(asking, "x", key("crm")), 0)
    here = asking.desk.caller(None, "")
    of_a_key = asking.desk.caller(key("crm").public_key.hex(), "")
    for caller in (here, of_a_key):
        request = ended(asking, "x")
        request.caller = caller
        audit.note(request, 0)
    assert [line.split(": ")[1] for line in lines(asking.switch)] == [
        f"crm at {HERE}",
        "this machine",
        "crm at this machine",
    ]


def test_what_only_looks_is_not_written_down(asking: Asking, audit: Audit) -> None:
    for method in ("ping", "status", "replay", "nonsense"):
        request = asking.request(method, {"publisher": "x"})
        for code in (0, FORBIDDEN, INVALID_PARAMS):
            audit.note(request, code)
    assert lines(asking.switch) == []


# Who asks for what is forbidden could fill the log.


def test_refusals_are_told_of_up_to_a_rate_and_the_others_are_counted(
    asking: Asking, audit: Audit, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "FORBIDDEN_A_SECOND", 10)
    for _ in range(300):
        audit.note(ended(asking, "x"), FORBIDDEN)
    assert lines(asking.switch) == [f"api: {HERE}: x: forbidden, 0 ms"] * 100
    for code in (INVALID_PARAMS, BUSY) * 25:
        audit.note(ended(asking, "x"), code)
    assert len(lines(asking.switch)) == 100
    clock.now += 0.25
    for _ in range(20):
        audit.note(ended(asking, "y"), FORBIDDEN)
    assert lines(asking.switch)[100:] == [
        f"api: {HERE}: y: forbidden, 0 ms (250 more that were refused are not in the log)",
        f"api: {HERE}: y: forbidden, 0 ms",
    ]
    # None is forgotten.
    clock.now += 1000.0
    for _ in range(101):
        audit.note(ended(asking, "z"), FORBIDDEN)
    assert lines(asking.switch)[102:] == [
        f"api: {HERE}: z: forbidden, 0 ms (18 more that were refused are not in the log)",
        *[f"api: {HERE}: z: forbidden, 0 ms"] * 99,
    ]


def test_what_was_done_is_always_told_of(asking: Asking, audit: Audit) -> None:
    for _ in range(150):
        audit.note(ended(asking, "x"), FORBIDDEN)
    for code in (0, FAILED, TIMEOUT):
        audit.note(ended(asking, "y"), code)
    assert lines(asking.switch)[100:] == [
        f"api: {HERE}: y: done, 0 ms (50 more that were refused are not in the log)",
        f"api: {HERE}: y: refused by FreeSWITCH, or failed, 0 ms",
        f"api: {HERE}: y: no answer in time, 0 ms",
    ]


def test_that_an_answer_did_not_reach_its_caller_is_told(asking: Asking, audit: Audit) -> None:
    audit.note(ended(asking, "x"), 0, given=False)
    audit.note(ended(asking, "x"), TIMEOUT, given=False)
    assert lines(asking.switch) == [
        f"api: {HERE}: x: done, answer not delivered, 0 ms",
        f"api: {HERE}: x: no answer in time, answer not delivered, 0 ms",
    ]


# What people write into arguments, headers and bodies, passwords among it, stands in no line.

SECRET = "hunter2"
ALLOW = "api:echo *, api:user_data *, api:status, bgapi:echo *, sendevent:HEARTBEAT, sendevent:CUSTOM^my::*"

REQUESTS = [
    ("api", {"command": "echo", "args": f"x {SECRET} y"}),
    ("api", {"command": "user_data", "args": f"1000@x param {SECRET}"}),
    ("api", {"command": "status", "args": SECRET}),
    ("api", {"command": "echo", "args": f"{SECRET}\nx"}),
    ("api", {"command": f"echo {SECRET}"}),
    ("api", {"command": f"version {SECRET}"}),
    ("api", {"command": "version", "args": SECRET}),
    ("api", {"command": "echo", "args": SECRET, "timeout": -1}),
    ("api", {"command": "echo", "args": "x", SECRET: 1}),
    ("bgapi", {"command": "echo", "args": SECRET}),
    ("bgapi", {"command": "echo", "args": f"bgapi uuid:{SECRET}! x"}),
    ("bgapi", {"command": "echo", "args": SECRET, "job_uuid": f"{SECRET}!"}),
    ("sendevent", {"name": "HEARTBEAT", "headers": {"Password": SECRET}, "body": SECRET}),
    ("sendevent", {"name": "HEARTBEAT", "headers": {SECRET: "x"}}),
    ("sendevent", {"name": "HEARTBEAT", "headers": {f"{SECRET}:": "x"}}),
    ("sendevent", {"name": "HEARTBEAT", "headers": {"Password": f"{SECRET}\n"}}),
    ("sendevent", {"name": "HEARTBEAT", "subclass": SECRET}),
    ("sendevent", {"name": "CUSTOM", "subclass": f"my::{SECRET}"}),
    ("sendevent", {"name": "CUSTOM", "subclass": SECRET}),
    ("sendevent", {"name": "API", "body": SECRET}),
]


@pytest.mark.parametrize(("method", "params"), REQUESTS)
def test_no_argument_is_in_any_line(switch: FakeSwitch, method: str, params: dict[str, object]) -> None:
    asking, audit = Asking(switch, allow=ALLOW), Audit()
    for code in audit_module.OUTCOMES:
        request = asking.request(method, params)
        with contextlib.suppress(RpcError):
            asking.do(request)
        audit.note(request, code)
    assert not [text for _, text in switch.lines if SECRET in text]


def test_a_name_that_somebody_made_up_makes_no_second_line(asking: Asking, audit: Audit) -> None:
    for method, params in (
        ("api", {"command": "a\nERR forged"}),
        ("api", {"command": "x" * 60_000}),
        ("sendevent", {"name": "a\n\x1b[2JERR forged\ud83d"}),
        ("sendevent", {"name": "ü" * 60_000}),
    ):
        request = asking.request(method, params)
        asking.refusal(request)
        audit.note(request, FORBIDDEN)
    assert len(lines(asking.switch)) == 4
    for line in lines(asking.switch):
        assert line.isprintable()
        assert len(line) < 400
