"""Node infos and peer lists of the native dialect: MessagePack inside the ``data`` of a packet.

A node info is an array of the chain id (bytes), the network version and the nonce (strings), whether to advertise the
address (boolean), the options (a map from strings), and the two names by which older generations of lisk-p2p know a
network (strings). A peer list is one array that names every peer by two values:
its address as 4 or 16 bytes, and its port. Both arrays may be longer than this version knows: what a later one adds
comes at the end of a node info, and is stepped over.

The limits that hold in every dialect are those of :mod:`core.wire.payloads`. Options are the one thing that may be
nested; they are read value by value with a limit on depth and number, so that a few kilobytes cannot become a tree of
many megabytes.
"""

from __future__ import annotations

import functools
import ipaddress
import struct
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import msgpack

from core.config.frozen import FrozenDict
from core.ids import MAX_PORT, MIN_PORT, Endpoint, shared_endpoint
from core.memo import Memo
from core.wire.codec import CodecError, CodecLimit
from core.wire.native_packets import new_unpacker
from core.wire.packets import PacketFault
from core.wire.payloads import MAX_PEERS, NodeInfo

MAX_DEPTH = 8
"""How deep options may be nested: a map in a map has depth 2."""

MAX_OPTION_VALUES = 1024
"""Keys and values of the options, on every level together."""

MAX_LATER_VALUES = 16
"""What a later version may add to a node info."""

REMEMBERED_ADDRESSES = 16_384
"""In each direction, 4 MB at most: all nodes tell of the same peers again and again."""

REMEMBERED_INFOS = 8192
REMEMBERED_INFO_BYTES = 128
"""Node infos without options, 3 MB at most: many links of one process may hold what one node says of itself."""

_NO_OPTIONS = FrozenDict()
_NODE_INFO_VALUES = 7
_PLACE = "node info"


# ---- node info ----


def encode_node_info(info: NodeInfo, max_bytes: int) -> bytes:
    """Return the payload that tells others about a node.

    Raises CodecError for options that MessagePack cannot express, or that no peer could read within its limits.
    """
    said = (info.chain_id, info.network_version, info.nonce, info.advertise_address, _plain(info.options))
    try:
        packed: bytes = msgpack.packb((*said, info.network_identifier, info.network_id))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CodecError("options", f"expected values that MessagePack can express: {error}") from error
    decode_node_info(packed, max_bytes)
    return packed


def decode_node_info(data: bytes, max_bytes: int) -> NodeInfo:
    """Return the node info in ``data``.

    Raises CodecError if it is none, or larger than ``max_bytes``; PacketFault (``node_info_limit``) if a value exceeds
    the limits of :mod:`core.wire.payloads`.
    """
    if len(data) > max_bytes:
        raise CodecLimit("", f"expected at most {max_bytes} bytes, got {len(data)}")
    if len(data) <= REMEMBERED_INFO_BYTES:
        known = _short_node_info(data)
        if not known.options:  # which a program could change
            return known
    return _node_info(data)


def _node_info(data: bytes) -> NodeInfo:
    try:
        chain_id, version, nonce, advertise, options, identifier, network_id = _read_node_info(data)
    except msgpack.UnpackException as error:
        raise CodecError(_PLACE, f"is no MessagePack: {type(error).__name__}") from error
    except UnicodeDecodeError as error:
        raise CodecError(_PLACE, "a string is not UTF-8") from error
    except ValueError as error:
        raise error if isinstance(error, CodecError) else CodecError(_PLACE, str(error)[:200]) from error
    texts = (version, nonce, identifier, network_id)
    if type(chain_id) is not bytes or type(advertise) is not bool or any(type(text) is not str for text in texts):
        raise CodecError(_PLACE, "expected bytes, two strings, a boolean, a map and two strings")
    try:
        return NodeInfo(chain_id, version, nonce, advertise, options or _NO_OPTIONS, identifier, network_id)
    except ValueError as error:
        raise PacketFault("node_info_limit", str(error)) from error


_short_node_info = functools.lru_cache(maxsize=REMEMBERED_INFOS)(_node_info)


def _read_node_info(data: bytes) -> tuple[Any, Any, Any, Any, dict[str, object], Any, Any]:
    unpacker = new_unpacker(data, max_text_bytes=len(data))
    count = unpacker.read_array_header()
    if not _NODE_INFO_VALUES <= count <= _NODE_INFO_VALUES + MAX_LATER_VALUES:
        raise CodecError(_PLACE, f"expected {_NODE_INFO_VALUES} values, got {count}")
    chain_id, version, nonce, advertise = (unpacker.unpack() for _ in range(4))
    reader = _OptionsReader(data, unpacker)
    options = reader.read(0)
    if type(options) is not dict:
        raise CodecError("options", f"expected a map, got {type(options).__name__}")
    identifier, network_id = unpacker.unpack(), unpacker.unpack()
    for _ in range(count - _NODE_INFO_VALUES):
        reader.read(0)
    if unpacker.tell() != len(data):
        raise CodecError(_PLACE, f"{len(data) - unpacker.tell()} bytes too many")
    return chain_id, version, nonce, advertise, options, identifier, network_id


class _OptionsReader:
    """Reads nested values one by one. Every header is looked at before anything is made of it."""

    def __init__(self, data: bytes, unpacker: Any) -> None:
        self._data = data
        self._unpacker = unpacker
        self._left = MAX_OPTION_VALUES

    def read(self, depth: int) -> object:
        """The next value; ``depth`` is that of the array or map it stands in."""
        unpacker = self._unpacker
        at = unpacker.tell()
        kind = self._data[at] if at < len(self._data) else 0
        if 0x80 <= kind <= 0x8F or kind in (0xDE, 0xDF):
            return self._read_map(self._open(depth, unpacker.read_map_header(), 2), depth + 1)
        if 0x90 <= kind <= 0x9F or kind in (0xDC, 0xDD):
            return [self.read(depth + 1) for _ in range(self._open(depth, unpacker.read_array_header(), 1))]
        value = unpacker.unpack()
        if isinstance(value, msgpack.ExtType | msgpack.Timestamp):
            raise CodecError("options", "expected no extension types")
        return value

    def _read_map(self, count: int, depth: int) -> dict[str, object]:
        read: dict[str, object] = {}
        for _ in range(count):
            key = self.read(depth)
            if type(key) is not str:
                raise CodecError("options", f"expected strings as keys, got {type(key).__name__}")
            if key in read:
                raise CodecError("options", f"the key {key[:80]!r} is there twice")
            read[key] = self.read(depth)
        return read

    def _open(self, depth: int, count: int, values_each: int) -> int:
        self._left -= count * values_each
        if depth == MAX_DEPTH or self._left < 0:
            raise CodecLimit("options", f"expected at most {MAX_OPTION_VALUES} values, nested {MAX_DEPTH} deep")
        return count


def _plain(value: object) -> object:
    """Frozen mappings and the like as the types that msgpack knows."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


# ---- peer list ----


def encode_peers(peers: Iterable[Endpoint]) -> bytes:
    """Return the list of the first 200 peers, IPv4 and IPv6. Raises CodecError for a port out of range."""
    first = list(islice(peers, MAX_PEERS))
    try:
        encoded = b"".join(map(_encoded.__getitem__, first))
    except ValueError:
        for place, peer in enumerate(first):
            if not MIN_PORT <= peer.port <= MAX_PORT:
                text = f"expected a port from {MIN_PORT} to {MAX_PORT}"
                raise CodecError(f"peers[{place}].port", text) from None
        raise
    header: bytes = msgpack.Packer().pack_array_header(2 * len(first))
    return header + encoded


def decode_peers(data: bytes, max_peers: int = MAX_PEERS) -> tuple[Endpoint, ...]:
    """Return the entries of a list, at most ``max_peers``.

    Raises CodecError if ``data`` is no list of addresses and ports, PacketFault (``too_many_peers``,
    ``peer_bad_address``, ``peer_bad_port``) for more entries, and for addresses and ports that no node can have.
    """
    peers = _all_usual(data, max_peers)
    return peers if peers is not None else _any_peers(data, max_peers)


def _all_usual(data: bytes, max_peers: int) -> tuple[Endpoint, ...] | None:
    """The entries of a longer list, if all are as nearly all are, in half the time; None if one is not, or at fault."""
    values = int.from_bytes(data[1:_LONG_HEADER], "big")
    count = values // 2
    if data[:1] != _LONG or values % 2 or count > max_peers or len(data) != _LONG_HEADER + count * _USUAL.size:
        return None
    try:
        return tuple(map(_usual_peers.__getitem__, _USUAL.iter_unpack(data[_LONG_HEADER:])))
    except ValueError:
        return None


def _any_peers(data: bytes, max_peers: int) -> tuple[Endpoint, ...]:
    unpacker = new_unpacker(data, max_text_bytes=0)
    try:
        count = unpacker.read_array_header()
        if count > 2 * max_peers:
            raise PacketFault("too_many_peers", f"expected at most {max_peers} peers, got {count // 2}")
        values = list(islice(unpacker, count))
    except (msgpack.UnpackException, ValueError) as error:
        raise CodecError("peers", f"is no list: {type(error).__name__}") from error
    if len(values) != count or count % 2 or unpacker.tell() != len(data):
        raise CodecError("peers", "expected one array of addresses and ports, in pairs")
    addresses, ports = values[::2], values[1::2]
    if not set(map(type, addresses)) <= {bytes} or not set(map(type, ports)) <= {int}:
        raise CodecError("peers", "expected bytes and a port, again and again")
    return tuple(map(_endpoint, addresses, ports))


@functools.lru_cache(maxsize=REMEMBERED_ADDRESSES)
def _endpoint(address: bytes, port: int) -> Endpoint:
    if not MIN_PORT <= port <= MAX_PORT:
        raise PacketFault("peer_bad_port", f"expected a port from {MIN_PORT} to {MAX_PORT}, got {port}")
    if len(address) == 4:
        return _ipv4_endpoint(address, port)
    if len(address) != 16:
        raise PacketFault("peer_bad_address", f"expected 4 or 16 bytes, got {len(address)}")
    ip = ipaddress.IPv6Address(address)
    if ip.ipv4_mapped is not None:
        raise PacketFault("peer_bad_address", f"expected IPv4 addresses in 4 bytes, got {ip}")
    return shared_endpoint(str(ip), port)


def _ipv4_endpoint(address: bytes, port: int) -> Endpoint:
    # As ipaddress writes it, several times as fast.
    return shared_endpoint(".".join(map(str, address)), port)


def _encode_peer(peer: Endpoint) -> bytes:
    """One entry. Raises ValueError for a port out of range, or if there is no such address."""
    if not MIN_PORT <= peer.port <= MAX_PORT:
        raise ValueError(peer)
    address: bytes = msgpack.packb(ipaddress.ip_address(peer.ip).packed)
    port: bytes = msgpack.packb(peer.port)
    return address + port


def _decode_usual(entry: tuple[bytes]) -> Endpoint:
    """One entry of nine bytes, as ``struct`` gives it. Raises ValueError if it is not of the usual form."""
    mark, address, port_mark, port = _USUAL_PARTS.unpack(entry[0])
    if mark != _FOUR_BYTES or port_mark != _SIXTEEN_BITS or port < MIN_PORT:
        raise ValueError(entry)
    return _ipv4_endpoint(address, port)


_LONG, _LONG_HEADER = b"\xdc", 3
"""An array of 16 values or more begins with this byte, and with the number of its values in two."""
_USUAL = struct.Struct("9s")
_USUAL_PARTS = struct.Struct(">2s4scH")
_FOUR_BYTES, _SIXTEEN_BITS = b"\xc4\x04", b"\xcd"
"""An entry of the usual form: an IPv4 address, and a port above 255."""

_encoded: Memo[Endpoint, bytes] = Memo(_encode_peer, REMEMBERED_ADDRESSES)
_usual_peers: Memo[tuple[bytes], Endpoint] = Memo(_decode_usual, REMEMBERED_ADDRESSES)
