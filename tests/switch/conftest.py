"""One switch of each kind for all tests that need none of their own: a live one takes seconds to start and stop."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.callouts import EXTENSIONS
from tests.support.keeper import Keeper
from tests.support.module import Module, configuration
from tests.support.switch import REPOSITORY

ModuleFactory = Callable[[str], Module]

_SCRIPTS = (REPOSITORY / "scripts" / "event_zmq.py", *Path(__file__).parent.glob("script_*.py"))


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A script folder with the shim, and with the tests' own scripts."""
    folder = tmp_path_factory.mktemp("scripts")
    for script in _SCRIPTS:
        shutil.copy(script, folder)
    return folder


@pytest.fixture
def module_factory(session_keeper: Keeper, switch_kind: str, scripts: Path) -> Iterator[ModuleFactory]:
    """`module_factory(xml)` starts the module on the shared switch with that configuration; stopped after the test."""
    made: list[Module] = []

    def make(xml: str) -> Module:
        module = Module(session_keeper.share(switch_kind, "module", scripts_dir=scripts, extra_extensions=EXTENSIONS))
        module.switch.write_config(xml)
        module.switch.api("reloadxml")
        made.append(module)
        module.start()
        return module

    yield make
    for module in made:
        if module.status()["state"] == "running":
            assert module.command("stop") == "+OK stopped"


@pytest.fixture
def module(module_factory: ModuleFactory) -> Module:
    """The module with one publisher on a free port."""
    return module_factory(configuration())
