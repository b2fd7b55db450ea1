"""Who is let in: the ZAP handler that libzmq asks about every connection to an endpoint of ours.

It fails closed: an endpoint whose rule is not known, or an address that can't be read, is refused.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Callable

import zmq

from freeswitch_zmq.module.addresses import peer_address
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.connections import Connections
from freeswitch_zmq.module.lists import ListQuestion, Lists
from freeswitch_zmq.module.rule import ASK, LET_IN, Rule
from freeswitch_zmq.module.worker import Worker

__all__ = ["Access"]

POLL_MS = 100
"""How soon a stop is noticed, and a new endpoint's connections are counted."""

ASKING_MS = 2
"""How soon an answer of FreeSWITCH's is noticed while some are awaited."""

QUICK_SECONDS = 0.01
GLANCE_SECONDS = 0.05
LOOK_SECONDS = 0.25
"""How often it is looked for peers that send too much: QUICK while there are some that have just come, else GLANCE, and
LOOK at all of them. It costs some 3 µs for each connection."""

PAUSE = 10
"""So many times as long as a look took nobody looks again, or thousands that come would keep us at nothing else."""

AT_ONCE = 1000
"""Messages taken from one socket in a row."""

ZAP_ADDRESS = "inproc://zeromq.zap.01"  # given by ZeroMQ RFC 27
_OK = b"200"
# libzmq lets a peer that is refused with 300 try again by itself; after 400 it never would, not even when an admin
# has let it in meanwhile.
_NOT_NOW = b"300"

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]


class _Request:
    """What libzmq asks: [peer, "", version, request id, domain, address, identity, mechanism, key …]."""

    def __init__(self, frames: list[bytes]) -> None:
        self.envelope = frames[:2]
        self.id = frames[3] if len(frames) > 3 else b""
        self.domain = frames[4].decode("utf-8", "replace") if len(frames) > 4 else ""
        # Without the zone of a link-local address, which nothing here knows otherwise.
        self.address = frames[5].decode("utf-8", "replace").partition("%")[0] if len(frames) > 5 else ""
        self.mechanism = frames[7] if len(frames) > 7 else b""
        self.key = frames[8] if len(frames) > 8 else b""


class Access(Worker):
    """The handler. Start it before the first endpoint, stop it after the last one.

    Args:
        context: the module's.
        commands: for asking FreeSWITCH about its lists.
        on_error: called with an exception that was caught; the handler goes on.

    Attributes:
        rules: by domain.
    """

    def __init__(self, context: Context, commands: Commands, on_error: Callable[[BaseException], None]) -> None:
        super().__init__("event_zmq access", on_error)
        self.rules: dict[str, Rule] = {}
        self._context = context
        self._lists = Lists(commands, on_error)
        self._guests: deque[tuple[_Request, Rule, str]] = deque()
        self._asked = 0
        self._looked = self._look_again = 0.0
        self._handler: Socket | None = None
        self._poller = zmq.Poller()
        self._watched: dict[Socket, Connections] = {}
        self._to_end: deque[Socket] = deque()
        self._changes: deque[tuple[Socket, Rule | None]] = deque()

    def watch(self, monitor: Socket, rule: Rule) -> None:
        """From any thread: hands over a socket that gets the events of an endpoint's monitor; it is read from now on.

        It must not be used any more. It needs a high-water mark of 0: libzmq's I/O thread waits when it is full.
        """
        self._changes.append((monitor, rule))

    def end_connections(self, monitor: Socket) -> None:
        """From any thread: ends the connections that were there."""
        self._to_end.append(monitor)

    def unwatch(self, monitor: Socket) -> None:
        """From any thread: closes it. The endpoint's monitor must be stopped by now."""
        self._changes.append((monitor, None))

    def open(self) -> None:
        """See `Worker`."""
        self._handler = self._context.socket(zmq.ROUTER)
        self._handler.set(zmq.LINGER, 0)
        self._handler.bind(ZAP_ADDRESS)
        self._poller.register(self._handler, zmq.POLLIN)
        self._lists.start()

    def run(self) -> None:
        """See `Worker`."""
        while not self.stopping:
            try:
                self._round()
            except Exception as error:  # noqa: BLE001  # survived and reported
                self.on_error(error)
                time.sleep(0.01)  # one that comes back each time must not eat a processor

    def close(self) -> None:
        """See `Worker`."""
        self._lists.ask_to_stop()
        if self.failure is None:
            # Otherwise libzmq's I/O thread would wait for ever where a monitor still runs.
            self._take_changes()
            for monitor in self._watched:
                monitor.close()
        if self._handler is not None:
            self._handler.close()
        # Nothing of ours is needed to end it, but it may be waiting for a `reloadacl` to end.
        self._lists.stop(timeout=1.0)

    def _round(self) -> None:
        now = time.monotonic()
        if now >= self._look_again:
            self._look(now)
        self._poller.poll(self._wait_ms())
        assert self._handler is not None
        # First who asks to come in, then how connections ended: in that order libzmq tells it of one connection.
        self._take(self._handler, self._answer)
        while self._lists.answered:
            self._take_answer(self._lists.answered.popleft())
        self._take_changes()  # an endpoint that was opened meanwhile may have ends of connections to tell, too
        behind = [each.rule for monitor, each in self._watched.items() if not self._take(monitor, each.update)]
        self._welcome(behind)

    def _look(self, now: float) -> None:
        all_of_them = now - self._looked >= LOOK_SECONDS
        if all_of_them:
            self._looked = now
        for connections in self._watched.values():
            connections.cut_floods(all_of_them)
        took = time.monotonic() - now
        self._look_again = now + max(self._look_seconds(), PAUSE * took)

    def _look_seconds(self) -> float:
        young = any(connections.has_young for connections in self._watched.values())
        return QUICK_SECONDS if young else GLANCE_SECONDS

    @staticmethod
    def _take(socket: Socket, handle: Callable[[list[bytes]], None]) -> bool:
        """Whether that was all."""
        for _ in range(AT_ONCE):
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return True
            handle(frames)
        return False

    def _welcome(self, behind: list[Rule]) -> None:
        """Tells libzmq of those who are let in, but not while ends of connections are still to be read: whose
        descriptor one of them has got must be known to be gone (`traffic.py`).
        """
        for _ in range(len(self._guests)):
            request, rule, key = self._guests.popleft()
            if rule in behind:
                self._guests.append((request, rule, key))
            else:
                self._send(request.envelope, request.id, _OK, f"{rule.traffic.ends} {key}")

    def _wait_ms(self) -> int:
        if self._guests:
            return 0
        if self._asked:
            return ASKING_MS
        busy = any(connections.has_any for connections in self._watched.values())
        return round(self._look_seconds() * 1000) if busy else POLL_MS

    def _take_changes(self) -> None:
        while self._to_end:
            connections = self._watched.get(self._to_end.popleft())
            if connections is not None:
                connections.end_all()
        while self._changes:
            monitor, rule = self._changes.popleft()
            if rule is not None:
                self._watched[monitor] = Connections(rule)
                self._poller.register(monitor, zmq.POLLIN)
            elif self._watched.pop(monitor, None) is not None:
                self._poller.unregister(monitor)
                monitor.close()

    def _answer(self, frames: list[bytes]) -> None:
        try:
            request = _Request(frames)
            verdict = self._judge(request)
        except Exception as error:  # noqa: BLE001  # survived and reported
            self.on_error(error)
            self._send(frames[:2], frames[3] if len(frames) > 3 else b"", _NOT_NOW)
            return
        if verdict != ASK:
            self._finish(request, verdict)

    def _judge(self, request: _Request) -> str:
        """ASK when the answer comes later."""
        rule = self.rules.get(request.domain)
        if rule is None:
            return "address"
        verdict = rule.judge(request.address, request.mechanism, request.key)
        if verdict != ASK:
            return verdict
        if not self._lists.ask(ListQuestion(rule.list_names, str(peer_address(request.address)), request)):
            return "busy"
        self._asked += 1
        return ASK

    def _take_answer(self, question: ListQuestion) -> None:
        self._asked -= 1
        request = question.about
        assert isinstance(request, _Request)
        rule = self.rules.get(request.domain)
        if rule is None:
            verdict = "address"
        # A reload may have named other lists meanwhile, and libzmq gives up before handshake-ms is over.
        elif question.allowed is None or question.names != rule.list_names or question.age > rule.patience:
            verdict = "busy"
        elif not question.allowed:
            verdict = "address"
        else:  # a reload may have taken the key away, too
            verdict = rule.judge_key(request.mechanism, request.key)
        self._finish(request, verdict)

    def _finish(self, request: _Request, verdict: str) -> None:
        """Counts the verdict, and tells libzmq whom not to let in."""
        rule = self.rules.get(request.domain)
        if rule is not None and verdict == LET_IN:
            self._guests.append((request, rule, rule.let_in(request.address, request.key)))
            return
        if rule is not None:  # otherwise its endpoint has just gone
            rule.refuse(verdict, request.address, request.key)
        self._send(request.envelope, request.id, _NOT_NOW)

    def _send(self, envelope: list[bytes], request_id: bytes, status: bytes, user: str = "") -> None:
        assert self._handler is not None
        text = b"OK" if status == _OK else b"not let in"
        self._handler.send_multipart([*envelope, b"1.0", request_id, status, text, user.encode(), b""], zmq.NOBLOCK)
