"""One switch of each kind for all contract tests that don't bring it down."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.keeper import Keeper
from tests.support.switch import Switch

from .probing import PROBES, Probe

EXTENSIONS = """
<extension name="expansion">
  <condition field="destination_number" expression="^expansion$">
    <action application="answer"/>
    <action application="set" data="contract_seen=${python(probe_doors in the dialplan)}"/>
    <action application="hangup"/>
  </condition>
</extension>
"""


@pytest.fixture(scope="session")
def scripts_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A script folder with the probes, in which tests may write."""
    folder = tmp_path_factory.mktemp("contract") / "scripts"
    shutil.copytree(PROBES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def switch(session_keeper: Keeper, switch_kind: str, scripts_dir: Path) -> Switch:
    """The shared switch of each kind."""
    return session_keeper.share(
        switch_kind,
        "contract",
        scripts_dir=scripts_dir,
        startup_script=True,
        xml_handler_bindings="directory",
        script="probe_hooks",
        extra_extensions=EXTENSIONS,
    )


@pytest.fixture
def probe(switch: Switch) -> Probe:
    """The probes in it, with nothing noted yet."""
    probe = Probe(switch)
    probe.calls()
    return probe
