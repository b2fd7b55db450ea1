"""Callers that misbehave harm neither other callers nor subscribers, and cost the switch no more than so much."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import pytest
import zmq

from tests.support import api_attacks, attacks
from tests.support.api_attacks import flood, request
from tests.support.caller import Caller
from tests.support.flow import Good, Load
from tests.support.holding import HOLD, Hold
from tests.support.module import Module, Param, api, configuration, publisher
from tests.support.rawcaller import RawCaller
from tests.support.served import ApiToll, Served
from tests.support.zmtp import command, frame

from .conftest import ModuleFactory

ALLOW = (
    f"ping,status,replay:*,api:echo *,api:msleep *,api:show *,api:python script_large *,{HOLD},sendevent:CUSTOM^test::*"
)

LATE = 10.0
"""Seconds for an answer while others misbehave: what they do goes on for longer, and a busy machine takes some."""

LARGE = """
def fsapi(session, stream, env, args):
    stream.write("x" * int(args))
"""


def with_api(*given: Param) -> str:
    return configuration(publisher(("replay-mb", "20")), api=api(("allow", ALLOW), *given))


@pytest.fixture
def module(module_factory: ModuleFactory) -> Module:
    # Whoever means well comes in, though a busy machine takes long for a handshake.
    return module_factory(with_api(("handshake-ms", "10000")))


class Case(NamedTuple):
    """What is done to the API, and by how many MB the switch may grow (about twice what was measured)."""

    attack: Callable[[str], Any]
    megabytes: float = 160
    handshake_ms: int = 10_000


REFUSED = (
    b'{"jsonrpc":',
    b"[" * 60_000,
    request("api", command="system", args="true"),
    request("sendevent", name="SHUTDOWN"),
    request("api", command="echo", args="\n"),
)


def floods_of_what_is_refused(endpoint: str) -> list[int]:
    return [flood(endpoint, raw, 0.25) for raw in REFUSED]


CASES = {
    "what isn't ZeroMQ": Case(attacks.garbage),
    "half-open handshakes": Case(partial(attacks.half_open, count=300), handshake_ms=500),
    "frames of 2 GB": Case(api_attacks.gigabytes),
    "100,000 frames in one message": Case(api_attacks.many_frames, 60, handshake_ms=500),
    "messages without end": Case(partial(api_attacks.unfinished, callers=12, frames=700_000), 600),
    "pings": Case(partial(flood, raw=request("ping"))),
    "pings, however many wait": Case(partial(flood, raw=request("ping"), bounded=False)),
    "64 KB of nothing": Case(partial(flood, raw=request("ping", x="x" * 64_000)), 60),
    "what is refused": Case(floods_of_what_is_refused),
    "status": Case(partial(flood, raw=request("status"))),
    "1,000 callers at once": Case(api_attacks.crowd, 120),
    "coming and going": Case(api_attacks.come_and_go),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_others_are_served_as_before(module_factory: ModuleFactory, case: Case) -> None:
    module = module_factory(with_api(("handshake-ms", str(case.handshake_ms))))
    with (
        Good(module.endpoint(), module.switch) as good,
        Served(module.api_endpoint()) as served,
        Load(module.switch),
        ApiToll(module, case.megabytes),
    ):
        enough = good.count + 1000
        gave = case.attack(module.api_endpoint())
        module.wait(lambda: good.count, lambda count: count >= enough, 30)
        good.lost_nothing()
        print(f"gave {gave}; {good}")
        assert max(served.waits) < LATE
    module.wait(module.api, lambda now: now["connections"] == 0)
    assert module.api()["pending"] == 0


def test_commands_that_are_not_run_for_want_of_room_do_not_fill_the_log(module_factory: ModuleFactory) -> None:
    module = module_factory(configuration(api=api(("allow", ALLOW), ("max-pending", "3"))))
    held = Hold(module.switch)
    with Caller(module.api_endpoint(), zmq.DEALER) as busy, ApiToll(module, 20):
        for _ in range(3):
            busy.send("api", held.params(timeout=80))
        for _ in range(5000):
            busy.send("api", {"command": "echo", "args": "x"})
        answers = busy.answers(5000).values()
        held.release()
        assert [answer["result"]["output"] for answer in busy.answers(3).values()] == ["+OK"] * 3
    codes = [answer["error"]["code"] for answer in answers if "error" in answer]
    assert codes == [-32004] * 5000
    assert module.api()["pending"] == 0


def test_messages_without_end_are_cut_off_and_their_memory_given_back(module: Module) -> None:
    with Served(module.api_endpoint()), Load(module.switch), ApiToll(module, 500):
        assert not api_attacks.endless_message(module.api_endpoint(), lambda: module.api()["refused"] > 0)
        refused = module.wait(module.api, lambda now: now["refused"] > 0)
        assert [(each["reason"], each["latest_address"]) for each in refused["refusals"]] == [("flood", "127.0.0.1")]
    module.wait(module.api, lambda now: now["connections"] == 0)


def test_slow_messages_without_end_are_bounded_all_together(module: Module) -> None:
    """Each of them sends less than would be a flood, and all together more than libzmq may keep for them."""
    with Served(module.api_endpoint()), ApiToll(module, 800):
        # Few, so that what each may send in a second takes little off that, however long it takes them.
        cut = api_attacks.unfinished(module.api_endpoint(), callers=20, frames=500_000)
        assert 3 <= cut < 20
    module.wait(module.api, lambda now: now["connections"] == 0)


# Callers that don't read.


def test_pages_that_nobody_reads(module_factory: ModuleFactory) -> None:
    module = module_factory(configuration(publisher(("replay-mb", "100")), api=api(("allow", ALLOW))))
    module.switch.api("evgen 5000 30 5000", 60)
    part = module.publisher()
    page = request("replay", publisher="default", epoch=part["epoch"], first=part["replay"]["oldest"])
    unread(module, page, 1000, 60)


def test_small_answers_that_nobody_reads(module: Module) -> None:
    unread(module, request("api", command="echo", args="x" * 3900), 4800, 150)


def test_large_outputs_that_nobody_reads(module: Module) -> None:
    large_outputs(module)
    unread(module, request("api", command="python", args="script_large 1000000", timeout=60), 100, 300)


def large_outputs(module: Module) -> None:
    """From now on there is a command that prints as much as one likes."""
    (module.switch.scripts_dir / "script_large.py").write_text(LARGE, "utf-8")


def asked(times: int, now: dict[str, Any]) -> bool:
    return bool(now["requests"] >= times)


def unread(module: Module, raw: bytes, times: int, megabytes: float) -> None:
    """One caller asks so often and reads nothing; another one is served, and memory is bounded."""
    with (
        Good(module.endpoint(), module.switch) as good,
        Served(module.api_endpoint()) as served,
        Load(module.switch),
        ApiToll(module, megabytes),
    ):
        before = module.api()["requests"] - len(served.waits)
        with RawCaller(module.api_endpoint()) as lazy:
            for sent in range(20, times + 1, 20):
                lazy.send(frame(raw) * 20)
                # Never so much on its way that it would be a flood. What else is counted is of the one that is served.
                module.wait(module.api, partial(asked, len(served.waits) + before + sent - 200), 60)
            # What else is counted is of the one that is served.
            module.wait(module.api, lambda now: now["requests"] - len(served.waits) >= before + times, 60)
            undelivered = module.api()["undelivered"]
            print(f"{undelivered} of {times} answers were dropped; {good}")
            assert 0 < undelivered < times
        good.lost_nothing()
        assert max(served.waits) < LATE


def test_a_large_output_reaches_who_reads_it_slowly(module: Module) -> None:
    """Also one that is larger than what may be left unread."""
    large_outputs(module)
    size = 20_000_000
    with RawCaller(module.api_endpoint()) as slow, Served(module.api_endpoint()):
        slow.socket.settimeout(30.0)
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.request("api", command="python", args=f"script_large {size}", timeout=60)
        came = b""
        while len(came) < size:
            part = slow.socket.recv(200_000)
            assert part, len(came)
            came += part
            time.sleep(0.005)  # that is what makes it slow
        assert came.endswith(b'"}}')
    assert module.api()["undelivered"] == 0


# Callers that mean well.


def test_heartbeats_are_no_flood(module: Module) -> None:
    """As many as one every 10 ms for 20 minutes, in less time."""
    ping = command(b"PING", b"\0\0")
    with RawCaller(module.api_endpoint()) as idle:
        for _ in range(1200):
            idle.send(ping * 100)
            assert idle.heard()
        assert idle.ask("ping")["result"]["protocol"] == 1
    assert module.api()["refused"] == 0


def test_so_is_libzmqs_own_heartbeat(module: Module) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as idle:
        idle.set(zmq.LINGER, 0)
        idle.set(zmq.HEARTBEAT_IVL, 10)
        idle.set(zmq.HEARTBEAT_TIMEOUT, 20_000)
        with idle.get_monitor_socket(zmq.EVENT_DISCONNECTED) as watch:
            idle.connect(module.api_endpoint())
            assert not watch.poll(2000)  # for so long nothing has to happen
            idle.send(request("ping"))
            assert idle.poll(10_000)
            idle.disable_monitor()
    assert module.api()["refused"] == 0


def test_large_requests_without_a_pause_are_no_flood(module: Module) -> None:
    args = "x" * 64_000
    with Caller(module.api_endpoint(), zmq.DEALER) as fast, Load(module.switch):
        for _ in range(8):
            numbers = [fast.send("api", {"command": "echo", "args": args}) for _ in range(50)]
            answers = fast.answers(50)
            assert all(answers[number]["result"]["output"] == args for number in numbers)
        # 3 MB are always on their way.
        for number in range(1000):
            fast.send("ping", {"x": args})
            if number >= 50:
                assert fast.receive()["error"]["code"] == -32602
        assert {answer["error"]["code"] for answer in fast.answers(50).values()} == {-32602}
    assert module.api()["refused"] == 0


def test_programs_that_come_for_one_request_are_let_in(module: Module) -> None:
    """A script for each call, say: many in a second, from one address."""
    for number in range(300):
        with Caller(module.api_endpoint()) as caller:
            assert caller.call("api", command="echo", args=str(number))["output"] == str(number)
    assert module.api()["refused"] == 0


def test_a_stop_while_all_of_that_goes_on(module_factory: ModuleFactory) -> None:
    module = module_factory(configuration(api=api(("allow", ALLOW), ("max-pending", "200"))))
    with ExitStack() as open_now:
        endpoint = module.api_endpoint()
        end = threading.Event()

        def until_the_end(attack: Callable[[str], Any]) -> None:
            while not end.is_set():
                with contextlib.suppress(AssertionError, OSError):  # it is stopped in the middle
                    attack(endpoint)

        attackers = [
            threading.Thread(target=until_the_end, args=(attack,))
            for attack in (
                partial(flood, raw=request("ping"), seconds=0.2),
                partial(flood, raw=request("api", command="msleep", args="3000"), seconds=0.2),
                partial(flood, raw=request("status"), seconds=0.2),
                partial(api_attacks.many_frames, rounds=1),
                partial(api_attacks.unfinished, callers=3, frames=100_000),
                partial(api_attacks.come_and_go, seconds=0.2),
            )
        ]
        for attacker in attackers:
            attacker.start()
            open_now.callback(attacker.join)
        open_now.callback(end.set)
        module.wait(module.api, lambda now: now["pending"] == 200, 30)
        began, before = time.monotonic(), len(module.switch.log_text())
        assert module.command("stop") == "+OK stopped"
        took = time.monotonic() - began
        print(f"it took {took:.2f} s to stop")
        assert "did not end; please report" not in module.switch.log_text()[before:]
        assert took < LATE
    module.start()
    assert module.status()["errors"] == 0
    with Caller(module.api_endpoint()) as caller:
        assert caller.call("ping")["protocol"] == 1
