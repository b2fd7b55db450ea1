"""What a client may be allowed to do with the API, as it is written in `allow` and `deny`. No I/O.

ValueError says which word is wrong and what would be right.
"""

from __future__ import annotations

import difflib
import re

from freeswitch_zmq.event_names import EVENT_NAMES

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
"""Each form, and a line of help. `*` and `?` may stand in PUBLISHER, ARGS, NAME and SUBCLASS."""

_KINDS = ("ping", "status", "replay", "api", "bgapi", "sendevent")
_COMMAND = re.compile(r"(?P<command>[A-Za-z0-9_-]+)(?: +(?P<arguments>.+))?")


def parse_permissions(text: str) -> tuple[str, ...]:
    """The permissions of a comma-separated list, such as `ping, api:show *, sendevent:CUSTOM^my::*`.

    Event names come back in capitals, and with one space between a command and its arguments.

    Raises:
        ValueError: it is not such a list.
    """
    if not text.strip():
        return ()
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise ValueError(f"{text!a} has an empty word in it; put single commas between the permissions")
    return tuple(_permission(word) for word in words)


def _permission(word: str) -> str:
    if not word.isprintable():
        raise ValueError(f"{word!a} has a character in it that can't be printed; take it out")
    kind, colon, rest = word.partition(":")
    if kind in ("ping", "status") and not colon:
        return word
    if kind == "replay" and colon:
        return _replay(word, rest)
    if kind in ("api", "bgapi") and colon:
        return f"{kind}:{_command(word, rest)}"
    if kind == "sendevent" and colon:
        return f"sendevent:{_event(word, rest)}"
    raise ValueError(f'"{word}" is no permission{_right(kind, rest)}')


def _replay(word: str, publisher: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.*?-]+", publisher):
        raise ValueError(f'"{word}": after replay: stands the name of a publisher, such as default, or *')
    return word


def _command(word: str, text: str) -> str:
    parsed = _COMMAND.fullmatch(text)
    if parsed:
        return " ".join(part for part in parsed.groups() if part)
    name = text.partition(" ")[0]
    if "*" in name or "?" in name:
        raise ValueError(f'"{word}": a command is allowed by its whole name; * and ? may stand in its arguments')
    raise ValueError(f'"{word}": after the colon stands a command ([A-Za-z0-9_-]), then perhaps a space and arguments')


def _event(word: str, text: str) -> str:
    name, caret, subclass = text.partition("^")
    name = name.upper()
    if " " in text or (caret and (name != "CUSTOM" or not subclass)):
        raise ValueError(f'"{word}" is neither sendevent:NAME nor sendevent:CUSTOM^SUBCLASS, without spaces')
    if caret:
        return f"CUSTOM^{subclass}"
    if "::" in text:
        subclass = re.sub("^CUSTOM::", "", text, flags=re.IGNORECASE)
        raise ValueError(f'"{word}": a subclass is written with ^ (did you mean "sendevent:CUSTOM^{subclass}"?)')
    pattern = re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in name))
    if not any(pattern.fullmatch(known) for known in EVENT_NAMES):
        near = difflib.get_close_matches(name, EVENT_NAMES, 1)
        hint = f' (did you mean "sendevent:{near[0]}"?)' if near else "; one's own events are CUSTOM^SUBCLASS"
        raise ValueError(f'"{word}": FreeSWITCH has no event "{name}"{hint}')
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
