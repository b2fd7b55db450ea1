"""Everything that is open while the module runs: opened in one order, changed at a reload, closed in reverse."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Callable

import zmq

from freeswitch_zmq.module import host
from freeswitch_zmq.module.access import Access
from freeswitch_zmq.module.api.channel import Channel, api_options
from freeswitch_zmq.module.api.desk import Desk
from freeswitch_zmq.module.change import EndpointChange, Wanted
from freeswitch_zmq.module.commands import Commands
from freeswitch_zmq.module.endpoint import EndpointOptions, NetworkEndpoint
from freeswitch_zmq.module.events import Pump
from freeswitch_zmq.module.faults import Faults
from freeswitch_zmq.module.group import EndpointGroup
from freeswitch_zmq.module.keys import KeyRing, narrowed
from freeswitch_zmq.module.publication import Publication, endpoint_options, open_to_others
from freeswitch_zmq.module.publisher import Publisher
from freeswitch_zmq.module.schema import ApiConfig, CalloutConfig, Config, PublisherConfig, XmlBindingConfig
from freeswitch_zmq.module.services import Services, ServicesChange
from freeswitch_zmq.module.worker import Worker, start_thread

__all__ = ["Running"]

_TERM_SECONDS = 1.0


class Running:
    """The pump and the commands are there from the beginning, the rest once `open` has a configuration.

    Args:
        faults: where unexpected exceptions go.
        on_shutdown: called when the switch's SHUTDOWN has gone out.
        commands: runs API commands.
        status: gives what `status json` prints.

    Attributes:
        publications: by name.
        api: the API, None where none is configured.
        ring: the keys of peers.
    """

    def __init__(
        self,
        faults: Faults,
        on_shutdown: Callable[[], None],
        commands: Commands,
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self.commands = commands
        self.publications: dict[str, Publication] = {}
        self.api: Channel | None = None
        self._status = status
        self.pump = Pump(self.commands, on_shutdown, lambda error: faults.caught("the event pump", error))
        self.services = Services(commands, faults.caught)
        self.pump.listeners = self.services.listeners()
        self._faults = faults
        self._workers: list[Worker] = []

    def start_pump(self) -> None:
        """Events are taken from now on, and commands can be run."""
        self._start(self.pump)

    def open(self, config: Config) -> None:
        """Opens what the configuration says.

        Raises:
            StartError: something can't be opened. Call `close` then.
        """
        self.config = config
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(config.settings.io_threads)
        self.ring = KeyRing(config.access.keys)
        self._access = Access(self.context, self.commands, lambda error: self._faults.caught("access control", error))
        self._start(self._access)
        self._add_publications([each.name for each in config.publishers], config)
        for publisher in config.publishers:
            for options in endpoint_options(publisher, config.settings, config.access):
                self.publications[publisher.name].open_endpoint(options)
        self.pump.call(lambda: self.pump.attach(*[each.publisher for each in self.publications.values()]))
        if config.api is not None:
            self.api = self._make_channel(config.api)
            for options in api_options(config.api, config.settings, config.access):
                self.api.open_endpoint(options)
        self.services.open(config, self.context)

    def _make_channel(self, config: ApiConfig) -> Channel:
        core_uuid = self.commands.instant("global_getvar core_uuid").strip()
        desk = Desk(config, self.commands, self.ring, self.publications, self._status, core_uuid)
        return Channel(desk, self.context, self._access, self.ring, partial(self._faults.caught, "the API"))

    @property
    def groups(self) -> dict[str, EndpointGroup]:
        """All that has endpoints, by what to call it."""
        groups: dict[str, EndpointGroup] = {str(each): each for each in list(self.publications.values())}
        if self.api is not None:
            groups[str(self.api)] = self.api
        return groups

    def _start(self, worker: Worker) -> None:
        self._workers.append(worker)
        worker.start()

    def _add_publications(self, names: Sequence[str], config: Config) -> None:
        for each in config.publishers:
            if each.name in names:
                self.publications[each.name] = Publication(
                    each,
                    self.context,
                    self._access,
                    self.ring,
                    self.pump.call,
                    partial(self._faults.caught, f'publisher "{each.name}"'),
                )

    def reload(self, config: Config) -> list[str]:
        """Goes over to another configuration; what is the same in both is not touched.

        Returns:
            What changed, in words.

        Raises:
            StartError: something new can't be opened. The old configuration is in force as before.
        """
        added = [each.name for each in config.publishers if each.name not in self.publications]
        old = self.config.access.keys
        cut = _cut_off(self.config, config)
        # First out, then in: nobody comes in who may not in either configuration, however this ends.
        self.ring.configure(narrowed(old, config.access.keys))
        change: EndpointChange | None = None
        services: ServicesChange | None = None
        api = self.api
        try:
            self._add_publications(added, config)
            if api is None and config.api is not None:
                api = self._make_channel(config.api)
            change = EndpointChange(
                [*self.publications.values(), *([api] if api is not None else [])],
                self._wanted(config, api),
                [self.publications[name] for name in cut],
            )
            services = self.services.prepare(config, self.context)
            if api is not None:
                api.hold = True
            change.open_new()
            self.pump.call(lambda: self._take_up(config, added))
            if api is not None and config.api is not None:
                api.take_up(config.api)
        except BaseException:
            self.ring.configure(old)
            if services is not None:
                services.undo()
            if api is not None:
                api.hold = False
            try:
                if change is not None:
                    change.undo()
            finally:
                for name in added:
                    self._remove_publication(name)
            raise
        services.take_up()
        self.ring.configure(config.access.keys)
        self.ring.forget_others()
        wanted = {each.name: each for each in config.publishers}
        removed = [name for name in self.publications if name not in wanted]
        changed = [each.name for each in self.config.publishers if wanted.get(each.name, each) != each]
        for name in removed:
            self._remove_publication(name)
        notes = [
            f'publisher "{name}" {what}'
            for names, what in ((added, "added"), (removed, "removed"), (changed, "changed"))
            for name in names
        ]
        notes += _api_notes(self.config, config)
        notes += _service_notes(self.config, config)
        notes += _key_notes(self.config, config)
        notes += change.finish()
        self.api = api if config.api is not None else None
        notes += [f"{what} counts from the next start on" for what in _later(self.config, config)]
        self.config = config
        return notes

    def _wanted(self, config: Config, api: Channel | None) -> Wanted:
        """The endpoints that a configuration asks for."""
        wanted: list[tuple[EndpointGroup, Sequence[EndpointOptions]]] = [
            (self.publications[each.name], endpoint_options(each, config.settings, config.access))
            for each in config.publishers
        ]
        if api is not None and config.api is not None:
            wanted.append((api, api_options(config.api, config.settings, config.access)))
        return wanted

    def _take_up(self, config: Config, added: list[str]) -> None:
        """In the pump's thread, between two events."""
        for publisher in config.publishers:
            publication = self.publications[publisher.name]
            if publisher.name in added:
                self.pump.attach(publication.publisher)
            elif publisher != publication.config:
                publication.configure(publisher)
            for endpoint in publication.endpoints:
                endpoint.let_in(publisher.apply_inbound_acl)

    def _remove_publication(self, name: str) -> None:
        publication = self.publications.pop(name, None)
        if publication is None:
            return
        self.pump.call(lambda: self.pump.detach(publication.publisher))
        for endpoint in list(publication.endpoints):
            publication.close_endpoint(endpoint)
        self.pump.call(publication.publisher.close)

    def reopen(self) -> list[str]:
        """Opens endpoints anew that ended because of what their subscribers sent, or that libzmq gave up.

        Returns:
            The addresses of the former.

        Raises:
            StartError: one can't be opened; it is tried again at the next call.
        """
        reopened = []
        for publication in self.publications.values():
            for endpoint in [each for each in publication.endpoints if each.given_up]:
                publication.open_endpoint(endpoint.options)
                publication.close_endpoint(endpoint)
            for endpoint in [each for each in publication.endpoints if each.tripped and not each.alive]:
                new = publication.open_endpoint(replace(endpoint.options, address=endpoint.address))
                # The configuration's own words, by which a reload finds it.
                new.options = endpoint.options
                publication.close_endpoint(endpoint)
                reopened.append(endpoint.address)
        return reopened

    def warnings(self) -> list[str]:
        """A line about each endpoint that lets in other machines without asking for a key, and about keys in vain."""
        lines = []
        for group, every in self._wanted(self.config, self.api):
            for options in every:
                what = open_to_others(options)
                if what is not None:
                    lines.append(
                        f'{group} at {options.address} lets in whom apply-inbound-acl "{what}" has'
                        ' without key and encryption: on a network that others use too take security "curve" '
                        "(docs/security.md)"
                    )
        keys = [key.name for key in self.config.access.keys if key.allow]
        if keys and (self.config.api is None or self.config.api.security != "curve"):
            why = "there is no <api>" if self.config.api is None else '<api> knows keys only with security "curve"'
            lines.append(f"the allow of a <key> ({', '.join(keys)}) has no effect: {why}")
        return lines

    def dead_or_stuck(self, stuck: bool) -> list[Worker]:
        """The threads that should be there and are not, or that should be gone (`stuck`) and are there."""
        endpoints = [endpoint for each in self.groups.values() for endpoint in each.endpoints]
        return [worker for worker in [*self._workers, *endpoints, *self.services.workers] if worker.alive is stuck]

    def close(self) -> None:
        """Closes everything, within about two seconds, whatever state it is in."""
        problems = []
        # First the API: who waits for an answer is told, and nobody gives another command.
        for step in (
            self.services.ask_to_stop,
            self._stop_api,
            self.services.close,
            self.commands.close,
            self._detach_all,
            self._stop_endpoints,
            self._stop_workers,
            self._term,
        ):
            try:
                step()
            except Exception as error:  # noqa: BLE001   # the other steps must be taken all the same
                problems.append(error)
        for problem in problems:
            self._faults.caught("stopping", problem)

    def _stop_api(self) -> None:
        if self.api is not None:
            _stop(self.api.endpoints)

    def _detach_all(self) -> None:
        if self.pump.alive:
            publishers = [each.publisher for each in self.publications.values()]
            self.pump.call(lambda: self.pump.detach(*publishers))

    def _stop_endpoints(self) -> None:
        _stop([endpoint for each in self.publications.values() for endpoint in each.endpoints])
        if self.pump.alive:
            publishers = [each.publisher for each in self.publications.values()]
            self.pump.call(lambda: _close(publishers))

    def _stop_workers(self) -> None:
        for worker in reversed(self._workers):
            if not worker.stop():
                host.log("ERR", f"the thread {worker.name} did not end; please report this")

    def _term(self) -> None:
        context = getattr(self, "context", None)
        if context is None:
            return
        # Waits for the last bytes to subscribers, and for sockets that other scripts have in this context.
        thread = threading.Thread(target=context.term, name="event_zmq term", daemon=True)
        start_thread(thread)
        thread.join(_TERM_SECONDS)
        if thread.is_alive() and not self.dead_or_stuck(stuck=True):
            host.log(
                "WARNING",
                "another script still has a socket of event_zmq's ZeroMQ context open; it should close it when it "
                'gets ContextTerminated (docs/operations.md, "inproc")',
            )


def _stop(endpoints: Sequence[NetworkEndpoint]) -> None:
    """All at the same time."""
    for endpoint in endpoints:
        try:
            endpoint.ask_to_stop()
        except Exception as error:  # noqa: BLE001  # the others must end all the same
            endpoint.on_error(error)
    for endpoint in endpoints:
        if not endpoint.stop():
            host.log("ERR", f"the thread of {endpoint.name} did not end; please report this")


def _close(publishers: Sequence[Publisher]) -> None:
    for publisher in publishers:
        publisher.close()


def _may_subscribe(config: Config, publisher: PublisherConfig) -> set[bytes]:
    """The keys that may subscribe to it."""
    return {key.public_key for key in config.access.keys if publisher.name in key.publishers}


def _cut_off(old: Config, new: Config) -> set[str]:
    """Publishers to which somebody may subscribe in the old configuration and not in the new one."""
    return {each.name for each in old.publishers if _may_subscribe(old, each) - _may_subscribe(new, each)}


def _api_notes(old: Config, new: Config) -> list[str]:
    """What changed about the API, in words."""
    if old.api == new.api:
        return []
    return [f"api {'added' if old.api is None else 'removed' if new.api is None else 'changed'}"]


def _service_notes(old: Config, new: Config) -> list[str]:
    """What changed about call-outs and bindings, in words."""
    notes = []
    for kind, before, after in (
        ("callout", _by_name(old.callouts), _by_name(new.callouts)),
        ("binding", _by_name(old.xml_bindings), _by_name(new.xml_bindings)),
    ):
        notes += [f'{kind} "{name}" added' for name in after if name not in before]
        notes += [f'{kind} "{name}" removed' for name in before if name not in after]
        notes += [f'{kind} "{name}" changed' for name in after if name in before and after[name] != before[name]]
    return notes


def _by_name(configs: Sequence[CalloutConfig] | Sequence[XmlBindingConfig]) -> dict[str, object]:
    return {each.name: each for each in configs}


def _key_notes(old: Config, new: Config) -> list[str]:
    """What changed about keys, in words."""
    before, after = ({key.name: key for key in config.access.keys} for config in (old, new))
    notes = [
        f'key "{name}" {"changed" if name in before else "added"}' for name in after if after[name] != before.get(name)
    ]
    notes += [f'key "{name}" removed' for name in before if name not in after]
    if old.access.server_keys != new.access.server_keys:
        notes.append("the switch's own key changed")
    return notes


def _later(old: Config, new: Config) -> list[str]:
    """What a running socket or context can't take up."""
    words = [name for name in ("io_threads", "ipv6") if getattr(old.settings, name) != getattr(new.settings, name)]
    before = {each.name: each for each in old.publishers}
    for each in new.publishers:
        was = before.get(each.name, each)
        words += [
            f'{name} of publisher "{each.name}"'
            for name in ("handshake_ms", "max_message_bytes")
            if getattr(was, name) != getattr(each, name)
        ]
    if old.api is not None and new.api is not None:
        words += [
            f"{name} of the API"
            for name in ("handshake_ms", "max_message_bytes")
            if getattr(old.api, name) != getattr(new.api, name)
        ]
    return [word.replace("_", "-") for word in words]
