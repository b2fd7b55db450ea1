"""Events as text: JSON as cJSON prints it, FreeSWITCH's plain format, and XML."""

from __future__ import annotations

import json.encoder

from . import text, xmltree
from .events import Event, Value, event_type, joined

__all__ = ["from_json", "to_json", "to_plain", "to_xml"]

# Escapes exactly what cJSON escapes; in C where the interpreter has it.
_quote = json.encoder.encode_basestring
_MOST_NAMES = 10_000


class _Keys(dict[str, str]):
    """Names as keys of JSON; they are the same ones again and again."""

    def __missing__(self, name: str) -> str:
        key = _quote(name) + ":"
        if len(self) < _MOST_NAMES:
            self[name] = key
        return key


_keys = _Keys()


def to_json(event: Event) -> str:
    """One object without blanks; a name that was added twice is there twice."""
    try:
        out = [_keys[name] + _quote(value) for name, value in event.headers]  # type: ignore[arg-type]  # see below
    except TypeError:
        # Some value has several parts, which is rare: asking each time would cost more.
        out = [_keys[name] + _value(value) for name, value in event.headers]
    if event.body is not None:
        out.append(f'"Content-Length":"{len(text.to_bytes(event.body))}","_body":{_quote(event.body)}')
    return "{" + ",".join(out) + "}"


def _value(value: Value) -> str:
    return _quote(value) if isinstance(value, str) else "[" + ",".join([_quote(part) for part in value]) + "]"


def from_json(source: str) -> Event | None:
    """The event that a JSON object describes, None when it is not one; what is no string is left out."""
    try:
        pairs = json.loads(source, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
    event = Event("CUSTOM")
    for name, value in pairs if isinstance(pairs, _Pairs) else ():
        if isinstance(value, str):
            if name.lower() == "_body":
                event.body = value
                continue
            if name.lower() == "event-name":
                event.delete(name)
                event.type = event_type(value) or event.type
            event.add(name, value)
        elif isinstance(value, list) and not isinstance(value, _Pairs):
            for part in value:
                if isinstance(part, str):
                    event.push(name, part)
    return event


def to_plain(event: Event) -> str:
    """`Name: value` lines, values encoded as in URLs, then the body."""
    lines = []
    for name, value in event.headers:
        encoded = text.url_encode(value if isinstance(value, str) else joined(value))
        lines.append(f"{name}: {encoded or '_undef_'}\n")
    if event.body:
        lines.append(f"Content-Length: {len(text.to_bytes(event.body))}\n\n{event.body}")
    else:
        lines.append("\n")
    return "".join(lines)


def to_xml(event: Event) -> str:
    """An `event` element with the headers and the body in it."""
    root = xmltree.Element("event")
    headers = root.append("headers")
    for name, value in event.headers:
        for part in (value,) if isinstance(value, str) else value:
            headers.append(name).text = text.url_encode(part)
    if event.body:
        root.append("Content-Length").text = str(len(text.to_bytes(event.body)))
        root.append("body").text = event.body
    return xmltree.to_xml(root)


class _Pairs(list[tuple[str, object]]):
    """An object's pairs, told from an array."""
