"""Another script of the same switch at a publisher's inproc endpoint."""

from __future__ import annotations

import threading

import pytest

from tests.support.module import Module, configuration, publisher
from tests.switch.conftest import ModuleFactory


@pytest.fixture
def module(module_factory: ModuleFactory) -> Module:
    return module_factory(configuration(publisher(("bind", "inproc://events"))))


def test_a_script_of_the_same_switch_gets_the_events(module: Module) -> None:
    assert module.endpoint(number=1) == "inproc://events"
    answer: list[str] = []
    listener = threading.Thread(
        target=lambda: answer.append(module.switch.api("python script_listen inproc://events", 30))
    )
    listener.start()
    while listener.is_alive():
        module.switch.sendevent("TRAP", [("For-Inproc", "hello")])
        listener.join(0.2)
    assert answer[0].strip() == "+OK hello"
    assert module.command("stop") == "+OK stopped"


def test_a_socket_that_a_script_keeps_open_does_not_hold_up_the_stop(module: Module) -> None:
    assert module.switch.api("python script_listen hold").strip() == "+OK"
    assert module.command("stop") == "+OK stopped"
    module.wait_log("another script still has a socket of event_zmq's ZeroMQ context open")
    module.start()
    assert module.switch.api("python script_listen::release").strip() == "+OK"
