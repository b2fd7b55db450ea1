#!/usr/bin/env python3
"""A queue: one endpoint for the switch, any number of copies of a service behind it.

    service_queue.py [FRONT [BACK]]

The switch has FRONT (tcp://127.0.0.1:5558) as its `endpoint`; the copies connect to BACK (tcp://127.0.0.1:5568), each
with Service("tcp://127.0.0.1:5568", connect=True). They take turns, and may come and go. While none is there the switch
gets an error at once, so that it asks its next endpoint or goes on. A copy that dies takes with it what it was working
on: the switch waits for these answers until its timeout-ms, and the next requests go to the others. Needs pyzmq alone.
Keep BACK on this machine: whoever can connect there gets calls to answer.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import zmq

DEFAULTS = ["tcp://127.0.0.1:5558", "tcp://127.0.0.1:5568"]
MESSAGE_BYTES_AT_MOST = 4_194_304

# Requests on their way to a copy that doesn't read; what comes then goes to the others.
WAITING_AT_MOST = 1000

BUSY = -32004

Socket = zmq.Socket[bytes]


def main() -> None:
    """Pass requests and answers on, for ever."""
    given = sys.argv[1:3]
    front_address, back_address = given + DEFAULTS[len(given) :]
    with zmq.Context() as context, context.socket(zmq.ROUTER) as front, context.socket(zmq.DEALER) as back:
        for socket in (front, back):
            socket.set(zmq.LINGER, 0)
            socket.set(zmq.MAXMSGSIZE, MESSAGE_BYTES_AT_MOST)
            # No bound: at it libzmq stops reading, which can end the process when a connection breaks then (4.3.4).
            # Nothing stays there, because what comes is passed on at once or refused.
            socket.set(zmq.RCVHWM, 0)
        back.set(zmq.SNDHWM, WAITING_AT_MOST)
        front.bind(front_address)
        back.bind(back_address)
        pass_on(front, back)


def pass_on(front: Socket, back: Socket) -> None:
    """Not zmq.proxy: without a copy it keeps all requests, and the first one to come would have to do them all."""
    poller = zmq.Poller()
    poller.register(front, zmq.POLLIN)
    poller.register(back, zmq.POLLIN)
    while True:
        ready = dict(poller.poll())
        if back in ready:
            front.send_multipart(back.recv_multipart())
        if front in ready:
            request = front.recv_multipart()
            try:
                back.send_multipart(request, zmq.NOBLOCK)
            except zmq.Again:
                refuse(front, request)


def refuse(front: Socket, request: list[bytes]) -> None:
    """The answer to a request that no copy can take."""
    *way_back, body = request
    try:
        id: Any = json.loads(body)["id"]
    except (ValueError, TypeError, KeyError, RecursionError):  # it wants no answer, or is no request
        return
    error = {"code": BUSY, "message": "no copy of the service is there"}
    front.send_multipart([*way_back, json.dumps({"jsonrpc": "2.0", "id": id, "error": error}).encode()])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
