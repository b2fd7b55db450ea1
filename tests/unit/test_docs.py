"""What the documents state stays in step with the code."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from freeswitch_zmq import jsonrpc
from freeswitch_zmq.module.api.audit import OUTCOMES
from freeswitch_zmq.module.api.counters import Counters
from freeswitch_zmq.module.entry import HELP
from freeswitch_zmq.module.parameters import Parameter
from freeswitch_zmq.module.refusals import REASONS
from freeswitch_zmq.module.schema import ACCESS, API, CALLOUT, DEFAULT_BIND, PUBLISHER, SETTINGS, XML_BINDING, KeyConfig
from freeswitch_zmq.permissions import FORMS
from freeswitch_zmq.wire import PROTOCOL_VERSION

DOCS = Path(__file__).parents[2] / "docs"


def text_of(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def rows(text: str) -> list[list[str]]:
    """The cells of all rows of all tables."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n") if line.startswith("|")]


def test_the_version_of_the_protocol() -> None:
    assert re.search(rf"\bversion {PROTOCOL_VERSION}\b", text_of("protocol.md").split("\n\n")[0], re.IGNORECASE)


def chapter(element: str) -> str:
    """What configuration.md says of an element, up to the next one."""
    return text_of("configuration.md").partition(f"\n## `<{element}>`\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    ("element", "table"),
    [
        ("settings", SETTINGS),
        ("publishers", PUBLISHER),
        ("api", API),
        ("callouts", CALLOUT),
        ("xml-bindings", XML_BINDING),
        ("access", ACCESS),
    ],
)
def test_every_parameter_is_documented_with_its_default(element: str, table: tuple[Parameter, ...]) -> None:
    documented: dict[str, str] = {}
    for row in rows(chapter(element)):
        if len(row) == 3:  # name, default, meaning
            names, defaults = re.findall(r"`([a-z0-9-]+)`", row[0]), re.findall(r"`([^`]+)`", row[1])
            documented.update(zip(names, defaults or [""] * len(names)))
    expected = {parameter.name: parameter.default or "" for parameter in table}
    if table is PUBLISHER:
        expected["bind"] = DEFAULT_BIND
    assert documented == expected


def names_in(text: str) -> list[str]:
    """What the tables of two columns are about."""
    return [row[0].strip("`") for row in rows(text) if len(row) == 2 and "`" in row[0]]


def test_every_attribute_of_a_key_is_documented() -> None:
    assert names_in(chapter("access")) == [field.name.replace("_", "-") for field in fields(KeyConfig)]


def test_every_form_of_a_permission_is_documented() -> None:
    assert names_in(chapter("api")) == [form for form, _ in FORMS]


def test_every_error_is_documented() -> None:
    codes = {value for value in vars(jsonrpc).values() if isinstance(value, int) and value <= -32000}
    documented = [int(row[0]) for row in rows(text_of("protocol.md")) if re.fullmatch(r"-[0-9]+", row[0])]
    assert sorted(documented) == sorted(codes)


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_documented(reason: str) -> None:
    assert f"| `{reason}` |" in text_of("security.md")


@pytest.mark.parametrize(
    "name", ["accepted", "published", "skipped", "shed", "queued", "subscriptions", "connections", "refused"]
)
def test_every_counter_is_documented(name: str) -> None:
    assert f"| `{name}` |" in text_of("operations.md")


@pytest.mark.parametrize("name", [*Counters().as_dict(), "pending", "connections", "refused"])
def test_every_counter_of_the_api_is_documented(name: str) -> None:
    table = text_of("operations.md").partition("| counter of the API |")[2].partition("\n\n")[0]
    assert f"`{name}`" in table


def test_every_outcome_in_the_log_is_documented() -> None:
    said = " ".join(text_of("operations.md").split())
    for outcome in OUTCOMES.values():
        assert f"`{outcome.partition(': ')[0]}`" in said or f"`{outcome}`" in said or outcome == "done"


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
