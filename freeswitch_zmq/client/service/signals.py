"""What SIGINT and SIGTERM mean while a service runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

__all__ = ["stopping_at_signals"]

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping_at_signals(stop: Callable[[], None]) -> Iterator[None]:
    """In the main thread the first of them means `stop`, and from then on both mean what they meant before.

    Not the loop's own handlers: these wait for the loop, which may be blocked by a coroutine.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in NUMBERS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(_number: int, _frame: object) -> None:
        restore()
        stop()

    for number in NUMBERS:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        restore()
