"""Start, stop, their failures, the switch's shutdown, and what is left afterwards: nothing."""

from __future__ import annotations

import socket

import pytest

from tests.conftest import SwitchFactory
from tests.support.module import Module, Subscriber, configuration, nothing_left, publisher


def test_start_and_stop_and_nothing_is_left(switch_factory: SwitchFactory) -> None:
    module = Module(switch_factory(event_zmq_xml=configuration()))
    switch = module.switch
    assert module.command("stop") == "-ERR event_zmq is not running; `pyrun event_zmq` starts it"
    assert module.command("reload").startswith("-ERR event_zmq is not running")
    assert module.status()["state"] == "stopped"
    module.start()
    module.command("stop")
    threads, fds = switch.threads(), switch.fds()
    for _ in range(5):
        module.start()
        assert module.command("start").startswith("-ERR event_zmq is running already")
        assert module.status()["state"] == "running"
        with Subscriber(module.endpoint()) as subscriber:
            subscriber.subscribed(switch)
            assert module.command("stop") == "+OK stopped"
        status = module.status()
        assert (status["state"], status["publishers"], status["errors"]) == ("stopped", {}, 0)
    nothing_left(switch)
    module.wait(switch.threads, lambda now: now <= threads)
    module.wait(switch.fds, lambda now: now <= fds)


def test_a_start_that_fails_half_way_leaves_nothing(switch_factory: SwitchFactory) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        xml = configuration(publisher(), publisher(name="b", bind=f"tcp://127.0.0.1:{port}"))
        module = Module(switch_factory(event_zmq_xml=xml))
        for _ in range(3):
            answer = module.command("start")
            assert answer == (
                f"-ERR can't listen on tcp://127.0.0.1:{port}: Address already in use; another program listens there, "
                "perhaps a second switch; take another port or stop that program"
            )
            assert module.status()["state"] == "stopped"
        nothing_left(module.switch)
    module.start()


def test_a_start_with_a_broken_or_missing_configuration(switch_factory: SwitchFactory) -> None:
    module = Module(switch_factory())
    assert module.command("start").startswith("-ERR event_zmq.conf: event_zmq.conf is missing")
    module.switch.write_config(configuration(publisher(("nonsense", "1"))))
    module.switch.api("reloadxml")
    assert 'there is no parameter "nonsense"' in module.command("start")
    nothing_left(module.switch)


def test_the_console(switch_factory: SwitchFactory) -> None:
    module = Module(switch_factory(event_zmq_xml=configuration()))
    assert "python event_zmq reload" in module.command("help")
    assert module.command("strat") == (
        '-ERR there is no command "strat" (did you mean "start"?); '
        "use: start | stop | reload | status | status json | xml flush | help"
    )
    assert module.command("").startswith("-ERR a command is missing")
    assert "is stopped" in module.command("status")
    module.switch.api("pyrun event_zmq")
    module.wait(module.status, lambda now: now["state"] == "running")
    text = module.command("  status  ")
    assert "publisher default: 0 subscriptions" in text
    assert f"at          {module.endpoint()}" in text
    assert "accepted" in text
    module.switch.api("pyrun event_zmq stop")
    module.wait(module.status, lambda now: now["state"] == "stopped")


def test_startup_script_with_lookups_bound_to_the_module_itself(switch_factory: SwitchFactory) -> None:
    module = Module(
        switch_factory(
            event_zmq_xml=configuration(), startup_script=True, xml_handler_bindings="configuration|directory|dialplan"
        )
    )
    module.wait(module.status, lambda now: now["state"] == "running")
    for _ in range(3):
        assert module.command("reload").startswith("+OK reloaded")
    assert "can't find anything" in module.switch.api("xml_locate directory domain name nowhere")
    assert module.status()["errors"] == 0


@pytest.mark.parametrize("how", ["api", "sigterm"])
def test_shutdown_reaches_the_subscribers(switch_factory: SwitchFactory, how: str) -> None:
    module = Module(switch_factory(event_zmq_xml=configuration()))
    module.start()
    switch = module.switch
    with Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(switch)
        assert switch.stop(how) == 0
        subscriber.until(lambda event: event["Event-Name"] == "SHUTDOWN")
        while subscriber.socket.poll(500):
            subscriber.frames()


def test_a_forged_shutdown_stops_nothing(module: Module) -> None:
    switch = module.switch
    with Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(switch)
        switch.sendevent("SHUTDOWN", [("Event-Info", "System Shutting Down")])
        subscriber.until(lambda event: event["Event-Name"] == "SHUTDOWN")
        subscriber.subscribed(switch)
    assert module.status()["state"] == "running"


def test_fork_safety_is_enforced(switch_factory: SwitchFactory) -> None:
    module = Module(switch_factory(event_zmq_xml=configuration(), threaded_system_exec=False))
    assert module.status()["threaded_system_exec"] is False
    module.start()
    assert module.status()["threaded_system_exec"] is True
    switch = module.switch
    assert "true" in switch.api("fsctl threaded_system_exec")
    switch.api("fsctl threaded_system_exec false")
    module.wait(lambda: switch.api("fsctl threaded_system_exec"), lambda now: "true" in now)
    log = module.wait_log("somebody switched threaded-system-exec off")  # told once it is on again
    assert log.count("somebody switched threaded-system-exec off") == 1


def test_fork_safety_can_be_required(switch_factory: SwitchFactory) -> None:
    xml = configuration(settings=[("threaded-system-exec", "require")])
    module = Module(switch_factory(event_zmq_xml=xml, threaded_system_exec=False))
    answer = module.command("start")
    assert answer.startswith("-ERR threaded-system-exec is off, and event_zmq.conf.xml requires it: put <param")
    assert "false" in module.switch.api("fsctl threaded_system_exec")
    nothing_left(module.switch)
    module.switch.api("fsctl threaded_system_exec true")
    module.start()
    module.switch.api("fsctl threaded_system_exec false")
    module.switch.wait_log("threaded-system-exec was switched off", timeout=30)
    assert "false" in module.switch.api("fsctl threaded_system_exec")
