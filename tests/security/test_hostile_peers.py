"""What a peer may send to a publisher harms nobody else."""

from __future__ import annotations

import socket
import struct

import pytest
import zmq

from tests.support.module import Module, Subscriber

# A subscription that somebody has already, hidden in a message of several frames, once ended the endpoint for all.
MESSAGES = [
    [b"\x02x", b"\x01"],
    [b"\x01", b"x", b"\x01{"],
    [b"\x01a", b"\x01a", b"\x00a"],
    [b"", b"\x01", b""],
    [b"x" * 60_000],
    [b"\x00", b"\x00", b"\x01"],
]


@pytest.mark.parametrize("message", MESSAGES, ids=range(len(MESSAGES)))
def test_odd_messages_from_a_subscriber(module: Module, message: list[bytes]) -> None:
    with Subscriber(module.endpoint()) as good, zmq.Context() as context, context.socket(zmq.XSUB) as odd:
        good.subscribed(module.switch)
        odd.set(zmq.LINGER, 0)
        odd.connect(module.endpoint())
        for _ in range(3):
            odd.send_multipart(message)
            good.subscribed(module.switch)
        with Subscriber(module.endpoint()) as later:
            later.subscribed(module.switch)
    assert module.status()["errors"] == 0


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(range(256)) * 40,
        b"\xff" + struct.pack(">Q", 2**31) + b"\x7f\x03",
        b"",
    ],
    ids=["HTTP", "bytes", "half a greeting", "nothing"],
)
def test_garbage_on_the_port(module: Module, garbage: bytes) -> None:
    host, _, port = module.endpoint().rpartition("/")[2].partition(":")
    with Subscriber(module.endpoint()) as good:
        good.subscribed(module.switch)
        with socket.create_connection((host, int(port))) as peer:
            peer.sendall(garbage)
            good.subscribed(module.switch)
        good.subscribed(module.switch)
    assert module.status()["errors"] == 0
