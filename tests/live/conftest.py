"""One FreeSWITCH for the tests of the API that need none of their own: calls that ring, scripts that print."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.holding import HOLD_SCRIPT
from tests.support.keeper import Keeper
from tests.support.module import Module
from tests.support.ringing import EXTENSIONS
from tests.support.switch import REPOSITORY

LiveModuleFactory = Callable[[str], Module]


@pytest.fixture(scope="session")
def live_scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A script folder with the shim, and with the scripts of the tests here."""
    folder = tmp_path_factory.mktemp("live-scripts")
    for script in (REPOSITORY / "scripts" / "event_zmq.py", HOLD_SCRIPT, *Path(__file__).parent.glob("script_*.py")):
        shutil.copy(script, folder)
    return folder


@pytest.fixture
def live_module_factory(session_keeper: Keeper, live_scripts: Path) -> Iterator[LiveModuleFactory]:
    """`live_module_factory(xml)` starts the module on the shared FreeSWITCH; stopped after the test.

    Who asks for it has to be marked `live`.
    """
    made: list[Module] = []

    def make(xml: str) -> Module:
        switch = session_keeper.share("live", "api", scripts_dir=live_scripts, extra_extensions=EXTENSIONS)
        module = Module(switch)
        switch.write_config(xml)
        switch.api("reloadxml")
        made.append(module)
        module.start()
        return module

    yield make
    for module in made:
        if module.status()["state"] == "running":
            assert module.command("stop") == "+OK stopped"
