"""What callers may do to the API, on purpose or by mistake. Each leaves no connection when it is done."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import zmq

from .attacks import room_for
from .caller import Caller
from .rawcaller import RawCaller
from .zmtp import COMMAND, LONG, MORE, RawPeer, frame

SECONDS = 0.6
"""How long a flood lasts."""


def request(method: str, **params: Any) -> bytes:
    """As it goes over the wire."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def flood(endpoint: str, raw: bytes, seconds: float = SECONDS, bounded: bool = True) -> int:
    """One caller sends the same as fast as it can, and reads the answers; how many came.

    Args:
        endpoint: of the API.
        raw: a request, or what isn't one.
        seconds: how long.
        bounded: whether it waits for answers when so much is on its way that it would be cut off.
    """
    most = min(5000, 3_000_000 // len(raw)) if bounded else 10**9
    end = time.monotonic() + seconds
    sent = came = 0
    with Caller(endpoint, zmq.DEALER) as caller:
        caller.socket.set(zmq.SNDHWM, 1000)
        while time.monotonic() < end:
            with contextlib.suppress(zmq.Again):
                for _ in range(min(100, most - sent + came)):
                    caller.socket.send(raw, zmq.NOBLOCK)
                    sent += 1
            if sent - came >= most:
                caller.socket.poll(10)
            with contextlib.suppress(zmq.Again):
                while True:
                    caller.socket.recv(zmq.NOBLOCK)
                    came += 1
    return came


def gigabytes(endpoint: str, rounds: int = 5) -> None:
    """Frames of 2 GB and more are announced."""
    for size in [2**31, 2**31 - 1, 2**40, 2**63, 2**64 - 1] * rounds:
        for flags in (LONG, LONG | MORE, LONG | COMMAND):
            with RawCaller(endpoint) as peer:
                peer.send(struct.pack(">BQ", flags, size) + b"x" * 1000)
                peer.rest()


def many_frames(endpoint: str, rounds: int = 5, count: int = 100_000) -> int:
    """Messages of very many frames, by one caller after the other; how many were let in."""
    message = frame(b"", MORE) * count + frame(b"")
    for done in range(rounds):
        try:
            peer = RawCaller(endpoint)
        except (AssertionError, OSError):
            return done
        with peer:
            peer.send(message)
            peer.rest()
    return rounds


def cut_off(peer: RawPeer, raw: bytes, is_cut: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Sends that again and again, and reads nothing but what would be in the way; whether it was cut off for it.

    Args:
        peer: who sends.
        raw: what.
        is_cut: whether the switch says so. Our kernel may take long to notice; that it takes nothing for a moment says
            only that the machine is busy.
        seconds: how long it is tried.
    """
    end = time.monotonic() + seconds
    peer.socket.settimeout(1.0)
    left = b""
    while time.monotonic() < end:
        left = left or raw
        try:
            left = left[peer.socket.send(left) :]
            if select.select([peer.socket], [], [], 0)[0] and not peer.socket.recv(65536):
                return True
        except socket.timeout:
            if is_cut():
                return True
        except ConnectionError:
            return True
    return False


def endless_message(endpoint: str, is_cut: Callable[[], bool]) -> bool:
    """A message of empty frames that has no end, as fast as it can be sent; False when it was cut off."""
    with RawCaller(endpoint) as peer:
        return not cut_off(peer, frame(b"", MORE) * 10_000, is_cut)


def unfinished(endpoint: str, callers: int, frames: int) -> int:
    """So many callers leave a message of so many empty frames without an end; how many were cut off."""
    with room_for(callers) as peers:
        every = [peers.enter_context(RawCaller(endpoint)) for _ in range(callers)]
        for start in range(0, frames, 50_000):
            for peer in every:
                peer.send(frame(b"", MORE) * min(50_000, frames - start))
        cut = 0
        for peer in every:
            cut += not peer.heard()
        return cut


def crowd(endpoint: str, callers: int = 1000) -> None:
    """So many at once; each asks, and gets its own answer."""
    with room_for(callers) as peers:
        every = [peers.enter_context(RawCaller(endpoint)) for _ in range(callers)]
        for number, peer in enumerate(every):
            peer.request("api", id=number, command="echo", args=f"{number} of them")
        for number, peer in enumerate(every):
            answer = peer.answer(60.0)
            assert (answer["id"], answer["result"]["output"]) == (number, f"{number} of them")


def come_and_go(endpoint: str, seconds: float = SECONDS) -> int:
    """Callers that leave, having asked or not; how many."""
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        with RawCaller(endpoint) as peer:
            if count % 3 == 0:
                peer.request("ping")
            elif count % 3 == 1:
                peer.ask("ping")
        count += 1
    return count
