from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Union
from xml.etree import ElementTree

import pytest
import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from freeswitch_zmq.certificate import KeyPair, parse_public_key, read_secret_certificate
from freeswitch_zmq.cli.keygen import PairFiles, for_client, for_server, write_pair
from freeswitch_zmq.permissions import FORMS
from freeswitch_zmq.standin.variables import Variables
from freeswitch_zmq.standin.xmlconfig import Preprocessor
from freeswitch_zmq.standin.xmltree import parse

Context = zmq.Context[zmq.Socket[bytes]]


@pytest.fixture
def umask() -> Iterator[None]:
    """The test may set it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def name_of(descriptor: int) -> str:
    return Path(f"/proc/self/fd/{descriptor}").resolve().name


def pasted(text: str, tag: str) -> ElementTree.Element:
    """The one line that is to be pasted into the configuration."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"    <{tag} ")]
    return ElementTree.fromstring(line)


# Files


def test_both_files_are_certificates(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "crm")
    assert pair == PairFiles("crm", tmp_path / "crm.key", tmp_path / "crm.key_secret", pair.key)
    assert sorted(tmp_path.iterdir()) == [pair.public, pair.secret]
    public, secret = zmq.auth.load_certificate(pair.secret)
    assert secret is not None
    assert zmq.auth.load_certificate(pair.public) == (public, None)
    assert zmq.auth.load_certificates(tmp_path) == {public: True}
    assert read_secret_certificate(str(pair.secret)) == KeyPair(pair.key, z85.decode(secret))
    assert z85.decode(public) == pair.key
    assert secret not in pair.public.read_bytes()


def test_every_pair_is_a_new_one(tmp_path: Path) -> None:
    assert len({write_pair(tmp_path, str(number)).key for number in range(5)}) == 5


@pytest.mark.parametrize(("mask", "public"), [(0, 0o644), (0o022, 0o644), (0o077, 0o600)])
@pytest.mark.usefixtures("umask")
def test_the_secret_is_the_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mask: int, public: int
) -> None:
    modes: list[int] = []
    synced: list[str] = []
    open_it, sync = os.open, os.fsync

    def watched(path: Union[str, Path], flags: int, *wanted: int) -> int:
        descriptor = open_it(path, flags, *wanted)
        if str(path).endswith(".key_secret"):
            modes.append(mode(Path(path)))
        return descriptor

    def noted(descriptor: int) -> None:
        synced.append(name_of(descriptor))
        sync(descriptor)

    monkeypatch.setattr(os, "open", watched)
    monkeypatch.setattr(os, "fsync", noted)
    os.umask(mask)
    pair = write_pair(tmp_path, "crm")
    assert [*modes, mode(pair.secret), mode(pair.public)] == [0o600, 0o600, public]
    assert synced == ["crm.key_secret", "crm.key", tmp_path.name]
    assert read_secret_certificate(str(pair.secret)).public == pair.key


@pytest.mark.parametrize("there", [["crm.key"], ["crm.key_secret"], ["crm.key", "crm.key_secret"]])
@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_nothing_is_overwritten(tmp_path: Path, there: list[str], kind: str) -> None:
    for name in there:
        path = tmp_path / name
        if kind == "file":
            path.write_text("mine")
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(
        ValueError, match=rf"^{tmp_path}/{there[-1]} is there already, .*; take another name or folder$"
    ):
        write_pair(tmp_path, "crm")
    assert sorted(path.name for path in tmp_path.iterdir()) == there
    if kind == "file":
        assert all((tmp_path / name).read_text() == "mine" for name in there)


@pytest.mark.parametrize("failing", ["crm.key_secret", "crm.key", ""])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    sync = os.fsync

    def fail(descriptor: int) -> None:
        if name_of(descriptor) == (failing or tmp_path.name):
            raise error
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(error)):
        write_pair(tmp_path, "crm")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    write_pair(tmp_path, "crm")


# What can't be asked for


@pytest.mark.parametrize("name", ["", ".", "..", ".crm", "a/b", "/tmp/a", "a b", "a\n", "größe", "a:b", "a\0", "$(id)"])
def test_what_is_no_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        for_client(tmp_path, name)
    assert str(caught.value) == (
        f"{name!a} is no name; take letters, digits, dots, hyphens and underscores, and no dot first"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a", "A-1_b.c", "-x", "a..b", "crm.key"])
def test_what_is_a_name(tmp_path: Path, name: str) -> None:
    for_client(tmp_path, name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.key", f"{name}.key_secret"]


def test_folders_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(
            ValueError, match=rf"^there is no folder '{tmp_path / name}'; make it first, or name another"
        ):
            write_pair(tmp_path / name, "crm")


@pytest.mark.parametrize("name", [b"a\nb", b"a\xffb", b"a\x1bb"])
def test_a_folder_that_can_t_be_written_down(tmp_path: Path, name: bytes) -> None:
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    with pytest.raises(ValueError, match=r"has characters that no configuration can hold; name another --folder$"):
        for_server(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("publishers", "allow", "says"),
    [
        ("default,,topic", "", "'' is no publisher's name; take letters, digits, dots, hyphens and underscores"),
        ("a b", "", "'a b' is no publisher's name; take letters, digits, dots, hyphens and underscores"),
        ("default\n", "ping,pong", '"pong" is no permission (did you mean "ping"?)'),
    ],
)
def test_mistakes_are_seen_before_anything_is_made(tmp_path: Path, publishers: str, allow: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        for_client(tmp_path, "crm", publishers, allow)
    assert str(caught.value) == says
    assert list(tmp_path.iterdir()) == []


def test_without_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmq, "has", lambda feature: feature != "curve")
    with pytest.raises(ValueError, match=r"^the installed libzmq [0-9.]+ was built without CURVE; "):
        write_pair(tmp_path, "crm")
    assert list(tmp_path.iterdir()) == []


# What is said


def test_the_line_for_the_switch(tmp_path: Path) -> None:
    key = pasted(for_client(tmp_path, "crm"), "key")
    public, _ = zmq.auth.load_certificate(tmp_path / "crm.key")
    assert key.attrib == {"name": "crm", "public-key": z85.decode(public).hex(), "publishers": "default"}
    assert parse_public_key(key.attrib["public-key"]) == z85.decode(public)
    key = pasted(for_client(tmp_path, "web", " default, topic ", "api:status , sendevent:talk"), "key")
    assert list(key.attrib) == ["name", "public-key", "publishers", "allow"]
    assert key.attrib["publishers"] == "default,topic"
    assert key.attrib["allow"] == "api:status,sendevent:TALK"
    key = pasted(for_client(tmp_path, "none", publishers=""), "key")
    assert list(key.attrib) == ["name", "public-key"]


@pytest.mark.parametrize("args", ['a<b>&c"d', 'it\'s "both"', "&amp;", "$${domain}", "$$${x} ${y} $$", "<!-- -->"])
def test_the_line_says_the_same_to_freeswitch(tmp_path: Path, args: str) -> None:
    text = for_client(tmp_path, "crm", allow=f"api:echo {args}")
    allow = f"api:echo {args}"
    assert pasted(text, "key").attrib["allow"] == allow
    (line,) = [line for line in text.splitlines() if "<key " in line]
    document = tmp_path / "freeswitch.xml"
    document.write_text(f"<document>\n{line}\n</document>\n", "utf-8")
    problems: list[tuple[str, str]] = []
    variables = Variables()
    variables.set("domain", "example.com")
    variables.set("x", "y")
    read = Preprocessor(variables, lambda *problem: problems.append(problem)).read(document, tmp_path)
    key = parse(read).first("key")
    assert key is not None
    assert key.attributes["allow"] == allow
    assert problems == []


def test_the_secret_is_not_printed(tmp_path: Path) -> None:
    texts = for_client(tmp_path, "crm"), for_server(tmp_path)
    for text, name in zip(texts, ("crm", "server")):
        _, secret = zmq.auth.load_certificate(tmp_path / f"{name}.key_secret")
        assert secret is not None
        assert secret.decode() not in text
        assert z85.decode(secret).hex() not in text


def test_the_client_is_told_its_files_and_the_forms(tmp_path: Path) -> None:
    lines = for_client(tmp_path, "crm").splitlines()
    assert f"    {tmp_path}/crm.key" in lines
    assert f"    {tmp_path}/crm.key_secret" in lines
    for form, text in FORMS:
        assert any(re.fullmatch(rf"    {re.escape(form)} +{re.escape(text)}", line) for line in lines)


def test_the_switch_is_told_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a & b").mkdir()
    monkeypatch.chdir(tmp_path)
    text = for_server(Path("a & b"))
    path = f"{tmp_path}/a & b/server.key_secret"
    assert pasted(text, "param").attrib == {"name": "server-secret-key-file", "value": path}
    pair = read_secret_certificate(path)
    lines = text.splitlines()
    assert f"    chown freeswitch '{path}'" in lines
    assert f"    chmod 600 '{path}'" in lines
    assert f"    Z85  {z85.encode(pair.public).decode()}" in lines
    assert f"    hex  {pair.public.hex()}" in lines
    assert "edge.key_secret" in for_server(Path(), "edge")


# Keys that open


@pytest.fixture
def told(tmp_path: Path) -> str:
    """What is said when the pair `crm` is made."""
    return for_client(tmp_path, "crm")


@pytest.fixture
def publisher(context: Context, tmp_path: Path, told: str) -> Iterator[zmq.Socket[bytes]]:
    """A publisher with the pair `server`; those can connect whose NAME.key is in its folder."""
    for_server(tmp_path)
    guard = ThreadAuthenticator(context)
    guard.start()
    guard.configure_curve(domain="*", location=str(tmp_path))
    socket = context.socket(zmq.XPUB)
    socket.linger = 0
    socket.rcvtimeo = 10_000
    socket.curve_server = True
    socket.curve_secretkey = read_secret_certificate(str(tmp_path / "server.key_secret")).secret
    socket.bind("tcp://127.0.0.1:*")
    yield socket
    socket.close()
    guard.stop()


def address(socket: zmq.Socket[bytes]) -> str:
    return str(socket.getsockopt_string(zmq.LAST_ENDPOINT)).rstrip("\0")


def test_the_printed_subscriber_works(publisher: zmq.Socket[bytes], told: str, tmp_path: Path) -> None:
    printed = re.search(r"^    import zmq\n.*^    subscriber\.connect[^\n]+\n", told, re.DOTALL | re.MULTILINE)
    assert printed
    code = textwrap.dedent(printed[0]).replace("tcp://192.0.2.1:5556", address(publisher))
    program = subprocess.Popen(
        [sys.executable, "-c", f"{code}print(subscriber.recv().decode())\n"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert publisher.recv() == b"\x01"  # it subscribed
        publisher.send(b"an event")
        out, _ = program.communicate(timeout=30)
    finally:
        program.kill()
        program.communicate()
    assert (program.returncode, out) == (0, "an event\n")


def test_a_pair_that_is_not_known_does_not_open(publisher: zmq.Socket[bytes], context: Context, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    stranger = read_secret_certificate(str(write_pair(tmp_path / "elsewhere", "stranger").secret))
    server, _ = zmq.auth.load_certificate(tmp_path / "server.key")
    with context.socket(zmq.SUB) as subscriber:
        subscriber.linger = 0
        subscriber.curve_serverkey = server
        subscriber.curve_publickey, subscriber.curve_secretkey = stranger.public, stranger.secret
        monitor = subscriber.get_monitor_socket()
        monitor.rcvtimeo = 10_000
        subscriber.connect(address(publisher))
        outcome = 0
        while outcome not in (zmq.EVENT_HANDSHAKE_SUCCEEDED, zmq.EVENT_HANDSHAKE_FAILED_AUTH):
            outcome = recv_monitor_message(monitor)["event"]
        subscriber.disable_monitor()
        monitor.close()
    assert outcome == zmq.EVENT_HANDSHAKE_FAILED_AUTH
