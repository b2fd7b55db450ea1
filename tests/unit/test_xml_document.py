"""Documents from services, before FreeSWITCH's parser sees them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from freeswitch_zmq.xml_document import DEPTH_AT_MOST, WIDTH_AT_MOST, check_document

NOT_FOUND = '<document type="freeswitch/xml"><section name="result"><result status="not found"/></section></document>'


def document(inside: str = "", section: str = "directory") -> str:
    return f'<document type="freeswitch/xml"><section name="{section}">{inside}</section></document>'


def test_what_is_right_comes_back_in_utf8() -> None:
    text = document('<domain name="ä">Grüße &amp; mehr</domain>')
    assert check_document(text, "directory", 1000) == text.encode()
    assert check_document(f"  \n{text}\n", "directory", 1000) == text.encode()
    declared = f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- {{}} -->{text}'
    assert check_document(declared, "directory", 1000) == declared.encode()


def test_not_found() -> None:
    assert check_document(NOT_FOUND, "directory", 1000) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "no string"),
        (1, "no string"),
        (b"<document/>", "no string"),
        ("", "not well-formed"),
        ("<document>", "not well-formed"),
        (document("<user id=>"), "not well-formed"),
        (document("&nbsp;"), "not well-formed"),
        (document() + document(), "not well-formed"),
        (document("\x01"), "not well-formed"),
        (document("\0"), "NUL"),
        (document("\ud800"), "half a character"),
        (document(section="dialplan"), 'no <section name="directory">'),
        ("<section/>", "begins with <section>"),
        (f"<document><x>{document()}</x></document>", "no <section"),
        ('<!DOCTYPE d [<!ENTITY a "aaaa">]>' + document("&a;"), "DOCTYPE"),
        ("<!DOCTYPE document>" + document(), "DOCTYPE"),
        (document("<a>" * DEPTH_AT_MOST + "</a>" * DEPTH_AT_MOST), "nested deeper"),
        (document("x" * 1000), "response-max-bytes is 1000"),
    ],
)
def test_what_is_wrong(text: Any, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        check_document(text, "directory", 1000)


def test_the_depth_that_is_right() -> None:
    inside = DEPTH_AT_MOST - 2
    assert check_document(document("<a>" * inside + "</a>" * inside), "directory", 10_000)


def test_many_elements() -> None:
    for inside in ("<a/>" * (WIDTH_AT_MOST + 1), f"<b>{'<a/>' * (WIDTH_AT_MOST - 2000)}</b>" * 2):
        with pytest.raises(ValueError, match="elements in one"):
            check_document(document(inside), "directory", 10**6)
    # FreeSWITCH takes long for many in one; as many in several are nothing to it.
    assert check_document(document("<a/>" * (WIDTH_AT_MOST - 10)), "directory", 10**6)
    assert check_document(document(f"<b>{'<a/>' * 1000}</b>" * 90), "directory", 10**6)
