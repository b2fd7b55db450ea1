"""Which connection a request came from: nobody else gets its answer, its rights, or the blame for it."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.esl import Esl, EslError
from tests.support.holding import HOLD, Hold
from tests.support.keys import access
from tests.support.module import LOOPBACK, Module, api, configuration
from tests.support.rawcaller import RawCaller
from tests.support.zmtp import MORE, frame

from .conftest import ModuleFactory
from .keys_configuration import Keys

ALLOW = ("allow", f"ping,api:echo *,{HOLD}")


def test_who_shows_no_key_cannot_claim_one(module_factory: ModuleFactory, tmp_path: Path) -> None:
    """A public key is no secret. Where no key is asked for, libzmq passes on what a peer says of itself."""
    keys = Keys(tmp_path)
    crm = keys.identity("crm").pair.hex
    module = module_factory(
        configuration(
            api=api(("allow", "ping"), ("bind", f"ipc://{tmp_path}/api")),
            access=access(keys.file, [f'<key name="crm" public-key="{crm}" allow="api:echo *"/>']),
        )
    )
    for number in range(2):
        for claim in (crm.encode(), crm.upper().encode(), b"crm", b"", b"x", b"\xff", b"\nevent_zmq: x", b"0" * 60_000):
            address = (b"Peer-Address", b"192.0.2.7\nevent_zmq: x")
            with RawCaller(module.api_endpoint(number), [(b"User-Id", claim), address]) as claimant:
                assert claimant.ask("api", command="echo", args="x")["error"]["code"] == -32001, claim
                assert claimant.ask("ping")["result"]["protocol"] == 1
    log = module.wait_log("api echo: forbidden")
    assert "192.0.2.7" not in log
    assert "crm at" not in log
    assert module.status()["errors"] == 0


def test_nobody_else_is_cut_off(module_factory: ModuleFactory) -> None:
    """Who sends messages of very many frames is. By then its descriptor may be that of any connection of the switch."""
    module = module_factory(configuration(api=api(ALLOW)))
    message = frame(b"", MORE) * 10_000 + frame(b"")
    for _ in range(2):
        with ExitStack() as open_now:
            for peer in [open_now.enter_context(RawCaller(module.api_endpoint())) for _ in range(10)]:
                thread = threading.Thread(target=peer.send, args=(message * 5,))
                thread.start()
                open_now.callback(thread.join)
        # These take the descriptors that have become free.
        innocent = [module.switch.esl() for _ in range(30)]
        settled(module)
        assert sum(is_cut_off(each) for each in innocent) == 0
    assert module.api()["errors"] > 0
    module.wait(module.api, lambda now: now["connections"] == 0)


# A caller may choose the name by which libzmq finds the connection for an answer.


def test_under_the_name_of_one_that_is_gone_nobody_gets_its_answers(module_factory: ModuleFactory) -> None:
    module = module_factory(configuration(api=api(ALLOW)))
    name, held = [(b"Identity", b"crm")], Hold(module.switch)
    with RawCaller(module.api_endpoint(), name) as gone:
        gone.request("api", id=7, **held.params())
        module.wait(module.api, lambda now: now["pending"] == 1)
    module.wait(module.api, lambda now: now["connections"] == 0)
    with RawCaller(module.api_endpoint(), name) as heir:
        assert heir.ask("ping")["result"]["protocol"] == 1
        held.release()
        module.wait(module.api, lambda now: now["pending"] == 0)
        assert heir.ask("api", command="echo", args="mine")["result"]["output"] == "mine"
    assert module.api()["undelivered"] == 1


@pytest.mark.parametrize("over", ["tcp", "ipc"])
def test_not_even_under_its_descriptor_too(module_factory: ModuleFactory, tmp_path: Path, over: str) -> None:
    """It leaves before its request has been looked at. Another one gets its descriptor, and waits for its name."""
    bind = f"ipc://{tmp_path}/api" if over == "ipc" else LOOPBACK
    module = module_factory(configuration(api=api(ALLOW, ("handshake-ms", "30000"), bind=bind)))
    name, held = [(b"Identity", b"crm")], Hold(module.switch)
    with ExitStack() as open_now:
        gone = open_now.enter_context(RawCaller(module.api_endpoint(), name))
        keep_busy(module, open_now)
        gone.request("api", id=7, **held.params())
        assert gone.heard()
        gone.close()
        heir = open_now.enter_context(RawCaller(module.api_endpoint(), name, at_once=False))
        module.wait(module.api, lambda now: now["pending"] == 1)
        assert settled(module)["pending"] == 1
        heir.come_in()
        held.release()
        module.wait(module.api, lambda now: now["pending"] == 0)
        # What comes first is the answer to what it asked itself.
        assert heir.ask("ping")["result"].get("protocol") == 1


def keep_busy(module: Module, open_now: ExitStack) -> None:
    """The API has to do with messages of very many frames for a moment."""
    message = frame(b"", MORE) * 9_000 + frame(b"")
    for _ in range(8):
        peer = open_now.enter_context(RawCaller(module.api_endpoint()))
        thread = threading.Thread(target=peer.send, args=(message * 9,))
        thread.start()
        open_now.callback(thread.join)


def test_two_of_the_same_name_get_nothing_of_each_other(module_factory: ModuleFactory) -> None:
    module = module_factory(configuration(api=api(ALLOW)))
    name = [(b"Identity", b"crm")]
    with RawCaller(module.api_endpoint(), name) as first, RawCaller(module.api_endpoint(), name) as second:
        for number in range(100):
            second.request("api", id=1000 + number, command="echo", args="second")
            first.request("api", id=number, command="echo", args="first")
            answer = first.answer()
            assert (answer["id"], answer["result"]["output"]) == (number, "first")
        second.socket.settimeout(0.5)
        with pytest.raises(socket.timeout):
            second.receive(1)


def settled(module: Module) -> dict[str, Any]:
    """The API's part of the status, as soon as nothing more is counted."""
    seen: list[int] = []

    def look() -> dict[str, Any]:
        now = module.api()
        seen.append(now["requests"])
        return now

    now: dict[str, Any] = module.wait(look, lambda _now: len(seen) > 10 and len(set(seen[-10:])) == 1, 30)
    return now


def is_cut_off(esl: Esl) -> bool:
    with esl:
        try:
            esl.api("status")
        except EslError:
            return True
        return False
