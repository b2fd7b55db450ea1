"""Patterns with `*` (any characters) and `?` (one), matched in time that grows with the text alone. No I/O."""

from __future__ import annotations

import re

__all__ = ["Glob", "has_wildcard"]


def has_wildcard(text: str) -> bool:
    """Whether a text is a pattern."""
    return "*" in text or "?" in text


class Glob:
    """A pattern; nothing but `*` and `?` is special in it.

    One regular expression with a `.*` for each star would try every way to share a text among the stars. What stands
    between two stars can be taken where it is found first, because the next star can pass over the rest.
    """

    def __init__(self, pattern: str) -> None:
        head, *rest = pattern.split("*")
        self._head = _Piece(head)
        self._middle = [_Piece(text) for text in rest[:-1]]
        self._tail = _Piece(rest[-1]) if rest else None

    def matches(self, text: str) -> bool:
        """Whether it is the whole text."""
        if not self._head.at(text, 0):
            return False
        end = self._head.length
        if self._tail is None:
            return end == len(text)
        for piece in self._middle:
            end = piece.find(text, end)
            if end < 0:
                return False
        start = len(text) - self._tail.length
        return start >= end and self._tail.at(text, start)

    def may_go_on(self, text: str) -> bool:
        """Whether a longer text that begins with this one could match, with no space behind it."""
        if self._head.length <= len(text):
            return self._tail is not None and self._head.at(text, 0)
        return _Piece(self._head.text[: len(text)]).at(text, 0) and self._head.text[len(text)] != " "


class _Piece:
    """What stands before, between or behind stars: as long as what it matches."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.length = len(text)
        self._compiled = re.compile("".join("." if char == "?" else re.escape(char) for char in text), re.DOTALL)

    def at(self, text: str, position: int) -> bool:
        return self._compiled.match(text, position) is not None

    def find(self, text: str, position: int) -> int:
        """The end of its first place from there on, or -1."""
        found = self._compiled.search(text, position)
        return found.end() if found else -1
