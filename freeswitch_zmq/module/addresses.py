"""`apply-inbound-acl`: which addresses are let in. No I/O."""

from __future__ import annotations

import ipaddress
import re
from typing import Union

__all__ = ["BUILT_IN_LISTS", "Address", "AddressList", "peer_address"]

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

BUILT_IN_LISTS = (
    "any_v4.auto",
    "any_v6.auto",
    "localnet.auto",
    "loopback.auto",
    "nat.auto",
    "rfc1918.auto",
    "rfc6598.auto",
    "wan.auto",
    "wan_v4.auto",
    "wan_v6.auto",
)
"""The lists that FreeSWITCH makes by itself (`switch_load_network_lists` of 1.11.2)."""

_LOOPBACK = ("127.0.0.0/8", "::1/128")


class AddressList:
    """A network in CIDR form, a single address, or a list of FreeSWITCH's by its name.

    FreeSWITCH itself takes networks in the place of a list too, but compares an address of the other family with them
    and may say yes, so networks are compared here. So is `loopback.auto`, which never changes.

    Attributes:
        list_name: the list that FreeSWITCH has to be asked about; empty when `has` can tell.

    Raises:
        ValueError: it is none of them.
    """

    def __init__(self, text: str) -> None:
        self.list_name = ""
        self._networks: list[Union[ipaddress.IPv4Network, ipaddress.IPv6Network]] = []
        try:
            self._networks = [
                ipaddress.ip_network(network) for network in (_LOOPBACK if text == "loopback.auto" else (text,))
            ]
        except ValueError as error:
            # For FreeSWITCH's `acl` a name with a space would be two words, one with a slash or a colon a network.
            if not re.fullmatch(r"[^\s/:,]*[A-Za-z][^\s/:,]*", text):
                hint = "; repeat the parameter for several" if "," in text else f": {error}" if text.strip() else ""
                raise ValueError(
                    f'"{text}" is neither a list of acl.conf.xml nor a network such as 192.0.2.0/24{hint}'
                ) from error
            self.list_name = text

    def has(self, address: Address) -> bool:
        """Whether the address is in its networks. One of the other family never is."""
        return any(address.version == network.version and address in network for network in self._networks)

    @property
    def only_loopback(self) -> bool:
        """Whether it surely lets in nobody but this machine."""
        return not self.list_name and all(network.is_loopback for network in self._networks)


def peer_address(text: str) -> Address:
    """The address as ZAP gives it; an IPv4 peer on an IPv6 socket (`::ffff:…`) counts as IPv4, a zone is left out.

    Raises:
        ValueError: it is no address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address
