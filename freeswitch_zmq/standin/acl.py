"""Access lists, with the real one's odd answers to odd questions."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Callable, NamedTuple

from . import text, xmltree

__all__ = ["AccessLists"]

_V6_BITS = 128
_CHANCE = int(ipaddress.IPv4Address("203.0.113.77"))  # Where the real one compares with memory nobody has set.
_BUILT_IN: tuple[tuple[str, bool, str], ...] = (
    ("rfc6598.auto", False, "+100.64.0.0/10"),
    ("rfc1918.auto", False, "+10.0.0.0/8 +172.16.0.0/12 +192.168.0.0/16 +fe80::/10"),
    (
        "wan.auto",
        True,
        "-0.0.0.0/8 -10.0.0.0/8 -172.16.0.0/12 -192.168.0.0/16 -169.254.0.0/16 -100.64.0.0/10 -fe80::/10",
    ),
    ("wan_v6.auto", True, "-0.0.0.0/0 -fe80::/10"),
    (
        "wan_v4.auto",
        True,
        "-0.0.0.0/8 -10.0.0.0/8 -172.16.0.0/12 -192.168.0.0/16 -169.254.0.0/16 -100.64.0.0/10 -::/0",
    ),
    ("any_v6.auto", True, "-0.0.0.0/0"),
    ("any_v4.auto", True, "-::/0"),
    ("nat.auto", False, "-{local} +10.0.0.0/8 +172.16.0.0/12 +192.168.0.0/16 +100.64.0.0/10"),
    ("loopback.auto", False, "+127.0.0.0/8 +::1/128"),
    ("localnet.auto", False, "+{local}"),
)


class _Node(NamedTuple):
    v6: bool
    net: int
    bits: int
    ok: bool


class _List(NamedTuple):
    default: bool
    nodes: tuple[_Node, ...]


class AccessLists:
    """`acl.conf` and the built-in lists.

    Args:
        local: The CIDR of this machine's network.
        log: Called with a level's name and a message.
    """

    def __init__(self, local: str, log: Callable[[str, str], None]) -> None:
        self._local = local
        self._log = log
        self._lists: dict[str, _List] = {}

    def load(self, configuration: xmltree.Element | None) -> None:
        """Take the lists of `acl.conf` (None: it is missing) and the built-in ones for those that are there."""
        lists: dict[str, _List] = {}
        for name, default, nodes in _BUILT_IN:
            words = nodes.format(local=self._local).split()
            lists[name] = self._list(name, default, [(word[1:], word[0] == "+") for word in words])
        for element in _lists_of(configuration):
            name = element.attributes.get("name", "")
            if not name:
                continue
            given = element.attributes.get("default")
            default = text.is_true(given) if given is not None else True
            lists[name] = self._list(name, default, list(_nodes_of(element, default)))
        self._lists = lists

    def check(self, address: str, list_name: str) -> bool:
        """Whether the list, or the CIDR (or several, joined by commas) in its place, lets the address in."""
        if address.lower().startswith("::ffff:"):
            address = address[7:]
        v6 = ":" in address
        number = _number(address, v6)
        found = self._lists.get(list_name)
        if found is not None:
            return _allowed(found, number, v6)
        if "/" not in list_name:
            return False
        # The family of the CIDR is not asked for: of another one the same bytes are compared.
        return any(_cidr_holds(cidr, number, v6) for cidr in list_name.split(","))

    def _list(self, name: str, default: bool, nodes: list[tuple[str, bool]]) -> _List:
        self._log("NOTICE", f"Created ip list {name} default ({'allow' if default else 'deny'})\n")
        made = []
        for joined, ok in nodes:
            for cidr in joined.split(","):
                node = _node(cidr.strip(), ok)
                word = "allow" if ok else "deny"
                if node is None:
                    self._log("ERR", f"Error Adding {cidr} ({word}) [] to list {name}\n")
                    continue
                self._log("NOTICE", f"Adding {cidr} ({word}) [] to list {name}\n")
                made.append(node)
        return _List(default, tuple(reversed(made)))


def _lists_of(configuration: xmltree.Element | None) -> Iterator[xmltree.Element]:
    lists = configuration.first("network-lists") if configuration is not None else None
    return lists.each("list") if lists is not None else iter(())


def _nodes_of(element: xmltree.Element, default: bool) -> Iterator[tuple[str, bool]]:
    for node in element.each("node"):
        kind = node.attributes.get("type")
        ok = text.is_true(kind) if kind is not None else default
        if "cidr" in node.attributes:
            yield node.attributes["cidr"], ok
        elif "host" in node.attributes and "mask" in node.attributes:
            bits = bin(_number(node.attributes["mask"], False)).count("1")
            yield f"{node.attributes['host']}/{bits}", ok


def _number(address: str, v6: bool, otherwise: int = _CHANCE) -> int:
    """The address as a number; for what is none the real one takes what lies in memory."""
    try:
        return int(ipaddress.IPv6Address(address) if v6 else ipaddress.IPv4Address(address))
    except ValueError:
        return otherwise


def _node(cidr: str, ok: bool) -> _Node | None:
    if cidr.lower().startswith("::ffff:"):
        cidr = cidr[7:]
    host, slash, rest = cidr.partition("/")
    v6 = ":" in cidr
    bits = text.atoi(rest)
    if not slash or not 0 <= bits <= (_V6_BITS if v6 else 32):
        return None
    return _Node(v6, _number(host, v6, _CHANCE - 1), bits, ok)


def _holds(net: int, bits: int, width: int, number: int) -> bool:
    if bits == 0:
        return net in (0, number)
    mask = ((1 << bits) - 1) << (width - bits)
    return net & mask == number & mask


def _allowed(found: _List, number: int, v6: bool) -> bool:
    ok, best = found.default, 0
    for node in found.nodes:
        if node.v6 == v6 and node.bits >= best and _holds(node.net, node.bits, _V6_BITS if v6 else 32, number):
            ok, best = node.ok, node.bits
    return ok


def _cidr_holds(cidr: str, number: int, v6: bool) -> bool:
    node = _node(cidr, True)
    if node is None:
        return False
    if node.v6 == v6:
        return _holds(node.net, node.bits, _V6_BITS if v6 else 32, number)
    if v6:
        # A 4-byte net and mask against the first four bytes of the address; a mask of 32 bits is none at all,
        # for C shifts by 32 as by 0.
        return node.bits in (0, 32) or _holds(node.net, node.bits, 32, number >> 96)
    return _holds(node.net >> 96, min(node.bits, 32), 32, number)
