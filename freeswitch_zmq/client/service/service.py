"""The program that a switch asks: a socket, and the handlers that answer what comes in there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Callable, Optional, TypeVar, Union, overload

from freeswitch_zmq.client.service import loop
from freeswitch_zmq.client.service.complaints import Complaints, logger
from freeswitch_zmq.client.service.endpoint import Endpoint
from freeswitch_zmq.client.service.handlers import Handler, Handlers
from freeswitch_zmq.client.service.keys import AnyKeys, Keys
from freeswitch_zmq.client.service.running import Limits, Running
from freeswitch_zmq.client.service.signals import stopping_at_signals
from freeswitch_zmq.errors import StateError

__all__ = ["Service"]

H = TypeVar("H", bound=Handler)


class Service:
    """Answers what switches ask. A handler is a function, run in a thread, or a coroutine function.

    All at once: no request waits for another one, as long as there are threads and no coroutine blocks its loop. `run`,
    `serve` and `async with` are the three ways to have it work; one that has stopped can be started again.

    Args:
        endpoint: where it listens, `tcp://ADDRESS:PORT` or `ipc://PATH`; the switch has it as `endpoint`. Without
            `keys` all who can connect there may ask, for password hashes, too: keep it on the machine.
        connect: connect there instead, to the other side of a queue that has several copies of a service behind it.
        threads: handlers that are functions run in so many threads at most, begun as they are needed. Of those who
            wait for one the latest is first, so that in an overload not everybody is answered too late.
        max_pending: requests at the same time, those included that wait for a thread; beyond, or when they are 64 MB
            together, the answer is -32004.
        max_wait_seconds: seconds that a request waits for a thread; then the answer is -32004 and its handler is not
            run. The switch's `timeout-ms` is right: nobody reads what comes later.
        stop_seconds: seconds that requests under way get at a stop.
        keys: the service's own, or the whole path of a `.key_secret` file with them, which has to belong to the user
            who runs the service and to have mode 600. Switches have to encrypt then, and to know its public key
            (`server-public-key`).
        allow_keys: with `keys`, the public keys of switches that may ask (40 characters of Z85, 64 hex digits or 32
            bytes, of the switch's `server-secret-key-file`); none: nobody.
        max_message_bytes: of a frame of a request; a connection that brings a larger one is ended.
        max_answer_bytes: of an answer about a call, and of an error, at most the `max-message-bytes` of the switch's
            `<callout>`, which ends the connection at a larger one. In its place the switch is told of an error.
        response_max_bytes: of an XML document, as in the switch's `<binding>`.
        ipv6: take IPv6 addresses, too.

    Raises:
        ValueError: one of them is not possible, or keys are given to one that connects.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        connect: bool = False,
        threads: int = 256,
        max_pending: int = 10_000,
        max_wait_seconds: float = 2.0,
        stop_seconds: float = 5.0,
        keys: AnyKeys = None,
        allow_keys: Iterable[Union[str, bytes]] = (),
        max_message_bytes: int = 1_048_576,
        max_answer_bytes: int = 1_048_576,
        response_max_bytes: int = 1_048_576,
        ipv6: bool = False,
    ) -> None:
        self._endpoint = Endpoint(endpoint, connect, max_message_bytes, ipv6)
        self._limits = Limits(threads, max_pending, max_wait_seconds, stop_seconds)
        self._keys = Keys.of(keys, allow_keys)
        if connect and self._keys is not None:
            raise ValueError(
                "keys are for a service that switches reach directly; "
                "have the queue and the services behind it on one machine (ipc:// or 127.0.0.1)"
            )
        if self._keys is not None and not self._keys.allowed:
            logger.warning("allow_keys is empty: no switch may ask this service")
        self._complaints = Complaints()
        self.handlers = Handlers(max_answer_bytes, response_max_bytes, self._complaints)
        # Its holder may be interrupted by a signal whose handler takes it, too.
        self._lock = threading.RLock()
        self._stop_asked = self._is_over = False
        self._running: Optional[Running] = None

    def call(self, name: str) -> Callable[[H], H]:
        """Decorates the handler for calls at `event_zmq NAME`: gets a `Call`, gives a `Reply` or a list of actions.

        Args:
            name: as in `<callout name="…">`.

        Raises:
            ValueError: it has a handler already, or is empty.
        """
        return _registers(self.handlers.calls, (name,), "call")

    def xml(self, *sections: str) -> Callable[[H], H]:
        """Decorates the handler for lookups: gets an `XmlRequest`, gives an element, a document, or None.

        Args:
            sections: such as `directory`, as in a binding's `bindings`.

        Raises:
            ValueError: one has a handler already, or is empty.
        """
        if not sections:
            raise ValueError('name a section: @service.xml("directory")')
        return _registers(self.handlers.sections, sections, "section")

    @overload
    def hangup(self, handler: H) -> H: ...

    @overload
    def hangup(self) -> Callable[[H], H]: ...

    def hangup(self, handler: Optional[H] = None) -> Union[H, Callable[[H], H]]:
        """Decorates the handler that gets a `Hangup` when a call hangs up in a conversation; its answer is ignored.

        Raises:
            ValueError: there is one already.
        """

        def register(handler: H) -> H:
            _check_handler(handler)
            if self.handlers.hangup is not None:
                raise ValueError("hang-ups have a handler already")
            self.handlers.hangup = handler
            return handler

        return register if handler is None else register(handler)

    @property
    def endpoint(self) -> str:
        """Where it listens as it really is, also for `tcp://127.0.0.1:*`; empty: it does not, at the moment."""
        running = self._running
        return "" if running is None else running.address

    def run(self) -> None:
        """Serves until `stop`. In the main thread also until SIGINT or SIGTERM, after which it returns as usual.

        A second one does what it does without a service, so that it ends a program whose loop is blocked, too.

        Raises:
            StartError: the endpoint can't be used.
            StateError: it is running, or there is a loop in this thread (then it is `await service.serve()`).
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise StateError("there is a loop in this thread already: await service.serve()")
        self._is_over = False
        with stopping_at_signals(self.stop):
            loop.run(self.serve())

    async def serve(self) -> None:
        """Serves until `stop`, in a loop that is there already; signals are the loop's owner's.

        Raises:
            StartError: the endpoint can't be used.
            StateError: it is running.
        """
        async with self:
            running = self._running
            assert running is not None
            await running.until_stop()

    def stop(self) -> None:
        """From any thread: ends `run` or `serve`. It does not wait for that.

        Before the first of them has begun, it ends at once; after the last has ended, there is nothing to stop.
        """
        with self._lock:
            if self._running is not None:
                self._running.ask_to_stop()
            elif not self._is_over:
                self._stop_asked = True

    async def __aenter__(self) -> Service:
        """Serves in the background of a loop until the block ends.

        Raises:
            StartError: the endpoint can't be used.
            StateError: it is running.
        """
        with self._lock:
            if self._running is not None:
                raise StateError("this service is running already")
            running = self._running = Running(self.handlers, self._limits, self._complaints)
            if self._stop_asked:
                running.ask_to_stop()
        try:
            running.open(self._endpoint, self._keys)
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        running = self._running
        assert running is not None
        try:
            await running.close()
        finally:
            self._end()

    def _end(self) -> None:
        with self._lock:
            self._running, self._stop_asked, self._is_over = None, False, True


def _registers(known: dict[str, Handler], names: tuple[Any, ...], what: str) -> Callable[[H], H]:
    for name in names:
        if not isinstance(name, str) or not name:
            raise ValueError(f"a {what} has a name, given in brackets behind the decorator")
        if name in known:
            raise ValueError(f'the {what} "{name}" has a handler already')

    def register(handler: H) -> H:
        _check_handler(handler)
        known.update(dict.fromkeys(names, handler))
        return handler

    return register


def _check_handler(handler: object) -> None:
    if not callable(handler):
        raise ValueError(f"a handler is a function or a coroutine function, not {type(handler).__name__}")
