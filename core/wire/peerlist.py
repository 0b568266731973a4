"""Peer lists as lisk-codec records: what lisk-p2p 0.6.1 and later answer to ``getPeers``.

The list record repeats field 1, bytes, each of them a peer record of its own: ``ipAddress`` text, ``port`` uint32.

A node decodes lists of 200 entries from everyone it dials, so lists in the one shape that correct peers send are read
by a compiled pattern, ten times as fast as by the schema. Whatever does not fit goes through the strict codec, which
tells what is wrong with it. Both ways yield the same endpoints (a test compares them).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar, cast

from core.ids import MAX_PORT, MIN_PORT, Endpoint, shared_endpoint
from core.wire import codec
from core.wire.packets import PacketFault
from core.wire.payloads import MAX_PEERS, checked_peer
from core.wire.schema import DataType, Field, Schema

PEER = Schema((Field(1, "ipAddress", DataType.STRING), Field(2, "port", DataType.UINT32)))
PEERS = Schema((Field(1, "peers", DataType.BYTES, repeated=True),))

_MAX_IPV4_CHARACTERS = len("255.255.255.255")
_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_REGULAR_ENTRY = re.compile(
    rb"\n([\x0b-\x16])"  # key of field 1, length of the peer record
    rb"\n([\x07-\x0f])(" + _OCTET + rb"(?:\." + _OCTET + rb"){3})"  # key of ipAddress, its length, an IPv4 address
    rb"\x10([\x80-\xff]{0,2}[\x01-\x7f])",  # key of port, a varint in shortest form
    re.DOTALL,
)
_REGULAR_ENTRIES = re.compile(
    rb"(\n[\x0b-\x16]\n[\x07-\x0f]" + _OCTET + rb"(?:\." + _OCTET + rb"){3}\x10[\x80-\xff]{0,2}[\x01-\x7f])", re.DOTALL
)
"""The same, each as a whole."""

MAX_REMEMBERED = 16_384
"""Entries that are remembered in each direction (4 MB). All nodes tell of the same peers again and again."""

K = TypeVar("K")
V = TypeVar("V")

_ENCODED: dict[Endpoint, bytes] = {}
_DECODED: dict[bytes, Endpoint] = {}


def encode_peers(peers: Iterable[Endpoint]) -> bytes:
    """Return the list record of the first 200 IPv4 peers: a lisk-p2p node bans for other addresses and for more.

    Raises CodecError for a port out of range.
    """
    out: list[bytes] = []
    encoded = _ENCODED
    for peer in peers:
        entry = encoded.get(peer)
        if entry is None:
            entry = _encode_entry(peer, len(out))
        if entry:
            out.append(entry)
            if len(out) == MAX_PEERS:
                break
    return b"".join(out)


def _encode_entry(peer: Endpoint, place: int) -> bytes:
    """One entry, or nothing for an address that is not IPv4."""
    ip, port = peer
    if ":" in ip or len(ip) > _MAX_IPV4_CHARACTERS:
        return b""
    if not MIN_PORT <= port <= MAX_PORT:
        raise codec.CodecError(f"peers[{place}].port", f"expected a port from {MIN_PORT} to {MAX_PORT}")
    address, port_bytes = ip.encode(), _port_varint(port)
    entry = b"\n%c\n%c%b\x10%b" % (3 + len(address) + len(port_bytes), len(address), address, port_bytes)
    _remember(_ENCODED, peer, entry)
    return entry


def decode_peers(data: bytes, max_peers: int = MAX_PEERS) -> tuple[Endpoint, ...]:
    """Return the entries of a list record, at most ``max_peers``; no bytes are an empty list.

    Raises CodecError if ``data`` is no list of peer records (lisk-p2p does not punish that), PacketFault
    (``too_many_peers``, ``peer_not_ipv4``, ``peer_bad_port``) for what it bans for.
    """
    peers = decode_regular(data, max_peers)
    return _decode_strictly(data, max_peers) if peers is None else tuple(peers)


def decode_regular(data: bytes, max_peers: int) -> list[Endpoint] | None:
    """Return the entries if all of them have the usual shape and are valid, else None."""
    entries = _REGULAR_ENTRIES.findall(data)
    # What lies between matches is left out by findall, so that the sum is short unless all of it was matched.
    if len(entries) > max_peers or sum(map(len, entries)) != len(data):
        return None
    try:
        return list(map(_DECODED.__getitem__, entries))
    except KeyError:
        peers = [_decode_entry(entry) for entry in entries]
    return None if None in peers else cast("list[Endpoint]", peers)


def _decode_entry(data: bytes) -> Endpoint | None:
    known = _DECODED.get(data)
    if known is not None:
        return known
    entry = _REGULAR_ENTRY.fullmatch(data)
    if entry is None:
        return None
    record_length, address_length, address, varint = entry.groups()
    if record_length[0] != len(data) - 2 or address_length[0] != len(address):
        return None
    port = 0
    for byte in reversed(varint):
        port = port << 7 | byte & 0x7F
    if port > MAX_PORT:
        return None
    peer = shared_endpoint(address.decode(), port)
    _remember(_DECODED, data, peer)
    return peer


def _remember(memory: dict[K, V], key: K, value: V) -> None:
    if len(memory) >= MAX_REMEMBERED:
        memory.clear()  # a remote can cause that, and we are as slow as without for a moment
    memory[key] = value


def _decode_strictly(data: bytes, max_peers: int = MAX_PEERS) -> tuple[Endpoint, ...]:
    try:
        entries = cast("list[bytes]", codec.decode(PEERS, data, max_items=max_peers)["peers"])
    except codec.CodecLimit as error:
        raise PacketFault("too_many_peers", str(error)) from error
    peers = []
    for entry in entries:
        peer = codec.decode(PEER, entry)
        peers.append(checked_peer(cast(str, peer["ipAddress"]), cast(int, peer["port"])))
    return tuple(peers)


def _port_varint(port: int) -> bytes:
    if port < 1 << 7:
        return bytes((port,))
    if port < 1 << 14:
        return bytes((port & 0x7F | 0x80, port >> 7))
    return bytes((port & 0x7F | 0x80, port >> 7 & 0x7F | 0x80, port >> 14))
