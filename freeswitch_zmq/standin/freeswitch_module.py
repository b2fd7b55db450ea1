"""The module `freeswitch` as mod_python3 gives it to scripts."""
# ruff: noqa: N802  # the names are FreeSWITCH's

from __future__ import annotations

import sys
import threading
import time
import types

from . import host, swig
from .consumer import ConsumerQueue
from .core import Core
from .host import core as _core
from .log import DEBUG, INVALID, level_number
from .script_event import Event, wrapped
from .session import CoreSession, Session
from .stream import CommandStream

__all__ = ["API", "DTMF", "Event", "EventConsumer", "Stream", "install", "script_waits_for"]

_FILE = "switch_cpp.cpp"
_in_script = threading.local()


def script_waits_for() -> str:
    """The command that a script of this thread runs by `executeString` right now, empty for none."""
    return getattr(_in_script, "command", "")


class EventConsumer:
    """Copies of events, in a queue of a fixed length."""

    def __init__(self, *args: object) -> None:
        if len(args) > 3:
            raise TypeError(f"new_EventConsumer expected at most 3 arguments, got {len(args)}")
        name = swig.c_string(args[0], "new_EventConsumer", 1) if args else None
        subclass = swig.c_string(args[1], "new_EventConsumer", 2) if len(args) > 1 else ""
        length = swig.c_int(args[2], "new_EventConsumer", 3) if len(args) > 2 else 5000
        self._queue = ConsumerQueue(_core(), length)
        if name:
            self._queue.bind(name, subclass)

    def bind(self, *args: object) -> int:
        """Take those events too: 1, or 0 when there are no such."""
        if not 1 <= len(args) <= 2:
            bound = "at least 2 arguments" if not args else "at most 3 arguments"
            raise TypeError(f"EventConsumer_bind expected {bound}, got {len(args) + 1}")
        name = swig.needed(args[0], "EventConsumer_bind", 2)
        subclass = swig.c_string(args[1], "EventConsumer_bind", 3) if len(args) > 1 else ""
        return self._queue.bind(name, subclass)

    def pop(self, block: object = 0, timeout: object = 0) -> Event | None:
        """The oldest one; with `block`, waits `timeout` milliseconds for it, or for ever."""
        if type(block) is not int:
            block = swig.c_int(block, "EventConsumer_pop", 2)
        if type(timeout) is not int:
            timeout = swig.c_int(timeout, "EventConsumer_pop", 3)
        event = self._queue.pop(block, timeout)
        return None if event is None else wrapped(event)

    def cleanup(self) -> None:
        """Take no more of them."""
        self._queue.close()

    def __del__(self) -> None:
        own = getattr(self, "_queue", None)  # Not there when the arguments were wrong.
        if own is not None:
            own.close()


class API:
    """Runs the switch's commands; a real one keeps every other Python thread waiting for as long as that takes."""

    def __init__(self, s: CoreSession | None = None) -> None:
        self._session = s

    def execute(self, command: object, data: object = None) -> str:
        """Run a command with arguments, and return what it prints."""
        name = swig.c_string(command, "API_execute", 2)
        argument = swig.c_string(data, "API_execute", 3)
        return self._run(name, argument, 245)

    def executeString(self, command: object) -> str:
        """The same with both in one."""
        line = swig.c_string(command, "API_executeString", 2)
        name, _, argument = (line or "").partition(" ")
        return self._run(name if line else None, argument, 276)

    def getTime(self) -> str:
        """Milliseconds since 1970."""
        return str(time.time_ns() // 1_000_000)

    def _run(self, name: str | None, argument: str | None, line: int) -> str:
        core = _core()
        if name is None or (not name and not argument):
            core.say("ERR", "No application specified\n", _FILE, line)
            return "-ERR No application specified"
        stream = CommandStream()
        before = script_waits_for()
        _in_script.command = name
        try:
            channel = self._session._channel if self._session is not None else None
            core.commands.execute(name, argument or "", stream, channel)
        finally:
            _in_script.command = before
        return stream.data


class Stream:
    """Where a script's `fsapi` writes its answer."""

    def __init__(self, stream: CommandStream | None = None) -> None:
        self._stream = stream if isinstance(stream, CommandStream) else CommandStream()

    def write(self, data: object) -> None:
        """Add to the answer."""
        content = swig.c_string(data, "Stream_write", 2)
        if content is not None:
            self._stream.write(content)

    def raw_write(self, data: object, len: object) -> None:
        """Add the first `len` bytes."""
        content = swig.needed(data, "Stream_raw_write", 2)
        length = swig.c_int(len, "Stream_raw_write", 3)
        self._stream.write(content.encode()[:length].decode("utf-8", "surrogateescape"))

    def get_data(self) -> str:
        """The answer so far."""
        return self._stream.data


class DTMF:
    """A digit that somebody pressed."""

    def __init__(self, digit: str, duration: int = 2000) -> None:
        self.digit = digit
        self.duration = duration


def consoleLog(level_str: object, msg: object) -> None:
    """A line in the log."""
    _console_log("consoleLog", level_str, msg, _FILE, "console_log", 1466, 2)


def consoleLog2(level_str: object, file: object, func: object, line: object, msg: object) -> None:
    """The same, saying where it comes from."""
    where = swig.needed(file, "consoleLog2", 2, "char *")
    function = swig.needed(func, "consoleLog2", 3, "char *")
    _console_log("consoleLog2", level_str, msg, where, function, swig.c_int(line, "consoleLog2", 4), 5)


def _console_log(method: str, level: object, msg: object, file: str, function: str, line: int, number: int) -> None:
    name = swig.c_string(level, method, 1, "char *")
    text = swig.c_string(msg, method, number, "char *")
    wanted = DEBUG if name is None else level_number(name)
    if wanted == INVALID:
        wanted = DEBUG
    _core().log.write(wanted, text or "", file=file, line=line, function=function)


def consoleCleanLog(msg: object) -> None:
    """A line in the log with nothing in front."""
    _core().log.write_clean(swig.c_string(msg, "consoleCleanLog", 1, "char *") or "")


def running() -> bool:
    """False once the shutdown has begun."""
    return _core().running


def msleep(ms: object) -> None:
    """Sleep; a real one keeps every other Python thread waiting meanwhile."""
    time.sleep(swig.c_int(ms, "msleep", 1, "unsigned int") / 1000)


def getGlobalVariable(var_name: object) -> str | None:
    """Its value, None when it is not set."""
    return _core().variables.get(swig.needed(var_name, "getGlobalVariable", 1, "char *"))


def setGlobalVariable(var_name: object, var_val: object) -> None:
    """Set it; None takes it away."""
    name = swig.needed(var_name, "setGlobalVariable", 1, "char *")
    _core().variables.set(name, swig.c_string(var_val, "setGlobalVariable", 2, "char *"))


def install(core: Core) -> types.ModuleType:
    """Make it what scripts import as `freeswitch`, on behalf of `core`."""
    host.set_core(core)
    module = types.ModuleType("freeswitch", __doc__)
    for each in (API, DTMF, CoreSession, Event, EventConsumer, Session, Stream):
        each.__module__ = "freeswitch"
        setattr(module, each.__name__, each)
    for name, value in (
        ("S_HUP", 1),
        ("S_FREE", 2),
        ("S_RDLOCK", 4),
        ("console_log", consoleLog),
        ("console_log2", consoleLog2),
        ("console_clean_log", consoleCleanLog),
    ):
        setattr(module, name, value)
    for function in (
        consoleLog,
        consoleLog2,
        consoleCleanLog,
        running,
        msleep,
        getGlobalVariable,
        setGlobalVariable,
    ):
        setattr(module, function.__name__, function)
    sys.modules["freeswitch"] = module
    return module
