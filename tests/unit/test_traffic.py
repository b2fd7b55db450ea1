"""Which connection a message came from, when descriptors are given again and news of an end is late."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from freeswitch_zmq.module.traffic import TrafficBook


class Descriptor:
    """One under which sockets come and go."""

    def __init__(self) -> None:
        self._now = socket.socket()
        self.number = self._now.fileno()

    def ends(self) -> None:
        self._now.close()

    def becomes_anothers(self) -> None:
        self.ends()
        self._now = socket.socket()
        assert self._now.fileno() == self.number


@pytest.fixture
def descriptor() -> Iterator[Descriptor]:
    descriptor = Descriptor()
    yield descriptor
    descriptor.ends()


@pytest.fixture
def book() -> TrafficBook:
    return TrafficBook()


def test_messages_of_one_connection_add_up(book: TrafficBook, descriptor: Descriptor) -> None:
    assert book.seen(descriptor.number) is None
    traffic = book.of(descriptor.number, 0)
    traffic.taken += 7
    book.end(descriptor.number + 1)  # of another one
    assert book.of(descriptor.number, 0) is traffic
    assert book.seen(descriptor.number) is traffic
    assert book.open() == [traffic]
    assert book.is_there(traffic)


def test_it_has_ended_when_its_descriptor_is_closed(book: TrafficBook, descriptor: Descriptor) -> None:
    traffic = book.of(descriptor.number, 0)
    descriptor.ends()
    assert not book.is_there(traffic)
    assert book.seen(descriptor.number) is None


def test_it_has_ended_when_its_descriptor_is_anothers(book: TrafficBook, descriptor: Descriptor) -> None:
    former = book.of(descriptor.number, 0)
    former.taken = 10**9
    descriptor.becomes_anothers()
    assert not book.is_there(former)
    book.end(descriptor.number)
    heir = book.of(descriptor.number, book.ends)
    assert heir.taken == 0
    assert book.is_there(heir)
    assert not book.is_there(former)
    assert book.seen(descriptor.number) is heir


def test_what_is_taken_when_its_descriptor_is_anothers_is_nobodys(book: TrafficBook, descriptor: Descriptor) -> None:
    descriptor.becomes_anothers()
    book.end(descriptor.number)
    heir = book.of(descriptor.number, 1)
    late = book.of(descriptor.number, 0)
    assert not book.is_there(late)
    assert book.is_there(heir)
    # Nor does it disturb what is known of the heir.
    assert book.of(descriptor.number, 1) is heir


def test_what_is_taken_of_one_known_when_its_descriptor_is_anothers_is_nobodys(
    book: TrafficBook, descriptor: Descriptor
) -> None:
    """Even if nobody has told of its end yet."""
    traffic = book.of(descriptor.number, 0)
    descriptor.becomes_anothers()
    assert book.of(descriptor.number, 0) is traffic
    assert not book.is_there(traffic)


def test_what_is_taken_when_its_descriptor_is_closed_is_nobodys(book: TrafficBook, descriptor: Descriptor) -> None:
    descriptor.ends()
    assert not book.is_there(book.of(descriptor.number, 0))


def test_it_was_another_ones_before(book: TrafficBook, descriptor: Descriptor) -> None:
    for number in range(1, 10):
        book.end(descriptor.number)
        traffic = book.of(descriptor.number, number)
        assert book.is_there(traffic)
        descriptor.becomes_anothers()


def test_what_has_no_descriptor_is_there(book: TrafficBook) -> None:
    traffic = book.of(-1, 0)
    assert book.of(-1, 0) is traffic
    assert book.is_there(traffic)
