"""Subscribers that subscribe to more than an endpoint may hold: it ends, and is opened anew."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from freeswitch_zmq.errors import StartError, StateError
from freeswitch_zmq.module import keeper as keeper_module
from freeswitch_zmq.module import link as link_module
from freeswitch_zmq.module.proxy import Endpoint
from tests.support.keys import Identity, access, key, new_pair, new_secret_file
from tests.support.module import Subscriber
from tests.support.waiting import wait_for
from tests.support.zmtp import RawPeer
from tests.unit.configurations import local, publisher
from tests.unit.fake_freeswitch import FakeSwitch
from tests.unit.stations import Station, is_free
from tests.unit.whole import Whole

SIZE = 10_000


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "SUBSCRIPTIONS_SIZE", SIZE)


def overrun(peer: RawPeer) -> None:
    """Subscribes to far more, until it is cut off."""
    peer.shake_hands()
    for number in range(SIZE // 5):
        if not peer.subscribe(b"%d" % number):
            break
    peer.rest()


def trip(endpoint: Endpoint) -> None:
    """Overruns an endpoint by tcp; returns when its thread has ended."""
    with RawPeer(endpoint.address) as greedy:
        overrun(greedy)
    ended(endpoint)
    assert (endpoint.tripped, endpoint.failure) == (True, None)


def ended(endpoint: Endpoint) -> None:
    """Returns when its thread has ended and its address can be had again, which libzmq lets go of a little later."""
    wait_for(lambda: not endpoint.alive, "the thread to end")
    if endpoint.address.startswith("tcp://"):  # over ipc there is nothing to wait for
        wait_for(lambda: is_free(endpoint.address), "libzmq to let go of it")


@pytest.fixture
def station(switch: FakeSwitch, tmp_path: Path) -> Iterator[Station]:
    station = Station(
        switch, publisher(*local(bind=["tcp://127.0.0.1:*", f"ipc://{tmp_path}/events"])), publisher(*local(), name="b")
    )
    with station:
        yield station


def endpoints(station: Station) -> Sequence[Endpoint]:
    return [endpoint for name in station.running.publications for endpoint in station.endpoints(name)]


def test_nothing_is_opened_anew_without_a_reason(station: Station) -> None:
    before = endpoints(station)
    assert station.running.reopen() == []
    assert endpoints(station) == before


def test_only_what_its_subscribers_have_ended_is_opened_anew(station: Station) -> None:
    before = endpoints(station)
    # One that is about to end, and one that has ended for another reason.
    before[0].tripped = True
    assert before[1].stop()
    assert station.running.reopen() == []
    assert endpoints(station) == before
    before[0].tripped = False


def test_it_is_opened_anew_at_its_address_and_its_subscribers_come_back(station: Station, tmp_path: Path) -> None:
    tripped, over_ipc, other = endpoints(station)
    with Subscriber(tripped.address) as back, Subscriber(over_ipc.address) as beside, Subscriber(other.address) as far:
        station.subscribed(back, beside, far)
        before = station.at_rest().accepted
        trip(tripped)
        assert station.running.dead_or_stuck(stuck=False) == [tripped]
        assert station.running.reopen() == [tripped.address]
        assert station.running.dead_or_stuck(stuck=False) == []
        assert {endpoint.address for endpoint in endpoints(station)} == {
            each.address for each in (tripped, over_ipc, other)
        }
        assert {over_ipc, other} < set(endpoints(station))
        station.subscribed(back)
        # The neighbours missed nothing.
        station.fire("CUSTOM", "end")
        last = station.at_rest().accepted
        found = beside.until(lambda event: event.get("Mark") == "end")
        assert [int(event["ZMQ-Sequence"]) for event in found] == list(range(before + 1, last + 1))
        # What they hold is counted anew.
        assert station.publication().publisher.subscriptions == 2
    # A reload finds it equal.
    now = endpoints(station)
    binds = ["tcp://127.0.0.1:*", f"ipc://{tmp_path}/events"]
    assert station.reload(publisher(*local(bind=binds)), publisher(*local(), name="b")) == []
    assert endpoints(station) == now


def test_over_ipc_it_is_the_same(station: Station, context: object) -> None:
    _, tripped, _ = endpoints(station)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            with Subscriber(tripped.address, prefixes=[b"%d" % number for number in range(SIZE // 5)]) as greedy:
                ended(tripped)
                greedy.socket.disconnect(tripped.address)
                greedy.socket.poll(0)
            assert station.running.reopen() == [tripped.address]
            [tripped] = [each for each in endpoints(station) if each.address == tripped.address]
        subscriber = stack.enter_context(Subscriber(tripped.address))
        station.subscribed(subscriber)


def test_it_can_happen_again_and_again_and_leaves_nothing(station: Station) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def once() -> None:
        [tripped] = [each for each in endpoints(station) if each.options.address == "tcp://127.0.0.1:*"][:1]
        trip(tripped)
        assert station.running.reopen() == [tripped.address]

    once()
    before, rules = descriptors(), len(station.running._access.rules)
    for _ in range(5):
        once()
    wait_for(lambda: descriptors() <= before, "libzmq to close its descriptors")
    assert len(station.running._access.rules) == rules == 3
    assert len(endpoints(station)) == 3


def test_while_its_address_is_taken_it_is_tried_again(station: Station) -> None:
    tripped = endpoints(station)[0]
    host, _, port = tripped.address.partition("://")[2].rpartition(":")
    trip(tripped)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((host, int(port)))
        other.listen()
        for _ in range(2):
            with pytest.raises(StartError, match="Address already in use"):
                station.running.reopen()
            assert tripped in endpoints(station)
    assert station.running.reopen() == [tripped.address]
    assert tripped not in endpoints(station)
    with Subscriber(tripped.address) as subscriber:
        station.subscribed(subscriber)


@pytest.mark.parametrize("reopened", [False, True])
def test_a_reload_and_a_stop_find_one_that_has_ended(switch: FakeSwitch, reopened: bool) -> None:
    with Station(switch, publisher(*local())) as station:
        [tripped] = endpoints(station)
        trip(tripped)
        station.reload(publisher(*local(send_hwm=5)))
        [now] = endpoints(station)
        assert now.alive
        assert now.address == tripped.address
        trip(now)
        if reopened:
            station.running.reopen()


def test_one_that_asks_for_keys_asks_for_them_again(switch: FakeSwitch, tmp_path: Path) -> None:
    server, alice = new_secret_file(tmp_path), new_pair()
    with Station(
        switch, publisher(*local(security="curve")), access=access(server.path, [key("alice", alice)])
    ) as station:
        [tripped] = endpoints(station)
        prefixes = [b"%d" % number for number in range(SIZE // 5)]
        with Subscriber(tripped.address, prefixes=prefixes, identity=Identity(alice, server.pair.public)):
            ended(tripped)
        assert station.running.reopen() == [tripped.address]
        with Subscriber(tripped.address, identity=Identity(new_pair(), server.pair.public)):
            wait_for(lambda: station.refused("key"), "a refusal")
        with Subscriber(tripped.address, identity=Identity(alice, server.pair.public)) as subscriber:
            station.subscribed(subscriber)


# By itself.


def warning(address: str) -> str:
    return (
        f"the subscribers at {address} subscribed to more than an endpoint may hold, or kept it from sending anything; "
        "it was opened anew, and all of them had to come back. Find the one that sends so many subscriptions: "
        "`python event_zmq status` says who came in"
    )


def test_the_keeper_sees_to_it(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "TICK_SECONDS", 0.01)
    whole.service.start()
    address = whole.endpoint()
    with RawPeer(address) as greedy:
        overrun(greedy)
    wait_for(lambda: whole.switch.texts("WARNING"), "it to be told")
    assert whole.switch.texts("WARNING") == [warning(address)]
    assert whole.endpoint() == address
    # Nothing about a thread that has ended. That its address is not free yet may be told once.
    assert not [line for line in whole.switch.texts("ERR") if not line.startswith("an endpoint that ended can't be")]
    with Subscriber(address):
        wait_for(lambda: whole.status()["subscriptions"] == 1, "a subscriber")


def test_not_while_something_else_is_done(whole: Whole) -> None:
    whole.service.start()
    running = whole.service._running
    assert running is not None
    [endpoint] = running.publications["default"].endpoints
    assert isinstance(endpoint, Endpoint)
    whole.service._keeper.stop()  # type: ignore[union-attr]  # it runs; here its part is played
    trip(endpoint)
    with whole.service._alone("reloading"):
        whole.service._mend()
        assert running.publications["default"].endpoints == [endpoint]
    whole.service._mend()
    assert whole.switch.texts("WARNING") == [warning(endpoint.address)]
    whole.service._mend()
    assert len(whole.switch.texts("WARNING")) == 1
    with whole.service._alone("testing"), pytest.raises(StateError, match="event_zmq is testing"):
        whole.service.reload()


def test_after_a_stop_there_is_nothing_to_mend(whole: Whole) -> None:
    whole.service._mend()
    whole.service.start()
    whole.service.stop()
    whole.service._mend()
    assert whole.switch.texts("WARNING") == []


def test_while_it_can_not_be_opened_that_is_told_now_and_then(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "TICK_SECONDS", 0.01)
    whole.service.start()
    address = whole.endpoint()
    running = whole.service._running
    assert running is not None
    [endpoint] = running.publications["default"].endpoints
    assert isinstance(endpoint, Endpoint)
    host, _, port = address.partition("://")[2].rpartition(":")
    with whole.service._alone("testing"):  # nothing is mended meanwhile
        trip(endpoint)
        other = socket.socket()
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((host, int(port)))
        other.listen()
    with other:
        wait_for(lambda: whole.switch.texts("ERR"), "it to be told")
        [line] = whole.switch.texts("ERR")
        assert line.startswith(f"an endpoint that ended can't be opened anew yet: can't listen on {address}: ")
    wait_for(lambda: whole.switch.texts("WARNING"), "it to be opened")
    assert whole.switch.texts("WARNING") == [warning(address)]
    assert len(whole.switch.texts("ERR")) == 1
