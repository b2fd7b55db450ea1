"""What a service may have done to a call, and what of its answers is refused as a whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from freeswitch_zmq.dialplan_answer import ACTIONS_AT_MOST, VARIABLES_AT_MOST, Action, Rules, Turn
from freeswitch_zmq.module.schema import CALLOUT
from freeswitch_zmq.shell_equal import Group
from freeswitch_zmq.shell_equal_calls import APPLICATIONS, VARIABLES, is_listed_application, is_listed_variable

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
DEFAULTS = {parameter.name: parameter.read(parameter.default) for parameter in CALLOUT if parameter.default is not None}


def rules(applications: str = "*", variables: str = "*", expressions: bool = False, known: bool = True) -> Rules:
    return Rules(applications.split(","), variables.split(","), expressions, lambda name: known)


def refused(result: Any, *, by: Rules | None = None, dialplan: str = "XML") -> str:
    with pytest.raises(ValueError, match=r".") as raised:
        (by or rules()).read(result, dialplan)
    return str(raised.value)


def test_an_answer_is_read() -> None:
    result = {"actions": [["answer"], ["playback", "tone_stream://x"], "hangup"], "variables": {"k": "v"}}
    actions = (Action("answer", ""), Action("playback", "tone_stream://x"), Action("hangup", ""))
    assert rules().read(result) == Turn(actions, {"k": "v"}, False)
    assert rules().read({}) == Turn((), {}, False)
    assert rules().read({"continue": True}).again


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (None, "no object"),
        ([], "no object"),
        ("x", "no object"),
        ({"action": []}, '"action" is no part'),
        ({"continue": 1}, "neither true nor false"),
        ({"variables": []}, '"variables" is no object'),
        ({"variables": {"a": 1}}, "no string"),
        ({"variables": {"a b": "1"}}, "no name of a variable"),
        ({"variables": {"nolocal:x": "1"}}, "no name of a variable"),
        ({"variables": {"x[0]": "1"}}, "no name of a variable"),
        ({"variables": {"": "1"}}, "no name of a variable"),
        ({"actions": {}}, "no list"),
        ({"actions": [["answer"]] * (ACTIONS_AT_MOST + 1)}, "no list of"),
        ({"actions": [[]]}, "an action is"),
        ({"actions": [["a", "b", "c"]]}, "an action is"),
        ({"actions": [{"application": "answer"}]}, "an action is"),
        ({"actions": [[1]]}, "no name of an application"),
        ({"actions": [["an swer"]]}, "no name of an application"),
        ({"actions": [["answer", None]]}, "no string"),
        ({"actions": [["log", "INFO a\nb"]]}, "line break"),
        ({"actions": [["log", "INFO a\0b"]]}, "NUL"),
        ({"actions": [["log", "INFO \ud800"]]}, "half a character"),
        ({"actions": [["playback", "shell_stream:///bin/id"]]}, "runs a program"),
        ({"variables": {"hold_music": "SHELL_STREAM://id"}}, "runs a program"),
        ({"actions": [["playback", "/no;id;#.shell_stream"]]}, "runs a program"),
        ({"variables": {f"v{number}": "" for number in range(VARIABLES_AT_MOST + 1)}}, "no object of"),
    ],
)
def test_what_is_no_answer(result: Any, why: str) -> None:
    assert why in refused(result)


@pytest.mark.parametrize(
    "text", ["${system(id)}", "a ${b} c", "$${x}", r"$\{x}", r"$\$\{x}", "$$${}", "phrase:m:$'{'system(id)}", '$"{"x}']
)
def test_expressions(text: str) -> None:
    for result in ({"actions": [["log", text]]}, {"variables": {"a": text}}):
        assert "allow-expressions" in refused(result)
        assert rules(expressions=True).read(result)
    assert rules().read({"actions": [["log", "$ {x} 5$"]]})


@pytest.mark.parametrize("expressions", [False, True])
@pytest.mark.parametrize("text", ["%[a=b]x", "%^[a=b]x", " %[a=b]x", "%[\\sx", "%[[", "%\t[a=b]"])
def test_variables_for_one_application(text: str, expressions: bool) -> None:
    # FreeSWITCH sets them before the application runs; with some it gives that no argument at all, and dies.
    assert "begins with %[" in refused({"actions": [["transfer", text]]}, by=rules(expressions=expressions))
    assert rules().read({"actions": [["playback", "tone_stream://%(20,0,440)"], ["log", "5 %[x]"]]})


@pytest.mark.parametrize(
    "text", ["{", "{x", "{a}{b", "1 1 1 1000 # /x {x y", "file_string://a!{b", "{a b}c", "{a!b}c", "{{a}"]
)
def test_a_brace_that_is_not_closed(text: str) -> None:
    assert "{ in it" in refused({"actions": [["playback", text]]})
    assert rules(expressions=True).read({"actions": [["playback", text]]})


def test_a_brace_that_is_closed() -> None:
    assert rules().read({"actions": [["playback", "{loops=2}tone_stream://%(20,0,440)"], ["log", "INFO {a} {b}"]]})
    dial = "{origination_caller_id_name='A B'}[x=y]sofia/gateway/one/1"
    assert rules("bridge").read({"actions": [["Bridge", dial]]})
    flags = "3000@default+flags{mute|moderator}"
    assert rules("conference,set").read({"actions": [["conference", flags], ["set", 'j={"a": 1}']]})
    assert rules().read({"actions": [["log", 'INFO {"a": [1, {']]})
    for text in ("{", " {x", "{a}{b", "{a{b}", "{a} {b"):
        assert "begins with a {" in refused({"variables": {"hold_music": text}})
    for text in ("", "{}", '{"a": {"b": "c d"}}', "{a}{b} {c}x", "x{", "}"):
        assert rules().read({"variables": {"v": text}})


def test_an_application_that_freeswitch_does_not_have() -> None:
    assert 'no application "answer"' in refused({"actions": [["answer"]]}, by=rules(known=False))


@pytest.mark.parametrize("name", [name for group in APPLICATIONS for name in group.names])
def test_a_wildcard_never_stands_for_what_is_listed(name: str) -> None:
    whole = name.replace("*", "x")
    for spelled in (whole, whole.upper(), whole.title()):
        assert is_listed_application(spelled)
        for granted in ("*", f"{whole[:-1]}?", f"{whole[:2]}*"):
            assert "is not allowed" in refused({"actions": [[spelled]]}, by=rules(granted))
        assert rules(whole).read({"actions": [[spelled]]})


@pytest.mark.parametrize("name", [name for group in VARIABLES for name in group.names])
def test_a_wildcard_never_stands_for_a_listed_variable(name: str) -> None:
    whole = name.replace("*", "x")
    for spelled in (whole, whole.upper(), whole.title()):
        assert is_listed_variable(spelled)
        for granted in ("*", f"{whole[:-1]}?", f"{whole[:2]}*"):
            assert "is not allowed" in refused({"variables": {spelled: "1"}}, by=rules(variables=granted))
        assert rules(variables=whole).read({"variables": {spelled: "1"}})


@pytest.mark.parametrize(
    "name",
    """api_hangup_hook execute_on_answer execute_on_ring_1 api_on_answer session_in_hangup_hook exec_after_bridge_app
    record_post_process_exec_api transfer_after_bridge python_script_path system_on_fax_result toll_allow user_context
    bridge_pre_execute_aleg_app sip_execute_on_image sip_api_on_image lua_hangup_hook_return_val export_vars
    transfer_fallback_extension loopback_app group_confirm_file park_after_bridge hold_hangup_xfer_exten
    sip_redirect_dialplan sip_redirect_context valet_parking_orbit_exten mutex_orbit_dialplan native_backup_extension
    voicemail_authorized vm_operator_extension sofia_record_file originate_signal_bond cc_export_vars process_cdr
    xml_cdr_base""".split(),
)
def test_variables_that_have_to_be_listed(name: str) -> None:
    assert is_listed_variable(name)


@pytest.mark.parametrize(
    "name",
    "k customer_id ivr_choice ivr_extension ivr_context sip_h_X-Test effective_caller_id_number hold_music".split(),
)
def test_variables_that_are_not(name: str) -> None:
    assert not is_listed_variable(name)


def test_what_is_not_named_is_refused_whatever_its_case() -> None:
    by = rules("answer,play*", "crm_*")
    assert by.read({"actions": [["ANSWER"], ["Playback", "x"]], "variables": {"CRM_id": "1"}})
    assert 'the application "log" is not allowed' in refused({"actions": [["answer"], ["log", "x"]]}, by=by)
    assert 'the variable "xcrm_id" is not allowed' in refused({"variables": {"xcrm_id": "1"}}, by=by)


@pytest.mark.parametrize(
    ("argument", "dialplan", "right"),
    [
        ("1000", "XML", True),
        ("1000", "xml", True),
        (" 1000  XML  default ", "XML", True),
        ("1000 XML default", "inline", True),
        ("1000", "LUA", False),
        ("1000 inline", "XML", False),
        ("1000 Inline default", "XML", False),
        ("'system:id' inline", "XML", False),
        ("system:id\\ x inline", "XML", False),
        ("1000 XML,inline default", "XML", False),
        ("1000 in'l'ine", "XML", False),
        ("-bleg 1000 inline", "XML", False),
        ("-both 1000", "XML", False),
        ("^^:1000:inline", "XML", False),
        ("1000 XML default more", "XML", False),
        ("1000", "", True),
        ("1000", "inline", True),
        ("1000 inline", "", False),
        ("1000 lua", "inline", False),
        ("", "XML", False),
    ],
)
def test_transfer_goes_to_the_xml_dialplan_alone(argument: str, dialplan: str, right: bool) -> None:
    result = {"actions": [["transfer", argument]]}
    if right:
        assert rules("transfer").read(result, dialplan)
    else:
        assert '"transfer"' in refused(result, by=rules("transfer"), dialplan=dialplan)


def test_digits_go_into_variables_that_are_allowed() -> None:
    by = rules(variables="digits,api_*")
    begin = "1 4 3 5000 # tone_stream://%(100,0,440) silence_stream://250"
    assert by.read({"actions": [["play_and_get_digits", rf"{begin} digits \d+ 2000"]]})
    assert by.read({"actions": [["read", "1 4 tone_stream://%(100,0,440) digits 5000 #"]]})
    assert by.read({"actions": [["play_and_get_digits", "1 4 3 5000 # x y"]]})
    for argument, why in (
        (rf"{begin} other \d+", '"other" is not allowed'),
        (rf"{begin} api_hangup_hook \d+", '"api_hangup_hook" is not allowed'),
        (rf"{begin} digits \d+ 2000 1000", "has a transfer in it"),
        ("1 4 3 5000 # 'a b' c digits", "quotes"),
        (r"1 4 3 5000 # a\ b c digits", "backslash"),
        ("        1 4 3 5000 # 'tone_stream://x ' other", "quotes"),
        (f"        {begin} other", '"other" is not allowed'),
        ("1 4 3 5000 # a\tb c d", "a blank other than a space"),
        ("1 4 3 5000 # a\u00a0b c d", "a blank other than a space"),
        (f"{begin} digits ^'.'$", "quotes"),
        ("^^:1:4:3:5000:#:a:b:api_hangup_hook", "^^"),
    ):
        assert why in refused({"actions": [["play_and_get_digits", argument]]}, by=by)
    assert '"other"' in refused({"actions": [["read", "1 4 x other 5000 #"]]}, by=by)


def test_what_is_allowed_by_default() -> None:
    by = Rules(DEFAULTS["allow-applications"], DEFAULTS["allow-variables"], False, lambda name: True)
    for name in DEFAULTS["allow-applications"]:
        assert not is_listed_application(name), f"{name} is equal to a shell"
        argument = "1000" if name == "transfer" else ""
        assert by.read({"actions": [[name, argument]]})
    for name in ("system", "bridge", "set", "record", "python", "execute_extension", "socket"):
        assert "is not allowed" in refused({"actions": [[name, ""]]}, by=by)
    assert by.read({"variables": {"anything": "x"}})
    assert "is not allowed" in refused({"variables": {"api_hangup_hook": "x"}}, by=by)


def documented(heading: str) -> list[Group]:
    """The table with that heading, as the code would have it."""
    rows = DOCUMENT.read_text("utf-8").split(f"| {heading} | they |\n| --- | --- |\n")[1].split("\n\n")[0].splitlines()
    found = [re.fullmatch(r"\| ((?:`[^`]+`(?:, )?)+) \| (.+) \|", row) for row in rows]
    return [Group(row[2], tuple(re.findall("`([^`]+)`", row[1]))) for row in found if row]


def test_the_documented_lists_are_those_of_the_code() -> None:
    assert documented("applications") == list(APPLICATIONS)
    assert documented("variables") == list(VARIABLES)


def test_the_lists_are_tidy() -> None:
    for groups in (APPLICATIONS, VARIABLES):
        names = [name for group in groups for name in group.names]
        assert len(names) == len(set(names))
        for group in groups:
            assert list(group.names) == sorted(group.names)
