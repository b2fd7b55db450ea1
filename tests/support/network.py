"""Two machines in one process: network namespaces that a cable joins, for peers that are not of this machine.

A thread's sockets, its child processes and the threads that it starts belong to the namespace that it is in at that
moment, and stay there. So nothing of the real machine's network is touched, and with the last socket all is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Callable

INSIDE = "192.0.2.1"
"""The address of this thread's machine. Both are RFC 5737's, for documentation."""

OUTSIDE = "192.0.2.2"

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

Outside = Callable[[], "contextlib.AbstractContextManager[None]"]


def missing() -> str:
    """Why there can be no namespaces here, or an empty text."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need the command ip (Debian's package iproute2)"
    try:
        with _kept():
            _new_namespace()
    except OSError as error:
        return f"this machine allows no network namespaces: {error}"
    return ""


@contextlib.contextmanager
def two_machines() -> Iterator[Outside]:
    """This thread moves to a machine with the addresses 127.0.0.1 and INSIDE.

    What it gives is a context manager: while in it, this thread is on another machine, OUTSIDE, that reaches INSIDE.
    """
    with _kept(), contextlib.ExitStack() as open_files:
        _new_namespace()
        other = _namespace(open_files)
        _ip("link", "set", "lo", "up")
        _new_namespace()
        here = _namespace(open_files)
        _ip("link", "set", "lo", "up")
        _ip(
            "link",
            "add",
            "cable",
            "type",
            "veth",
            "peer",
            "name",
            "cable",
            "netns",
            f"/proc/self/fd/{other}",
            keep=other,
        )
        _plug_in(INSIDE)

        @contextlib.contextmanager
        def outside() -> Iterator[None]:
            _enter(other)
            try:
                yield
            finally:
                _enter(here)

        with outside():
            _plug_in(OUTSIDE)
        yield outside


@contextlib.contextmanager
def _kept() -> Iterator[None]:
    """Afterwards this thread is in the namespace in which it was before."""
    with contextlib.ExitStack() as open_files:
        home = _namespace(open_files)
        try:
            yield
        finally:
            _enter(home)


def _namespace(open_files: contextlib.ExitStack) -> int:
    """A descriptor of the namespace that this thread is in; it keeps the namespace alive."""
    descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    open_files.callback(os.close, descriptor)
    return descriptor


def _plug_in(address: str) -> None:
    _ip("address", "add", f"{address}/24", "dev", "cable")
    _ip("link", "set", "cable", "up")


def _new_namespace() -> None:
    if _libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _ip(*words: str, keep: int | None = None) -> None:
    done = subprocess.run(
        ["ip", *words], capture_output=True, text=True, check=False, pass_fds=() if keep is None else (keep,)
    )
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr.strip()}"
