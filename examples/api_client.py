#!/usr/bin/env python3
"""Has the switch run a command and prints its output; by default which version it is.

    api_client.py [ENDPOINT [COMMAND [ARGS]]]

Needs pyzmq. What the switch lets it run stands in event_zmq.conf.xml, <api>, allow.
"""

from __future__ import annotations

import json
import sys

import zmq


def main() -> str:
    """Ask. Gives what went wrong, or nothing."""
    endpoint = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5557"
    command = sys.argv[2] if len(sys.argv) > 2 else "version"
    params = {"command": command, "args": " ".join(sys.argv[3:])}
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.set(zmq.LINGER, 0)  # a request that did not go out is not to go out later
        socket.connect(endpoint)
        socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "api", "params": params}).encode())
        if not socket.poll(15_000):
            return f"no answer from {endpoint}; the command may have been run all the same"
        answer = json.loads(socket.recv())
    if "error" in answer:
        return f"{answer['error']['code']}: {answer['error']['message']}"
    print(answer["result"]["output"], end="")
    return ""


if __name__ == "__main__":
    sys.exit(main() or 0)
