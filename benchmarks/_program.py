"""What the benchmark programs have in common."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

from tests.support.esl import EslError
from tests.support.livefs import NOT_FOUND, LiveSwitch, find_freeswitch
from tests.support.switch import SwitchError

__all__ = ["BenchmarkError", "idle_share", "positive", "progress", "run", "running"]


class BenchmarkError(Exception):
    """Said to the user."""


def positive(text: str) -> int:
    """An option that is a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number from 1 on')
    return int(text)


def run(name: str, measure: Callable[[Path], None]) -> int:
    """Measures in a folder that goes afterwards, says what went wrong, and gives the exit code."""
    try:
        if find_freeswitch() is None:
            raise BenchmarkError(NOT_FOUND)
        with tempfile.TemporaryDirectory(prefix="event_zmq-bench-") as folder:
            measure(Path(folder))
    except (BenchmarkError, SwitchError, EslError, AssertionError) as error:
        print(f"benchmarks.{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 0


@contextlib.contextmanager
def running(switch: LiveSwitch) -> Iterator[LiveSwitch]:
    """Starts a switch, and stops it however this ends."""
    switch.start()
    try:
        yield switch
        switch.stop()
    finally:
        switch.kill()


def idle_share(switch: LiveSwitch, seconds: float) -> float:
    """What of a core a switch takes when nothing happens."""
    progress("an idle switch")
    before = switch.cpu_seconds()
    time.sleep(seconds)
    return (switch.cpu_seconds() - before) / seconds


def progress(what: str) -> None:
    """What is being done now, in a line that the next one replaces where somebody looks on."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)
    elif what:
        print(what, file=sys.stderr, flush=True)
