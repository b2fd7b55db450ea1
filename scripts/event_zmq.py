"""What mod_python3 loads as `event_zmq`: hands its four doors on to the package, and says what is missing.

mod_python3 runs this file anew at each call, so nothing is kept here. The arguments have no defaults on purpose: when
they are not UTF-8 mod_python3 calls without any and with an exception pending, and nothing must run then.
"""

from __future__ import annotations

from typing import Any

import freeswitch

try:
    from freeswitch_zmq.module import entry

    PROBLEM = ""
except Exception as error:  # noqa: BLE001  # of whatever kind: the console must be told
    PROBLEM = (
        f"event_zmq can't be loaded: {error}. It needs the package freeswitch_zmq beside this script, and pyzmq and "
        "ujson for FreeSWITCH's own Python: apt-get install python3-zmq python3-ujson"
    )
    freeswitch.consoleLog("ERR", PROBLEM + "\n")

NOT_FOUND = '<document type="freeswitch/xml"><section name="result"><result status="not found"/></section></document>'


def runtime(args: str) -> None:
    """`startup-script` and `pyrun event_zmq`."""
    if not PROBLEM:
        entry.runtime(args)


def fsapi(session: Any, stream: Any, env: Any, args: str) -> None:  # noqa: ARG001  # as mod_python3 calls it
    """`python event_zmq …` on the console."""
    if PROBLEM:
        stream.write(f"-ERR {PROBLEM}\n")
    else:
        entry.fsapi(stream, args)


def handler(session: Any, args: str) -> None:
    """`<action application="python" data="event_zmq …"/>`."""
    if PROBLEM:
        session.setVariable("event_zmq_status", "unavailable")
    else:
        entry.handler(session, args)


def xml_fetch(params: Any, args: str) -> str:  # noqa: ARG001  # as mod_python3 calls it
    """`xml-handler-script`."""
    return NOT_FOUND if PROBLEM else entry.xml_fetch(params)
