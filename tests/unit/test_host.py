from __future__ import annotations

import ctypes

import pytest

from freeswitch_zmq.errors import HostError
from freeswitch_zmq.module import host
from tests.unit.fake_freeswitch import FAKE_THIS, FakeConsumer, FakeEvent, FakeSwitch


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


class PastTheWrapper:
    """What `host._WithoutGil` calls by name, at addresses of this test's own making."""

    def __init__(self, output: bytes | None) -> None:
        self._buffer = None if output is None else ctypes.create_string_buffer(output)
        self.address = None if self._buffer is None else ctypes.addressof(self._buffer)
        self.calls: list[tuple[object, ...]] = []

    def execute(self, api: int, command: bytes) -> int | None:
        self.calls.append(("execute", api, command))
        return self.address

    def free(self, address: int | None) -> None:
        self.calls.append(("free", address))

    def bind(self, consumer: int, name: bytes, subclass: bytes) -> int:
        self.calls.append(("bind", consumer, name, subclass))
        return 1

    def cleanup(self, consumer: int) -> None:
        self.calls.append(("cleanup", consumer))

    def in_list(self, address: bytes, name: bytes, token: None) -> int:
        self.calls.append(("in_list", address, name, token))
        return int(name == b"lan")


@pytest.mark.parametrize(
    ("output", "text"), [(b"+OK\n", "+OK\n"), (b"\xff\xc3\xbc", "\udcff\u00fc"), (b"", ""), (None, "")]
)
def test_past_the_wrapper_the_output_is_read_and_freed_once(
    switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch, output: bytes | None, text: str
) -> None:
    past = PastTheWrapper(output)
    monkeypatch.setattr(host, "_without_gil", past)
    assert host.instant("create_uuid x\u00fc") == text
    [executed, freed] = past.calls
    assert executed == ("execute", FAKE_THIS, "create_uuid x\u00fc".encode())
    assert freed == ("free", past.address)
    with pytest.raises(ValueError, match="may not be run"):
        host.instant("acl 127.0.0.1 lan")
    assert len(past.calls) == 2


def test_past_the_wrapper_a_consumer_is_bound_and_unbound(switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch) -> None:
    past = PastTheWrapper(None)
    monkeypatch.setattr(host, "_without_gil", past)
    host.Consumer(5).close()
    assert past.calls == [("bind", FAKE_THIS, b"all", b""), ("cleanup", FAKE_THIS)]
    assert switch.consumers == []


def test_past_the_wrapper_an_access_list_is_asked(switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch) -> None:
    past = PastTheWrapper(None)
    monkeypatch.setattr(host, "_without_gil", past)
    assert host.in_list("192.0.2.1", "lan") is True
    assert host.in_list("2001:db8::1", "b\u00fcro") is False
    assert past.calls == [
        ("in_list", b"192.0.2.1", b"lan", None),
        ("in_list", b"2001:db8::1", "b\u00fcro".encode(), None),
    ]
    assert switch.commands == []


def test_where_there_is_no_way_past_the_wrapper_a_list_can_not_be_asked_directly(switch: FakeSwitch) -> None:
    assert host.in_list("192.0.2.1", "lan") is None
    assert switch.commands == []


def test_outside_a_switch_there_is_nothing_past_the_wrapper() -> None:
    assert host._find_without_gil() is None


def test_a_switch_that_gives_no_events_is_an_error(switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeConsumer, "bind", lambda consumer, name, subclass: 0)
    with pytest.raises(HostError, match="did not let event_zmq have its events"):
        host.Consumer(5)


def test_events_as_the_switch_queues_them(switch: FakeSwitch) -> None:
    consumer = host.Consumer(2)
    assert consumer.pop(0) is None
    assert consumer.pop(1) is None
    events = [FakeEvent("HEARTBEAT"), FakeEvent("API")]
    switch.fire(*events)
    assert [consumer.pop(1), consumer.pop(0), consumer.pop(0)] == [*events, None]
    consumer.close()
    assert switch.consumers == []
