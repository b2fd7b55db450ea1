"""The environments that `make` sets up, and the sum of the two runs of tests."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.install.support import Site
from tools import run_tests, setup_venv
from tools.setup_venv import SetupError


@pytest.fixture
def debian(site: Site, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As if this were Debian's Python without python3-venv, run by root; returns what apt-get is asked to do."""
    log = site.root / "apt.log"
    apt = site.program("apt-get", f'echo "$@" >> {log}')
    monkeypatch.setenv("PATH", f"{apt.parent}:/usr/bin:/bin")
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return log


def _package() -> str:
    return f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"


def test_root_on_debian_gets_what_is_missing_installed(debian: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_venv, "_has_ensurepip", debian.exists)
    setup_venv.need_ensurepip()
    asked = debian.read_text("utf-8").splitlines()
    assert asked == ["update -qq", f"install -y -qq --no-install-recommends {_package()}"]


def test_others_are_told_the_command(debian: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_venv, "_has_ensurepip", lambda: False)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(SetupError, match=f"as root: apt-get install -y {_package()}$") as caught:
        setup_venv.need_ensurepip()
    assert caught.value.code == setup_venv.UNAVAILABLE
    assert not debian.exists()


def test_without_apt_the_package_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_venv, "_has_ensurepip", lambda: False)
    monkeypatch.setenv("PATH", str(site.root))
    with pytest.raises(SetupError, match=f"install what your system has for that \\({_package()} on Debian\\)"):
        setup_venv.need_ensurepip()


def test_an_apt_that_fails_is_no_traceback(debian: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_venv, "_has_ensurepip", lambda: False)
    site.program("apt-get", "exit 100")
    with pytest.raises(SetupError, match="and this failed: apt-get install") as caught:
        setup_venv.need_ensurepip()
    assert caught.value.code == setup_venv.UNAVAILABLE


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[list[str]] = []

    def make(folder: Path, extras: Sequence[str], *, debian: bool) -> None:
        made.append(list(extras))
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        (folder / "bin" / "python").touch()

    monkeypatch.setattr(setup_venv, "make", make)
    folder = tmp_path / "venv"
    setup_venv.ensure(folder, [])
    setup_venv.ensure(folder, [])
    assert made == [[]]
    setup_venv.ensure(folder, ["test", "dev"])
    setup_venv.ensure(folder, ["test"])
    setup_venv.ensure(folder, [])
    assert made == [[], ["dev", "test"]]
    # Its interpreter went with an upgrade of the system: made anew, with all that it had.
    (folder / "bin" / "python").unlink()
    setup_venv.ensure(folder, [])
    assert made == [[], ["dev", "test"], ["dev", "test"]]


def test_an_environment_that_could_not_be_made_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[Path] = []

    def make(folder: Path, extras: Sequence[str], *, debian: bool) -> None:
        tries.append(folder)
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        (folder / "bin" / "python").touch()
        raise subprocess.CalledProcessError(1, ["pip", "install"])

    monkeypatch.setattr(setup_venv, "make", make)
    for _ in range(2):
        with pytest.raises(SetupError, match="exit code 1 of: pip install"):
            setup_venv.ensure(tmp_path / "venv", [])
    assert len(tries) == 2


def test_the_sum_counts_what_pytest_reports(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(
        """import pytest
def test_good(): pass
def test_bad(): assert False
def test_skipped(): pytest.skip("why not")
@pytest.fixture
def broken(): raise ValueError
def test_error(broken): pass
""",
        "utf-8",
    )
    arguments = ["-c", "/dev/null", "--rootdir", str(tmp_path), "-p", "no:cacheprovider", str(tmp_path)]
    total: Counter[str] = Counter()
    passes = [run_tests.Pass("a test", Path(sys.executable), arguments) for _ in range(2)]
    assert [each.finish(total) for each in passes] == [1, 1]
    for each in passes:
        each.end()
    assert total == {"tests": 8, "failures": 2, "errors": 2, "skipped": 2}
