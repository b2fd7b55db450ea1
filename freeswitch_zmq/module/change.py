"""What a reload does to the endpoints: those that are equal stay, new ones are opened before old ones are closed."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from freeswitch_zmq.errors import StartError
from freeswitch_zmq.module.proxy import Endpoint, EndpointOptions
from freeswitch_zmq.module.publication import Publication, endpoint_options
from freeswitch_zmq.module.schema import Config

__all__ = ["EndpointChange"]


class EndpointChange:
    """The steps from one set of endpoints to another: `open_new`, then `finish` or `undo`.

    Args:
        publications: by name; those of the new configuration are there already, those that go still are.
        config: the new one.
        cut: names of publishers of which somebody may not have another event. libzmq can't close one connection, so all
            of their endpoints that ask for keys are opened anew, and what is on its way there is dropped.
    """

    def __init__(self, publications: Mapping[str, Publication], config: Config, cut: Collection[str] = ()) -> None:
        self._publications = publications
        self._config = config
        self._cut = cut
        self._opened: list[tuple[Publication, Endpoint]] = []
        self._old: list[tuple[Publication, Endpoint]] = []
        self._closed_early: list[tuple[Publication, EndpointOptions]] = []

    def open_new(self) -> None:
        """Opens what is new."""
        wanted = self._sort_out()
        in_the_way = []
        for publication, options in wanted:
            if any(old.is_in_the_way(options.address) for _, old in self._old):
                in_the_way.append((publication, options))
            else:
                self._opened.append((publication, publication.open_endpoint(options)))
        for publication, options in in_the_way:
            for owner, old in [pair for pair in self._old if pair[1].is_in_the_way(options.address)]:
                self._old.remove((owner, old))
                self._closed_early.append((owner, replace(old.options, address=old.address)))
                self._close(owner, old)
            self._opened.append((publication, _open_freed(publication, options)))

    def _sort_out(self) -> list[tuple[Publication, EndpointOptions]]:
        """Which endpoints stay, which are to be closed, and (returned) which are to be opened."""
        wanted: list[tuple[Publication, EndpointOptions]] = []
        every_publisher = [
            (
                self._publications[publisher.name],
                endpoint_options(publisher, self._config.settings, self._config.access),
            )
            for publisher in self._config.publishers
        ]
        named = {options.address for _, every in every_publisher for options in every}
        self._old = [(each, old) for each in self._publications.values() for old in each.endpoints]
        for publication, every in every_publisher:
            # Those that name their port first: `:*` is content with any that is left.
            for options in sorted(every, key=lambda options: options.address.endswith(":*")):
                equal = [
                    (owner, old)
                    for owner, old in self._old
                    if owner is publication
                    and old.serves(options.address)
                    # `:*` does not keep a port that another publisher names.
                    and (old.address == options.address or old.address not in named)
                ]
                same = [pair for pair in equal if pair[1].options.same_socket(options) and not self._is_cut(*pair)]
                if same:
                    self._old.remove(same[0])
                elif equal:  # opened anew, and where it was: `tcp://HOST:*` would find another port
                    wanted.append((publication, replace(options, address=equal[0][1].address)))
                else:
                    wanted.append((publication, options))
        return wanted

    def _is_cut(self, owner: Publication, endpoint: Endpoint) -> bool:
        return owner.config.name in self._cut and endpoint.options.curve is not None and not endpoint.options.connect

    def _close(self, owner: Publication, endpoint: Endpoint) -> None:
        owner.close_endpoint(endpoint, linger=not self._is_cut(owner, endpoint))

    def undo(self) -> None:
        """Brings back what was there before `open_new`.

        Raises:
            StartError: not all of it could be brought back; the rest was.
        """
        problems = []
        for publication, endpoint in self._opened:
            publication.close_endpoint(endpoint)
        for publication, options in self._closed_early:
            try:
                _open_freed(publication, options)
            except StartError as error:
                problems.append(str(error))
        if problems:
            raise StartError("; ".join([*problems, "it was open before this reload: stop and start event_zmq"]))

    def finish(self) -> list[str]:
        """Closes what is not wanted any more. Gives what was opened and closed, in words."""
        words = [f"{endpoint.address} opened" for _, endpoint in self._opened]
        for publication, old in self._old:
            self._close(publication, old)
            words.append(f"{old.address} closed")
        return words


def _open_freed(publication: Publication, options: EndpointOptions) -> Endpoint:
    """Opens an endpoint whose address one of ours had until just now: libzmq's I/O thread lets go of it a bit later."""
    deadline = time.monotonic() + 1.0
    while True:
        try:
            return publication.open_endpoint(options)
        except StartError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.01)
