"""Texts that go to FreeSWITCH, held against what it would make of them. No I/O.

A mistake is told to the author of the service here, where the line that made it is; the switch holds the same against
an answer and would run nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from freeswitch_zmq.dialplan_answer import EXPRESSION, NAME, Rules
from freeswitch_zmq.spelling import is_whole, shown

__all__ = [
    "check_argument",
    "check_name",
    "check_text",
    "checked_choice",
    "checked_number",
    "checked_variables",
    "checked_word",
]


def check_name(name: object, what: str) -> str:
    """A name of an application or a variable.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f'{what} is of 1 to 128 letters, digits, "_", "." and "-", not "{shown(str(name))}"')
    return name


def check_text(text: object, what: str, expressions: bool = False) -> str:
    """An argument or a value.

    Args:
        text: any object, because what a service gives comes from anywhere.
        what: how to name it in an error.
        expressions: `${` may stand in it.

    Raises:
        ValueError: FreeSWITCH could not be given it, or would do something else with it.
    """
    if not isinstance(text, str):
        raise ValueError(f"{what} is a string, not {type(text).__name__}")
    if not is_whole(text) or any(char in text for char in "\0\r\n"):
        raise ValueError(f"{what} can't have a NUL, a line break or half a character in it")
    if not expressions and EXPRESSION.search(text):
        raise ValueError(
            f"{what} has ${{…}} in it, which FreeSWITCH would replace or run: take it out if it came from a caller; "
            "if you mean it, say expressions=True (and the switch's admin allow-expressions)"
        )
    if "shell_stream" in text.lower():
        raise ValueError(f"{what} names shell_stream, which runs a program; no switch takes that")
    return text


def check_argument(argument: str, name: str, expressions: bool) -> str:
    """A whole argument, whose parts have been checked.

    Raises:
        ValueError: the switch would refuse it, whatever its admin has granted.
    """
    # The switch's own rule, so that the two can't come apart.
    return Rules((), (), expressions, _is_known).check_argument(argument, name)


def checked_word(word: object, what: str, expressions: bool = False) -> str:
    """A text that is one word of several: FreeSWITCH splits them at spaces, and takes quotes and backslashes apart.

    Raises:
        ValueError: it would not arrive as it is.
    """
    text = check_text(word, what, expressions)
    if not text or any(char.isspace() or char in "'\"\\" for char in text) or text.startswith("^^"):
        raise ValueError(f'{what} is one word without spaces, quotes and "\\", not "{shown(text)}"')
    return text


def checked_choice(word: object, what: str, choices: Sequence[str]) -> str:
    """One of some words, in whatever case.

    Raises:
        ValueError: it is none of them.
    """
    if not isinstance(word, str) or word.lower() not in choices:
        raise ValueError(f'{what} is one of {", ".join(choices)}, not "{shown(str(word))}"')
    return word


def checked_number(number: object, what: str, lowest: int, highest: int) -> int:
    """A whole number.

    Raises:
        ValueError: it is none, or out of range.
    """
    if not isinstance(number, int) or isinstance(number, bool) or not lowest <= number <= highest:
        raise ValueError(f"{what} is a whole number from {lowest} to {highest}, not {shown(str(number))}")
    return number


def checked_variables(variables: Mapping[str, str], expressions: bool = False) -> dict[str, str]:
    """Channel variables to set.

    Raises:
        ValueError: a name or a value is not possible.
    """
    found = {
        check_name(name, "the name of a variable"): check_text(value, f'the value of "{name}"', expressions)
        for name, value in variables.items()
    }
    return Rules((), found, expressions, _is_known).read({"variables": found}).variables


def _is_known(_name: str) -> bool:
    return True
