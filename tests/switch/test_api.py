"""The API channel: each method, from a plain REQ and from a DEALER."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from tests.support.caller import Caller, RpcFailure
from tests.support.holding import HOLD, Hold
from tests.support.module import Module, Subscriber, api, configuration, publisher
from tests.switch.conftest import ModuleFactory

ALLOW = (
    f"ping,status,replay:*,api:status,api:version,api:uptime,api:show *,api:msleep *,api:echo *,api:originate *,{HOLD},"
    "bgapi:msleep *,bgapi:echo *,sendevent:CUSTOM^test::*,sendevent:MESSAGE"
)
KINDS = {"REQ": (zmq.REQ, False), "DEALER": (zmq.DEALER, False), "DEALER with delimiter": (zmq.DEALER, True)}


@pytest.fixture
def asked(module_factory: ModuleFactory) -> Module:
    """The module with an API, and a publisher that holds events."""
    return module_factory(configuration(publisher(("replay-mb", "50")), api=api(("allow", ALLOW))))


@pytest.fixture(params=list(KINDS))
def caller(asked: Module, request: pytest.FixtureRequest) -> Iterator[Caller]:
    kind, delimiter = KINDS[request.param]
    with Caller(asked.api_endpoint(), kind, delimiter) as caller:
        yield caller


def test_every_method(asked: Module, caller: Caller) -> None:
    status = asked.status()
    assert caller.call("ping") == {
        "protocol": status["protocol"],
        "version": status["version"],
        "core_uuid": status["core_uuid"],
    }
    assert "is ready" in caller.call("api", command="status")["output"]
    assert caller.call("api", command="echo", args="a  b")["output"] == "a  b"
    assert set(caller.call("status")) == set(status)
    epoch = asked.publisher()["epoch"]
    with Subscriber(asked.endpoint(), prefixes=[b'{"Event-Name":"CUSTOM"', b'{"Event-Name":"BACK']) as subscriber:
        subscriber.subscribed(asked.switch)
        sent: dict[str, Any] = {"name": "CUSTOM", "subclass": "test::x", "headers": {"A-B": "1 ü"}, "body": "one\ntwo"}
        assert caller.call("sendevent", **sent) == {}
        event = subscriber.event()
        assert (event["Event-Subclass"], event["A-B"], event["_body"]) == ("test::x", "1 ü", "one\ntwo")
        job = str(uuid.uuid4())
        assert caller.call("bgapi", command="echo", args="done", job_uuid=job) == {"job_uuid": job}
        event = subscriber.event()
        assert (event["Event-Name"], event["Job-UUID"], event["_body"]) == ("BACKGROUND_JOB", job, "done")
        page = caller.call("replay", publisher="default", epoch=epoch, first=int(event["ZMQ-Sequence"]))
        assert page["events"][0] == event
        assert page["newest"] >= page["oldest"] >= 1
    counted = asked.api()
    assert counted["requests"] == counted["succeeded"] + counted["errors"]
    assert counted["pending"] == 0


def test_a_hundred_in_flight_get_each_its_own(asked: Module) -> None:
    with Caller(asked.api_endpoint(), zmq.DEALER) as caller:
        asked_for: dict[int, str] = {}
        for number in range(100):
            text = f"text {number}"
            command = {"command": "echo", "args": text} if number % 2 else {"command": "msleep", "args": "50"}
            asked_for[caller.send("api", command)] = text if number % 2 else "+OK"
        for number, answer in caller.answers(100).items():
            assert asked_for[number] in answer["result"]["output"]


def test_what_freeswitch_refuses(asked: Module, caller: Caller) -> None:
    with pytest.raises(RpcFailure) as refused:
        caller.call("api", command="show", args="nonsense")
    assert refused.value.code == -32003
    assert refused.value.message.startswith("-USAGE")
    assert refused.value.data["output"].startswith(refused.value.message)


def test_a_timeout_and_the_late_answer(asked: Module, caller: Caller) -> None:
    held = Hold(asked.switch)
    assert caller.code("api", **held.params(timeout=0.1)) == -32002
    assert asked.api()["pending"] == 1
    assert caller.call("ping")["protocol"] == 1
    held.release()
    asked.wait(asked.api, lambda now: now["pending"] == 0 and now["late"] == 1)
    caller.nothing(0.1)


def test_a_notification_is_done_and_not_answered(asked: Module) -> None:
    with (
        Caller(asked.api_endpoint(), zmq.DEALER) as caller,
        Subscriber(asked.endpoint(), prefixes=[b'{"Event-Name":"CUSTOM"']) as subscriber,
    ):
        subscriber.subscribed(asked.switch)
        caller.notify("sendevent", {"name": "CUSTOM", "subclass": "test::quiet"})
        assert subscriber.event()["Event-Subclass"] == "test::quiet"
        caller.notify("api", {"command": "nonsense"})
        assert caller.call("ping")
        caller.nothing(0.1)


def test_broken_ones_are_told(asked: Module) -> None:
    with Caller(asked.api_endpoint(), zmq.DEALER) as caller:
        for raw, code in (
            (b"{", -32700),
            (b"\xff", -32700),
            (b"[]", -32600),
            (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600),
            (b'{"id":1,"method":"ping"}', -32600),
            (b'{"jsonrpc":"2.0","id":1,"method":"pong"}', -32601),
            (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}', -32602),
        ):
            caller.send_raw(raw)
            assert json.loads(caller.receive_raw())["error"]["code"] == code, raw
