from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator, Sequence
from typing import Callable

import hypothesis
import pytest
from hypothesis import strategies as st

from freeswitch_zmq.errors import CommandTimeout, HostError
from freeswitch_zmq.module import host
from freeswitch_zmq.module.commands import Commands
from tests.support.waiting import wait_for
from tests.unit.fake_freeswitch import FakeConsumer, FakeEvent, FakeSwitch, api_event, job_event

Claimed = tuple[bool, FakeEvent]


@pytest.fixture
def consumer(switch: FakeSwitch) -> Iterator[FakeConsumer]:
    """What the pump would pop from."""
    consumer = FakeConsumer(switch, "all", "", 1000)
    yield consumer
    consumer.cleanup()


def claim_all(commands: Commands, consumer: FakeConsumer) -> list[Claimed]:
    """Claims what waits, as the pump does; gives what came of each."""
    claimed: list[Claimed] = []
    while True:
        event = consumer.pop(0, 0)
        if event is None:
            return claimed
        claimed.append((commands.claim(event, event.getType()), event))


@contextlib.contextmanager
def pumping(commands: Commands, consumer: FakeConsumer) -> Iterator[list[Claimed]]:
    """Claims in a thread, as the pump does. All that was claimed is there at the end."""
    claimed: list[Claimed] = []
    stopping = threading.Event()

    def pump() -> None:
        while not stopping.is_set() or consumer.waiting:
            event = consumer.pop(1, 10)
            if event is not None:
                claimed.append((commands.claim(event, event.getType()), event))

    thread = threading.Thread(target=pump)
    thread.start()
    try:
        yield claimed
    finally:
        stopping.set()
        thread.join()


class Running(threading.Thread):
    """`commands.run` in a thread; `join` gives what came of it."""

    def __init__(self, commands: Commands, command: str, timeout: float = 60.0) -> None:
        super().__init__()
        self.result: str | HostError | None = None
        self._run: Callable[[], str] = lambda: commands.run(command, timeout)
        self.start()

    def run(self) -> None:
        try:
            self.result = self._run()
        except HostError as error:
            self.result = error

    def outcome(self) -> str | HostError | None:
        self.join(70.0)
        assert not self.is_alive()
        return self.result


def first_id(switch: FakeSwitch) -> str:
    """The id of the first command that was run."""
    _, job_id, _ = switch.commands[0].split(" ", 2)
    return job_id[len("uuid:") :]


@pytest.mark.parametrize("output", ["", "+OK\n", "one\ntwo\n", "\udcff", "-ERR no\n"])
def test_a_commands_output_comes_back_whole(switch: FakeSwitch, consumer: FakeConsumer, output: str) -> None:
    switch.answers["status"] = output
    commands = Commands()
    with pumping(commands, consumer) as claimed:
        assert commands.run("status") == output
    assert [event.getType() for _, event in claimed] == ["API", "BACKGROUND_JOB", "API"]
    assert all(ours for ours, _ in claimed)
    assert commands.late == 0


def test_ids_that_nobody_can_guess_and_that_are_never_used_twice(switch: FakeSwitch, consumer: FakeConsumer) -> None:
    commands = Commands()
    with pumping(commands, consumer):
        for _ in range(5):
            commands.run("version")
    ids = [command.split(" ")[1] for command in switch.commands if command.startswith("bgapi ")]
    assert len(set(ids)) == 5
    for job_id in ids:
        assert job_id.startswith("uuid:")
        assert len(bytes.fromhex(job_id[5:])) == 16
        # mod_commands cuts off what is longer than a UUID.
        assert len(job_id[5:]) <= 36


def test_many_at_once_get_each_its_own(switch: FakeSwitch, consumer: FakeConsumer) -> None:
    switch.answers["echo"] = lambda command: command[5:]
    commands = Commands()
    with pumping(commands, consumer) as claimed:
        running = [Running(commands, f"echo {number % 3}") for number in range(12)]
        assert [each.outcome() for each in running] == [str(number % 3) for number in range(12)]
    assert len(claimed) == 36
    assert all(ours for ours, _ in claimed)


def test_exactly_as_many_are_claimed_as_were_caused(switch: FakeSwitch, consumer: FakeConsumer) -> None:
    commands = Commands()
    somebody_elses = [api_event("version"), api_event("fsctl", "threaded_system_exec"), api_event("version", "short")]
    with pumping(commands, consumer) as claimed:
        commands.run("version")
        commands.run("version")
        commands.instant("fsctl threaded_system_exec")
    assert [ours for ours, _ in claimed] == [True] * 7
    assert [commands.claim(event, "API") for event in somebody_elses] == [False] * 3


@pytest.mark.parametrize(
    "event",
    [
        api_event("bgapi", "uuid:5f5f5f5f version"),
        api_event("bgapi", "uuid: version"),
        api_event("bgapi", "version"),
        api_event("bgapi"),
        api_event("uuid", "x"),
        FakeEvent("API"),
        job_event("5f5f5f5f", "+OK"),
        job_event("", "+OK"),
        FakeEvent("BACKGROUND_JOB", [("Job-UUID", "5f5f5f5f")], "+OK"),
        FakeEvent("BACKGROUND_JOB", [("Job-Command", "version")], "+OK"),
        FakeEvent("BACKGROUND_JOB"),
    ],
    ids=lambda event: event.getType() + str(event.headers[1:]),
)
def test_what_is_not_ours_is_left_alone(switch: FakeSwitch, consumer: FakeConsumer, event: FakeEvent) -> None:
    commands = Commands()
    assert not commands.claim(event, event.getType())
    with pumping(commands, consumer):
        commands.run("version")
    assert not commands.claim(event, event.getType())


def test_a_forged_answer_is_left_alone_and_the_true_one_counts(switch: FakeSwitch, consumer: FakeConsumer) -> None:
    switch.answers["bgapi"] = "+OK Job-UUID: x\n"  # it has begun
    commands = Commands()
    running = Running(commands, "xml_locate configuration")
    bgapi = wait_for(lambda: consumer.pop(0, 0), "the command")
    job_id = (bgapi.getHeader("API-Command-Argument") or "").split(" ")[0][5:]
    for guess in ("", "0" * 32, job_id[:-1], job_id + "0", job_id.upper() + " "):
        assert not commands.claim(job_event(guess, "<forged/>"), "BACKGROUND_JOB")
    assert running.is_alive()
    assert commands.claim(bgapi, "API")
    assert commands.claim(job_event(job_id, "<true/>"), "BACKGROUND_JOB")
    assert running.outcome() == "<true/>"
    # Once it is answered its id is worth nothing any more.
    assert not commands.claim(job_event(job_id, "<late/>"), "BACKGROUND_JOB")
    assert commands.late == 0


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_its_three_events_may_come_in_any_order(
    switch: FakeSwitch, consumer: FakeConsumer, order: Sequence[int]
) -> None:
    switch.answers["bgapi"] = "+OK Job-UUID: x\n"
    commands = Commands()
    running = Running(commands, "show  channels as json ")
    bgapi = wait_for(lambda: consumer.pop(0, 0), "the command")
    job_id = (bgapi.getHeader("API-Command-Argument") or "").split(" ")[0][5:]
    events = [bgapi, api_event("show", "channels as json"), job_event(job_id, "{}")]
    for number in order:
        assert commands.claim(events[number], events[number].getType())
    assert running.outcome() == "{}"
    assert not any(commands.claim(event, event.getType()) for event in events)


def test_when_everything_stops_nobody_waits_for_an_answer(switch: FakeSwitch, consumer: FakeConsumer) -> None:
    switch.deaf = {"reloadxml", "version"}
    commands = Commands()
    running = [Running(commands, command, timeout=60.0) for command in ("reloadxml", "version")]
    wait_for(lambda: consumer.waiting == 4, "the commands' events")
    commands.close()
    for each, command in zip(running, ("reloadxml", "version")):
        error = each.outcome()
        assert isinstance(error, HostError)
        assert str(error) == f'event_zmq stopped while it waited for "{command}"'


def test_after_the_stop_nobody_begins_to_wait(switch: FakeSwitch, consumer: FakeConsumer) -> None:
    switch.deaf.add("version")
    commands = Commands()
    commands.close()
    running = Running(commands, "version")
    try:
        running.join(20.0)
        assert not running.is_alive()
    finally:
        assert isinstance(running.outcome(), HostError)


def test_an_answer_that_is_late_is_counted_and_kept_out(switch: FakeSwitch, consumer: FakeConsumer) -> None:
    switch.deaf.add("status")
    commands = Commands()
    with pytest.raises(CommandTimeout) as caught:
        commands.run("status", timeout=0.01)
    assert str(caught.value) == 'FreeSWITCH did not answer "status" within 0.01 s'
    assert isinstance(caught.value, HostError)
    job_id = first_id(switch)
    assert [ours for ours, _ in claim_all(commands, consumer)] == [True, True]
    assert commands.late == 0
    assert commands.claim(job_event(job_id, "at last"), "BACKGROUND_JOB")
    assert commands.late == 1
    assert not commands.claim(job_event(job_id, "again"), "BACKGROUND_JOB")
    assert commands.late == 1


@pytest.mark.parametrize("answer", ["-ERR Invalid syntax\n", "INVALID COMMAND!\n", ""])
def test_one_that_freeswitch_does_not_take(switch: FakeSwitch, consumer: FakeConsumer, answer: str) -> None:
    switch.answers["bgapi"] = answer
    commands = Commands()
    with pytest.raises(HostError) as caught:
        commands.run("version")
    assert str(caught.value) == f'FreeSWITCH did not take "version": {answer.strip() or "no answer"}'
    # Nothing of it is left: the same command of somebody else is theirs.
    assert not commands.claim(api_event("version"), "API")
    assert not commands.claim(job_event(first_id(switch), ""), "BACKGROUND_JOB")


def test_the_event_of_one_that_was_not_taken_is_ours_too(switch: FakeSwitch, consumer: FakeConsumer) -> None:
    switch.answers["bgapi"] = "INVALID COMMAND!\n"  # as while mod_commands is loading; the event comes all the same
    commands = Commands()
    with pytest.raises(HostError):
        commands.run("version")
    assert [ours for ours, _ in claim_all(commands, consumer)] == [True]


def test_a_refused_command_takes_no_claim_away_from_one_that_runs(switch: FakeSwitch, consumer: FakeConsumer) -> None:
    commands = Commands()
    switch.deaf.add("version")
    running = Running(commands, "version")
    wait_for(lambda: consumer.waiting == 2, "the command's events")
    switch.answers["bgapi"] = "-ERR\n"
    with pytest.raises(HostError):
        commands.run("version")
    for ours, event in claim_all(commands, consumer)[:2]:
        assert ours, event.headers
    assert commands.claim(job_event(first_id(switch), "done"), "BACKGROUND_JOB")
    assert running.outcome() == "done"
    assert not commands.claim(api_event("version"), "API")


def test_a_job_without_a_body(switch: FakeSwitch, consumer: FakeConsumer) -> None:
    switch.answers["bgapi"] = "+OK\n"
    commands = Commands()
    running = Running(commands, "version")
    bgapi = wait_for(lambda: consumer.pop(0, 0), "the command")
    job_id = (bgapi.getHeader("API-Command-Argument") or "").split(" ")[0][5:]
    assert commands.claim(job_event(job_id, None), "BACKGROUND_JOB")
    assert running.outcome() == ""


def test_a_command_at_once_is_one_of_those_that_may(switch: FakeSwitch, consumer: FakeConsumer) -> None:
    commands = Commands()
    with pytest.raises(ValueError, match="may not be run under the GIL"):
        commands.instant("acl 127.0.0.1 lan")
    assert switch.commands == []


def test_a_command_that_was_refused_leaves_no_claim(switch: FakeSwitch, consumer: FakeConsumer) -> None:
    commands = Commands()
    with pytest.raises(ValueError, match="may not be run under the GIL"):
        commands.instant("acl 127.0.0.1 lan")
    assert not commands.claim(api_event("acl", "127.0.0.1 lan"), "API")


_COMMANDS = ("fsctl threaded_system_exec", "global_getvar core_uuid", "create_uuid")


@hypothesis.given(st.lists(st.tuples(st.booleans(), st.sampled_from(_COMMANDS)), max_size=30))
def test_of_equal_commands_as_many_are_claimed_as_are_ours(steps: list[tuple[bool, str]]) -> None:
    switch = FakeSwitch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "freeswitch", switch.module())
        consumer = FakeConsumer(switch, "all", "", 1000)
        commands = Commands()
        for ours, command in steps:
            if ours:
                commands.instant(command)
            else:
                switch.execute(command)
        for command in _COMMANDS:
            claimed = [ours for ours, event in claim_again(commands, consumer, command)]
            assert sum(claimed) == steps.count((True, command))
            assert len(claimed) == steps.count((True, command)) + steps.count((False, command))


def claim_again(commands: Commands, consumer: FakeConsumer, command: str) -> list[Claimed]:
    """Claims those of that command only; the others stay."""
    claimed = []
    for _ in range(consumer.waiting):
        event = consumer.pop(0, 0)
        assert event is not None
        if event.getHeader("API-Command") == command.partition(" ")[0]:
            claimed.append((commands.claim(event, "API"), event))
        else:
            consumer.put(event)
    return claimed
