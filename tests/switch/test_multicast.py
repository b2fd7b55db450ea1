"""Multicast, where libzmq has it: Debian's python3-zmq does, the wheels don't."""

from __future__ import annotations

import pytest
import zmq

from tests.support.module import Subscriber, configuration, publisher
from tests.support.ports import free_port
from tests.switch.conftest import ModuleFactory

CAPABILITY = {"epgm": "pgm", "norm": "norm"}


@pytest.mark.parametrize("scheme", ["epgm", "norm"])
def test_events_over_multicast(module_factory: ModuleFactory, scheme: str) -> None:
    if not zmq.has(CAPABILITY[scheme]):
        pytest.skip(f"the pyzmq that runs the tests was built without {CAPABILITY[scheme]}")
    interface = "127.0.0.1;" if scheme == "epgm" else "lo;"
    endpoint = f"{scheme}://{interface}239.192.1.1:{free_port()}"
    xml = configuration(publisher(("connect", endpoint), bind=""))
    with Subscriber(endpoint) as subscriber:
        module = module_factory(xml)
        assert module.endpoint() == endpoint
        subscriber.subscribed(module.switch)
        for number in range(50):
            module.switch.sendevent("TRAP", [("Number", str(number))])
        events = subscriber.until(lambda event: event.get("Number") == "49")
        numbers = [event["Number"] for event in events if "Number" in event]
        assert numbers == [str(number) for number in range(50)]
