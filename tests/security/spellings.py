"""Requests that try to get past the permissions, in every spelling we could think of.

They are for a caller that may do no more than `ALLOW`. None of them may ever reach FreeSWITCH.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

ALLOW = (
    "ping, status, replay:*, api:status, api:version, api:uptime, api:show *, bgapi:uptime, sendevent:CUSTOM^test::*"
)

Attempt = tuple[str, dict[str, Any]]
"""A method and its params."""

_NAMES = {"api": ("status", "version", "uptime", "show"), "bgapi": ("uptime",)}
_LONG = "x" * 300  # as the id of a job it would write over FreeSWITCH's stack
_SPACES = (*" \t\v\f\r\n\0\x1b\x85\xa0\u2003\u2028\u3000\ufeff", "\r\n")


def forbidden(mark: str) -> list[Attempt]:
    """Those that are refused with -32001.

    Args:
        mark: a file that is not there; most of them would make it.
    """
    return [*_distinct(a for a in _commands(mark) if not _only_wrong(*a)), *_distinct(_events(mark))]


def wrong(mark: str) -> list[Attempt]:
    """Those that are refused with -32602: what they begin with is allowed, or nothing at all."""
    return [*_distinct(a for a in _commands(mark) if _only_wrong(*a)), *_distinct(_wrong_params(mark))]


def _only_wrong(method: str, params: dict[str, Any]) -> bool:
    """Whether the command is one that is allowed, or none, with something about it that no command may have."""
    command, args = params["command"], params.get("args", "")
    found = re.search(r"[A-Za-z0-9_-]+", unicodedata.normalize("NFKC", command))
    if found is None:
        return True
    if found[0].lower() not in _NAMES[method]:
        return False
    return found[0] != command or bool(set(args) & set("\0\r\n"))


def _commands(mark: str) -> Iterator[Attempt]:
    for method in ("api", "bgapi"):
        for command, args in (*_forbidden_commands(mark), *_spelled(mark), *_behind_allowed(method, mark)):
            yield method, {"command": command, "args": args} if args else {"command": command}
    yield "api", {"command": "system", "args": f"touch {mark}", "timeout": 1}
    for command, args in (("system", f"touch {mark}"), ("status", ""), ("version", ""), ("show", "calls")):
        for job_uuid in ("", "a-job", _LONG, f"x system touch {mark}", f"x\nsystem touch {mark}"):
            yield "bgapi", {"command": command, "args": args, "job_uuid": job_uuid}


def _forbidden_commands(mark: str) -> Iterator[tuple[str, str]]:
    """Commands that do what must not be done, each by its own name."""
    touch = f"touch {mark}"
    yield from ((name, touch) for name in ("system", "bg_system", "spawn", "bg_spawn", "spawn_stream"))
    # Commands that run commands.
    for inner in (f"system {touch}", f"bgapi system {touch}", f"expand system {touch}", f"${{system({touch})}}"):
        yield "bgapi", inner
        yield "bgapi", f"uuid:x {inner}"
        yield "bgapi", f"uuid:{_LONG} {inner}"
        yield "expand", inner
        yield "expand", f"uuid:{_LONG} {inner}"
        yield "eval", inner
        yield "eval", f"uuid:x {inner}"
        yield "xml_wrap", inner
        yield "xml_wrap", f"encoded {inner}"
        yield "cond", f"1 == 1 ? {inner} : 0"
        yield "sched_api", f"+0 none {inner}"
        yield "sched_api", f"@1 none {inner} &"
        yield "single_esl", f"|ClueCon 127.0.0.1:8021 1000 {inner}"
        yield "chat", f"api|x|{inner}|x"
        yield "chat", f"api|x|{quote(inner)}|x"
        yield "alias", f"add status {inner.replace(' ', chr(92) + 's')}"
        yield (
            "json",
            json.dumps({"command": "fsapi", "data": {"cmd": inner.split()[0], "arg": inner.partition(" ")[2]}}),
        )
        yield "python", f"event_zmq {inner}"
    for sign in ("$", "$$"):
        for form in (f"{sign}{{system {touch}}}", f"{sign}{{system({touch})}}", f"x{sign}{{bg_system {touch}}}"):
            yield from ((name, form) for name in ("eval", "expand", "echo", "log", "regex", "translate", "md5"))
    # Scripts.
    yield "lua", f"~os.execute('{touch}')"
    yield "luarun", f"~os.execute('{touch}')"
    yield "perl", f"~system('{touch}')"
    yield "jsrun", f"~system('{touch}')"
    yield "pyrun", "event_zmq stop"
    yield "python", "event_zmq stop"
    # Calls.
    at_once = f"{{api_on_originate=system {touch},api_on_answer='system {touch}'}}loopback/x"
    for destination in (f"&system({touch})", f"'system:{touch}' inline", "&park()"):
        for name in ("originate", "page", "conference"):
            yield name, f"loopback/x {destination}"
            yield name, f"{at_once} {destination}"
            yield name, f"<execute_on_originate='system {touch}'>null/x {destination}"
    yield "conference", f"x dial {at_once}"
    yield "conference", f"x bgdial {at_once}"
    yield "uuid_broadcast", f"all system::{touch}"
    yield "uuid_transfer", f"x 'system:{touch}' inline"
    yield "uuid_setvar", f"x api_hangup_hook system {touch}"
    yield "uuid_record", f"x start {mark}"
    yield "uuid_kill", "x"
    yield "sched_broadcast", f"+0 x system::{touch}"
    yield "sched_transfer", f"+0 x 'system:{touch}' inline"
    yield "tone_detect", f"x x 2000 r +5000 system '{touch}'"
    # The switch itself.
    for name, args in (
        ("global_setvar", f"mark={mark}"),
        ("global_getvar", ""),
        ("log", f"crit {mark}"),
        ("hupall", ""),
        ("hupall", "normal_clearing"),
        ("reloadxml", ""),
        ("reloadacl", ""),
        ("reload", "mod_python3"),
        ("unload", "mod_python3"),
        ("load", "mod_shell_stream"),
        ("fsctl", "shutdown now"),
        ("fsctl", "crash"),
        ("shutdown", ""),
        ("...", ""),
        ("sofia", "profile internal stop"),
        ("curl", f"file://{mark}"),
        ("http_put", f"file://{mark} /etc/passwd"),
        ("xml_locate", "root"),
        ("coalesce", "%n%n%n%n"),
        ("console_complete", "c=200000000;x"),
        ("event_channel_broadcast", "{}"),
        ("hash", f"insert/x/x/{mark}"),
        ("msleep", "1"),
        ("help", ""),
        ("echo", mark),
        (f"/bin/touch {mark}", ""),
        ("/bin/sh", f"-c '{touch}'"),
    ):
        yield name, args


def _spelled(mark: str) -> Iterator[tuple[str, str]]:
    """One forbidden command in many spellings."""
    touch = f"touch {mark}"
    for name in ("system", "SYSTEM", "System", "sYsTeM", "SYSTEm"):
        yield name, touch
        yield f"{name} {touch}", ""
    for space in _SPACES:
        yield f"{space}system", touch
        yield f"system{space}", touch
        yield f"{space}system{space}", f"{space}{touch}{space}"
        yield f"sys{space}tem", touch
        yield f"system{space}{touch}", ""
        yield "system", f"{space}{touch}"
        yield "system", f"touch{space}{mark}"
    for before, behind in (
        ("'", "'"), ('"', '"'), ("`", "`"), ("$(", ")"), ("${", "}"), ("$${", "}"), ("(", ")"), ("{", "}"), ("<", ">"),
        ("[", "]"), ("\\", ""), (";", ""), (";;", ""), ("|", ""), ("||", ""), ("&", ""), ("&&", ""), ("^^", ""),
        ("/", ""), ("../", ""), ("!", ""), ("#", ""), ("%", "%"), ("-", ""), ("--", ""), ("_", ""), ("=", ""),
        (":", ""), (".", "."), (",", ""), ("*", "*"), ("?", "?"), ("~", ""), ("@", ""), ("+", ""), ("1", ""),
    ):  # fmt: skip
        yield f"{before}system{behind}", touch
        yield f"{before}system {touch}{behind}", ""
    for alike in (
        "".join(chr(ord(char) + 0xFEE0) for char in "system"),  # of double width
        "".join(chr(ord(char) - 97 + 0x1D41A) for char in "system"),  # mathematical, bold
        "".join(chr(ord(char) - 97 + 0x24D0) for char in "system"),  # in circles
        "\N{LATIN SMALL LETTER LONG S}ystem",
        "\N{CYRILLIC SMALL LETTER DZE}ystem",
        "s\N{CYRILLIC SMALL LETTER U}stem",
        "sys\N{GREEK SMALL LETTER TAU}em",
        "syst\N{COMBINING ACUTE ACCENT}em",
        "system\N{COMBINING ACUTE ACCENT}",
        "sys\N{ZERO WIDTH SPACE}tem",
        "sys\N{SOFT HYPHEN}tem",
        "\N{RIGHT-TO-LEFT OVERRIDE}metsys",
        "sys\ud800tem",
        "sys\N{REPLACEMENT CHARACTER}tem",
        "\N{LATIN SMALL LETTER S WITH CEDILLA}ystem",
        "sy\N{LATIN SMALL LIGATURE ST}em",
    ):
        yield alike, touch
        yield f"{alike} {touch}", ""
    for coded in (
        "%73ystem",
        "s%79stem",
        "system%20",
        "system%00",
        "%2573ystem",
        "&#115;ystem",
        "\\x73ystem",
        "\\163ystem",
    ):
        yield coded, touch
        yield quote(f"{coded} {touch}"), ""
    for wrapper in (
        "api",
        "bgapi",
        "expand",
        "eval",
        "xml_wrap",
        "console",
        "python event_zmq",
        "sched_api +0 x",
        "uuid:x",
    ):
        for spelled in (wrapper, wrapper.upper(), f" {wrapper} "):
            yield spelled, f"system {touch}"
            yield f"{spelled} system", touch
            yield f"{spelled} system {touch}", ""


def _behind_allowed(method: str, mark: str) -> Iterator[tuple[str, str]]:
    """Something forbidden behind what is allowed, in the command or in its arguments."""
    touch = f"touch {mark}"
    for name in _NAMES[method]:
        for more in ("x", "_", "-", "1", "s", "_system", "-system", "system"):
            yield f"{name}{more}", touch
            yield f"{more}{name}", touch
        for between in (
            *_SPACES,
            ";",
            ";;",
            "&&",
            "||",
            "|",
            "&",
            ":",
            ",",
            ".",
            "/",
            "\\",
            "\\n",
            "%0a",
            "%00",
            "'",
            '"',
            "`",
        ):
            yield f"{name}{between}system {touch}", ""
            yield f"{name}{between}system", touch
            yield f"{between}{name}", f"system {touch}"
        for args in (
            f"\nsystem {touch}",
            f"x\nsystem {touch}",
            f"x\r\nsystem {touch}",
            f"x\0system {touch}",
            "x\n",
            "\0",
        ):
            if args.strip():
                yield name, args
        if name == "show":
            continue  # with any other arguments it is allowed
        for before in (
            "",
            "x ",
            "; ",
            ";; ",
            "&& ",
            "| ",
            "& ",
            "^^:",
            "' ",
            "uuid:x ",
            f"uuid:{_LONG} ",
            "\\n",
            "as json ",
        ):
            yield name, f"{before}system {touch}"
        for args in (
            f"$(system {touch})",
            f"`{touch}`",
            f"${{system({touch})}}",
            f"$${{system {touch}}}",
            "*",
            "?",
            "\xa0",
            "\f",
        ):
            yield name, args


def _events(mark: str) -> Iterator[Attempt]:
    headers = {"dest_proto": "api", "to": f"system touch {mark}", "proto": "api", "Command": f"system touch {mark}"}
    for name in (
        "API", "BACKGROUND_JOB", "SHUTDOWN", "SHUTDOWN_REQUESTED", "CALL_SETUP_REQ", "COMMAND", "PRIVATE_COMMAND",
        "TRAP", "MESSAGE", "SEND_MESSAGE", "NOTIFY", "RELOADXML", "CERT_RELOAD", "MODULE_UNLOAD", "CHANNEL_ANSWER",
        "HEARTBEAT", "ALL", "JSON", "NONE", "", "*", "SWITCH_EVENT_SHUTDOWN", "AAAAAAAAAAAAASHUTDOWN",
        "AAAAAAAAAAAAACUSTOM",
    ):  # fmt: skip
        for spelled in dict.fromkeys((name, name.lower(), name.title(), f" {name}", f"{name}\n", f"CUSTOM^{name}")):
            yield "sendevent", {"name": spelled, "headers": headers}
            yield "sendevent", {"name": spelled, "subclass": "test::x", "headers": headers}
    for subclass in (
        "", "test", "test:", "test:x", "Test::x", "TEST::x", " test::x", "xtest::x", "CUSTOM^test::x", "test\u200b::x",
        "SMS::SEND_MESSAGE", "sms::send_message", "SMS::SEND_MESSAGE test::x", "multicast::event", "sofia::register",
        "*", "*::*",
    ):  # fmt: skip
        for name in ("CUSTOM", "custom"):
            yield "sendevent", {"name": name, "subclass": subclass, "headers": headers}
    yield "sendevent", {"name": "CUSTOM", "headers": headers}


def _wrong_params(mark: str) -> Iterator[Attempt]:
    """Wrong whoever asks, or wrong for what is allowed."""
    for method in ("api", "bgapi"):
        nothings: list[Any] = [
            "",
            " ",
            "\n",
            "\0",
            ";",
            "...",
            "${}",
            "/",
            "\N{CYRILLIC SMALL LETTER DZE}",
            None,
            5,
            True,
            [],
            {},
        ]
        for nothing in nothings:
            yield method, {"command": nothing}
            yield method, {"command": nothing, "args": f"system touch {mark}"}
        yield method, {"command": ["system", f"touch {mark}"]}
        yield method, {"command": {"system": f"touch {mark}"}}
        yield method, {"args": f"system touch {mark}"}
        yield method, {}
    for args in (["calls"], {"system": mark}, 5):
        yield "api", {"command": "show", "args": args}
    for job_uuid in ("", " ", "a b", "a\nb", "a\0b", "../a", "ä", "x" * 65, _LONG, f"x system touch {mark}", 5, ["x"]):
        yield "bgapi", {"command": "uptime", "job_uuid": job_uuid}
    for header in (
        "Event-Name", "event-subclass", "Core-UUID", "FreeSWITCH-Hostname", "Content-Length", "_body", "ZMQ-Epoch",
        "a b", "a:b", "a\nEvent-Name", "", "ä",
    ):  # fmt: skip
        yield "sendevent", {"name": "CUSTOM", "subclass": "test::x", "headers": {header: "SHUTDOWN"}}
    values: list[Any] = ["a\nEvent-Name: SHUTDOWN", "a\r\n\r\n", "\n", 5, ["x"], {}]
    for value in values:
        yield "sendevent", {"name": "CUSTOM", "subclass": "test::x", "headers": {"X": value}}


def _distinct(attempts: Iterable[Attempt]) -> Iterator[Attempt]:
    return iter({json.dumps(attempt): attempt for attempt in attempts}.values())
