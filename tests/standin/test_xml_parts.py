"""How the stand-in reads and prints XML; `tests/contract/test_xml.py` has what a real switch shows of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from freeswitch_zmq.standin.variables import Variables
from freeswitch_zmq.standin.xmlconfig import ConfigError, SearchBinding, XmlRegistry, sections_named
from freeswitch_zmq.standin.xmltree import XmlError, parse, to_xml

Log = list[tuple[str, str]]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("<a>\n<b>\n</a>\n", "[error near line 3]: unexpected closing tag </a>"),
        ('<a>\n<b c="1"/\n</a>\n', "[error near line 2]: missing >"),
        ('<a>\n<b c="1/>\n</a>\n', '[error near line 2]: missing "'),
        ("<a>\n\n", "[error near line 1]: unclosed tag <a>"),
        ("<a>\n<!-- </a>\n", "[error near line 2]: unclosed <!--"),
        ("<a>\n<![CDATA[ </a>\n", "[error near line 2]: unclosed <![CDATA["),
        ("<a>\n< b/></a>\n", "[error near line 2]: unexpected <"),
        ("<a/>\n<b/>\n", "[error near line 2]: markup outside of root element"),
        ("no xml", "[error near line 1]: root tag missing"),
        # Line breaks behind a tag's name are not counted.
        ("<a\n\n>\n</b>\n", "[error near line 2]: unexpected closing tag </b>"),
    ],
)
def test_mistakes(source: str, message: str) -> None:
    with pytest.raises(XmlError) as caught:
        parse(source)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        ("<a/>", "<a></a>\n"),
        ('<a b="1" b="2" c=d e/>', '<a b="1" c="" d="" e=""></a>\n'),
        ("<a>\n <b/>\n</a>", "<a>\n   <b></b>\n\n</a>\n"),
        ("<a>x &lt; &amp;amp; &#65; &no;</a>", "<a>x &lt; &amp;amp; A &amp;no;</a>\n"),
        ("<a><![CDATA[<x> & y]]></a>", "<a>&lt;x&gt; &amp; y</a>\n"),
        ('<a b="&quot;&#10;\t"/>', '<a b="&quot;&#xA; "></a>\n'),
        ("<a>m\u00fc \U0001f600</a>", "<a>m&#xFC; &#x1F600;</a>\n"),
        # Text behind the children is printed before each of them that has no text of its own in front.
        ("<a><b/><c/>z</a>", "<a>z  <b></b>\nz  <c></c>\nz</a>\n"),
        ("<a>t <!-- c --> u</a>", "<a>t  u</a>\n"),
        ("<a><![CDATA[x <!-- & y]]></a>", "<a>x <!-- & y</a>\n"),
    ],
)
def test_printing(source: str, printed: str) -> None:
    assert to_xml(parse(source)) == printed


def registry(folder: Path, **files: str) -> tuple[XmlRegistry, Variables, Log]:
    for name, text in files.items():
        (folder / f"{name}.xml").write_text(text, "utf-8")
    variables, log = Variables(), Log()
    return XmlRegistry(folder, variables, lambda level, text: log.append((level, text))), variables, log


def test_preprocessing(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.xml").write_text('<include>\n<p n="b"/>\n</include>\n', "utf-8")
    (tmp_path / "sub" / "a.xml").write_text('<p n="a" v="$${one}$${none}-$${two}"/>\n', "utf-8")
    xml, variables, log = registry(
        tmp_path,
        freeswitch="""<?xml version="1.0"?>
        <document>
        <lost/><X-PRE-PROCESS cmd="set" data="one = 1"/>
        <x-pre-process cmd="set" data="two=2 2"/>
        <!-- <X-PRE-PROCESS cmd="set" data="comment=counts"/> -->
        <section name="configuration">
        <X-PRE-PROCESS cmd="include" data="sub/*.xml"/>
        <X-PRE-PROCESS cmd="include" data="nowhere/*.xml"/>
        </section></document>""",
    )
    xml.load()
    section = xml.locate("configuration", None, None, None)
    assert section is not None
    # What stands in the line of a command goes with it.
    assert [child.name for child in xml.root.children] == ["section"]
    assert [child.attributes for child in section.children] == [{"n": "a", "v": "1-2 2"}, {"n": "b"}]
    assert variables.get("COMMENT") == "counts"
    assert ("INFO", f"No files to include at {tmp_path}/nowhere/*.xml\n") in log


def test_a_failed_reload_keeps_the_old(tmp_path: Path) -> None:
    good = '<document>\n<section name="configuration"><configuration name="x.conf"/></section></document>'
    xml, _, _ = registry(tmp_path, freeswitch=good)
    xml.load()
    (tmp_path / "freeswitch.xml").write_text("<document>\n</x>\n", "utf-8")
    with pytest.raises(ConfigError, match=r"\[error near line 2\]: unexpected closing tag </x>"):
        xml.load()
    assert xml.configuration("X.CONF") is not None
    (tmp_path / "freeswitch.xml").unlink()
    with pytest.raises(ConfigError, match="Cannot Open log directory or XML Root!"):
        xml.load()
    assert xml.configuration("x.conf") is not None


def test_an_include_that_includes_itself_ends(tmp_path: Path) -> None:
    xml, _, log = registry(tmp_path, freeswitch='<X-PRE-PROCESS cmd="include" data="freeswitch.xml"/>\n<document/>\n')
    with pytest.raises(ConfigError):
        xml.load()
    assert any("Error including" in text for _, text in log)


def test_a_search_comes_before_the_files(tmp_path: Path) -> None:
    files = '<document><section name="directory"><domain name="d" from="file"/></section></document>'
    xml, _, log = registry(tmp_path, freeswitch=files)
    xml.load()
    answers: list[str | None] = [files.replace('"file"', '"search"'), None, "<broken", "<document/>"]
    xml.bind(SearchBinding(sections_named("directory"), lambda *_: answers.pop(0)))
    found = [xml.locate("directory", "domain", "name", "D") for _ in range(4)]
    assert [each.attributes["from"] for each in found if each is not None] == ["search", "file", "file", "file"]
    assert xml.locate("configuration", "x", "y", "z") is None
    assert not answers
    assert [text for level, text in log if level == "ERR"] == ["Error[[error near line 1]: missing >]\n"]


def test_words_for_sections() -> None:
    assert sections_named("Dialplan|directory") == {"dialplan", "directory"}
    assert sections_named("phrases") == frozenset()
