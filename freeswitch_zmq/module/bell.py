"""Wakes a thread that polls, from any other: a pipe, whose reading end goes into the poller."""

from __future__ import annotations

import os
import threading

__all__ = ["Bell"]


class Bell:
    """Made and closed by the thread that sleeps; everybody else only rings.

    Attributes:
        fd: what to poll; -1 when closed.
    """

    def __init__(self) -> None:
        self.fd = self._rope = -1
        self._lock = threading.Lock()

    def open(self) -> None:
        """From now on it can be rung."""
        self.fd, self._rope = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._rope, False)

    def ring(self) -> None:
        """From any thread, and harmless when closed."""
        with self._lock:  # after its end the descriptor is somebody else's
            if self._rope >= 0:
                try:
                    os.write(self._rope, b"!")
                except BlockingIOError:  # it rings loud enough
                    pass

    def quiet(self) -> None:
        """After it woke the thread."""
        try:
            os.read(self.fd, 65536)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """It rings nobody any more."""
        with self._lock:
            for fd in (self.fd, self._rope):
                if fd >= 0:
                    os.close(fd)
            self.fd = self._rope = -1
