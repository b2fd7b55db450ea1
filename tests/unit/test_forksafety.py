from __future__ import annotations

import pytest

from freeswitch_zmq.errors import HostError, StartError
from freeswitch_zmq.module import forksafety
from freeswitch_zmq.module.commands import Commands
from tests.unit.fake_freeswitch import FakeSwitch

REMEDY = 'put <param name="threaded-system-exec" value="true"/> into the <settings> of switch.conf.xml'


class Setting:
    """The switch's threaded-system-exec, asked and set by `fsctl`."""

    def __init__(self, switch: FakeSwitch, on: bool, stubborn: bool = False) -> None:
        self.on = on
        self.stubborn = stubborn
        switch.answers["fsctl"] = self._fsctl

    def _fsctl(self, command: str) -> str:
        wanted = command.split(" ")[2:]
        if wanted and not self.stubborn:
            self.on = wanted == ["true"]
        return f"+OK threaded_system_exec is {'true' if self.on else 'false'}\n"


@pytest.mark.parametrize("mode", ["enforce", "require"])
def test_when_it_is_on_nothing_is_done(switch: FakeSwitch, mode: str) -> None:
    Setting(switch, on=True)
    forksafety.ensure(Commands(), mode)
    assert forksafety.still_on(Commands(), mode)
    assert switch.commands == ["fsctl threaded_system_exec"] * 2
    assert switch.lines == []


def test_enforce_switches_it_on_and_reads_it_back(switch: FakeSwitch) -> None:
    setting = Setting(switch, on=False)
    forksafety.ensure(Commands(), "enforce")
    assert setting.on
    assert switch.commands == [
        "fsctl threaded_system_exec",
        "fsctl threaded_system_exec true",
        "fsctl threaded_system_exec",
    ]
    assert switch.texts("NOTICE") == [
        f"threaded-system-exec was off and is on now. To have it so from the beginning, {REMEDY}"
    ]


def test_enforce_does_not_believe_what_it_did_not_read(switch: FakeSwitch) -> None:
    Setting(switch, on=False, stubborn=True)
    with pytest.raises(StartError) as caught:
        forksafety.ensure(Commands(), "enforce")
    assert str(caught.value) == f"FreeSWITCH did not switch threaded-system-exec on: {REMEDY} and restart"
    assert not forksafety.still_on(Commands(), "enforce")
    assert switch.lines == []


def test_require_refuses_with_the_remedy_and_touches_nothing(switch: FakeSwitch) -> None:
    setting = Setting(switch, on=False)
    with pytest.raises(StartError) as caught:
        forksafety.ensure(Commands(), "require")
    assert str(caught.value) == (
        f"threaded-system-exec is off, and event_zmq.conf.xml requires it: {REMEDY} and restart, or give the command: "
        "fsctl threaded_system_exec true"
    )
    assert not setting.on
    assert not forksafety.still_on(Commands(), "require")
    assert not setting.on


def test_while_running_enforce_switches_it_on_again_with_a_warning(switch: FakeSwitch) -> None:
    setting = Setting(switch, on=False)
    assert forksafety.still_on(Commands(), "enforce")
    assert setting.on
    assert switch.texts("WARNING") == [
        "somebody switched threaded-system-exec off; it is on again, because ZeroMQ needs it"
    ]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "-ERR no such thing\n",
        "INVALID COMMAND!\n",
        "+OK\n",
        "+OK threaded_system_exec is\n",
        "+OK threaded_system_exec is maybe\n",
        "+OK threaded_system_exec is true or false\n",
        "true\n",
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error(switch: FakeSwitch, answer: str) -> None:
    switch.answers["fsctl"] = answer
    for ask in (forksafety.ensure, forksafety.still_on):
        with pytest.raises(HostError) as caught:
            ask(Commands(), "enforce")
        assert str(caught.value) == (
            f'FreeSWITCH answered "fsctl threaded_system_exec" with "{answer.strip()}"; is this FreeSWITCH older than '
            "1.6?"
        )


@pytest.mark.parametrize(("answer", "on"), [("true", True), ("false", False)])
def test_whether_it_is_on(answer: str, on: bool) -> None:
    asked: list[str] = []

    def ask(command: str) -> str:
        asked.append(command)
        return f"+OK threaded_system_exec is {answer}\n"

    assert forksafety.is_on(ask) is on
    assert asked == ["fsctl threaded_system_exec"]
