"""Looking at a TCP connection of libzmq's by its file descriptor, and ending it: libzmq itself has no call for either.

The descriptor belongs to libzmq. Nothing here opens, copies or closes one (a copy that is closed would take away locks
that FreeSWITCH has on its databases), and it is acted upon only after a look at whose connection it is.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from typing import NamedTuple

__all__ = ["NOTHING", "Ends", "bytes_acked", "bytes_received", "ends_of", "hang_up", "inode"]

_libc = ctypes.CDLL(None, use_errno=True)
_COUNT = struct.Struct("=Q")
_BYTES_ACKED_AT = 120
_BYTES_RECEIVED_AT = 128
"""Where `tcpi_bytes_acked` and `tcpi_bytes_received` stand in `struct tcp_info` of Linux (4.1 and newer)."""

_BUFFER = 256


NOTHING = -1
"""The inode of what is not there."""


class Ends(NamedTuple):
    """Both ends of a TCP connection; `address` is the peer's."""

    local_port: int
    address: str
    port: int


def ends_of(fd: int) -> Ends | None:
    """The ends of a connection; None when the descriptor is something else, or gone."""
    local, peer = _name(_libc.getsockname, fd), _name(_libc.getpeername, fd)
    return Ends(local[1], *peer) if local is not None and peer is not None else None


def bytes_received(fd: int) -> int:
    """What came in on a TCP connection since it was there, as the kernel counts it; 0 where that can't be known."""
    return _tcp_count(fd, _BYTES_RECEIVED_AT) or 0


def bytes_acked(fd: int) -> int | None:
    """What the other side has received of what was sent; None where that can't be known."""
    return _tcp_count(fd, _BYTES_ACKED_AT)


def _tcp_count(fd: int, offset: int) -> int | None:
    option = getattr(socket, "TCP_INFO", None)  # Linux
    raw, length = ctypes.create_string_buffer(_BUFFER), ctypes.c_uint32(_BUFFER)
    if option is None or _libc.getsockopt(fd, socket.IPPROTO_TCP, option, raw, ctypes.byref(length)) != 0:
        return None
    if length.value < offset + _COUNT.size:
        return None
    count: int = _COUNT.unpack_from(raw, offset)[0]
    return count


def inode(fd: int) -> int:
    """What tells what is behind a descriptor from what was there before; NOTHING when it is closed, 0 for none (-1)."""
    if fd < 0:
        return 0
    try:
        return os.fstat(fd).st_ino
    except OSError:
        return NOTHING


def hang_up(fd: int, ends: Ends) -> bool:
    """Ends the connection, if it is still that one; libzmq finds it ended and tidies up."""
    return ends_of(fd) == ends and _libc.shutdown(fd, socket.SHUT_RDWR) == 0


def _name(function: ctypes._FuncPointer, fd: int) -> tuple[str, int] | None:
    """Address and port as getsockname() or getpeername() give them."""
    raw, length = ctypes.create_string_buffer(_BUFFER), ctypes.c_uint32(_BUFFER)
    if function(fd, raw, ctypes.byref(length)) != 0:
        return None
    family, port = struct.unpack_from("=H", raw)[0], struct.unpack_from("!H", raw, 2)[0]
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw.raw[4:8]), port
    if family == socket.AF_INET6:
        return socket.inet_ntop(socket.AF_INET6, raw.raw[8:24]), port
    return None
