"""Who may do what with the API: by address, by key, and after a reload from the next request on."""

from __future__ import annotations

import contextlib
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.conftest import SwitchFactory
from tests.support.caller import Caller, RpcFailure
from tests.support.eavesdrop import Eavesdropper
from tests.support.holding import HOLD, Hold
from tests.support.keys import access, new_pair
from tests.support.module import Module, Param, Subscriber, api, configuration, publisher
from tests.support.network import INSIDE, OUTSIDE, Outside
from tests.support.rawcaller import RawCaller

from .conftest import ModuleFactory
from .keys_configuration import CURVE, Keys

FORBIDDEN = -32001

EVERYTHING = f"ping,status,replay:*,api:*,{HOLD},bgapi:*,sendevent:*,sendevent:CUSTOM^*,sendevent:BACKGROUND_JOB"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def access_of(keys: Keys, **who: tuple[str, str | None]) -> str:
    """An `<access>`: to which publishers each key may subscribe, and what it may do with the API (None: nothing)."""
    return access(
        keys.file,
        [
            f'<key name="{name}" public-key="{keys.identity(name).pair.hex}" publishers="{publishers}"'
            + (f' allow="{allow}"/>' if allow is not None else "/>")
            for name, (publishers, allow) in who.items()
        ],
    )


def with_keys(keys: Keys, *given: Param, bind: str = "tcp://127.0.0.1:*", **who: tuple[str, str | None]) -> str:
    """A publisher that holds events, and an API, both with keys."""
    return configuration(
        publisher(CURVE, ("replay-mb", "5")),
        publisher(("replay-mb", "5"), name="open"),
        api=api(CURVE, *given, bind=bind),
        access=access_of(keys, **who),
    )


def requests(module: Module, word: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """One of each kind, that could be done; `word` shows where they were."""
    part = module.publisher()
    first = {"publisher": "default", "epoch": part["epoch"], "first": 1}
    return {
        "ping": ("ping", {}),
        "status": ("status", {}),
        "replay": ("replay", first),
        "api": ("api", {"command": "echo", "args": word}),
        "another command": ("api", {"command": "version"}),
        "bgapi": ("bgapi", {"command": "echo", "args": word}),
        "an event": ("sendevent", {"name": "MESSAGE", "headers": {"Word": word}}),
        "a CUSTOM event": ("sendevent", {"name": "CUSTOM", "subclass": "test::x", "headers": {"Word": word}}),
    }


def may(module: Module, caller: Caller, word: str = "x") -> set[str]:
    """What of it somebody may do; the rest has to be forbidden."""
    codes = {what: caller.code(method, **params) for what, (method, params) in requests(module, word).items()}
    assert set(codes.values()) <= {0, FORBIDDEN}, codes
    return {what for what, code in codes.items() if not code}


def test_what_each_may_do(module_factory: ModuleFactory, keys: Keys) -> None:
    module = module_factory(
        with_keys(
            keys,
            ("allow", EVERYTHING),
            ("deny", "api:echo secret*, ping"),
            nothing=("default,open", None),
            empty=("default", ""),
            all=("default", EVERYTHING),
            some=("", "status,replay:*,api:echo *"),
        )
    )
    endpoint = module.api_endpoint()
    word = secrets.token_hex(8)
    callers = {name: Caller(endpoint, identity=keys.identity(name)) for name in ("nothing", "empty", "all", "some")}
    with ExitStack() as open_now:
        for caller in callers.values():
            open_now.enter_context(caller)
        ear = open_now.enter_context(Eavesdropper(module.endpoint("open"), module.switch))
        # What <api> allows is not for keys, what it denies is.
        for name in ("nothing", "empty"):
            assert may(module, callers[name], word) == set(), name
        assert may(module, callers["some"], word) == {"status", "api"}
        ear.caught_up()
        assert ear.of(word) == []
        assert may(module, callers["all"]) == set(requests(module, "")) - {"ping"}
        for args, code in (("secret", FORBIDDEN), ("SECRETS  of x", FORBIDDEN), (" 'secret'", FORBIDDEN), ("x", 0)):
            assert callers["all"].code("api", command="echo", args=args) == code, args
    refused = [each for each in module.api()["refusals"] if each["reason"] == "forbidden"]
    assert refused[0]["latest_key"] == "all"


def test_a_reload_counts_from_the_next_request_on(module_factory: ModuleFactory, keys: Keys) -> None:
    def xml(allow: str, deny: str, crm: str | None) -> str:
        return with_keys(keys, ("allow", allow), ("deny", deny), bind=bind, crm=("default", crm))

    bind = "tcp://127.0.0.1:*"
    module = module_factory(xml("ping", "status", "ping"))
    bind = module.api_endpoint()
    with (
        Caller(bind, identity=keys.identity("crm")) as caller,
        Caller(bind, zmq.DEALER, identity=keys.identity("crm")) as asking,
    ):
        assert may(module, caller) == {"ping"}
        for allow, deny, able in (
            ("status, api:echo *", "api:version", {"status", "api"}),
            (
                EVERYTHING,
                "replay:default, api:version",
                {"ping", "status", "api", "bgapi", "an event", "a CUSTOM event"},
            ),
            (None, "api:version", set()),
            ("ping", "api:version", {"ping"}),
            ("ping", "ping", set()),
        ):
            # Some that were sent before it is taken up, and are asked for all the time.
            for _ in range(50):
                asking.send("ping")
            assert module.reload(xml("ping", deny, allow)).startswith("+OK")
            assert may(module, caller) == able, allow
            asking.answers(50)
        # It is the same connection.
        assert module.status()["keys"]["crm"]["let_in"] == 2


def test_it_counts_for_those_without_a_key_too(module_factory: ModuleFactory) -> None:
    def xml(*given: Param) -> str:
        return configuration(publisher(("replay-mb", "5")), api=api(*given, bind=bind))

    bind = "tcp://127.0.0.1:*"
    module = module_factory(xml())
    bind = module.api_endpoint()
    with Caller(bind) as caller:
        assert may(module, caller) == {"ping", "status", "replay", "another command"}
        assert module.reload(xml(("allow", "ping,api:echo *"))).startswith("+OK")
        assert may(module, caller) == {"ping", "api"}
        assert module.reload(xml(("allow", "ping,api:echo *"), ("deny", "api:echo *"))).startswith("+OK")
        assert may(module, caller) == {"ping"}
        assert module.reload(xml(("allow", ""), ("deny", ""))).startswith("+OK")
        assert may(module, caller) == set()


@pytest.mark.parametrize("how", ["taken away", "exchanged"])
def test_a_key_that_is_gone_gets_nothing_more(module_factory: ModuleFactory, keys: Keys, how: str) -> None:
    def xml(**who: tuple[str, str | None]) -> str:
        return with_keys(keys, bind=bind, **who, stays=("default", EVERYTHING))

    bind = "tcp://127.0.0.1:*"
    module = module_factory(xml(crm=("default,open", EVERYTHING)))
    bind = module.api_endpoint()
    with (
        Caller(bind, zmq.DEALER, identity=keys.identity("crm")) as gone,
        Caller(bind, zmq.DEALER, identity=keys.identity("stays")) as stays,
    ):
        gone.send("replay", {"publisher": "default", "epoch": module.publisher()["epoch"], "first": 1})
        assert "result" in gone.receive()
        held = Hold(module.switch)
        for caller in (gone, stays):
            for _ in range(20):
                caller.send("api", held.params(timeout=80))
        module.wait(module.api, lambda now: now["pending"] == 40)
        if how == "taken away":
            assert 'key "crm" removed' in module.reload(xml())
        else:
            del keys.pairs["crm"]
            assert 'key "crm" changed' in module.reload(xml(crm=("default,open", EVERYTHING)))
        before = module.api()["undelivered"]
        for method, params in requests(module, "x").values():
            gone.send(method, params)
        held.release()
        assert all(answer["result"]["output"] == "+OK" for answer in stays.answers(20).values())
        module.wait(module.api, lambda now: now["pending"] == 0)
        assert module.api()["undelivered"] >= before + 20
        # Whatever it is told, it is no answer to what it asked.
        while gone.socket.poll(500):
            assert gone.receive()["error"]["code"] == FORBIDDEN
        if how == "exchanged":
            with Caller(bind, identity=keys.identity("crm")) as new:
                assert may(module, new) == set(requests(module, ""))
    assert module.status()["errors"] == 0


def test_who_is_not_let_in(module_factory: ModuleFactory, keys: Keys) -> None:
    module = module_factory(with_keys(keys, ("allow", EVERYTHING), crm=("", EVERYTHING)))
    endpoint = module.api_endpoint()
    strangers = {
        "without a key": None,
        "an unknown key": keys.identity("unknown"),
        "another switch's public key": keys.identity("crm", server=new_pair()),
    }
    with ExitStack() as open_now:
        callers = [
            open_now.enter_context(Caller(endpoint, zmq.DEALER, identity=identity)) for identity in strangers.values()
        ]
        for caller in callers:
            for method, params in requests(module, "x").values():
                try_to_send(caller, method, params)
        good = open_now.enter_context(Caller(endpoint, identity=keys.identity("crm")))
        assert good.call("ping")["protocol"] == 1
        module.wait(
            lambda: {each["reason"] for each in module.api()["refusals"]}, lambda now: now >= {"key", "handshake"}
        )
        for caller in callers:
            caller.nothing(0.5)
        assert module.api()["requests"] == 1
        # And where none is asked for, a key is no help.
        assert module.reload(configuration(api=api(("allow", "ping"), bind=endpoint))).startswith("+OK")
        with Caller(endpoint, zmq.DEALER, identity=keys.identity("crm")) as keyed, Caller(endpoint) as bare:
            try_to_send(keyed, "ping", {})
            assert bare.call("ping")["protocol"] == 1
            keyed.nothing(1.0)


def try_to_send(caller: Caller, method: str, params: dict[str, Any]) -> None:
    """Where the other side speaks another mechanism libzmq gives up for good, and takes nothing any more."""
    caller.socket.set(zmq.SNDTIMEO, 100)
    with contextlib.suppress(zmq.Again):
        caller.send(method, params)


def test_strangers_by_address(outside: Outside, switch_factory: SwitchFactory) -> None:
    def xml(*given: Param) -> str:
        return configuration(api=api(("allow", EVERYTHING), *given, bind="tcp://*:5557"))

    module = Module(switch_factory(event_zmq_xml=xml()))
    module.start()
    with outside():
        stranger = Caller(f"tcp://{INSIDE}:5557", zmq.DEALER)
    with stranger, Caller("tcp://127.0.0.1:5557") as local:
        stranger.send("ping")
        assert local.call("ping")["protocol"] == 1
        refused = module.wait(module.api, lambda now: now["refused"] > 0)
        assert [(each["reason"], each["latest_address"]) for each in refused["refusals"]] == [("address", OUTSIDE)]
        stranger.nothing(2.5)
        assert module.api()["requests"] == 1
        assert module.reload(xml(("apply-inbound-acl", "loopback.auto"), ("apply-inbound-acl", OUTSIDE))).startswith(
            "+OK"
        )
        assert stranger.receive()["result"]["protocol"] == 1


def test_one_address_of_many(module_factory: ModuleFactory) -> None:
    module = module_factory(
        configuration(api=api(("allow", "ping"), ("apply-inbound-acl", "127.0.0.2/32"), ("handshake-ms", "3000")))
    )
    with RawCaller(module.api_endpoint(), source="127.0.0.2") as friend:
        assert friend.ask("ping")["result"]["protocol"] == 1
    endpoint = module.api_endpoint()
    with ThreadPoolExecutor() as pool:  # at the same time, because each is told only after handshake-ms
        strangers = [pool.submit(RawCaller, endpoint, source=source) for source in ("", "127.0.0.1", "127.0.0.3")]
    for stranger in strangers:
        with pytest.raises((AssertionError, OSError)):
            stranger.result()
    assert module.api()["requests"] == 1


# Events of a publisher that asks for keys.


def test_who_may_not_subscribe_gets_nothing_by_replay(module_factory: ModuleFactory, keys: Keys) -> None:
    def xml(security: str, publishers: str, of_api: str = "curve") -> str:
        return configuration(
            publisher(("security", security), ("replay-mb", "5"), bind=first),
            publisher(("replay-mb", "5"), name="open"),
            api=api(("security", of_api), ("allow", EVERYTHING), bind=bind),
            access=access_of(
                keys,
                subscriber=(publishers, "replay:*"),
                other=("open", EVERYTHING),
                neither=("", "replay:*"),
                nothing=("default", "ping"),
            ),
        )

    first = bind = "tcp://127.0.0.1:*"
    module = module_factory(xml("curve", "default"))
    first, bind = module.endpoint(), module.api_endpoint()

    def code(caller: Caller, publisher: str = "default") -> int:
        return caller.code("replay", publisher=publisher, epoch=module.publisher(publisher)["epoch"], first=1)

    with ExitStack() as open_now:
        callers = {
            name: open_now.enter_context(Caller(bind, identity=keys.identity(name)))
            for name in ("subscriber", "other", "neither", "nothing")
        }
        codes = {name: (code(caller), code(caller, "open")) for name, caller in callers.items()}
        assert codes == {
            "subscriber": (0, 0),
            "other": (FORBIDDEN, 0),
            "neither": (FORBIDDEN, 0),
            "nothing": (FORBIDDEN, FORBIDDEN),
        }
        assert module.reload(xml("curve", "open")).startswith("+OK")
        assert (code(callers["subscriber"]), code(callers["subscriber"], "open")) == (FORBIDDEN, 0)
        # Without keys at the API nobody is known by one, whatever is allowed.
        assert module.reload(xml("curve", "default", "null")).startswith("+OK")
        with Caller(bind) as bare:
            assert (code(bare), code(bare, "open")) == (FORBIDDEN, 0)
            assert module.reload(xml("null", "default", "null")).startswith("+OK")
            assert (code(bare), code(bare, "open")) == (0, 0)
            assert module.reload(xml("curve", "default", "null")).startswith("+OK")
            assert (code(bare), code(bare, "open")) == (FORBIDDEN, 0)
            for unknown in ("Default", "default ", "defaul?", "*", "", "none"):
                assert bare.code("replay", publisher=unknown, epoch=1, first=1) in (FORBIDDEN, -32602), unknown


# Events that callers send.

RESERVED = (
    "Event-Name", "Event-Subclass", "Event-UUID", "Event-Calling-Function", "Event-Calling-File", "Event-Sequence",
    "Event-Date-Local", "Event-Anything", "Event-", "Core-UUID", "FreeSWITCH-Hostname", "FreeSWITCH-IPv4",
    "FreeSWITCH-", "Content-Length", "_body", "ZMQ-Sequence", "ZMQ-Epoch", "ZMQ-Name-Sequence", "ZMQ-",
)  # fmt: skip
WHOLE = ("BACKGROUND_JOB", "SHUTDOWN", "CALL_SETUP_REQ")


def spellings(word: str) -> set[str]:
    return {word, word.lower(), word.upper(), word.title(), word.swapcase()}


def test_headers_that_nobody_may_set(module_factory: ModuleFactory) -> None:
    module = module_factory(configuration(api=api(("allow", EVERYTHING))))
    with Caller(module.api_endpoint()) as caller, Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(module.switch)
        for header in RESERVED:
            for spelled in spellings(header):
                for value in ("x", ""):
                    headers = {"A": "1", spelled: value}
                    code = caller.code("sendevent", name="CUSTOM", subclass="test::x", headers=headers)
                    assert code == -32602, spelled
        for odd in ("a:b", "a b", " a", "a\n", "a\r", "a\0", "a[0]", "", "ä", "a.b", "A\u212a"):
            assert caller.code("sendevent", name="CUSTOM", subclass="test::x", headers={odd: "x"}) == -32602, odd
        for value in ("a\nEvent-Name: SHUTDOWN", "a\r", "a\0b", "\ud800"):
            assert caller.code("sendevent", name="CUSTOM", subclass="test::x", headers={"A": value}) == -32602
        headers = {"A": "", "B": "%s%n${x}", "unique-id": "x", "C": "ARRAY::1|:2"}
        caller.call("sendevent", name="CUSTOM", subclass="test::last", headers=headers, body="\n\nEvent-Name: x")
        events = subscriber.until(lambda event: event.get("Event-Subclass") == "test::last")
        (event,) = [each for each in events if each.get("Event-Subclass", "").startswith(("test::x", "test::last"))]
        assert (event["Event-Name"], event["B"], event["_body"]) == ("CUSTOM", "%s%n${x}", "\n\nEvent-Name: x")
        assert event["C"] == ["1", "2"]
        assert event["Event-Calling-Function"] != ""


def test_events_that_are_only_for_who_may_send_that_very_one(module_factory: ModuleFactory) -> None:
    def xml(allow: str) -> str:
        return configuration(api=api(("allow", allow), bind=bind))

    bind = "tcp://127.0.0.1:*"
    module = module_factory(xml("sendevent:*, sendevent:CUSTOM^*, sendevent:?????????????*, sendevent:S*"))
    bind = module.api_endpoint()
    with Caller(bind) as caller, Eavesdropper(module.endpoint(), module.switch) as ear:
        word = secrets.token_hex(8)
        for name in WHOLE:
            for spelled in (*spellings(name), f" {name}", f"{name}\n", f"SWITCH_EVENT_{name}", f"CUSTOM^{name}"):
                assert caller.code("sendevent", name=spelled, headers={"Word": word}) == FORBIDDEN, spelled
        for subclass in ("SMS::SEND_MESSAGE", "sms::send_message", "multicast::event"):
            assert caller.code("sendevent", name="CUSTOM", subclass=subclass, headers={"Word": word}) == FORBIDDEN
        with pytest.raises(RpcFailure, match="subclass"):
            caller.call("sendevent", name="BACKGROUND_JOB", subclass="test::x", headers={"Word": word})
        ear.caught_up()
        assert ear.of(word) == []
        for allow in ("sendevent:BACKGROUND_JOB", "sendevent:background_job"):
            assert module.reload(xml(allow)).startswith("+OK")
            caller.call("sendevent", name="Background_Job", headers={"Word": word})
            assert caller.code("sendevent", name="SHUTDOWN") == FORBIDDEN
        assert {event["Event-Name"] for event in ear.wait_for(word, 2)} == {"BACKGROUND_JOB"}
        assert module.status()["state"] == "running"
