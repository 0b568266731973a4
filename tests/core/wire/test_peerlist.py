"""Peer lists: the fast way and the strict way agree, and neither can be made to misbehave."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import Endpoint
from core.wire import codec, peerlist
from core.wire.codec import CodecError
from core.wire.packets import PacketFault
from core.wire.peerlist import PEER, PEERS, decode_peers, encode_peers

_ADDRESSES = st.integers(0, 2**32 - 1).map(lambda number: str(ipaddress.IPv4Address(number)))
_PEERS = st.lists(st.builds(Endpoint, _ADDRESSES, st.integers(1, 65535)), max_size=8)


def _by_schema(entries: list[tuple[str, int]]) -> bytes:
    records = [codec.encode(PEER, {"ipAddress": ip, "port": port}) for ip, port in entries]
    return codec.encode(PEERS, {"peers": records})


def test_lists_of_the_vectors() -> None:
    three = [Endpoint("201.5.6.7", 5001), Endpoint("127.0.0.1", 6002), Endpoint("10.1.2.3", 4000)]
    record = bytes.fromhex(
        "0a0e0a093230312e352e362e371089270a0e0a093132372e302e302e3110f22e0a0d0a0831302e312e322e3310a01f"
    )
    assert encode_peers(three) == record
    assert decode_peers(record) == tuple(three)
    assert (encode_peers([]), decode_peers(b"")) == (b"", ())


@given(_PEERS)
def test_lists_come_back_and_look_as_written_by_schema(peers: list[Endpoint]) -> None:
    record = encode_peers(peers)
    assert record == _by_schema([(peer.ip, peer.port) for peer in peers])
    assert decode_peers(record) == tuple(peers) == peerlist._decode_strictly(record)


@pytest.mark.parametrize("port", [1, 127, 128, 16383, 16384, 65535])
def test_ports_of_one_to_three_bytes(port: int) -> None:
    record = encode_peers([Endpoint("1.2.3.4", port)])
    assert record == _by_schema([("1.2.3.4", port)])
    assert decode_peers(record) == (Endpoint("1.2.3.4", port),)


def test_only_ipv4_and_only_200_are_sent() -> None:
    many = [Endpoint(f"10.0.{number}.1", 5000) for number in range(250)]
    mixed = [Endpoint("::1", 5000), Endpoint("not-an-address!!", 5000), *many]
    assert decode_peers(encode_peers(mixed)) == tuple(many[:200])


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_out_of_range_is_not_sent(port: int) -> None:
    with pytest.raises(CodecError, match=r"peers\[1\]\.port: expected a port from 1 to 65535"):
        encode_peers([Endpoint("1.2.3.4", 1), Endpoint("1.2.3.4", port)])


@pytest.mark.parametrize(
    ("entries", "rule"),
    [
        ([("1.2.3.4", 1)] * 201, "too_many_peers"),
        ([("1.2.3.4", 0)], "peer_bad_port"),
        ([("1.2.3.4", 65536)], "peer_bad_port"),
        ([("1.2.3.4", 70000)], "peer_bad_port"),
        ([("1.2.3.4", 2**32 - 1)], "peer_bad_port"),
        ([("1.2.3.4", 1), ("::1", 5001)], "peer_not_ipv4"),
        ([("1.2.3.256", 1)], "peer_not_ipv4"),
        ([("01.2.3.4", 1)], "peer_not_ipv4"),
        ([("1.2.3.4\n", 1)], "peer_not_ipv4"),
        ([("", 1)], "peer_not_ipv4"),
        ([("seed.example", 1)], "peer_not_ipv4"),
    ],
)
def test_lists_that_no_correct_peer_sends(entries: list[tuple[str, int]], rule: str) -> None:
    with pytest.raises(PacketFault) as caught:
        decode_peers(_by_schema(entries))
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    "hex_text",
    [
        "00",
        "0a",
        "0a00",  # an empty peer record
        "0a0e0a093132372e302e302e311089271200",  # an unknown field after the list
        "0a0f0a093132372e302e302e31108927",  # a record that is longer than the data
        "0a0d0a093132372e302e302e31108927",  # a record that is shorter than its fields
        "0a8e000a093132372e302e302e31108927",  # a length that is not in shortest form
        "0a0e0a083132372e302e302e31108927",  # an address that is shorter than its text
        "0a0f0a093132372e302e302e3110898000",  # a port that is not in shortest form
        "0a110a093132372e302e302e31108080808010",  # a port of 33 bits
        "0b0e0a093132372e302e302e31108927",  # wire type 3
    ],
)
def test_undecodable_lists(hex_text: str) -> None:
    with pytest.raises(CodecError):
        decode_peers(bytes.fromhex(hex_text))


def test_wire_type_0_in_the_key_of_an_entry_is_lisk_codecs_leniency() -> None:
    assert decode_peers(bytes.fromhex("080e0a093132372e302e302e31108927")) == (Endpoint("127.0.0.1", 5001),)


def _outcome(decoded: object, data: bytes) -> object:
    try:
        return decoded(data)  # type: ignore[operator]
    except (CodecError, PacketFault) as error:
        return repr(error)


@given(_PEERS, st.data())
def test_both_ways_agree_on_changed_lists(peers: list[Endpoint], data: st.DataObject) -> None:
    changed = bytearray(encode_peers(peers) + data.draw(st.binary(max_size=2)))
    for _ in range(data.draw(st.integers(0, 3)) if changed else 0):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    record = bytes(changed)
    assert _outcome(decode_peers, record) == _outcome(peerlist._decode_strictly, record)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    _outcome(decode_peers, data)
