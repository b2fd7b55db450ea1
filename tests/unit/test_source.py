from __future__ import annotations

from collections.abc import Iterator

import pytest

from freeswitch_zmq.errors import CommandTimeout, ConfigError, HostError
from freeswitch_zmq.module import source
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.events import Pump
from freeswitch_zmq.module.source import await_commands, read_config, reload_xml
from tests.unit.configurations import configuration, param, publisher
from tests.unit.fake_freeswitch import FakeSwitch

LOCATE = "xml_locate configuration configuration name event_zmq.conf"


@pytest.fixture
def commands(switch: FakeSwitch) -> Iterator[Commands]:
    """Whose answers a real pump takes."""
    commands = Commands()
    pump = Pump(commands, lambda: None, lambda error: pytest.fail(str(error)))
    pump.start()
    yield commands
    assert pump.stop()


def test_the_configuration_is_what_the_registry_holds(switch: FakeSwitch, commands: Commands) -> None:
    switch.answers[LOCATE] = configuration(publisher(param("queue-size", "7")))
    assert read_config(commands).publishers[0].queue_size == 7
    # Asked in a thread of FreeSWITCH's: under the GIL a lookup could hang the switch.
    assert [command.split(" ")[0] for command in switch.commands] == ["bgapi", "xml_locate"]
    assert switch.commands[1] == LOCATE


def test_one_that_is_missing_is_told_with_the_remedy(switch: FakeSwitch, commands: Commands) -> None:
    switch.answers[LOCATE] = "can't find anything\n"
    with pytest.raises(ConfigError) as caught:
        read_config(commands)
    assert caught.value.problems == (
        "event_zmq.conf is missing from FreeSWITCH's configuration: put event_zmq.conf.xml into the folder "
        'autoload_configs ("make install" does it), then give the command reloadxml',
    )


def test_mistakes_come_through(switch: FakeSwitch, commands: Commands) -> None:
    switch.answers[LOCATE] = configuration()
    with pytest.raises(ConfigError, match="there is no publisher"):
        read_config(commands)


def test_a_configuration_in_which_the_words_stand_is_there(switch: FakeSwitch, commands: Commands) -> None:
    text = "Reply = can't find anything"
    switch.answers[LOCATE] = configuration(publisher(param("header-filter", text)))
    assert read_config(commands).publishers[0].header_filter == (text,)


def test_bytes_that_are_no_utf8_are_no_obstacle(switch: FakeSwitch, commands: Commands) -> None:
    switch.answers[LOCATE] = configuration(publisher("<!-- \udcff -->"))
    assert len(read_config(commands).publishers) == 1


def test_reloading_the_xml(switch: FakeSwitch, commands: Commands) -> None:
    switch.answers["reloadxml"] = "+OK [Success]\n"
    reload_xml(commands)
    assert switch.commands[-1] == "reloadxml"


def test_a_broken_file_is_an_error_though_freeswitch_says_ok(switch: FakeSwitch, commands: Commands) -> None:
    switch.answers["reloadxml"] = "+OK [[error near line 77]: unclosed tag <param]\n"
    with pytest.raises(ConfigError) as caught:
        reload_xml(commands)
    assert caught.value.problems == (
        "FreeSWITCH can't read its XML files: +OK [[error near line 77]: unclosed tag <param]. The line is one of "
        "log/freeswitch.xml.fsxml, where all files are joined; xmllint --noout autoload_configs/event_zmq.conf.xml "
        "tells whether it is ours",
    )


def test_commands_that_are_there_need_no_waiting(switch: FakeSwitch, commands: Commands) -> None:
    await_commands(commands)
    assert switch.commands[1:] == ["version"]


def test_while_the_switch_loads_its_commands_are_waited_for(switch: FakeSwitch, commands: Commands) -> None:
    real = switch.answers["bgapi"]
    asked = 0

    def not_there_yet(command: str) -> str:
        nonlocal asked
        asked += 1
        if asked < 3:
            return "INVALID COMMAND!\n"
        assert callable(real)
        return real(command)

    switch.answers["bgapi"] = not_there_yet
    await_commands(commands)
    assert asked == 3


def test_commands_that_never_come_are_told_with_the_remedy(
    switch: FakeSwitch, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_LOADING_SECONDS", 0.0)
    del switch.answers["bgapi"]
    with pytest.raises(HostError) as caught:
        await_commands(commands)
    assert str(caught.value) == (
        'FreeSWITCH did not take "version": INVALID COMMAND!; load mod_commands in modules.conf.xml'
    )


def test_a_switch_that_does_not_answer(switch: FakeSwitch, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_TIMEOUT", 0.02)
    switch.deaf = {"xml_locate", "reloadxml"}
    with pytest.raises(CommandTimeout, match="xml_locate"):
        read_config(commands)
    with pytest.raises(CommandTimeout, match="reloadxml"):
        reload_xml(commands)
