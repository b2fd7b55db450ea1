from __future__ import annotations

import json
import re
import time

import hypothesis
import pytest
from hypothesis import strategies as st

from freeswitch_zmq.event_names import EVENT_NAMES
from freeswitch_zmq.grants import Grants
from freeswitch_zmq.permissions import parse_permissions
from freeswitch_zmq.shell_equal import COMMANDS, is_listed_event, is_shell_equal
from tests.security import spellings

DEFAULT = "ping, status, replay:*, api:status, api:version, api:uptime, api:show *"
LISTED = [name.replace("*", "x") for group in COMMANDS for name in group.names]


def grants(allow: str, deny: str = "") -> Grants:
    return Grants(parse_permissions(allow), parse_permissions(deny, deny=True))


def allowed(allow: str, line: str, deny: str = "", kind: str = "api") -> bool:
    """Whether a command line, split at its first space, is granted."""
    command, _, args = line.partition(" ")
    return grants(allow, deny).command(kind, command, args) is not None


def wide(text: str) -> str:
    """In characters of double width, which look alike."""
    return "".join(chr(ord(char) + 0xFEE0) for char in text)


# allow


def test_what_grants_is_told() -> None:
    caller = grants("api:show calls, api:show *, bgapi:uptime, api:s*")
    assert caller.command("api", "show", "calls") == "api:show calls"
    assert caller.command("api", "SHOW", " channels\n") == "api:show *"
    assert caller.command("api", "status", "") == "api:s*"
    assert caller.command("bgapi", "uptime", "") == "bgapi:uptime"
    assert caller.event("CUSTOM", "a") is None
    assert grants("sendevent:talk, sendevent:*").event("Talk", "") == "sendevent:TALK"
    assert grants("sendevent:talk, sendevent:*").event("notalk", "") == "sendevent:*"
    assert grants("sendevent:custom^b, sendevent:custom^*").event("CUSTOM", "a") == "sendevent:CUSTOM^*"


def test_who_has_nothing_may_do_nothing() -> None:
    nobody = Grants(())
    assert not nobody.method("ping")
    assert not nobody.method("status")
    assert not nobody.replay("default")
    for command in ("status", "show", "system", ""):
        assert nobody.command("api", command, "") is nobody.command("bgapi", command, "x") is None
        assert not nobody.some_command("api", command)
    assert all(nobody.event(name, "") is None for name in EVENT_NAMES)


def test_methods_without_arguments() -> None:
    caller = grants("ping, api:status")
    assert caller.method("ping")
    for name in ("status", "api:status", "api", "Ping", "ping ", ""):
        assert not caller.method(name)


@pytest.mark.parametrize(
    ("allow", "lines"),
    [
        ("api:status", ["status", "STATUS", "Status", "status ", "status \r\n\t\v "]),
        ("api:show *", ["show", "show calls", "show calls as json", "SHOW Calls", "show *", "show ", "show  calls"]),
        ("api:show calls", ["show calls", "sHoW calls", "show  calls", "show calls "]),
        ("api:show calls*", ["show calls", "show calls as json", "show callsx"]),
        ("api:show ?????", ["show calls"]),
        ("api:echo a*b*c", ["echo abc", "echo a b c", "echo axbxbxc", "echo a\nb\nc"]),
        ("api:echo [a]", ["echo [a]"]),
        ("api:*", ["status", "show calls", "md5 x", "x", "-", "_"]),
        ("api:sofia_*", ["sofia_contact 1000@x", "SOFIA_DIG x", "sofia_"]),
        ("api:stat?s", ["status", "statxs"]),
        ("api:sofia_* *", ["sofia_contact 1000@x", "sofia_contact"]),
        ("api:*_exists a*", ["user_exists a", "module_exists abc"]),
        ("api:system *", ["system", "system touch x", "SYSTEM x"]),
        ("api:uuid_kill", ["uuid_kill"]),
        ("api:originate user/1* &park()", ["originate user/1 &park()", "originate user/12 &park()"]),
    ],
)
def test_what_is_granted(allow: str, lines: list[str]) -> None:
    for line in lines:
        assert allowed(allow, line), line
        assert not allowed(allow, line, kind="bgapi"), line
        assert allowed(allow.replace("api:", "bgapi:"), line, kind="bgapi"), line
        assert not allowed(allow.replace("api:", "bgapi:"), line), line


@pytest.mark.parametrize(
    ("allow", "lines"),
    [
        ("api:status", ["status x", "status ;", "statusx", "statu", "xstatus", "status\0", "status \0", "", " "]),
        (
            "api:status",
            ["status\nsystem", "status;system", "status\xa0", "status\x0c", "\x1fstatus", "st atus", "'status'"],
        ),
        (
            "api:status",
            [
                "\N{KELVIN SIGN}status",
                wide("status"),
                "\N{LATIN SMALL LETTER LONG S}tatus",
                "status\N{COMBINING ACUTE ACCENT}",
            ],
        ),
        ("api:show *", ["show_", "showx", "sho calls", "show;calls", "show\xa0calls", "show calls\0", "show a\0b"]),
        ("api:show calls", ["show", "show Calls", "show CALLS", "show 'calls'", "show call\\s", "show calls\xa0"]),
        ("api:show calls", ["show calls\x0c", "show \x0ccalls", "show calls\x85", "show calls as", "show xcalls"]),
        ("api:show calls", ["show calls\x00", "show  \u2003calls", "show calls\x1c", "show ^^|calls"]),
        ("api:show ?????", ["show call", "show", "show callss"]),
        ("api:show calls *", ["show calls", "show calls\t", "show callsx"]),
        ("api:echo [a]", ["echo a"]),
        ("api:show calls?", ["show calls", "show calls "]),
        ("api:stat?s", ["status x"]),
        ("api:k*", ["\N{KELVIN SIGN}ill"]),
        ("api:*", ["", " ", "a/b", "/bin/sh", "...", "größe", "status\0", "a\nb"]),
    ],
)
def test_what_is_not_granted(allow: str, lines: list[str]) -> None:
    for line in lines:
        command, _, args = line.partition(" ")
        assert grants(allow).command("api", command, args) is None, repr(line)
        assert not allowed(allow.replace("api:", "bgapi:"), line, kind="bgapi"), repr(line)


def test_other_kinds_are_none() -> None:
    caller = grants(f"{DEFAULT}, api:*, bgapi:*")
    for kind in ("", "API", "bgapi ", "ping", "replay", "sendevent"):
        assert caller.command(kind, "status", "") is None
        assert not caller.some_command(kind, "status")


@pytest.mark.parametrize("command", LISTED)
def test_what_is_equal_to_a_shell_is_granted_by_name_alone(command: str) -> None:
    first = command[0]
    for allow in (
        "*",
        "* *",
        f"{first}*",
        f"?{command[1:]}",
        f"?{command[1:]} *",
        f"{first}*{command[-1]}",
        f"*{command}",
    ):
        caller = Grants((f"api:{allow}", f"bgapi:{allow}"))
        for spelled in (command, command.upper(), f" {command}\t"):
            for args in ("", "x", "*"):
                assert caller.command("api", spelled, args) is caller.command("bgapi", spelled, args) is None
            assert not caller.some_command("api", spelled)
    caller = grants(f"api:{command} *, bgapi:*")
    assert caller.command("api", command.upper(), "x") == f"api:{command} *"
    assert caller.command("bgapi", command, "x") is None


# deny


@pytest.mark.parametrize(
    ("deny", "line"),
    [
        ("api:show", "show"),
        ("api:show", "show calls"),
        ("api:SHOW", "sHow calls"),
        ("api:show *", "show"),
        ("api:show *", "show calls"),
        ("api:show * *", "show calls"),
        ("api:sh?w", "show calls"),
        ("api:s*", "show calls"),
        ("api:*", "show"),
        ("api:*w", "show calls"),
        ("api:*calls*", "show my calls now"),
        ("api:uuid_*", "uuid_kill x"),
        ("api:uuid_* x", "uuid_kill x"),
        ("api:*d_kill", "uuid_kill x"),
        ("api:show calls", "show calls"),
        ("api:show calls", "show CALLS"),
        ("api:show Calls", "show calls"),
        ("api:show calls", "show 'calls'"),
        ("api:show calls", "show 'ca'lls"),
        ("api:show calls", 'show "calls"'),
        ("api:show 'calls'", "show calls"),
        ("api:show calls", "show cal\\ls"),
        ("api:show calls", "show   calls  "),
        ("api:show calls", "show \tcalls\v"),
        ("api:show calls", "show \x0ccalls\x0c"),
        ("api:show calls", "show \xa0calls"),
        ("api:show calls", "show calls\u2003"),
        ("api:show calls", "show \x1ccalls\x85"),
        ("api:show calls", "show ' calls '"),
        ("api:show calls", "show calls\\s"),
        ("api:show calls", "show ^^|calls"),
        ("api:show calls as json", "show calls   as\tjson"),
        ("api:show calls as json", "show calls\\sas\\tjson"),
        ("api:show calls as json", "show ^^:calls:as:json"),
        ("api:show calls as json", "show ^^|CALLS|'as'|json"),
        ("api:show calls *", "show calls"),
        ("api:show calls *", "show 'calls'"),
        ("api:show calls*", "show  Calls_x"),
        ("api:echo straße", "echo STRASSE"),
        ("api:echo ?x?", "echo 'x'"),
        ("api:echo \\n", "echo \\n"),
        ("api:echo a*b", "echo A\nB"),
    ],
)
def test_what_is_denied(deny: str, line: str) -> None:
    command = line.partition(" ")[0]
    allow = f"api:*, api:{command} *, bgapi:*, bgapi:{command} *"
    assert allowed(allow, line)
    assert not allowed(allow, line, deny)
    assert allowed(allow, line, deny, kind="bgapi")
    assert not allowed(allow, line, deny.replace("api:", "bgapi:"), kind="bgapi")


@pytest.mark.parametrize(
    ("deny", "line"),
    [
        ("api:show calls", "show"),
        ("api:show calls", "show callsx"),
        ("api:show calls", "show calls as json"),
        ("api:sho", "show"),
        ("api:showx", "show"),
        ("api:uuid_*", "uuid"),
        ("api:show ????", "show calls"),
        ("api:status", "show status"),
        ("bgapi:show", "show"),
        ("sendevent:*", "show"),
        ("replay:*", "show"),
    ],
)
def test_what_is_not_denied(deny: str, line: str) -> None:
    assert allowed("api:*", line, deny)


def test_deny_takes_methods_away() -> None:
    caller = grants("ping, status, replay:*", "status, replay:inner*")
    assert caller.method("ping")
    assert not caller.method("status")
    assert caller.replay("default")
    assert not caller.replay("inner")
    assert not caller.replay("INNER-2")


# Whether there are arguments at all


@pytest.mark.parametrize(
    ("allow", "deny", "some", "none"),
    [
        (
            DEFAULT,
            "",
            ["status", "STATUS", "version", "show", " show\t"],
            ["statusx", "sho", "show_", "system", "", "a b"],
        ),
        ("api:show calls", "", ["show"], ["calls", "sho"]),
        ("api:show calls*", "", ["show"], ["showx"]),
        ("api:s*", "", ["show", "s"], ["ping", "system", "sofia"]),
        ("api:*x", "", ["show", "x"], ["system"]),
        ("api:sho?", "", ["show", "shop"], ["sho", "shows"]),
        ("api:sho?x", "", ["sho", "shopx"], ["shop"]),
        ("api:system touch *", "", ["system"], ["bg_system"]),
        ("api:*", "", ["show", "anything"], ["system", "ähm"]),
        ("bgapi:show", "", [], ["show"]),
        ("api:show *", "api:show", [], ["show"]),
        ("api:show *", "api:show *", [], ["show"]),
        ("api:show *", "api:SHO?", [], ["show"]),
        ("api:show *", "api:show calls", ["show"], []),
        ("api:show calls", "api:show calls", [], ["show"]),
        ("api:show calls", "api:show *s", [], ["show"]),
        ("api:status", "api:status *", [], ["status"]),
        ("api:*", "api:s*", ["version"], ["show"]),
        ("api:*", "bgapi:*", ["show"], []),
    ],
)
def test_some_command(allow: str, deny: str, some: list[str], none: list[str]) -> None:
    caller = grants(allow, deny)
    for command in some:
        assert caller.some_command("api", command), command
    for command in none:
        assert not caller.some_command("api", command), command


# Replay and events


@pytest.mark.parametrize(
    ("allow", "yes", "no"),
    [
        ("replay:*", ["default", "x", ""], []),
        ("replay:default", ["default"], ["Default", "DEFAULT", "default ", "defaultx", "", "*"]),
        ("replay:main-?", ["main-1"], ["main-", "main-12", "Main-1"]),
        ("replay:a.b", ["a.b"], ["axb"]),
        ("api:replay", [], ["default"]),
    ],
)
def test_replay(allow: str, yes: list[str], no: list[str]) -> None:
    for publisher in yes:
        assert grants(allow).replay(publisher)
        assert not grants(allow, allow.upper().replace("REPLAY", "replay")).replay(publisher)
    for publisher in no:
        assert not grants(allow).replay(publisher)


@pytest.mark.parametrize(
    ("allow", "yes", "no"),
    [
        ("TALK", ["TALK", "talk", "Talk"], ["NOTALK", "TAL", "TALK ", "CUSTOM", ""]),
        ("*", ["TALK", "CUSTOM", "CUSTOM^", "CUSTOM^a", "SHUTDOWN_REQUESTED"], ["BACKGROUND_JOB", "SHUTDOWN", "ALL"]),
        ("*", ["API"], ["CALL_SETUP_REQ", "CUSTOM^SMS::SEND_MESSAGE", "CUSTOM^sms::send_message", "JSON", "NONE"]),
        ("BACKGROUND_JOB", ["BACKGROUND_JOB", "background_job"], ["SHUTDOWN"]),
        ("SHUTDOWN", ["SHUTDOWN"], ["SHUTDOWN_REQUESTED", "BACKGROUND_JOB"]),
        ("SHUTDOWN*", ["SHUTDOWN_REQUESTED"], ["SHUTDOWN"]),
        ("CHANNEL_*", ["CHANNEL_ANSWER"], ["CUSTOM", "CHANNEL_"]),
        ("CUSTOM", ["CUSTOM", "custom", "CUSTOM^a", "CUSTOM^a b"], ["TALK", "CUSTOM^SMS::SEND_MESSAGE"]),
        ("CUST?M", ["CUSTOM^a"], ["CUSTOM^multicast::event"]),
        (
            "CUSTOM^my::*",
            ["CUSTOM^my::", "CUSTOM^my::x", "custom^my::x"],
            ["CUSTOM", "CUSTOM^", "CUSTOM^My::x", "TALK"],
        ),
        ("CUSTOM^*", ["CUSTOM", "CUSTOM^a"], ["CUSTOM^SMS::SEND_MESSAGE", "CUSTOM^ SMS::SEND_MESSAGE "]),
        ("CUSTOM^SMS::SEND_MESSAG?", ["CUSTOM^SMS::SEND_MESSAGX"], ["CUSTOM^SMS::SEND_MESSAGE"]),
        ("CUSTOM^SMS::SEND_MESSAGE", ["CUSTOM^SMS::SEND_MESSAGE"], ["CUSTOM^sms::send_message", "CUSTOM", "TALK"]),
        ("CUSTOM^a^b", ["CUSTOM^a^b"], ["CUSTOM^a"]),
        ("*", ["MESSAGE"], ["MESSAGE^a", "TALK^CUSTOM", "CUSTOM^a\0", "CUSTOM^SMS::SEND_MESSAGE\0x"]),
        (
            "*",
            ["TALK"],
            ["SWITCH_EVENT_TALK", "AAAAAAAAAAAAASHUTDOWN", "SWITCH_EVENT_SHUTDOWN", wide("TALK"), "TAL\N{KELVIN SIGN}"],
        ),
    ],
)
def test_events(allow: str, yes: list[str], no: list[str]) -> None:
    caller = grants(f"sendevent:{allow}")
    for text in yes:
        name, _, subclass = text.partition("^")
        assert caller.event(name, subclass) == f"sendevent:{allow}", text
    for text in no:
        name, _, subclass = text.partition("^")
        assert caller.event(name, subclass) is None, text


@pytest.mark.parametrize(
    ("deny", "text"),
    [
        ("TALK", "talk"),
        ("*", "TALK"),
        ("*", "CUSTOM^a"),
        ("CUSTOM", "CUSTOM"),
        ("CUSTOM", "CUSTOM^a"),
        ("CUST*", "CUSTOM^a"),
        ("CUSTOM^a", "CUSTOM^A"),
        ("CUSTOM^A::*", "CUSTOM^ 'a::B'"),
        ("CUSTOM^*", "CUSTOM"),
        ("SHUTDOW?", "SHUTDOWN"),
        ("CUSTOM^SMS::*", "CUSTOM^SMS::SEND_MESSAGE"),
    ],
)
def test_denied_events(deny: str, text: str) -> None:
    name, _, subclass = text.partition("^")
    allow = "sendevent:*, sendevent:SHUTDOWN, sendevent:CUSTOM^SMS::SEND_MESSAGE"
    assert grants(allow).event(name, subclass)
    assert grants(allow, f"sendevent:{deny}").event(name, subclass) is None


def test_denied_events_of_others() -> None:
    caller = grants("sendevent:*", "sendevent:CUSTOM^a, sendevent:CHANNEL_*")
    assert caller.event("CUSTOM", "b")
    assert caller.event("CUSTOM", "")
    assert caller.event("TALK", "")


# What the security tests send


def test_no_spelling_is_granted() -> None:
    caller = grants(spellings.ALLOW)
    attempts = spellings.forbidden("/tmp/mark")
    assert len(attempts) > 1000
    assert len({json.dumps(attempt) for attempt in (*attempts, *spellings.wrong("/tmp/mark"))}) > 1500
    for method, params in attempts:
        if method == "sendevent":
            assert caller.event(params["name"], params.get("subclass", "")) is None, params
        else:
            assert caller.command(method, params["command"], params.get("args", "")) is None, params


# Any of it

WORDS = st.sampled_from(["status", "show", "system", "uuid_kill", "sofia_contact", "expand", "k", "K"])
ARGS = st.text("ab' \\^\tB*\n\xa0\x0c", max_size=8)
PATTERNS = st.text("ab '?*\\B", max_size=6).map(str.strip)
RULES = st.lists(
    st.builds(
        lambda kind, word, args: f"{kind}:{word} {args}".strip(),
        st.sampled_from(["api", "bgapi"]),
        WORDS | st.sampled_from(["s*", "*", "?how", "syste?", "u*l"]),
        PATTERNS,
    ),
    max_size=3,
)


def parsed(texts: list[str], deny: bool = False) -> tuple[str, ...]:
    return parse_permissions(",".join(texts), deny=deny)


def naive(text: str, kind: str, line: str, bare: bool) -> bool:
    """What a permission in `allow` means, by the shortest words."""
    pattern = text.partition(":")[2]
    expression = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    word = pattern.partition(" ")[0]
    if not text.startswith(f"{kind}:") or (set(word) & set("*?") and is_shell_equal(line.partition(" ")[0])):
        return False
    if bare and pattern == f"{word} *":
        expression = expression[: -len("\\ .*")]
    return re.fullmatch(expression, line, re.DOTALL) is not None


@hypothesis.given(RULES, st.sampled_from(["api", "bgapi"]), WORDS, ARGS)
def test_allow_means_what_it_says(allow: list[str], kind: str, word: str, args: str) -> None:
    texts = parsed(allow)
    stripped = args.strip("\r\n\t \v")
    line = f"{word.lower()} {stripped}" if stripped else word.lower()
    expected = [text for text in texts if naive(text, kind, line, not stripped)]
    assert Grants(texts).command(kind, word, args) == (expected[0] if expected else None)


@hypothesis.given(RULES, RULES, st.sampled_from(["api", "bgapi"]), WORDS, ARGS)
def test_deny_only_narrows(allow: list[str], deny: list[str], kind: str, word: str, args: str) -> None:
    free, bound = Grants(parsed(allow)), Grants(parsed(allow), parsed(deny, deny=True))
    granted = bound.command(kind, word, args)
    assert granted in (None, free.command(kind, word, args))
    if granted:
        assert bound.some_command(kind, word)
    if bound.some_command(kind, word):
        assert free.some_command(kind, word)
    # What `allow` would grant by the text of a `deny`, `deny` takes away.
    if Grants(parsed(deny, deny=True)).command(kind, word, args):
        assert granted is None


@hypothesis.given(st.data(), WORDS, st.lists(st.sampled_from(["calls", "as", "Json", "x'y"]), min_size=1, max_size=3))
def test_deny_finds_any_spelling(data: st.DataObject, word: str, args: list[str]) -> None:
    """However it is written, if FreeSWITCH reads the same words."""
    deny = parsed([f"api:{word} {' '.join(args)}"], deny=True)
    spelled = []
    for arg in args:
        text = data.draw(st.sampled_from([arg, arg.upper(), f"'{arg}'", f'"{arg}"', "\\".join(arg), f"{arg}''"]))
        spelled.append(text)
    spaces = st.text(" \t\v\x0c\xa0\u2003", min_size=1, max_size=3)
    line = "".join(text + data.draw(spaces) for text in spelled)
    assert Grants([f"api:{word.lower()} *"]).command("api", word, line)
    assert Grants([f"api:{word.lower()} *"], deny).command("api", word, line) is None


@hypothesis.given(
    st.lists(
        st.sampled_from(["*", "CUSTOM", "C*", "CUSTOM^*", "CUSTOM^S*", "TALK", "SHUTDOWN*", "CALL_*"]), max_size=3
    ),
    st.sampled_from(EVENT_NAMES),
    st.sampled_from(["", "a", "SMS::SEND_MESSAGE", "multicast::event", "Sms::Send_Message\n"]),
)
def test_no_wildcard_sends_what_is_listed(allow: list[str], name: str, subclass: str) -> None:
    caller = Grants(parsed([f"sendevent:{text}" for text in allow]))
    if is_listed_event(name, subclass) or (subclass and name != "CUSTOM"):
        assert caller.event(name, subclass) is None
    if caller.event(name, subclass):
        assert caller.event(name.lower(), subclass)


@hypothesis.given(st.text(), st.text(), st.text())
def test_whatever_is_asked(kind: str, command: str, args: str) -> None:
    caller = grants(f"{DEFAULT}, api:*, sendevent:*", "api:log, sendevent:CUSTOM^x*")
    for granted in (caller.command("api", command, args), caller.command(kind, command, args)):
        assert granted is None or re.fullmatch(r"[\r\n\t \v]*[A-Za-z0-9_-]+[\r\n\t \v]*", command)
    caller.event(command, args)
    caller.replay(command)
    assert not caller.method(command) or command in ("ping", "status")


@pytest.mark.parametrize(
    "args", ["a" * 65_536, "a " * 32_768, "ab c'" * 13_107, "^^a" + "\\s" * 32_000, "\xa0" * 65_536]
)
def test_no_arguments_take_long(args: str) -> None:
    caller = grants("api:echo *a*b*c*d, api:*x", "api:echo *a*b*c*e, api:echo *'*\\*y, api:*z")
    started = time.process_time()
    caller.command("api", "echo", args)
    caller.event("CUSTOM", args)
    caller.replay(args)
    assert time.process_time() - started < 0.5
