"""Where a service listens, or connects to a queue: the address, checked where it is written, and the socket there."""

from __future__ import annotations

import errno
import re
import socket as sockets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import zmq
import zmq.asyncio

from freeswitch_zmq.client.service.keys import Keys
from freeswitch_zmq.errors import StartError
from freeswitch_zmq.spelling import shown

__all__ = ["Endpoint"]

LINGER_MS = 2000
"""Answers on their way at a stop get this long; a switch that doesn't read can't hold it up more."""

SEND_HWM = 10_000
HANDSHAKE_MS = 5000

_TCP = re.compile(r"tcp://\S+:([0-9]{1,5}|\*)")
_PORT_AT_MOST = 65_535


@dataclass(frozen=True)
class Endpoint:
    """The arguments are those of a `Service`.

    Raises:
        ValueError: the address is none.
    """

    address: str
    connect: bool
    max_message_bytes: int
    ipv6: bool

    def __post_init__(self) -> None:
        if not _is_address(self.address):
            raise ValueError(
                f'"{shown(str(self.address))}" is no endpoint: write tcp://ADDRESS:PORT, such as tcp://127.0.0.1:5558, '
                "or ipc://PATH"
            )

    def open(self, context: zmq.asyncio.Context, keys: Optional[Keys]) -> tuple[zmq.asyncio.Socket, str]:
        """The socket, and its address as it really is.

        Raises:
            StartError: it can't be had; another program may listen there.
        """
        socket = context.socket(zmq.ROUTER)
        # No bound here. When what waits of a peer reaches it libzmq stops reading, perhaps before a heartbeat in its
        # buffer. When that connection breaks then, and reading goes on, answering the heartbeat ends the process (seen,
        # 4.3.4: "Assertion failed: !_io_error"). For the same reason HEARTBEAT_IVL is not set. What has come is taken
        # at once and bounded by Running; nothing bounds what libzmq holds meanwhile, nor a message of endless frames.
        socket.set(zmq.RCVHWM, 0)
        socket.set(zmq.SNDHWM, SEND_HWM)
        socket.set(zmq.LINGER, LINGER_MS)
        socket.set(zmq.MAXMSGSIZE, self.max_message_bytes)
        socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.set(zmq.IPV6, int(self.ipv6))
        if keys is not None:
            keys.guard(socket)
        try:
            if self.connect:
                socket.connect(self.address)
                return socket, self.address
            _spare_others(self.address)
            socket.bind(self.address)
        except zmq.ZMQError as error:
            verb = "connect to" if self.connect else "listen on"
            taken = "; another program listens there" if error.errno == errno.EADDRINUSE else ""
            raise StartError(f"can't {verb} {self.address}: {zmq.strerror(error.errno or 0)}{taken}") from error
        return socket, socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")


def _is_address(address: object) -> bool:
    if not isinstance(address, str):
        return False
    tcp = _TCP.fullmatch(address)
    if tcp is not None:
        return tcp[1] == "*" or int(tcp[1]) <= _PORT_AT_MOST
    return re.fullmatch(r"(ipc|tipc)://.+", address) is not None


def _spare_others(address: str) -> None:
    """Looks at what is in the place of a socket file, which libzmq would take unseen.

    Raises:
        zmq.ZMQError: a socket that is in use (EADDRINUSE), or something else than a socket (EEXIST).
    """
    scheme, _, path = address.partition("://")
    if scheme != "ipc" or path[0] in "@*":  # nothing of a file, or a new one
        return
    try:
        mode = Path(path).stat().st_mode
    except OSError:  # nothing is there; whether something could be, libzmq will say
        return
    if not stat.S_ISSOCK(mode):
        raise zmq.ZMQError(errno.EEXIST)
    with sockets.socket(sockets.AF_UNIX) as probe:
        probe.setblocking(False)  # where many want to connect it would wait
        try:
            probe.connect(path)
        except ConnectionRefusedError:  # it was left behind
            return
        except OSError:
            pass
    raise zmq.ZMQError(errno.EADDRINUSE)
