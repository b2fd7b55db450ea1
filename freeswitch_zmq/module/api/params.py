"""Reading the params of a request. What is wrong with them is told with code -32602."""

from __future__ import annotations

from typing import Any, Optional

from freeswitch_zmq.jsonrpc import INVALID_PARAMS, Call, RpcError
from freeswitch_zmq.module.filters import closest
from freeswitch_zmq.spelling import BLANKS, is_whole, shown

__all__ = ["Params", "check_line", "check_list", "check_no_list", "wrong"]

_LINE_BREAKS = ("\0", "\n", "\r")

_LIST = "ARRAY::"
_IN_LIST_AT_MOST = 200
"""FreeSWITCH makes a list of a header that begins so, split at `|:`. It writes the list anew for each part, and again
for each copy of the event: 15,000 parts kept it from delivering any event for two seconds (seen)."""


def wrong(text: str) -> RpcError:
    """The error for params that can't be used."""
    return RpcError(INVALID_PARAMS, text)


class Params:
    """The params of a call, by name.

    Args:
        call: the request.
        known: the names that its method takes.

    Raises:
        RpcError: they are not given by name, or one is unknown.
    """

    def __init__(self, call: Call, *known: str) -> None:
        given = call.params
        if isinstance(given, list):
            if given:
                raise wrong(f"params are given by name, as an object: {', '.join(known)}")
            given = {}
        for name in given:
            if name not in known:
                hint = closest(name[:40], known) if name.isprintable() else ""
                takes = f"; known are: {', '.join(known)}" if known else "; it takes none"
                raise wrong(f'{call.method} has no param "{shown(name)}"{hint or takes}')
        self._given: dict[str, Any] = given

    def __contains__(self, name: str) -> bool:
        return self._given.get(name) is not None

    def text(self, name: str, default: Optional[str] = None) -> str:
        """A string that FreeSWITCH can be given: without NULs, in whole characters."""
        value = self._value(name, default)
        if not isinstance(value, str):
            raise wrong(f'"{name}" is a string')
        if "\0" in value or not is_whole(value):
            raise wrong(f'"{name}" has a NUL or half a character in it')
        return value

    def line(self, name: str, default: Optional[str] = None) -> str:
        """The same, and without line breaks."""
        value = self.text(name, default)
        check_line(value, f'"{name}"')
        return value

    def raw_text(self, name: str) -> str:
        """A string, whatever is in it."""
        value = self._value(name, None)
        if not isinstance(value, str):
            raise wrong(f'"{name}" is a string')
        return value

    def whole(self, name: str, default: Optional[int] = None) -> int:
        """A whole number from 1, as a number or as the decimal string that events have it in."""
        value = self._value(name, default)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise wrong(f'"{name}" is a whole number from 1')
        return value

    def seconds(self, name: str, default: float, most: float) -> float:
        """A time."""
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= most:
            raise wrong(f'"{name}" is a number of seconds, more than 0 and at most {most:g}')
        return float(value)

    def names(self, name: str) -> Optional[list[str]]:
        """A list of strings, None when it isn't there."""
        value = self._given.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise wrong(f'"{name}" is an array of strings')
        return value

    def texts(self, name: str) -> dict[str, str]:
        """An object of strings; empty when it isn't there."""
        value = self._given.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise wrong(f'"{name}" is an object whose values are strings')
        return value

    def _value(self, name: str, default: object) -> Any:
        value = self._given.get(name)
        if value is None:
            value = default
        if value is None:
            raise wrong(f'"{name}" is missing')
        return value


def check_line(value: str, what: str) -> None:
    """Raises the error when it can't be given to FreeSWITCH as one line."""
    if any(char in value for char in _LINE_BREAKS) or not is_whole(value):
        raise wrong(f"{what} has a line break, a NUL or half a character in it")


def check_no_list(value: str, what: str) -> None:
    """Raises the error when FreeSWITCH would make a list of it where it tells of it in an event.

    Then it tells something else than it was given, by which nobody knows it again (`commands.Commands`).
    """
    if value.lstrip(BLANKS).startswith(_LIST):
        raise wrong(f"{what} begins with {_LIST}, which FreeSWITCH takes for a list")


def check_list(value: str, what: str) -> None:
    """Raises the error when it is a list that FreeSWITCH has too much work with."""
    if value.startswith(_LIST) and value.count("|:") >= _IN_LIST_AT_MOST:
        raise wrong(f"{what} is a list of more than {_IN_LIST_AT_MOST} values")
