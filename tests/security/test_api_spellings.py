"""Two thousand spellings that try to get past the permissions: all are refused, and none reaches FreeSWITCH."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zmq

from tests.security.spellings import ALLOW, Attempt, forbidden, wrong
from tests.support.caller import Caller
from tests.support.esl import Esl
from tests.support.module import Module, api, configuration, publisher

from .conftest import ModuleFactory

IN_FLIGHT = 50
SENT = "spellings::sent"


def codes(module: Module, attempts: list[Attempt]) -> list[int]:
    """How each is answered; 0: with a result."""
    found: dict[int, int] = {}
    with Caller(module.api_endpoint(), zmq.DEALER) as caller:
        waiting = 0
        numbers = []
        for method, params in attempts:
            numbers.append(caller.send(method, params))
            waiting += 1
            while waiting >= IN_FLIGHT:
                answer = caller.receive()
                found[answer["id"]] = answer.get("error", {"code": 0})["code"]
                waiting -= 1
        for number, answer in caller.answers(waiting).items():
            found[number] = answer.get("error", {"code": 0})["code"]
    return [found[number] for number in numbers]


def others(attempts: list[Attempt], answered: list[int], code: int) -> list[tuple[Attempt, int]]:
    """Those that were answered with another code."""
    return [pair for pair in zip(attempts, answered) if pair[1] != code]


def test_none_of_them_gets_through(module_factory: ModuleFactory, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    module = module_factory(configuration(publisher(("replay-mb", "5")), api=api(("allow", ALLOW))))
    switch = module.switch
    not_allowed, not_right = forbidden(str(mark)), wrong(str(mark))
    assert len(not_allowed) >= 500
    variables, profile = switch.api("global_getvar"), switch.api("show calls")
    before = module.api()
    log_start = len(switch.log_text())
    with Esl.connect(switch.esl_port, switch.esl_password) as watching:
        # Every command and every event that is not the switch's own would be seen here.
        watching.events("json all")
        answered = codes(module, not_allowed)
        assert others(not_allowed, answered, -32001) == []
        answered = codes(module, not_right)
        assert others(not_right, answered, -32602) == []
        log = switch.log_text()[log_start:]
        switch.sendevent("CUSTOM", [("Event-Subclass", SENT)])
        events: list[dict[str, Any]] = []
        while not events or events[-1].get("Event-Subclass") != SENT:
            message = watching.receive()
            assert message is not None
            events.append(message.event())
    commands = {event["API-Command"] for event in events if event["Event-Name"] == "API"}
    # Asking for the status where the API listens is a command of the test's, and looks after the fork setting.
    assert commands <= {"python", "fsctl", "global_getvar"}, commands
    sent = {event["Event-Name"] for event in events} & {"BACKGROUND_JOB", "MESSAGE", "SHUTDOWN", "RELOADXML"}
    assert sent == set()
    assert [event["Event-Subclass"] for event in events if event["Event-Name"] == "CUSTOM"] == [SENT]
    assert not mark.exists()
    assert str(mark) not in log
    assert switch.api("global_getvar") == variables
    assert switch.api("show calls") == profile
    assert switch.running
    after = module.api()
    assert after["errors_by_code"] == {"-32602": len(not_right), "-32001": len(not_allowed)}
    assert after["requests"] - before["requests"] == len(not_allowed) + len(not_right) == after["errors"]
    assert after["pending"] == 0
    assert module.status()["errors"] == 0
    print(f"\n{len(not_allowed)} forbidden spellings, {len(not_right)} wrong ones: none reached the switch")
