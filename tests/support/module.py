"""The module on a running switch, as a test drives and watches it."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from xml.sax.saxutils import quoteattr

import zmq

from .keys import Identity
from .switch import Switch

LOOPBACK = "tcp://127.0.0.1:*"

Event = dict[str, Any]
Param = tuple[str, str]


def configuration(*publishers: str, settings: Sequence[Param] = (), access: str = "", api: str = "") -> str:
    """An event_zmq.conf.xml of these `<publisher>` elements; by default one on a free port of 127.0.0.1."""
    return (
        '<configuration name="event_zmq.conf" description="test">'
        f"<settings>{params(settings)}</settings>"
        f"<publishers>{''.join(publishers or (publisher(),))}</publishers>{api}{access}</configuration>"
    )


def publisher(*given: Param, name: str = "default", bind: str = LOOPBACK) -> str:
    """A `<publisher>`; `bind` may be empty for none."""
    return f"<publisher name={quoteattr(name)}>{params(([('bind', bind)] if bind else []) + list(given))}</publisher>"


def api(*given: Param, bind: str = LOOPBACK) -> str:
    """An `<api>`, by default on a free port of 127.0.0.1."""
    return f"<api>{params([('bind', bind), *given])}</api>"


def params(given: Iterable[Param]) -> str:
    """`<param>` elements."""
    return "".join(f"<param name={quoteattr(name)} value={quoteattr(value)}/>" for name, value in given)


def threads_of_ours(switch: Switch) -> list[str]:
    """The names of the threads that the module and its ZeroMQ have in the switch's process."""
    names = []
    for entry in Path(f"/proc/{switch.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            names.append((entry / "comm").read_text("utf-8").strip())
    return [name for name in names if name.startswith(("ZMQ", "event_zmq"))]


def nothing_left(switch: Switch) -> None:
    """Returns when it has none. libzmq's own threads end by themselves, a moment later on a machine that is busy."""
    Module.wait(lambda: threads_of_ours(switch), lambda now: now == [])


class Module:
    """`python event_zmq …` on a switch."""

    def __init__(self, switch: Switch) -> None:
        self.switch = switch
        self._log_start = len(switch.log_text())

    def command(self, words: str, timeout: float = 30.0) -> str:
        """What the console answers."""
        return self.switch.api(f"python event_zmq {words}", timeout).strip()

    def start(self) -> None:
        """Starts it; an answer other than +OK fails the test."""
        answer = self.command("start")
        assert answer.startswith("+OK started"), answer

    def reload(self, xml: str) -> str:
        """Writes another configuration and reloads; the console's answer."""
        self.switch.write_config(xml)
        return self.command("reload")

    def status(self) -> dict[str, Any]:
        """`status json`."""
        status: dict[str, Any] = json.loads(self.command("status json"))
        return status

    def publisher(self, name: str = "default") -> dict[str, Any]:
        """A publisher's part of the status."""
        part: dict[str, Any] = self.status()["publishers"][name]
        return part

    def endpoint(self, name: str = "default", number: int = 0) -> str:
        """Where a publisher really listens."""
        endpoint: str = self.publisher(name)["endpoints"][number]
        return endpoint

    def api(self) -> dict[str, Any]:
        """The API's part of the status."""
        part: dict[str, Any] = self.status()["api"]
        return part

    def api_endpoint(self, number: int = 0) -> str:
        """Where the API really listens."""
        endpoint: str = self.api()["endpoints"][number]
        return endpoint

    def refusals(self, reason: str, name: str = "default") -> dict[str, Any]:
        """What a publisher's status says of those that were refused for that reason; it has one endpoint."""
        found = [each for each in self.publisher(name)["refusals"] if each["reason"] == reason]
        assert len(found) <= 1, found
        nobody = {"reason": reason, "count": 0, "latest_address": "", "latest_key": ""}
        return found[0] if found else nobody

    def wait_refused(self, reason: str, name: str = "default", count: int = 0) -> dict[str, Any]:
        """Waits until so many were refused for that reason, by default one more than now."""
        wanted = count or self.refusals(reason, name)["count"] + 1
        refusal: dict[str, Any] = self.wait(lambda: self.refusals(reason, name), lambda now: now["count"] >= wanted)
        return refusal

    def at_rest(self, name: str = "default", timeout: float = 30.0) -> dict[str, Any]:
        """The status of a publisher that has nothing queued; it must add up.

        What is on its way from the switch is not in it: where that counts, `wait_accepted` first.
        """

        def at_rest(now: dict[str, Any]) -> bool:
            # Between two of its counters the pump may have to wait for its turn, so that one look need not add up.
            return bool(now["queued"] == 0 and now["accepted"] == now["published"] + now["skipped"] + now["shed"])

        part: dict[str, Any] = self.wait(lambda: self.publisher(name), at_rest, timeout)
        return part

    def wait_accepted(self, count: int, name: str = "default", timeout: float = 30.0) -> dict[str, Any]:
        """The status of a publisher as soon as it has taken so many events since its start."""
        part: dict[str, Any] = self.wait(lambda: self.publisher(name), lambda now: now["accepted"] >= count, timeout)
        return part

    def wait_log(self, text: str, timeout: float = 30.0) -> str:
        """Waits for a text in the log, and gives the log since this was made."""
        log: str = self.wait(lambda: self.switch.log_text()[self._log_start :], lambda log: text in log, timeout)
        return log

    @staticmethod
    def wait(look: Callable[[], Any], good: Callable[[Any], bool], timeout: float = 30.0) -> Any:
        """Looks until what it sees is good, and gives that."""
        deadline = time.monotonic() + timeout
        while True:
            seen = look()
            if good(seen):
                return seen
            assert time.monotonic() < deadline, f"still {seen} after {timeout:g} s"
            time.sleep(0.05)


class Subscriber:
    """A SUB socket with its own context, and without a high-water mark: what is lost is lost by the switch."""

    def __init__(
        self,
        *endpoints: str,
        prefixes: Sequence[bytes] = (b"",),
        hwm: int = 0,
        identity: Identity | None = None,
        ipv6: bool = False,
    ) -> None:
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.SUB)
        self.socket.set(zmq.LINGER, 0)
        self.socket.set(zmq.RCVHWM, hwm)
        self.socket.set(zmq.RECONNECT_IVL, 50)
        self.socket.set(zmq.IPV6, int(ipv6))
        if identity is not None:
            self.socket.set(zmq.CURVE_PUBLICKEY, identity.pair.public)
            self.socket.set(zmq.CURVE_SECRETKEY, identity.pair.secret)
            self.socket.set(zmq.CURVE_SERVERKEY, identity.server)
        for prefix in prefixes:
            self.socket.subscribe(prefix)
        for endpoint in endpoints:
            self.socket.connect(endpoint.replace("0.0.0.0", "127.0.0.1"))

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()
        self._context.term()

    def frames(self, timeout: float = 30.0) -> list[bytes]:
        """The next message, all of it."""
        assert self.socket.poll(round(timeout * 1000)), f"no message within {timeout:g} s"
        return self.socket.recv_multipart()

    def raw(self, timeout: float = 30.0) -> bytes:
        """The next message's last frame: the JSON."""
        return self.frames(timeout)[-1]

    def event(self, timeout: float = 30.0) -> Event:
        """The next event."""
        event: Event = json.loads(self.raw(timeout))
        return event

    def until(self, last: Callable[[Event], bool], timeout: float = 30.0) -> list[Event]:
        """All events up to the first for which `last` is true, that one included."""
        events: list[Event] = []
        deadline = time.monotonic() + timeout
        while True:
            events.append(self.event(max(deadline - time.monotonic(), 0.001)))
            if last(events[-1]):
                return events

    def nothing(self, seconds: float) -> None:
        """Fails when anything comes."""
        assert not self.socket.poll(round(seconds * 1000)), self.socket.recv_multipart()

    def subscribed(self, switch: Switch, timeout: float = 30.0) -> None:
        """Returns when events come through, and leaves nothing unread of what came until then."""
        mark = secrets.token_hex(8)
        deadline = time.monotonic() + timeout
        while True:
            switch.sendevent("CUSTOM", [("Event-Subclass", "test::mark"), ("Mark", mark)])
            if self.socket.poll(100):
                break
            assert time.monotonic() < deadline, f"no event within {timeout:g} s"
        last = secrets.token_hex(8)
        switch.sendevent("CUSTOM", [("Event-Subclass", "test::mark"), ("Mark", last)])
        self.until(lambda event: event.get("Mark") == last, timeout)


def sequences(events: Iterable[Event]) -> list[int]:
    """Their ZMQ-Sequence."""
    return [int(event["ZMQ-Sequence"]) for event in events]


def ticks(events: Iterable[Event]) -> list[Event]:
    """Those of `evgen`."""
    return [event for event in events if event.get("Event-Subclass") == "bench::tick"]
