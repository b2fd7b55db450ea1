"""Who may do what, and how many commands run."""

from __future__ import annotations

import threading

import pytest

from freeswitch_zmq.grants import Grants
from freeswitch_zmq.jsonrpc import FORBIDDEN, METHOD_NOT_FOUND
from freeswitch_zmq.module.api import desk as desk_module
from freeswitch_zmq.module.schema import KeyConfig
from tests.unit.asking import HERE, Asking, key
from tests.unit.configurations import api_config
from tests.unit.fake_freeswitch import FakeSwitch

CRM = key("crm", allow=["status", "api:status"])
BACKUP = key("backup", "default", allow=[])


@pytest.fixture
def asking(switch: FakeSwitch) -> Asking:
    return Asking(switch, keys=[CRM, BACKUP], allow="ping, api:version")


def test_without_a_key_one_may_what_the_api_says(asking: Asking) -> None:
    caller = asking.caller()
    assert (caller.address, caller.key) == (HERE, None)
    assert caller.grants.method("ping")
    assert not caller.grants.method("status")
    assert asking.desk.caller(None, "192.0.2.77").address == "192.0.2.77"


def test_with_a_key_one_may_what_the_key_says_and_nothing_else(asking: Asking) -> None:
    caller = asking.caller(CRM)
    assert (caller.address, caller.key) == (HERE, CRM)
    assert caller.grants.method("status")
    assert not caller.grants.method("ping")
    backup = asking.caller(BACKUP)
    assert backup.key == BACKUP
    assert not any(backup.grants.method(name) for name in ("ping", "status"))


def test_a_key_that_was_taken_away_may_nothing(asking: Asking) -> None:
    before = asking.caller(CRM)
    asking.ring.configure([BACKUP])
    caller = asking.caller(CRM)
    assert caller.key is None
    for method in ("ping", "status"):
        assert asking.code(method, CRM) == FORBIDDEN
    assert asking.code("api", CRM, command="status") == FORBIDDEN
    assert asking.code("api", CRM, command="version") == FORBIDDEN
    # What it had asked for before is not for it any more.
    assert not asking.desk.still_knows(before)
    assert asking.desk.still_knows(asking.caller())
    asking.ring.configure([CRM])
    assert asking.desk.still_knows(before)
    assert asking.ask("status", CRM) == {}


def test_another_one_of_the_same_name_is_another_one(asking: Asking) -> None:
    before = asking.caller(CRM)
    other = KeyConfig("crm", b"o" * 32, (), ("ping",))
    asking.ring.configure([other])
    assert not asking.desk.still_knows(before)
    assert asking.caller(other).grants.method("ping")
    assert not asking.caller(other).grants.method("status")


def test_permissions_are_read_once_until_they_change(asking: Asking) -> None:
    first = asking.caller(CRM).grants
    assert asking.caller(CRM).grants is first
    assert asking.caller(BACKUP).grants is not first
    asking.ring.configure([key("crm", allow=["ping"]), BACKUP])
    assert asking.ask("ping", CRM)
    assert asking.code("status", CRM) == FORBIDDEN


def test_a_reload_counts_from_the_next_request_on(asking: Asking) -> None:
    under_way = asking.request("api", {"command": "version"})
    assert asking.ask("ping")
    assert asking.ask("status", CRM) == {}
    asking.desk.configure(api_config(allow="status", deny="status, api:status", max_pending=7))
    assert asking.code("ping") == FORBIDDEN
    assert asking.code("status") == FORBIDDEN
    assert asking.code("status", CRM) == FORBIDDEN
    assert asking.code("api", CRM, command="status") == FORBIDDEN
    assert asking.desk.config.max_pending == 7
    assert asking.do(under_way) is None
    asking.desk.configure(api_config(allow="ping"))
    assert asking.ask("ping")
    assert asking.ask("status", CRM) == {}


def test_who_asks_in_the_middle_of_a_reload_gets_nothing_for_later(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One thread looks up what a key may do, with what was denied until then, while another one takes up what is denied
    # from now on.
    denied = api_config(deny="status")

    class SlowGrants(Grants):
        def __init__(self, allow: tuple[str, ...], deny: tuple[str, ...] = ()) -> None:
            super().__init__(allow, deny)
            if allow == CRM.allow and not deny:
                reload = threading.Thread(target=lambda: asking.desk.configure(denied))
                reload.start()
                reload.join(20.0)

    monkeypatch.setattr(desk_module, "Grants", SlowGrants)
    assert asking.caller(CRM).grants.method("status")  # it came before
    assert not asking.caller(CRM).grants.method("status")


# Methods.


def test_ping_and_status(asking: Asking) -> None:
    asking.told["state"] = "running"
    pong = asking.ask("ping")
    assert list(pong) == ["protocol", "version", "core_uuid"]
    assert (pong["protocol"], pong["core_uuid"]) == (1, "core-uuid")
    assert asking.ask("status", CRM) == {"state": "running"}
    assert asking.code("status") == FORBIDDEN
    assert asking.code("ping", CRM) == FORBIDDEN


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("pong", 'there is no method "pong" (did you mean "ping"?)'),
        ("Ping", 'there is no method "Ping" (did you mean "ping"?)'),
        ("", 'there is no method ""'),
        ("rpc.discover", 'there is no method "rpc.discover"'),
        ("__init__", 'there is no method "__init__"'),
        ("a\n\0\ud83d", r'there is no method "a\n\x00\ud83d"'),
        ("x" * 60_000, f'there is no method "{"x" * 40}"'),
    ],
)
def test_there_are_no_other_methods(asking: Asking, method: str, told: str) -> None:
    error = asking.refused(method)
    assert (error.code, error.message, error.data) == (METHOD_NOT_FOUND, told, None)


# Places.
