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
from tests.unit.whole import LOCATE, LOCATE_ACL, acl_conf


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


def with_lists(*names: str) -> str:
    return configuration(publisher(*(param("apply-inbound-acl", name) for name in names)))


def test_freeswitchs_lists_are_looked_for_in_its_configuration(switch: FakeSwitch, commands: Commands) -> None:
    switch.answers[LOCATE] = with_lists("lan", "domains", "rfc1918.auto")
    switch.answers[LOCATE_ACL] = acl_conf("domains", "lan", "unused")
    assert read_config(commands).publishers[0].apply_inbound_acl == ("lan", "domains", "rfc1918.auto")
    assert switch.commands.count(LOCATE_ACL) == 1
    assert "bgapi" in switch.commands[-2]


def test_they_are_not_looked_for_where_none_is_named(switch: FakeSwitch, commands: Commands) -> None:
    switch.answers[LOCATE] = with_lists("192.0.2.0/24", "rfc1918.auto")
    read_config(commands)
    assert LOCATE_ACL not in switch.commands


@pytest.mark.parametrize(
    "acl",
    [
        "can't find anything\n",
        acl_conf(),
        acl_conf("LAN"),
        '<configuration name="acl.conf"/>',
        '<configuration name="acl.conf"><list name="lan"/><network-lists><list/></network-lists></configuration>',
    ],
    ids=["no acl.conf", "no list", "in other case", "nothing in it", "at another place"],
)
def test_a_list_that_is_not_there_is_a_mistake_and_no_open_door(
    switch: FakeSwitch, commands: Commands, acl: str
) -> None:
    switch.answers[LOCATE] = with_lists("lan")
    switch.answers[LOCATE_ACL] = acl
    with pytest.raises(ConfigError) as caught:
        read_config(commands)
    [problem] = caught.value.problems
    assert problem.startswith('<publisher name="default">: apply-inbound-acl: acl.conf.xml has no list "lan"')


def test_bytes_in_acl_conf_that_are_no_utf8_are_no_obstacle(switch: FakeSwitch, commands: Commands) -> None:
    switch.answers[LOCATE] = with_lists("lan")
    switch.answers[LOCATE_ACL] = acl_conf("lan").replace("<network", "<!-- \udcff --><network", 1)
    assert read_config(commands).publishers[0].apply_inbound_acl == ("lan",)


def test_an_acl_conf_that_can_not_be_read_is_told(switch: FakeSwitch, commands: Commands) -> None:
    switch.answers[LOCATE] = with_lists("lan")
    switch.answers[LOCATE_ACL] = "-ERR no reply\n"
    with pytest.raises(ConfigError) as caught:
        read_config(commands)
    assert caught.value.problems == (
        "FreeSWITCH gave an acl.conf that is not well-formed XML: syntax error: line 1, column 0",
    )


def test_a_switch_that_does_not_tell_its_lists(switch: FakeSwitch, commands: Commands) -> None:
    switch.answers[LOCATE] = with_lists("lan")
    real = switch.answers["bgapi"]
    assert callable(real)
    switch.answers["bgapi"] = lambda command: "-ERR no threads\n" if command.endswith("acl.conf") else real(command)
    with pytest.raises(HostError, match=r"did not take .*acl\.conf"):
        read_config(commands)


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
