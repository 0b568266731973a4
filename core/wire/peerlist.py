"""Peer lists as lisk-codec records: what lisk-p2p 0.6.1 and later answer to ``getPeers``.

The list record repeats field 1, bytes, each of them a peer record of its own: ``ipAddress`` text, ``port`` uint32.

A node decodes lists of 200 entries from everyone it dials, so lists in the one shape that correct peers send are read
by a compiled pattern, ten times as fast as by the schema. Whatever does not fit goes through the strict codec, which
tells what is wrong with it. Both ways yield the same endpoints (a test compares them).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import cast

from core.ids import MAX_PORT, MIN_PORT, Endpoint
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


def encode_peers(peers: Iterable[Endpoint]) -> bytes:
    """Return the list record of the first 200 IPv4 peers: a lisk-p2p node bans for other addresses and for more.

    Raises CodecError for a port out of range.
    """
    out = bytearray()
    count = 0
    for ip, port in peers:
        if ":" in ip or len(ip) > _MAX_IPV4_CHARACTERS:
            continue
        if count == MAX_PEERS:
            break
        if not MIN_PORT <= port <= MAX_PORT:
            raise codec.CodecError(f"peers[{count}].port", f"expected a port from {MIN_PORT} to {MAX_PORT}")
        count += 1
        address, port_bytes = ip.encode(), _port_varint(port)
        out += b"\n%c\n%c%b\x10%b" % (3 + len(address) + len(port_bytes), len(address), address, port_bytes)
    return bytes(out)


def decode_peers(data: bytes, max_peers: int = MAX_PEERS) -> tuple[Endpoint, ...]:
    """Return the entries of a list record, at most ``max_peers``; no bytes are an empty list.

    Raises CodecError if ``data`` is no list of peer records (lisk-p2p does not punish that), PacketFault
    (``too_many_peers``, ``peer_not_ipv4``, ``peer_bad_port``) for what it bans for.
    """
    peers = decode_regular(data, max_peers)
    return _decode_strictly(data, max_peers) if peers is None else tuple(peers)


def decode_regular(data: bytes, max_peers: int) -> list[Endpoint] | None:
    """Return the entries if all of them have the usual shape and are valid, else None."""
    peers: list[Endpoint] = []
    at = 0
    while at < len(data):
        entry = _REGULAR_ENTRY.match(data, at)
        if entry is None or len(peers) == max_peers:
            return None
        record_length, address_length, address, varint = entry.groups()
        if record_length[0] != entry.end() - at - 2 or address_length[0] != len(address):
            return None
        port = 0
        for byte in reversed(varint):
            port = port << 7 | byte & 0x7F
        if port > MAX_PORT:
            return None
        peers.append(Endpoint(address.decode(), port))
        at = entry.end()
    return peers


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
