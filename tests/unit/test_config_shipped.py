"""The schema, its defaults, the contract and the shipped file stay in step."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from freeswitch_zmq.module.config import parse_config
from freeswitch_zmq.module.parameters import Parameter
from freeswitch_zmq.module.schema import (
    ACCESS,
    API,
    CALLOUT,
    DEFAULT_API_BIND,
    DEFAULT_BIND,
    PUBLISHER,
    SETTINGS,
    XML_BINDING,
    Config,
    KeyConfig,
)
from tests.support.keys import SecretFile, new_secret_file
from tests.unit.configurations import configuration

SHIPPED = Path(__file__).parents[2] / "conf/autoload_configs/event_zmq.conf.xml"

APPLICATIONS = (
    "answer, pre_answer, ring_ready, playback, loop_playback, endless_playback, gentones, say, speak, phrase, "
    "play_and_get_digits, read, ivr, sleep, wait_for_silence, wait_for_answer, flush_dtmf, send_dtmf, echo, "
    "set_audio_level, log, info, transfer, respond, hangup"
)

CONTRACT: dict[str, dict[str, str | None]] = {
    "settings": {
        "threaded-system-exec": "enforce",
        "io-threads": "1",
        "ipv6": "false",
    },
    "publishers/publisher": {
        "bind": "tcp://*:5556",
        "connect": None,
        "framing": "single",
        "format-fields": "Event-Name,Event-Subclass,Unique-ID",
        "event-filter": "ALL",
        "event-exclude": None,
        "header-filter": None,
        "fields": None,
        "queue-size": "100000",
        "send-hwm": "100000",
        "replay-mb": "0",
        "replay-events": "1000000",
        "apply-inbound-acl": "loopback.auto",
        "security": "null",
        "server-public-key": None,
        "handshake-ms": "2000",
        "max-message-bytes": "65536",
    },
    "api": {
        "bind": "tcp://127.0.0.1:5557",
        "apply-inbound-acl": "loopback.auto",
        "security": "null",
        "allow": "ping, status, replay:*, api:status, api:version, api:uptime, api:show *",
        "deny": None,
        "max-pending": "1000",
        "timeout-ms": "10000",
        "handshake-ms": "2000",
        "max-message-bytes": "65536",
    },
    "callouts": {
        "endpoint": None,
        "timeout-ms": "2000",
        "max-turns": "100",
        "variables": None,
        "allow-applications": APPLICATIONS,
        "allow-variables": "*",
        "allow-expressions": "false",
        "max-message-bytes": "1048576",
        "server-public-key": None,
    },
    "xml-bindings": {
        "bindings": None,
        "endpoint": None,
        "timeout-ms": "1000",
        "response-max-bytes": "1048576",
        "cache-ttl-ms": "0",
        "cache-stale-ms": "0",
        "circuit-breaker-ms": "10000",
        "server-public-key": None,
    },
    "access": {
        "server-secret-key-file": None,
    },
}
"""Every parameter of this version with its default, by section; None: without it there is nothing."""

REPEATABLE = {
    "bind",
    "connect",
    "header-filter",
    "apply-inbound-acl",
    "allow",
    "deny",
    "endpoint",
    "variables",
    "allow-applications",
    "allow-variables",
}


KEY_FILE = "server-secret-key-file"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> SecretFile:
    """The switch's own key, in the place of the one that the example names."""
    return new_secret_file(tmp_path_factory.mktemp("keys"))


class Line:
    """A param or key of the shipped file, in force or commented out, and the comment before it."""

    def __init__(self, element: ElementTree.Element, example: bool, comment: str | None) -> None:
        self.kind = element.tag
        self.name, self.value = element.get("name", ""), element.get("value", "")
        self.attributes = element.attrib
        self.example = example
        self.comment = comment


def all_lines(section: str) -> list[Line]:
    """The params and keys of the section in their order."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    root = ElementTree.fromstring(SHIPPED.read_bytes(), parser)
    parent = root.find(section)
    assert parent is not None
    found: list[Line] = []
    comment: str | None = None
    for child in parent:
        kind: object = child.tag
        text = (child.text or "").strip()
        if kind == "param":
            found.append(Line(child, False, comment))
            comment = None
        elif text.startswith(("<param ", "<key ")):
            found.append(Line(ElementTree.fromstring(text), True, comment))
            comment = None
        elif not re.fullmatch(r"</?(callout|binding)( [^>]*)?>", text):
            assert kind is ElementTree.Comment, f"what is <{kind}>?"
            comment = text
    return found


def lines(section: str) -> list[Line]:
    """The params alone."""
    return [line for line in all_lines(section) if line.kind == "param"]


SECTIONS = {
    "settings": SETTINGS,
    "publishers/publisher": PUBLISHER,
    "api": API,
    "callouts": CALLOUT,
    "xml-bindings": XML_BINDING,
    "access": ACCESS,
}
OFF = ("callouts", "xml-bindings")
"""Here nothing is in force as shipped: there is no service that everybody has."""

TABLES = [pytest.param(table, section, id=section.rpartition("/")[2]) for section, table in SECTIONS.items()]


def test_the_tables_are_those_of_the_contract() -> None:
    assert SECTIONS.keys() == CONTRACT.keys()
    for section, table in SECTIONS.items():
        defaults = {parameter.name: parameter.default or None for parameter in table}
        if table is PUBLISHER:
            defaults["bind"] = DEFAULT_BIND  # only without connect, so the table can't say it
        assert defaults == CONTRACT[section]
        assert len(table) == len(defaults)
    everything = [parameter for table in SECTIONS.values() for parameter in table]
    assert {parameter.name for parameter in everything if parameter.repeatable} == REPEATABLE
    assert not [each for each in everything if each.name in REPEATABLE and not each.repeatable]


@pytest.mark.parametrize(("table", "section"), TABLES)
def test_every_parameter_is_in_the_shipped_file_once_and_in_order(table: tuple[Parameter, ...], section: str) -> None:
    assert [line.name for line in lines(section)] == [parameter.name for parameter in table]


@pytest.mark.parametrize(("table", "section"), TABLES)
def test_every_parameter_stands_there_with_its_default(table: tuple[Parameter, ...], section: str) -> None:
    for line in lines(section):
        if line.example and section not in OFF:
            assert CONTRACT[section][line.name] is None, f"{line.name} has a default, so it has to be in force"
        elif CONTRACT[section][line.name] is not None:
            assert line.value == CONTRACT[section][line.name]


@pytest.mark.parametrize(("table", "section"), TABLES)
def test_everything_has_a_line_of_comment_before_it(table: tuple[Parameter, ...], section: str) -> None:
    for line in all_lines(section):
        assert line.comment, f"{line.name} has no comment of its own"
        assert "\n" not in line.comment, f"the comment of {line.name} is longer than a line"


@pytest.mark.parametrize(("table", "section"), TABLES)
def test_every_default_and_every_example_can_be_read(
    table: tuple[Parameter, ...], section: str, server: SecretFile
) -> None:
    for parameter, line in zip(table, lines(section)):
        parameter.read(str(server.path) if line.name == KEY_FILE else line.value)
        if parameter.default is not None:
            parameter.read(parameter.default)


@pytest.mark.parametrize(("table", "section"), TABLES)
def test_every_parameter_has_a_line_of_help(table: tuple[Parameter, ...], section: str) -> None:
    for parameter in table:
        assert 10 < len(parameter.help) < 120
        assert "\n" not in parameter.help


def empty(api: str) -> Config:
    publishers = '<publishers><publisher name="default"/></publishers>'
    return parse_config(f'<configuration name="event_zmq.conf">{publishers}{api}</configuration>')


def test_the_shipped_file_is_what_an_empty_one_means() -> None:
    assert parse_config(SHIPPED.read_text("utf-8")) == empty("<api/>")


def test_the_api_is_on_as_shipped_and_off_without_its_section() -> None:
    shipped = parse_config(SHIPPED.read_text("utf-8")).api
    assert shipped is not None
    assert shipped.bind == (DEFAULT_API_BIND,)
    assert empty("").api is None


def test_the_shipped_file_is_still_right_with_all_examples_in_force(server: SecretFile) -> None:
    text, changed = re.subn(r"<!-- (<(?:param|key) [^>]*/>) -->", r"\1", SHIPPED.read_text("utf-8"))
    assert changed == sum(line.example for section in SECTIONS for line in all_lines(section))
    text, changed = re.subn(r"<!-- (</?(?:callout|binding)(?: [^>]*)?>) -->", r"\1", text)
    assert changed == 4
    [named] = [line.value for line in lines("access") if line.name == KEY_FILE]
    parsed = parse_config(text.replace(named, str(server.path)))
    [publisher] = parsed.publishers
    assert all(
        (
            publisher.connect,
            publisher.event_exclude,
            publisher.header_filter,
            publisher.fields,
            publisher.server_public_key,
        )
    )
    assert parsed.api is not None
    assert parsed.api.deny
    assert parsed.access.server_keys is not None
    [callout], [binding] = parsed.callouts, parsed.xml_bindings
    assert (callout.name, callout.endpoint, callout.timeout_ms) == ("ivr", ("tcp://127.0.0.1:5558",), 2000)
    assert (binding.name, binding.bindings, binding.cache_ttl_ms) == ("users", ("directory",), 0)
    [key] = parsed.access.keys
    assert (key.name, key.publishers) == ("crm", ("default",))
    assert key.allow


def test_a_key_is_shown_with_what_it_needs() -> None:
    [line] = [line for line in all_lines("access") if line.kind == "key"]
    assert line.example
    assert [name.replace("-", "_") for name in line.attributes] == list(KeyConfig.__dataclass_fields__)


def test_the_key_file_is_one_that_is_not_shipped() -> None:
    [line] = [line for line in lines("access") if line.name == KEY_FILE]
    assert line.example
    assert Path(line.value).is_absolute()
    assert line.value.endswith(".key_secret")
    assert not list(SHIPPED.parents[2].rglob("*.key_secret"))


def test_the_name_that_freeswitch_looks_for() -> None:
    assert ElementTree.fromstring(SHIPPED.read_bytes()).get("name") == "event_zmq.conf"


def test_bind_has_its_default_only_without_connect() -> None:
    def bind_of(params: str) -> tuple[str, ...]:
        return parse_config(configuration(f'<publisher name="x">{params}</publisher>')).publishers[0].bind

    connect = '<param name="connect" value="tcp://127.0.0.1:9"/>'
    assert bind_of("") == (DEFAULT_BIND,)
    assert bind_of(connect) == ()
    assert bind_of(connect + '<param name="bind" value="ipc:///x"/>') == ("ipc:///x",)
