"""What one caller may do with the API: permissions held against what is asked. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable

from freeswitch_zmq.event_names import EVENT_NAMES
from freeswitch_zmq.globs import Glob, has_wildcard
from freeswitch_zmq.shell_equal import is_listed_event, is_shell_equal
from freeswitch_zmq.spelling import BLANKS

__all__ = ["Grants"]

_COMMAND = re.compile(r"[A-Za-z0-9_-]+")
_QUOTES = str.maketrans("", "", "'\"\\")


class Grants:
    """What one caller may do: what `allow` names, without what `deny` takes away.

    `allow` is taken at its word, `deny` loosely: what FreeSWITCH may read as the same is denied too. Still, to deny a
    whole command is sure, to deny some of its arguments only as sure as one knows what else it understands.

    Args:
        allow: permissions as `parse_permissions` gives them.
        deny: the same, with `deny=True`.
    """

    def __init__(self, allow: Iterable[str], deny: Iterable[str] = ()) -> None:
        allow, deny = tuple(allow), tuple(deny)
        self._methods = {"ping", "status"} & set(allow) - set(deny)
        self._replay = [Glob(rest) for rest in _rests(allow, "replay")]
        self._no_replay = [_LooseGlob(rest) for rest in _rests(deny, "replay")]
        self._commands = {kind: [_Allowed(kind, rest) for rest in _rests(allow, kind)] for kind in ("api", "bgapi")}
        self._no_commands = {kind: [_Denied(rest) for rest in _rests(deny, kind)] for kind in ("api", "bgapi")}
        self._events = [_Event(rest) for rest in _rests(allow, "sendevent")]
        self._no_events = [_Event(rest) for rest in _rests(deny, "sendevent")]

    def method(self, name: str) -> bool:
        """Whether it may call `ping`, or `status`."""
        return name in self._methods

    def replay(self, publisher: str) -> bool:
        """Whether it may have events of that publisher again."""
        if any(glob.matches(publisher) for glob in self._no_replay):
            return False
        return any(glob.matches(publisher) for glob in self._replay)

    def command(self, kind: str, command: str, args: str) -> str | None:
        """The permission by which it may run a command, or None.

        Args:
            kind: `api` or `bgapi`.
            command: its name.
            args: its arguments, or nothing.
        """
        name, args = _name(command), args.strip(BLANKS)
        if not name or "\0" in args:  # of the arguments FreeSWITCH would see less than we do
            return None
        denied = [each for each in self._no_commands.get(kind, ()) if each.concerns(name)]
        if denied:
            forms = _line_forms(name, args)  # once: arguments may be long, and patterns many
            if any(each.takes(name, forms) for each in denied):
                return None
        return next((allowed.text for allowed in self._commands.get(kind, ()) if allowed.grants(name, args)), None)

    def some_command(self, kind: str, command: str) -> bool:
        """Whether it may run a command with any arguments at all."""
        name = _name(command)
        if not name or any(denied.takes_all(name) for denied in self._no_commands.get(kind, ())):
            return False
        return any(
            allowed.grants_some(name)
            if has_wildcard(allowed.line)
            else allowed.word == name and self.command(kind, name, allowed.args) is not None
            for allowed in self._commands.get(kind, ())
        )

    def event(self, name: str, subclass: str) -> str | None:
        """The permission by which it may send an event, or None; also when there is no such event.

        Args:
            name: such as `CUSTOM`, in any case.
            subclass: of a CUSTOM event, or nothing.
        """
        # FreeSWITCH knows a name behind any 13 characters too, takes an unknown one for MESSAGE, and makes CUSTOM of
        # whatever has a subclass.
        name = name.upper() if name.isascii() else ""
        if name not in EVENT_NAMES or "\0" in subclass or (subclass and name != "CUSTOM"):
            return None
        if any(denied.takes(name, subclass) for denied in self._no_events):
            return None
        return next((f"sendevent:{allowed.text}" for allowed in self._events if allowed.grants(name, subclass)), None)


def _rests(texts: Iterable[str], kind: str) -> list[str]:
    """What stands behind the colon of the permissions of a kind."""
    return [text[len(kind) + 1 :] for text in texts if text.startswith(f"{kind}:")]


def _name(command: str) -> str:
    """A command as FreeSWITCH looks it up, or nothing when it is no single name."""
    command = command.strip(BLANKS)
    return command.lower() if _COMMAND.fullmatch(command) else ""


class _Allowed:
    """COMMAND [ARGS] in `allow`: the whole of it is `text`, its first word is `word`."""

    def __init__(self, kind: str, line: str) -> None:
        self.text = f"{kind}:{line}"
        self.line = line
        self.word, _, self.args = line.partition(" ")
        self._word = Glob(self.word)
        self._line = Glob(line)

    def grants(self, name: str, args: str) -> bool:
        if not self._may_name(name):
            return False
        if not args and self.args == "*" and self._word.matches(name):
            return True  # `show *` is for `show` too
        return self._line.matches(_line(name, args))

    def grants_some(self, name: str) -> bool:
        return self._may_name(name) and (self.grants(name, "") or self._line.may_go_on(f"{name} "))

    def _may_name(self, name: str) -> bool:
        return self.word == name or (has_wildcard(self.word) and not is_shell_equal(name))


class _Denied:
    """COMMAND [ARGS] in `deny`."""

    def __init__(self, line: str) -> None:
        word, _, self._args = line.partition(" ")
        self._word = _LooseGlob(word)
        self._is_name = not has_wildcard(word)
        self._lines = [_LooseGlob(line), _LooseGlob(re.sub(r"( \*+)+$", "", line))]  # `show *` is for `show` too

    def concerns(self, name: str) -> bool:
        """Whether it can take a command at all."""
        return not self._is_name or self._word.matches(name)

    def takes(self, name: str, forms: set[str]) -> bool:
        """Whether it takes a line that may be read in these forms (`_line_forms`)."""
        return self.takes_all(name) or any(glob.matches_one(forms) for glob in self._lines)

    def takes_all(self, name: str) -> bool:
        """Whether it takes a command whatever the arguments are."""
        return not self._args.strip("* ") and self._word.matches(name)


class _Event:
    """NAME or CUSTOM^SUBCLASS."""

    def __init__(self, text: str) -> None:
        self.text = text
        name, self._caret, subclass = text.partition("^")
        self._name = Glob(name)
        self._subclass = Glob(subclass)
        self._loose = _LooseGlob(subclass)

    def grants(self, name: str, subclass: str) -> bool:
        if is_listed_event(name, subclass):
            return self.text == (f"CUSTOM^{subclass}" if subclass else name)
        return self._name.matches(name) and (not self._caret or self._subclass.matches(subclass))

    def takes(self, name: str, subclass: str) -> bool:
        return self._name.matches(name) and (not self._caret or self._loose.matches(subclass))


class _LooseGlob:
    """A pattern that matches whatever may be read as what it matches."""

    def __init__(self, pattern: str) -> None:
        self._globs = [Glob(form) for form in _forms(pattern)]

    def matches(self, text: str) -> bool:
        return self.matches_one(_forms(text))

    def matches_one(self, forms: set[str]) -> bool:
        return any(glob.matches(form) for glob in self._globs for form in forms)


def _forms(text: str) -> set[str]:
    """A text as it is, and in small letters without quotes, backslashes and more than one space in a row.

    A backslash before n, r, s or t is also read as what FreeSWITCH takes it for: white space.
    """
    folded = text.casefold()
    return {text} | {" ".join(form.translate(_QUOTES).split()) for form in (folded, re.sub(r"\\[nrst]", " ", folded))}


def _line_forms(name: str, args: str) -> set[str]:
    """The forms in which FreeSWITCH may read a command and its arguments."""
    forms = _forms(_line(name, args))
    # It splits arguments that begin with ^^ at the character behind it, instead of at spaces.
    before, carets, after = args.partition("^^")
    if carets and after:
        forms |= _forms(_line(name, f"{before} {after[1:].replace(after[0], ' ')}"))
    return forms


def _line(name: str, args: str) -> str:
    return f"{name} {args}" if args else name
