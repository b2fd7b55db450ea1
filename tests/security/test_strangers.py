"""Peers of another machine: as shipped they get nothing, and an admin lets them in with FreeSWITCH's own means."""

from __future__ import annotations

import time

from tests.conftest import SwitchFactory
from tests.support.flow import Good, Load
from tests.support.module import Module, Subscriber, configuration, publisher
from tests.support.network import INSIDE, OUTSIDE, Outside
from tests.support.switch import REPOSITORY
from tests.support.zmtp import GREETING_BYTES, RawPeer, frame, greeting, ready

from .conftest import AclWriter, ModuleFactory, lists

SHIPPED = REPOSITORY / "conf" / "autoload_configs" / "event_zmq.conf.xml"
LOCAL = "tcp://127.0.0.1:5556"
FROM_OUTSIDE = f"tcp://{INSIDE}:5556"


def test_as_shipped_a_stranger_gets_nothing(outside: Outside, switch_factory: SwitchFactory) -> None:
    # On a machine of its own the switch can have the shipped file to the letter, its port included.
    module = Module(switch_factory(event_zmq_xml=SHIPPED.read_text("utf-8")))
    began = time.monotonic()
    module.start()
    assert module.endpoint() == "tcp://0.0.0.0:5556"
    with outside():
        stranger, raw = Subscriber(FROM_OUTSIDE), RawPeer(FROM_OUTSIDE)
    with stranger, raw, Good(LOCAL, module.switch) as good, Load(module.switch):
        raw.send(greeting())
        # Who knows that ZeroMQ listens there knows this; it says nothing of us.
        assert raw.receive(GREETING_BYTES) == greeting(minor=1)
        raw.send(ready())
        stranger.nothing(3.0)
        assert raw.rest() == b""
        good.lost_nothing()
    part = module.wait(module.publisher, lambda now: now["refused"] >= 2)
    (refusals,) = part["refusals"]  # of the same look: they go on being counted
    assert refusals["reason"] == "address"
    assert refusals["latest_address"] == OUTSIDE
    assert refusals["endpoint"] == "tcp://0.0.0.0:5556"
    assert part["refused"] == refusals["count"]
    log = module.wait_log("apply-inbound-acl doesn't have its address")
    warnings = [line for line in log.splitlines() if "[WARNING]" in line]
    assert len(warnings) <= 1 + (time.monotonic() - began) / 10
    for warning in warnings:
        assert f"the latest from {OUTSIDE}: apply-inbound-acl doesn't have its address" in warning


def test_who_is_refused_and_talks_on_is_cut_off_and_counts_once(module_factory: ModuleFactory) -> None:
    module = module_factory(configuration(publisher(("apply-inbound-acl", "192.0.2.0/24"))))
    for number in range(1, 11):
        with RawPeer(module.endpoint()) as raw:
            raw.send(greeting())
            raw.receive(GREETING_BYTES)
            if number % 2:  # before or after it was judged
                module.wait_refused("address", count=number)
            raw.send(ready() + frame(b"\x01"))
            assert raw.rest() == b""
        module.wait(lambda: module.publisher()["connections"], lambda connections: connections == 0)
        part = module.publisher()
        assert (part["refused"], part["subscriptions"]) == (number, 0), part["refusals"]


def test_an_admin_lets_a_stranger_in_and_out(outside: Outside, switch_factory: SwitchFactory, acl: AclWriter) -> None:
    xml = configuration(publisher(("apply-inbound-acl", "friends"), bind="tcp://*:5556"))
    module = Module(switch_factory(event_zmq_xml=xml))
    local = '<node type="allow" cidr="127.0.0.0/8"/>'
    friends = f'<list name="friends" default="deny">{local}</list>'
    friends_and_stranger = friends.replace("</list>", f'<node type="allow" cidr="{OUTSIDE}/32"/></list>')
    acl(module, lists(friends))
    module.start()
    with outside():
        stranger = Subscriber(FROM_OUTSIDE)
    with stranger, Good(LOCAL, module.switch) as good, Load(module.switch):
        module.wait(lambda: module.refusals("address")["count"], lambda count: count > 0)
        stranger.nothing(0)
        began = time.monotonic()
        acl(module, lists(friends_and_stranger))
        stranger.raw()
        print(f"let in {time.monotonic() - began:.2f} s after reloadacl")
        acl(module, lists(friends))
        with outside():
            late = Subscriber(FROM_OUTSIDE)
        with late:
            count = module.refusals("address")["count"]
            module.wait(lambda: module.refusals("address")["count"], lambda now: now > count)
            late.nothing(0)
            stranger.subscribed(module.switch)
        good.lost_nothing()
