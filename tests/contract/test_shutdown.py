"""The end of the switch, as a thread in it sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SwitchFactory
from tests.support.waiting import wait_for

from .probing import Probe

LOOK_MS = 20
"""How long probe_shutdown waits between two looks."""


@pytest.mark.parametrize("how", ["api", "sigterm"])
def test_shutdown(switch_factory: SwitchFactory, scripts_dir: Path, tmp_path: Path, how: str) -> None:
    switch = switch_factory(scripts_dir=scripts_dir)
    seen = tmp_path / "seen"
    probe = Probe(switch)
    probe.call("probe_shutdown", "watch", str(seen))
    with probe.consumer("SHUTDOWN") as consumer:
        switch.sendevent("SHUTDOWN", [("X-Forged", "yes")])
        consumer.take("SHUTDOWN")
    # The watching thread has another consumer, and notes whether the switch still ran when it got round to the event.
    wait_for(seen.exists, "the forged event to be noted", 30)
    assert switch.stop(how) == 0
    notes: list[dict[str, Any]] = [json.loads(line) for line in seen.read_text("ascii").splitlines()]
    assert len(notes) == 2, notes
    forged, real = notes
    assert (forged["type"], forged["forged"], forged["running"]) == ("SHUTDOWN", "yes", "True")
    assert (real["type"], real["forged"], real["running"]) == ("SHUTDOWN", None, "False")
    assert real["info"] == "System Shutting Down"
    # Counted and not measured: a machine that is busy lets a second pass between two of them.
    assert real["looks_since_running_was_false"] * LOOK_MS < 1500
    assert not switch.running


def test_it_can_be_started_again(switch_factory: SwitchFactory, scripts_dir: Path) -> None:
    switch = switch_factory(scripts_dir=scripts_dir)
    first = switch.api("global_getvar core_uuid")
    switch.kill()
    switch.start()
    assert switch.api("global_getvar core_uuid") != first
    switch.kill()  # Nothing about its end is in question, and FreeSWITCH would take four seconds.
