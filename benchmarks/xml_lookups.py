"""What an XML lookup costs over a service of this module, and over mod_xml_curl.

    python -m benchmarks.xml_lookups [--lookups N] [--clients 1,8] [--rounds 3]

It starts two FreeSWITCHes (FREESWITCH=/path/to/bin/freeswitch, or the one on PATH): one with this module and a service
of `freeswitch_zmq.client.service`, one with mod_xml_curl and an HTTP server of Python's standard library; service and
server are processes of their own on this machine and answer the same. Lookups are caused by `user_data NAME@DOMAIN attr
id` over the event socket, which FreeSWITCH does not cache, one after the other on each connection; `echo NAME` on the
same connections is the base line. All that in turn, in one run. For each it prints lookups a second, how long one took,
and the processor time of the whole switch for it, less what the switch takes when nothing happens; then the same less
the base line, and what of mod_xml_curl's that is.

Run it on a machine that does nothing else: the service, the server and the clients need processors, too.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import statistics
import sys
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, NamedTuple
from xml.etree.ElementTree import tostring

from benchmarks._program import BenchmarkError, idle_share, positive, progress, run, running
from freeswitch_zmq.client.service import Service, XmlRequest, a1_hash, directory, document, user
from tests.support.esl import Esl, EslError
from tests.support.livefs import LiveSwitch
from tests.support.lookups import binding, bound
from tests.support.module import Module
from tests.support.ports import free_port

_IDLE_SECONDS = 2.0
_ANSWER_SECONDS = 30.0
_CACHED_MS = 3_600_000
_DOMAIN = "example.com"
_SPAWN = multiprocessing.get_context("spawn")  # a process that is forked would have our sockets, too

Pipe = multiprocessing.connection.Connection


class Way(NamedTuple):
    """How a document gets to the switch.

    Attributes:
        name: for people.
        command: what is run, without the user's name.
        answer: what the command has to print, without the user's name.
        same: always the same user.
        cache: the binding's `cache-ttl-ms`, None where it does not matter.
    """

    name: str
    command: str
    answer: str
    same: bool
    cache: int | None


_ECHO = Way("echo", "echo {}", "{}", False, None)
_LOOKUP = f"user_data {{}}@{_DOMAIN} attr id"
_CACHED = Way("cached", _LOOKUP, "{}", True, _CACHED_MS)
_ASKED = Way("uncached", _LOOKUP, "{}", False, 0)
_CURL = Way("mod_xml_curl", _LOOKUP, "{}", False, None)


class Round(NamedTuple):
    """What one of the ways gave in one round; times in microseconds."""

    rate: float
    median: float
    p99: float
    cpu: float


class Place(NamedTuple):
    """A switch that lookups are caused on.

    Attributes:
        ways: what is measured there.
        idle: what of a core it takes when nothing happens.
    """

    switch: LiveSwitch
    ways: Sequence[Way]
    idle: float
    module: Module | None


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.xml_lookups",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lookups", type=positive, default=4000, help="in each round and way (default: 4000)")
    parser.add_argument(
        "--clients", default="1,8", help="connections at the same time, comma-separated (default: 1,8)", type=_numbers
    )
    parser.add_argument("--rounds", type=positive, default=3, help="of each way, in turn; medians count (default: 3)")
    options = parser.parse_args()
    if options.lookups < max(options.clients):
        parser.error("each client needs at least one of the lookups")
    return run("xml_lookups", lambda folder: _measure(folder, options))


def _numbers(text: str) -> list[int]:
    return [positive(each.strip()) for each in text.split(",")]


def _measure(folder: Path, options: argparse.Namespace) -> None:
    print(f"the machine's load before: {os.getloadavg()[0]:.2f}, {os.cpu_count()} processors")
    with contextlib.ExitStack() as stack:
        endpoint = stack.enter_context(_served(_serve_zmq))
        ours = LiveSwitch(folder / "ours", event_zmq_xml=bound(_binding(endpoint, 0)), evgen=False, loglevel="info")
        module = Module(stack.enter_context(running(ours)))
        module.start()
        places = [Place(ours, (_ECHO, _CACHED, _ASKED), idle_share(ours, _IDLE_SECONDS), module)]
        theirs = LiveSwitch(folder / "theirs", evgen=False, loglevel="info", extra_modules=["mod_xml_curl"])
        url = stack.enter_context(_served(_serve_http))
        theirs.write_config(_curl_configuration(url), "xml_curl.conf.xml")
        stack.enter_context(running(theirs))
        if theirs.api("module_exists mod_xml_curl").strip() == "true":
            places.append(Place(theirs, (_ECHO, _CURL), idle_share(theirs, _IDLE_SECONDS), None))
        else:
            print("this FreeSWITCH has no mod_xml_curl: it is not measured")
        for clients in options.clients:
            Bench(places, endpoint, clients, options).run()


def _binding(endpoint: str, cache_ms: int) -> str:
    return binding(endpoint, cache_ttl_ms=cache_ms)


def _curl_configuration(url: str) -> str:
    return (
        '<configuration name="xml_curl.conf" description="benchmark"><bindings><binding name="users">'
        f'<param name="gateway-url" value="{url}" bindings="directory"/>'
        f'<param name="timeout" value="{round(_ANSWER_SECONDS)}"/></binding></bindings></configuration>'
    )


class Bench:
    """The measurements with one number of clients.

    Args:
        places: the switches.
        endpoint: of our service.
        clients: connections, each in a process of its own.
        options: of the command line.
    """

    def __init__(self, places: Sequence[Place], endpoint: str, clients: int, options: argparse.Namespace) -> None:
        self._places = places
        self._endpoint = endpoint
        self._clients = clients
        self._options = options

    def run(self) -> None:
        """Measures, every second round in the other order, and prints."""
        work = [(place, way) for place in self._places for way in place.ways]
        found: list[list[Round]] = [[] for _ in work]
        for number in range(self._options.rounds):
            turn = list(zip(work, found))
            for (place, way), rounds in turn if number % 2 == 0 else reversed(turn):
                progress(f"{self._clients} clients, round {number + 1} of {self._options.rounds}: {way.name}")
                rounds.append(self._round(place, way))
        progress("")
        medians = [Round(*(statistics.median(column) for column in zip(*rounds))) for rounds in found]
        idle = ", ".join(f"{place.idle * 100:.1f} %" for place in self._places)
        print(
            f"\n{self._options.lookups} lookups over {self._clients} connection{'s' * (self._clients > 1)}; "
            f"medians of {self._options.rounds}; idle {idle} of a core"
        )
        print(table([(place.ways[-1].name, way) for place, way in work], medians))

    def _round(self, place: Place, way: Way) -> Round:
        if place.module is not None and way.cache is not None:
            answer = place.module.reload(bound(_binding(self._endpoint, way.cache)))
            if not answer.startswith("+OK"):
                raise BenchmarkError(answer)
        options = self._options
        shares = [options.lookups // self._clients] * self._clients
        for number in range(options.lookups % self._clients):
            shares[number] += 1
        switch = place.switch
        target = (switch.esl_port, switch.esl_password)
        clients = [_Process(_ask_often, target, way, share, number) for number, share in enumerate(shares)]
        try:
            for client in clients:
                client.told()
            before, began = switch.cpu_seconds(), time.monotonic()
            for client in clients:
                client.pipe.send("go")
            took = [microseconds for client in clients for microseconds in client.told()]
            seconds = time.monotonic() - began
            cpu = switch.cpu_seconds() - before - place.idle * seconds
        finally:
            for client in clients:
                client.close()
        if len(took) != options.lookups:
            raise BenchmarkError(f"{way.name}: {len(took)} of {options.lookups} lookups were answered")
        self._check_counts(place, way)
        p99 = statistics.quantiles(took, n=100)[98] if len(took) > 1 else took[0]
        return Round(len(took) / seconds, statistics.median(took), p99, cpu / len(took) * 1e6)

    def _check_counts(self, place: Place, way: Way) -> None:
        """What the module itself counted shows that it was what was to be measured."""
        if place.module is None or way.cache is None:
            return
        part = place.module.status()["xml_bindings"]["users"]
        if part["failed"] or part["stale"] or part["not_found"]:
            raise BenchmarkError(f"lookups went wrong: {part}")
        if way.same and part["cached"] < self._options.lookups:
            raise BenchmarkError(f"lookups were not answered from the cache: {part}")


class _Process:
    """A process at the other end of a pipe; `told` is what it sends, and texts are what went wrong there."""

    def __init__(self, function: Callable[..., None], *args: Any) -> None:
        self.pipe, theirs = _SPAWN.Pipe()
        self._name = function.__name__
        self._process = _SPAWN.Process(target=function, args=(theirs, *args), daemon=True)
        self._process.start()
        theirs.close()

    def told(self) -> Any:
        try:
            received = self.pipe.recv()
        except EOFError:
            raise BenchmarkError(f"the process {self._name} has ended") from None
        if isinstance(received, Exception):
            raise BenchmarkError(str(received))
        return received

    def close(self) -> None:
        self.pipe.close()
        self._process.terminate()
        self._process.join()


@contextlib.contextmanager
def _served(function: Callable[[Pipe], None]) -> Iterator[str]:
    process = _Process(function)
    try:
        yield process.told()
    finally:
        process.close()


def _ask_often(pipe: Pipe, target: tuple[int, str], way: Way, count: int, number: int) -> None:
    """In a client's process: says None when it is ready, then waits, then sends how long each lookup took."""
    try:
        with Esl.connect(*target) as esl:

            def ask(name: str) -> None:
                output = esl.api(way.command.format(name), _ANSWER_SECONDS).strip()
                if output != way.answer.format(name):
                    raise BenchmarkError(f"{way.name}: {name} gave {output!r}")

            names = ["always" if way.same else f"user-{number}-{each}" for each in range(count)]
            for name in names[:20]:
                ask(name)
            pipe.send(None)
            pipe.recv()
            took = []
            for name in names:
                began = time.perf_counter()
                ask(name)
                took.append((time.perf_counter() - began) * 1e6)
            pipe.send(took)
    except (BenchmarkError, EslError) as error:
        pipe.send(BenchmarkError(str(error)))
    except (EOFError, KeyboardInterrupt):  # the benchmark has ended
        pass


def _document(name: str, domain: str) -> str:
    """About a kilobyte, as users of a switch have it."""
    variables = {
        "user_context": "default",
        "toll_allow": "domestic,international,local",
        "accountcode": name,
        "effective_caller_id_name": f"Extension {name}",
        "effective_caller_id_number": name,
        "outbound_caller_id_number": "+15551234567",
        "callgroup": "techsupport",
    }
    params = {"vm-password": name, "dial-string": "{presence_id=${dialed_user}@${dialed_domain}}${sofia_contact(*)}"}
    one = user(name, a1_hash=a1_hash(name, domain, "secret"), params=params, variables=variables)
    return tostring(document("directory", directory(domain, one)), "unicode")


def _serve_zmq(pipe: Pipe) -> None:
    """In the service's process, until it is ended."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    service = Service(endpoint)

    @service.xml("directory")
    def users(asked: XmlRequest) -> str:
        return _document(asked.user, asked.domain)

    pipe.send(endpoint)
    service.run()


class _Answers(BaseHTTPRequestHandler):
    """The same over HTTP."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """A lookup."""
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = dict(urllib.parse.parse_qsl(form))
        body = _document(asked["user"], asked["domain"]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """No lines: that takes time."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _serve_http(pipe: Pipe) -> None:
    """In the server's process, until it is ended."""
    with _Server(("127.0.0.1", 0), _Answers) as server:
        pipe.send(f"http://127.0.0.1:{server.server_port}/")
        server.serve_forever()


def table(names: Sequence[tuple[str, Way]], medians: Sequence[Round]) -> str:
    """For people.

    Args:
        names: of each row, the last way of its switch, by which base lines are told apart, and what was measured.
        medians: the rows.
    """
    lines = [
        f"{'':30}{'lookups/s':>11}{'p50 µs':>10}{'p99 µs':>10}{'CPU µs':>10}{'less the base line: p50':>26}{'CPU':>8}"
    ]
    bases = {last: each for (last, way), each in zip(names, medians) if way is _ECHO}
    less: dict[str, tuple[Round, float, float]] = {}
    for (last, way), each in zip(names, medians):
        base = bases[last]
        line = f"{each.rate:11.0f}{each.median:10.0f}{each.p99:10.0f}{each.cpu:10.0f}"
        if way is _ECHO:
            where = "mod_xml_curl's switch" if last == _CURL.name else "our switch"
            lines.append(f"{'base line, ' + where:30}{line}")
        else:
            less[way.name] = (each, each.median - base.median, each.cpu - base.cpu)
            lines.append(f"{way.name:30}{line}{less[way.name][1]:26.0f}{less[way.name][2]:8.0f}")
    if _CURL.name in less:
        theirs, their_median, their_cpu = less[_CURL.name]
        for name in (_CACHED.name, _ASKED.name):
            ours, median, cpu = less[name]
            ratios = [mine / other if other > 0 else float("nan") for mine, other in zip(ours, theirs)]
            first = "".join(f"{ratio:{width}.2f}" for ratio, width in zip(ratios, (11, 10, 10, 10)))
            lines.append(
                f"{name + ' : mod_xml_curl':30}{first}{_ratio(median, their_median):26.2f}{_ratio(cpu, their_cpu):8.2f}"
            )
    return "\n".join(lines)


def _ratio(ours: float, theirs: float) -> float:
    return ours / theirs if theirs > 0 else float("nan")


if __name__ == "__main__":
    sys.exit(main())
