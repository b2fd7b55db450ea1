"""Installed on a real switch: found by asking it, and run from where it was put."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.conftest import SwitchFactory
from tests.install.support import Site
from tests.support.livefs import find_freeswitch


def test_a_running_switch_gets_it_runs_it_and_loses_it(site: Site, live_switch_factory: SwitchFactory) -> None:
    freeswitch = find_freeswitch()
    assert freeswitch is not None
    program = shutil.which("fs_cli", path=str(freeswitch.parent))
    if program is None:
        pytest.skip(f"{freeswitch} has no fs_cli beside it")
    text = site.shipped.read_text("utf-8")
    for bind in ("tcp://*:5556", "tcp://127.0.0.1:5557"):
        assert bind in text
        text = text.replace(bind, "tcp://127.0.0.1:*")
    site.shipped.write_text(text, "utf-8")
    site.scripts.mkdir(parents=True)
    # Without the repository on its path: what it can import is what was installed.
    switch = live_switch_factory(scripts_dir=site.scripts, extra_env={"PYTHONPATH": ""})
    fs_cli = f"{program} -H 127.0.0.1 -P {switch.esl_port} -p {switch.esl_password}"
    asked = {"FREESWITCH_SCRIPTS": "", "FREESWITCH_CONF": "", "FREESWITCH_PYTHON": "", "FS_CLI": fs_cli}

    result = site.install(**asked)
    assert f"{site.scripts} (the running switch's script_dir)" in result.out
    assert f"{switch.conf_dir}/autoload_configs/event_zmq.conf.xml (the running switch's conf_dir)" in result.out
    assert "mod_python3.so is linked against Python 3." in result.out
    assert "load mod_python3 " not in result.out
    assert "[done]" in next(line for line in result.out.splitlines() if "modules.conf.xml" in line)

    assert switch.api("reloadxml").startswith("+OK")
    assert switch.api("python event_zmq start").startswith("+OK")
    status = json.loads(switch.api("python event_zmq status json"))
    assert status["state"] == "running"
    assert status["publishers"]["default"]["endpoints"][0].startswith("tcp://127.0.0.1:")
    assert status["api"]["endpoints"][0].startswith("tcp://127.0.0.1:")
    assert switch.api("python event_zmq stop").startswith("+OK")

    site.uninstall(**asked)
    assert list(site.scripts.iterdir()) == []
    assert not (switch.conf_dir / "autoload_configs" / "event_zmq.conf.xml").exists()
