"""A call's conversation with a service: what it is told, what it may do, how it ends."""

from __future__ import annotations

import json
import threading
import time
from typing import Any, Callable, Optional

import pytest
import zmq

from freeswitch_zmq.errors import CommandTimeout
from freeswitch_zmq.module.asking.backend import BackendOptions
from freeswitch_zmq.module.callouts import conversation as conversation_module
from freeswitch_zmq.module.callouts.callout import Callout
from freeswitch_zmq.module.callouts.conversation import Conversation
from freeswitch_zmq.module.callouts.hangups import Hangups
from freeswitch_zmq.module.callouts.leg import Leg
from freeswitch_zmq.module.schema import CALLOUT, CalloutConfig
from tests.support.waiting import wait_for
from tests.unit.fake_freeswitch import FakeSwitch
from tests.unit.services import Answer, ServiceDouble, answer_of, error_of

UUID = "0a1b2c3d-call"


class FakeSession:
    """`freeswitch.Session` of a call: as the real one was seen to behave."""

    def __init__(self) -> None:
        self.state = "CS_EXECUTE"
        self.variables: dict[str, str] = {"crm_id": "7", "secret": "x"}
        self.executed: list[tuple[str, str]] = []
        self.on: dict[str, Callable[[str], None]] = {}
        self.profile = {"Caller-Caller-ID-Number": "1001", "Caller-Dialplan": "XML", "Caller-Context": "public"}

    def get_uuid(self) -> str:
        return UUID

    def ready(self) -> bool:
        return self.state == "CS_EXECUTE"

    def getState(self) -> str:  # noqa: N802  # FreeSWITCH's name
        return self.state

    def getVariable(self, name: str) -> Optional[str]:  # noqa: N802  # FreeSWITCH's name
        return self.variables.get(name)

    def setVariable(self, name: str, value: str) -> None:  # noqa: N802  # FreeSWITCH's name
        self.variables[name] = value

    def execute(self, application: str, argument: str) -> None:
        self.executed.append((application, argument))
        self.variables["current_application_response"] = f"{application} done"
        if application in self.on:
            self.on[application](argument)

    def run(self, command: str, timeout: float) -> str:
        """In the place of `Commands`."""
        assert command == f"uuid_dump {UUID} json"
        return json.dumps(
            {
                "Event-Name": "CHANNEL_DATA",
                "Channel-State": self.state,
                **self.profile,
                **({"Hangup-Cause": "USER_BUSY"} if self.state == "CS_HANGUP" else {}),
                **{f"variable_{name}": value for name, value in self.variables.items()},
            }
        )


class Called:
    """A call at a service."""

    def __init__(self, answer: Optional[Answer], **given: Any) -> None:
        self.session, self.hangups = FakeSession(), Hangups()
        self.errors: list[BaseException] = []
        self.service = ServiceDouble(answer)
        defaults = {each.field: each.read(each.default) if each.default is not None else () for each in CALLOUT}
        values = {**defaults, "endpoint": (self.service.endpoint,), "server_public_key": None, "timeout_ms": 20_000}
        self.config = CalloutConfig(name="ivr", **{**values, **given})
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        options = BackendOptions(100_000, False, None, None, 0.0)
        known = {"answer", "playback", "sleep", "transfer", "hangup"}
        self.callout = Callout(self.config, options, self._context, known.__contains__, self.errors.append)
        self.current: Optional[Callout] = self.callout

    def __enter__(self) -> Called:
        self.service.__enter__()
        self.callout.requester.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.callout.requester.stop(20.0)
        self._context.term()
        self.service.__exit__(None, None, None)
        assert self.errors == []

    def converse(self, args: str = "one two") -> str:
        leg = Leg(self.session, self.session)  # type: ignore[arg-type]  # it can run the only command
        return Conversation(lambda: self.current, leg, args, self.hangups).run()

    def hang_up(self) -> None:
        self.session.state = "CS_HANGUP"
        self.hangups.hung_up(UUID)

    def asked(self, method: str = "dialplan.call") -> list[dict[str, Any]]:
        return [request["params"] for request in self.service.requests if request["method"] == method]


def turns(*results: dict[str, Any]) -> Answer:
    """Answers that follow each other; notices are taken without a word."""
    left = iter(results)
    return lambda request: next(left) if request["method"] == "dialplan.call" else {}


@pytest.fixture(autouse=True)
def _host(switch: FakeSwitch) -> None:
    """For the log."""


def test_three_turns() -> None:
    answer = turns(
        {"actions": [["answer"], ["playback", "tone_stream://x"]], "variables": {"k": "v"}, "continue": True},
        {"actions": [["sleep", "10"]], "continue": True},
        {"actions": [["hangup", "USER_BUSY"]]},
    )
    with Called(answer, variables=("crm_*", "k")) as called:
        called.session.on["hangup"] = lambda cause: called.hang_up()
        assert called.converse() == "ok"
        first, second, third = called.asked()
        assert (first["name"], first["args"], first["uuid"], first["turn"]) == ("ivr", "one two", UUID, 1)
        assert first["channel"]["caller_id_number"] == "1001"
        assert first["channel"]["context"] == "public"
        assert first["channel"]["state"] == "CS_EXECUTE"
        assert first["variables"] == {"crm_id": "7"}
        assert first["result"] == []
        assert second["turn"] == 2
        assert second["variables"] == {"crm_id": "7", "k": "v"}
        assert second["result"] == [
            {"application": "answer", "done": True, "response": "answer done"},
            {"application": "playback", "done": True, "response": "playback done"},
        ]
        assert third["result"] == [{"application": "sleep", "done": True, "response": "sleep done"}]
        assert called.session.executed == [
            ("answer", ""),
            ("playback", "tone_stream://x"),
            ("sleep", "10"),
            ("hangup", "USER_BUSY"),
        ]
        wait_for(lambda: called.asked("dialplan.hangup"), "the notice")
        assert called.asked("dialplan.hangup") == [{"uuid": UUID, "cause": "USER_BUSY"}]


def test_variables_are_there_when_the_actions_run() -> None:
    seen = []
    with Called(turns({"actions": [["answer"]], "variables": {"k": "v"}})) as called:
        called.session.on["answer"] = lambda argument: seen.append(called.session.variables["k"])
        assert called.converse() == "ok"
        assert seen == ["v"]
        assert called.asked()[0]["variables"] == {}  # none are named in the configuration
        assert called.asked("dialplan.hangup") == []  # it goes on in its dialplan


@pytest.mark.parametrize(
    "result",
    [
        {"actions": [["answer"], ["nonsense"]]},
        {"actions": [["answer"], ["system", "id"]]},
        {"actions": [["answer"], ["playback", "${system(id)}"]]},
        {"actions": [["answer"]], "variables": {"api_hangup_hook": "x"}},
        {"actions": [["answer"]], "continue": "yes"},
        [],
        None,
    ],
)
def test_nothing_of_an_invalid_answer_is_done(result: Any, switch: FakeSwitch) -> None:
    with Called(lambda request: answer_of(request, result)) as called:
        assert called.converse() == "invalid"
        assert called.session.executed == []
        assert called.session.variables == {"crm_id": "7", "secret": "x"}
        [line] = [line for line in switch.texts("WARNING") if "event_zmq_status" in line]
        assert line.startswith('callout "ivr": tcp://127.0.0.1:')
        assert line.endswith(f"call {UUID} goes on in its dialplan with event_zmq_status=invalid")


def test_an_error() -> None:
    with Called(lambda request: error_of(request, -32603, "no")) as called:
        assert called.converse() == "error"


def test_no_answer_in_time() -> None:
    with Called(None, timeout_ms=300) as called:
        wait_for(lambda: called.callout.requester.backends[0].connected, "a connection")
        assert called.converse() == "timeout"
        assert called.session.executed == []


def test_a_turn_that_fails_leaves_what_was_done_before() -> None:
    results = iter([{"actions": [["answer"]], "continue": True}])
    with Called(lambda request: next(results, None), timeout_ms=1500) as called:
        assert called.converse() == "timeout"
        assert called.session.executed == [("answer", "")]


def test_as_many_turns_as_may_be(switch: FakeSwitch) -> None:
    with Called(lambda request: {"actions": [["sleep", "1"]], "continue": True}, max_turns=3) as called:
        assert called.converse() == "ok"
        assert len(called.asked()) == 3
        assert any("was asked 3 times" in line for line in switch.texts("WARNING"))


def test_a_hangup_while_it_waits_ends_it_at_once() -> None:
    with Called(None, timeout_ms=600_000) as called:
        found: list[str] = []
        waiting = threading.Thread(target=lambda: found.append(called.converse()))
        waiting.start()
        called.service.came(1)
        called.hang_up()
        waiting.join(20.0)
        assert found == ["ok"]
        wait_for(lambda: called.asked("dialplan.hangup"), "the notice")
        counted = called.callout.counted()
        assert (counted["abandoned"], counted["pending"], counted["told"]) == (1, 0, 1)


def test_a_hangup_of_which_no_event_comes_is_noticed_too() -> None:
    with Called(None, timeout_ms=600_000) as called:
        waiting = threading.Thread(target=called.converse)
        waiting.start()
        called.service.came(1)
        called.session.state = "CS_HANGUP"
        waiting.join(20.0)
        assert not waiting.is_alive()


def test_a_hangup_in_an_action_ends_it() -> None:
    with Called(turns({"actions": [["answer"], ["playback", "x"], ["sleep", "1"]], "continue": True})) as called:
        called.session.on["playback"] = lambda argument: called.hang_up()
        assert called.converse() == "ok"
        assert called.session.executed == [("answer", ""), ("playback", "x")]
        assert len(called.asked()) == 1


def test_a_transfer_ends_it_and_is_no_hangup() -> None:
    def transfer(argument: str) -> None:
        called.session.state = "CS_ROUTING"

    with Called(turns({"actions": [["transfer", "1000"], ["sleep", "1"]], "continue": True})) as called:
        called.session.on["transfer"] = transfer
        assert called.converse() == "ok"
        assert called.session.executed == [("transfer", "1000")]
        time.sleep(0.05)
        assert called.asked("dialplan.hangup") == []


def test_a_wake_for_nothing_does_no_harm() -> None:
    with Called(None) as called:
        found: list[str] = []
        waiting = threading.Thread(target=lambda: found.append(called.converse()))
        waiting.start()
        [request] = called.service.came(1)
        for _ in range(5):
            called.hangups.hung_up(UUID)  # the event is there, and the call is not over
            called.hangups.hung_up("another")
        called.service.result(request, {"actions": [["answer"]]})
        waiting.join(20.0)
        assert found == ["ok"]
        assert called.session.executed == [("answer", "")]


def test_a_call_that_can_not_be_looked_at() -> None:
    with Called(turns({})) as called:

        def run(command: str, timeout: float) -> str:
            raise CommandTimeout("no")

        called.session.run = run  # type: ignore[method-assign]
        assert called.converse() == "ok"
        assert set(called.asked()[0]["channel"].values()) == {""}


def test_what_an_application_begins_is_another_conversation_of_the_same_call() -> None:
    woken: list[str] = []
    hangups = Hangups()
    with hangups.watched(UUID, lambda: woken.append("outer")):
        with hangups.watched(UUID, lambda: woken.append("inner")):
            hangups.hung_up(UUID)
        hangups.hung_up(UUID)
    hangups.hung_up(UUID)
    assert woken == ["outer", "inner", "outer"]


def test_a_reload_between_two_turns() -> None:
    """The next turn is for the service that the configuration names by then."""
    with Called(turns({"actions": [["sleep", "1"]], "continue": True})) as first, Called(turns({})) as second:
        first.session.on["sleep"] = lambda _: setattr(first, "current", second.callout)
        assert first.converse() == "ok"
        assert [each["turn"] for each in first.asked()] == [1]
        assert [(each["turn"], each["result"][0]["application"]) for each in second.asked()] == [(2, "sleep")]


def test_a_reload_that_takes_the_callout_away() -> None:
    with Called(turns({"actions": [["sleep", "1"]], "continue": True})) as called:
        called.session.on["sleep"] = lambda _: setattr(called, "current", None)
        assert called.converse() == "unavailable"
        assert called.session.executed == [("sleep", "1")]


def test_a_call_that_hangs_up_after_a_reload_is_told_to_the_new_service() -> None:
    with Called(turns({"actions": [["sleep", "1"]], "continue": True})) as first, Called(turns()) as second:

        def reload_and_hang_up(_: str) -> None:
            first.current = second.callout
            first.hang_up()

        first.session.on["sleep"] = reload_and_hang_up
        assert first.converse() == "ok"
        wait_for(lambda: second.asked("dialplan.hangup"), "the hang-up")
        assert first.asked("dialplan.hangup") == []


def test_a_call_goes_on_though_the_thread_that_has_it_answered_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation_module, "OVERDUE_SECONDS", 0.05)
    with Called(lambda request: {}, timeout_ms=50) as called:
        release, requester = threading.Event(), called.callout.requester
        keep_time = requester._keep_time
        monkeypatch.setattr(requester, "_keep_time", lambda now: release.wait(60.0) and keep_time(now))
        requester.wake()
        try:
            assert called.converse() == "timeout"
        finally:
            release.set()
        wait_for(lambda: requester.abandoned + sum(requester.by_status.values()) == 1, "it to find out")
        assert requester.pending == 0
