"""Several copies of a service behind one endpoint."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from freeswitch_zmq.client.service import Call, Service
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.unit.serving import SECONDS, Asker, Context, call_params, served

PROGRAM = Path(__file__).parents[2] / "examples" / "service_queue.py"


@pytest.fixture
def queue() -> Iterator[tuple[str, str]]:
    """examples/service_queue.py: where the switch asks, and where copies connect."""
    front, back = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    with subprocess.Popen([sys.executable, str(PROGRAM), front, back]) as program:
        yield front, back
        assert program.poll() is None
        program.terminate()


class Copies:
    """Three of a service; `calls` says who answered how many."""

    def __init__(self, endpoint: str) -> None:
        self.calls: Counter[int] = Counter()
        self.hold, self.held = threading.Event(), Counter[int]()
        self.services = [self._copy(number, endpoint) for number in range(3)]

    def _copy(self, number: int, endpoint: str) -> Service:
        service = Service(endpoint, connect=True, stop_seconds=0)

        @service.call("ivr")
        def ivr(call: Call) -> None:
            self.calls[number] += 1

        @service.call("slow")
        def slow(call: Call) -> None:
            self.held[number] += 1
            self.hold.wait(SECONDS)

        return service


def all_are_there(asker: Asker, copies: Copies) -> None:
    """The queue has all three."""

    def ask() -> bool:
        asker.call()
        return set(copies.calls) == {0, 1, 2}

    wait_for(ask, "all copies are asked")


def test_copies_share_the_work_and_a_dying_one_loses_only_its_own(context: Context, queue: tuple[str, str]) -> None:
    front, back = queue
    with Asker(context, front) as asker, ExitStack() as stack:
        copies = Copies(back)
        running = [ExitStack() for _ in copies.services]
        for service, each in zip(copies.services, running):
            each.enter_context(served(service))
            stack.push(each)
        all_are_there(asker, copies)
        copies.calls.clear()
        for number in range(300):
            asker.send("dialplan.call", call_params(), number)
        assert all("result" in each for each in asker.answers(range(300)).values())
        assert sum(copies.calls.values()) == 300
        assert min(copies.calls[number] for number in range(3)) >= 50

        # One for each; the copy that ends has an error for its own (one that is killed: nothing).
        for number in range(3):
            asker.send("dialplan.call", call_params("slow"), f"slow {number}")
        wait_for(lambda: len(copies.held) == 3, "each has one")
        copies.services[0].stop()
        first = asker.receive()
        assert first["error"]["code"] == -32005
        copies.hold.set()
        running[0].close()
        others = asker.answers({f"slow {number}" for number in range(3)} - {first["id"]})
        assert all("result" in each for each in others.values())
        wait_for(lambda: "result" in asker.call(), "the others go on")
        copies.calls.clear()
        for number in range(50):
            asker.send("dialplan.call", call_params(), number)
        asker.answers(range(50))
        assert copies.calls[0] == 0


def test_while_no_copy_is_there_the_switch_is_told(context: Context, queue: tuple[str, str]) -> None:
    front, back = queue
    service = Service(back, connect=True)
    ran: list[str] = []
    service.call("ivr")(lambda call: ran.append(call.args))
    with Asker(context, front) as asker:
        for number in range(100):
            asker.send("dialplan.call", call_params(args="stale"), number)
        asker.socket.send_multipart([b"", b"{"])  # what is no request
        asker.socket.send_multipart([b"", b'{"jsonrpc":"2.0","method":"dialplan.hangup","params":{}}'])  # nor this
        answers = asker.answers(range(100))
        assert {each["error"]["code"] for each in answers.values()} == {-32004}
        assert answers[0]["error"]["message"] == "no copy of the service is there"
        with served(service):
            wait_for(lambda: "result" in asker.call(args="new"), "the copy is asked")

        def refused() -> bool:
            asker.send("dialplan.call", call_params(), "after the end")
            frames = asker.frames(0.2)  # what the queue sends before it knows of the end is lost
            return frames is not None and b"-32004" in frames[-1]

        wait_for(refused, "the queue knows that it has gone")
    assert "stale" not in ran


def test_a_copy_may_be_there_before_the_queue(context: Context) -> None:
    service = Service("ipc://@freeswitch-zmq-test-service-queue", connect=True)
    service.call("ivr")(lambda call: None)
    with served(service) as endpoint, Asker(context, endpoint, bind=True) as asker:
        assert "result" in asker.call()
