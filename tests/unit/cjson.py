"""Events as FreeSWITCH's cJSON writes them, made without Python's json so that the two can't share a mistake."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Union

Value = Union[str, Sequence[str]]
Pairs = list[tuple[str, Value]]

_ESCAPES = {code: f"\\u{code:04x}" for code in range(1, 32)}
_ESCAPES.update({ord(char): "\\" + escape for char, escape in zip('"\\\b\f\n\r\t', '"\\bfnrt')})


def as_cjson(headers: Iterable[tuple[str, Value]], body: str | None = None) -> str:
    """One object without blanks, in the order of the headers; names that are there twice stay twice."""
    pairs: Pairs = list(headers)
    if body is not None:
        pairs += [("Content-Length", str(len(body.encode("utf-8", "surrogateescape")))), ("_body", body)]
    return "{" + ",".join(f"{_quote(name)}:{_value(value)}" for name, value in pairs) + "}"


def from_c(data: bytes) -> str:
    """A C string as mod_python3 hands it over: bytes that are not UTF-8 become surrogate escapes."""
    return data.decode("utf-8", "surrogateescape")


def as_seen(text: str) -> str:
    """What a subscriber is to see of such a string: U+FFFD in the place of what is not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _value(value: Value) -> str:
    return _quote(value) if isinstance(value, str) else "[" + ",".join(map(_quote, value)) + "]"


def _quote(text: str) -> str:
    return '"' + text.translate(_ESCAPES) + '"'
