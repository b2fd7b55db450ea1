"""A small client of FreeSWITCH's inbound event socket.

One connection, one thread at a time. Every call has a deadline, and a call that misses it leaves the
connection closed: an answer that comes later could not be told from the answer to the next question.
"""

from __future__ import annotations

import json
import socket
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Union

Text = Union[str, bytes]

_EVENT_TYPES = frozenset({"text/event-json", "text/event-plain", "text/event-xml", "log/data"})
_READ_SIZE = 256 * 1024


class EslError(Exception):
    """The event socket could not do what was asked."""


class EslTimeoutError(EslError):
    """The deadline passed; the connection is closed."""


class EslClosedError(EslError):
    """The other side closed the connection."""


class EslRefusedError(EslError):
    """The password was wrong, or the access list refused the address."""


class Message:
    """One message of the event socket: its headers and, where it has one, its body."""

    def __init__(self, headers: dict[str, str], body: bytes) -> None:
        self.headers = headers
        self.body = body

    @property
    def content_type(self) -> str:
        """The message's kind, such as ``api/response`` or ``text/event-json``."""
        return self.headers.get("Content-Type", "")

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 become surrogate escapes."""
        return self.body.decode("utf-8", "surrogateescape")

    def event(self) -> dict[str, Any]:
        """The body of a ``text/event-json`` message; of a key that is there twice, the last value counts."""
        decoded: dict[str, Any] = json.loads(self.text)
        return decoded

    def __repr__(self) -> str:
        return f"Message({self.headers!r}, {self.body[:80]!r})"


def as_bytes(text: Text) -> bytes:
    """Bytes stay as they are; text is UTF-8, its surrogate escapes the bytes that they stand for."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def _one_line(text: Text, what: str) -> bytes:
    raw = as_bytes(text)
    if b"\n" in raw:  # It would begin a new header, or a new command whose answer nobody waits for.
        raise ValueError(f"a line break in {what}: {raw!r}")
    return raw


class Esl:
    """A connection that is logged in. Use :meth:`connect`.

    Attributes:
        sock: The socket, for tests that need to misbehave.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = bytearray()
        self._events: deque[Message] = deque()

    @classmethod
    def connect(cls, port: int, password: str = "ClueCon", host: str = "127.0.0.1", timeout: float = 10.0) -> Esl:
        """Connect and log in.

        Args:
            port: The event socket's TCP port.
            password: Its password.
            host: Its address.
            timeout: Seconds for all of it.

        Raises:
            EslRefusedError: Wrong password, or the address is not on the access list.
            EslTimeoutError: No answer in time.
            EslClosedError: The connection was refused or closed.
        """
        deadline = time.monotonic() + timeout
        try:
            sock = socket.create_connection((host, port), timeout)
        except socket.timeout as error:
            raise EslTimeoutError(f"{host}:{port} did not accept within {timeout:g} s") from error
        except OSError as error:
            raise EslClosedError(f"{host}:{port}: {error}") from error
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        esl = cls(sock)
        try:
            greeting = esl._read(deadline)
            if greeting.content_type != "auth/request":
                raise EslRefusedError(f"{host}:{port} says {greeting.text.strip() or greeting.headers!r}")
            reply = esl._ask(b"auth " + _one_line(password, "the password"), deadline, "command/reply")
            if not reply.headers.get("Reply-Text", "").startswith("+OK"):
                raise EslRefusedError(f"{host}:{port} says {reply.headers.get('Reply-Text')!r}")
        except BaseException:
            esl.close()
            raise
        return esl

    def api(self, command: Text, timeout: float = 10.0) -> str:
        """Run a command and wait for it.

        Returns:
            What it prints, bytes that are not UTF-8 as surrogate escapes.
        """
        line = b"api " + _one_line(command, "a command")
        return self._ask(line, time.monotonic() + timeout, "api/response").text

    def bgapi(self, command: Text, job_uuid: str = "", timeout: float = 10.0) -> str:
        """Have a command run in the background; its output comes as a BACKGROUND_JOB event.

        Args:
            command: The command and its arguments.
            job_uuid: The job's id; the switch makes one when it is empty.
            timeout: Seconds for the switch to take it.

        Returns:
            The job's id.
        """
        lines = [b"bgapi " + _one_line(command, "a command")]
        if job_uuid:
            lines.append(b"Job-UUID: " + _one_line(job_uuid, "a job's id"))
        reply = self._ask(b"\n".join(lines), time.monotonic() + timeout, "command/reply")
        if "Job-UUID" not in reply.headers:
            raise EslError(reply.headers.get("Reply-Text", "bgapi: no job id").strip())
        return reply.headers["Job-UUID"]

    def sendevent(
        self, name: Text, headers: Sequence[tuple[Text, Text]] = (), body: bytes = b"", timeout: float = 10.0
    ) -> str:
        """Fire an event. Names, values and body go out byte for byte.

        Returns:
            The switch's reply, ``+OK`` and the event's UUID.
        """
        lines = [b"sendevent " + _one_line(name, "an event's name")]
        for key, value in headers:
            lines.append(_one_line(key, "a header's name") + b": " + _one_line(value, "a header's value"))
        if body:  # Last, because FreeSWITCH reads the body at once when it comes to this header.
            lines.append(b"Content-Length: %d" % len(body))
        reply = self._ask(b"\n".join(lines), time.monotonic() + timeout, "command/reply", body)
        return reply.headers.get("Reply-Text", "")

    def events(self, spec: str = "json all", timeout: float = 10.0) -> str:
        """Subscribe, such as to ``json all`` or ``plain CUSTOM my::class``, and return the reply."""
        return self.command(f"event {spec}", timeout)

    def command(self, line: Text, timeout: float = 10.0) -> str:
        """Any other command of the event socket, such as ``nixevent all``; returns its Reply-Text."""
        reply = self._ask(_one_line(line, "a command"), time.monotonic() + timeout, "command/reply")
        return reply.headers.get("Reply-Text", "")

    def receive(self, timeout: float = 10.0) -> Message | None:
        """The next event (or log line), or None when none comes within `timeout` seconds.

        Raises:
            EslClosedError: The switch closed the connection.
        """
        if self._events:
            return self._events.popleft()
        deadline = time.monotonic() + timeout
        while True:
            try:
                message = self._read(deadline)
            except EslTimeoutError:
                return None
            if message.content_type in _EVENT_TYPES:
                return message

    @property
    def idle(self) -> bool:
        """Whether the connection is open with nothing left to read, and so fit to be used again."""
        if self._buffer or self._events or self.sock.fileno() < 0:
            return False
        self.sock.settimeout(0.0)
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close the connection; twice is as good as once."""
        self.sock.close()

    def __enter__(self) -> Esl:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, lines: bytes, deadline: float, wanted: str, body: bytes = b"") -> Message:
        try:
            self._remaining(deadline)
            self.sock.sendall(lines + b"\n\n" + body)
            while True:
                message = self._read(deadline)
                if message.content_type == wanted:
                    return message
                if message.content_type in _EVENT_TYPES:
                    self._events.append(message)
                elif message.content_type == "command/reply":  # How every refusal of a command looks.
                    raise EslError(message.headers.get("Reply-Text", "").strip())
        except OSError as error:
            self.close()
            if isinstance(error, socket.timeout):
                raise EslTimeoutError(f"could not send {lines[:60]!r} in time") from error
            raise EslClosedError(f"the switch closed the connection: {error}") from error
        except (EslTimeoutError, EslClosedError):
            self.close()
            raise

    def _read(self, deadline: float) -> Message:
        head = self._take_head(deadline)
        headers: dict[str, str] = {}
        for line in head.split("\n"):
            key, _, value = line.partition(":")
            headers[key.strip()] = value.strip()
        length = int(headers.get("Content-Length", "0"))
        start = len(head.encode("utf-8", "surrogateescape")) + 2
        # Head and body leave the buffer together, so that a deadline in between breaks no message apart.
        while len(self._buffer) < start + length:
            self._fill(deadline)
        body = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        return Message(headers, body)

    def _take_head(self, deadline: float) -> str:
        searched = 0
        while True:
            end = self._buffer.find(b"\n\n", max(searched - 1, 0))
            if end >= 0:
                return self._buffer[:end].decode("utf-8", "surrogateescape")
            searched = len(self._buffer)
            self._fill(deadline)

    def _fill(self, deadline: float) -> None:
        self._remaining(deadline)
        try:
            chunk = self.sock.recv(_READ_SIZE)
        except socket.timeout as error:
            raise EslTimeoutError("no answer in time") from error
        except OSError as error:
            raise EslClosedError(f"the switch closed the connection: {error}") from error
        if not chunk:
            raise EslClosedError("the switch closed the connection")
        self._buffer += chunk

    def _remaining(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise EslTimeoutError("no answer in time")
        self.sock.settimeout(left)
