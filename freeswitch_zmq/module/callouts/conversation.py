"""One call's conversation with a service: asks, does what it is told, asks again."""

from __future__ import annotations

import itertools
import time
from functools import partial
from typing import Any, Callable, Optional

from freeswitch_zmq.dialplan_answer import Turn
from freeswitch_zmq.module.asking.question import OK, OVERDUE_SECONDS, UNAVAILABLE, Outcome, Question
from freeswitch_zmq.module.callouts.callout import Callout
from freeswitch_zmq.module.callouts.hangups import Hangups
from freeswitch_zmq.module.callouts.leg import Leg

__all__ = ["Conversation"]

LOOK_SECONDS = 1.0
"""How soon a hang-up is noticed of which no event comes; by its event it is noticed at once."""

HANGUP_SECONDS = 2.0
"""How long the notice about a hang-up is held for a service that is not there at the moment."""


class Conversation:
    """See above. All in the call's own thread.

    Args:
        find: the service as it is configured now; None: there is none of that name. A reload may change it meanwhile.
        leg: the call.
        args: what stands behind its name in the dialplan.
        hangups: tells of hang-ups.
    """

    def __init__(self, find: Callable[[], Optional[Callout]], leg: Leg, args: str, hangups: Hangups) -> None:
        self._find, self._leg, self._args, self._hangups = find, leg, args, hangups
        self._asked: Optional[Callout] = None
        self._place: Optional[int] = None

    def run(self) -> str:
        """Until it is over; the status of it."""
        status = self._turns()
        callout = self._asked
        if callout is not None and self._leg.has_hung_up():
            callout = self._current() or callout
            self._leg.look()
            params = {"uuid": self._leg.uuid, "cause": self._leg.hangup_cause()}
            callout.requester.tell("dialplan.hangup", params, HANGUP_SECONDS, self._place)
        return status

    def _current(self) -> Optional[Callout]:
        callout = self._find()
        if callout is not self._asked:
            self._place = None
        return callout

    def _turns(self) -> str:
        results: list[dict[str, Any]] = []
        for number in itertools.count(1):
            callout = self._current()
            if callout is None:
                return UNAVAILABLE
            if number > callout.config.max_turns:
                callout.too_many_turns(self._leg.uuid)
                break
            outcome = self._ask(callout, number, results)
            if outcome is None:  # it hung up
                break
            if outcome.status != OK:
                callout.failed(self._leg.uuid, outcome)
                return outcome.status
            self._place = outcome.place
            turn: Turn = outcome.value
            for name, value in turn.variables.items():
                self._leg.set(name, value)
            results = self._run(turn)
            if not turn.again or not self._leg.is_here():
                break
        return OK

    def _ask(self, callout: Callout, number: int, results: list[dict[str, Any]]) -> Optional[Outcome]:
        """What the service answered; None: the call has hung up."""
        leg = self._leg
        leg.look()
        channel = leg.channel()
        params = {
            "name": callout.config.name,
            "args": self._args,
            "uuid": leg.uuid,
            "turn": number,
            "channel": channel,
            "variables": leg.variables(callout.variables),
            "result": results,
        }
        seconds = callout.config.timeout_ms / 1000
        read = partial(callout.rules.read, dialplan=channel["dialplan"])
        question = callout.requester.ask("dialplan.call", params, seconds, read, self._place)
        self._asked = callout
        with self._hangups.watched(leg.uuid, question.wake):
            return self._wait(callout, question, time.monotonic() + seconds)

    def _wait(self, callout: Callout, question: Question, until: float) -> Optional[Outcome]:
        while True:
            left = until + OVERDUE_SECONDS - time.monotonic()
            outcome = question.wait(max(0.0, min(LOOK_SECONDS, left)))
            if outcome is not None:
                return outcome
            if not self._leg.is_here():
                callout.requester.drop(question)
                return None
            if left <= 0:
                callout.requester.drop(question)
                return callout.no_outcome()

    def _run(self, turn: Turn) -> list[dict[str, Any]]:
        leg = self._leg
        results = []
        for action in turn.actions:
            done = leg.is_here()
            response = ""
            if done:
                leg.execute(action.application, action.argument)
                response = leg.get("current_application_response") or ""
            results.append({"application": action.application, "done": done, "response": response})
        return results
