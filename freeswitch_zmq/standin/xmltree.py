"""XML as FreeSWITCH reads and prints it: its parser is a lenient one of its own, and so are its messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Callable

__all__ = ["Element", "XmlError", "parse", "to_xml"]

_BLANK = " \t\r\n"
_SPACE = _BLANK + "\v\f"
_ERROR_LENGTH = 127
_REFERENCE = re.compile(r"&(?:#(x[0-9a-fA-F]+|[0-9]+)|(lt|gt|quot|apos|amp));")
_NAMED = {"lt": "<", "gt": ">", "quot": '"', "apos": "'", "amp": "&"}
_IN_TEXT = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"}
_IN_ATTRIBUTE = {**_IN_TEXT, '"': "&quot;", "\n": "&#xA;", "\t": "&#x9;"}


class XmlError(Exception):
    """It is not well-formed, in FreeSWITCH's words."""


@dataclass
class Element:
    """An element; its own text is one string, and each child knows where in that it stood.

    Attributes:
        name: Its tag.
        attributes: Of two with one name the first counts.
        text: All text directly in it.
        children: In their order.
        offset: Where in the parent's text it stands.
    """

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: list[Element] = field(default_factory=list)
    offset: int = 0

    def append(self, name: str) -> Element:
        """Add a child behind the text so far."""
        child = Element(name, offset=len(self.text))
        self.children.append(child)
        return child

    def each(self, name: str) -> Iterator[Element]:
        """The children of that name."""
        return (child for child in self.children if child.name == name)

    def first(self, name: str) -> Element | None:
        """The first child of that name."""
        return next(self.each(name), None)

    def find(self, name: str | None, attribute: str | None, value: str | None) -> Element | None:
        """The first child of that name whose attribute has that value in any case; itself when one of them is None."""
        if name is None or attribute is None or value is None:
            return self
        for child in self.each(name):
            if child.attributes.get(attribute, "\0").lower() == value.lower():
                return child
        return None

    def params(self) -> Iterator[tuple[str, str]]:
        """Name and value of each `param` in it."""
        for child in self.each("param"):
            yield child.attributes.get("name", ""), child.attributes.get("value", "")


def parse(source: str) -> Element:
    """Read one document.

    Raises:
        XmlError: It is not well-formed; the line is FreeSWITCH's count, which is often near the place only.
    """
    return _Parser(source).run()


class _Parser:
    def __init__(self, source: str) -> None:
        # The last character is known only to be a ">" or not: the C parser puts its end mark there.
        self._text = source[:-1]
        self._closed = source.endswith(">")
        self._root: Element | None = None
        self._open: list[Element] = []
        self._forgotten: list[int] = []  # Line breaks that the C parser overwrites, and so does not count.

    def run(self) -> Element:
        at = self._text.find("<")
        if at < 0:
            raise self._error(len(self._text), "root tag missing")
        start = at + 1
        while True:
            start = at + 1
            at = self._markup(start)
            if at >= len(self._text):
                break
            start = at + 1
            following = self._text.find("<", start)
            if following < 0:
                break
            self._content(self._text[start:following], _decode)
            at = following
        if self._open:
            raise self._error(start, f"unclosed tag <{self._open[-1].name}>")
        if self._root is None:
            raise self._error(start, "root tag missing")
        return self._root

    def _markup(self, start: int) -> int:
        """Read what begins with the `<` before `start`, and return where its last character is."""
        char = self._char(start)
        text = self._text
        if char and ((char.isascii() and (char.isalpha() or char in "_:")) or not char.isascii()):
            return self._tag(start)
        if char == "/":
            return self._end_tag(start)
        if text.startswith("!--", start):
            at = text.find("--", start + 3)
            if at < 0 or (self._char(at + 2) or (">" if self._closed else "")) != ">":
                raise self._error(start, "unclosed <!--")
            return at + 2
        if text.startswith("![CDATA[", start):
            at = text.find("]]>", start)
            if at < 0:
                raise self._error(start, "unclosed <![CDATA[")
            self._content(text[start + 8 : at], _normal_lines)
            return at + 2
        if text.startswith("!DOCTYPE", start):
            found = re.compile(r"[^\[>]*(?:\[.*?\][ \t\r\n]*)?(?=>|$)", re.DOTALL).match(text, start)
            at = found.end() if found else len(text)
            if at >= len(text) and not self._closed:
                raise self._error(start, "unclosed <!DOCTYPE")
            return at
        if char == "?":
            at = text.find("?>", start)
            if at < 0 and not (self._closed and text.endswith("?")):
                raise self._error(start, "unclosed <?")
            return len(text) if at < 0 else at + 1
        raise self._error(start, "unexpected <")

    def _tag(self, start: int) -> int:
        if self._root is not None and not self._open:
            raise self._error(start, "markup outside of root element")
        at = self._until(start, _BLANK + "/>")
        element = Element(self._text[start:at])
        at = self._skip_blanks(at, forget=True)
        while self._char(at) not in ("", "/", ">"):
            name_end = self._until(at, _BLANK + "=/>")
            name, value = self._text[at:name_end], ""
            at = name_end
            if self._char(at) == "=" or (self._char(at) in _SPACE and self._char(at)):
                self._forget(at)
                at += 1
                while self._char(at) and self._char(at) in _BLANK + "=":
                    at += 1
                mark = self._char(at)
                if mark and mark in "\"'":
                    end = self._text.find(mark, at + 1)
                    if end < 0:
                        raise self._error(start, f"missing {mark}")
                    value = _decode_attribute(self._text[at + 1 : end])
                    at = end + 1
            element.attributes.setdefault(name, value)
            at = self._skip_blanks(at)
        char = self._char(at)
        if char == "/":
            at += 1
            if (self._char(at) or (">" if self._closed else "")) != ">":
                raise self._error(start, "missing >")
            self._begin(element)
            self._open.pop()
        elif char == ">" or self._closed:
            self._begin(element)
        else:
            raise self._error(start, "missing >")
        return at

    def _end_tag(self, start: int) -> int:
        at = self._until(start + 1, _BLANK + ">")
        if at >= len(self._text) and not self._closed:
            raise self._error(start + 1, "missing >")
        name = self._text[start + 1 : at]
        if not self._open or self._open[-1].name != name:
            raise self._error(at, f"unexpected closing tag </{name}>")
        self._open.pop()
        return self._skip_blanks(at)

    def _begin(self, element: Element) -> None:
        if self._open:
            element.offset = len(self._open[-1].text)
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)

    def _content(self, content: str, decode: Callable[[str], str]) -> None:
        if self._open and content:
            self._open[-1].text += decode(content)

    def _char(self, at: int) -> str:
        return self._text[at : at + 1]

    def _until(self, at: int, ends: str) -> int:
        while at < len(self._text) and self._text[at] not in ends:
            at += 1
        return at

    def _skip_blanks(self, at: int, forget: bool = False) -> int:
        while at < len(self._text) and self._text[at] in _SPACE:
            if forget:
                self._forget(at)
            at += 1
        return at

    def _forget(self, at: int) -> None:
        if self._text[at] == "\n":
            self._forgotten.append(at)

    def _error(self, at: int, message: str) -> XmlError:
        line = 1 + self._text.count("\n", 0, at) - sum(1 for place in self._forgotten if place < at)
        return XmlError(f"[error near line {line}]: {message}"[:_ERROR_LENGTH])


def _normal_lines(value: str) -> str:
    return value.replace("\r\n", "\n").replace("\r", "\n")


def _decode(value: str) -> str:
    return _REFERENCE.sub(_decode_one, _normal_lines(value)) if "&" in value or "\r" in value else value


def _decode_attribute(value: str) -> str:
    return _REFERENCE.sub(_decode_one, re.sub(r"[ \t\n\v\f]", " ", _normal_lines(value)))


def _decode_one(found: re.Match[str]) -> str:
    number, name = found.groups()
    if name is not None:
        return _NAMED[name]
    code = int(number[1:], 16) if number[0] == "x" else int(number)
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else found.group()


def to_xml(element: Element) -> str:
    """Print it indented, as FreeSWITCH does: its own blanks are kept beside the new ones."""
    out = _Out()
    _print(element, "", 0, out)
    return "".join(out.parts)


class _Out:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.last = ""

    def add(self, part: str) -> None:
        if part:
            self.parts.append(part)
            self.last = part[-1]


def _print(element: Element, before: str, depth: int, out: _Out) -> None:
    out.add(_encode(before, _IN_TEXT))
    if out.last == ">":
        out.add("\n")
    out.add("  " * depth + "<" + element.name)
    for name, value in element.attributes.items():
        out.add(f' {name}="{_encode(value, _IN_ATTRIBUTE)}"')
    out.add(">")
    at = 0
    for child in element.children:
        # Where no text stands between two, the C code prints all that follows, and later once more.
        _print(child, element.text[at : child.offset] or element.text[at:], depth + 1, out)
        at = child.offset
    out.add(_encode(element.text[at:], _IN_TEXT))
    if out.last == "\n":
        out.add("  " * depth)
    out.add(f"</{element.name}>\n")


def _encode(value: str, table: dict[str, str]) -> str:
    # What follows a "<!" goes out as it is: comments are kept that way.
    plain, mark, rest = value.partition("<!")
    if plain.isascii() and not any(char in plain for char in table):
        return value
    return "".join([table.get(char) or _encode_char(char) for char in plain]) + mark + rest


def _encode_char(char: str) -> str:
    if char < "\x80":
        return char
    return "" if "\ud800" <= char <= "\udfff" else f"&#x{ord(char):X};"
