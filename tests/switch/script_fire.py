"""For a test's script folder: fires, from within the switch, the events that lie as JSON in a file.

`python fire FILE`: a list of [name, subclass, [[header, value], …], body or null].
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import freeswitch


def fsapi(session: Any, stream: Any, env: Any, args: str) -> None:
    """Fires them all."""
    for name, subclass, headers, body in json.loads(Path(args).read_text("utf-8")):
        event = freeswitch.Event(name, subclass) if subclass else freeswitch.Event(name)
        for header, value in headers:
            event.addHeader(header, value)
        if body is not None:
            event.addBody(body)
        event.fire()
    stream.write("+OK")
