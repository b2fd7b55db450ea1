"""Many requests at once: each gets its own answer, and what FreeSWITCH has not finished counts until it has."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import zmq

from tests.live.conftest import LiveModuleFactory
from tests.support.caller import Answer, Caller
from tests.support.holding import HOLD, Hold
from tests.support.module import Event, Module, Param, Subscriber, api, configuration, publisher

pytestmark = pytest.mark.live

ALLOW = f"ping, status, replay:*, api:status, api:echo *, api:msleep *, {HOLD}, bgapi:echo *, sendevent:CUSTOM^test::*"
REPLAYED = 200
IN_FLIGHT = 100

Check = Callable[[Any], bool]


class Asked(NamedTuple):
    """A request, and what only its own answer is like."""

    method: str
    params: dict[str, Any]
    is_own: Check


class Requests:
    """Requests of all methods, mixed, each with a content of its own.

    Args:
        module: it has an API and a publisher that holds at least REPLAYED events of `test::held`.

    Attributes:
        texts: what events that follow from them must bring: the outputs of `bgapi`, and the header of those sent.
    """

    def __init__(self, module: Module, held: list[Event]) -> None:
        self.texts: set[str] = set()
        self._core_uuid = module.status()["core_uuid"]
        self._epoch = module.publisher()["epoch"]
        self._held = itertools.cycle(held)

    def make(self, count: int) -> Iterator[Asked]:
        """So many, in turn of each method."""
        commands = [self._status_line, self._echo, self._msleep, self._bgapi]
        makers = itertools.cycle([*commands, self._ping, self._sendevent, self._status, self._replay])
        for maker in itertools.islice(makers, count):
            yield maker()

    def _ping(self) -> Asked:
        return Asked("ping", {}, lambda result: result["core_uuid"] == self._core_uuid)

    def _status_line(self) -> Asked:
        return Asked("api", {"command": "status"}, lambda result: "is ready" in result["output"])

    def _echo(self) -> Asked:
        text = secrets.token_hex(20)
        return Asked("api", {"command": "echo", "args": text}, lambda result: result == {"output": text})

    def _msleep(self) -> Asked:
        params = {"command": "msleep", "args": str(20 + secrets.randbelow(30))}
        return Asked("api", params, lambda result: result["output"].strip() == "+OK")

    def _bgapi(self) -> Asked:
        job, text = str(uuid.uuid4()), secrets.token_hex(20)
        self.texts.add(text)
        params = {"command": "echo", "args": text, "job_uuid": job}
        return Asked("bgapi", params, lambda result: result == {"job_uuid": job})

    def _sendevent(self) -> Asked:
        text = secrets.token_hex(20)
        self.texts.add(text)
        params = {"name": "CUSTOM", "subclass": "test::sent", "headers": {"Text": text}}
        return Asked("sendevent", params, lambda result: result == {})

    def _status(self) -> Asked:
        return Asked(
            "status",
            {},
            lambda result: (result["state"], result["core_uuid"]) == ("running", self._core_uuid),
        )

    def _replay(self) -> Asked:
        event = next(self._held)
        number = event["ZMQ-Sequence"]
        params = {"publisher": "default", "epoch": self._epoch, "first": number, "last": number}
        return Asked("replay", params, lambda result: result["events"] == [event])


def ask_at_once(caller: Caller, requests: list[Asked]) -> None:
    """Sends all, then takes the answers, in whatever order they come."""
    asked = {caller.send(each.method, each.params): each for each in requests}
    for number, answer in caller.answers(len(asked)).items():
        each = asked[number]
        assert each.is_own(answer.get("result")), (each, answer)


def ask_one_by_one(caller: Caller, requests: list[Asked]) -> None:
    """As a REQ does."""
    for each in requests:
        result = caller.call(each.method, **each.params)
        assert each.is_own(result), (each, result)


def started(factory: LiveModuleFactory, *given: Param) -> Module:
    """The module with an API, and a publisher that holds events."""
    return factory(configuration(publisher(("replay-mb", "20")), api=api(("allow", ALLOW), *given)))


@pytest.fixture
def asked(live_module_factory: LiveModuleFactory) -> Module:
    return started(live_module_factory)


@pytest.fixture
def requests(asked: Module) -> Requests:
    """Requests; what they replay has been fired and is held."""
    with Subscriber(asked.endpoint(), prefixes=[b'{"Event-Name":"CUSTOM"']) as subscriber:
        subscriber.subscribed(asked.switch)
        for number in range(REPLAYED):
            asked.switch.sendevent("CUSTOM", [("Event-Subclass", "test::held"), ("Number", str(number))])
        return Requests(asked, subscriber.until(lambda event: event.get("Number") == str(REPLAYED - 1)))


def follows(subscriber: Subscriber, requests: Requests) -> None:
    """Returns when every event has come that the requests were to cause, each once."""
    came: Counter[str] = Counter()
    while not requests.texts <= set(came):
        event = subscriber.event()
        text = event["_body"] if event["Event-Name"] == "BACKGROUND_JOB" else event.get("Text", "")
        came[text] += 1
    assert all(came[text] == 1 for text in requests.texts)


def adds_up(module: Module) -> None:
    """Every request is counted once, and none waits."""
    part = module.api()
    assert part["requests"] == part["succeeded"] + part["errors"], part
    assert (part["errors"], part["pending"], part["late"], part["undelivered"]) == (0, 0, 0, 0), part
    assert module.status()["errors"] == 0


def test_every_method_mixed(asked: Module, requests: Requests) -> None:
    with Subscriber(asked.endpoint(), prefixes=[b'{"Event-Name":"CUSTOM"', b'{"Event-Name":"BACK']) as subscriber:
        subscriber.subscribed(asked.switch)
        with Caller(asked.api_endpoint()) as req, Caller(asked.api_endpoint(), zmq.DEALER) as dealer:
            ask_one_by_one(req, list(requests.make(IN_FLIGHT)))
            for _ in range(5):
                ask_at_once(dealer, list(requests.make(IN_FLIGHT)))
        follows(subscriber, requests)
    asked.wait(asked.api, lambda now: now["pending"] == 0)
    adds_up(asked)
    assert asked.api()["requests"] == 6 * IN_FLIGHT


def test_eight_callers_at_once(asked: Module, requests: Requests) -> None:
    endpoint = asked.api_endpoint()
    errors: list[BaseException] = []

    def work(kind: int, ask: Callable[[Caller, list[Asked]], None], mine: list[Asked]) -> None:
        try:
            with Caller(endpoint, kind) as caller:
                ask(caller, mine)
        except BaseException as error:  # noqa: BLE001  # raised below
            errors.append(error)

    with Subscriber(asked.endpoint(), prefixes=[b'{"Event-Name":"CUSTOM"', b'{"Event-Name":"BACK']) as subscriber:
        subscriber.subscribed(asked.switch)
        kinds = ((zmq.REQ, ask_one_by_one), (zmq.DEALER, ask_at_once)) * 4
        threads = [
            threading.Thread(target=work, args=(kind, ask, list(requests.make(2 * IN_FLIGHT)))) for kind, ask in kinds
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        assert not errors, errors
        follows(subscriber, requests)
    asked.wait(asked.api, lambda now: now["pending"] == 0)
    adds_up(asked)
    assert asked.api()["requests"] == 16 * IN_FLIGHT
    print(f"\n{16 * IN_FLIGHT} requests of 8 callers in {took:.2f} s")


def test_a_hundred_plain_reqs_at_once(asked: Module, requests: Requests) -> None:
    endpoint = asked.api_endpoint()
    with zmq.Context() as context:
        sockets: list[zmq.Socket[bytes]] = []
        try:
            for _ in range(IN_FLIGHT):
                socket = context.socket(zmq.REQ)
                socket.set(zmq.LINGER, 0)
                socket.connect(endpoint)
                sockets.append(socket)
            each_one = list(requests.make(IN_FLIGHT))
            for number, (socket, one) in enumerate(zip(sockets, each_one)):
                socket.send_json({"jsonrpc": "2.0", "id": f"n{number}", "method": one.method, "params": one.params})
            for number, (socket, one) in enumerate(zip(sockets, each_one)):
                assert socket.poll(10_000), one
                answer: Answer = socket.recv_json()  # type: ignore[assignment]  # it is an object
                assert answer["id"] == f"n{number}"
                assert one.is_own(answer.get("result")), (one, answer)
        finally:
            for socket in sockets:
                socket.close()
    asked.wait(asked.api, lambda now: now["pending"] == 0)
    adds_up(asked)


def test_what_is_too_much_is_refused_at_once(live_module_factory: LiveModuleFactory) -> None:
    module = started(live_module_factory, ("max-pending", "5"))
    with Caller(module.api_endpoint(), zmq.DEALER) as caller:
        held = Hold(module.switch)
        began = time.monotonic()
        sent = [caller.send("api", held.params(timeout=80)) for _ in range(20)]
        # At once: none of the five that run has ended, nor will it before these are refused.
        answers = [caller.receive() for _ in range(15)]
        refused_within = time.monotonic() - began
        assert {answer["error"]["code"] for answer in answers} == {-32004}
        # In the order in which they came: the first five have the places.
        assert [answer["id"] for answer in answers] == sent[5:]
        assert module.api()["pending"] == 5
        assert caller.call("ping")["protocol"] == 1
        held.release()
        for number, answer in caller.answers(5).items():
            assert number in sent[:5]
            assert answer["result"]["output"].strip() == "+OK"
        print(f"\n15 refused within {refused_within * 1000:.1f} ms")
        module.wait(module.api, lambda now: now["pending"] == 0)
        assert caller.call("api", command="echo", args="again")["output"] == "again"
    assert module.api()["errors_by_code"] == {"-32004": 15}


def test_late_answers_are_nobodys(asked: Module) -> None:
    late, held = 50, Hold(asked.switch)
    with Caller(asked.api_endpoint(), zmq.DEALER) as caller:
        timed_out = {caller.send("api", held.params(timeout=0.1)) for _ in range(late)}
        answers = caller.answers(late)
        assert set(answers) == timed_out
        assert {answer["error"]["code"] for answer in answers.values()} == {-32002}
        # FreeSWITCH still runs them, and they count.
        assert asked.api()["pending"] == late
        # What is asked meanwhile, before and after they come, is answered by its own alone.
        released = False
        while asked.api()["pending"]:
            texts = {caller.send("api", {"command": "echo", "args": text}): text for text in map(str, range(20))}
            own = {number: answer["result"]["output"] for number, answer in caller.answers(20).items()}
            assert own == texts
            if not released:
                held.release()
                released = True
        asked.wait(asked.api, lambda now: now["late"] == late)
        caller.nothing(0.2)
    part = asked.api()
    assert (part["pending"], part["undelivered"], part["errors_by_code"]) == (0, 0, {"-32002": late}), part
    assert part["requests"] == part["succeeded"] + part["errors"], part
    assert asked.status()["errors"] == 0


def test_one_that_timed_out_keeps_its_place(live_module_factory: LiveModuleFactory) -> None:
    module = started(live_module_factory, ("max-pending", "2"), ("timeout-ms", "100"))
    held = Hold(module.switch)
    with Caller(module.api_endpoint()) as caller:
        for _ in range(2):
            assert caller.code("api", **held.params()) == -32002
        assert module.api()["pending"] == 2
        assert caller.code("api", command="echo", args="x") == -32004
        assert caller.code("bgapi", command="echo", args="x") == -32004
        held.release()
        module.wait(module.api, lambda now: now["pending"] == 0)
        assert caller.call("api", command="echo", args="x", timeout=30)["output"] == "x"
