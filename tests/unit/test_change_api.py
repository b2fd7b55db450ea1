"""What a reload does to the API, its connections, and those who wait for an answer."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zmq
import zmq.utils.monitor

from freeswitch_zmq.errors import StartError
from freeswitch_zmq.jsonrpc import BUSY, FORBIDDEN, SHUTTING_DOWN, TIMEOUT
from freeswitch_zmq.module import change as change_module
from freeswitch_zmq.module.api.channel import Channel
from freeswitch_zmq.module.api.endpoint import ApiEndpoint
from freeswitch_zmq.module.endpoint import NetworkEndpoint
from freeswitch_zmq.module.schema import ApiConfig
from tests.support.caller import Caller
from tests.support.keys import Identity, access, key, new_pair, new_secret_file
from tests.support.module import Subscriber
from tests.support.ports import free_port, taken_port
from tests.support.waiting import wait_for
from tests.unit.asking import CORE_UUID, api_station, jobs
from tests.unit.configurations import QUICK_TO_REFUSE, api, local, publisher
from tests.unit.fake_freeswitch import FakeSwitch, job_event
from tests.unit.stations import Station, is_free

ALLOW = "ping, status, api:slow *, api:echo *"
ANY = "tcp://127.0.0.1:*"


def on(*binds: str, **params: Any) -> str:
    """An `<api>` with those binds."""
    return api(*local(bind=list(binds), **{"allow": ALLOW, **params}))


def stream(*binds: str, name: str = "default") -> str:
    """A `<publisher>`, by default on a free port."""
    return publisher(*local(bind=list(binds or (ANY,))), name=name)


@pytest.fixture
def port() -> int:
    return free_port()


@contextlib.contextmanager
def started(switch: FakeSwitch, *publishers: str, api: str = "") -> Iterator[Station]:
    """A station whose switch has a slow command."""
    switch.answers.update({"global_getvar core_uuid": CORE_UUID, "slow": ""})
    switch.deaf.add("slow")
    with Station(switch, *(publishers or (stream(),)), api=api) as station:
        yield station


class Watched(Caller):
    """A caller of which is known whether its connection broke, and who can wait for an answer."""

    def __init__(self, station: Station, address: str) -> None:
        super().__init__(address.replace("0.0.0.0", "127.0.0.1"), zmq.DEALER)
        self._switch = station.switch
        self._monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        assert self.call("ping")

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.socket.disable_monitor()
        self._monitor.close()
        super().__exit__(*exception)

    def broke(self) -> bool:
        return bool(self._monitor.poll(0))

    def asks(self) -> str:
        """For what takes long; the job."""
        before = len(jobs(self._switch))
        self.send("api", {"command": "slow", "args": "x"})
        wait_for(lambda: len(jobs(self._switch)) > before, "the command")
        return jobs(self._switch)[-1]

    def gets(self, job: str) -> None:
        """What it asked for comes."""
        self._switch.fire(job_event(job, job))
        assert self.receive()["result"] == {"output": job}


def endpoints(station: Station) -> list[NetworkEndpoint]:
    return list(station.channel.endpoints)


def addresses(station: Station) -> list[str]:
    return [endpoint.address for endpoint in station.channel.endpoints]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([ANY], [ANY]),
        ([ANY], ["{found}"]),
        (["tcp://127.0.0.1:{port}"], ["tcp://127.0.0.1:{port}"]),
        (["tcp://127.0.0.1:{port}"], [ANY]),
        (["tcp://*:{port}"], ["tcp://0.0.0.0:{port}"]),
        (["ipc://{tmp}/a"], ["ipc://{tmp}/a"]),
        ([ANY, "ipc://{tmp}/a"], ["ipc://{tmp}/a", ANY]),
    ],
)
def test_an_equal_bind_keeps_its_connections_and_who_waits(
    switch: FakeSwitch, tmp_path: Path, port: int, before: Sequence[str], after: Sequence[str]
) -> None:
    with started(switch, api=on(*(text.format(tmp=tmp_path, port=port) for text in before))) as station:
        was, address = endpoints(station), addresses(station)[0]
        with Watched(station, address) as caller:
            job = caller.asks()
            texts = [text.format(tmp=tmp_path, port=port, found=address) for text in after]
            assert station.reload(stream(), api=on(*texts, max_pending=7)) == ["api changed"]
            assert {*map(id, endpoints(station))} == {*map(id, was)}
            caller.gets(job)
            assert caller.call("ping")
            assert not caller.broke()
            assert station.counted(requests=3, succeeded=3)


def test_nothing_changed_is_nothing_done(switch: FakeSwitch) -> None:
    with started(switch, api=on(ANY)) as station:
        was, channel = endpoints(station), station.channel
        assert station.reload(stream(), api=on(ANY)) == []
        assert endpoints(station) == was
        assert station.channel is channel


def test_permissions_and_limits_count_from_the_next_request_on(switch: FakeSwitch) -> None:
    with started(switch, api=on(ANY)) as station, Watched(station, addresses(station)[0]) as caller:
        assert station.reload(stream(), api=on(ANY, allow="status, api:slow *", timeout_ms=50, max_pending=1)) == [
            "api changed"
        ]
        assert caller.code("ping") == FORBIDDEN
        assert caller.call("status") == {}
        assert caller.code("api", command="slow", args="x") == TIMEOUT
        assert caller.code("api", command="slow", args="x") == BUSY
        station.reload(stream(), api=on(ANY, deny="status"))
        assert caller.code("status") == FORBIDDEN
        assert caller.call("ping")
        assert not caller.broke()


def test_limits_that_wait_for_the_next_start_are_named(switch: FakeSwitch) -> None:
    with started(switch, api=on(ANY)) as station:
        was = endpoints(station)
        assert station.reload(stream(), api=on(ANY, handshake_ms=777, max_message_bytes=100)) == [
            "api changed",
            "handshake-ms of the API counts from the next start on",
            "max-message-bytes of the API counts from the next start on",
        ]
        assert endpoints(station) == was


def test_addresses_are_added_and_taken_away(switch: FakeSwitch, tmp_path: Path) -> None:
    more = f"ipc://{tmp_path}/a"
    with started(switch, api=on(ANY)) as station:
        [first] = addresses(station)
        with Watched(station, first) as stays:
            assert station.reload(stream(), api=on(first, more)) == ["api changed", f"{more} opened"]
            assert addresses(station) == [first, more]
            with Watched(station, more) as goes:
                late, job = goes.asks(), stays.asks()
                assert station.reload(stream(), api=on(first)) == ["api changed", f"{more} closed"]
                assert addresses(station) == [first]
                # Who waited there is told, and what its command gives goes nowhere.
                assert goes.receive()["error"]["code"] == SHUTTING_DOWN
                assert station.channel.desk.pending == 2
                switch.fire(job_event(late, ""))
            stays.gets(job)
            wait_for(lambda: station.channel.desk.pending == 0, "both to be done")
            assert not stays.broke()
            # What was counted there is not forgotten.
            counted = station.counted(requests=4, succeeded=3)
            assert counted["errors_by_code"] == {str(SHUTTING_DOWN): 1}


def test_the_api_moves_to_another_port(switch: FakeSwitch, port: int) -> None:
    address = f"tcp://127.0.0.1:{port}"
    with started(switch, api=on(ANY)) as station:
        [was] = addresses(station)
        assert station.reload(stream(), api=on(address)) == ["api changed", f"{address} opened", f"{was} closed"]
        with Watched(station, address):
            wait_for(lambda: is_free(was), "the other one to be free")


@pytest.mark.parametrize(
    ("before", "after"),
    [("tcp://*:{port}", "tcp://127.0.0.1:{port}"), ("tcp://127.0.0.1:{port}", "tcp://*:{port}")],
)
def test_the_same_port_at_another_address(switch: FakeSwitch, port: int, before: str, after: str) -> None:
    with started(switch, api=on(before.format(port=port))) as station:
        station.reload(stream(), api=on(after.format(port=port)))
        with Watched(station, f"tcp://127.0.0.1:{port}"):
            pass


def test_the_api_comes_goes_and_comes_back(switch: FakeSwitch, port: int) -> None:
    address = f"tcp://127.0.0.1:{port}"
    with started(switch) as station:
        assert station.running.api is None
        with Subscriber(*station.addresses()) as subscriber:
            station.subscribed(subscriber)
            for _ in range(2):
                assert station.reload(stream(), api=on(address)) == ["api added", f"{address} opened"]
                with Watched(station, address) as caller:
                    # It begins anew.
                    assert station.counted(requests=1)["succeeded"] == 1
                    job = caller.asks()
                    channel = station.channel
                    assert station.reload(stream()) == ["api removed", f"{address} closed"]
                    assert caller.receive()["error"]["code"] == SHUTTING_DOWN
                assert station.running.api is None
                assert not any(isinstance(group, type(channel)) for group in station.running.groups.values())
                switch.fire(job_event(job, "late"))
                wait_for(lambda channel=channel: channel.desk.pending == 0, "it")  # type: ignore[misc]
                wait_for(lambda: is_free(address), "the port to be free")
            station.subscribed(subscriber)


# Ports that go from a publisher to the API, and back.


def test_a_port_moves_between_a_publisher_and_the_api(switch: FakeSwitch, port: int) -> None:
    address = f"tcp://127.0.0.1:{port}"
    with started(switch, stream(address), api=on(ANY)) as station:
        station.reload(stream(), api=on(address))
        assert (addresses(station), address in station.addresses()) == ([address], False)
        with Watched(station, address), Subscriber(*station.addresses()) as subscriber:
            station.subscribed(subscriber)
        station.reload(stream(address), api=on(ANY))
        assert station.addresses() == [address]
        with Watched(station, addresses(station)[0]), Subscriber(address) as subscriber:
            station.subscribed(subscriber)


def test_they_swap_their_ports(switch: FakeSwitch, port: int) -> None:
    one, other = f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.2:{port}"
    with started(switch, stream(one), api=on(other)) as station:
        station.reload(stream(other), api=on(one))
        assert (station.addresses(), addresses(station)) == ([other], [one])
        with Watched(station, one), Subscriber(other) as subscriber:
            station.subscribed(subscriber)


def test_the_api_takes_the_port_of_a_publisher_that_goes(switch: FakeSwitch, port: int) -> None:
    address = f"tcp://127.0.0.1:{port}"
    with started(switch, stream(), stream(address, name="b")) as station:
        assert station.reload(stream(), api=on(address)) == [
            'publisher "b" removed',
            "api added",
            f"{address} opened",
        ]
        with Watched(station, address):
            pass


# What can't be done.


def test_when_one_can_not_be_opened_everything_is_as_before(switch: FakeSwitch, port: int, tmp_path: Path) -> None:
    first, of_events = f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.2:{port}"
    with started(switch, stream(of_events), api=on(first)) as station:
        was, config, channel = endpoints(station), station.config, station.channel
        with Watched(station, first) as caller, taken_port() as taken:
            job = caller.asks()
            for publishers, wanted in (
                ([stream(of_events)], on(first, taken, allow="status")),
                ([stream(of_events)], on(taken, first, f"ipc://{tmp_path}/x", deny="ping")),
                ([stream(of_events), stream(taken, name="b")], on(first, allow="status")),
                ([stream(taken)], ""),
            ):
                with pytest.raises(StartError, match=r"can't listen on .* already in use"):
                    station.reload(*publishers, api=wanted)
                assert station.config == config
                assert station.channel is channel
                assert endpoints(station) == was
            caller.gets(job)
            assert caller.call("ping")
            assert not caller.broke()
        assert station.reload(stream(of_events), api=on(first)) == []


@pytest.mark.parametrize("scheme", ["tcp", "inproc"])
def test_one_that_is_not_yet_let_go_of_is_waited_for(
    switch: FakeSwitch, port: int, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"tcp://127.0.0.1:{port}" if scheme == "tcp" else "inproc://unit-let-go-of"
    # However long it takes on a machine that stands still, and although that stood still for a minute at the first try.
    clock = [1000.0]
    monkeypatch.setattr(change_module, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=time.sleep))
    tried = threading.Semaphore(0)
    open_front = ApiEndpoint.open_front

    def try_it(endpoint: ApiEndpoint) -> None:
        try:
            open_front(endpoint)
        finally:
            clock[0] = 1060.0
            tried.release()

    monkeypatch.setattr(ApiEndpoint, "open_front", try_it)
    with started(switch) as station:
        other = station.running.context.socket(zmq.ROUTER)
        other.bind(address)

        def let_go() -> None:
            for _ in range(3):
                assert tried.acquire(timeout=20.0)
            other.close()

        letting_go = threading.Thread(target=let_go)
        letting_go.start()
        station.reload(stream(), api=on(address))
        letting_go.join()
        assert [(each.address, each.alive) for each in endpoints(station)] == [(address, True)]


def test_what_waiting_does_not_mend_is_not_waited_for(
    switch: FakeSwitch, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[ApiEndpoint] = []
    open_front = ApiEndpoint.open_front

    def try_it(endpoint: ApiEndpoint) -> None:
        tried.append(endpoint)
        open_front(endpoint)

    monkeypatch.setattr(ApiEndpoint, "open_front", try_it)
    with started(switch) as station:
        with pytest.raises(StartError, match="this machine has no such address"):
            station.reload(stream(), api=on(f"tcp://192.0.2.1:{port}"))
        assert len(tried) == 1


def test_one_that_was_closed_to_make_room_is_brought_back(switch: FakeSwitch, port: int) -> None:
    first = f"tcp://127.0.0.1:{port}"
    with started(switch, api=on(first)) as station:
        # The same port at an address that is not ours: only when the old one is closed can it be tried.
        with pytest.raises(StartError, match=r"can't listen on tcp://192\.0\.2\.1"):
            station.reload(stream(), api=on(f"tcp://192.0.2.1:{port}", allow="status"))
        assert addresses(station) == [first]
        with Watched(station, first):  # it may ping
            pass
        assert station.reload(stream(), api=on(first)) == []


def test_an_api_that_can_not_be_added_is_not_there(switch: FakeSwitch, port: int) -> None:
    fresh = f"tcp://127.0.0.1:{port}"
    with started(switch) as station, taken_port() as taken:
        with pytest.raises(StartError, match=f"can't listen on {taken}"):
            station.reload(stream(), api=on(fresh, taken))
        assert station.running.api is None
        wait_for(lambda: is_free(fresh), "libzmq to let go of it")
        assert station.reload(stream(), api=on(fresh)) == ["api added", f"{fresh} opened"]
        with Watched(station, fresh):
            pass


def test_a_start_that_fails_leaves_nothing(switch: FakeSwitch, port: int) -> None:
    fresh = f"tcp://127.0.0.1:{port}"
    with taken_port() as taken:
        with pytest.raises(StartError, match=f"can't listen on {taken}"), started(switch, api=on(fresh, taken)):
            pass
        assert switch.consumers == []
        wait_for(lambda: is_free(fresh), "libzmq to let go of it")
        assert switch.texts("ERR") == []
    with started(switch, api=on(fresh, taken)):
        pass


# Who may come in.


def test_other_addresses_count_for_those_who_come_later(switch: FakeSwitch) -> None:
    quick = partial(on, ANY, handshake_ms=QUICK_TO_REFUSE)
    with started(switch, api=quick()) as station, Watched(station, addresses(station)[0]) as stays:
        was = endpoints(station)
        notes = station.reload(stream(), api=quick(apply_inbound_acl=["192.0.2.0/24", "127.0.0.9/32"]))
        assert notes == ["api changed"]
        assert endpoints(station) == was
        assert stays.call("ping")
        with Caller(addresses(station)[0], zmq.DEALER) as knocking:
            knocking.send("ping")
            wait_for(lambda: station.channel.refusals.count, "it to be refused")
            [((_, reason), refusal)] = station.channel.refusals.by_reason.items()
            assert (reason, refusal.address) == ("address", "127.0.0.1")
            station.reload(stream(), api=quick())
            # It comes back by itself.
            assert "result" in knocking.receive()
        assert not stays.broke()


def test_a_key_that_may_something_else_keeps_its_connection(switch: FakeSwitch, tmp_path: Path) -> None:
    server, pair = new_secret_file(tmp_path), new_pair()

    def section(allow: str) -> str:
        return access(server.path, [key("crm", pair).replace("/>", f' allow="{allow}"/>')])

    guarded = api(*local(security="curve"))
    with (
        api_station(switch, section("ping"), security="curve") as station,
        Caller(addresses(station)[0], identity=Identity(pair, server.pair.public)) as caller,
    ):
        was = endpoints(station)
        assert caller.call("ping")
        assert caller.code("status") == FORBIDDEN
        notes = station.reload(publisher(*local()), access=section("status"), api=guarded)
        assert notes == ['key "crm" changed']
        assert caller.code("ping") == FORBIDDEN
        assert caller.call("status") == {}
        assert endpoints(station) == was


def test_encryption_opens_the_endpoint_anew_where_it_was(switch: FakeSwitch, tmp_path: Path) -> None:
    server, pair = new_secret_file(tmp_path), new_pair()
    section = access(server.path, [key("crm", pair).replace("/>", ' allow="ping"/>')])
    with api_station(switch, section, allow=ALLOW) as station:
        was = addresses(station)
        with Watched(station, was[0]) as plain:
            notes = station.reload(publisher(*local()), access=section, api=on(ANY, security="curve"))
            assert notes == ["api changed", f"{was[0]} opened"]
            assert addresses(station) == was
            wait_for(plain.broke, "the connection to end")
            with Caller(was[0], identity=Identity(pair, server.pair.public)) as caller:
                assert caller.call("ping")


def test_an_endpoint_that_lets_other_machines_in_is_told_of(switch: FakeSwitch, port: int) -> None:
    with started(switch, api=on(f"tcp://*:{port}", apply_inbound_acl=["127.0.0.0/8", "192.0.2.0/24"])) as station:
        [line] = station.running.warnings()
        assert line.startswith(
            f'the API at tcp://*:{port} lets in whom apply-inbound-acl "192.0.2.0/24" has without key'
        )
        station.reload(stream(), api=on(f"tcp://*:{port}"))
        assert station.running.warnings() == []


def test_keys_that_may_do_something_where_nobody_asks_for_them_are_told_of(switch: FakeSwitch, tmp_path: Path) -> None:
    server, pair = new_secret_file(tmp_path), new_pair()
    section = access(server.path, [key("crm", pair).replace("/>", ' allow="ping"/>')])
    with api_station(switch, section) as station:
        assert station.running.warnings() == [
            'the allow of a <key> (crm) has no effect: <api> knows keys only with security "curve"'
        ]
        station.reload(publisher(*local()), access=section)
        assert station.running.warnings() == ["the allow of a <key> (crm) has no effect: there is no <api>"]
        station.reload(publisher(*local()), access=section, api=on(ANY, security="curve"))
        assert station.running.warnings() == []


def test_where_it_is_opened_anew_nobody_is_served_before_the_new_permissions_count(
    switch: FakeSwitch, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with api_station(switch, allow="ping, api:echo *") as station:
        answers: list[object] = []
        with Caller(f"tcp://127.0.0.1:{port}", zmq.DEALER) as early:
            early.send("api", {"command": "echo", "args": "x"})
            take_up = Channel.take_up

            def later(channel: Channel, config: ApiConfig) -> None:
                assert not early.socket.poll(300)
                answers.append(channel.counted()["requests"])
                take_up(channel, config)

            monkeypatch.setattr(Channel, "take_up", later)
            station.reload(publisher(*local()), api=on(f"tcp://127.0.0.1:{port}", allow=["ping"]))
            assert answers == [0]
            assert early.receive()["error"]["code"] == FORBIDDEN
            early.send("ping")
            assert early.receive()["result"]["protocol"] == 1


def test_nothing_piles_up(switch: FakeSwitch, port: int) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with started(switch) as station:

        def change() -> None:
            station.reload(stream(), api=on(f"tcp://127.0.0.1:{port}", "inproc://unit-change-api"))
            [tcp, inproc] = endpoints(station)
            assert isinstance(tcp, ApiEndpoint)
            station.reload(stream())
            assert [tcp.alive, inproc.alive] == [False, False]

        change()
        before, rules = descriptors(), len(station.running._access.rules)
        for _ in range(5):
            change()
        wait_for(lambda: descriptors() <= before, "libzmq to close its descriptors")
        assert len(station.running._access.rules) == rules == 1
