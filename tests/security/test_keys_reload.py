"""Keys that come and go at a `reload`: who has lost one gets nothing more, and the others are back in a blink."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.flow import Good, Load
from tests.support.keys import new_secret_file
from tests.support.module import Subscriber, configuration, publisher

from .conftest import ModuleFactory
from .keys_configuration import CURVE, Keys, nothing_after, wait_for_event_after

BACK_WITHIN = 5.0
"""Seconds after which those who may stay have come back by themselves, on a machine that is busy too."""


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_a_key_that_is_taken_away(module_factory: ModuleFactory, keys: Keys) -> None:
    def two_publishers(**who: str) -> str:
        return configuration(
            publisher(CURVE, bind=first), publisher(CURVE, name="other", bind=other), access=keys.access(**who)
        )

    first = other = "tcp://127.0.0.1:*"
    module = module_factory(two_publishers(gone="default", stays="default", third="other"))
    first, other = module.endpoint(), module.endpoint("other")
    with (
        Subscriber(first, identity=keys.identity("gone")) as gone,
        Subscriber(first, identity=keys.identity("stays")) as stays,
        Good(other, module.switch, keys.identity("third")) as third,
        Load(module.switch),
    ):
        gone.subscribed(module.switch)
        stays.subscribed(module.switch)
        answer = module.reload(two_publishers(stays="default", third="other"))
        began = time.monotonic()
        assert answer.startswith("+OK reloaded")
        assert 'key "gone" removed' in answer
        assert f"{first} opened" in answer
        assert f"{other} opened" not in answer
        last = module.publisher()["accepted"]
        wait_for_event_after(stays, last)
        took = time.monotonic() - began
        print(f"the other key's subscriber was back after {took:.2f} s")
        assert took < BACK_WITHIN
        nothing_after(gone, last, 3.0)
        # It goes on trying, and is told apart from a stranger only by its key.
        assert module.wait_refused("key")["latest_key"] == keys.pairs["gone"].hex
        third.lost_nothing()
    assert set(module.status()["keys"]) == {"stays", "third"}
    assert module.publisher("other")["refused"] == 0


def test_a_key_that_is_added(module_factory: ModuleFactory, keys: Keys) -> None:
    module = module_factory(keys.configuration(old="default"))
    endpoint = module.endpoint()
    with (
        Good(endpoint, module.switch, keys.identity("old")) as old,
        Subscriber(endpoint, identity=keys.identity("new")) as new,
        Load(module.switch),
    ):
        assert module.wait_refused("key")["latest_key"] == keys.pairs["new"].hex
        new.nothing(0)
        answer = module.reload(keys.configuration(old="default", new="default"))
        assert answer == '+OK reloaded: key "new" added'
        new.raw()
        old.lost_nothing()
    status = module.status()["keys"]
    assert (status["old"]["let_in"], status["new"]["let_in"]) == (1, 1)


def test_a_key_that_loses_one_of_two_publishers(module_factory: ModuleFactory, keys: Keys) -> None:
    def two_publishers(crm: str) -> str:
        return configuration(
            publisher(CURVE, bind=first),
            publisher(CURVE, name="other", bind=other),
            access=keys.access(crm=crm, b="other"),
        )

    first = other = "tcp://127.0.0.1:*"
    module = module_factory(two_publishers("default,other"))
    first, other = module.endpoint(), module.endpoint("other")
    crm = keys.identity("crm")
    with (
        Good(first, module.switch, crm) as kept,
        Subscriber(other, identity=crm) as lost,
        Subscriber(other, identity=keys.identity("b")) as neighbour,
        Load(module.switch),
    ):
        lost.subscribed(module.switch)
        neighbour.subscribed(module.switch)
        answer = module.reload(two_publishers("default"))
        began = time.monotonic()
        assert 'key "crm" changed' in answer
        last = module.publisher("other")["accepted"]
        wait_for_event_after(neighbour, last)
        assert time.monotonic() - began < BACK_WITHIN
        nothing_after(lost, last, 3.0)
        assert module.wait_refused("publisher", "other")["latest_key"] == "crm"
        kept.lost_nothing()
        # And back.
        assert 'key "crm" changed' in module.reload(two_publishers("other,default"))
        wait_for_event_after(lost, last)
        kept.lost_nothing()
    assert module.publisher()["refused"] == 0


def test_a_key_that_is_replaced_under_its_name(module_factory: ModuleFactory, keys: Keys) -> None:
    module = module_factory(keys.configuration(crm="default"))
    endpoint = module.endpoint()
    before = keys.identity("crm")
    with Subscriber(endpoint, identity=before) as old, Load(module.switch):
        old.subscribed(module.switch)
        del keys.pairs["crm"]
        assert 'key "crm" changed' in module.reload(keys.configuration(crm="default"))
        last = module.publisher()["accepted"]
        with Subscriber(endpoint, identity=keys.identity("crm")) as new:
            new.subscribed(module.switch)
        nothing_after(old, last, 1.0)
        assert module.wait_refused("key")["latest_key"] == before.pair.hex


@pytest.mark.parametrize("where", ["in the same file", "in another file"])
def test_another_key_of_the_switch(module_factory: ModuleFactory, keys: Keys, where: str) -> None:
    module = module_factory(keys.configuration(crm="default"))
    endpoint = module.endpoint()
    before = keys.identity("crm")
    with Subscriber(endpoint, identity=before) as old, Load(module.switch):
        old.subscribed(module.switch)
        keys.file, keys.server = new_secret_file(keys.folder, "server" if where == "in the same file" else "other")
        answer = module.reload(keys.configuration(bind=endpoint, crm="default"))
        assert "the switch's own key changed" in answer
        last = module.publisher()["accepted"]
        with Subscriber(endpoint, identity=keys.identity("crm")) as new:
            new.subscribed(module.switch)
        nothing_after(old, last, 1.0)
        module.wait_refused("handshake")
    assert module.status()["errors"] == 0


def test_from_addresses_to_keys_and_back(module_factory: ModuleFactory, keys: Keys) -> None:
    module = module_factory(configuration())
    endpoint = module.endpoint()
    without = configuration(publisher(bind=endpoint))
    with_keys = keys.configuration(bind=endpoint, crm="default")
    with Load(module.switch):
        for _ in range(2):
            with Subscriber(endpoint) as bare, Subscriber(endpoint, identity=keys.identity("crm")) as keyed:
                bare.subscribed(module.switch)
                keyed.nothing(0)
                assert module.reload(with_keys).startswith("+OK")
                last = module.publisher()["accepted"]
                with Subscriber(endpoint, identity=keys.identity("crm")) as late:
                    late.subscribed(module.switch)
                    nothing_after(bare, last, 1.0)
                    assert module.reload(without).startswith("+OK")
                    last = module.publisher()["accepted"]
                    with Subscriber(endpoint) as later:
                        later.subscribed(module.switch)
                        nothing_after(late, last, 1.0)
    assert module.status()["keys"] == {}
    assert module.status()["errors"] == 0


@pytest.mark.parametrize("anew", [False, True], ids=["the endpoint could stay", "the endpoint has to be opened anew"])
def test_a_reload_that_fails_leaves_the_old_keys(module_factory: ModuleFactory, keys: Keys, anew: bool) -> None:
    module = module_factory(keys.configuration(stays="default", removed="default"))
    endpoint = module.endpoint()
    taken = ("bind", f"tcp://127.0.0.1:{module.switch.esl_port}")
    changed = [taken, ("send-hwm", "500")] if anew else [taken]
    with (
        Subscriber(endpoint, identity=keys.identity("stays")) as stays,
        Subscriber(endpoint, identity=keys.identity("removed")) as removed,
        Subscriber(endpoint, identity=keys.identity("added")) as added,
        Load(module.switch),
    ):
        stays.subscribed(module.switch)
        removed.subscribed(module.switch)
        answer = module.reload(keys.configuration(*changed, bind=endpoint, stays="default", added="default"))
        assert answer.startswith(f"-ERR can't listen on {taken[1]}: Address already in use"), answer
        last = module.publisher()["accepted"]
        for each in (stays, removed):
            wait_for_event_after(each, last)
        assert module.wait_refused("key")["latest_key"] == keys.pairs["added"].hex
        added.nothing(0)
        with Subscriber(endpoint, identity=keys.identity("removed")) as late:
            late.subscribed(module.switch)
        assert set(module.status()["keys"]) == {"stays", "removed"}
        # What was wrong is mended, and now it counts.
        answer = module.reload(keys.configuration(bind=endpoint, stays="default", added="default"))
        assert answer.startswith("+OK"), answer
        last = module.publisher()["accepted"]
        for each in (stays, added):
            wait_for_event_after(each, last)
        nothing_after(removed, last, 1.0)
    assert module.status()["errors"] == 0


def test_ipc_is_cut_off_too(module_factory: ModuleFactory, keys: Keys, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/events"
    module = module_factory(keys.configuration(bind=endpoint, gone="default", stays="default"))
    with (
        Subscriber(endpoint, identity=keys.identity("gone")) as gone,
        Subscriber(endpoint, identity=keys.identity("stays")) as stays,
        Load(module.switch),
    ):
        gone.subscribed(module.switch)
        stays.subscribed(module.switch)
        assert 'key "gone" removed' in module.reload(keys.configuration(bind=endpoint, stays="default"))
        last = module.publisher()["accepted"]
        wait_for_event_after(stays, last)
        nothing_after(gone, last, 1.0)
