"""A thread that works while a test does something else."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TypeVar

B = TypeVar("B", bound="Background")


class Background:
    """Works from `with` on, or from `begin`, until it is left; what went wrong in the thread is raised there.

    A subclass says in `work` what it does until `ending` is set, and in `release` what is closed after that.

    Args:
        name: of the thread.

    Attributes:
        ending: set when it has to end.
        error: what went wrong in the thread.
    """

    def __init__(self, name: str) -> None:
        self.ending = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name)

    def work(self) -> None:
        raise NotImplementedError

    def release(self) -> None:
        pass

    def begin(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            self.work()
        except BaseException as error:  # noqa: BLE001  # raised at the end
            self.error = error

    def __enter__(self: B) -> B:
        if self._thread.ident is None:
            self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ending.set()
        self._thread.join()
        self.release()
        if self.error is not None and error is None:
            raise self.error
