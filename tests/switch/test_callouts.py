"""Calls that ask services what to do: all that a service can do well or badly, and what the dialplan sees of it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from freeswitch_zmq.client.service import (
    Call,
    Hangup,
    Reply,
    RpcError,
    Service,
    action,
    answer,
    log,
    playback,
    sleep,
    transfer,
)
from tests.support.callouts import Calls, adds_up, asking, callout, connected, counters, heard
from tests.support.module import Module, nothing_left
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.switch.conftest import ModuleFactory
from tests.unit.services import Answer, ServiceDouble, answer_of, error_of
from tests.unit.serving import served

Start = Callable[..., "Asked"]

TIMEOUT_MS = 500
BOUND_SECONDS = TIMEOUT_MS / 1000 + 2.0
"""Within which a call goes on whatever the service does (issue 5)."""

HUGE = 100_000_000
MANY = 20
TONE = "tone_stream://%(20,0,440)"


class Asked:
    """The module, and calls that ask."""

    def __init__(self, module: Module, calls: Calls) -> None:
        self.module, self.calls = module, calls

    def ends(self, asks: str = "ivr", **variables: str) -> str:
        """The status of one call."""
        return self.calls.status(self.calls.make(asks, **variables))


@pytest.fixture
def start(module_factory: ModuleFactory) -> Iterator[Start]:
    """`start(callout(…), …)` starts the module with these."""
    with ExitStack() as stack:

        def begin(*callouts: str) -> Asked:
            module = module_factory(asking(*callouts))
            connected(module)
            return Asked(module, stack.enter_context(heard(module.switch)))

        yield begin


def notices(double: ServiceDouble) -> list[dict[str, Any]]:
    """What it was told of hang-ups."""
    return [each["params"] for each in double.requests if each["method"] == "dialplan.hangup"]


def by_args(answers: dict[str, Any]) -> Answer:
    """The answer that the call's arguments name: a result, or what gives a message for the request."""

    def answer(request: dict[str, Any]) -> Any:
        if request["method"] != "dialplan.call":
            return {}
        found = answers[request["params"]["args"]]
        return found(request) if callable(found) else answer_of(request, found)

    return answer


def test_three_turns(start: Start) -> None:
    service = Service("tcp://127.0.0.1:*")
    turns: list[Call] = []

    @service.call("ivr")
    def ivr(call: Call) -> Reply:
        turns.append(call)
        if call.turn == 1:
            return Reply([answer(), playback(TONE)], {"crm_name": "Ä b,c"}, again=True)
        if call.turn == 2:
            return Reply([sleep(1), log("info", "the second turn")], {"crm_name": "again"}, again=True)
        return Reply(variables={"color": "blue"})

    with served(service) as endpoint:
        asked = start(callout(endpoint, variables="crm_*"))
        id = asked.calls.make("ivr  sales  en ", crm_id="7", secret="hush")
        assert asked.calls.status(id) == "ok"
        assert asked.calls.told(id)["Color"] == "blue"
        assert [(call.name, call.args, call.turn) for call in turns] == [("ivr", "sales  en", n) for n in (1, 2, 3)]
        assert [dict(call.variables) for call in turns] == [
            {"crm_id": "7"},
            {"crm_id": "7", "crm_name": "Ä b,c"},
            {"crm_id": "7", "crm_name": "again"},
        ]
        assert [[(each.application, each.done) for each in call.results] for call in turns] == [
            [],
            [("answer", True), ("playback", True)],
            [("sleep", True), ("log", True)],
        ]
        assert turns[1].results[1].response == "FILE PLAYED"
        first, second = turns[0].channel, turns[1].channel
        assert (first.destination_number, first.context, first.state) == ("out", "default", "CS_EXECUTE")
        assert (first.answer_state, second.answer_state) == ("ringing", "answered")
        assert len({call.uuid for call in turns}) == 1
        part = adds_up(asked.module)
        assert (part["requests"], part["succeeded"], part["told"]) == (3, 3, 0)


def test_only_variables_that_are_named_are_sent(start: Start) -> None:
    with ServiceDouble(by_args({"": {}})) as named, ServiceDouble(by_args({"": {}})) as bare:
        asked = start(
            callout(named.endpoint, variables="crm_*,color"), callout(bare.endpoint, name="bare", timeout_ms=60_000)
        )
        given = {"crm_id": "7", "xcrm_id": "8", "color": "red", "secret": "hush-hush"}
        assert asked.ends("ivr", **given) == "ok"
        assert asked.ends("bare", **given) == "ok"
        assert named.requests[0]["params"]["variables"] == {"crm_id": "7", "color": "red"}
        assert bare.requests[0]["params"]["variables"] == {}
        assert "hush" not in json.dumps(named.requests + bare.requests)


def test_what_is_not_allowed_or_not_there_is_not_done(start: Start, tmp_path: Path) -> None:
    evil, meant = tmp_path / "evil", tmp_path / "meant"
    expression = f"${{system(touch {evil})}}"
    answers = {
        "no such application": {"actions": [["set", "color=red"], ["no_such_application"]]},
        "not allowed": {"actions": [["set", "color=red"], ["park"]]},
        "a shell": {"actions": [["set", "color=red"], ["system", f"touch {evil}"]]},
        "an expression": {"actions": [["set", "color=red"], ["log", f"info {expression}"]]},
        "a global expression": {"actions": [["set", "color=red"], ["log", f"info ${expression}"]]},
        "an expression in a value": {"actions": [["set", "color=red"]], "variables": {"color": expression}},
        "a hook": {"actions": [["set", "color=red"]], "variables": {"api_hangup_hook": f"system touch {evil}"}},
        "a hook in capitals": {"variables": {"color": "red", "API_Hangup_Hook": f"system touch {evil}"}},
        "a line break": {"actions": [["set", "color=red"], ["log", "info one\ntwo"]]},
        "another dialplan": {"actions": [["set", "color=red"], ["transfer", f"system:touch\\s{evil} inline"]]},
        "variables of an application": {
            "actions": [["set", "color=red"], ["transfer", f"%[force_transfer_dialplan=inline]system:touch\\s{evil}"]]
        },
        "no argument in the end": {"actions": [["set", "color=red"], ["log", "%[\\sx"]]},
        "an expression in quotes": {"actions": [["set", "color=red"], ["log", f"info $'{{'system(touch {evil})}}"]]},
        "an open brace": {"actions": [["set", "color=red"], ["playback", "{"]]},
        "a program as a file": {"actions": [["set", "color=red"], ["log", f"/x;touch {evil};#.shell_stream"]]},
        "a list": [["set", "color=red"]],
        "something else": {"actions": [["set", "color=red"]], "then": []},
        "garbage": lambda request: b'{"id":"%s","result":' % request["id"].encode() + b'{"variables":{"color":"red"}}}',
        "two ends": lambda request: json.dumps(
            {"jsonrpc": "2.0", "id": request["id"], "result": {"variables": {"color": "red"}}, "error": {"code": 1}}
        ).encode(),
    }
    trusted = {"": {"actions": [["log", "{"], ["log", f"info ${{system(touch {meant})}}"]]}}
    with ServiceDouble(by_args(answers)) as service, ServiceDouble(by_args(trusted)) as trusting:
        allowed = "set,log,playback,transfer,no_such_application"
        asked = start(
            callout(service.endpoint, allow_applications=allowed),
            callout(trusting.endpoint, name="trusting", allow_applications="log", allow_expressions="true"),
        )
        ids = {case: asked.calls.make(f"ivr {case}", color="blue") for case in answers}
        ends = {case: (asked.calls.status(id), asked.calls.told(id).get("Color")) for case, id in ids.items()}
        assert ends == dict.fromkeys(answers, ("invalid", "blue"))
        asked.calls.gone(*ids.values())
        part = adds_up(asked.module)
        assert (part["requests"], part["errors_by_status"]) == (len(answers), {"invalid": len(answers)})
        # The check is one that would see it: where the admin has allowed that, it happens.
        assert asked.ends("trusting") == "ok"
        wait_for(meant.exists, "what an expression runs")
        assert not evil.exists()


def test_errors(start: Start) -> None:
    service = Service("tcp://127.0.0.1:*")

    @service.call("ivr")
    def ivr(call: Call) -> Reply:
        if call.args == "code":
            raise RpcError(-32001, "not you")
        raise RuntimeError("on purpose")

    with served(service) as endpoint:
        asked = start(callout(endpoint), callout(endpoint, name="unheard_of"))
        ids = [asked.calls.make(asks) for asks in ("ivr code", "ivr raises", "unheard_of")]
        assert [asked.calls.status(id) for id in ids] == ["error"] * 3
        assert adds_up(asked.module)["errors_by_status"] == {"error": 2}
        assert adds_up(asked.module, "unheard_of")["errors_by_status"] == {"error": 1}
        asked.module.wait_log("answered with the error -32")


def test_nobody_to_ask(module_factory: ModuleFactory) -> None:
    module = module_factory(asking(callout(f"tcp://127.0.0.1:{free_port()}", timeout_ms=TIMEOUT_MS)))
    with heard(module.switch) as calls:
        nobody, unknown, nameless, blank = (calls.make(asks) for asks in ("ivr", "nope", "", "  "))
        assert [calls.status(id) for id in (nobody, unknown, nameless, blank)] == ["unavailable"] * 4
        assert calls.seconds(nobody) < BOUND_SECONDS
        # Whoever is not there is not waited for again and again.
        assert [calls.status(calls.make()) for _ in range(3)] == ["unavailable"] * 3
        assert adds_up(module)["errors_by_status"] == {"unavailable": 4}
        assert module.command("stop") == "+OK stopped"
        assert calls.status(calls.make()) == "unavailable"
        nothing_left(module.switch)


def test_no_answer_in_time(start: Start) -> None:
    """It comes late, or has another id, or is none."""

    def answered(request: dict[str, Any]) -> Any:
        wrong = {**request, "id": "0" * 32}
        answers = {
            "nothing": None,
            "another id": answer_of(wrong, {"variables": {"color": "red"}}),
            "no id": b'{"jsonrpc":"2.0","result":{}}',
            "garbage": b"\xff\x00{",
            "empty": b"",
        }
        return answers[request["params"]["args"]]

    with ServiceDouble(answered) as service:
        asked = start(callout(service.endpoint, timeout_ms=TIMEOUT_MS))
        cases = ("nothing", "another id", "no id", "garbage", "empty")
        ids = [asked.calls.make(f"ivr {case}", color="blue") for case in cases]
        assert [(asked.calls.status(id), asked.calls.told(id)["Color"]) for id in ids] == [("timeout", "blue")] * 5
        for id in ids:
            assert asked.calls.seconds(id) < BOUND_SECONDS
        for request in service.came(len(cases)):
            service.result(request, {"variables": {"color": "red"}})

        def useless() -> tuple[int, int]:
            [connection] = counters(asked.module)["connections"]
            return connection["late"], connection["unknown"] + connection["garbage"]

        asked.module.wait(useless, lambda now: now == (len(cases), len(cases) - 1))
        assert adds_up(asked.module)["errors_by_status"] == {"timeout": len(cases)}


def test_a_second_answer_changes_nothing(start: Start) -> None:
    def twice(request: dict[str, Any]) -> None:
        for color in ("green", "red"):
            service.result(request, {"variables": {"color": color}, "actions": [["sleep", "1"]]})

    with ServiceDouble() as service:
        asked = start(callout(service.endpoint))
        id = asked.calls.make()
        [request] = service.came(1)
        twice(request)
        assert asked.calls.status(id) == "ok"
        assert asked.calls.told(id)["Color"] == "green"
        asked.module.wait(lambda: counters(asked.module), lambda now: now["connections"][0]["repeated"] == 1)
        assert adds_up(asked.module)["succeeded"] == 1


def test_an_answer_of_a_hundred_megabytes(start: Start) -> None:
    def huge(request: dict[str, Any]) -> Any:
        return answer_of(request, {"variables": {"color": "x" * HUGE}}) if request["params"]["args"] == "huge" else {}

    with ServiceDouble(huge) as service:
        asked = start(callout(service.endpoint, timeout_ms=TIMEOUT_MS))
        memory = asked.module.switch.rss_kb()
        id = asked.calls.make("ivr huge")
        assert asked.calls.status(id) in ("unavailable", "timeout")
        assert asked.calls.seconds(id) < BOUND_SECONDS
        assert asked.module.switch.rss_kb() - memory < HUGE / 2000
        # It is connected to again by itself, and asked again.
        asked.module.wait(asked.ends, lambda now: now == "ok")
        adds_up(asked.module)


def test_a_service_that_goes_is_not_waited_for(start: Start) -> None:
    with ServiceDouble() as service:
        asked = start(callout(service.endpoint))
        ids = [asked.calls.make() for _ in range(3)]
        service.came(3)
    assert [asked.calls.status(id) for id in ids] == ["unavailable"] * 3
    with ServiceDouble(lambda request: {}, service.endpoint):
        asked.module.wait(asked.ends, lambda now: now == "ok")
    adds_up(asked.module)


def test_the_next_endpoint_is_asked(start: Start) -> None:
    with ServiceDouble(lambda request: error_of(request, -32603, "no")) as first, ServiceDouble() as second:
        asked = start(callout(first.endpoint, second.endpoint))
        id = asked.calls.make()
        [request] = second.came(1)
        second.result(request, {"variables": {"color": "green"}, "continue": True})
        # Further turns begin where the last one had its answer.
        [_, request] = second.came(2)
        assert request["params"]["turn"] == 2
        second.result(request, {})
        assert asked.calls.status(id) == "ok"
        assert len(first.requests) == 1
        assert adds_up(asked.module)["succeeded"] == 2


def test_a_hangup_while_it_waits(start: Start) -> None:
    with ServiceDouble() as service:
        asked = start(callout(service.endpoint))
        ids = [asked.calls.make() for _ in range(3)]
        legs = [request["params"]["uuid"] for request in service.came(3)]
        for id in ids:
            asked.calls.hang_up(id)
        wait_for(lambda: len(notices(service)) == 3, "the notices")  # the timeout is ten minutes
        asked.calls.gone(*ids, *legs)
        found = notices(service)
        assert {each["uuid"] for each in found} == set(legs)
        assert {each["cause"] for each in found} == {"NORMAL_CLEARING"}
        part = adds_up(asked.module)
        assert (part["requests"], part["abandoned"], part["told"]) == (3, 3, 3)


def test_a_hangup_in_an_action(start: Start) -> None:
    service = Service("tcp://127.0.0.1:*")
    gone: list[Hangup] = []
    turns: list[Call] = []
    service.hangup(gone.append)

    @service.call("ivr")
    def ivr(call: Call) -> Reply:
        turns.append(call)
        return Reply([answer(), sleep(600_000), log("info", "never")], again=True)

    with served(service) as endpoint:
        asked = start(callout(endpoint))
        switch = asked.module.switch
        id = asked.calls.make()
        asked.module.wait(lambda: switch.api("show channels as json"), lambda now: '"600000"' in now)
        asked.calls.hang_up(id)
        asked.calls.gone(id)
        wait_for(lambda: gone, "the notice")
        asked.calls.gone(turns[0].uuid)
        assert gone == [Hangup(turns[0].uuid, "NORMAL_CLEARING")]
        assert len(turns) == 1
        part = adds_up(asked.module)
        assert (part["requests"], part["succeeded"], part["told"]) == (1, 1, 1)


def test_a_transfer_ends_it(start: Start) -> None:
    service = Service("tcp://127.0.0.1:*")
    turns: list[Call] = []

    @service.call("ivr")
    def ivr(call: Call) -> Reply:
        turns.append(call)
        where = transfer("moved", "default") if call.args == "with a context" else transfer("moved")
        return Reply([where, action("set", "color=red"), sleep(600_000)], {"color": "green"}, again=True)

    with served(service) as endpoint:
        asked = start(callout(endpoint, allow_applications="transfer,set,sleep"))
        for asks in ("ivr", "ivr with a context"):
            id = asked.calls.make(asks)
            event = asked.calls.told(id, "moved")
            assert (event["Status"], event["Color"]) == ("ok", "green")
            asked.calls.gone(id)
        assert [call.turn for call in turns] == [1, 1]
        part = adds_up(asked.module)
        assert (part["requests"], part["succeeded"], part["told"]) == (2, 2, 0)


def test_one_conversation_in_another(start: Start) -> None:
    outer, inner = Service("tcp://127.0.0.1:*"), Service("tcp://127.0.0.1:*")
    turns: list[Call] = []

    @outer.call("outer")
    def asks_another(call: Call) -> Reply:
        turns.append(call)
        if call.turn == 1:
            return Reply([action("python", "event_zmq inner from outer")], again=True)
        return Reply(variables={"color": call.variables["inner"]})

    @inner.call("inner")
    def answers(call: Call) -> Reply:
        return Reply([answer()], {"inner": call.args})

    with served(outer) as one, served(inner) as two:
        asked = start(
            callout(one, name="outer", allow_applications="python", variables="inner,event_zmq_status"),
            callout(two, name="inner"),
        )
        id = asked.calls.make("outer")
        assert asked.calls.status(id) == "ok"
        assert asked.calls.told(id)["Color"] == "from outer"
        assert dict(turns[1].variables) == {"inner": "from outer", "event_zmq_status": "ok"}
        assert [(each.application, each.done) for each in turns[1].results] == [("python", True)]
        assert adds_up(asked.module, "outer")["succeeded"] == 2
        assert adds_up(asked.module, "inner")["succeeded"] == 1


def test_a_reload_while_calls_wait(start: Start) -> None:
    with ServiceDouble() as service, ServiceDouble(lambda request: {"variables": {"color": "red"}}) as other:
        asked = start(callout(service.endpoint), callout(service.endpoint, name="goes"))
        ids = [asked.calls.make("ivr") for _ in range(3)] + [asked.calls.make("goes")]
        requests = list(service.came(4))
        # First other rules for the same service, then another service in its place.
        narrow = callout(service.endpoint, allow_applications="log", max_turns=7)
        assert asked.module.reload(asking(narrow)).startswith("+OK reloaded")
        assert asked.module.reload(asking(callout(other.endpoint))).startswith("+OK reloaded")
        connected(asked.module)
        fresh = asked.calls.make()
        assert asked.calls.status(fresh) == "ok"
        assert asked.calls.told(fresh)["Color"] == "red"
        assert asked.ends("goes") == "unavailable"
        for request in requests:
            service.result(request, {"variables": {"color": "green"}})
        assert [(asked.calls.status(id), asked.calls.told(id)["Color"]) for id in ids] == [("ok", "green")] * 4
        assert adds_up(asked.module)["requests"] == 1  # of the new one
        assert asked.module.command("stop") == "+OK stopped"
    nothing_left(asked.module.switch)


def test_a_stop_while_calls_wait(start: Start) -> None:
    with ServiceDouble() as service:
        asked = start(callout(service.endpoint))
        switch = asked.module.switch
        ids = [asked.calls.make() for _ in range(MANY)]
        legs = [request["params"]["uuid"] for request in service.came(MANY)]
        assert counters(asked.module)["pending"] == MANY
        assert asked.module.command("stop") == "+OK stopped"  # the timeout is ten minutes
        assert [asked.calls.status(id) for id in ids] == ["unavailable"] * MANY
        nothing_left(switch)
        asked.calls.gone(*ids, *legs)
        asked.module.start()
        connected(asked.module)
        id = asked.calls.make()
        service.result(service.came(MANY + 1)[-1], {})
        assert asked.calls.status(id) == "ok"
        assert adds_up(asked.module)["requests"] == 1


def test_many_calls_share_a_connection(start: Start) -> None:
    service = Service("tcp://127.0.0.1:*", threads=4)
    together = threading.Event()
    seen: list[str] = []

    @service.call("ivr")
    async def ivr(call: Call) -> Reply:
        if call.turn == 1:
            seen.append(call.uuid)
            while len(seen) < MANY and not together.is_set():
                await asyncio.sleep(0.01)
            together.set()
            return Reply([answer(), sleep(1)], again=True)
        return Reply(variables={"color": call.uuid})

    with served(service) as endpoint:
        asked = start(callout(endpoint))
        asked.ends("nothing to do with it")
        sockets = asked.module.switch.fds()
        ids = [asked.calls.make() for _ in range(MANY)]
        assert [asked.calls.status(id) for id in ids] == ["ok"] * MANY
        assert {asked.calls.told(id)["Color"] for id in ids} == set(seen)
        asked.calls.gone(*ids)
        part = adds_up(asked.module)
        assert (part["requests"], part["succeeded"]) == (2 * MANY, 2 * MANY)
        assert part["connections"][0]["disconnects"] == 0
        asked.module.wait(asked.module.switch.fds, lambda now: now <= sockets)
        assert asked.module.command("stop") == "+OK stopped"
    nothing_left(asked.module.switch)


def test_as_many_turns_as_may_be(start: Start) -> None:
    with ServiceDouble(lambda request: {"continue": True}) as service:
        asked = start(callout(service.endpoint, max_turns=5))
        assert asked.ends() == "ok"
        assert [request["params"]["turn"] for request in service.requests] == [1, 2, 3, 4, 5]
        asked.module.wait_log("was asked 5 times")
