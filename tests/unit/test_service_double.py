"""The switch that a service's own tests use: the rules, the turns, and what becomes of the call."""

from __future__ import annotations

import asyncio
import time
from dataclasses import fields
from typing import Any

import pytest

from freeswitch_zmq.client.service import (
    Action,
    Call,
    Channel,
    Hangup,
    Reply,
    RpcError,
    Service,
    XmlRequest,
    answer,
    configuration,
    dialplan,
    directory,
    extension,
    hangup,
    play_and_get_digits,
    playback,
    respond,
    transfer,
    user,
)
from freeswitch_zmq.client.service.testing import CallerHungUp, SwitchDouble
from freeswitch_zmq.module.callouts import leg


@pytest.fixture
def service() -> Service:
    return Service("tcp://127.0.0.1:*")


def double_of(service: Service, **options: Any) -> SwitchDouble:
    """One that does not mind when the machine stands still."""
    return SwitchDouble(service, **{"timeout_ms": 60_000, **options})


def menu(variable: str = "digits", regex: str = r"\d+") -> Action:
    return play_and_get_digits(1, 2, 3, 5000, "#", "a.wav", "b.wav", variable, regex)


def test_a_channel_has_what_the_switch_tells() -> None:
    assert [each.name for each in fields(Channel) if each.name != "others"] == list(leg._PROFILE)


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_a_conversation(service: Service, kind: str) -> None:
    calls: list[Call] = []

    def ivr(call: Call) -> Any:
        calls.append(call)
        if call.turn == 1:
            return Reply([answer(), menu()], {"step": "1"}, again=True)
        return [playback("c.wav"), transfer(call.variables["digits"], "default")]

    async def later(call: Call) -> Any:
        await asyncio.sleep(0)
        return ivr(call)

    service.call("ivr")(ivr if kind == "function" else later)
    double = double_of(service, variables=["dig*", "lang"])
    given = {"lang": "de", "other": "x"}
    record = double.call(
        "ivr", "a b", variables=given, responses={"play_and_get_digits": "42"}, caller_id_number="100", uuid="u"
    )
    assert (record.status, record.turns, record.problem, record.answered) == ("ok", 2, "", True)
    assert [each.application for each in record.executed] == ["answer", "play_and_get_digits", "playback", "transfer"]
    assert (record.transferred, record.hangup_cause, record.here) == ("42 XML default", None, False)
    assert record.variables == {**given, "step": "1", "digits": "42", "event_zmq_status": "ok"}
    first, second = calls
    assert (first.args, first.uuid, first.results, first.variables) == ("a b", "u", [], {"lang": "de"})
    assert (first.channel.caller_id_number, first.channel.answer_state) == ("100", "")
    assert (second.variables, second.channel.answer_state) == ({"lang": "de", "digits": "42"}, "answered")
    assert [(each.application, each.done) for each in second.results] == [
        ("answer", True),
        ("play_and_get_digits", True),
    ]
    assert given == {"lang": "de", "other": "x"}


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ([("bridge", "user/1000")], 'the application "bridge" is not allowed'),
        (Reply(["answer"], {"x": "y"}), 'the variable "x" is not allowed'),
        ([playback("${x}", expressions=True)], "allow-expressions is false"),
        ([("say", "x")], 'FreeSWITCH has no application "say"'),
        ([answer(), ("transfer", "1 inline")], "goes to the dialplan XML"),
    ],
)
def test_an_answer_that_the_switch_would_not_take(service: Service, reply: Any, problem: str) -> None:
    service.call("ivr")(lambda call: reply)
    applications = ["answer", "playback", "transfer", "bridge"]
    record = double_of(service, allow_variables=["a*"], applications=applications).call("ivr")
    assert (record.status, record.executed, record.here) == ("invalid", [], True)
    assert problem in record.problem
    assert record.variables == {"event_zmq_status": "invalid"}


def test_what_an_admin_can_allow(service: Service) -> None:
    service.call("ivr")(lambda call: [playback("${x}", expressions=True)])
    assert double_of(service, allow_expressions=True).call("ivr").status == "ok"


def test_errors_of_the_service(service: Service) -> None:
    def fail(call: Call) -> None:
        raise RuntimeError

    service.call("ivr")(fail)
    double = double_of(service)
    record = double.call("ivr")
    assert (record.status, record.problem[:39]) == ("error", "the service answered with the error -32")
    assert double.call("nobody").status == "error"


def test_an_answer_that_takes_too_long(service: Service) -> None:
    service.call("ivr")(lambda call: time.sleep(0.05))
    record = double_of(service, timeout_ms=10).call("ivr")
    assert (record.status, record.problem) == ("timeout", "no answer within 10 ms")


def test_max_turns(service: Service) -> None:
    service.call("ivr")(lambda call: Reply(again=True))
    record = double_of(service, max_turns=3).call("ivr")
    assert (record.status, record.turns, record.problem) == ("ok", 3, "the service was asked 3 times: max-turns")


def test_what_comes_behind_a_hangup_is_not_run(service: Service) -> None:
    gone: list[Hangup] = []
    service.hangup(gone.append)
    service.call("ivr")(lambda call: Reply([hangup("USER_BUSY"), playback("a.wav")], again=True))
    record = double_of(service).call("ivr", uuid="u")
    assert (record.turns, record.hangup_cause, len(record.executed)) == (1, "USER_BUSY", 1)
    assert gone == [Hangup("u", "USER_BUSY")]


def test_a_caller_who_hangs_up(service: Service) -> None:
    gone: list[Hangup] = []

    @service.hangup
    async def hung_up(hangup: Hangup) -> None:
        gone.append(hangup)
        raise RuntimeError

    def play(application: str, argument: str, variables: dict[str, str]) -> str | None:
        variables["seen"] = f"{application} {argument}"
        if application == "playback":
            raise CallerHungUp("ORIGINATOR_CANCEL")
        return None

    service.call("ivr")(lambda call: [answer(), playback("a.wav"), respond(486)])
    record = double_of(service).call("ivr", responses=play)
    assert (record.hangup_cause, record.status) == ("ORIGINATOR_CANCEL", "ok")
    assert record.variables["seen"] == "playback a.wav"
    assert [each.cause for each in gone] == ["ORIGINATOR_CANCEL"]
    assert record.problem.startswith("dialplan.hangup: ")


@pytest.mark.parametrize(
    ("pressed", "variables"),
    [
        ("1", {"digits": "1"}),
        ("123", {"digits": "12"}),
        ("9", {"digits_invalid": "9"}),
        ("", {}),
        (None, {}),
    ],
)
def test_digits(service: Service, pressed: Any, variables: dict[str, str]) -> None:
    service.call("ivr")(lambda call: [menu(regex="^[12]")])
    responses = {} if pressed is None else {"play_and_get_digits": pressed}
    record = double_of(service).call("ivr", responses=responses, variables={"digits": "old"})
    assert record.variables == {**variables, "event_zmq_status": "ok"}


@pytest.mark.parametrize(("argument", "digits"), [("1 1", None), ("a b 1 1 # a b digits", None), ("0 9", None)])
def test_digits_that_are_asked_for_in_a_wrong_way(service: Service, argument: str, digits: Any) -> None:
    service.call("ivr")(lambda call: [("play_and_get_digits", argument)])
    record = double_of(service).call("ivr", responses={"play_and_get_digits": "1"})
    assert (record.status, record.variables.get("digits")) == ("ok", digits)


def test_responses_one_after_the_other(service: Service) -> None:
    seen: list[list[str]] = []

    @service.call("ivr")
    def ivr(call: Call) -> Reply:
        seen.append([each.response for each in call.results])
        return Reply([menu(), ("read", "1 4 a.wav pin 5000 #"), playback("a.wav"), ("echo")], again=call.turn < 3)

    record = double_of(service, variables=["*"]).call(
        "ivr",
        responses={"Play_and_get_digits": ["1", "2"], "read": ["7"], "playback": ["FILE NOT FOUND"], "echo": "x"},
    )
    assert seen == [[], ["", "", "FILE NOT FOUND", "x"], ["", "", "FILE PLAYED", "x"]]
    assert record.variables == {"pin": "7", "event_zmq_status": "ok"}  # the third time nobody pressed anything


def test_an_unknown_part_of_a_channel(service: Service) -> None:
    with pytest.raises(TypeError, match="caller"):
        double_of(service).call("ivr", caller="100")


def test_lookups(service: Service) -> None:
    seen: list[XmlRequest] = []

    @service.xml("directory", "dialplan")
    def find(request: XmlRequest) -> Any:
        seen.append(request)
        if request.section == "dialplan":
            return dialplan(request.context, extension(request.destination_number, [answer()]))
        return directory(request.domain, user(request.user)) if request.user == "1000" else None

    @service.xml("configuration")
    async def configure(request: XmlRequest) -> Any:
        return configuration(request.key_value, {"a": request.param("b")})

    double = double_of(service)
    found = double.lookup("directory", user="1000", domain="example.com")
    assert found is not None
    assert found.find(".//user[@id='1000']") is not None
    assert double.lookup("directory", user="1001", domain="example.com") is None
    found = double.lookup("dialplan", destination_number="9196", context="public", caller_id_number="1")
    assert found is not None
    assert found.find("section/context[@name='public']/extension[@name='9196']") is not None
    assert (seen[-1].caller_id_number, seen[-1].domain, seen[-1].purpose, seen[-1].action) == ("1", "", "", "")
    found = double.lookup("configuration", name="ivr.conf", params={"b": "c"})
    assert found is not None
    assert found.find("section/configuration[@name='ivr.conf']/settings/param[@value='c']") is not None
    with pytest.raises(RpcError, match="there is no handler"):
        double.lookup("languages")


def test_a_document_that_is_larger_than_the_switch_takes(service: Service) -> None:
    service.xml("directory")(lambda request: directory("example.com", user("1000")))
    with pytest.raises(ValueError, match="response-max-bytes is 10"):
        double_of(service, response_max_bytes=10).lookup("directory", user="1000", domain="example.com")


def test_from_within_a_loop(service: Service) -> None:
    service.call("ivr")(lambda call: None)
    double = double_of(service)

    async def main() -> str:
        return (await asyncio.to_thread(double.call, "ivr")).status

    assert asyncio.run(main()) == "ok"


@pytest.mark.parametrize("name", ["allow_applications", "allow_variables", "variables", "applications"])
def test_a_list_that_is_a_string(service: Service, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} is a list of names, such as \['ivr_\*'\]"):
        double_of(service, **{name: "ivr_*"})


def test_an_answer_that_would_end_the_connection() -> None:
    service = Service("tcp://127.0.0.1:*", max_answer_bytes=10_000_000)
    service.call("ivr")(lambda call: [answer(), hangup()] + [playback("x" * 1200)] * int(call.args))

    @service.hangup
    def hung_up(gone: Hangup) -> None:
        raise RpcError(-32001, "no", "x" * 2_000_000)

    record = double_of(service).call("ivr", "990")
    assert (record.status, len(record.executed)) == ("unavailable", 0)
    assert "the switch takes 1048576 and 65536 more, and would end the connection" in record.problem
    record = double_of(service, max_message_bytes=2_000_000 - 65_536).call("ivr", "1")
    assert (record.status, record.hangup_cause) == ("ok", "NORMAL_CLEARING")
    assert "would end the connection" in record.problem


def test_an_answer_that_the_service_itself_does_not_send(service: Service) -> None:
    service.call("ivr")(lambda call: [playback("x" * 1200)] * 1000)
    record = double_of(service).call("ivr")
    assert (record.status, record.problem) == (
        "error",
        "the service answered with the error -32603: the service failed; its own log says why",
    )


def test_an_error_without_a_code(service: Service) -> None:
    def fail(call: Call) -> None:
        code: Any = "busy"
        raise RpcError(code, "try again later")

    service.call("ivr")(fail)
    assert double_of(service).call("ivr").problem.startswith("the service answered with the error -32603")


def test_a_user_without_a_domain(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    service.xml("directory")(lambda asked: user(asked.user))
    with pytest.raises(RpcError, match="its own log says why"):
        double_of(service).lookup("directory", user="1000", domain="example.com")
    assert "a directory has a <domain> at its top" in caplog.text
