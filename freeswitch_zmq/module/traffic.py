"""What goes over each connection of the API, and whether that connection is still there.

libzmq says of a message which descriptor it came from, and nothing of a connection that ends; by then the descriptor
may be another one's, and so may be the name that a caller chose. An endpoint's thread writes down what it takes and
gives. Access control reads it, and writes down which connections ended.
"""

from __future__ import annotations

from freeswitch_zmq.module import descriptors

__all__ = ["Traffic", "TrafficBook"]


class Traffic:
    """Of one connection.

    Args:
        fd: its descriptor, -1: it has none.
        ends: connections that had ended at its endpoint when it was let in.

    Attributes:
        inode: of the connection, if it was there when its first message was taken.
        heard: the bytes that had come when the latest whole request was taken.
        taken: the bytes of whole requests that were taken.
        given: the bytes of the answers.
        words: of these, the bytes of words about answers that were dropped, since one was dropped first.
    """

    __slots__ = ("ends", "fd", "given", "heard", "inode", "taken", "words")

    def __init__(self, fd: int, ends: int) -> None:
        self.fd = fd
        self.ends = ends
        self.inode = descriptors.inode(fd)
        self.heard = self.taken = self.given = self.words = 0


class TrafficBook:
    """Of the connections of one endpoint.

    Attributes:
        ends: connections that have ended; a connection is told from those before it under its descriptor by how many
            there were when it was let in. Access control has to hear of an end before it lets the next one in.
    """

    def __init__(self) -> None:
        self.ends = 0
        self._ended: dict[int, int] = {}
        self._open: dict[int, Traffic] = {}

    def of(self, fd: int, ends: int) -> Traffic:
        """For the endpoint: that of the connection from which a message was taken just now."""
        found = self._open.get(fd)
        if found is not None and found.ends == ends:
            return found
        new = Traffic(fd, ends)
        if not self._has_ended(new):  # otherwise it is a late message, and the descriptor may be another one's
            self._open[fd] = new
        return new

    def open(self) -> list[Traffic]:
        """Those of which something was taken; some may have ended."""
        return list(self._open.values())

    def seen(self, fd: int) -> Traffic | None:
        """For access control: that of the connection that has this descriptor; None before anything was taken."""
        found = self._open.get(fd)
        return found if found is not None and self.is_there(found) else None

    def end(self, fd: int) -> None:
        """For access control: the connection with this descriptor has ended."""
        self.ends += 1
        self._ended[fd] = self.ends

    def is_there(self, traffic: Traffic) -> bool:
        """Whether that connection has not ended."""
        now = descriptors.inode(traffic.fd)
        return now == traffic.inode and now != descriptors.NOTHING and not self._has_ended(traffic)

    def _has_ended(self, traffic: Traffic) -> bool:
        return self._ended.get(traffic.fd, 0) > traffic.ends
