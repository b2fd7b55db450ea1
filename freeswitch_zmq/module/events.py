"""The pump: one thread takes every event from the switch and hands it to the publishers.

It never waits for anybody but the switch. What it takes, it takes at once, so that FreeSWITCH's own queue, which drops
without counting, does not fill up; what can't go out as fast waits in the publishers' queues, where what is shed is
counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Callable, Generic, TypeVar

from freeswitch_zmq.errors import StartError
from freeswitch_zmq.module import host
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.publisher import Publisher, TakenEvent
from freeswitch_zmq.module.worker import Worker

__all__ = ["Pump"]

CONSUMER_LENGTH = 250_000
"""Slots of FreeSWITCH's queue (8 bytes each). It fills only while other Python code holds the GIL for long."""

TAKE_AT_MOST = 500
SEND_AT_MOST = 32
"""Events taken in one round, and sent at a time. Taking one costs a tenth of sending one."""

FULL_ROUNDS = 30
"""After so many rounds in a row that found TAKE_AT_MOST, taking goes first: FreeSWITCH's queue must not fill up. Until
then a round sends for as long as it took: what was taken should not wait for what is just coming in."""

IDLE_MS = 50
"""How long the pump sleeps when nothing happens; also how soon it notices a call or a stop."""

BEHIND_MS = 1
"""How long it sleeps for when the proxy threads are behind and no event comes."""

FLUSH_SECONDS = 0.2
"""What is queued may take this long to go out at a stop; the rest is shed."""

LAST_TRY_SECONDS = 0.1
"""How long the newest event, SHUTDOWN at a shutdown, may wait for a proxy thread that is behind."""

SEE_OUT_SECONDS = 0.01
"""How long the pump sleeps between two rounds while the switch shuts down."""

_left_to_the_end: list[object] = []
"""Events that were given up at the switch's shutdown. The end of the process frees them faster than we could."""

T = TypeVar("T")


class _Call(Generic[T]):
    """A function to run in the pump's thread, and what came of it."""

    def __init__(self, function: Callable[[], T]) -> None:
        self.function = function
        self.done = threading.Event()
        self.result: list[T] = []
        self.error: BaseException | None = None
        self._lock = threading.Lock()
        self._begun = self._given_up = False

    def run(self) -> None:
        """In the pump's thread; nothing when the caller has given up."""
        with self._lock:
            if self._given_up:
                return
            self._begun = True
        try:
            self.result.append(self.function())
        except BaseException as error:  # noqa: BLE001  # survived and reported
            self.error = error
        self.done.set()

    def give_up(self) -> bool:
        """False when it has begun already."""
        with self._lock:
            self._given_up = not self._begun
            return self._given_up


class Pump(Worker):
    """See above.

    Args:
        commands: takes the events about the module's own commands away.
        on_shutdown: called in the pump's thread when the switch's SHUTDOWN has been handed to the sockets.
        on_error: called with an exception that was caught; the pump goes on.

    Attributes:
        listeners: what of the module wants to know of an event, by the event's name; called in the pump's thread.
    """

    def __init__(
        self, commands: Commands, on_shutdown: Callable[[], None], on_error: Callable[[BaseException], None]
    ) -> None:
        super().__init__("event_zmq pump", on_error)
        self._commands = commands
        self._on_shutdown = on_shutdown
        self.listeners: Mapping[str, Callable[[host.Event], None]] = {}
        self._consumer: host.Consumer | None = None
        self._publishers: tuple[Publisher, ...] = ()
        self._calls: deque[_Call[object]] = deque()
        self._hurry = False

    def call(self, function: Callable[[], T], timeout: float = 5.0) -> T:
        """Runs a function in the pump's thread, between two events, and gives what it returns.

        Raises:
            StartError: the pump did not come to it within `timeout` seconds.
            Exception: whatever the function raised.
        """
        call = _Call(function)
        self._calls.append(call)  # type: ignore[arg-type]  # the queue doesn't care what a call returns
        if not call.done.wait(timeout) and (call.give_up() or not call.done.wait(timeout)):
            raise StartError(f"the event pump did not answer within {timeout:g} s; see the log for what it is doing")
        if call.error is not None:
            raise call.error
        return call.result[0]

    def attach(self, *publishers: Publisher) -> None:
        """In the pump's thread: events go to these publishers from now on."""
        self._publishers += publishers

    def detach(self, *publishers: Publisher) -> None:
        """In the pump's thread: no more events; what is queued goes out, within FLUSH_SECONDS for all."""
        self._publishers = tuple(each for each in self._publishers if each not in publishers)
        self._flush(publishers)

    def open(self) -> None:
        """See `Worker`."""
        self._consumer = host.Consumer(CONSUMER_LENGTH)

    def run(self) -> None:
        """See `Worker`."""
        behind = False
        full_rounds = 0
        while not self.stopping:
            try:
                self._run_calls()
                if not host.running():
                    self._see_out()
                    continue
                wait_ms = BEHIND_MS if behind else 0 if self._hurry or self._queued() else IDLE_MS
                taken, seconds = self._take(wait_ms, TAKE_AT_MOST)
                full_rounds = full_rounds + 1 if taken == TAKE_AT_MOST else 0
                behind = self._send(0.0 if full_rounds > FULL_ROUNDS else seconds)
            except Exception as error:  # noqa: BLE001  # survived and reported
                self.on_error(error)
                # An error that comes back each time must not eat a processor.
                time.sleep(0.01)

    def close(self) -> None:
        """See `Worker`."""
        self._run_calls()
        if self._consumer is not None:
            self._consumer.close()

    def _run_calls(self) -> None:
        while self._calls:
            self._calls.popleft().run()

    def _queued(self) -> bool:
        return any(publisher.queued for publisher in self._publishers)

    def _take(self, wait_ms: int, most: int) -> tuple[int, float]:
        """Takes up to `most` events that the switch has, after waiting `wait_ms` for the first one.

        Returns:
            How many, and the seconds since the first one was there.
        """
        assert self._consumer is not None
        pop = self._consumer.pop
        event = pop(wait_ms)
        began = time.monotonic()
        # After the wait, so that an event is judged by the subscriptions of now.
        more = [self._update_subscriptions(publisher) for publisher in self._publishers]
        self._hurry = any(more)
        taken = 0
        while event is not None:
            self._offer(event)
            taken += 1
            event = pop(0) if taken < most else None
        return taken, time.monotonic() - began

    def _update_subscriptions(self, publisher: Publisher) -> bool:
        try:
            return publisher.update_subscriptions()
        except Exception as error:  # noqa: BLE001  # the event that was taken must not be lost
            self.on_error(error)
            return False

    def _offer(self, event: host.Event) -> None:
        name: str = event.getType()
        if (name == "API" or name == "BACKGROUND_JOB") and self._commands.claim(event, name):
            return
        if name in self.listeners:
            self._tell(self.listeners[name], event)
        taken = TakenEvent(event, name)
        # Anyone who may send events can send a SHUTDOWN; only the switch can stop running.
        last = name == "SHUTDOWN" and not host.running()
        for publisher in self._publishers:
            try:
                publisher.offer(taken, last)
            except Exception as error:  # noqa: BLE001  # the others get it all the same
                self.on_error(error)
        if last:
            self._flush(self._publishers)
            self._on_shutdown()

    def _tell(self, listener: Callable[[host.Event], None], event: host.Event) -> None:
        try:
            listener(event)
        except Exception as error:  # noqa: BLE001  # the event is everybody's all the same
            self.on_error(error)

    def _send(self, seconds: float) -> bool:
        """Sends what is queued, for so long; without time some of it.

        Returns:
            True when there is some left that nobody can take right now.
        """
        until = time.monotonic() + seconds
        while True:
            behind = False
            for publisher in self._publishers:
                if publisher.queued and not publisher.send(SEND_AT_MOST):
                    behind = True
            if behind or not self._queued() or time.monotonic() >= until:
                return behind

    def _send_some(self, publisher: Publisher, most: int) -> int:
        try:
            return publisher.send(most)
        except Exception as error:  # noqa: BLE001  # one event that breaks must not keep SHUTDOWN back
            self.on_error(error)
            return 1

    def _see_out(self) -> None:
        """A round while the switch shuts down: its SHUTDOWN must get here before FreeSWITCH closes its event queue.

        With thousands of events in line before it that takes all the speed there is: a pump that waits in `pop` would
        have to be woken for each of them by FreeSWITCH's thread, and freeing one costs ten times as much as taking it.
        """
        time.sleep(SEE_OUT_SECONDS)
        self._take(0, CONSUMER_LENGTH)
        if sum(publisher.queued for publisher in self._publishers) <= TAKE_AT_MOST:
            self._send(0.0)

    def _flush(self, publishers: tuple[Publisher, ...]) -> None:
        """Sends what is queued, within FLUSH_SECONDS for all; after that only the newest event of each."""
        deadline = time.monotonic() + FLUSH_SECONDS
        for publisher in publishers:
            while publisher.queued and time.monotonic() < deadline:
                if not self._send_some(publisher, SEND_AT_MOST):
                    time.sleep(BEHIND_MS / 1000)  # the proxy threads are behind
            given_up = publisher.shed_queue(keep=1)
            if not host.running():
                _left_to_the_end.append(given_up)
            last_try = time.monotonic() + LAST_TRY_SECONDS
            while publisher.queued and not self._send_some(publisher, 1) and time.monotonic() < last_try:
                time.sleep(BEHIND_MS / 1000)
            publisher.shed_queue()
