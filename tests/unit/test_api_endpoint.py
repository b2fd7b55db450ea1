"""An endpoint of the API: how requests come in, how answers go out, and what is counted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from freeswitch_zmq.jsonrpc import (
    FAILED,
    FORBIDDEN,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
)
from freeswitch_zmq.module.api import endpoint as endpoint_module
from freeswitch_zmq.module.api.endpoint import FRAMES_AT_MOST, ApiEndpoint
from freeswitch_zmq.module.traffic import Traffic, TrafficBook
from tests.support.caller import Caller, RpcFailure
from tests.support.keys import Identity, access, key, new_pair, new_secret_file
from tests.support.rawcaller import RawCaller
from tests.support.waiting import wait_for
from tests.support.zmtp import MORE, RawPeer, frame
from tests.unit.asking import CORE_UUID, api_station
from tests.unit.fake_freeswitch import FakeSwitch
from tests.unit.stations import Station

ALLOW = "ping, status, api:echo *, api:fails, api:version, sendevent:TRAP"
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


@pytest.fixture
def station(switch: FakeSwitch) -> Iterator[Station]:
    with api_station(switch, allow=ALLOW) as station:
        yield station


@pytest.fixture
def caller(station: Station) -> Iterator[Caller]:
    with Caller(station.asked_at(), zmq.DEALER) as caller:
        yield caller


def exchange(caller: Caller, *frames: bytes) -> list[bytes]:
    """What comes back, with all its frames."""
    caller.socket.send_multipart(frames)
    assert caller.socket.poll(20_000)
    return caller.socket.recv_multipart()


def code_of(answer: bytes) -> int:
    code: int = json.loads(answer).get("error", {"code": 0})["code"]
    return code


def lines(station: Station, count: int) -> list[str]:
    """So many lines about what was done; each comes after its answer."""
    wait_for(lambda: len(station.switch.texts("INFO")) >= count, "the lines")
    return station.switch.texts("INFO")


# Frames.


@pytest.mark.parametrize(
    ("kind", "delimiter"), [(zmq.REQ, False), (zmq.DEALER, False), (zmq.DEALER, True)], ids=["REQ", "DEALER", "with ''"]
)
def test_any_kind_of_socket_can_ask(station: Station, kind: int, delimiter: bool) -> None:
    station.told["state"] = "running"
    with Caller(station.asked_at(), kind, delimiter) as caller:
        for _ in range(3):
            assert caller.call("ping")["core_uuid"] == CORE_UUID
            assert caller.call("api", command="echo", args="ü  x")["output"] == "ü  x"
            assert caller.call("status") == {"state": "running"}
    assert station.counted(requests=9, succeeded=9)["errors_by_code"] == {}


def test_an_answer_goes_back_the_way_that_the_request_came(caller: Caller) -> None:
    for hops in ([b""], [b"one", b""], [b"\0\x01", b"two", b"three" * 50, b""]):
        *envelope, answer = exchange(caller, *hops, PING)
        assert envelope == hops
        assert code_of(answer) == 0
    # No hop has a name of more than 255 bytes; it would only be something that has to be sent back.
    [refused] = exchange(caller, b"n" * 256, b"", PING)
    assert code_of(refused) == INVALID_REQUEST
    # An empty frame after the first one belongs to what was sent.
    assert exchange(caller, PING)[:-1] == []


def test_a_queue_may_stand_between(station: Station, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    with context.socket(zmq.ROUTER) as front, context.socket(zmq.DEALER) as back:
        front.bind("tcp://127.0.0.1:*")
        last = front.get(zmq.LAST_ENDPOINT)
        assert isinstance(last, bytes)
        back.connect(station.asked_at())
        with Caller(last.decode().rstrip("\0")) as one, Caller(last.decode().rstrip("\0")) as other:
            numbers = [one.send("api", {"command": "echo", "args": "one"}), other.send("ping")]
            for _ in numbers:
                assert front.poll(20_000)
                back.send_multipart(front.recv_multipart())
            for _ in numbers:
                assert back.poll(20_000)
                front.send_multipart(back.recv_multipart())
            assert one.receive()["result"] == {"output": "one"}
            assert "protocol" in other.receive()["result"]


ODD_FRAMES: dict[str, tuple[list[bytes], list[bytes], int]] = {
    "nothing": ([b""], [b""], INVALID_REQUEST),
    "nothing behind the delimiter": ([b"", b""], [b""], PARSE_ERROR),
    "two delimiters": ([b"", b"", PING], [b""], INVALID_REQUEST),
    "a request and more": ([b"", PING, b"x"], [b""], INVALID_REQUEST),
    "two requests": ([b"", PING, PING], [b""], INVALID_REQUEST),
    "a request and nothing": ([PING, b""], [PING, b""], INVALID_REQUEST),
    "two frames without a delimiter": ([b"one", PING], [], INVALID_REQUEST),
    "many": ([b"x"] * FRAMES_AT_MOST, [], INVALID_REQUEST),
    "hops without an end": ([b"x"] * (FRAMES_AT_MOST - 1) + [b""], [b"x"] * (FRAMES_AT_MOST - 1) + [b""], -32600),
    "no JSON": ([b"", b"{"], [b""], PARSE_ERROR),
    "no request": ([b"1"], [], INVALID_REQUEST),
    "as many as may be": ([b"x"] * (FRAMES_AT_MOST - 2) + [b"", PING], [b"x"] * (FRAMES_AT_MOST - 2) + [b""], 0),
}


@pytest.mark.parametrize(("frames", "envelope", "code"), ODD_FRAMES.values(), ids=ODD_FRAMES.keys())
def test_odd_frames_are_answered_too(
    station: Station, caller: Caller, frames: list[bytes], envelope: list[bytes], code: int
) -> None:
    found = exchange(caller, *frames)
    assert found[:-1] == envelope
    assert code_of(found[-1]) == code
    assert json.loads(found[-1])["id"] == (None if code else 1)
    assert caller.call("ping")
    assert station.counted(requests=2)["errors_by_code"] == ({str(code): 1} if code else {})


def test_a_message_of_very_many_frames_ends_the_connection_and_is_counted(station: Station, caller: Caller) -> None:
    for number, count in enumerate((FRAMES_AT_MOST + 1, 5000), 1):
        with RawPeer(station.asked_at(), source="127.0.0.7") as bad:
            bad.shake_hands(b"DEALER")
            bad.send(frame(b"x", MORE) * (count - 1) + frame(b"y"))
            bad.rest()
        counted = station.counted(requests=number)
        assert counted["errors_by_code"] == {str(INVALID_REQUEST): number}
    wait_for(lambda: station.channel.refusals.count == 2, "both to be counted")
    [((endpoint, reason), refusal)] = station.channel.refusals.by_reason.items()
    assert (endpoint, reason) == (station.asked_at(), "frames")
    assert (refusal.count, refusal.address, refusal.key) == (2, "127.0.0.7", "")
    # Nobody else notices.
    assert caller.call("ping")


def test_who_sends_such_ones_on_purpose_has_to_stay_away(
    station: Station, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_module, "FLOOD_FRAMES", 100)
    assert caller.call("ping")
    [endpoint] = station.channel.endpoints
    rule = endpoint.rule
    assert rule is not None
    for number, (count, verdict) in enumerate(((100, ""), (1000, "flood")), 1):
        with RawPeer(station.asked_at(), source="127.0.0.7") as bad:
            bad.shake_hands(b"DEALER")
            bad.send(frame(b"x", MORE) * (count - 1) + frame(b"y"))
            bad.rest()
        wait_for(lambda number=number: station.channel.refusals.count == number, "it to be counted")  # type: ignore[misc]
        wait_for(lambda verdict=verdict: rule.judge("127.0.0.7", b"NULL", b"") == verdict, "it")  # type: ignore[misc]
    # Who is connected stays so.
    assert caller.call("ping")


def test_where_a_connection_can_not_be_ended_such_a_message_is_passed_over(switch: FakeSwitch, tmp_path: Path) -> None:
    with api_station(switch, bind=f"ipc://{tmp_path}/api") as station, Caller(station.asked_at(), zmq.DEALER) as caller:
        caller.send_raw(*[b"x"] * 5000)
        assert caller.call("ping")
        assert station.counted(requests=2, errors=1)["errors_by_code"] == {str(INVALID_REQUEST): 1}
        assert station.channel.refusals.count == 0


def test_a_message_that_is_too_large_is_not_taken(switch: FakeSwitch) -> None:
    with api_station(switch, max_message_bytes=1000, allow=ALLOW) as station, Caller(station.asked_at()) as caller:
        assert caller.call("api", command="echo", args="x" * 800)
        with RawPeer(station.asked_at()) as bad:
            bad.shake_hands(b"DEALER")
            bad.send(frame(b"{" + b" " * 1000))
            bad.rest()
        assert caller.call("ping")
        assert station.counted(requests=2)["errors"] == 0


# Notifications.


def test_a_notification_is_done_and_not_answered(station: Station, caller: Caller) -> None:
    caller.notify("sendevent", {"name": "TRAP"})
    caller.notify("api", {"command": "echo", "args": "x"})
    caller.notify("ping")
    # Nor where something is wrong with it.
    caller.notify("nonsense")
    caller.notify("api", {"command": "reboot"})
    caller.notify("api", {"command": "fails"})
    station.switch.answers["fails"] = "-ERR no\n"
    number = caller.send("api", {"command": "echo", "args": "last"})
    assert caller.receive()["id"] == number
    counted = station.counted(requests=7, notifications=6)
    assert (counted["succeeded"], counted["errors"], counted["undelivered"]) == (4, 3, 0)
    assert counted["errors_by_code"] == {str(code): 1 for code in (METHOD_NOT_FOUND, FAILED, FORBIDDEN)}
    assert [event.name for event in station.switch.sent] == ["TRAP"]
    assert not caller.socket.poll(0)


def test_what_is_no_request_is_answered_though_nobody_gave_an_id(station: Station, caller: Caller) -> None:
    for raw, code in ((b"x", PARSE_ERROR), (b'{"jsonrpc":"1.0","method":"ping"}', INVALID_REQUEST)):
        caller.send_raw(raw)
        answer = caller.receive()
        assert (answer["id"], answer["error"]["code"]) == (None, code)
    assert station.counted(requests=2, errors=2)["notifications"] == 0


# Many.


def test_each_gets_the_answer_to_its_own(station: Station) -> None:
    with Caller(station.asked_at(), zmq.DEALER) as one, Caller(station.asked_at(), zmq.DEALER, True) as other:
        asked = {}
        for number in range(300):
            for name, caller in (("one", one), ("other", other)):
                text = f"{name} {number}"
                asked[name, caller.send("api", {"command": "echo", "args": text})] = text
        for name, caller in (("one", one), ("other", other)):
            found = {(name, number): answer["result"]["output"] for number, answer in caller.answers(300).items()}
            assert found == {each: text for each, text in asked.items() if each[0] == name}
    station.counted(requests=600, succeeded=600)
    assert station.channel.desk.pending == 0


def test_who_takes_a_name_at_the_last_moment_gets_no_answer_of_another_one(
    station: Station, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection ends between a look at whether it is there and libzmq's search for the name."""
    is_there = TrafficBook.is_there
    looks: list[bool] = []

    def ends_then(book: TrafficBook, traffic: Traffic) -> bool:
        looks.append(is_there(book, traffic))
        if len(looks) == 2:
            book.end(traffic.fd)
        return looks[-1]

    monkeypatch.setattr(TrafficBook, "is_there", ends_then)
    # Nobody has really gone here, so this is whom libzmq finds.
    [delimiter, told] = exchange(caller, b"", PING)
    assert looks == [True, True, False]
    assert delimiter == b""
    assert json.loads(told)["id"] is None
    assert code_of(told) == INTERNAL_ERROR
    station.counted(requests=1, succeeded=1, undelivered=1)


def test_requests_of_one_are_answered_in_their_order_where_nothing_has_to_be_waited_for(caller: Caller) -> None:
    numbers = [caller.send("ping") for _ in range(endpoint_module.AT_ONCE * 3)]
    assert [caller.receive()["id"] for _ in numbers] == numbers


def test_the_counters_add_up(station: Station, caller: Caller) -> None:
    station.switch.answers["fails"] = "-ERR no\n"
    codes: dict[int, tuple[str, dict[str, Any]]] = {
        0: ("ping", {}),
        FAILED: ("api", {"command": "fails"}),
        FORBIDDEN: ("api", {"command": "reboot"}),
        INVALID_PARAMS: ("ping", {"x": 1}),
        METHOD_NOT_FOUND: ("pong", {}),
    }
    expected: dict[str, int] = {}
    for number, (code, (method, params)) in enumerate(codes.items(), 1):
        for _ in range(number):
            caller.send(method, params)
            assert code_of(caller.receive_raw()) == code
        if code:
            expected[str(code)] = number
    assert station.counted(requests=15) == {
        "requests": 15,
        "succeeded": 1,
        "errors": 14,
        "notifications": 0,
        "late": 0,
        "undelivered": 0,
        "errors_by_code": dict(sorted(expected.items(), key=lambda each: int(each[0]))),
    }


# Who asks.


def test_what_is_forbidden_is_counted_with_who_wanted_it(switch: FakeSwitch, tmp_path: Path) -> None:
    server, crm = new_secret_file(tmp_path), new_pair()
    keys = key("crm", crm).replace("/>", ' allow="api:echo *"/>')
    with api_station(switch, access(server.path, [keys]), security="curve", deny="api:echo secret") as station:
        with Caller(station.asked_at(), identity=Identity(crm, server.pair.public)) as caller:
            assert caller.call("api", command="echo", args="x") == {"output": "x"}
            assert caller.code("ping") == FORBIDDEN
            assert caller.code("api", command="echo", args="secret") == FORBIDDEN
        station.counted(requests=3, errors=2)
        [((endpoint, reason), refusal)] = station.channel.refusals.by_reason.items()
        assert (endpoint, reason) == (station.asked_at(), "forbidden")
        assert (refusal.count, refusal.address, refusal.key) == (2, "127.0.0.1", "crm")
        assert [line.rpartition(",")[0] for line in lines(station, 2)] == [
            'api: crm at 127.0.0.1: api echo (1 characters of arguments) by "api:echo *": done',
            "api: crm at 127.0.0.1: api echo (6 characters of arguments): forbidden",
        ]


def test_who_is_on_this_machine_is_named_as_far_as_it_is_known(switch: FakeSwitch, tmp_path: Path) -> None:
    binds = [f"ipc://{tmp_path}/api", "inproc://unit-api"]
    with api_station(switch, bind=binds, allow=ALLOW) as station:
        with Caller(binds[0]) as caller:
            caller.call("sendevent", name="TRAP")
        lines(station, 1)  # it comes after the answer, from another thread than the next
        with station.running.context.socket(zmq.REQ) as here:
            here.set(zmq.LINGER, 0)
            here.connect(binds[1])
            here.send(b'{"jsonrpc":"2.0","id":1,"method":"sendevent","params":{"name":"TRAP"}}')
            assert here.poll(20_000)
            assert code_of(here.recv()) == 0
        station.counted(requests=2, succeeded=2)
        # Over ipc libzmq tells user, group and process.
        assert [line.partition(": sendevent TRAP")[0] for line in lines(station, 2)] == [
            f"api: localhost:{os.getuid()}:{os.getgid()}:{os.getpid()}",
            "api: this machine",
        ]


@pytest.mark.parametrize("over", ["tcp", "ipc"])
def test_nobody_is_who_it_says_it_is(switch: FakeSwitch, tmp_path: Path, over: str) -> None:
    server, crm = new_secret_file(tmp_path), new_pair()
    section = access(server.path, [key("crm", crm).replace("/>", ' allow="status"/>')])
    bind = "tcp://127.0.0.1:*" if over == "tcp" else f"ipc://{tmp_path}/api"
    claims = [
        (b"User-Id", crm.hex.encode()),
        (b"Peer-Address", b"192.0.2.99"),
        (b"Identity", b"crm"),
        (b"__fd", b"0"),
    ]
    with api_station(switch, section, bind=bind, allow="ping, sendevent:TRAP") as station:
        with RawCaller(station.asked_at(), claims) as liar:
            assert liar.ask("status")["error"]["code"] == FORBIDDEN
            assert "result" in liar.ask("ping")
            assert liar.ask("sendevent", name="TRAP")["result"] == {}
        [line] = lines(station, 1)
        assert "192.0.2.99" not in line
        assert "crm" not in line
        [refusal] = station.channel.refusals.by_reason.values()
        assert (refusal.count, refusal.key) == (1, "")
        assert refusal.address != "192.0.2.99"


# What nobody expected.


def test_an_exception_is_reported_and_the_caller_told_without_details(station: Station, caller: Caller) -> None:
    def broken() -> dict[str, Any]:
        raise RuntimeError("/usr/secret")

    station.channel.desk.status = broken
    for _ in range(2):
        with pytest.raises(RpcFailure) as caught:
            caller.call("status")
        assert (caught.value.code, caught.value.data) == (INTERNAL_ERROR, None)
        assert caught.value.message == "an unexpected error; the switch's log has a line about it"
    assert caller.call("ping")
    [line] = station.switch.texts("ERR")
    assert line.startswith("the API met RuntimeError: /usr/secret (")
    assert station.counted(requests=3, errors=2)["errors_by_code"] == {str(INTERNAL_ERROR): 2}
    assert station.faults.count == 2
    station.faults.count = 0
    station.switch.lines.clear()


def test_so_is_one_about_an_output(station: Station, caller: Caller) -> None:
    def broken(*_args: object) -> dict[str, Any]:
        raise RuntimeError("/usr/secret")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endpoint_module, "result_of", broken)
        assert caller.code("api", command="version") == INTERNAL_ERROR
    assert caller.call("api", command="version")
    assert station.channel.desk.pending == 0
    assert [line.rpartition(",")[0] for line in lines(station, 2)] == [
        'api: 127.0.0.1: api version (0 characters of arguments) by "api:version": an unexpected error',
        'api: 127.0.0.1: api version (0 characters of arguments) by "api:version": done',
    ]
    assert station.faults.count == 1
    station.faults.count = 0
    station.switch.lines.clear()


def test_one_that_comes_again_and_again_ends_nothing(station: Station, caller: Caller) -> None:
    [endpoint] = station.channel.endpoints
    assert isinstance(endpoint, ApiEndpoint)

    def broken(_now: float) -> None:
        endpoint.wake()  # the next turn comes at once
        raise RuntimeError("on purpose")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endpoint, "_give_up", broken)
        endpoint.wake()
        wait_for(lambda: station.faults.count > 3, "it to come again and again")
    assert caller.call("ping")
    [line] = station.switch.texts("ERR")
    assert line.startswith("the API met RuntimeError: on purpose")
    assert endpoint.alive
    station.faults.count = 0
    station.switch.lines.clear()
