"""What a client may be allowed to do with the API, as it is written in `allow` and `deny`. No I/O.

ValueError says which word is wrong and what would be right.
"""

from __future__ import annotations

import difflib
import re

from freeswitch_zmq.event_names import EVENT_NAMES
from freeswitch_zmq.globs import Glob, has_wildcard
from freeswitch_zmq.shell_equal import is_listed_event, listed_family

__all__ = ["FORMS", "parse_permissions"]

FORMS = (
    ("ping", "ask whether the switch is there"),
    ("status", "what `python event_zmq status json` prints"),
    ("replay:PUBLISHER", "get events of a publisher again"),
    ("api:COMMAND [ARGS]", "run a command, and get its output as the answer"),
    ("bgapi:COMMAND [ARGS]", "run a command in the background, and get its output as an event"),
    ("sendevent:NAME", "send an event of that name"),
    ("sendevent:CUSTOM^SUBCLASS", "send a CUSTOM event of that subclass"),
)
"""Each form, and a line of help. `*` and `?` may stand in PUBLISHER, COMMAND, ARGS, NAME and SUBCLASS."""

_KINDS = ("ping", "status", "replay", "api", "bgapi", "sendevent")
_COMMAND = re.compile(r"(?P<command>[A-Za-z0-9_*?-]+)(?: +(?P<arguments>.+))?")


def parse_permissions(text: str, *, deny: bool = False) -> tuple[str, ...]:
    """The permissions of a comma-separated list, such as `ping, api:show *, sendevent:CUSTOM^my::*`.

    Event names come back in capitals, commands in small letters and with one space before their arguments.

    Args:
        text: the list.
        deny: it says what is forbidden. In what is allowed a wildcard never stands for what is equal to a shell, so one
            that can't stand for anything else is a mistake there.

    Raises:
        ValueError: it is not such a list.
    """
    if not text.strip():
        return ()
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise ValueError(f"{text!a} has an empty word in it; put single commas between the permissions")
    return tuple(_permission(word, deny) for word in words)


def _permission(word: str, deny: bool) -> str:
    if not word.isprintable():
        raise ValueError(f"{word!a} has a character in it that can't be printed; take it out")
    kind, colon, rest = word.partition(":")
    if kind in ("ping", "status") and not colon:
        return word
    if kind == "replay" and colon:
        return _replay(word, rest)
    if kind in ("api", "bgapi") and colon:
        return f"{kind}:{_command(word, rest, deny)}"
    if kind == "sendevent" and colon:
        return f"sendevent:{_event(word, rest, deny)}"
    raise ValueError(f'"{word}" is no permission{_right(kind, rest)}')


def _replay(word: str, publisher: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.*?-]+", publisher):
        raise ValueError(f'"{word}": after replay: stands the name of a publisher, such as default, or *')
    return word


def _command(word: str, text: str, deny: bool) -> str:
    parsed = _COMMAND.fullmatch(text)
    if not parsed:
        raise ValueError(
            f'"{word}": after the colon stands a command ([A-Za-z0-9_-], * and ?), then perhaps a space and arguments'
        )
    command = parsed["command"].lower()
    family = "" if deny or not has_wildcard(command) else listed_family(re.split("[*?]", command, maxsplit=1)[0])
    if family:
        raise ValueError(
            f'"{word}": each {family} is equal to a shell, and only allowed by its whole name, without * and ? in it'
        )
    return " ".join(part for part in (command, parsed["arguments"]) if part)


def _event(word: str, text: str, deny: bool) -> str:
    name, caret, subclass = text.partition("^")
    name = name.upper()
    if " " in text or (caret and (name != "CUSTOM" or not subclass)):
        raise ValueError(f'"{word}" is neither sendevent:NAME nor sendevent:CUSTOM^SUBCLASS, without spaces')
    if caret:
        return f"CUSTOM^{subclass}"
    if "::" in text:
        subclass = re.sub("^CUSTOM::", "", text, flags=re.IGNORECASE)
        raise ValueError(f'"{word}": a subclass is written with ^ (did you mean "sendevent:CUSTOM^{subclass}"?)')
    pattern = Glob(name)
    meant = [known for known in EVENT_NAMES if pattern.matches(known)]
    if not meant:
        near = difflib.get_close_matches(name, EVENT_NAMES, 1)
        hint = f' (did you mean "sendevent:{near[0]}"?)' if near else "; one's own events are CUSTOM^SUBCLASS"
        raise ValueError(f'"{word}": FreeSWITCH has no event "{name}"{hint}')
    if has_wildcard(name) and not deny and all(is_listed_event(known) for known in meant):
        raise ValueError(f'"{word}": {" and ".join(meant)} is only allowed by its whole name, without * and ? in it')
    return name


def _right(kind: str, rest: str) -> str:
    """What may have been meant by a word that has none of the forms."""
    near = difflib.get_close_matches(kind.lower(), _KINDS, 1)
    if not near:
        return f"; known are: {', '.join(form for form, _ in FORMS)} (a comma in ARGS is written as ?)"
    forms = [form for form, _ in FORMS if form.partition(":")[0] == near[0]]
    if rest and ":" in forms[0]:
        return f' (did you mean "{near[0]}:{rest}"?)'
    return f' (did you mean "{forms[0]}"?)'
