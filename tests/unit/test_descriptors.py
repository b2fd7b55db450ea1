from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from freeswitch_zmq.module.descriptors import Ends, bytes_received, ends_of, hang_up
from tests.support.waiting import wait_for


@contextlib.contextmanager
def connection(host: str = "127.0.0.1") -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of one: the listener's, and the peer's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen()
        with socket.create_connection(listener.getsockname()[:2], timeout=20.0) as peer:
            ours, _ = listener.accept()
            with ours:
                yield ours, peer


def test_the_ends_of_a_connection() -> None:
    with connection() as (ours, peer):
        assert ends_of(ours.fileno()) == Ends(ours.getsockname()[1], "127.0.0.1", peer.getsockname()[1])
        assert ends_of(peer.fileno()) == Ends(peer.getsockname()[1], "127.0.0.1", ours.getsockname()[1])


def test_the_ends_of_one_over_ipv6() -> None:
    try:
        with connection("::1") as (ours, peer):
            assert ends_of(ours.fileno()) == Ends(ours.getsockname()[1], "::1", peer.getsockname()[1])
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")


def test_an_ipv4_peer_on_an_ipv6_socket_is_told_as_such() -> None:
    with socket.socket(socket.AF_INET6) as listener:
        try:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(("::", 0))
        except OSError as error:
            pytest.skip(f"this machine has no IPv6: {error}")
        listener.listen()
        with socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=20.0):
            ours, _ = listener.accept()
            with ours:
                ends = ends_of(ours.fileno())
                assert ends is not None
                assert ends.address == "::ffff:127.0.0.1"


def test_what_is_no_connection_has_no_ends(tmp_path: Path) -> None:
    unix = socket.socketpair()
    with unix[0], unix[1], socket.socket() as fresh, (tmp_path / "file").open("w") as file:
        for descriptor in (unix[0].fileno(), fresh.fileno(), file.fileno(), -1, 10_000_000):
            assert ends_of(descriptor) is None
            assert bytes_received(descriptor) == 0
            assert not hang_up(descriptor, Ends(1, "127.0.0.1", 2))
        fresh.bind(("127.0.0.1", 0))
        fresh.listen()
        assert ends_of(fresh.fileno()) is None
    assert ends_of(unix[0].fileno()) is None


def test_what_came_in_is_counted_by_the_kernel() -> None:
    with connection() as (ours, peer):
        assert bytes_received(ours.fileno()) == 0
        peer.sendall(b"x" * 1000)
        wait_for(lambda: bytes_received(ours.fileno()) == 1000, "the bytes")
        assert ours.recv(4096) == b"x" * 1000  # whether they were read or not
        peer.sendall(b"y")
        wait_for(lambda: bytes_received(ours.fileno()) == 1001, "one more")
        assert bytes_received(peer.fileno()) == 0


def test_a_connection_is_ended_for_both_sides_and_its_descriptor_stays() -> None:
    with connection() as (ours, peer):
        ends = ends_of(ours.fileno())
        assert ends is not None
        assert hang_up(ours.fileno(), ends)
        assert peer.recv(1) == b""
        assert ours.recv(1) == b""
        os.fstat(ours.fileno())  # it is libzmq's to close


def test_another_connection_than_the_one_that_is_meant_is_left_alone() -> None:
    with connection() as (ours, peer):
        ends = ends_of(ours.fileno())
        assert ends is not None
        for other in (
            ends._replace(port=ends.port % 65535 + 1),
            ends._replace(local_port=ends.local_port % 65535 + 1),
            ends._replace(address="127.0.0.2"),
        ):
            assert not hang_up(ours.fileno(), other)
        ours.sendall(b"still there")
        assert peer.recv(100) == b"still there"


def test_looking_opens_nothing() -> None:
    def descriptors() -> list[str]:
        return sorted(path.name for path in Path("/proc/self/fd").iterdir())

    with connection() as (ours, _):
        before = len(descriptors())
        for _ in range(100):
            ends_of(ours.fileno())
            bytes_received(ours.fileno())
        assert len(descriptors()) == before
