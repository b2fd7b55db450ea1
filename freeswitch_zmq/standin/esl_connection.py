"""One client of the event socket: logs in, runs commands, hears events and log lines."""

from __future__ import annotations

import socket
import threading
import uuid

from . import text
from .core import Core
from .engine import Binding, Origin
from .esl_interest import Interest
from .esl_outbox import Outbox
from .esl_packet import Packet, read_packet
from .events import ALL, Event, event_type
from .jobs import fire_result
from .log import DEBUG, INVALID, LogLine, level_number
from .stream import CommandStream
from .threads import HostThread

__all__ = ["Connection"]

_GOODBYE = "Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
_GOING = "The system is being shut down.\n"
_ANSWER_TIMEOUT = 0.5
_SENDEVENT = Origin("mod_event_socket.c", "parse_command", "2283")


class Connection:
    """A client. One thread reads and answers; another sends what the client subscribed to.

    Args:
        core: The switch.
        client: The socket, owned from now on.
        password: What the client must know.
    """

    def __init__(self, core: Core, client: socket.socket, password: str) -> None:
        self._core = core
        self._socket = client
        self._password = password
        self._authed = False
        self._running = True
        self._interest = Interest()
        self._binding = Binding(ALL, None, self._offer, "mod_event_socket")
        self._log_level = -1
        self._outbox = Outbox(core, client)
        self._reader: HostThread | None = None
        self._answering = threading.Lock()

    @property
    def gone(self) -> bool:
        """Whether its threads have ended."""
        return not self._running and (self._reader is None or self._reader.join(0)) and self._outbox.join(0)

    def start(self) -> None:
        """Begin to serve."""
        self._reader = self._core.thread(self._serve, "event socket client")

    def refuse(self) -> None:
        """Send it away."""
        message = "Access Denied, go away.\n"
        self._outbox.send(f"Content-Type: text/rude-rejection\nContent-Length: {len(message)}\n\n{message}")
        self.close()
        self._socket.close()

    def say_goodbye(self, timeout: float) -> None:
        """Send what is queued, so many seconds at most, then the notice that the switch goes; then close."""
        if self._answering.acquire(timeout=min(timeout, _ANSWER_TIMEOUT)):  # whoever asked for the end is answered too
            self._answering.release()
        self._outbox.finish(timeout, _notice(_GOING) if self._running else "")
        self.close()

    def close(self) -> None:
        """Have its threads end, from any thread."""
        self._running = False
        self._outbox.stop()
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # The client has gone already.

    def join(self, timeout: float) -> None:
        """Wait for them."""
        if self._reader is not None:
            self._reader.join(timeout)
        self._outbox.join(timeout)

    # Reading and answering.

    def _serve(self) -> None:
        try:
            self._outbox.send("Content-Type: auth/request\n\n")
            with self._socket.makefile("rb") as source:
                while self._running:
                    packet = read_packet(source)
                    if packet is None:
                        break
                    with self._answering:
                        self._answer(packet)
            self._outbox.send(_notice(_GOODBYE))
        except OSError:
            pass  # The client has gone.
        finally:
            self._core.events.unbind(self._binding)
            self._core.log.unlisten(self._hear)
            self.close()
            self._outbox.join(1.0)
            self._socket.close()

    def _answer(self, packet: Packet) -> None:
        # FreeSWITCH compares beginnings only, so `exits` is `exit` too.
        lower = packet.command.lower()
        if lower.startswith(("exit", "...")):
            self._running = False
            self._reply("+OK bye")
        elif not self._authed:
            self._log_in(packet.command)
        else:
            for name, run in (
                ("filter ", self._filter),
                ("myevents ", self._my_events),
                ("divert_events", self._not_a_session_point),
                ("sendmsg", self._sendmsg),
                ("sendevent", self._sendevent),
                ("api ", self._api),
                ("bgapi ", self._bgapi),
                ("log", self._log),
                ("linger", self._not_a_session),
                ("nolinger", self._not_a_session),
                ("nolog", self._nolog),
                ("event", self._event),
                ("nixevent", self._nixevent),
                ("noevents", self._noevents),
            ):
                if lower.startswith(name):
                    run(packet)
                    return
            self._reply("-ERR command not found")

    def _log_in(self, command: str) -> None:
        if not command.lower().startswith("auth "):
            self._reply("-ERR command not found")
        elif command[5:] == self._password:
            self._authed = True
            self._reply("+OK accepted")
        else:
            self._running = False
            self._reply("-ERR invalid")

    def _api(self, packet: Packet) -> None:
        line = packet.command[4:]
        name, _, args = line.partition(" ")
        stream = CommandStream()
        if not self._core.commands.execute(name, args, stream):
            shown = line if text.is_true(packet.header("console_execute")) else name
            answer = f"-ERR {shown} Command not found!\n"
        else:
            answer = stream.data or "-ERR no reply\n"
        length = len(text.to_bytes(answer))
        self._outbox.send(f"Content-Type: api/response\nContent-Length: {length}\n\n{answer}")

    def _bgapi(self, packet: Packet) -> None:
        name, blank, args = packet.command[6:].partition(" ")
        job = (packet.header("job-uuid") or str(uuid.uuid4()))[:36]
        core = self._core

        def run() -> None:
            stream = CommandStream()
            found = core.commands.execute(name, args, stream)
            output = stream.data if found else f"-ERR {name} Command not found!\n"
            fire_result(core, job, name, args if blank else None, output, owner="")

        self._outbox.send(f"Content-Type: command/reply\nReply-Text: +OK Job-UUID: {job}\nJob-UUID: {job}\n\n")
        core.thread(run, f"bgapi {name}")

    def _sendevent(self, packet: Packet) -> None:
        number = str(uuid.uuid4())
        event = Event("CUSTOM")
        event.add("Command", packet.command)
        for name, value in packet.headers:
            event.add(name, value)
        if packet.body is not None:
            event.body = packet.body
        event.add("Event-UUID", number)
        event.type = event_type(packet.command[9:].lstrip("\t ")) or "CUSTOM"
        subclass = event.get("Event-Subclass")
        if event.type == "CUSTOM" and subclass and event_type(packet.command[9:].lstrip("\t ")):
            event.set_subclass(subclass)
        self._core.events.prepare(event, _SENDEVENT)
        # An event about a call that is there goes to that call only.
        if self._core.calls.find(event.get("unique-id") or "") is None:
            self._core.events.fire(event)
        self._reply(f"+OK {number}")

    def _sendmsg(self, packet: Packet) -> None:
        wanted = packet.command[7:].strip() or packet.header("session-id") or ""
        channel = self._core.calls.find(wanted)
        if channel is None:
            self._reply(f"-ERR invalid session id [{wanted}]")
            return
        self._core.calls.message(channel, dict(packet.headers))
        self._reply("+OK")

    # Subscriptions.

    def _event(self, packet: Packet) -> None:
        found = self._interest.add(packet.command.split(" ")[1:])
        self._outbox.format = self._interest.format
        if not found:
            self._reply("-ERR no keywords supplied")
            return
        self._listen()
        self._reply(f"+OK event listener enabled {self._interest.format}")

    def _nixevent(self, packet: Packet) -> None:
        if not self._interest.remove(packet.command.split(" ")[1:]):
            self._reply("-ERR no keywords supplied")
            return
        self._listen()
        self._reply("+OK events nixed")

    def _noevents(self, _packet: Packet) -> None:
        if not self._interest.active:
            self._reply("-ERR not listening for events")
            return
        self._core.events.unbind(self._binding)
        self._interest.clear()
        self._reply("+OK no longer listening for events")

    def _filter(self, packet: Packet) -> None:
        self._reply(self._interest.filter(packet.command[7:]))

    def _my_events(self, packet: Packet) -> None:
        self._interest.only_call(packet.command[9:])
        self._outbox.format = self._interest.format
        self._listen()
        self._reply("+OK Events Enabled")

    def _log(self, packet: Packet) -> None:
        name = packet.command[3:].strip(" ").partition(" ")[0]
        level = level_number(name) if name else DEBUG
        if level == INVALID:
            self._reply("-ERR invalid log level")
            return
        if self._log_level < 0:
            self._core.log.listen(self._hear)
        self._log_level = level
        self._outbox.start()
        self._reply(f"+OK log level {name} [{level}]")

    def _nolog(self, _packet: Packet) -> None:
        if self._log_level < 0:
            self._reply("-ERR not loging")
            return
        self._log_level = -1
        self._core.log.unlisten(self._hear)
        self._reply("+OK no longer logging")

    def _not_a_session(self, _packet: Packet) -> None:
        self._reply("-ERR not controlling a session")

    def _not_a_session_point(self, _packet: Packet) -> None:
        self._reply("-ERR not controlling a session.")

    def _listen(self) -> None:
        if not self._interest.active:
            self._interest.active = True
            self._core.events.bind(self._binding)
        self._outbox.start()

    def _offer(self, event: Event) -> None:
        if self._interest.wants(event):
            self._outbox.put_event(event)

    def _hear(self, line: LogLine) -> None:
        if line.level <= self._log_level:
            self._outbox.put_line(line)

    def _reply(self, reply: str) -> None:
        self._outbox.send(f"Content-Type: command/reply\nReply-Text: {reply}\n\n")


def _notice(message: str) -> str:
    return f"Content-Type: text/disconnect-notice\nContent-Length: {len(message)}\n\n{message}"
