"""How FreeSWITCH's C code reads text: numbers, truth, words, bytes that are not UTF-8."""

from __future__ import annotations

import re

__all__ = ["atoi", "is_number", "is_true", "separate", "strip", "to_bytes", "to_text", "url_encode"]

_SPACES = "\r\n\t \v"
_ATOI = re.compile(r"\s*([+-]?\d+)")
_TRUE = frozenset(("yes", "on", "true", "t", "enabled", "active", "allow"))
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "s": " "}
_URL_UNSAFE = frozenset(b'\r\n #%&+:;<=>?@[\\]^`{|}"')
_URL_SAFE = re.compile(r"[!$'-*,-9A-Z_a-z~]*")
_URL_TABLE = [chr(byte) if 0x20 <= byte <= 0x7E and byte not in _URL_UNSAFE else f"%{byte:02X}" for byte in range(256)]
_HEX = frozenset("0123456789ABCDEF")


def to_text(data: bytes) -> str:
    """Bytes of the switch as Python has them: what is not UTF-8 becomes surrogates."""
    return data.decode("utf-8", "surrogateescape")


def to_bytes(value: str) -> bytes:
    """The reverse of :func:`to_text`."""
    return value.encode("utf-8", "surrogateescape")


def strip(value: str) -> str:
    """Without the blanks around it that FreeSWITCH takes away before it runs a command."""
    return value.strip(_SPACES)


def is_number(value: str) -> bool:
    """Whether it is digits, with a sign and a point at most."""
    return re.fullmatch(r"[+-]?[0-9.]*", value) is not None and value != ""


def atoi(value: str) -> int:
    """The number that it begins with, else 0."""
    found = _ATOI.match(value)
    return int(found.group(1)) if found else 0


def is_true(value: str | None) -> bool:
    """Whether FreeSWITCH takes it for a yes."""
    if value is None:
        return False
    return value.lower() in _TRUE or (is_number(value) and atoi(value) != 0)


def url_encode(value: str) -> str:
    """As events in the plain format have their values; what looks encoded already stays as it is."""
    if _URL_SAFE.fullmatch(value):
        return value
    data = to_bytes(value)
    out = []
    for at, byte in enumerate(data):
        if byte == 0x25 and len(data) - at > 2 and chr(data[at + 1]) in _HEX and chr(data[at + 2]) in _HEX:
            out.append("%")
        else:
            out.append(_URL_TABLE[byte])
    return "".join(out)


def separate(value: str, delimiter: str = " ", most: int = 10) -> list[str]:
    """Split arguments: quotes hold together, a backslash escapes, `^^;` in front names another delimiter.

    Args:
        value: What to split.
        delimiter: One character; several blanks in a row count as one.
        most: How many parts at most; the last one keeps the rest.
    """
    if value.startswith("^^") and len(value) > 3:
        delimiter, value = value[2], value[3:]
    parts: list[str] = []
    at = 0
    while at < len(value) and len(parts) < most - 1:
        end = _end_of_part(value, at, delimiter)
        parts.append(value[at:end])
        at = end + 1
        if delimiter == " ":
            while at < len(value) and value[at] == " ":
                at += 1
    if at < len(value):
        parts.append(value[at:])
    return [_clean(part, "" if delimiter == " " else delimiter) for part in parts]


def _end_of_part(value: str, at: int, delimiter: str) -> int:
    quoted = False
    if delimiter == " ":
        while at < len(value) and value[at] == " ":
            at += 1
    while at < len(value):
        char = value[at]
        if char == "\\":
            at += 1
        elif char == "'" and (delimiter == " " or quoted or "'" in value[at + 1 :]):
            quoted = not quoted
        elif char == delimiter and not quoted:
            break
        at += 1
    return min(at, len(value))


def _clean(part: str, delimiter: str) -> str:
    """Take away quotes, escapes and the blanks around it."""
    out: list[str] = []
    end = -1
    quoted = False
    at = 0
    part = part.lstrip(" ")
    while at < len(part):
        char = part[at]
        following = part[at + 1 : at + 2]
        if char == "\\" and following and (following in "'\"\\" or following == delimiter or following in _ESCAPED):
            out.append(_ESCAPED.get(following, following))
            end = len(out)
            at += 1
        elif char == "'" and (quoted or "'" in part[at + 1 :]):
            quoted = not quoted
            if quoted:
                end = len(out)
        else:
            out.append(char)
            if char != " " or quoted:
                end = len(out)
        at += 1
    return "".join(out if end < 0 else out[:end])
