"""`<api>` as a whole: its endpoints, and who may connect to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, Optional

import zmq

from freeswitch_zmq.module.access import Access
from freeswitch_zmq.module.api.counters import Counters
from freeswitch_zmq.module.api.desk import Desk
from freeswitch_zmq.module.api.endpoint import API_SEND_HWM, ApiEndpoint
from freeswitch_zmq.module.endpoint import EndpointOptions, NetworkEndpoint
from freeswitch_zmq.module.group import EndpointGroup
from freeswitch_zmq.module.keys import KeyRing
from freeswitch_zmq.module.rule import Rule
from freeswitch_zmq.module.schema import AccessConfig, ApiConfig, Settings

__all__ = ["Channel", "api_options"]


UNFINISHED_MESSAGES = 10
UNFINISHED_BYTES = 4_000_000
"""What a caller may have sent that is not a whole request, or has not been taken yet: so many messages of the largest
size, and so many bytes (some twenty thousand requests of usual size)."""


class Channel(EndpointGroup):
    """Opened and closed by `running.Running`.

    Args:
        desk: what its endpoints share.
        context: the module's.
        access: lets callers in.
        ring: the keys.
        on_error: called with an exception that was caught.

    Attributes:
        hold: whether endpoints that are opened now wait for `take_up` before they take requests: what is allowed until
            then was meant for others.
    """

    def __init__(
        self,
        desk: Desk,
        context: zmq.Context[zmq.Socket[bytes]],
        access: Access,
        ring: KeyRing,
        on_error: Callable[[BaseException], None],
    ) -> None:
        super().__init__("api", None, access, ring)
        self.desk = desk
        self._context = context
        self._on_error = on_error
        self._of_closed = Counters()
        self.hold = False

    @property
    def config(self) -> ApiConfig:
        """What stands in the file."""
        return self.desk.config

    def __str__(self) -> str:
        return "the API"

    def take_up(self, config: ApiConfig) -> None:
        """Other permissions, addresses and limits from now on."""
        self.desk.configure(config)
        self.hold = False
        for endpoint in self.endpoints:
            assert isinstance(endpoint, ApiEndpoint)
            endpoint.let_in(config.apply_inbound_acl)
            endpoint.release()

    def make_endpoint(self, options: EndpointOptions, rule: Optional[Rule]) -> ApiEndpoint:
        """See `EndpointGroup`."""
        if rule is not None:
            rule.unfinished_bytes = UNFINISHED_MESSAGES * options.max_message_bytes + UNFINISHED_BYTES
        endpoint = ApiEndpoint(self._context, options, self._access, rule, self.desk, self.refusals, self._on_error)
        endpoint.held = self.hold
        return endpoint

    def forget_endpoint(self, endpoint: NetworkEndpoint) -> None:
        """See `EndpointGroup`."""
        assert isinstance(endpoint, ApiEndpoint)
        counters, endpoint.counters = endpoint.counters, Counters()  # first, so that none counts twice
        self._of_closed.add(counters)

    def counted(self) -> dict[str, Any]:
        """What became of the requests, at all endpoints together."""
        total = Counters()
        total.add(self._of_closed)
        for endpoint in list(self.endpoints):
            assert isinstance(endpoint, ApiEndpoint)
            total.add(endpoint.counters)
        return total.as_dict()


def api_options(config: ApiConfig, settings: Settings, access: AccessConfig) -> Sequence[EndpointOptions]:
    """The endpoints that the API is to have."""
    return [
        EndpointOptions(
            address=address,
            connect=False,
            send_hwm=API_SEND_HWM,
            handshake_ms=config.handshake_ms,
            max_message_bytes=config.max_message_bytes,
            ipv6=settings.ipv6,
            acl=config.apply_inbound_acl if address.startswith("tcp://") else None,
            curve=access.server_keys if config.security == "curve" and not address.startswith("inproc://") else None,
            collector_key=None,
        )
        for address in config.bind
    ]
