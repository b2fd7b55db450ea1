"""An endpoint of the API: one thread with a ROUTER, which takes requests and gives each its answer.

It waits for no command: they run in threads of FreeSWITCH's, and the pump brings what comes of them.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Callable, Optional

import zmq

from freeswitch_zmq.jsonrpc import (
    FORBIDDEN,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    TIMEOUT,
    Call,
    Id,
    RpcError,
    failure,
    parse_call,
    success,
)
from freeswitch_zmq.module import descriptors
from freeswitch_zmq.module.access import Access
from freeswitch_zmq.module.api.audit import Audit
from freeswitch_zmq.module.api.commands import result_of, stopping
from freeswitch_zmq.module.api.counters import Counters
from freeswitch_zmq.module.api.desk import Desk
from freeswitch_zmq.module.api.methods import call as do_call
from freeswitch_zmq.module.api.request import Peer, Request
from freeswitch_zmq.module.api.unread import Unread
from freeswitch_zmq.module.bell import Bell
from freeswitch_zmq.module.endpoint import EndpointOptions, NetworkEndpoint
from freeswitch_zmq.module.refusals import Refusals
from freeswitch_zmq.module.rule import Rule
from freeswitch_zmq.module.traffic import Traffic, TrafficBook

__all__ = ["API_SEND_HWM", "ApiEndpoint"]

API_SEND_HWM = 10_000
"""Answers that wait for one slow caller, before further ones are dropped and counted."""

NAME_BYTES = 255
"""The longest name that ZeroMQ gives to a hop of an envelope."""

CURVE_BYTES = 33
LONG_FRAME = 256
"""What encryption adds to a frame, and from which size on its length is told in 9 bytes instead of 2 (ZMTP 3.1)."""

RECEIVE_BUFFER = 64 * 1024
"""Of the kernel, for each connection: what a caller can have sent without our thread having looked at it."""

AT_ONCE = 100
AT_ONCE_SECONDS = 0.02
"""Requests taken in a row, and the time for it, before answers of commands are looked at."""

FRAMES_AT_MOST = 16
"""Of a request: an envelope of several hops, and the object."""

FLOOD_FRAMES = 10_000
"""Nobody sends so many by mistake. To take them costs 1.5 µs each, in which nobody else is served."""

IDLE_SECONDS = 1.0
LAST_CALLS_SECONDS = 0.3
"""How long requests that came before a stop are still taken, and told about it."""

SILENCE_MS = 30
"""After such a silence there are no more; for a moment none may be there although some are on their way."""

Frames = list[zmq.Frame]


class ApiEndpoint(NetworkEndpoint):
    """See above.

    Args:
        context: the module's.
        options: see there.
        access: lets callers in.
        rule: whom it lets in; None where there is nothing to know.
        desk: what it shares with the other endpoints.
        refusals: where it counts whom it refused something.
        on_error: called with an exception that was caught; the endpoint goes on.

    Attributes:
        counters: what became of the requests.
        held: it takes no requests yet, until `release`.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        options: EndpointOptions,
        access: Access,
        rule: Optional[Rule],
        desk: Desk,
        refusals: Refusals,
        on_error: Callable[[BaseException], None],
    ) -> None:
        super().__init__(context, options, access, rule, on_error)
        self.counters = Counters()
        self._desk = desk
        self._refusals = refusals
        self._audit = Audit()
        self.held = False
        self._book = rule.traffic if rule is not None else TrafficBook()
        self._unread = Unread(self._book)
        self._waiting: dict[int, Request] = {}
        self._next_deadline = float("inf")
        self._outputs: deque[tuple[Request, Optional[str]]] = deque()
        self._bell = Bell()

    def open(self) -> None:
        """See `Worker`."""
        self._bell.open()
        front = self.make_front(zmq.ROUTER)
        front.set(zmq.ROUTER_MANDATORY, 1)  # an answer that can't be given is an error, not silence
        front.set(zmq.RCVBUF, RECEIVE_BUFFER)
        self.open_front()

    def wake(self) -> None:
        """See `Worker`."""
        self._bell.ring()

    def release(self) -> None:
        """From any thread: it takes requests from now on."""
        self.held = False
        self.wake()

    def run(self) -> None:
        """See `Worker`."""
        assert self._front is not None
        poller, bell_alone = zmq.Poller(), zmq.Poller()
        poller.register(self._front, zmq.POLLIN)
        poller.register(self._bell.fd, zmq.POLLIN)
        bell_alone.register(self._bell.fd, zmq.POLLIN)
        while not self.stopping:
            try:
                if self._bell.fd in dict((bell_alone if self.held else poller).poll(self._wait_ms())):
                    self._bell.quiet()
                self._take_outputs()
                self._give_up(time.monotonic())
                if not self.held:
                    self._take_requests(self._take)
            except Exception as error:  # noqa: BLE001  # survived and reported
                self.on_error(error)
                time.sleep(0.01)  # one that comes back each time must not eat a processor
        self._say_goodbye()

    def close(self) -> None:
        """See `Worker`."""
        self.close_front()
        self._bell.close()

    def _wait_ms(self) -> int:
        wait = min(self._next_deadline - time.monotonic(), IDLE_SECONDS)
        return max(0, round(wait * 1000 + 0.5))

    def _take_requests(self, take: Callable[[Frames], None]) -> bool:
        """Whether there may be more."""
        until = time.monotonic() + AT_ONCE_SECONDS
        for _ in range(AT_ONCE):
            if self.stopping and take == self._take:
                return True
            frames = self._receive()
            if frames is None:
                return False
            if frames:
                take(frames)
            if time.monotonic() > until:
                return True
        return True

    def _receive(self) -> Optional[Frames]:
        """A message; None: there is none; empty: one that nobody needs to see."""
        front = self._front
        assert front is not None
        try:
            frames: Frames = [front.recv(zmq.NOBLOCK, copy=False)]
        except zmq.Again:
            return None
        while frames[-1].more:
            frame = front.recv(zmq.NOBLOCK, copy=False)  # the rest of a message is there when its beginning is
            if len(frames) > FRAMES_AT_MOST:
                self._drop_rest(frame)
                return []
            frames.append(frame)
        return frames

    def _drop_rest(self, frame: zmq.Frame) -> None:
        """A message of very many frames: nobody means well with that, and each costs more than the byte it is."""
        self.counters.requests += 1
        self._count_error(INVALID_REQUEST)
        front = self._front
        assert front is not None
        fd, address, count, size = _fd(frame), _property(frame, "Peer-Address").partition("%")[0], 0, 0
        while frame.more:
            frame = front.recv(zmq.NOBLOCK, copy=False)
            count += 1
            size += 2 + len(frame)
        # Its connection may have ended long ago, and any other of FreeSWITCH's have its descriptor by now.
        ends = descriptors.ends_of(fd)
        here = ends is not None and self.address.endswith(f":{ends.local_port}") and ends.address == address
        if ends is not None and here and descriptors.bytes_received(fd) >= size and descriptors.hang_up(fd, ends):
            self._refusals.add(self.address, "frames", ends.address)
            if count > FLOOD_FRAMES and self.rule is not None:
                self.rule.conduct.flooded(ends.address)

    def _take(self, frames: Frames) -> None:
        self.counters.requests += 1
        last = frames[-1]
        envelope, body = _split(frames)
        traffic, key = self._whose(last)
        traffic.heard = descriptors.bytes_received(traffic.fd)
        traffic.taken += self._size_of(frames)
        peer = Peer(envelope, traffic)
        try:
            if body is None:
                raise RpcError(INVALID_REQUEST, "a request is one JSON object, after an empty frame or alone")
            call = parse_call(body)
        except RpcError as error:
            self._count_error(error.code)
            self._give(peer, error.id, failure(error, error.id))
            return
        address = _property(last, "Peer-Address") if self.address.startswith(("tcp://", "ipc://")) else ""
        caller = self._desk.caller(key, address)
        self._handle(Request(peer, caller, call))

    def _whose(self, frame: zmq.Frame) -> tuple[Traffic, Optional[str]]:
        """Of the connection that a message came from, and the caller's key where one is needed."""
        ends, key = 0, None
        if self.options.guarded:  # inproc has neither
            told, _, key = _property(frame, "User-Id").partition(" ")
            ends = int(told)
        return self._book.of(_fd(frame), ends), key if self.options.curve is not None else None

    def _size_of(self, frames: Frames) -> int:
        """The bytes that a message came in: ZMTP adds some to each frame, and CURVE more. The first is libzmq's own."""
        around = CURVE_BYTES if self.options.curve is not None else 0
        sizes = [len(frame) + around for frame in frames[1:]]
        return sum(size + (2 if size < LONG_FRAME else 9) for size in sizes)

    def _handle(self, request: Request) -> None:
        self.counters.notifications += not request.call.wants_answer
        try:
            result = do_call(self._desk, request, self._output_came)
        except RpcError as error:
            self._fail(request, error)
        except Exception as error:  # noqa: BLE001  # survived, reported, and the caller is told
            self.on_error(error)
            self._fail(request, _unexpected())
        else:
            if result is not None:
                self._succeed(request, result)
            else:
                self._waiting[id(request)] = request
                self._next_deadline = min(self._next_deadline, request.deadline)

    def _output_came(self, request: Request, output: Optional[str]) -> None:
        """In the pump's thread."""
        self._outputs.append((request, output))
        self.wake()

    def _take_outputs(self) -> None:
        while self._outputs:
            request, output = self._outputs.popleft()
            if self._waiting.pop(id(request), None) is None:
                self.counters.late += 1
                continue
            try:
                result = result_of(request, output)
            except RpcError as error:
                self._fail(request, error)
            except Exception as error:  # noqa: BLE001  # survived, reported, and the caller is told
                self.on_error(error)
                self._fail(request, _unexpected())
            else:
                self._succeed(request, result)

    def _give_up(self, now: float) -> None:
        """Tells those whose time is over."""
        if now < self._next_deadline:
            return
        for key, request in list(self._waiting.items()):
            if request.deadline <= now:
                del self._waiting[key]
                if request.job is not None:
                    request.job.abandoned = True
                seconds = request.deadline - request.started
                self._fail(request, RpcError(TIMEOUT, f'"{request.command}" did not answer within {seconds:g} s'))
        self._next_deadline = min((each.deadline for each in self._waiting.values()), default=float("inf"))

    def _succeed(self, request: Request, result: Any) -> None:
        self.counters.succeeded += 1
        self._end(request, 0, lambda: success(request.call.id, result))

    def _fail(self, request: Request, error: RpcError) -> None:
        self._count_error(error.code)
        if error.code == FORBIDDEN:
            caller = request.caller
            key = caller.key.name if caller.key is not None else ""
            self._refusals.add(self.address, "forbidden", caller.address, key)
        self._end(request, error.code, lambda: failure(error, request.call.id))

    def _end(self, request: Request, code: int, answer: Callable[[], bytes]) -> None:
        given = not request.call.wants_answer or self._answer(request, answer())
        self._audit.note(request, code, given)  # after the answer: a line in the log takes as long as a hop of it

    def _count_error(self, code: int) -> None:
        self.counters.errors += 1
        self.counters.by_code[code] += 1

    def _answer(self, request: Request, answer: bytes) -> bool:
        """Gives an answer to whom it belongs; False: that wasn't possible."""
        if self._desk.still_knows(request.caller):
            return self._give(request.peer, request.call.id, answer)
        self.counters.undelivered += 1
        return False

    def _give(self, peer: Peer, id: Id, answer: bytes) -> bool:
        """The same, whoever it is."""
        given = False
        if self._unread.has_room(peer.traffic, len(answer) + peer.size):
            given = self._hand_over(peer, answer)
        elif self._unread.has_room_for_a_word(peer.traffic):
            done = "what was asked for is done, and its answer dropped: the earlier ones have not been read"
            word = failure(RpcError(INTERNAL_ERROR, done, {"done": True}), id)
            if self._hand_over(peer, word):
                peer.traffic.words += len(word) + peer.size
        self.counters.undelivered += not given
        return given

    def _hand_over(self, peer: Peer, answer: bytes) -> bool:
        """False: the peer is gone, or API_SEND_HWM answers wait for it."""
        assert self._front is not None
        if not self._book.is_there(peer.traffic):
            return False
        try:
            self._front.send(peer.envelope[0], zmq.NOBLOCK | zmq.SNDMORE)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            return False
        # Now it is settled which connection gets it, and that may be one that took the name a moment ago.
        there = self._book.is_there(peer.traffic)
        self._front.send_multipart([*peer.envelope[1:], answer if there else _NOBODYS], zmq.NOBLOCK)
        if there:
            self._unread.add(peer.traffic, len(answer) + peer.size)
        return there

    def _say_goodbye(self) -> None:
        """At a stop: everybody who waits is told."""
        self._take_outputs()
        for request in list(self._waiting.values()):
            self._fail(request, stopping())
        self._waiting.clear()
        until = time.monotonic() + LAST_CALLS_SECONDS
        assert self._front is not None
        while self._front.poll(SILENCE_MS):
            self._take_requests(self._turn_away)
            if time.monotonic() >= until:
                break

    def _turn_away(self, frames: Frames) -> None:
        self.counters.requests += 1
        envelope, body = _split(frames)
        try:
            call = parse_call(body or b"")
        except RpcError as broken:
            call = Call("", {}, broken.id, True)
        error = stopping()
        self._count_error(error.code)
        if call.wants_answer:
            self._give(Peer(envelope, self._whose(frames[-1])[0]), call.id, failure(error, call.id))


def _split(frames: Frames) -> tuple[list[bytes], Optional[bytes]]:
    """What goes before the answer, and the object that was sent; None when there isn't exactly one.

    REQ puts an empty frame before the object, and a queue on the way further names before that; a DEALER may send the
    object alone.
    """
    parts = [frame.bytes for frame in frames]
    for at in range(1, len(parts)):
        if not parts[at]:
            if any(len(part) > NAME_BYTES for part in parts[1:at]):
                return parts[:1], None
            rest = parts[at + 1 :]
            return parts[: at + 1], rest[0] if len(rest) == 1 else None
    return parts[:1], parts[1] if len(parts) == 2 else None  # who, and the object


def _fd(frame: zmq.Frame) -> int:
    """The descriptor of the connection that it came from, -1 where there is none."""
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return -1


def _property(frame: zmq.Frame, name: str) -> str:
    """What libzmq knows of the connection; empty where it doesn't."""
    try:
        return str(frame.get(name))
    except zmq.ZMQError:
        return ""


_NOBODYS = failure(RpcError(INTERNAL_ERROR, "the answer that was to come here is another connection's"), None)


def _unexpected() -> RpcError:
    return RpcError(INTERNAL_ERROR, "an unexpected error; the switch's log has a line about it")
