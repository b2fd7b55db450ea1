"""Events: what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Union

from freeswitch_zmq.event_names import EVENT_NAMES

from . import text

__all__ = ["ALL", "Event", "Value", "event_type", "joined"]

Value = Union[str, tuple[str, ...]]
ALL = "ALL"
_TYPES = {name: name for name in (*EVENT_NAMES, ALL)}
_UNIQUE = frozenset(("REQUEST_PARAMS", "CHANNEL_DATA", "MESSAGE"))


def event_type(name: str) -> str | None:
    """The type that `name` means, in any case and with or without `SWITCH_EVENT_` before it."""
    upper = name.upper()
    return _TYPES.get(upper) or _TYPES.get(upper[13:])


class Event:
    """Headers in their order, names looked up in any case, and a body.

    Attributes:
        type: One of FreeSWITCH's event names.
        headers: Pairs of name and value; a value with several parts is a tuple.
        body: The body, None for none.
        subclass: Of a CUSTOM event.
        unique: Whether a header takes the place of one of its name.
    """

    __slots__ = ("_odd", "body", "headers", "subclass", "type", "unique")

    def __init__(
        self,
        type_: str,
        headers: Iterable[tuple[str, Value]] = (),
        body: str | None = None,
        subclass: str | None = None,
    ) -> None:
        self.type = type_
        self.headers = list(headers)
        self.body = body
        self.subclass = subclass
        self.unique = type_ in _UNIQUE
        self._odd = False  # Whether a copy may differ: parts of values, or an Event-Subclass that somebody added.

    def copy(self) -> Event:
        """What each subscriber gets: the same, but for Event-Subclass, which stands first."""
        headers, subclass = self.headers, self.subclass
        if not self._odd:
            if subclass is not None:
                first: tuple[str, Value] = ("Event-Subclass", subclass)
                at = headers.index(first)
                headers = [first, *headers[:at], *headers[at + 1 :]]
            return Event(self.type, headers, self.body, subclass)
        # Parts are added one by one, which loses empty ones in front and joins those of one name.
        copy = Event(self.type, (), self.body, subclass)
        if subclass is not None:
            headers = [("Event-Subclass", subclass), *(each for each in headers if each[0] != "Event-Subclass")]
        for name, value in headers:
            if isinstance(value, str):
                copy.add(name, value)
            else:
                for part in value:
                    copy.push(name, part)
        return copy

    def get(self, name: str) -> str | None:
        """The first value of `name`; several parts as FreeSWITCH writes them in one; `_body` is the body."""
        for header, value in self.headers:
            if header == name:
                return value if isinstance(value, str) else joined(value)
        lower = name.lower()
        for header, value in self.headers:
            if header.lower() == lower:
                return value if isinstance(value, str) else joined(value)
        return self.body if name == "_body" else None

    def parts(self, name: str) -> tuple[str, ...]:
        """The parts of a value that has several, else nothing."""
        for header, value in self.headers:
            if header.lower() == name.lower():
                return () if isinstance(value, str) else value
        return ()

    def add(self, name: str, value: str, top: bool = False) -> None:
        """Add a header; an empty value takes the name away, `NAME[2]` sets a part, `ARRAY::a|:b` adds parts."""
        if name == "_body":
            self.body = value
        elif name == "Event-Subclass":
            self._odd = True
        if "[" in name:
            self._set_part(name, value)
            return
        if not value or self.unique:
            self.delete(name)
        if not value:
            return
        if value.startswith("ARRAY::"):
            for part in value[7:].split("|:"):
                self.push(name, part)
            return
        self.headers.insert(0 if top else len(self.headers), (name, value))

    def push(self, name: str, part: str) -> None:
        """Add one part to the value of `name`."""
        self._odd = True
        for at, (header, value) in enumerate(self.headers):
            if header.lower() == name.lower():
                self.headers[at] = (header, ((value,) if isinstance(value, str) else value) + (part,))
                return
        if part:
            self.headers.append((name, (part,)))

    def delete(self, name: str) -> bool:
        """Take away every header of that name, and say whether there was one."""
        lower = name.lower()
        kept = [header for header in self.headers if header[0].lower() != lower]
        if len(kept) == len(self.headers):
            return False
        self._odd = self._odd or lower == "event-subclass"
        self.headers = kept
        return True

    def set_subclass(self, subclass: str) -> None:
        """Make it an event of that subclass."""
        self.subclass = subclass
        self.delete("Event-Subclass")
        self.headers.append(("Event-Subclass", subclass))

    def _set_part(self, name: str, value: str) -> None:
        base, _, rest = name.partition("[")
        index = text.atoi(rest)
        if not 0 <= index <= 4000:
            return
        self._odd = True
        for at, (header, old) in enumerate(self.headers):
            if header.lower() == base.lower():
                parts = [] if isinstance(old, str) else list(old)
                parts += [""] * (index + 1 - len(parts))
                parts[index] = value
                self.headers[at] = (header, tuple(parts))
                return
        self.headers.append((base, ("",) * index + (value,)))


def joined(parts: Sequence[str]) -> str:
    """Several parts as one value."""
    return parts[0] if len(parts) == 1 else "ARRAY::" + "|:".join(parts)
