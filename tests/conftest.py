"""Switches for the tests, and the check that a test leaves no thread behind."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.keeper import Keeper
from tests.support.livefs import NOT_FOUND, find_freeswitch
from tests.support.switch import Switch, SwitchError

SwitchFactory = Callable[..., Switch]

_LIVE_FIXTURES = frozenset({"live_switch_factory"})
_LEAK_GRACE = 20.0  # Seconds that a thread may take to end.


class _Live:
    """The FreeSWITCH of this run, looked for once, and how many tests ran against it."""

    found: Path | None = None
    tests = 0


def pytest_configure(config: pytest.Config) -> None:
    try:
        _Live.found = find_freeswitch()
    except SwitchError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _LIVE_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("live")
        if _Live.found is None and item.get_closest_marker("live"):
            item.add_marker(pytest.mark.skip(reason=NOT_FOUND))
        callspec = getattr(item, "callspec", None)
        if _Live.found is not None and callspec is not None and callspec.params.get("switch_kind") == "standin":
            item.add_marker("twin")


def pytest_runtest_call(item: pytest.Item) -> None:
    if item.get_closest_marker("live"):
        _Live.tests += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _Live.found is None:
        terminalreporter.write_line(f"live tests: not run, {NOT_FOUND}")
    elif _Live.tests:
        terminalreporter.write_line(f"live tests: ran against {_Live.found} ({_Live.tests} tests)")
    else:
        terminalreporter.write_line(f"live tests: none selected ({_Live.found} is there)")


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fails a test that leaves a thread behind in the process of the tests."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + _LEAK_GRACE
    for thread in set(threading.enumerate()) - before:
        thread.join(max(deadline - time.monotonic(), 0.0))
    left = sorted(thread.name for thread in set(threading.enumerate()) - before)
    assert not left, f"threads left behind: {left}"


@pytest.fixture(params=["standin", pytest.param("live", marks=pytest.mark.live)])
def switch_kind(request: pytest.FixtureRequest) -> str:
    """Both kinds of switch, one after the other."""
    kind: str = request.param
    return kind


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    """Makes switches that end with the test."""
    keeper = Keeper(tmp_path)
    yield keeper
    keeper.end()


@pytest.fixture
def switch_factory(keeper: Keeper, switch_kind: str) -> SwitchFactory:
    """``switch_factory(**options)`` starts a switch, one of each kind; ``start=False`` only makes it."""
    return functools.partial(keeper.make, switch_kind)


@pytest.fixture
def live_switch_factory(keeper: Keeper) -> SwitchFactory:
    """``live_switch_factory(**options)`` starts a real FreeSWITCH; who asks for it is marked ``live``."""
    return functools.partial(keeper.make, "live")


@pytest.fixture
def standin_switch_factory(keeper: Keeper) -> SwitchFactory:
    """``standin_switch_factory(**options)`` starts a stand-in."""
    return functools.partial(keeper.make, "standin")


@pytest.fixture(scope="session")
def session_keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    """Keeps switches that tests share: ``session_keeper.share(kind, name, **options)``."""
    keeper = Keeper(tmp_path_factory.mktemp("shared"))
    yield keeper
    keeper.end()
