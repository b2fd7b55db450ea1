from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Callable

import hypothesis
import pytest
import zmq
from hypothesis import strategies as st

from freeswitch_zmq.module.parameters import (
    Parameter,
    boolean,
    checked,
    choice,
    endpoint,
    tcp_clash,
    whole_number,
)


def problem(read: Callable[[str], Any], text: str) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        read(text)
    return str(caught.value)


def test_truth_as_freeswitch_takes_it() -> None:
    for text in ("true", "TRUE", "True", "yes", "on", "1", "enabled", "t", "y"):
        assert boolean(text) is True
    for text in ("false", "FALSE", "no", "off", "0", "disabled", "f", "n"):
        assert boolean(text) is False
    for text in ("", "2", "tru", "ja", "none"):
        assert problem(boolean, text) == f'"{text}" is neither true nor false'


@hypothesis.given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(-5, 10**7))
def test_whole_numbers(one: int, other: int, number: int) -> None:
    least, most = sorted((one, other))
    read = whole_number(least, most)
    if least <= number <= most:
        assert read(str(number)) == number
    else:
        assert problem(read, str(number)) == f'"{number}" is not a whole number from {least} to {most}'


@pytest.mark.parametrize(
    "text", ["", " 5", "5 ", "+5", "5.0", "0x5", "5e1", "5_0", "\u0665", "five", "9" * 30, "9" * 5000]
)
def test_what_is_no_whole_number(text: str) -> None:
    assert problem(whole_number(1, 100), text) == f'"{text}" is not a whole number from 1 to 100'


def test_choices() -> None:
    read = choice("single", "topic")
    assert (read("single"), read("topic")) == ("single", "topic")
    assert problem(read, "Topic") == '"Topic" is not one of: single, topic'


def test_what_was_checked_stays_a_text() -> None:
    assert checked(int)("07") == "07"
    assert problem(checked(int), "x") == "invalid literal for int() with base 10: 'x'"


def test_a_parameters_name_in_python() -> None:
    assert Parameter("apply-inbound-acl", str, None, "help").field == "apply_inbound_acl"


GOOD_BINDS = (
    *("tcp://*:5556", "tcp://127.0.0.1:*", "tcp://127.0.0.1:1", "tcp://eth0:65535", "tcp://[::1]:5556", "tcp://*:*"),
    *("tcp://host.example.com:5556", "ipc:///run/x", "ipc://relative", "ipc://@abstract", "inproc://events"),
)


@pytest.mark.parametrize("text", GOOD_BINDS)
def test_what_can_be_bound(text: str) -> None:
    assert endpoint("bind")(text) == text


@pytest.mark.parametrize(
    "text", ["tcp://127.0.0.1:5556", "tcp://host.example.com:1", "tcp://[::1]:5", "ipc:///run/x", "inproc://x"]
)
def test_what_can_be_connected(text: str) -> None:
    assert endpoint("connect")(text) == text


FORM = "is not of the form tcp://HOST:PORT (an IPv6 address stands in brackets)"
NO_ENDPOINT = "is not an endpoint such as tcp://127.0.0.1:5556 or ipc:///run/events"
GROUP_FORM = "is not of the form norm://INTERFACE;GROUP:PORT, such as epgm://eth0;239.192.1.1:5555"
GROUP = "GROUP:PORT must be an address from 224.0.0.0 to 239.255.255.255 and a port"
CONNECT = "tcp://, ipc://, inproc://, tipc://, epgm://, norm://"
PORT = "the port is not from 1 to 65535 (tcp://HOST:* takes any free one)"


@pytest.mark.parametrize(
    ("verb", "text", "expected"),
    [
        ("bind", "", f'"" {NO_ENDPOINT}'),
        ("bind", "5556", f'"5556" {NO_ENDPOINT}'),
        ("bind", "tcp:/127.0.0.1:5556", f'"tcp:/127.0.0.1:5556" {NO_ENDPOINT}'),
        ("bind", "tcp://", f'"tcp://" {NO_ENDPOINT}'),
        ("bind", "TCP://*:5556", '"TCP://*:5556": bind takes tcp://, ipc://, inproc://, tipc://'),
        ("bind", "udp://*:5556", '"udp://*:5556": bind takes tcp://, ipc://, inproc://, tipc://'),
        (
            "bind",
            "epgm://eth0;239.1.1.1:5556",
            '"epgm://eth0;239.1.1.1:5556": bind takes tcp://, ipc://, inproc://, tipc://; multicast goes with connect',
        ),
        (
            "connect",
            "ws://example.com:80",
            '"ws://example.com:80": connect takes tcp://, ipc://, inproc://, tipc://, epgm://, norm://',
        ),
        ("bind", "tcp://*", f'"tcp://*" {FORM}'),
        ("bind", "tcp://:5556", f'"tcp://:5556" {FORM}'),
        ("bind", "tcp://*:", f'"tcp://*:" {FORM}'),
        ("bind", "tcp://*:http", f'"tcp://*:http" {FORM}'),
        ("bind", "tcp://::1:5556", f'"tcp://::1:5556" {FORM}'),
        ("bind", "tcp://*:\u0665\u0665", f'"tcp://*:\u0665\u0665" {FORM}'),
        ("bind", "tcp://*:555555", f'"tcp://*:555555" {FORM}'),
        ("bind", "tcp://*:" + "5" * 5000, f'"tcp://*:{"5" * 5000}" {FORM}'),
        ("bind", "tcp://*:-1", f'"tcp://*:-1" {FORM}'),
        ("bind", "tcp://*:0", f'"tcp://*:0": {PORT}'),
        ("bind", "tcp://*:65536", f'"tcp://*:65536": {PORT}'),
        ("connect", "epgm://239.192.1.1", f'"epgm://239.192.1.1" {GROUP_FORM}'),
        ("connect", "norm://lo;239.192.1.1:port", f'"norm://lo;239.192.1.1:port" {GROUP_FORM}'),
        ("connect", "norm://lo;lo;239.192.1.1:1", f'"norm://lo;lo;239.192.1.1:1" {GROUP_FORM}'),
        ("connect", "epgm://lo;127.0.0.1:5555", f'"epgm://lo;127.0.0.1:5555": {GROUP}'),
        ("connect", "epgm://lo;example.com:5555", f'"epgm://lo;example.com:5555": {GROUP}'),
        ("connect", "norm://lo;239.192.1.1:65536", f'"norm://lo;239.192.1.1:65536": {GROUP}'),
        ("connect", "norm://lo;240.0.0.1:5555", f'"norm://lo;240.0.0.1:5555": {GROUP}'),
        (
            "connect",
            "epgm://nosuchif0;239.192.1.1:5555",
            '"epgm://nosuchif0;239.192.1.1:5555": this machine has no interface and no IPv4 address "nosuchif0"',
        ),
        (
            "connect",
            "norm://192.0.2.1;239.192.1.1:5555",
            '"norm://192.0.2.1;239.192.1.1:5555": this machine has no interface and no IPv4 address "192.0.2.1"',
        ),
        ("connect", "pgm://lo;239.192.1.1:1", f'"pgm://lo;239.192.1.1:1": connect takes {CONNECT}'),
        ("connect", "tcp://*:5556", '"tcp://*:5556": to connect takes an address and a port, not *'),
        ("connect", "tcp://127.0.0.1:*", '"tcp://127.0.0.1:*": to connect takes an address and a port, not *'),
    ],
)
def test_what_is_no_endpoint(verb: str, text: str, expected: str) -> None:
    assert problem(endpoint(verb), text) == expected


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("tcp://127.0.0.1:5556", "tcp://127.0.0.1:5556", True),
        ("tcp://*:5556", "tcp://127.0.0.1:5556", True),
        ("tcp://0.0.0.0:5556", "tcp://127.0.0.1:5556", True),
        ("tcp://[::]:5556", "tcp://127.0.0.1:5556", True),
        ("tcp://*:5556", "tcp://0.0.0.0:5556", True),
        ("tcp://127.0.0.2:5556", "tcp://127.0.0.1:5556", False),
        ("tcp://*:5556", "tcp://127.0.0.1:5557", False),
        ("tcp://*:5556", "tcp://127.0.0.1:55560", False),
        ("tcp://*:*", "tcp://127.0.0.1:*", False),
        ("tcp://*:*", "tcp://*:*", False),
        ("ipc:///a:5556", "ipc:///a:5556", False),
        ("ipc:///a:5556", "tcp://*:5556", False),
    ],
)
def test_which_addresses_can_not_both_be_listened_on(one: str, other: str, clash: bool) -> None:
    assert tcp_clash(one, other) is clash
    assert tcp_clash(other, one) is clash


@pytest.mark.parametrize(
    "text",
    [
        "norm://239.192.1.1:5555",
        "norm://lo;239.192.1.1:5555",
        "norm://127.0.0.1;239.192.1.1:1",
        "norm://7,lo;224.0.0.1:65535",
        "epgm://lo;239.192.1.1:5555",
    ],
)
def test_multicast_that_can_be_connected(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmq, "has", lambda name: True)
    assert endpoint("connect")(text) == text


@pytest.mark.parametrize(
    ("text", "capability"),
    [
        ("epgm://127.0.0.1;239.1.1.1:5556", "pgm"),
        ("norm://127.0.0.1;239.1.1.1:5556", "norm"),
        ("tipc://{5560,0}", "tipc"),
    ],
)
def test_what_this_libzmq_has_not_is_told(text: str, capability: str, monkeypatch: pytest.MonkeyPatch) -> None:
    present: Sequence[str] = ()
    # Which of them libzmq has depends on who built it; both ways have to be right.
    monkeypatch.setattr(zmq, "has", lambda name: name in present)
    assert problem(endpoint("connect"), text) == (
        f'"{text}": the installed libzmq {zmq.zmq_version()} was built without {capability}; '
        "Debian's python3-zmq has pgm and norm, the wheels from PyPI don't"
    )
    present = (capability,)
    assert endpoint("connect")(text) == text


@hypothesis.given(
    st.sampled_from(("tcp", "ipc", "inproc", "udp", "")), st.text("*:/[]. ;12ab%\n\u00fc", max_size=12), st.booleans()
)
def test_any_text_gives_an_endpoint_or_a_problem_that_quotes_it(scheme: str, rest: str, slashes: bool) -> None:
    text = scheme + "://" * slashes + rest
    for verb in ("bind", "connect"):
        if _is_taken(verb, text):
            assert re.match("(tcp|ipc|inproc)://.", text, re.DOTALL)
        else:
            assert f'"{text}"' in problem(endpoint(verb), text)


def _is_taken(verb: str, text: str) -> bool:
    try:
        return bool(endpoint(verb)(text))
    except ValueError:
        return False
