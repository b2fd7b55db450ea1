#!/usr/bin/env python3
"""The client of mod_event_zmq's wiki page, for Python 3: prints 100 events of the switch, then quits.

    wiki_client.py [COUNT] [ENDPOINT]

COUNT is how many (0: until Ctrl-C). It may be started before the switch, and lives through the switch's
restarts.
"""

from __future__ import annotations

import itertools
import sys

import zmq


def main() -> None:
    """Subscribe to everything and print it, one event a line."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    endpoint = sys.argv[2] if len(sys.argv) > 2 else "tcp://127.0.0.1:5556"
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.subscribe(b"")
        subscriber.connect(endpoint)
        for _ in range(count) if count else itertools.count():
            print(subscriber.recv().decode(), flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
