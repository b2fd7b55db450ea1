"""`make uninstall`: what was put there goes, and nothing else."""

from __future__ import annotations

import json

import pytest

from tests.install.support import MANIFEST, Site, contents


def test_takes_everything_away_and_the_folders_that_it_made(site: Site) -> None:
    site.install()
    result = site.uninstall()
    assert list(site.root.glob("switch/*")) == []
    assert "Taken away" in result.out


def test_folders_and_files_of_others_stay(site: Site) -> None:
    for path in (
        site.scripts / "ivr.py",
        site.scripts / "freeswitch_zmq" / "notes.txt",
        site.scripts / "__pycache__" / "ivr.cpython-311.pyc",
        site.conf / "autoload_configs" / "python.conf.xml",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("theirs\n", "utf-8")
    before = contents(site.root / "switch")
    site.install()
    site.uninstall()
    assert contents(site.root / "switch") == before


def test_what_python_compiled_goes_too(site: Site) -> None:
    site.install()
    for folder, name in ((site.scripts, "event_zmq"), (site.scripts / "freeswitch_zmq" / "module", "entry")):
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / f"{name}.cpython-311.pyc").touch()
    site.uninstall()
    assert not site.scripts.exists()


def test_a_configuration_that_was_changed_stays_and_the_new_one_goes(site: Site) -> None:
    site.install()
    site.configuration.write_text("mine\n", "utf-8")
    site.install()
    result = site.uninstall()
    assert contents(site.root / "switch") == {"conf/autoload_configs/event_zmq.conf.xml": b"mine\n"}
    assert f"Kept, because it was changed here: {site.configuration}" in result.out


def test_it_needs_no_configuration_folder_named(site: Site) -> None:
    site.install()
    site.uninstall(FREESWITCH_CONF="")
    assert not site.configuration.exists()


def test_a_second_time_there_is_nothing_to_do(site: Site) -> None:
    site.install()
    site.uninstall()
    result = site.uninstall()
    assert result.out.startswith("Nothing to take away")
    assert "FREESWITCH_SCRIPTS=" in result.out


def test_the_line_that_starts_the_module_is_named_when_it_is_still_there(site: Site) -> None:
    site.install()
    python = site.conf / "autoload_configs" / "python.conf.xml"
    python.write_text('<settings><param name="startup-script" value="event_zmq"/></settings>', "utf-8")
    result = site.uninstall()
    assert f"take the startup-script event_zmq out of {python}" in result.out


@pytest.mark.parametrize(
    "manifest",
    [
        "not JSON",
        "[]",
        "{}",
        json.dumps({"format": 2}),
        json.dumps({"format": 1, "files": {}}),
    ],
)
def test_a_damaged_manifest_is_not_believed(site: Site, manifest: str) -> None:
    site.install()
    (site.scripts / MANIFEST).write_text(manifest, "utf-8")
    before = contents(site.root / "switch")
    for arguments in ([], ["--uninstall"]):
        result = site.run(*arguments)
        assert result.code == 1
        assert f"{site.scripts / MANIFEST} is damaged" in result.err
    assert contents(site.root / "switch") == before


@pytest.mark.parametrize("name", ["/etc/passwd", "../conf/x", "freeswitch_zmq/../../x", "ivr.py", "event_zmq.py/x", ""])
def test_a_manifest_cannot_name_files_of_others(site: Site, name: str) -> None:
    site.install()
    path = site.scripts / MANIFEST
    manifest = json.loads(path.read_text("utf-8"))
    manifest["files"][name] = "0" * 64
    path.write_text(json.dumps(manifest), "utf-8")
    result = site.run("--uninstall")
    assert result.code == 1
    assert "is no file of ours" in result.err
    assert site.configuration.exists()


def test_a_manifest_cannot_name_another_configuration(site: Site) -> None:
    site.install()
    path = site.scripts / MANIFEST
    manifest = json.loads(path.read_text("utf-8"))
    manifest["configuration"] = str(site.conf / "freeswitch.xml")
    path.write_text(json.dumps(manifest), "utf-8")
    result = site.run("--uninstall")
    assert result.code == 1
    assert "is no configuration of ours" in result.err
