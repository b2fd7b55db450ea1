"""FreeSWITCH XML documents that came from elsewhere, checked before FreeSWITCH's own parser sees them. No I/O.

That parser is lenient, and frees and prints documents by recursion on small stacks; a document that is deep or defines
entities could end the switch.
"""

from __future__ import annotations

from typing import Optional
from xml.parsers import expat

from freeswitch_zmq.spelling import is_whole, shown

__all__ = ["DEPTH_AT_MOST", "WIDTH_AT_MOST", "check_document"]

DEPTH_AT_MOST = 100

WIDTH_AT_MOST = 10_000
"""Elements in one, or fewer in several. FreeSWITCH goes through all of them for each one more, and looks up nothing
else meanwhile: so many take it half a second, 40,000 eight (1.11.2)."""

_STEPS_AT_MOST = WIDTH_AT_MOST * (WIDTH_AT_MOST + 1) // 2


def check_document(text: object, section: str, bytes_at_most: int) -> Optional[bytes]:
    """The document in UTF-8 as it can be given to FreeSWITCH, or None when it says "not found".

    Args:
        text: `<document type="freeswitch/xml">` with a `<section>` of that name in it.
        section: which was asked for.
        bytes_at_most: its size.

    Raises:
        ValueError: it is none; the text says what is wrong.
    """
    if not isinstance(text, str):
        raise ValueError('"xml" is no string')
    if not is_whole(text) or "\0" in text:
        raise ValueError('"xml" has a NUL or half a character in it')
    encoded = text.strip().encode()
    if len(encoded) > bytes_at_most:
        raise ValueError(f"the document has {len(encoded)} bytes; response-max-bytes is {bytes_at_most}")
    found = _Look()
    found.parse(encoded)
    if "result" in found.sections and found.not_found:
        return None
    if section not in found.sections:
        raise ValueError(f'the document has no <section name="{section}">')
    return encoded


class _Look:
    """What stands at the top of a document."""

    def __init__(self) -> None:
        self.sections: list[str] = []
        self.not_found = False
        self._children: list[int] = []
        self._steps = 0
        self._parser = parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._doctype

    def parse(self, encoded: bytes) -> None:
        try:
            self._parser.Parse(encoded, True)
        except expat.ExpatError as error:
            raise ValueError(f"the document is not well-formed: {error}") from None

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        depth = len(self._children)
        if depth:
            self._children[-1] += 1
            self._steps += self._children[-1]
        if self._steps > _STEPS_AT_MOST:
            raise ValueError(f"the document has more than {WIDTH_AT_MOST} elements in one, or too many in several")
        if depth >= DEPTH_AT_MOST:
            raise ValueError(f"the document is nested deeper than {DEPTH_AT_MOST} levels")
        if depth == 0 and tag != "document":
            raise ValueError(f"the document begins with <{shown(tag)}> instead of <document>")
        if depth == 1 and tag == "section":
            self.sections.append(attributes.get("name", ""))
        if depth == 2 and tag == "result" and attributes.get("status") == "not found":
            self.not_found = True
        self._children.append(0)

    def _end(self, _tag: str) -> None:
        self._children.pop()

    def _doctype(self, *_: object) -> None:
        raise ValueError("the document has a DOCTYPE; leave it out")
