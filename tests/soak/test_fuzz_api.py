"""A hundred thousand requests to the API, most of them wrong in some way: each becomes what docs/protocol.md says."""

from __future__ import annotations

import pytest

from tests.conftest import SwitchFactory
from tests.support.api_fuzz import configured, run
from tests.support.module import Module

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]


def test_a_hundred_thousand_requests(live_switch_factory: SwitchFactory) -> None:
    module = Module(live_switch_factory(event_zmq_xml=configured()))
    module.start()
    run(module, 100_000, seed=1000)
