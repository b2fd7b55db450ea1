"""`apply-inbound-acl`: who is let in by address, with FreeSWITCH's own lists and with networks."""

from __future__ import annotations

import socket
from typing import Any, NamedTuple

import pytest

from tests.support.module import Module, Subscriber, configuration, publisher

from .conftest import AclWriter, ModuleFactory, lists

ACL = lists(
    '<list name="here" default="deny"><node type="allow" cidr="127.0.0.0/8"/>'
    '<node type="allow" cidr="::1/128"/></list>',
    '<list name="nobody" default="deny"/>',
    '<list name="everybody" default="allow"/>',
    '<list name="second" default="deny"><node type="allow" cidr="127.0.0.2/32"/></list>',
    '<list name="but-one" default="deny"><node type="allow" cidr="127.0.0.0/8"/>'
    '<node type="deny" cidr="127.0.0.2/32"/></list>',
    '<list name="one-of-them" default="allow">'
    '<node type="deny" cidr="127.0.0.0/24"/><node type="allow" host="127.0.0.2" mask="255.255.255.255"/></list>',
    '<list name="v6" default="deny"><node type="allow" cidr="::1/128"/></list>',
)


class Case(NamedTuple):
    """Lists and networks, an address, and whether it is let in."""

    acl: tuple[str, ...]
    source: str
    let_in: bool


V4 = [
    Case(("here",), "127.0.0.1", True),
    Case(("nobody",), "127.0.0.1", False),
    Case(("everybody",), "127.0.0.1", True),
    Case(("second",), "127.0.0.1", False),
    Case(("second",), "127.0.0.2", True),
    Case(("but-one",), "127.0.0.1", True),
    Case(("but-one",), "127.0.0.2", False),
    Case(("one-of-them",), "127.0.0.1", False),
    Case(("one-of-them",), "127.0.0.2", True),
    Case(("one-of-them",), "127.0.1.1", True),
    Case(("v6",), "127.0.0.1", False),
    Case(("loopback.auto",), "127.9.9.9", True),
    Case(("any_v4.auto",), "127.0.0.1", True),
    Case(("any_v6.auto",), "127.0.0.1", False),
    Case(("rfc1918.auto",), "127.0.0.1", False),
    Case(("rfc6598.auto",), "127.0.0.1", False),
    Case(("nat.auto",), "127.0.0.1", False),
    Case(("wan_v6.auto",), "127.0.0.1", False),
    Case(("127.0.0.0/8",), "127.0.0.1", True),
    Case(("127.0.0.2/31",), "127.0.0.3", True),
    Case(("127.0.0.2/31",), "127.0.0.1", False),
    Case(("127.0.0.2",), "127.0.0.2", True),
    Case(("127.0.0.2",), "127.0.0.1", False),
    Case(("0.0.0.0/0",), "127.0.0.1", True),
    Case(("192.0.2.0/24",), "127.0.0.1", False),
    # FreeSWITCH itself would let these in: it compares the bytes of one family with those of the other.
    Case(("::/0",), "127.0.0.1", False),
    Case(("7f00::/8",), "127.0.0.1", False),
    Case(("nobody", "second"), "127.0.0.2", True),
    Case(("nobody", "second"), "127.0.0.1", False),
    Case(("192.0.2.0/24", "here"), "127.0.0.1", True),
    Case(("nobody", "127.0.0.2"), "127.0.0.2", True),
    Case(("nobody", "second", "192.0.2.0/24", "rfc1918.auto"), "127.0.0.1", False),
    # A network that has it is not taken back by a list that denies it: one that matches is enough.
    Case(("but-one", "127.0.0.2"), "127.0.0.2", True),
]

V6 = [
    Case(("here",), "[::1]", True),
    Case(("v6",), "[::1]", True),
    Case(("second",), "[::1]", False),
    Case(("loopback.auto",), "[::1]", True),
    Case(("any_v6.auto",), "[::1]", True),
    Case(("any_v4.auto",), "[::1]", False),
    Case(("::1",), "[::1]", True),
    Case(("::/0",), "[::1]", True),
    Case(("0.0.0.0/0",), "[::1]", False),
    Case(("2001:db8::/32",), "[::1]", False),
]


def wait_judged(module: Module, refused: int) -> dict[str, Any]:
    """The status when somebody has been let in and has subscribed, or one more has been refused."""
    part: dict[str, Any] = module.wait(module.publisher, lambda now: now["subscriptions"] or now["refused"] > refused)
    return part


def check(module: Module, cases: list[Case], ipv6: bool = False) -> None:
    """Each case, one after the other, on the endpoint that is there."""
    endpoint = module.endpoint()
    for case in cases:
        params = [("apply-inbound-acl", text) for text in case.acl]
        settings = [("ipv6", "true")] if ipv6 else []
        answer = module.reload(configuration(publisher(*params, bind=endpoint), settings=settings))
        assert answer.startswith("+OK"), case
        before = module.publisher()["refused"]
        with Subscriber(endpoint.replace("tcp://", f"tcp://{case.source}:0;"), ipv6=ipv6) as subscriber:
            part = wait_judged(module, before)
            assert bool(part["subscriptions"]) is case.let_in, case
            if case.let_in:
                subscriber.subscribed(module.switch)
                assert module.publisher()["refused"] == before, case
            else:
                subscriber.nothing(0)
                # Of the same look: who was refused comes again, and is counted again.
                (refusal,) = [each for each in part["refusals"] if each["reason"] == "address"]
                assert (refusal["count"], refusal["latest_address"]) == (part["refused"], case.source.strip("[]")), case
        module.wait(module.publisher, lambda now: now["subscriptions"] == 0 and now["connections"] == 0)
    assert module.status()["errors"] == 0


def test_lists_and_networks(module_factory: ModuleFactory, acl: AclWriter) -> None:
    module = module_factory(configuration())
    acl(module, ACL)
    check(module, V4)


def skip_without_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")


def test_ipv6(module_factory: ModuleFactory, acl: AclWriter) -> None:
    skip_without_ipv6()
    module = module_factory(configuration(publisher(bind="tcp://[::1]:*"), settings=[("ipv6", "true")]))
    acl(module, ACL)
    check(module, V6, ipv6=True)


def test_an_ipv4_peer_of_an_ipv6_socket_is_an_ipv4_peer(module_factory: ModuleFactory, acl: AclWriter) -> None:
    skip_without_ipv6()
    module = module_factory(configuration(publisher(bind="tcp://[::ffff:127.0.0.1]:*"), settings=[("ipv6", "true")]))
    acl(module, ACL)
    check(module, [case._replace(source=f"[::ffff:{case.source}]") for case in V4], ipv6=True)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("heer", 'acl.conf.xml has no list "heer" (did you mean "here"?)'),
        ("loopbak.auto", 'acl.conf.xml has no list "loopbak.auto" (did you mean "loopback.auto"?)'),
        ("Nobody", 'acl.conf.xml has no list "Nobody" (did you mean "nobody"?)'),
        ("zzzzz", 'acl.conf.xml has no list "zzzzz"; add it there, or name a network such as 192.0.2.0/24'),
    ],
)
def test_a_list_that_is_not_there(module_factory: ModuleFactory, acl: AclWriter, name: str, hint: str) -> None:
    module = module_factory(configuration())
    acl(module, ACL)
    wrong = configuration(publisher(("apply-inbound-acl", "here"), ("apply-inbound-acl", name)))
    answer = f'-ERR event_zmq.conf: <publisher name="default">: apply-inbound-acl: {hint}'
    assert module.reload(wrong) == answer
    with Subscriber(module.endpoint()) as subscriber:  # as before
        subscriber.subscribed(module.switch)
    assert module.command("stop") == "+OK stopped"
    assert module.command("start") == answer
    assert module.status()["state"] == "stopped"


def test_a_list_that_an_admin_takes_away_lets_nobody_in(module_factory: ModuleFactory, acl: AclWriter) -> None:
    module = module_factory(configuration())
    acl(module, ACL)
    assert module.reload(configuration(publisher(("apply-inbound-acl", "here")))).startswith("+OK")
    with Subscriber(module.endpoint()) as early:
        early.subscribed(module.switch)
        acl(module, lists('<list name="nobody" default="deny"/>'))
        with Subscriber(module.endpoint()) as late:
            module.wait(lambda: module.refusals("address")["count"], lambda count: count > 0)
            late.nothing(0)
            early.subscribed(module.switch)
            acl(module, ACL)
            late.subscribed(module.switch)
        # A reload of ours sees it as soon as it is gone from the file.
        module.switch.write_config(lists(), "acl.conf.xml")
        assert 'acl.conf.xml has no list "here"' in module.command("reload")


def test_a_list_that_was_there_from_the_beginning(module_factory: ModuleFactory) -> None:
    module = module_factory(configuration(publisher(("apply-inbound-acl", "test_local"))))
    with Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(module.switch)
    assert module.publisher()["refused"] == 0
