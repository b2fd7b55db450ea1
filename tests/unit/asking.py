"""The API: without its sockets, requests that are asked in the test's own thread, or whole, in a station."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from freeswitch_zmq.jsonrpc import Call, RpcError
from freeswitch_zmq.module.api.commands import result_of
from freeswitch_zmq.module.api.desk import Desk
from freeswitch_zmq.module.api.methods import call
from freeswitch_zmq.module.api.request import Caller, Peer, Request
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.keys import KeyRing
from freeswitch_zmq.module.publication import Publication
from freeswitch_zmq.module.schema import KeyConfig
from freeswitch_zmq.module.traffic import Traffic
from tests.support.zmtp import COMMAND, LONG, MORE, RawPeer
from tests.unit.configurations import api, api_config, local, publisher
from tests.unit.fake_freeswitch import FakeSwitch, job_event
from tests.unit.stations import Station

HERE = "192.0.2.1"


def key(name: str, *publishers: str, allow: Sequence[str] = ()) -> KeyConfig:
    """One that is in no file."""
    return KeyConfig(name, name.encode().ljust(32, b"-"), publishers, tuple(allow))


class Asking:
    """A desk, and somebody in front of it.

    Args:
        switch: where; it takes commands, and nothing comes of them by itself.
        keys: that are known.
        publications: that there are.
        params: of the `<api>`.

    Attributes:
        told: what it tells who asks for the status.
        outputs: what came of commands.
    """

    def __init__(
        self,
        switch: FakeSwitch,
        keys: Sequence[KeyConfig] = (),
        publications: Optional[Mapping[str, Publication]] = None,
        **params: Any,
    ) -> None:
        self.switch = switch
        switch.answers["bgapi"] = "+OK Job-UUID: x\n"
        self.commands = Commands()
        self.ring = KeyRing(keys)
        self.told: dict[str, Any] = {}
        self.outputs: list[tuple[Request, Optional[str]]] = []
        self.desk = Desk(
            api_config(**params), self.commands, self.ring, publications or {}, lambda: self.told, "core-uuid"
        )

    def caller(self, key: Optional[KeyConfig] = None) -> Caller:
        return self.desk.caller(key.public_key.hex() if key is not None else None, HERE)

    def request(self, method: str, params: Any, key: Optional[KeyConfig] = None) -> Request:
        return Request(Peer([b"peer"], Traffic(-1, 0)), self.caller(key), Call(method, params, 1, True))

    def do(self, request: Request) -> Any:
        """The result; None: it comes later.

        Raises:
            RpcError: it is refused.
        """
        result = call(self.desk, request, lambda request, output: self.outputs.append((request, output)))
        return json.loads(result) if isinstance(result, bytes) else result

    def ask(self, method: str, key: Optional[KeyConfig] = None, **params: Any) -> Any:
        return self.do(self.request(method, params, key))

    def refused(self, method: str, key: Optional[KeyConfig] = None, **params: Any) -> RpcError:
        """Why."""
        return self.refusal(self.request(method, params, key))

    def refusal(self, request: Request) -> RpcError:
        try:
            result = self.do(request)
        except RpcError as error:
            error.message.encode()
            return error
        raise AssertionError(f"it was not refused, but answered: {result}")

    def code(self, method: str, key: Optional[KeyConfig] = None, **params: Any) -> int:
        return self.refused(method, key, **params).code

    @property
    def line(self) -> str:
        """The command that FreeSWITCH was given last, as it was."""
        return self.switch.commands[-1].split(" ", 2)[2]

    @property
    def job(self) -> str:
        """Its id."""
        return self.switch.commands[-1].split(" ", 2)[1][len("uuid:") :]

    def came(self, output: Optional[str]) -> None:
        """What the latest command gave; the pump hands it over."""
        self.commands.claim(job_event(self.job, output), "BACKGROUND_JOB")

    def output(self, output: Optional[str]) -> dict[str, Any]:
        """What the caller of the latest command gets for that output.

        Raises:
            RpcError: it failed.
        """
        self.came(output)
        return result_of(*self.outputs[-1])


CORE_UUID = "5b1f1c1e-0c6b-4f43-9b3c-9a0c1f6c7a11"


def api_station(
    switch: FakeSwitch, access: str = "", publisher_params: Optional[dict[str, Any]] = None, **params: Any
) -> Station:
    """One with an API that has these params, by default on a free port of 127.0.0.1."""
    switch.answers.setdefault("global_getvar core_uuid", CORE_UUID)
    switch.answers.setdefault("echo", lambda command: command.partition(" ")[2])
    switch.answers.setdefault("slow", "")
    switch.deaf.add("slow")
    return Station(switch, publisher(*local(**(publisher_params or {}))), access=access, api=api(*local(**params)))


def jobs(switch: FakeSwitch, command: str = "slow") -> list[str]:
    """The ids of commands that were given with that first word."""
    given = [each.split(" ") for each in switch.commands if each.startswith("bgapi uuid:")]
    return [words[1][len("uuid:") :] for words in given if words[2] == command]


def receive_answers(peer: RawPeer, count: int) -> list[dict[str, Any]]:
    """So many answers; commands and delimiters are passed over."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        flags, size = peer.receive(2)
        if flags & LONG:
            size = int.from_bytes(bytes([size]) + peer.receive(7), "big")
        body = peer.receive(size)
        if not flags & (COMMAND | MORE):
            found.append(json.loads(body))
    return found
