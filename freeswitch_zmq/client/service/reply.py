"""What a handler answers about a call. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any, Optional, Union

from freeswitch_zmq.client.service.actions import Action, action
from freeswitch_zmq.client.service.texts import checked_variables
from freeswitch_zmq.dialplan_answer import ACTIONS_AT_MOST

__all__ = ["Actions", "Reply", "actions_of", "reply_of"]

AnyAction = Union[Action, str, tuple[str, ...], list[str]]

Actions = Union[Action, Iterable[AnyAction]]
"""Each an `Action`, or the name of an application, alone or with its argument in a tuple; or one `Action` alone."""


@dataclass(frozen=True, init=False)
class Reply:
    """What is to be done with the call.

    Args:
        actions: run in this order; an `Action`, or the name of an application, alone or with its argument in a tuple.
        variables: set on the channel before that.
        again: ask once more when all of it is done; the next `Call` has the `results`.
        expressions: `${…}` may stand in the values of `variables`.

    Raises:
        ValueError: one of it is not possible.
    """

    actions: tuple[Action, ...]
    variables: Mapping[str, str]
    again: bool

    def __init__(
        self,
        actions: Actions = (),
        variables: Optional[Mapping[str, str]] = None,
        again: bool = False,
        expressions: bool = False,
    ) -> None:
        given = actions_of(actions)
        if len(given) > ACTIONS_AT_MOST:
            raise ValueError(f"a reply has {ACTIONS_AT_MOST} actions at most; ask again for more")
        object.__setattr__(self, "actions", given)
        object.__setattr__(self, "variables", checked_variables(variables or {}, expressions))
        object.__setattr__(self, "again", bool(again))

    def as_result(self) -> dict[str, Any]:
        """As it goes to the switch."""
        actions = [list(each) if each.argument else [each.application] for each in self.actions]
        return {"actions": actions, "variables": dict(self.variables), "continue": self.again}


def reply_of(answer: object) -> Reply:
    """What a handler meant: a `Reply`, a list of actions, one `Action`, or None for nothing.

    Raises:
        ValueError: it is none of these.
    """
    if answer is None:
        return Reply()
    if isinstance(answer, Reply):
        return answer
    if isinstance(answer, (list, tuple)):  # an Action is a tuple, too
        return Reply(answer)
    raise ValueError(f"a call is answered with a Reply, a list of actions or None, not {type(answer).__name__}")


def actions_of(given: object) -> tuple[Action, ...]:
    """What somebody meant by `Actions`.

    Raises:
        ValueError: it is none, or one of them is not possible.
    """
    if isinstance(given, Action):
        return (given,)
    if isinstance(given, str) or (isinstance(given, tuple) and given and all(isinstance(each, str) for each in given)):
        # Two names, or a name and its argument? Better asked than guessed.
        raise ValueError('put an action into a list: ["answer"] or [("playback", "x.wav")]')
    if not isinstance(given, Iterable) or isinstance(given, (bytes, Mapping, Set)):
        raise ValueError(f"actions are given in a list, not as {type(given).__name__}")
    return tuple(_action(each) for each in given)


def _action(given: object) -> Action:
    if isinstance(given, Action):  # it was checked where it was made
        return given
    if isinstance(given, str):
        return action(given)
    if isinstance(given, (list, tuple)) and 1 <= len(given) <= 2:
        return action(*given)
    raise ValueError('an action is such as answer() or playback("…"), or ("APPLICATION", "ARGUMENT")')
