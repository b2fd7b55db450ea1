"""How much a caller may leave unread."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from freeswitch_zmq.module import descriptors
from freeswitch_zmq.module.api import unread as unread_module
from freeswitch_zmq.module.api.unread import LITTLE_BYTES, SMALL_BYTES, Unread
from tests.unit.waiting import wait_for

LARGE = SMALL_BYTES + 1


class Connection:
    """A TCP connection, of which the switch has one end and a caller the other."""

    def __init__(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            self._caller = socket.create_connection(listener.getsockname(), 5.0)
            self._ours, _ = listener.accept()
        self.fd = self._ours.fileno()

    def arrives(self, count: int) -> None:
        """So many bytes are sent, and the caller's kernel has them."""
        before = descriptors.bytes_acked(self.fd)
        assert before is not None
        self._ours.sendall(b"x" * count)
        self._caller.recv(count, socket.MSG_WAITALL)
        wait_for(lambda: descriptors.bytes_acked(self.fd) == before + count, "it to arrive")

    def close(self) -> None:
        self._ours.close()
        self._caller.close()


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Connection]]:
    """Three of them, and bounds of 100,000 bytes for one and 250,000 for all."""
    monkeypatch.setattr(unread_module, "OF_ONE_BYTES", 100_000)
    monkeypatch.setattr(unread_module, "OF_ALL_BYTES", 250_000)
    monkeypatch.setattr(unread_module, "LOOK_SECONDS", 0.0)
    with contextlib.ExitStack() as stack:
        connections = [Connection() for _ in range(3)]
        for each in connections:
            stack.callback(each.close)
        yield connections


def test_what_is_on_its_way_counts_until_it_has_arrived(connections: list[Connection]) -> None:
    one, other, _ = connections
    unread = Unread({})
    unread.add(one.fd, 100_000)
    assert unread.has_room(one.fd, LARGE)
    unread.add(one.fd, LARGE)
    assert not unread.has_room(one.fd, LARGE)
    assert unread.has_room(other.fd, LARGE)
    one.arrives(2 * LARGE)
    assert unread.has_room(one.fd, LARGE)


def test_who_reads_gets_small_answers_whatever_others_leave_unread(connections: list[Connection]) -> None:
    one, other, _ = connections
    unread = Unread({})
    unread.add(one.fd, 10**9)
    unread.add(other.fd, LITTLE_BYTES)
    assert unread.has_room(other.fd, SMALL_BYTES)
    assert unread.has_room_for_a_word(other.fd)
    assert not unread.has_room(other.fd, LARGE)
    unread.add(other.fd, 1)
    assert not unread.has_room(other.fd, SMALL_BYTES)
    assert not unread.has_room_for_a_word(other.fd)


def test_small_answers_add_up_too(connections: list[Connection]) -> None:
    one, _, _ = connections
    unread = Unread({})
    while unread.has_room(one.fd, SMALL_BYTES):
        unread.add(one.fd, SMALL_BYTES)
    unread.add(one.fd, -SMALL_BYTES)
    assert unread.has_room(one.fd, SMALL_BYTES)


def test_of_what_is_dropped_one_is_told_for_a_while(
    connections: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread_module, "WORDS_BYTES", 20_000)
    one, _, _ = connections
    unread = Unread({})
    unread.add(one.fd, 120_000)
    assert not unread.has_room(one.fd, SMALL_BYTES)
    assert unread.has_room_for_a_word(one.fd)
    unread.add(one.fd, 1)
    assert not unread.has_room_for_a_word(one.fd)


def test_many_that_leave_little_unread_are_too_many_together(connections: list[Connection]) -> None:
    one, other, third = connections
    unread = Unread({})
    for each in connections:
        unread.add(each.fd, 83_000)
    assert unread.has_room(one.fd, LARGE)
    unread.add(third.fd, 2000)
    for each in connections:
        assert not unread.has_room(each.fd, LARGE)
    other.arrives(2000)
    assert unread.has_room(one.fd, LARGE)


def test_what_goes_over_the_line_beside_the_answers_is_no_credit(connections: list[Connection]) -> None:
    # The handshake and what libzmq writes around each answer: of small ones that is half.
    one, _, _ = connections
    unread = Unread({})
    for _ in range(20):
        unread.add(one.fd, 5000)
        one.arrives(10_000)
    assert unread.has_room(one.fd, LARGE)
    unread.add(one.fd, 100_001)
    assert not unread.has_room(one.fd, LARGE)


def test_where_nobody_counts_there_is_room(tmp_path: Path) -> None:
    unread = Unread({})
    unread.add(-1, 10**9)
    assert unread.has_room(-1, 10**9)
    here, there = socket.socketpair()
    with here, there, (tmp_path / "file").open("w") as file:
        for fd in (here.fileno(), file.fileno(), 4711):
            unread.add(fd, 10**9)
            assert unread.has_room(fd, 10**9)


def test_others_forget_connections_that_are_gone(connections: list[Connection]) -> None:
    one, other, _ = connections
    given: dict[int, int] = {}
    unread = Unread(given)
    unread.add(one.fd, 300_000)
    assert not unread.has_room(other.fd, LARGE)
    assert given[one.fd] == 300_000
    del given[one.fd]
    assert unread.has_room(other.fd, LARGE)
    # The next one under that descriptor begins anew.
    assert unread.has_room(one.fd, LARGE)
    unread.add(one.fd, 100_000)
    assert unread.has_room(one.fd, LARGE)


def test_it_is_not_looked_at_all_of_them_each_time(
    connections: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread_module, "LOOK_SECONDS", 3600.0)
    one, other, third = connections
    unread = Unread({})
    for each in connections:
        unread.add(each.fd, 83_500)
    assert not unread.has_room(one.fd, LARGE)
    third.arrives(83_500)
    assert not unread.has_room(one.fd, LARGE)
    monkeypatch.setattr(unread_module, "LOOK_SECONDS", 0.0)
    assert unread.has_room(other.fd, LARGE)
