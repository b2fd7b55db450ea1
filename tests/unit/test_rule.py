from __future__ import annotations

import pytest

from freeswitch_zmq.module import conduct as conduct_module
from freeswitch_zmq.module import rule as rule_module
from freeswitch_zmq.module.keys import KeyRing
from freeswitch_zmq.module.refusals import REASONS, Refusals
from freeswitch_zmq.module.rule import ASK, LET_IN, Rule
from freeswitch_zmq.module.schema import KeyConfig
from tests.unit.clock import Clock

NOBODY_HERE = "192.0.2.0/24"
"""RFC 5737: never the address of a peer."""

ALICE, BOB, STRANGER = b"a" * 32, b"b" * 32, b"s" * 32


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().set(monkeypatch, rule_module, conduct_module)


def a_rule(*acl: str, curve: bool = False, ipc: bool = False, publisher: str = "default") -> Rule:
    """Of an endpoint for which Alice's key is good, and Bob's is for another."""
    ring = KeyRing([KeyConfig("alice", ALICE, ("default", "more"), ()), KeyConfig("bob", BOB, ("other",), ())])
    return Rule(publisher, "tcp://0.0.0.0:5556", None if ipc else acl, curve, ring, Refusals(), "domain")


def null(rule: Rule, address: str) -> str:
    return rule.judge(address, b"NULL", b"")


def test_one_list_that_matches_is_enough() -> None:
    rule = a_rule("192.0.2.0/24", "loopback.auto")
    assert null(rule, "127.0.0.1") == LET_IN
    assert null(rule, "::1") == LET_IN
    assert null(rule, "192.0.2.200") == LET_IN
    assert null(rule, "::ffff:192.0.2.200") == LET_IN
    assert null(rule, "198.51.100.1") == "address"
    assert null(rule, "2001:db8::1") == "address"
    assert rule.list_names == []


@pytest.mark.parametrize("address", ["", "garbage", "127.0.0.1 ", "localhost", "127.0.0.1:5556", "127.0.0.1\0"])
@pytest.mark.parametrize("acl", [("0.0.0.0/0", "::/0"), ("lan",), ("any_v4.auto", "0.0.0.0/0")], ids=str)
def test_what_is_no_address_is_refused(acl: tuple[str, ...], address: str) -> None:
    # Without asking: FreeSWITCH may say yes to garbage.
    assert null(a_rule(*acl), address) == "address"


def test_without_a_list_nobody_is_let_in() -> None:
    assert null(a_rule(), "127.0.0.1") == "address"


def test_lists_of_freeswitch_are_asked_only_where_no_network_matches() -> None:
    rule = a_rule("lan", "192.0.2.0/24", "rfc1918.auto")
    assert rule.list_names == ["lan", "rfc1918.auto"]
    assert null(rule, "192.0.2.1") == LET_IN
    assert null(rule, "198.51.100.1") == ASK
    assert null(rule, "2001:db8::1") == ASK


def test_other_addresses_from_one_moment_on() -> None:
    rule = a_rule(NOBODY_HERE)
    assert null(rule, "127.0.0.1") == "address"
    rule.configure(("loopback.auto", "lan"))
    assert null(rule, "127.0.0.1") == LET_IN
    assert null(rule, "192.0.2.1") == ASK
    rule.configure((NOBODY_HERE,))
    assert null(rule, "127.0.0.1") == "address"
    assert rule.list_names == []


@pytest.mark.parametrize(
    ("key", "verdict"), [(ALICE, LET_IN), (BOB, "publisher"), (STRANGER, "key"), (b"", "key"), (ALICE[:31], "key")]
)
def test_with_curve_the_key_decides_too(key: bytes, verdict: str) -> None:
    rule = a_rule("loopback.auto", "lan", curve=True)
    assert rule.judge("127.0.0.1", b"CURVE", key) == verdict
    # An address that only FreeSWITCH knows is asked about for those alone whose key is good.
    assert rule.judge("192.0.2.1", b"CURVE", key) == (verdict or ASK)
    assert rule.judge_key(b"CURVE", key) == verdict


def test_a_good_key_does_not_make_up_for_the_address() -> None:
    assert a_rule(NOBODY_HERE, curve=True).judge("127.0.0.1", b"CURVE", ALICE) == "address"


def test_over_ipc_the_key_decides_alone() -> None:
    rule = a_rule(curve=True, ipc=True)
    assert rule.judge("", b"CURVE", ALICE) == LET_IN
    assert rule.judge("", b"CURVE", STRANGER) == "key"
    assert rule.list_names == []


def test_a_key_is_good_for_the_publishers_that_it_names() -> None:
    verdicts = {name: a_rule("loopback.auto", curve=True, publisher=name) for name in ("default", "more", "other", "x")}
    assert {name: rule.judge("127.0.0.1", b"CURVE", ALICE) for name, rule in verdicts.items()} == {
        "default": LET_IN,
        "more": LET_IN,
        "other": "publisher",
        "x": "publisher",
    }


@pytest.mark.parametrize(
    ("curve", "mechanism"), [(True, b"NULL"), (True, b""), (True, b"PLAIN"), (False, b"CURVE"), (False, b"")]
)
def test_another_mechanism_than_the_endpoints_is_refused(curve: bool, mechanism: bytes) -> None:
    assert a_rule("loopback.auto", curve=curve).judge("127.0.0.1", mechanism, ALICE) == "handshake"


def test_who_was_let_in_is_told_by_the_key_in_hex() -> None:
    rule = a_rule("loopback.auto", curve=True)
    assert rule.let_in("192.0.2.1", ALICE) == ALICE.hex()
    assert rule.let_in("192.0.2.2", ALICE) == ALICE.hex()
    record = rule._ring.let_in["alice"]
    assert (record.count, record.address) == (2, "192.0.2.2")
    assert rule.refusals.by_reason == {}


def test_without_keys_nobody_has_a_name() -> None:
    rule = a_rule("loopback.auto")
    assert rule.let_in("127.0.0.1", b"") == ""
    assert rule.let_in("127.0.0.1", ALICE) == ""  # what a peer says that was not asked for
    assert rule._ring.let_in["alice"].count == 0


def test_who_was_not_let_in_is_counted_by_endpoint_and_reason() -> None:
    rule = a_rule(NOBODY_HERE, curve=True)
    rule.refuse("address", "127.0.0.1")
    rule.refuse("key", "127.0.0.1", STRANGER)
    rule.refuse("address", "127.0.0.2")
    rule.refuse("publisher", "127.0.0.3", BOB)
    rule.endpoint = "tcp://0.0.0.0:4711"
    rule.refuse("key", "127.0.0.4", STRANGER)
    found = {where: (each.count, each.address, each.key) for where, each in rule.refusals.by_reason.items()}
    assert found == {
        ("tcp://0.0.0.0:5556", "address"): (2, "127.0.0.2", ""),
        ("tcp://0.0.0.0:5556", "key"): (1, "127.0.0.1", STRANGER.hex()),
        ("tcp://0.0.0.0:5556", "publisher"): (1, "127.0.0.3", "bob"),
        ("tcp://0.0.0.0:4711", "key"): (1, "127.0.0.4", STRANGER.hex()),
    }
    assert rule.refusals.count == 5
    assert Refusals().count == 0


def test_one_of_whom_nothing_is_known_does_not_hide_who_was_before() -> None:
    refusals = Refusals()
    refusals.add("here", "handshake", "")
    refusals.add("here", "handshake", "192.0.2.1")
    refusals.add("here", "handshake", "")
    [refusal] = refusals.by_reason.values()
    assert (refusal.count, refusal.address, refusal.key) == (3, "192.0.2.1", "")
    refusals.add("here", "handshake", "", "alice")  # over ipc
    assert (refusal.count, refusal.address, refusal.key) == (4, "", "alice")


def test_whoever_flooded_has_to_stay_away_whatever_key_it_has(clock: Clock) -> None:
    rule = a_rule("192.0.2.0/24", "lan", curve=True)
    rule.conduct.flooded("192.0.2.1")
    rule.conduct.flooded("198.51.100.1")
    assert rule.judge("192.0.2.1", b"CURVE", ALICE) == "flood"
    assert rule.judge("192.0.2.2", b"CURVE", ALICE) == LET_IN
    # Without asking FreeSWITCH.
    assert rule.judge("198.51.100.1", b"CURVE", ALICE) == "flood"
    assert rule.judge("198.51.100.2", b"CURVE", ALICE) == ASK
    # One that may not come in anyway is told so.
    other = a_rule("192.0.2.0/24")
    other.conduct.flooded("127.0.0.1")
    assert null(other, "127.0.0.1") == "address"


def test_who_is_a_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = a_rule("192.0.2.0/24", "lan")
    assert not rule.is_stranger("192.0.2.1")
    assert rule.is_stranger("198.51.100.1")
    assert rule.is_stranger("")
    rule.let_in("198.51.100.1", b"")
    assert not rule.is_stranger("198.51.100.1")
    monkeypatch.setattr(rule_module, "WELCOME_AT_MOST", 20)
    for number in range(100):
        rule.let_in(f"2001:db8::{number:x}", b"")
        assert not rule.is_stranger(f"2001:db8::{number:x}")
    assert len(rule._welcome) <= 20
    # Over ipc there is nothing to know.
    assert not a_rule(curve=True, ipc=True).is_stranger("")


def test_a_refused_connection_is_still_there_for_some_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = a_rule("192.0.2.0/24")
    rule.patience = 2.0
    assert not rule.ended("127.0.0.1")
    for _ in range(2):
        rule.refuse("address", "127.0.0.1")
    rule.refuse("handshake", "127.0.0.2")  # which is told by the end itself
    assert not rule.ended("127.0.0.2")
    assert [rule.ended("127.0.0.1") for _ in range(3)] == [True, True, False]
    rule.refuse("address", "127.0.0.1")
    clock.now += 3.1  # libzmq has ended it long since
    assert not rule.ended("127.0.0.1")
    monkeypatch.setattr(rule_module, "REFUSED_OPEN_AT_MOST", 20)
    for number in range(100):
        rule.refuse("address", f"2001:db8::{number:x}")
    assert len(rule._refused_open) <= 20
    assert rule.refusals.count == 104


def test_every_reason_has_words_that_say_what_to_do() -> None:
    for reason, words in REASONS.items():
        assert reason.isalpha()
        assert reason.islower()
        assert reason != ASK
        assert len(words) > 40
        assert "{" not in words  # the keeper puts the count in with str.format
    rule = a_rule("loopback.auto", curve=True)
    verdicts = {
        rule.judge(address, mechanism, key)
        for address in ("", "127.0.0.1", "192.0.2.1")
        for mechanism in (b"NULL", b"CURVE")
        for key in (ALICE, BOB, STRANGER)
    }
    assert verdicts - {LET_IN} <= set(REASONS)
