"""The recorded call: what a loopback call of a real FreeSWITCH fires, step by step."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from .engine import Origin

__all__ = ["Recording", "Step", "fill", "recording"]

_FILE = Path(__file__).with_name("recorded_call.json")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
Pairs = tuple[tuple[str, str], ...]


class Step(NamedTuple):
    """One event of the recording; its values have `{placeholders}`.

    Attributes:
        event: Its name.
        origin: Where FreeSWITCH makes it.
        changes: What changes in the channel's headers with it.
        fields: How many of those headers it has; None for all.
        before: Headers in front of them.
        variables: Variables that the channel gets with it; None when it does not tell the variables.
        after: Headers behind them.
    """

    event: str
    origin: Origin
    changes: Pairs
    fields: int | None
    before: Pairs
    variables: Pairs | None
    after: Pairs


class Recording(NamedTuple):
    """A whole call.

    Attributes:
        fields: For each leg the headers of its channel, in their order, with their first values.
        steps: By the name of the part of the call, such as `answer/b`; with the leg of each.
    """

    fields: dict[str, Pairs]
    steps: dict[str, tuple[tuple[str, Step], ...]]


@lru_cache(maxsize=1)
def recording() -> Recording:
    """The one that the package has; tests/standin/recording.py makes it."""
    data: dict[str, Any] = json.loads(_FILE.read_text("utf-8"))
    fields = {leg: tuple(values.items()) for leg, values in data["fields"].items()}
    steps = {part: tuple((step["leg"], _step(step)) for step in steps) for part, steps in data["steps"].items()}
    return Recording(fields, steps)


def fill(template: str, lookup: Callable[[str], str]) -> str:
    """The value that a template has for one channel."""
    return _PLACEHOLDER.sub(lambda found: lookup(found.group(1)), template) if "{" in template else template


def _step(data: dict[str, Any]) -> Step:
    return Step(
        data["event"],
        Origin(*data["origin"]),
        tuple(data.get("set", {}).items()),
        data.get("fields"),
        _pairs(data.get("before", ())),
        _pairs(data["variables"]) if "variables" in data else None,
        _pairs(data.get("after", ())),
    )


def _pairs(data: list[list[str]]) -> Pairs:
    return tuple((name, value) for name, value in data)
