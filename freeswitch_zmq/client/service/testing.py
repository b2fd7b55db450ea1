"""A switch for the tests of a service: no FreeSWITCH, no socket, and the rules of the real one.

    double = SwitchDouble(service, variables=["digits"])
    record = double.call("ivr", caller_id_number="100", responses={"play_and_get_digits": "1"})
    assert record.transferred == "1000 XML default"

A handler runs as in a service: a function in a thread of its own, a coroutine in a loop (another one for each request).
"""

from __future__ import annotations

import asyncio
import itertools
import math
import re
import time
import uuid as uuids
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Callable, Optional, Union
from xml.etree import ElementTree

from freeswitch_zmq import jsonrpc
from freeswitch_zmq.client.service.asked import Channel
from freeswitch_zmq.client.service.complaints import Complaints
from freeswitch_zmq.client.service.handlers import answer
from freeswitch_zmq.client.service.pool import Pool
from freeswitch_zmq.client.service.service import Service
from freeswitch_zmq.dialplan_answer import HARMLESS_APPLICATIONS, Action, Rules
from freeswitch_zmq.globs import Glob
from freeswitch_zmq.jsonrpc import RpcError
from freeswitch_zmq.xml_document import check_document

__all__ = ["CallRecord", "CallerHungUp", "SwitchDouble"]

Response = Union[str, Sequence[str]]
Responses = Union[Mapping[str, Response], Callable[[str, str, "dict[str, str]"], Optional[str]]]

_PLAYED = ("playback", "loop_playback", "endless_playback")
_MIN, _MAX, _VARIABLE, _REGEX = 0, 1, 7, 8
"""Where it stands in the argument of play_and_get_digits."""

_READ_VARIABLE = 3

_ROOM_BYTES, _JSON_GROWTH = 64 * 1024, 6
"""What the switch lets an answer have besides, and how much longer a document may be in JSON."""


class _ConnectionEnds(ValueError):
    """The switch would take nothing more from there."""


class CallerHungUp(Exception):
    """Raise it in a `responses` function when the caller hangs up in that application.

    Args:
        cause: FreeSWITCH's name of it.
    """

    def __init__(self, cause: str = "NORMAL_CLEARING") -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass
class CallRecord:
    """What became of a call.

    Attributes:
        status: what the switch would set as `event_zmq_status`: `ok`, `invalid`, `error`, `timeout` or
            `unavailable`.
        turns: how often the service was asked.
        executed: what was run, in order.
        variables: the channel's, at the end.
        answered: whether the call was.
        hangup_cause: None: it has not hung up.
        transferred: the argument of a transfer; None: there was none.
        problem: what the switch would log of it; empty: nothing.
    """

    status: str = "ok"
    turns: int = 0
    executed: list[Action] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    answered: bool = False
    hangup_cause: Optional[str] = None
    transferred: Optional[str] = None
    problem: str = ""

    @property
    def here(self) -> bool:
        """Whether the call is still where it asked the service."""
        return self.hangup_cause is None and self.transferred is None


class SwitchDouble:
    """See above. The arguments are the parameters of a `<callout>` or `<binding>`, with their defaults.

    Not from within a coroutine: there, `await asyncio.to_thread(double.call, …)`.

    Args:
        service: whose handlers are asked; it need not run.
        allow_applications: names of applications that it may run, with `*` and `?`.
        allow_variables: the same of variables that it may set.
        allow_expressions: whether `${…}` may stand in what it answers.
        variables: names of channel variables that it is sent, with `*` and `?`; without it none.
        max_turns: how often one call asks it.
        timeout_ms: milliseconds that an answer may take. It is waited for all the same.
        max_message_bytes: of an answer about a call; a larger one would end the connection.
        response_max_bytes: of an XML document.
        applications: all that this FreeSWITCH has; None: whatever is asked for.

    Raises:
        ValueError: a list of names is a string.
    """

    def __init__(
        self,
        service: Service,
        *,
        allow_applications: Iterable[str] = HARMLESS_APPLICATIONS,
        allow_variables: Iterable[str] = ("*",),
        allow_expressions: bool = False,
        variables: Iterable[str] = (),
        max_turns: int = 100,
        timeout_ms: int = 2000,
        max_message_bytes: int = 1_048_576,
        response_max_bytes: int = 1_048_576,
        applications: Optional[Iterable[str]] = None,
    ) -> None:
        for name, names in (
            ("allow_applications", allow_applications),
            ("allow_variables", allow_variables),
            ("variables", variables),
            ("applications", applications),
        ):
            if isinstance(names, str):
                raise ValueError(f"{name} is a list of names, such as [{names!r}], not one string")
        known = None if applications is None else {name.lower() for name in applications}
        self._rules = Rules(
            allow_applications, allow_variables, allow_expressions, lambda name: known is None or name in known
        )
        self._handlers = service.handlers
        self._variables = [Glob(each) for each in variables]
        self._max_turns, self._timeout_ms = max_turns, timeout_ms
        self._message_max_bytes, self._response_max_bytes = max_message_bytes, response_max_bytes
        self._ids = itertools.count(1)

    def call(
        self,
        name: str,
        args: str = "",
        *,
        uuid: Optional[str] = None,
        variables: Optional[Mapping[str, str]] = None,
        responses: Optional[Responses] = None,
        **channel: str,
    ) -> CallRecord:
        """A call reaches `event_zmq NAME ARGS`, and goes on until the conversation is over.

        Args:
            name: of the call-out.
            args: what stands behind it.
            uuid: the channel's; None: a new one.
            variables: the channel's, at the beginning.
            responses: what FreeSWITCH does, by application: for `play_and_get_digits` and `read` what the caller
                presses, for others the `response` that the service is told. A list is one for each time. Or a function
                that is given the application in small letters, its argument and the variables, which it may change, and
                gives the same, or None: as usual. It can raise `CallerHungUp`.
            channel: attributes of `Channel`, such as `caller_id_number`.

        Raises:
            TypeError: a channel has no such attribute.
        """
        profile: dict[str, Any] = {
            "direction": "inbound",
            "dialplan": "XML",
            "context": "default",
            "state": "CS_EXECUTE",
            **channel,
        }
        leg = _Leg(uuid or str(uuids.uuid4()), Channel(**profile), dict(variables or {}), _scripted(responses))
        self._converse(leg, name, args)
        record = leg.record
        if record.hangup_cause is not None:
            params = {"uuid": leg.uuid, "cause": record.hangup_cause}
            try:
                self._ask("dialplan.hangup", params, self._message_max_bytes)
            except (RpcError, _ConnectionEnds) as error:
                record.problem = record.problem or f"dialplan.hangup: {error}"
        record.variables["event_zmq_status"] = record.status
        return record

    def lookup(
        self,
        section: str,
        *,
        user: str = "",
        domain: str = "",
        destination_number: str = "",
        context: str = "default",
        caller_id_number: str = "",
        name: str = "",
        params: Optional[Mapping[str, str]] = None,
    ) -> Optional[ElementTree.Element]:
        """FreeSWITCH looks up XML. What a real switch would log and take for "not found" is raised.

        Args:
            section: `directory`, `dialplan`, `configuration`, …
            user: in a directory.
            domain: of that user.
            destination_number: in a dialplan.
            context: of the dialplan.
            caller_id_number: who calls, in a dialplan.
            name: in a configuration, such as `ivr.conf`.
            params: other headers.

        Returns:
            The document, or None: not found.

        Raises:
            RpcError: the service answered with an error.
            ValueError: a switch would not take the document.
        """
        words, headers = ("", "", ""), {}
        if section == "directory":
            words = ("domain", "name", domain)
            headers = {"key": "id", "user": user, "domain": domain}
        elif section == "dialplan":
            for prefix in ("Caller", "Hunt"):
                headers[f"{prefix}-Destination-Number"] = destination_number
                headers[f"{prefix}-Context"] = context
                headers[f"{prefix}-Caller-ID-Number"] = caller_id_number
        elif section == "configuration":
            words = ("configuration", "name", name)
        asked = dict(zip(("tag_name", "key_name", "key_value"), words))
        asked_for = {"section": section, **asked, "params": {**headers, **(params or {})}}
        result = self._ask("xml.fetch", asked_for, self._response_max_bytes * _JSON_GROWTH)
        if result is None:
            return None
        document = check_document(result["xml"], section, self._response_max_bytes)
        return None if document is None else ElementTree.fromstring(document)

    def _converse(self, leg: _Leg, name: str, args: str) -> None:
        """As the module's conversation does it."""
        record = leg.record
        results: list[dict[str, Any]] = []
        for number in range(1, self._max_turns + 1):
            sent = {key: value for key, value in record.variables.items() if self._is_sent(key)}
            params = {
                "name": name,
                "args": args,
                "uuid": leg.uuid,
                "turn": number,
                "channel": leg.channel(),
                "variables": sent,
                "result": results,
            }
            record.turns = number
            began = time.monotonic()
            try:
                result = self._ask("dialplan.call", params, self._message_max_bytes)
                if time.monotonic() - began > self._timeout_ms / 1000:
                    record.status, record.problem = "timeout", f"no answer within {self._timeout_ms} ms"
                    return
                turn = self._rules.read(result, leg.profile.dialplan)
            except RpcError as error:
                record.status, record.problem = "error", f"the service answered with the error {error.code}: {error}"
                return
            except _ConnectionEnds as error:
                record.status, record.problem = "unavailable", str(error)
                return
            except ValueError as error:
                record.status, record.problem = "invalid", str(error)
                return
            record.variables.update(turn.variables)
            results = [leg.run(action) for action in turn.actions]
            if not turn.again or not record.here:
                return
        record.problem = f"the service was asked {self._max_turns} times: max-turns"
        return

    def _is_sent(self, variable: str) -> bool:
        return any(each.matches(variable) for each in self._variables)

    def _ask(self, method: str, params: dict[str, Any], bytes_at_most: int) -> Any:
        """The result; through JSON and back, so that nothing gets by that a socket would not carry."""
        raw = jsonrpc.request(method, params, next(self._ids))
        told = asyncio.run(self._answer(raw))
        assert told is not None
        if len(told) > bytes_at_most + _ROOM_BYTES:
            raise _ConnectionEnds(
                f"an answer of {len(told)} bytes: the switch takes {bytes_at_most} and {_ROOM_BYTES} more, and would "
                "end the connection, so that all calls that wait there get no answer"
            )
        found = jsonrpc.parse_answer(told)
        if found.error is not None:
            raise found.error
        return found.result

    async def _answer(self, raw: bytes) -> Optional[bytes]:
        pool = Pool(1, math.inf, Complaints())
        try:
            return await answer(self._handlers, raw, pool.run)
        finally:
            pool.close()


class _Leg:
    """The call, and FreeSWITCH's part in it."""

    def __init__(
        self, uuid: str, profile: Channel, variables: dict[str, str], script: Callable[..., Optional[str]]
    ) -> None:
        self.uuid, self.profile = uuid, profile
        self.record = CallRecord(variables=variables)
        self._script = script

    def channel(self) -> dict[str, str]:
        found = asdict(self.profile)
        others = found.pop("others")
        if self.record.answered:
            found["answer_state"] = "answered"
        return {**found, **others}

    def run(self, action: Action) -> dict[str, Any]:
        """An action's result, as the service is told it."""
        done, response = self.record.here, ""
        if done:
            self.record.executed.append(action)
            try:
                response = self._execute(action.application.lower(), action.argument)
            except CallerHungUp as hangup:
                self.record.hangup_cause = hangup.cause
        return {"application": action.application, "done": done, "response": response}

    def _execute(self, name: str, argument: str) -> str:
        record = self.record
        given = self._script(name, argument, record.variables)
        if name == "play_and_get_digits":
            _press(argument.split(), given or "", record.variables)
            return ""
        if name == "read":
            words = argument.split()
            if given and len(words) > _READ_VARIABLE:
                record.variables[words[_READ_VARIABLE]] = given
            return ""
        if name == "answer":
            record.answered = True
        elif name == "hangup":
            record.hangup_cause = argument or "NORMAL_CLEARING"
        elif name == "transfer":
            record.transferred = argument
        return ("FILE PLAYED" if name in _PLAYED else "") if given is None else given


def _press(words: list[str], digits: str, variables: dict[str, str]) -> None:
    """What play_and_get_digits does with the keys that somebody presses at each try."""
    if len(words) <= _VARIABLE:
        return
    name, regex = words[_VARIABLE], words[_REGEX] if len(words) > _REGEX else ""
    variables.pop(name, None)
    variables.pop(f"{name}_invalid", None)
    digits = digits[: _number(words[_MAX])]
    if not digits or len(digits) < _number(words[_MIN]):
        return
    right = not regex or re.search(regex, digits) is not None
    variables[name if right else f"{name}_invalid"] = digits


def _number(word: str) -> int:
    """As C's atoi has it."""
    found = re.match(r"\d+", word)
    return 0 if found is None else int(found[0])


def _scripted(responses: Optional[Responses]) -> Callable[[str, str, dict[str, str]], Optional[str]]:
    if callable(responses):
        return responses
    left: dict[str, Iterator[str]] = {}
    for name, given in (responses or {}).items():
        left[name.lower()] = itertools.repeat(given) if isinstance(given, str) else iter(given)

    def play(application: str, _argument: str, _variables: dict[str, str]) -> Optional[str]:
        return next(left.get(application, iter(())), None)

    return play
