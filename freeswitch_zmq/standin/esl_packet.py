"""What a client of the event socket sends: a command, headers and perhaps a body."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

from . import text

__all__ = ["Packet", "read_packet"]

_LONGEST_HEAD = 10 * 1024 * 1024
_LONGEST_BODY = 16 * 1024 * 1024


class Packet(NamedTuple):
    """One command.

    Attributes:
        command: Its first line.
        headers: Names and values in their order; a value may be empty.
        body: None when there is none.
    """

    command: str
    headers: tuple[tuple[str, str], ...]
    body: str | None

    def header(self, name: str) -> str | None:
        """The first value of that name, in any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def read_packet(source: BinaryIO) -> Packet | None:
    """The next command; None when the client has gone, or sends what no client would."""
    lines: list[str] = []
    size = 0
    while True:
        raw = source.readline(_LONGEST_HEAD)
        size += len(raw)
        if not raw or size > _LONGEST_HEAD:
            return None
        line = text.to_text(raw.partition(b"\r")[0].rstrip(b"\n")).partition("\0")[0]
        if line:
            lines.append(line)
        elif lines:
            break
    headers: list[tuple[str, str]] = []
    body: str | None = None
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            continue
        value = value.lstrip(" ")
        headers.append((name, value))
        if name.lower() == "content-length":
            length = text.atoi(value)
            if not 0 <= length <= _LONGEST_BODY:
                return None
            if length:
                data = source.read(length)
                if len(data) < length:
                    return None
                body = text.to_text(data).partition("\0")[0]
    return Packet(lines[0], tuple(headers), body)
