"""FreeSWITCH's access lists: a thread that asks whether one has an address, so that nobody else waits for the answer.

While `reloadacl` runs, FreeSWITCH answers nobody: it holds a lock of its core across lookups in the directory, which
take as long as whoever answers them. So it is asked without the GIL, and never by the thread that libzmq waits for.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Callable

from freeswitch_zmq.errors import EventZmqError
from freeswitch_zmq.module import host
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.worker import Worker

__all__ = ["ListQuestion", "Lists"]

WAITING_AT_MOST = 1000
"""Connections that wait for an answer; beyond it they are refused and come back by themselves."""


@dataclass
class ListQuestion:
    """Whether one of the lists has the address.

    Attributes:
        about: what the asker needs when the answer comes.
        allowed: the answer; None when there is none.
    """

    names: Sequence[str]
    address: str
    about: object
    allowed: bool | None = None
    asked: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> float:
        """Seconds since it was asked."""
        return time.monotonic() - self.asked


class Lists(Worker):
    """Answers questions, one after the other.

    Args:
        commands: for a FreeSWITCH that can't be asked directly.
        on_error: called with an exception that was caught.

    Attributes:
        answered: the answers, for the asker to take.
    """

    def __init__(self, commands: Commands, on_error: Callable[[BaseException], None]) -> None:
        super().__init__("event_zmq access lists", on_error)
        self.answered: deque[ListQuestion] = deque()
        self._commands = commands
        self._questions: queue.Queue[ListQuestion | None] = queue.Queue(WAITING_AT_MOST)

    def ask(self, question: ListQuestion) -> bool:
        """Returns at once; the answer comes into `answered`. False when too many are waiting."""
        try:
            self._questions.put_nowait(question)
        except queue.Full:
            return False
        return True

    def run(self) -> None:
        """See `Worker`."""
        while not self.stopping:
            question = self._questions.get()
            if question is None:
                continue
            try:
                question.allowed = any(self._has(name, question.address) for name in question.names)
            except EventZmqError:
                pass  # no answer; at a stop nobody waits for it either
            except Exception as error:  # noqa: BLE001  # survived and reported
                self.on_error(error)
            self.answered.append(question)

    def _has(self, name: str, address: str) -> bool:
        known = host.in_list(address, name)
        return known if known is not None else self._commands.run(f"acl {address} {name}") == "true"

    def wake(self) -> None:
        """See `Worker`."""
        try:
            self._questions.put_nowait(None)
        except queue.Full:
            pass  # it has something to wake up for
