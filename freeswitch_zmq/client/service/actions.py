"""What can be done to a call: an application of FreeSWITCH's and its argument, checked where it is written. No I/O.

Each function gives an `Action` for a `Reply`. All raise ValueError where FreeSWITCH would understand something else. No
`${…}` may stand in what they are given, because FreeSWITCH would replace or run it, and it might come from a caller;
`expressions=True` takes that back, and the switch's admin has to allow it too (`allow-expressions`).
"""

from __future__ import annotations

import re
from typing import Optional

from freeswitch_zmq.client.service.texts import (
    check_argument,
    check_name,
    check_text,
    checked_choice,
    checked_number,
    checked_word,
)
from freeswitch_zmq.dialplan_answer import Action
from freeswitch_zmq.spelling import shown

__all__ = [
    "Action",
    "action",
    "answer",
    "hangup",
    "log",
    "play_and_get_digits",
    "playback",
    "respond",
    "say",
    "sleep",
    "transfer",
]

DAY_MS = 86_400_000
DIGITS_AT_MOST = 127
"""FreeSWITCH's buffer has a byte more."""

_CAUSE = re.compile(r"[A-Z][A-Z0-9_]*")
_EXTENSION = re.compile(r"[^\s'\"\\^-][^\s'\"\\]*")
_LEVELS = ("console", "alert", "crit", "err", "warning", "notice", "info", "debug")
_SAY_KINDS = (
    *("number", "items", "persons", "messages", "currency", "time_measurement", "current_date", "current_time"),
    *("current_date_time", "telephone_number", "telephone_extension", "url", "ip_address", "email_address"),
    *("postal_address", "account_number", "name_spelled", "name_phonetic", "short_date_time"),
)
_SAY_GENDERS = ("masculine", "feminine", "neuter")
_SAY_METHODS = ("n/a", "pronounced", "iterated", "counted", "pronounced_year")
_UNESCAPED = re.compile(r"\\[nrts'\"\\]|'")
"""What would not arrive as it is in the words of an argument."""


def action(name: str, argument: str = "", expressions: bool = False) -> Action:
    """Any application, with its argument as it stands in a dialplan's `data`.

    Args:
        name: of the application; the switch's admin has to allow it (`allow-applications`).
        argument: in one line.
        expressions: `${…}` may stand in it, and braces with a space in them.

    Raises:
        ValueError: it has no such name, or FreeSWITCH can't be given the argument.
    """
    check_name(name, "the name of an application")
    return _action(name, check_text(argument, f'the argument of "{name}"', expressions), expressions)


def answer() -> Action:
    """Answers the call."""
    return Action("answer", "")


def hangup(cause: str = "NORMAL_CLEARING") -> Action:
    """Hangs up.

    Args:
        cause: FreeSWITCH's name of it, such as `USER_BUSY`. One that it does not know counts as `NORMAL_CLEARING`.

    Raises:
        ValueError: that is no name of a cause.
    """
    if not _CAUSE.fullmatch(str(cause)):
        raise ValueError(f'a cause is written like NORMAL_CLEARING or USER_BUSY, not "{shown(str(cause))}"')
    return Action("hangup", cause)


def log(level: str, text: str, expressions: bool = False) -> Action:
    """A line in the switch's log.

    Args:
        level: `console`, `alert`, `crit`, `err`, `warning`, `notice`, `info` or `debug`.
        text: the line.
        expressions: `${…}` may stand in it.

    Raises:
        ValueError: there is no such level, or the text is more than a line.
    """
    checked_choice(level, "the level of log", _LEVELS)
    return _action("log", f"{level} {check_text(text, 'the text of log', expressions)}", expressions)


def play_and_get_digits(
    min_digits: int,
    max_digits: int,
    tries: int,
    timeout_ms: int,
    terminators: str,
    prompt: str,
    invalid: str,
    variable: str,
    regex: str = r"\d+",
    digit_timeout_ms: Optional[int] = None,
    expressions: bool = False,
) -> Action:
    """Plays something, and has the caller press digits; they are in a variable afterwards.

    The service sees it in the next turn (`Reply(…, again=True)`) if the call-out's `variables` names it. Digits that
    are not as wanted don't set the variable, and after the last try the call goes on without it.

    Args:
        min_digits: fewest digits, 0 to 127.
        max_digits: most digits, from `min_digits` (at least 1) to 127.
        tries: how often it is played in all, from 1 on.
        timeout_ms: milliseconds to wait for the first digit; FreeSWITCH waits at least 1,000.
        terminators: keys that end the input, such as `#`; `none` for none.
        prompt: what is played, in one word: a file, or such as `tone_stream://%(250,0,800)`.
        invalid: what is played after a wrong input, likewise; `silence_stream://250` for next to nothing.
        variable: the name of the variable.
        regex: what the digits must match, in one word; `^(?:1|2)$` for all of them, since a part is enough.
        digit_timeout_ms: milliseconds between two digits; None: `timeout_ms`.
        expressions: `${…}` may stand in the words.

    Raises:
        ValueError: one of them is not possible.
    """
    name = 'of "play_and_get_digits"'
    lowest = checked_number(min_digits, f"min_digits {name}", 0, DIGITS_AT_MOST)
    words = [
        str(lowest),
        str(checked_number(max_digits, f"max_digits {name}", max(lowest, 1), DIGITS_AT_MOST)),
        str(checked_number(tries, f"tries {name}", 1, 1000)),
        str(checked_number(timeout_ms, f"timeout_ms {name}", 1, DAY_MS)),
        checked_word(terminators, f"terminators {name}", expressions),
        checked_word(prompt, f"prompt {name}", expressions),
        checked_word(invalid, f"invalid {name}", expressions),
        check_name(variable, f"variable {name}"),
        _checked_regex(regex, f"regex {name}", expressions),
    ]
    if digit_timeout_ms is not None:
        words.append(str(checked_number(digit_timeout_ms, f"digit_timeout_ms {name}", 1, DAY_MS)))
    return _action("play_and_get_digits", " ".join(words), expressions)


def playback(file: str, expressions: bool = False) -> Action:
    """Plays a file, or what else FreeSWITCH can play (`tone_stream://…`, `say:…`).

    Args:
        file: as the dialplan has it; spaces are part of it.
        expressions: `${…}` may stand in it.

    Raises:
        ValueError: it is empty, or can't be given to FreeSWITCH.
    """
    if not check_text(file, "what is played", expressions):
        raise ValueError("what is played is the name of a file, or such as tone_stream://…; it can't be empty")
    return _action("playback", file, expressions)


def respond(code: int, text: str = "", expressions: bool = False) -> Action:
    """A SIP answer, such as `respond(486, "Busy Here")`. From 300 on it ends a call that was not answered.

    Args:
        code: 101 to 699; FreeSWITCH has another application for 100.
        text: the phrase; empty: the usual one.
        expressions: `${…}` may stand in it.

    Raises:
        ValueError: there is no such code, or the text is more than a line.
    """
    number = checked_number(code, "a SIP code", 101, 699)
    phrase = check_text(text, "the text of respond", expressions)
    return _action("respond", f"{number} {phrase}".rstrip(" "), expressions)


def say(
    text: str,
    kind: str = "number",
    method: str = "pronounced",
    module: str = "en",
    gender: str = "",
    expressions: bool = False,
) -> Action:
    """Says a number, a date and the like in the recorded words of a language.

    Args:
        text: what, in one word.
        kind: what it is: `number`, `current_date_time`, `telephone_number`, … (FreeSWITCH's `say_type`).
        method: `pronounced` (forty-two), `iterated` (four two), `counted` (forty-second), …
        module: the language's module, or MODULE:LANGUAGE.
        gender: `feminine`, `masculine`, `neuter`; empty: the language's usual one.
        expressions: `${…}` may stand in the text.

    Raises:
        ValueError: one of them is not possible.
    """
    words = [
        checked_word(module, "the module of say"),
        checked_choice(kind, "the kind of say", _SAY_KINDS),
        checked_choice(method, "the method of say", _SAY_METHODS),
    ]
    words += [checked_choice(gender, "the gender of say", _SAY_GENDERS)] if gender else []
    words.append(checked_word(text, "the text of say", expressions))
    return _action("say", " ".join(words), expressions)


def sleep(ms: int) -> Action:
    """Waits.

    Args:
        ms: milliseconds, at most a day.

    Raises:
        ValueError: that is no such number.
    """
    return Action("sleep", str(checked_number(ms, "the time of sleep", 0, DAY_MS)))


def transfer(extension: str, context: Optional[str] = None, dialplan: str = "XML") -> Action:
    """Sends the call somewhere else in the dialplan; the conversation is over with that.

    Args:
        extension: where to, in one word.
        context: of the dialplan, in one word; None: the call's present one.
        dialplan: `XML`. A switch lets a service transfer to no other.

    Raises:
        ValueError: one of them is not possible.
    """
    check_text(extension, "an extension")
    if not _EXTENSION.fullmatch(extension):
        raise ValueError(
            'an extension is one word without quotes and "\\", and begins with neither "-" nor "^", '
            f'not "{shown(extension)}"'
        )
    if dialplan != "XML":
        raise ValueError(f'a service can transfer to the dialplan "XML", not to "{shown(str(dialplan))}"')
    words = [extension, dialplan]
    words += [] if context is None else [checked_word(context, "a context")]
    return _action("transfer", " ".join(words), False)


def _action(name: str, argument: str, expressions: bool) -> Action:
    return Action(name, check_argument(argument, name, expressions))


def _checked_regex(regex: object, what: str, expressions: bool) -> str:
    text = check_text(regex, what, expressions)
    if not text or any(char.isspace() for char in text) or _UNESCAPED.search(text):
        raise ValueError(
            f"{what} is one word, in which FreeSWITCH itself would replace ' and \\n \\r \\t \\s \\' \\\" \\\\: leave "
            f'these out of "{shown(text)}"'
        )
    return text
