"""The calls of the switch: making them, finding them, ending them."""

from __future__ import annotations

import threading
import time
from typing import Callable, NamedTuple

from . import text
from .applications import execute
from .call import Call
from .causes import cause_named
from .channel import Channel
from .core import Core
from .dialplan import BUILT_IN_CONTEXT, Action
from .events import Event

__all__ = ["Calls", "Target", "parse_target"]

_MOST_SESSIONS = 1000
_ANSWER_TIMEOUT = 60.0


class Target(NamedTuple):
    """Whom `originate` calls.

    Attributes:
        endpoint: Such as `loopback`.
        dialed: Number and context, as they stand in the dial string.
        variables: What the call begins with.
    """

    endpoint: str
    dialed: str
    variables: dict[str, str]


class Calls:
    """Every call there is.

    Args:
        core: The switch.

    Attributes:
        sessions_so_far: How many legs there were since the start.
        peak: How many there were at once.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._lock = threading.Lock()
        self._none = threading.Condition(self._lock)
        self._channels: dict[str, Channel] = {}
        self._calls: list[Call] = []
        self.sessions_so_far = 0
        self.peak = 0

    @property
    def session_count(self) -> int:
        """How many legs there are."""
        return len(self._channels)

    def channels(self) -> list[Channel]:
        """All of them, the oldest first."""
        with self._lock:
            return list(self._channels.values())

    def find(self, uuid: str) -> Channel | None:
        """The leg of that uuid."""
        return self._channels.get(uuid)

    def variables_of(self, uuid: str) -> Event:
        """A CHANNEL_DATA event, with what is known of that leg if it is there."""
        channel = self.find(uuid)
        if channel is not None:
            return channel.data()
        return self._core.event("CHANNEL_DATA", "mod_commands.c", "eval_function", 5211)

    def originate(
        self, target: Target, a_leg: Action | tuple[str, str], caller: tuple[str, str], timeout: float
    ) -> tuple[Channel | None, str]:
        """Make a call and wait until it is answered.

        Args:
            target: Whom to call.
            a_leg: What the caller's leg does then: an application, or number and context of an extension.
            caller: The caller's name and number, empty for what is not given.
            timeout: Seconds to wait.

        Returns:
            The caller's leg; or None, and the cause.
        """
        core = self._core
        if target.endpoint == "error":
            return None, cause_named(target.dialed)
        if target.endpoint != "loopback":
            core.say("ERR", f"Could not locate channel type {target.endpoint}\n", "switch_core_session.c", 537)
            return None, "SUBSCRIBER_ABSENT" if target.endpoint == "user" else "CHAN_NOT_IMPLEMENTED"
        uuid = target.variables.get("origination_uuid", "")
        with self._lock:
            if not core.running or len(self._channels) >= _MOST_SESSIONS or uuid in self._channels:
                return None, "DESTINATION_OUT_OF_ORDER"
            call = Call(core, target.dialed, caller, self.sessions_so_far + 1, uuid)
            self.sessions_so_far += 2
            self._channels[call.a.uuid], self._channels[call.b.uuid] = call.a, call.b
            self.peak = max(self.peak, len(self._channels))
            self._calls.append(call)
        for name, value in target.variables.items():
            for channel in (call.a, call.b):
                channel.set(name, value)
        call.start(a_leg)
        if not call.a.progressed.wait(timeout):
            call.a.hang_up("NO_ANSWER")
        if not call.a.answered.is_set() and not call.a.up:
            return None, call.a.hangup_cause
        return call.a, ""

    def remove(self, channel: Channel) -> None:
        """It has ended."""
        with self._none:
            self._channels.pop(channel.uuid, None)
            if channel.call.a.uuid not in self._channels and channel.call.b.uuid not in self._channels:
                self._calls = [call for call in self._calls if call is not channel.call]
            if not self._channels:
                self._none.notify_all()

    def hang_up_all(self, cause: str) -> None:
        """Hang all of them up."""
        for channel in self.channels():
            channel.hang_up(cause)

    def message(self, channel: Channel, headers: dict[str, str]) -> None:
        """What `sendmsg` tells a leg to do: run an application, or hang up."""
        told = {name.lower(): value for name, value in headers.items()}
        command = told.get("call-command", "").lower()
        if command == "hangup":
            channel.hang_up(cause_named(told.get("hangup-cause", "")))
        elif command == "execute":
            name, data = told.get("execute-app-name", ""), told.get("execute-app-arg", "")
            self._core.thread(lambda: execute(self._core, channel, name, data), f"sendmsg {name}")

    def generate(self, rate: float, exten: str) -> None:
        """Have so many calls made in a second until the end of the switch, to that number in `default`."""
        target = Target("loopback", f"{exten}/default" if exten else f"1/{BUILT_IN_CONTEXT}", {})
        core = self._core

        def make() -> None:
            self.originate(target, Action("park", ""), ("", ""), _ANSWER_TIMEOUT)

        def run() -> None:
            start = time.monotonic()
            made = 0
            while not core.wait_for_stop(max(0.0, start + made / rate - time.monotonic())):
                core.thread(make, "generated call")
                made += 1

        core.thread(run, "calls")

    def wait_until_none(self, going: Callable[[], bool]) -> None:
        """Wait until there is no call, as long as `going` says so."""
        with self._none:
            while self._channels and going():
                self._none.wait(0.2)

    def stop(self, timeout: float) -> None:
        """Wait for the calls that are ending, at most so many seconds for all."""
        deadline = time.monotonic() + timeout
        with self._lock:
            calls = list(self._calls)
        for call in calls:
            call.join(max(0.0, deadline - time.monotonic()))


def parse_target(line: str) -> Target:
    """`{name=value,...}loopback/NUMBER/CONTEXT` as it is written."""
    variables: dict[str, str] = {}
    while line[:1] in ("{", "<", "["):
        inner, _, line = line[1:].partition({"{": "}", "<": ">", "[": "]"}[line[0]])
        for part in text.separate(inner, ",", 100):
            name, mark, value = part.partition("=")
            if mark:
                variables[name.strip()] = value
    endpoint, _, dialed = line.partition("/")
    return Target(endpoint.lower(), dialed, variables)
