"""What became of the requests at an endpoint of the API."""

from __future__ import annotations

from collections import Counter
from typing import Any

__all__ = ["Counters"]

_NUMBERS = ("requests", "succeeded", "errors", "notifications", "late", "undelivered")


class Counters:
    """Of one endpoint; written by its thread only. `requests` = `succeeded` + `errors` + what waits for an answer.

    Attributes:
        requests: messages that came.
        succeeded: of these, what they asked for was done; notifications too.
        errors: of these, it was not.
        by_code: the errors, by code.
        notifications: requests whose sender wanted no answer.
        late: outputs of commands that came after their callers had been told of a timeout.
        undelivered: answers that could not be given, because the caller was gone or doesn't read.
    """

    def __init__(self) -> None:
        self.requests = self.succeeded = self.errors = self.notifications = self.late = self.undelivered = 0
        self.by_code: Counter[int] = Counter()

    def add(self, other: Counters) -> None:
        """Takes those of another endpoint in."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for code, count in list(other.by_code.items()):
            self.by_code[code] += count

    def as_dict(self) -> dict[str, Any]:
        """As `status json` has them."""
        numbers: dict[str, Any] = {name: getattr(self, name) for name in _NUMBERS}
        return {**numbers, "errors_by_code": {str(code): count for code, count in sorted(dict(self.by_code).items())}}
