"""`status` and `status json`: what the module is doing, from its counters."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Optional

import ujson
import zmq

from freeswitch_zmq import __version__
from freeswitch_zmq.module.api.channel import Channel
from freeswitch_zmq.module.group import EndpointGroup
from freeswitch_zmq.module.keys import KeyRing, LetIn
from freeswitch_zmq.module.publication import Publication
from freeswitch_zmq.module.ring import Ring
from freeswitch_zmq.module.schema import AccessConfig
from freeswitch_zmq.wire import PROTOCOL_VERSION

__all__ = ["api_status", "as_json", "as_text", "head", "key_status", "publication_status"]


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
        "subscriptions": publisher.subscriptions,
        "refused": each.refusals.count,
        "rate": round(each.rate, 1),
        "security": each.config.security,
        "connections": sum(endpoint.rule.connections for endpoint in each.endpoints if endpoint.rule is not None),
        "replay": _replay(publisher.ring),
        "refusals": _refusals(each),
    }


def api_status(channel: Channel) -> dict[str, Any]:
    """The counters of the API; at rest `requests` = `succeeded` + `errors`."""
    return {
        "endpoints": [endpoint.address for endpoint in channel.endpoints if endpoint.alive],
        **channel.counted(),
        "refused": channel.refusals.count,
        "pending": channel.desk.pending,
        "security": channel.config.security,
        "connections": sum(endpoint.rule.connections for endpoint in channel.endpoints if endpoint.rule is not None),
        "refusals": _refusals(channel),
    }


def _refusals(group: EndpointGroup) -> list[dict[str, Any]]:
    return [
        {
            "endpoint": endpoint,
            "reason": reason,
            "count": refusal.count,
            "latest_address": refusal.address,
            "latest_key": refusal.key,
        }
        for (endpoint, reason), refusal in sorted(group.refusals.by_reason.items(), key=lambda item: item[0])
        if refusal.count
    ]


def _replay(ring: Optional[Ring]) -> Optional[dict[str, int]]:
    if ring is None:
        return None
    return {"held": ring.count, "bytes": ring.bytes, "oldest": ring.oldest, "newest": ring.newest}


def key_status(ring: KeyRing, access: AccessConfig) -> dict[str, Any]:
    """Who is known by a key, and when each was last let in."""
    return {
        key.name: {
            "publishers": list(key.publishers),
            "let_in": record.count,
            "last_let_in": _when(record.at),
            "last_address": record.address,
        }
        for key in access.keys
        for record in [ring.let_in.get(key.name, LetIn())]
    }


def _when(seconds: float) -> str:
    """In UTC, as ISO 8601 has it; empty when it never was."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else ""


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
        "keys": {},
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
        lines += [f"  at          {endpoint}" for endpoint in each["endpoints"]]
        lines += [
            f"  {key:<11} {each[key]}"
            for key in ("accepted", "published", "skipped", "shed", "queued", "connections", "refused")
        ]
        lines += [f"    {_refusal(refusal)}" for refusal in each["refusals"]]
        if each["replay"] is not None:
            lines.append(f"  replay      {_held(each['replay'])}")
    if "api" in status:
        lines += _api(status["api"])
    for name, each in status.get("callouts", {}).items():
        lines += _service(f"callout {name}", each, ("requests", "succeeded", "errors", "abandoned", "pending"))
    for name, each in status.get("xml_bindings", {}).items():
        counters = ("lookups", "cached", "found", "not_found", "stale", "failed", "pending")
        lines += _service(f"binding {name}", each, counters)
        cache = each["cache"]
        lines.append(f"  {'cache':<13} {_count(cache['entries'], 'document')} ({cache['bytes'] / 1_000_000:.1f} MB)")
    if status["keys"]:
        lines += ["", "keys:"]
        lines += [f"  {name}: {_key(key)}" for name, key in status["keys"].items()]
    if status["state"] == "stopped":
        lines.append("start it with: pyrun event_zmq")
    return "\n".join(lines)


def _api(each: dict[str, Any]) -> list[str]:
    lines = ["", f"api: {_count(each['pending'], 'command')} running"]
    lines += [f"  at            {endpoint}" for endpoint in each["endpoints"]]
    lines += [
        f"  {key:<13} {each[key]}"
        for key in ("requests", "succeeded", "errors", "late", "undelivered", "connections", "refused")
    ]
    return lines + [f"    {_refusal(refusal)}" for refusal in each["refusals"]]


def _service(title: str, each: dict[str, Any], counters: Sequence[str]) -> list[str]:
    lines = ["", f"{title}:"]
    for connection in each["connections"]:
        state = "is there" if connection["connected"] else "nobody is there"
        alone = ", left alone because it did not answer" if connection["left_alone"] else ""
        lines.append(f"  {'asks':<13} {connection['endpoint']}: {state}{alone}")
    lines += [f"  {key.replace('_', ' '):<13} {each[key]}" for key in counters]
    return lines + [f"    {count} {status}" for status, count in sorted(each["errors_by_status"].items())]


def _held(replay: dict[str, int]) -> str:
    if not replay["held"]:
        return "nothing is held yet"
    size = f"{replay['bytes'] / 1_000_000:.1f} MB"
    return f"{_count(replay['held'], 'event')} ({size}), from {replay['oldest']} to {replay['newest']}"


def _refusal(refusal: dict[str, Any]) -> str:
    latest = f", the latest from {refusal['latest_address']}" if refusal["latest_address"] else ""
    latest += f" with the key {refusal['latest_key']}" if refusal["latest_key"] else ""
    return f"{refusal['count']} for {refusal['reason']} at {refusal['endpoint']}{latest}"


def _key(key: dict[str, Any]) -> str:
    publishers = ", ".join(key["publishers"]) or "no publisher"
    if not key["let_in"]:
        return f"{publishers}; never let in"
    times = _count(key["let_in"], "time")
    return f"{publishers}; let in {times}, last at {key['last_let_in']} from {key['last_address'] or 'this machine'}"


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
