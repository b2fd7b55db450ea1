"""A question to a service, from the thread that asks to the one that has it answered, and back."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from typing import Any, Callable, NamedTuple, Optional

from freeswitch_zmq.jsonrpc import request

__all__ = ["ERROR", "INVALID", "OK", "OVERDUE_SECONDS", "TIMEOUT", "UNAVAILABLE", "Outcome", "Question"]

OK = "ok"
TIMEOUT = "timeout"
"""It was asked, and did not answer in time."""
UNAVAILABLE = "unavailable"
"""There was nobody to ask."""
INVALID = "invalid"
"""The answer can't be used."""
ERROR = "error"
"""The answer was an error."""

OVERDUE_SECONDS = 1.0
"""A question is settled in time. How much later it is given up, whatever became of the thread that has it answered."""

Read = Callable[[Any], Any]


class Outcome(NamedTuple):
    """What came of a question.

    Attributes:
        status: one of the above.
        value: with OK, what `read` made of the result.
        problem: else, what to tell an admin.
        place: the number of the endpoint that answered.
    """

    status: str
    value: Any = None
    problem: str = ""
    place: Optional[int] = None


class Question:
    """See above.

    Args:
        method: what is asked.
        params: JSON.
        seconds: for the answer, from now on.
        read: makes of a result what the asker wants, in the requester's thread; ValueError: it can't be used.
        first: the endpoint to begin with.
        counted: somebody waits for what comes of it.

    Attributes:
        id: nobody else can guess it.
        places: endpoints that are left to ask, the present one first; the requester's.
        until: how long the present one has; the requester's.
        sent: it has been sent to the present one; the requester's.
        failed: what came of it at those before; the requester's.
    """

    def __init__(
        self,
        method: str,
        params: dict[str, Any],
        seconds: float,
        read: Read,
        first: Optional[int] = None,
        counted: bool = True,
    ) -> None:
        self.id = secrets.token_hex(16)
        self.body = request(method, params, self.id)
        self.deadline = time.monotonic() + seconds
        self.read = read
        self.first = first
        self.counted = counted
        self.places: list[int] = []
        self.until = self.deadline
        self.sent = False
        self.failed = Outcome(UNAVAILABLE, problem="no endpoint could be asked")
        self.outcome: Optional[Outcome] = None
        # A bare lock, that is held while there is no news: an Event takes the GIL more often, and hundreds wait for it.
        self._no_news = threading.Lock()
        self._no_news.acquire()

    def wait(self, seconds: float) -> Optional[Outcome]:
        """What came of it, or None: so many seconds went by, or there was a `wake`. In one thread only."""
        if self.outcome is None:
            self._no_news.acquire(timeout=seconds)
        return self.outcome

    def wake(self) -> None:
        """From any thread: the present `wait` returns at once, or the next one."""
        with contextlib.suppress(RuntimeError):  # there is news already that nobody has seen
            self._no_news.release()

    def settle(self, outcome: Outcome) -> None:
        """In the requester's thread, once."""
        self.outcome = outcome
        self.wake()
