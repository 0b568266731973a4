"""Bucket hashing: LIP 0004 by an independent restatement, lisk-p2p by vectors taken from a real node."""

from __future__ import annotations

import ipaddress
import json
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.book import Book, BookConfig, Hashing, lisk_secret
from core.book.hashing import (
    NO_SOURCE,
    LipHash,
    LiskHash,
    bucket_hash,
    lisk_netgroup,
    lisk_network,
    lisk_new_bucket,
    lisk_tried_bucket,
)
from core.netgroup import NetClass, address_info, net_group
from tests.core.book.tools import NOW_S, SECRET, at, in_group, spread

VECTORS = json.loads(
    (Path(__file__).resolve().parents[2] / "fixtures" / "vectors" / "bucket_vectors.json").read_text(encoding="utf-8")
)
LIP = LipHash(SECRET, 128, 64)
PUBLIC = st.ip_addresses(v=4).map(str).filter(lambda ip: address_info(ip).net_class is NetClass.PUBLIC)


def number(*parts: bytes) -> int:
    return int.from_bytes(sha256(b"".join(parts)).digest()[:4], "big")


@given(ip=PUBLIC)
def test_lip_tried_bucket_is_the_formula(ip: str) -> None:
    info = address_info(ip)
    k = number(SECRET, b"\x04", info.packed) % 4
    assert LIP.tried_bucket(info, 0) == number(SECRET, info.group, bytes((k,))) % 64


@given(ip=PUBLIC, source=PUBLIC)
def test_lip_new_bucket_is_the_formula(ip: str, source: str) -> None:
    group, source_group = net_group(ip), net_group(source)
    k = number(SECRET, source_group, group) % 16
    assert LIP.new_bucket(address_info(ip), source_group, 0) == number(SECRET, source_group, bytes((k,))) % 128


def test_lip_without_a_source_the_address_is_its_own_source() -> None:
    info = address_info("1.2.3.4")
    assert LIP.new_bucket(info, NO_SOURCE, 0) == LIP.new_bucket(info, info.group, 0)


def test_lip_one_group_reaches_at_most_4_tried_buckets_and_one_source_at_most_16_new_buckets() -> None:
    reached = {LIP.tried_bucket(address_info(endpoint.ip), 0) for endpoint in in_group(5_000)}
    assert 1 < len(reached) <= 4
    source = net_group("9.8.7.6")
    reached = {LIP.new_bucket(address_info(endpoint.ip), source, 0) for endpoint in spread(5_000)}
    assert 8 < len(reached) <= 16


def test_lip_another_secret_gives_other_buckets() -> None:
    other = LipHash(b"another secret", 128, 64)
    moved = sum(
        LIP.tried_bucket(address_info(e.ip), 0) != other.tried_bucket(address_info(e.ip), 0) for e in spread(500)
    )
    assert moved > 450


def test_exempt_addresses_spread_by_port_and_their_source_stays_bounded() -> None:
    info = address_info("127.0.0.1")
    assert len({LIP.tried_bucket(info, port) for port in range(1, 2_000)}) == 64
    assert len({LIP.new_bucket(info, info.group, port) for port in range(1, 2_000)}) <= 16


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda v: f"{v['peerType']}-{v['targetAddress']}")
def test_lisk_vectors(vector: dict[str, Any]) -> None:
    secret, packed = lisk_secret(vector["secret"]), ipaddress.IPv4Address(vector["targetAddress"]).packed
    source = vector["sourceAddress"]
    assert lisk_network(packed) == vector["network"]
    assert lisk_netgroup(secret, packed) == vector["netgroup"]
    if vector["peerType"] == "triedPeer":
        assert lisk_tried_bucket(secret, packed, vector["bucketCount"]) == vector["bucketId"]
    else:
        prefix = ipaddress.IPv4Address(source).packed[:2] if source is not None else None
        assert lisk_new_bucket(secret, packed, prefix, vector["bucketCount"]) == vector["bucketId"]


def test_all_vectors_are_there() -> None:
    assert len(VECTORS["vectors"]) == 100
    assert len(VECTORS["error_vectors"]) == 13


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda v: f"{v['peerType']}-{v['targetAddress']}")
def test_lisk_hash_of_the_book_agrees_with_the_vectors(vector: dict[str, Any]) -> None:
    count = vector["bucketCount"]
    scheme = LiskHash(lisk_secret(vector["secret"]), count, count)
    info = address_info(vector["targetAddress"])
    if vector["peerType"] == "triedPeer":
        assert scheme.tried_bucket(info, 0) == vector["bucketId"]
    else:
        source = vector["sourceAddress"]
        group = net_group(source) if source is not None else NO_SOURCE
        assert scheme.new_bucket(info, group, 0) == vector["bucketId"]


@pytest.mark.parametrize("vector", VECTORS["error_vectors"], ids=lambda v: f"{v['secret']}-{v['targetAddress']}")
def test_lisk_error_vectors(vector: dict[str, Any]) -> None:
    """What lisk-p2p throws at, the book refuses; a source that is not IPv4 counts as two zero bytes."""

    def attempt() -> tuple[int, int]:
        target = vector["targetAddress"]
        secret = lisk_secret(int(vector["secret"]))
        packed = ipaddress.ip_address(target).packed
        source = vector["sourceAddress"]
        prefix = ipaddress.IPv4Address(source).packed[:2] if source.count(".") == 3 else b"\0\0"
        return lisk_new_bucket(secret, packed, prefix, vector["bucketCount"]), lisk_netgroup(secret, packed)

    if "bucketError" in vector:
        with pytest.raises(ValueError, match=r"expected|IPv4|address"):
            attempt()
    else:
        assert attempt() == (vector["bucketId"], vector["netgroup"])


def test_lisk_an_ipv6_source_counts_as_two_zero_bytes() -> None:
    """Vector: secret 7, 8.8.8.8 told by ::1 lands in bucket 32."""
    scheme = LiskHash(lisk_secret(7), 128, 64)
    assert scheme.new_bucket(address_info("8.8.8.8"), net_group("::1"), 0) == 32


def test_a_book_with_lisk_hashing_refuses_ipv6_instead_of_crashing() -> None:
    book = Book(BookConfig(hashing=Hashing.LISK), lisk_secret(7), Random(1))
    (decision,) = book.add(at("2a01:4f8::1"), "8.8.8.8", NOW_S)
    assert decision.rule == "address_unusable"
    assert len(book) == 0


def test_a_secret_needs_32_bits() -> None:
    with pytest.raises(ValueError, match="at least 4 bytes, got 3"):
        bucket_hash(BookConfig(), b"abc")
    with pytest.raises(ValueError, match="the 4 bytes"):
        bucket_hash(BookConfig(hashing=Hashing.LISK), bytes(32))
