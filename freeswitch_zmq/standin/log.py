"""The switch's log: the lines as mod_logfile writes them, and those who listen to it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, NamedTuple

from . import text

__all__ = ["LEVELS", "Log", "LogLine", "level_name", "level_number"]

LEVELS = ("CONSOLE", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG")
DEBUG = len(LEVELS) - 1
DISABLE = -1
INVALID = 64


class LogLine(NamedTuple):
    """One message of the log.

    Attributes:
        level: 0 (console) to 7 (debug).
        file: Where it was written.
        function: By what.
        line: In which line.
        uuid: Whose channel it is about; empty for none.
        text: All of it as the file has it, with time and level in front.
        channel: FreeSWITCH's number for the way it was logged.
    """

    level: int
    file: str
    function: str
    line: int
    uuid: str
    text: str
    channel: int


def level_number(name: str) -> int:
    """The level that `name` (or digits) means, `INVALID` for none."""
    if text.is_number(name):
        return max(0, min(text.atoi(name), INVALID - 1))
    upper = name.upper()
    if upper == "DISABLE":
        return DISABLE
    return LEVELS.index(upper) if upper in LEVELS else INVALID


def level_name(level: int) -> str:
    """Its name as FreeSWITCH prints it."""
    return "DISABLE" if level < 0 else LEVELS[min(level, DEBUG)]


class Log:
    """Writes lines to a file and hands them to listeners; any thread may log.

    Args:
        path: The file, appended to; None writes none.
        level: What is more detailed than this is not logged.
    """

    def __init__(self, path: Path | None, level: int = DEBUG) -> None:
        self.level = level
        self._listeners: tuple[Callable[[LogLine], None], ...] = ()
        self._lock = threading.Lock()
        self._descriptor = -1
        self._second = -1
        self._stamp = ""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def close(self) -> None:
        """Write nothing more; what is logged from now on is lost."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def listen(self, listener: Callable[[LogLine], None]) -> None:
        """Hand each line to `listener`, in the thread that logs."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def unlisten(self, listener: Callable[[LogLine], None]) -> None:
        """No more of them; one that was never there is fine."""
        with self._lock:
            self._listeners = tuple(each for each in self._listeners if each != listener)

    def write(
        self, level: int, message: str, *, file: str, line: int, function: str = "", uuid: str = "", channel: int = 1
    ) -> None:
        """Log `message`, which ends its own line, at `level` when that is wanted."""
        if level > self.level:
            return
        now = time.time_ns() // 1000
        second, micros = divmod(now, 1_000_000)
        if second != self._second:
            self._stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            self._second = second
        name = level_name(level)
        # The percentage is the processor's idle time, which nothing here measures.
        self._put(LogLine(level, file, function, line, uuid,
                          f"{self._stamp}.{micros:06d} 100.00% [{name}] {file}:{line} {message}", channel))  # fmt: skip

    def write_clean(self, message: str) -> None:
        """Log `message` as it is, with nothing in front."""
        if self.level >= DEBUG:
            self._put(LogLine(DEBUG, "switch_cpp.cpp", "console_clean_log", 0, "", message, 0))

    def _put(self, line: LogLine) -> None:
        data = line.text
        if line.uuid:
            # A channel's lines have its uuid before each of them.
            data = "".join(f"{line.uuid} {part}\n" for part in data.removesuffix("\n").split("\n"))
        with self._lock:
            if self._descriptor >= 0:
                _write_all(self._descriptor, data.encode("utf-8", "surrogateescape"))
            listeners: Sequence[Callable[[LogLine], None]] = self._listeners
        for listener in listeners:
            listener(line)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
