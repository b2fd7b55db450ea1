"""`status` and `status json`: what the module is doing, from its counters."""

from __future__ import annotations

import time
from typing import Any

import ujson
import zmq

from freeswitch_zmq import __version__
from freeswitch_zmq.module.publication import Publication
from freeswitch_zmq.wire import PROTOCOL_VERSION

__all__ = ["as_json", "as_text", "publication_status"]


def publication_status(each: Publication) -> dict[str, Any]:
    """The counters of a publisher; at rest `accepted` = `published` + `skipped` + `shed`."""
    publisher = each.publisher
    return {
        "epoch": str(publisher.epoch),
        "endpoints": [endpoint.address for endpoint in each.endpoints if endpoint.alive],
        "accepted": publisher.accepted,
        "published": publisher.published,
        "skipped": publisher.skipped,
        "shed": publisher.shed,
        "queued": publisher.queued,
        "subscriptions": len(publisher.subscriptions),
        "refused": each.rule.refused,
        "rate": round(each.rate, 1),
    }


def head(state: str, started: float, core_uuid: str, threaded_system_exec: bool, errors: int) -> dict[str, Any]:
    """The part that is there in every state.

    Args:
        state: `running`, `stopped`, `starting`, …
        started: `time.monotonic()` of the start, 0 when stopped.
        core_uuid: the switch's.
        threaded_system_exec: what FreeSWITCH says of it now.
        errors: unexpected exceptions that were caught.
    """
    return {
        "version": __version__,
        "protocol": PROTOCOL_VERSION,
        "state": state,
        "uptime_seconds": round(time.monotonic() - started, 1) if started else 0,
        "core_uuid": core_uuid,
        "threaded_system_exec": threaded_system_exec,
        "errors": errors,
        "libzmq": zmq.zmq_version(),
        "pyzmq": zmq.__version__,
        "publishers": {},
    }


def as_json(status: dict[str, Any]) -> str:
    """One line of JSON."""
    text: str = ujson.dumps(status, ensure_ascii=False, escape_forward_slashes=False)
    return text


def as_text(status: dict[str, Any]) -> str:
    """For a person at the console."""
    lines = [
        f"event_zmq {status['version']} is {status['state']}"
        + (f", up {_span(status['uptime_seconds'])}" if status["uptime_seconds"] else ""),
        f"threaded-system-exec {'on' if status['threaded_system_exec'] else 'OFF: see docs/operations.md'}"
        f" | protocol {status['protocol']} | libzmq {status['libzmq']}, pyzmq {status['pyzmq']}"
        f" | unexpected errors {status['errors']}",
    ]
    for name, each in status["publishers"].items():
        lines += [
            "",
            f"publisher {name}: {_count(each['subscriptions'], 'subscription')}, {each['rate']:g} events/s",
        ]
        lines += [f"  at        {endpoint}" for endpoint in each["endpoints"]]
        lines += [
            f"  {key:<9} {each[key]}" for key in ("accepted", "published", "skipped", "shed", "queued", "refused")
        ]
    if status["state"] == "stopped":
        lines.append("start it with: pyrun event_zmq")
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _span(seconds: float) -> str:
    """`3d 04:05:06`."""
    rest = int(seconds)
    parts: list[str] = []
    days, rest = divmod(rest, 86400)
    if days:
        parts.append(f"{days}d")
    parts.append(f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}")
    return " ".join(parts)
