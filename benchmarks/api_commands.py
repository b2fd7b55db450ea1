"""What a command costs over the API, and over FreeSWITCH's own event socket.

    python -m benchmarks.api_commands [--requests N] [--clients C] [--command "status"]

It starts a FreeSWITCH (FREESWITCH=/path/to/bin/freeswitch, or the one on PATH) and has so many clients, each a process
with a connection of its own that asks one thing after the other, run a command: over the API of this module with a REQ,
over mod_event_socket with `api`, in turn, in one run and on one switch. For each it prints whether all was answered,
requests a second, how long a client waited, and the processor time of the whole switch for a request, less what the
switch takes when nothing happens.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import multiprocessing.connection
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, NamedTuple

import zmq

from benchmarks._program import BenchmarkError, idle_share, positive, progress, run, running
from tests.support.esl import Esl, EslError
from tests.support.livefs import LiveSwitch
from tests.support.module import Module, api, configuration, publisher

_IDLE_SECONDS = 2.0
_ANSWER_SECONDS = 30.0
_SPAWN = multiprocessing.get_context("spawn")  # a process that is forked would have our sockets, too

Ask = Callable[[str], str]
"""Runs a command and gives its output."""


class Way(NamedTuple):
    """How a command gets to the switch.

    Attributes:
        name: for people.
        kind: `zmq` or `esl`.
        target: an endpoint, or a port and a password.
    """

    name: str
    kind: str
    target: str


class Round(NamedTuple):
    """What one of the ways gave in one round; times in milliseconds and microseconds of processor time."""

    rate: float
    median: float
    p99: float
    longest: float
    cpu_us: float


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.api_commands",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--requests", type=positive, default=10_000, help="in each round and way (default: 10000)")
    parser.add_argument("--clients", type=positive, default=8, help="at the same time (default: 8)")
    parser.add_argument("--rounds", type=positive, default=3, help="of each way, in turn; medians count (default: 3)")
    parser.add_argument("--command", default="status", help="and its arguments (default: status)")
    options = parser.parse_args()
    if options.requests < options.clients:
        parser.error("each client needs at least one of the requests")

    def measure(folder: Path) -> None:
        with running(_switch(folder, options)) as switch:
            Bench(switch, options).run()

    return run("api_commands", measure)


def _switch(folder: Path, options: argparse.Namespace) -> LiveSwitch:
    name, _, args = options.command.partition(" ")
    allow = f"api:{name} *" if args else f"api:{name}"
    # The module has a line in the log for each command, as a switch in use has them.
    return LiveSwitch(
        folder, event_zmq_xml=configuration(publisher(), api=api(("allow", allow))), evgen=False, loglevel="info"
    )


class Bench:
    """All measurements on one switch.

    Args:
        switch: it runs.
        options: of the command line.
    """

    def __init__(self, switch: LiveSwitch, options: argparse.Namespace) -> None:
        self._switch = switch
        self._module = Module(switch)
        self._options = options
        self._idle = 0.0

    def run(self) -> None:
        """Measures, one way after the other in each round, so that both have the same share of what else goes on."""
        options = self._options
        self._module.start()
        ways = (
            Way("the API (REQ)", "zmq", self._module.api_endpoint()),
            Way("mod_event_socket", "esl", f"{self._switch.esl_port} {self._switch.esl_password}"),
        )
        self._idle = idle_share(self._switch, _IDLE_SECONDS)
        found: list[list[Round]] = [[] for _ in ways]
        for number in range(options.rounds):
            for way, rounds in zip(ways, found):
                progress(f"round {number + 1} of {options.rounds}: {way.name}")
                rounds.append(self._measure(way))
        progress("")
        self._check_counts()
        medians = [Round(*(statistics.median(column) for column in zip(*rounds))) for rounds in found]
        print(
            f'{options.requests} requests "{options.command}" of {options.clients} clients, one process each; '
            f"medians of {options.rounds}; idle {self._idle * 100:.1f} % of a core"
        )
        print(table([way.name for way in ways], medians))
        print(f"all answered: {2 * options.rounds * options.requests} of {2 * options.rounds * options.requests}")

    def _measure(self, way: Way) -> Round:
        options = self._options
        shares = [options.requests // options.clients] * options.clients
        for number in range(options.requests % options.clients):
            shares[number] += 1
        clients = [_Client(way, options.command, share) for share in shares]
        try:
            for client in clients:
                client.ready()
            before, began = self._switch.cpu_seconds(), time.monotonic()
            for client in clients:
                client.go()
            waited = [milliseconds for client in clients for milliseconds in client.result()]
            took = time.monotonic() - began
            cpu = self._switch.cpu_seconds() - before - self._idle * took
        finally:
            for client in clients:
                client.close()
        if len(waited) != options.requests:
            raise BenchmarkError(f"{way.name}: {len(waited)} of {options.requests} requests were answered")
        p99 = statistics.quantiles(waited, n=100)[98] if len(waited) > 1 else waited[0]
        rate = options.requests / took
        return Round(rate, statistics.median(waited), p99, max(waited), cpu / options.requests * 1e6)

    def _check_counts(self) -> None:
        """What the module itself counted has to be the same; each client has asked once before it began."""
        part = self._module.api()
        wanted = self._options.rounds * (self._options.requests + self._options.clients)
        if (part["requests"], part["succeeded"], part["pending"]) != (wanted, wanted, 0):
            raise BenchmarkError(f"the module counted something else than {wanted} requests that went well: {part}")


class _Client:
    """A process that asks."""

    def __init__(self, way: Way, command: str, count: int) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self._way = way
        self._process = _SPAWN.Process(target=_ask_often, args=(theirs, way, command, count), daemon=True)
        self._process.start()
        theirs.close()

    def ready(self) -> None:
        """Returns when it is connected and has been answered once."""
        self._receive()

    def go(self) -> None:
        """It begins."""
        self._pipe.send("go")

    def result(self) -> list[float]:
        """Milliseconds that it waited for each answer."""
        found: list[float] = self._receive()
        return found

    def _receive(self) -> Any:
        try:
            received = self._pipe.recv()
        except EOFError:
            raise BenchmarkError(f"a client of {self._way.name} has ended") from None
        if isinstance(received, str):
            raise BenchmarkError(f"{self._way.name}: {received}")
        return received

    def close(self) -> None:
        """It ends."""
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _ask_often(pipe: multiprocessing.connection.Connection, way: Way, command: str, count: int) -> None:
    """In a client's process: says None when it is ready, then waits, then sends how long each answer took."""
    try:
        with (_zmq_client if way.kind == "zmq" else _esl_client)(way.target) as ask:
            _check(ask(command))
            pipe.send(None)
            pipe.recv()
            waited = []
            for _ in range(count):
                began = time.perf_counter()
                output = ask(command)
                waited.append((time.perf_counter() - began) * 1000)
                _check(output)
            pipe.send(waited)
    except (BenchmarkError, EslError, zmq.ZMQError) as error:
        pipe.send(str(error))
    except (EOFError, KeyboardInterrupt):  # the benchmark has ended
        pass


def _check(output: str) -> None:
    if not output or output.startswith(("-ERR", "-USAGE")):
        raise BenchmarkError(f"the command gave {output!r}")


@contextlib.contextmanager
def _zmq_client(target: str) -> Iterator[Ask]:
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.set(zmq.LINGER, 0)
        socket.connect(target)
        number = 0

        def ask(command: str) -> str:
            nonlocal number
            number += 1
            name, _, args = command.partition(" ")
            params = {"command": name, "args": args}
            socket.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": "api", "params": params}).encode())
            if not socket.poll(round(_ANSWER_SECONDS * 1000)):
                raise BenchmarkError(f"no answer within {_ANSWER_SECONDS:g} s")
            answer = json.loads(socket.recv())
            if answer["id"] != number or "result" not in answer:
                raise BenchmarkError(f"the answer to {number} is {answer}")
            output: str = answer["result"]["output"]
            return output

        yield ask


@contextlib.contextmanager
def _esl_client(target: str) -> Iterator[Ask]:
    port, _, password = target.partition(" ")
    with Esl.connect(int(port), password) as esl:
        yield lambda command: esl.api(command, _ANSWER_SECONDS)


def table(names: list[str], medians: list[Round]) -> str:
    """For people; the last line says what the first way is of the second."""
    lines = [f"{'':18}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}{'CPU µs/request':>17}"]
    lines += [
        f"{name:18}{each.rate:12.0f}{each.median:10.3f}{each.p99:10.3f}{each.longest:10.3f}{each.cpu_us:17.1f}"
        for name, each in zip(names, medians)
    ]
    ours, theirs = medians
    ratios = [mine / other if other else float("nan") for mine, other in zip(ours, theirs)]
    widths = (12, 10, 10, 10, 17)
    return "\n".join([*lines, f"{'ratio':18}" + "".join(f"{ratio:{width}.2f}" for ratio, width in zip(ratios, widths))])


if __name__ == "__main__":
    sys.exit(main())
