"""What the documents state stays in step with the code."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from freeswitch_zmq.module.entry import HELP
from freeswitch_zmq.module.refusals import REASONS
from freeswitch_zmq.module.schema import ACCESS, DEFAULT_BIND, PUBLISHER, SETTINGS, KeyConfig
from freeswitch_zmq.wire import PROTOCOL_VERSION

DOCS = Path(__file__).parents[2] / "docs"


def text_of(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def rows(text: str) -> list[list[str]]:
    """The cells of all rows of all tables."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n") if line.startswith("|")]


def test_the_version_of_the_protocol() -> None:
    assert re.search(rf"\bversion {PROTOCOL_VERSION}\b", text_of("protocol.md").split("\n\n")[0], re.IGNORECASE)


def test_every_parameter_is_documented_with_its_default() -> None:
    documented: dict[str, str] = {}
    for row in rows(text_of("configuration.md")):
        if len(row) == 3:  # name, default, meaning
            names, defaults = re.findall(r"`([a-z0-9-]+)`", row[0]), re.findall(r"`([^`]+)`", row[1])
            documented.update(zip(names, defaults or [""] * len(names)))
    expected = {parameter.name: parameter.default or "" for parameter in (*SETTINGS, *PUBLISHER, *ACCESS)}
    expected["bind"] = DEFAULT_BIND
    assert documented == expected


def test_every_attribute_of_a_key_is_documented() -> None:
    found = [row[0].strip("`") for row in rows(text_of("configuration.md")) if len(row) == 2 and "`" in row[0]]
    assert found == [field.name.replace("_", "-") for field in fields(KeyConfig)]


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_documented(reason: str) -> None:
    assert f"| `{reason}` |" in text_of("security.md")


@pytest.mark.parametrize(
    "name", ["accepted", "published", "skipped", "shed", "queued", "subscriptions", "connections", "refused"]
)
def test_every_counter_is_documented(name: str) -> None:
    assert f"| `{name}` |" in text_of("operations.md")


def test_every_command_is_documented() -> None:
    for command in re.findall(r"^  (python event_zmq [a-z ]+?)  ", HELP, re.MULTILINE):
        assert f"`{command}`" in text_of("operations.md")


def test_links_between_documents_lead_somewhere() -> None:
    for document in (*DOCS.glob("*.md"), DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md"):
        for target, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text())):
            if "://" in target:
                continue
            file = document.parent / target if target else document
            assert file.exists(), f"{document.name} -> {target}"
            if anchor:
                heads = [_anchor(head) for head in re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)]
                assert anchor in heads, f"{document.name} -> {target}#{anchor}"


def _anchor(head: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-")
