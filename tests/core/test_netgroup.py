"""Net groups: LIP 0004 for IPv4 (/16), Bitcoin Core's grouping for IPv6 and for IPv4 wrapped into IPv6."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.netgroup import (
    NetClass,
    NetGroup,
    address_info,
    exempt_classes,
    group_text,
    is_exempt,
    is_loopback,
    is_private,
    net_class,
    net_group,
)


@pytest.mark.parametrize(
    ("ip", "group"),
    [
        ("1.2.3.4", "1.2.0.0/16"),
        ("1.2.255.255", "1.2.0.0/16"),
        ("10.20.30.40", "10.20.0.0/16"),
        ("127.0.0.1", "127.0.0.0/16"),
        ("2a01:4f8:c17:b0f::2", "2a01:4f8::/32"),
        ("2001:470:abcd:ef01::2", "2001:470:a000::/36"),
        ("2001:470:bbcd:ef01::2", "2001:470:b000::/36"),
        ("::ffff:1.2.3.4", "1.2.0.0/16"),
        ("2002:102:304::1", "1.2.0.0/16"),
        ("2001:0:1:2:3:4:fefd:fcfb", "1.2.0.0/16"),
        ("64:ff9b::102:304", "1.2.0.0/16"),
        ("::ffff:0:102:304", "1.2.0.0/16"),
    ],
)
def test_group_of_an_address(ip: str, group: str) -> None:
    assert group_text(net_group(ip)) == group


@pytest.mark.parametrize("ip", ["8.8.8.8", "10.1.2.3", "127.0.0.1", "::1", "0.0.0.0", "fd00::1", "2002:7f00:1::"])
def test_the_exempt_classes_are_those_of_exempt_addresses(ip: str) -> None:
    for private_too in (False, True):
        assert is_exempt(ip, private_too) == (net_class(ip) in exempt_classes(private_too))


@pytest.mark.parametrize("ip", ["::ffff:1.2.3.4", "2002:102:304::1", "64:ff9b::102:304", "::ffff:0:102:304"])
def test_an_ipv4_host_gains_no_groups_by_wrapping_its_address(ip: str) -> None:
    assert net_group(ip) == net_group("1.2.9.9")


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("8.8.8.8", NetClass.PUBLIC),
        ("172.15.255.255", NetClass.PUBLIC),
        ("172.32.0.0", NetClass.PUBLIC),
        ("100.63.0.1", NetClass.PUBLIC),
        ("100.128.0.1", NetClass.PUBLIC),
        ("198.17.0.1", NetClass.PUBLIC),
        ("203.0.113.9", NetClass.PUBLIC),
        ("2a01:4f8::1", NetClass.PUBLIC),
        ("64:ff9b::808:808", NetClass.PUBLIC),
        ("10.0.0.1", NetClass.PRIVATE),
        ("172.16.0.1", NetClass.PRIVATE),
        ("172.31.255.255", NetClass.PRIVATE),
        ("192.168.0.1", NetClass.PRIVATE),
        ("169.254.1.1", NetClass.PRIVATE),
        ("100.64.0.1", NetClass.PRIVATE),
        ("198.18.0.1", NetClass.PRIVATE),
        ("fd00::1", NetClass.PRIVATE),
        ("fe80::1", NetClass.PRIVATE),
        ("fec0::1", NetClass.PRIVATE),
        ("127.0.0.1", NetClass.LOCAL),
        ("127.255.255.255", NetClass.LOCAL),
        ("::1", NetClass.LOCAL),
        ("::ffff:127.0.0.1", NetClass.LOCAL),
        ("0.0.0.0", NetClass.UNUSABLE),
        ("224.0.0.1", NetClass.UNUSABLE),
        ("255.255.255.255", NetClass.UNUSABLE),
        ("::", NetClass.UNUSABLE),
        ("::102:304", NetClass.UNUSABLE),
        ("ff02::1", NetClass.UNUSABLE),
        ("2001:10::1", NetClass.UNUSABLE),
        ("2001:2f::1", NetClass.UNUSABLE),
    ],
)
def test_class_of_an_address(ip: str, expected: NetClass) -> None:
    assert net_class(ip) is expected
    assert is_loopback(ip) is (expected is NetClass.LOCAL)
    assert is_private(ip) is (expected is NetClass.PRIVATE)


@pytest.mark.parametrize("ip", ["2002:7f00:1::5", "64:ff9b::7f00:1", "2002:a00:1::5", "2001:0:0:0:0:0:80ff:fffe"])
def test_a_wrapped_local_address_is_never_exempt(ip: str) -> None:
    """Anybody may announce it: it must not pass for loopback or for our LAN."""
    assert net_class(ip) is NetClass.UNUSABLE


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "1.2.3.-4", " 1.2.3.4", "1.2.3.4 ", "1.2.3.+4"),
        *("1.2.3.1_0", "\u0661.2.3.4", "fe80::1%eth0", ":::", "1::2::3", "1.2.3.4:5", "[::1]", "0x1.2.3.4", "x\n"),
        *("1" * 5000, ":" * 5000),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|IPv6|permitted|expected|Expected|octet|Octet|':'|colon"):
        address_info(text)


def test_text_is_made_canonical() -> None:
    assert address_info("2A01:04F8:0:0::1").text == "2a01:4f8::1"
    assert address_info("::ffff:1.2.3.4").text == "1.2.3.4"
    assert address_info("1.2.3.4").text == "1.2.3.4"


@pytest.mark.parametrize("junk", [b"", b"\x40", b"\x40\x01", b"\x60\x01\x02", b"\x00\x01\x02", b"\x40\x01\x02\x03"])
def test_bytes_that_are_no_group_have_no_text(junk: bytes) -> None:
    with pytest.raises(ValueError, match="expected a net group"):
        group_text(NetGroup(junk))


@given(st.ip_addresses(v=4))
def test_ipv4_is_grouped_by_16_bits(address: ipaddress.IPv4Address) -> None:
    info = address_info(str(address))
    assert info.packed == address.packed
    assert group_text(info.group) == str(ipaddress.ip_network(f"{address}/16", strict=False))


@given(st.ip_addresses(v=4))
def test_ipv4_classes_agree_with_the_standard_library(address: ipaddress.IPv4Address) -> None:
    private = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "198.18.0.0/15")
    if address.is_loopback:
        expected = NetClass.LOCAL
    elif address.is_multicast or address.is_reserved or address in ipaddress.ip_network("0.0.0.0/8"):
        expected = NetClass.UNUSABLE
    elif any(address in ipaddress.ip_network(network) for network in private):
        expected = NetClass.PRIVATE
    else:
        expected = NetClass.PUBLIC
    assert net_class(str(address)) is expected


@given(st.ip_addresses(v=6))
def test_every_ipv6_address_has_a_group_of_a_fixed_length(address: ipaddress.IPv6Address) -> None:
    info = address_info(str(address))
    assert len(info.group) in (3, 5, 6)
    assert group_text(info.group)
    assert ipaddress.ip_address(info.text) == (address.ipv4_mapped or address)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        info = address_info(text)
    except ValueError:
        with pytest.raises(ValueError, match=r".*"):
            ipaddress.ip_address(text)
    else:
        assert ipaddress.ip_address(info.text)
