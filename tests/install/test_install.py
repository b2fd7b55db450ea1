"""`make install`: what is put where, and what it leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.install.support import MANIFEST, REPOSITORY, Site, contents, mode
from tools import install
from tools.installing import files


def test_puts_the_shim_and_the_package_into_the_script_folder(site: Site) -> None:
    site.install()
    installed = contents(site.scripts)
    del installed[MANIFEST]
    assert installed == {name: path.read_bytes() for name, path in install.sources(site.tree).items()}
    assert {"event_zmq.py", "freeswitch_zmq/__init__.py", "freeswitch_zmq/module/entry.py"} <= set(installed)
    assert site.configuration.read_bytes() == site.shipped.read_bytes()


def test_leaves_out_what_is_not_for_inside_a_switch(site: Site) -> None:
    for name in ("standin/__init__.py", "cli/__init__.py", "module/__pycache__/x.cpython-311.pyc"):
        path = site.tree / "freeswitch_zmq" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    site.install()
    names = {path.name for path in site.scripts.rglob("*")}
    assert not names & {"standin", "cli", "__pycache__", "tests"}


def test_what_is_installed_imports_nothing_that_was_left_out(site: Site) -> None:
    site.install()
    # Everything but the two that need FreeSWITCH's own module is imported from the script folder alone.
    code = """
import sys, types, pkgutil, importlib
sys.path.insert(0, sys.argv[1])
sys.modules["freeswitch"] = types.ModuleType("freeswitch")
import freeswitch_zmq
for found in pkgutil.walk_packages(freeswitch_zmq.__path__, "freeswitch_zmq."):
    importlib.import_module(found.name)
    assert sys.modules[found.name].__file__.startswith(sys.argv[1]), found
"""
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, str(site.scripts)],
        cwd=site.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_files_can_be_read_by_the_switchs_user_whatever_the_umask_is(site: Site) -> None:
    result = site.run(umask=0o077)
    assert result.code == 0, result
    for path in site.scripts.parent.rglob("*"):
        assert mode(path) == (0o755 if path.is_dir() else 0o644), path


def test_the_manifest_lists_every_file_with_its_hash(site: Site) -> None:
    site.install()
    manifest = json.loads((site.scripts / MANIFEST).read_text("utf-8"))
    installed = contents(site.scripts)
    del installed[MANIFEST]
    assert manifest["files"] == {name: files.sha256(content) for name, content in installed.items()}
    assert manifest["configuration"] == str(site.configuration)
    assert manifest["shipped"] == [files.sha256(site.shipped.read_bytes())]


def test_a_second_time_changes_nothing_and_says_so(site: Site) -> None:
    site.install()
    everything = [*site.scripts.rglob("*.py"), site.configuration]
    before = {path: path.stat().st_mtime_ns for path in everything}
    result = site.install()
    assert {path: path.stat().st_mtime_ns for path in everything} == before
    assert "all as they should be" in result.out
    assert "keeps the old code" not in result.out
    assert not site.beside.exists()


def test_an_update_replaces_and_takes_away_what_is_gone(site: Site) -> None:
    gone = site.tree / "freeswitch_zmq" / "module" / "old" / "past.py"
    gone.parent.mkdir()
    gone.write_text("OLD = 1\n", "utf-8")
    site.install()
    installed = site.scripts / "freeswitch_zmq" / "module" / "old"
    cache = installed / "__pycache__"
    cache.mkdir()
    (cache / "past.cpython-311.pyc").touch()
    gone.unlink()
    gone.parent.rmdir()
    errors = site.tree / "freeswitch_zmq" / "errors.py"
    errors.write_text(errors.read_text("utf-8") + "# newer\n", "utf-8")

    result = site.install()
    assert not installed.exists()
    assert (site.scripts / "freeswitch_zmq" / "errors.py").read_bytes() == errors.read_bytes()
    assert "keeps the old code until the switch itself is restarted" in result.out


def test_strangers_in_the_script_folder_stay(site: Site) -> None:
    site.scripts.mkdir(parents=True)
    (site.scripts / "ivr.py").write_text("mine\n", "utf-8")
    site.install()
    assert (site.scripts / "ivr.py").read_text("utf-8") == "mine\n"


def test_a_folder_that_cannot_be_made_is_one_clear_line(site: Site) -> None:
    site.scripts.parent.mkdir()
    site.scripts.write_text("a file\n", "utf-8")
    result = site.run()
    assert result.code == 1
    assert result.err == f"{site.scripts} is not a folder.\n"
    assert not site.configuration.exists()


def test_a_package_that_is_a_link_is_not_written_through(site: Site) -> None:
    elsewhere = site.root / "checkout"
    elsewhere.mkdir()
    site.scripts.mkdir(parents=True)
    (site.scripts / "freeswitch_zmq").symlink_to(elsewhere)
    result = site.run()
    assert result.code == 1
    assert "is a symbolic link" in result.err
    assert list(elsewhere.iterdir()) == []


def test_the_source_tree_is_no_place_to_install_to(site: Site) -> None:
    result = site.run(environ={"FREESWITCH_SCRIPTS": str(site.tree / "scripts")})
    assert result.code == 1
    assert "source tree's own folder" in result.err
    assert not (site.tree / "scripts" / MANIFEST).exists()


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write(path, b"new")
    assert contents(tmp_path) == {"file": b"old"}


def test_an_interrupted_install_can_be_taken_away(site: Site) -> None:
    # The package is written before the shim; what stands in the shim's way ends the install there.
    (site.scripts / "event_zmq.py").mkdir(parents=True)
    assert site.run().code == 1
    assert (site.scripts / "freeswitch_zmq" / "errors.py").exists()
    (site.scripts / "event_zmq.py").rmdir()
    site.uninstall()
    assert contents(site.root / "switch") == {}


def test_destdir_is_put_before_every_folder_and_nothing_is_asked(site: Site) -> None:
    asked = site.root / "asked"
    stage = site.root / "stage"
    fs_cli = site.program("fs_cli", f"touch {asked}; echo /elsewhere")
    environ = {
        "DESTDIR": f"{stage}/",
        "FREESWITCH_SCRIPTS": "",
        "FREESWITCH_CONF": "/opt/switch/conf",
        "FS_CLI": str(fs_cli),
        "FREESWITCH_PYTHON": "/nowhere/python3",
    }
    result = site.run(environ=environ)
    assert (result.code, result.err) == (0, "")
    scripts = stage / "usr" / "share" / "freeswitch" / "scripts"
    assert (scripts / "event_zmq.py").exists()
    assert (stage / "opt" / "switch" / "conf" / "autoload_configs" / "event_zmq.conf.xml").exists()
    assert str(site.root) not in (scripts / MANIFEST).read_text("utf-8")
    assert not asked.exists()
    assert "fs_cli" not in result.out

    site.uninstall(**environ)
    assert list(stage.iterdir()) == []


def test_the_wheel_and_the_installer_agree_on_the_version(site: Site) -> None:
    from freeswitch_zmq import __version__

    site.install()
    assert json.loads((site.scripts / MANIFEST).read_text("utf-8"))["version"] == __version__


def test_make_hands_the_variables_on(site: Site) -> None:
    environ = {**site.environ, "FREESWITCH_SCRIPTS": "", "FREESWITCH_CONF": ""}
    done = subprocess.run(
        [
            "make",
            "install",
            f"PYTHON={sys.executable}",
            f"FREESWITCH_SCRIPTS={site.scripts}",
            f"FREESWITCH_CONF={site.conf}",
        ],
        cwd=REPOSITORY,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (site.scripts / "event_zmq.py").exists()
    assert site.configuration.exists()
