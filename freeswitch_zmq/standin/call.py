"""One loopback call: two legs, a thread for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .applications import execute
from .channel import Channel
from .dialplan import Action, route
from .recorded import recording

if TYPE_CHECKING:
    from .core import Core
    from .threads import HostThread

__all__ = ["Call"]

_LEG_PATIENCE = 2.0
"""Seconds that leg b waits for leg a to be destroyed first, as it is in the recording."""


class Call:
    """A call from `originate` to nowhere but the dialplan.

    Args:
        core: The switch.
        dialed: The number that leg b runs, and perhaps the context that it is in.
        caller: Name and number of who calls, empty for what is not given.
        first_session: The number of leg a's session; leg b has the next.
        a_uuid: Leg a's uuid; empty for a new one.

    Attributes:
        dialed: See above.
        exten: The number in it.
        context: The context in it, else `default`.
        caller: See above.
        a: The leg that was originated.
        b: The leg that runs the dialplan.
    """

    def __init__(self, core: Core, dialed: str, caller: tuple[str, str], first_session: int, a_uuid: str = "") -> None:
        self._core = core
        self.dialed = dialed
        self.exten, _, rest = dialed.partition("/")
        self.context = rest.partition("/")[0] or "default"
        self.caller = caller
        self.a = Channel(core, self, "a", first_session, a_uuid)
        self.b = Channel(core, self, "b", first_session + 1)
        self._threads: list[HostThread] = []

    def start(self, a_leg: Action | tuple[str, str]) -> None:
        """Begin to play it.

        Args:
            a_leg: What leg a does when it is answered: an application, or number and context of an extension.
        """
        for leg, step in recording().steps["originate"]:
            (self.a if leg == "a" else self.b).step(step)
        core = self._core
        self._threads = [
            core.thread(lambda: self._run_a(a_leg), f"call {self.a.uuid}"),
            core.thread(self._run_b, f"call {self.b.uuid}"),
        ]

    def join(self, timeout: float) -> None:
        """Wait for the threads of both legs."""
        for thread in self._threads:
            thread.join(timeout)

    def _run_a(self, a_leg: Action | tuple[str, str]) -> None:
        channel = self.a
        try:
            channel.progressed.wait()
            if channel.up:
                channel.play("connected")
                channel.play("run/a")
                if isinstance(a_leg, Action):
                    self._actions(channel, (a_leg,))
                else:
                    self._actions(channel, self._routed(channel, *a_leg))
        finally:
            self._finish(channel)

    def _run_b(self) -> None:
        channel = self.b
        try:
            actions = self._routed(channel, self.exten, self.context)
            if actions:
                channel.play("run/b")
                self._actions(channel, actions)
        finally:
            self._finish(channel)

    def _routed(self, channel: Channel, exten: str, context: str) -> tuple[Action, ...]:
        """What is to be run there; nothing once it is hung up because there is nothing."""
        actions = route(self._core, channel, exten, context)
        if not actions:
            self._core.say("INFO", "No Route, Aborting\n", "switch_core_state_machine.c", 311, channel.uuid)
            channel.hang_up("NO_ROUTE_DESTINATION")
        return actions

    def _actions(self, channel: Channel, actions: Iterable[Action]) -> None:
        """Run them, and what transfers lead to."""
        while True:
            for action in actions:
                if not channel.ready:
                    break
                execute(self._core, channel, action.application, action.data)
            there = channel.take_transfer()
            if there is None:
                channel.hang_up("NORMAL_CLEARING")
                return
            actions = self._routed(channel, *there)
            if not actions:
                return
            channel.play(f"run/{channel.leg}")

    def _finish(self, channel: Channel) -> None:
        """What a leg does once it is hung up; the other leg is hung up with it."""
        channel.hang_up("NORMAL_TEMPORARY_FAILURE")  # Only where what it ran failed.
        channel.play(f"hung_up/{channel.leg}")
        channel.other.hang_up(channel.hangup_cause)
        channel.play(f"reported/{channel.leg}")
        if channel is self.b:
            self.a.gone.wait(_LEG_PATIENCE)
        channel.play(f"destroyed/{channel.leg}")
        self._core.calls.remove(channel)
        channel.gone.set()
