"""All that asks programs outside: the call-outs and the XML bindings, as one part of what runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Callable, NamedTuple, Optional, Union

import zmq

from freeswitch_zmq.module import host
from freeswitch_zmq.module.asking.backend import BackendOptions
from freeswitch_zmq.module.asking.requester import Requester
from freeswitch_zmq.module.callouts.applications import Applications
from freeswitch_zmq.module.callouts.callout import Callout
from freeswitch_zmq.module.callouts.conversation import Conversation
from freeswitch_zmq.module.callouts.hangups import Hangups
from freeswitch_zmq.module.callouts.leg import Leg
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.lookups.asked import Asked
from freeswitch_zmq.module.lookups.binding import XmlBinding
from freeswitch_zmq.module.lookups.hook import Hook, can_hook
from freeswitch_zmq.module.lookups.lookups import Lookups
from freeswitch_zmq.module.schema import CalloutConfig, Config, XmlBindingConfig
from freeswitch_zmq.module.worker import Worker

__all__ = ["Services", "ServicesChange"]

ROOM_BYTES = 64 * 1024
JSON_GROWTH = 6
"""What an answer may have around a document, which in JSON takes up to so many times its bytes."""

Part = Union[Callout, XmlBinding]


Callouts = Sequence[tuple[Callout, CalloutConfig]]
Bindings = Sequence[tuple[XmlBinding, XmlBindingConfig]]


class ServicesChange(NamedTuple):
    """What a reload has ready: `take_up` goes over to it and can't fail; `undo` leaves everything as it was."""

    taker: Callable[[Callouts, Bindings], None]
    callouts: Callouts
    bindings: Bindings
    new: Sequence[Requester]

    def take_up(self) -> None:
        """The new is in force."""
        self.taker(self.callouts, self.bindings)

    def undo(self) -> None:
        """The old stays in force."""
        for requester in self.new:
            requester.stop()


class Services:
    """Opened, reloaded and closed by one thread; asked by those of calls and lookups.

    Args:
        commands: runs API commands.
        caught: where unexpected exceptions go: what was at work, and the exception.

    Attributes:
        callouts: by name.
        lookups: the XML bindings.
    """

    def __init__(self, commands: Commands, caught: Callable[[str, BaseException], None]) -> None:
        self.callouts: dict[str, Callout] = {}
        self.lookups = Lookups(partial(caught, "an XML lookup"))
        self._commands = commands
        self._caught = caught
        self._hangups = Hangups()
        self._applications = Applications(commands)
        self._hook: Optional[Hook] = None
        self._retired: list[Requester] = []

    def listeners(self) -> dict[str, Callable[[host.Event], None]]:
        """What the pump is to call, by the name of the event."""
        return {
            "CHANNEL_HANGUP": lambda event: self._hangups.hung_up(event.getHeader("Unique-ID") or ""),
            "MODULE_LOAD": partial(self._module_changed, True),
            "MODULE_UNLOAD": partial(self._module_changed, False),
            "HEARTBEAT": self._look_again,
        }

    def _module_changed(self, is_there: bool, event: host.Event) -> None:
        if event.getHeader("type") == "application":
            self._applications.changed(event.getHeader("name") or "", is_there)

    def _look_again(self, _event: host.Event) -> None:
        if self.callouts:
            self._applications.look_again()

    def converse(self, name: str, args: str, session: Any) -> Optional[str]:
        """A call wants to know what to do; returns when that is done. The status; None: there is no such call-out."""
        if name not in self.callouts:
            return None
        leg = Leg(session, self._commands)
        return Conversation(lambda: self.callouts.get(name), leg, args, self._hangups).run()

    def fetch(self, asked: Asked) -> Optional[bytes]:
        """A document that FreeSWITCH looks up, or None."""
        return self.lookups.fetch(asked)

    @property
    def workers(self) -> list[Worker]:
        """The threads that should be there."""
        parts: list[Part] = [*self.callouts.values(), *self.lookups.bindings]
        return [each.requester for each in parts]

    def open(self, config: Config, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Opens what the configuration says.

        Raises:
            StartError: something can't be opened; nothing of it is left.
        """
        self.prepare(config, context).take_up()

    def prepare(self, config: Config, context: zmq.Context[zmq.Socket[bytes]]) -> ServicesChange:
        """Opens what a configuration needs beyond what is open; what is there goes on until that is taken up.

        Raises:
            StartError: something can't be opened; what was in force is in force as before.
        """
        if config.callouts:
            self._applications.look()
        new: list[Requester] = []
        try:
            callouts = [(self._callout(each, config, context, new), each) for each in config.callouts]
            bindings = [(self._binding(each, config, context, new), each) for each in config.xml_bindings]
        except BaseException:
            for requester in new:
                requester.stop()
            raise
        return ServicesChange(self._take_up, callouts, bindings, new)

    def _take_up(self, callouts: Callouts, bindings: Bindings) -> None:
        before: list[Part] = [*self.callouts.values(), *self.lookups.bindings]
        for callout, config in callouts:
            callout.configure(config)
        for binding, its_config in bindings:
            binding.configure(its_config)
        self.callouts = {callout.config.name: callout for callout, _ in callouts}
        self.lookups.take_up([binding for binding, _ in bindings])
        after = self.workers
        for part in before:
            if part.requester not in after:
                part.requester.retire()
                self._retired.append(part.requester)
        self._retired = [each for each in self._retired if each.alive]
        self._hook_up()

    def ask_to_stop(self) -> None:
        """Whoever waits for an answer waits no longer, and nobody asks any more."""
        for worker in [*self.workers, *self._retired]:
            worker.ask_to_stop()
        # Not before: while a lookup waits for an answer FreeSWITCH holds the lock that this needs.
        if self._hook is not None:
            self._hook.unbind()
            self._hook = None

    def close(self) -> None:
        """Ends all threads."""
        for worker in [*self.workers, *self._retired]:
            if not worker.stop():
                host.log("ERR", f"the thread {worker.name} did not end; please report this")
        self.callouts = {}
        self.lookups.take_up([])

    def _hook_up(self) -> None:
        sections = self.lookups.sections() if can_hook() else ""
        if self._hook is None and sections:
            self._hook = Hook(self.lookups.fetch, partial(self._caught, "an XML lookup"))
            self._hook.bind(sections)
        elif self._hook is not None and sections:
            self._hook.change(sections)
        elif self._hook is not None:
            self._hook.unbind()
            self._hook = None

    def _callout(
        self,
        config: CalloutConfig,
        whole: Config,
        context: zmq.Context[zmq.Socket[bytes]],
        new: list[Requester],
    ) -> Callout:
        """The one that is there where its sockets can stay, or else a new one, begun."""
        options = _options(config, whole, config.max_message_bytes, 0.0)
        there = self.callouts.get(config.name)
        if there is not None and there.requester.asks(config.endpoint, options):
            return there
        caught = partial(self._caught, f'callout "{config.name}"')
        made = Callout(config, options, context, self._applications.has, caught)
        new.append(made.requester)
        made.requester.start()
        return made

    def _binding(
        self,
        config: XmlBindingConfig,
        whole: Config,
        context: zmq.Context[zmq.Socket[bytes]],
        new: list[Requester],
    ) -> XmlBinding:
        """The same for a binding, whose cache stays with it."""
        room = config.response_max_bytes * JSON_GROWTH + ROOM_BYTES
        options = _options(config, whole, room, config.circuit_breaker_ms / 1000)
        for there in self.lookups.bindings:
            if there.config.name == config.name and there.requester.asks(config.endpoint, options):
                return there
        made = XmlBinding(config, options, context, partial(self._caught, f'binding "{config.name}"'))
        new.append(made.requester)
        made.requester.start()
        return made


def _options(
    config: Union[CalloutConfig, XmlBindingConfig], whole: Config, bytes_at_most: int, breaker: float
) -> BackendOptions:
    key = config.server_public_key
    curve = whole.access.server_keys if key is not None else None
    return BackendOptions(bytes_at_most, whole.settings.ipv6, curve, key, breaker)
