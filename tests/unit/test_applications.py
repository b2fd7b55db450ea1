"""Which applications FreeSWITCH has, while modules come and go."""

from __future__ import annotations

import json
from typing import Callable, Optional

import pytest

from freeswitch_zmq.errors import StartError
from freeswitch_zmq.module.callouts import applications as applications_module
from freeswitch_zmq.module.callouts.applications import LAG_SECONDS, Applications
from freeswitch_zmq.module.commands import Commands
from tests.unit.clock import Clock


class Table(Commands):
    """FreeSWITCH's own list, which follows a moment after the events."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.output = ""
        self.has(*names)

    def has(self, *names: str) -> None:
        self.output = json.dumps({"rows": [{"name": name} for name in names]})

    def run(self, command: str, timeout: float = 5.0) -> str:
        assert command == "show application as json"
        return self.output

    def start(self, command: str, done: Callable[[Optional[str]], None]) -> None:  # type: ignore[override]
        done(self.run(command))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().set(monkeypatch, applications_module)


@pytest.fixture
def table(clock: Clock) -> Table:
    return Table("answer", "ConferencE")


@pytest.fixture
def applications(table: Table) -> Applications:
    found = Applications(table)
    found.look()
    return found


def test_they_are_looked_up(applications: Applications) -> None:
    assert applications.has("answer")
    assert applications.has("conference")
    assert not applications.has("lua")


def test_a_module_comes(applications: Applications, table: Table, clock: Clock) -> None:
    applications.changed("Lua", True)
    assert applications.has("lua")
    applications.look_again()  # the table has it not yet
    assert applications.has("lua")
    table.has("answer", "lua")
    applications.look_again()
    clock.now += LAG_SECONDS
    applications.look_again()
    assert applications.has("lua")
    assert not applications.has("conference")


def test_a_module_goes(applications: Applications, table: Table, clock: Clock) -> None:
    applications.changed("conference", False)
    assert not applications.has("conference")
    assert applications.has("answer")
    applications.look_again()  # the table has it still
    assert not applications.has("conference")
    applications.changed("conference", True)
    assert applications.has("conference")
    applications.changed("conference", False)
    clock.now += LAG_SECONDS
    applications.look_again()  # and for so long only when it is true
    assert applications.has("conference")


def test_what_is_remembered_of_changes_ends(applications: Applications, clock: Clock) -> None:
    for number in range(100):
        applications.changed(f"app{number}", True)
        clock.now += LAG_SECONDS / 10
    assert len(applications._changed) <= 11


@pytest.mark.parametrize("output", ["", "-ERR", "[]", '{"rows": 1}', '{"rows": [{}]}', '{"rows": [{"name": 1}]}'])
def test_an_answer_that_makes_no_sense(applications: Applications, table: Table, output: str) -> None:
    table.output = output
    applications.look_again()
    assert applications.has("answer")
    with pytest.raises(StartError, match="told of no application"):
        Applications(table).look()
