from __future__ import annotations

import time

import hypothesis
from hypothesis import strategies as st

from freeswitch_zmq.module.keys import KeyRing, LetIn, narrowed
from freeswitch_zmq.module.schema import KeyConfig

ALICE, BOB, CAROL = b"a" * 32, b"b" * 32, b"c" * 32


def key(name: str, public_key: bytes, *publishers: str) -> KeyConfig:
    return KeyConfig(name, public_key, publishers, ())


def test_what_a_ring_says_of_a_key() -> None:
    ring = KeyRing([key("alice", ALICE, "one", "two"), key("bob", BOB)])
    assert [ring.refuses(ALICE, name) for name in ("one", "two", "three", "")] == ["", "", "publisher", "publisher"]
    assert ring.refuses(BOB, "one") == "publisher"
    assert ring.refuses(CAROL, "one") == "key"
    assert (ring.name(ALICE), ring.name(CAROL)) == ("alice", CAROL.hex())


def test_an_empty_ring_knows_nobody() -> None:
    ring = KeyRing([])
    assert ring.refuses(ALICE, "one") == "key"
    ring.note_let_in(ALICE, "127.0.0.1")
    assert ring.let_in == {}


def test_it_notes_when_and_from_where_a_key_was_let_in() -> None:
    ring = KeyRing([key("alice", ALICE, "one"), key("bob", BOB, "one")])
    assert ring.let_in == {"alice": LetIn(), "bob": LetIn()}
    before = time.time()
    ring.note_let_in(ALICE, "192.0.2.1")
    ring.note_let_in(ALICE, "192.0.2.2")
    record = ring.let_in["alice"]
    assert (record.count, record.address) == (2, "192.0.2.2")
    assert before <= record.at <= time.time()
    assert ring.let_in["bob"] == LetIn(0, 0.0, "")


def test_other_keys_from_one_moment_on_and_what_is_known_of_those_that_stay_is_kept() -> None:
    ring = KeyRing([key("alice", ALICE, "one"), key("bob", BOB, "one")])
    ring.note_let_in(ALICE, "192.0.2.1")
    ring.note_let_in(BOB, "192.0.2.2")
    ring.configure([key("alice", ALICE, "two"), key("carol", CAROL, "one")])
    assert ring.refuses(ALICE, "one") == "publisher"
    assert ring.refuses(ALICE, "two") == ""
    assert ring.refuses(BOB, "one") == "key"
    assert ring.refuses(CAROL, "one") == ""
    assert ring.let_in["alice"].count == 1
    assert ring.let_in["carol"].count == 0
    assert ring.let_in["bob"].count == 1  # the reload may fail yet, and bob come back
    ring.forget_others()
    assert set(ring.let_in) == {"alice", "carol"}
    ring.configure([key("bob", BOB, "one")])
    ring.forget_others()
    assert ring.let_in == {"bob": LetIn()}


def test_another_key_of_the_same_name_was_never_let_in() -> None:
    ring = KeyRing([key("alice", ALICE, "one"), key("bob", BOB, "one")])
    for each in (ALICE, BOB):
        ring.note_let_in(each, "192.0.2.1")
    ring.configure([key("alice", CAROL, "one"), key("bob", BOB, "two")])
    assert ring.let_in["alice"] == LetIn()
    assert ring.let_in["bob"].count == 1
    ring.note_let_in(ALICE, "192.0.2.1")
    assert ring.let_in["alice"] == LetIn()


def test_while_a_reload_may_still_fail_only_what_both_allow_is_allowed() -> None:
    old = [key("alice", ALICE, "one", "two"), key("bob", BOB, "one"), key("both", CAROL, "one")]
    new = [key("alice", ALICE, "three", "two"), key("renamed", CAROL, "one"), key("bob", b"n" * 32, "one")]
    assert narrowed(old, new) == [key("alice", ALICE, "two"), key("both", CAROL, "one")]
    assert narrowed(old, old) == old
    assert narrowed(old, []) == narrowed([], old) == []


_publishers = st.sets(st.sampled_from(("one", "two", "three"))).map(lambda names: tuple(sorted(names)))
_keys = st.dictionaries(st.sampled_from((ALICE, BOB, CAROL)), _publishers).map(
    lambda found: [key(f"key{public_key[0]}", public_key, *names) for public_key, names in found.items()]
)


@hypothesis.given(_keys, _keys)
def test_nobody_may_meanwhile_who_may_not_in_either(old: list[KeyConfig], new: list[KeyConfig]) -> None:
    rings = KeyRing(narrowed(old, new)), KeyRing(old), KeyRing(new)
    for public_key in (ALICE, BOB, CAROL):
        for publisher in ("one", "two", "three"):
            between, before, after = (not ring.refuses(public_key, publisher) for ring in rings)
            assert between is (before and after)
