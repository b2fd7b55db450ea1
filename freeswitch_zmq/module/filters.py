"""Which events a publisher takes, and what of them: `event-filter`, `event-exclude`, `header-filter`, `fields`.

All raise ValueError with a text that says what is wrong with the value and what would be right.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from re import Pattern

from freeswitch_zmq.event_names import EVENT_NAMES

__all__ = ["EventFilter", "FieldFilter", "HeaderFilter", "closest"]

_PREFIX = "SWITCH_EVENT_"
_SUBCLASS = re.compile(r"CUSTOM(?:\^|::)(.+)", re.IGNORECASE)
_HEADER_FILTER = re.compile(r"([^\s=!~]+)\s*(=|!=|~|!~)(?![=~])\s*(.*)", re.DOTALL)
_CACHE_LIMIT = 10_000


def closest(word: str, known: Sequence[str]) -> str:
    """` (did you mean "…"?)` with the known word that is nearest, or nothing when none is near."""
    near = difflib.get_close_matches(word, known, 1)
    return f' (did you mean "{near[0]}"?)' if near else ""


class EventFilter:
    """Event names and subclasses, comma-separated, with `*` and `?`; `ALL` is everything.

    Args:
        text: such as `CHANNEL_*, HEARTBEAT, CUSTOM^sofia::register`. Empty: nothing matches.
    """

    def __init__(self, text: str) -> None:
        self._all = False
        self._names: set[str] = set()
        self._subclasses: list[Pattern[str]] = []
        self._cache: dict[str, bool] = {}
        for word in (part.strip() for part in text.split(",")):
            if word:
                self._add(word)
            elif text.strip():
                raise ValueError(f'"{text}" has an empty name in it; put single commas between the names')

    def _add(self, word: str) -> None:
        if len(word.split()) > 1:
            raise ValueError(f'"{word}" has a space in it; put commas between the names, a subclass is CUSTOM^name')
        bare = word[len(_PREFIX) :] if word.upper().startswith(_PREFIX) else word
        custom = _SUBCLASS.fullmatch(bare)
        if custom:
            self._subclasses.append(_glob(custom[1]))
        elif "::" in bare:
            self._subclasses.append(_glob(bare))
        elif bare.upper() == "ALL" or not bare.strip("*"):
            self._all = True  # whatever there is, also in a newer FreeSWITCH
        else:
            pattern = _glob(bare.upper())
            names = [name for name in EVENT_NAMES if pattern.fullmatch(name)]
            if not names:
                hint = closest(bare.upper(), EVENT_NAMES) or (
                    "; give names of events such as CHANNEL_ANSWER, and subclasses as CUSTOM^sofia::register"
                )
                raise ValueError(f'FreeSWITCH has no event "{word}"{hint}')
            self._names.update(names)

    def matches(self, name: str, subclass: str | None) -> bool:
        """Whether it takes an event of that name; `subclass` is its Event-Subclass header."""
        if self._all or name in self._names:
            return True
        if name != "CUSTOM" or not subclass or not self._subclasses:
            return False
        known = self._cache.get(subclass)
        if known is None:
            if len(self._cache) >= _CACHE_LIMIT:  # subclasses are made up by whoever sends the event
                self._cache.clear()
            known = any(pattern.fullmatch(subclass) for pattern in self._subclasses)
            self._cache[subclass] = known
        return known


class HeaderFilter:
    """`Header = value`, `Header != value`, `Header ~ regex` (found anywhere in it) or `Header !~ regex`."""

    def __init__(self, text: str) -> None:
        parsed = _HEADER_FILTER.fullmatch(text.strip())
        if not parsed:
            raise ValueError(f'"{text}" is not of the form "Header = value" (or !=, or ~ and !~ with a regex)')
        self.header = parsed[1]
        operator, self._value = parsed[2], parsed[3]
        self._negated = operator.startswith("!")
        self._pattern: Pattern[str] | None = None
        if operator.endswith("~"):
            try:
                self._pattern = re.compile(self._value)
            except (re.error, RecursionError, OverflowError) as error:
                raise ValueError(f'"{self._value}" is not a regular expression that Python takes: {error}') from error

    def holds(self, value: str) -> bool:
        """Whether an event passes whose header has that value (a missing one: the empty string)."""
        hit = value == self._value if self._pattern is None else self._pattern.search(value) is not None
        return hit is not self._negated


class FieldFilter:
    """`fields`: names of headers to keep, comma-separated, with `*` and `?`."""

    def __init__(self, text: str) -> None:
        words = [word.strip() for word in text.split(",")]
        if not all(words):
            raise ValueError(f'"{text}" has an empty name in it; put single commas between the header names')
        # FreeSWITCH looks headers up without regard to case, so do we.
        self._pattern = re.compile("|".join(_glob(word).pattern for word in words), re.IGNORECASE | re.DOTALL)
        self._cache: dict[str, bool] = {}

    def keeps(self, header: str) -> bool:
        """Whether the header of that name stays."""
        known = self._cache.get(header)
        if known is None:
            if len(self._cache) >= _CACHE_LIMIT:
                self._cache.clear()
            known = self._cache[header] = self._pattern.fullmatch(header) is not None
        return known


def _glob(text: str) -> Pattern[str]:
    """A pattern with `*` and `?`; fnmatch would take `[` for something special too."""
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in text), re.DOTALL)
