"""A thread that owns what it opens: `start()` returns when it is ready, `stop()` when it is gone."""

from __future__ import annotations

import threading
from typing import Callable

from freeswitch_zmq.errors import StartError

__all__ = ["Worker", "start_thread"]

STACK_BYTES = 1024 * 1024
"""FreeSWITCH's threads have 240 KB, too little for Python code that calls into libraries."""

_stack_size_lock = threading.Lock()


def start_thread(thread: threading.Thread) -> None:
    """Starts a thread with a stack of STACK_BYTES."""
    with _stack_size_lock:  # the size is the whole process's setting: ours only for this moment
        previous = threading.stack_size(STACK_BYTES)
        try:
            thread.start()
        finally:
            threading.stack_size(previous)


class Worker:
    """Base of all threads of the module. A subclass says in `open` what it opens, in `run` what it does, in `close`
    what it closes; all three run in the thread, so every socket is made, used and closed in one.

    Args:
        name: of the thread, for people who look at a process.
        on_error: called in the thread with what `run` or `close` raised; the thread is gone then.
    """

    def __init__(self, name: str, on_error: Callable[[BaseException], None]) -> None:
        self.name = name
        self.on_error = on_error
        self.stopping = False
        self.failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether the thread is there."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, timeout: float = 5.0) -> None:
        """Starts the thread and waits until `open` is done.

        Raises:
            StartError: it took longer than `timeout` seconds.
            Exception: whatever `open` raised; the thread is gone then.
        """
        self._thread = threading.Thread(target=self._main, name=self.name, daemon=True)
        start_thread(self._thread)
        if not self._ready.wait(timeout):
            self.ask_to_stop()
            raise StartError(
                f"{self.name} did not get ready within {timeout:g} s; try again, and report it with the log"
            )
        if self.failure is not None:
            self._thread.join(timeout)
            raise self.failure

    def ask_to_stop(self) -> None:
        """Asks the thread to end, and doesn't wait for it."""
        if self.alive and not self.stopping:
            self.stopping = True
            self.wake()

    def stop(self, timeout: float = 5.0) -> bool:
        """Asks the thread to end and waits for it. Harmless on one that never started or already ended.

        Returns:
            Whether it is gone.
        """
        self.ask_to_stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self.alive

    def _main(self) -> None:
        try:
            try:
                self.open()
            except BaseException as error:  # noqa: BLE001  # `start` raises it
                self.failure = error
                return
            self._ready.set()
            try:
                self.run()
            except BaseException as error:  # noqa: BLE001  # reported
                self.failure = error
                self.on_error(error)
        finally:
            try:
                self.close()
            except BaseException as error:  # noqa: BLE001  # reported
                self.on_error(error)
            finally:
                self._ready.set()

    def open(self) -> None:
        """Opens what the thread needs. What it raises is raised by `start`."""

    def run(self) -> None:
        """Works until `stopping` is true."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes what `open` opened, also when that stopped half-way."""

    def wake(self) -> None:
        """Called by `stop` from another thread: gets `run` out of a wait."""
