"""The endpoints that serve one thing, a publisher or the API, and who may connect to them."""

from __future__ import annotations

import secrets
from typing import Optional

from freeswitch_zmq.module.access import Access
from freeswitch_zmq.module.endpoint import EndpointOptions, NetworkEndpoint
from freeswitch_zmq.module.keys import KeyRing
from freeswitch_zmq.module.refusals import Refusals
from freeswitch_zmq.module.rule import Rule

__all__ = ["EndpointGroup"]

STOP_SECONDS = 1.0


class EndpointGroup:
    """Opened and closed by `running.Running`; a subclass says what an endpoint of its is.

    Args:
        name: for people.
        publisher: to which a key must have access at these endpoints; None: any known key will do.
        access: lets peers in.
        ring: the keys.

    Attributes:
        refusals: who was not let in.
    """

    def __init__(self, name: str, publisher: Optional[str], access: Access, ring: KeyRing) -> None:
        self.name = name
        self.refusals = Refusals()
        self.endpoints: list[NetworkEndpoint] = []
        self._publisher = publisher
        self._access = access
        self._ring = ring

    def make_endpoint(self, options: EndpointOptions, rule: Optional[Rule]) -> NetworkEndpoint:
        """One that is not started yet."""
        raise NotImplementedError

    def forget_endpoint(self, endpoint: NetworkEndpoint) -> None:
        """It is gone, or never came to be."""

    def open_endpoint(self, options: EndpointOptions) -> NetworkEndpoint:
        """Opens one, which works from now on.

        Raises:
            StartError: it can't be bound or connected.
        """
        rule = self._make_rule(options) if options.guarded or options.connects_by_handshake else None
        endpoint = self.make_endpoint(options, rule)
        try:
            endpoint.start()
        except BaseException:
            self._forget(endpoint)
            raise
        self.endpoints.append(endpoint)
        return endpoint

    def _make_rule(self, options: EndpointOptions) -> Rule:
        domain = f"{self.name}-{secrets.token_hex(8)}"
        rule = Rule(
            self._publisher,
            options.address,
            options.acl,
            options.curve is not None,
            self._ring,
            self.refusals,
            domain,
        )
        rule.patience = options.handshake_ms / 1000
        if options.guarded:
            self._access.rules[domain] = rule  # before the first peer can come
        return rule

    def close_endpoint(self, endpoint: NetworkEndpoint, linger: bool = True) -> bool:
        """Closes one. Whether its thread is gone.

        Args:
            endpoint: one of ours.
            linger: whether what was handed to it still goes out, within `endpoint.LINGER_MS`.
        """
        if endpoint.rule is not None:
            self._access.rules.pop(endpoint.rule.domain, None)  # nobody comes in any more
        if not linger:
            endpoint.linger_ms = 0
        try:
            # One whose peers keep it busy hears of it only when they are gone.
            gone = endpoint.stop(STOP_SECONDS)
            if not gone:
                endpoint.end_connections()
                gone = endpoint.stop()
        finally:
            self._forget(endpoint)
        if gone:
            self.endpoints = [other for other in self.endpoints if other is not endpoint]
        return gone

    def _forget(self, endpoint: NetworkEndpoint) -> None:
        if endpoint.rule is not None:
            self._access.rules.pop(endpoint.rule.domain, None)
        self.forget_endpoint(endpoint)
