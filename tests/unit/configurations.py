"""Texts of event_zmq.conf.xml for the tests."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import quoteattr

from freeswitch_zmq.module.config import Config, PublisherConfig, parse_config


def param(name: str, value: str) -> str:
    return f"<param name={quoteattr(name)} value={quoteattr(value)}/>"


def publisher(*params: str, name: str = "default") -> str:
    return f'<publisher name="{name}">{"".join(params)}</publisher>'


def configuration(*publishers: str, settings: str = "") -> str:
    return (
        '<configuration name="event_zmq.conf" description="Events over ZeroMQ">'
        f"<settings>{settings}</settings><publishers>{''.join(publishers)}</publishers></configuration>"
    )


def local(**params: Any) -> tuple[str, ...]:
    """The params of a publisher on any free port of 127.0.0.1; `_` in a name stands for `-`, a list for several."""
    params = {"bind": "tcp://127.0.0.1:*", "handshake_ms": 500, **params}
    return tuple(
        param(name.replace("_", "-"), str(value))
        for name, values in params.items()
        for value in (values if isinstance(values, list) else [values])
    )


def config(*publishers: str) -> Config:
    return parse_config(configuration(*publishers))


def publisher_config(**params: Any) -> PublisherConfig:
    """That of one publisher "default"; see `local`."""
    return config(publisher(*local(**params))).publishers[0]
