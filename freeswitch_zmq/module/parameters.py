"""One parameter of the configuration: its name, how its text is read, its default, the line of help.

Readers take the text of a `value` attribute and give what it means, or raise ValueError with what would be right.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Any, Callable

import zmq

__all__ = [
    "SECTIONS",
    "Parameter",
    "boolean",
    "checked",
    "choice",
    "endpoint",
    "names",
    "sections",
    "tcp_clash",
    "whole_number",
]

SECTIONS = ("directory", "dialplan", "configuration", "languages", "chatplan")
"""What FreeSWITCH looks up."""

Reader = Callable[[str], Any]

_TRUE = ("true", "yes", "on", "1", "enabled", "t", "y")
_FALSE = ("false", "no", "off", "0", "disabled", "f", "n")
_TCP = re.compile(r"tcp://(?P<host>\[[^\]]+\]|[^:/\[\]]+):(?P<port>[0-9]{1,5}|\*)")
_MULTICAST = re.compile(r"(?:[0-9]{1,9},)?(?:(?P<interface>[^;,]+);)?(?P<group>[^:;]+):(?P<port>[0-9]{1,5})")
_BIND = ("tcp", "ipc", "inproc", "tipc")
_ASK = ("tcp", "ipc", "inproc", "tipc")
_CONNECT = ("tcp", "ipc", "inproc", "tipc", "epgm", "norm")
_CAPABILITY = {"epgm": "pgm", "norm": "norm", "tipc": "tipc", "ipc": "ipc"}


@dataclass(frozen=True)
class Parameter:
    """A `<param name="…" value="…"/>`.

    Attributes:
        name: as it stands in the file.
        read: text -> value; raises ValueError.
        default: as it would stand in the file; None: without the parameter there is nothing.
        help: one line for the admin.
        repeatable: it may stand there more than once; the value is a tuple then.
    """

    name: str
    read: Reader
    default: str | None
    help: str
    repeatable: bool = False

    @property
    def field(self) -> str:
        """Its name in Python."""
        return self.name.replace("-", "_")


def boolean(text: str) -> bool:
    """As FreeSWITCH takes them."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(f'"{text}" is neither true nor false')


def whole_number(least: int, most: int) -> Reader:
    """A number from `least` to `most`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or not least <= int(text) <= most:
            raise ValueError(f'"{text}" is not a whole number from {least} to {most}')
        return int(text)

    return read


def choice(*words: str) -> Reader:
    """One of the words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f'"{text}" is not one of: {", ".join(words)}')
        return text

    return read


def checked(make: Callable[[str], object]) -> Reader:
    """A text from which `make` can build something; it stays a text, so that configurations can be compared."""

    def read(text: str) -> str:
        make(text)
        return text

    return read


def endpoint(verb: str) -> Reader:
    """A ZeroMQ endpoint to `bind`, to `connect`, or to `ask`: to connect, and get answers from."""
    schemes = {"bind": _BIND, "connect": _CONNECT, "ask": _ASK}[verb]

    def read(text: str) -> str:
        scheme, separator, address = text.partition("://")
        if not separator or not address:
            raise ValueError(f'"{text}" is not an endpoint such as tcp://127.0.0.1:5556 or ipc:///run/events')
        if scheme not in schemes:
            hint = "; multicast goes with connect" if scheme in _CONNECT and verb == "bind" else ""
            what = "endpoint" if verb == "ask" else verb
            raise ValueError(f'"{text}": {what} takes {", ".join(name + "://" for name in schemes)}{hint}')
        if scheme == "tcp":
            _check_tcp(text, verb)
        if scheme in ("epgm", "norm"):
            _check_multicast(text, address)
        if scheme in _CAPABILITY and not zmq.has(_CAPABILITY[scheme]):
            raise ValueError(
                f'"{text}": the installed libzmq {zmq.zmq_version()} was built without {_CAPABILITY[scheme]}; '
                "Debian's python3-zmq has pgm and norm, the wheels from PyPI don't"
            )
        return text

    return read


def names(text: str) -> tuple[str, ...]:
    """Comma-separated names of applications or variables, with `*` and `?`; empty: none."""
    if not text:
        return ()
    words = tuple(word.strip() for word in text.split(","))
    for word in words:
        if not re.fullmatch(r"[A-Za-z0-9_.*?-]+", word):
            raise ValueError(f'"{word}" is no name or pattern; names are separated by single commas')
    return words


def sections(text: str) -> tuple[str, ...]:
    """Names of what FreeSWITCH looks up, joined with `|`."""
    words = tuple(word.strip() for word in text.split("|"))
    for word in words:
        if word not in SECTIONS:
            raise ValueError(f'"{word}" is not one of: {", ".join(SECTIONS)} (several are joined with |)')
    if len(set(words)) < len(words):
        raise ValueError(f'"{text}" names something twice; leave one')
    return words


def tcp_clash(one: str, other: str) -> bool:
    """Whether two tcp addresses have the same port, and hosts that can't both listen on it."""
    (host, _, port), (other_host, _, other_port) = (address.rpartition(":") for address in (one, other))
    if not (host.startswith("tcp://") and other_host.startswith("tcp://")) or port != other_port or port == "*":
        return False
    return host == other_host or bool({host, other_host} & {"tcp://*", "tcp://0.0.0.0", "tcp://[::]"})


def _check_multicast(text: str, address: str) -> None:
    """Stricter than libzmq, which for some mistakes ends the whole process."""
    parsed = _MULTICAST.fullmatch(address)
    if not parsed:
        raise ValueError(
            f'"{text}" is not of the form norm://INTERFACE;GROUP:PORT, such as epgm://eth0;239.192.1.1:5555'
        )
    try:
        is_group = ipaddress.IPv4Address(parsed["group"]).is_multicast
    except ValueError:
        is_group = False
    if not is_group or not 1 <= int(parsed["port"]) <= 65535:
        raise ValueError(f'"{text}": GROUP:PORT must be an address from 224.0.0.0 to 239.255.255.255 and a port')
    if parsed["interface"] and not _is_ours(parsed["interface"]):
        raise ValueError(f'"{text}": this machine has no interface and no IPv4 address "{parsed["interface"]}"')


def _is_ours(interface: str) -> bool:
    if interface in (name for _, name in socket.if_nameindex()):
        return True
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(ipaddress.IPv4Address(interface)), 0))
        except (ValueError, OSError):
            return False
        return True


def _check_tcp(text: str, verb: str) -> None:
    parsed = _TCP.fullmatch(text)
    if not parsed:
        raise ValueError(f'"{text}" is not of the form tcp://HOST:PORT (an IPv6 address stands in brackets)')
    if verb != "bind" and "*" in (parsed["port"], parsed["host"]):
        raise ValueError(f'"{text}": to connect takes an address and a port, not *')
    if parsed["port"] != "*" and not 1 <= int(parsed["port"]) <= 65535:
        raise ValueError(f'"{text}": the port is not from 1 to 65535 (tcp://HOST:* takes any free one)')
