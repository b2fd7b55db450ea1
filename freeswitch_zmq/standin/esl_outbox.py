"""What goes out to a client of the event socket: answers at once, events and log lines through a queue."""

from __future__ import annotations

import queue
import socket
import threading
from typing import Callable, Union

from . import serialize, text
from .core import Core
from .events import Event
from .log import LogLine
from .threads import HostThread

__all__ = ["Outbox"]

_QUEUE_LENGTH = 100_000
_TO_TEXT: dict[str, Callable[[Event], str]] = {
    "json": serialize.to_json,
    "plain": serialize.to_plain,
    "xml": serialize.to_xml,
}


class Outbox:
    """Sends to one client; who puts something into its queue never waits for the client.

    Args:
        core: The switch.
        client: The socket, which its owner closes.

    Attributes:
        format: How events are written: `plain`, `json` or `xml`.
    """

    def __init__(self, core: Core, client: socket.socket) -> None:
        self.format = "plain"
        self._core = core
        self._socket = client
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Union[Event, LogLine, None]] = queue.SimpleQueue()
        self._lost = 0
        self._writer: HostThread | None = None

    def send(self, message: str) -> None:
        """Send a message now.

        Raises:
            OSError: The client has gone.
        """
        with self._lock:
            self._socket.sendall(text.to_bytes(message))

    def start(self) -> None:
        """Send what is queued from now on; twice is as good as once."""
        if self._writer is None:
            self._writer = self._core.thread(self._write, "event socket events")

    def put_event(self, event: Event) -> None:
        """Queue a copy of it; when too many wait it is lost, and the log has how many."""
        if self._queue.qsize() >= _QUEUE_LENGTH:
            self._lost += 1
            return
        self._queue.put(event.copy())
        if self._lost:
            lost, self._lost = self._lost, 0
            self._core.say("CRIT", f"Lost [{lost}] events!\n", "mod_event_socket.c", 392)

    def put_line(self, line: LogLine) -> None:
        """Queue it; when too many wait it is lost."""
        if self._queue.qsize() < _QUEUE_LENGTH:
            self._queue.put(line)

    def finish(self, timeout: float, last: str = "") -> None:
        """Send what is queued and then `last`, for so many seconds at most, and no more after that."""
        self._queue.put(None)
        self.join(timeout)
        if last and self._lock.acquire(timeout=timeout):
            try:
                self._socket.settimeout(timeout)
                self._socket.sendall(text.to_bytes(last))
            except OSError:
                pass  # The client has gone, or reads nothing.
            finally:
                self._lock.release()

    def stop(self) -> None:
        """Have the thread end as soon as what it sends right now is gone, or can't be sent."""
        self._queue.put(None)

    def join(self, timeout: float) -> bool:
        """Wait for the thread."""
        return self._writer is None or self._writer.join(timeout)

    def _write(self) -> None:
        try:
            while True:
                item = self._queue.get()
                if item is None:
                    break
                self.send(_log_data(item) if isinstance(item, LogLine) else self._event_data(item))
        except OSError:
            pass  # The client has gone; the reading thread sees that as well.

    def _event_data(self, event: Event) -> str:
        body = _TO_TEXT[self.format](event)
        return f"Content-Length: {len(text.to_bytes(body))}\nContent-Type: text/event-{self.format}\n\n{body}"


def _log_data(line: LogLine) -> str:
    return (
        f"Content-Type: log/data\nContent-Length: {len(text.to_bytes(line.text))}\nLog-Level: {line.level}\n"
        f"Text-Channel: {line.channel}\nLog-File: {line.file}\nLog-Func: {line.function}\nLog-Line: {line.line}\n"
        f"User-Data: {line.uuid}\n\n{line.text}"
    )
