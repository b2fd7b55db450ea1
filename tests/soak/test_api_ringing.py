"""As tests/live/test_api_ringing.py, with calls that ring for 20 seconds."""

from __future__ import annotations

import pytest

from tests.conftest import SwitchFactory
from tests.support.module import Module
from tests.support.ringing import CONFIGURATION, EXTENSIONS, TICKS_A_SECOND, others_do_not_wait

pytestmark = pytest.mark.soak

SECONDS = 20


@pytest.mark.parametrize("count", [1, 20])
def test_a_call_that_rings_for_long_keeps_nobody_waiting(live_switch_factory: SwitchFactory, count: int) -> None:
    module = Module(live_switch_factory(event_zmq_xml=CONFIGURATION, extra_extensions=EXTENSIONS))
    module.start()
    others_do_not_wait(module, SECONDS, count, ticks=(SECONDS - 5) * TICKS_A_SECOND)
