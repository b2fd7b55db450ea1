"""Documents: made by ElementTree, held against what a switch takes, and never broken by what stands in them."""

from __future__ import annotations

import hashlib
from typing import Any
from xml.etree import ElementTree

import hypothesis
import pytest
from hypothesis import strategies as st

from freeswitch_zmq.client.service import (
    a1_hash,
    action,
    answer,
    configuration,
    dialplan,
    directory,
    document,
    extension,
    not_found,
    user,
)
from freeswitch_zmq.client.service.documents import document_of
from freeswitch_zmq.xml_document import check_document

BYTES = 1_048_576
HOSTILE = '"><user id="x'


def parsed(answer: Any, section: str) -> ElementTree.Element:
    text = document_of(answer, section, BYTES)
    assert text is not None
    encoded = check_document(text, section, BYTES)
    assert encoded is not None
    return ElementTree.fromstring(encoded)


def test_a_directory() -> None:
    found = parsed(
        directory(
            "example.com",
            user("1000", password="s3cret", params={"vm-password": "1"}, variables={"user_context": "default"}),
            user("1001", a1_hash="0" * 32, attributes={"number-alias": "42"}),
            params={"dial-string": "${sofia_contact(x)}"},
            variables={"a": "b"},
        ),
        "directory",
    )
    domain = found.find("section[@name='directory']/domain[@name='example.com']")
    assert domain is not None
    assert domain.find("params/param[@name='dial-string']") is not None
    assert domain.find("variables/variable[@name='a']") is not None
    first, second = domain.findall("groups/group[@name='default']/users/user")
    assert [(each.get("name"), each.get("value")) for each in first.iter("param")] == [
        ("password", "s3cret"),
        ("vm-password", "1"),
    ]
    assert first.find("variables/variable").attrib == {"name": "user_context", "value": "default"}  # type: ignore[union-attr]  # it is there
    assert second.attrib == {"id": "1001", "number-alias": "42"}
    assert [(each.get("name"), each.get("value")) for each in second.iter("param")] == [("a1-hash", "0" * 32)]


def test_nobody_registers_as_a_user_without_a_secret() -> None:
    [param] = user("1000").iter("param")
    assert param.attrib == {"name": "allow-empty-password", "value": "false"}
    [param] = user("1000", params={"Allow-Empty-Password": "true"}).iter("param")
    assert param.get("value") == "true"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"a1_hash": "0" * 32, "password": "x"}, "not both"),
        ({"password": ""}, "would let in anybody"),
        ({"a1_hash": "x"}, "32 small hex digits"),
        ({"a1_hash": ""}, "32 small hex digits"),
        ({"params": {"Password": "x"}}, "not among the params"),
        ({"params": {"a1-hash": "x"}}, "not among the params"),
        ({"password": "a\0b"}, "XML can't hold"),
        ({"variables": {"a": "\x1b"}}, "XML can't hold"),
        ({"variables": {"a": "\ud800"}}, "XML can't hold"),
        ({"variables": {"a": "\uffff"}}, "XML can't hold"),
        ({"variables": {"caller_name": "a\0"}}, 'the variable "caller_name" of the user "1000" has U.0000 in it'),
        ({"params": {"a\x1b": "a"}}, 'the name of a param of the user "1000" has U.001B in it'),
        ({"variables": {"a": 5}}, 'the variable "a" of the user "1000" is a string, not int'),
        ({"variables": {5: "a"}}, 'the name of a variable of the user "1000" is a string, not int'),
        ({"attributes": {"a": 5}}, 'the attribute "a" of the user "1000" is a string, not int'),
        ({"attributes": {5: "a"}}, 'the name of an attribute of the user "1000" is a string, not int'),
        ({"attributes": {'x="1"/><user id="admin"><y': "z"}}, 'an attribute of the user "1000" .* no name in XML'),
        ({"attributes": {"": "z"}}, "no name in XML"),
        ({"attributes": {"a b": "z"}}, "no name in XML"),
        ({"attributes": {"1a": "z"}}, "no name in XML"),
        ({"attributes": {"a\n": "z"}}, "no name in XML"),
    ],
)
def test_users_that_are_none(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        user("1000", **arguments)
    with pytest.raises(ValueError, match="XML can't hold"):
        user("\x00")


def test_a1_hash_against_a_known_value() -> None:
    # HA1 of the example in RFC 2617, 3.5.
    assert a1_hash("Mufasa", "testrealm@host.com", "Circle Of Life") == "939e7578ed9e3c518a452acee763bce9"
    assert a1_hash("ü", "é", "ß") == hashlib.md5("ü:é:ß".encode()).hexdigest()
    for wrong in (("a:b", "c"), ("a", "b:c")):
        with pytest.raises(ValueError, match='has a ":" in it'):
            a1_hash(*wrong, "x")


@pytest.mark.parametrize("text", [HOSTILE, "<&>'\"]]>", "&#0;", "<!-- -->", "a\tb\nc\rd", "ä€😀", "${x}", "%"])
def test_hostile_texts_stay_texts(text: str) -> None:
    made = directory(text, user(text, password=text, params={text: text}, variables={text: text}), group=text)
    found = parsed(made, "directory")
    [domain] = found.iter("domain")
    [only] = found.iter("user")
    assert (domain.get("name"), only.get("id")) == (text, text)
    assert {each.get("value") for each in only.iter("param")} == {text}
    assert [each.attrib for each in only.iter("variable")] == [{"name": text, "value": text}]


@hypothesis.given(st.text(max_size=20))
def test_any_text_is_held_or_refused(text: str) -> None:
    try:
        made = directory("example.com", user("1000", variables={"v": text}))
    except ValueError:
        return
    [variable] = parsed(made, "directory").iter("variable")
    assert variable.get("value") == text


def test_a_dialplan() -> None:
    conditions = ("destination_number", "^9196$"), ("caller_id_number", "^1")
    found = parsed(
        dialplan("default", extension("echo", [answer(), action("echo")], *conditions, continues=True)), "dialplan"
    )
    [made] = found.iter("extension")
    assert made.attrib == {"name": "echo", "continue": "true"}
    first, last = made.findall("condition")
    assert first.attrib == {"field": "destination_number", "expression": "^9196$"}
    assert (len(first), last.get("field")) == (0, "caller_id_number")
    assert [each.attrib for each in last] == [{"application": "answer"}, {"application": "echo"}]
    [always] = extension("always", [action("log", "INFO x")])
    assert (always.tag, always.attrib, always[0].get("data")) == ("condition", {}, "INFO x")


@pytest.mark.parametrize("given", [answer(), ["answer"], [("answer",)], [answer()], iter([answer()])])
def test_actions_are_written_as_in_a_reply(given: Any) -> None:
    [condition] = extension("e", given)
    assert [each.attrib for each in condition] == [{"application": "answer"}]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("answer", "into a list"),
        (("playback", "a.wav"), "into a list"),
        ([("bridge", "${system(touch /tmp/x)}")], r"has \$\{…\} in it"),
        ([("no name", "")], "name of an application"),
        ([("playback", 5)], "is a string, not int"),
        ([5], "an action is such as"),
        (None, "given in a list, not as NoneType"),
        ([action("log", "INFO \x1b")], 'the argument of "log" of the extension "e" has U.001B in it'),
    ],
)
def test_actions_that_are_none(given: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        extension("e", given)


@pytest.mark.parametrize("condition", ["destination_number", ("destination_number",), ("destination_number", 5)])
def test_conditions_that_are_none(condition: Any) -> None:
    with pytest.raises(ValueError, match='condition of the extension "e" is '):
        extension("e", [answer()], condition)


def test_children_that_are_no_elements() -> None:
    wrong: Any = "1000"
    with pytest.raises(TypeError):
        directory("example.com", wrong)


def test_a_configuration() -> None:
    more = ElementTree.Element("menus")
    found = parsed(configuration("ivr.conf", {"a": "b"}, more), "configuration")
    [made] = found.iter("configuration")
    assert made.get("name") == "ivr.conf"
    assert [each.tag for each in made] == ["settings", "menus"]
    assert len(configuration("x.conf")) == 0


def test_what_a_handler_may_answer() -> None:
    whole = document("directory", ElementTree.Element("domain", name="a"))
    text = ElementTree.tostring(whole, encoding="unicode")
    section = whole[0]
    for given in (whole, section, section[0], text, text.encode(), f"\n<?xml version='1.0'?>{text}".strip()):
        assert parsed(given, "directory").find("section/domain[@name='a']") is not None
    for nothing in (None, not_found(), ElementTree.tostring(not_found())):
        assert document_of(nothing, "directory", BYTES) is None


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (3, "an Element, a document or None, not int"),
        (user("1000"), r'a directory has a <domain> at its top, not <user>: answer with directory\("DOMAIN", user'),
        ("", "not well-formed"),
        (b"\xff", "utf-8"),
        ("<document>", "not well-formed"),
        ("<!DOCTYPE document []><document/>", "DOCTYPE"),
        (document("dialplan"), 'no <section name="directory">'),
        (ElementTree.Element("domain", {"name": 5}), "can't be written down"),  # type: ignore[dict-item]  # wrong
        (ElementTree.Element("domain", {"name": "\x01"}), "not well-formed"),
        (document("directory", ElementTree.Element("x" * BYTES)), "response-max-bytes"),
    ],
)
def test_what_a_switch_would_not_take(given: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        document_of(given, "directory", BYTES)


@pytest.mark.parametrize(
    ("section", "given", "text"),
    [
        ("dialplan", extension("e", [answer()]), r"a dialplan has a <context> at its top, .*: answer with dialplan\("),
        ("configuration", ElementTree.Element("settings"), "has a <configuration> at its top, not <settings>"),
    ],
)
def test_what_lacks_its_top(section: str, given: ElementTree.Element, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        document_of(given, section, BYTES)
