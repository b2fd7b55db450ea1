"""For a test's script folder: commands that take exactly as long as the test wants.

`python script_hold NAME …` answers `+OK` when NAME is released, whether that has happened or is still to come.
`python script_hold::release NAME` releases it.
"""

from __future__ import annotations

import threading
from typing import Any

AT_MOST_SECONDS = 90.0  # A test that fails in between releases nothing.

held = globals().get("held", {})  # mod_python3 runs this file anew at each call, but in the same namespace


def _of(name: str) -> threading.Event:
    event: threading.Event = held.setdefault(name, threading.Event())
    return event


def fsapi(session: Any, stream: Any, env: Any, args: str) -> None:
    """See above."""
    _of(args.split(" ", maxsplit=1)[0]).wait(AT_MOST_SECONDS)
    stream.write("+OK")


def release(session: Any, stream: Any, env: Any, args: str) -> None:
    """See above."""
    _of(args).set()
    stream.write("+OK")
