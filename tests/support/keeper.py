"""Keeps track of the switches that were made, so that none outlives its test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .livefs import live_switch
from .standin import standin_switch
from .switch import Switch


class Keeper:
    """Makes switches below one folder, and ends those that still run.

    Args:
        folder: Each switch gets a folder of its own in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Switch] = []
        self._shared: dict[str, Switch] = {}

    def make(self, kind: str, *, start: bool = True, **options: Any) -> Switch:
        """A new switch.

        Args:
            kind: ``live`` or ``standin``.
            start: Whether to start it.
            options: Those of :class:`~tests.support.switch.Switch`.
        """
        maker = {"live": live_switch, "standin": standin_switch}[kind]
        switch: Switch = maker(self._folder / f"{kind}-{len(self._made)}", **options)
        self._made.append(switch)
        if start:
            switch.start()
        return switch

    def share(self, kind: str, name: str, **options: Any) -> Switch:
        """The running switch of that kind and name; the first call makes it, and its options count.

        One that has ended is an error each time: some test has brought it down.
        """
        key = f"{kind}/{name}"
        if key not in self._shared:
            self._shared[key] = self.make(kind, **options)
        switch = self._shared[key]
        assert switch.running, f"the shared switch {key} has ended, see {switch.log_file}"
        return switch

    def end(self) -> None:
        """Shut down what still runs; it has to end with exit code 0 (see :func:`end_all`)."""
        try:
            end_all(self._made)
        finally:
            for switch in self._made:
                switch.kill()


def end_all(switches: Sequence[Switch]) -> None:
    """Have all that run shut down, at the same time because each takes FreeSWITCH four seconds.

    Raises:
        AssertionError: One did not end with exit code 0.
        SwitchError: One did not end, and was killed.
    """
    left = [switch for switch in switches if switch.running]
    for switch in left:
        switch.request_stop()
    codes = {str(switch.root): switch.wait_stopped() for switch in left}
    assert all(code == 0 for code in codes.values()), f"exit codes: {codes}"
