"""The methods `api` and `bgapi`: commands for FreeSWITCH."""

from __future__ import annotations

import re
import unicodedata
import uuid
from functools import partial
from typing import Any, Optional

from freeswitch_zmq.errors import HostError, TooManyCommands
from freeswitch_zmq.jsonrpc import BUSY, FAILED, FORBIDDEN, SHUTTING_DOWN, RpcError
from freeswitch_zmq.module import host
from freeswitch_zmq.module.api.desk import AnswerLater, Desk
from freeswitch_zmq.module.api.params import Params, check_no_list, wrong
from freeswitch_zmq.module.api.request import Request
from freeswitch_zmq.spelling import BLANKS
from freeswitch_zmq.wire import to_utf8

__all__ = ["api", "bgapi", "result_of"]

TIMEOUT_AT_MOST = 86_400.0

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_JOB = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TRUSTING = re.compile(r"\b(?:bgapi|eval|expand)\b", re.IGNORECASE)
_ID_IN_ARGS = re.compile(r"uuid:([^ ]*)", re.IGNORECASE)
_FAILURES = ("-ERR", "-USAGE")


def api(desk: Desk, request: Request, answer_later: AnswerLater) -> None:
    """Has a command run; its output comes later, by `result_of`.

    Raises:
        RpcError: it is not run.
    """
    params = Params(request.call, "command", "args", "timeout")
    line = _checked_line(request, params)
    request.deadline += params.seconds("timeout", desk.config.timeout_ms / 1000, TIMEOUT_AT_MOST)
    try:
        request.job = desk.commands.start(line, partial(answer_later, request), desk.config.max_pending)
    except HostError as error:
        raise _not_run(error) from None


def bgapi(desk: Desk, request: Request, _later: AnswerLater) -> dict[str, Any]:
    """Has a command run in the background.

    Raises:
        RpcError: it is not run.
    """
    params = Params(request.call, "command", "args", "job_uuid")
    line = _checked_line(request, params)
    job = params.raw_text("job_uuid") if "job_uuid" in params else str(uuid.uuid4())
    if not _JOB.fullmatch(job):
        raise wrong('"job_uuid" is 1 to 64 characters of A-Z, a-z, 0-9, _ and -')
    try:
        desk.commands.start_background(job, line, desk.config.max_pending)
    except ValueError:
        raise wrong(f'the "job_uuid" {job} is in use') from None
    except HostError as error:
        raise _not_run(error) from None
    request.what += f" as {job}"
    return {"job_uuid": job}


def _checked_line(request: Request, params: Params) -> str:
    """The command as FreeSWITCH gets it, if the caller may have it run.

    What is forbidden with any arguments is refused as that, whatever else is wrong with it.
    """
    kind, grants = request.call.method, request.caller.grants
    command = params.raw_text("command")
    first = _NAME.search(unicodedata.normalize("NFKC", command[:200]))
    name = first.group() if first else ""
    if name and not grants.some_command(kind, name):
        request.what = f"{kind} {name[:60]}"
        raise RpcError(FORBIDDEN, f'you may not run the command "{name[:60]}" with {kind}')
    if not _NAME.fullmatch(command):
        raise wrong('"command" is the name of one command, without arguments; those go into "args"')
    args = params.line("args", "").strip(BLANKS)
    granted = grants.command(kind, command, args)
    request.what = f"{kind} {command[:60]} ({len(args)} characters of arguments)"
    if granted is None:
        raise RpcError(FORBIDDEN, f'you may not run the command "{command[:60]}" with these arguments')
    request.what += f' by "{granted}"'
    request.command = command
    check_no_list(args, '"args"')
    line = f"{command} {args}" if args else command
    _check_ids_in(line)
    return line


def _check_ids_in(line: str) -> None:
    """FreeSWITCH trusts the id in `bgapi uuid:ID`, `eval uuid:ID` and `expand uuid:ID`: a long one ends it (seen)."""
    if _TRUSTING.search(line):
        for found in _ID_IN_ARGS.findall(line):
            if not _JOB.fullmatch(found):
                raise wrong("the id after uuid: is 1 to 64 characters of A-Z, a-z, 0-9, _ and -")


def result_of(request: Request, output: Optional[str]) -> dict[str, Any]:
    """What a command's output means.

    Raises:
        RpcError: FreeSWITCH refused it, or it failed, or the module stopped first.
    """
    if output is None:
        raise stopping()
    text = output if output.isascii() else to_utf8(output).decode()
    said = text.strip()
    unknown = f"{request.command}: Command not found!"
    if said.startswith(_FAILURES) or said in (unknown, "COMMAND RETURNED ERROR!"):
        raise RpcError(FAILED, said.split("\n", 1)[0].strip(), {"output": text})
    return {"output": text}


def stopping() -> RpcError:
    """What callers are told whose commands have not been answered at a stop."""
    return RpcError(SHUTTING_DOWN, "event_zmq is stopping; a command that was running goes on, its output is lost")


def _not_run(error: HostError) -> RpcError:
    if isinstance(error, TooManyCommands):
        return RpcError(BUSY, f"{error}; try again when some have ended")
    if not host.running():
        return stopping()
    return RpcError(FAILED, "FreeSWITCH did not take the command; its log says why", {"output": ""})
