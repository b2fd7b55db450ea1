"""Every exception of this package.

EventZmqError
├── ConfigError         the configuration has mistakes; `problems` lists each with its place
├── StateError          not possible in the present state (started twice, stopped twice, busy)
├── StartError          something that is needed could not be opened or is not there
├── NotHeld             events were asked for that are not there any more
└── HostError           FreeSWITCH did not do what it was asked
    ├── CommandTimeout  it did not answer in time
    └── TooManyCommands as many run as may

Their texts are for the person at the console: what is wrong, where, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "CommandTimeout",
    "ConfigError",
    "EventZmqError",
    "HostError",
    "NotHeld",
    "StartError",
    "StateError",
    "TooManyCommands",
]


class EventZmqError(Exception):
    """The root of all errors that this package raises on purpose."""


class ConfigError(EventZmqError):
    """The configuration can't be used.

    Attributes:
        problems: one line each, beginning with the place (`<publisher name="default">: …`).
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class StateError(EventZmqError):
    """The module is in a state in which this can't be done."""


class StartError(EventZmqError):
    """A thread, socket or service could not be brought up."""


class NotHeld(EventZmqError):
    """Events that somebody asked for again are not held, or not any more.

    Attributes:
        oldest: the lowest sequence that is held.
        newest: the latest that was.
    """

    def __init__(self, oldest: int, newest: int) -> None:
        self.oldest, self.newest = oldest, newest
        super().__init__(f"the oldest event that is held is {oldest}, the newest {newest}")


class HostError(EventZmqError):
    """FreeSWITCH refused a command or gave an answer that makes no sense."""


class TooManyCommands(HostError):
    """As many commands are running as may run at the same time; this one was not run."""


class CommandTimeout(HostError):
    """FreeSWITCH did not answer a command in time."""
