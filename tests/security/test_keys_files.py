"""The switch's secret key: a file that anybody else could have read is not used, and what is in it is never shown."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from zmq.utils import z85

from tests.support.keys import Pair, access, key, new_pair, new_secret_file
from tests.support.module import Module, Subscriber, configuration, publisher

from .conftest import ModuleFactory
from .keys_configuration import CURVE, Keys


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def changed_mode(mode: int) -> Callable[[Keys], Path]:
    def change(keys: Keys) -> Path:
        keys.file.chmod(mode)
        return keys.file

    return change


def other_halves(keys: Keys) -> Path:
    """The public half of one pair and the secret one of another."""
    text = keys.file.read_text("utf-8")
    keys.file.write_text(text.replace(keys.server.public.decode(), new_pair().public.decode()), "utf-8")
    return keys.file


def cut_short(keys: Keys) -> Path:
    keys.file.write_text(keys.file.read_text("utf-8").strip()[:-3], "utf-8")
    return keys.file


BAD_FILES: dict[str, tuple[Callable[[Keys], Path], str]] = {
    "all may read it": (changed_mode(0o644), "others than its owner may use it (mode 0644); chmod 600 "),
    "its group may read it": (changed_mode(0o640), "others than its owner may use it (mode 0640); chmod 600 "),
    "all may write it": (changed_mode(0o602), "others than its owner may use it (mode 0602); chmod 600 "),
    "missing": (lambda keys: keys.folder / "nowhere.key_secret", "there is no such file; give its whole path"),
    "a folder": (lambda keys: keys.folder, "is a folder; name the .key_secret file"),
    "the public half": (lambda keys: keys.file.with_suffix(".key"), "this is the public half; name "),
    "halves of two pairs": (other_halves, "its public-key does not belong to its secret-key"),
    "cut short": (cut_short, "its secret-key is not 40 characters of Z85"),
}


@pytest.mark.parametrize(("break_it", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_secret_file_that_is_not_good(
    module_factory: ModuleFactory, keys: Keys, break_it: Callable[[Keys], Path], message: str
) -> None:
    module = module_factory(configuration())
    start = len(module.switch.log_text())
    keys.identity("crm")
    public_half = keys.file.with_suffix(".key")
    public_half.chmod(0o600)
    path = break_it(keys)
    xml = configuration(publisher(CURVE), access=access(path, [key("crm", keys.pairs["crm"])]))
    answers = [module.reload(xml)]
    with Subscriber(module.endpoint()) as subscriber:  # as before
        subscriber.subscribed(module.switch)
    assert module.publisher()["security"] == "null"
    assert module.command("stop") == "+OK stopped"
    answers.append(module.command("start"))
    assert module.status()["state"] == "stopped"
    for answer in answers:
        line = answer.splitlines()[0]
        assert line.startswith(f"-ERR event_zmq.conf: <access>: server-secret-key-file: {path}: "), answer
        assert message in line
        hidden(keys.server, answer)
    hidden(keys.server, module.switch.log_text()[start:])


def test_a_mistake_is_told_once(module_factory: ModuleFactory, keys: Keys) -> None:
    """That the key is missing is no mistake beside that its file is not good."""
    module = module_factory(configuration())
    keys.file.chmod(0o644)
    assert module.reload(keys.configuration(crm="default")).count("-ERR") == 1


def hidden(pair: Pair, text: str) -> None:
    """Fails when the secret key is in a text, however it is written."""
    raw = z85.decode(pair.secret)
    bare = re.sub(r"[\s:,]|\\x", "", html.unescape(text))
    for secret in (pair.secret.decode(), raw.hex()):
        for seen in (text, html.unescape(text), bare):
            assert secret not in seen
            assert secret.upper() not in seen.upper()


def test_the_secret_key_is_shown_nowhere(module_factory: ModuleFactory, keys: Keys) -> None:
    """After all that can be said of it: a start, strangers, reloads, another key, mistakes, a stop."""
    module = module_factory(keys.configuration(crm="default"))
    start = 0
    answers = []
    pairs = [keys.server]
    with Subscriber(module.endpoint(), identity=keys.identity("crm")) as subscriber:
        subscriber.subscribed(module.switch)
        with Subscriber(module.endpoint(), identity=keys.identity("stranger")) as stranger:
            module.wait(lambda: module.publisher()["refused"], lambda refused: refused > 0)
            stranger.nothing(0)
        answers += [module.command("status"), module.command("status json"), module.command("reload")]
        keys.file, keys.server = new_secret_file(keys.folder, "second")
        pairs.append(keys.server)
        answers.append(module.reload(keys.configuration(crm="default")))
        assert "the switch's own key changed" in answers[-1]
        keys.file.chmod(0o644)
        answers.append(module.command("reload"))
        assert answers[-1].startswith("-ERR")
        keys.file.chmod(0o600)
        assert module.command("reload").startswith("+OK")
        answers += [module.command("status"), module.command("status json"), module.command("stop")]
    for pair in pairs:
        for text in [*answers, module.switch.log_text()[start:]]:
            hidden(pair, text)
    assert keys.pairs["stranger"].hex in module.switch.log_text()  # a public one may be there


@pytest.mark.parametrize("where", ["server-secret-key-file", "public-key"])
@pytest.mark.parametrize("form", ["Z85", "hex", "one character short", "like a path", "like a path, one short"])
def test_a_secret_key_in_the_wrong_place_is_not_repeated(
    module_factory: ModuleFactory, keys: Keys, where: str, form: str
) -> None:
    module = module_factory(configuration())
    key_of_switch = keys.server.secret.decode()
    # One key in 85 begins like a path.
    like_a_path = next(text for text in (new_pair().secret.decode() for _ in iter(int, 1)) if text.startswith("/"))
    secret = {
        "Z85": key_of_switch,
        "hex": z85.decode(keys.server.secret).hex(),
        "one character short": key_of_switch[:-1],
        "like a path": like_a_path,
        "like a path, one short": like_a_path[:-1],
    }[form]
    start = len(module.switch.log_text())
    if where == "public-key":
        xml = keys.configuration(crm="default").replace(keys.pairs["crm"].hex, html.escape(secret))
    else:
        xml = configuration(publisher(CURVE), access=access(secret, [key("crm", new_pair())]))
    answer = module.reload(xml)
    # As a public key it looks like any other, and is one that nobody has.
    assert answer.startswith("+OK" if where == "public-key" and "short" not in form else "-ERR"), answer
    for text in (answer, module.command("status"), module.command("status json"), module.switch.log_text()[start:]):
        assert_without(text, secret)


def assert_without(text: str, secret: str) -> None:
    assert secret not in text
    assert secret not in html.unescape(text)


def test_a_key_without_a_switch_key(module_factory: ModuleFactory) -> None:
    module: Module = module_factory(configuration())
    answer = module.reload(configuration(publisher(CURVE), access=access(None, [key("crm", new_pair())])))
    assert answer == (
        '-ERR event_zmq.conf: <publisher name="default">: security: curve needs the switch\'s own key: make one with '
        "`fszmq keygen --server` and name its file in <access> as server-secret-key-file"
    )
