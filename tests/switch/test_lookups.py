"""What FreeSWITCH looks up, answered by services: documents, caches, and services of all kinds of badness.

The stand-in asks through python.conf's `xml-handler-script`, a real FreeSWITCH through module/lookups/hook.py.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from tests.conftest import SwitchFactory
from tests.support.esl import Esl
from tests.support.keeper import Keeper
from tests.support.lookups import (
    ALL,
    DOMAIN,
    ENDS,
    Asking,
    binding,
    bound,
    connected,
    connections,
    counters,
    elements,
    ended,
    find_user,
    known,
    locate,
    null,
    users_document,
)
from tests.support.module import Module, configuration, nothing_left
from tests.support.ports import free_port
from tests.support.switch import Switch
from tests.support.waiting import wait_for
from tests.unit.services import Answer, ServiceDouble, answer_of, error_of

TIMEOUT_MS = 500
BOUND_SECONDS = TIMEOUT_MS / 1000 + 2.0
"""Within which a lookup has to end whatever the service does (issue 5)."""

NOBODY = "tcp://127.0.0.1:{}"

Bind = Callable[..., Module]


@pytest.fixture
def switch(session_keeper: Keeper, switch_kind: str, scripts: Path) -> Switch:
    """One of each kind for these tests. The hook of a real one comes by itself."""
    bindings = ALL if switch_kind == "standin" else ""
    return session_keeper.share(switch_kind, "lookups", scripts_dir=scripts, xml_handler_bindings=bindings)


@pytest.fixture
def bind(switch: Switch) -> Iterator[Bind]:
    """`bind(binding(…), …)` starts the module with these; stopped after the test."""
    yield from _bind(switch)


def _bind(switch: Switch) -> Iterator[Bind]:
    made: list[Module] = []

    def bind(*bindings: str) -> Module:
        module = Module(switch)
        switch.write_config(bound(*bindings))
        switch.api("reloadxml")
        made.append(module)
        module.start()
        return module

    yield bind
    for module in made:
        errors = 0
        if module.status()["state"] == "running":
            errors = module.status()["errors"]
            assert module.command("stop") == "+OK stopped"
        assert errors == 0, f"unexpected exceptions, see {switch.log_file}"


def nobody() -> str:
    """An endpoint where nobody listens."""
    return NOBODY.format(free_port())


def never(request: dict[str, Any]) -> None:
    """A service that does not answer."""


# What is found.


def test_a_user_is_found_or_not(bind: Bind) -> None:
    with ServiceDouble(known("1000")) as service:
        module = bind(binding(service.endpoint))
        assert find_user(module.switch, "1000") == "1000"
        assert find_user(module.switch, "1001") == ""
        asked = service.requests[0]
        assert asked["method"] == "xml.fetch"
        params = asked["params"]
        assert {name: params[name] for name in params if name != "params"} == {
            "section": "directory",
            "tag_name": "domain",
            "key_name": "name",
            "key_value": DOMAIN,
        }
        others = {name: params["params"][name] for name in ("key", "user", "domain", "type")}
        assert others == {"key": "id", "user": "1000", "domain": DOMAIN, "type": "attr"}
        assert ended(module) == {"found": 1, "not_found": 2}  # the second was looked for by its number-alias, too


def test_a_document_of_a_thousand_users_comes_whole(bind: Bind) -> None:
    names = [str(number) for number in range(1000, 2000)]
    text = users_document(*names, greeting="Grüße & <mehr> \"so\" 'was' 漢字")
    sent = fromstring(text).find("section/domain")
    assert sent is not None
    with ServiceDouble(lambda request: {"xml": text}) as service:
        module = bind(binding(service.endpoint))
        found = locate(module.switch)
        assert found is not None
        assert elements(found) == elements(sent)
        assert find_user(module.switch, "1999") == "1999"
        with ThreadPoolExecutor(4) as pool:  # memory of the one must not be that of the other
            every = [each for each in pool.map(lambda _: locate(module.switch), range(8)) if each is not None]
        assert [elements(each) == elements(sent) for each in every] == [True] * 8


def test_what_no_binding_has_comes_from_the_files(bind: Bind) -> None:
    with ServiceDouble(null) as service:
        module = bind(binding(service.endpoint, bindings=ALL))
        context = locate(module.switch, "dialplan", "context", "default")
        assert context is not None
        assert context.find("extension[@name='hold']") is not None
        assert ended(module) == {"not_found": 1}


def test_several_bindings_of_a_section_are_asked_in_their_order(bind: Bind) -> None:
    with (
        ServiceDouble(known("1000")) as first,
        ServiceDouble(known("1000", "1001")) as second,
        ServiceDouble(null) as third,
    ):
        module = bind(
            binding(first.endpoint, name="first"),
            binding(second.endpoint, name="second", bindings="dialplan|directory"),
            binding(third.endpoint, name="third", bindings="chatplan"),
        )
        assert find_user(module.switch, "1000") == "1000"
        assert find_user(module.switch, "1001") == "1001"
        assert ended(module, "first") == {"found": 1, "not_found": 1}
        assert ended(module, "second") == {"found": 1}
        assert locate(module.switch, "dialplan", "context", "elsewhere") is None
        assert ended(module, "second") == {"found": 1, "not_found": 1}
        assert ended(module, "third") == {}


# Who does not answer.


def fail_with(code: int = -32603) -> Answer:
    return lambda request: error_of(request, code, "no")


@pytest.mark.parametrize("first", [fail_with(), never], ids=["an error", "no answer"])
def test_the_next_endpoint_is_asked(bind: Bind, first: Answer) -> None:
    with ServiceDouble(first) as primary, ServiceDouble(known("1000")) as second:
        # Half of the time is the first one's; the other half has to be long for a busy machine.
        module = bind(binding(primary.endpoint, second.endpoint, timeout_ms=4000, circuit_breaker_ms=600_000))
        connected(module)
        module.wait(lambda: find_user(module.switch, "1000"), lambda now: now == "1000")
        assert primary.requests
        assert second.requests
        part = counters(module)
        assert part["errors"] == part["failed"]


def test_the_next_endpoint_is_asked_when_nobody_is_at_the_first(bind: Bind) -> None:
    with ServiceDouble(known("1000")) as second:
        module = bind(binding(nobody(), second.endpoint))
        assert find_user(module.switch, "1000") == "1000"
        assert ended(module) == {"found": 1}


def test_an_endpoint_that_does_not_answer_is_left_alone(bind: Bind) -> None:
    with ServiceDouble(never) as service:
        module = bind(binding(service.endpoint, timeout_ms=TIMEOUT_MS, circuit_breaker_ms=600_000))
        connected(module)
        assert locate(module.switch) is None
        [request] = service.came(1)
        for _ in range(5):
            assert locate(module.switch) is None
        assert len(service.requests) == 1
        part = counters(module)
        assert (part["failed"], part["errors_by_status"]) == (6, {"timeout": 1, "unavailable": 5})
        [connection] = part["connections"]
        assert (connection["left_alone"], connection["opened"]) == (True, 1)
        assert "left alone because it did not answer" in module.command("status")
        # However late it answers: it is there again.
        service.result(request, {"xml": users_document("1000")})
        module.wait(lambda: counters(module)["connections"][0]["left_alone"], lambda now: not now)
        assert counters(module)["connections"][0]["late"] == 1
        assert locate(module.switch) is None
        assert len(service.requests) == 2


@pytest.mark.parametrize("breaker", [0, 600_000])
def test_a_service_that_comes_back_is_asked_again(bind: Bind, breaker: int) -> None:
    with ServiceDouble(known("1000")) as service:
        module = bind(binding(service.endpoint, circuit_breaker_ms=breaker))
        assert find_user(module.switch, "1000") == "1000"
    module.wait(lambda: counters(module)["connections"][0]["connected"], lambda now: not now)
    assert locate(module.switch) is None
    with ServiceDouble(known("1000"), service.endpoint):
        module.wait(lambda: find_user(module.switch, "1000"), lambda now: now == "1000")


# The cache.


def test_a_cached_document_is_not_asked_for_again_until_it_is_flushed(bind: Bind) -> None:
    with ServiceDouble(known("1000", "1001")) as service:
        module = bind(binding(service.endpoint, cache_ttl_ms=600_000))
        for _ in range(3):
            assert find_user(module.switch, "1000") == "1000"
            assert find_user(module.switch, "1001") == "1001"
        assert len(service.requests) == 2
        assert ended(module) == {"cached": 4, "found": 2}
        assert counters(module)["cache"]["entries"] == 2
        assert module.command("xml flush") == "+OK flushed 2 documents"
        assert counters(module)["cache"] == {"entries": 0, "bytes": 0}
        assert find_user(module.switch, "1000") == "1000"
        assert len(service.requests) == 3
        assert ended(module) == {"cached": 4, "found": 3}


def test_a_cached_document_ends(bind: Bind) -> None:
    with ServiceDouble(known("1000")) as service:
        module = bind(binding(service.endpoint, cache_ttl_ms=50))
        assert find_user(module.switch, "1000") == "1000"

        def asked_again() -> bool:
            assert find_user(module.switch, "1000") == "1000"
            return len(service.requests) > 1

        wait_for(asked_again, "a second question")


def test_not_found_is_not_kept(bind: Bind) -> None:
    with ServiceDouble(null) as service:
        module = bind(binding(service.endpoint, cache_ttl_ms=600_000))
        for _ in range(3):
            assert locate(module.switch) is None
        assert len(service.requests) == 3
        assert counters(module)["cache"]["entries"] == 0


def test_an_older_document_while_the_service_is_down(bind: Bind) -> None:
    with ServiceDouble(known("1000")) as service:
        module = bind(binding(service.endpoint, cache_ttl_ms=1, cache_stale_ms=3_600_000))
        assert find_user(module.switch, "1000") == "1000"
    module.wait(lambda: counters(module)["connections"][0]["connected"], lambda now: not now)
    for _ in range(5):
        assert find_user(module.switch, "1000") == "1000"
    assert ended(module) == {"found": 1, "stale": 5}
    assert find_user(module.switch, "1001") == ""
    assert "is answered with an older document" in module.wait_log("is answered with an older document")
    assert module.command("xml flush") == "+OK flushed 1 document"
    assert find_user(module.switch, "1000") == ""


# Answers that are none.


def xml(text: str) -> Answer:
    return lambda request: {"xml": text}


def section(text: str, name: str = "directory") -> str:
    return f'<document type="freeswitch/xml"><section name="{name}">{text}</section></document>'


HUGE = 100 * 1024 * 1024


def huge(request: dict[str, Any]) -> bytes:
    return answer_of(request, {"xml": ""})[:-3] + b"x" * HUGE + b'"}}'


def of_another(request: dict[str, Any]) -> bytes:
    return answer_of({"id": "0" * 32}, {"xml": users_document("1000")})


WRONG: dict[str, tuple[Answer, str]] = {
    "broken XML": (xml("<document><section"), "not well-formed"),
    "no XML": (xml("1000"), "not well-formed"),
    "not closed": (xml(section("<domain>")), "not well-formed"),
    "too large": (xml(users_document("1000", greeting="x" * 10_000)), "response-max-bytes is 10000"),
    "DOCTYPE": (xml('<!DOCTYPE document [<!ENTITY a "b">]>' + section("&a;")), "DOCTYPE"),
    "100 levels": (xml(section("<a>" * 100 + "</a>" * 100)), "nested deeper than 100 levels"),
    "10,000 levels": (xml(section("<a>" * 1400)), "nested deeper than 100 levels"),
    "another section": (xml(users_document("1000").replace("directory", "dialplan")), 'no <section name="directory">'),
    "not FreeSWITCH's": (xml("<html/>"), "begins with <html>"),
    "a NUL": (xml(section("\0")), "a NUL"),
    "half a character": (lambda request: {"xml": section("\udc80")}, "half a character"),
    "no string": (lambda request: {"xml": {}}, "no string"),
    "another key": (lambda request: {"document": users_document("1000")}, "neither null nor"),
    "a bare string": (lambda request: users_document("1000"), "neither null nor"),
    "an error": (fail_with(), "the error -32603: no"),
    "neither result nor error": (lambda request: json.dumps({"jsonrpc": "2.0", "id": request["id"]}).encode(), ""),
    "nested JSON": (lambda request: answer_of(request, 0)[:-2] + b"[" * 100_000, "did not answer in time"),
    "garbage": (lambda request: b"\xff\0garbage" * 100, "did not answer in time"),
    "nothing in it": (lambda request: b"", "did not answer in time"),
    "a stranger's id": (of_another, "did not answer in time"),
    "no answer": (never, "did not answer in time"),
    "100 MB": (huge, "did not answer"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_can_not_be_used_is_not_found_in_time(bind: Bind, kind: str) -> None:
    answer, says = WRONG[kind]
    with ServiceDouble(answer) as service:
        module = bind(
            binding(service.endpoint, timeout_ms=TIMEOUT_MS, circuit_breaker_ms=0, response_max_bytes=10_000),
        )
        connected(module)
        not_found_in_time(module.switch)
        log = module.wait_log("counts as not found")
        [*_, line] = [line for line in log.splitlines() if "counts as not found" in line]
        assert f"directory name={DOMAIN}" in line
        if "the thread that asks did not answer" not in line:  # on a machine that stands still for longer
            assert 'binding "users": tcp://' in line
            assert says in line
        assert len(line) < 1000
        assert set(ended(module)) == {"failed"}


def not_found_in_time(switch: Switch) -> None:
    """A lookup. One that takes too long may have had to wait for a busy machine, and gets another chance."""
    took: list[float] = []
    while not took or (took[-1] > BOUND_SECONDS and len(took) < 3):
        began = time.monotonic()
        assert locate(switch) is None
        took.append(time.monotonic() - began)
    assert took[-1] <= BOUND_SECONDS, f"three lookups took these seconds: {took}"


def test_the_switch_is_as_well_as_before_after_all_that(bind: Bind) -> None:
    answers = [answer for answer, _ in WRONG.values() if answer not in (never, huge)]
    turns = itertools.cycle(answers)

    def answer(request: dict[str, Any]) -> Any:
        return next(turns)(request)

    with ServiceDouble(answer) as service:
        module = bind(binding(service.endpoint, timeout_ms=100, circuit_breaker_ms=0, response_max_bytes=10_000))
        connected(module)
        with ThreadPoolExecutor(5) as pool:
            found = list(pool.map(lambda _: locate(module.switch), range(80)))
        assert found == [None] * 80
        part = module.wait(lambda: counters(module), lambda now: now["pending"] == 0)
        assert part["lookups"] == part["failed"] == part["requests"] == part["errors"] + part["abandoned"] == 80
    with ServiceDouble(known("1000"), service.endpoint):
        module.wait(lambda: find_user(module.switch, "1000"), lambda now: now == "1000")


def test_null_is_not_found_and_nothing_to_complain_about(bind: Bind) -> None:
    with ServiceDouble(null) as service:
        module = bind(binding(service.endpoint))
        assert locate(module.switch) is None
        assert ended(module) == {"not_found": 1}
    assert "counts as not found" not in module.wait_log("is gone")


def test_late_and_repeated_answers_reach_nobody(bind: Bind) -> None:
    with ServiceDouble(never) as service:
        module = bind(binding(service.endpoint, timeout_ms=TIMEOUT_MS, circuit_breaker_ms=0))
        connected(module)
        not_found_in_time(module.switch)
        for request in list(service.requests):
            for _ in range(2):
                service.result(request, {"xml": users_document("1000")})
        count = len(service.requests)
        module.wait(lambda: counters(module)["connections"][0], lambda now: now["late"] == now["repeated"] == count)
        assert locate(module.switch) is None
        assert set(ended(module)) == {"failed"}


# What is not asked for.


def test_lookups_while_the_module_does_not_run(bind: Bind) -> None:
    with ServiceDouble(known("1000")) as service:
        module = bind(binding(service.endpoint, bindings=ALL))
        assert find_user(module.switch, "1000") == "1000"
        assert module.command("stop") == "+OK stopped"
        count = len(service.requests)
        assert find_user(module.switch, "1000") == ""
        assert locate(module.switch, "configuration", "configuration", "nothing.conf") is None
        assert len(service.requests) == count
        module.start()
        assert find_user(module.switch, "1000") == "1000"


def test_its_own_configuration_is_not_asked_for(bind: Bind) -> None:
    with ServiceDouble(null) as service:
        module = bind(binding(service.endpoint, bindings="configuration"))
        assert locate(module.switch, "configuration", "configuration", "event_zmq.conf") is not None
        assert module.command("reload") == "+OK reloaded: nothing changed"
        assert locate(module.switch, "configuration", "configuration", "nothing.conf") is None
        asked = {request["params"]["key_value"] for request in service.requests}
        assert "nothing.conf" in asked
        assert "event_zmq.conf" not in asked


def test_lookups_while_it_starts_and_stops(bind: Bind) -> None:
    with ServiceDouble(known("1000")) as service:
        module = bind(binding(service.endpoint, bindings=ALL))
        seen: set[str] = set()
        with Asking([lambda: seen.add(find_user(module.switch, "1000"))] * 5) as asking:
            for _ in range(5):
                asking.more(20)
                assert module.command("stop") == "+OK stopped"
                asking.more(20)
                module.start()
            asking.more(20)
        assert seen == {"1000", ""}
        assert find_user(module.switch, "1000") == "1000"
        assert module.command("stop") == "+OK stopped"
    nothing_left(module.switch)


# All sections, with the configuration's, and services that are no help.


@pytest.mark.parametrize("answer", [null, never, None], ids=["null", "never", "nobody"])
def test_with_all_sections_bound_everything_works(
    session_keeper: Keeper, switch_kind: str, scripts: Path, answer: Answer | None
) -> None:
    switch = session_keeper.share(switch_kind, "all sections", scripts_dir=scripts, xml_handler_bindings=ALL)
    with ServiceDouble(answer) as service:
        there = service.endpoint if answer is not None else nobody()
        users = partial(binding, there, bindings=ALL, timeout_ms=200, circuit_breaker_ms=0)
        for bind in _bind(switch):
            module = bind(users())
            for number in range(3):
                assert module.command("reload") == "+OK reloaded: nothing changed"
                assert module.status()["state"] == "running"
                assert locate(switch, "configuration", "configuration", "acl.conf") is not None
                assert locate(switch, "configuration", "configuration", "nothing.conf") is None
                assert find_user(switch, "1000") == ""
                assert switch.api("reloadacl", 60.0).startswith("+OK")
                assert switch.api("originate loopback/1000 &hangup()", 60.0).startswith("+OK")
                assert module.reload(bound(users(cache_ttl_ms=number + 1))).startswith("+OK")
                assert module.reload(bound(users())).startswith("+OK")
                assert set(ended(module)) == ({"not_found"} if answer is null else {"failed"})
                assert module.command("stop") == "+OK stopped"
                module.start()
    nothing_left(switch)


def test_a_switch_that_starts_with_all_sections_bound(switch_factory: SwitchFactory) -> None:
    with ServiceDouble(never) as service:
        switch = switch_factory(
            event_zmq_xml=bound(binding(service.endpoint, bindings=ALL, timeout_ms=200)),
            xml_handler_bindings=ALL,
            startup_script=True,
        )
        module = Module(switch)
        module.wait(lambda: module.status()["state"], lambda now: now == "running")
        assert module.command("reload") == "+OK reloaded: nothing changed"
        assert find_user(switch, "1000") == ""
        assert switch.stop() == 0


# Reload and stop.


def test_reload_adds_changes_and_removes_bindings(bind: Bind) -> None:
    with ServiceDouble(known("1000")) as first, ServiceDouble(known("1001")) as second:
        module = bind(binding(first.endpoint, name="first", cache_ttl_ms=600_000))
        switch = module.switch
        assert (find_user(switch, "1000"), find_user(switch, "1001")) == ("1000", "")
        one = binding(first.endpoint, name="first", cache_ttl_ms=500_000)
        two = binding(second.endpoint, name="second", bindings="dialplan")
        answer = module.reload(bound(one, two))
        assert answer == '+OK reloaded: binding "second" added; binding "first" changed'
        assert (find_user(switch, "1000"), find_user(switch, "1001")) == ("1000", "")
        assert ended(module, "first") == {"cached": 1, "found": 1, "not_found": 4}
        two = binding(second.endpoint, name="second", bindings="dialplan|directory")
        assert module.reload(bound(one, two)) == '+OK reloaded: binding "second" changed'
        assert (find_user(switch, "1000"), find_user(switch, "1001")) == ("1000", "1001")
        # Another endpoint: a new connection, and an empty cache.
        one = binding(second.endpoint, name="first")
        assert module.reload(bound(one)) == '+OK reloaded: binding "second" removed; binding "first" changed'
        assert (find_user(switch, "1000"), find_user(switch, "1001")) == ("", "1001")
        assert list(module.status()["xml_bindings"]) == ["first"]
        assert module.reload(configuration()) == '+OK reloaded: binding "first" removed'
        count = len(first.requests) + len(second.requests)
        assert (find_user(switch, "1000"), find_user(switch, "1001")) == ("", "")
        assert len(first.requests) + len(second.requests) == count
        assert "xml_bindings" not in module.status()
        assert module.reload(bound(one)) == '+OK reloaded: binding "first" added'
        assert find_user(switch, "1001") == "1001"


def test_a_reload_that_fails_changes_nothing(bind: Bind) -> None:
    with ServiceDouble(known("1000")) as service:
        module = bind(binding(service.endpoint))
        answer = module.reload(bound(binding(service.endpoint, timeout_ms=0), binding(name="second")))
        assert answer.startswith("-ERR event_zmq.conf: ")
        assert find_user(module.switch, "1000") == "1000"
        assert list(module.status()["xml_bindings"]) == ["users"]


def test_who_waits_at_a_reload_gets_the_answer_from_the_old_service(bind: Bind) -> None:
    with ServiceDouble(never) as old, ServiceDouble(known("1000")) as new, ThreadPoolExecutor(1) as pool:
        module = bind(binding(old.endpoint))
        waits = pool.submit(find_user, module.switch, "1000")
        [request] = old.came(1)
        assert module.reload(bound(binding(new.endpoint))).startswith("+OK")
        assert find_user(module.switch, "1000") == "1000"
        assert not waits.done()
        old.result(request, {"xml": users_document("1000")})
        assert waits.result(60.0) == "1000"


def test_a_stop_ends_lookups_that_wait(bind: Bind) -> None:
    waiting: list[Future[Any]] = []
    with ServiceDouble(never) as service, ThreadPoolExecutor(20) as pool:
        module = bind(binding(service.endpoint, timeout_ms=600_000))
        for number in range(20):
            waiting.append(pool.submit(locate, module.switch))
            service.came(number + 1)
        assert counters(module)["pending"] == 20
        assert module.command("stop") == "+OK stopped"
        assert [each.result(60.0) for each in waiting] == [None] * 20  # and not in ten minutes
        module.start()
        assert ended(module) == {}
        assert module.command("stop") == "+OK stopped"
    nothing_left(module.switch)


def test_the_status_adds_up(bind: Bind) -> None:
    gone = threading.Event()

    def answer(request: dict[str, Any]) -> Any:
        name = request["params"]["params"].get("user", "")
        if gone.is_set() or name == "error":
            return error_of(request, -32603, "no")
        return null(request) if name == "null" else {"xml": "<"} if name == "broken" else known(name)(request)

    with ServiceDouble(answer) as service:
        module = bind(binding(service.endpoint, cache_ttl_ms=2000, cache_stale_ms=600_000))
        for name in ("1000", "null", "broken", "error", "1000"):
            assert find_user(module.switch, name) == (name if name == "1000" else "")
        gone.set()
        module.wait(lambda: find_user(module.switch, "1000") and counters(module)["stale"], lambda now: now > 0)
        part = module.wait(lambda: counters(module), lambda now: now["pending"] == 0)
        assert [part[name] for name in ENDS if name != "cached"] == [1, 2, 1, 4]
        assert part["requests"] == part["succeeded"] + part["errors"] + part["abandoned"]
        assert part["requests"] == part["lookups"] - part["cached"]
        assert part["errors_by_status"] == {"invalid": 2, "error": 3}
        text = module.command("status")
        assert "binding users:" in text
        assert f"{'lookups':<13} {part['lookups']}" in text


def test_fifty_threads_look_up_during_ten_reloads(bind: Bind, switch_kind: str) -> None:
    names = [str(number) for number in range(1000, 1050)]
    threads = 50 if switch_kind == "live" else 10
    with ServiceDouble(known(*names)) as first, ServiceDouble(known(*names)) as second:
        module = bind(binding(first.endpoint))

        def look(esl: Esl, name: str) -> Callable[[], None]:
            def once() -> None:
                assert find_user(esl, name) == name

            return once

        with (
            connections(module.switch, threads) as every,
            Asking([look(esl, name) for esl, name in zip(every, names)]) as asking,
        ):
            for number in range(10):
                asking.more(threads)
                service = (first, second)[number % 2]
                users = binding(service.endpoint, cache_ttl_ms=number % 3)
                others = binding(service.endpoint, name="others", bindings="dialplan|chatplan|languages")
                assert module.reload(bound(users, *([others] if number % 2 else []))).startswith("+OK")
            asking.more(threads)
        assert module.status()["errors"] == 0
        assert module.command("stop") == "+OK stopped"
    nothing_left(module.switch)
