#!/usr/bin/env python3
"""Prints every event of a publisher once and in order, whatever becomes of the connection or of this program.

    replay_client.py [EVENTS [API [PUBLISHER [EPOCH LAST]]]]

EVENTS and API are where the publisher and the API listen; the publisher needs replay-mb. A line is ZMQ-Epoch,
ZMQ-Sequence and Event-Name. It begins with the oldest event that is held or, given EPOCH and LAST of the last line that
it had printed, behind that. Needs pyzmq. Why it goes like this: docs/protocol.md, "Missing nothing".
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any

import zmq

DEFAULTS = ["tcp://127.0.0.1:5556", "tcp://127.0.0.1:5557", "default", "", "0"]
NOT_HELD, SHUTTING_DOWN = -32006, -32005
PATIENCE_MS = 5000

Socket = zmq.Socket[bytes]
Event = dict[str, Any]


class Replay:
    """Asks for events again. That changes nothing on the switch, so it may be asked as often as it takes."""

    def __init__(self, socket: Socket, publisher: str) -> None:
        self._socket = socket
        self._publisher = publisher

    def events(self, epoch: str, first: int, last: int | None) -> Iterator[Event]:
        """What is held of these; without `last` up to the newest."""
        following: int | None = first
        ahead = 0.0
        while following is not None and (last is None or following <= last):
            answer = self._ask({"publisher": self._publisher, "epoch": epoch, "first": following, "last": last})
            error = answer.get("error")
            if error is None:
                yield from answer["result"]["events"]
                following, ahead = answer["result"]["next"], 0.0
            elif error["code"] == NOT_HELD:
                held = error["data"]
                if held["epoch"] != epoch or held["oldest"] is None:
                    return
                # Where events come fast, the oldest is gone when it is asked for: further on each time.
                following = held["oldest"] + int(ahead * (held["newest"] - held["oldest"]))
                ahead = min(2 * ahead or 0.01, 1.0)
            else:
                sys.exit(f"the switch does not give events again: {error['message']}")

    def _ask(self, params: dict[str, Any]) -> dict[str, Any]:
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "replay", "params": params}).encode()
        while True:
            self._socket.send(request)
            if self._socket.poll(PATIENCE_MS):
                answer: dict[str, Any] = json.loads(self._socket.recv())
                if answer.get("error", {}).get("code") != SHUTTING_DOWN:
                    return answer


def every_event(subscriber: Socket, replay: Replay, epoch: str, last: int) -> Iterator[Event]:
    """Each event behind `last` once: live where it comes, from `replay` where it does not."""
    missed = replay.events(epoch, last + 1, None) if epoch else iter(())
    live: list[Event] = []
    while True:
        for event in itertools.chain(missed, live):
            number = int(event["ZMQ-Sequence"])
            if number > last:
                if last and number > last + 1:
                    print(f"{last + 1} to {number - 1} are lost", file=sys.stderr)
                yield event
                last = number
        live = [json.loads(subscriber.recv())]
        if live[0]["ZMQ-Epoch"] != epoch:  # the publisher has started anew
            epoch, last = live[0]["ZMQ-Epoch"], 0
        missed = replay.events(epoch, last + 1, int(live[0]["ZMQ-Sequence"]) - 1)


def main() -> None:
    """Print them, for ever."""
    given = sys.argv[1:6]
    events, api, publisher, epoch, last = given + DEFAULTS[len(given) :]
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber, context.socket(zmq.REQ) as requester:
        subscriber.subscribe(b"")
        subscriber.connect(events)  # before anything is asked for
        requester.set(zmq.LINGER, 0)
        requester.set(zmq.REQ_RELAXED, 1)  # it may ask again after a timeout,
        requester.set(zmq.REQ_CORRELATE, 1)  # and takes no late answer for the new one
        requester.connect(api)
        for event in every_event(subscriber, Replay(requester, publisher), epoch, int(last)):
            print(event["ZMQ-Epoch"], event["ZMQ-Sequence"], event["Event-Name"], flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
