"""The only file that imports `freeswitch`: what the module asks of the switch, and what must be known about asking.

All calls of the wrapper but `pop` hold the GIL, so those that may wait for FreeSWITCH go past it: `_WithoutGil`.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping
from typing import Any, Callable

import freeswitch

from freeswitch_zmq.errors import HostError
from freeswitch_zmq.wire import to_utf8

__all__ = [
    "Consumer",
    "Event",
    "channel_data",
    "clean",
    "fire",
    "in_list",
    "instant",
    "log",
    "parse_event",
    "running",
]

INSTANT = ("bgapi", "fsctl", "create_uuid", "global_getvar")

Event = Any
"""`freeswitch.Event`: getType(), getHeader(name), getBody(), serialize("json")."""


def log(level: str, text: str) -> None:
    """A line in FreeSWITCH's log.

    Args:
        level: ERR, WARNING, NOTICE, INFO or DEBUG.
        text: one line.
    """
    freeswitch.consoleLog(level, f"event_zmq: {clean(text)}\n")


def clean(text: str) -> str:
    """A text that can be handed to FreeSWITCH: its wrappers raise at lone surrogates, and stop at a NUL."""
    return text.replace("\0", "\\0").encode("utf-8", "replace").decode()


def running() -> bool:
    """False as soon as the switch's shutdown has begun; nobody but the switch can make it so."""
    return bool(freeswitch.running())


def instant(command: str) -> str:
    """Runs an API command in this thread and gives its output.

    Only for the commands that return at once and look nothing up, INSTANT; the others go through `commands.Commands`.
    Where it has to hold the GIL, any other could hang all Python of the switch for good, because it may wait for a
    thread that waits for the GIL.
    """
    if command.split(" ", 1)[0] not in INSTANT:
        raise ValueError(f'"{command}" may not be run under the GIL')
    api = freeswitch.API()
    if _without_gil is None:
        return api.executeString(command) or ""
    output = _without_gil.execute(int(api.this), command.encode())
    try:
        return ctypes.string_at(output).decode("utf-8", "surrogateescape") if output else ""
    finally:
        _without_gil.free(output)


def in_list(address: str, name: str) -> bool | None:
    """Whether FreeSWITCH's access list of that name has the address; false too when there is no such list.

    Waits while `reloadacl` runs, without the GIL. None: this FreeSWITCH can't be asked that way; then the command
    `acl` has to do.

    Args:
        address: one that was parsed: of garbage FreeSWITCH may say that a list has it.
        name: of a list, not a network.
    """
    if _without_gil is None:
        return None
    return bool(_without_gil.in_list(address.encode(), name.encode(), None))


def fire(name: str, subclass: str, headers: Mapping[str, str], body: str) -> bool:
    """Sends an event. Whether FreeSWITCH took it.

    Waits, without the GIL, when FreeSWITCH's queue of events is full.

    Args:
        name: one that FreeSWITCH has.
        subclass: of a CUSTOM event, else empty.
        headers: without line breaks, and none that FreeSWITCH adds itself.
        body: empty: none.
    """
    event = freeswitch.Event(name, subclass) if subclass else freeswitch.Event(name)
    for header, value in headers.items():
        event.addHeader(header, value)
    if body:
        event.addBody(body)
    if _without_gil is None:
        return bool(event.fire())
    return bool(_without_gil.fire(int(event.this)))


def channel_data(session: Any) -> Mapping[str, Any] | None:
    """The headers that describe a call now, its variables among them as `variable_NAME`.

    In the call's own thread. None: this FreeSWITCH can't be asked that way; then the command `uuid_dump` has to do.

    Args:
        session: mod_python3's, of the call.
    """
    if _describe is None:
        return None
    event = freeswitch.Event("CHANNEL_DATA")
    _describe(int(session.channel), int(event.event))
    return parse_event(event.serialize("json"))


def parse_event(raw: str) -> dict[str, Any]:
    """The headers of FreeSWITCH's JSON: of one that is there twice the last, of one with many values a list.

    Raises:
        ValueError: it is none.
    """
    found = json.loads(to_utf8(raw), strict=False)
    if not isinstance(found, dict):
        raise ValueError("this is no event")
    return found


class Consumer:
    """All events of the switch, queued by its dispatch thread. One thread makes it, pops from it and closes it.

    Args:
        length: events that wait at most; beyond it FreeSWITCH drops with an ERR line each, so keep it drained.
    """

    def __init__(self, length: int) -> None:
        self._consumer = freeswitch.EventConsumer("", "", length)
        self._pop = self._consumer.pop
        if _without_gil is None:
            bound = self._consumer.bind("all", "")
        else:
            bound = _without_gil.bind(int(self._consumer.this), b"all", b"")
        if not bound:
            raise HostError("FreeSWITCH did not let event_zmq have its events; see the log for its reason")

    def pop(self, wait_ms: int) -> Event | None:
        """The next event, or None when none comes in `wait_ms` milliseconds (0: when none is there)."""
        return self._pop(1, wait_ms) if wait_ms else self._pop(0, 0)

    def close(self) -> None:
        """Unbinds from the switch. Not while `pop` runs: FreeSWITCH would go on in freed memory."""
        if _without_gil is None:
            self._consumer.cleanup()
        else:
            _without_gil.cleanup(int(self._consumer.this))


class _WithoutGil:
    """Functions of FreeSWITCH that are called past the wrapper, which would hold the GIL meanwhile.

    `EventConsumer::bind` and `cleanup` wait until the dispatch thread is between two events, and what `Event::fire` and
    `API::executeString` fire waits for a place when the dispatch queue is full. If that thread is inside another
    module's event handler that looks up XML, and a Python script answers lookups, it waits for the GIL: held here, all
    Python in the switch and all its events would stop for good (seen on 1.11.2, at the first start under such a load).
    `switch_check_network_list_ip_token` waits for a lock that `reloadacl` holds while it looks up XML.

    Raises:
        AttributeError: this FreeSWITCH doesn't export them under these names; the wrapper has to do then.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(None)  # calls of a CDLL let other Python threads run
        self.bind = library["_ZN13EventConsumer4bindEPKcS1_"]
        self.bind.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p)
        self.cleanup = library["_ZN13EventConsumer7cleanupEv"]
        self.cleanup.argtypes = (ctypes.c_void_p,)
        self.cleanup.restype = None
        self.execute = library["_ZN3API13executeStringEPKc"]
        self.execute.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
        self.execute.restype = ctypes.c_void_p  # the caller's to free
        self.fire = library["_ZN5Event4fireEv"]
        self.fire.argtypes = (ctypes.c_void_p,)
        self.fire.restype = ctypes.c_bool
        self.in_list = library["switch_check_network_list_ip_token"]
        self.in_list.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
        self.free = library["free"]
        self.free.argtypes = (ctypes.c_void_p,)
        self.free.restype = None


def _find_without_gil() -> _WithoutGil | None:
    try:
        return _WithoutGil()
    except (AttributeError, OSError):
        return None


_without_gil = _find_without_gil()


def _find_describe() -> Callable[[int, int], None] | None:
    try:
        describe = ctypes.CDLL(None)["switch_channel_event_set_data"]
    except (AttributeError, OSError):
        return None
    describe.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    describe.restype = None
    return describe


_describe = _find_describe()
