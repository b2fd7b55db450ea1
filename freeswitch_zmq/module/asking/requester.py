"""Has questions answered: one thread with a connection to each endpoint of a service, which all questions share.

They are asked in the order of the endpoints: who has no answer when its share of the time is over, or has gone, or
answers with an error, is followed by the next.
"""

from __future__ import annotations

import heapq
import itertools
import re
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from typing import Any, Callable, Optional

import zmq

from freeswitch_zmq.errors import StartError
from freeswitch_zmq.jsonrpc import RpcError, parse_answer
from freeswitch_zmq.module.asking.backend import Backend, BackendOptions, Note
from freeswitch_zmq.module.asking.question import ERROR, INVALID, OK, TIMEOUT, UNAVAILABLE, Outcome, Question, Read
from freeswitch_zmq.module.bell import Bell
from freeswitch_zmq.module.worker import Worker
from freeswitch_zmq.spelling import shown

__all__ = ["Requester"]

REMEMBERED = 10_000
"""Questions that are over, by which a late answer can be told from one to what nobody asked."""

TIMES_AT_MOST = 1000
"""Of questions that are over."""

IDLE_SECONDS = 0.1
"""How often it is looked for services that send without end."""

_ID = re.compile(rb'"id"\s*:\s*"([0-9a-f]{32})"')

RETIRED_SECONDS = 2.0
"""How long one is still there after a reload that has no use for it."""

_ANSWERED, _OVER = True, False


class Requester(Worker):
    """See above.

    Args:
        context: the module's.
        name: for people, such as `callout "ivr"`.
        endpoints: in the order in which they are asked.
        options: see there.
        note: called with a level and a line for the log.
        on_error: called with an exception that was caught; it goes on.

    Attributes:
        backends: one for each endpoint.
        requests: questions that were asked.
        by_status: what came of them.
        abandoned: questions that nobody waits for any more.
        told: notices that want no answer.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        name: str,
        endpoints: Sequence[str],
        options: BackendOptions,
        note: Note,
        on_error: Callable[[BaseException], None],
    ) -> None:
        super().__init__(f"event_zmq {name}", on_error)
        self.endpoints, self.options = tuple(endpoints), options
        self.backends = [Backend(context, each, options, note) for each in endpoints]
        self.requests = self.abandoned = 0
        self.by_status: Counter[str] = Counter()
        self.told = 0
        self._retired_at = float("inf")
        self._ended = False
        self._looked = 0.0
        self._bell = Bell()
        self._asked: deque[Question] = deque()
        self._dropped: deque[Question] = deque()
        self._pending: dict[str, Question] = {}
        self._over: OrderedDict[str, bool] = OrderedDict()
        self._times: list[tuple[float, int, Question]] = []
        self._count = itertools.count()

    @property
    def pending(self) -> int:
        """Questions that have no answer yet."""
        return sum(question.counted for question in list(self._pending.values()))

    def counted(self) -> dict[str, Any]:
        """For `status`: at rest `requests` = `succeeded` + `errors` + `abandoned`."""
        by_status = dict(self.by_status)
        succeeded = by_status.pop(OK, 0)
        return {
            "endpoints": list(self.endpoints),
            "requests": self.requests,
            "succeeded": succeeded,
            "errors": sum(by_status.values()),
            "errors_by_status": by_status,
            "refused": by_status.get(INVALID, 0),
            "abandoned": self.abandoned,
            "told": self.told,
            "pending": self.pending,
            "connections": [backend.counted() for backend in self.backends],
        }

    def ask(
        self, method: str, params: dict[str, Any], seconds: float, read: Read, first: Optional[int] = None
    ) -> Question:
        """Asks, from any thread; the answer is in the question within that time. See `Question` for the arguments."""
        question = Question(method, params, seconds, read, first)
        self._hand_over(question)
        return question

    def tell(self, method: str, params: dict[str, Any], seconds: float, first: Optional[int] = None) -> None:
        """The same for what needs no answer: there is one, since a REP has to give it, and nobody reads it."""
        self.told += 1
        self._hand_over(Question(method, params, seconds, _ignore, first, counted=False))

    def _hand_over(self, question: Question) -> None:
        self._asked.append(question)
        if self.stopping or self._ended or not self.alive:
            self._refuse_asked()
        else:
            self._bell.ring()

    def drop(self, question: Question) -> None:
        """From any thread: nobody waits for it any more."""
        self._dropped.append(question)
        self._bell.ring()

    def asks(self, endpoints: Sequence[str], options: BackendOptions) -> bool:
        """Whether it is there, and is what such a configuration needs."""
        return self.alive and self.endpoints == tuple(endpoints) and self.options == options

    def retire(self) -> None:
        """From any thread: it ends when all that it was asked has an answer."""
        self._retired_at = time.monotonic()
        self._bell.ring()

    def open(self) -> None:
        """See `Worker`."""
        self._bell.open()
        for backend in self.backends:
            try:
                backend.open()
            except zmq.ZMQError as error:
                reason = zmq.strerror(error.errno or 0)
                raise StartError(f"can't connect to {backend.address}: {reason}; see the address") from error

    def wake(self) -> None:
        """See `Worker`."""
        self._bell.ring()

    def run(self) -> None:
        """See `Worker`."""
        while not self.stopping and not self._is_out_of_use():
            try:
                ready = self._poll()
                now = time.monotonic()
                for backend in self.backends:
                    if backend.closed_until or any(socket in ready for socket in backend.sockets):
                        self._serve(backend, now)
                self._cut_floods(now)
                self._take_dropped()
                self._take_asked(now)
                self._keep_time(time.monotonic())
            except Exception as error:  # noqa: BLE001  # survived and reported
                self.on_error(error)
                time.sleep(0.01)  # one that comes back each time must not eat a processor

    def close(self) -> None:
        """See `Worker`."""
        self._ended = True  # before the rest: who asks from now on sees to it that it is refused
        self._take_dropped()
        for question in list(self._pending.values()):
            self._settle(question, _stopped())
        self._refuse_asked()
        for backend in self.backends:
            backend.close()
        self._bell.close()

    def _is_out_of_use(self) -> bool:
        if time.monotonic() - self._retired_at < RETIRED_SECONDS:  # who has it in hand may be about to ask
            return False
        return not self._pending and not self._asked

    def _poll(self) -> dict[Any, int]:
        """Waits; what has something to read then."""
        poller = zmq.Poller()
        poller.register(self._bell.fd, zmq.POLLIN)
        for backend in self.backends:
            for socket in backend.sockets:
                poller.register(socket, zmq.POLLIN)
        now = time.monotonic()
        times = [backend.closed_until for backend in self.backends if backend.closed_until]
        times += [self._times[0][0]] if self._times else []
        wait = min([IDLE_SECONDS, *(each - now for each in times)])
        ready = dict(poller.poll(max(0, round(wait * 1000 + 0.5))))
        if self._bell.fd in ready:
            self._bell.quiet()
        return ready

    def _serve(self, backend: Backend, now: float) -> None:
        if backend.closed_until:
            if now >= backend.closed_until:
                backend.reopen(now)
            return
        came, gone = backend.look()
        for body in backend.take():
            if not self._take(backend, body, now) and backend.answered_nothing(len(body), now):
                self._cut(backend, now)
                return
        if came and not gone:
            self._send_to(backend, now)
        if gone:
            for body in backend.take():
                self._take(backend, body, now)
            backend.start_again(now)
            self._left(backend, "it has gone", now)

    def _cut_floods(self, now: float) -> None:
        if now - self._looked >= IDLE_SECONDS:
            self._looked = now
            for backend in self.backends:
                if backend.sends_without_end():
                    self._cut(backend, now)

    def _cut(self, backend: Backend, now: float) -> None:
        backend.close_for_now(now)
        self._left(backend, "it sent too much that answers nothing", now)

    def _left(self, backend: Backend, why: str, now: float) -> None:
        """Questions that it had been sent won't be answered."""
        for question in [each for each in self._pending.values() if each.sent and self._is_at(each, backend)]:
            question.failed = Outcome(UNAVAILABLE, problem=f"{backend.address} did not answer: {why}")
            self._go_on(question, now)

    def _is_at(self, question: Question, backend: Backend) -> bool:
        return bool(question.places) and self.backends[question.places[0]] is backend

    def _send_to(self, backend: Backend, now: float) -> None:
        """To one that has come, what waits for it."""
        for question in list(self._pending.values()):
            if not question.sent and self._is_at(question, backend):
                self._try(question, now)

    def _take_asked(self, now: float) -> None:
        while self._asked:
            question = self._asked.popleft()
            self.requests += question.counted
            self._pending[question.id] = question
            places = list(range(len(self.backends)))
            if question.first is not None and question.first in places:
                places.remove(question.first)
                places.insert(0, question.first)
            question.places = places
            self._try(question, now)

    def _take_dropped(self) -> None:
        while self._dropped:
            question = self._dropped.popleft()
            if self._pending.pop(question.id, None) is not None:
                self.abandoned += question.counted
                self._remember(question.id, _OVER)

    def _refuse_asked(self) -> None:
        """At a stop, by whoever sees that nobody takes questions any more."""
        while True:
            try:
                question = self._asked.popleft()
            except IndexError:
                return
            self.requests += question.counted
            self.by_status[UNAVAILABLE] += question.counted
            question.settle(_stopped())

    def _go_on(self, question: Question, now: float) -> None:
        """To the next endpoint."""
        question.places.pop(0)
        self._try(question, now)

    def _try(self, question: Question, now: float) -> None:
        """Asks the first endpoint that can be asked, or waits for it."""
        question.sent = False
        while question.places and now < question.deadline:
            backend = self.backends[question.places[0]]
            if backend.is_open_to_questions(now):
                question.until = now + (question.deadline - now) / len(question.places)
                if backend.connected:
                    question.sent = backend.send(question.body, now)
                else:
                    question.until = min(question.until, backend.given_up_at)
                heapq.heappush(self._times, (question.until, next(self._count), question))
                return
            question.places.pop(0)
        self._settle(question, question.failed)

    def _keep_time(self, now: float) -> None:
        """Questions whose present endpoint has had its time."""
        while self._times and self._times[0][0] <= now:
            until, _, question = heapq.heappop(self._times)
            if question.id not in self._pending or until != question.until:
                continue
            backend = self.backends[question.places[0]]
            if question.sent:
                backend.did_not_answer(now)
                question.failed = Outcome(TIMEOUT, problem=f"{backend.address} did not answer in time")
            elif question.failed.status == UNAVAILABLE:
                question.failed = Outcome(UNAVAILABLE, problem=f"nobody is at {backend.address}")
            self._go_on(question, now)

    def _take(self, backend: Backend, body: bytes, now: float) -> bool:
        """An answer. Whether somebody waits for it."""
        if not backend.may_take(len(body)):
            return self._take_too_large(backend, body)
        try:
            answer = parse_answer(body)
        except RpcError as broken:
            question = self._pending.get(broken.id) if isinstance(broken.id, str) else None
            if question is None:
                backend.garbage += 1
                return False
            backend.did_answer()
            self._settle(question, Outcome(INVALID, problem=f"{backend.address}: {broken.message}"), _ANSWERED)
            return True
        question = self._pending.get(answer.id) if isinstance(answer.id, str) else None
        if question is None:
            self._count_useless(backend, answer.id)
            return False
        backend.did_answer()
        if answer.error is not None:
            words = f"{backend.address} answered with the error {answer.error.code}: {shown(answer.error.message)}"
            question.failed = Outcome(ERROR, problem=words)
            if self._is_at(question, backend):
                self._go_on(question, now)
            return True
        place = self.backends.index(backend)
        try:
            outcome = Outcome(OK, question.read(answer.result), place=place)
        except ValueError as error:
            outcome = Outcome(INVALID, problem=f"{backend.address}: {error}", place=place)
        self._settle(question, outcome, _ANSWERED)
        return True

    def _take_too_large(self, backend: Backend, body: bytes) -> bool:
        """The same without reading it: that takes as long as it is, and the GIL."""
        for found in _ID.finditer(body):
            question = self._pending.get(found[1].decode())
            if question is not None:
                problem = f"{backend.address}: the answer has {len(body)} bytes, which is more than max-message-bytes"
                backend.did_answer()
                self._settle(question, Outcome(INVALID, problem=problem), _ANSWERED)
                return True
        backend.garbage += 1
        return False

    def _count_useless(self, backend: Backend, id: object) -> None:
        known = self._over.get(id) if isinstance(id, str) else None
        if known is None:
            backend.unknown += 1
            return
        backend.did_answer()
        if known is _ANSWERED:
            backend.repeated += 1
        else:
            backend.late += 1
            self._over[str(id)] = _ANSWERED

    def _settle(self, question: Question, outcome: Outcome, answered: bool = _OVER) -> None:
        if self._pending.pop(question.id, None) is not None:
            self.by_status[outcome.status] += question.counted
            self._remember(question.id, answered)
            question.settle(outcome)
            self._forget_times()

    def _forget_times(self) -> None:
        """Of questions that were answered long before their time: they are not to pile up until then."""
        if len(self._times) > TIMES_AT_MOST + 2 * len(self._pending):
            self._times = [each for each in self._times if each[2].id in self._pending]
            heapq.heapify(self._times)

    def _remember(self, id: str, answered: bool) -> None:
        self._over[id] = answered
        while len(self._over) > REMEMBERED:
            self._over.popitem(last=False)


def _stopped() -> Outcome:
    return Outcome(UNAVAILABLE, problem="event_zmq is stopping")


def _ignore(_result: Any) -> None:
    """Nobody reads it."""
