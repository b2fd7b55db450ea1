"""A `<publisher>` as a whole: its half in the pump, its endpoints, and who may connect to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, Optional

from freeswitch_zmq.module.access import Access
from freeswitch_zmq.module.addresses import AddressList
from freeswitch_zmq.module.endpoint import EndpointOptions, NetworkEndpoint
from freeswitch_zmq.module.group import EndpointGroup
from freeswitch_zmq.module.keys import KeyRing
from freeswitch_zmq.module.link import Context
from freeswitch_zmq.module.proxy import Endpoint
from freeswitch_zmq.module.publisher import Publisher
from freeswitch_zmq.module.rule import Rule
from freeswitch_zmq.module.schema import AccessConfig, PublisherConfig, Settings

__all__ = ["Publication", "endpoint_options", "open_to_others"]

_LOOPBACK_HOSTS = ("tcp://127.", "tcp://[::1]:", "tcp://localhost:", "tcp://lo:")


class Publication(EndpointGroup):
    """See above.

    Args:
        config: what stands in the file.
        context: the module's.
        access: lets peers in.
        ring: the keys.
        in_pump: runs a function in the pump's thread.
        on_error: called with what ended a proxy thread.
    """

    def __init__(
        self,
        config: PublisherConfig,
        context: Context,
        access: Access,
        ring: KeyRing,
        in_pump: Callable[[Callable[[], Any]], Any],
        on_error: Callable[[BaseException], None],
    ) -> None:
        super().__init__(config.name, config.name, access, ring)
        self.config = config
        self.rate = 0.0
        self.rated = 0
        self.publisher = Publisher(config, context)
        self._context = context
        self._in_pump = in_pump
        self._on_error = on_error

    def __str__(self) -> str:
        return f'publisher "{self.name}"'

    def make_endpoint(self, options: EndpointOptions, rule: Optional[Rule]) -> Endpoint:
        """See `EndpointGroup`."""
        link = self._in_pump(self.publisher.open_link)
        endpoint = Endpoint(self._context, link, options, self._access, rule, self._on_error)
        link.on_overrun = endpoint.trip
        return endpoint

    def forget_endpoint(self, endpoint: NetworkEndpoint) -> None:
        """See `EndpointGroup`."""
        assert isinstance(endpoint, Endpoint)
        self._in_pump(lambda: self.publisher.close_link(endpoint.link))

    def configure(self, config: PublisherConfig) -> None:
        """In the pump's thread: takes up what needs no other sockets."""
        self.publisher.configure(config)
        self.config = config


def endpoint_options(config: PublisherConfig, settings: Settings, access: AccessConfig) -> Sequence[EndpointOptions]:
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
            acl=config.apply_inbound_acl if address.startswith("tcp://") and not connect else None,
            curve=access.server_keys if _is_encrypted(config, address, connect) else None,
            collector_key=config.server_public_key if connect else None,
        )
        for connect, addresses in ((False, config.bind), (True, config.connect))
        for address in addresses
    ]


def _is_encrypted(config: PublisherConfig, address: str, connect: bool) -> bool:
    if address.startswith("inproc://"):
        return False
    return config.server_public_key is not None if connect else config.security == "curve"


def open_to_others(options: EndpointOptions) -> Optional[str]:
    """What lets other machines in at an endpoint without keys, or None."""
    if options.acl is None or options.curve is not None or options.address.startswith(_LOOPBACK_HOSTS):
        return None
    return next((text for text in options.acl if not AddressList(text).only_loopback), None)
