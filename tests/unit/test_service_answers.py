"""A service over real sockets: who is asked, and what comes back."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import re
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from freeswitch_zmq.client.service import (
    Call,
    Hangup,
    Reply,
    RpcError,
    Service,
    XmlRequest,
    answer,
    complaints,
    directory,
    playback,
    running,
    user,
)
from freeswitch_zmq.client.service.documents import not_found
from tests.support.waiting import wait_for
from tests.unit.serving import SECONDS, Asker, Context, call_params, served

LOGGER = "freeswitch_zmq.client.service"


@pytest.fixture
def service() -> Service:
    return Service("tcp://127.0.0.1:*")


@pytest.fixture
def asker(service: Service, context: Context) -> Iterator[Asker]:
    """Asks the service, which runs; handlers may be added meanwhile."""
    with served(service) as endpoint, Asker(context, endpoint) as asker:
        yield asker


def test_a_function_answers_a_call(service: Service, asker: Asker) -> None:
    seen: list[Call] = []

    @service.call("ivr")
    def ivr(call: Call) -> Reply:
        seen.append(call)
        assert threading.current_thread().name.startswith("service ")
        return Reply([answer(), playback("tone_stream://%(1,1,1)")], {"step": "1"}, again=True)

    result = {"application": "playback", "done": True, "response": "FILE PLAYED"}
    channel = {"caller_id_number": "100", "new": "x"}
    told = asker.call(args="a b", turn=2, channel=channel, variables={"digits": "5"}, result=[result])
    actions = [["answer"], ["playback", "tone_stream://%(1,1,1)"]]
    assert told["result"] == {"actions": actions, "variables": {"step": "1"}, "continue": True}
    [call] = seen
    assert (call.name, call.args, call.uuid, call.turn) == ("ivr", "a b", "u-1", 2)
    assert (call.channel.caller_id_number, call.channel.context, call.channel.others) == ("100", "", {"new": "x"})
    assert (call.variables, call.results[0].response) == ({"digits": "5"}, "FILE PLAYED")


def test_a_coroutine_answers_a_call(service: Service, asker: Asker) -> None:
    @service.call("ivr")
    async def ivr(call: Call) -> list[Any]:
        await asyncio.sleep(0)
        return ["answer", ("playback", call.args)]

    assert asker.call(args="x.wav")["result"]["actions"] == [["answer"], ["playback", "x.wav"]]


def test_what_else_can_be_a_handler(service: Service, asker: Asker) -> None:
    async def coroutine(word: str, call: Call) -> list[Any]:
        return [("log", f"INFO {word} {call.name}")]

    class Object:
        async def __call__(self, call: Call) -> list[Any]:
            return [("log", f"INFO {call.name}")]

    service.call("partial")(functools.partial(coroutine, "it"))
    service.call("lambda")(lambda call: coroutine("it", call))
    service.call("object")(Object())
    for name, text in (("partial", "it partial"), ("lambda", "it lambda"), ("object", "object")):
        assert asker.call(name)["result"]["actions"] == [["log", f"INFO {text}"]]


@pytest.mark.parametrize("given", [None, [], Reply()])
def test_nothing_to_do(service: Service, asker: Asker, given: Any) -> None:
    service.call("ivr")(lambda call: given)
    assert asker.call()["result"] == {"actions": [], "variables": {}, "continue": False}


def test_a_single_action(service: Service, asker: Asker) -> None:
    service.call("ivr")(lambda call: answer())
    assert asker.call()["result"]["actions"] == [["answer"]]


def test_lookups_in_several_sections(service: Service, asker: Asker) -> None:
    seen: list[XmlRequest] = []

    @service.xml("directory", "configuration")
    def find(request: XmlRequest) -> Any:
        seen.append(request)
        return directory("example.com", user("1000")) if request.section == "directory" else None

    params = {"section": "directory", "tag_name": "domain", "key_name": "name", "key_value": "example.com"}
    told = asker.ask("xml.fetch", {**params, "params": {"user": "1000", "many": ["a", "b"]}})
    assert told["result"]["xml"].startswith('<document type="freeswitch/xml"><section name="directory"><domain ')
    assert asker.ask("xml.fetch", {"section": "configuration"})["result"] is None
    first = seen[0]
    assert (first.user, first.domain, first.param("many"), first.param("none")) == ("1000", "example.com", "a", "")


def test_a_document_that_says_not_found_is_null(service: Service, asker: Asker) -> None:
    service.xml("directory")(lambda request: not_found())
    assert asker.ask("xml.fetch", {"section": "directory"})["result"] is None


def test_hangups_are_told(service: Service, asker: Asker) -> None:
    seen: list[Hangup] = []
    assert asker.ask("dialplan.hangup", {"uuid": "u", "cause": "USER_BUSY"})["result"] == {}
    service.hangup(seen.append)
    assert asker.ask("dialplan.hangup", {"uuid": "u", "cause": "USER_BUSY"})["result"] == {}
    assert seen == [Hangup("u", "USER_BUSY")]


@pytest.mark.parametrize(
    ("raw", "code", "id"),
    [
        (b"", -32700, None),
        (b"{", -32700, None),
        (b"\xff", -32700, None),
        (b"[" * 10_000, -32700, None),
        (b"[]", -32600, None),
        (b"1", -32600, None),
        (b'{"id":[]}', -32600, None),
        (b'{"id":7,"method":"dialplan.call"}', -32600, 7),
        (b'{"jsonrpc":"2.0","id":7}', -32600, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"dialplan.call","params":3}', -32600, 7),
        (b'{"jsonrpc":"2.0","id":"x","method":"pong"}', -32601, "x"),
        (b'{"jsonrpc":"2.0","id":7,"method":"dialplan.call"}', -32602, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"dialplan.call","params":[]}', -32602, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"dialplan.hangup","params":{}}', -32602, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"xml.fetch","params":{"section":3}}', -32602, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"xml.fetch","params":{"section":"directory","params":{"a":1}}}', -32602, 7),
    ],
)
def test_malformed_requests(service: Service, asker: Asker, raw: bytes, code: int, id: Any) -> None:
    service.call("ivr")(lambda call: None)
    asker.socket.send_multipart([b"", raw])
    told = asker.receive()
    assert (told["error"]["code"], told["id"]) == (code, id)
    assert "result" in asker.call()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": 1},
        {"args": None},
        {"uuid": None},
        {"turn": 0},
        {"turn": True},
        {"channel": []},
        {"channel": {"state": 1}},
        {"variables": {"a": None}},
        {"result": {}},
        {"result": [{}]},
        {"result": [{"done": True}]},
    ],
)
def test_params_that_the_protocol_does_not_have(service: Service, asker: Asker, wrong: dict[str, Any]) -> None:
    service.call("ivr")(lambda call: None)
    assert asker.ask("dialplan.call", {**call_params(), **wrong})["error"]["code"] == -32602


def test_a_newer_switch_may_tell_more(service: Service, asker: Asker) -> None:
    service.call("ivr")(lambda call: None)
    assert "result" in asker.call(more={"a": 1})


def test_names_that_nobody_answers_for(service: Service, asker: Asker, caplog: pytest.LogCaptureFixture) -> None:
    error = asker.call("sales")["error"]
    assert error == {"code": -32602, "message": 'there is no handler for the call "sales"; there are: none'}
    assert asker.call("sales")["error"] == error
    assert [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING] == [error["message"]]
    caplog.clear()
    service.call("ivr")(lambda call: None)
    service.call("desk")(lambda call: None)
    service.xml("directory")(lambda request: None)
    assert asker.call("sales")["error"]["message"].endswith("there are: desk, ivr")
    assert asker.ask("xml.fetch", {"section": "dialplan"})["error"] == {
        "code": -32602,
        "message": 'there is no handler for the section "dialplan"; there are: directory',
    }
    assert [each.levelname for each in caplog.records] == ["WARNING"]  # of calls it has been said


def test_complaints_are_counted_while_they_are_kept_back(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    told = complaints.Complaints()
    for _ in range(3):
        told.warn("a", "it is full")
    told.warn("b", "it is cold")
    assert caplog.messages == ["it is full", "it is cold"]
    now = complaints.EVERY_SECONDS
    told.warn("a", "it is full")
    assert caplog.messages[2:] == ["it is full (and 2 more like this since the last line)"]
    for number in range(2 * complaints.KINDS_AT_MOST):
        told.warn(str(number), "who?")
    assert caplog.messages.count("who?") == complaints.KINDS_AT_MOST - 1


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_an_exception_is_logged_and_not_told(
    service: Service, asker: Asker, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    def fail(call: Call) -> None:
        raise RuntimeError("the password is hunter2")

    async def fail_later(call: Call) -> None:
        fail(call)

    service.call("ivr")(fail if kind == "function" else fail_later)
    service.call("well")(lambda call: None)
    told = asker.call()
    assert told["error"] == {"code": -32603, "message": "the service failed; its own log says why"}
    [record] = [each for each in caplog.records if each.name == LOGGER]
    assert record.levelno == logging.ERROR
    assert 'the handler of "ivr"' in record.getMessage()
    assert "hunter2" in caplog.text
    assert "in fail" in caplog.text
    assert "result" in asker.call("well")


def leave(call: Call) -> None:
    sys.exit(3)


async def leave_later(call: Call) -> None:
    leave(call)


def stop_iteration(call: Call) -> None:
    raise StopIteration


async def cancel_itself(call: Call) -> None:
    raise asyncio.CancelledError


def interrupt(call: Call) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("handler", [leave, leave_later, stop_iteration, cancel_itself, interrupt])
def test_nothing_that_a_handler_raises_ends_the_service(service: Service, asker: Asker, handler: Any) -> None:
    service.call("ivr")(handler)
    service.call("well")(lambda call: None)
    assert asker.call()["error"]["code"] == -32603
    assert "result" in asker.call("well")


@pytest.mark.parametrize(
    "given",
    [
        3,
        "answer",
        ("playback", "a.wav"),
        ("answer",),
        {"actions": []},
        [3],
        [("a", "b", "c")],
        [("no name", "")],
        [("playback", "a\nb")],
        [("playback", "${x}")],
        [("playback", None)],
    ],
)
def test_an_answer_that_is_none(service: Service, asker: Asker, caplog: pytest.LogCaptureFixture, given: Any) -> None:
    service.call("ivr")(lambda call: given)
    assert asker.call()["error"]["code"] == -32603
    assert "ValueError" in caplog.text


def test_a_document_that_the_switch_would_not_take(
    service: Service, asker: Asker, caplog: pytest.LogCaptureFixture
) -> None:
    service.xml("directory")(lambda request: "<document><section name='dialplan'/></document>")
    assert asker.ask("xml.fetch", {"section": "directory"})["error"]["code"] == -32603
    assert 'the document has no <section name="directory">' in caplog.text


def test_an_error_on_purpose(service: Service, asker: Asker, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(call: Call) -> None:
        raise RpcError(-32001, "not at night", {"until": "7:00"})

    caplog.set_level(logging.DEBUG, LOGGER)
    service.call("ivr")(refuse)
    assert asker.call()["error"] == {"code": -32001, "message": "not at night", "data": {"until": "7:00"}}
    assert [(each.levelno, each.getMessage()) for each in caplog.records if each.name == LOGGER] == [
        (logging.DEBUG, 'the handler of "ivr" answers with the error -32001: not at night')
    ]


NO_CODE: Any = "busy"
NO_TEXT: Any = 5


@pytest.mark.parametrize(("code", "message"), [(NO_CODE, "x"), (True, "x"), (-32001, NO_TEXT)])
def test_an_error_on_purpose_that_is_none(
    service: Service, asker: Asker, caplog: pytest.LogCaptureFixture, code: int, message: str
) -> None:
    def refuse(call: Call) -> None:
        raise RpcError(code, message)

    service.call("ivr")(refuse)
    assert asker.call()["error"]["code"] == -32603
    assert 'the handler of "ivr" raised an RpcError that can\'t be told' in caplog.text
    assert 'write RpcError(CODE, "MESSAGE"), where CODE is a whole number' in caplog.text


def test_an_error_on_purpose_that_is_no_json(service: Service, asker: Asker) -> None:
    def refuse(call: Call) -> None:
        raise RpcError(-32001, "no", {"an object": object()})

    service.call("ivr")(refuse)
    assert asker.call()["error"]["code"] == -32603


def test_notifications_get_no_answer(service: Service, asker: Asker) -> None:
    seen: list[Hangup] = []
    service.hangup(seen.append)
    for method, params in (("dialplan.hangup", {"uuid": "u", "cause": "NONE"}), ("pong", {})):
        request = {"jsonrpc": "2.0", "method": method, "params": params}
        asker.socket.send_multipart([b"", json.dumps(request).encode()])
    assert "error" in asker.ask("pong", {}, id=5)  # and its answer is the only one
    wait_for(lambda: seen, "the handler is called")


def test_envelopes(service: Service, asker: Asker) -> None:
    service.call("ivr")(lambda call: None)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "dialplan.call", "params": call_params()}).encode()

    def exchange(*frames: bytes) -> list[bytes]:
        asker.socket.send_multipart(frames)
        found = asker.frames()
        assert found is not None
        return found

    assert exchange(body)[:-1] == []  # a DEALER without a delimiter
    assert exchange(b"", body)[:-1] == [b""]
    assert exchange(b"queue", b"client", b"", body)[:-1] == [b"queue", b"client", b""]
    told = exchange(b"queue", b"", body, body)  # more than one object behind it
    assert told[:-1] == [b"queue", b""]
    assert json.loads(told[-1])["error"]["code"] == -32700
    asker.socket.send_multipart([b"x"] * 100)  # no answer
    assert exchange(b"", body)[:-1] == [b""]


def test_a_rep_like_exchange(service: Service, asker: Asker, context: Context) -> None:
    service.call("ivr")(lambda call: None)
    with context.socket(zmq.REQ) as socket:
        socket.set(zmq.LINGER, 0)
        socket.connect(service.endpoint)
        for number in range(3):
            request = {"jsonrpc": "2.0", "id": number, "method": "dialplan.call", "params": call_params()}
            socket.send(json.dumps(request).encode())
            assert socket.poll(round(SECONDS * 1000))
            assert json.loads(socket.recv())["id"] == number


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_requests_run_at_the_same_time(context: Context, kind: str) -> None:
    service = Service("tcp://127.0.0.1:*", threads=50, max_wait_seconds=SECONDS)

    @service.call("function")
    def function(call: Call) -> None:
        time.sleep(0.2)

    @service.call("coroutine")
    async def coroutine(call: Call) -> None:
        await asyncio.sleep(0.2)

    with served(service) as endpoint, Asker(context, endpoint) as asker:
        began = time.monotonic()
        for number in range(100):
            asker.send("dialplan.call", call_params(kind), number)
        answers = asker.answers(range(100))
        took = time.monotonic() - began
    assert all("result" in each for each in answers.values())
    assert took < 10.0  # one after the other they take 20


def test_a_slow_handler_keeps_nobody_waiting(service: Service, asker: Asker) -> None:
    release = threading.Event()
    service.call("slow")(lambda call: release.wait(SECONDS) and None)
    service.call("quick")(lambda call: None)
    asker.send("dialplan.call", call_params("slow"), "slow")
    for number in range(20):  # who came later is answered first
        assert "result" in asker.ask("dialplan.call", call_params("quick"), number)
    release.set()
    assert asker.receive()["id"] == "slow"


def test_two_hundred_functions_run_at_once(service: Service, asker: Asker) -> None:
    """As a service has it by itself: with each of 200 calls waiting for all others."""
    together = threading.Barrier(200)

    @service.call("ivr")
    def ivr(call: Call) -> None:
        together.wait(SECONDS)

    for number in range(200):
        asker.send("dialplan.call", call_params(), number)
    answers = asker.answers(range(200))
    assert all("result" in answer for answer in answers.values())


def test_there_are_so_many_threads_and_no_more(context: Context) -> None:
    service = Service("tcp://127.0.0.1:*", threads=3, max_wait_seconds=SECONDS)
    release, running, most = threading.Event(), set[int](), list[int]()

    @service.call("ivr")
    def ivr(call: Call) -> None:
        running.add(threading.get_ident())
        most.append(len(running))
        release.wait(SECONDS)

    with served(service) as endpoint, Asker(context, endpoint) as asker:
        for number in range(10):
            asker.send("dialplan.call", call_params(), number)
        wait_for(lambda: len(running) == 3, "three handlers run")
        release.set()
        asker.answers(range(10))
    assert max(most) == 3


def test_one_thread_is_used_again(service: Service, asker: Asker) -> None:
    names: set[str] = set()
    service.call("ivr")(lambda call: names.add(threading.current_thread().name))
    for _ in range(20):
        asker.call()
    assert len(names) == 1


def test_too_many_requests_are_refused(context: Context) -> None:
    service = Service("tcp://127.0.0.1:*", max_pending=2)
    release = threading.Event()
    service.call("ivr")(lambda call: release.wait(SECONDS) and None)
    with served(service) as endpoint, Asker(context, endpoint) as asker:
        for number in range(3):
            asker.send("dialplan.call", call_params(), number)
        refused = asker.receive()
        assert (refused["id"], refused["error"]["code"]) == (2, -32004)
        release.set()
        assert all("result" in each for each in asker.answers([0, 1]).values())
        assert "result" in asker.call()


def test_requests_of_too_many_bytes_are_refused(
    context: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(running, "PENDING_BYTES_AT_MOST", 5000)
    service = Service("tcp://127.0.0.1:*")
    release = threading.Event()
    service.call("ivr")(lambda call: release.wait(SECONDS) and None)
    with served(service) as endpoint, Asker(context, endpoint) as asker:
        for number in range(2):
            asker.send("dialplan.call", call_params(args="x" * 3000), number)
        refused = asker.receive()
        assert (refused["id"], refused["error"]["code"]) == (1, -32004)
        assert "1 requests are under way, and more are refused" in caplog.text
        release.set()
        assert "result" in asker.receive()
        for _ in range(3):
            assert "result" in asker.call(args="x" * 3000)
        assert "result" in asker.call(args="x" * 6000)  # one alone


def test_who_has_waited_too_long_for_a_thread_is_refused(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    service = Service("tcp://127.0.0.1:*", threads=1)
    release, begun, ran = threading.Event(), threading.Event(), list[str]()

    @service.call("slow")
    def slow(call: Call) -> None:
        begun.set()
        release.wait(3 * SECONDS)

    service.call("late")(lambda call: ran.append(call.name))
    with served(service) as endpoint, Asker(context, endpoint) as asker:
        asker.send("dialplan.call", call_params("slow"), "slow")
        assert begun.wait(SECONDS)
        for number in range(3):
            asker.send("dialplan.call", call_params("late"), number)
        answers = asker.answers(range(3))  # while the thread is as busy as before
        assert [each["error"] for each in answers.values()] == [
            {"code": -32004, "message": "all 1 threads are busy; try again later"}
        ] * 3
        [line] = [each for each in caplog.messages if "busy" in each]
        assert re.fullmatch(r"all 1 threads are busy; \d requests wait, and one was refused after 2 s", line)
        release.set()
        assert asker.receive()["id"] == "slow"
        assert "result" in asker.call("late")
    assert ran == ["late"]


def test_of_those_who_wait_for_a_thread_the_latest_is_first(context: Context) -> None:
    service = Service("tcp://127.0.0.1:*", threads=1, max_wait_seconds=SECONDS)
    release, ran = threading.Event(), list[str]()

    @service.call("ivr")
    def ivr(call: Call) -> None:
        ran.append(call.args)
        release.wait(SECONDS)

    with served(service) as endpoint, Asker(context, endpoint) as asker:
        asker.send("dialplan.call", call_params(args="first"), 0)
        wait_for(lambda: ran, "it is under way")
        for number, name in enumerate(("early", "late"), 1):
            asker.send("dialplan.call", call_params(args=name), number)
        assert "error" in asker.ask("pong", {}, id=3)  # all have come
        release.set()
        asker.answers(range(3))
    assert ran == ["first", "late", "early"]


def test_an_answer_that_is_too_large_costs_nobody_else_an_answer(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service("tcp://127.0.0.1:*")
    release = threading.Event()
    service.call("slow")(lambda call: release.wait(SECONDS) and None)
    service.call("large")(lambda call: [playback("x" * 1200)] * 1000)

    @service.call("large error")
    def fail(call: Call) -> None:
        raise RpcError(-32001, "no", "x" * 2_000_000)

    # As the switch has it: a larger message ends the connection, and with it all that is under way there.
    with (
        served(service) as endpoint,
        Asker(context, endpoint, options={zmq.MAXMSGSIZE: 1_048_576 + 65_536}) as asker,
    ):
        asker.send("dialplan.call", call_params("slow"), "slow")
        for name in ("large", "large error"):
            told = asker.ask("dialplan.call", call_params(name))
            assert told["error"] == {"code": -32603, "message": "the service failed; its own log says why"}
            assert f'the handler of "{name}": its answer has ' in caplog.text
        assert "max_answer_bytes is 1048576" in caplog.text
        release.set()
        assert "result" in asker.receive()


def test_a_document_has_a_bound_of_its_own(context: Context) -> None:
    service = Service("tcp://127.0.0.1:*", max_answer_bytes=500, response_max_bytes=10_000)
    service.xml("directory")(lambda asked: directory("example.com", user("1", variables={"a": "x" * int(asked.user)})))
    with served(service) as endpoint, Asker(context, endpoint) as asker:
        for size, told in (("5000", "result"), ("10000", "error")):
            assert told in asker.ask("xml.fetch", {"section": "directory", "params": {"user": size}})


def test_a_message_that_is_too_large_ends_that_connection_only(context: Context) -> None:
    service = Service("tcp://127.0.0.1:*", max_message_bytes=1000)
    service.call("ivr")(lambda call: None)
    with served(service) as endpoint, Asker(context, endpoint) as asker, Asker(context, endpoint) as other:
        asker.socket.send_multipart([b"", b" " * 1001])
        assert "result" in other.call()
        assert asker.frames(0.2) is None


def test_handlers_are_registered_once(service: Service) -> None:
    def handler(asked: Any) -> None: ...

    assert service.call("ivr")(handler) is handler
    assert service.hangup(handler) is handler
    assert service.xml("directory")(handler) is handler
    with pytest.raises(ValueError, match='the call "ivr" has a handler already'):
        service.call("ivr")
    with pytest.raises(ValueError, match='the section "directory" has a handler already'):
        service.xml("dialplan", "directory")
    with pytest.raises(ValueError, match="hang-ups have a handler already"):
        service.hangup()(handler)
    with pytest.raises(ValueError, match="name a section"):
        service.xml()
    with pytest.raises(ValueError, match="a call has a name, given in brackets"):
        service.call("")
    with pytest.raises(ValueError, match="a call has a name, given in brackets"):
        service.call(handler)  # type: ignore[arg-type]  # the brackets were forgotten
    with pytest.raises(ValueError, match="a handler is a function or a coroutine function, not int"):
        service.call("other")(3)  # type: ignore[type-var]  # as somebody may do


def test_arguments_are_checked() -> None:
    for wrong in ({"threads": 0}, {"max_pending": 0}, {"max_wait_seconds": 0}, {"stop_seconds": -1}):
        with pytest.raises(ValueError, match="at least 1, max_wait_seconds is above 0, and stop_seconds is not negat"):
            Service("tcp://127.0.0.1:*", **wrong)  # type: ignore[arg-type]  # of several types
