"""The schema, its defaults, the contract and the shipped file stay in step."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from freeswitch_zmq.module.config import parse_config
from freeswitch_zmq.module.parameters import Parameter
from freeswitch_zmq.module.schema import ACCESS, DEFAULT_BIND, PUBLISHER, SETTINGS, KeyConfig
from tests.support.keys import SecretFile, new_secret_file
from tests.unit.configurations import configuration

SHIPPED = Path(__file__).parents[2] / "conf/autoload_configs/event_zmq.conf.xml"

CONTRACT: dict[str, str | None] = {
    "threaded-system-exec": "enforce",
    "io-threads": "1",
    "ipv6": "false",
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
    "server-secret-key-file": None,
}
"""Every parameter of this version with its default; None: without it there is nothing."""

REPEATABLE = {"bind", "connect", "header-filter", "apply-inbound-acl"}


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
        else:
            assert kind is ElementTree.Comment, f"what is <{kind}>?"
            comment = text
    return found


def lines(section: str) -> list[Line]:
    """The params alone."""
    return [line for line in all_lines(section) if line.kind == "param"]


TABLES = [
    pytest.param(SETTINGS, "settings", id="settings"),
    pytest.param(PUBLISHER, "publishers/publisher", id="publisher"),
    pytest.param(ACCESS, "access", id="access"),
]


def test_the_tables_are_those_of_the_contract() -> None:
    tables = (*SETTINGS, *PUBLISHER, *ACCESS)
    defaults = {parameter.name: parameter.default or None for parameter in tables}
    defaults["bind"] = DEFAULT_BIND  # only without connect, so the table can't say it
    assert defaults == CONTRACT
    assert len(tables) == len(CONTRACT)  # no name stands for two things
    assert {parameter.name for parameter in tables if parameter.repeatable} == REPEATABLE


@pytest.mark.parametrize(("table", "section"), TABLES)
def test_every_parameter_is_in_the_shipped_file_once_and_in_order(table: tuple[Parameter, ...], section: str) -> None:
    assert [line.name for line in lines(section)] == [parameter.name for parameter in table]


@pytest.mark.parametrize(("table", "section"), TABLES)
def test_every_parameter_stands_there_with_its_default(table: tuple[Parameter, ...], section: str) -> None:
    for line in lines(section):
        if line.example:
            assert CONTRACT[line.name] is None, f"{line.name} has a default, so it has to be in force"
        else:
            assert line.value == CONTRACT[line.name]


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


def test_the_shipped_file_is_what_an_empty_one_means() -> None:
    empty = '<configuration name="event_zmq.conf"><publishers><publisher name="default"/></publishers></configuration>'
    assert parse_config(SHIPPED.read_text("utf-8")) == parse_config(empty)


def test_the_shipped_file_is_still_right_with_all_examples_in_force(server: SecretFile) -> None:
    text, changed = re.subn(r"<!-- (<(?:param|key) [^>]*/>) -->", r"\1", SHIPPED.read_text("utf-8"))
    sections = ("settings", "publishers/publisher", "access")
    assert changed == sum(line.example for section in sections for line in all_lines(section))
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
    assert parsed.access.server_keys is not None
    [key] = parsed.access.keys
    assert (key.name, key.publishers, key.allow) == ("crm", ("default",), ())


def test_a_key_is_shown_with_what_it_needs() -> None:
    [line] = [line for line in all_lines("access") if line.kind == "key"]
    assert line.example
    assert list(line.attributes) == ["name", "public-key", "publishers"]
    assert {name.replace("-", "_") for name in line.attributes} < set(KeyConfig.__dataclass_fields__)


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
