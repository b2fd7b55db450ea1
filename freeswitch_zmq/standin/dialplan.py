"""The XML dialplan: which applications a number leads to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from . import text
from .expand import expand

if TYPE_CHECKING:
    from .channel import Channel
    from .core import Core
    from .xmltree import Element

__all__ = ["BUILT_IN_CONTEXT", "Action", "route"]

BUILT_IN_CONTEXT = "standin"
"""A context that is in no file: every number in it answers, and hangs up a moment later."""


class Action(NamedTuple):
    """An application to run; its data is expanded when it runs."""

    application: str
    data: str


_BUILT_IN = (Action("answer", ""), Action("sleep", "200"), Action("hangup", "NORMAL_CLEARING"))


def route(core: Core, channel: Channel, exten: str, context: str) -> tuple[Action, ...]:
    """What a number leads to in a context; nothing when it is not there.

    Args:
        core: The switch.
        channel: Who calls, for conditions on anything but the number.
        exten: The number.
        context: The context.
    """
    if context == BUILT_IN_CONTEXT:
        return _BUILT_IN
    params = core.event("REQUEST_PARAMS", "mod_dialplan_xml.c", "dialplan_xml_locate", 541)
    params.headers += [
        header for header in channel.data().headers if header[0].startswith(("Channel-", "Caller-", "variable_"))
    ]
    params.add("Hunt-Destination-Number", exten)
    params.add("Hunt-Context", context)
    section = core.xml.locate("dialplan", None, None, None, params)
    found = None
    if section is not None:
        found = section.find("context", "name", context) or section.find("context", "name", "global")
    if found is None:
        core.say("WARNING", f"Context {context} not found\n", "mod_dialplan_xml.c", 582)
        return ()
    actions: list[Action] = []
    for extension in found.each("extension"):
        taken = _actions_of(core, channel, extension, exten)
        if taken is not None:
            actions += taken
            if not text.is_true(extension.attributes.get("continue")):
                break
    return tuple(actions)


def _actions_of(core: Core, channel: Channel, extension: Element, exten: str) -> list[Action] | None:
    """The actions of an extension; None when its conditions do not hold."""
    actions: list[Action] = []
    holds = True
    for condition in extension.each("condition"):
        match = _match(core, channel, condition, exten)
        if match is not None and match.groups():
            channel.set("DP_MATCH", (match.group(), *(group or "" for group in match.groups())))
        for child in condition.children:
            if child.name == ("action" if match else "anti-action"):
                data = child.attributes.get("data", child.text)
                actions.append(Action(child.attributes.get("application", ""), _groups(data, match)))
        rule = condition.attributes.get("break", "on-false").lower()
        if match is None:
            holds = False
        if rule == "always" or (rule == "on-false" and match is None) or (rule == "on-true" and match is not None):
            break
    return actions if holds or actions else None


def _match(core: Core, channel: Channel, condition: Element, exten: str) -> re.Match[str] | None:
    field = condition.attributes.get("field", "")
    expression = condition.attributes.get("expression", "")
    if field == "destination_number":
        value = exten
    elif "${" in field:
        value = expand(field, channel.get, channel.parts, core.variables.get, core.commands.output)
    else:
        value = channel.get(field) or ""
    if not field:
        expression = ""  # Without a field it always holds.
    try:
        return re.search(expression, value)
    except re.error as error:
        core.say("ERR", f"COMPILE ERROR: {error} [{expression}]\n", "switch_regex.c", 91)
        return None


def _groups(data: str, match: re.Match[str] | None) -> str:
    if match is None:
        return data
    groups = (match.group(), *match.groups())
    return re.sub(r"\$(\d)", lambda at: groups[int(at.group(1))] or "" if int(at.group(1)) < len(groups) else "", data)
