from __future__ import annotations

import ipaddress

import hypothesis
import pytest
from hypothesis import strategies as st

from freeswitch_zmq.module.addresses import AddressList, peer_address


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("loopback.auto", ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"], ["128.0.0.1", "::2", "::"]),
        ("192.0.2.0/24", ["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.7"], ["192.0.3.0", "::192.0.2.7", "127.0.0.1"]),
        ("192.0.2.7", ["192.0.2.7"], ["192.0.2.8"]),
        ("0.0.0.0/0", ["127.0.0.1", "::ffff:8.8.8.8"], ["::1", "::"]),
        ("::/0", ["::1", "2001:db8::1"], ["127.0.0.1", "::ffff:127.0.0.1"]),
        ("2001:db8::/32", ["2001:db8:1::1"], ["2001:db9::1"]),
        ("fe80::/10", ["fe80::1%eth0", "fe80::1"], ["::1%lo"]),
        ("192.0.2.0/255.255.255.0", ["192.0.2.9"], ["192.0.3.9"]),
    ],
)
def test_who_is_in_a_list(text: str, inside: list[str], outside: list[str]) -> None:
    addresses = AddressList(text)
    assert all(addresses.has(peer_address(peer)) for peer in inside)
    assert not any(addresses.has(peer_address(peer)) for peer in outside)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", ""),
        ("lan", ""),
        ("wan.auto", ""),
        ("Loopback.auto", ""),
        ("192.0.2", ""),
        ("192.0.2.256", ""),
        ("1", ""),
        ("example.com", ""),
        ("192.0.2.1/24", ": 192.0.2.1/24 has host bits set"),
        ("192.0.2.0/33", ": '192.0.2.0/33' does not appear to be an IPv4 or IPv6 network"),
        ("2001:db8::g/32", ": '2001:db8::g/32' does not appear to be an IPv4 or IPv6 network"),
        (" 192.0.2.0/24", ": ' 192.0.2.0/24' does not appear to be an IPv4 or IPv6 network"),
    ],
)
def test_what_is_no_list(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        AddressList(text)
    assert str(caught.value) == (
        f'"{text}" is neither loopback.auto nor a network such as 192.0.2.0/24{reason} '
        "(lists of acl.conf.xml are not part of this version)"
    )


@pytest.mark.parametrize("text", ["", "garbage", "127.0.0.1:5556", "127.0.0.1/8", "127.1", "1.2.3.4 ", "%lo"])
def test_what_is_no_peer(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        peer_address(text)


@hypothesis.given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_an_ipv4_peer_counts_the_same_on_either_kind_of_socket(
    address: ipaddress.IPv4Address, bits: int, other: ipaddress.IPv4Address
) -> None:
    network = ipaddress.ip_network(f"{address}/{bits}", strict=False)
    addresses = AddressList(str(network))
    assert addresses.has(peer_address(f"::ffff:{address}"))
    for peer in (str(other), f"::ffff:{other}"):
        assert addresses.has(peer_address(peer)) is (int(other) >> (32 - bits) == int(address) >> (32 - bits))
