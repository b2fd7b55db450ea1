"""`security` `curve`: who has a key of `<access>` gets all events, and nobody else gets one."""

from __future__ import annotations

import calendar
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.flow import Good, Load
from tests.support.keys import new_pair
from tests.support.module import LOOPBACK, Subscriber, configuration, publisher
from tests.support.relay import Relay
from tests.support.zmtp import GREETING_BYTES, RawPeer, frame, greeting, ready

from .conftest import ModuleFactory
from .keys_configuration import CURVE, Keys


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_the_right_key_gets_all_and_nobody_else_anything(module_factory: ModuleFactory, keys: Keys) -> None:
    module = module_factory(
        configuration(
            publisher(CURVE),
            publisher(CURVE, name="other"),
            access=keys.access(crm="default", both="default,other", elsewhere="other", nowhere=""),
        )
    )
    endpoint = module.endpoint()
    strangers = {
        "without a key": None,
        "an unknown key": keys.identity("unknown"),
        "another server's public key": keys.identity("crm", server=new_pair()),
        "a key of another publisher": keys.identity("elsewhere"),
        "a key of no publisher": keys.identity("nowhere"),
    }
    with ExitStack() as open_now:
        sockets = [open_now.enter_context(Subscriber(endpoint, identity=identity)) for identity in strangers.values()]
        good = open_now.enter_context(Good(endpoint, module.switch, keys.identity("crm")))
        second = open_now.enter_context(Good(endpoint, module.switch, keys.identity("both")))
        third = open_now.enter_context(Good(module.endpoint("other"), module.switch, keys.identity("elsewhere")))
        open_now.enter_context(Load(module.switch))
        for reason, count in (("key", 1), ("handshake", 2), ("publisher", 2)):
            module.wait_refused(reason, count=count)
        for number, (what, stranger) in enumerate(zip(strangers, sockets)):
            assert not stranger.socket.poll(0 if number else 3000), what
        for each in (good, second, third):
            each.lost_nothing()
            print(each)
        assert module.publisher()["connections"] >= 2
    for reason, key in (("key", keys.pairs["unknown"].hex), ("handshake", "")):
        refusal = module.refusals(reason)
        assert refusal["count"] >= 1, reason
        assert (refusal["latest_address"], refusal["latest_key"]) == ("127.0.0.1", key)
    refusal = module.refusals("publisher")
    assert refusal["count"] >= 2
    assert refusal["latest_key"] in ("elsewhere", "nowhere")
    assert module.publisher("other")["refused"] == 0
    log = module.wait_log("<access> doesn't know its key")
    assert f"with the key {keys.pairs['unknown'].hex}: " in log
    assert module.status()["errors"] == 0


def test_status_knows_each_key(module_factory: ModuleFactory, keys: Keys) -> None:
    xml = configuration(
        publisher(CURVE), publisher(name="open"), access=keys.access(crm="default", never="default,open")
    )
    module = module_factory(xml)
    nobody = {"let_in": 0, "last_let_in": "", "last_address": ""}
    assert module.status()["keys"] == {
        "crm": {"publishers": ["default"], **nobody},
        "never": {"publishers": ["default", "open"], **nobody},
    }
    assert (module.publisher()["security"], module.publisher("open")["security"]) == ("curve", "null")
    for times in (1, 2):
        before = int(time.time())
        with Subscriber(module.endpoint(), identity=keys.identity("crm")) as subscriber:
            subscriber.subscribed(module.switch)
            crm = module.status()["keys"]["crm"]
            at = calendar.timegm(time.strptime(crm["last_let_in"], "%Y-%m-%dT%H:%M:%SZ"))
            assert before <= at <= time.time()
            assert (crm["let_in"], crm["last_address"]) == (times, "127.0.0.1")
            assert module.publisher()["connections"] == 1
        module.wait(lambda: module.publisher()["connections"], lambda now: now == 0)
    assert module.status()["keys"]["never"]["let_in"] == 0
    text = module.command("status")
    assert "crm: default; let in 2 times, last at " in text
    assert "never: default, open; never let in" in text
    # A reload that has nothing to do with it forgets nothing.
    assert module.reload(xml.replace("<settings>", '<settings><param name="io-threads" value="2"/>')).startswith("+OK")
    assert module.status()["keys"]["crm"]["let_in"] == 2


def test_an_address_is_needed_as_well(module_factory: ModuleFactory, keys: Keys) -> None:
    module = module_factory(keys.configuration(("apply-inbound-acl", "test_second_only"), crm="default"))
    crm = keys.identity("crm")
    with (
        Subscriber(module.endpoint(), identity=crm) as here,
        Subscriber(module.endpoint().replace("tcp://", "tcp://127.0.0.2:0;"), identity=crm) as there,
    ):
        there.subscribed(module.switch)
        refusal = module.wait_refused("address")
        assert (refusal["latest_address"], refusal["latest_key"]) == ("127.0.0.1", "crm")
        here.nothing(0)
    assert module.status()["keys"]["crm"]["last_address"] == "127.0.0.2"


def test_ipc_asks_for_the_key_too(module_factory: ModuleFactory, keys: Keys, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/events"
    module = module_factory(keys.configuration(bind=endpoint, crm="default"))
    with (
        Subscriber(endpoint) as bare,
        Subscriber(endpoint, identity=keys.identity("unknown")) as unknown,
        Subscriber(endpoint, identity=keys.identity("crm", server=new_pair())) as misled,
        Good(endpoint, module.switch, keys.identity("crm")) as good,
        Load(module.switch),
    ):
        module.wait_refused("key", count=1)
        module.wait_refused("handshake", count=2)
        unknown.nothing(3.0)
        bare.nothing(0)
        misled.nothing(0)
        good.lost_nothing()
    assert module.refusals("key")["latest_key"] == keys.pairs["unknown"].hex
    assert module.refusals("handshake")["count"] >= 2
    assert module.status()["keys"]["crm"]["let_in"] == 1


def test_nothing_can_be_read_on_the_wire(module_factory: ModuleFactory, keys: Keys) -> None:
    module = module_factory(keys.configuration(crm="default"))
    with Relay(module.endpoint()) as relay, Good(relay.endpoint, module.switch, keys.identity("crm")) as good:
        with Load(module.switch, 500):
            good.lost_nothing()
        assert len(relay.down) > 1000 * good.count
        for word in (b"Event-Name", b"ZMQ-Sequence", b"bench::tick", b"SUBSCRIBE"):
            assert word not in relay.down
            assert word not in relay.up
    with RawPeer(module.endpoint()) as raw:
        raw.send(greeting(b"CURVE"))
        assert raw.receive(GREETING_BYTES) == greeting(b"CURVE", minor=1)
        raw.send(ready() + frame(b"\x01"))
        assert raw.rest() == b""
    module.wait(lambda: module.refusals("handshake")["count"], lambda count: count == 1)


def test_an_endpoint_without_keys_takes_none(module_factory: ModuleFactory, keys: Keys) -> None:
    module = module_factory(configuration(publisher(bind=LOOPBACK), access=keys.access(crm="default")))
    with Good(module.endpoint(), module.switch) as good, Load(module.switch):
        with Subscriber(module.endpoint(), identity=keys.identity("crm")) as keyed:
            keyed.nothing(1.0)
        # It may try again and again, and count each time or never: who of the two notices first ends the connection.
        module.wait(module.publisher, lambda now: now["connections"] == 1)
        before = module.refusals("handshake")["count"]
        with RawPeer(module.endpoint()) as raw:
            raw.send(greeting(b"CURVE"))
            assert greeting(minor=1).startswith(raw.rest())
        module.wait(lambda: module.refusals("handshake")["count"], lambda count: count == before + 1)
        good.lost_nothing()
    assert module.status()["keys"]["crm"]["let_in"] == 0
