from __future__ import annotations

import dataclasses
import os
import re
import struct
import threading
import traceback
from pathlib import Path

import hypothesis
import pytest
import zmq
import zmq.auth
from hypothesis import strategies as st
from zmq.utils import z85

from freeswitch_zmq import certificate
from freeswitch_zmq.certificate import KeyPair, parse_public_key, public_key_hex, read_secret_certificate

# A pair that is used nowhere else.
PUBLIC = "4PKqbG23XQVrw]*Vqd)xmgDPc2CF*ZYr5j<*!QEL"
SECRET = "DV+t6w{o^v@&]XjHq.<cwGB8$hz2qWPT]LhYK?=e"

# As czmq writes it.
CZMQ = f"""#   ****  Generated on 2024-02-29 12:00:00 by CZMQ  ****
#   a comment with a secret-key in it

metadata
    name = "crm"
    email = "günther@example.com"
curve
    public-key = "{PUBLIC}"
    secret-key = "{SECRET}"
"""

STRANGER = 54321
NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A certificate as it should be."""
    path = tmp_path / "crm.key_secret"
    path.write_text(CZMQ, "utf-8")
    path.chmod(0o600)
    return path


def refusal(path: Path) -> str:
    """What is said of the file, without its name; nowhere in what is raised is any of its keys."""
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: ") as caught:
        read_secret_certificate(str(path))
    everything = "".join(traceback.format_exception(None, caught.value, caught.value.__traceback__))
    assert caught.value.__context__ is None
    for key in (SECRET, SECRET[:20], SECRET[20:], z85.decode(SECRET).hex(), repr(z85.decode(SECRET))):
        assert key not in everything
    return str(caught.value)[len(f"{path}: ") :]


# Keys as text


@hypothesis.given(st.binary(min_size=32, max_size=32), st.booleans())
def test_every_key_in_each_form(key: bytes, capitals: bool) -> None:
    text = public_key_hex(key)
    assert re.fullmatch("[0-9a-f]{64}", text)
    assert parse_public_key(text.upper() if capitals else text) == key
    written = z85.encode(key).decode()
    hypothesis.assume(not written.endswith(".key"))
    assert parse_public_key(written) == key


def test_a_known_key() -> None:
    raw = bytes.fromhex("0E5516E682C0EB5AB25A2FB4B24EB7BD450DB3B007A1BD2CBBACB030DC4F4865")
    assert parse_public_key(PUBLIC) == raw
    assert parse_public_key("0E5516E682C0EB5AB25A2FB4B24EB7BD450DB3B007A1BD2CBBACB030DC4F4865") == raw


@hypothesis.given(st.integers(0, 7), st.integers(2**32, 85**5 - 1))
def test_five_characters_that_say_more_than_32_bits(group: int, value: int) -> None:
    digits = "".join(chr(z85.Z85CHARS[value // 85**power % 85]) for power in (4, 3, 2, 1, 0))
    text = PUBLIC[: 5 * group] + digits + PUBLIC[5 * group + 5 :]
    with pytest.raises(ValueError, match=r"^it has 40 characters, but is not Z85: "):
        parse_public_key(text)
    # One less than the least of them is fine.
    assert struct.unpack(">8I", parse_public_key(PUBLIC[: 5 * group] + "%nSc0" + PUBLIC[5 * group + 5 :]))[group] == (
        2**32 - 1
    )


@hypothesis.given(st.integers(0, 39), st.characters())
def test_a_character_that_z85_has_not(at: int, char: str) -> None:
    hypothesis.assume(char not in z85.Z85CHARS.decode())
    with pytest.raises(
        ValueError, match=r"^it has 40 characters, but is not Z85: a mistake in copying; a public key is"
    ):
        parse_public_key(PUBLIC[:at] + char + PUBLIC[at + 1 :])


RIGHT = "a public key is 40 characters of Z85 or 64 hex digits (in XML take hex: & and < are Z85 too)"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", f"it has 0 characters; {RIGHT}"),
        (PUBLIC[:-1], f"it has 39 characters: one is missing; {RIGHT}"),
        (PUBLIC + " ", f"it has 41 characters: one too many, perhaps a space or a quote; {RIGHT}"),
        (f'"{PUBLIC}"', f"it has 42 characters; {RIGHT}"),
        ("a" * 63, f"it has 63 characters; {RIGHT}"),
        ("0x" + "a" * 64, f"it has 66 characters; {RIGHT}"),
        ("a" * 63 + "g", f"it has 64 characters; {RIGHT}"),
        ("a" * 64 + "\n", f"it has 65 characters; {RIGHT}"),
        ("٣" * 64, f"it has 64 characters; {RIGHT}"),  # digits, but not those
    ],
)
def test_what_is_no_key(text: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        parse_public_key(text)
    assert str(caught.value) == says


@pytest.mark.parametrize(
    "text",
    [
        "crm.key",
        "/etc/freeswitch/crm.key_secret",
        "./crm",
        "../keys/crm",
        "/etc/freeswitch/keys/customers/a-123.key",  # as long as a key, and Z85
    ],
)
def test_a_file_instead_of_a_key(text: str) -> None:
    with pytest.raises(
        ValueError,
        match=r"^it looks like the name of a file; a public key is .*, as it stands in that file after public-key$",
    ):
        parse_public_key(text)


def test_no_key_is_quoted() -> None:
    for wrong in (SECRET + "x", SECRET[:-1], "~" + SECRET[1:], "/" + SECRET, "./" + SECRET):
        with pytest.raises(ValueError) as caught:  # noqa: PT011  # whatever it says
            parse_public_key(wrong)
        assert SECRET[1:-1] not in str(caught.value)


# A pair


def test_the_secret_is_in_no_text() -> None:
    pair = KeyPair(public=b"p" * 32, secret=b"s" * 32)
    assert repr(pair) == str(pair) == f"{pair}" == f"KeyPair(public={b'p' * 32!r})"
    with pytest.raises(dataclasses.FrozenInstanceError):
        pair.secret = b""  # type: ignore[misc]
    assert pair != KeyPair(public=b"p" * 32, secret=b"t" * 32)


# Files that are taken


def test_a_file_of_czmq(file: Path) -> None:
    assert read_secret_certificate(str(file)) == KeyPair(z85.decode(PUBLIC), z85.decode(SECRET))


def test_a_file_of_pyzmq(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        _, path = zmq.auth.create_certificates(tmp_path, name, metadata={"public": "key"})
        Path(path).chmod(0o600)
        public, secret = zmq.auth.load_certificate(path)
        assert secret is not None
        assert read_secret_certificate(path) == KeyPair(z85.decode(public), z85.decode(secret))


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_modes_that_are_the_owners_alone(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert read_secret_certificate(str(file)).public == z85.decode(PUBLIC)


@pytest.mark.parametrize(
    "lines", ["public-key={p}\r\nsecret-key={s}", "curve\n\tsecret-key = '{s}'\n\tpublic-key='{p}'"]
)
def test_other_ways_to_write_it(file: Path, lines: str) -> None:
    # Not with format: keys have braces.
    file.write_bytes(lines.replace("{p}", PUBLIC).replace("{s}", SECRET).encode())
    assert read_secret_certificate(str(file)) == KeyPair(z85.decode(PUBLIC), z85.decode(SECRET))


def test_a_link_counts_as_what_it_leads_to(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to(file)
    assert read_secret_certificate(str(link)).public == z85.decode(PUBLIC)
    file.chmod(0o644)
    assert refusal(link).startswith("others than its owner may use it (mode 0644); chmod 600 ")


def test_the_largest(file: Path) -> None:
    text = CZMQ.encode()
    file.write_bytes(b"#" * (65536 - len(text) - 1) + b"\n" + text)
    assert read_secret_certificate(str(file)).public == z85.decode(PUBLIC)
    file.write_bytes(b"#" * (65536 - len(text)) + b"\n" + text)
    assert refusal(file) == "is larger than 64 KB, so it is no certificate; name the .key_secret file"


@as_root
def test_root_or_the_user_may_own_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: STRANGER)
    assert read_secret_certificate(str(file)).public == z85.decode(PUBLIC)
    os.chown(file, STRANGER, STRANGER)
    assert read_secret_certificate(str(file)).public == z85.decode(PUBLIC)


# Files that are not


@pytest.mark.parametrize("bit", [0o040, 0o020, 0o010, 0o004, 0o002, 0o001])
def test_every_permission_of_others_counts(file: Path, bit: int) -> None:
    file.chmod(0o600 | bit)
    assert refusal(file) == (
        f"others than its owner may use it (mode {0o600 | bit:04o}); chmod 600 {file}, "
        "and make a new pair if somebody may have read it"
    )


def test_a_command_in_a_message_can_be_typed(tmp_path: Path) -> None:
    path = tmp_path / "a key; rm.key_secret"
    path.touch(0o644)
    path.chmod(0o644)
    assert f"chmod 600 '{path}'," in refusal(path)


def test_an_owner_who_is_neither_the_user_nor_root(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: STRANGER)
    if os.getuid() == 0:
        os.chown(file, STRANGER + 1, STRANGER + 1)
    owner = certificate._user(file.stat().st_uid)
    assert refusal(file) == (
        f"belongs to {owner}, who could change or show it; chown {STRANGER} {file}, "
        "or make a new pair if that user is a stranger"
    )


@as_root
def test_a_file_of_somebody_else_is_nothing_for_root(file: Path) -> None:
    os.chown(file, STRANGER, -1)
    assert refusal(file).startswith(f"belongs to {STRANGER}, who could change or show it; chown root {file}, ")


@as_root
def test_a_file_that_the_user_may_not_read(file: Path) -> None:
    os.seteuid(NOBODY)
    try:
        said = refusal(file)
        user = certificate._user(NOBODY)
    finally:
        os.seteuid(0)
    assert said == f"{user} may not read it; chown {user} {file} (and the folders above must let that user in)"


def test_a_file_that_is_not_there(file: Path) -> None:
    missing = "there is no such file; give its whole path (fszmq keygen makes one)"
    assert refusal(file.with_name("other")) == missing
    assert refusal(file / "below") == missing
    with pytest.raises(ValueError, match="null"):
        read_secret_certificate("/nul\0")


@pytest.mark.parametrize("path", ["", "no/such/file", "server.key_secret"])
def test_a_path_that_begins_nowhere(path: str) -> None:
    with pytest.raises(ValueError, match=r"^give the whole path of a file, such as /etc/"):
        read_secret_certificate(path)


def test_a_key_in_the_place_of_its_file_is_not_repeated() -> None:
    secrets = (zmq.curve_keypair()[1].decode() for _ in iter(int, 1))
    key = next(key for key in secrets if not key.startswith("/"))
    like_a_path = next(key for key in secrets if key.startswith("/"))
    for text in (key, key[:-1], z85.decode(key.encode()).hex(), like_a_path, like_a_path[:-1], like_a_path + "x"):
        with pytest.raises(ValueError, match=r"whole path|looks like a key") as caught:
            read_secret_certificate(text)
        assert text[:8] not in str(caught.value)


def test_what_is_no_file(file: Path) -> None:
    assert refusal(file.parent) == "is a folder; name the .key_secret file"
    loop = file.with_name("loop")
    loop.symlink_to(loop)
    assert refusal(loop).startswith("can't be opened: ")
    assert refusal(Path("/dev/null")) == "is no regular file; name the .key_secret file"


@pytest.mark.timeout(10)
def test_a_fifo_holds_nobody_up(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append(refusal(fifo)), daemon=True)
    reader.start()
    reader.join(5)
    if reader.is_alive():
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))  # let it go
    assert said == ["is no regular file; name the .key_secret file"]


def test_what_is_checked_is_what_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file in its place, right after it was opened, changes nothing."""
    other = file.with_name("other")
    other.write_text("nothing", "utf-8")
    other.chmod(0o666)
    open_it = os.open

    def swap(path: str, flags: int) -> int:
        descriptor = open_it(path, flags)
        other.replace(file)
        return descriptor

    monkeypatch.setattr(os, "open", swap)
    assert read_secret_certificate(str(file)).public == z85.decode(PUBLIC)
    assert file.read_text("utf-8") == "nothing"


def test_the_public_half(file: Path) -> None:
    file.write_text(CZMQ[: CZMQ.index("    secret-key")], "utf-8")
    assert refusal(file) == "has no secret-key in it: this is the public half; name NAME.key_secret"
    public = file.rename(file.with_name("crm.key"))
    assert refusal(public) == f"has no secret-key in it: this is the public half; name {public}_secret"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (CZMQ, "", "has no secret-key in it, so it is no certificate; name the .key_secret file"),
        (f'    public-key = "{PUBLIC}"\n', "", "has no public-key in it; make the pair anew"),
        ("secret-key =", "#secret-key =", "has no secret-key in it: this is the public half; name NAME.key_secret"),
        ('secret-key = "', 'secret-key = "x', "its secret-key is not 40 characters of Z85; copy the file anew, or "),
        ('secret-key = "D', 'secret-key = "', "its secret-key is not 40 characters of Z85; copy the file anew, or "),
        (
            'secret-key = "DV+t6',
            'secret-key = "#####',
            "its secret-key is not 40 characters of Z85; copy the file anew",
        ),
        ('secret-key = "D', 'secret-key = "~', "its secret-key is not 40 characters of Z85; copy the file anew, or "),
        (
            'secret-key = "D',
            'secret-key = "\xff',
            "its secret-key is not 40 characters of Z85; copy the file anew, or ",
        ),
        (SECRET, "", "its secret-key is not 40 characters of Z85; copy the file anew, or make a new pair"),
        (SECRET, z85.decode(SECRET).hex(), "its secret-key is not 40 characters of Z85; copy the file anew, or "),
        (PUBLIC, PUBLIC[:-1], "its public-key is not 40 characters of Z85; copy the file anew, or make a new pair"),
        (PUBLIC, z85.decode(PUBLIC).hex(), "its public-key is not 40 characters of Z85; copy the file anew, or "),
        (PUBLIC, SECRET, "its public-key does not belong to its secret-key; copy the file anew, or make a new pair"),
        ("metadata", f"  secret-key={SECRET}", "has more than one secret-key; make the pair anew"),
        ("metadata", f"public-key={PUBLIC}", "has more than one public-key; make the pair anew"),
    ],
)
def test_what_is_no_certificate(file: Path, before: str, after: str, says: str) -> None:
    assert CZMQ.count(before) == 1
    file.write_bytes(CZMQ.replace(before, after).encode("latin-1"))
    assert refusal(file).startswith(says)


def test_without_curve(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_secret: bytes) -> bytes:
        raise zmq.ZMQError(zmq.ENOTSUP)

    monkeypatch.setattr(zmq, "curve_public", refuse)
    assert re.fullmatch(r"the installed libzmq [0-9.]+ can't use it: .*; take one with CURVE", refusal(file))


@hypothesis.given(st.binary(max_size=300), st.integers(0, len(CZMQ.encode())))
def test_whatever_is_in_it(tmp_path_factory: pytest.TempPathFactory, rubbish: bytes, at: int) -> None:
    path = tmp_path_factory.getbasetemp() / "rubbish"
    content = CZMQ.encode()[:at] + rubbish
    path.write_bytes(content)
    path.chmod(0o600)
    if f'secret-key = "{SECRET}"'.encode() in content:
        assert read_secret_certificate(str(path)).secret == z85.decode(SECRET)
    elif SECRET.encode() not in content:
        refusal(path)


def test_no_descriptor_is_left_open(file: Path) -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208  # Path.iterdir gives the same and more
    read_secret_certificate(str(file))
    refusal(file.parent)
    file.chmod(0o644)
    refusal(file)
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208
