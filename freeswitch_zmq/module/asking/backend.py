"""One endpoint of a service: the socket that goes there, whether anybody is there, and whether it may be asked."""

from __future__ import annotations

import contextlib
import secrets
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable, Optional

import zmq

from freeswitch_zmq.certificate import KeyPair
from freeswitch_zmq.module import descriptors
from freeswitch_zmq.module.asking.flood import Flood
from freeswitch_zmq.module.level import Level

__all__ = ["Backend", "BackendOptions"]

RECONNECT_MS = 250
"""How soon a service that has started again is found."""

GRACE_SECONDS = 3.0
"""An endpoint where nobody has been for so long is not waited for."""

SEND_HWM = 10_000
SILENT_TCP_MS = 5000
"""A connection on which nothing was acknowledged for so long has ended."""

SHORT_SECONDS, SHORT_PAUSE = 1.0, 0.5
"""A connection that ended so soon is not made anew at once: each costs FreeSWITCH descriptors and a millisecond."""

AGAIN_SECONDS = 1.0
"""How long after sockets could not be opened that is tried again."""

LARGER = 2
"""An answer of so many times the allowed bytes is still taken. It costs the one who asked its answer; a larger one ends
the connection, and so costs all that wait for it theirs."""

UNREAD_BYTES, UNREAD_RATE = 16_000_000, 16_000
"""What may have come that is no whole message yet; libzmq holds it. With larger answers twice as much as one has. So
much a second may be heartbeats and the like."""

FRAME_BYTES = 64
"""What a frame takes on the network beside what is in it, encrypted or not: at most."""

TAKE_AT_MOST = 100

COUNTERS = ("sent", "answers", "late", "repeated", "unknown", "garbage", "disconnects", "opened")

_EVENTS = zmq.EVENT_CONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
_EVENT = struct.Struct("=Hi")

Note = Callable[[str, str], None]


@dataclass(frozen=True)
class BackendOptions:
    """How the sockets to a service are set up.

    Attributes:
        max_message_bytes: of an answer; see LARGER for what becomes of a larger one.
        curve: our keys, where the service has one.
        server_key: the service's, 32 bytes.
        breaker: seconds for which an endpoint is left alone that did not answer in time; 0: it is asked all the same.
    """

    max_message_bytes: int
    ipv6: bool
    curve: Optional[KeyPair]
    server_key: Optional[bytes]
    breaker: float


class Backend:
    """All in the requester's thread; the attributes are read by others.

    Args:
        context: the module's.
        address: the endpoint.
        options: see there.
        note: told when somebody comes or goes: a level and a line.

    Attributes:
        connected: whether somebody is there.
        sent, answers, disconnects: counted.
        late: answers to questions whose time was over.
        repeated: further answers to a question.
        unknown: answers to what nobody asked.
        garbage: messages that are no answer.
        opened: how often the circuit breaker has opened.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], address: str, options: BackendOptions, note: Note
    ) -> None:
        self.address = address
        self.connected = False
        self.sent = self.answers = self.disconnects = 0
        self.late = self.repeated = self.unknown = self.garbage = self.opened = 0
        self._context = context
        self._options = options
        self._note = note
        self._socket: Optional[zmq.Socket[bytes]] = None
        self._monitor: Optional[zmq.Socket[bytes]] = None
        self._missing_since = time.monotonic()
        self._paused_until = 0.0
        self._left_alone_until = 0.0
        self._flood = Flood()
        self._fd = -1
        self._ends: Optional[descriptors.Ends] = None
        self._since = 0.0
        self._received = self._taken = 0
        self._unread = Level(UNREAD_RATE)

    @property
    def sockets(self) -> list[zmq.Socket[bytes]]:
        """What to poll."""
        return [each for each in (self._socket, self._monitor) if each is not None]

    def counted(self) -> dict[str, Any]:
        """For `status`."""
        return {
            "endpoint": self.address,
            "connected": self.connected,
            "left_alone": self.is_left_alone,
            **{name: getattr(self, name) for name in COUNTERS},
        }

    @property
    def closed_until(self) -> float:
        """When it is to be opened again (`time.monotonic()`); 0: it is open."""
        return self._paused_until

    @property
    def given_up_at(self) -> float:
        """When nobody waits for it any more unless somebody comes."""
        return float("inf") if self.connected else self._missing_since + GRACE_SECONDS

    def is_open_to_questions(self, now: float) -> bool:
        """Whether it may be asked, or waited for. After the circuit breaker's time one question may try."""
        if not self.connected and now >= self.given_up_at:
            return False
        if self._left_alone_until:
            if now < self._left_alone_until:
                return False
            self._left_alone_until = now + self._options.breaker
        return True

    @property
    def is_left_alone(self) -> bool:
        """Whether the circuit breaker is open."""
        return bool(self._left_alone_until)

    def did_not_answer(self, now: float) -> None:
        """A question that was sent to it has had its time."""
        if self._options.breaker and self.connected:
            self.opened += not self._left_alone_until
            self._left_alone_until = now + self._options.breaker

    def did_answer(self) -> None:
        """Whatever it was and however late."""
        self.answers += 1
        self._left_alone_until = 0.0

    def open(self) -> None:
        """Begins to connect.

        Raises:
            zmq.ZMQError: the address can't be used, or there are no descriptors left; nothing is open then.
        """
        self._paused_until = 0.0
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def reopen(self, now: float) -> None:
        """The same after it was open once; when that fails it is tried again later."""
        try:
            self.open()
        except zmq.ZMQError as error:
            self._paused_until = now + AGAIN_SECONDS
            self._note("WARNING", f"{self.address} can't be connected to: {error}; it is tried again")

    def _open(self) -> None:
        options = self._options
        socket = self._socket = self._context.socket(zmq.DEALER)
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.SNDHWM, SEND_HWM)
        socket.set(zmq.RCVHWM, 0)  # as in endpoint.py, whose comment says why
        socket.set(zmq.RECONNECT_IVL, RECONNECT_MS)
        socket.set(zmq.MAXMSGSIZE, LARGER * options.max_message_bytes)
        socket.set(zmq.TCP_MAXRT, SILENT_TCP_MS)
        socket.set(zmq.IPV6, int(options.ipv6))
        if options.curve is not None and options.server_key is not None:
            socket.set(zmq.CURVE_PUBLICKEY, options.curve.public)
            socket.set(zmq.CURVE_SECRETKEY, options.curve.secret)
            socket.set(zmq.CURVE_SERVERKEY, options.server_key)
        if self._is_inproc:
            self.connected = True  # there it tells nothing of who comes and goes
        else:
            address = f"inproc://event_zmq-backend-{secrets.token_hex(8)}"
            socket.monitor(address, int(_EVENTS))
            monitor = self._monitor = self._context.socket(zmq.PAIR)
            monitor.set(zmq.LINGER, 0)
            monitor.set(zmq.RCVHWM, 0)
            monitor.connect(address)
        socket.connect(self.address)

    @property
    def _is_inproc(self) -> bool:
        return self.address.startswith("inproc://")

    def close(self) -> None:
        """Whatever was on its way there is gone."""
        socket, monitor = self._socket, self._monitor
        self._socket = self._monitor = self._ends = None
        if self.connected:
            self.connected = False
            self._missing_since = time.monotonic()
        if socket is not None and monitor is not None:
            with contextlib.suppress(zmq.ZMQError):  # it is to be closed whatever becomes of this
                socket.disable_monitor()
        for each in (socket, monitor):
            if each is not None:
                each.close(0)

    def close_for_now(self, now: float) -> None:
        """It sends too much that is no answer."""
        self.close()
        self._paused_until = self._flood.pause_until(now)

    def start_again(self, now: float) -> None:
        """After its connection ended: what was on its way there must not reach who comes next."""
        was_short = now - self._since < SHORT_SECONDS
        self.close()
        if was_short:
            self._paused_until = now + SHORT_PAUSE
        else:
            self.reopen(now)

    def send(self, body: bytes, now: float) -> bool:
        """Whether it was taken."""
        taken = self._send(body)
        if not taken and self._is_inproc:  # who was there has gone, and libzmq does not look for the next one
            self.close()
            self.reopen(now)
            taken = self._send(body)
        self.sent += taken
        return taken

    def _send(self, body: bytes) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.send_multipart([b"", body], zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def take(self) -> Iterator[bytes]:
        """Messages that are there: the last frame of each."""
        socket = self._socket
        if socket is None:
            return
        for _ in range(TAKE_AT_MOST):
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._taken += sum(len(frame) + FRAME_BYTES for frame in frames)
            yield frames[-1] if len(frames) == 1 or (len(frames) == 2 and not frames[0]) else b""

    def look(self) -> tuple[bool, bool]:
        """Whether somebody has come, and whether somebody has gone: then it is to be closed and opened anew."""
        came = gone = False
        while self._monitor is not None:
            try:
                frames: list[Any] = self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            event, value = _EVENT.unpack(frames[0])
            if event == zmq.EVENT_CONNECTED:
                self._fd, self._ends = value, descriptors.ends_of(value)
                self._received, self._unread = 0, Level(UNREAD_RATE)
            elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                came = self.connected = True
                self._since = time.monotonic()
                self._left_alone_until = 0.0
                self._note("NOTICE", f"{self.address} is there")
            elif event == zmq.EVENT_DISCONNECTED and self.connected:
                gone = True
                self.disconnects += 1
                self._note("WARNING", f"{self.address} is gone")
                break
        return came, gone

    def answered_nothing(self, size: int, now: float) -> bool:
        """A message came that no question waits for. Whether there are too many, and it is to be closed for a while."""
        return self._flood.useless(size, now)

    def may_take(self, size: int) -> bool:
        """Whether an answer may have so many bytes."""
        return size <= self._options.max_message_bytes

    def sends_without_end(self) -> bool:
        """Whether more has come than whole messages were taken: libzmq holds it, and nothing else shows it.

        Only over TCP; elsewhere nobody but this machine's programs can do it.
        """
        if self._ends is None or descriptors.ends_of(self._fd) != self._ends:
            return False
        received = descriptors.bytes_received(self._fd)
        self._unread.add(received - self._received - self._taken)
        self._received, self._taken = received, 0
        return self._unread.now > max(UNREAD_BYTES, 2 * LARGER * self._options.max_message_bytes)
