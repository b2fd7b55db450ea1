"""Large, empty and odd outputs and arguments, while events flow: nobody loses anything by them."""

from __future__ import annotations

import secrets
import threading
import time
from typing import Any

import pytest
import zmq

from tests.live.conftest import LiveModuleFactory
from tests.support.caller import Caller
from tests.support.flow import Good, Load
from tests.support.module import Module, Param, Subscriber, api, configuration, publisher
from tests.support.ringing import Waits

pytestmark = pytest.mark.live

ALLOW = "ping, api:python script_print*, bgapi:python script_print*, api:echo *, api:global_getvar *, api:msleep *"
MEGABYTES_5 = 5_000_000
LARGEST = 65_536


def started(factory: LiveModuleFactory, *given: Param) -> Module:
    return factory(configuration(publisher(), api=api(("allow", ALLOW), *given)))


@pytest.fixture
def module(live_module_factory: LiveModuleFactory) -> Module:
    return started(live_module_factory)


def printed(text: str, times: int, how: str = "") -> dict[str, Any]:
    """The params of a command that prints so."""
    return {"command": "python", "args": f"script_print{how} {times} {text}"}


def test_outputs_of_five_megabytes(module: Module) -> None:
    text = secrets.token_hex(50)
    times = MEGABYTES_5 // len(text)
    with (
        Good(module.endpoint(), module.switch) as good,
        Load(module.switch),
        Caller(module.api_endpoint()) as caller,
        Caller(module.api_endpoint(), zmq.DEALER) as many,
    ):
        assert caller.call("api", **printed(text, times))["output"] == text * times
        assert caller.call("api", **printed(text, times // 100, "::pieces"))["output"] == text * (times // 100)
        # Several at once, each its own.
        texts = {many.send("api", printed(f"{number}" * 100, times)): f"{number}" * 100 for number in range(5)}
        for number, answer in many.answers(5, 60).items():
            assert answer["result"]["output"] == texts[number] * times
        good.lost_nothing()
    part = module.api()
    assert (part["errors"], part["undelivered"], part["pending"]) == (0, 0, 0), part
    assert module.at_rest()["shed"] == 0
    print(f"\n{good}")


def test_more_at_once_than_a_caller_may_have_unread(module: Module) -> None:
    """That is 16 MB; of what comes beyond that it is told with a short answer in its place."""
    text = secrets.token_hex(50)
    times = MEGABYTES_5 // len(text)
    with (
        Good(module.endpoint(), module.switch) as good,
        Load(module.switch),
        Caller(module.api_endpoint(), zmq.DEALER) as caller,
        Caller(module.api_endpoint()) as other,
    ):
        sent = [caller.send("api", printed(text, times)) for _ in range(10)]
        module.wait(module.api, lambda now: now["succeeded"] == 10, 60)
        assert other.call("ping")["protocol"] == 1
        answers = caller.answers(10, 60)
        assert set(answers) == set(sent)
        whole = [answer for answer in answers.values() if "result" in answer]
        assert all(answer["result"]["output"] == text * times for answer in whole)
        assert {answer["error"]["code"] for answer in answers.values() if "error" in answer} <= {-32603}
        assert len(whole) >= 3
        assert module.api()["undelivered"] == 10 - len(whole)
        assert caller.call("ping")["protocol"] == 1
        good.lost_nothing()
    print(f"\n{len(whole)} of 10 outputs of 5 MB whole, the others told")


def test_a_job_that_prints_five_megabytes(module: Module) -> None:
    text = secrets.token_hex(50)
    times = MEGABYTES_5 // len(text)
    with (
        Subscriber(module.endpoint(), prefixes=[b'{"Event-Name":"BACK', b'{"Event-Name":"CUSTOM"']) as subscriber,
        Caller(module.api_endpoint()) as caller,
    ):
        subscriber.subscribed(module.switch)
        job = caller.call("bgapi", **printed(text, times))["job_uuid"]
        event = subscriber.event()
        assert event["Job-UUID"] == job
        assert event["_body"] == text * times


def test_empty_outputs(module: Module) -> None:
    with Caller(module.api_endpoint()) as caller:
        for params in (
            printed("", 0),
            printed("", 0, "::pieces"),
            {"command": "echo"},
            {"command": "echo", "args": ""},
            {"command": "global_getvar", "args": "there_is_no_such_variable"},
        ):
            assert caller.call("api", **params) == {"output": ""}, params


def test_outputs_that_are_not_utf8(module: Module) -> None:
    module.switch.api(b"global_setvar odd=a\xff\xfe\xc3b\xed\xa0\x80c \xf0\x9f\x93\x9e")
    with Caller(module.api_endpoint()) as caller:
        output = caller.call("api", command="global_getvar", args="odd")["output"]
        assert output == "a\ufffd\ufffd\ufffdb\ufffd\ufffd\ufffdc \U0001f4de"
        # What is UTF-8 stays as it is, wherever pieces of it may be cut on the way.
        assert caller.call("api", command="echo", args="é\U0001f4de" * 3000)["output"] == "é\U0001f4de" * 3000
    module.switch.api("global_setvar odd=")


def test_arguments_of_64_kb(live_module_factory: LiveModuleFactory) -> None:
    module = started(live_module_factory, ("max-message-bytes", "100000"))
    with (
        Good(module.endpoint(), module.switch) as good,
        Load(module.switch),
        Caller(module.api_endpoint()) as caller,
        Caller(module.api_endpoint(), zmq.DEALER) as many,
    ):
        args = secrets.token_hex(LARGEST // 2)
        assert len(args) == LARGEST
        assert caller.call("api", command="echo", args=args)["output"] == args
        texts = {many.send("api", {"command": "echo", "args": text}): text for text in (args[n:] for n in range(50))}
        for number, answer in many.answers(50).items():
            assert answer["result"]["output"] == texts[number]
        good.lost_nothing()
    # Nor is any of it left behind where commands of ours are kept out of the events.
    with Subscriber(module.endpoint(), prefixes=[b'{"Event-Name":"API"', b'{"Event-Name":"CUSTOM"']) as subscriber:
        subscriber.subscribed(module.switch)
        module.switch.api(f"echo {args}")
        while subscriber.event().get("API-Command") != "echo":
            pass


def test_a_request_that_is_too_large_ends_its_connection_alone(module: Module) -> None:
    with (
        Good(module.endpoint(), module.switch) as good,
        Load(module.switch),
        Caller(module.api_endpoint(), zmq.DEALER) as other,
    ):
        number = other.send("api", {"command": "msleep", "args": "1500"})
        module.wait(module.api, lambda now: now["requests"] == 1)
        frame = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}'
        fits = frame + b" " * (LARGEST - len(frame))
        too_large = fits + b" "
        with Caller(module.api_endpoint()) as caller:
            caller.send_raw(fits)
            assert caller.receive()["id"] == 1
            caller.send_raw(too_large)
            caller.nothing(0.5)
        before = module.api()["requests"]
        for _ in range(5):
            with Caller(module.api_endpoint(), zmq.DEALER) as caller:
                with caller.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
                    caller.send_raw(too_large)
                    assert monitor.poll(10_000), "its connection has not ended"
                    caller.socket.disable_monitor()
                # It comes back by itself.
                caller.send_raw(frame)
                assert caller.receive()["result"]["protocol"] == 1
        # None of them became a request.
        assert module.api()["requests"] == before + 5
        answer = other.receive()
        assert answer["id"] == number
        assert answer["result"]["output"].strip() == "+OK"
        good.lost_nothing()
    module.wait(module.api, lambda now: now["connections"] == 0)
    assert module.status()["errors"] == 0


def test_many_large_ones_and_many_small_ones(module: Module) -> None:
    """Those who ask for little wait for none of it."""
    done = threading.Event()
    errors: list[BaseException] = []

    def large() -> None:
        try:
            with Caller(module.api_endpoint()) as caller:
                while not done.is_set():
                    assert len(caller.call("api", **printed("x" * 100, MEGABYTES_5 // 100))["output"]) == MEGABYTES_5
        except BaseException as error:  # noqa: BLE001  # raised below
            errors.append(error)

    waited: list[float] = []
    with Good(module.endpoint(), module.switch) as good, Caller(module.api_endpoint()) as caller:
        thread = threading.Thread(target=large, name="large")
        thread.start()
        try:
            for number in range(100):
                began = time.monotonic()
                assert caller.call("api", command="echo", args=f"text {number}")["output"] == f"text {number}"
                waited.append((time.monotonic() - began) * 1000)
        finally:
            done.set()
            thread.join()
        assert not errors, errors
        good.lost_nothing()
    print(f"\nwhile another one gets 5 MB again and again: {Waits(waited)}")
