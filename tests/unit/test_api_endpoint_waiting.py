"""Callers of the API who wait, until an answer, a timeout or a stop; who go away meanwhile, or don't read."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any, Union

import pytest
import zmq

from freeswitch_zmq.jsonrpc import FORBIDDEN, INTERNAL_ERROR, SHUTTING_DOWN, TIMEOUT
from freeswitch_zmq.module.api import channel as channel_module
from freeswitch_zmq.module.api import endpoint as endpoint_module
from freeswitch_zmq.module.api import request as request_module
from freeswitch_zmq.module.api import unread as unread_module
from tests.support.caller import Caller, RpcFailure
from tests.support.keys import Identity, Pair, SecretFile, access, key, new_pair, new_secret_file
from tests.support.waiting import wait_for
from tests.support.zmtp import MORE, RawPeer, frame
from tests.unit.asking import api_station, jobs, receive_answers
from tests.unit.clock import Clock
from tests.unit.configurations import api, local, publisher
from tests.unit.fake_freeswitch import FakeSwitch, job_event
from tests.unit.stations import Station

ALLOW = "ping, status, api:echo *, api:slow *, bgapi:slow *"


@pytest.fixture
def station(switch: FakeSwitch) -> Iterator[Station]:
    with api_station(switch, allow=ALLOW) as station:
        yield station


@pytest.fixture
def caller(station: Station) -> Iterator[Caller]:
    with Caller(station.asked_at(), zmq.DEALER) as caller:
        yield caller


STOPPING = {
    "code": SHUTTING_DOWN,
    "message": "event_zmq is stopping; a command that was running goes on, its output is lost",
}


def request(method: str, number: Union[int, str]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method}).encode()


def slow(station: Station, caller: Caller, timeout: float = 100.0, args: str = "x") -> tuple[int, str]:
    """Asks for a command whose output comes when the test says so. The id of the request, and the job's."""
    before = len(jobs(station.switch))
    number = caller.send("api", {"command": "slow", "args": args, "timeout": timeout})
    wait_for(lambda: len(jobs(station.switch)) > before, "the command to be given")
    return number, jobs(station.switch)[-1]


def comes(station: Station, job: str, output: str = "at last") -> None:
    station.switch.fire(job_event(job, output))
    station.switch.wait_until_taken()


class Stuck:
    """An endpoint that is held up, by somebody who asks for the status, until the gate is opened."""

    def __init__(self, station: Station, caller: Caller) -> None:
        self.gate = threading.Event()
        held_up = threading.Event()

        def wait() -> dict[str, Any]:
            held_up.set()
            assert self.gate.wait(60.0)
            return {}

        station.channel.desk.status = wait
        self.number = caller.send("status")
        assert held_up.wait(20.0)


# Outputs come when they come.


def test_nobody_waits_for_the_command_of_another_one(station: Station, caller: Caller) -> None:
    first, first_job = slow(station, caller)
    second, second_job = slow(station, caller)
    with Caller(station.asked_at()) as other:
        assert other.call("api", command="echo", args="x") == {"output": "x"}
    assert station.channel.desk.pending == 2
    comes(station, second_job, "two")
    comes(station, first_job, "one")
    assert caller.receive()["id"] == second
    assert caller.receive() == {"jsonrpc": "2.0", "id": first, "result": {"output": "one"}}
    assert station.counted(requests=3, succeeded=3)
    assert station.channel.desk.pending == 0


def test_an_answer_comes_once_however_often_freeswitch_tells_it(station: Station, caller: Caller) -> None:
    _, job = slow(station, caller)
    for output in ("one", "two"):
        comes(station, job, output)
    assert caller.receive()["result"] == {"output": "one"}
    assert caller.call("ping")
    assert not caller.socket.poll(0)
    assert station.counted(requests=2)["late"] == 0


def test_who_asked_for_a_job_is_answered_at_once(station: Station, caller: Caller) -> None:
    assert caller.call("bgapi", command="slow", args="x", job_uuid="j") == {"job_uuid": "j"}
    assert station.channel.desk.pending == 1
    comes(station, "j")
    wait_for(lambda: station.channel.desk.pending == 0, "its place to be free")
    station.counted(requests=1, succeeded=1, late=0)


# Timeouts.


def test_who_waited_long_enough_is_told(station: Station, caller: Caller) -> None:
    number, job = slow(station, caller, timeout=0.05)
    answer = caller.receive()
    assert answer["id"] == number
    assert answer["error"] == {"code": TIMEOUT, "message": '"slow" did not answer within 0.05 s'}
    # It runs on.
    assert station.channel.desk.pending == 1
    assert station.counted(requests=1)["late"] == 0
    comes(station, job)
    counted = station.counted(late=1)
    assert (counted["requests"], counted["errors_by_code"]) == (1, {str(TIMEOUT): 1})
    assert (station.channel.desk.pending, station.running.commands.late) == (0, 1)
    assert caller.call("ping")
    assert not caller.socket.poll(0)


def test_each_has_its_own_time(station: Station, caller: Caller) -> None:
    began, seconds = {}, {}
    for timeout in (0.3, 0.1, 100.0, 0.2):
        begin = time.monotonic()
        number, _ = slow(station, caller, timeout)
        began[number], seconds[number] = begin, timeout
    for _ in range(3):
        answer = caller.receive()
        timeout = seconds.pop(answer["id"])
        assert time.monotonic() - began[answer["id"]] >= timeout
        assert answer["error"] == {"code": TIMEOUT, "message": f'"slow" did not answer within {timeout:g} s'}
    assert list(seconds.values()) == [100.0]
    comes(station, jobs(station.switch)[2])
    assert caller.receive()["result"] == {"output": "at last"}
    assert station.counted(requests=4, succeeded=1, errors=3)["late"] == 0


def test_the_time_counts_from_when_it_came_and_the_default_is_the_configurations(switch: FakeSwitch) -> None:
    with api_station(switch, allow=ALLOW, timeout_ms=50) as station, Caller(station.asked_at()) as caller:
        with pytest.raises(RpcFailure) as caught:
            caller.call("api", command="slow", args="x")
        assert (caught.value.code, caught.value.message) == (TIMEOUT, '"slow" did not answer within 0.05 s')


def test_of_a_timeout_nobody_is_told_who_did_not_want_an_answer(station: Station, caller: Caller) -> None:
    caller.notify("api", {"command": "slow", "args": "x", "timeout": 0.01})
    station.counted(requests=1, errors=1)
    assert caller.call("ping")
    assert not caller.socket.poll(0)


# Stops.


def test_at_a_stop_everybody_who_waits_is_told(station: Station, caller: Caller) -> None:
    with Caller(station.asked_at()) as other:
        numbers = [slow(station, caller)[0] for _ in range(3)]
        others, _ = slow(station, other)
        caller.notify("api", {"command": "slow", "args": "x"})
        wait_for(lambda: len(jobs(station.switch)) == 5, "the last command")
        station.running.close()
        for from_whom, each in ((caller, numbers), (other, [others])):
            answers = from_whom.answers(len(each))
            assert sorted(answers) == each
            for answer in answers.values():
                assert answer["error"] == STOPPING
        assert not caller.socket.poll(0)
    counted = station.counted(requests=5, errors=5)
    assert counted["errors_by_code"] == {str(SHUTTING_DOWN): 5}
    assert station.channel.desk.pending == 0
    lines = station.switch.texts("INFO")
    assert len(lines) == 5
    assert all(": not answered: event_zmq stops, " in line for line in lines)


@pytest.mark.parametrize(
    ("at_once", "seconds"),
    [
        pytest.param(1, 60.0, id="one after the other"),  # it ends when there are no more
        pytest.param(100, 0.0, id="on a machine that stood still until the time was over"),
    ],
)
def test_what_came_before_a_stop_and_was_not_looked_at_is_told_too(
    station: Station, caller: Caller, at_once: int, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_module, "AT_ONCE", at_once)
    monkeypatch.setattr(endpoint_module, "AT_ONCE_SECONDS", 60.0)
    monkeypatch.setattr(endpoint_module, "LAST_CALLS_SECONDS", seconds)
    [endpoint] = station.channel.endpoints
    stuck = Stuck(station, caller)
    with RawPeer(station.asked_at()) as late:
        late.shake_hands(b"DEALER")
        notification = b'{"jsonrpc":"2.0","method":"ping"}'
        for raw in (request("ping", 5), b"no JSON", request("nonsense", "x"), notification, b'{"id":7}'):
            late.send(frame(raw))
        late.send(frame(b"", MORE) + frame(b"1", MORE) + frame(b"2"))
        assert late.heard()
        stopping = threading.Thread(target=station.running.close)
        stopping.start()
        wait_for(lambda: endpoint.stopping, "the stop")
        stuck.gate.set()
        stopping.join(60.0)
        assert caller.receive() == {"jsonrpc": "2.0", "id": stuck.number, "result": {}}
        answers = receive_answers(late, 5)
        late.rest()
    assert [answer["id"] for answer in answers] == [5, None, "x", 7, None]
    assert {answer["error"]["code"] for answer in answers} == {SHUTTING_DOWN}
    assert station.counted(requests=7)["errors_by_code"] == {str(SHUTTING_DOWN): 6}


def test_who_asks_without_end_does_not_hold_a_stop_up(station: Station) -> None:
    [endpoint] = station.channel.endpoints

    def ask(peer: RawPeer) -> None:
        while peer.send(frame(request("ping", 1)) * 100):
            pass

    with RawPeer(station.asked_at()) as endless:
        endless.shake_hands(b"DEALER")
        endless.socket.settimeout(1.0)  # nobody takes anything any more after the stop, and the socket stays open
        asking = threading.Thread(target=ask, args=[endless])
        asking.start()
        wait_for(lambda: station.channel.counted()["requests"] > 500, "many requests")
        assert endpoint.stop(endpoint_module.LAST_CALLS_SECONDS + 20.0)
        asking.join(20.0)
        assert not asking.is_alive()


def test_to_wake_one_that_has_ended_harms_nobody(station: Station, caller: Caller) -> None:
    [endpoint] = station.channel.endpoints
    _, job = slow(station, caller)
    assert endpoint.stop()
    for _ in range(3):
        endpoint.wake()
    # The command's output comes all the same.
    comes(station, job)
    wait_for(lambda: station.channel.desk.pending == 0, "its place to be free")


def test_it_can_be_woken_any_number_of_times(station: Station, caller: Caller) -> None:
    [endpoint] = station.channel.endpoints
    stuck = Stuck(station, caller)
    for _ in range(100_000):  # more than a pipe holds
        endpoint.wake()
    stuck.gate.set()
    assert caller.receive()["id"] == stuck.number
    assert caller.call("ping")


# Callers that are gone.


def wait_connections(station: Station, count: int) -> None:
    [endpoint] = station.channel.endpoints
    rule = endpoint.rule
    assert rule is not None
    wait_for(lambda: rule.connections == count, f"{count} connections")


@pytest.fixture
def clock(station: Station, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """By which the callers' time is told: it is over when the test says so."""
    return Clock().set(monkeypatch, endpoint_module, request_module)


def time_is_over(station: Station, clock: Clock, seconds: float) -> None:
    [endpoint] = station.channel.endpoints
    clock.now += seconds
    endpoint.wake()


def test_an_answer_to_who_is_gone_is_counted(station: Station, clock: Clock) -> None:
    with Caller(station.asked_at(), zmq.DEALER) as caller:
        jobs_of_it = [slow(station, caller)[1] for _ in range(2)]
        slow(station, caller, timeout=10.0)
        caller.notify("api", {"command": "slow", "args": "x", "timeout": 10.0})
        wait_for(lambda: len(jobs(station.switch)) == 4, "the last command")
    wait_connections(station, 0)
    time_is_over(station, clock, 10.1)
    for job in jobs_of_it:
        comes(station, job)
    counted = station.counted(requests=4, undelivered=3)
    assert (counted["succeeded"], counted["errors"]) == (2, 2)


def test_nobody_gets_what_another_one_of_its_name_asked_for(station: Station, clock: Clock) -> None:
    with Caller(station.asked_at(), zmq.DEALER, routing_id=b"crm") as before:
        assert before.call("ping")
        _, job = slow(station, before, timeout=10.0)
        _, other_job = slow(station, before)
    wait_connections(station, 0)
    with Caller(station.asked_at(), zmq.DEALER, routing_id=b"crm") as after:
        assert after.call("ping")
        comes(station, other_job)
        time_is_over(station, clock, 10.1)
        station.counted(requests=4, succeeded=3, errors=1, undelivered=2)
        comes(station, job)
        station.counted(late=1)
        assert after.call("ping")
        assert not after.socket.poll(0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> SecretFile:
    """The switch's own key."""
    return new_secret_file(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def crm() -> Pair:
    return new_pair()


def test_who_lost_its_key_gets_no_answer_any_more_and_may_nothing(
    switch: FakeSwitch, server: SecretFile, crm: Pair
) -> None:
    guarded = api(*local(security="curve", allow=ALLOW))
    its_key = key("crm", crm).replace("/>", ' allow="ping, api:slow *"/>')
    with (
        api_station(switch, access(server.path, [its_key]), security="curve", allow=ALLOW) as station,
        Caller(station.asked_at(), zmq.DEALER, identity=Identity(crm, server.pair.public)) as caller,
    ):
        assert caller.call("ping")
        _, job = slow(station, caller)
        notes = station.reload(publisher(*local()), access=access(server.path), api=guarded)
        assert notes == ['key "crm" removed']
        comes(station, job)
        station.counted(requests=2, succeeded=2, undelivered=1)
        assert caller.code("ping") == FORBIDDEN
        # Nor may it what those without a key may.
        assert caller.code("api", command="echo", args="x") == FORBIDDEN


# Callers that don't read.


def lazy_peer(station: Station) -> RawPeer:
    """One that reads nothing by itself; the kernel takes some 100,000 bytes for it."""
    lazy = RawPeer(station.asked_at())
    lazy.shake_hands(b"DEALER")
    return lazy


def test_one_that_does_not_read_is_told_and_nobody_else_notices(
    station: Station, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread_module, "OF_ONE_BYTES", 200_000)
    station.told = {"x": "y" * 100_000}
    with lazy_peer(station) as lazy:
        for number in range(10):
            lazy.send(frame(request("status", number)))
        station.counted(requests=10, succeeded=10)
        assert caller.call("status") == station.told
        dropped = station.counted(requests=11)["undelivered"]
        assert 1 <= dropped <= 8
        # It gets what it was given, and of each of the others a word.
        answers = receive_answers(lazy, 10)
        assert [answer["id"] for answer in answers] == list(range(10))
        assert {answer["error"]["code"] for answer in answers if "error" in answer} == {INTERNAL_ERROR}
        assert sum("error" in answer for answer in answers) == dropped
        # When it has read, it gets them again.
        lazy.send(frame(request("status", "again")))
        assert receive_answers(lazy, 1) == [{"jsonrpc": "2.0", "id": "again", "result": station.told}]


def test_small_answers_that_nobody_reads_are_dropped_beyond_so_many(
    switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "API_SEND_HWM", 5)
    with api_station(switch, allow=ALLOW) as station, lazy_peer(station) as lazy:
        station.told = {"x": "y" * 3500}
        sent = 0
        while not station.channel.counted()["undelivered"]:
            assert sent < 5000
            for _ in range(100):
                lazy.send(frame(request("status", sent)))
                sent += 1
            station.counted(requests=sent)  # not to run ahead of an endpoint that has to wait for its turn
        with Caller(station.asked_at()) as other:
            assert other.call("status") == station.told
        counted = station.counted(requests=sent + 1, errors=0)
        assert 0 < counted["undelivered"] < sent


def test_an_answer_that_is_dropped_counts_once(switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch) -> None:
    # It is too large for one who has not read, and there is no room for a word about it either.
    monkeypatch.setattr(channel_module, "API_SEND_HWM", 3)
    monkeypatch.setattr(unread_module, "OF_ONE_BYTES", 2_000_000)
    with api_station(switch, allow=ALLOW) as station, lazy_peer(station) as lazy:
        station.told = {"x": "y" * 1_000_000}
        for number in range(30):
            lazy.send(frame(request("status", number)))
        counted = station.counted(requests=30, succeeded=30)
        assert 0 < counted["undelivered"] < 30


def test_who_is_given_one_much_too_large_is_told_of_the_next(
    switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread_module, "OF_ONE_BYTES", 2_000_000)
    monkeypatch.setattr(unread_module, "WORDS_BYTES", 1_000)
    with api_station(switch, allow=ALLOW) as station, lazy_peer(station) as lazy:
        station.told = {"x": "y" * 6_000_000}
        for number in range(12):
            lazy.send(frame(request("status", number)))
        assert station.counted(requests=12, undelivered=11)["succeeded"] == 12
        answers = receive_answers(lazy, 7)
        assert [answer["id"] for answer in answers] == list(range(7))
        assert all(answer["error"]["data"] == {"done": True} for answer in answers[1:])
        # Now that it has read there is room for more.
        lazy.send(frame(request("ping", 99)))
        [*_, last] = receive_answers(lazy, 1)
        assert last["id"] == 99


@pytest.mark.parametrize("what", ["an id", "an envelope"])
def test_what_is_only_sent_back_is_bounded_too(station: Station, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(unread_module, "OF_ONE_BYTES", 200_000)
    monkeypatch.setattr(unread_module, "LITTLE_BYTES", 10_000)
    monkeypatch.setattr(unread_module, "WORDS_BYTES", 1000)
    if what == "an id":
        raw, count = frame(json.dumps({"id": "x" * 30_000}).encode()), 60
    else:
        hops = b"".join(frame(b"h" * 255, MORE) for _ in range(13))
        raw, count = hops + frame(b"", MORE) + frame(request("ping", 1)), 600
    with lazy_peer(station) as lazy:
        for _ in range(count):
            lazy.send(raw)
        counted = station.counted(requests=count)
    # What the kernel takes for it, and what may be unread.
    assert counted["undelivered"] > count / 2, counted


def test_a_stop_waits_for_no_replays(switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "LAST_CALLS_SECONDS", 60.0)  # it ends when there are no more
    with api_station(switch, publisher_params={"replay_mb": 500}, allow="replay:*") as station:
        part = station.publication().publisher
        assert part.ring is not None
        for number in range(1, 300_000):
            part.ring.add(number, b'{"Event-Name":"API"}')
        rare = {"publisher": "default", "epoch": str(part.epoch), "first": 1, "names": ["CUSTOM"]}
        with Caller(station.asked_at(), zmq.DEALER) as caller:
            for _ in range(1000):  # each takes more than 10 ms: ten seconds for all
                caller.send("replay", rare)
            page = caller.receive()["result"]
            assert page["events"] == []
            assert 1 < page["next"] < 300_000
            began = time.monotonic()
            station.running.close()
            assert time.monotonic() - began < 8.0
            codes = {answer.get("error", {}).get("code", 0) for answer in caller.answers(999).values()}
            assert SHUTTING_DOWN in codes
            assert codes <= {0, SHUTTING_DOWN}
