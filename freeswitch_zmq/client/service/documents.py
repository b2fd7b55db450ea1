"""FreeSWITCH's XML documents, made with ElementTree, so that no text can become markup. No I/O.

All raise ValueError for a text that XML can't hold, and ElementTree raises TypeError for a child that is no element.
They give elements: what a section holds (`directory`, `dialplan`, `configuration`), which a handler can answer as it
is, or a whole `document`. None but `extension`, in its actions, looks for `${…}`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Optional
from xml.etree.ElementTree import Element, SubElement, tostring

from freeswitch_zmq.client.service.reply import Actions, actions_of
from freeswitch_zmq.spelling import shown
from freeswitch_zmq.xml_document import check_document

__all__ = [
    "a1_hash",
    "configuration",
    "dialplan",
    "directory",
    "document",
    "document_of",
    "extension",
    "not_found",
    "user",
]

_IMPOSSIBLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XML_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")

_TOPS = {
    "directory": ("domain", 'directory("DOMAIN", user(…))'),
    "dialplan": ("context", 'dialplan("CONTEXT", extension(…))'),
    "configuration": ("configuration", 'configuration("NAME.conf", …)'),
}
"""What a section holds, and what makes it."""


def document(section: str, *children: Element) -> Element:
    """A whole document.

    Args:
        section: `directory`, `dialplan`, `configuration`, …
        children: what stands in it.
    """
    root = Element("document", type="freeswitch/xml")
    SubElement(root, "section", name=_text(section, "the name of a section")).extend(children)
    return root


def not_found() -> Element:
    """The document that says that there is none; None as a handler's answer says the same."""
    return document("result", Element("result", status="not found"))


def directory(
    domain: str,
    *users: Element,
    params: Optional[Mapping[str, str]] = None,
    variables: Optional[Mapping[str, str]] = None,
    group: str = "default",
) -> Element:
    """A domain of the directory.

    Args:
        domain: its name.
        users: each from `user`.
        params: of all of them, such as `dial-string`.
        variables: of the calls of all of them.
        group: the one group that they are in.
    """
    found = Element("domain", name=_text(domain, "the name of a domain"))
    whose = f'of the domain "{shown(domain)}"'
    _add_pairs(found, "param", params, whose)
    _add_pairs(found, "variable", variables, whose)
    groups = SubElement(found, "groups")
    group_element = SubElement(groups, "group", name=_text(group, f"the group {whose}"))
    SubElement(group_element, "users").extend(users)
    return found


def user(
    id: str,
    *,
    a1_hash: Optional[str] = None,
    password: Optional[str] = None,
    params: Optional[Mapping[str, str]] = None,
    variables: Optional[Mapping[str, str]] = None,
    attributes: Optional[Mapping[str, str]] = None,
) -> Element:
    """A user of the directory.

    FreeSWITCH lets in anybody as a user who has neither hash nor password; so without both, `allow-empty-password` is
    false and nobody can register as that user.

    Args:
        id: the user's name, as it registers.
        a1_hash: from the function `a1_hash`, of the same name and of the realm that the phone is told.
        password: in place of that.
        params: others, such as `vm-password`.
        variables: of the user's calls, such as `user_context`.
        attributes: of the element besides `id`, such as `number-alias` or `cacheable`.

    Raises:
        ValueError: hash and password are both given, or one that is empty or no hash; or an attribute has no name.
    """
    given = {str(name).lower() for name in params or {}}
    if given & {"a1-hash", "password"}:
        raise ValueError("a hash or a password is given as a1_hash=… or password=…, not among the params")
    if a1_hash is not None and password is not None:
        raise ValueError("a user has an a1_hash or a password, not both")
    if password == "":  # None says so on purpose
        raise ValueError("with an empty password FreeSWITCH would let in anybody; leave it out for nobody")
    if a1_hash is not None and not _HASH.fullmatch(a1_hash):
        raise ValueError("an a1_hash is 32 small hex digits as the function a1_hash gives (64 with SHA-256)")
    secret = {"a1-hash": a1_hash, "password": password}
    first = {name: value for name, value in secret.items() if value is not None}
    if not first and "allow-empty-password" not in given:
        first = {"allow-empty-password": "false"}
    found = Element("user", id=_text(id, "the id of a user"))
    whose = f'of the user "{shown(id)}"'
    for name, value in (attributes or {}).items():
        if not _XML_NAME.fullmatch(_text(name, f"the name of an attribute {whose}")):
            raise ValueError(f'an attribute {whose} is called "{shown(name)}", which is no name in XML')
        found.set(name, _text(value, f'the attribute "{name}" {whose}'))
    _add_pairs(found, "param", {**first, **(params or {})}, whose)
    _add_pairs(found, "variable", variables, whose)
    return found


def a1_hash(user: str, realm: str, password: str) -> str:
    """What FreeSWITCH takes as a user's `a1-hash`: the MD5 of USER:REALM:PASSWORD, in hex.

    It is as good as the password for registering in that realm, so it is to be kept as secret; but it is not the
    password that people use elsewhere.

    Args:
        user: the name that registers.
        realm: what the phone is told, with FreeSWITCH's default profiles the domain.
        password: any text.

    Raises:
        ValueError: a `:` is in the name or the realm: the hash would be that of another user, too.
    """
    if ":" in user or ":" in realm:
        raise ValueError('neither the user nor the realm of an a1_hash has a ":" in it')
    return hashlib.md5(f"{user}:{realm}:{password}".encode(), usedforsecurity=False).hexdigest()


def dialplan(context: str, *extensions: Element) -> Element:
    """A context of the dialplan.

    Args:
        context: its name.
        extensions: each from `extension`, in the order in which FreeSWITCH tries them.
    """
    found = Element("context", name=_text(context, "the name of a context"))
    found.extend(extensions)
    return found


def extension(name: str, actions: Actions, *conditions: tuple[str, str], continues: bool = False) -> Element:
    """An extension of the dialplan.

    Args:
        name: for people.
        actions: what is done when all conditions hold, written as in a `Reply` and checked in the same way; nothing of
            a call-out's `allow-…` applies here.
        conditions: each a field and a regular expression, such as `("destination_number", "^9196$")`; none: always.
        continues: FreeSWITCH goes on to the next extension afterwards.

    Raises:
        ValueError: an action is not possible, or a condition is none.
    """
    found = Element("extension", name=_text(name, "the name of an extension"))
    whose = f'of the extension "{shown(name)}"'
    if continues:
        found.set("continue", "true")
    last = None
    for condition in conditions:
        field, expression = _condition(condition, whose)
        last = SubElement(found, "condition", field=field, expression=expression)
    if last is None:
        last = SubElement(found, "condition")
    for application, argument in actions_of(actions):
        made = SubElement(last, "action", application=application)
        if argument:
            made.set("data", _text(argument, f'the argument of "{application}" {whose}'))
    return found


def configuration(name: str, settings: Optional[Mapping[str, str]] = None, *children: Element) -> Element:
    """A configuration.

    Args:
        name: such as `ivr.conf`.
        settings: the params of its `<settings>`; None: it has none.
        children: what else stands in it.
    """
    found = Element("configuration", name=_text(name, "the name of a configuration"))
    if settings is not None:
        _add_each(SubElement(found, "settings"), "param", settings, f'of the configuration "{shown(name)}"')
    found.extend(children)
    return found


def document_of(answer: object, section: str, bytes_at_most: int) -> Optional[str]:
    """What a handler meant, as it goes to the switch; None: not found.

    Args:
        answer: an element (a document, a section, or what the section holds), a document as text or UTF-8, or None.
        section: which was asked for.
        bytes_at_most: as the binding's `response-max-bytes`.

    Raises:
        ValueError: it is nothing of that, or FreeSWITCH must not be given it.
    """
    if answer is None:
        return None
    text = _text_of(answer, section)
    return text if check_document(text, section, bytes_at_most) is not None else None


def _text_of(answer: object, section: str) -> str:
    if isinstance(answer, str):
        return answer
    if isinstance(answer, bytes):
        return answer.decode()  # what is not UTF-8 is a ValueError
    if not isinstance(answer, Element):
        raise ValueError(f"a lookup is answered with an Element, a document or None, not {type(answer).__name__}")
    if answer.tag == "section":
        root = Element("document", type="freeswitch/xml")
        root.append(answer)
        answer = root
    elif answer.tag != "document":
        top, helper = _TOPS.get(section, (answer.tag, ""))
        if answer.tag != top:
            raise ValueError(f"a {section} has a <{top}> at its top, not <{shown(answer.tag)}>: answer with {helper}")
        answer = document(section, answer)
    try:
        return tostring(answer, encoding="unicode")
    except TypeError as error:  # an attribute that is no string
        raise ValueError(f"the element can't be written down: {error}") from None


def _text(value: object, what: str) -> str:
    """The value of an attribute. What is wrong with it is told without it, because it may be a password."""
    if not isinstance(value, str):
        raise ValueError(f"{what} is a string, not {type(value).__name__}")
    found = _IMPOSSIBLE.search(value)
    if found is not None:
        raise ValueError(f"{what} has U+{ord(found[0]):04X} in it, which XML can't hold")
    return value


def _condition(given: object, whose: str) -> tuple[str, str]:
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise ValueError(f'a condition {whose} is such as ("destination_number", "^9196$")')
    return _text(given[0], f"the field of a condition {whose}"), _text(
        given[1], f"the expression of a condition {whose}"
    )


def _add_pairs(parent: Element, tag: str, pairs: Optional[Mapping[str, str]], whose: str) -> None:
    """`<params>` with a `<param>` for each, or `<variables>`."""
    if pairs:
        _add_each(SubElement(parent, f"{tag}s"), tag, pairs, whose)


def _add_each(parent: Element, tag: str, pairs: Mapping[str, str], whose: str) -> None:
    for name, value in pairs.items():
        _text(name, f"the name of a {tag} {whose}")
        SubElement(parent, tag, name=name, value=_text(value, f'the {tag} "{shown(name)}" {whose}'))
