"""Actions and replies: what can be written down, and that a switch would take it."""

from __future__ import annotations

from typing import Any, Callable

import hypothesis
import pytest
from hypothesis import strategies as st

from freeswitch_zmq.client.service import (
    Action,
    Reply,
    action,
    answer,
    hangup,
    log,
    play_and_get_digits,
    playback,
    respond,
    say,
    sleep,
    transfer,
)
from freeswitch_zmq.dialplan_answer import Rules

# What the types say can't be.
NOTHING: Any = None
HALF: Any = 1.5
FIVE: Any = 5

DIGITS = (1, 4, 3, 5000, "#", "menu.wav", "silence_stream://250", "digits")


@pytest.mark.parametrize(
    ("made", "application", "argument"),
    [
        (answer(), "answer", ""),
        (hangup(), "hangup", "NORMAL_CLEARING"),
        (hangup("USER_BUSY"), "hangup", "USER_BUSY"),
        (playback("my file.wav"), "playback", "my file.wav"),
        (playback("tone_stream://%(250,0,800)"), "playback", "tone_stream://%(250,0,800)"),
        (playback("${x}", expressions=True), "playback", "${x}"),
        (sleep(500), "sleep", "500"),
        (transfer("1000"), "transfer", "1000 XML"),
        (transfer("1000", "default"), "transfer", "1000 XML default"),
        (log("INFO", "at ease"), "log", "INFO at ease"),
        (respond(486, "Busy Here"), "respond", "486 Busy Here"),
        (respond(404), "respond", "404"),
        (say("42"), "say", "en number pronounced 42"),
        (say("42", "items", "counted", "de:de", "feminine"), "say", "de:de items counted feminine 42"),
        (action("echo"), "echo", ""),
        (action("gentones", "%(1,1,1)"), "gentones", "%(1,1,1)"),
        (
            play_and_get_digits(*DIGITS),
            "play_and_get_digits",
            r"1 4 3 5000 # menu.wav silence_stream://250 digits \d+",
        ),
        (
            play_and_get_digits(*DIGITS, regex="^(?:1|2)$", digit_timeout_ms=2000),
            "play_and_get_digits",
            "1 4 3 5000 # menu.wav silence_stream://250 digits ^(?:1|2)$ 2000",
        ),
    ],
)
def test_actions(made: Action, application: str, argument: str) -> None:
    assert made == Action(application, argument)
    rules = Rules([application], ["digits"], True, lambda name: True)
    [read] = rules.read(Reply([made]).as_result()).actions
    assert read == made


def digits(**changed: object) -> object:
    names = ("min_digits", "max_digits", "tries", "timeout_ms", "terminators", "prompt", "invalid", "variable")
    return play_and_get_digits(**{**dict(zip(names, DIGITS)), **changed})  # type: ignore[arg-type]  # what is wrong


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: playback("a\nb"), "what is played can't have a NUL, a line break"),
        (lambda: playback("a\rb"), "line break"),
        (lambda: playback("a\0b"), "NUL"),
        (lambda: playback("\ud800"), "half a character"),
        (lambda: playback("${system(ls)}"), r"has \$\{…\} in it.*expressions=True"),
        (lambda: playback("$${x}"), "in it"),
        (lambda: playback(r"$\{x}"), "in it"),
        (lambda: playback("SHELL_stream://ls", expressions=True), "runs a program"),
        (lambda: playback(""), "can't be empty"),
        (lambda: playback(NOTHING), "is a string, not NoneType"),
        (lambda: hangup("busy"), "written like NORMAL_CLEARING"),
        (lambda: hangup("USER_BUSY x"), "written like NORMAL_CLEARING"),
        (lambda: sleep(-1), "a whole number from 0 to 86400000, not -1"),
        (lambda: sleep(HALF), "a whole number"),
        (lambda: sleep(True), "a whole number"),
        (lambda: transfer(""), "an extension is one word"),
        (lambda: transfer("10 00"), "an extension is one word"),
        (lambda: transfer("-bleg"), "an extension is one word"),
        (lambda: transfer("^^,1"), "an extension is one word"),
        (lambda: transfer("1'0"), "an extension is one word"),
        (lambda: transfer("1", "a b"), "a context is one word"),
        (lambda: transfer("1", ""), "a context is one word"),
        (lambda: transfer("x:y", None, "inline"), 'to the dialplan "XML", not to "inline"'),
        (lambda: log("LOUD", "x"), "is one of console, alert"),
        (lambda: log("INFO", "a\nb"), "line break"),
        (lambda: respond(100), "101 to 699"),
        (lambda: respond(486, "a\nb"), "line break"),
        (lambda: say("4 2"), "the text of say is one word"),
        (lambda: say("42", "numbers"), "the kind of say is one of number"),
        (lambda: say("42", method="loud"), "the method of say is one of"),
        (lambda: say("42", module="e n"), "the module of say is one word"),
        (lambda: say("42", gender="x"), "the gender of say is one of"),
        (lambda: action("no name"), 'not "no name"'),
        (lambda: action("x" * 129), "1 to 128"),
        (lambda: action("set", "a=${b}"), "in it"),
        (lambda: action("set", "%[a=b]c"), r'the argument of "set" begins with %\['),
        (
            lambda: playback("{a=b c}d.wav"),
            'the argument of "playback" has a { in it that the same word does not close',
        ),
        (lambda: Reply([], {"a": "{b"}), 'the value of "a" begins with a { that is not closed'),
        (lambda: digits(min_digits=-1), "min_digits"),
        (lambda: digits(max_digits=0), "max_digits .* from 1 to 127"),
        (lambda: digits(max_digits=128), "max_digits"),
        (lambda: digits(min_digits=5), "max_digits .* from 5 to 127"),
        (lambda: digits(tries=0), "tries"),
        (lambda: digits(timeout_ms=0), "timeout_ms"),
        (lambda: digits(terminators=""), "terminators .* one word"),
        (lambda: digits(prompt="my menu.wav"), "prompt .* one word"),
        (lambda: digits(prompt="'menu.wav'"), "prompt .* one word"),
        (lambda: digits(invalid="^^:a"), "invalid .* one word"),
        (lambda: digits(variable="a b"), "variable"),
        (lambda: digits(regex=r"\s"), "FreeSWITCH itself would replace"),
        (lambda: digits(regex="a b"), "one word"),
        (lambda: digits(regex="[']"), "would replace"),
        (lambda: digits(digit_timeout_ms=0), "digit_timeout_ms"),
        (lambda: Reply(["answer"] * 1001), "1000 actions at most"),
        (lambda: Reply([], {"a b": "x"}), "the name of a variable"),
        (lambda: Reply([], {"a": FIVE}), 'the value of "a" is a string, not int'),
        (lambda: Reply([], {"a": "${b}"}), "in it"),
        (lambda: Reply([FIVE]), "an action is such as"),
        (lambda: Reply("answer"), 'put an action into a list: \\["answer"\\]'),
        (lambda: Reply(("playback", "a.wav")), "put an action into a list"),
        (lambda: Reply(NOTHING), "given in a list, not as NoneType"),
        (lambda: Reply({"answer": ""}), "given in a list, not as dict"),
        (lambda: Reply({"answer"}), "given in a list, not as set"),
    ],
)
def test_mistakes_are_told_where_they_are_made(make: Callable[[], object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


@hypothesis.given(st.text(st.sampled_from("ab ${}\\'\"^-\n\0\r\ud800%\u00e4"), max_size=12))
def test_what_passes_here_passes_at_the_switch(text: str) -> None:
    rules = Rules(["*"], ["*"], False, lambda name: True)
    makers: tuple[Callable[[], Action], ...] = (
        lambda: playback(text),
        lambda: transfer(text),
        lambda: transfer("1", text),
        lambda: say(text),
        lambda: log("INFO", text),
        lambda: play_and_get_digits(1, 1, 1, 1, text or "#", "a", "b", "c"),
        lambda: play_and_get_digits(1, 1, 1, 1, "#", text, "b", "c"),
        lambda: play_and_get_digits(1, 1, 1, 1, "#", "a", "b", "c", text),
    )
    for make in makers:
        try:
            made = make()
        except ValueError:
            continue
        assert rules.read(Reply([made], {"a": "b"}).as_result()).actions == (made,)
    try:
        reply = Reply([], {"a": text})
    except ValueError:
        return
    assert rules.read(reply.as_result()).variables == {"a": text}


def test_a_reply_can_be_written_in_several_ways() -> None:
    reply = Reply(["answer", ("playback", "a.wav"), ["sleep", "5"], hangup()], {"a": "b"}, again=True)
    assert reply.actions == (answer(), playback("a.wav"), sleep(5), hangup())
    assert reply == Reply(list(reply.actions), {"a": "b"}, True)
    assert Reply(answer()) == Reply([answer()])
    assert Reply(iter([answer(), hangup()])).actions == (answer(), hangup())
    assert Reply(variables={"a": "${b}"}, expressions=True).variables == {"a": "${b}"}
