"""A stand-in for FreeSWITCH with mod_python3, for machines that have none and for testing one's own programs.

`python -m freeswitch_zmq.standin --help` says how it is started. It gives scripts the `freeswitch` module that
mod_python3 gives them and treats them the same way, speaks the event socket's protocol so that `fs_cli` can drive it,
and plays loopback calls. It carries no media and knows the commands and applications that tests and demonstrations
need. Where it differs from a real FreeSWITCH, the real one is right.
"""

from __future__ import annotations

__all__: list[str] = []
