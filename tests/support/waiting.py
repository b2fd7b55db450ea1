"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import time
from typing import Callable, Optional, TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], Optional[T]], what: str, timeout: float = 20.0) -> T:
    """What `condition` gives as soon as that is true.

    Who sees it come true waits no longer; `timeout` is long because a busy machine stops a thread for a second and
    more.

    Raises:
        AssertionError: it did not become true within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {timeout:g} s in vain for: {what}"
        time.sleep(0.002)
