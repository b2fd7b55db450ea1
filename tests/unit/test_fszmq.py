"""`fszmq` as it is typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from freeswitch_zmq import __version__
from freeswitch_zmq.certificate import read_secret_certificate
from freeswitch_zmq.cli.keygen import for_client, for_server

REPOSITORY = Path(__file__).parents[2]


def run(
    *arguments: str, program: tuple[str, ...] = ("-m", "freeswitch_zmq.cli"), cwd: Path = REPOSITORY, **environ: str
) -> tuple[int, str, str]:
    """Exit code, output and errors."""
    done = subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1", **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def test_version_and_help() -> None:
    assert run("--version") == (0, f"fszmq {__version__}\n", "")
    assert run("--version", program=(str(Path(sys.executable).with_name("fszmq")),)) == (
        0,
        f"fszmq {__version__}\n",
        "",
    )
    for words, expected in (
        (["--help"], ["keygen", "--version"]),
        (["keygen", "-h"], ["--folder", "--publishers", "--allow", "--server"]),
    ):
        code, out, err = run(*words)
        assert (code, err) == (0, "")
        assert "\x1b" not in out
        for word in expected:
            assert word in out


def test_a_clients_pair(tmp_path: Path) -> None:
    # Neither the width nor the wish for colours changes what is to be pasted.
    code, out, err = run("keygen", "crm", cwd=tmp_path, COLUMNS="30", FORCE_COLOR="1", TERM="xterm-256color")
    assert (code, err) == (0, "")
    ours = read_secret_certificate(str(tmp_path / "crm.key_secret")).public.hex()
    (tmp_path / "again").mkdir()
    expected = for_client(tmp_path / "again", "crm")
    theirs = read_secret_certificate(str(tmp_path / "again" / "crm.key_secret")).public.hex()
    assert out == expected.replace(theirs, ours).replace(f"{tmp_path}/again", str(tmp_path)) + "\n"


def test_every_option_of_a_clients_pair(tmp_path: Path) -> None:
    code, out, _ = run(
        "keygen", "crm", "--folder", str(tmp_path), "--publishers", "default,topic", "--allow", "api:show *"
    )
    assert code == 0
    assert '" publishers="default,topic" allow="api:show *"/>\n' in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crm.key", "crm.key_secret"]
    code, out, _ = run("keygen", "--publishers=", "--folder", str(tmp_path), "--", "-x")
    assert code == 0
    assert "publishers=" not in out


@pytest.mark.parametrize("name", ["", "edge"])
def test_a_switchs_pair(tmp_path: Path, name: str) -> None:
    code, out, err = run("keygen", "--server", *[name][: len(name)], cwd=tmp_path)
    assert (code, err) == (0, "")
    assert out.count(f"{tmp_path}/{name or 'server'}.key_secret") == 4
    (tmp_path / "again").mkdir()
    assert out.splitlines()[-1] != for_server(tmp_path / "again").splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "fszmq: Missing command (see fszmq --help)\n"),
        (["--nothing"], "fszmq: "),  # the words are click's
        (["keygen"], "fszmq keygen: give the client a NAME, or say --server for the switch itself\n"),
        (["keygen", "a", "b"], "fszmq keygen: "),
        (["keygen", "a", "--nothing"], "fszmq keygen: "),
        (["keygen", "a", "--folder"], "fszmq"),
        (["keygen", "../a"], "fszmq keygen: '../a' is no name; take letters, digits, dots, hyphens and underscores, "),
        (["keygen", ""], "fszmq keygen: '' is no name; "),
        (["keygen", "--server", ""], "fszmq keygen: '' is no name; "),
        (
            ["keygen", "a", "--folder", "none"],
            "fszmq keygen: there is no folder 'none'; make it first, or name another",
        ),
        (["keygen", "a", "--publishers", "a b"], "fszmq keygen: 'a b' is no publisher's name; take letters, "),
        (["keygen", "a", "--allow", "api:lua*"], 'fszmq keygen: "api:lua*": each lua* is equal to a shell, and only '),
        (["keygen", "--server", "--allow", "ping"], "fszmq keygen: --publishers and --allow are for a client's pair; "),
        (
            ["keygen", "--server", "--publishers", ""],
            "fszmq keygen: --publishers and --allow are for a client's pair; ",
        ),
        (["keygen", "there"], "fszmq keygen: {}/there.key is there already, and is never overwritten; take another "),
    ],
)
def test_what_can_t_be_used(tmp_path: Path, arguments: list[str], says: str) -> None:
    (tmp_path / "there.key").touch()
    code, out, err = run(*arguments, cwd=tmp_path)
    assert err.startswith(says.replace("{}", str(tmp_path))), err
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["there.key"]


def test_what_the_system_refuses() -> None:
    code, out, err = run("keygen", "crm", "--folder", "/proc")
    assert (code, out) == (1, "")
    assert err.startswith("fszmq keygen: /proc/crm.key_secret: ")
    assert err.endswith("; mend that, or name another --folder\n")


def test_without_typer() -> None:
    code = "import sys; sys.modules['typer'] = None\nfrom freeswitch_zmq.cli.__main__ import main; sys.exit(main())"
    assert run("--help", program=("-c", code)) == (
        1,
        "",
        "fszmq: there is no typer here; pip install 'freeswitch_zmq[cli]'\n",
    )


def test_a_terminal_that_has_not_every_character(tmp_path: Path) -> None:
    code, out, err = run("keygen", "crm", cwd=tmp_path, PYTHONIOENCODING="latin-1")
    assert (code, err) == (0, "")
    assert 'allow="\\u2026"' in out
    assert run("keygen", "--help", PYTHONIOENCODING="latin-1")[0] == 0


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "freeswitch_zmq.cli", "keygen", "crm", "--folder", str(tmp_path)],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
