"""Which events a client of the event socket asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from freeswitch_zmq.event_names import EVENT_NAMES

from .events import ALL, Event, event_type

__all__ = ["Interest"]

_FORMATS = ("plain", "json", "xml")


class Interest:
    """Types, subclasses and filters; one thread changes it, another asks it.

    Attributes:
        active: Whether events are wanted at all.
        format: `plain`, `json` or `xml`.
    """

    def __init__(self) -> None:
        self.active = False
        self.format = "plain"
        self._all = False
        self._types: frozenset[str] = frozenset()
        self._subclasses: frozenset[str] = frozenset()
        self._filters: tuple[tuple[str, str], ...] = ()
        self._call = ""

    def add(self, words: Sequence[str]) -> bool:
        """Take what stands behind `event`; False when there is no type among it."""
        if words and words[0].lower() in _FORMATS:
            self.format = words[0].lower()
            words = words[1:]
        types, subclasses = _types_of(words)
        self._all = self._all or ALL in types
        self._types |= types
        self._subclasses |= subclasses
        return bool(types)

    def remove(self, words: Sequence[str]) -> bool:
        """Take what stands behind `nixevent`; False when there is no type among it."""
        types, subclasses = _types_of(words)
        if ALL in types:
            self._all, self._types = False, frozenset()
        elif subclasses:
            self._subclasses -= subclasses
        else:
            # All but these; that leaves out the subclasses that were not asked for by their name.
            self._types = (frozenset(EVENT_NAMES) if self._all else self._types) - types
            self._all = False
        return bool(types)

    def clear(self) -> None:
        """Want nothing."""
        self.active = self._all = False
        self._types = self._subclasses = frozenset()
        self._call = ""

    def only_call(self, uuid: str) -> None:
        """Want the events of one call."""
        words = uuid.split()
        self._call = words[0] if words else ""
        self._all = True
        self.format = next((word.lower() for word in words[1:] if word.lower() in _FORMATS), self.format)

    def filter(self, line: str) -> str:
        """Take what stands behind `filter`, and return the reply."""
        name, _, value = line.strip(" ").partition(" ")
        if name.lower() == "delete" and value:
            name, _, value = value.partition(" ")
            if name.lower() == "all":
                self._filters = ()
            else:
                self._filters = tuple(
                    (key, held)
                    for key, held in self._filters
                    if key.lower() != name.lower() or (value and held != value)
                )
            return f"+OK filter deleted. [{name}][{value}]"
        if not value:
            return "-ERR invalid syntax"
        if name.lower() == "add":
            name, _, value = value.partition(" ")
        self._filters = (*self._filters, (name, value))
        return f"+OK filter added. [{name}]=[{value}]"

    def wants(self, event: Event) -> bool:
        """Whether the client gets it."""
        if not (self._all or event.type in self._types):
            return False
        if not self._all and event.type == "CUSTOM" and event.subclass and event.subclass not in self._subclasses:
            return False
        if self._call and self._call not in (event.get("unique-id"), event.get("Job-Owner-UUID")):
            return False
        return not self._filters or self._passes(event)

    def _passes(self, event: Event) -> bool:
        """One that matches is enough, but one with a minus that matches is the end of it."""
        passes = False
        for name, wanted in self._filters:
            value = event.get(name)
            if value is None:
                continue
            comparison = wanted.lstrip("+- ")
            positive = "-" not in wanted[: len(wanted) - len(comparison)].rpartition("+")[2]
            if passes and positive:
                continue
            same = value.lower() == comparison.lower()
            matches = _search(comparison, value) if wanted.startswith("/") else same
            if matches and not positive:
                return False
            passes = passes or matches
        return passes


def _search(expression: str, value: str) -> bool:
    pattern, _, flags = expression[1:].rpartition("/") if "/" in expression[1:] else (expression[1:], "", "")
    try:
        return re.search(pattern, value, re.IGNORECASE if "i" in flags else 0) is not None
    except re.error:
        return False


def _types_of(words: Sequence[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Types, and the subclasses that follow CUSTOM."""
    types: set[str] = set()
    subclasses: set[str] = set()
    for word in words:
        if "CUSTOM" in types:
            subclasses.add(word)
        else:
            type_ = event_type(word)
            if type_ is not None:
                types.add(type_)
    return frozenset(types), frozenset(subclasses)
