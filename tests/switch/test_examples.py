"""The programs in examples/ do what they say, each in its own language where that is there."""

from __future__ import annotations

import functools
import json
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest

from freeswitch_zmq.client.service import a1_hash
from tests.support import programs
from tests.support.keeper import Keeper
from tests.support.lookups import ALL, connected, find_user
from tests.support.module import Module, api, configuration, publisher
from tests.support.ports import free_port
from tests.support.programs import example_config
from tests.support.switch import REPOSITORY
from tests.switch.conftest import ModuleFactory

EXAMPLES = REPOSITORY / "examples"
LANGUAGES = ("py", "c", "js")
ALLOW = "api:version,api:echo *"
SECONDS = 30.0


@functools.cache
def missing(language: str) -> str:
    """Why programs in that language can't be run here; empty: they can."""
    if language == "js":
        node = shutil.which("node")
        if node is None:
            return "no node here"
        looked = subprocess.run([node, "-e", 'require("zeromq")'], cwd=EXAMPLES, capture_output=True, check=False)
        return "node has no zeromq module: npm install zeromq@6, perhaps with NODE_PATH" if looked.returncode else ""
    if language == "c":
        compiler = shutil.which("cc")
        if compiler is None:
            return "no C compiler here"
        looked = subprocess.run(
            [compiler, "-E", "-x", "c", "-"], input=b"#include <zmq.h>", capture_output=True, check=False
        )
        return "no zmq.h here (Debian: libzmq3-dev)" if looked.returncode else ""
    return ""


@pytest.fixture(scope="session", params=LANGUAGES)
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs the API client in a language; what has to be compiled is, as its first comment says."""
    language: str = request.param
    reason = missing(language)
    if reason:
        pytest.skip(reason)
    source = EXAMPLES / f"api_client.{language}"
    if language == "py":
        return [sys.executable, str(source)]
    if language == "js":
        return ["node", str(source)]
    folder = tmp_path_factory.mktemp("c")
    shutil.copy(source, folder)
    found = re.search(r"^ +(cc .*)$", source.read_text("utf-8").partition("*/")[0], re.MULTILINE)
    assert found is not None
    subprocess.run([*found[1].split(), "-Wall", "-Wextra", "-Werror"], cwd=folder, check=True, timeout=SECONDS)
    return [str(folder / "api_client")]


def run(client: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*client, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)


def test_the_api_clients(client: list[str], module_factory: ModuleFactory) -> None:
    module = module_factory(configuration(api=api(("allow", ALLOW))))
    endpoint = module.api_endpoint()
    version = run(client, endpoint)
    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout.count("FreeSWITCH Version 1.") == 1
    echo = run(client, endpoint, "echo", "Grüße, all")
    assert (echo.returncode, echo.stderr) == (0, "")
    assert echo.stdout.count("Grüße, all") == 1
    forbidden = run(client, endpoint, "shutdown")
    assert "-32001" in forbidden.stdout + forbidden.stderr
    if client[0].endswith("api_client"):  # it prints answers as they are
        assert json.loads(echo.stdout) == {"jsonrpc": "2.0", "id": 1, "result": {"output": "Grüße, all"}}
    else:
        assert echo.stdout == "Grüße, all"
        assert forbidden.returncode == 1


def test_the_request_of_the_readme(module_factory: ModuleFactory) -> None:
    module = module_factory(configuration(api=api()))
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    [code] = [block for block in blocks if "zmq.REQ" in block]
    assert "tcp://127.0.0.1:5557" in code
    asked = run([sys.executable, "-c"], code.replace("tcp://127.0.0.1:5557", module.api_endpoint()))
    assert asked.returncode == 0, asked.stderr
    assert " total." in asked.stdout


def test_the_wiki_client(module_factory: ModuleFactory) -> None:
    module = module_factory(configuration(publisher(("event-filter", "CUSTOM^example::*"))))
    with Running("wiki_client.py", "3", module.endpoint()) as client:
        Module.wait(module.publisher, lambda now: now["subscriptions"] == 1)
        fire(module, 5)
        assert [json.loads(client.line())["ZMQ-Sequence"] for _ in range(3)] == ["1", "2", "3"]
        assert client.process.wait(SECONDS) == 0


def test_the_replay_client_prints_every_event_once(module_factory: ModuleFactory) -> None:
    events, requests = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    module = module_factory(holding(events, requests))
    fire(module, 10)  # before anybody is there
    with Running("replay_client.py", events, requests) as client:
        subscribed(module)
        fire(module, 10)
        first = module.publisher()["epoch"]
        assert client.until(first, 20) == numbers(first, 1, 20)
        last = 20
        # Its connection ends while events go on, and it comes back later.
        for hwm in (1001, 1002, 1003):
            with Stream(module) as stream:
                assert module.reload(holding(events, requests, ("send-hwm", str(hwm)))).startswith("+OK reloaded")
                subscribed(module)
            fire(module, 1)  # what is missing shows when another event comes, and the stream's last may be missing
            last += stream.fired + 1
        assert client.until(first, last) == numbers(first, 21, last)
        assert module.api()["requests"] > 1  # there was something to ask for
    # Started again it goes on where it ended, and needs no event for that.
    fire(module, 10)
    with Running("replay_client.py", events, requests, "default", first, str(last)) as client:
        assert client.until(first, last + 10) == numbers(first, last + 1, last + 10)
        # The publisher starts anew.
        subscribed(module)
        assert module.command("stop") == "+OK stopped"
        module.start()
        second = module.publisher()["epoch"]
        fire(module, 10)
        subscribed(module)
        fire(module, 10)
        assert client.until(second, 20) == numbers(second, 1, 20)
        assert client.rest() == ([], "")


def test_the_replay_client_tells_what_is_lost(module_factory: ModuleFactory) -> None:
    events, requests = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    module = module_factory(holding(events, requests, ("replay-events", "5")))
    fire(module, 20)
    epoch = module.wait(module.publisher, lambda now: now["replay"]["newest"] == 20)["epoch"]
    with Running("replay_client.py", events, requests, "default", epoch, "10") as client:
        assert client.until(epoch, 20) == numbers(epoch, 16, 20)
        assert client.rest() == ([], "11 to 15 are lost\n")


def test_the_users_of_a_database(
    session_keeper: Keeper, switch_kind: str, scripts: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # The hook of a real one comes by itself; it is the switch of test_lookups.py.
    bindings = ALL if switch_kind == "standin" else ""
    switch = session_keeper.share(switch_kind, "lookups", scripts_dir=scripts, xml_handler_bindings=bindings)
    xml, endpoint = example_config("directory", 5559)
    database = tmp_path / "users.db"
    told = programs.run(EXAMPLES / "directory.py", "--init", str(database))
    passwords = dict(line.split(" ") for line in told.splitlines())
    switch.write_config(configuration(publisher(), api=xml))
    switch.api("reloadxml")
    module = Module(switch)
    module.start()
    request.addfinalizer(lambda: module.command("stop"))
    with programs.running(tmp_path, EXAMPLES / "directory.py", str(database), endpoint) as program:
        connected(module)
        for user in ("1000", "1001"):
            found = switch.api(f"user_data {user}@example.com param a1-hash", SECONDS).strip()
            assert found == a1_hash(user, "example.com", passwords[f"{user}@example.com"])
            assert switch.api(f"user_data {user}@example.com var user_context", SECONDS).strip() == "default"
        assert find_user(switch, "1002") == ""
        program.kill()
    # Nobody is there any more; who was looked for before is known for a while.
    found = switch.api("user_data 1000@example.com param a1-hash", SECONDS).strip()
    assert found == a1_hash("1000", "example.com", passwords["1000@example.com"])


def holding(events: str, requests: str, *params: tuple[str, str]) -> str:
    """A publisher that holds the tests' own events."""
    filters = ("event-filter", "CUSTOM^example::*"), ("replay-mb", "10")
    return configuration(publisher(*filters, *params, bind=events), api=api(bind=requests))


def fire(module: Module, count: int) -> None:
    for _ in range(count):
        module.switch.sendevent("CUSTOM", [("Event-Subclass", "example::door")])


def subscribed(module: Module) -> None:
    module.wait(module.publisher, lambda now: now["subscriptions"] == 1)


def numbers(epoch: str, first: int, last: int) -> list[str]:
    return [f"{epoch} {number} CUSTOM" for number in range(first, last + 1)]


class Stream:
    """Events without end, until it is left; `fired` of them."""

    def __init__(self, module: Module) -> None:
        self.fired = 0
        self._module = module
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            fire(self._module, 1)
            self.fired += 1


class Running:
    """A program of examples/ that goes on, and the lines that it prints."""

    def __init__(self, name: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / name), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip("\n"))

    def _end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def line(self) -> str:
        """The next one."""
        return self._lines.get(timeout=SECONDS)

    def until(self, epoch: str, last: int) -> list[str]:
        """All lines up to the one about that event."""
        found: list[str] = []
        deadline = time.monotonic() + SECONDS
        while not found or found[-1] != numbers(epoch, last, last)[0]:
            try:
                found.append(self._lines.get(timeout=max(deadline - time.monotonic(), 0.001)))
            except queue.Empty:
                raise AssertionError(f"{last} of {epoch} has not come; the last are {found[-3:]}") from None
        return found

    def rest(self) -> tuple[list[str], str]:
        """Ends it; the lines that nobody has read, and what it said on stderr."""
        self._end()
        assert self.process.stderr is not None
        return list(self._drain()), self.process.stderr.read()

    def _drain(self) -> Iterator[str]:
        while not self._lines.empty():
            yield self._lines.get()


def test_every_example_is_tested() -> None:
    tested = {f"api_client.{language}" for language in LANGUAGES} | {"wiki_client.py", "replay_client.py"}
    # Those that a switch asks: also tests/live/test_callouts_live.py, test_examples_live.py, and in tests/unit.
    tested |= {f"{name}.{kind}" for name in ("directory", "ivr", "routing") for kind in ("py", "xml")}
    tested |= {"service_queue.py"}
    assert {path.name for path in Path(EXAMPLES).iterdir() if path.is_file()} == tested
