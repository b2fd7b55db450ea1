"""What a method may be given, and what is told about anything else."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from freeswitch_zmq.jsonrpc import INVALID_PARAMS, Call, RpcError
from freeswitch_zmq.module.api.params import Params, check_line

HALF = "\ud83d"
"""Half a character, as JSON can spell it."""


def params(given: Any, *known: str) -> Params:
    return Params(Call("api", given, 1, True), *known)


def one(value: Any) -> Params:
    """A single one, called "x"; None is JSON's null."""
    return params({"x": value}, "x")


def wrong(use: Callable[..., object], *args: Any) -> str:
    """What is told; it can be sent as it is."""
    with pytest.raises(RpcError) as caught:
        use(*args)
    assert caught.value.code == INVALID_PARAMS
    caught.value.message.encode()
    return caught.value.message


def test_they_are_given_by_name() -> None:
    told = wrong(params, ["version"], "command", "args")
    assert told == "params are given by name, as an object: command, args"
    assert "command" not in params([], "command")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("comand", 'api has no param "comand" (did you mean "command"?)'),
        ("x", 'api has no param "x"; known are: command, args'),
        ("", 'api has no param ""; known are: command, args'),
        ("Command\n", 'api has no param "Command\\n"; known are: command, args'),
        (HALF, 'api has no param "\\ud83d"; known are: command, args'),
        ("ü" * 50, r'api has no param "\xfc\xfc'),
        ("x" * 1_000_000, f'api has no param "{"x" * 40}"; known are: command, args'),
    ],
)
def test_an_unknown_one_is_told_with_those_there_are(name: str, told: str) -> None:
    assert wrong(params, {name: 1}, "command", "args").startswith(told)


def test_a_method_without_any_says_so() -> None:
    assert wrong(params, {"x": 1}) == 'api has no param "x"; it takes none'
    params({})


def test_null_is_as_good_as_nothing() -> None:
    for given in (one(None), params({}, "x")):
        assert "x" not in given
        assert (given.text("x", "d"), given.line("x", "d"), given.whole("x", 7)) == ("d", "d", 7)
        assert (given.seconds("x", 2.5, 10), given.names("x"), given.texts("x")) == (2.5, None, {})
        for read in (given.text, given.line, given.raw_text, given.whole):
            assert wrong(read, "x") == '"x" is missing'
    assert "x" in one("")


NO_STRINGS = [1, 1.5, True, [], ["a"], {}]


@pytest.mark.parametrize("value", NO_STRINGS)
def test_what_is_no_string(value: Any) -> None:
    for read in (one(value).text, one(value).line, one(value).raw_text):
        assert wrong(read, "x") == '"x" is a string'


@pytest.mark.parametrize("value", ["", " a\tb ", "ü\U0001f600\u2028\x85", "\x7f\x01"])
def test_a_string_is_taken_as_it_is(value: str) -> None:
    assert one(value).text("x") == one(value).line("x") == one(value).raw_text("x") == value


@pytest.mark.parametrize("value", ["\0", "a\0b", HALF, f"a{HALF}b", "\ude00\ud83d"])
def test_what_freeswitch_could_not_be_given(value: str) -> None:
    assert wrong(one(value).text, "x") == '"x" has a NUL or half a character in it'
    assert wrong(one(value).line, "x") == '"x" has a NUL or half a character in it'
    assert one(value).raw_text("x") == value


@pytest.mark.parametrize("value", ["\n", "a\r", "a\r\nb"])
def test_a_line_is_one_line(value: str) -> None:
    assert one(value).text("x") == value
    assert wrong(one(value).line, "x") == '"x" has a line break, a NUL or half a character in it'


@pytest.mark.parametrize("value", ["\n", "\r", "\0", HALF])
def test_the_same_for_what_is_no_param_of_its_own(value: str) -> None:
    check_line("one line", "that")
    assert wrong(check_line, f"a{value}b", "that") == "that has a line break, a NUL or half a character in it"


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1),
        ("1", 1),
        ("007", 7),
        (10**400, 10**400),
        ("1753900000000001", 1753900000000001),
        ("9" * 20, 10**20 - 1),
    ],
)
def test_a_whole_number(value: Any, number: int) -> None:
    assert one(value).whole("x") == number


@pytest.mark.parametrize(
    "value",
    [0, -1, True, False, 1.0, 1.5, "", "0", "-1", "+1", "1.0", " 1", "1\n", "x", "1_000", "٣", "²", "9" * 21, [], {}],
)
def test_what_is_no_whole_number(value: Any) -> None:
    assert wrong(one(value).whole, "x") == '"x" is a whole number from 1'


@pytest.mark.parametrize("value", [1, 0.001, 1e-300, 10, 9.5])
def test_seconds(value: float) -> None:
    found = one(value).seconds("x", 5.0, 10.0)
    assert (found, type(found)) == (value, float)


@pytest.mark.parametrize("value", [0, -0.0, -1, 10.001, 11, 10**400, 1e308, True, "1", [1], {}])
def test_what_are_no_seconds(value: Any) -> None:
    told = '"x" is a number of seconds, more than 0 and at most 10'
    assert wrong(one(value).seconds, "x", 5.0, 10.0) == told


def test_an_array_of_strings() -> None:
    assert one([]).names("x") == []
    assert one(["a", ""]).names("x") == ["a", ""]


@pytest.mark.parametrize("value", ["a", 1, {}, {"a": "b"}, ["a", 1], [None], [["a"]]])
def test_what_is_no_array_of_strings(value: Any) -> None:
    assert wrong(one(value).names, "x") == '"x" is an array of strings'


def test_an_object_of_strings() -> None:
    assert one({}).texts("x") == {}
    assert one({"a": "b", "": "\n"}).texts("x") == {"a": "b", "": "\n"}


@pytest.mark.parametrize("value", ["a", 1, [], [["a", "b"]], {"a": 1}, {"a": None}, {"a": ["b"]}, {"a": "b", "c": {}}])
def test_what_is_no_object_of_strings(value: Any) -> None:
    assert wrong(one(value).texts, "x") == '"x" is an object whose values are strings'
