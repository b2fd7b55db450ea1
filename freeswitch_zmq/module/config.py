"""event_zmq.conf.xml: what may stand in it, and from its text to frozen dataclasses.

A configuration is checked as a whole: ConfigError lists every mistake with its place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Callable, Optional
from xml.etree import ElementTree

from freeswitch_zmq.certificate import parse_public_key
from freeswitch_zmq.errors import ConfigError
from freeswitch_zmq.module.addresses import BUILT_IN_LISTS, AddressList
from freeswitch_zmq.module.filters import closest
from freeswitch_zmq.module.parameters import Parameter, tcp_clash
from freeswitch_zmq.module.schema import (
    ACCESS,
    API,
    CALLOUT,
    DEFAULT_BIND,
    PUBLISHER,
    SETTINGS,
    XML_BINDING,
    AccessConfig,
    ApiConfig,
    CalloutConfig,
    Config,
    KeyConfig,
    PublisherConfig,
    Settings,
    XmlBindingConfig,
)
from freeswitch_zmq.permissions import parse_permissions
from freeswitch_zmq.wire import to_utf8

__all__ = ["parse_config"]

_MULTICAST = ("epgm://", "norm://")


def parse_config(xml: str, acl_lists: Callable[[], Sequence[str]] = lambda: ()) -> Config:
    """Reads the `<configuration>` element as FreeSWITCH's registry holds it.

    Args:
        xml: its text.
        acl_lists: gives the names of the lists in acl.conf.xml; only asked when one is named.

    Raises:
        ConfigError: with all mistakes.
    """
    try:
        root = ElementTree.fromstring(to_utf8(xml))
    except ElementTree.ParseError as error:
        raise ConfigError([f"FreeSWITCH gave a configuration that is not well-formed XML: {error}"]) from error
    return _Reader(acl_lists).read(root)


class _Reader:
    """Collects mistakes on the way through the document, so that an admin sees all of them at once."""

    def __init__(self, acl_lists: Callable[[], Sequence[str]]) -> None:
        self.problems: list[str] = []
        self._acl_lists = acl_lists
        self._has_key_file = False  # also one that can't be used, of which it is told by itself

    def read(self, root: ElementTree.Element) -> Config:
        sections = self._children(
            root, "", ("settings", "publishers", "api", "callouts", "xml-bindings", "access"), ("name", "description")
        )
        settings = self._params(sections.get("settings", []), "<settings>", SETTINGS)
        publishers: dict[str, PublisherConfig] = {}
        names: list[str] = []  # also of those with a mistake: a key that names one is right
        for section in sections.get("publishers", []):
            for element in self._children(section, "<publishers>", ("publisher",), ()).get("publisher", []):
                names.append(element.get("name", ""))
                self._publisher(element, publishers)
        if not publishers and not self.problems:
            self._problem("<publishers>", 'there is no publisher; add <publisher name="default"/>')
        api = self._api(sections.get("api", []))
        callouts = self._callouts(sections.get("callouts", []))
        bindings = self._xml_bindings(sections.get("xml-bindings", []))
        access = self._access(sections.get("access", []), names)
        binds = [(f'publisher "{each.name}"', _place(each), each.bind) for each in publishers.values()]
        self._endpoints_once([*binds, ("<api>", "<api>", api.bind)] if api is not None else binds)
        for publisher in publishers.values():
            self._lists_are_there(_place(publisher), publisher.apply_inbound_acl)
            self._keys_fit(publisher, access)
        if api is not None:
            self._lists_are_there("<api>", api.apply_inbound_acl)
            if api.security == "curve":
                self._own_key_is_there("<api>", "security: curve", access)
        services: list[CalloutConfig | XmlBindingConfig] = [*callouts, *bindings]
        for service in services:
            if service.server_public_key is not None:
                kind = "callout" if isinstance(service, CalloutConfig) else "binding"
                self._own_key_is_there(f'<{kind} name="{service.name}">', "server-public-key:", access)
        if self.problems:
            raise ConfigError(self.problems)
        return Config(Settings(**settings), tuple(publishers.values()), access, api, callouts, bindings)

    def _publisher(self, element: ElementTree.Element, publishers: dict[str, PublisherConfig]) -> None:
        name, values = self._named(element, PUBLISHER, publishers)
        if values is None:
            return
        values["fields"] = values["fields"] or ""
        values["bind"] = values["bind"] or (() if values["connect"] else (DEFAULT_BIND,))
        publishers.setdefault(name, PublisherConfig(name=name, **values))

    def _named(
        self, element: ElementTree.Element, table: Sequence[Parameter], others: Collection[str]
    ) -> tuple[str, Optional[dict[str, Any]]]:
        """The name of a `<publisher>`, `<callout>` or `<binding>`, and its values where they have no mistake."""
        name = element.get("name", "")
        place = f'<{element.tag} name="{name}">'
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            self._problem(place, 'needs a name="…" of letters, digits, dots, hyphens and underscores')
        elif name in others:
            self._problem(place, f"stands there twice; give each {element.tag} a name of its own")
        self._attributes(element, place, ("name",))
        before = len(self.problems)
        values = self._params([element], place, table)
        return name, values if len(self.problems) == before else None

    def _callouts(self, sections: Sequence[ElementTree.Element]) -> tuple[CalloutConfig, ...]:
        found: dict[str, CalloutConfig] = {}
        for element in self._services(sections, "<callouts>", "callout"):
            name, values = self._named(element, CALLOUT, found)
            if values is not None and self._has_endpoint(element, values):
                for each in ("variables", "allow_applications", "allow_variables"):
                    values[each] = tuple(word for words in values[each] for word in words)
                found.setdefault(name, CalloutConfig(name=name, **values))
        return tuple(found.values())

    def _xml_bindings(self, sections: Sequence[ElementTree.Element]) -> tuple[XmlBindingConfig, ...]:
        found: dict[str, XmlBindingConfig] = {}
        for element in self._services(sections, "<xml-bindings>", "binding"):
            name, values = self._named(element, XML_BINDING, found)
            if values is None or not self._has_endpoint(element, values):
                continue
            if values["bindings"] is None:
                what = 'needs a param "bindings": what it answers, such as directory or dialplan|configuration'
                self._problem(f'<binding name="{name}">', what)
            else:
                found.setdefault(name, XmlBindingConfig(name=name, **values))
        return tuple(found.values())

    def _services(self, sections: Sequence[ElementTree.Element], place: str, tag: str) -> Iterator[ElementTree.Element]:
        for section in sections:
            yield from self._children(section, place, (tag,), ()).get(tag, [])

    def _has_endpoint(self, element: ElementTree.Element, values: dict[str, Any]) -> bool:
        if not values["endpoint"]:
            place = f'<{element.tag} name="{element.get("name", "")}">'
            self._problem(place, 'needs a param "endpoint": where the service listens, such as tcp://127.0.0.1:5558')
        return bool(values["endpoint"])

    def _api(self, sections: Sequence[ElementTree.Element]) -> Optional[ApiConfig]:
        if not sections:
            return None
        before = len(self.problems)
        values = self._params(sections, "<api>", API)
        if len(self.problems) > before:
            return None
        for name in ("allow", "deny"):
            values[name] = tuple(permission for every in values[name] for permission in every)
        return ApiConfig(**values)

    def _access(self, sections: Sequence[ElementTree.Element], publishers: Sequence[str]) -> AccessConfig:
        given = self._params(sections, "<access>", ACCESS, ("key",))
        keys: dict[str, KeyConfig] = {}
        for section in sections:
            self._has_key_file |= any(param.get("name") == ACCESS[0].name for param in section.findall("param"))
            for element in section.findall("key"):
                self._key(element, keys, publishers)
        return AccessConfig(given["server_secret_key_file"], tuple(keys.values()))

    def _key(self, element: ElementTree.Element, keys: dict[str, KeyConfig], publishers: Sequence[str]) -> None:
        name = element.get("name", "")
        place = f'<key name="{name}">'
        before = len(self.problems)
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            self._problem(place, 'needs a name="…" of letters, digits, dots, hyphens and underscores')
        elif name in keys:
            self._problem(place, "stands there twice; give each key a name of its own")
        self._children(element, place, (), ("name", "public-key", "publishers", "allow"))
        public_key = b""
        if "public-key" not in element.attrib:
            self._problem(place, 'needs a public-key="…"; the peer makes one with: fszmq keygen')
        else:
            try:
                public_key = parse_public_key(element.attrib["public-key"].strip())
            except ValueError as error:
                self._problem(place, f"public-key: {error}")
        for other in keys.values():
            if public_key and other.public_key == public_key:
                self._problem(place, f'has the same public-key as "{other.name}"; leave one, or make another pair')
        named = [word.strip() for word in element.get("publishers", "").split(",") if word.strip()]
        for word in named:
            if word not in publishers:
                self._problem(place, f'publishers: there is no publisher "{word}"{_right(word, publishers)}')
        allow: tuple[str, ...] = ()
        try:
            allow = parse_permissions(element.get("allow", ""))
        except ValueError as error:
            self._problem(place, f"allow: {error}")
        if len(self.problems) == before:
            keys[name] = KeyConfig(name, public_key, tuple(dict.fromkeys(named)), allow)

    def _lists_are_there(self, place: str, acl: Sequence[str]) -> None:
        names = [AddressList(text).list_name for text in acl]
        unknown = [name for name in names if name and name not in BUILT_IN_LISTS]
        known = self._acl_lists() if unknown else ()
        for name in unknown:
            if name not in known:
                hint = closest(name, [*known, *BUILT_IN_LISTS]) or (
                    "; add it there, or name a network such as 192.0.2.0/24"
                )
                self._problem(place, f'apply-inbound-acl: acl.conf.xml has no list "{name}"{hint}')

    def _own_key_is_there(self, place: str, what: str, access: AccessConfig) -> None:
        if access.server_keys is None and not self._has_key_file:
            self._problem(
                place,
                f"{what} needs the switch's own key: make one with `fszmq keygen --server` and name its file in "
                "<access> as server-secret-key-file",
            )

    def _keys_fit(self, publisher: PublisherConfig, access: AccessConfig) -> None:
        place = _place(publisher)
        curve = publisher.security == "curve"
        if curve or publisher.server_public_key:
            self._own_key_is_there(place, "security: curve" if curve else "server-public-key:", access)
        if publisher.server_public_key and not publisher.connect:
            self._problem(place, "server-public-key: goes with connect; who subscribes here is told by <access>")
        if curve and publisher.connect and not publisher.server_public_key:
            self._problem(place, "security: curve needs the collector's server-public-key for connect")
        if curve or publisher.server_public_key:
            for address in publisher.connect:
                if address.startswith(_MULTICAST):
                    self._problem(
                        place, f'connect: "{address}" can\'t be encrypted; give multicast a publisher of its own'
                    )

    def _params(
        self,
        elements: Sequence[ElementTree.Element],
        place: str,
        table: Sequence[Parameter],
        others: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The values of all parameters of the table, by their Python names."""
        given: dict[str, list[Any]] = {parameter.name: [] for parameter in table}
        known = {parameter.name: parameter for parameter in table}
        for element in elements:
            allowed = ("name",) if element.tag in ("publisher", "callout", "binding") else ()
            for param in self._children(element, place, ("param", *others), allowed).get("param", []):
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
            # Beside keys it may be a secret one.
            said = "" if place.startswith(("<access>", "<key")) else f' "{stray[:40]}"'
            self._problem(place or f"<{element.tag}>", f"the text{said} means nothing here; take it out")
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

    def _endpoints_once(self, binds: Sequence[tuple[str, str, Sequence[str]]]) -> None:
        """Of each that listens: what to call it, its place, its endpoints."""
        taken: list[tuple[str, str]] = []
        for owner, place, texts in binds:
            for text in texts:
                for other, other_owner in taken:
                    if tcp_clash(text, other) or (text == other and not text.endswith(":*")):
                        self._problem(place, f'bind: "{text}" is taken by {other_owner}; give it another port')
                taken.append((text, owner))

    def _problem(self, place: str, text: str) -> None:
        line = f"{place}: {text}"
        if line not in self.problems:
            self.problems.append(line)


def _place(publisher: PublisherConfig) -> str:
    return f'<publisher name="{publisher.name}">'


def _right(word: str, known: Sequence[str]) -> str:
    return closest(word, known) or (f"; known are: {', '.join(known)}" if known else "; none is known here")
