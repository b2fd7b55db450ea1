"""An encrypted service: the right key gets its answer, any other nothing."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import zmq
from zmq.utils import z85

from freeswitch_zmq.client.service import Call, KeyPair, Service
from freeswitch_zmq.client.service import keys as keys_module
from tests.support.keys import Pair, new_pair, new_secret_file
from tests.support.waiting import wait_for
from tests.unit.serving import Asker, Context, call_params, served

NOTHING_SECONDS = 0.7
"""How long nothing is waited for. A connection takes some milliseconds, and again with each that is refused."""


def raw(pair: Pair) -> KeyPair:
    return KeyPair(z85.decode(pair.public), z85.decode(pair.secret))


def switch(context: Context, endpoint: str, own: Pair | None, server: bytes) -> Asker:
    """Asks with these keys; without `own` it does not encrypt."""
    options: dict[int, Any] = {zmq.RECONNECT_IVL: 50}
    if own is not None:
        options[zmq.CURVE_PUBLICKEY], options[zmq.CURVE_SECRETKEY] = own.public, own.secret
        options[zmq.CURVE_SERVERKEY] = server
    return Asker(context, endpoint, options=options)


class Encrypted:
    """A service that one switch may ask."""

    def __init__(self) -> None:
        self.own, self.friend = new_pair(), new_pair()
        self.called: list[Call] = []

    def service(self, **arguments: Any) -> Service:
        arguments = {"keys": raw(self.own), "allow_keys": [self.friend.public.decode()], **arguments}
        service = Service("tcp://127.0.0.1:*", **arguments)
        service.call("ivr")(self.called.append)
        return service


@pytest.fixture
def encrypted() -> Encrypted:
    return Encrypted()


def gets_nothing(asker: Asker) -> bool:
    asker.send("dialplan.call", call_params(), 1)
    return asker.frames(NOTHING_SECONDS) is None


def test_the_right_key_gets_its_answer(encrypted: Encrypted, context: Context) -> None:
    with (
        served(encrypted.service()) as endpoint,
        switch(context, endpoint, encrypted.friend, encrypted.own.public) as asker,
    ):
        assert "result" in asker.call()
    assert len(encrypted.called) == 1


def test_any_other_key_gets_nothing(encrypted: Encrypted, context: Context, caplog: pytest.LogCaptureFixture) -> None:
    server, stranger = encrypted.own.public, new_pair()
    with served(encrypted.service()) as endpoint:
        with switch(context, endpoint, stranger, server) as asker:
            assert gets_nothing(asker)
            who = f"a peer at 127.0.0.1 is not let in: its key {stranger.hex} is not in allow_keys"
            wait_for(lambda: who in caplog.text, "it is logged")
        with switch(
            context, endpoint, encrypted.friend, new_pair().public
        ) as asker:  # who takes another for the service
            assert gets_nothing(asker)
            wait_for(lambda: "its server-public-key is not that of this service" in caplog.text, "it is logged")
        with switch(context, endpoint, None, b"") as asker:  # who does not encrypt
            assert gets_nothing(asker)
            wait_for(
                lambda: "server-public-key?" in caplog.text or "it does not encrypt" in caplog.text, "it is logged"
            )
        with switch(context, endpoint, encrypted.friend, server) as asker:
            assert "result" in asker.call()
    assert len(encrypted.called) == 1
    assert {each.levelno for each in caplog.records} == {logging.WARNING}


@pytest.mark.parametrize("form", ["z85", "hex", "bytes"])
def test_forms_of_a_key(encrypted: Encrypted, context: Context, form: str) -> None:
    public = encrypted.friend.public
    key: Any = {"z85": public.decode(), "hex": encrypted.friend.hex, "bytes": z85.decode(public)}[form]
    with (
        served(encrypted.service(allow_keys=[key])) as endpoint,
        switch(context, endpoint, encrypted.friend, encrypted.own.public) as asker,
    ):
        assert "result" in asker.call()


@pytest.mark.parametrize("form", [str, Path])
def test_keys_in_a_file(encrypted: Encrypted, context: Context, tmp_path: Path, form: type) -> None:
    file = new_secret_file(tmp_path, "service")
    with (
        served(encrypted.service(keys=form(file.path))) as endpoint,
        switch(context, endpoint, encrypted.friend, file.pair.public) as asker,
    ):
        assert "result" in asker.call()


def test_an_empty_list_is_nobody(encrypted: Encrypted, context: Context, caplog: pytest.LogCaptureFixture) -> None:
    service = encrypted.service(allow_keys=[])
    assert "allow_keys is empty" in caplog.text
    with served(service) as endpoint, switch(context, endpoint, encrypted.friend, encrypted.own.public) as asker:
        assert gets_nothing(asker)


def test_it_is_closed_when_the_handler_fails(
    encrypted: Encrypted, context: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> list[bytes]:
        raise RuntimeError("a mistake of ours")

    with served(encrypted.service()) as endpoint:
        with monkeypatch.context() as patch:
            patch.setattr(keys_module, "_answer", fail)
            with switch(context, endpoint, encrypted.friend, encrypted.own.public) as asker:
                assert gets_nothing(asker)
            assert "a mistake of ours" in caplog.text
        with switch(context, endpoint, encrypted.friend, encrypted.own.public) as asker:
            assert "result" in asker.call()


def test_it_is_closed_without_a_handler(
    encrypted: Encrypted, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "ZAP_ADDRESS", "inproc://somewhere-else")
    with (
        served(encrypted.service()) as endpoint,
        switch(context, endpoint, encrypted.friend, encrypted.own.public) as asker,
    ):
        assert gets_nothing(asker)
    assert encrypted.called == []


def test_keys_that_are_none(encrypted: Encrypted, tmp_path: Path) -> None:
    for wrong, text in (
        ({"keys": None}, "allow_keys needs the service's own keys as well"),
        ({"allow_keys": encrypted.friend.public.decode()}, "a list of keys, not one key"),
        ({"allow_keys": ["short"]}, "it has 5 characters"),
        ({"allow_keys": [b"short"]}, "has 32 of them, not 5"),
        ({"allow_keys": [5]}, "a string or bytes, not int"),
        ({"keys": str(tmp_path / "none")}, "there is no such file"),
        ({"keys": 5}, "keys is a KeyPair, or the whole path of a .key_secret file, not int"),
        ({"keys": encrypted.own.secret}, "keys is a KeyPair, or the whole path of a .key_secret file, not bytes"),
        ({"connect": True}, "keys are for a service that switches reach directly"),
    ):
        with pytest.raises(ValueError, match=text) as caught:
            encrypted.service(**wrong)
        assert encrypted.own.secret.decode() not in str(caught.value)
