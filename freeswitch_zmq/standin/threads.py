"""Threads as FreeSWITCH has them: 240 KB of stack, made by C and so unknown to Python's `threading`."""

from __future__ import annotations

import ctypes
import itertools
import threading
from typing import Callable

__all__ = ["STACK_BYTES", "HostThread"]

STACK_BYTES = 240 * 1024
"""What FreeSWITCH gives each of its threads."""

_ATTR_BYTES = 512  # No platform's pthread_attr_t is as large.
_libc = ctypes.CDLL(None)
_libc.pthread_create.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
_libc.pthread_attr_init.argtypes = [ctypes.c_void_p]
_libc.pthread_attr_destroy.argtypes = [ctypes.c_void_p]
_libc.pthread_attr_setstacksize.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.pthread_attr_setdetachstate.argtypes = [ctypes.c_void_p, ctypes.c_int]
_PTHREAD_CREATE_DETACHED = 1

_numbers = itertools.count(1)
_starting: dict[int, HostThread] = {}


def _main(number: int | None) -> None:
    if number is not None:  # ctypes has None for a null pointer; numbers begin with 1
        _starting.pop(number)._run()


_ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_main)  # One for all: it must outlive every thread.


class HostThread:
    """A running thread of the switch's own.

    `threading.stack_size` is the whole process's, and a script may set it at the same moment; so these threads
    are made by libc, as FreeSWITCH makes them. To `threading` each is a foreign ("dummy") thread.

    Args:
        target: What it runs.
        on_error: Gets an exception that `target` let through.

    Raises:
        OSError: The system gave no thread.
    """

    def __init__(self, target: Callable[[], None], on_error: Callable[[BaseException], None]) -> None:
        self._target = target
        self._on_error = on_error
        self._begun = threading.Event()
        self._done = threading.Event()
        number = next(_numbers)
        _starting[number] = self
        attributes = ctypes.create_string_buffer(_ATTR_BYTES)
        handle = ctypes.c_ulong()
        _libc.pthread_attr_init(attributes)
        _libc.pthread_attr_setstacksize(attributes, STACK_BYTES)
        _libc.pthread_attr_setdetachstate(attributes, _PTHREAD_CREATE_DETACHED)
        code = _libc.pthread_create(ctypes.byref(handle), attributes, _ENTRY, number)
        _libc.pthread_attr_destroy(attributes)
        if code:
            _starting.pop(number, None)
            raise OSError(code, "pthread_create")
        # A real one runs at once, on another processor; here the interpreter would let us go on first.
        self._begun.wait()

    def join(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for its end, and say whether it came."""
        return self._done.wait(timeout)

    def _run(self) -> None:
        self._begun.set()
        try:
            self._target()
        except BaseException as error:  # noqa: BLE001  # nothing below catches it, and it must not be lost
            self._on_error(error)
        finally:
            self._done.set()
