"""The end of a real FreeSWITCH in the middle of a burst."""

from __future__ import annotations

import time

import pytest

from tests.conftest import SwitchFactory
from tests.support.module import Module, Subscriber, configuration


@pytest.mark.parametrize("how", ["api", "sigterm"])
def test_shutdown_reaches_the_subscribers_in_a_burst(live_switch_factory: SwitchFactory, how: str) -> None:
    without = live_switch_factory()
    began = time.monotonic()
    assert without.stop(how) == 0
    alone = time.monotonic() - began

    module = Module(live_switch_factory(event_zmq_xml=configuration()))
    module.start()
    switch = module.switch
    with Subscriber(module.endpoint()) as subscriber:
        subscriber.subscribed(switch)
        switch.api("bgapi evgen 500000 60 0")
        subscriber.until(lambda event: event.get("Bench-Seq") == "5000", timeout=30)
        began = time.monotonic()
        assert switch.stop(how) == 0
        took = time.monotonic() - began
        subscriber.until(lambda event: event["Event-Name"] == "SHUTDOWN", timeout=60)
        while subscriber.socket.poll(500):
            subscriber.frames()
    print(f"{took:.1f} s to the end, {alone:.1f} s without the module")
    assert took < alone + 8
