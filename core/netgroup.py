"""The network group of an address: the unit in which an attacker has to pay.

Addresses of one group are cheap for one owner to get together, so buckets, outbound limits and eviction count groups,
not addresses. Grouping follows LIP 0004 (the /16 of an IPv4 address) and, for IPv6, Bitcoin Core's netgroup rules:
/32, but /36 inside Hurricane Electric's 2001:470::/32, whose tunnels are free; an IPv6 address that only wraps an IPv4
address (6to4, Teredo, NAT64, SIIT, IPv4-mapped) belongs to the /16 of the IPv4 address inside, or else one IPv4 host
would own as many groups as there are wrappings.

Parsing costs a microsecond or more and the same addresses come again and again: results are remembered (a pure function
of the text; the memory is bounded).
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Callable
from typing import NamedTuple, NewType

from core.memo import Memo

NetGroup = NewType("NetGroup", bytes)
"""Opaque group key: one tag byte (family and class), then the group's prefix. The tag fixes the length, so groups may
be concatenated for hashing without a separator."""

MAX_ADDRESS_TEXT = 45
"""Longest text of an IP address without a zone (an IPv6 address that ends in a dotted quad)."""

_FAMILY_4 = 0x40
_FAMILY_6 = 0x60
_FAMILY_6_WIDE = 0x68
"""Tag of the one provider that is grouped by 36 bits instead of 32."""
_TAGS_4 = tuple(bytes((_FAMILY_4 | net_class,)) for net_class in range(4))
_OCTETS = {str(value): value for value in range(256)}
_MOST_KNOWN = 16_384


class NetClass(enum.IntEnum):
    """How far an address reaches. The order is that of reach: a wider class has a smaller number."""

    __hash__ = int.__hash__  # Enum's own is a function of Python

    PUBLIC = 0
    """Anything else, documentation ranges included: they are never routed, so they cost one failed dial."""
    PRIVATE = 1
    """RFC 1918, shared (RFC 6598), link-local, benchmark (RFC 2544); IPv6 unique local, link-local, site-local."""
    LOCAL = 2
    """Loopback: 127.0.0.0/8 and ::1."""
    UNUSABLE = 3
    """No host can be dialled there: unspecified, multicast, reserved, or a wrapping of an IPv4 that is not public."""


_EXEMPT, _EXEMPT_TOO = (NetClass.LOCAL,), (NetClass.LOCAL, NetClass.PRIVATE)
"""Exempt from limits per group and address, without and with private ones."""

_CLASS_OF_FIRST_BYTE: tuple[NetClass, ...] = tuple(
    NetClass.UNUSABLE
    if first == 0 or first >= 224
    else {10: NetClass.PRIVATE, 127: NetClass.LOCAL}.get(first, NetClass.PUBLIC)
    for first in range(256)
)
_CLASS_OF_PREFIX: dict[bytes, NetClass] = {
    bytes(prefix): NetClass.PRIVATE
    for prefix in (
        *((172, second) for second in range(16, 32)),
        (192, 168),
        (169, 254),
        *((100, second) for second in range(64, 128)),
        (198, 18),
        (198, 19),
    )
}
"""IPv4 ranges of 16 bits and less that are not public though the rest of their /8 is."""


class AddressInfo(NamedTuple):
    """What the text of an address says. ``text`` is the canonical spelling (IPv4-mapped IPv6 becomes IPv4)."""

    text: str
    packed: bytes
    net_class: NetClass
    group: NetGroup


def _read(ip: str) -> AddressInfo:
    """See :func:`address_info`."""
    if len(ip) > MAX_ADDRESS_TEXT:
        raise ValueError(f"expected an IP address, got a text of {len(ip)} characters")
    if ":" not in ip:
        return _info_4(ip, _packed_4(ip))
    if "%" in ip:
        raise ValueError(f"expected an IP address without a zone, got {ip!r}")
    address = ipaddress.IPv6Address(ip)
    mapped = address.ipv4_mapped
    if mapped is not None:
        return _info_4(str(mapped), mapped.packed)
    packed = address.packed
    embedded = _embedded_4(packed)
    if embedded is not None:
        # Never exempt as loopback or private: 2002:7f00:1::/48 is 2**80 addresses that anybody may announce.
        if _class_4(embedded) is NetClass.PUBLIC:
            return AddressInfo(str(address), packed, NetClass.PUBLIC, _group_4(embedded, NetClass.PUBLIC))
        return AddressInfo(str(address), packed, NetClass.UNUSABLE, _group_6(packed, NetClass.UNUSABLE))
    net_class = _class_6(packed)
    return AddressInfo(str(address), packed, net_class, _group_6(packed, net_class))


address_info: Callable[[str], AddressInfo] = Memo(_read, _MOST_KNOWN).__getitem__
"""Parse a literal IPv4 or IPv6 address. Raises ValueError if the text is not one."""


def net_group(ip: str) -> NetGroup:
    """The group of an address. Raises ValueError if ``ip`` is no address."""
    return address_info(ip).group


def net_class(ip: str) -> NetClass:
    """The reach of an address. Raises ValueError if ``ip`` is no address."""
    return address_info(ip).net_class


def is_loopback(ip: str) -> bool:
    """Whether the address is this very machine. Raises ValueError if ``ip`` is no address."""
    return address_info(ip).net_class is NetClass.LOCAL


def is_private(ip: str) -> bool:
    """Whether the address is of a private range (loopback is not). Raises ValueError if ``ip`` is no address."""
    return address_info(ip).net_class is NetClass.PRIVATE


def is_exempt(ip: str, private_too: bool) -> bool:
    """Whether several nodes may well share this address, so that limits per group and address do not apply.

    Loopback is, and private ranges by option. Raises ValueError if ``ip`` is no address.
    """
    return address_info(ip).net_class in (_EXEMPT_TOO if private_too else _EXEMPT)


def exempt_classes(private_too: bool) -> tuple[NetClass, ...]:
    """The classes of the addresses that are exempt, for whoever looks at many."""
    return _EXEMPT_TOO if private_too else _EXEMPT


def host_key(ip: str) -> bytes:
    """What one host can be expected to own: an IPv4 address, a /64 of IPv6. Raises ValueError: ``ip`` is no address."""
    packed = address_info(ip).packed
    return packed if len(packed) == 4 else packed[:8]


def group_text(group: NetGroup) -> str:
    """The group as people write it: ``1.2.0.0/16``, ``2001:db8::/32``. Raises ValueError if it is no group."""
    tag, prefix = group[:1], group[1:]
    if len(prefix) == 2 and tag and tag[0] & 0xF0 == _FAMILY_4:
        return f"{prefix[0]}.{prefix[1]}.0.0/16"
    if len(prefix) in (4, 5) and tag and tag[0] & 0xF0 == _FAMILY_6:
        bits = 32 if len(prefix) == 4 else 36
        return f"{ipaddress.IPv6Address(prefix.ljust(16, bytes(1)))}/{bits}"
    raise ValueError(f"expected a net group, got {group!r}")


def _packed_4(ip: str) -> bytes:
    # A table of the 256 canonical texts: int() would let signs, spaces, underscores and leading zeros pass.
    try:
        first, second, third, fourth = ip.split(".")
        return bytes((_OCTETS[first], _OCTETS[second], _OCTETS[third], _OCTETS[fourth]))
    except (ValueError, KeyError):
        raise ValueError(f"expected an IP address, got {ip!r}") from None


def _info_4(text: str, packed: bytes) -> AddressInfo:
    net_class = _class_4(packed)
    return AddressInfo(text, packed, net_class, _group_4(packed, net_class))


def _group_4(packed: bytes, net_class: NetClass) -> NetGroup:
    return NetGroup(_TAGS_4[net_class] + packed[:2])


def _group_6(packed: bytes, net_class: NetClass) -> NetGroup:
    if packed[:4] == b"\x20\x01\x04\x70":
        return NetGroup(bytes((_FAMILY_6_WIDE | net_class,)) + packed[:4] + bytes((packed[4] & 0xF0,)))
    return NetGroup(bytes((_FAMILY_6 | net_class,)) + packed[:4])


def _class_4(packed: bytes) -> NetClass:
    net_class = _CLASS_OF_FIRST_BYTE[packed[0]]
    return _CLASS_OF_PREFIX.get(packed[:2], net_class)


def _class_6(packed: bytes) -> NetClass:
    if packed[:15] == bytes(15) and packed[15] == 1:
        return NetClass.LOCAL
    if packed[:12] == bytes(12) or packed[0] == 0xFF:  # unspecified, IPv4-compatible (RFC 4291: deprecated), multicast
        return NetClass.UNUSABLE
    if packed[:3] == b"\x20\x01\x00" and packed[3] & 0xF0 in (0x10, 0x20):  # ORCHID: identifiers, not places
        return NetClass.UNUSABLE
    if packed[0] & 0xFE == 0xFC or (packed[0] == 0xFE and packed[1] & 0xC0 in (0x80, 0xC0)):
        return NetClass.PRIVATE
    return NetClass.PUBLIC


def _embedded_4(packed: bytes) -> bytes | None:
    """The IPv4 address inside a transition address (RFC 3056, 4380, 6052, 6145), or None."""
    if packed[:2] == b"\x20\x02":
        return packed[2:6]
    if packed[:4] == b"\x20\x01\x00\x00":
        return bytes(byte ^ 0xFF for byte in packed[12:])
    if packed[:12] == b"\x00\x64\xff\x9b" + bytes(8) or packed[:12] == bytes(8) + b"\xff\xff\x00\x00":
        return packed[12:]
    return None
