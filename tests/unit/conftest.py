"""A `freeswitch` module for the module to import, and ZeroMQ contexts that must end without a socket left."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest
import zmq

from tests.unit.fake_freeswitch import FakeSwitch

if TYPE_CHECKING:
    from tests.unit.whole import Whole

# host.py imports it, and test modules import host.py, before any fixture runs.
sys.modules.setdefault("freeswitch", FakeSwitch().module())

_PROFILE = "unit"
# The same examples each time: a run that fails must fail again. To search on: --hypothesis-profile=search.
hypothesis.settings.register_profile(_PROFILE, max_examples=50, deadline=None, database=None, derandomize=True)
hypothesis.settings.register_profile("search", max_examples=3000, deadline=None, database=None)


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--hypothesis-profile"):
        hypothesis.settings.load_profile(_PROFILE)


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> FakeSwitch:
    """A switch of the test's own behind the module."""
    from freeswitch_zmq.module import access, events, host, running

    # Each call to the pump and each subscription waits for it; hundreds of tests would do nothing else.
    monkeypatch.setattr(events, "IDLE_MS", 5)
    monkeypatch.setattr(access, "POLL_MS", 5)
    # A stop that goes on without waiting any longer is not what a test sees when the machine stands still.
    monkeypatch.setattr(running, "_TERM_SECONDS", 20.0)
    monkeypatch.setattr(events, "_left_to_the_end", [])  # the process of the tests goes on
    switch = FakeSwitch()
    monkeypatch.setattr(host, "freeswitch", switch.module())
    return switch


@pytest.fixture
def patient_flush(switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is queued at the end goes out, however long the machine stands still meanwhile."""
    from freeswitch_zmq.module import events

    monkeypatch.setattr(events, "FLUSH_SECONDS", 20.0)
    monkeypatch.setattr(events, "LAST_TRY_SECONDS", 20.0)


@pytest.fixture
def whole(switch: FakeSwitch) -> Iterator[Whole]:
    """The module with a configuration, not started."""
    from tests.unit.whole import Whole

    whole = Whole(switch)
    yield whole
    whole.end()


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """A ZeroMQ context; a socket of it that is still open after the test is an error."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield context
    end_context(context)


def end_context(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """Ends it, and fails if that waits for a socket."""
    sockets = list(context._sockets)
    ending = threading.Thread(target=context.term, daemon=True)
    ending.start()
    ending.join(20.0)
    left = [socket for socket in sockets if not socket.closed]
    for socket in left:
        socket.close(0)
    ending.join(20.0)
    assert not left, f"sockets were left open: {left}"
    assert not ending.is_alive(), "the context does not end"
