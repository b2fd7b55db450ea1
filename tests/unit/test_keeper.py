from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Callable

import pytest

from freeswitch_zmq.jsonrpc import FORBIDDEN
from freeswitch_zmq.module import keeper as keeper_module
from freeswitch_zmq.module.faults import Faults
from freeswitch_zmq.module.keeper import Keeper
from freeswitch_zmq.module.refusals import REASONS
from tests.support.caller import Caller
from tests.support.module import Subscriber
from tests.support.waiting import wait_for
from tests.unit.asking import api_station
from tests.unit.configurations import local, publisher
from tests.unit.fake_freeswitch import FakeEvent, FakeSwitch
from tests.unit.stations import Station, is_free


@pytest.fixture
def station(switch: FakeSwitch) -> Iterator[Station]:
    station = Station(switch, publisher(*local(queue_size=50)))
    yield station
    station.close()


@pytest.fixture
def keeper(station: Station) -> Keeper:
    """Not started: told the time by the test."""
    return a_keeper(station)


def nothing() -> None:
    """What need not be done."""


def a_keeper(
    station: Station,
    faults: Faults | None = None,
    on_shutdown: Callable[[], None] = nothing,
    mend: Callable[[], None] = nothing,
) -> Keeper:
    return Keeper(station.running, faults or station.faults, on_shutdown, mend)


def shed_text(count: int) -> str:
    return (
        f'publisher "default" shed {count} events because its queue of 50 was full; make the load smaller with '
        "event-filter, or raise queue-size in event_zmq.conf.xml"
    )


def refused_text(endpoint: str, reason: str, count: int, latest: str = "") -> str:
    return f'publisher "default" at {endpoint} refused {count} connections{latest}: {REASONS[reason]}'


def test_at_most_one_warning_in_ten_seconds_with_the_count_since_the_last(station: Station, keeper: Keeper) -> None:
    publication = station.publication()
    keeper.warn(1000.0, [publication])
    assert station.switch.texts("WARNING") == []
    publication.publisher.shed = 7
    keeper.warn(1000.5, [publication])
    assert station.switch.texts("WARNING") == [shed_text(7)]
    for second in range(1, 10):
        publication.publisher.shed += 10
        keeper.warn(1000.5 + second, [publication])
    assert station.switch.texts("WARNING") == [shed_text(7)]
    keeper.warn(1010.5, [publication])
    assert station.switch.texts("WARNING") == [shed_text(7), shed_text(90)]
    # Nothing more was shed, nothing more is said.
    keeper.warn(1030.0, [publication])
    assert len(station.switch.texts("WARNING")) == 2
    publication.publisher.shed = 0


def test_each_kind_has_its_own_ten_seconds(station: Station, keeper: Keeper) -> None:
    publication, here = station.publication(), "tcp://here"
    publication.publisher.shed = 1
    keeper.warn(1000.0, [publication])
    for address in ("192.0.2.1", "192.0.2.2"):
        publication.refusals.add(here, "address", address)
    keeper.warn(1001.0, [publication])
    publication.refusals.add(here, "key", "192.0.2.3", "0a1b")
    publication.refusals.add(here, "handshake", "")
    publication.refusals.add(here, "address", "192.0.2.4")
    publication.refusals.add("ipc:///there", "address", "")
    keeper.warn(1002.0, [publication])
    expected = [
        shed_text(1),
        refused_text(here, "address", 2, ", the latest from 192.0.2.2"),
        refused_text(here, "key", 1, ", the latest from 192.0.2.3 with the key 0a1b"),
        refused_text(here, "handshake", 1),
        refused_text("ipc:///there", "address", 1),
    ]
    assert station.switch.texts("WARNING") == expected
    keeper.warn(1011.0, [publication])
    expected.append(refused_text(here, "address", 1, ", the latest from 192.0.2.4"))
    assert station.switch.texts("WARNING") == expected
    keeper.warn(1100.0, [publication])
    assert station.switch.texts("WARNING") == expected
    publication.publisher.shed = 0


def test_what_the_api_refuses_is_warned_of_too(switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "TICK_SECONDS", 0.01)
    switch.answers["fsctl"] = "+OK threaded_system_exec is true\n"
    with api_station(switch, allow="ping") as station:
        keeper = a_keeper(station)
        keeper.start()
        try:
            here, refusals = station.asked_at(), station.channel.refusals
            with Caller(here) as caller:
                assert caller.code("status") == FORBIDDEN
            wait_for(lambda: switch.texts("WARNING"), "the warning")
            # What is forbidden is a request, and its connection goes on.
            assert switch.texts("WARNING") == [
                f"the API at {here} refused 1 requests, the latest from 127.0.0.1: {REASONS['forbidden']}"
            ]
            # The next one of that kind has to wait, and is told by name.
            refusals.add(here, "forbidden", "192.0.2.1", "crm")
            refusals.add(here, "frames", "192.0.2.1")
            wait_for(lambda: len(switch.texts("WARNING")) > 1, "the next warning")
            assert switch.texts("WARNING")[1:] == [
                f"the API at {here} refused 1 connections, the latest from 192.0.2.1: {REASONS['frames']}"
            ]
        finally:
            assert keeper.stop()


def test_an_api_that_went_is_no_more_looked_after(switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "TICK_SECONDS", 0.01)
    switch.answers["fsctl"] = "+OK threaded_system_exec is true\n"
    with api_station(switch, allow="ping") as station:
        keeper = a_keeper(station)
        keeper.start()
        try:
            [endpoint] = station.channel.endpoints
            station.reload(publisher(*local()))
            assert not endpoint.alive
            station.publication().refusals.add("tcp://here", "busy", "192.0.2.1")
            wait_for(lambda: switch.texts("WARNING"), "a tick after it")
        finally:
            assert keeper.stop()
        assert switch.texts("ERR") == []


def test_an_endpoint_of_the_api_that_has_ended_is_told_of(switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "TICK_SECONDS", 0.01)
    switch.answers["fsctl"] = "+OK threaded_system_exec is true\n"
    with api_station(switch) as station:
        keeper = a_keeper(station)
        keeper.start()
        try:
            [endpoint] = station.channel.endpoints
            endpoint.failure = RuntimeError("on purpose")
            assert endpoint.stop()
            wait_for(lambda: switch.texts("ERR"), "the line about it")
        finally:
            assert keeper.stop()
        [line] = switch.texts("ERR")
        assert line.startswith("the thread event_zmq tcp://127.0.0.1:* has ended (on purpose), and what it did")
        switch.lines.clear()


def test_braces_in_what_a_peer_is_called_are_no_fields(station: Station, keeper: Keeper) -> None:
    publication = station.publication()
    publication.refusals.add("ipc:///run/{count}/{0}", "key", "", "0a1b")
    keeper.warn(1000.0, [publication])
    assert station.switch.texts("WARNING") == [refused_text("ipc:///run/{count}/{0}", "key", 1, " with the key 0a1b")]


def test_a_publisher_that_was_removed_and_came_back_counts_from_its_own_zero(station: Station, keeper: Keeper) -> None:
    publication = station.publication()
    publication.publisher.shed = 100
    keeper.warn(1000.0, [publication])
    publication.publisher.shed = 5
    keeper.warn(1020.0, [publication])
    assert station.switch.texts("WARNING")[-1] == shed_text(5)
    publication.publisher.shed = 0


def test_real_shedding_is_warned_of_once_with_the_whole_count(station: Station, keeper: Keeper) -> None:
    with Subscriber(*station.addresses()) as subscriber:
        station.subscribed(subscriber)
        station.fire_at_once(*[FakeEvent("HEARTBEAT") for _ in range(3000)])
        shed = station.at_rest().shed
    assert shed > 0
    keeper.warn(1000.0, list(station.running.publications.values()))
    assert station.switch.texts("WARNING") == [shed_text(shed)]


def test_it_ticks_by_itself(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(keeper_module, "RATE_SECONDS", 0.1)
    monkeypatch.setattr(keeper_module, "FORK_CHECK_SECONDS", 0.01)
    switch, publication = station.switch, station.publication()
    state = ["+OK threaded_system_exec is true\n"]
    switch.answers["fsctl"] = lambda command: state[0]
    keeper = a_keeper(station)
    keeper.start()
    try:
        publication.refusals.add("tcp://here", "busy", "192.0.2.1")
        refused = refused_text("tcp://here", "busy", 1, ", the latest from 192.0.2.1")
        wait_for(lambda: switch.texts("WARNING") == [refused], "the warning")

        def flows() -> bool:
            switch.fire(FakeEvent("HEARTBEAT"))
            return publication.rate > 0

        wait_for(flows, "a rate")
        wait_for(lambda: publication.rate == 0, "the rate to end")
        # Off, and not to be switched on: told once, and again only after it was on.
        for _ in range(2):
            switch.lines.clear()
            state[0] = "+OK threaded_system_exec is false\n"
            wait_for(lambda: switch.texts("WARNING"), "the warning")
            switch.commands.clear()
            wait_for(lambda: len(switch.commands) > 6, "more checks")
            assert switch.texts("WARNING") == [
                "threaded-system-exec was switched off: a system command can crash the switch now; give the command "
                "fsctl threaded_system_exec true"
            ]
            state[0] = "+OK threaded_system_exec is true\n"
            switch.commands.clear()
            wait_for(lambda: len(switch.commands) > 3, "more checks")
    finally:
        assert keeper.stop()


def test_what_it_did_not_expect_is_reported_and_it_goes_on(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(keeper_module, "FORK_CHECK_SECONDS", 0.01)
    faults = Faults()
    station.switch.answers["fsctl"] = "nonsense"
    keeper = a_keeper(station, faults)
    keeper.start()
    wait_for(lambda: faults.count >= 3, "three of them")
    assert keeper.alive
    assert keeper.stop()
    [line] = station.switch.texts("ERR")
    assert line.startswith('the keeper met HostError: FreeSWITCH answered "fsctl threaded_system_exec" with "nonsense"')
    station.switch.lines.clear()


def test_a_thread_that_has_ended_is_told_of_once(switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "TICK_SECONDS", 0.01)
    switch.answers["fsctl"] = "+OK threaded_system_exec is true\n"
    station = Station(switch, publisher(*local()))
    keeper = a_keeper(station)
    keeper.start()
    [endpoint] = station.publication().endpoints
    endpoint.failure = RuntimeError("on purpose")
    assert endpoint.stop()
    wait_for(lambda: switch.texts("ERR"), "the line about it")
    ticks = len(switch.commands)
    wait_for(lambda: keeper.alive and len(switch.commands) >= ticks, "the keeper to go on")
    assert keeper.stop()
    assert switch.texts("ERR") == [
        "the thread event_zmq tcp://127.0.0.1:* has ended (on purpose), and what it did is not done any more; give "
        "the commands `python event_zmq stop` and `pyrun event_zmq`, and please report this"
    ]
    switch.lines.clear()
    station.close()


def test_what_its_subscribers_ended_is_mended_and_is_no_dead_thread(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "TICK_SECONDS", 0.01)
    station.switch.answers["fsctl"] = "+OK threaded_system_exec is true\n"
    mended: list[str] = []
    keeper = a_keeper(station, mend=lambda: mended.append(threading.current_thread().name))
    keeper.start()
    try:
        ticks = len(station.switch.commands)
        [endpoint] = station.endpoints()
        assert not mended
        endpoint.trip()
        # It is asked for until it is done.
        wait_for(lambda: len(mended) >= 3, "it to be mended")
        assert set(mended) == {"event_zmq keeper"}
        wait_for(lambda: not endpoint.alive and is_free(endpoint.address), "its address to be free")
        assert station.running.reopen() == [endpoint.address]
        count = len(mended) + 1  # one may have been under way
        monkeypatch.setattr(keeper_module, "FORK_CHECK_SECONDS", 0.0)
        wait_for(lambda: len(station.switch.commands) > ticks + 3, "more ticks")
        assert len(mended) <= count
    finally:
        assert keeper.stop()
    assert station.switch.texts("ERR") == []


def test_it_hears_of_the_shutdown_at_once_and_only_once(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "TICK_SECONDS", 60.0)
    told: list[str] = []
    keeper = a_keeper(station, on_shutdown=lambda: told.append("down"))
    keeper.start()
    keeper.shutdown()
    keeper.shutdown()
    wait_for(lambda: not keeper.alive, "the keeper to end")
    assert told == ["down"]


def test_a_switch_whose_shutdown_event_does_not_come_is_left_too(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "TICK_SECONDS", 0.01)
    station.switch.answers["fsctl"] = "+OK threaded_system_exec is true\n"
    told: list[str] = []
    keeper = a_keeper(station, on_shutdown=lambda: told.append("down"))
    keeper.start()
    assert keeper.alive
    station.switch.is_running = False
    monkeypatch.setattr(keeper_module, "ORPHANED_SECONDS", 0.05)  # now that a thread that stood still can't matter
    wait_for(lambda: not keeper.alive, "the keeper to end")
    assert told == ["down"]
