"""A service begins and ends cleanly, whatever is under way."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from zmq.utils import z85

from freeswitch_zmq.client.service import Call, KeyPair, Service, StartError, StateError, running
from tests.support.keys import new_pair
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.unit.serving import SECONDS, Asker, Context, call_params, served

REPOSITORY = Path(__file__).parents[2]


def test_who_is_under_way_at_a_stop_is_answered(context: Context) -> None:
    service = Service("tcp://127.0.0.1:*", stop_seconds=SECONDS)
    release, begun = threading.Event(), threading.Event()

    @service.call("ivr")
    def ivr(call: Call) -> None:
        begun.set()
        release.wait(SECONDS)

    with served(service) as endpoint, Asker(context, endpoint) as asker:
        asker.send("dialplan.call", call_params(), "early")
        assert begun.wait(SECONDS)
        service.stop()
        # Sooner or later what comes in is refused; what came before that has been taken.
        wait_for(lambda: asker.call("other")["error"]["code"] == -32005, "what comes in is refused")
        asker.socket.send_multipart([b"", b"{"])
        assert asker.receive()["error"]["code"] == -32700
        asker.socket.send_multipart([b"", b'{"jsonrpc":"2.0","method":"xml.fetch"}'])  # who wants no answer
        assert asker.call("other")["error"]["code"] == -32005
        release.set()
        answer = asker.receive()
        assert (answer["id"], "result" in answer) == ("early", True)


def test_who_takes_too_long_gets_an_error(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    service = Service(f"tcp://127.0.0.1:{free_port()}", stop_seconds=0.1, threads=1, max_wait_seconds=SECONDS)
    release, begun, cancelled = threading.Event(), threading.Event(), threading.Event()
    waiting_ran: list[str] = []

    @service.call("function")
    def function(call: Call) -> None:
        begun.set()
        release.wait(SECONDS)

    @service.call("coroutine")
    async def coroutine(call: Call) -> None:
        try:
            await asyncio.sleep(SECONDS)
        finally:
            cancelled.set()

    service.call("waiting")(lambda call: waiting_ran.append(call.name))
    try:
        with ExitStack() as stack:
            with served(service) as endpoint:
                asker = stack.enter_context(Asker(context, endpoint))
                for name in ("function", "coroutine", "waiting"):
                    asker.send("dialplan.call", call_params(name), name)
                assert begun.wait(SECONDS)
                asker.send("pong", {}, "all came")
                assert asker.receive()["id"] == "all came"
            answers = asker.answers(["function", "coroutine", "waiting"])
        assert {each["error"]["code"] for each in answers.values()} == {-32005}
        assert cancelled.is_set()
        assert 'the handler of "function" goes on after the stop' in caplog.text
    finally:
        release.set()
    wait_for(lambda: not any(t.name == "service 1" for t in threading.enumerate()), "the thread ends")
    assert waiting_ran == []


def test_a_coroutine_that_does_not_let_itself_be_cancelled(context: Context) -> None:
    service = Service("tcp://127.0.0.1:*", stop_seconds=0)
    begun = threading.Event()

    @service.call("ivr")
    async def ivr(call: Call) -> None:
        begun.set()
        try:
            await asyncio.sleep(SECONDS)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)

    with served(service) as endpoint, Asker(context, endpoint) as asker:
        asker.send("dialplan.call", call_params(), 1)
        assert begun.wait(SECONDS)
        service.stop()
        assert asker.receive()["error"]["code"] == -32005
        assert asker.frames(0.2) is None  # it is answered once


def test_a_coroutine_that_goes_on_all_the_same(
    context: Context, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "CANCEL_SECONDS", 0.01)
    service = Service("tcp://127.0.0.1:*", stop_seconds=0)
    begun = threading.Event()

    @service.call("ivr")
    async def ivr(call: Call) -> None:
        begun.set()
        for _ in range(2):
            try:
                await asyncio.sleep(0.2)
            except asyncio.CancelledError:
                pass

    with served(service) as endpoint, Asker(context, endpoint) as asker:
        asker.send("dialplan.call", call_params(), 1)
        assert begun.wait(SECONDS)
    assert "1 handlers go on after the stop" in caplog.text


def test_mistakes_of_its_own_are_survived(
    context: Context, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service("tcp://127.0.0.1:*", max_pending=1)
    release = threading.Event()
    service.call("slow")(lambda call: release.wait(SECONDS) and None)

    async def fail(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    with served(service) as endpoint, Asker(context, endpoint) as asker:
        with monkeypatch.context() as patch:
            patch.setattr(running.Running, "_send", fail)
            asker.send("dialplan.call", call_params("slow"), 1)
            asker.send("dialplan.call", call_params("slow"), 2)  # it is refused, and can't be told
            wait_for(lambda: "could not take a message" in caplog.text, "that is logged")
            release.set()
            wait_for(lambda: "could not answer a request" in caplog.text, "the other one, too")
        assert "error" in asker.call("nobody")


def test_it_does_not_go_on_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("the socket is gone")

    monkeypatch.setattr(running.Running, "_receive", fail)
    service = Service("tcp://127.0.0.1:*")
    with pytest.raises(RuntimeError, match="the socket is gone"):
        service.run()
    assert service.endpoint == ""


def test_it_can_be_started_again(context: Context) -> None:
    service = Service(f"tcp://127.0.0.1:{free_port()}")
    service.call("ivr")(lambda call: None)
    for _ in range(3):
        with served(service) as endpoint, Asker(context, endpoint) as asker:
            assert "result" in asker.call()


def test_a_stop_before_the_beginning_counts() -> None:
    service = Service("tcp://127.0.0.1:*")
    service.stop()
    service.stop()
    service.run()
    assert service.endpoint == ""
    with served(service) as endpoint:
        assert endpoint.startswith("tcp://127.0.0.1:")


def test_a_stop_after_the_end_does_not_count_for_the_next_time(context: Context) -> None:
    service = Service("tcp://127.0.0.1:*")
    service.call("ivr")(lambda call: None)
    for _ in range(2):
        with served(service) as endpoint, Asker(context, endpoint) as asker:
            assert "result" in asker.call()
        service.stop()


def test_a_stop_by_who_holds_the_lock() -> None:
    """As a signal's handler does it that comes in between."""
    service = Service("tcp://127.0.0.1:*")
    with service._lock:
        service.stop()
    service.run()


def test_the_threads_end(context: Context) -> None:
    before = set(threading.enumerate())
    service = Service("tcp://127.0.0.1:*")
    service.call("ivr")(lambda call: time.sleep(0.05))
    with served(service) as endpoint, Asker(context, endpoint) as asker:
        for number in range(20):
            asker.send("dialplan.call", call_params(), number)
        asker.answers(range(20))
        assert any(thread.name.startswith("service ") for thread in threading.enumerate())
    assert set(threading.enumerate()) == before


def test_in_a_loop_that_is_there(context: Context) -> None:
    service = Service("tcp://127.0.0.1:*")

    @service.call("ivr")
    async def ivr(call: Call) -> None: ...

    async def main() -> None:
        async with service as same:
            assert same is service
            with Asker(context, service.endpoint) as asker:
                assert "result" in await asyncio.to_thread(asker.call)
            with pytest.raises(StateError, match="running already"):
                await service.serve()
        assert service.endpoint == ""
        serving = asyncio.create_task(service.serve())
        while not service.endpoint:
            await asyncio.sleep(0.01)
        with Asker(context, service.endpoint) as asker:
            assert "result" in await asyncio.to_thread(asker.call)
        service.stop()
        await serving
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_not_in_a_loop_that_is_there() -> None:
    async def main() -> None:
        with pytest.raises(StateError, match="there is a loop in this thread already"):
            Service("tcp://127.0.0.1:*").run()

    asyncio.run(main())


def test_a_task_that_serves_can_be_cancelled() -> None:
    service = Service("tcp://127.0.0.1:*")

    async def main() -> None:
        serving = asyncio.create_task(service.serve())
        while not service.endpoint:
            await asyncio.sleep(0.01)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert service.endpoint == ""
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_an_address_that_is_taken() -> None:
    first = Service("tcp://127.0.0.1:*")
    with served(first) as endpoint:
        second = Service(endpoint, keys=KeyPair(*map(z85.decode, new_pair())))
        with pytest.raises(StartError, match=f"can't listen on {endpoint}: .*; another program listens there"):
            second.run()
        assert second.endpoint == ""
    with served(second):
        pass


@pytest.mark.parametrize("connect", [False, True])
@pytest.mark.parametrize(
    "address",
    [
        *("nowhere", "127.0.0.1:5558", "tcp://127.0.0.1", "tcp://127.0.0.1:99999", "tcp://127.0.0.1:http", "tcp://:"),
        *("ipc://", "inproc://here", "udp://127.0.0.1:5558", "", 5558, None),
    ],
)
def test_an_address_that_is_none(address: Any, connect: bool) -> None:
    with pytest.raises(ValueError, match="no endpoint: write tcp://ADDRESS:PORT"):
        Service(address, connect=connect)


@pytest.mark.parametrize("connect", [False, True])
def test_an_address_that_can_not_be_used(connect: bool) -> None:
    address = "tcp://127.0.0.1:*" if connect else "tcp://no-such-interface:5558"
    verb = "connect to" if connect else "listen on"
    with pytest.raises(StartError, match=re.escape(f"can't {verb} {address}: ")):
        Service(address, connect=connect).run()


def test_a_socket_file_is_taken_over_from_nobody(context: Context, tmp_path: Path) -> None:
    place = tmp_path / "service"
    first, second = Service(f"ipc://{place}"), Service(f"ipc://{place}")
    for service, name in ((first, "first"), (second, "second")):
        service.call("ivr")(lambda call, name=name: [("log", f"INFO {name}")])
    with served(first) as endpoint:
        with pytest.raises(StartError, match="another program listens there"):
            second.run()
        with Asker(context, endpoint) as asker:
            assert asker.call()["result"]["actions"] == [["log", "INFO first"]]
    with socket.socket(socket.AF_UNIX) as left_behind:
        place.unlink(missing_ok=True)
        left_behind.bind(str(place))
    with served(second) as endpoint, Asker(context, endpoint) as asker:
        assert asker.call()["result"]["actions"] == [["log", "INFO second"]]


def test_a_file_is_not_taken_for_a_socket(tmp_path: Path) -> None:
    place = tmp_path / "notes"
    place.write_text("of value")
    with pytest.raises(StartError, match="File exists"):
        Service(f"ipc://{place}").run()
    assert place.read_text() == "of value"


PROGRAM = """
import sys, threading, time
from freeswitch_zmq.client.service import Service
service = Service("tcp://127.0.0.1:*", stop_seconds=0.1)
service.call("hangs")(lambda call: time.sleep(600))
service.call("well")(lambda call: None)
def tell():
    while not service.endpoint:
        time.sleep(0.01)
    print(service.endpoint, flush=True)
threading.Thread(target=tell, daemon=True).start()
service.run()
print("ended", [thread.name for thread in threading.enumerate() if not thread.daemon], flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("handler", ["well", "hangs"])
def test_a_program_ends_with_a_signal(context: Context, number: signal.Signals, handler: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as program:
        assert program.stdout is not None
        endpoint = program.stdout.readline().strip()
        with Asker(context, endpoint) as asker:
            asker.send("dialplan.call", call_params(handler), 1)
            if handler == "well":
                assert "result" in asker.receive()
            asker.send("pong", {}, 2)
            assert asker.receive()["id"] == 2  # the first has come, too
            program.send_signal(number)
            if handler == "hangs":
                assert asker.receive()["error"]["code"] == -32005
        out, err = program.communicate(timeout=60)
    assert (program.returncode, out) == (0, "ended ['MainThread']\n")
    assert ("goes on after the stop" in err) == (handler == "hangs")
    assert "Traceback" not in err


STUBBORN = """
import asyncio, signal, sys, time
from freeswitch_zmq.client.service import Service
signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts the tests may ignore it
before = signal.getsignal(signal.SIGTERM)
service = Service(sys.argv[1], stop_seconds=0.1)
@service.call("blocks")
async def blocks(call):
    print("begun", flush=True)
    while signal.getsignal(signal.SIGTERM) is not before:
        time.sleep(0.01)
    print("asked to stop", flush=True)
    time.sleep(600)
@service.call("goes on")
async def goes_on(call):
    print("begun", flush=True)
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            pass
service.run()
print("ended", flush=True)
"""


@contextmanager
def stubborn(context: Context, handler: str) -> Iterator[subprocess.Popen[str]]:
    """A program whose handler is under way."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", STUBBORN, endpoint]
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as program,
        Asker(context, endpoint) as asker,
    ):
        asker.send("dialplan.call", call_params(handler), 1)
        assert program.stdout is not None
        assert program.stdout.readline() == "begun\n"
        try:
            yield program
        finally:
            program.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_program_whose_loop_is_blocked(context: Context, number: signal.Signals) -> None:
    with stubborn(context, "blocks") as program:
        program.send_signal(number)
        assert program.stdout is not None
        assert program.stdout.readline() == "asked to stop\n"
        program.send_signal(number)
        assert program.wait(60) == -number


def test_a_coroutine_that_goes_on_for_ever_does_not_hold_up_the_end(context: Context) -> None:
    with stubborn(context, "goes on") as program:
        program.send_signal(signal.SIGTERM)
        out, err = program.communicate(timeout=60)
        assert (program.returncode, out) == (0, "ended\n")
        assert "1 handlers go on after the stop" in err


def test_signals_mean_afterwards_what_they_meant_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        service = Service("tcp://127.0.0.1:*")
        service.stop()
        service.run()
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for(lambda: seen, "the program's own handler is called")
    finally:
        signal.signal(signal.SIGTERM, before)
