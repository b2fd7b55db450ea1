from __future__ import annotations

import re
import time

import hypothesis
import pytest
from hypothesis import strategies as st

from freeswitch_zmq.globs import Glob, has_wildcard

PATTERNS = st.text("ab ?*[.\n", max_size=12)
TEXTS = st.text("ab [.\né", max_size=20)


def slowly(pattern: str) -> re.Pattern[str]:
    """What a pattern means, without regard to time."""
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern), re.DOTALL)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("", [""], ["a", " "]),
        ("a", ["a"], ["", "aa", "A", "ab"]),
        ("*", ["", "a", "a\nb"], []),
        ("**", ["", "a"], []),
        ("?", ["a", "\n", "é", "*"], ["", "ab"]),
        ("a*", ["a", "ab", "a*"], ["", "ba"]),
        ("*a", ["a", "ba", "aa"], ["", "ab"]),
        ("a*a", ["aa", "aba"], ["a"]),
        ("ab*ba", ["abba", "abba ba"], ["aba"]),
        ("a*b*c", ["abc", "axbxc", "abcabc"], ["acb", "ab"]),
        ("*a?c*", ["abc", "aabc", "xabcx"], ["ac", "abb"]),
        ("?*?", ["ab", "abc"], ["a"]),
        ("[a].(b)", ["[a].(b)"], ["a.(b)", "[a]x(b)"]),
    ],
)
def test_what_it_matches(pattern: str, yes: list[str], no: list[str]) -> None:
    for text in yes:
        assert Glob(pattern).matches(text), text
    for text in no:
        assert not Glob(pattern).matches(text), text


@hypothesis.given(PATTERNS, TEXTS)
def test_it_matches_what_a_regular_expression_would(pattern: str, text: str) -> None:
    assert Glob(pattern).matches(text) is (slowly(pattern).fullmatch(text) is not None)


@hypothesis.given(st.data())
def test_a_text_that_matches_is_one_that_begins_may_go_on_to(data: st.DataObject) -> None:
    text = data.draw(st.text("ab ", min_size=1))
    # Of each text the pattern is made of some characters and of wildcards, so that it matches.
    pattern = "".join(data.draw(st.sampled_from([char, char, "?", "*"])) for char in text)
    assert Glob(pattern).matches(text)
    cut = data.draw(st.integers(0, len(text) - 1))
    assert Glob(pattern).may_go_on(text[:cut]) or text[cut] == " "


@pytest.mark.parametrize(
    ("pattern", "text", "may"),
    [
        ("show *", "show ", True),
        ("show calls", "show ", True),
        ("show", "show ", False),
        ("show", "show", False),
        ("sho?", "show ", False),
        ("show?x", "show ", True),
        ("s*", "show ", True),
        ("*x", "show ", True),
        ("x*", "show ", False),
        ("show  x", "show ", False),
        ("shop*", "show ", False),
    ],
)
def test_what_may_go_on(pattern: str, text: str, may: bool) -> None:
    assert Glob(pattern).may_go_on(text) is may


@pytest.mark.parametrize("pattern", ["*a*b*c*", "*a" * 50 + "*", "*?a?*?b", "a*" * 30 + "b", "*aaaaaaaaab*aaaaaaaaab*"])
@pytest.mark.parametrize("char", ["a", "b", "ab", "c a"])
def test_no_text_takes_long(pattern: str, char: str) -> None:
    glob, text = Glob(pattern), char * (65_536 // len(char))
    started = time.process_time()
    glob.matches(text)
    assert time.process_time() - started < 0.2


def test_what_a_wildcard_is() -> None:
    assert has_wildcard("a*")
    assert has_wildcard("?")
    assert not has_wildcard("a.[b]")
