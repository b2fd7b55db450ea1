"""The recorded call: the file is what a real FreeSWITCH does today."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freeswitch_zmq.standin.recorded import recording
from tests.conftest import SwitchFactory

from .recording import EXTENSION, FILE, record


def outline(script: dict[str, Any]) -> dict[str, Any]:
    """What does not change with FreeSWITCH's version or the moment."""
    steps = {
        part: [
            (
                step["leg"],
                step["event"],
                *([name for name, _ in step.get(key, ())] for key in ("before", "variables", "after")),
            )
            for step in steps
        ]
        for part, steps in script["steps"].items()
    }
    for part in ("originate",):
        steps[part].sort()  # The two legs begin side by side.
    return {"fields": script["fields"], "steps": steps}


@pytest.mark.live
def test_it_is_what_a_real_one_does(live_switch_factory: SwitchFactory) -> None:
    wanted = outline(json.loads(FILE.read_text("utf-8")))
    # Its two legs are two threads: which comes first at a few places is not the same each time on a busy machine.
    for left in (2, 1, 0):
        found = outline(json.loads(json.dumps(record(live_switch_factory(extra_extensions=EXTENSION)))))
        if found == wanted:
            break
        assert left, found


def test_every_part_that_is_played_is_there() -> None:
    parts = recording().steps
    for part in ("originate", "connected", "park", "unpark", "playback_start", "playback_stop"):
        assert parts[part], part
    for part in ("run", "execute", "complete", "answer", "hangup", "hung_up", "reported", "destroyed"):
        for leg in "ab":
            assert {step_leg for step_leg, _ in parts[f"{part}/{leg}"]} == {leg}
