"""For a test's script folder: subscribes to an inproc endpoint of the module, in the same process.

`python listen inproc://NAME`: answers with the first event that has a header `For-Inproc`.
`python listen hold`: opens a socket in the module's context and keeps it, as a careless script would.
"""

from __future__ import annotations

import json
from typing import Any

import zmq

import freeswitch_zmq.module

held = globals().get("held", [])  # mod_python3 runs this file anew at each call, but in the same namespace


def fsapi(session: Any, stream: Any, env: Any, args: str) -> None:
    """See above."""
    context = freeswitch_zmq.module.context()
    if args == "hold":
        held.append(context.socket(zmq.SUB))
        stream.write("+OK")
        return
    with context.socket(zmq.SUB) as subscriber:
        subscriber.set(zmq.LINGER, 0)
        subscriber.subscribe(b"")
        subscriber.connect(args)
        while subscriber.poll(25_000):
            event = json.loads(subscriber.recv())
            if "For-Inproc" in event:
                stream.write(f"+OK {event['For-Inproc']}")
                return
    stream.write("-ERR nothing came")


def release(session: Any, stream: Any, env: Any, args: str) -> None:
    """`python listen::release`: closes what was held."""
    for socket in held:
        socket.close()
    held.clear()
    stream.write("+OK")
