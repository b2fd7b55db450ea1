"""What peers may do to an endpoint, on purpose or by mistake. Each leaves no connection when it is done."""

from __future__ import annotations

import contextlib
import random
import resource
import struct
import time
from collections.abc import Iterator, Sequence

import pytest
import zmq

from .zmtp import COMMAND, LONG, MORE, RawPeer, command, frame, greeting, ready

GARBAGE = (
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    bytes(range(256)) * 40,
    greeting()[:20],
    greeting(b"PLAIN"),
    greeting() + b"\0" * 4000,
    greeting() + command(b"READY", b"\xff" * 200),
    greeting() + ready(b"DEALER"),
    greeting() + ready() + frame(b"\x01"),
    b"\xff" + struct.pack(">Q", 2**31) + b"\x7f\x03",
    b"\x01\x00",
    b"",
)


@contextlib.contextmanager
def room_for(count: int) -> Iterator[contextlib.ExitStack]:
    """A stack for so many connections of ours at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 500:
        pytest.skip(f"{count} connections at once need more open files than {hard} (ulimit -n)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 500), hard))
    with contextlib.ExitStack() as peers:
        peers.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        yield peers


def garbage(endpoint: str, rounds: int = 20) -> None:
    """What isn't ZeroMQ, or not as it should be."""
    chance = random.Random(1)
    for _ in range(rounds):
        for what in (*GARBAGE, chance.randbytes(5000)):
            with RawPeer(endpoint) as peer:
                peer.send(what)


def half_open(endpoint: str, count: int = 500) -> None:
    """Handshakes that end in the middle, held until the other side has had enough."""
    with room_for(count) as peers:
        held = [peers.enter_context(RawPeer(endpoint)) for _ in range(count)]
        for number, peer in enumerate(held):
            peer.send(b"" if number % 2 else greeting()[: number % 64])
        for peer in held:
            peer.rest()


def many(endpoint: str, prefix: bytes | None, count: int = 2000, seconds: float = 2.0) -> None:
    """Subscribers at once, subscribed to the same or to nothing."""
    with room_for(count) as peers:
        for _ in range(count):
            peer = peers.enter_context(RawPeer(endpoint))
            peer.shake_hands()
            if prefix is not None:
                peer.subscribe(prefix)
        time.sleep(seconds)  # that events flow past them


def gigabytes(endpoint: str, rounds: int = 10) -> None:
    """Frames of 2 GB and more are announced, before and after the handshake."""
    for size in [2**31, 2**31 - 1, 2**40, 2**63, 2**64 - 1] * rounds:
        for flags in (LONG, LONG | MORE, LONG | COMMAND):
            head = struct.pack(">BQ", flags, size)
            with RawPeer(endpoint) as peer:
                peer.send(greeting() + head + b"x" * 1000)
                peer.rest()
            with RawPeer(endpoint) as peer:
                if not peer.comes_in():
                    return  # it did so often enough
                peer.send(head + b"\x01" * 1000)
                peer.rest()


def subscriptions(endpoint: str, count: int, length: int = 12) -> bool:
    """One peer subscribes to so much; False when it was cut off."""
    with RawPeer(endpoint) as peer:
        if not peer.comes_in():
            return False
        peer.socket.settimeout(5.0)  # our kernel may take long to notice that it was cut off
        for start in range(0, count, 1000):
            frames = (frame(b"\x01" + b"%d" % number + b"x" * (length - 8)) for number in range(start, start + 1000))
            if not peer.send(b"".join(frames)):
                return False
        return peer.heard()


def fill(peer: zmq.Socket[bytes], number: int, size: int) -> None:
    """An XSUB socket subscribes to `size` bytes that nobody else has, 1 KB each."""
    for each in range(size // 1020):
        peer.send(b"\x01" + b"%d-%d-" % (number, each) + b"x" * 1000)


def come_and_go(endpoint: str, seconds: float = 5.0) -> int:
    """A peer that subscribes and leaves, again and again; how often."""
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        with RawPeer(endpoint) as peer:
            if not peer.comes_in():
                break  # it did so often enough
            peer.subscribe(b"" if count % 2 else b"%d" % count)
        count += 1
    return count


def long_subscription(endpoint: str, rounds: int = 20, length: int = 60_000) -> None:
    """A subscription as long as it may be, and gone."""
    for number in range(rounds):
        with RawPeer(endpoint) as peer:
            if not peer.comes_in():
                return  # it did so often enough
            peer.subscribe(b"%d" % number + b"x" * length)
            if number % 2:
                peer.unsubscribe(b"%d" % number + b"x" * length)
            peer.heard()


def unsubscribe(endpoint: str, prefixes: Sequence[bytes], times: int) -> bool:
    """Takes back what it never asked for; False when it was cut off."""
    with RawPeer(endpoint) as peer:
        if not peer.comes_in():
            return False
        for _ in range(times):
            if not peer.send(b"".join(frame(b"\x00" + prefix) for prefix in prefixes)):
                return False
        return peer.heard()


def endless_message(endpoint: str, seconds: float, rate: int = 100_000) -> bool:
    """A message of empty frames that has no end, `rate` frames a second; False when it was cut off."""
    with RawPeer(endpoint) as peer:
        peer.shake_hands()
        began = time.monotonic()
        sent = 0
        while time.monotonic() < began + seconds:
            if not peer.send(frame(b"", MORE) * (rate // 50)):
                return False
            sent += rate // 50
            time.sleep(max(0.0, began + sent / rate - time.monotonic()))
        return True
