from __future__ import annotations

import ipaddress

import hypothesis
import pytest
from hypothesis import strategies as st

from freeswitch_zmq.module.addresses import BUILT_IN_LISTS, AddressList, peer_address


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


def test_what_freeswitch_need_not_be_asked_about() -> None:
    for text in ("loopback.auto", "192.0.2.0/24", "192.0.2.7", "::/0"):
        assert AddressList(text).list_name == ""


@pytest.mark.parametrize(
    "text", [*BUILT_IN_LISTS, "lan", "Loopback.auto", "example.com", "v4_only", "a-b", "1a", "\u00fc-x", "lan*"]
)
def test_a_word_is_the_name_of_a_list_of_freeswitchs(text: str) -> None:
    addresses = AddressList(text)
    # What never changes is compared here.
    assert addresses.list_name == ("" if text == "loopback.auto" else text)
    if addresses.list_name:
        assert not any(addresses.has(peer_address(peer)) for peer in ("127.0.0.1", "0.0.0.0", "::1", "::"))


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("loopback.auto", True),
        ("127.0.0.0/8", True),
        ("127.0.0.1", True),
        ("127.3.0.0/16", True),
        ("::1", True),
        ("126.0.0.0/7", False),
        ("0.0.0.0/0", False),
        ("::/0", False),
        ("::/127", False),
        ("192.0.2.0/24", False),
        # Whatever FreeSWITCH makes of them.
        ("lan", False),
        ("localnet.auto", False),
    ],
)
def test_what_surely_lets_in_only_this_machine(text: str, only: bool) -> None:
    assert AddressList(text).only_loopback is only


def test_the_lists_that_freeswitch_makes_by_itself_are_all_names() -> None:
    assert len(set(BUILT_IN_LISTS)) == len(BUILT_IN_LISTS) == 10
    assert all(name.endswith(".auto") for name in BUILT_IN_LISTS)


_NO_NETWORK = "does not appear to be an IPv4 or IPv6 network"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", ""),
        (" ", ""),
        ("192.0.2", f": '192.0.2' {_NO_NETWORK}"),
        ("192.0.2.256", f": '192.0.2.256' {_NO_NETWORK}"),
        ("1", f": '1' {_NO_NETWORK}"),
        ("192.0.2.1/24", ": 192.0.2.1/24 has host bits set"),
        ("192.0.2.0/33", f": '192.0.2.0/33' {_NO_NETWORK}"),
        ("2001:db8::g/32", f": '2001:db8::g/32' {_NO_NETWORK}"),
        (" 192.0.2.0/24", f": ' 192.0.2.0/24' {_NO_NETWORK}"),
        # For the command `acl` these would be something else than the name of a list.
        ("my list", f": 'my list' {_NO_NETWORK}"),
        ("lan\n", f": 'lan\\n' {_NO_NETWORK}"),
        ("lan/24", f": 'lan/24' {_NO_NETWORK}"),
        ("a:b", f": 'a:b' {_NO_NETWORK}"),
        ("lan,wan", "; repeat the parameter for several"),
        ("192.0.2.0/24,198.51.100.0/24", "; repeat the parameter for several"),
    ],
)
def test_what_is_no_list(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        AddressList(text)
    assert str(caught.value) == (
        f'"{text}" is neither a list of acl.conf.xml nor a network such as 192.0.2.0/24{reason}'
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
