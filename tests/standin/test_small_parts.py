"""Texts, lists, expressions, arguments: what a switch is made of, one by one."""

from __future__ import annotations

import threading

import pytest

from freeswitch_zmq.standin import swig, text, xmltree
from freeswitch_zmq.standin.acl import AccessLists
from freeswitch_zmq.standin.calls import parse_target
from freeswitch_zmq.standin.expand import expand
from freeswitch_zmq.standin.files import FOR_EVER, length
from freeswitch_zmq.standin.threads import HostThread
from freeswitch_zmq.standin.variables import Variables


@pytest.mark.parametrize(
    ("value", "delimiter", "most", "parts"),
    [
        ("a  b c", " ", 10, ["a", "b", "c"]),
        ("a 'b c' d", " ", 10, ["a", "b c", "d"]),
        ("a b c d", " ", 2, ["a", "b c d"]),
        ("a=b=c", "=", 3, ["a", "b", "c"]),
        (r"a\,b,c", ",", 10, ["a,b", "c"]),
        ("^^;a;b", ",", 10, ["a", "b"]),
        (r"one\ntwo", " ", 10, ["one\ntwo"]),
        ("it's fine", " ", 10, ["it's fine"]),
        ("", " ", 10, []),
    ],
)
def test_separate(value: str, delimiter: str, most: int, parts: list[str]) -> None:
    assert text.separate(value, delimiter, most) == parts


@pytest.mark.parametrize("value", ["yes", "ON", "true", "t", "enabled", "active", "allow", "1", "2.5"])
def test_what_is_true(value: str) -> None:
    assert text.is_true(value)


@pytest.mark.parametrize("value", ["no", "0", "", "truth", "-", None])
def test_what_is_not(value: str | None) -> None:
    assert not text.is_true(value)


def run(name: str, args: str) -> str:
    return f"<{name}|{args}>"


@pytest.mark.parametrize(
    ("source", "expanded"),
    [
        ("plain $5", "plain $5"),
        ("${a} $${g} ${g} ${none}.", "A1234 G G ."),
        ("${a:1} ${a:-2} ${a:1:2} ${a:9}", "1234 34 12 "),
        ("${f(x ${g} (y))} ${f x}", "<f|x G (y)> <f|x>"),
        ("${list[1]} ${list[7]}.", "two ."),
        ("${na${m}me}", "inner"),
        (r"\${a} \\ ${nested}", r"${a} \ via G"),
        ("${open", "${open"),
    ],
)
def test_expand(source: str, expanded: str) -> None:
    local = {"a": "A1234", "name": "inner"}
    shared = {"g": "G", "nested": "via ${g}"}
    parts = {"list": ("one", "two")}
    assert expand(source, local.get, lambda name: parts.get(name, ()), shared.get, run) == expanded


def test_expressions_that_never_end_do() -> None:
    shared = {"a": "${a}"}
    assert expand("${a}", shared.get, lambda _name: (), {"a": "x"}.get, run) == "${a}"
    assert expand("${b}", {"a": "x"}.get, lambda _name: (), {"b": "${b}"}.get, run) == "${b}"


@pytest.mark.parametrize(
    ("address", "name", "allowed"),
    [
        ("127.0.0.1", "loopback.auto", True),
        ("::1", "loopback.auto", True),
        ("::ffff:127.0.0.1", "loopback.auto", True),
        ("192.0.2.1", "loopback.auto", False),
        ("10.1.1.1", "own", True),
        ("10.1.2.1", "own", False),
        ("10.1.1.1", "nowhere", False),
        ("8.8.8.8", "wan.auto", True),
        ("10.1.1.1", "wan.auto", False),
        ("10.1.1.1", "10.0.0.0/8,192.168.0.0/16", True),
        ("1.2.3.4", "::/0", True),
        ("garbage", "wan.auto", True),
    ],
)
def test_access_lists(address: str, name: str, allowed: bool) -> None:
    lists = AccessLists("127.0.0.1/32", lambda _level, _text: None)
    lists.load(
        xmltree.parse(
            '<configuration><network-lists><list name="own" default="deny"><node type="allow" cidr="10.1.0.0/16"/>'
            '<node type="deny" cidr="10.1.2.0/24"/></list></network-lists></configuration>'
        )
    )
    assert lists.check(address, name) is allowed


def test_a_mistake_in_a_list_is_logged() -> None:
    log: list[tuple[str, str]] = []
    lists = AccessLists("127.0.0.1/32", lambda level, message: log.append((level, message)))
    lists.load(
        xmltree.parse('<c><network-lists><list name="l"><node type="deny" cidr="x"/></list></network-lists></c>')
    )
    assert [message for level, message in log if level == "ERR"] == ["Error Adding x (deny) [] to list l\n"]


def test_variables() -> None:
    variables = Variables()
    variables.set("Name", "1")
    assert variables.get("nAME") == "1"
    assert not variables.set_if("name", "3", "2")
    assert variables.set_if("name", "3", "1")
    assert variables.items() == [("name", "3")]
    variables.set("name", "")
    assert variables.get("name") is None


def test_arguments() -> None:
    assert swig.c_string("a\0b", "f", 1) == "a"
    assert swig.c_string(None, "f", 1) is None
    for wrong in (5, b"bytes", "\udcff"):
        with pytest.raises(TypeError, match=r"in method 'f', argument 2 of type 'char \*'"):
            swig.c_string(wrong, "f", 2, "char *")
    assert swig.c_int(True, "f", 1) == 1
    with pytest.raises(TypeError):
        swig.c_int(1.5, "f", 1)
    with pytest.raises(OverflowError):
        swig.c_int(-1, "f", 1, "unsigned int")
    with pytest.raises(TypeError, match="crashes a real FreeSWITCH"):
        swig.needed(None, "f", 1)


def test_dial_strings() -> None:
    target = parse_target("{a=1,b='x,y'}[c=3]loopback/1000/default/XML")
    assert (target.endpoint, target.dialed) == ("loopback", "1000/default/XML")
    assert target.variables == {"a": "1", "b": "x,y", "c": "3"}


@pytest.mark.parametrize(
    ("file", "seconds"),
    [
        ("silence_stream://250", 0.25),
        ("silence_stream://-1", FOR_EVER),
        ("tone_stream://%(200,100,440);loops=10", 3.0),
        ("tone_stream://%(200,100,440)", 0.3),
        ("tone_stream://%(200,100,440);loops=-1", FOR_EVER),
        ("/some/file.wav", 0.0),
    ],
)
def test_how_long_a_file_takes(file: str, seconds: float) -> None:
    assert length(file) == pytest.approx(seconds)


def test_threads_are_foreign_to_python() -> None:
    seen: list[object] = []
    errors: list[BaseException] = []

    def body() -> None:
        seen.append(threading.get_ident() in {thread.ident for thread in threading.enumerate()})
        raise SystemExit("on purpose")

    assert HostThread(body, errors.append).join(20.0)
    assert seen == [False]
    assert [str(error) for error in errors] == ["on purpose"]
