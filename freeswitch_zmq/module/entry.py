"""The four doors of mod_python3. Whatever comes in, nothing but an answer goes out: every exception ends here."""

from __future__ import annotations

from typing import Any

from freeswitch_zmq.errors import ConfigError, EventZmqError
from freeswitch_zmq.module import host
from freeswitch_zmq.module.filters import closest
from freeswitch_zmq.module.lookups.asked import Asked
from freeswitch_zmq.module.lookups.hook import can_hook
from freeswitch_zmq.module.service import Service
from freeswitch_zmq.module.status import as_json, as_text

__all__ = ["fsapi", "handler", "runtime", "service", "xml_fetch"]

HELP = """+OK event_zmq publishes FreeSWITCH's events over ZeroMQ.

  python event_zmq start          start it (as `pyrun event_zmq` and the startup-script do)
  python event_zmq stop           stop it
  python event_zmq reload         read the XML files anew and take up what changed in event_zmq.conf.xml
  python event_zmq status         what it is doing
  python event_zmq status json    the same for programs
  python event_zmq xml flush      forget the cached answers to XML lookups
  python event_zmq help           this text"""

NOT_FOUND = '<document type="freeswitch/xml"><section name="result"><result status="not found"/></section></document>'

# `python freeswitch_zmq.module.entry` on the console would load this file anew; the service must outlive that.
_service: Service = globals().get("_service") or Service()


def service() -> Service:
    """The one service of this switch."""
    return _service


def runtime(args: str) -> None:
    """`startup-script` and `pyrun event_zmq [COMMAND]`; without a command it starts. The answer goes to the log."""
    answer = _answer(args.strip() or "start")
    if args.strip() and not answer.startswith("-ERR"):  # what is wrong was logged, and so was the start
        host.log("INFO", answer)


def fsapi(stream: Any, args: str) -> None:
    """`python event_zmq COMMAND` on the console; the answer is what it prints."""
    try:
        stream.write(host.clean(_answer(args)) + "\n")
    except Exception as error:  # noqa: BLE001  # survived and reported
        _service.faults.caught("the console", error)


def handler(session: Any, args: str) -> None:
    """`<action application="python" data="event_zmq NAME ARGS"/>`: what came of it is in `event_zmq_status`."""
    status = "error"
    try:
        name, _, rest = (args or "").strip(" ").partition(" ")
        status = _service.converse(name, rest.strip(" "), session)
    except Exception as error:  # noqa: BLE001  # survived and reported
        _service.faults.caught("the dialplan application", error)
    try:
        session.setVariable("event_zmq_status", status)
    except Exception as error:  # noqa: BLE001  # survived and reported
        _service.faults.caught("the dialplan application", error)


def xml_fetch(params: Any) -> str:
    """`xml-handler-script`. On a real FreeSWITCH nothing is found here: `lookups/hook.py` says why, and answers."""
    try:
        if can_hook():
            return NOT_FOUND
        words = [params.getHeader(name) or "" for name in ("section", "tag_name", "key_name", "key_value")]
        others = host.parse_event(params.serialize("json"))
        document = _service.fetch(Asked(words[0], words[1], words[2], words[3], others))
        return NOT_FOUND if document is None else document.decode()
    except BaseException as error:  # noqa: BLE001  # survived and reported
        _service.faults.caught("an XML lookup", error)
        return NOT_FOUND


def _answer(args: str) -> str:
    """Does what `args` says and gives the console's answer."""
    command = " ".join(args.split())
    try:
        if command in ("start", "stop", "reload"):
            line: str = getattr(_service, command)()
            return f"+OK {line}"
        if command == "xml flush":
            return f"+OK {_service.flush()}"
        if command == "status":
            return as_text(_service.status())
        if command == "status json":
            return as_json(_service.status())
        if command == "help":
            return HELP
    except ConfigError as error:
        for problem in error.problems:
            host.log("ERR", f"event_zmq.conf: {problem}")
        return "\n".join(f"-ERR event_zmq.conf: {problem}" for problem in error.problems)
    except EventZmqError as error:
        host.log("ERR", f"{command}: {error}")
        return f"-ERR {error}"
    except BaseException as error:  # noqa: BLE001  # survived and reported
        _service.faults.caught(f'"{command}"', error)
        host.log("ERR", f"{command} failed: {type(error).__name__}: {error}")
        return f"-ERR {command} failed: {type(error).__name__}; the log has a line about it"
    known = ("start", "stop", "reload", "status", "status json", "xml flush", "help")
    asked = f'there is no command "{command}"{closest(command, known)}' if command else "a command is missing"
    answer = f"-ERR {asked}; use: {' | '.join(known)}"
    host.log("ERR", answer[5:])
    return answer
