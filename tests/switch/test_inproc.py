"""Another script of the same switch at a publisher's inproc endpoint."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from tests.conftest import SwitchFactory
from tests.support.module import Module, configuration, publisher
from tests.support.switch import REPOSITORY


@pytest.fixture
def module(switch_factory: SwitchFactory, tmp_path: Path) -> Module:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for source in (REPOSITORY / "scripts" / "event_zmq.py", Path(__file__).with_name("listen.py")):
        shutil.copy(source, scripts)
    xml = configuration(publisher(("bind", "inproc://events")))
    module = Module(switch_factory(event_zmq_xml=xml, scripts_dir=scripts))
    module.start()
    return module


def test_a_script_of_the_same_switch_gets_the_events(module: Module) -> None:
    assert module.endpoint(number=1) == "inproc://events"
    answer: list[str] = []
    listener = threading.Thread(target=lambda: answer.append(module.switch.api("python listen inproc://events", 30)))
    listener.start()
    while listener.is_alive():
        module.switch.sendevent("TRAP", [("For-Inproc", "hello")])
        listener.join(0.2)
    assert answer[0].strip() == "+OK hello"
    assert module.command("stop") == "+OK stopped"


def test_a_socket_that_a_script_keeps_open_does_not_hold_up_the_stop(module: Module) -> None:
    assert module.switch.api("python listen hold").strip() == "+OK"
    assert module.command("stop") == "+OK stopped"
    module.switch.wait_log("another script still has a socket of event_zmq's ZeroMQ context open")
    module.start()
    assert module.switch.api("python listen::release").strip() == "+OK"
