"""The module's running parts with their real sockets, fed by a fake switch."""

from __future__ import annotations

import contextlib
import errno
import itertools
import socket
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import zmq

from freeswitch_zmq.module.api.channel import Channel
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.events import Pump
from freeswitch_zmq.module.faults import Faults
from freeswitch_zmq.module.proxy import Endpoint
from freeswitch_zmq.module.publication import Publication
from freeswitch_zmq.module.publisher import Publisher
from freeswitch_zmq.module.running import Running
from freeswitch_zmq.module.schema import Config
from tests.support.module import Subscriber
from tests.support.waiting import wait_for
from tests.unit.configurations import config
from tests.unit.fake_freeswitch import FakeEvent, FakeSwitch

_marks = itertools.count(1)


class Station:
    """`running.Running` with a configuration.

    Args:
        switch: where.
        publishers: `<publisher>` elements.
        access: an `<access>` element.
        api: an `<api>` element.
        acl_lists: names of lists of acl.conf.xml.

    Attributes:
        running: the real thing.
        told: what the API tells who asks for the status.
        faults: what it met unexpectedly; there must be none when it is closed.
        shutdowns: how many times the switch's shutdown was seen.
    """

    def __init__(
        self, switch: FakeSwitch, *publishers: str, access: str = "", api: str = "", acl_lists: Sequence[str] = ()
    ) -> None:
        self.switch = switch
        self.acl_lists = acl_lists
        self.told: dict[str, Any] = {}
        self.faults = Faults()
        self.shutdowns = 0
        self.running = Running(self.faults, self._shutdown, Commands(), lambda: self.told)
        self.running.start_pump()
        try:
            self.running.open(config(*publishers, access=access, api=api, acl_lists=acl_lists))
        except BaseException:
            self.running.close()
            raise

    def _shutdown(self) -> None:
        self.shutdowns += 1

    @property
    def config(self) -> Config:
        return self.running.config

    def reload(self, *publishers: str, access: str = "", api: str = "") -> list[str]:
        return self.running.reload(config(*publishers, access=access, api=api, acl_lists=self.acl_lists))

    def publication(self, name: str = "default") -> Publication:
        return self.running.publications[name]

    def addresses(self, name: str = "default") -> list[str]:
        return [endpoint.address for endpoint in self.publication(name).endpoints]

    def endpoints(self, name: str = "default") -> list[Endpoint]:
        """A publisher's."""
        found: list[Endpoint] = []
        for endpoint in self.publication(name).endpoints:
            assert isinstance(endpoint, Endpoint)
            found.append(endpoint)
        return found

    @property
    def channel(self) -> Channel:
        """The API."""
        assert self.running.api is not None
        return self.running.api

    def asked_at(self, number: int = 0) -> str:
        """An address of the API."""
        return self.channel.endpoints[number].address

    def counted(self, **expected: int) -> dict[str, Any]:
        """The API's counters as soon as they are as expected, and nobody waits for an answer."""

        def found() -> dict[str, Any]:
            counted = self.channel.counted()
            at_rest = counted["requests"] == counted["succeeded"] + counted["errors"]
            return counted if at_rest and expected.items() <= counted.items() else {}

        return wait_for(found, f"the counters to be {expected}; they are {self.channel.counted()}")

    def refused(self, reason: str, name: str = "default") -> int:
        """How many connections a publisher refused for that reason."""
        by_reason = self.publication(name).refusals.by_reason
        return sum(refusal.count for (_, why), refusal in list(by_reason.items()) if why == reason)

    def latest(self, reason: str, name: str = "default") -> tuple[str, str]:
        """Address and key of the latest of them, at the publisher's only endpoint that refused any."""
        by_reason = self.publication(name).refusals.by_reason
        [refusal] = [refusal for (_, why), refusal in list(by_reason.items()) if why == reason]
        return refusal.address, refusal.key

    def subscribed(self, *subscribers: Subscriber, timeout: float = 20.0) -> None:
        """Returns when events reach all of them, and leaves nothing unread of what came until then."""
        mark = f"{next(_marks)}"
        waiting = list(subscribers)

        def all_have_it() -> bool:
            self.fire("CUSTOM", mark)
            self.switch.wait_until_taken()
            waiting[:] = [each for each in waiting if not _has(each, mark)]
            return not waiting

        wait_for(all_have_it, "events to come through", timeout)
        last = f"{next(_marks)}"
        self.fire("CUSTOM", last)
        for each in subscribers:
            each.until(lambda event: event.get("Mark") == last, timeout)

    def fire(self, name: str, mark: str = "") -> None:
        self.switch.fire(FakeEvent(name, [("Mark", mark)]))

    def fire_at_once(self, *events: FakeEvent) -> None:
        """The pump finds all of them on the switch's queue, however the machine lets the threads run."""
        self.running.pump.call(lambda: self.switch.fire(*events))

    def at_rest(self, name: str = "default") -> Publisher:
        """A publisher that has nothing queued, when the switch has nothing either; its counters must come out even."""
        publisher = self.publication(name).publisher
        self.switch.wait_until_taken()
        self.running.pump.call(lambda: None)  # what was taken in the round before is offered now
        wait_for(lambda: not publisher.queued, "the queue to become empty")
        self.running.pump.call(lambda: None)
        assert publisher.accepted == publisher.published + publisher.skipped + publisher.shed
        return publisher

    def __enter__(self) -> Station:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.running.close()

    def close(self, faults: int = 0) -> None:
        """Takes everything down; so many unexpected exceptions are expected."""
        self.running.close()
        assert self.faults.count == faults, self.switch.texts("ERR")
        if self.running.api is not None:
            counted = self.running.api.counted()
            assert counted["requests"] == counted["succeeded"] + counted["errors"], counted
            assert counted["errors"] == sum(counted["errors_by_code"].values()), counted
        assert self.switch.consumers == []
        assert len(self.switch.texts("ERR")) == min(faults, 1), self.switch.texts("ERR")


def _has(subscriber: Subscriber, mark: str) -> bool:
    """Whether that is among the events that are there; they are read."""
    found = False
    while subscriber.socket.poll(0 if found else 10):
        event = subscriber.event()  # also what comes behind it: it would be there for ever
        found = found or event.get("Mark") == mark
    return found


@contextlib.contextmanager
def held_up(pump: Pump) -> Iterator[None]:
    """The pump comes to nothing meanwhile."""
    begun, gate = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert gate.wait(60.0)

    busy = threading.Thread(target=pump.call, args=(wait, 60.0))
    busy.start()
    try:
        assert begun.wait(20.0)
        yield
    finally:
        gate.set()
        busy.join()


def fire_until_heard(switch: FakeSwitch, socket: zmq.Socket[bytes]) -> None:
    """Fires events until one arrives at a subscriber whose subscription may take a moment."""

    def heard() -> bool:
        switch.fire(FakeEvent("HEARTBEAT"))
        return bool(socket.poll(20))

    wait_for(heard, "an event to arrive")


def is_free(address: str) -> bool:
    """Whether `tcp://HOST:PORT` could be listened on."""
    host, _, port = address.partition("://")[2].rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        return True
