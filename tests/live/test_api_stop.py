"""A stop, the switch's shutdown and a reload while a hundred commands run: each caller hears, and nothing is left."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from tests.conftest import SwitchFactory
from tests.live.conftest import LiveModuleFactory
from tests.support.caller import Answer, Caller
from tests.support.flow import Good, Load
from tests.support.holding import HOLD, Hold
from tests.support.module import LOOPBACK, Module, Param, Subscriber, api, configuration, publisher, threads_of_ours
from tests.support.ports import free_port

pytestmark = pytest.mark.live

ALLOW = ("allow", f"ping, api:echo *, api:msleep *, {HOLD}, bgapi:python script_hold *")
COUNT = 100
SHUTTING_DOWN = -32005
FORBIDDEN = -32001
BUSY = -32004
TIMEOUT = -32002


def with_api(*given: Param, bind: str = LOOPBACK, at: str = LOOPBACK) -> str:
    """A configuration with an API at `bind` and a publisher `at`."""
    return configuration(publisher(bind=at), api=api(ALLOW, *given, bind=bind))


def sleep(caller: Caller, count: int, milliseconds: int = 5000) -> None:
    """Sends so many `msleep`."""
    for _ in range(count):
        caller.send("api", {"command": "msleep", "args": str(milliseconds)})


def hold(caller: Caller, held: Hold, count: int) -> None:
    """Sends so many that run until they are released."""
    for _ in range(count):
        caller.send("api", held.params(timeout=80))


def outcome(answer: Answer) -> int:
    """0: the output of `msleep` or of `echo x`; else an error's code."""
    if "error" in answer:
        code: int = answer["error"]["code"]
        return code
    assert answer["result"]["output"].strip() in ("+OK", "x"), answer
    return 0


def outcomes(caller: Caller, count: int) -> Counter[int]:
    """What became of so many requests; each has got one answer, and nothing else comes."""
    found = Counter(outcome(answer) for answer in caller.answers(count).values())
    caller.nothing(0.1)
    return found


def test_stop_with_a_hundred_in_flight(live_module_factory: LiveModuleFactory) -> None:
    module = live_module_factory(with_api())
    switch = module.switch
    module.command("stop")
    fds = switch.fds()
    module.start()
    held = Hold(switch)
    with contextlib.ExitStack() as callers:
        some = [callers.enter_context(Caller(module.api_endpoint(), zmq.DEALER)) for _ in range(4)]
        for caller in some:
            hold(caller, held, COUNT // 4)
        module.wait(module.api, lambda now: now["pending"] == COUNT)
        began = time.monotonic()
        assert module.command("stop") == "+OK stopped"
        took = time.monotonic() - began
        for caller in some:
            assert outcomes(caller, COUNT // 4) == {SHUTTING_DOWN: COUNT // 4}
    print(f"\nstopped in {took:.2f} s with {COUNT} commands running")
    assert took < 10, "the commands run for longer, until they are released"
    module.wait(lambda: threads_of_ours(switch), lambda now: now == [])
    assert module.status()["errors"] == 0
    # The threads that still wait are FreeSWITCH's own; what the module had open is closed.
    module.wait(switch.fds, lambda now: now <= fds)
    held.release()


def test_requests_on_their_way_at_a_stop_are_answered(live_module_factory: LiveModuleFactory) -> None:
    """Those that nobody has looked at yet too."""
    module = live_module_factory(with_api())
    with Caller(module.api_endpoint(), zmq.DEALER) as caller, Caller(module.api_endpoint()) as slow:
        assert slow.call("ping")
        sleep(slow, 1)
        sent = 200
        for _ in range(sent):
            caller.send("api", {"command": "echo", "args": "x"})
        assert module.command("stop") == "+OK stopped"
        assert outcomes(slow, 1) == {SHUTTING_DOWN: 1}
        codes = outcomes(caller, sent)
    print(f"\nof {sent}: {codes[0]} done, {codes[SHUTTING_DOWN]} told")
    assert set(codes) <= {0, SHUTTING_DOWN}


def test_shutdown_with_a_hundred_in_flight(live_switch_factory: SwitchFactory) -> None:
    module = Module(live_switch_factory(event_zmq_xml=with_api()))
    module.start()
    with Caller(module.api_endpoint(), zmq.DEALER) as caller, Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(module.switch)
        sleep(caller, COUNT)
        module.wait(module.api, lambda now: now["pending"] == COUNT)
        began = time.monotonic()
        assert module.switch.stop() == 0
        took = time.monotonic() - began
        found = outcomes(caller, COUNT)
        events = subscriber.until(lambda event: event["Event-Name"] == "SHUTDOWN")
    print(f"\n{dict(found)}; {took:.1f} s to the end")
    assert set(found) <= {0, SHUTTING_DOWN}
    # With no module at all it takes FreeSWITCH about as long: 4 to 5 s.
    assert took < 15
    assert not [event for event in events if event.get("API-Command") == "msleep"]


def test_commands_of_before_a_stop_are_no_news_after_the_start(live_module_factory: LiveModuleFactory) -> None:
    module = live_module_factory(with_api())
    switch = module.switch
    held = Hold(switch)
    with Caller(module.api_endpoint(), zmq.DEALER) as caller:
        hold(caller, held, COUNT)
        module.wait(module.api, lambda now: now["pending"] == COUNT)
        module.command("stop")
        assert outcomes(caller, COUNT) == {SHUTTING_DOWN: COUNT}
    module.start()
    before = len(switch.log_text())
    with Subscriber(module.endpoint()) as subscriber, switch.esl() as esl:
        subscriber.subscribed(switch)
        esl.events("json BACKGROUND_JOB")
        held.release()
        for _ in range(COUNT):
            assert esl.receive(30.0) is not None
        # Now that FreeSWITCH has run them to their end, one of another program's is seen, and nothing else.
        switch.api("bgapi uuid:somebody-elses msleep 20")
        events = subscriber.until(lambda event: event.get("Job-UUID") == "somebody-elses")
        subscriber.subscribed(switch)
    commands = [event.get("API-Command-Argument") for event in events if event["Event-Name"] == "API"]
    assert not [command for command in commands if command and held.args in command]
    assert "20" in commands
    jobs = [event["Job-UUID"] for event in events if event["Event-Name"] == "BACKGROUND_JOB"]
    assert jobs == ["somebody-elses"]
    assert "Cannot queue" not in switch.log_text()[before:]
    assert module.api()["pending"] == 0


def test_a_job_of_before_a_stop_is_anybodys(live_module_factory: LiveModuleFactory) -> None:
    """What `bgapi` was asked for goes out as everybody's does, also when it ends after the next start."""
    module = live_module_factory(with_api())
    held = Hold(module.switch)
    with Caller(module.api_endpoint()) as caller:
        caller.call("bgapi", **held.params(job_uuid="from-before"))
    module.command("stop")
    module.start()
    with Subscriber(module.endpoint(), prefixes=[b'{"Event-Name":"BACK', b'{"Event-Name":"CUSTOM"']) as subscriber:
        subscriber.subscribed(module.switch)
        held.release()
        assert subscriber.event()["Job-UUID"] == "from-before"


@contextlib.contextmanager
def in_flight(module: Module, count: int = 20) -> Iterator[tuple[Caller, Hold]]:
    """A caller with so many commands running, until they are released."""
    held = Hold(module.switch)
    with Caller(module.api_endpoint(), zmq.DEALER) as caller:
        hold(caller, held, count)
        module.wait(module.api, lambda now: now["pending"] == count)
        yield caller, held
    held.release()


def test_a_reload_to_another_port_with_commands_running(live_module_factory: LiveModuleFactory) -> None:
    module = live_module_factory(with_api())
    events = module.endpoint()
    with Good(events, module.switch) as good, Load(module.switch), in_flight(module) as (caller, held):
        new = f"tcp://127.0.0.1:{free_port()}"
        began = time.monotonic()
        answer = module.reload(with_api(bind=new, at=events))
        took = time.monotonic() - began
        assert answer.startswith("+OK reloaded: "), answer
        assert "; api changed" in answer
        assert module.api()["endpoints"] == [new]
        held.release()
        found = outcomes(caller, 20)
        assert set(found) <= {0, SHUTTING_DOWN}
        with Caller(new) as other:
            assert other.call("api", command="echo", args="here")["output"] == "here"
        module.wait(module.api, lambda now: now["pending"] == 0)
        good.lost_nothing()
    print(f"\nreloaded in {took:.2f} s, {dict(found)}; {good}")
    assert module.status()["errors"] == 0


def test_a_reload_of_permissions_and_limits_keeps_connections(live_module_factory: LiveModuleFactory) -> None:
    module = live_module_factory(with_api())
    events = module.endpoint()
    with Caller(module.api_endpoint(), zmq.DEALER, routing_id=b"the same one") as caller:
        # That it is the same connection shows in the kernel: its port at our side does not change.
        assert caller.call("ping")
        port = _client_port(module)

        def reload(*given: Param) -> None:
            assert "api changed" in module.reload(with_api(*given, at=events))

        reload(("allow", "status"))
        assert caller.call("status")["state"] == "running"
        reload(("deny", "api:echo *"))
        assert caller.code("status") == FORBIDDEN
        assert caller.code("api", command="echo", args="x") == FORBIDDEN
        assert caller.call("api", command="msleep", args="1")["output"].strip() == "+OK"
        reload(("max-pending", "1"))
        assert caller.call("api", command="echo", args="x")["output"] == "x"
        held = Hold(module.switch)
        hold(caller, held, 2)
        assert outcome(caller.receive()) == BUSY
        held.release()
        assert outcome(caller.receive()) == 0
        reload(("timeout-ms", "100"))
        held = Hold(module.switch)
        assert caller.code("api", **held.params()) == TIMEOUT
        held.release()
        reload(("timeout-ms", "30000"))
        assert caller.call("api", command="msleep", args="400")["output"].strip() == "+OK"
        assert _client_port(module) == port
        assert module.api()["connections"] == 1
    assert module.status()["errors"] == 0


def _client_port(module: Module) -> list[str]:
    """The other ends of the established connections to the API's port, as the kernel has them."""
    wanted = f"0100007F:{int(module.api_endpoint().rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    return [row[2] for row in rows if row[1] == wanted and row[3] == "01"]


def test_the_api_comes_and_goes_by_reload(live_module_factory: LiveModuleFactory) -> None:
    module = live_module_factory(with_api())
    events, where = module.endpoint(), module.api_endpoint()
    without = configuration(publisher(bind=events))
    with Good(events, module.switch) as good, Load(module.switch):
        for _ in range(3):
            with in_flight(module) as (caller, held):
                assert "api removed" in module.reload(without)
                held.release()
                assert set(outcomes(caller, 20)) <= {0, SHUTTING_DOWN}
                assert "api" not in module.status()
                number = caller.send("ping")
                caller.nothing(0.2)
                assert "api added" in module.reload(with_api(bind=where, at=events))
                # It comes back by itself, and what it had sent meanwhile with it.
                answer = caller.receive()
                assert (answer["id"], answer["result"]["protocol"]) == (number, 1)
        good.lost_nothing()
    print(f"\n{good}")
    assert module.status()["errors"] == 0


def test_a_port_that_is_taken_changes_nothing(live_module_factory: LiveModuleFactory) -> None:
    module = live_module_factory(with_api())
    events, where = module.endpoint(), module.api_endpoint()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with Good(events, module.switch) as good, in_flight(module) as (caller, held):
            answer = module.reload(with_api(("deny", "api:echo *"), bind=address, at=events))
            assert answer.startswith(f"-ERR can't listen on {address}: Address already in use"), answer
            assert module.api()["endpoints"] == [where]
            held.release()
            assert outcomes(caller, 20) == {0: 20}
            # The permissions are those of before as well.
            assert caller.call("api", command="echo", args="x")["output"] == "x"
            good.lost_nothing()
    assert module.status()["errors"] == 0
