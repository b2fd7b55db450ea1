"""What a reload does to keys, and to the connections of those who may not come in any more."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest
import zmq

from freeswitch_zmq.errors import StartError
from freeswitch_zmq.module import link as link_module
from freeswitch_zmq.module.proxy import Endpoint
from tests.support.keys import Identity, Pair, SecretFile, access, key, new_pair, new_secret_file
from tests.support.module import Subscriber
from tests.support.ports import free_port, taken_port
from tests.support.waiting import wait_for
from tests.support.zmtp import RawPeer
from tests.unit.configurations import QUICK_TO_REFUSE, config, local, publisher
from tests.unit.fake_freeswitch import FakeEvent, FakeSwitch
from tests.unit.stations import Station, fire_until_heard, held_up, is_free

NOBODY_HERE = "192.0.2.0/24"
"""RFC 5737: never the address of a peer."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> SecretFile:
    """The switch's own key."""
    return new_secret_file(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def alice() -> Pair:
    return new_pair()


@pytest.fixture(scope="module")
def bob() -> Pair:
    return new_pair()


class Guarded:
    """A station whose endpoints ask for keys, and its subscribers.

    Attributes:
        station: it.
    """

    def __init__(self, switch: FakeSwitch, server: SecretFile, *publishers: str, keys: tuple[str, ...]) -> None:
        self._server = server
        self.publishers = publishers
        self.station = Station(switch, *publishers, access=access(server.path, keys))

    def reload(self, *keys: str, publishers: tuple[str, ...] = (), server: Optional[SecretFile] = None) -> list[str]:
        """With these keys; what else there is stays as it was."""
        self.publishers = publishers or self.publishers
        self._server = server or self._server
        return self.station.reload(*self.publishers, access=access(self._server.path, keys))

    def subscriber(self, pair: Pair, address: str = "") -> Subscriber:
        """One that has that pair."""
        return Subscriber(address or self.station.addresses()[0], identity=Identity(pair, self._server.pair.public))

    def endpoints(self, name: str = "default") -> list[Endpoint]:
        return self.station.endpoints(name)

    def hears_nothing_new(self, subscriber: Subscriber) -> None:
        """What is fired from now on does not come to it."""
        self.station.fire("CUSTOM", "from now on")
        self.station.at_rest()
        while subscriber.socket.poll(100):
            assert subscriber.event().get("Mark") != "from now on", "it came"


@contextlib.contextmanager
def guarded(switch: FakeSwitch, server: SecretFile, *publishers: str, keys: tuple[str, ...]) -> Iterator[Guarded]:
    guarded = Guarded(switch, server, *publishers, keys=keys)
    with guarded.station:
        yield guarded


def curve(*binds: str, name: str = "default", **params: object) -> str:
    """A `<publisher>` that asks for keys."""
    params = {"bind": list(binds or ("tcp://127.0.0.1:*",)), "security": "curve", **params}
    return publisher(*local(**params), name=name)


def test_a_key_that_is_added_lets_in_and_disturbs_nobody(
    switch: FakeSwitch, server: SecretFile, alice: Pair, bob: Pair
) -> None:
    with guarded(switch, server, curve(handshake_ms=QUICK_TO_REFUSE), keys=(key("alice", alice),)) as here:
        was = here.endpoints()
        with here.subscriber(alice) as in_already, here.subscriber(bob) as knocking:
            here.station.subscribed(in_already)
            wait_for(lambda: here.station.refused("key"), "a refusal")
            accepted = here.station.at_rest().accepted
            assert here.reload(key("alice", alice), key("bob", bob)) == ['key "bob" added']
            assert here.endpoints() == was
            # Nobody touches either of them.
            here.station.subscribed(knocking)
            events = in_already.until(lambda event: int(event["ZMQ-Sequence"]) == here.station.at_rest().accepted)
            assert int(events[0]["ZMQ-Sequence"]) == accepted + 1


@pytest.mark.parametrize("bind", ["tcp://127.0.0.1:*", "tcp://127.0.0.1:{port}", "ipc://{tmp}/events"])
def test_who_is_no_longer_known_is_cut_off_and_the_others_come_back(
    switch: FakeSwitch, server: SecretFile, alice: Pair, bob: Pair, tmp_path: Path, bind: str
) -> None:
    bind = bind.format(port=free_port(), tmp=tmp_path)
    with guarded(switch, server, curve(bind), keys=(key("alice", alice), key("bob", bob))) as here:
        [address] = here.station.addresses()
        [was] = here.endpoints()
        with here.subscriber(alice) as stays, here.subscriber(bob) as goes:
            here.station.subscribed(stays, goes)
            assert here.reload(key("alice", alice)) == ['key "bob" removed', f"{address} opened"]
            assert here.station.addresses() == [address]
            [now] = here.endpoints()
            assert now is not was
            assert not was.alive
            wait_for(lambda: here.station.refused("key"), "Bob to be refused")
            here.station.subscribed(stays)
            here.hears_nothing_new(goes)
        # What was opened anew is equal to what the configuration says.
        assert here.reload(key("alice", alice)) == []
        assert here.endpoints() == [now]


def test_only_the_publishers_that_somebody_may_not_have_any_more_are_opened_anew(
    switch: FakeSwitch, server: SecretFile, alice: Pair, bob: Pair
) -> None:
    publishers = (curve(name="one"), curve(name="two"), publisher(*local(), name="open"))
    with guarded(
        switch, server, *publishers, keys=(key("alice", alice, "one,two"), key("bob", bob, "one,two"))
    ) as here:
        was = {name: here.endpoints(name) for name in ("one", "two", "open")}
        [address] = here.station.addresses("one")
        with here.subscriber(bob, here.station.addresses("two")[0]) as bob_at_two:
            here.station.subscribed(bob_at_two)
            notes = here.reload(key("alice", alice, "one,two"), key("bob", bob, "two"))
            assert notes == ['key "bob" changed', f"{address} opened"]
            assert here.endpoints("one") != was["one"]
            assert [here.endpoints(name) for name in ("two", "open")] == [was["two"], was["open"]]
            here.station.subscribed(bob_at_two)
        with here.subscriber(bob, address):
            wait_for(lambda: here.station.refused("publisher", "one"), "a refusal")
        assert here.station.latest("publisher", "one") == ("127.0.0.1", "bob")


def test_connections_that_need_no_key_stay(switch: FakeSwitch, server: SecretFile, alice: Pair, bob: Pair) -> None:
    port = free_port()
    mixed = publisher(
        *local(
            bind=["tcp://127.0.0.1:*", "inproc://unit-cut"],
            connect=f"tcp://127.0.0.1:{port}",
            server_public_key=new_pair().hex,
            security="curve",
        )
    )
    with guarded(switch, server, mixed, keys=(key("alice", alice), key("bob", bob))) as here:
        was = {endpoint.address: endpoint for endpoint in here.endpoints()}
        assert len(was) == 3
        with here.station.running.context.socket(zmq.SUB) as inside:
            inside.subscribe(b"")
            inside.connect("inproc://unit-cut")
            fire_until_heard(switch, inside)
            here.reload(key("alice", alice))
            fire_until_heard(switch, inside)
        now = {endpoint.address: endpoint for endpoint in here.endpoints()}
        assert set(now) == set(was)
        assert {address for address in was if now[address] is not was[address]} == {
            address for address in was if address.startswith("tcp://") and not address.endswith(f":{port}")
        }


@pytest.mark.parametrize(
    ("before", "after", "notes", "cut"),
    [
        ("name", "name", [], False),
        ("name", "other", ['key "other" added', 'key "name" removed'], False),
        ("name", "name allow", ['key "name" changed'], False),
        ("name", "name pair", ['key "name" changed'], True),
        ("name", "name nowhere", ['key "name" changed'], True),
    ],
    ids=["nothing", "its name", "what it may else", "the key itself", "its publishers"],
)
def test_what_about_a_key_cuts_off(
    switch: FakeSwitch,
    server: SecretFile,
    alice: Pair,
    bob: Pair,
    before: str,
    after: str,
    notes: list[str],
    cut: bool,
) -> None:
    def element(text: str) -> str:
        name, _, what = text.partition(" ")
        found = key(name, bob if what == "pair" else alice, "" if what == "nowhere" else "default")
        return found.replace("/>", ' allow="ping"/>') if what == "allow" else found

    with guarded(switch, server, curve(), keys=(element(before),)) as here:
        [was] = here.endpoints()
        assert here.reload(element(after)) == notes + ([f"{was.address} opened"] if cut else [])
        [now] = here.endpoints()
        assert (now is not was) is cut


def test_what_was_on_its_way_to_one_that_is_cut_off_is_dropped(
    switch: FakeSwitch, server: SecretFile, bob: Pair
) -> None:
    with guarded(switch, server, curve(queue_size=100_000), keys=(key("bob", bob),)) as here:
        slow = Subscriber(hwm=1)
        with slow:
            slow.socket.set(zmq.CURVE_PUBLICKEY, bob.public)
            slow.socket.set(zmq.CURVE_SECRETKEY, bob.secret)
            slow.socket.set(zmq.CURVE_SERVERKEY, server.pair.public)
            slow.socket.set(zmq.RCVBUF, 65536)
            slow.socket.connect(here.station.addresses()[0])
            here.station.subscribed(slow)
            switch.fire(*[FakeEvent("HEARTBEAT", [("Text", "x" * 5000)])] * 5000)
            last = here.station.at_rest().accepted
            wait_for(lambda: slow.socket.poll(0), "the first of them")
            here.reload()
            found = [slow.event()]
            while slow.socket.poll(500):
                found.append(slow.event())
            # Of 25 MB not more than lay in buffers of the kernel.
            assert int(found[-1]["ZMQ-Sequence"]) < last
            assert len(found) < 4000


def test_another_key_of_the_switchs_own_is_taken_up_at_once(
    switch: FakeSwitch, server: SecretFile, alice: Pair, tmp_path: Path
) -> None:
    other = new_secret_file(tmp_path, "other")
    with guarded(switch, server, curve(), publisher(*local(), name="open"), keys=(key("alice", alice),)) as here:
        [address] = here.station.addresses()
        unconcerned = here.endpoints("open")
        with here.subscriber(alice) as old:
            here.station.subscribed(old)
            notes = here.reload(key("alice", alice), server=other)
            assert notes == ["the switch's own key changed", f"{address} opened"]
            wait_for(lambda: here.station.refused("handshake"), "it to take us for another")
            with here.subscriber(alice) as new:
                here.station.subscribed(new)
            here.hears_nothing_new(old)
        assert here.endpoints("open") == unconcerned


def test_encryption_comes_and_goes(switch: FakeSwitch, server: SecretFile, alice: Pair) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    plain = publisher(*local(bind=address))
    with guarded(switch, server, plain, keys=(key("alice", alice),)) as here:
        with Subscriber(address) as without:
            here.station.subscribed(without)
            notes = here.reload(key("alice", alice), publishers=(curve(address),))
            assert notes == ['publisher "default" changed', f"{address} opened"]
            with here.subscriber(alice) as encrypted:
                here.station.subscribed(encrypted)
            here.hears_nothing_new(without)
        here.reload(key("alice", alice), publishers=(plain,))
        with Subscriber(address) as again:
            here.station.subscribed(again)


def test_a_reload_that_fails_leaves_the_keys_as_they_were(
    switch: FakeSwitch, server: SecretFile, alice: Pair, bob: Pair
) -> None:
    carol = new_pair()
    with guarded(switch, server, curve(), keys=(key("alice", alice), key("bob", bob))) as here:
        before, [address] = here.station.config, here.station.addresses()
        with here.subscriber(alice) as one, here.subscriber(bob) as other, taken_port() as taken:
            here.station.subscribed(one, other)
            with pytest.raises(StartError, match=f"can't listen on {taken}"):
                here.station.reload(
                    curve(address, taken), access=access(server.path, [key("alice", alice), key("carol", carol)])
                )
            assert here.station.config == before
            assert here.station.addresses() == [address]
            ring = here.station.running.ring
            assert set(ring.let_in) == {"alice", "bob"}
            here.station.subscribed(one, other)
            with here.subscriber(carol):
                wait_for(lambda: here.station.refused("key"), "Carol to be refused")
        # What was brought back is equal to what the configuration says.
        assert here.reload(key("alice", alice), key("bob", bob)) == []


def test_what_is_known_of_a_key_outlives_a_reload_that_fails(
    switch: FakeSwitch, server: SecretFile, alice: Pair, bob: Pair
) -> None:
    with guarded(switch, server, curve(), keys=(key("alice", alice), key("bob", bob))) as here:
        with here.subscriber(bob) as subscriber:
            here.station.subscribed(subscriber)
        before = here.station.running.ring.let_in["bob"]
        assert before.count == 1
        with taken_port() as taken, pytest.raises(StartError):
            here.reload(key("alice", alice), publishers=(curve("tcp://127.0.0.1:*", taken),))
        assert here.station.running.ring.let_in["bob"] == before


def test_in_the_middle_of_a_reload_only_those_may_come_in_who_may_in_both(
    switch: FakeSwitch, server: SecretFile, alice: Pair, bob: Pair
) -> None:
    carol = new_pair()
    with guarded(switch, server, curve(), keys=(key("alice", alice), key("bob", bob))) as here:
        running = here.station.running
        wanted = config(curve(), access=access(server.path, [key("alice", alice), key("carol", carol)]))
        reloading = threading.Thread(target=running.reload, args=(wanted,))

        def verdicts() -> list[str]:
            keys = [bytes.fromhex(pair.hex) for pair in (alice, bob, carol)]
            return [running.ring.refuses(each, "default") for each in keys]

        with held_up(running.pump):
            reloading.start()
            wait_for(lambda: running.pump._calls, "the reload to wait for the pump")
            assert verdicts() == ["", "key", "key"]
        reloading.join()
        assert verdicts() == ["", "key", ""]


# What an endpoint was told after it was opened holds when it is opened anew.


def refuses_everybody(station: Station, address: str) -> None:
    before = station.refused("address")
    with Subscriber(address) as subscriber:
        wait_for(lambda: station.refused("address") > before, "a refusal")
        station.fire("HEARTBEAT")
        station.at_rest()
        assert not subscriber.socket.poll(0)


def test_other_addresses_hold_when_a_later_reload_fails(switch: FakeSwitch) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    with Station(switch, publisher(*local(bind=address))) as station:
        station.reload(publisher(*local(bind=address, apply_inbound_acl=NOBODY_HERE)))
        refuses_everybody(station, address)
        with pytest.raises(StartError, match=r"can't listen on tcp://192\.0\.2\.1"):
            # It is closed to make room for one that can't be had, and brought back.
            station.reload(publisher(*local(bind=address.replace("127.0.0.1", "192.0.2.1"))))
        assert station.addresses() == [address]
        refuses_everybody(station, address)


def test_other_addresses_hold_when_an_endpoint_is_opened_anew(
    switch: FakeSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    with Station(switch, publisher(*local(bind=address))) as station:
        with RawPeer(address) as greedy:
            greedy.shake_hands()
            station.reload(publisher(*local(bind=address, apply_inbound_acl=NOBODY_HERE)))
            monkeypatch.setattr(link_module, "SUBSCRIPTIONS_SIZE", 100)
            for number in range(100):
                greedy.subscribe(b"%d" % number)
            [endpoint] = station.publication().endpoints
            wait_for(lambda: not endpoint.alive, "the endpoint to end")
            assert station.running.reopen() == [address]
        refuses_everybody(station, address)
        assert not is_free(address)
