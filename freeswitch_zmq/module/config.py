"""event_zmq.conf.xml: what may stand in it, and from its text to frozen dataclasses.

A configuration is checked as a whole: ConfigError lists every mistake with its place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from freeswitch_zmq.errors import ConfigError
from freeswitch_zmq.module.addresses import AddressList
from freeswitch_zmq.module.filters import EventFilter, FieldFilter, HeaderFilter, closest
from freeswitch_zmq.module.parameters import (
    Parameter,
    boolean,
    checked,
    choice,
    endpoint,
    not_yet,
    tcp_clash,
    whole_number,
)
from freeswitch_zmq.wire import TopicFormat, to_utf8

__all__ = ["PUBLISHER", "SETTINGS", "Config", "PublisherConfig", "Settings", "parse_config"]

DEFAULT_BIND = "tcp://*:5556"

SETTINGS = (
    Parameter(
        "threaded-system-exec",
        choice("enforce", "require"),
        "enforce",
        "enforce: switch it on when it is off and keep it on; require: refuse to start when it is off",
    ),
    Parameter("io-threads", whole_number(1, 16), "1", "I/O threads of the ZeroMQ context; taken up at a start"),
    Parameter("ipv6", boolean, "false", "listen on IPv6 as well"),
)

PUBLISHER = (
    Parameter("bind", endpoint("bind"), None, "where to listen: tcp, ipc, inproc, tipc", repeatable=True),
    Parameter(
        "connect",
        endpoint("connect"),
        None,
        "a collector to go to, or epgm and norm multicast",
        repeatable=True,
    ),
    Parameter("framing", choice("single", "topic"), "single", "single: [JSON]; topic: [topic][JSON]"),
    Parameter(
        "format-fields",
        checked(TopicFormat),
        "Event-Name,Event-Subclass,Unique-ID",
        "headers that make up the topic, joined with a dot; A|B: the first there is; #text: a literal",
    ),
    Parameter("event-filter", checked(EventFilter), "ALL", "events to take: names with * and ?, CUSTOM^subclass"),
    Parameter("event-exclude", checked(EventFilter), "", "events to leave out, in the same form; wins"),
    Parameter(
        "header-filter",
        checked(HeaderFilter),
        None,
        "Header = value, != value, ~ regex or !~ regex; all must hold",
        repeatable=True,
    ),
    Parameter("fields", checked(FieldFilter), None, "header names to keep, with * and ?; without it all of them"),
    Parameter(
        "queue-size",
        whole_number(1, 10_000_000),
        "100000",
        "events waiting in the switch before some are shed",
    ),
    Parameter("send-hwm", whole_number(1, 10_000_000), "100000", "events waiting for one slow subscriber"),
    Parameter("replay-mb", not_yet("0", "replay"), "0", "megabytes held for replay; 0 holds nothing"),
    Parameter("replay-events", whole_number(1, 100_000_000), "1000000", "events held for replay at most"),
    Parameter(
        "apply-inbound-acl",
        checked(AddressList),
        "loopback.auto",
        "who may subscribe over tcp: loopback.auto or a network such as 192.0.2.0/24; one that matches is enough",
        repeatable=True,
    ),
    Parameter("security", not_yet("null", "encryption"), "null", "null: subscribers are let in by address"),
    Parameter("handshake-ms", whole_number(1, 600_000), "2000", "time for a peer to say who it is"),
    Parameter("max-message-bytes", whole_number(1, 2**31 - 1), "65536", "largest message that a peer may send us"),
)


@dataclass(frozen=True)
class Settings:
    """`<settings>`; see the table above for what each means."""

    threaded_system_exec: str
    io_threads: int
    ipv6: bool


@dataclass(frozen=True)
class PublisherConfig:
    """A `<publisher>`; see the table above for what each means. Filters and formats are texts that were checked."""

    name: str
    bind: tuple[str, ...]
    connect: tuple[str, ...]
    framing: str
    format_fields: str
    event_filter: str
    event_exclude: str
    header_filter: tuple[str, ...]
    fields: str
    queue_size: int
    send_hwm: int
    replay_mb: str
    replay_events: int
    apply_inbound_acl: tuple[str, ...]
    security: str
    handshake_ms: int
    max_message_bytes: int


@dataclass(frozen=True)
class Config:
    """A whole configuration without a mistake."""

    settings: Settings
    publishers: tuple[PublisherConfig, ...]


def parse_config(xml: str) -> Config:
    """Reads the `<configuration>` element as FreeSWITCH's registry holds it.

    Raises:
        ConfigError: with all mistakes.
    """
    try:
        root = ElementTree.fromstring(to_utf8(xml))
    except ElementTree.ParseError as error:
        raise ConfigError([f"FreeSWITCH gave a configuration that is not well-formed XML: {error}"]) from error
    return _Reader().read(root)


class _Reader:
    """Collects mistakes on the way through the document, so that an admin sees all of them at once."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def read(self, root: ElementTree.Element) -> Config:
        sections = self._children(root, "", ("settings", "publishers"), ("name", "description"))
        settings = self._params(sections.get("settings", []), "<settings>", SETTINGS)
        publishers: dict[str, PublisherConfig] = {}
        for section in sections.get("publishers", []):
            for element in self._children(section, "<publishers>", ("publisher",), ()).get("publisher", []):
                self._publisher(element, publishers)
        if not publishers and not self.problems:
            self._problem("<publishers>", 'there is no publisher; add <publisher name="default"/>')
        self._endpoints_once(list(publishers.values()))
        if self.problems:
            raise ConfigError(self.problems)
        return Config(Settings(**settings), tuple(publishers.values()))

    def _publisher(self, element: ElementTree.Element, publishers: dict[str, PublisherConfig]) -> None:
        name = element.get("name", "")
        place = f'<publisher name="{name}">'
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            self._problem(place, 'needs a name="…" of letters, digits, dots, hyphens and underscores')
        elif name in publishers:
            self._problem(place, "stands there twice; give each publisher a name of its own")
        self._attributes(element, place, ("name",))
        before = len(self.problems)
        values = self._params([element], place, PUBLISHER)
        if len(self.problems) > before:
            return
        values["fields"] = values["fields"] or ""
        values["bind"] = values["bind"] or (() if values["connect"] else (DEFAULT_BIND,))
        publishers.setdefault(name, PublisherConfig(name=name, **values))

    def _params(
        self, elements: Sequence[ElementTree.Element], place: str, table: Sequence[Parameter]
    ) -> dict[str, Any]:
        """The values of all parameters of the table, by their Python names."""
        given: dict[str, list[Any]] = {parameter.name: [] for parameter in table}
        known = {parameter.name: parameter for parameter in table}
        for element in elements:
            allowed = ("name",) if element.tag == "publisher" else ()
            for param in self._children(element, place, ("param",), allowed).get("param", []):
                self._children(param, place, (), ("name", "value"))
                name, value = param.get("name"), param.get("value")
                if name is None or value is None:
                    self._problem(place, 'a param needs both name="…" and value="…"')
                elif name not in known:
                    self._problem(place, f'there is no parameter "{name}"{_right(name, list(known))}')
                elif given[name] and not known[name].repeatable:
                    self._problem(place, f'"{name}" stands there twice; leave one')
                else:
                    self._value(known[name], value.strip(), place, given[name])
        return {parameter.field: self._result(parameter, given[parameter.name]) for parameter in table}

    def _value(self, parameter: Parameter, text: str, place: str, values: list[Any]) -> None:
        try:
            value = parameter.read(text)
        except ValueError as error:
            self._problem(place, f"{parameter.name}: {error}")
            value = None  # it counts as given, so that a second one is still told
        if parameter.repeatable and value is not None and value in values:
            self._problem(place, f'{parameter.name}: "{text}" stands there twice; leave one')
        values.append(value)

    def _result(self, parameter: Parameter, values: list[Any]) -> Any:
        if not values and parameter.default is not None:
            values = [parameter.read(parameter.default)]
        if parameter.repeatable:
            return tuple(values)
        return values[0] if values else None

    def _children(
        self, element: ElementTree.Element, place: str, known: Sequence[str], attributes: Sequence[str]
    ) -> dict[str, list[ElementTree.Element]]:
        self._attributes(element, place or f"<{element.tag}>", attributes)
        texts = [element.text] + [child.tail for child in element]
        stray = " ".join(text.strip() for text in texts if text and text.strip())
        if stray:
            self._problem(place or f"<{element.tag}>", f'the text "{stray[:40]}" means nothing here; take it out')
        found: dict[str, list[ElementTree.Element]] = {}
        for child in element:
            if child.tag in known:
                found.setdefault(child.tag, []).append(child)
            else:
                self._problem(
                    place or f"<{element.tag}>",
                    f"there is no element <{child.tag}>{_right(child.tag, known)}",
                )
        return found

    def _attributes(self, element: ElementTree.Element, place: str, known: Sequence[str]) -> None:
        for name in element.attrib:
            if name not in known:
                where = f"{place} <{element.tag}>" if f"<{element.tag}" not in place else place
                self._problem(where, f'there is no attribute "{name}"{_right(name, known)}')

    def _endpoints_once(self, publishers: Sequence[PublisherConfig]) -> None:
        taken: list[tuple[str, str]] = []
        for publisher in publishers:
            for text in publisher.bind:
                for other, owner in taken:
                    if tcp_clash(text, other) or (text == other and not text.endswith(":*")):
                        place = f'<publisher name="{publisher.name}">'
                        self._problem(place, f'bind: "{text}" is taken by publisher "{owner}"; give it another port')
                taken.append((text, publisher.name))

    def _problem(self, place: str, text: str) -> None:
        line = f"{place}: {text}"
        if line not in self.problems:
            self.problems.append(line)


def _right(word: str, known: Sequence[str]) -> str:
    return closest(word, known) or (f"; known are: {', '.join(known)}" if known else "; none is known here")
