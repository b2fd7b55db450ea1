"""A service while it serves: what comes in is answered, in whatever order, until it is to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import zmq.asyncio

from freeswitch_zmq import jsonrpc
from freeswitch_zmq.client.service.complaints import Complaints, logger
from freeswitch_zmq.client.service.endpoint import Endpoint
from freeswitch_zmq.client.service.handlers import Handlers, answer, internal_error
from freeswitch_zmq.client.service.keys import Keys, answer_zap, tell_of_strangers, watch
from freeswitch_zmq.client.service.pool import Pool
from freeswitch_zmq.jsonrpc import BUSY, SHUTTING_DOWN, RpcError

__all__ = ["Limits", "Running"]

FRAMES_AT_MOST = 16
"""Of a message: queues put one each before the delimiter."""

PENDING_BYTES_AT_MOST = 64_000_000
"""Of all requests that have no answer yet."""

CANCEL_SECONDS = 1.0
"""For handlers that were cancelled."""


@dataclass(frozen=True)
class Limits:
    """As a service has them.

    Raises:
        ValueError: one is not possible.
    """

    threads: int
    max_pending: int
    max_wait_seconds: float
    stop_seconds: float

    def __post_init__(self) -> None:
        if self.threads < 1 or self.max_pending < 1 or self.max_wait_seconds <= 0 or self.stop_seconds < 0:
            raise ValueError(
                "threads and max_pending are at least 1, max_wait_seconds is above 0, and stop_seconds is not negative"
            )


class _Request(NamedTuple):
    """What came in: the frames that lead back, up to and with the delimiter, and the object."""

    envelope: list[bytes]
    body: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.body) + sum(map(len, self.envelope))


class Running:
    """See above. All but `ask_to_stop` in the loop.

    Args:
        handlers: the service's.
        limits: see there.
        complaints: told of what goes wrong again and again.

    Attributes:
        address: where it listens.
    """

    def __init__(self, handlers: Handlers, limits: Limits, complaints: Complaints) -> None:
        self.address = ""
        self._handlers, self._limits, self._complaints = handlers, limits, complaints
        self._loop = asyncio.get_running_loop()
        self._pool = Pool(limits.threads, limits.max_wait_seconds, complaints)
        self._stop = asyncio.Event()
        self._stopping = False
        self._context = zmq.asyncio.Context()
        self._socket: Optional[zmq.asyncio.Socket] = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending: dict[asyncio.Task[None], _Request] = {}
        self._pending_bytes = 0

    def open(self, endpoint: Endpoint, keys: Optional[Keys]) -> None:
        """Takes requests from now on.

        Raises:
            StartError: the endpoint can't be used.
        """
        try:
            if keys is not None:
                self._begin(answer_zap(keys.open(self._context), keys, self._complaints))
            self._socket, self.address = endpoint.open(self._context, keys)
            if keys is not None:
                monitor = watch(self._socket, self._context)
                self._begin(tell_of_strangers(monitor, self._complaints))
            self._begin(self._receive(self._socket))
        except BaseException:
            for task in self._tasks:
                task.cancel()
            self._context.destroy(linger=0)
            raise

    def ask_to_stop(self) -> None:
        """From any thread: `until_stop` ends."""
        self._loop.call_soon_threadsafe(self._stop.set)

    async def until_stop(self) -> None:
        """Until it is asked to stop, or what must not end has ended."""
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({stop, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
        for task in self._tasks:
            if task.done():
                task.result()

    async def close(self) -> None:
        """Has those under way finish, then ends everything."""
        self._stopping = True
        try:
            if self._pending:
                await asyncio.wait(list(self._pending), timeout=self._limits.stop_seconds)
        finally:
            late = dict(self._pending)
            self._pending.clear()  # whoever finishes now has been answered
            for task, request in late.items():
                await self._refuse(request, SHUTTING_DOWN, "the service is stopping")
                task.cancel()
            for task in self._tasks:
                task.cancel()
            _, left = await asyncio.wait({*late, *self._tasks}, timeout=CANCEL_SECONDS)
            if left:
                logger.warning("%d handlers go on after the stop, although they were cancelled", len(left))
            if self._socket is not None:
                self._socket.disable_monitor()  # first: libzmq's own thread would wait for one who doesn't read
            self._context.destroy()
            for who in self._pool.close():
                logger.warning("%s goes on after the stop", who)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(self._loop.create_task(work))

    async def _receive(self, socket: zmq.asyncio.Socket) -> None:
        while True:
            frames = await socket.recv_multipart()
            try:
                await self._take(frames)
            except Exception:  # noqa: BLE001  # one message must not end it
                logger.exception("could not take a message")
            # Where a message is there already, receiving it lets nobody else run.
            await asyncio.sleep(0)

    async def _take(self, frames: list[bytes]) -> None:
        request = _request_of(frames)
        if request is None:
            logger.warning("a message of %d frames is no request", len(frames))
        elif self._stopping:
            await self._refuse(request, SHUTTING_DOWN, "the service is stopping")
        elif self._is_full(request):
            problem = f"{len(self._pending)} requests are under way"
            self._complaints.warn("full", f"{problem}, and more are refused")
            await self._refuse(request, BUSY, f"{problem}; try again later")
        else:
            task = self._loop.create_task(self._answer(request))
            self._pending[task] = request
            self._pending_bytes += request.size
            task.add_done_callback(self._done)

    def _is_full(self, request: _Request) -> bool:
        if len(self._pending) >= self._limits.max_pending:
            return True
        # A single one may be as large as it likes, because max_message_bytes is.
        return bool(self._pending) and self._pending_bytes + request.size > PENDING_BYTES_AT_MOST

    def _done(self, task: asyncio.Task[None]) -> None:
        request = self._pending.pop(task, None)
        if request is not None:  # else it had its answer at the stop
            self._pending_bytes -= request.size
        if not task.cancelled() and task.exception() is not None:
            logger.error("could not answer a request", exc_info=task.exception())

    async def _answer(self, request: _Request) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            told = await answer(self._handlers, request.body, self._pool.run)
        except asyncio.CancelledError:
            if task not in self._pending:
                raise
            logger.exception("a handler was cancelled, but not by the service")
            await self._fail(request, internal_error())
            return
        if told is not None and task in self._pending:
            await self._send(request, told)

    async def _refuse(self, request: _Request, code: int, why: str) -> None:
        await self._fail(request, RpcError(code, why))

    async def _fail(self, request: _Request, error: RpcError) -> None:
        """Answers with an error, if the request is one that wants an answer."""
        try:
            call = jsonrpc.parse_call(request.body)
        except RpcError as broken:
            await self._send(request, jsonrpc.failure(broken, broken.id))
            return
        if call.wants_answer:
            await self._send(request, jsonrpc.failure(error, call.id))

    async def _send(self, request: _Request, told: bytes) -> None:
        assert self._socket is not None
        await self._socket.send_multipart([*request.envelope, told])


def _request_of(frames: list[bytes]) -> Optional[_Request]:
    """None: it is none, and nothing says where its answer would have to go."""
    if not 2 <= len(frames) <= FRAMES_AT_MOST:
        return None
    # A REQ's delimiter is the first empty frame behind the peer's; a DEALER without one has only the object.
    end = next((place for place, frame in enumerate(frames[1:-1], 1) if not frame), None)
    if end is None:
        return _Request(frames[:1], frames[1]) if len(frames) == 2 else _Request(frames[:-1], frames[-1])
    # More than one frame behind the delimiter is no JSON, which the sender is told.
    return _Request(frames[: end + 1], frames[end + 1] if len(frames) == end + 2 else b"")
