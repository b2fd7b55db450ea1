"""A publisher that goes to a collector: with `server-public-key` it sends only to who has that key, and encrypted."""

from __future__ import annotations

from pathlib import Path

import pytest
import zmq
import zmq.utils.z85

from tests.support.background import Background
from tests.support.flow import Load
from tests.support.keys import Pair, access, new_pair
from tests.support.module import Module, configuration, publisher
from tests.support.ports import free_port
from tests.support.relay import Relay

from .conftest import ModuleFactory
from .keys_configuration import CURVE, Keys


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


class Collector(Background):
    """A SUB socket that listens.

    Args:
        port: where, on 127.0.0.1.
        pair: its key; without one it speaks no CURVE.

    Attributes:
        came: the public keys of who connected.
    """

    def __init__(self, port: int, pair: Pair | None) -> None:
        super().__init__("collector")
        self.came: list[bytes] = []
        self._context = zmq.Context()
        self._zap = self._context.socket(zmq.REP)
        self._zap.bind("inproc://zeromq.zap.01")
        self.socket = self._context.socket(zmq.SUB)
        self.socket.set(zmq.LINGER, 0)
        self.socket.set(zmq.RCVHWM, 0)
        self.socket.subscribe(b"")
        if pair is not None:
            self.socket.set(zmq.CURVE_SERVER, 1)
            self.socket.set(zmq.CURVE_SECRETKEY, pair.secret)
            self.socket.set_string(zmq.ZAP_DOMAIN, "collector")
        self.socket.bind(f"tcp://127.0.0.1:{port}")

    def work(self) -> None:
        while not self.ending.is_set():
            if self._zap.poll(50):
                request = self._zap.recv_multipart()
                self.came.append(request[6])
                self._zap.send_multipart([b"1.0", request[1], b"200", b"OK", b"", b""])

    def release(self) -> None:
        self._zap.close(0)
        self.socket.close()
        self._context.term()


def connecting(keys: Keys, port: int, collector: Pair) -> str:
    given = [("connect", f"tcp://127.0.0.1:{port}"), ("server-public-key", collector.hex)]
    return configuration(publisher(*given, bind=""), access=access(keys.file))


def test_a_collector_with_the_right_key_gets_all_and_all_is_encrypted(
    module_factory: ModuleFactory, keys: Keys
) -> None:
    port, pair = free_port(), new_pair()
    with Collector(port, pair) as collector, Relay(f"tcp://127.0.0.1:{port}") as relay:
        module = module_factory(connecting(keys, int(relay.endpoint.rpartition(":")[2]), pair))
        hear(module, collector)
        with Load(module.switch, 500):
            for _ in range(500):
                assert collector.socket.poll(30_000)
                assert collector.socket.recv().startswith(b'{"Event-Name":"')
        assert [zmq.utils.z85.encode(key) for key in collector.came] == [keys.server.public]
        assert len(relay.up) > 500 * 1000
        for word in (b"Event-Name", b"bench::tick", b"SUBSCRIBE"):
            assert word not in relay.up
            assert word not in relay.down


@pytest.mark.parametrize("wrong", ["another key", "no key"])
def test_a_collector_with_a_wrong_key_gets_nothing(module_factory: ModuleFactory, keys: Keys, wrong: str) -> None:
    port, pair = free_port(), new_pair()
    with Collector(port, new_pair() if wrong == "another key" else None) as impostor:
        module = module_factory(connecting(keys, port, pair))
        with Load(module.switch):
            assert not impostor.socket.poll(3000)
        assert impostor.came == []
        assert module.publisher()["subscriptions"] == 0
    assert module.status()["errors"] == 0


@pytest.mark.parametrize("wrong", ["another key", "no key"])
def test_a_collector_that_is_put_right_gets_events_by_itself(
    module_factory: ModuleFactory, keys: Keys, wrong: str
) -> None:
    port, pair = free_port(), new_pair()
    with Collector(port, new_pair() if wrong == "another key" else None) as impostor:
        module = module_factory(connecting(keys, port, pair))
        assert not impostor.socket.poll(1000)
    with Collector(port, pair) as collector:
        hear(module, collector)


def test_a_collector_without_keys_refuses_a_switch_with_one(module_factory: ModuleFactory, keys: Keys) -> None:
    """`security` `curve` alone: for `bind` it is the switch's key, for `connect` the collector's has to be named."""
    module = module_factory(configuration())
    xml = configuration(publisher(CURVE, ("connect", f"tcp://127.0.0.1:{free_port()}")), access=keys.access())
    assert module.reload(xml) == (
        '-ERR event_zmq.conf: <publisher name="default">: security: curve needs the collector\'s server-public-key '
        "for connect"
    )


def test_another_collector_key_at_a_reload(module_factory: ModuleFactory, keys: Keys) -> None:
    port, pair, other = free_port(), new_pair(), new_pair()
    with Collector(port, pair) as collector:
        module = module_factory(connecting(keys, port, pair))
        hear(module, collector)
        assert module.reload(connecting(keys, port, other)).startswith("+OK")
        last = module.publisher()["accepted"]
        with Load(module.switch):
            while collector.socket.poll(1000):
                number = collector.socket.recv().rpartition(b'"ZMQ-Sequence":"')[2].partition(b'"')[0]
                assert int(number) <= last
        assert module.reload(connecting(keys, port, pair)).startswith("+OK")
        hear(module, collector)


def hear(module: Module, collector: Collector) -> None:
    """Returns when an event comes."""
    module.wait(lambda: fire(module, collector), bool)


def fire(module: Module, collector: Collector) -> bool:
    module.switch.sendevent("TRAP", [("Mine", "yes")])
    return collector.socket.poll(100) != 0
