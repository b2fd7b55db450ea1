"""The sessions of docs/protocol.md go on a switch as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import zmq

from freeswitch_zmq import __version__
from tests.support.caller import Caller
from tests.support.module import LOOPBACK, Module, configuration
from tests.switch.conftest import ModuleFactory

PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"
METHODS = {"ping", "api", "bgapi", "sendevent", "status", "replay"}
CODES_WITHOUT_A_SESSION = {-32603, -32004, -32005}  # they take an error of ours, a crowd, and a stop

# What the text has for what is another on each switch.
EPOCH, CORE_UUID, VERSION = "1795459169009924", "0d1c…", "0.1.0"


class Exchange(NamedTuple):
    """A request and its answer, as they are written."""

    request: str
    answer: str

    @property
    def newest(self) -> int:
        """The event up to which it speaks of what is held; 0 when it doesn't."""
        found = re.search(r'"newest":([0-9]+)', self.answer)
        return int(found[1]) if found else 0

    @property
    def causes_event(self) -> bool:
        """Whether there is an event of the publisher's more when it is done."""
        return '"result"' in self.answer and re.search('"method":"(bgapi|sendevent)"', self.request) is not None


def text() -> str:
    return PROTOCOL.read_text("utf-8")


def exchanges() -> list[Exchange]:
    """All of them in which the switch is asked, in their order."""
    asked = re.sub(r"^## Being asked by the switch$.*?^## ", "## ", text(), flags=re.DOTALL | re.MULTILINE)
    joined = re.sub(r"\n {8,}", "", asked)
    lines = re.findall(r"^ {4}(-->|<--) (.*)$", joined, re.MULTILINE)
    assert [arrow for arrow, _ in lines] == ["-->", "<--"] * (len(lines) // 2)
    return [Exchange(request, answer) for (_, request), (_, answer) in zip(lines[::2], lines[1::2])]


def documented_configuration() -> str:
    """What the sessions are said to be played with, on ports that are free."""
    return configuration(documented_element("publisher"), api=documented_element("api"))


def documented_element(tag: str) -> str:
    found = re.search(rf"^    <{tag}.*?^    </{tag}>", text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[0].replace(f"</{tag}>", f'<param name="bind" value="{LOOPBACK}"/></{tag}>')


def pattern(answer: str) -> str:
    return ".*".join(re.escape(part) for part in answer.split("…"))


@pytest.mark.parametrize("kind", [zmq.REQ, zmq.DEALER], ids=["REQ", "DEALER"])
def test_the_sessions(kind: int, module_factory: ModuleFactory) -> None:
    module = module_factory(documented_configuration())
    core_uuid, epoch = module.status()["core_uuid"], module.publisher()["epoch"]
    # As on a switch that has just started.
    module.wait(lambda: module.switch.api("show channels count"), lambda shown: "0 total" in shown)
    happened = 0
    with Caller(module.api_endpoint(), kind) as caller:
        for exchange in exchanges():
            happened = wait_until_held(module, exchange.newest, happened)
            # A busy machine may take longer than a second to give up after 0.2.
            request = exchange.request.replace(EPOCH, epoch).replace('"msleep","args":"1000"', '"msleep","args":"2500"')
            caller.send_raw(request.encode())
            answer = caller.receive_raw().decode()
            expected = exchange.answer.replace(EPOCH, epoch).replace(CORE_UUID, core_uuid)
            expected = expected.replace(f'"version":"{VERSION}"', f'"version":"{__version__}"')
            assert re.fullmatch(pattern(expected), answer, re.DOTALL), f"{exchange}\n{answer}"
            module.wait(module.api, lambda now: now["pending"] == 0)  # the next one finds what this one did
            happened += exchange.causes_event


def wait_until_held(module: Module, newest: int, happened: int) -> int:
    """Lets events happen up to that number; how many have happened then."""
    for _ in range(newest - happened):
        module.switch.sendevent("CUSTOM", [("Event-Subclass", "example::door")])
    module.wait(module.publisher, lambda now: now["replay"]["newest"] >= newest)
    return max(newest, happened)


def test_every_method_has_a_session() -> None:
    asked = {method for each in exchanges() for method in re.findall(r'"method":"([a-z]+)"', each.request)}
    assert asked >= METHODS


def test_every_error_has_a_session_where_one_can_be_had() -> None:
    told = {int(code) for each in exchanges() for code in re.findall(r'"code":(-[0-9]+)', each.answer)}
    listed = {int(code) for code in re.findall(r"^\| (-[0-9]+) \|", text(), re.MULTILINE)}
    assert told == listed - CODES_WITHOUT_A_SESSION
