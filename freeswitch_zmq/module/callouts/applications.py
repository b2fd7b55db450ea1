"""The applications that FreeSWITCH has: it hangs up on a call that is to run any other."""

from __future__ import annotations

import json
import threading
import time
from typing import Optional

from freeswitch_zmq.errors import HostError, StartError
from freeswitch_zmq.module.commands import Commands

__all__ = ["Applications"]

_COMMAND = "show application as json"

LAG_SECONDS = 10.0
"""What a module's coming or going changes is in FreeSWITCH's answer a moment later: its own tables follow the event."""


class Applications:
    """Looked up at the start and now and then; in between modules come and go. From any thread.

    Args:
        commands: asks FreeSWITCH.
    """

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._names: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._changed: dict[str, tuple[float, bool]] = {}

    def look(self) -> None:
        """Waits for the answer.

        Raises:
            StartError: it makes no sense.
            HostError: there is none.
        """
        self._take(self._commands.run(_COMMAND))
        if not self._names:
            raise StartError(f'FreeSWITCH told of no application when it was asked "{_COMMAND}"')

    def look_again(self) -> None:
        """The same without waiting: in the pump's thread."""
        try:
            self._commands.start(_COMMAND, self._take)
        except HostError:
            pass  # it is stopping

    def changed(self, name: str, is_there: bool) -> None:
        """A module with an application of that name came or went."""
        with self._lock:
            self._changed[name.lower()] = time.monotonic(), is_there
            self._put(self._names)

    def has(self, name: str) -> bool:
        """Whether there is one of that name, in small letters."""
        return name in self._names

    def _take(self, output: Optional[str]) -> None:
        try:
            rows = json.loads(output or "")["rows"]
            names = frozenset(row["name"].lower() for row in rows)
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # what is known stays
        if names:
            with self._lock:
                self._put(names)

    def _put(self, names: frozenset[str]) -> None:
        now = time.monotonic()
        self._changed = {name: each for name, each in self._changed.items() if now - each[0] < LAG_SECONDS}
        come = {name for name, (_, is_there) in self._changed.items() if is_there}
        self._names = (names | come) - (set(self._changed) - come)
