"""The only file that imports `freeswitch`: what the module asks of the switch, and what must be known about asking.

All calls but `Consumer.pop` hold the GIL, so nothing here may wait for FreeSWITCH: see `instant`.
"""

from __future__ import annotations

from typing import Any

import freeswitch

__all__ = ["Consumer", "Event", "clean", "instant", "log", "running"]

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
    """Runs an API command while holding the GIL and gives its output.

    Only for the commands that return at once and look nothing up, INSTANT: any other could hang all Python of the
    switch for good, because it may wait for a thread that waits for the GIL. Those go through `commands.Commands`.
    """
    if command.split(" ", 1)[0] not in INSTANT:
        raise ValueError(f'"{command}" may not be run under the GIL')
    return freeswitch.API().executeString(command) or ""


class Consumer:
    """All events of the switch, queued by its dispatch thread. One thread makes it, pops from it and closes it.

    Args:
        length: events that wait at most; beyond it FreeSWITCH drops with an ERR line each, so keep it drained.
    """

    def __init__(self, length: int) -> None:
        self._consumer = freeswitch.EventConsumer("all", "", length)
        self._pop = self._consumer.pop

    def pop(self, wait_ms: int) -> Event | None:
        """The next event, or None when none comes in `wait_ms` milliseconds (0: when none is there)."""
        return self._pop(1, wait_ms) if wait_ms else self._pop(0, 0)

    def close(self) -> None:
        """Unbinds from the switch. Not while `pop` runs: FreeSWITCH would go on in freed memory."""
        self._consumer.cleanup()
