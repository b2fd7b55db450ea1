"""Where the configuration comes from: FreeSWITCH's XML registry, asked in a way that can't hang the switch."""

from __future__ import annotations

import time
from xml.etree import ElementTree

from freeswitch_zmq.errors import CommandTimeout, ConfigError, HostError
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.config import parse_config
from freeswitch_zmq.module.schema import Config
from freeswitch_zmq.wire import to_utf8

__all__ = ["await_commands", "read_config", "reload_xml"]

_LOCATE = "xml_locate configuration configuration name event_zmq.conf"
_LOCATE_ACL = "xml_locate configuration configuration name acl.conf"
_NOTHING = "can't find anything"
_TIMEOUT = 30.0
_LOADING_SECONDS = 30.0


def await_commands(commands: Commands) -> None:
    """Waits while the switch is still loading: `startup-script` may run before mod_commands is there.

    Raises:
        HostError: it does not come.
    """
    deadline = time.monotonic() + _LOADING_SECONDS
    while True:
        try:
            commands.run("version")
            return
        except CommandTimeout:
            if time.monotonic() > deadline:
                raise
        except HostError as error:
            if "INVALID COMMAND" not in str(error):
                raise
            if time.monotonic() > deadline:
                raise HostError(f"{error}; load mod_commands in modules.conf.xml") from error
        time.sleep(0.1)


def read_config(commands: Commands) -> Config:
    """The configuration as the registry holds it now.

    Raises:
        ConfigError: it is missing or has mistakes.
        HostError: FreeSWITCH does not answer.
    """
    xml = commands.run(_LOCATE, _TIMEOUT)
    if xml.strip() == _NOTHING:
        raise ConfigError(
            [
                "event_zmq.conf is missing from FreeSWITCH's configuration: put event_zmq.conf.xml into the folder "
                'autoload_configs ("make install" does it), then give the command reloadxml'
            ]
        )
    return parse_config(xml, lambda: _acl_lists(commands))


def _acl_lists(commands: Commands) -> list[str]:
    """The names of the lists in acl.conf.xml. To FreeSWITCH's `acl` one that is not there lets in nobody."""
    xml = commands.run(_LOCATE_ACL, _TIMEOUT)
    if xml.strip() == _NOTHING:
        return []
    try:
        root = ElementTree.fromstring(to_utf8(xml))
    except ElementTree.ParseError as error:
        raise ConfigError([f"FreeSWITCH gave an acl.conf that is not well-formed XML: {error}"]) from error
    return [element.get("name", "") for element in root.findall("network-lists/list")]


def reload_xml(commands: Commands) -> None:
    """Makes FreeSWITCH read its XML files anew.

    Raises:
        ConfigError: a file is broken. FreeSWITCH then keeps the XML that it has, and says +OK all the same.
        HostError: FreeSWITCH does not answer.
    """
    answer = commands.run("reloadxml", _TIMEOUT).strip()
    if answer != "+OK [Success]":
        raise ConfigError(
            [
                f"FreeSWITCH can't read its XML files: {answer}. The line is one of log/freeswitch.xml.fsxml, where "
                "all files are joined; xmllint --noout autoload_configs/event_zmq.conf.xml tells whether it is ours"
            ]
        )
