"""The methods of the API but for the commands: what each takes, who may call it, what it gives."""

from __future__ import annotations

import re
from typing import Any, Callable, Union

from freeswitch_zmq import __version__
from freeswitch_zmq.event_names import EVENT_NAMES
from freeswitch_zmq.jsonrpc import FAILED, FORBIDDEN, METHOD_NOT_FOUND, RpcError
from freeswitch_zmq.module import host
from freeswitch_zmq.module.api.commands import api, bgapi
from freeswitch_zmq.module.api.desk import AnswerLater, Desk
from freeswitch_zmq.module.api.params import Params, check_line, check_list, check_no_list, wrong
from freeswitch_zmq.module.api.replay import replay
from freeswitch_zmq.module.api.request import Request
from freeswitch_zmq.module.filters import closest
from freeswitch_zmq.spelling import shown
from freeswitch_zmq.wire import PROTOCOL_VERSION

__all__ = ["call"]

Result = Union[bytes, dict[str, Any], None]
"""JSON, or what becomes JSON; None: it comes later."""

_HEADER = re.compile(r"[A-Za-z0-9_-]+")
_RESERVED = re.compile(r"Event-.*|Core-UUID|FreeSWITCH-.*|Content-Length|_body|ZMQ-.*", re.IGNORECASE)


def call(desk: Desk, request: Request, answer_later: AnswerLater) -> Result:
    """Does what a request asks for.

    Args:
        desk: see there.
        request: it.
        answer_later: called with the request and the output of a command, in the pump's thread.

    Raises:
        RpcError: it can't be done, or not by that caller.
    """
    method = request.call.method
    function = _METHODS.get(method)
    if function is None:
        word = shown(method)
        raise RpcError(METHOD_NOT_FOUND, f'there is no method "{word}"{closest(word, list(_METHODS))}')
    return function(desk, request, answer_later)


def _allowed(request: Request) -> None:
    if not request.caller.grants.method(request.call.method):
        raise RpcError(FORBIDDEN, f"you may not call {request.call.method}")


def _ping(desk: Desk, request: Request, _later: AnswerLater) -> Result:
    _allowed(request)
    Params(request.call)
    return {"protocol": PROTOCOL_VERSION, "version": __version__, "core_uuid": desk.core_uuid}


def _status(desk: Desk, request: Request, _later: AnswerLater) -> Result:
    _allowed(request)
    Params(request.call)
    return desk.status()


def _sendevent(_desk: Desk, request: Request, _later: AnswerLater) -> Result:
    params = Params(request.call, "name", "subclass", "headers", "body")
    name = params.raw_text("name").upper()
    subclass = params.text("subclass", "")
    word = shown(name)
    # An event that nobody may send is forbidden, whatever else is wrong with it.
    granted = request.caller.grants.event(name, subclass if name == "CUSTOM" else "")
    request.what = f"sendevent {word}"
    if granted is None:
        unknown = f", and FreeSWITCH has none{closest(word, EVENT_NAMES)}" if name not in EVENT_NAMES else ""
        of_this = " of this subclass" if subclass else ""
        raise RpcError(FORBIDDEN, f"you may not send {word} events{of_this}{unknown}")
    request.what += f' by "{granted}"'
    if subclass and name != "CUSTOM":
        raise wrong('only CUSTOM events have a "subclass"')
    check_line(subclass, '"subclass"')
    check_no_list(subclass, '"subclass"')
    headers = params.texts("headers")
    for header, value in headers.items():
        told = f'the header "{shown(header)}"'
        if not _HEADER.fullmatch(header):
            raise wrong(f"{told} is not of A-Z, a-z, 0-9, _ and -")
        if _RESERVED.fullmatch(header):
            raise wrong(f"{told} is one that FreeSWITCH or this module adds by itself")
        check_line(value, told)
        check_list(value, told)
    if not host.fire(name, subclass, headers, params.text("body", "")):
        raise RpcError(FAILED, "FreeSWITCH did not take the event; its log says why", {"output": ""})
    return {}


_METHODS: dict[str, Callable[[Desk, Request, AnswerLater], Result]] = {
    "ping": _ping,
    "api": api,
    "bgapi": bgapi,
    "sendevent": _sendevent,
    "status": _status,
    "replay": replay,
}
