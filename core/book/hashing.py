"""From an address to its bucket.

The hash is keyed: without the secret nobody can choose addresses that share a bucket. What an attacker can do is
bounded by construction (LIP 0004, "Peer directory"): all that one source group advertises lands in at most 16 of the
`new` buckets, all addresses of one group in at most 4 of the `tried` buckets.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Protocol

from core.book.config import BookConfig, Hashing
from core.netgroup import AddressInfo, NetGroup

NO_SOURCE = NetGroup(b"")
"""Source group of an address that nobody told us: it stands in for its own source."""
NEW_BUCKETS_PER_SOURCE = 16
TRIED_BUCKETS_PER_GROUP = 4
MIN_SECRET_BYTES = 4
"""LIP 0004: at least 32 random bits."""
_LAST = 3
"""The last of H's four bytes alone decides H mod 4 and H mod 16."""
_EXEMPT_TAG = b"\xf0"
"""First byte of the stand-in group of an address that is exempt from grouping; no real group begins with it."""
_K = tuple(bytes((k,)) for k in range(NEW_BUCKETS_PER_SOURCE))
_LENGTH = {4: b"\x04", 16: b"\x10"}
_first_4 = struct.Struct(">I28x").unpack


class BucketHash(Protocol):
    """Files an address. ``port`` is 0, except for an address exempt from grouping: then it is part of the identity."""

    def tried_bucket(self, info: AddressInfo, port: int) -> int:
        """Bucket of a tried address. Raises ValueError for an address that the scheme cannot file."""

    def new_bucket(self, info: AddressInfo, source_group: NetGroup, port: int) -> int:
        """Bucket of a new address. Raises ValueError for an address that the scheme cannot file."""


class LipHash:
    """Buckets as LIP 0004 writes them, with H(x) = the first 4 bytes of SHA-256(x), big-endian.

    Tried: k = H(secret, IP) mod 4, b = H(secret, group, k) mod 64. New: k = H(secret, source group, group) mod 16,
    b = H(secret, source group, k) mod 128. The LIP leaves the encoding open; here an address carries its family and a
    group its tag, so that no two inputs of different meaning have the same bytes.

    An exempt address (loopback; private ranges by option) is a group of its own, by ip:port: a test network of
    hundreds of nodes on 127.0.0.1 would otherwise share four buckets. Its source group counts as everybody's does.
    """

    __slots__ = ("_new_count", "_secret", "_tried_count")

    def __init__(self, secret: bytes, new_count: int, tried_count: int) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(f"secret: expected at least {MIN_SECRET_BYTES} bytes, got {len(secret)}")
        self._secret = secret
        self._new_count = new_count
        self._tried_count = tried_count

    def tried_bucket(self, info: AddressInfo, port: int) -> int:
        packed = info.packed
        secret = self._secret
        group: bytes = info.group
        address = _LENGTH[len(packed)] + packed
        if port:
            address += port.to_bytes(2, "big")
            group = _EXEMPT_TAG + address
        k = sha256(secret + address).digest()[_LAST] % TRIED_BUCKETS_PER_GROUP
        number: int = _first_4(sha256(secret + group + _K[k]).digest())[0]
        return number % self._tried_count

    def new_bucket(self, info: AddressInfo, source_group: NetGroup, port: int) -> int:
        group: bytes = info.group
        if port:
            group = _EXEMPT_TAG + _LENGTH[len(info.packed)] + info.packed + port.to_bytes(2, "big")
        source = self._secret + (source_group or group)
        k = sha256(source + group).digest()[_LAST] % NEW_BUCKETS_PER_SOURCE
        number: int = _first_4(sha256(source + _K[k]).digest())[0]
        return number % self._new_count


class LiskHash:
    """Buckets as lisk-p2p 0.6.1 to 0.10 computes them (vectors: ``bucket_vectors.json``). IPv4 only.

    All private addresses share one bucket in each table, and so do all loopback ones: ``port`` is ignored.
    """

    __slots__ = ("_new_count", "_secret", "_tried_count")

    def __init__(self, secret: bytes, new_count: int, tried_count: int) -> None:
        if len(secret) != 4:
            raise ValueError(f"secret: expected the 4 bytes of a lisk-p2p secret, got {len(secret)}")
        self._secret = secret
        self._new_count = new_count
        self._tried_count = tried_count

    def tried_bucket(self, info: AddressInfo, port: int) -> int:
        return lisk_tried_bucket(self._secret, info.packed, self._tried_count)

    def new_bucket(self, info: AddressInfo, source_group: NetGroup, port: int) -> int:
        source: bytes | None = None
        if source_group:
            # A source that is not IPv4 contributes two zero bytes.
            source = source_group[1:3] if len(source_group) == 3 else b"\0\0"
        return lisk_new_bucket(self._secret, info.packed, source, self._new_count)


def bucket_hash(config: BookConfig, secret: bytes) -> BucketHash:
    """The scheme that ``config`` names. Raises ValueError if the secret does not fit it."""
    scheme = LiskHash if config.hashing is Hashing.LISK else LipHash
    return scheme(secret, config.new_bucket_count, config.tried_bucket_count)


def lisk_secret(value: int) -> bytes:
    """lisk-p2p's ``secret`` option as bytes. Raises ValueError outside 0 to 4294967295, as lisk-p2p does."""
    if not 0 <= value <= 0xFFFF_FFFF:
        raise ValueError(f"secret: expected 0 to 4294967295, got {value}")
    return value.to_bytes(4, "big")


def lisk_network(packed: bytes) -> int:
    """lisk-p2p's class of an IPv4 address: 0 public, 1 private (10/8, 172.16/12), 2 local (127/8 and 0.0.0.0).

    192.168/16 counts as public there. Raises ValueError if ``packed`` is not 4 bytes: lisk-p2p throws on anything else.
    """
    if len(packed) != 4:
        raise ValueError("lisk-p2p's bucket hashing supports IPv4 addresses only")
    first, second = packed[0], packed[1]
    if first == 127 or packed == b"\0\0\0\0":
        return 2
    if first == 10 or (first == 172 and 16 <= second <= 31):
        return 1
    return 0


def lisk_netgroup(secret: bytes, packed: bytes) -> int:
    """lisk-p2p's number of the /16 of an address, keyed by the secret (4 bytes)."""
    return _number(secret + bytes((lisk_network(packed),)) + packed[:2])


def lisk_tried_bucket(secret: bytes, packed: bytes, count: int) -> int:
    """lisk-p2p's tried bucket of an IPv4 address, in 0 to ``count`` - 1."""
    network = lisk_network(packed)
    prefix = secret + bytes((network,))
    if network:
        return _number(prefix) % count
    k = _number(prefix + packed) % TRIED_BUCKETS_PER_GROUP
    return _number(prefix + packed[:2] + k.to_bytes(4, "big")) % count


def lisk_new_bucket(secret: bytes, packed: bytes, source: bytes | None, count: int) -> int:
    """lisk-p2p's new bucket; ``source``: the first two bytes of the source address, None if there is no source."""
    network = lisk_network(packed)
    prefix = secret + bytes((network,))
    if network:
        return _number(prefix) % count
    if source is None:
        source = packed[:2]
        k = _number(prefix + packed) % NEW_BUCKETS_PER_SOURCE
    else:
        k = _number(prefix + source + packed[:2]) % NEW_BUCKETS_PER_SOURCE
    # The twelve zero bytes are lisk-p2p's: it writes k into a buffer as long as the modulus.
    return _number(prefix + source + k.to_bytes(4, "big") + bytes(12)) % count


def _number(data: bytes) -> int:
    """H of LIP 0004."""
    number: int = _first_4(sha256(data).digest())[0]
    return number
