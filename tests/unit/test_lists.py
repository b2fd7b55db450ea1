"""The thread that asks FreeSWITCH about its lists."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from freeswitch_zmq.errors import HostError
from freeswitch_zmq.module import host
from freeswitch_zmq.module import lists as lists_module
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.events import Pump
from freeswitch_zmq.module.lists import ListQuestion, Lists
from tests.support.waiting import wait_for
from tests.unit.fake_freeswitch import DirectLists, FakeSwitch


@pytest.fixture
def errors() -> list[BaseException]:
    return []


@pytest.fixture
def commands(switch: FakeSwitch) -> Iterator[Commands]:
    """Whose answers a real pump takes."""
    commands = Commands()
    pump = Pump(commands, lambda: None, lambda error: pytest.fail(str(error)))
    pump.start()
    yield commands
    commands.close()
    assert pump.stop()


@pytest.fixture
def lists(commands: Commands, errors: list[BaseException]) -> Iterator[Lists]:
    lists = Lists(commands, errors.append)
    lists.start()
    yield lists
    commands.close()  # whoever waits for an answer waits no more
    assert lists.stop()


def answer(lists: Lists) -> ListQuestion:
    """The next one."""
    wait_for(lambda: lists.answered, "an answer")
    return lists.answered.popleft()


@pytest.mark.parametrize(
    ("names", "allowed", "asked"),
    [
        (["lan"], True, ["acl 192.0.2.1 lan"]),
        (["wan"], False, ["acl 192.0.2.1 wan"]),
        (["wan", "lan", "dmz"], True, ["acl 192.0.2.1 wan", "acl 192.0.2.1 lan"]),
        (["wan", "dmz"], False, ["acl 192.0.2.1 wan", "acl 192.0.2.1 dmz"]),
        ([], False, []),
    ],
)
def test_where_freeswitch_can_not_be_asked_directly_its_command_is(
    switch: FakeSwitch, lists: Lists, names: list[str], allowed: bool, asked: list[str]
) -> None:
    switch.answers["acl"] = lambda command: "true" if command.endswith(" lan") else "false"
    about = object()
    assert lists.ask(ListQuestion(names, "192.0.2.1", about))
    question = answer(lists)
    assert question.about is about
    assert question.allowed is allowed
    # In a thread of FreeSWITCH's, and one list after the other until one has it.
    assert [command for command in switch.commands if not command.startswith("bgapi")] == asked


@pytest.mark.parametrize("output", ["", "truefalse", "-ERR lan", "TRUE", "false\n", "INVALID COMMAND!\n"])
def test_what_is_not_a_yes_is_a_no(switch: FakeSwitch, lists: Lists, output: str) -> None:
    switch.answers["acl"] = output
    lists.ask(ListQuestion(["lan"], "192.0.2.1", None))
    assert answer(lists).allowed is False


def test_answers_come_in_the_order_of_the_questions(switch: FakeSwitch, lists: Lists) -> None:
    switch.answers["acl"] = lambda command: "true" if int(command.split(" ")[1].split(".")[-1]) % 2 else "false"
    for number in range(100):
        assert lists.ask(ListQuestion(["lan"], f"192.0.2.{number}", number))
    found = [answer(lists) for _ in range(100)]
    assert [(each.about, each.allowed) for each in found] == [(number, bool(number % 2)) for number in range(100)]


def test_where_freeswitch_can_be_asked_directly_no_command_is_run(
    switch: FakeSwitch, lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = DirectLists(("2001:db8::1", "lan"))
    monkeypatch.setattr(host, "in_list", direct.in_list)
    for address in ("2001:db8::1", "192.0.2.1"):
        lists.ask(ListQuestion(["wan", "lan"], address, None))
    assert [answer(lists).allowed for _ in range(2)] == [True, False]
    assert direct.asked == [(address, name) for address in ("2001:db8::1", "192.0.2.1") for name in ("wan", "lan")]
    assert switch.commands == []


def test_while_freeswitch_does_not_answer_nobody_waits_who_asks(
    switch: FakeSwitch, commands: Commands, errors: list[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = DirectLists(("192.0.2.1", "lan"))
    direct.gate.clear()
    monkeypatch.setattr(host, "in_list", direct.in_list)
    monkeypatch.setattr(lists_module, "WAITING_AT_MOST", 5)
    lists = Lists(commands, errors.append)
    lists.start()
    try:
        assert lists.ask(ListQuestion(["lan"], "192.0.2.1", "first"))
        assert direct.waiting.wait(20.0)  # it has been taken off the queue
        taken = [lists.ask(ListQuestion(["lan"], "192.0.2.1", number)) for number in range(8)]
        assert taken == [True] * 5 + [False] * 3
        assert not lists.answered
        direct.gate.set()
        found = [answer(lists) for _ in range(6)]
        assert [each.about for each in found] == ["first", 0, 1, 2, 3, 4]
        assert all(each.allowed for each in found)
        assert lists.ask(ListQuestion(["lan"], "192.0.2.1", "later"))
        assert answer(lists).about == "later"
    finally:
        direct.gate.set()
        assert lists.stop()
    assert errors == []


@pytest.mark.parametrize("full", [False, True], ids=["idle queue", "full queue"])
def test_a_stop_does_not_wait_for_what_is_still_asked(
    switch: FakeSwitch, commands: Commands, errors: list[BaseException], monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    direct = DirectLists()
    direct.gate.clear()
    monkeypatch.setattr(host, "in_list", direct.in_list)
    monkeypatch.setattr(lists_module, "WAITING_AT_MOST", 3)
    lists = Lists(commands, errors.append)
    lists.start()
    lists.ask(ListQuestion(["lan"], "192.0.2.1", None))
    assert direct.waiting.wait(20.0)
    while full and lists.ask(ListQuestion(["lan"], "192.0.2.1", None)):
        pass
    lists.ask_to_stop()
    assert lists.alive  # FreeSWITCH has its thread
    direct.gate.set()
    assert lists.stop()
    # What waited behind it is not asked any more.
    assert len(direct.asked) == 1


def test_no_answer_is_no_answer_and_the_next_question_is_asked(
    switch: FakeSwitch, commands: Commands, lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = commands.run
    switch.answers["acl"] = "true"
    switch.deaf.add("acl")
    with monkeypatch.context() as patch:
        patch.setattr(commands, "run", lambda command: run(command, 0.02))
        lists.ask(ListQuestion(["wan", "lan"], "192.0.2.1", None))
        assert answer(lists).allowed is None
    switch.deaf.clear()
    lists.ask(ListQuestion(["lan"], "192.0.2.1", None))
    assert answer(lists).allowed is True


def test_a_switch_that_refuses_the_command_gives_no_answer(switch: FakeSwitch, lists: Lists) -> None:
    switch.answers["bgapi"] = "-ERR no threads\n"
    lists.ask(ListQuestion(["lan"], "192.0.2.1", None))
    assert answer(lists).allowed is None


def test_when_the_module_stops_nobody_waits_for_the_command(
    switch: FakeSwitch, commands: Commands, lists: Lists
) -> None:
    switch.answers["acl"] = "true"
    switch.deaf.add("acl")
    lists.ask(ListQuestion(["lan"], "192.0.2.1", None))
    wait_for(lambda: "acl 192.0.2.1 lan" in switch.commands, "the command")
    commands.close()
    assert answer(lists).allowed is None
    with pytest.raises(HostError, match="is stopping"):
        commands.run("acl 192.0.2.1 lan")


def test_what_nobody_expected_is_reported_and_is_no_answer(
    switch: FakeSwitch, lists: Lists, errors: list[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(host, "in_list", lambda address, name: 1 / 0)
        lists.ask(ListQuestion(["lan"], "192.0.2.1", None))
        assert answer(lists).allowed is None
    assert [type(error) for error in errors] == [ZeroDivisionError]
    switch.answers["acl"] = "true"
    lists.ask(ListQuestion(["lan"], "192.0.2.1", None))
    assert answer(lists).allowed is True
