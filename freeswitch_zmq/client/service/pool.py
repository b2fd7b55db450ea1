"""Threads for handlers that are functions.

Not concurrent.futures: Python waits for its threads when the program ends, so that one handler that hangs would keep a
service from ever stopping.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional

from freeswitch_zmq.client.service.complaints import Complaints
from freeswitch_zmq.jsonrpc import BUSY, RpcError

__all__ = ["Pool"]

JOIN_SECONDS = 2.0
"""For threads that have nothing to do."""

Outcome = tuple[Any, Optional[Exception]]


@dataclass(frozen=True, eq=False)
class _Task:
    who: str
    handler: Callable[[Any], Any]
    asked: Any
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Outcome]


class Pool:
    """Begins threads as they are needed. All methods are the loop's.

    Args:
        threads: how many there are at most; what comes beyond waits for one of them, and the latest gets it first.
        max_wait_seconds: for so long; then nobody wants to know any more, and it is not run.
        complaints: told of that.
    """

    def __init__(self, threads: int, max_wait_seconds: float, complaints: Complaints) -> None:
        self._most, self._max_wait_seconds, self._complaints = threads, max_wait_seconds, complaints
        self._threads: list[threading.Thread] = []
        self._closed = False
        # Guards the next two. Who takes a task out of `_waiting` decides what becomes of it.
        self._news = threading.Condition()
        self._waiting: dict[_Task, None] = {}
        self._busy: dict[threading.Thread, str] = {}

    async def run(self, who: str, handler: Callable[[Any], Any], asked: Any) -> Any:
        """What a handler returns, or raises, in a thread.

        Raises:
            RpcError: no thread was free in time (-32004).
        """
        loop = asyncio.get_running_loop()
        task = _Task(who, handler, asked, loop, loop.create_future())
        timer = loop.call_later(self._max_wait_seconds, self._give_up, task)
        try:
            with self._news:
                self._waiting[task] = None
                self._news.notify()
                more = len(self._busy) + len(self._waiting) > len(self._threads)
            if more and len(self._threads) < self._most:
                self._begin_thread()
            result, error = await task.done
        finally:
            timer.cancel()
            self._take_back(task)  # where it was cancelled, or no thread could be begun
        if error is not None:
            raise error
        return result

    def _begin_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"service {len(self._threads) + 1}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _take_back(self, task: _Task) -> bool:
        """Whether it had not begun; then it won't."""
        with self._news:
            waited = task in self._waiting
            self._waiting.pop(task, None)
        return waited

    def _give_up(self, task: _Task) -> None:
        if self._take_back(task) and not task.done.done():
            number = f"all {self._most} threads are busy"
            self._complaints.warn(
                "busy",
                f"{number}; {len(self._waiting)} requests wait, and one was refused after {self._max_wait_seconds:g} s",
            )
            task.done.set_result((None, RpcError(BUSY, f"{number}; try again later")))

    def close(self) -> Sequence[str]:
        """Ends it; what has not begun is not run any more.

        Returns:
            Whose handlers go on: nothing can end that but the handler.
        """
        with self._news:
            self._closed = True
            self._waiting.clear()
            self._news.notify_all()
        deadline = time.monotonic() + JOIN_SECONDS
        for thread in self._threads:
            while thread.is_alive() and thread not in self._busy and time.monotonic() < deadline:
                thread.join(0.05)
        with self._news:
            return list(self._busy.values())

    def _work(self) -> None:
        thread = threading.current_thread()
        while True:
            with self._news:
                self._news.wait_for(lambda: self._closed or self._waiting)
                if self._closed:
                    return
                # The latest first: when there are more than can be done, those who came first are about to give up, and
                # in turn all would be answered too late.
                task, _ = self._waiting.popitem()
                self._busy[thread] = task.who
            outcome = _outcome(task)
            with self._news:
                del self._busy[thread]
            try:
                task.loop.call_soon_threadsafe(_settle, task.done, outcome)
            except RuntimeError:  # the loop has ended meanwhile
                pass
            del task, outcome  # nothing of it is kept until the next one comes


def _outcome(task: _Task) -> Outcome:
    try:
        return task.handler(task.asked), None
    except Exception as error:  # noqa: BLE001  # the one who waits for it gets it
        return None, error
    except BaseException as error:  # noqa: BLE001  # SystemExit and the like would end the loop, and every request with it
        mistake = RuntimeError(f"a handler raised {error!r}")
        mistake.__cause__ = error
        return None, mistake


def _settle(done: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not done.done():
        done.set_result(outcome)
