"""What a reload does to the endpoints: those that are equal stay, new ones are opened before old ones are closed."""

from __future__ import annotations

import errno
import time
from collections.abc import Collection, Sequence
from dataclasses import replace

import zmq

from freeswitch_zmq.errors import StartError
from freeswitch_zmq.module.endpoint import EndpointOptions, NetworkEndpoint
from freeswitch_zmq.module.group import EndpointGroup

__all__ = ["EndpointChange", "Wanted"]

Wanted = Sequence[tuple[EndpointGroup, Sequence[EndpointOptions]]]


class EndpointChange:
    """The steps from one set of endpoints to another: `open_new`, then `finish` or `undo`.

    Args:
        groups: all that are open; those of the new configuration are there already, those that go still are.
        wanted: the endpoints that each is to have.
        cut: groups of which somebody may not have another message. libzmq can't close one connection, so all of their
            endpoints that ask for keys are opened anew, and what is on its way there is dropped.
    """

    def __init__(self, groups: Sequence[EndpointGroup], wanted: Wanted, cut: Collection[EndpointGroup] = ()) -> None:
        self._groups = groups
        self._wanted = wanted
        self._cut = cut
        self._opened: list[tuple[EndpointGroup, NetworkEndpoint]] = []
        self._old: list[tuple[EndpointGroup, NetworkEndpoint]] = []
        self._closed_early: list[tuple[EndpointGroup, EndpointOptions]] = []

    def open_new(self) -> None:
        """Opens what is new."""
        wanted = self._sort_out()
        in_the_way = []
        for group, options in wanted:
            if any(old.is_in_the_way(options.address) for _, old in self._old):
                in_the_way.append((group, options))
            else:
                self._opened.append((group, _open(group, options)))
        for group, options in in_the_way:
            for owner, old in [pair for pair in self._old if pair[1].is_in_the_way(options.address)]:
                self._old.remove((owner, old))
                self._closed_early.append((owner, replace(old.options, address=old.address)))
                self._close(owner, old)
            self._opened.append((group, _open(group, options)))

    def _sort_out(self) -> list[tuple[EndpointGroup, EndpointOptions]]:
        """Which endpoints stay, which are to be closed, and (returned) which are to be opened."""
        wanted: list[tuple[EndpointGroup, EndpointOptions]] = []
        named = {options.address for _, every in self._wanted for options in every}
        self._old = [(each, old) for each in self._groups for old in each.endpoints]
        for group, every in self._wanted:
            # Those that name their port first: `:*` is content with any that is left.
            for options in sorted(every, key=lambda options: options.address.endswith(":*")):
                equal = [
                    (owner, old)
                    for owner, old in self._old
                    if owner is group
                    and old.serves(options.address)
                    # `:*` does not keep a port that another publisher names.
                    and (old.address == options.address or old.address not in named)
                ]
                same = [pair for pair in equal if pair[1].options.same_socket(options) and not self._is_cut(*pair)]
                if same:
                    self._old.remove(same[0])
                elif equal:  # opened anew, and where it was: `tcp://HOST:*` would find another port
                    wanted.append((group, replace(options, address=equal[0][1].address)))
                else:
                    wanted.append((group, options))
        return wanted

    def _is_cut(self, owner: EndpointGroup, endpoint: NetworkEndpoint) -> bool:
        return owner in self._cut and endpoint.options.curve is not None and not endpoint.options.connect

    def _close(self, owner: EndpointGroup, endpoint: NetworkEndpoint) -> None:
        owner.close_endpoint(endpoint, linger=not self._is_cut(owner, endpoint))

    def undo(self) -> None:
        """Brings back what was there before `open_new`.

        Raises:
            StartError: not all of it could be brought back; the rest was.
        """
        problems = []
        for group, endpoint in self._opened:
            group.close_endpoint(endpoint)
        for group, options in self._closed_early:
            try:
                _open(group, options)
            except StartError as error:
                problems.append(str(error))
        if problems:
            raise StartError("; ".join([*problems, "it was open before this reload: stop and start event_zmq"]))

    def finish(self) -> list[str]:
        """Closes what is not wanted any more. Gives what was opened and closed, in words."""
        words = [f"{endpoint.address} opened" for _, endpoint in self._opened]
        for group, old in self._old:
            self._close(group, old)
            words.append(f"{old.address} closed")
        return words


def _open(group: EndpointGroup, options: EndpointOptions) -> NetworkEndpoint:
    """Opens an endpoint, whose address one of ours may have had until just now, in this reload or the one before.

    libzmq lets go of an address after the socket is closed, in a thread of its own.
    """
    deadline = None
    while True:
        try:
            return group.open_endpoint(options)
        except StartError as error:
            in_use = isinstance(error.__cause__, zmq.ZMQError) and error.__cause__.errno == errno.EADDRINUSE
            now = time.monotonic()
            if deadline is None:  # from the first failure on, however long that took to come
                deadline = now + 1.0
            if not in_use or now > deadline:
                raise
        time.sleep(0.01)
