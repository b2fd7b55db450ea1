"""`apply-inbound-acl`: which addresses are let in. No I/O."""

from __future__ import annotations

import ipaddress
from typing import Union

__all__ = ["AddressList", "peer_address"]

_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
_BUILT_IN = {"loopback.auto": ("127.0.0.0/8", "::1/128")}


class AddressList:
    """A network in CIDR form, a single address, or `loopback.auto`.

    Raises:
        ValueError: it is none of them.
    """

    def __init__(self, text: str) -> None:
        try:
            self._networks = [ipaddress.ip_network(network) for network in _BUILT_IN.get(text, (text,))]
        except ValueError as error:
            reason = f": {error}" if "/" in text or ":" in text else ""
            raise ValueError(
                f'"{text}" is neither loopback.auto nor a network such as 192.0.2.0/24{reason} '
                "(lists of acl.conf.xml are not part of this version)"
            ) from error

    def has(self, address: _Address) -> bool:
        """Whether the address is in it. One of the other family never is."""
        return any(address.version == network.version and address in network for network in self._networks)


def peer_address(text: str) -> _Address:
    """The address as ZAP gives it; an IPv4 peer on an IPv6 socket (`::ffff:…`) counts as IPv4, a zone is left out.

    Raises:
        ValueError: it is no address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address
