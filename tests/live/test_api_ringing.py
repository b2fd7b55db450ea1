"""An `originate` that rings keeps nobody waiting: not another caller, not an event on its way to a subscriber."""

from __future__ import annotations

import pytest

from tests.live.conftest import LiveModuleFactory
from tests.support.ringing import CONFIGURATION, others_do_not_wait

pytestmark = pytest.mark.live


@pytest.mark.parametrize("count", [1, 20])
def test_a_call_that_rings_keeps_nobody_waiting(live_module_factory: LiveModuleFactory, count: int) -> None:
    others_do_not_wait(live_module_factory(CONFIGURATION), seconds=4, count=count)
