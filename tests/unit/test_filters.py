from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from freeswitch_zmq.event_names import EVENT_NAMES
from freeswitch_zmq.module.filters import EventFilter, FieldFilter, HeaderFilter, closest
from tests.unit.events_strategy import texts


def names_taken(text: str) -> set[str]:
    """Which of FreeSWITCH's names pass, for events without a subclass."""
    taken = EventFilter(text)
    return {name for name in EVENT_NAMES if taken.matches(name, None)}


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("CHANNEL_ANSWER", {"CHANNEL_ANSWER"}),
        ("channel_answer", {"CHANNEL_ANSWER"}),
        ("SWITCH_EVENT_CHANNEL_ANSWER", {"CHANNEL_ANSWER"}),
        ("switch_event_channel_answer", {"CHANNEL_ANSWER"}),
        ("HEARTBEAT,API", {"HEARTBEAT", "API"}),
        (" HEARTBEAT , API ", {"HEARTBEAT", "API"}),
        ("HEARTBEAT,HEARTBEAT", {"HEARTBEAT"}),
        ("CHANNEL_HANGUP*", {"CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE"}),
        ("SWITCH_EVENT_PLAYBACK_*", {"PLAYBACK_START", "PLAYBACK_STOP"}),
        ("*_BRIDGE,TALK", {"CHANNEL_BRIDGE", "TALK"}),
        ("NA?", {"NAT"}),
        ("?RAP", {"TRAP"}),
        ("CUSTOM", {"CUSTOM"}),
        ("ALL", set(EVENT_NAMES)),
        ("all", set(EVENT_NAMES)),
        ("SWITCH_EVENT_ALL", set(EVENT_NAMES)),
        ("*", set(EVENT_NAMES)),
        ("HEARTBEAT,ALL", set(EVENT_NAMES)),
        ("", set()),
        ("  ", set()),
        ("sofia::register", set()),
    ],
)
def test_which_names_pass(text: str, taken: set[str]) -> None:
    assert names_taken(text) == taken


def test_a_name_means_itself_alone() -> None:
    for name in EVENT_NAMES:
        assert names_taken(name) == {name}


@pytest.mark.parametrize("text", ["ALL", "*", "**", "SWITCH_EVENT_*", "HEARTBEAT,ALL"])
def test_all_takes_what_a_newer_switch_has(text: str) -> None:
    assert EventFilter(text).matches("EVENT_OF_NEXT_YEAR", None)


@pytest.mark.parametrize(
    ("text", "subclasses"),
    [
        ("CUSTOM^sofia::register", {"sofia::register"}),
        ("CUSTOM::sofia::register", {"sofia::register"}),
        ("sofia::register", {"sofia::register"}),
        ("custom^sofia::register", {"sofia::register"}),
        ("SWITCH_EVENT_CUSTOM^sofia::register", {"sofia::register"}),
        ("SWITCH_EVENT_CUSTOM::sofia::register", {"sofia::register"}),
        ("CUSTOM^sofia::*", {"sofia::register", "sofia::expire"}),
        ("sofia::?xpire", {"sofia::expire"}),
        ("CUSTOM^plain", {"plain"}),
        ("CUSTOM^*", {"sofia::register", "sofia::expire", "plain", "a[b]::c"}),
        ("a[b]::c", {"a[b]::c"}),
        ("CUSTOM", {"sofia::register", "sofia::expire", "plain", "a[b]::c", "", None}),
        ("HEARTBEAT", set()),
        ("plain::x,sofia::expire,CUSTOM^plain", {"sofia::expire", "plain"}),
    ],
)
def test_which_subclasses_pass(text: str, subclasses: set[str | None]) -> None:
    taken = EventFilter(text)
    known = ("sofia::register", "sofia::expire", "plain", "a[b]::c", "", None)
    for _ in range(2):  # the second time from memory
        assert {subclass for subclass in known if taken.matches("CUSTOM", subclass)} == subclasses


def test_a_subclass_means_nothing_in_other_events() -> None:
    assert not EventFilter("sofia::register").matches("MESSAGE", "sofia::register")


def test_subclasses_without_end_are_not_kept_without_end() -> None:
    taken = EventFilter("x::*")
    for number in range(25_000):
        assert taken.matches("CUSTOM", f"x::{number}")
        assert not taken.matches("CUSTOM", f"y::{number}")
    assert len(taken._cache) <= 10_000


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("CHANEL_ANSWER", 'FreeSWITCH has no event "CHANEL_ANSWER" (did you mean "CHANNEL_ANSWER"?)'),
        ("HEARTBEAT,hartbeat", 'FreeSWITCH has no event "hartbeat" (did you mean "HEARTBEAT"?)'),
        (
            "SWITCH_EVENT_CHANNEL_BRIGE",
            'FreeSWITCH has no event "SWITCH_EVENT_CHANNEL_BRIGE" (did you mean "CHANNEL_BRIDGE"?)',
        ),
        ("CHANNEL_*,SOFIA_*", 'FreeSWITCH has no event "SOFIA_*"; give names of events such as CHANNEL_ANSWER, and '
         "subclasses as CUSTOM^sofia::register"),
        ("CUSTOM^", 'FreeSWITCH has no event "CUSTOM^" (did you mean "CUSTOM"?)'),
        ("CUSTOM sofia::register", '"CUSTOM sofia::register" has a space in it; put commas between the names, a '
         "subclass is CUSTOM^name"),
        ("API HEARTBEAT", '"API HEARTBEAT" has a space in it; put commas between the names, a subclass is CUSTOM^name'),
        ("HEARTBEAT,,API", '"HEARTBEAT,,API" has an empty name in it; put single commas between the names'),
        ("HEARTBEAT,", '"HEARTBEAT," has an empty name in it; put single commas between the names'),
        (",", '"," has an empty name in it; put single commas between the names'),
    ],
)  # fmt: skip
def test_a_wrong_event_filter_says_what_would_be_right(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        EventFilter(text)
    assert str(caught.value) == problem


def test_the_nearest_word() -> None:
    assert closest("queue_size", ("queue-size", "send-hwm")) == ' (did you mean "queue-size"?)'
    assert closest("xyz", ("queue-size", "send-hwm")) == ""
    assert closest("x", ()) == ""


@pytest.mark.parametrize(
    ("text", "header", "passing", "failing"),
    [
        ("Direction = inbound", "Direction", ["inbound"], ["outbound", "", "Inbound", "inbound "]),
        ("Direction=inbound", "Direction", ["inbound"], ["=inbound"]),
        ("  Direction = inbound  ", "Direction", ["inbound"], ["inbound  "]),
        ("Direction != inbound", "Direction", ["outbound", ""], ["inbound"]),
        ("Direction!=inbound", "Direction", ["outbound"], ["inbound"]),
        ("Direction =", "Direction", [""], ["inbound"]),
        ("Direction !=", "Direction", ["inbound"], [""]),
        ("Caller ~ ^\\+49", "Caller", ["+49301", "+49"], ["0049", " +49", ""]),
        ("Caller ~ 49", "Caller", ["+4930", "49"], ["4 9", ""]),
        ("Caller !~ ^\\+49", "Caller", ["0049", ""], ["+49301"]),
        ("Caller ~ ", "Caller", ["", "x"], []),
        ("Caller ~ (?i)bob$", "Caller", ["BoB", "x bob"], ["bobby"]),
        ("A = b = c", "A", ["b = c"], ["b"]),
        ("A = !~", "A", ["!~"], [""]),
        ("A ~ a.b", "A", ["a\nb"[:1] + "xb"], ["a\nb"]),
        ("variable_x = a  b", "variable_x", ["a  b"], ["a b"]),
        ("variable_ü = \U0001f600", "variable_ü", ["\U0001f600"], [""]),
    ],
)
def test_header_filters(text: str, header: str, passing: list[str], failing: list[str]) -> None:
    wanted = HeaderFilter(text)
    assert wanted.header == header
    assert all(wanted.holds(value) for value in passing)
    assert not any(wanted.holds(value) for value in failing)


@hypothesis.given(texts, texts)
def test_a_negated_header_filter_is_the_opposite(value: str, other: str) -> None:
    wanted = value.strip()
    for each in (wanted, other, ""):
        assert HeaderFilter(f"A = {wanted}").holds(each) is (each == wanted)
        assert HeaderFilter(f"A != {wanted}").holds(each) is (each != wanted)


@pytest.mark.parametrize(
    "text", ["", "Direction", "= inbound", "Two Words = x", "!= x", "~", "A ! b", "A <> b", "A == b", "A =~ b"]
)
def test_a_header_filter_of_another_form(text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        HeaderFilter(text)
    assert str(caught.value) == f'"{text}" is not of the form "Header = value" (or !=, or ~ and !~ with a regex)'


@pytest.mark.parametrize(
    ("regex", "reason"),
    [
        ("[a", "unterminated character set at position 0"),
        ("(a", "missing ), unterminated subpattern at position 0"),
        ("*", "nothing to repeat at position 0"),
        ("a{99999999999999999999}", "the repetition number is too large"),
    ],
)
def test_a_wrong_regex_says_what_is_wrong(regex: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        HeaderFilter(f"A ~ {regex}")
    assert str(caught.value) == f'"{regex}" is not a regular expression that Python takes: {reason}'


@pytest.mark.parametrize(
    ("text", "kept", "left"),
    [
        ("Unique-ID", ["Unique-ID", "unique-id"], ["Unique-IDs", "X-Unique-ID", ""]),
        ("Caller-*, variable_?ip", ["Caller-", "Caller-ANI", "variable_sip"], ["Other-ANI", "variable_ssip"]),
        ("*", ["", "x", "*", "a\nb", "ü\U0001f600\udcff"], []),
        ("a.c", ["a.c"], ["abc"]),
        ("[ab]", ["[ab]"], ["a"]),
        ("a|b", ["a|b"], ["a", "b"]),
        ("_body", ["_body"], ["Content-Length"]),
    ],
)
def test_fields(text: str, kept: list[str], left: list[str]) -> None:
    fields = FieldFilter(text)
    for _ in range(2):  # the second time from memory
        assert all(fields.keeps(name) for name in kept)
        assert not any(fields.keeps(name) for name in left)


def test_header_names_without_end_are_not_kept_without_end() -> None:
    fields = FieldFilter("x*")
    for number in range(25_000):
        assert fields.keeps(f"x{number}")
    assert len(fields._cache) <= 10_000


@pytest.mark.parametrize("text", ["", " ", ",", "a,", ",a", "a,,b"])
def test_an_empty_field_is_told(text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        FieldFilter(text)
    assert str(caught.value) == f'"{text}" has an empty name in it; put single commas between the header names'


@hypothesis.given(st.lists(texts, min_size=1, max_size=20))
def test_any_name_is_kept_by_itself(names: list[str]) -> None:
    for name in names:
        word = name.replace(",", "?").strip()
        if word and word == name.replace(",", "?"):
            assert FieldFilter(word).keeps(name)
