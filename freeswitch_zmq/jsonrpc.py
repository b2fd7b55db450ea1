"""Requests and answers as they go over the wire: JSON-RPC 2.0, one object per message. No I/O.

Stated for users in docs/protocol.md.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple, NoReturn, Optional, Union

from freeswitch_zmq.spelling import is_whole

__all__ = [
    "BUSY",
    "FAILED",
    "FORBIDDEN",
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "METHOD_NOT_FOUND",
    "NOT_HELD",
    "PARSE_ERROR",
    "SHUTTING_DOWN",
    "TIMEOUT",
    "Answer",
    "Call",
    "Id",
    "RpcError",
    "failure",
    "parse_answer",
    "parse_call",
    "request",
    "success",
]

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
FORBIDDEN = -32001
"""The caller may not do this."""
TIMEOUT = -32002
"""The command did not answer in time."""
FAILED = -32003
"""FreeSWITCH refused the command, or it failed; `data.output` is all that it said."""
BUSY = -32004
"""Too many commands are running."""
SHUTTING_DOWN = -32005
NOT_HELD = -32006
"""Those events are not held; `data` says which are."""

DEPTH_AT_MOST = 64
"""What is nested deeper is not parsed: Python 3.13 goes 10,000 deep, which overflows our threads' stacks (seen)."""

Id = Union[str, int, float, None]


_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))


class RpcError(Exception):
    """What a caller is told instead of a result.

    Attributes:
        code: one of the above.
        data: more about it, as JSON has it; None: nothing.
        id: the request's, as far as it could be read.
    """

    def __init__(self, code: int, message: str, data: Any = None, id: Id = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.id = id


class Call(NamedTuple):
    """A request. Without `wants_answer` it is a notification."""

    method: str
    params: Union[dict[str, Any], list[Any]]
    id: Id
    wants_answer: bool


class Answer(NamedTuple):
    """What came of a request: `error`, or else `result`."""

    id: Id
    result: Any
    error: Optional[RpcError]


def request(method: str, params: dict[str, Any], id: Id) -> bytes:
    """A request that wants an answer."""
    return _dump({"jsonrpc": "2.0", "id": id, "method": method, "params": params})


def parse_answer(raw: bytes) -> Answer:
    """Reads an answer.

    Raises:
        RpcError: it is none; its `id` is the answer's where that could be read.
    """
    found = _load(raw)
    if not isinstance(found, dict):
        raise RpcError(INVALID_REQUEST, "an answer is a JSON object")
    id = found.get("id")
    if not _is_id(id):
        raise RpcError(INVALID_REQUEST, '"id" is a string, a number or null')
    if found.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'an answer has "jsonrpc": "2.0"', id=id)
    if ("result" in found) == ("error" in found):
        raise RpcError(INVALID_REQUEST, 'an answer has either "result" or "error"', id=id)
    if "result" in found:
        return Answer(id, found["result"], None)
    error = found["error"]
    if not isinstance(error, dict):
        raise RpcError(INVALID_REQUEST, '"error" is an object', id=id)
    code, message = error.get("code"), error.get("message")
    if not isinstance(code, int) or isinstance(code, bool) or not isinstance(message, str):
        raise RpcError(INVALID_REQUEST, '"error" has a number as "code" and a string as "message"', id=id)
    return Answer(id, None, RpcError(code, message, error.get("data"), id))


def parse_call(raw: bytes) -> Call:
    """Reads a request.

    Raises:
        RpcError: it is none; the sender is to get this as the answer, also where no id could be read.
    """
    found = _load(raw)
    if isinstance(found, list):
        raise RpcError(INVALID_REQUEST, "batches are not taken; send each request in a message of its own")
    if not isinstance(found, dict):
        raise RpcError(INVALID_REQUEST, "a request is a JSON object")
    id = found.get("id")
    if not _is_id(id):
        raise RpcError(INVALID_REQUEST, '"id" is a string, a number or null')
    if found.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'a request has "jsonrpc": "2.0"', id=id)
    method = found.get("method")
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, '"method" is missing, or no string', id=id)
    wants_answer = "id" in found
    params = found.get("params", {})
    if not isinstance(params, (dict, list)):
        raise RpcError(INVALID_REQUEST, '"params" is an object', id=id)
    return Call(method, params, id, wants_answer)


def success(id: Id, result: Union[bytes, Any]) -> bytes:
    """An answer with a result, which may be JSON already (bytes)."""
    encoded = result if isinstance(result, bytes) else _dump(result)
    return b'{"jsonrpc":"2.0","id":' + _dump(id) + b',"result":' + encoded + b"}"


def failure(error: RpcError, id: Id) -> bytes:
    """An answer with an error."""
    told = {"code": error.code, "message": error.message}
    if error.data is not None:
        told["data"] = error.data
    return b'{"jsonrpc":"2.0","id":' + _dump(id) + b',"error":' + _dump(told) + b"}"


def _load(raw: bytes) -> Any:
    if _is_deep(raw):
        raise RpcError(PARSE_ERROR, f"this is nested deeper than {DEPTH_AT_MOST} levels")
    try:
        return json.loads(raw.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):  # a ValueError too: bytes that are not UTF-8, numbers of 5,000 digits
        raise RpcError(PARSE_ERROR, "this is no JSON in UTF-8") from None


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _is_deep(raw: bytes) -> bool:
    """Whether a parser that gets so far would find more nested objects and arrays than there may be."""
    if raw.count(b"{") + raw.count(b"[") <= DEPTH_AT_MOST:
        return False
    # Without escaped quotes every second part is a string.
    outside = b"".join(raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    depth = 0
    for bracket in outside.translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"{[" else -1
        if depth > DEPTH_AT_MOST:
            return True
    return False


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return is_whole(value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and not isinstance(value, bool))
