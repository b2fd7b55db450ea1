"""What a service answers to `dialplan.call`: read, and held against what the admin has granted. No I/O.

Stated for users in docs/protocol.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from freeswitch_zmq.globs import Glob, has_wildcard
from freeswitch_zmq.shell_equal_calls import is_listed_application, is_listed_variable
from freeswitch_zmq.spelling import is_whole, shown

__all__ = [
    "ACTIONS_AT_MOST",
    "EXPRESSION",
    "HARMLESS_APPLICATIONS",
    "NAME",
    "VARIABLES_AT_MOST",
    "Action",
    "Rules",
    "Turn",
]

NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
"""Of an application or a variable."""

EXPRESSION = re.compile(r"""\$['"\\$]*\{""")
"""What FreeSWITCH takes for the beginning of an expression, or would when it has taken quotes away."""

ACTIONS_AT_MOST = 1000
VARIABLES_AT_MOST = 1000
"""FreeSWITCH goes through all that a call has for each one more, and every event of the call has all of them."""

HARMLESS_APPLICATIONS = tuple(
    "answer pre_answer ring_ready playback loop_playback endless_playback gentones say speak phrase "
    "play_and_get_digits read ivr sleep wait_for_silence wait_for_answer flush_dtmf send_dtmf echo "
    "set_audio_level log info transfer respond hangup".split()
)
"""What a service may run unless the admin says otherwise: play, collect digits, wait, end or transfer the call."""


class Action(NamedTuple):
    """An application to run on the call, and its argument as the dialplan has it."""

    application: str
    argument: str


class Turn(NamedTuple):
    """What a service wants done: variables to set, then actions to run in order, then whether to ask again."""

    actions: tuple[Action, ...]
    variables: dict[str, str]
    again: bool


class Rules:
    """What a service may have done.

    Args:
        allow_applications: names, with `*` and `?`; what shell_equal_calls.py lists is only meant by its whole name.
        allow_variables: the same for the variables that it may set.
        allow_expressions: whether `${` may stand in arguments and values.
        known: whether FreeSWITCH has an application of that name (in small letters); it would hang up on any other.
    """

    def __init__(
        self,
        allow_applications: Iterable[str],
        allow_variables: Iterable[str],
        allow_expressions: bool,
        known: Callable[[str], bool],
    ) -> None:
        self._applications = _Names(allow_applications, is_listed_application)
        self._variables = _Names(allow_variables, is_listed_variable)
        self._allow_expressions = allow_expressions
        self._known = known

    def read(self, result: Any, dialplan: str = "XML") -> Turn:
        """Reads an answer's `result`.

        Args:
            result: as JSON gave it.
            dialplan: the call's, where `transfer` goes when it names none.

        Raises:
            ValueError: it is malformed, or something in it is not granted; the text says what and what to do.
        """
        if not isinstance(result, dict):
            raise ValueError("the result is no object")
        unknown = sorted(set(result) - {"actions", "variables", "continue"})
        if unknown:
            raise ValueError(f'"{shown(unknown[0])}" is no part of a result; known are actions, variables, continue')
        again = result.get("continue", False)
        if not isinstance(again, bool):
            raise ValueError('"continue" is neither true nor false')
        variables = result.get("variables", {})
        if not isinstance(variables, dict) or len(variables) > VARIABLES_AT_MOST:
            raise ValueError(f'"variables" is no object of {VARIABLES_AT_MOST} at most')
        for name, value in variables.items():
            self._check_variable(name, value)
        actions = result.get("actions", [])
        if not isinstance(actions, list) or len(actions) > ACTIONS_AT_MOST:
            raise ValueError(f'"actions" is no list of {ACTIONS_AT_MOST} at most')
        return Turn(tuple(self._action(each, dialplan) for each in actions), variables, again)

    def _check_variable(self, name: str, value: object) -> None:
        if not NAME.fullmatch(name):
            raise ValueError(f'"{shown(name)}" is no name of a variable')
        if not self._variables.have(name):
            raise ValueError(f'the variable "{name}" is not allowed; allow-variables would have to name it')
        if _is_never_closed(self._check_text(value, f'the value of "{name}"')):
            raise ValueError(f'the value of "{name}" begins with a {{ that is not closed; as a file it stops the call')

    def _check_text(self, text: object, what: str) -> str:
        if not isinstance(text, str):
            raise ValueError(f"{what} is no string")
        if not is_whole(text) or any(char in text for char in "\0\r\n"):
            raise ValueError(f"{what} has a NUL, a line break or half a character in it")
        if not self._allow_expressions and EXPRESSION.search(text):
            raise ValueError(f"{what} has ${{…}} in it, and allow-expressions is false")
        if "shell_stream" in text.lower():
            raise ValueError(f"{what} names shell_stream, which runs a program")
        return text

    def check_argument(self, argument: object, name: str) -> str:
        """The argument of an application, when that may have it.

        Raises:
            ValueError: it may not.
        """
        what = f'the argument of "{name}"'
        text = self._check_text(argument, what)
        if _SCOPE.match(text.lstrip()):
            raise ValueError(f"{what} begins with %[, by which it would set any variable")
        free = self._allow_expressions or name.lower() in _TAKES_BRACES
        if not free and "{" in _CLOSED.sub("", text):
            raise ValueError(f"{what} has a {{ in it that the same word does not close; as a file it stops the call")
        return text

    def _action(self, given: object, dialplan: str) -> Action:
        if isinstance(given, str):
            given = [given]
        if not isinstance(given, list) or not 1 <= len(given) <= 2:
            raise ValueError('an action is ["APPLICATION"] or ["APPLICATION", "ARGUMENT"]')
        name = given[0]
        argument = given[1] if len(given) == 2 else ""
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ValueError(f'"{shown(str(name))}" is no name of an application')
        if not self._applications.have(name):
            raise ValueError(f'the application "{name}" is not allowed; allow-applications would have to name it')
        if not self._known(name.lower()):
            raise ValueError(f'FreeSWITCH has no application "{name}": load its module, or mend the service')
        text = self.check_argument(argument, name)
        self._check_special(name.lower(), text, dialplan)
        return Action(name, text)

    def _check_special(self, name: str, argument: str, dialplan: str) -> None:
        """Applications that would do by an argument what is not granted by a name."""
        if name == "transfer":
            _check_transfer(argument, dialplan)
        elif name in _SETS_VARIABLE:
            if argument.startswith("^^") or _JOINS.search(argument):
                raise ValueError(
                    f'the argument of "{name}" has quotes, ^^ or a blank other than a space; leave them out'
                )
            words = [word for word in argument.split(" ") if word]
            if any("\\" in word for word in words[:_PLAIN_WORDS]):
                raise ValueError(f'the argument of "{name}" has a backslash before its expression; leave it out')
            if len(words) > _WORDS_AT_MOST:
                raise ValueError(f'the argument of "{name}" has a transfer in it; ask again and answer with one')
            place = _SETS_VARIABLE[name]
            if len(words) > place:
                self._check_variable(words[place], "")


class _Names:
    """What a list of names and patterns grants."""

    def __init__(self, patterns: Iterable[str], is_listed: Callable[[str], bool]) -> None:
        given = [pattern.lower() for pattern in patterns]
        self._whole: Collection[str] = frozenset(each for each in given if not has_wildcard(each))
        self._globs = [Glob(each) for each in given if has_wildcard(each)]
        self._is_listed = is_listed

    def have(self, name: str) -> bool:
        name = name.lower()
        if name in self._whole:
            return True
        return any(glob.matches(name) for glob in self._globs) and not self._is_listed(name)


_SETS_VARIABLE = {"play_and_get_digits": 7, "read": 3}
"""Where the name of the variable stands that they set."""

_PLAIN_WORDS, _WORDS_AT_MOST = 8, 10

_JOINS = re.compile(r"'|[^\S ]")
"""What makes FreeSWITCH see other words than we do."""

_SCOPE = re.compile(r"%.?\[")
"""Where variables begin that FreeSWITCH sets for the time of one application."""

_TAKES_BRACES = frozenset(
    "att_xfer bridge conference db dial event export hash info limit log multiset page push respond send_display "
    "send_info set".split()
)
"""What opens no file by its argument: a dial string, flags, a text or a value."""

_CLOSED = re.compile(r"\{[^{}\s!|]*\}")
"""Parameters of a file as FreeSWITCH finds their end, whatever it takes for the end of a file's name."""

_TRANSFER = re.compile(r"(?P<extension>[^\s'\"\\^-][^\s'\"\\]*)(?: +(?P<dialplan>\S+)(?: +[^\s'\"\\]+)?)?")


def _check_transfer(argument: str, dialplan: str) -> None:
    """In the dialplan `inline` an extension is a list of applications, and others have it run scripts, or dial."""
    parsed = _TRANSFER.fullmatch(argument.strip(" "))
    if parsed is None:
        raise ValueError('the argument of "transfer" is EXTENSION [XML [CONTEXT]], without quotes and options')
    if dialplan.lower() in ("", "inline"):
        dialplan = "XML"  # as FreeSWITCH has it for a call that came that way
    if (parsed["dialplan"] or dialplan).lower() != "xml":
        raise ValueError('"transfer" goes to the dialplan XML and no other: transfer EXTENSION XML CONTEXT')


def _is_never_closed(text: str) -> bool:
    """Whether it begins with a brace whose end FreeSWITCH would look for in vain, and for ever."""
    rest = text.lstrip()
    while rest.startswith("{"):
        depth = end = 0
        for end, char in enumerate(rest):  # noqa: B007  # it goes on behind the one that closes
            depth += (char == "{") - (char == "}")
            if not depth:
                break
        if depth:
            return True
        rest = rest[end + 1 :].lstrip(" ")
    return False
