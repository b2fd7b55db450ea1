"""A `<publisher>` as a whole: its half in the pump, its endpoints, and who may connect to them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Callable

import zmq

from freeswitch_zmq.module.access import Rule
from freeswitch_zmq.module.config import PublisherConfig, Settings
from freeswitch_zmq.module.proxy import Endpoint, EndpointOptions
from freeswitch_zmq.module.publisher import Publisher

__all__ = ["Publication", "endpoint_options"]


class Publication:
    """Opened and closed by `running.Running`.

    Args:
        config: what stands in the file.
        context: the module's.
        on_error: called with what ended a proxy thread.
    """

    def __init__(
        self,
        config: PublisherConfig,
        context: zmq.Context[zmq.Socket[bytes]],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self.config = config
        self.rule = Rule(config.apply_inbound_acl)
        self.endpoints: list[Endpoint] = []
        self.rate = 0.0
        self.rated = 0
        self._context = context
        self._on_error = on_error
        self._inproc = f"inproc://event_zmq-publisher-{secrets.token_hex(8)}"
        self._publisher: Publisher | None = None

    @property
    def publisher(self) -> Publisher:
        """Its half in the pump."""
        assert self._publisher is not None
        return self._publisher

    def make_publisher(self) -> None:
        """In the pump's thread: opens the inproc socket."""
        self._publisher = Publisher(self.config, self._context, self._inproc)

    def close_publisher(self) -> None:
        """In the pump's thread: closes the inproc socket."""
        if self._publisher is not None:
            self._publisher.close()

    def open_endpoint(self, options: EndpointOptions) -> Endpoint:
        """Opens one, which gets events from now on.

        Raises:
            StartError: it can't be bound or connected.
        """
        endpoint = Endpoint(self._context, self._inproc, options, self._on_error)
        endpoint.start()
        self.endpoints.append(endpoint)
        return endpoint

    def close_endpoint(self, endpoint: Endpoint) -> bool:
        """Closes one; what was handed to it goes out within `proxy.LINGER_MS`. Whether its thread is gone."""
        self.endpoints = [other for other in self.endpoints if other is not endpoint]
        return endpoint.stop()


def endpoint_options(config: PublisherConfig, settings: Settings) -> Sequence[EndpointOptions]:
    """The endpoints that a publisher is to have."""
    return [
        EndpointOptions(
            address=address,
            connect=connect,
            send_hwm=config.send_hwm,
            handshake_ms=config.handshake_ms,
            max_message_bytes=config.max_message_bytes,
            ipv6=settings.ipv6,
            # ipc is guarded by file permissions, inproc is this process, and where we connect nobody comes in.
            zap_domain=config.name if address.startswith("tcp://") and not connect else "",
        )
        for connect, addresses in ((False, config.bind), (True, config.connect))
        for address in addresses
    ]
