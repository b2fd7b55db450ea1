"""Where things are put: as named, else as the running switch says, else where Debian's packages have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.install.support import Site, contents
from tools.installing import folders

UNNAMED = {"FREESWITCH_SCRIPTS": "", "FREESWITCH_CONF": ""}


def answers(site: Site, **variables: str) -> Path:
    """An fs_cli whose switch has these global variables, and mod_python3 loaded."""
    cases = "".join(f"'global_getvar {name}') echo '{value}';; " for name, value in variables.items())
    script = f"""[ "$1" = -x ] || exit 9
case "$2" in {cases}'module_exists mod_python3') echo true;; *) echo '-ERR no reply';; esac"""
    return site.program("fs_cli", script)


def test_a_running_switch_is_asked(site: Site) -> None:
    fs_cli = answers(site, script_dir=str(site.scripts), conf_dir=str(site.conf))
    result = site.install(**UNNAMED, FS_CLI=str(fs_cli))
    assert (site.scripts / "event_zmq.py").exists()
    assert site.configuration.exists()
    assert "the running switch's script_dir" in result.out
    assert "the running switch's conf_dir" in result.out


def test_fs_cli_is_found_on_path(site: Site) -> None:
    fs_cli = answers(site, script_dir=str(site.scripts), conf_dir=str(site.conf))
    site.install(**UNNAMED, PATH=f"{fs_cli.parent}:/usr/bin:/bin")
    assert site.configuration.exists()


def test_fs_cli_may_have_options(site: Site) -> None:
    script = f'[ "$1 $2 $3" = "-P 8022 -p" ] && [ "$4" = "a secret" ] && shift 4 && exec {answers(site)} "$@"'
    answers(site, script_dir=str(site.scripts), conf_dir=str(site.conf))
    fs_cli = site.program("with_options", script)
    site.install(**UNNAMED, FS_CLI=f"{fs_cli} -P 8022 -p 'a secret'")
    assert site.configuration.exists()


def test_what_is_named_wins(site: Site) -> None:
    fs_cli = answers(site, script_dir="/nowhere/scripts", conf_dir=str(site.conf))
    result = site.install(FREESWITCH_CONF="", FS_CLI=str(fs_cli))
    assert f"{site.scripts} (FREESWITCH_SCRIPTS)" in result.out
    assert site.configuration.exists()


def test_without_a_switch_the_debian_packages_folders_are_taken(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "PACKAGE_SCRIPTS", site.scripts)
    monkeypatch.setattr(folders, "PACKAGE_CONF", site.conf)
    site.conf.mkdir(parents=True)
    silent = folders.Switch(str(site.program("fs_cli", "echo '[ERROR] no connection' >&2; exit 255")))
    assert folders.scripts_folder({}, silent).path == site.scripts
    found = folders.conf_folder({}, silent)
    assert found.path == site.conf
    assert "no connection" in found.reason


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo '[ERROR] Error Connecting []'; exit 255", "reached no switch: [ERROR] Error Connecting []"),
        ("echo '-ERR no reply'", "the running switch does not say its script_dir"),
        ("true", "the running switch does not say its script_dir"),
        ("echo relative/path", "the running switch does not say its script_dir"),
    ],
)
def test_an_answer_that_is_no_folder_is_not_taken_for_one(
    site: Site, monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    monkeypatch.setattr(folders, "PACKAGE_SCRIPTS", site.root / "nothing" / "scripts")
    switch = folders.Switch(str(site.program("fs_cli", script)))
    with pytest.raises(folders.InstallError) as caught:
        folders.scripts_folder({}, switch)
    assert says in str(caught.value)
    assert "FREESWITCH_SCRIPTS=" in str(caught.value)
    assert contents(site.root / "switch") == {}


def test_a_switch_that_does_not_answer_is_not_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_ASK_TIMEOUT", 0.2)
    switch = folders.Switch(str(site.program("fs_cli", "exec sleep 60")))
    assert switch.folder("script_dir") is None
    assert "got no answer within 0.2 s" in switch.silence
    asked_again = switch.folder("conf_dir")
    assert asked_again is None


def test_an_fs_cli_that_is_not_there_is_named(site: Site) -> None:
    switch = folders.Switch("/nowhere/fs_cli -P 8022")
    assert switch.folder("script_dir") is None
    assert switch.silence == "/nowhere/fs_cli can't be run: No such file or directory"


def test_autoload_configs_itself_is_a_mistake(site: Site) -> None:
    result = site.run(environ={"FREESWITCH_CONF": str(site.conf / "autoload_configs")})
    assert result.code == 1
    assert f"FREESWITCH_CONF={site.conf}" in result.err
    assert contents(site.root / "switch") == {}
