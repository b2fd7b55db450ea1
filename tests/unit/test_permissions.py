from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from freeswitch_zmq.event_names import EVENT_NAMES
from freeswitch_zmq.permissions import FORMS, parse_permissions


@pytest.mark.parametrize(
    ("text", "permissions"),
    [
        ("", ()),
        (" \n ", ()),
        ("ping", ("ping",)),
        (" ping ,\n  status", ("ping", "status")),
        ("replay:default,replay:Main.events-1_a,replay:*", ("replay:default", "replay:Main.events-1_a", "replay:*")),
        ("api:status,bgapi:originate *", ("api:status", "bgapi:originate *")),
        ("api:show *", ("api:show *",)),
        ("api:show   calls  as json ", ("api:show calls  as json",)),
        ("api:uuid_dump", ("api:uuid_dump",)),
        ("bgapi:originate {a=1?b='x^y'}user/1:2 &park()", ("bgapi:originate {a=1?b='x^y'}user/1:2 &park()",)),
        ("sendevent:MESSAGE,sendevent:channel_*", ("sendevent:MESSAGE", "sendevent:CHANNEL_*")),
        ("sendevent:*,sendevent:CUSTOM,sendevent:?OTIFY", ("sendevent:*", "sendevent:CUSTOM", "sendevent:?OTIFY")),
        ("sendevent:CUSTOM^my::*,sendevent:custom^A?", ("sendevent:CUSTOM^my::*", "sendevent:CUSTOM^A?")),
        ("api:echo grüße", ("api:echo grüße",)),
        ("api:STATUS,bgapi:Sofia  Status", ("api:status", "bgapi:sofia Status")),
        ("api:*,api:sofia_*,bgapi:stat?s", ("api:*", "api:sofia_*", "bgapi:stat?s")),
        ("api:*_EXISTS a*,api:?uid_getvar", ("api:*_exists a*", "api:?uid_getvar")),
        # What is equal to a shell: by its whole name, or where a wildcard may stand for something else as well.
        ("api:uuid_kill *,bgapi:expand *", ("api:uuid_kill *", "bgapi:expand *")),
        ("api:uuid*,api:sofi?,api:syste*", ("api:uuid*", "api:sofi?", "api:syste*")),
        ("sendevent:SHUTDOWN,sendevent:SHUTDOWN*", ("sendevent:SHUTDOWN", "sendevent:SHUTDOWN*")),
    ],
)
def test_what_is_taken(text: str, permissions: tuple[str, ...]) -> None:
    assert parse_permissions(text) == permissions
    assert parse_permissions(",".join(permissions)) == permissions


NAMES = "after replay: stands the name of a publisher, such as default, or *"
WHOLE = "and only allowed by its whole name, without * and ? in it"
COMMAND = "after the colon stands a command ([A-Za-z0-9_-], * and ?), then perhaps a space and arguments"
KNOWN = (
    "known are: ping, status, replay:PUBLISHER, api:COMMAND [ARGS], bgapi:COMMAND [ARGS], sendevent:NAME, "
    "sendevent:CUSTOM^SUBCLASS (a comma in ARGS is written as ?)"
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (",", "',' has an empty word in it; put single commas between the permissions"),
        ("ping,", "'ping,' has an empty word in it; put single commas between the permissions"),
        ("ping,\n,status", "'ping,\\n,status' has an empty word in it; put single commas between the permissions"),
        ("pong", '"pong" is no permission (did you mean "ping"?)'),
        ("PING", '"PING" is no permission (did you mean "ping"?)'),
        ("ping:", '"ping:" is no permission (did you mean "ping"?)'),
        ("status:all", '"status:all" is no permission (did you mean "status"?)'),
        ("ping status", '"ping status" is no permission (did you mean "status"?)'),
        ("API:show *", '"API:show *" is no permission (did you mean "api:show *"?)'),
        ("bg_api:status", '"bg_api:status" is no permission (did you mean "bgapi:status"?)'),
        ("api", '"api" is no permission (did you mean "api:COMMAND [ARGS]"?)'),
        ("replay", '"replay" is no permission (did you mean "replay:PUBLISHER"?)'),
        ("sendevent", '"sendevent" is no permission (did you mean "sendevent:NAME"?)'),
        ("*", f'"*" is no permission; {KNOWN}'),
        ("api:originate {a=1,b=2}user/1", f'"b=2}}user/1" is no permission; {KNOWN}'),
        ("replay:", f'"replay:": {NAMES}'),
        ("replay:a b", f'"replay:a b": {NAMES}'),
        ("replay:größe", f'"replay:größe": {NAMES}'),
        ("ping,api:uuid_* x", f'"api:uuid_* x": each uuid_* is equal to a shell, {WHOLE}'),
        ("bgapi:UUID_SetVar?", f'"bgapi:UUID_SetVar?": each uuid_* is equal to a shell, {WHOLE}'),
        ("api:lua*", f'"api:lua*": each lua* is equal to a shell, {WHOLE}'),
        ("api:*/*", f'"api:*/*": {COMMAND}'),
        (
            "sendevent:BACKGROUND_*",
            '"sendevent:BACKGROUND_*": BACKGROUND_JOB is only allowed by its whole name, without * and ? in it',
        ),
        (
            "sendevent:SHUTDOW?",
            '"sendevent:SHUTDOW?": SHUTDOWN is only allowed by its whole name, without * and ? in it',
        ),
        ("api:", f'"api:": {COMMAND}'),
        ("api: status", f'"api: status": {COMMAND}'),
        ("api:/bin/sh *", f'"api:/bin/sh *": {COMMAND}'),
        ("api:größe", f'"api:größe": {COMMAND}'),
        (
            "sendevent:MESAGE",
            '"sendevent:MESAGE": FreeSWITCH has no event "MESAGE" (did you mean "sendevent:MESSAGE"?)',
        ),
        ("sendevent:A.I", '"sendevent:A.I": FreeSWITCH has no event "A.I" (did you mean "sendevent:API"?)'),
        (
            "sendevent:ZZZ*",
            '"sendevent:ZZZ*": FreeSWITCH has no event "ZZZ*"; one\'s own events are CUSTOM^SUBCLASS',
        ),
        ("sendevent:", '"sendevent:": FreeSWITCH has no event ""; one\'s own events are CUSTOM^SUBCLASS'),
        (
            "sendevent:CUSTOM::my::event",
            '"sendevent:CUSTOM::my::event": a subclass is written with ^ (did you mean "sendevent:CUSTOM^my::event"?)',
        ),
        (
            "sendevent:my::event",
            '"sendevent:my::event": a subclass is written with ^ (did you mean "sendevent:CUSTOM^my::event"?)',
        ),
        (
            "sendevent:CUSTOM^",
            '"sendevent:CUSTOM^" is neither sendevent:NAME nor sendevent:CUSTOM^SUBCLASS, without spaces',
        ),
        (
            "sendevent:CUS*^x",
            '"sendevent:CUS*^x" is neither sendevent:NAME nor sendevent:CUSTOM^SUBCLASS, without spaces',
        ),
        (
            "sendevent:CUSTOM my::x",
            '"sendevent:CUSTOM my::x" is neither sendevent:NAME nor sendevent:CUSTOM^SUBCLASS, without spaces',
        ),
        ("api:echo a\tb", "'api:echo a\\tb' has a character in it that can't be printed; take it out"),
        ("api:echo a\nb", "'api:echo a\\nb' has a character in it that can't be printed; take it out"),
        ("ping\0", "'ping\\x00' has a character in it that can't be printed; take it out"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        parse_permissions(text)
    assert str(caught.value) == says


@pytest.mark.parametrize(
    "text", ["api:uuid_* x", "bgapi:uuid_setvar?", "api:lua*", "api:*", "sendevent:BACKGROUND_*", "sendevent:SHUTDOW?"]
)
def test_a_wildcard_in_deny_may_stand_for_anything(text: str) -> None:
    assert parse_permissions(text, deny=True) == (text,)


@pytest.mark.parametrize("text", ["ping,", "pong", "api:", "api:/x", "replay:", "sendevent:MESAGE", "sendevent:a b"])
def test_what_is_wrong_is_wrong_in_deny_too(text: str) -> None:
    says = []
    for deny in (False, True):
        with pytest.raises(ValueError) as caught:  # noqa: PT011  # the texts are compared
            parse_permissions(text, deny=deny)
        says.append(str(caught.value))
    assert says[0] == says[1]


def test_the_printed_forms_are_those_that_are_taken() -> None:
    fill = {"PUBLISHER": "default", "COMMAND": "show", "[ARGS]": "calls", ":NAME": ":TALK", "SUBCLASS": "my::event"}
    for form, line in FORMS:
        word = form
        for name, value in fill.items():
            word = word.replace(name, value)
        assert parse_permissions(word) == (word,)
        assert line
        assert "\n" not in line
    assert parse_permissions(",".join(f"sendevent:{name}" for name in EVENT_NAMES))


TEXTS = st.text(st.sampled_from("pingaps:,*? ^\n\0replaybgCUSTOM1-_$(+[\\|ü"), max_size=30) | st.text()
COMMANDS = st.sampled_from(["uuid_", "lua", "system", "show", "*", "?", "x", " a"])
EVENTS = st.sampled_from(["SHUTDOWN", "BACKGROUND", "_JOB", "CUSTOM", "^", "*", "?", "x::y"])


@hypothesis.given(
    TEXTS
    | st.lists(COMMANDS).map(lambda parts: f"api:{''.join(parts)}")
    | st.lists(EVENTS).map(lambda parts: f"sendevent:{''.join(parts)}"),
    st.booleans(),
)
def test_whatever_is_written(text: str, deny: bool) -> None:
    try:
        permissions = parse_permissions(text, deny=deny)
    except ValueError as error:
        assert str(error).isprintable()  # noqa: PT017  # most are refused, and all of them with one clean line
    else:
        assert parse_permissions(", ".join(permissions), deny=deny) == permissions
        assert parse_permissions(text, deny=True) == permissions
        for word in permissions:
            assert word.isprintable()
            kind, _, rest = word.partition(":")
            assert kind in ("ping", "status", "replay", "api", "bgapi", "sendevent")
            if kind in ("api", "bgapi"):
                assert not set(rest.partition(" ")[0]) - set("abcdefghijklmnopqrstuvwxyz0123456789_-*?")
