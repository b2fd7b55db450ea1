"""The module on the switch that all tests of tests/switch share, and access lists that a test can change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

import pytest

from tests.support.module import Module
from tests.support.network import Outside, missing, two_machines
from tests.support.switch import Switch
from tests.switch.conftest import ModuleFactory, module, module_factory, scripts

__all__ = ["AclWriter", "ModuleFactory", "acl", "lists", "module", "module_factory", "outside", "scripts"]

AclWriter = Callable[[Module, str], None]


def lists(*given: str) -> str:
    """An acl.conf.xml of these `<list>` elements."""
    return f'<configuration name="acl.conf"><network-lists>{"".join(given)}</network-lists></configuration>'


@pytest.fixture
def acl() -> Iterator[AclWriter]:
    """Gives a module's switch another acl.conf.xml, as an admin does; after the test it has its own again."""
    before: dict[Switch, str] = {}

    def write(module: Module, xml: str) -> None:
        file = module.switch.conf_dir / "autoload_configs" / "acl.conf.xml"
        before.setdefault(module.switch, file.read_text("utf-8"))
        module.switch.write_config(xml, "acl.conf.xml")
        assert "+OK acl reloaded" in module.switch.api("reloadacl")

    yield write
    for switch, xml in before.items():
        if switch.running:
            switch.write_config(xml, "acl.conf.xml")
            switch.api("reloadacl")


@pytest.fixture
def outside() -> Iterator[Outside]:
    """The test moves to a machine of its own; in this context it is on another one. Ask for it before a switch."""
    problem = missing()
    if problem:
        pytest.skip(problem)
    with two_machines() as other:
        yield other
