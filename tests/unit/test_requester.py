"""Questions to services that answer, don't, come late, go, or send what nobody asked for."""

from __future__ import annotations

import json
import threading
import time
from functools import partial
from typing import Any, Optional

import pytest
import zmq

from freeswitch_zmq.module.asking import backend as backend_module
from freeswitch_zmq.module.asking import flood as flood_module
from freeswitch_zmq.module.asking import requester as requester_module
from freeswitch_zmq.module.asking.backend import BackendOptions
from freeswitch_zmq.module.asking.question import ERROR, INVALID, OK, TIMEOUT, UNAVAILABLE, Outcome, Question
from freeswitch_zmq.module.asking.requester import Requester
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.unit.services import ServiceDouble, answer_of, error_of, several

LONG = 60.0
SHORT = 0.3


class Asking:
    """A requester, its log, and its end."""

    def __init__(self, *endpoints: str, breaker: float = 0.0, size: int = 100_000) -> None:
        self.log: list[tuple[str, str]] = []
        self.errors: list[BaseException] = []
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        options = BackendOptions(size, False, None, None, breaker)
        self.requester = Requester(
            self._context, "unit", endpoints, options, lambda *line: self.log.append(line), self.errors.append
        )

    def __enter__(self) -> Asking:
        self.requester.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.requester.stop(20.0)
        self._context.term()
        assert self.errors == []

    def connected(self, *places: int) -> None:
        """Returns when somebody is at these endpoints."""
        for place in places or (0,):
            wait_for(lambda place=place: self.requester.backends[place].connected, "a connection")  # type: ignore[misc]

    def ask(self, seconds: float = LONG, **params: Any) -> Question:
        return self.requester.ask("unit.ask", params, seconds, lambda result: result)

    def outcome(self, seconds: float = LONG, **params: Any) -> Outcome:
        return settled(self.ask(seconds, **params))

    def connection(self) -> dict[str, Any]:
        """What is known of the only endpoint."""
        [found] = self.requester.counted()["connections"]
        assert isinstance(found, dict)
        return found

    def counted(self) -> dict[str, Any]:
        """Its counters, which add up."""
        found = self.requester.counted()
        assert found["pending"] == 0
        assert found["requests"] == found["succeeded"] + found["errors"] + found["abandoned"], found
        return found


def settled(question: Question) -> Outcome:
    outcome = question.wait(LONG)
    assert outcome is not None
    return outcome


def echo(request: dict[str, Any]) -> Any:
    return request["params"]


def test_a_question_is_answered() -> None:
    with ServiceDouble(echo) as service, Asking(service.endpoint) as asking:
        assert asking.outcome(a="ä", b=[1]) == Outcome(OK, {"a": "ä", "b": [1]}, place=0)
        [request] = service.requests
        assert (request["jsonrpc"], request["method"]) == ("2.0", "unit.ask")
        assert asking.counted()["succeeded"] == 1


def test_many_at_once_share_a_connection_and_get_their_own_answers() -> None:
    with ServiceDouble() as service, Asking(service.endpoint) as asking:
        questions = [asking.ask(number=number) for number in range(300)]
        for request in reversed(service.came(300)):
            service.result(request, request["params"]["number"])
        assert [settled(question).value for question in questions] == list(range(300))
        assert asking.counted()["requests"] == 300
        assert len({request["id"] for request in service.requests}) == 300


def test_what_comes_first_comes_to_who_waits_for_it() -> None:
    with ServiceDouble() as service, Asking(service.endpoint) as asking:
        threads, found = [], {}

        def wait(number: int) -> None:
            found[number] = asking.outcome(number=number).value

        for number in range(20):
            threads.append(threading.Thread(target=wait, args=[number]))
            threads[-1].start()
        for request in service.came(20):
            service.result(request, request["params"]["number"])
        for thread in threads:
            thread.join(LONG)
        assert found == {number: number for number in range(20)}


def test_one_that_starts_later_is_waited_for() -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Asking(endpoint) as asking:
        question = asking.ask()
        with ServiceDouble(echo, endpoint):
            asking.connected()
            # Whether that was within the grace is for the machine to say; a new question finds it in any case.
            assert (question.wait(LONG) or Outcome("")).status in (OK, UNAVAILABLE)
            assert asking.outcome().status == OK


def test_nobody_there_is_unavailable_after_the_grace_and_then_at_once() -> None:
    with Asking(f"tcp://127.0.0.1:{free_port()}") as asking:
        outcome = asking.outcome(LONG)
        assert outcome.status == UNAVAILABLE
        began = time.monotonic()
        assert asking.outcome(LONG).status == UNAVAILABLE
        assert time.monotonic() - began < LONG / 2
        assert asking.counted()["errors_by_status"] == {UNAVAILABLE: 2}


def test_nobody_there_within_the_time_is_unavailable_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "GRACE_SECONDS", LONG)
    with Asking(f"tcp://127.0.0.1:{free_port()}") as asking:
        assert asking.outcome(SHORT).status == UNAVAILABLE


def test_no_answer_in_time_and_what_comes_late() -> None:
    with ServiceDouble() as service, Asking(service.endpoint) as asking:
        asking.connected()
        question = asking.ask(SHORT)
        [request] = service.came(1)
        assert settled(question).status == TIMEOUT
        service.result(request, 1)
        service.result(request, 2)
        backend = asking.requester.backends[0]
        wait_for(lambda: (backend.late, backend.repeated) == (1, 1), "both late answers")
        assert settled(question).status == TIMEOUT
        assert asking.counted()["errors_by_status"] == {TIMEOUT: 1}


def test_answers_that_come_twice_or_to_nothing() -> None:
    with ServiceDouble() as service, Asking(service.endpoint) as asking:
        question = asking.ask()
        [request] = service.came(1)
        other = {"id": "f" * 32}
        for message in (b"", b"\xff", b"[]", b"{}", b"1", b'{"jsonrpc":"2.0","id":{},"result":1}', b"[" * 100_000):
            service.send(request, message)
        service.send(request, answer_of(other, 1))
        service.send(request, b'{"jsonrpc":"2.0","id":1,"result":1}')
        service.result(request, "right")
        service.result(request, "twice")
        assert settled(question).value == "right"
        backend = asking.requester.backends[0]
        wait_for(lambda: (backend.garbage, backend.unknown, backend.repeated) == (7, 2, 1), "all of them")
        assert asking.outcome(SHORT).status == TIMEOUT  # it goes on


@pytest.mark.parametrize(
    "rest",
    [
        '"jsonrpc":"2.0"',
        '"jsonrpc":"2.0","result":1,"error":{"code":1,"message":""}',
        '"jsonrpc":"2.0","error":1',
        '"jsonrpc":"2.0","error":{"code":true,"message":""}',
        '"jsonrpc":"2.0","error":{"code":1}',
        '"result":1',
    ],
)
def test_what_is_no_answer_but_has_the_id_is_invalid(rest: str) -> None:
    def answer(request: dict[str, Any]) -> bytes:
        return f'{{"id":"{request["id"]}",{rest}}}'.encode()

    with ServiceDouble(answer) as service, Asking(service.endpoint) as asking:
        assert asking.outcome().status == INVALID
        assert asking.counted()["errors_by_status"] == {INVALID: 1}


def test_a_result_that_can_not_be_used_is_invalid() -> None:
    def read(result: object) -> None:
        raise ValueError(f"{result} is odd")

    with ServiceDouble(lambda request: 3) as service, Asking(service.endpoint) as asking:
        outcome = settled(asking.requester.ask("x", {}, LONG, read))
        assert (outcome.status, outcome.problem) == (INVALID, f"{service.endpoint}: 3 is odd")


def test_one_that_is_too_large_is_invalid_and_costs_nobody_else_anything() -> None:
    def answer(request: dict[str, Any]) -> Any:
        return "x" * request["params"]["size"] if request["params"]["size"] else None

    with ServiceDouble(answer) as service, Asking(service.endpoint, size=100_000) as asking:
        asking.connected()
        waits = asking.ask(size=0)
        outcome = asking.outcome(size=150_000)
        assert outcome.status == INVALID
        assert "bytes, which is more than max-message-bytes" in outcome.problem
        assert asking.outcome(size=90_000).status == OK
        service.result(service.came(3)[0], "late")
        assert settled(waits).value == "late"
        # One that nobody asked for is not even read.
        service.send(service.requests[0], b"x" * 150_000)
        wait_for(lambda: asking.connection()["garbage"] == 1, "it to be counted")
        # What is larger still is not taken at all.
        waits = asking.ask(size=0)
        outcome = asking.outcome(size=300_000)
        assert outcome.status == UNAVAILABLE
        assert "it has gone" in outcome.problem
        assert settled(waits).status == UNAVAILABLE
        asking.connected()
        assert asking.outcome(size=10).value == "x" * 10


# Failover.


def test_endpoints_are_asked_in_their_order() -> None:
    with (
        several(lambda request: "one", lambda request: "two") as (one, two),
        Asking(one.endpoint, two.endpoint) as asking,
    ):
        asking.connected(0, 1)
        assert [asking.outcome() for _ in range(3)] == [Outcome(OK, "one", place=0)] * 3
        question = asking.requester.ask("x", {}, LONG, str, first=1)
        assert settled(question) == Outcome(OK, "two", place=1)


def test_one_that_does_not_answer_is_followed_by_the_next_within_the_time() -> None:
    with several(None, lambda request: "two") as (one, two), Asking(one.endpoint, two.endpoint) as asking:
        asking.connected(0, 1)
        assert asking.outcome(4.0) == Outcome(OK, "two", place=1)
        [first], [second] = one.came(1), two.requests
        assert first["id"] == second["id"]


def test_an_answer_of_the_former_counts_while_the_next_is_asked() -> None:
    with several(None, None) as (one, two), Asking(one.endpoint, two.endpoint) as asking:
        asking.connected(0, 1)
        question = asking.ask(20.0)
        two.came(1)
        one.result(one.came(1)[0], "after all")
        assert settled(question) == Outcome(OK, "after all", place=0)


def test_one_that_goes_is_followed_by_the_next() -> None:
    with (
        several(lambda request: "two") as [two],
        ServiceDouble() as one,
        Asking(one.endpoint, two.endpoint) as asking,
    ):
        asking.connected(0, 1)
        question = asking.ask()
        one.came(1)
        one.__exit__(None, None, None)
        assert settled(question) == Outcome(OK, "two", place=1)


def test_an_error_is_followed_by_the_next_and_is_the_outcome_where_there_is_none() -> None:
    def fail(request: dict[str, Any]) -> bytes:
        return error_of(request, -32603, "broken\nhere")

    with several(fail, lambda request: "two") as (one, two):
        with Asking(one.endpoint, two.endpoint) as asking:
            asking.connected(0, 1)
            assert asking.outcome().value == "two"
        with Asking(one.endpoint) as asking:
            outcome = asking.outcome()
            assert outcome.status == ERROR
            assert outcome.problem == f"{one.endpoint} answered with the error -32603: broken\\nhere"


def test_nobody_answers_anywhere() -> None:
    with several(None, None) as (one, two), Asking(one.endpoint, two.endpoint) as asking:
        asking.connected(0, 1)
        began = time.monotonic()
        assert asking.outcome(1.0).status == TIMEOUT
        assert time.monotonic() - began >= 1.0


# The service goes and comes.


def test_nothing_stale_is_delivered_to_one_that_has_started_again() -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Asking(endpoint) as asking:
        with ServiceDouble(None, endpoint) as first:
            asking.connected()
            questions = [asking.ask() for _ in range(10)]
            first.came(10)
        assert {settled(question).status for question in questions} == {UNAVAILABLE}
        with ServiceDouble(echo, endpoint) as second:
            asking.connected()
            assert asking.outcome(new=True).value == {"new": True}
            assert [request["params"] for request in second.requests] == [{"new": True}]
        wait_for(lambda: asking.requester.backends[0].disconnects == 2, "both ends")


def test_who_comes_and_goes_is_told() -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Asking(endpoint) as asking:
        with ServiceDouble(echo, endpoint):
            asking.connected()
        wait_for(lambda: len(asking.log) == 2, "two lines")
        assert asking.log == [("NOTICE", f"{endpoint} is there"), ("WARNING", f"{endpoint} is gone")]


# The circuit breaker.


def test_one_that_did_not_answer_is_left_alone_until_a_question_may_try() -> None:
    answering = threading.Event()

    def answer(request: dict[str, Any]) -> Optional[str]:
        return "again" if answering.is_set() else None

    with ServiceDouble(answer) as service, Asking(service.endpoint, breaker=1.5) as asking:
        asking.connected()
        assert asking.outcome(SHORT).status == TIMEOUT
        assert asking.connection()["left_alone"]
        assert asking.outcome(LONG).status in (UNAVAILABLE, TIMEOUT)
        answering.set()
        wait_for(lambda: asking.outcome(SHORT * 10).status == OK, "the question that may try")
        assert not asking.connection()["left_alone"]
        assert asking.outcome().status == OK
        assert asking.connection()["opened"] >= 1


def test_a_late_answer_closes_it() -> None:
    with ServiceDouble() as service, Asking(service.endpoint, breaker=LONG) as asking:
        asking.connected()
        question = asking.ask(SHORT)
        [request] = service.came(1)
        assert settled(question).status == TIMEOUT
        assert asking.outcome().status == UNAVAILABLE
        service.result(request, 1)
        wait_for(lambda: not asking.requester.backends[0].is_left_alone, "it to be closed")


def test_a_new_connection_closes_it() -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Asking(endpoint, breaker=LONG) as asking:
        with ServiceDouble(None, endpoint):
            asking.connected()
            assert asking.outcome(SHORT).status == TIMEOUT
        wait_for(lambda: not asking.requester.backends[0].connected, "its end")
        with ServiceDouble(echo, endpoint):
            asking.connected()
            assert asking.outcome().status == OK


# Floods, giving up, the end.


def test_a_flood_that_answers_nothing_is_ended_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flood_module, "MESSAGES", 50)
    with ServiceDouble() as service, Asking(service.endpoint) as asking:
        asking.connected()
        question = asking.ask()
        [request] = service.came(1)
        for _ in range(200):
            service.send(request, b"x")
        outcome = settled(question)
        assert outcome.status == UNAVAILABLE
        assert "too much that answers nothing" in outcome.problem
        asking.connected()


def test_what_was_answered_does_not_pile_up_until_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requester_module, "TIMES_AT_MOST", 10)
    with ServiceDouble(echo) as service, Asking(service.endpoint) as asking:
        for number in range(50):
            assert asking.outcome(number=number).status == OK
        assert len(asking.requester._times) <= 13


def test_who_gives_up_is_forgotten() -> None:
    with ServiceDouble() as service, Asking(service.endpoint) as asking:
        question = asking.ask()
        [request] = service.came(1)
        asking.requester.drop(question)
        wait_for(lambda: asking.requester.pending == 0, "it to be forgotten")
        service.result(request, 1)
        wait_for(lambda: asking.requester.backends[0].late == 1, "the late answer")
        assert question.wait(0.0) is None
        assert asking.counted()["abandoned"] == 1


def test_a_notice_wants_nothing() -> None:
    with ServiceDouble(echo) as service, Asking(service.endpoint) as asking:
        asking.connected()
        asking.requester.tell("unit.tell", {"a": 1}, LONG)
        assert [request["method"] for request in service.came(1)] == ["unit.tell"]
        wait_for(lambda: asking.requester.backends[0].answers == 1, "its answer")
        found = asking.counted()
        assert (found["told"], found["requests"]) == (1, 0)


def test_at_a_stop_nobody_waits_any_longer() -> None:
    with ServiceDouble() as service, Asking(service.endpoint) as asking:
        questions = [asking.ask(LONG) for _ in range(10)]
        service.came(10)
        assert asking.requester.stop(20.0)
        assert [(question.outcome or Outcome("")).status for question in questions] == [UNAVAILABLE] * 10
        assert asking.outcome().problem == "event_zmq is stopping"
        assert asking.counted()["errors"] == 11


def test_one_that_is_retired_answers_what_it_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requester_module, "RETIRED_SECONDS", 0.0)
    with ServiceDouble() as service, Asking(service.endpoint) as asking:
        question = asking.ask()
        [request] = service.came(1)
        asking.requester.retire()
        service.result(request, "still")
        assert settled(question).value == "still"
        wait_for(lambda: not asking.requester.alive, "its end")


def test_over_inproc_too() -> None:
    with Asking("inproc://unit-service") as asking:
        service = asking._context.socket(zmq.REP)
        try:
            service.bind("inproc://unit-service")
            question = asking.ask(a=1)
            request = json.loads(service.recv())
            service.send(answer_of(request, "here"))
            assert settled(question).value == "here"
        finally:
            service.close(0)


def can_bind(service: zmq.Socket[bytes]) -> bool:
    try:
        service.bind("inproc://unit-service")
    except zmq.ZMQError:
        return False
    return True


def test_over_inproc_one_that_starts_again_is_asked() -> None:
    with Asking("inproc://unit-service") as asking:
        for turn in range(3):
            service = asking._context.socket(zmq.REP)
            try:
                wait_for(partial(can_bind, service), "the former one's end")
                question = asking.ask(turn=turn)
                wait_for(lambda service=service: service.poll(0), "the question")  # type: ignore[misc]
                service.send(answer_of(json.loads(service.recv()), turn))
                assert settled(question).value == turn
            finally:
                service.close(0)


def test_an_address_that_can_not_be_used() -> None:
    asking = Asking("ipc:///" + "x" * 300)
    with pytest.raises(Exception, match="can't connect to"):
        asking.requester.start()
    asking._context.term()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "RECONNECT_MS", 50)
    monkeypatch.setattr(flood_module, "PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(backend_module, "SHORT_PAUSE", 0.0)
