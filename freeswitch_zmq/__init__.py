"""FreeSWITCH and ZeroMQ: every event of the switch as JSON, for any number of programs in any language.

`freeswitch_zmq.module` runs inside FreeSWITCH (mod_python3 loads it through `scripts/event_zmq.py`),
`freeswitch_zmq.standin` stands in for a switch where there is none, `freeswitch_zmq.cli` is the command `fszmq`.
"""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = ["__version__"]
