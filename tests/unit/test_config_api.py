"""`<api>`: what it means, and what is told about mistakes in it."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from pathlib import Path

import pytest

from freeswitch_zmq.errors import ConfigError
from freeswitch_zmq.module.addresses import AddressList
from freeswitch_zmq.module.config import parse_config
from freeswitch_zmq.module.schema import API, DEFAULT_API_BIND, ApiConfig
from freeswitch_zmq.permissions import parse_permissions
from tests.support.keys import access, new_secret_file
from tests.unit.configurations import api, config, configuration, param, publisher
from tests.unit.test_config_mistakes import OWN_KEY, problems, said

DEFAULTS = ApiConfig(
    bind=(DEFAULT_API_BIND,),
    apply_inbound_acl=("loopback.auto",),
    security="null",
    allow=("ping", "status", "replay:*", "api:status", "api:version", "api:uptime", "api:show *"),
    deny=(),
    max_pending=1000,
    timeout_ms=10_000,
    handshake_ms=2000,
    max_message_bytes=65536,
)


def parsed(*params: str) -> ApiConfig:
    found = config(publisher(), api=api(*params), acl_lists=["lan"]).api
    assert found is not None
    return found


def test_without_it_there_is_none() -> None:
    assert config(publisher()).api is None


@pytest.mark.parametrize("section", ["<api/>", "<api></api>", "<api/><api/>"])
def test_an_empty_one_has_the_defaults(section: str) -> None:
    assert config(publisher(), api=section).api == DEFAULTS


def test_every_parameter_has_a_field_and_every_field_a_parameter() -> None:
    assert [field.name for field in fields(ApiConfig)] == [parameter.field for parameter in API]


def test_everything_at_once(tmp_path: Path) -> None:
    section = api(
        param("bind", "tcp://127.0.0.1:6000"),
        param("bind", "ipc:///run/api"),
        param("apply-inbound-acl", "192.0.2.0/24"),
        param("apply-inbound-acl", "lan"),
        param("security", "curve"),
        param("allow", "ping, api:Show  calls"),
        param("allow", "sendevent:heartbeat"),
        param("deny", "api:*, bgapi:uuid_*"),
        param("deny", "sendevent:*"),
        param("max-pending", "1"),
        param("timeout-ms", "86400000"),
        param("handshake-ms", "600000"),
        param("max-message-bytes", "1"),
    )
    found = config(publisher(), api=section, access=access(new_secret_file(tmp_path).path), acl_lists=["lan"]).api
    assert found == ApiConfig(
        bind=("tcp://127.0.0.1:6000", "ipc:///run/api"),
        apply_inbound_acl=("192.0.2.0/24", "lan"),
        security="curve",
        allow=("ping", "api:show calls", "sendevent:HEARTBEAT"),
        deny=("api:*", "bgapi:uuid_*", "sendevent:*"),
        max_pending=1,
        timeout_ms=86_400_000,
        handshake_ms=600_000,
        max_message_bytes=1,
    )


def test_it_may_come_in_parts_and_at_any_place() -> None:
    xml = configuration(publisher(), api=api(param("allow", "ping")) + api(param("max-pending", "5")))
    found = parse_config(xml).api
    assert found is not None
    assert (found.allow, found.max_pending, found.bind) == (("ping",), 5, DEFAULTS.bind)
    first = api(param("allow", "ping"))
    swapped = configuration(publisher(), api=first).replace(first, "").replace("<settings>", first + "<settings>")
    assert parse_config(swapped) == config(publisher(), api=first)


def test_nothing_may_be_allowed() -> None:
    assert parsed(param("allow", "")).allow == ()
    assert parsed(param("deny", "")).deny == ()


def test_a_port_may_be_any_free_one_also_when_a_publisher_takes_one() -> None:
    anything = param("bind", "tcp://127.0.0.1:*")
    assert config(publisher(anything), api=api(anything)).api is not None
    assert parsed(param("bind", "tcp://127.0.0.1:5555")).bind == ("tcp://127.0.0.1:5555",)


IN_API = {
    "a parameter's name misspelt": (
        param("allows", "ping"),
        '<api>: there is no parameter "allows" (did you mean "allow"?)',
    ),
    "a parameter of a publisher": (
        param("queue-size", "5"),
        '<api>: there is no parameter "queue-size"; known are: bind, apply-inbound-acl, security, allow, deny, '
        "max-pending, timeout-ms, handshake-ms, max-message-bytes",
    ),
    "a permission misspelt": (
        param("allow", "ping, stauts"),
        f"<api>: allow: {said(parse_permissions, 'ping, stauts')}",
    ),
    "a shell by a wildcard": (
        param("allow", "api:uuid_*"),
        f"<api>: allow: {said(parse_permissions, 'api:uuid_*')}",
    ),
    "a hole in the permissions": (
        param("allow", "ping,,status"),
        f"<api>: allow: {said(parse_permissions, 'ping,,status')}",
    ),
    "an unknown thing to deny": (
        param("deny", "reboot:now"),
        f"<api>: deny: {said(partial(parse_permissions, deny=True), 'reboot:now')}",
    ),
    "an unknown event to deny": (
        param("deny", "sendevent:HARTBEAT"),
        f"<api>: deny: {said(partial(parse_permissions, deny=True), 'sendevent:HARTBEAT')}",
    ),
    "the same twice": (
        param("deny", "ping") + param("deny", "ping"),
        '<api>: deny: "ping" stands there twice; leave one',
    ),
    "twice what can be there once": (
        param("max-pending", "5") + param("max-pending", "6"),
        '<api>: "max-pending" stands there twice; leave one',
    ),
    "nothing may run": (
        param("max-pending", "0"),
        '<api>: max-pending: "0" is not a whole number from 1 to 100000',
    ),
    "more than a day": (
        param("timeout-ms", "86400001"),
        '<api>: timeout-ms: "86400001" is not a whole number from 1 to 86400000',
    ),
    "a time with its unit": (
        param("timeout-ms", "10s"),
        '<api>: timeout-ms: "10s" is not a whole number from 1 to 86400000',
    ),
    "another security": (
        param("security", "tls"),
        '<api>: security: "tls" is not one of: null, curve',
    ),
    "no endpoint": (
        param("bind", "5557"),
        '<api>: bind: "5557" is not an endpoint such as tcp://127.0.0.1:5556 or ipc:///run/events',
    ),
    "multicast": (
        param("bind", "norm://239.192.1.1:5555"),
        '<api>: bind: "norm://239.192.1.1:5555": bind takes tcp://, ipc://, inproc://, tipc://; multicast goes with '
        "connect",
    ),
    "to connect": (
        param("connect", "tcp://192.0.2.1:5557"),
        '<api>: there is no parameter "connect"; known are: bind, apply-inbound-acl, security, allow, deny, '
        "max-pending, timeout-ms, handshake-ms, max-message-bytes",
    ),
    "the port of a publisher": (
        param("bind", "tcp://127.0.0.1:5556"),
        '<api>: bind: "tcp://127.0.0.1:5556" is taken by publisher "default"; give it another port',
    ),
    "two at one place": (
        param("bind", "tcp://*:5557") + param("bind", "tcp://127.0.0.1:5557"),
        '<api>: bind: "tcp://127.0.0.1:5557" is taken by <api>; give it another port',
    ),
    "encryption without a key of one's own": (
        param("security", "curve"),
        f"<api>: security: curve {OWN_KEY}",
    ),
    "a list that is not there": (
        param("apply-inbound-acl", "lan"),
        '<api>: apply-inbound-acl: acl.conf.xml has no list "lan"; add it there, or name a network such as '
        "192.0.2.0/24",
    ),
    "no network": (
        param("apply-inbound-acl", "192.0.2.300"),
        f"<api>: apply-inbound-acl: {said(AddressList, '192.0.2.300')}",
    ),
    "an element of another kind": (
        "<key/>",
        "<api>: there is no element <key>; known are: param",
    ),
    "text": (
        "allow everything",
        '<api>: the text "allow everything" means nothing here; take it out',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("params", "problem"), IN_API.values(), ids=IN_API.keys())
def test_a_mistake_in_the_api(params: str, problem: str) -> None:
    assert problems(configuration(publisher(), api=api(params))) == [problem]


def test_an_attribute_of_the_api() -> None:
    assert problems(configuration(publisher(), api='<api bind="tcp://*:5557"/>')) == [
        '<api>: there is no attribute "bind"; none is known here'
    ]


def test_a_list_is_looked_for_among_those_of_freeswitch_and_the_nearest_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        config(publisher(), api=api(param("apply-inbound-acl", "lann")), acl_lists=["lan"])
    assert caught.value.problems == ('<api>: apply-inbound-acl: acl.conf.xml has no list "lann" (did you mean "lan"?)',)


def test_all_mistakes_are_told_at_once_with_their_places() -> None:
    xml = configuration(
        publisher(param("framing", "multi")),
        api=api(param("allow", "reboot"), param("max-pending", "x"), param("security", "curve")),
        access="<access><key/></access>",
    )
    places = [problem.split(": ")[0] for problem in problems(xml)]
    assert places == ['<publisher name="default">', "<api>", "<api>", '<key name="">', '<key name="">']


def test_one_mistake_in_the_api_is_one_line() -> None:
    # What only follows from it is not told.
    xml = configuration(publisher(), api=api(param("bind", "tcp://*:5556"), param("allow", "reboot")))
    assert len(problems(xml)) == 1
