"""Call-outs and bindings as one part of what runs: opened, reloaded, and closed without a thread left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zmq

from freeswitch_zmq.errors import StartError
from freeswitch_zmq.module import services as services_module
from freeswitch_zmq.module.asking import requester as requester_module
from freeswitch_zmq.module.asking.backend import Backend
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.lookups.asked import Asked
from freeswitch_zmq.module.schema import Config
from freeswitch_zmq.module.services import Services
from tests.support.lookups import users_document
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.unit.configurations import config, local, param, publisher
from tests.unit.fake_freeswitch import FakeSwitch
from tests.unit.services import ServiceDouble
from tests.unit.whole import Whole

ASKED = Asked("directory", "domain", "name", "example.com", {"user": "1000"})
BAD = "inproc://" + "x" * 300  # libzmq refuses it, and not before it is used


def part(tag: str, name: str, *endpoints: str, **given: str) -> str:
    params = [param("endpoint", each) for each in endpoints]
    params += [param(key.replace("_", "-"), value) for key, value in given.items()]
    return f'<{tag} name="{name}">{"".join(params)}</{tag}>'


def callout(name: str, *endpoints: str, **given: str) -> str:
    return part("callout", name, *endpoints, **{"timeout_ms": "30000", **given})


def binding(name: str, *endpoints: str, **given: str) -> str:
    return part("binding", name, *endpoints, **{"bindings": "directory", "timeout_ms": "30000", **given})


def of(*parts: str) -> Config:
    """A configuration of these."""
    callouts = "".join(each for each in parts if each.startswith("<callout"))
    bindings = "".join(each for each in parts if each.startswith("<binding"))
    services = f"<callouts>{callouts}</callouts><xml-bindings>{bindings}</xml-bindings>"
    return config(publisher(*local()), api=services)


def somewhere() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


def threads() -> list[str]:
    return sorted(each.name for each in threading.enumerate() if each.name.startswith("event_zmq "))


class Knows(Commands):
    """Knows which applications FreeSWITCH has; that is all that is asked here."""

    def run(self, command: str, timeout: float = 5.0) -> str:
        assert command == "show application as json"
        return '{"rows":[{"name":"answer"}]}'


class FakeHook:
    """What `Services` does with FreeSWITCH's function.

    Attributes:
        done: in its order.
        at_unbind: called then.
    """

    done: list[str]
    at_unbind: Callable[[], None]

    def __init__(self, fetch: Any, on_error: Any) -> None:
        pass

    def bind(self, sections: str) -> None:
        self.done.append(f"bind {sections}")

    def change(self, sections: str) -> None:
        self.done.append(f"change {sections}")

    def unbind(self) -> None:
        self.done.append("unbind")
        self.at_unbind()


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> type[FakeHook]:
    class Hook(FakeHook):
        done: list[str] = []  # noqa: RUF012  # each test has a class of its own
        at_unbind = staticmethod(lambda: None)

    monkeypatch.setattr(services_module, "Hook", Hook)
    monkeypatch.setattr(services_module, "can_hook", lambda: True)
    return Hook


@pytest.fixture
def services(switch: FakeSwitch, context: zmq.Context[zmq.Socket[bytes]]) -> Iterator[Services]:
    """They end with the test, and nothing unexpected may have happened."""
    errors: list[tuple[str, BaseException]] = []
    found = Services(Knows(), lambda what, error: errors.append((what, error)))
    yield found
    found.ask_to_stop()
    found.close()
    assert threads() == []
    assert errors == []


def test_it_opens_what_the_configuration_says(services: Services, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    services.open(of(callout("ivr", somewhere()), binding("users", somewhere())), context)
    assert list(services.callouts) == ["ivr"]
    assert [each.config.name for each in services.lookups.bindings] == ["users"]
    assert all(worker.alive for worker in services.workers)
    assert threads() == ['event_zmq binding "users"', 'event_zmq callout "ivr"']


def test_nothing_is_nothing(services: Services, context: zmq.Context[zmq.Socket[bytes]], hook: type[FakeHook]) -> None:
    services.open(of(), context)
    assert services.workers == []
    assert services.fetch(ASKED) is None
    assert services.converse("ivr", "", None) is None
    assert hook.done == []


@pytest.mark.parametrize("bad", [callout("bad", BAD), binding("bad", BAD)], ids=["callout", "binding"])
def test_what_can_not_be_opened_leaves_nothing(
    services: Services, context: zmq.Context[zmq.Socket[bytes]], monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    refuse(monkeypatch)
    with pytest.raises(StartError, match="can't connect to"):
        services.open(of(callout("ivr", somewhere()), binding("users", somewhere()), bad), context)
    wait_for(lambda: not threads(), "the end of all threads")
    assert services.workers == []


def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint BAD can't be used; some versions of libzmq take any name."""
    backend_open = Backend.open

    def open(self: Backend) -> None:
        backend_open(self)
        if self.address == BAD:
            raise zmq.ZMQError(zmq.EINVAL)

    monkeypatch.setattr(Backend, "open", open)


def test_a_failed_reload_leaves_what_was_there(
    services: Services, context: zmq.Context[zmq.Socket[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch)
    services.open(of(callout("ivr", somewhere()), binding("users", somewhere())), context)
    before = services.workers
    with pytest.raises(StartError):
        services.prepare(of(callout("new", somewhere()), binding("users", BAD)), context)
    assert services.workers == before
    assert all(worker.alive for worker in before)
    wait_for(lambda: len(threads()) == 2, "the end of the new ones")


def test_what_was_prepared_can_be_undone(services: Services, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    endpoint = somewhere()
    services.open(of(callout("ivr", endpoint), binding("users", endpoint)), context)
    before = services.workers
    change = services.prepare(
        of(callout("ivr", endpoint), callout("new", endpoint), binding("more", endpoint)), context
    )
    assert len(change.new) == 2
    assert all(each.alive for each in change.new)
    change.undo()
    assert not any(each.alive for each in change.new)
    assert services.workers == before
    assert all(worker.alive for worker in before)
    assert list(services.callouts) == ["ivr"]


def test_what_needs_no_other_connection_stays(services: Services, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    with ServiceDouble(lambda request: {"xml": users_document("1000")}) as service:
        services.open(of(callout("ivr", service.endpoint), binding("users", service.endpoint)), context)
        before = services.workers
        again = of(
            callout("ivr", service.endpoint, max_turns="7", timeout_ms="5"),
            binding("users", service.endpoint, cache_ttl_ms="600000", bindings="directory|dialplan"),
        )
        services.prepare(again, context).take_up()
        assert services.workers == before
        assert services.callouts["ivr"].config.max_turns == 7
        assert services.callouts["ivr"].config.timeout_ms == 5
        for _ in range(3):  # the cache is the same
            assert services.fetch(ASKED) is not None
            services.prepare(again, context).take_up()
        assert len(service.requests) == 1


@pytest.mark.parametrize(
    "given", [{"response_max_bytes": "5000"}, {"circuit_breaker_ms": "1"}], ids=["a size", "the circuit breaker"]
)
def test_what_needs_another_connection_is_made_anew(
    services: Services,
    context: zmq.Context[zmq.Socket[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, str],
) -> None:
    monkeypatch.setattr(requester_module, "RETIRED_SECONDS", 0.0)
    endpoint = somewhere()
    services.open(of(binding("users", endpoint)), context)
    [before] = services.workers
    services.prepare(of(binding("users", endpoint, **given)), context).take_up()
    [after] = services.workers
    assert after is not before
    assert after.alive
    wait_for(lambda: not before.alive, "the end of the one before")


def test_one_whose_thread_has_ended_is_made_anew(services: Services, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    same = of(binding("users", somewhere()))
    services.open(same, context)
    [before] = services.workers
    assert before.stop(20.0)
    services.prepare(same, context).take_up()
    [after] = services.workers
    assert after is not before
    assert after.alive


def test_who_waits_gets_the_answer_of_a_service_that_was_taken_out(
    services: Services, context: zmq.Context[zmq.Socket[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requester_module, "RETIRED_SECONDS", 0.0)
    found: list[bytes | None] = []
    with ServiceDouble() as service:
        services.open(of(binding("users", service.endpoint)), context)
        [before] = services.workers
        asking = threading.Thread(target=lambda: found.append(services.fetch(ASKED)))
        asking.start()
        [request] = service.came(1)
        services.prepare(of(), context).take_up()
        assert services.fetch(ASKED) is None
        assert before.alive
        service.result(request, {"xml": users_document("1000")})
        asking.join()
        assert found == [users_document("1000").encode()]
        wait_for(lambda: not before.alive, "its end")


def test_a_retired_one_ends_at_a_stop(
    services: Services, context: zmq.Context[zmq.Socket[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requester_module, "RETIRED_SECONDS", 3600.0)
    services.open(of(callout("ivr", somewhere()), binding("users", somewhere())), context)
    before = services.workers
    services.prepare(of(), context).take_up()
    assert all(worker.alive for worker in before)
    services.ask_to_stop()
    services.close()
    assert not any(worker.alive for worker in before)


def test_freeswitch_is_told_of_the_sections(
    services: Services, context: zmq.Context[zmq.Socket[bytes]], hook: type[FakeHook]
) -> None:
    endpoint = somewhere()
    services.open(of(binding("users", endpoint)), context)
    services.prepare(of(binding("users", endpoint, bindings="dialplan|directory")), context).take_up()
    services.prepare(of(), context).take_up()
    services.prepare(of(), context).take_up()
    services.prepare(of(binding("users", endpoint, bindings="chatplan")), context).take_up()
    services.ask_to_stop()
    services.ask_to_stop()
    assert hook.done == ["bind directory", "change dialplan|directory", "unbind", "bind chatplan", "unbind"]


def test_at_a_stop_nobody_waits_any_more_when_freeswitch_is_to_forget_us(
    services: Services, context: zmq.Context[zmq.Socket[bytes]], hook: type[FakeHook]
) -> None:
    # While a lookup waits FreeSWITCH holds the lock that `unbind` needs.
    found: list[bytes | None] = []
    with ServiceDouble() as service:
        services.open(of(binding("users", service.endpoint, timeout_ms="600000")), context)
        asking = threading.Thread(target=lambda: found.append(services.fetch(ASKED)))
        asking.start()
        service.came(1)
        ended: list[bool] = []

        def at_unbind() -> None:
            asking.join(20.0)
            ended.append(not asking.is_alive())

        hook.at_unbind = staticmethod(at_unbind)
        services.ask_to_stop()
        asking.join()
        assert ended == [True]
        assert found == [None]
        assert services.fetch(ASKED) is None


def test_a_reload_that_fails_later_stops_the_new_ones(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    from freeswitch_zmq.module.change import EndpointChange

    endpoint = somewhere()
    before = f"<xml-bindings>{binding('users', endpoint)}</xml-bindings>"
    whole.xml = whole.xml.replace("</configuration>", f"{before}</configuration>")
    old = whole.xml
    whole.service.start()
    whole.xml = old.replace(before, f"<xml-bindings>{binding('more', endpoint)}</xml-bindings>")

    def fail(self: EndpointChange) -> None:
        raise StartError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(EndpointChange, "open_new", fail)
        with pytest.raises(StartError, match="no room"):
            whole.service.reload()
    assert list(whole.service.status()["xml_bindings"]) == ["users"]
    assert 'event_zmq binding "users"' in threads()
    assert 'event_zmq binding "more"' not in threads()
