"""What is left to do, and what is so already."""

from __future__ import annotations

import pytest

from tests.install.support import Site
from tools.installing import folders, hints

DONE = {
    "modules.conf.xml": '<modules>\n  <load module="mod_python3"/>\n</modules>',
    "python.conf.xml": "<settings><param value='event_zmq' name='startup-script' /></settings>",
    "switch.conf.xml": '<param name="threaded-system-exec" value="true"/>',
}
TO_DO = {
    "modules.conf.xml": '<!-- <load module="mod_python3"/> --><load module="mod_lua"/>',
    "python.conf.xml": """<!--
        <param name="startup-script" value="event_zmq"/> -->
        <param name="startup-script" value="other"/>""",
    "switch.conf.xml": '<param name="threaded-system-exec" value="false"/>',
}


@pytest.mark.parametrize("name", sorted(DONE))
@pytest.mark.parametrize("done", [True, False])
def test_each_line_says_whether_it_is_there(site: Site, name: str, done: bool) -> None:
    configs = site.configuration.parent
    configs.mkdir(parents=True)
    for other in DONE:
        (configs / other).write_text((DONE if (other == name) == done else TO_DO)[other], "utf-8")
    result = site.install()
    lines = {other: next(line for line in result.out.splitlines() if str(configs / other) in line) for other in DONE}
    for other, line in lines.items():
        assert line.strip().startswith("[done]" if (other == name) == done else "[to do]"), line


def test_files_that_are_missing_are_to_do(site: Site) -> None:
    result = site.install()
    assert result.out.count("[to do]") == 3
    for command in ("reloadxml", "pyrun event_zmq", "python event_zmq status"):
        assert command in result.out


def test_a_running_switch_with_mod_python3_need_not_load_it(site: Site) -> None:
    switch = folders.Switch(str(site.program("fs_cli", "echo true")))
    lines = hints.after_install(site.conf, switch, updated=False)
    assert "  Then in fs_cli:" in lines
    assert not any("load mod_python3 " in line for line in lines)
