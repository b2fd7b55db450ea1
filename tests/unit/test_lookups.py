"""XML lookups: who is asked, what is kept, and what happens when nobody answers."""

from __future__ import annotations

import threading
from typing import Any, Optional

import pytest
import zmq

from freeswitch_zmq.module.asking import backend as backend_module
from freeswitch_zmq.module.asking.backend import BackendOptions
from freeswitch_zmq.module.lookups import binding as binding_module
from freeswitch_zmq.module.lookups import cache as cache_module
from freeswitch_zmq.module.lookups.asked import Asked
from freeswitch_zmq.module.lookups.binding import XmlBinding
from freeswitch_zmq.module.lookups.cache import Cache
from freeswitch_zmq.module.lookups.lookups import Lookups
from freeswitch_zmq.module.schema import XML_BINDING, XmlBindingConfig
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.unit.clock import Clock
from tests.unit.fake_freeswitch import FakeSwitch
from tests.unit.services import Answer, ServiceDouble, error_of

DEFAULTS = {each.field: each.read(each.default) if each.default is not None else None for each in XML_BINDING}


def document(text: str = "", section: str = "directory") -> str:
    return f'<document type="freeswitch/xml"><section name="{section}">{text}</section></document>'


def asked(user: str = "1000", section: str = "directory", **params: str) -> Asked:
    return Asked(section, "domain", "name", "example.com", {"user": user, "Event-Sequence": "1", **params})


@pytest.fixture(autouse=True)
def _quick(switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "RECONNECT_MS", 50)


class Bound:
    """Bindings, each with a service of its own."""

    def __init__(self, *answers: Optional[Answer], endpoint: str = "", **given: Any) -> None:
        self.errors: list[BaseException] = []
        self.services = [ServiceDouble(answer) for answer in answers]
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        values = {**DEFAULTS, "bindings": ("directory",), "timeout_ms": 20_000, **given}
        options = BackendOptions(1_000_000, False, None, None, values["circuit_breaker_ms"] / 1000)
        self.bindings = [
            XmlBinding(
                XmlBindingConfig(name=f"b{number}", **{**values, "endpoint": (endpoint or each,)}),
                options,
                self._context,
                self.errors.append,
            )
            for number, each in enumerate([service.endpoint for service in self.services] or [endpoint])
        ]
        self.lookups = Lookups(self.errors.append)
        self.lookups.take_up(self.bindings)

    def __enter__(self) -> Bound:
        for service in self.services:
            service.__enter__()
        for binding in self.bindings:
            binding.requester.start()
        return self

    def __exit__(self, *_: object) -> None:
        for binding in self.bindings:
            assert binding.requester.stop(20.0)
        self._context.term()
        for service in self.services:
            service.__exit__(None, None, None)
        assert self.errors == []

    @property
    def binding(self) -> XmlBinding:
        return self.bindings[0]

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [request["params"] for request in self.services[0].requests]

    def connected(self) -> None:
        for binding in self.bindings:
            wait_for(lambda each=binding: each.requester.backends[0].connected, "a connection")  # type: ignore[misc]

    def counted(self) -> dict[str, int]:
        """How lookups ended, without what was never seen."""
        found = self.binding.counted()
        ends = {name: found[name] for name in ("cached", "found", "not_found", "stale", "failed")}
        assert found["lookups"] == sum(ends.values())
        return {name: count for name, count in ends.items() if count}


def test_a_document_is_found() -> None:
    with Bound(lambda request: {"xml": document("ä")}) as bound:
        assert bound.lookups.fetch(asked(tag_name="x")) == document("ä").encode()
        [request] = bound.requests
        assert request == {
            "section": "directory",
            "tag_name": "domain",
            "key_name": "name",
            "key_value": "example.com",
            "params": {"user": "1000", "Event-Sequence": "1"},
        }
        assert bound.counted() == {"found": 1}


@pytest.mark.parametrize("result", ["null", {"xml": document('<result status="not found"/>', "result")}])
def test_not_found(result: Any) -> None:
    def answer(request: dict[str, Any]) -> bytes:
        import json

        told = None if result == "null" else result
        return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": told}).encode()

    with Bound(answer) as bound:
        assert bound.lookups.fetch(asked()) is None
        assert bound.counted() == {"not_found": 1}


@pytest.mark.parametrize(
    "result",
    [
        "x",
        [],
        {},
        {"xml": document(), "more": 1},
        {"xml": None},
        {"xml": "<document>"},
        {"xml": document(section="dialplan")},
        {"xml": document("x" * 2000)},
    ],
)
def test_what_can_not_be_used_is_not_found(result: Any, switch: FakeSwitch) -> None:
    with Bound(lambda request: result, response_max_bytes=1000) as bound:
        assert bound.lookups.fetch(asked()) is None
        assert bound.counted() == {"failed": 1}
        assert bound.binding.counted()["errors_by_status"] == {"invalid": 1}
        [line] = [line for line in switch.texts("WARNING") if "counts as not found" in line]
        assert line.startswith('binding "b0": tcp://')


def test_an_error_and_nobody_there() -> None:
    with Bound(lambda request: error_of(request, -32603, "no")) as bound:
        assert bound.lookups.fetch(asked()) is None
    with Bound(endpoint=f"tcp://127.0.0.1:{free_port()}", timeout_ms=100) as bound:
        assert bound.lookups.fetch(asked()) is None
        assert bound.counted() == {"failed": 1}


def test_a_lookup_goes_on_though_the_thread_that_has_it_answered_is_stuck(
    monkeypatch: pytest.MonkeyPatch, switch: FakeSwitch
) -> None:
    monkeypatch.setattr(binding_module, "OVERDUE_SECONDS", 0.05)
    with Bound(lambda request: None, timeout_ms=50) as bound:
        release, requester = threading.Event(), bound.bindings[0].requester
        keep_time = requester._keep_time
        monkeypatch.setattr(requester, "_keep_time", lambda now: release.wait(60.0) and keep_time(now))
        requester.wake()
        try:
            assert bound.lookups.fetch(asked()) is None
        finally:
            release.set()
        wait_for(lambda: requester.abandoned + sum(requester.by_status.values()) == 1, "it to find out")
        counted = bound.bindings[0].counted()
        assert (counted["failed"], counted["pending"]) == (1, 0)
        assert "the thread that asks did not answer" in str(switch.lines)


def test_own_configuration_and_other_sections_are_not_asked_for() -> None:
    with Bound(lambda request: {"xml": document()}, bindings=("directory", "configuration")) as bound:
        own = Asked("configuration", "configuration", "name", "event_zmq.conf", {})
        assert bound.lookups.fetch(own) is None
        assert bound.lookups.fetch(asked(section="dialplan")) is None
        assert bound.requests == []
        assert bound.lookups.sections() == "configuration|directory"


def test_bindings_are_asked_one_after_the_other() -> None:
    def of(text: str) -> Answer:
        return lambda request: {"xml": document(text)} if request["params"]["params"]["user"] == text else {}

    with Bound(of("one"), of("two")) as bound:
        assert bound.lookups.fetch(asked("two")) == document("two").encode()
        assert bound.lookups.fetch(asked("one")) == document("one").encode()
        assert bound.lookups.fetch(asked("three")) is None
        assert [len(service.requests) for service in bound.services] == [3, 2]


# The cache.


def test_what_was_found_is_kept_for_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(cache_module, "time", clock)
    with Bound(lambda request: {"xml": document(request["params"]["params"]["user"])}, cache_ttl_ms=1000) as bound:
        for _ in range(3):
            assert bound.lookups.fetch(asked(ip="192.0.2.1")) == document("1000").encode()
        assert bound.lookups.fetch(asked("1001")) == document("1001").encode()
        assert len(bound.requests) == 2
        clock.now += 1.0
        assert bound.lookups.fetch(asked()) == document("1000").encode()
        assert len(bound.requests) == 3
        assert bound.counted() == {"found": 3, "cached": 2}
        assert bound.lookups.flush() == 2
        bound.lookups.fetch(asked())
        assert len(bound.requests) == 4


def test_an_older_document_is_better_than_none_while_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(cache_module, "time", clock)
    up = threading.Event()
    up.set()

    def answer(request: dict[str, Any]) -> Any:
        return {"xml": document()} if up.is_set() else error_of(request, -32603, "database")

    with Bound(answer, cache_ttl_ms=1000, cache_stale_ms=5000) as bound:
        assert bound.lookups.fetch(asked())
        up.clear()
        clock.now += 3.0
        assert bound.lookups.fetch(asked()) == document().encode()
        assert bound.lookups.fetch(asked("other")) is None
        clock.now += 3.0
        assert bound.lookups.fetch(asked()) is None
        assert bound.counted() == {"found": 1, "stale": 1, "failed": 2}
        up.set()
        assert bound.lookups.fetch(asked())


def test_who_is_gone_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(cache_module, "time", clock)
    results = iter([{"xml": document()}, {"xml": document('<result status="not found"/>', "result")}, {}])
    with Bound(lambda request: next(results), cache_ttl_ms=1000, cache_stale_ms=50_000) as bound:
        assert bound.lookups.fetch(asked())
        clock.now += 2.0
        assert bound.lookups.fetch(asked()) is None
        assert len(bound.binding.cache) == 0


def test_what_was_asked_for_before_a_flush_is_not_kept() -> None:
    asked_for, go = threading.Event(), threading.Event()

    def answer(request: dict[str, Any]) -> Any:
        asked_for.set()
        assert go.wait(60.0)
        return {"xml": document()}

    with Bound(answer, cache_ttl_ms=60_000) as bound:
        found: list[object] = []
        thread = threading.Thread(target=lambda: found.append(bound.lookups.fetch(asked())))
        thread.start()
        assert asked_for.wait(60.0)
        assert bound.lookups.flush() == 0
        go.set()
        thread.join()
        assert found == [document().encode()]
        assert len(bound.binding.cache) == 0
        assert bound.lookups.fetch(asked())
        assert len(bound.binding.cache) == 1


def test_the_cache_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "ENTRIES_AT_MOST", 3)
    monkeypatch.setattr(cache_module, "BYTES_AT_MOST", 100)
    cache = Cache()
    cache.put("a", b"x", 0)
    assert len(cache) == 0  # it keeps nothing yet
    cache.configure(60.0, 0.0)
    for key in "abc":
        cache.put(key, b"x" * 10, 0)
    assert cache.get("a") == b"x" * 10  # the latest of them now
    cache.put("d", b"x" * 10, 0)
    assert [cache.get(key) is not None for key in "abcd"] == [True, False, True, True]
    cache.put("e", b"x" * 90, 0)
    assert (len(cache), cache.bytes) == (2, 100)
    cache.put("f", b"x" * 101, 0)
    assert (len(cache), cache.bytes) == (0, 0)
    cache.put("a", b"x", 0)
    cache.put("a", b"xx", 0)
    assert (len(cache), cache.bytes) == (1, 2)
    cache.put("a", None, 0)
    assert (len(cache), cache.bytes) == (0, 0)
    cache.put("a", b"x", 0)
    cache.configure(0.0, 0.0)
    assert (len(cache), cache.bytes) == (0, 0)


@pytest.mark.parametrize(
    ("section", "params", "same"),
    [
        ("directory", {"sip_auth_nonce": "x", "ip": "1", "Event-Sequence": "7"}, True),
        ("directory", {"domain": "other"}, False),
        ("directory", {"purpose": "gateways"}, False),
        ("directory", {"action": "sip_auth"}, False),
        ("dialplan", {"Caller-Destination-Number": "1"}, False),
        ("dialplan", {"variable_x": "1"}, True),
        ("configuration", {"profile": "internal"}, False),
        ("configuration", {"Event-Date-Local": "now", "Core-UUID": "x", "FreeSWITCH-Hostname": "x"}, True),
    ],
)
def test_which_lookups_are_the_same(section: str, params: dict[str, str], same: bool) -> None:
    one, other = asked(section=section), asked(section=section, **params)
    assert (one.key() == other.key()) is same
    assert one.key() != asked(section="languages").key()
    hash(other.key())
