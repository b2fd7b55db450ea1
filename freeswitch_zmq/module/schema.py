"""What may stand in event_zmq.conf.xml: a table of parameters for each section, and what comes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Optional

from freeswitch_zmq.certificate import KeyPair, parse_public_key, read_secret_certificate
from freeswitch_zmq.dialplan_answer import HARMLESS_APPLICATIONS
from freeswitch_zmq.module.addresses import AddressList
from freeswitch_zmq.module.filters import EventFilter, FieldFilter, HeaderFilter
from freeswitch_zmq.module.parameters import (
    Parameter,
    boolean,
    checked,
    choice,
    endpoint,
    names,
    sections,
    whole_number,
)
from freeswitch_zmq.permissions import parse_permissions
from freeswitch_zmq.wire import TopicFormat

__all__ = [
    "ACCESS",
    "API",
    "CALLOUT",
    "DEFAULT_API_BIND",
    "DEFAULT_BIND",
    "PUBLISHER",
    "SETTINGS",
    "XML_BINDING",
    "AccessConfig",
    "ApiConfig",
    "CalloutConfig",
    "Config",
    "KeyConfig",
    "PublisherConfig",
    "Settings",
    "XmlBindingConfig",
]

DEFAULT_BIND = "tcp://*:5556"
DEFAULT_API_BIND = "tcp://127.0.0.1:5557"

SETTINGS = (
    Parameter(
        "threaded-system-exec",
        choice("enforce", "require"),
        "enforce",
        "enforce: switch it on when it is off and keep it on; require: refuse to start when it is off",
    ),
    Parameter("io-threads", whole_number(1, 16), "1", "I/O threads of the ZeroMQ context; taken up at a start"),
    Parameter("ipv6", boolean, "false", "listen on IPv6 as well"),
)

_SECURITY = Parameter("security", choice("null", "curve"), "null", "null: let in by address; curve: by key and address")
_LIMITS = (
    Parameter("handshake-ms", whole_number(1, 600_000), "2000", "time for a peer to say who it is"),
    Parameter("max-message-bytes", whole_number(1, 2**31 - 1), "65536", "largest message that a peer may send us"),
)


def _acl(verb: str) -> Parameter:
    return Parameter(
        "apply-inbound-acl",
        checked(AddressList),
        "loopback.auto",
        f"who may {verb} over tcp: a list of acl.conf.xml or a network (192.0.2.0/24); one that matches is enough",
        repeatable=True,
    )


PUBLISHER = (
    Parameter("bind", endpoint("bind"), None, "where to listen: tcp, ipc, inproc, tipc", repeatable=True),
    Parameter(
        "connect",
        endpoint("connect"),
        None,
        "a collector to go to, or epgm and norm multicast",
        repeatable=True,
    ),
    Parameter("framing", choice("single", "topic"), "single", "single: [JSON]; topic: [topic][JSON]"),
    Parameter(
        "format-fields",
        checked(TopicFormat),
        "Event-Name,Event-Subclass,Unique-ID",
        "headers that make up the topic, joined with a dot; A|B: the first there is; #text: a literal",
    ),
    Parameter("event-filter", checked(EventFilter), "ALL", "events to take: names with * and ?, CUSTOM^subclass"),
    Parameter("event-exclude", checked(EventFilter), "", "events to leave out, in the same form; wins"),
    Parameter(
        "header-filter",
        checked(HeaderFilter),
        None,
        "Header = value, != value, ~ regex or !~ regex; all must hold",
        repeatable=True,
    ),
    Parameter("fields", checked(FieldFilter), None, "header names to keep, with * and ?; without it all of them"),
    Parameter(
        "queue-size",
        whole_number(1, 10_000_000),
        "100000",
        "events waiting in the switch before some are shed",
    ),
    Parameter("send-hwm", whole_number(1, 10_000_000), "100000", "events waiting for one slow subscriber"),
    Parameter(
        "replay-mb",
        whole_number(0, 1_000_000),
        "0",
        "megabytes (of 1,000,000 bytes) of the newest events held for replay; 0 holds nothing",
    ),
    Parameter("replay-events", whole_number(1, 100_000_000), "1000000", "events held for replay at most"),
    _acl("subscribe"),
    _SECURITY,
    Parameter(
        "server-public-key", parse_public_key, None, "with connect: the key that the collector must have; we use ours"
    ),
    *_LIMITS,
)

API = (
    Parameter("bind", endpoint("bind"), DEFAULT_API_BIND, "where to listen: tcp, ipc, inproc, tipc", repeatable=True),
    _acl("connect"),
    _SECURITY,
    Parameter(
        "allow",
        parse_permissions,
        "ping, status, replay:*, api:status, api:version, api:uptime, api:show *",
        "what callers without a key may do; comma-separated or repeated",
        repeatable=True,
    ),
    Parameter(
        "deny",
        partial(parse_permissions, deny=True),
        None,
        "what nobody may do, callers with a key neither; in the same form",
        repeatable=True,
    ),
    Parameter("max-pending", whole_number(1, 100_000), "1000", "commands that run at the same time"),
    Parameter("timeout-ms", whole_number(1, 86_400_000), "10000", "time for a command whose caller names none"),
    *_LIMITS,
)

ACCESS = (
    Parameter(
        "server-secret-key-file",
        read_secret_certificate,
        None,
        "the switch's own key, a .key_secret file that only FreeSWITCH's user can read",
    ),
)


_ENDPOINT = Parameter(
    "endpoint",
    endpoint("ask"),
    None,
    "where the service listens, tried in order: tcp, ipc, inproc, tipc",
    repeatable=True,
)
_SERVICE_KEY = Parameter(
    "server-public-key", parse_public_key, None, "the key that the service must have; we use ours, and all is encrypted"
)

CALLOUT = (
    _ENDPOINT,
    Parameter(
        "timeout-ms", whole_number(1, 600_000), "2000", "time for one answer, all endpoints that are tried included"
    ),
    Parameter("max-turns", whole_number(1, 1_000_000), "100", "how often a service is asked in one conversation"),
    Parameter("variables", names, None, "channel variables to send, with * and ?; without it none", repeatable=True),
    Parameter(
        "allow-applications",
        names,
        ", ".join(HARMLESS_APPLICATIONS),
        "applications that the service may run, with * and ?, comma-separated or repeated",
        repeatable=True,
    ),
    Parameter("allow-variables", names, "*", "variables that the service may set, in the same form", repeatable=True),
    Parameter("allow-expressions", boolean, "false", "whether ${…} may stand in arguments and values"),
    Parameter("max-message-bytes", whole_number(1, 2**31 - 1), "1048576", "bytes of the largest answer"),
    _SERVICE_KEY,
)

XML_BINDING = (
    Parameter("bindings", sections, None, "what it answers: directory, dialplan, configuration, … joined with |"),
    _ENDPOINT,
    Parameter(
        "timeout-ms", whole_number(1, 600_000), "1000", "time for one answer, all endpoints that are tried included"
    ),
    Parameter("response-max-bytes", whole_number(1, 2**30), "1048576", "bytes of the largest document"),
    Parameter("cache-ttl-ms", whole_number(0, 2**31), "0", "how long an answer is used again; 0: not at all"),
    Parameter("cache-stale-ms", whole_number(0, 2**40), "0", "how much longer while the service does not answer"),
    Parameter(
        "circuit-breaker-ms",
        whole_number(0, 600_000),
        "10000",
        "how long an endpoint is left alone that did not answer in time; 0: not at all",
    ),
    _SERVICE_KEY,
)


@dataclass(frozen=True)
class Settings:
    """`<settings>`; see the table above for what each means."""

    threaded_system_exec: str
    io_threads: int
    ipv6: bool


@dataclass(frozen=True)
class PublisherConfig:
    """A `<publisher>`; see the table above for what each means. Filters and formats are texts that were checked."""

    name: str
    bind: tuple[str, ...]
    connect: tuple[str, ...]
    framing: str
    format_fields: str
    event_filter: str
    event_exclude: str
    header_filter: tuple[str, ...]
    fields: str
    queue_size: int
    send_hwm: int
    replay_mb: int
    replay_events: int
    apply_inbound_acl: tuple[str, ...]
    security: str
    server_public_key: Optional[bytes]
    handshake_ms: int
    max_message_bytes: int


@dataclass(frozen=True)
class ApiConfig:
    """`<api>`; see the table above for what each means. `allow` and `deny` are single permissions."""

    bind: tuple[str, ...]
    apply_inbound_acl: tuple[str, ...]
    security: str
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    max_pending: int
    timeout_ms: int
    handshake_ms: int
    max_message_bytes: int


@dataclass(frozen=True)
class CalloutConfig:
    """A `<callout>`; see the table above for what each means. Names and patterns come one by one."""

    name: str
    endpoint: tuple[str, ...]
    timeout_ms: int
    max_turns: int
    variables: tuple[str, ...]
    allow_applications: tuple[str, ...]
    allow_variables: tuple[str, ...]
    allow_expressions: bool
    max_message_bytes: int
    server_public_key: Optional[bytes]


@dataclass(frozen=True)
class XmlBindingConfig:
    """A `<binding>`; see the table above for what each means. `bindings` are names of sections."""

    name: str
    bindings: tuple[str, ...]
    endpoint: tuple[str, ...]
    timeout_ms: int
    response_max_bytes: int
    cache_ttl_ms: int
    cache_stale_ms: int
    circuit_breaker_ms: int
    server_public_key: Optional[bytes]


@dataclass(frozen=True)
class KeyConfig:
    """A `<key>`: a peer that is known by its public key (32 bytes), and what it may do."""

    name: str
    public_key: bytes
    publishers: tuple[str, ...]
    allow: tuple[str, ...]


@dataclass(frozen=True)
class AccessConfig:
    """`<access>`. `server_keys` is the switch's own pair, None where no file is named."""

    server_keys: Optional[KeyPair] = None
    keys: tuple[KeyConfig, ...] = ()


@dataclass(frozen=True)
class Config:
    """A whole configuration without a mistake."""

    settings: Settings
    publishers: tuple[PublisherConfig, ...]
    access: AccessConfig = field(default_factory=AccessConfig)
    api: Optional[ApiConfig] = None
    callouts: tuple[CalloutConfig, ...] = ()
    xml_bindings: tuple[XmlBindingConfig, ...] = ()
