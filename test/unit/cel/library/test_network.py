"""IP addresses and networks, against `ipaddress` as the model."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.cel.failures import Failure
from kro.cel.library.network import (
    CIDR,
    IP,
    extension_address,
    kubernetes_address,
    parse_cidr,
)

_V4 = st.builds(IP, st.just(4), st.integers(0, 2**32 - 1))
_V6 = st.builds(IP, st.just(6), st.integers(0, 2**128 - 1)).filter(
    lambda ip: ip.number >> 32 != 0xFFFF
)
_IPS = st.one_of(_V4, _V6)


@given(_IPS)
def test_printed_addresses_read_back_as_themselves(ip: IP) -> None:
    """The canonical text keeps family and bits."""
    assert kubernetes_address(str(ip)) == ip


@given(_IPS)
def test_properties_agree_with_the_standard_library(ip: IP) -> None:
    """Loopback, unspecified and multicast are what they are everywhere."""
    model = ipaddress.ip_address(str(ip))

    assert ip.is_loopback() == model.is_loopback
    assert ip.is_unspecified() == model.is_unspecified
    assert ip.is_multicast() == model.is_multicast
    assert ip.is_link_local_unicast() == model.is_link_local


@given(_IPS, _IPS, st.integers(0, 128), st.integers(0, 128))
def test_networks_contain_what_their_prefix_says(
    one: IP, other: IP, length: int, other_length: int
) -> None:
    """An address or a smaller network is inside iff the prefixes agree."""
    network = CIDR(one, min(length, 32 if one.family == 4 else 128))
    inner = CIDR(other, min(other_length, 32 if other.family == 4 else 128))
    model = ipaddress.ip_network(str(network), strict=False)
    inner_model = ipaddress.ip_network(str(inner), strict=False)
    same_family = one.family == other.family

    assert network.contains_ip(other) == (ipaddress.ip_address(str(other)) in model)
    assert network.contains_cidr(inner) == (
        same_family and inner_model.subnet_of(model)  # type: ignore[arg-type]
    )
    assert str(network.masked()) == str(model)
    assert parse_cidr(str(network)) == network


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        pytest.param("x", "parse error", id="no address"),
        pytest.param("", "parse error", id="empty"),
        pytest.param("1.2.3", "parse error", id="three octets"),
        pytest.param("1.2.3.04", "parse error", id="leading zero"),
        pytest.param("1.2.3.256", "parse error", id="large octet"),
        pytest.param("2001:db8:::1", "parse error", id="three colons"),
        pytest.param("1::2::3", "parse error", id="two gaps"),
        pytest.param("1.2.3.4%eth0", "parse error", id="IPv4 with a zone"),
        pytest.param("fe80::1%", "parse error", id="empty zone"),
        pytest.param("fe80::1%eth0", "zone value is not allowed", id="zone"),
        pytest.param("::ffff:1.2.3.4", "is not allowed", id="IPv4 mapped"),
        pytest.param("1" * 10_000, "parse error", id="long"),
    ],
)
def test_other_texts_are_no_addresses(text: str, fragment: str) -> None:
    """Kubernetes takes plain addresses only."""
    with pytest.raises(Failure, match=fragment):
        kubernetes_address(text)


def test_the_two_dialects_differ_in_mapped_addresses_only() -> None:
    """cel-go's extension reads the hexadecimal form as IPv4."""
    assert extension_address("::ffff:c0a8:1") == kubernetes_address("192.168.0.1")
    with pytest.raises(Failure, match="is not allowed"):
        kubernetes_address("::ffff:c0a8:1")
    with pytest.raises(Failure, match="is not allowed"):
        extension_address("::ffff:192.168.0.1")


@pytest.mark.parametrize(
    "text",
    ["10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/+8", "/8",
     "::/129", "fe80::1%en0/24", "::ffff:1.2.3.4/24", "10.0.0.0/8/8", "10.0.0.0/ 8"],
)  # fmt: skip
def test_other_texts_are_no_networks(text: str) -> None:
    """A network is an address, a slash and a plain length that fits the family."""
    with pytest.raises(Failure):
        parse_cidr(text)


@pytest.mark.parametrize(
    ("text", "global_unicast"),
    [
        ("192.168.0.1", True),
        ("255.255.255.255", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("169.254.1.1", False),
        ("2001:db8::1", True),
        ("ff00::1", False),
        ("::1", False),
    ],
)
def test_global_unicast_is_gos_notion(text: str, global_unicast: bool) -> None:
    """Private addresses are global unicast; broadcast and link-local ones are not."""
    assert kubernetes_address(text).is_global_unicast() is global_unicast
