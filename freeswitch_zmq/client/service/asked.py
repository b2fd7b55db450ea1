"""What a switch asks, as objects. No I/O.

`…_of` make them of a request's params, and raise `RpcError` (-32602) where those are not what the protocol says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Union

from freeswitch_zmq.jsonrpc import INVALID_PARAMS, RpcError

__all__ = ["ActionResult", "Call", "Channel", "Hangup", "XmlRequest", "call_of", "hangup_of", "xml_request_of"]


@dataclass(frozen=True)
class Channel:
    """The caller profile and the state; empty what the call does not have.

    Attributes:
        others: what a newer switch tells besides.
    """

    name: str = ""
    state: str = ""
    call_state: str = ""
    answer_state: str = ""
    direction: str = ""
    caller_id_name: str = ""
    caller_id_number: str = ""
    callee_id_name: str = ""
    callee_id_number: str = ""
    destination_number: str = ""
    ani: str = ""
    rdnis: str = ""
    username: str = ""
    dialplan: str = ""
    context: str = ""
    network_addr: str = ""
    source: str = ""
    others: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ActionResult:
    """What became of an action of the last turn.

    Attributes:
        application: its name.
        done: it was run; False: the call had gone before.
        response: what FreeSWITCH says of it (`current_application_response`), such as `FILE PLAYED`; often empty.
    """

    application: str
    done: bool
    response: str


@dataclass(frozen=True)
class Call:
    """A call is in the dialplan at `event_zmq NAME ARGS`, and waits for what is to be done.

    Attributes:
        name: of the call-out.
        args: what stands behind it.
        uuid: the channel's.
        turn: 1, 2, 3 … in this conversation.
        channel: who calls whom.
        variables: the channel variables that the call-out's `variables` names, as they are now.
        results: of the last turn's actions, in their order; empty in the first.
    """

    name: str
    args: str
    uuid: str
    turn: int
    channel: Channel
    variables: Mapping[str, str]
    results: list[ActionResult]


@dataclass(frozen=True)
class Hangup:
    """A call has hung up that the service was asked about.

    Attributes:
        uuid: the channel's.
        cause: FreeSWITCH's name of it, such as `NORMAL_CLEARING`.
    """

    uuid: str
    cause: str


@dataclass(frozen=True)
class XmlRequest:
    """FreeSWITCH looks up XML.

    Attributes:
        section: `directory`, `dialplan`, `configuration`, …
        tag_name: what it looks for, such as `domain`; may be empty, as may the next two.
        key_name: by which attribute, such as `name`.
        key_value: of which value.
        params: the other headers of the lookup; a value is a string, or a list of strings where it has several.
    """

    section: str
    tag_name: str
    key_name: str
    key_value: str
    params: Mapping[str, Union[str, list[str]]]

    def param(self, name: str) -> str:
        """One of `params`, the first of several values; empty: it is not there."""
        value = self.params.get(name, "")
        return value if isinstance(value, str) else (value[0] if value else "")

    @property
    def user(self) -> str:
        """Who is looked for in a directory; empty: nobody in particular."""
        return self.param("user")

    @property
    def domain(self) -> str:
        """The domain of a directory; empty: the lookup names none."""
        by_key = self.key_value if (self.tag_name, self.key_name) == ("domain", "name") else ""
        return self.param("domain") or by_key

    @property
    def purpose(self) -> str:
        """Why a directory is looked at, such as `gateways` or `network-list`; empty: for a user."""
        return self.param("purpose")

    @property
    def action(self) -> str:
        """For what a user is looked up, such as `sip_auth`; may be empty."""
        return self.param("action")

    @property
    def destination_number(self) -> str:
        """What was dialled, in a lookup of a dialplan."""
        return self.param("Hunt-Destination-Number") or self.param("Caller-Destination-Number")

    @property
    def context(self) -> str:
        """The context, in a lookup of a dialplan."""
        return self.param("Hunt-Context") or self.param("Caller-Context")

    @property
    def caller_id_number(self) -> str:
        """Who calls, in a lookup of a dialplan."""
        return self.param("Hunt-Caller-ID-Number") or self.param("Caller-Caller-ID-Number")


_CHANNEL = frozenset(each.name for each in fields(Channel)) - {"others"}


def call_of(params: Union[dict[str, Any], list[Any]]) -> Call:
    """The params of `dialplan.call`."""
    given = _object(params)
    channel = _texts(given.get("channel", {}), "channel")
    turn = given.get("turn", 1)
    if not isinstance(turn, int) or isinstance(turn, bool) or turn < 1:
        raise _wrong('"turn" is a number from 1 on')
    results = given.get("result", [])
    if not isinstance(results, list):
        raise _wrong('"result" is an array')
    return Call(
        name=_text(given, "name"),
        args=_text(given, "args", ""),
        uuid=_text(given, "uuid"),
        turn=turn,
        channel=Channel(
            **{name: value for name, value in channel.items() if name in _CHANNEL},
            others={name: value for name, value in channel.items() if name not in _CHANNEL},
        ),
        variables=_texts(given.get("variables", {}), "variables"),
        results=[_result(each) for each in results],
    )


def hangup_of(params: Union[dict[str, Any], list[Any]]) -> Hangup:
    """The params of `dialplan.hangup`."""
    given = _object(params)
    return Hangup(_text(given, "uuid"), _text(given, "cause", ""))


def xml_request_of(params: Union[dict[str, Any], list[Any]]) -> XmlRequest:
    """The params of `xml.fetch`."""
    given = _object(params)
    words = [_text(given, name, "") for name in ("tag_name", "key_name", "key_value")]
    others = given.get("params", {})
    if not isinstance(others, dict) or not all(_is_header(value) for value in others.values()):
        raise _wrong('"params" is an object of strings')
    return XmlRequest(_text(given, "section"), words[0], words[1], words[2], others)


def _result(given: object) -> ActionResult:
    if not isinstance(given, dict) or not isinstance(given.get("done"), bool):
        raise _wrong('"result" has objects with "application", "done" and "response"')
    return ActionResult(_text(given, "application"), given["done"], _text(given, "response", ""))


def _object(params: Union[dict[str, Any], list[Any]]) -> dict[str, Any]:
    if not isinstance(params, dict):
        raise _wrong("params are given by name, in an object")
    return params


def _text(given: dict[str, Any], name: str, default: Union[str, None] = None) -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise _wrong(f'"{name}" is {"missing" if value is None else "no string"}')
    return value


def _texts(given: object, what: str) -> dict[str, str]:
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise _wrong(f'"{what}" is an object of strings')
    return given


def _is_header(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _wrong(problem: str) -> RpcError:
    return RpcError(INVALID_PARAMS, problem)
