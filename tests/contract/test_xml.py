"""The XML registry: files, reloadxml, and scripts that answer lookups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from tests.conftest import SwitchFactory
from tests.support.switch import Switch

from .probing import Probe

NAME = "contract.conf"
LOCATE = f"xml_locate configuration configuration name {NAME}"
NOT_FOUND = "can't find anything\n"


@pytest.fixture(autouse=True)
def tidy(switch: Switch) -> Iterator[None]:
    yield
    (switch.conf_dir / "autoload_configs" / f"{NAME}.xml").unlink(missing_ok=True)
    switch.api("reloadxml")


def configure(switch: Switch, inside: str) -> str:
    switch.write_config(f'<configuration name="{NAME}">\n{inside}\n</configuration>\n', f"{NAME}.xml")
    return switch.api("reloadxml")


def test_what_is_not_there(switch: Switch) -> None:
    assert switch.api(LOCATE) == NOT_FOUND


def test_a_file_counts_from_reloadxml_on(switch: Switch) -> None:
    switch.write_config(f'<configuration name="{NAME}"/>', f"{NAME}.xml")
    assert switch.api(LOCATE) == NOT_FOUND
    assert switch.api("reloadxml") == "+OK [Success]\n"
    assert ElementTree.fromstring(switch.api(LOCATE)).attrib == {"name": NAME}


def test_what_is_found(switch: Switch) -> None:
    inside = (
        '<!-- a comment\n of two lines --><settings a="1">\n'
        '<param name="x" value="&lt;&amp;&quot;&gt; ä € 😀"/><b>text</b></settings>'
    )
    assert configure(switch, inside) == "+OK [Success]\n"
    found = ElementTree.fromstring(switch.api(LOCATE))
    assert [(element.tag, dict(element.attrib)) for element in found.iter()] == [
        ("configuration", {"name": NAME}),
        ("settings", {"a": "1"}),
        ("param", {"name": "x", "value": '<&"> ä € 😀'}),
        ("b", {}),
    ]
    text = found.find("settings/b")
    assert text is not None
    assert (text.text or "").strip() == "text"


def test_variables(switch: Switch) -> None:
    configure(switch, '<v known="$${esl_port}" unknown="-$${no_such_variable}-" other="${channel}"/>')
    found = ElementTree.fromstring(switch.api(LOCATE)).find("v")
    assert found is not None
    assert found.attrib == {"known": str(switch.esl_port), "unknown": "--", "other": "${channel}"}


def test_directives(switch: Switch) -> None:
    switch.write_config(
        '<include>\n<X-PRE-PROCESS cmd="set" data="contract_directive=set here"/>\n'
        f'<configuration name="{NAME}">\n<v is="$${{contract_directive}}"/>\n</configuration>\n</include>\n',
        f"{NAME}.xml",
    )
    switch.api("reloadxml")
    found = ElementTree.fromstring(switch.api(LOCATE)).find("v")
    assert found is not None
    assert found.attrib == {"is": "set here"}


@pytest.mark.parametrize(
    "broken",
    ["<settings>", "</settings>", '<param name="x>', "<a></b>", "<"],
)
def test_a_broken_file_leaves_the_old_xml(switch: Switch, broken: str) -> None:
    configure(switch, '<good is="1"/>')
    old = switch.api(LOCATE)
    assert re.fullmatch(r"\+OK \[\[error near line \d+\]: .+\]\n", configure(switch, broken))
    assert switch.api(LOCATE) == old
    assert configure(switch, '<good is="2"/>') == "+OK [Success]\n"
    assert 'is="2"' in switch.api(LOCATE)


def test_a_file_that_is_gone(switch: Switch) -> None:
    configure(switch, "")
    assert switch.api(LOCATE) != NOT_FOUND
    (switch.conf_dir / "autoload_configs" / f"{NAME}.xml").unlink()
    assert switch.api("reloadxml") == "+OK [Success]\n"
    assert switch.api(LOCATE) == NOT_FOUND


def test_in_the_background(switch: Switch, probe: Probe) -> None:
    configure(switch, '<good is="1"/>')
    with probe.consumer("BACKGROUND_JOB") as consumer:
        probe.call("probe_commands", "execute", f"bgapi uuid:contract-xml {LOCATE}")
        job = consumer.take("BACKGROUND_JOB")
    assert job.body == switch.api(LOCATE).encode()


def test_reloadxml_is_an_event(switch: Switch, probe: Probe) -> None:
    with probe.consumer("RELOADXML") as consumer:
        switch.api("reloadxml")
        assert consumer.take("RELOADXML").name == "RELOADXML"


def test_a_lookup_reaches_the_bound_script(switch: Switch, probe: Probe) -> None:
    found = ElementTree.fromstring(switch.api("xml_locate directory domain name found"))
    assert [(element.tag, dict(element.attrib)) for element in found.iter()] == [
        ("domain", {"name": "found"}),
        ("params", {}),
        ("param", {"name": "greeting", "value": "<hello>"}),
    ]
    (note,) = probe.calls()
    assert note["type"] == "Event"
    assert note["args"] == ""
    names = ("section", "tag_name", "key_name", "key_value")
    assert [note[name] for name in names] == ["directory", "domain", "name", "found"]
    event = bytes.fromhex(note["event"]).decode()
    assert event.startswith(
        '{"key_value":"found","key_name":"name","tag_name":"domain","section":"directory",'
        '"Event-Name":"REQUEST_PARAMS","Core-UUID":"'
    )
    assert event.endswith(',"tag":"domain","tag_attr_name":"name","tag_attr_val":"found"}')


def test_a_lookup_of_another_section_does_not(switch: Switch, probe: Probe) -> None:
    switch.api(LOCATE)
    assert probe.calls() == []


@pytest.mark.parametrize(
    ("domain", "logged"),
    [
        ("unknown", None),
        ("empty", "No Result"),
        ("broken", "Error[[error near line 1]"),
        ("raises", "Message: on purpose"),
    ],
)
def test_an_answer_that_is_no_good_is_not_found(switch: Switch, probe: Probe, domain: str, logged: str | None) -> None:
    before = switch.log_text().count(logged) if logged else 0
    assert switch.api(f"xml_locate directory domain name {domain}") == NOT_FOUND
    assert [note["key_value"] for note in probe.calls()] == [domain]
    if logged:
        switch.wait_log(logged, before + 1)


def test_an_unknown_word_alone_binds_everything(switch_factory: SwitchFactory, scripts_dir: object) -> None:
    switch = switch_factory(scripts_dir=scripts_dir, script="probe_hooks", xml_handler_bindings="phrases")
    probe = Probe(switch)
    probe.calls()
    assert switch.api(LOCATE) == NOT_FOUND
    assert [note["section"] for note in probe.calls()] == ["configuration"]
    switch.kill()  # Nothing about its end is in question, and FreeSWITCH would take four seconds.
