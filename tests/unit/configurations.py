"""Texts of event_zmq.conf.xml for the tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from freeswitch_zmq.module.config import parse_config
from freeswitch_zmq.module.schema import ApiConfig, Config, PublisherConfig

QUICK_TO_REFUSE = 300
"""A handshake-ms after which libzmq ends a connection that was refused, and the peer comes again."""


def param(name: str, value: str) -> str:
    return f"<param name={quoteattr(name)} value={quoteattr(value)}/>"


def publisher(*params: str, name: str = "default") -> str:
    return f'<publisher name="{name}">{"".join(params)}</publisher>'


def api(*params: str) -> str:
    return f"<api>{''.join(params)}</api>"


def configuration(*publishers: str, settings: str = "", access: str = "", api: str = "") -> str:
    """A whole one; `access` and `api` are elements, if it has them."""
    return (
        '<configuration name="event_zmq.conf" description="Events over ZeroMQ">'
        f"<settings>{settings}</settings><publishers>{''.join(publishers)}</publishers>{api}{access}</configuration>"
    )


def local(**params: Any) -> tuple[str, ...]:
    """The params of a publisher, or of the API, on any free port of 127.0.0.1.

    `_` in a name stands for `-`, a list for several. Peers have much time for their handshakes, because a test's own
    peers may be stopped in the middle of one; where those that are refused are to come back by themselves
    (`QUICK_TO_REFUSE`), they must be libzmq's, which try again.
    """
    params = {"bind": "tcp://127.0.0.1:*", "handshake_ms": 30_000, **params}
    return tuple(
        param(name.replace("_", "-"), str(value))
        for name, values in params.items()
        for value in (values if isinstance(values, list) else [values])
    )


def config(*publishers: str, access: str = "", api: str = "", acl_lists: Sequence[str] = ()) -> Config:
    """What they mean to a switch whose acl.conf.xml has those lists."""
    return parse_config(configuration(*publishers, access=access, api=api), lambda: acl_lists)


def publisher_config(**params: Any) -> PublisherConfig:
    """That of one publisher "default"; see `local`."""
    return config(publisher(*local(**params))).publishers[0]


def api_config(**params: Any) -> ApiConfig:
    """That of an API; see `local`."""
    found = config(publisher(), api=api(*local(**params))).api
    assert found is not None
    return found
