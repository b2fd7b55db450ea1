"""The event stream as it goes over the wire: JSON and topics. No I/O.

Stated for users in docs/protocol.md.
"""

from __future__ import annotations

import json
from typing import Callable

__all__ = [
    "PROTOCOL_VERSION",
    "TopicFormat",
    "close_json",
    "known_prefix",
    "open_json",
    "select_fields",
    "to_utf8",
]

PROTOCOL_VERSION = 1
"""The version of docs/protocol.md that this package speaks."""

OWN_HEADERS = "ZMQ-"
"""Names that begin like this are ours; an event that brings some along loses them."""

_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_load_pairs = json.JSONDecoder(object_pairs_hook=list, strict=False).decode


def known_prefix(name: str) -> bytes:
    """How the JSON of every event of that name begins: what a `single` subscriber can filter by."""
    return b'{"Event-Name":"' + name.encode() + b'"'


def open_json(raw: str, name: str) -> str:
    """Brings FreeSWITCH's JSON of an event into our form, without the closing brace.

    Args:
        raw: what `event.serialize("json")` gave; may hold surrogate escapes for bytes that are not UTF-8.
        name: the event's real name (`event.getType()`); headers that say otherwise are dropped.

    Returns:
        `{"Event-Name":"NAME",…` with that key first and only once, and without `ZMQ-` headers.
        A header that FreeSWITCH has twice stays twice.
    """
    # Parsing costs more than FreeSWITCH's own serializing, so the two shapes that it really produces are recognized
    # by text alone. A key is `"Event-Name":`; inside a value its quotes would be escaped, so a key is never missed.
    if raw.count('"Event-Name":') == 1 and '"' + OWN_HEADERS not in raw:
        pair = f'"Event-Name":"{name}"'
        if raw.startswith(pair, 1):
            return raw[:-1]
        at = raw.find(pair)
        # CUSTOM events have Event-Subclass before it, and those of `sendevent` what the sender gave.
        if at > 1 and raw[at - 1] == "," and raw[at + len(pair)] in ",}":
            return f"{{{pair},{raw[1 : at - 1]}{raw[at + len(pair) : -1]}"
    return _join(_own_pairs(raw, name))


def select_fields(opened: str, keep: Callable[[str], bool]) -> str:
    """Leaves only the headers for which `keep` is true, and Event-Name. Takes and gives what `open_json` gives."""
    pairs: list[tuple[str, object]] = _load_pairs(opened + "}")
    return _join([pairs[0]] + [pair for pair in pairs[1:] if keep(pair[0])])


def close_json(opened: str, epoch: int, sequence: int, name_sequence: int) -> bytes:
    """Adds the three keys of ours and the closing brace.

    Args:
        opened: what `open_json` or `select_fields` gave.
        epoch: microseconds since 1970 at which the publisher started.
        sequence: the event's number in this publisher, from 1.
        name_sequence: its number among the events of its name in this publisher, from 1.
    """
    return to_utf8(
        f'{opened},"ZMQ-Epoch":"{epoch}","ZMQ-Sequence":"{sequence}","ZMQ-Name-Sequence":"{name_sequence}"}}'
    )


def to_utf8(text: str) -> bytes:
    """UTF-8 of a text from FreeSWITCH; bytes that were not UTF-8 there become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode()


def _own_pairs(raw: str, name: str) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = _load_pairs(raw)
    first: list[tuple[str, object]] = [("Event-Name", name)]
    return first + [pair for pair in pairs if pair[0] != "Event-Name" and not pair[0].startswith(OWN_HEADERS)]


def _join(pairs: list[tuple[str, object]]) -> str:
    return "{" + ",".join(f"{_dump(key)}:{_dump(value)}" for key, value in pairs)


class TopicFormat:
    """`format-fields`: which headers make up the topic of framing `topic`.

    Args:
        fields: comma-separated; `#text` is a literal, `A|B` the first of the headers that the event has.

    Raises:
        ValueError: a field is empty; the text says which.
    """

    def __init__(self, fields: str) -> None:
        self._parts: list[tuple[str | None, tuple[str, ...]]] = []
        for field in (part.strip() for part in fields.split(",")):
            if field.startswith("#"):
                self._parts.append((field[1:], ()))
                continue
            headers = tuple(header.strip() for header in field.split("|"))
            if not all(headers):
                raise ValueError(f'"{fields}" has an empty field; give header names separated by single commas')
            self._parts.append((None, headers))

    def topic(self, header: Callable[[str], str | None]) -> bytes:
        """The topic of the event whose headers `header` looks up (None: the event doesn't have it)."""
        parts = []
        for literal, names in self._parts:
            if literal is not None:
                parts.append(literal)
                continue
            for name in names:
                value = header(name)
                if value is not None:
                    parts.append(_escape(value))
                    break
        return to_utf8(".".join(parts))


def _escape(value: str) -> str:
    return value.replace(".", "%2E").replace(" ", "+")
