"""What takes minutes: a million events, subscribers coming and going, a subscriber that stands still for a minute."""

from __future__ import annotations

import statistics
import threading
import time

import pytest

from tests.conftest import SwitchFactory
from tests.support.module import Module, Subscriber, configuration, publisher, sequences

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

ROUND = 50_000


def test_a_million_events_with_subscribers_coming_and_going(switch_factory: SwitchFactory) -> None:
    # Small queues: what a hiccup of the machine piles up, the C library keeps, and it would look like growth.
    module = Module(
        switch_factory(event_zmq_xml=configuration(publisher(("queue-size", "2000"), ("send-hwm", "2000"))))
    )
    module.start()
    switch = module.switch
    endpoint = module.endpoint()
    done = threading.Event()

    def come_and_go() -> None:
        while not done.is_set():
            with Subscriber(endpoint, hwm=1000) as subscriber:
                end = time.monotonic() + 1
                while time.monotonic() < end:
                    if subscriber.socket.poll(100):
                        subscriber.frames()

    visitors = [threading.Thread(target=come_and_go) for _ in range(2)]
    for visitor in visitors:
        visitor.start()
    seen = []
    try:
        for number in range(1_000_000 // ROUND):
            switch.api(f"evgen {ROUND} 15 5000", timeout=300)
            module.at_rest()
            seen.append((switch.rss_kb(), switch.threads(), switch.fds()))
            rss, threads, fds = seen[-1]
            print(f"{(number + 1) * ROUND} events: {rss // 1024} MB, {threads} threads, {fds} files")
    finally:
        done.set()
        for visitor in visitors:
            visitor.join()
    settled = seen[100_000 // ROUND - 1]
    # When the machine does something else for a second, events pile up in front of the pump, and the C library keeps
    # that memory: a step. A leak is no step but a slope: 10 bytes an event would be 488 kB in each round.
    rounds = [rss for rss, _, _ in seen[100_000 // ROUND - 1 :]]
    assert statistics.median(after - before for before, after in zip(rounds, rounds[1:])) < 488, rounds
    assert max(rounds) < settled[0] + 128 * 1024, rounds
    assert max(threads for _, threads, _ in seen) <= settled[1] + 2, seen
    assert max(fds for _, _, fds in seen) <= settled[2] + 6, seen
    module.wait_accepted(1_000_000)
    module.at_rest()


def test_a_subscriber_that_stands_still_for_a_minute(switch_factory: SwitchFactory) -> None:
    module = Module(switch_factory(event_zmq_xml=configuration()))
    module.start()
    switch = module.switch
    with Subscriber(module.endpoint()) as good, Subscriber(module.endpoint(), hwm=10) as stuck:
        good.subscribed(switch)
        stuck.subscribed(switch)
        before = switch.rss_kb()
        switch.api("bgapi evgen 120000 60 2000")
        numbers = []
        most = 0
        end = False
        while not end:
            events = good.until(lambda event: int(event.get("Bench-Seq", "1")) % 2000 == 0, timeout=60)
            numbers += sequences(events)
            end = events[-1].get("Bench-Seq") == "118000"
            most = max(most, switch.rss_kb())
            assert switch.api("originate loopback/1000 &hangup()").startswith("+OK")
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        print(f"{(most - before) // 1024} MB more at most")
        # docs/operations.md, "Memory": send-hwm events of 5 KB for the one that stands still, and some in the queue.
        assert most - before < 800 * 1024
    assert module.at_rest()["shed"] == 0
