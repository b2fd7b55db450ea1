"""A `<callout>`: a service that decides about calls, and what it may have done to them."""

from __future__ import annotations

from typing import Any, Callable

import zmq

from freeswitch_zmq.dialplan_answer import Rules
from freeswitch_zmq.globs import Glob
from freeswitch_zmq.module.asking.backend import BackendOptions
from freeswitch_zmq.module.asking.complaints import Complaints
from freeswitch_zmq.module.asking.question import TIMEOUT, Outcome
from freeswitch_zmq.module.asking.requester import Requester
from freeswitch_zmq.module.schema import CalloutConfig

__all__ = ["Callout"]


class Callout:
    """See above.

    Args:
        config: what stands in the file.
        options: for the sockets.
        context: the module's.
        known: whether FreeSWITCH has an application.
        on_error: called with an exception that was caught.
    """

    def __init__(
        self,
        config: CalloutConfig,
        options: BackendOptions,
        context: zmq.Context[zmq.Socket[bytes]],
        known: Callable[[str], bool],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._known = known
        self._complaints = Complaints()
        self._who = f'callout "{config.name}"'
        self.requester = Requester(context, self._who, config.endpoint, options, self._note, on_error)
        self.configure(config)

    def configure(self, config: CalloutConfig) -> None:
        """Other rules, for conversations and turns from now on."""
        self.rules = Rules(config.allow_applications, config.allow_variables, config.allow_expressions, self._known)
        self.variables = [Glob(each) for each in config.variables]
        self.config = config

    def failed(self, uuid: str, outcome: Outcome) -> None:
        """A line in the log about an answer that could not be had or used."""
        status = f"event_zmq_status={outcome.status}"
        text = f"{self._who}: {outcome.problem}; call {uuid} goes on in its dialplan with {status}"
        self._complaints.log("WARNING", outcome.status, text)

    def too_many_turns(self, uuid: str) -> None:
        """The service wanted to be asked once more than max-turns."""
        text = f"{self._who} was asked {self.config.max_turns} times by call {uuid}: max-turns. The call goes on"
        self._complaints.log("WARNING", "max-turns", text)

    @staticmethod
    def no_outcome() -> Outcome:
        """When the thread that should give one did not: a fault of ours."""
        return Outcome(TIMEOUT, problem="the thread that asks did not answer")

    def _note(self, level: str, text: str) -> None:
        self._complaints.log(level, text, f"{self._who}: {text}")

    def counted(self) -> dict[str, Any]:
        """For `status`."""
        return self.requester.counted()
