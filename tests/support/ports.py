"""TCP ports for tests, which several processes at the same time take without getting in each other's way."""

from __future__ import annotations

import fcntl
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

# Below the range that the kernel takes ports for connections from: what is above is anybody's between two lines of a
# test. Each process has a block of its own, because a port that was looked for and let go again is anybody's too.
_FIRST, _BLOCK, _BLOCKS = 12_000, 250, 80


def free_port() -> int:
    """A TCP port that nobody has, and that no other test gets meanwhile.

    Raises:
        OSError: No port of this process's block is free.
    """
    ports = _ports(os.getpid())
    for _ in range(_BLOCK):
        port = next(ports)
        if _is_free(port):
            return port
    raise OSError("no TCP port is free for tests; find with `ss -tlnp` what listens on so many and end it")


@contextmanager
def taken_port() -> Iterator[str]:
    """An address where somebody else listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port()))
        other.listen()
        yield f"tcp://127.0.0.1:{other.getsockname()[1]}"


@cache
def _ports(pid: int) -> Iterator[int]:
    """This process's ports, over and over, so that one comes back as late as possible."""
    first = _FIRST + _claim() * _BLOCK
    return itertools.cycle(range(first, first + _BLOCK))


def _claim() -> int:
    """The number of a block that is this process's until it ends."""
    folder = Path(tempfile.gettempdir()) / f"freeswitch_zmq-test-ports.{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for number in range(_BLOCKS):
        lock = os.open(folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return number
    raise OSError(f"all {_BLOCKS} blocks of ports are taken by other runs of the tests")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
