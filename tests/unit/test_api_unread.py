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
from freeswitch_zmq.module.traffic import TrafficBook
from tests.support.waiting import wait_for

LARGE = SMALL_BYTES + 1


class Connection:
    """A TCP connection, of which the switch has one end and a caller the other."""

    def __init__(self, book: TrafficBook) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            self._caller = socket.create_connection(listener.getsockname(), 20.0)
            self._ours, _ = listener.accept()
        self.fd = self._ours.fileno()
        self.traffic = book.of(self.fd, book.ends)

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
def book() -> TrafficBook:
    return TrafficBook()


@pytest.fixture
def unread(book: TrafficBook) -> Unread:
    return Unread(book)


@pytest.fixture
def connections(book: TrafficBook, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Connection]]:
    """Three of them, and bounds of 100,000 bytes for one and 250,000 for all."""
    monkeypatch.setattr(unread_module, "OF_ONE_BYTES", 100_000)
    monkeypatch.setattr(unread_module, "OF_ALL_BYTES", 250_000)
    monkeypatch.setattr(unread_module, "LOOK_SECONDS", 0.0)
    with contextlib.ExitStack() as stack:
        connections = [Connection(book) for _ in range(3)]
        for each in connections:
            stack.callback(each.close)
        yield connections


def test_what_is_on_its_way_counts_until_it_has_arrived(unread: Unread, connections: list[Connection]) -> None:
    one, other, _ = connections
    unread.add(one.traffic, 100_000)
    assert unread.has_room(one.traffic, LARGE)
    unread.add(one.traffic, LARGE)
    assert not unread.has_room(one.traffic, LARGE)
    assert unread.has_room(other.traffic, LARGE)
    one.arrives(2 * LARGE)
    assert unread.has_room(one.traffic, LARGE)


def test_who_reads_gets_small_answers_whatever_others_leave_unread(
    unread: Unread, connections: list[Connection]
) -> None:
    one, other, _ = connections
    unread.add(one.traffic, 10**9)
    unread.add(other.traffic, LITTLE_BYTES)
    assert unread.has_room(other.traffic, SMALL_BYTES)
    assert unread.has_room_for_a_word(other.traffic)
    assert not unread.has_room(other.traffic, LARGE)
    unread.add(other.traffic, 1)
    assert not unread.has_room(other.traffic, SMALL_BYTES)
    assert not unread.has_room_for_a_word(other.traffic)


def test_small_answers_add_up_too(unread: Unread, connections: list[Connection]) -> None:
    one, _, _ = connections
    while unread.has_room(one.traffic, SMALL_BYTES):
        unread.add(one.traffic, SMALL_BYTES)
    unread.add(one.traffic, -SMALL_BYTES)
    assert unread.has_room(one.traffic, SMALL_BYTES)


def test_of_what_is_dropped_one_is_told_for_a_while(
    unread: Unread, connections: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread_module, "WORDS_BYTES", 20_000)
    one, _, _ = connections
    # However large the answer was that was too much.
    unread.add(one.traffic, 200_000)
    assert not unread.has_room(one.traffic, SMALL_BYTES)
    one.traffic.words = 20_000
    assert unread.has_room_for_a_word(one.traffic)
    one.traffic.words = 20_001
    assert not unread.has_room(one.traffic, SMALL_BYTES)
    assert not unread.has_room_for_a_word(one.traffic)
    # It is told again when it has read meanwhile.
    one.arrives(150_000)
    assert unread.has_room(one.traffic, LARGE)
    unread.add(one.traffic, 100_000)
    assert not unread.has_room(one.traffic, LARGE)
    assert unread.has_room_for_a_word(one.traffic)


def test_many_that_leave_little_unread_are_too_many_together(unread: Unread, connections: list[Connection]) -> None:
    one, other, third = connections
    for each in connections:
        unread.add(each.traffic, 83_000)
    assert unread.has_room(one.traffic, LARGE)
    unread.add(third.traffic, 2000)
    for each in connections:
        assert not unread.has_room(each.traffic, LARGE)
    other.arrives(2000)
    assert unread.has_room(one.traffic, LARGE)


def test_what_goes_over_the_line_beside_the_answers_is_no_credit(unread: Unread, connections: list[Connection]) -> None:
    # The handshake and what libzmq writes around each answer: of small ones that is half.
    one, _, _ = connections
    for _ in range(20):
        unread.add(one.traffic, 5000)
        one.arrives(10_000)
    assert unread.has_room(one.traffic, LARGE)
    unread.add(one.traffic, 100_001)
    assert not unread.has_room(one.traffic, LARGE)


def test_where_nobody_counts_there_is_room(book: TrafficBook, unread: Unread, tmp_path: Path) -> None:
    here, there = socket.socketpair()
    with here, there, (tmp_path / "file").open("w") as file:
        for fd in (-1, here.fileno(), file.fileno(), 4711):
            traffic = book.of(fd, 0)
            unread.add(traffic, 10**9)
            assert unread.has_room(traffic, 10**9)


def test_what_connections_that_are_gone_have_not_read_counts_no_more(
    book: TrafficBook, unread: Unread, connections: list[Connection]
) -> None:
    one, other, _ = connections
    unread.add(one.traffic, 300_000)
    assert not unread.has_room(other.traffic, LARGE)
    book.end(one.fd)
    assert unread.has_room(other.traffic, LARGE)
    # The next one under that descriptor begins anew.
    heir = book.of(one.fd, book.ends)
    assert unread.has_room(heir, LARGE)
    unread.add(heir, 100_000)
    assert unread.has_room(heir, LARGE)


def test_it_is_not_looked_at_all_of_them_each_time(
    unread: Unread, connections: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread_module, "LOOK_SECONDS", 3600.0)
    one, other, third = connections
    for each in connections:
        unread.add(each.traffic, 83_500)
    assert not unread.has_room(one.traffic, LARGE)
    third.arrives(83_500)
    assert not unread.has_room(one.traffic, LARGE)
    monkeypatch.setattr(unread_module, "LOOK_SECONDS", 0.0)
    assert unread.has_room(other.traffic, LARGE)
