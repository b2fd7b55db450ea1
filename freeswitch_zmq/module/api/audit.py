"""A line in FreeSWITCH's log for each command and each event that somebody sends through the API.

It says who, what, with which permission, how it ended and how long it took. Arguments, headers and outputs are not in
it: passwords stand there.
"""

from __future__ import annotations

import time

from freeswitch_zmq.jsonrpc import BUSY, FAILED, FORBIDDEN, INTERNAL_ERROR, INVALID_PARAMS, SHUTTING_DOWN, TIMEOUT
from freeswitch_zmq.module import host
from freeswitch_zmq.module.api.request import Request

__all__ = ["Audit"]

OUTCOMES = {
    0: "done",
    FORBIDDEN: "forbidden",
    TIMEOUT: "no answer in time",
    FAILED: "refused by FreeSWITCH, or failed",
    BUSY: "not run: too many commands are running",
    SHUTTING_DOWN: "not answered: event_zmq stops",
    INVALID_PARAMS: "not run: wrong params",
    INTERNAL_ERROR: "an unexpected error",
}

FORBIDDEN_A_SECOND = 10
"""Lines about what is refused before anything is run, on the average, and ten times as many at once: who asks for it
again and again could fill the log."""


class Audit:
    """That of one endpoint."""

    def __init__(self) -> None:
        self._credit = 10.0 * FORBIDDEN_A_SECOND
        self._at = time.monotonic()
        self._left_out = 0

    def note(self, request: Request, code: int, given: bool = True) -> None:
        """A request has ended, with that error code or 0, and the caller was given the answer or could not be."""
        if not request.what:
            return
        now = time.monotonic()
        if code in (BUSY, FORBIDDEN, INVALID_PARAMS) and not self._may_tell(now):
            self._left_out += 1
            return
        more = f" ({self._left_out} more that were refused are not in the log)" if self._left_out else ""
        self._left_out = 0
        outcome = OUTCOMES.get(code, str(code)) + ("" if given else ", answer not delivered")
        took = round((now - request.started) * 1000)
        host.log("INFO", f"api: {request.caller}: {request.what}: {outcome}, {took} ms{more}")

    def _may_tell(self, now: float) -> bool:
        self._credit = min(self._credit + FORBIDDEN_A_SECOND * (now - self._at), 10.0 * FORBIDDEN_A_SECOND)
        self._at = now
        if self._credit < 1:
            return False
        self._credit -= 1
        return True
