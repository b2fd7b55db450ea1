"""Commands and events that give whoever may send them the whole switch: all that a shell on it would. No I/O.

Gone through for FreeSWITCH 1.11.2: what each of its commands does with its arguments, in its source.
docs/security.md has the same lists; a test keeps them equal.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMMANDS", "EVENTS", "Group", "is_listed_event", "is_shell_equal", "listed_family"]


class Group(NamedTuple):
    """Commands, or events, that are in the list for the same reason.

    Attributes:
        reason: what they do, to be read after "they".
        names: `uuid_*` is every command that begins with `uuid_`.
    """

    reason: str
    names: tuple[str, ...]


COMMANDS = (
    Group(
        "run any other command: the one that is given, one in `${…}`, one of another switch",
        ("bgapi", "chat", "eval", "event_sink", "expand", "json", "sched_*", "single_esl", "xml_wrap"),
    ),
    Group(
        "say what the commands of others mean or do: an alias on the console, a decision inside `${…}`",
        ("alias", "cond"),
    ),
    Group("run programs of the machine", ("bg_*", "spawn*", "system")),
    Group("run scripts", ("basic", "jsapi", "jskill", "jsrun", "lua*", "managed*", "perl*", "py*")),
    Group("load, unload and reload modules and the configuration", ("load", "reload*", "unload")),
    Group(
        "dial: variables in a dial string (`api_on_answer` and others) run commands, as does the dialplan `inline`",
        ("alsa", "callcenter_config", "conference", "fifo_add_outbound", "fifo_member", "originate", "page"),
    ),
    Group(
        "act on calls: run applications in them, set variables, send them anywhere, end them, record to files",
        ("break", "hupall", "pause", "tone_detect", "uuid_*"),
    ),
    Group("give orders to conferences, past `conference`: play, record", ("event_channel_broadcast",)),
    Group(
        "change values that dial strings and the dialplan may be made of",
        ("db", "global_setvar", "group", "hash", "memcache"),
    ),
    Group(
        "take `${…}` in what they are given or look up for commands to run",
        ("enum", "enum_auto", "translate"),
    ),
    Group(
        "read, write or move files, or get from and send to addresses",
        ("chromakey", "curl*", "cv_bug", "http_*", "prefix", "vm_fsdb_*", "vm_inject", "voicemail_inject"),
    ),
    Group("ask a database whatever they are given", ("hiredis_raw", "mongo_*")),
    Group(
        "give away passwords, and whatever else is in the configuration, the environment and global variables",
        (
            "domain_data",
            "find_user_xml",
            "getenv",
            "global_getvar",
            "signalwire",
            "user_data",
            "vm_prefs",
            "xml_locate",
        ),
    ),
    Group(
        "end FreeSWITCH, or write into its memory, when they are given a certain text",
        ("cidlookup", "coalesce", "console_complete*", "sofia_username_of"),
    ),
    Group(
        "control the switch: stop it, its endpoints or its tasks, open ports of the router, let others in",
        ("fsctl", "msrp", "nat_map", "rtmp", "shutdown", "skinny", "sofia", "unsched_api", "verto"),
    ),
)

EVENTS = (
    Group("are taken for FreeSWITCH's own: the answer of a command, its end", ("BACKGROUND_JOB", "SHUTDOWN")),
    Group("make mod_conference dial", ("CALL_SETUP_REQ",)),
    Group("make mod_sms do what `chat` does", ("CUSTOM^SMS::SEND_MESSAGE",)),
    Group("make mod_sofia register phones", ("CUSTOM^multicast::event",)),
)

_LISTED = [name for group in COMMANDS for name in group.names]
_COMMANDS = frozenset(name for name in _LISTED if not name.endswith("*"))
_FAMILIES = tuple(name[:-1] for name in _LISTED if name.endswith("*"))
_EVENTS = frozenset(name.casefold() for group in EVENTS for name in group.names)


def is_shell_equal(command: str) -> bool:
    """Whether a command is in the list, in whatever case."""
    command = command.lower()
    return command in _COMMANDS or command.startswith(_FAMILIES)


def listed_family(beginning: str) -> str:
    """The family, such as `uuid_*`, that every command with that beginning belongs to; or nothing."""
    return next((f"{family}*" for family in _FAMILIES if beginning.lower().startswith(family)), "")


def is_listed_event(name: str, subclass: str = "") -> bool:
    """Whether an event is in the list, in whatever case."""
    return (f"{name}^{subclass.strip()}" if subclass else name).casefold() in _EVENTS
