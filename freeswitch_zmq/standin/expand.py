"""`${variable}`, `$${global}` and `${command(arguments)}` in texts."""

from __future__ import annotations

from typing import Callable, Optional

from . import text

__all__ = ["expand"]

Lookup = Callable[[str], Optional[str]]
Run = Callable[[str, str], str]
_DEEPEST = 100


def expand(source: str, local: Lookup, parts: Callable[[str], tuple[str, ...]], shared: Lookup, run: Run) -> str:
    """Put in what the text refers to.

    Args:
        source: The text.
        local: A variable of the call or event.
        parts: The parts of one that has several.
        shared: A global variable.
        run: Runs a command and returns what it prints.
    """
    return _Expander(local, parts, shared, run).expand(source, 0)


class _Expander:
    def __init__(self, local: Lookup, parts: Callable[[str], tuple[str, ...]], shared: Lookup, run: Run) -> None:
        self._local, self._parts, self._shared, self._run = local, parts, shared, run

    def expand(self, source: str, depth: int) -> str:
        if depth > _DEEPEST or not ("$" in source or "\\" in source):
            return source
        out: list[str] = []
        at = 0
        while at < len(source):
            if source[at] == "\\" and source[at + 1 : at + 2] in ("$", "'", "\\"):
                following = source[at + 1]
                if following == "$":
                    # The dollar stays, and means nothing.
                    end = at + 3 if source[at + 2 : at + 3] == "$" else at + 2
                    out.append("$")
                    at = end
                else:
                    out.append(following if following == "\\" else "")
                    at += 2
                continue
            size = 3 if source.startswith("$${", at) else 2 if source.startswith("${", at) else 0
            end = _closing(source, at + size) if size else -1
            if end < 0:
                out.append(source[at])
                at += 1
                continue
            out.append(self._value(source[at + size : end], size == 3, depth))
            at = end + 1
        return "".join(out)

    def _value(self, inner: str, shared: bool, depth: int) -> str:
        cut = next((at for at, char in enumerate(inner) if char in " ("), -1)
        if cut >= 0 and not shared:
            name = self.expand(inner[:cut].rstrip(" "), depth + 1)
            rest = inner[cut + 1 :]
            if inner[cut] == "(":
                rest = rest[: _end_of_arguments(rest)]
            return self._run(name, self.expand(rest, depth + 1))
        name = self.expand(inner, depth + 1)
        name, colon, numbers = name.partition(":")
        value: str | None = None
        if not shared:
            base, bracket, index = name.partition("[")
            if bracket and "]" in index:
                name = base
                own = self._parts(base)
                place = text.atoi(index)
                value = own[place] if 0 <= place < len(own) else None
            else:
                value = self._local(name)
        if value is None:
            value = self._shared(name)
            if value is not None:
                value = self.expand(value, depth + 1)
        return _cut(value or "", numbers) if colon else value or ""


def _cut(value: str, numbers: str) -> str:
    first, _, second = numbers.partition(":")
    offset, length = text.atoi(first), text.atoi(second)
    if offset >= 0 or -offset <= len(value):
        value = value[offset:]
    return value[:length] if 0 < length < len(value) else value


def _closing(source: str, at: int) -> int:
    depth = 1
    for place in range(at, len(source)):
        depth += {"{": 1, "}": -1}.get(source[place], 0)
        if depth == 0:
            return place
    return -1


def _end_of_arguments(rest: str) -> int:
    depth = 1
    for place, char in enumerate(rest):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth == 0:
            return place
    return len(rest)
