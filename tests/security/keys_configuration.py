"""What the tests of keys have in common: a switch's key, peers with keys, and a configuration with both."""

from __future__ import annotations

from pathlib import Path

from tests.support.flow import sequence_of
from tests.support.keys import Identity, Pair, access, key, new_pair, new_secret_file
from tests.support.module import LOOPBACK, Param, Subscriber, configuration, publisher

CURVE = ("security", "curve")


class Keys:
    """The switch's own key in a file, and pairs of peers by name.

    Args:
        folder: where the file lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file, self.server = new_secret_file(folder)
        self.pairs: dict[str, Pair] = {}

    def identity(self, name: str, server: Pair | None = None) -> Identity:
        """What the peer of that name needs to connect; its pair is made when it has none."""
        pair = self.pairs.setdefault(name, new_pair())
        return Identity(pair, (server or self.server).public)

    def access(self, **publishers: str) -> str:
        """An `<access>` element in which each peer, by its name, may subscribe to the publishers given."""
        return access(self.file, [key(name, self.identity(name).pair, text) for name, text in publishers.items()])

    def configuration(self, *given: Param, bind: str = LOOPBACK, **publishers: str) -> str:
        """One publisher with keys."""
        return configuration(publisher(CURVE, *given, bind=bind), access=self.access(**publishers))


def nothing_after(subscriber: Subscriber, number: int, seconds: float) -> None:
    """Fails when an event of a higher number comes; what was on its way before may still come."""
    while subscriber.socket.poll(round(seconds * 1000)):
        came = sequence_of(subscriber.raw())
        assert came <= number, f"event {came} came after {number}"


def wait_for_event_after(subscriber: Subscriber, number: int, timeout: float = 30.0) -> None:
    """Returns when an event of a higher number comes."""
    while sequence_of(subscriber.raw(timeout)) <= number:
        pass
