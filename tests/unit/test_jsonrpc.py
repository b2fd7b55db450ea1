"""Requests that come from anybody, and answers that anybody can read."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from freeswitch_zmq import jsonrpc
from freeswitch_zmq.jsonrpc import (
    INVALID_REQUEST,
    NOT_HELD,
    PARSE_ERROR,
    Call,
    Id,
    RpcError,
    failure,
    parse_call,
    success,
)
from freeswitch_zmq.module.worker import STACK_BYTES


def request(**members: Any) -> bytes:
    """A whole request but for these members; None takes one out."""
    whole = {"jsonrpc": "2.0", "id": 1, "method": "ping", **members}
    return json.dumps({name: value for name, value in whole.items() if value is not None}).encode()


def with_id(text: str) -> bytes:
    return b'{"jsonrpc":"2.0","id":%s,"method":"ping"}' % text.encode()


def refused(raw: bytes) -> RpcError:
    with pytest.raises(RpcError) as caught:
        parse_call(raw)
    return caught.value


def test_a_request() -> None:
    assert parse_call(request(method="api", params={"command": "ü"}, id="a")) == Call(
        "api", {"command": "ü"}, "a", True
    )


def test_params_may_be_missing_or_an_array() -> None:
    assert parse_call(request()).params == {}
    assert parse_call(request(params=[1])).params == [1]


def test_without_an_id_no_answer_is_wanted_with_null_one_is() -> None:
    assert parse_call(request(id=None)) == Call("ping", {}, None, False)
    assert parse_call(with_id("null")) == Call("ping", {}, None, True)


def test_members_that_mean_nothing_are_passed_over() -> None:
    assert parse_call(request(trace="x", result=1)) == Call("ping", {}, 1, True)


def test_of_what_is_there_twice_the_last_counts() -> None:
    raw = b'{"jsonrpc":"1.0","jsonrpc":"2.0","id":1,"id":2,"method":"api","method":"ping","params":[1],"params":{}}'
    assert parse_call(raw) == Call("ping", {}, 2, True)


def test_blanks_mean_nothing() -> None:
    assert parse_call(b" \r\n\t" + request() + b"\n") == parse_call(request())


TEXT = request().decode()

NO_JSON = {
    "nothing": b"",
    "blanks": b" \n",
    "a word": b"ping",
    "half an object": b'{"jsonrpc":"2.0","id":1,"method":"pi',
    "a second object": request() + request(),
    "something behind it": request() + b"\0",
    "single quotes": request().replace(b'"', b"'"),
    "a comma too many": request()[:-1] + b",}",
    "a comment": b"/* */" + request(),
    "a line break in a string": request(method="a-b").replace(b"-", b"\n"),
    "a NUL in a string": request(method="a-b").replace(b"-", b"\0"),
    "an unknown escape": request(method="a-b").replace(b"-", b"\\x"),
    "a byte that is no UTF-8": request(method="a-b").replace(b"-", b"\xff"),
    "half a character in bytes": request(method="a-b").replace(b"-", b"\xed\xa0\x80"),
    "a slash in two bytes": request(method="a-b").replace(b"-", b"\xc0\xaf"),
    "Latin-1": request(method="a-b").replace(b"-", b"\xfc"),
    "a byte order mark": b"\xef\xbb\xbf" + request(),
    "UTF-16": TEXT.encode("utf-16"),
    "UTF-16 without a mark": TEXT.encode("utf-16-le"),
    "UTF-16 the other way": TEXT.encode("utf-16-be"),
    "UTF-32": TEXT.encode("utf-32"),
    "an id that is no number": with_id("NaN"),
    "an infinite id": with_id("Infinity"),
    "a negative infinite id": with_id("-Infinity"),
    "an infinite param": request(params={"timeout": math.inf}),
    "a number with a zero before it": with_id("01"),
    "a hexadecimal number": with_id("0x1"),
    "a number of 5,000 digits": with_id("9" * 5000),
    "a param of 5,000 digits": request(params={"a": "-"}).replace(b'"-"', b"9" * 5000),
}


@pytest.mark.parametrize("raw", NO_JSON.values(), ids=NO_JSON.keys())
def test_what_is_no_json_in_utf8(raw: bytes) -> None:
    error = refused(raw)
    assert (error.code, error.message, error.data, error.id) == (
        PARSE_ERROR,
        "this is no JSON in UTF-8",
        None,
        None,
    )


BATCH = "batches are not taken; send each request in a message of its own"
NO_OBJECT = "a request is a JSON object"
VERSION = 'a request has "jsonrpc": "2.0"'
METHOD = '"method" is missing, or no string'
PARAMS = '"params" is an object'
ID = '"id" is a string, a number or null'

NO_REQUEST: dict[str, tuple[bytes, str, Id]] = {
    "a batch": (b"[" + request() + b"]", BATCH, None),
    "an empty batch": (b"[]", BATCH, None),
    "null": (b"null", NO_OBJECT, None),
    "true": (b"true", NO_OBJECT, None),
    "a number": (b"1", NO_OBJECT, None),
    "a string": (b'"ping"', NO_OBJECT, None),
    "an empty object": (b"{}", VERSION, None),
    "no version": (request(jsonrpc=None), VERSION, 1),
    "another version": (request(jsonrpc="1.0"), VERSION, 1),
    "a version that is a number": (request(jsonrpc=2.0), VERSION, 1),
    "no method": (request(method=None, id="x"), METHOD, "x"),
    "a method that is null": (request(method="-").replace(b'"-"', b"null"), METHOD, 1),
    "a method that is a number": (request(method=1), METHOD, 1),
    "a method in an array": (request(method=["ping"]), METHOD, 1),
    "params that are null": (request(params="-").replace(b'"-"', b"null"), PARAMS, 1),
    "params that are a string": (request(params="version", id=1.5), PARAMS, 1.5),
    "params that are a number": (request(params=5), PARAMS, 1),
    "an answer": (b'{"jsonrpc":"2.0","id":7,"result":{}}', METHOD, 7),
    "an id that is true": (with_id("true"), ID, None),
    "an id that is false": (with_id("false"), ID, None),
    "an id in an array": (with_id("[1]"), ID, None),
    "an id in an object": (with_id('{"a":1}'), ID, None),
    "an id that is too large for a number": (with_id("1e999"), ID, None),
    "an id that is too small for a number": (with_id("-1e999"), ID, None),
    "an id with half a character": (with_id(r'"a\ud83d"'), ID, None),
    "an id with the other half": (with_id(r'"\ude00"'), ID, None),
    "an id with both halves in the wrong order": (with_id(r'"\ude00\ud83d"'), ID, None),
    # Of several mistakes the one by which the sender can be told apart.
    "everything wrong": (b'{"jsonrpc":1,"id":[],"method":2,"params":3}', ID, None),
    "all but the id": (b'{"jsonrpc":1,"id":"x","method":2,"params":3}', VERSION, "x"),
}


@pytest.mark.parametrize(("raw", "message", "id"), NO_REQUEST.values(), ids=NO_REQUEST.keys())
def test_json_that_is_no_request(raw: bytes, message: str, id: Id) -> None:
    error = refused(raw)
    assert (error.code, error.message, error.id) == (INVALID_REQUEST, message, id)


def same(one: Id, other: Id) -> bool:
    return one == other and type(one) is type(other)


IDS: dict[str, tuple[str, Id]] = {
    "null": ("null", None),
    "an empty string": ('""', ""),
    "a string": ('"f6cf7fb4-2b1f"', "f6cf7fb4-2b1f"),
    "a string that looks like a number": ('"1"', "1"),
    "quotes and backslashes": (r'"\"\\\/"', '"\\/'),
    "what has to be escaped": (r'"\u0000\u001f\n\u007f"', "\0\x1f\n\x7f"),
    "other characters": ('"ü\u2028\U0001f600"', "ü\u2028\U0001f600"),
    "a character in two escapes": (r'"\ud83d\ude00"', "\U0001f600"),
    "a long string": (f'"{"x" * 60_000}"', "x" * 60_000),
    "zero": ("0", 0),
    "a negative number": ("-1", -1),
    "a large number": (str(2**64), 2**64),
    "a number of 4,000 digits": ("9" * 4000, 10**4000 - 1),
    "a fraction": ("1.5", 1.5),
    "a fraction that is none": ("1.0", 1.0),
    "a large fraction": ("1.7976931348623157e308", sys.float_info.max),
    "a tiny one": ("5e-324", 5e-324),
}


@pytest.mark.parametrize(("text", "id"), IDS.values(), ids=IDS.keys())
def test_an_id_is_echoed_as_it_came(text: str, id: Id) -> None:
    call = parse_call(with_id(text))
    assert same(call.id, id)
    assert call.wants_answer
    for answer in (success(call.id, {}), failure(RpcError(-32001, "no"), call.id)):
        assert same(json.loads(answer.decode())["id"], id)
    # Also where the rest of the request is wrong.
    error = refused(with_id(text).replace(b"2.0", b"3.0", 1))
    assert same(error.id, id)


def test_an_answer_with_a_result() -> None:
    assert success(1, {"output": "ü\n\0"}) == b'{"jsonrpc":"2.0","id":1,"result":{"output":"\xc3\xbc\\n\\u0000"}}'
    assert success("a", b'{"events":[]}') == b'{"jsonrpc":"2.0","id":"a","result":{"events":[]}}'


def test_an_answer_with_an_error() -> None:
    assert failure(RpcError(-32001, "ü"), None) == (
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"\xc3\xbc"}}'
    )
    assert failure(RpcError(NOT_HELD, "gone", {"oldest": 5}), 2) == (
        b'{"jsonrpc":"2.0","id":2,"error":{"code":-32006,"message":"gone","data":{"oldest":5}}}'
    )


# Objects in objects. A parser that goes into each needs a stack as deep, and the switch has one end for all.


def nested(depth: int, inside: str = "1") -> bytes:
    """A request whose params go so deep, itself and its params included."""
    params = '{"a":' * (depth - 1) + inside + "}" * (depth - 1)
    return f'{{"jsonrpc":"2.0","id":"deep","method":"ping","params":{params}}}'.encode()


DEEP = "this is nested deeper than 64 levels"


@pytest.mark.parametrize("depth", [2, 10, 64])
def test_nesting_is_taken(depth: int) -> None:
    assert parse_call(nested(depth)).id == "deep"
    assert parse_call(nested(depth, '"' + "[{" * 1000 + '"')).id == "deep"


@pytest.mark.parametrize(
    "raw",
    [
        nested(65),
        nested(10_000),
        b"[" * 65,
        b"[" * 100_000,
        b'{"a":' * 13_000,
        b'{"a":[' * 1000 + b"]}" * 1000,
        b'["\\\\"' + b',["\\""' * 100,
        b'["' + b"[" * 5 + b'"' + b',["]"' * 100,
    ],
    ids=["one too many", "very deep", "without an end", "longer", "objects", "mixed", "escaped quotes", "in strings"],
)
def test_nesting_without_end_is_not(raw: bytes) -> None:
    error = refused(raw)
    assert (error.code, error.message, error.id) == (PARSE_ERROR, DEEP, None)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1000,
        "]" * 1000 + "[" * 1000,
        '\\"' + "[" * 1000,
        "\\\\\\" + '"' + "{" * 1000,
        "\\\\" * 500 + "[" * 100,
    ],
    ids=["brackets", "both", "behind a quote", "behind a backslash and a quote", "behind backslashes"],
)
def test_brackets_in_a_string_are_no_nesting(text: str) -> None:
    [value] = json.loads(f'["{text}"]')
    assert parse_call(nested(2, f'"{text}"')).params == {"a": value}


def test_what_stands_side_by_side_is_no_nesting() -> None:
    assert parse_call(request(params=[[], {}] * 1000)).params == [[], {}] * 1000


_IN_A_SWITCH = """
import sys, threading
from freeswitch_zmq.jsonrpc import RpcError, parse_call

def run():
    for line in sys.stdin.buffer:
        try:
            print(parse_call(line).id)
        except RpcError as error:
            print(error.code)

sys.setrecursionlimit(240)
threading.stack_size(int(sys.argv[1]))
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def test_nothing_harms_a_process_such_as_mod_python3_makes() -> None:
    lines = [nested(64), nested(65), nested(230), nested(300), b"[" * 65_000, b'{"a":' * 13_000, with_id("9" * 5000)]
    process = subprocess.run(
        [sys.executable, "-c", _IN_A_SWITCH, str(STACK_BYTES)],
        input=b"\n".join(lines),
        capture_output=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, b"")
    assert process.stdout.split() == [b"deep", *[b"-32700"] * 6]


def depth_of(value: object) -> int:
    if not isinstance(value, (dict, list)):
        return 0
    return 1 + max(map(depth_of, value.values() if isinstance(value, dict) else value), default=0)


# Whatever comes.

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_members: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | _values,
        "id": st.text(st.characters()) | st.integers() | st.floats() | _values,
        "method": st.text() | _values,
        "params": st.dictionaries(st.text(max_size=5), _values, max_size=3) | _values,
    },
)


@hypothesis.settings(max_examples=200)
@hypothesis.given(_values, st.booleans())
def test_only_what_is_nested_counts_as_that(value: Any, ascii_only: bool) -> None:
    raw = json.dumps({"jsonrpc": [], "more": value}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonrpc, "DEPTH_AT_MOST", 2)
        assert ("nested deeper" in refused(raw).message) == (depth_of(value) > 1)


@st.composite
def _messages(draw: st.DrawFn) -> bytes:
    """Requests, other JSON, and either with some bytes changed."""
    raw = json.dumps(draw(_members | _values), ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.booleans()):
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.binary(max_size=3)) + raw[at + draw(st.integers(0, 3)) :]
    return raw


@hypothesis.settings(max_examples=400)
@hypothesis.given(st.binary() | _messages())
def test_whatever_comes_is_a_call_or_an_error_that_can_be_told(raw: bytes) -> None:
    code = 0
    try:
        call = parse_call(raw)
    except RpcError as error:
        code, id, answer = error.code, error.id, failure(error, error.id)
    else:
        assert isinstance(call.params, (dict, list))
        assert call.wants_answer or call.id is None
        id, answer = call.id, success(call.id, {})
    assert code in (0, PARSE_ERROR, INVALID_REQUEST)
    found = json.loads(answer.decode(), parse_constant=pytest.fail)
    assert found["jsonrpc"] == "2.0"
    assert same(found["id"], id)
    if id is not None:
        # It is the sender's own.
        assert same(json.loads(raw)["id"], id)
