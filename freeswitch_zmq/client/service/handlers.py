"""Which handler is asked what, and what is made of its answer. No I/O."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from typing import Any, Callable, NamedTuple, Optional, Union

from freeswitch_zmq import jsonrpc
from freeswitch_zmq.client.service.asked import Call, Hangup, XmlRequest, call_of, hangup_of, xml_request_of
from freeswitch_zmq.client.service.complaints import Complaints, logger
from freeswitch_zmq.client.service.documents import document_of
from freeswitch_zmq.client.service.reply import reply_of
from freeswitch_zmq.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, RpcError
from freeswitch_zmq.spelling import shown

__all__ = ["Handler", "Handlers", "Job", "Run", "answer", "internal_error"]

Handler = Callable[[Any], Any]
"""A function or a coroutine function."""

Run = Callable[[str, Handler, Any], Awaitable[Any]]
"""Runs a handler that is a function where it keeps nobody waiting, and gives what it returned or raised.

Its arguments are who that is, for a line in the log, the handler, and what it is asked.
"""


class Job(NamedTuple):
    """What a request asks for.

    Attributes:
        who: the handler, for a line in the log.
        handler: None: nobody wants to know, and `finish` makes the answer of None.
        asked: its argument.
        finish: makes of what it returns the result as JSON has it; ValueError: that is not possible.
        is_document: the result is a document, which `finish` holds against a bound of its own.
    """

    who: str
    handler: Optional[Handler]
    asked: Union[Call, Hangup, XmlRequest]
    finish: Callable[[Any], Any]
    is_document: bool = False


class Handlers:
    """Those of a service.

    Args:
        max_answer_bytes: of all answers but those that are documents.
        response_max_bytes: of an XML document.
        complaints: told of those who are missing.
    """

    def __init__(self, max_answer_bytes: int, response_max_bytes: int, complaints: Complaints) -> None:
        self.calls: dict[str, Handler] = {}
        self.sections: dict[str, Handler] = {}
        self.hangup: Optional[Handler] = None
        self.max_answer_bytes = max_answer_bytes
        self._response_max_bytes = response_max_bytes
        self._complaints = complaints

    def find(self, method: str, params: Union[dict[str, Any], list[Any]]) -> Job:
        """Who is to answer a request.

        Raises:
            RpcError: nobody is, or the request is not what the protocol says.
        """
        if method == "dialplan.call":
            call = call_of(params)
            handler = self._known(self.calls, call.name, "call")
            return Job(f'the handler of "{shown(call.name)}"', handler, call, lambda found: reply_of(found).as_result())
        if method == "dialplan.hangup":
            return Job("the handler of hang-ups", self.hangup, hangup_of(params), _nothing)
        if method == "xml.fetch":
            asked = xml_request_of(params)
            handler = self._known(self.sections, asked.section, "section")
            who = f'the handler of <section name="{shown(asked.section)}">'
            return Job(who, handler, asked, self._xml(asked), is_document=True)
        known = "dialplan.call, dialplan.hangup, xml.fetch"
        raise RpcError(METHOD_NOT_FOUND, f'there is no method "{shown(method)}"; there are {known}')

    def _xml(self, asked: XmlRequest) -> Callable[[Any], Any]:
        def finish(found: Any) -> Any:
            document = document_of(found, asked.section, self._response_max_bytes)
            return None if document is None else {"xml": document}

        return finish

    def _known(self, handlers: dict[str, Handler], name: str, what: str) -> Handler:
        handler = handlers.get(name)
        if handler is None:
            names = ", ".join(sorted(handlers)) or "none"
            problem = f'there is no handler for the {what} "{shown(name)}"; there are: {names}'
            self._complaints.warn(f"{what} {name}", problem)
            raise RpcError(INVALID_PARAMS, problem)
        return handler


async def answer(handlers: Handlers, raw: bytes, run: Run) -> Optional[bytes]:
    """Has a request answered; whatever goes wrong is an answer, too. None: it wants none."""
    try:
        call = jsonrpc.parse_call(raw)
    except RpcError as error:
        return jsonrpc.failure(error, error.id)
    who, is_document = "the service", False
    try:
        job = handlers.find(call.method, call.params)
        who = job.who
        told = jsonrpc.success(call.id, job.finish(await _ask(job, run)))
        is_document = job.is_document
    except RpcError as error:  # it is meant to be told
        logger.debug("%s answers with the error %s: %s", who, error.code, error.message)
        told = _failure(error, who, call.id)
    except Exception:  # noqa: BLE001  # it is logged
        logger.exception("%s failed", who)
        told = jsonrpc.failure(internal_error(), call.id)
    if len(told) > handlers.max_answer_bytes and not is_document:
        # The switch would end the connection, and with it whatever else is under way there.
        problem = "%s: its answer has %d bytes, and max_answer_bytes is %d; it is not sent"
        logger.error(problem, who, len(told), handlers.max_answer_bytes)
        told = jsonrpc.failure(internal_error(), call.id)
    return told if call.wants_answer else None


async def _ask(job: Job, run: Run) -> Any:
    if job.handler is None:
        return None
    try:
        if inspect.iscoroutinefunction(job.handler):
            return await job.handler(job.asked)
        found = await run(job.who, job.handler, job.asked)
        return await found if inspect.isawaitable(found) else found
    except SystemExit as error:  # which would end the loop, and every request with it
        raise RuntimeError(f"it called sys.exit({error.code!r})") from error


def _failure(error: RpcError, who: str, id: jsonrpc.Id) -> bytes:
    try:
        _check_error(error.code, error.message)
        return jsonrpc.failure(error, id)
    except (TypeError, ValueError, RecursionError):
        logger.exception("%s raised an RpcError that can't be told", who)
        return jsonrpc.failure(internal_error(), id)


def _check_error(code: object, message: object) -> None:
    if not isinstance(code, int) or isinstance(code, bool) or not isinstance(message, str):
        raise TypeError('write RpcError(CODE, "MESSAGE"), where CODE is a whole number')


def internal_error() -> RpcError:
    """All that a switch is told of a mistake in a handler."""
    return RpcError(INTERNAL_ERROR, "the service failed; its own log says why")


def _nothing(_found: Any) -> dict[str, Any]:
    return {}
