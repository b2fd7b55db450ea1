"""Commands whose callers don't wait in a thread, and what others may make up about them."""

from __future__ import annotations

import threading
from typing import Optional

import pytest

from freeswitch_zmq.errors import HostError, TooManyCommands
from freeswitch_zmq.module import commands as commands_module
from freeswitch_zmq.module.commands import Commands
from tests.unit.fake_freeswitch import FakeEvent, FakeSwitch, api_event, job_event


@pytest.fixture
def slow(switch: FakeSwitch) -> FakeSwitch:
    """A switch that takes commands and has not run them yet."""
    switch.answers["bgapi"] = "+OK Job-UUID: x\n"
    return switch


class Outputs:
    def __init__(self) -> None:
        self.all: list[Optional[str]] = []

    def __call__(self, output: Optional[str]) -> None:
        self.all.append(output)


def latest_id(switch: FakeSwitch) -> str:
    return switch.commands[-1].split(" ")[1][len("uuid:") :]


def forged(job_id: str, *claims: tuple[str, str]) -> FakeEvent:
    return FakeEvent("BACKGROUND_JOB", [*claims, ("Job-UUID", job_id)], "forged")


def test_the_output_is_handed_over_once(slow: FakeSwitch) -> None:
    commands, outputs = Commands(), Outputs()
    commands.start("originate loopback/1 &park", outputs)
    assert outputs.all == []
    assert commands.claim(job_event(latest_id(slow), "+OK"), "BACKGROUND_JOB")
    assert not commands.claim(job_event(latest_id(slow), "again"), "BACKGROUND_JOB")
    commands.close()
    assert outputs.all == ["+OK"]


@pytest.mark.parametrize(
    "claims",
    [
        (),
        (("Event-Calling-Function", "parse_command"),),
        # Over the event socket anything can be claimed, but not kept from having an Event-UUID.
        (("Event-Calling-Function", "bgapi_exec"), ("Event-UUID", "7a")),
    ],
    ids=["nothing", "the socket", "bgapi"],
)
def test_who_knows_the_id_can_not_answer_either(slow: FakeSwitch, claims: tuple[tuple[str, str], ...]) -> None:
    commands, outputs = Commands(), Outputs()
    commands.start("status", outputs)
    assert not commands.claim(forged(latest_id(slow), *claims), "BACKGROUND_JOB")
    assert outputs.all == []
    assert commands.claim(job_event(latest_id(slow), "true"), "BACKGROUND_JOB")
    assert outputs.all == ["true"]


def test_a_made_up_event_about_a_command_takes_no_true_ones_place(slow: FakeSwitch) -> None:
    commands = Commands()
    commands.start("originate secret", Outputs())
    assert not commands.claim(
        FakeEvent("API", [("API-Command", "originate"), ("API-Command-Argument", "secret")]), "API"
    )
    assert commands.claim(api_event("originate", "secret"), "API")


@pytest.mark.parametrize("blanks", ["\t", "\v", "\r", "\n", " "])
def test_freeswitch_takes_blanks_away(slow: FakeSwitch, blanks: str) -> None:
    commands = Commands()
    commands.start(f"originate {blanks}secret{blanks}", Outputs())
    assert commands.claim(api_event("originate", "secret"), "API")


@pytest.mark.parametrize("kept", ["\f", "\x1c", "\x85", "\xa0", "\u2003"])
def test_freeswitch_leaves_other_white_space_there(slow: FakeSwitch, kept: str) -> None:
    commands = Commands()
    commands.start(f"originate {kept}secret{kept}", Outputs())
    assert commands.claim(api_event("originate", f"{kept}secret{kept}"), "API")


def test_a_stop_tells_who_waits_and_what_comes_later_is_kept_out_after_the_next_start(slow: FakeSwitch) -> None:
    commands, outputs = Commands(), Outputs()
    commands.start("originate secret", outputs)
    commands.close()
    assert outputs.all == [None]
    with pytest.raises(HostError, match="stopping"):
        commands.start("status", outputs)
    commands.open()
    assert commands.claim(api_event("originate", "secret"), "API")
    assert commands.claim(job_event(latest_id(slow), "+OK secret"), "BACKGROUND_JOB")
    assert outputs.all == [None]


def test_what_is_an_hour_old_is_forgotten_at_a_start(slow: FakeSwitch, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands()
    monkeypatch.setattr(commands_module, "FORGET_SECONDS", 0.0)
    monkeypatch.setattr(commands_module, "FORGET_TEXTS_SECONDS", 0.0)
    commands.start("originate secret", Outputs())
    commands.close()
    commands.open()
    assert not commands.claim(api_event("originate", "secret"), "API")
    assert not commands.claim(job_event(latest_id(slow), "+OK"), "BACKGROUND_JOB")


def test_events_of_others_are_kept_out_in_their_place_only_for_a_minute(
    slow: FakeSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_module, "FORGET_TEXTS_SECONDS", 0.0)
    commands = Commands()
    commands.start("msleep 700", Outputs())
    commands.close()
    commands.open()
    # It may have ended while nobody looked; whose this is can't be told.
    assert not commands.claim(api_event("msleep", "700"), "API")
    assert commands.claim(job_event(latest_id(slow), "+OK"), "BACKGROUND_JOB")
    commands.start("msleep 700", Outputs())
    assert commands.claim(api_event("msleep", "700"), "API")


def test_one_in_the_background_is_everybodys(slow: FakeSwitch) -> None:
    commands = Commands()
    commands.start_background("job-1", "originate loopback/1 &park", 10)
    assert not commands.claim(api_event("bgapi", "uuid:job-1 originate loopback/1 &park"), "API")
    assert not commands.claim(api_event("originate", "loopback/1 &park"), "API")
    assert commands.running == 1
    assert not commands.claim(job_event("job-1", "+OK"), "BACKGROUND_JOB")
    assert commands.running == 0


def test_ids_in_use(slow: FakeSwitch) -> None:
    commands = Commands()
    commands.start_background("job-1", "status", 10)
    with pytest.raises(ValueError, match="job-1"):
        commands.start_background("job-1", "status", 10)
    assert not commands.claim(forged("job-1"), "BACKGROUND_JOB")
    with pytest.raises(ValueError, match="job-1"):
        commands.start_background("job-1", "status", 10)
    commands.claim(job_event("job-1", ""), "BACKGROUND_JOB")
    commands.start_background("job-1", "status", 10)
    commands.start("status", Outputs())
    with pytest.raises(ValueError, match="is running"):
        commands.start_background(latest_id(slow), "status", 10)


def test_one_that_was_not_taken(switch: FakeSwitch) -> None:
    switch.answers["bgapi"] = "-ERR\n"
    commands, outputs = Commands(), Outputs()
    with pytest.raises(HostError, match="did not take"):
        commands.start_background("job-1", "status", 10)
    with pytest.raises(HostError, match="did not take"):
        commands.start("status", outputs, 10)
    assert commands.running == 0
    commands.close()
    assert outputs.all == []
    commands.open()
    switch.answers["bgapi"] = "+OK\n"
    commands.start_background("job-1", "status", 10)
    assert commands.running == 1


def test_no_more_run_than_may(slow: FakeSwitch) -> None:
    commands = Commands()
    commands.start("status", Outputs(), 2)
    first = latest_id(slow)
    commands.start_background("job-1", "status", 2)
    for start in (
        lambda: commands.start("status", Outputs(), 2),
        lambda: commands.start_background("job-2", "status", 2),
    ):
        with pytest.raises(TooManyCommands, match="2 commands"):
            start()
    commands.start("acl", Outputs())  # our own don't count
    assert commands.running == 2
    assert commands.claim(job_event(first, ""), "BACKGROUND_JOB")
    commands.start_background("job-2", "status", 2)
    commands.claim(job_event("job-1", ""), "BACKGROUND_JOB")
    commands.claim(job_event("job-1", ""), "BACKGROUND_JOB")
    assert commands.running == 1


def test_many_threads_take_no_place_twice(switch: FakeSwitch) -> None:
    switch.answers["bgapi"] = "+OK\n"
    commands = Commands()
    most: list[int] = []

    def come_and_go() -> None:
        for number in range(300):
            job = f"{threading.get_ident()}-{number}"
            try:
                commands.start_background(job, "status", 3)
            except TooManyCommands:
                continue
            most.append(commands.running)
            commands.claim(job_event(job, ""), "BACKGROUND_JOB")

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) <= 3
    assert commands.running == 0


def test_an_id_that_is_not_ours_hides_no_command_of_ours(slow: FakeSwitch) -> None:
    commands = Commands()
    commands.start("bgapi uuid:foo secret", Outputs())
    assert commands.claim(api_event("bgapi", "uuid:foo secret"), "API")
    assert not commands.claim(api_event("bgapi", "uuid:foo secret"), "API")
