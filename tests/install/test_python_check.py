"""The switch's Python is found, asked, and the command that mends it is the right one."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.install.support import REPOSITORY, Site
from tools import python_check

APT = "apt-get install -y python3-zmq python3-ujson"


def test_what_is_asked_for_is_what_the_package_depends_on() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    found = re.search(r"^dependencies = \[(.*)\]$", text, re.MULTILINE)
    assert found is not None
    wanted = {f"{name}>={oldest}" for name, oldest in python_check.REQUIRED.values()}
    assert set(re.findall(r'"([^"]+)"', found.group(1))) == wanted
    oldest = ".".join(map(str, python_check.OLDEST_PYTHON))
    assert f'requires-python = ">={oldest}"' in text


@pytest.mark.parametrize("name", [b"libpython3.11.so.1.0", b"libpython3.9.so.1.0", b"libpython3.13t.so.1.0"])
def test_the_version_stands_in_mod_python3(tmp_path: Path, name: bytes) -> None:
    module = tmp_path / "mod_python3.so"
    module.write_bytes(b"\x7fELF...\0libfreeswitch.so.1\0" + name + b"\0libc.so.6\0")
    version = python_check.linked_version(module)
    assert version is not None
    assert name.startswith(f"libpython{version}".encode())


def test_a_module_that_links_no_libpython_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "mod_python3.so").write_bytes(b"\x7fELF...\0libc.so.6\0")
    assert python_check.linked_version(tmp_path / "mod_python3.so") is None
    found = python_check.find_switch_python([tmp_path])
    assert found.path == Path("/usr/bin/python3")
    assert "is assumed" in found.reason


def test_the_modules_version_decides_which_python_is_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    mods = site.root / "mods"
    mods.mkdir()
    (mods / "mod_python3.so").write_bytes(b"\0libpython3.77.so.1.0\0")
    program = site.program("python3.77", "true")
    monkeypatch.setenv("PATH", str(program.parent))
    assert python_check.find_switch_python([site.root, mods]).path == program


def test_one_that_is_named_wins(tmp_path: Path) -> None:
    assert python_check.find_switch_python([tmp_path], "/some/python3").path == Path("/some/python3")


@pytest.mark.parametrize(
    ("zmq", "ujson", "version", "says"),
    [
        ('"24.0.1"', '"5.7.0"', "[3, 11]", []),
        ('"27.3.0"', '"6.1.0"', "[3, 13]", []),
        ('"24"', '"5.7"', "[3, 9]", []),
        ("null", '"5.7.0"', "[3, 11]", ["it can't import zmq"]),
        ("null", "null", "[3, 11]", ["it can't import zmq", "it can't import ujson"]),
        ('"22.3.0"', '"5.7.0"', "[3, 10]", ["pyzmq 22.3.0 is too old, 24 or newer is needed"]),
        ('"26.0.0b1"', '"5.6.9"', "[3, 11]", ["ujson 5.6.9 is too old, 5.7 or newer is needed"]),
        ('"26.0"', '"5.8"', "[3, 8]", ["Python 3.8 is too old, 3.9 or newer is needed"]),
    ],
)
def test_what_is_missing_or_too_old_is_said(site: Site, zmq: str, ujson: str, version: str, says: list[str]) -> None:
    assert python_check.problems(site.python("python3", zmq, ujson, version)) == says


def test_a_real_python_is_asked_in_isolation(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    import ujson
    import zmq

    # What this shell's PYTHONPATH offers is not the switch's.
    (site.root / "zmq.py").write_text("__version__ = '1.0'\n", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(site.root))
    assert zmq.__version__
    assert ujson.__version__
    assert python_check.problems(Path(sys.executable)) == []


@pytest.mark.parametrize("script", ["exit 1", "echo nonsense", "echo '{}' | head -c 1"])
def test_a_python_that_cannot_be_asked_is_a_problem(site: Site, script: str) -> None:
    (problem,) = python_check.problems(site.program("python3", script))
    assert "can't be asked" in problem


def test_a_python_that_is_not_there_is_a_problem() -> None:
    (problem,) = python_check.problems(Path("/nowhere/python3.11"))
    assert "can't be asked" in problem


def test_the_distributions_python_is_mended_with_apt(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_check, "SYSTEM_PYTHON", site.program("python3", "true"))
    monkeypatch.setenv("PATH", str(site.program("apt-get", "true").parent))
    assert python_check.remedy(python_check.SYSTEM_PYTHON, ["it can't import zmq"]) == APT
    # Debian's packages have one version; where that is too old only PyPI has a newer one.
    assert "pip install 'pyzmq>=24' 'ujson>=5.7'" in python_check.remedy(
        python_check.SYSTEM_PYTHON, ["pyzmq 22.3.0 is too old, 24 or newer is needed"]
    )


def test_another_python_is_mended_with_its_own_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: f"/usr/bin/{name}")
    command = python_check.remedy(Path("/usr/local/bin/python3.12"), ["it can't import zmq"])
    assert command == "/usr/local/bin/python3.12 -m pip install 'pyzmq>=24' 'ujson>=5.7'"


def test_an_install_for_a_python_that_lacks_them_is_done_and_says_so(site: Site) -> None:
    python = site.python("bare", "null", "null")
    result = site.run(environ={"FREESWITCH_PYTHON": str(python)})
    assert result.code == 3
    assert f"    {python} -m pip install 'pyzmq>=24' 'ujson>=5.7'\n" in result.out
    assert "it can't import zmq; it can't import ujson" in result.out
    assert (site.scripts / "event_zmq.py").exists()
    assert site.configuration.exists()
