from __future__ import annotations

import pytest

from freeswitch_zmq.module import host
from tests.unit.fake_freeswitch import FakeEvent, FakeSwitch


def test_a_line_in_the_log(switch: FakeSwitch) -> None:
    host.log("NOTICE", "hello")
    assert switch.lines == [("NOTICE", "event_zmq: hello\n")]


@pytest.mark.parametrize(
    ("text", "logged"), [("a\0b", "a\\0b"), ("x\udcff\ud800", "x??"), ("ü\U0001f600", "ü\U0001f600")]
)
def test_no_text_is_refused_by_the_log(switch: FakeSwitch, text: str, logged: str) -> None:
    host.log("ERR", text)
    assert switch.texts("ERR") == [logged]


def test_whether_the_switch_runs(switch: FakeSwitch) -> None:
    assert host.running() is True
    switch.is_running = False
    assert host.running() is False


@pytest.mark.parametrize("command", ["fsctl threaded_system_exec", "global_getvar core_uuid", "create_uuid"])
def test_commands_that_may_be_run_at_once(switch: FakeSwitch, command: str) -> None:
    switch.answers[command] = "yes"
    assert host.instant(command) == "yes"
    assert switch.commands == [command]


@pytest.mark.parametrize(
    "command",
    ["xml_locate configuration", "reloadxml", "acl 1.2.3.4 lan", "status", "", " bgapi status", "fsctlx", "version"],
)
def test_commands_that_could_hang_the_switch_are_refused(switch: FakeSwitch, command: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        host.instant(command)
    assert str(caught.value) == f'"{command}" may not be run under the GIL'
    assert switch.commands == []


def test_no_output_is_an_empty_text(switch: FakeSwitch) -> None:
    switch.answers["create_uuid"] = ""
    assert host.instant("create_uuid") == ""


def test_events_as_the_switch_queues_them(switch: FakeSwitch) -> None:
    consumer = host.Consumer(2)
    assert consumer.pop(0) is None
    assert consumer.pop(1) is None
    events = [FakeEvent("HEARTBEAT"), FakeEvent("API")]
    switch.fire(*events)
    assert [consumer.pop(1), consumer.pop(0), consumer.pop(0)] == [*events, None]
    consumer.close()
    assert switch.consumers == []
