"""Node infos and peer lists in MessagePack: the vectors, round trips, limits."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.frozen import FrozenDict
from core.ids import Endpoint
from core.wire import native_payloads
from core.wire.codec import CodecError, CodecLimit
from core.wire.native_payloads import (
    MAX_DEPTH,
    MAX_OPTION_VALUES,
    decode_node_info,
    decode_peers,
    encode_node_info,
    encode_peers,
)
from core.wire.packets import PacketFault
from core.wire.payloads import NodeInfo

VECTORS = json.loads((Path(__file__).parents[2] / "fixtures" / "vectors" / "native.json").read_text())
LIMIT = 20_480


def ids(vectors: list[dict[str, Any]]) -> list[str]:
    return [vector["name"] for vector in vectors]


# ---- node info


@pytest.mark.parametrize("vector", VECTORS["node_infos"], ids=ids(VECTORS["node_infos"]))
def test_a_node_info_is_read_and_written(vector: dict[str, Any]) -> None:
    info = NodeInfo(
        bytes.fromhex(vector["chain_id"]),
        vector["network_version"],
        vector["nonce"],
        vector["advertise_address"],
        vector["options"],
        vector.get("network_identifier", ""),
        vector.get("network_id", ""),
    )
    assert decode_node_info(bytes.fromhex(vector["hex"]), LIMIT) == info
    if "later" not in vector["name"]:
        assert encode_node_info(info, LIMIT).hex() == vector["hex"]


@pytest.mark.parametrize(
    "vector",
    [vector for vector in VECTORS["faulty_node_infos"] if "schema" not in vector["name"]],
    ids=lambda vector: vector["name"],
)
def test_a_faulty_node_info_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(CodecError):
        decode_node_info(bytes.fromhex(vector["hex"]), LIMIT)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=30,
)
INFOS = st.builds(
    NodeInfo,
    st.binary(max_size=64),
    st.text(max_size=64),
    st.text(max_size=256),
    st.booleans(),
    st.dictionaries(st.text(max_size=8), VALUES, max_size=4),
)


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@given(INFOS)
def test_a_node_info_comes_back_as_it_was(info: NodeInfo) -> None:
    if depth(info.options) > MAX_DEPTH:
        with pytest.raises(CodecLimit):
            encode_node_info(info, LIMIT)
        return
    assert decode_node_info(encode_node_info(info, LIMIT), LIMIT) == info


def test_every_cut_of_a_node_info_is_refused() -> None:
    whole = encode_node_info(NodeInfo(b"\0\0\0\1", "1.1", "nonce", True, {"a": [1, {"b": b"c"}], "d": None}), LIMIT)
    for end in range(len(whole)):
        with pytest.raises(CodecError):
            decode_node_info(whole[:end], LIMIT)


NEARLY = st.binary(max_size=40).map(lambda options: b"\x97\xc4\x04\0\0\0\1\xa31.1\xa1n\xc3" + options + b"\xa0\xa0")


@given(st.binary(max_size=200) | NEARLY)
def test_any_bytes_give_a_node_info_or_an_error(data: bytes) -> None:
    with contextlib.suppress(CodecError, PacketFault):
        decode_node_info(data, LIMIT)


def test_the_size_is_looked_at_first() -> None:
    info = encode_node_info(NodeInfo(b"\0\0\0\1", "1.1", "n", True, {"a": "x" * 100}), LIMIT)
    assert decode_node_info(info, len(info)).options == {"a": "x" * 100}
    with pytest.raises(CodecLimit, match=f"expected at most {len(info) - 1} bytes, got {len(info)}"):
        decode_node_info(info, len(info) - 1)
    with pytest.raises(CodecLimit):
        encode_node_info(NodeInfo(b"\0\0\0\1", "1.1", "n", True, {"a": "x" * 101}), len(info))


def test_values_beyond_the_limits_of_every_dialect_are_faults() -> None:
    long = msgpack.packb([bytes(65), "1.1", "n", True, {}, "", ""])
    with pytest.raises(PacketFault) as refused:
        decode_node_info(long, LIMIT)
    assert refused.value.rule == "node_info_limit"


def test_options_have_a_limit_of_values() -> None:
    fits = NodeInfo(b"", "1", "n", True, {"a": [0] * (MAX_OPTION_VALUES - 2)})
    assert decode_node_info(encode_node_info(fits, LIMIT), LIMIT) == fits
    with pytest.raises(CodecLimit):
        encode_node_info(NodeInfo(b"", "1", "n", True, {"a": [0] * (MAX_OPTION_VALUES - 1)}), LIMIT)


def test_options_may_be_frozen() -> None:
    info = NodeInfo(b"", "1", "n", True, FrozenDict({"a": FrozenDict({"b": (1, 2)})}))
    assert decode_node_info(encode_node_info(info, LIMIT), LIMIT).options == {"a": {"b": [1, 2]}}


@pytest.mark.parametrize("value", [object(), 2**64, {1, 2}, "\ud800"])
def test_what_message_pack_cannot_express_is_refused(value: object) -> None:
    with pytest.raises(CodecError):
        encode_node_info(NodeInfo(b"", "1", "n", True, {"a": value}), LIMIT)


def test_a_node_info_that_claims_much_costs_little() -> None:
    start = b"\x97\xc4\x00\xa11\xa1n\xc3"
    bombs = [start + b"\x81\xa1a" * 6000, start + b"\xdd\x00\xff\xff\xff" * 4000, start + b"\xde\xff\xff" * 6000]
    tracemalloc.start()
    try:
        for bomb in bombs:
            with pytest.raises(CodecError):
                decode_node_info(bomb, LIMIT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200_000


# ---- peer lists


@pytest.mark.parametrize("vector", VECTORS["peer_lists"], ids=ids(VECTORS["peer_lists"]))
def test_a_peer_list_is_read_and_written(vector: dict[str, Any]) -> None:
    peers = [Endpoint.parse(text) for text in vector["peers"]]
    assert list(decode_peers(bytes.fromhex(vector["hex"]))) == peers
    assert encode_peers(peers).hex() == vector["hex"]


@pytest.mark.parametrize("vector", VECTORS["faulty_peer_lists"], ids=ids(VECTORS["faulty_peer_lists"]))
def test_a_faulty_peer_list_is_refused_by_its_rule(vector: dict[str, Any]) -> None:
    with pytest.raises((CodecError, PacketFault)) as refused:
        decode_peers(bytes.fromhex(vector["hex"]))
    assert getattr(refused.value, "rule", None) == vector["fault"]


ADDRESSES = st.ip_addresses().filter(lambda ip: getattr(ip, "ipv4_mapped", None) is None)


@given(st.lists(st.builds(lambda ip, port: Endpoint(str(ip), port), ADDRESSES, st.integers(1, 65535)), max_size=30))
def test_peers_come_back_as_they_were(peers: list[Endpoint]) -> None:
    read = decode_peers(encode_peers(peers))
    assert list(read) == peers
    assert all(str(ipaddress.ip_address(ip)) == ip for ip, _ in read)


@given(st.binary(max_size=100))
def test_any_bytes_give_peers_or_an_error(data: bytes) -> None:
    with contextlib.suppress(CodecError, PacketFault):
        decode_peers(data)


def test_every_cut_of_a_peer_list_is_refused() -> None:
    whole = encode_peers([Endpoint("1.2.3.4", 5001), Endpoint("2001:db8::1", 300)])
    for end in range(len(whole)):
        with pytest.raises(CodecError):
            decode_peers(whole[:end])


def test_at_most_200_are_written_and_a_caller_may_allow_more() -> None:
    many = [Endpoint(f"10.0.{number // 250}.{number % 250}", 5001) for number in range(300)]
    assert list(decode_peers(encode_peers(many))) == many[:200]
    packed = msgpack.packb([part for ip, port in many for part in (ipaddress.ip_address(ip).packed, port)])
    assert list(decode_peers(packed, 300)) == many
    with pytest.raises(PacketFault):
        decode_peers(packed, 299)


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_a_port_out_of_range_is_not_written(port: int) -> None:
    with pytest.raises(CodecError, match=r"peers\[1\]\.port: expected a port from 1 to 65535"):
        encode_peers([Endpoint("1.2.3.4", 1), Endpoint("1.2.3.4", port)])


def test_an_address_that_is_none_is_not_written() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        encode_peers([Endpoint("1.2.3", 1)])


USUAL = st.tuples(st.binary(min_size=4, max_size=4), st.integers(256, 65535))
ENTRIES = st.one_of(
    USUAL,
    st.tuples(st.sampled_from([bytes(4), bytes(3), bytes(16), b""]), st.sampled_from([0, 1, 255, 256, 65535, 65536])),
)


def outcome(read: Callable[[bytes, int], object], data: bytes, most: int) -> object:
    try:
        return read(data, most)
    except (CodecError, PacketFault) as error:
        return type(error), str(error)


@given(
    st.lists(USUAL, min_size=8, max_size=30),
    st.lists(st.tuples(st.integers(0, 30), ENTRIES), max_size=1),
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 255)), max_size=2),
    st.integers(0, 2),
    st.integers(7, 40),
)
def test_the_short_way_reads_what_the_long_one_does(
    entries: list[tuple[bytes, int]],
    odd: list[tuple[int, tuple[bytes, int]]],
    changed: list[tuple[int, int]],
    cut: int,
    most: int,
) -> None:
    """Of lists that are as nearly all are, of lists with another entry among them, and of spoiled ones."""
    for place, entry in odd:
        entries.insert(place, entry)
    data = bytearray(msgpack.packb([value for entry in entries for value in entry]))
    for place, value in changed:
        data[place % len(data)] = value
    packed = bytes(data[: len(data) - cut])
    assert outcome(decode_peers, packed, most) == outcome(native_payloads._any_peers, packed, most)


@pytest.mark.parametrize(
    ("place", "spoiled"),
    [
        (2, b"\x15"),
        (2, b"\x13"),
        (12, b"\xc5"),
        (12, b"\xa4"),
        (13, b"\x03"),
        (18, b"\xce"),
        (19, bytes(2)),
        (0, b"\xdd"),
    ],
    ids=["other_header", "one_more", "one_less", "longer", "text", "shorter", "wider_port", "port_0"],
)
def test_a_list_spoiled_in_one_place_is_refused_by_its_rule(place: int, spoiled: bytes) -> None:
    """The header takes 3 bytes, and each of the ten entries 9."""
    whole = encode_peers([Endpoint(f"10.0.0.{number}", 5001) for number in range(10)])
    data = whole[:place] + spoiled + whole[place + len(spoiled) :]
    answer = outcome(decode_peers, data, 200)
    assert answer == outcome(native_payloads._any_peers, data, 200)
    assert type(answer) is tuple
    assert answer[0] in (CodecError, PacketFault)


def test_nearly_all_lists_are_read_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    peers = tuple(Endpoint(f"10.0.0.{number}", 300 + number) for number in range(200))
    monkeypatch.delattr(native_payloads, "_any_peers")
    assert decode_peers(encode_peers(peers)) == peers
