"""The directory of users, in files or from an XML handler, and the commands that ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .commands import Commands, Request

if TYPE_CHECKING:
    from .core import Core
    from .events import Event
    from .xmltree import Element

__all__ = ["add_directory_commands", "find_user"]

_DEFAULT_DOMAIN = "cluecon.com"


def find_user(core: Core, key: str, user: str, domain: str, params: Event) -> tuple[Element, ...]:
    """A user's element, then its group's if it is in one, then the domain's; nothing when there is none.

    Args:
        core: The switch.
        key: The attribute that tells users apart, such as `id`.
        user: Its value.
        domain: Where.
        params: What a bound search is told; it gets these three too.
    """
    for name, value in (("key", key), ("user", user), ("domain", domain)):
        params.add(name, value)
    found = core.xml.locate("directory", "domain", "name", domain, params)
    if found is None:
        return ()
    for groups in found.each("groups"):
        for group in groups.each("group"):
            for users in group.each("users"):
                match = _user_in(users, key, user)
                if match is not None:
                    return (match, group, found)
    users_element = found.first("users")
    match = _user_in(users_element if users_element is not None else found, key, user)
    return () if match is None else (match, found)


def _user_in(parent: Element, key: str, user: str) -> Element | None:
    return parent.find("user", key, user)


def add_directory_commands(commands: Commands) -> None:
    """Put them into the table."""
    commands.add("domain_exists", _domain_exists, "<domain>", "Check if a domain exists")
    commands.add("user_data", _user_data, "<user>@<domain> [var|param|attr] <name>", "Find user data")
    commands.add("user_exists", _user_exists, "<key> <user> <domain>", "Find a user")


def _domain_exists(request: Request) -> None:
    params = request.core.event("REQUEST_PARAMS", "mod_commands.c", "domain_exists_function", 1)
    params.add("domain", request.args)
    found = request.core.xml.locate("directory", "domain", "name", request.args, params)
    request.stream.write("false" if found is None else "true")


def _user_exists(request: Request) -> None:
    words = request.words(3)
    if len(words) < 3:
        request.stream.write("-USAGE: <key> <user> <domain>\n")
        return
    params = request.core.event("REQUEST_PARAMS", "mod_commands.c", "user_exists_function", 1)
    found = find_user(request.core, words[0], words[1], words[2], params)
    request.stream.write("true" if found else "false")


def _user_data(request: Request) -> None:
    words = request.words(3)
    if len(words) < 3:
        return
    user, _, domain = words[0].partition("@")
    params = request.core.event("REQUEST_PARAMS", "mod_commands.c", "user_data_function", 1)
    for name, value in (("user", user), ("domain", domain or _DEFAULT_DOMAIN), ("type", words[1])):
        params.add(name, value)
    found: tuple[Element, ...] = ()
    for key in ("id", "number-alias"):
        found = found or find_user(request.core, key, user, domain or _DEFAULT_DOMAIN, params)
    if not found:
        return
    if words[1] == "attr":
        request.stream.write(found[0].attributes.get(words[2], ""))
        return
    container, kind = ("variables", "variable") if words[1] == "var" else ("params", "param")
    for element in found:
        values = element.first(container)
        for child in values.each(kind) if values is not None else ():
            if child.attributes.get("name", "").lower() == words[2].lower():
                request.stream.write(child.attributes.get("value", ""))
                return
