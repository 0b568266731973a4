"""The dialect of lisk-p2p 0.6.1 to 0.8.0 against what such nodes sent, and where it differs from ``lisk-0.10``."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import CloseCode, Endpoint
from core.wire.codec import CodecError, CodecLimit
from core.wire.lisk07 import Lisk07
from core.wire.packets import Message, PacketFault, Response
from core.wire.payloads import NodeInfo
from core.wire.query import PeerQuery, Refusal
from core.wire.schema import parse_schema
from tests.core.wire.vectors import captured_targets, captures, codec_vectors

_DIALECT = Lisk07()
_CUSTOM = parse_schema(codec_vectors()["generated_with"]["custom_schema"])
_NETWORK = "11111111111111112222222222222222"
_OWN = NodeInfo(b"\0\0\0\1", "1.1", "0123456789abcdef", network_identifier=_NETWORK)
_OTHER_NETWORK = Refusal(CloseCode.INCOMPATIBLE, "Peer networkIdentifier did not match our own")
_OTHER_VERSION = Refusal(CloseCode.INCOMPATIBLE, "Peer has incompatible protocol version")
_INVALID = CloseCode.INVALID_QUERY


def _parse(query: str) -> PeerQuery | Refusal:
    return _DIALECT.parse_query(f"/rpc/?{query}", source_ip="127.0.0.1", own_nonce=_OWN.nonce)


# The query.


@pytest.mark.parametrize("target", [target for name, target in captured_targets("0.7.3") if name[:4] != "raw_"])
def test_targets_of_real_nodes_are_read_and_built_again(target: str) -> None:
    query = _DIALECT.parse_query(target, source_ip="127.0.0.1", own_nonce="me")
    assert isinstance(query, PeerQuery)
    assert query.chain_id == b""
    assert _DIALECT.request_target(query.node_info(), query.port) == target


def test_an_openers_target_names_only_its_own_network() -> None:
    assert _DIALECT.request_target(_OWN, 6002) == (
        f"/rpc/?networkVersion=1.1&networkIdentifier={_NETWORK}&nonce=0123456789abcdef&advertiseAddress=true&port=6002"
    )


_GOOD = f"networkVersion=1.1&networkIdentifier={_NETWORK}"


@pytest.mark.parametrize(
    ("query", "verdict"),
    [
        (f"{_GOOD}&port=7000", None),
        (f"{_GOOD}&port=7000&chainID=zz&wsPort=1&foo=bar", None),
        (f"networkVersion=1.9&networkIdentifier={_NETWORK}&port=7000", None),
        (f"networkVersion=2.0&networkIdentifier={_NETWORK}&port=7000", _OTHER_VERSION),
        (f"networkVersion=1.1&networkIdentifier={_NETWORK}2&port=7000", _OTHER_NETWORK),
        (f"networkVersion=1.1&networkIdentifier={_NETWORK.replace('1', 'a')}&port=7000", _OTHER_NETWORK),
        ("networkVersion=1.1&networkIdentifier=&port=7000", _OTHER_NETWORK),
        (f"{_GOOD}&port=7000&nonce={_OWN.nonce}", Refusal(CloseCode.OWN_NONCE, "Peer cannot connect to itself")),
    ],
)
def test_queries_are_judged_by_network_identifier_and_version(query: str, verdict: Refusal | None) -> None:
    parsed = _parse(query)
    judged = parsed if isinstance(parsed, Refusal) else _DIALECT.check_compatibility(parsed, _OWN)
    assert judged == verdict


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", _INVALID),
        ("networkVersion=1.1&port=7000", _INVALID),
        (f"networkIdentifier={_NETWORK}&port=7000", _INVALID),
        (f"{_GOOD}&networkIdentifier={_NETWORK}&port=7000", _INVALID),
        ("networkVersion=1.1&chainID=00000001&port=7000", _INVALID),
        (_GOOD, CloseCode.INVALID_PEER_INFO),
        (f"{_GOOD}&port=0", CloseCode.INVALID_PEER_INFO),
        (f"networkVersion=1.1&networkIdentifier={'n' * 257}&port=1", CloseCode.INVALID_PEER_INFO),
    ],
)
def test_bad_queries(query: str, code: CloseCode) -> None:
    refusal = _parse(query)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code


def test_an_empty_name_is_no_network_even_if_ours_is_empty_too() -> None:
    nobody = NodeInfo(b"", "1.1", "a")
    assert _DIALECT.check_compatibility(NodeInfo(b"", "1.1", "b"), nobody) == _OTHER_NETWORK


# Node infos and peers.


def test_node_infos_of_the_recordings() -> None:
    """Every node info that real nodes pushed is read, and written again byte for byte."""
    seen = 0
    for name, capture in captures("0.7.3"):
        for connection in capture["connections"]:
            for event in connection["events"]:
                packet = _DIALECT.decode_packet(event["text"]) if event.get("type") == "text" else None
                if isinstance(packet, Message) and packet.event == "postNodeInfo" and packet.data is not None:
                    info = _DIALECT.decode_node_info(packet.data)
                    assert info.network_identifier == _NETWORK or name.startswith("incompatible")
                    if not name.startswith("customschema"):
                        assert _DIALECT.encode_node_info(info) == packet.data
                    seen += 1
    assert seen > 20


def test_a_custom_schema_and_a_node_without() -> None:
    """As real nodes: without a schema the options are ignored, with one a node info needs them."""
    custom = Lisk07(_CUSTOM)
    info = NodeInfo(b"", "1.1", "n", options={"height": 5, "label": "aaa"}, network_identifier="aa")
    record = custom.encode_node_info(info)
    assert record.hex() == "0a0261611203312e311a016e20012a0708051203616161"
    assert custom.decode_node_info(record) == info
    assert _DIALECT.decode_node_info(record).options == {}
    with pytest.raises(CodecError, match="options: the data end"):
        custom.decode_node_info(_DIALECT.encode_node_info(_OWN))
    assert pickle.loads(pickle.dumps(custom)).decode_node_info(record) == info
    with pytest.raises(CodecError, match="no such property"):
        _DIALECT.encode_node_info(info)


def test_texts_are_not_normalised() -> None:
    info = NodeInfo(b"", "1.1", "e\u0301", network_identifier="aa")
    assert _DIALECT.decode_node_info(_DIALECT.encode_node_info(info)).nonce == "e\u0301"


def test_what_is_missing_has_its_default() -> None:
    info = _DIALECT.decode_node_info(bytes.fromhex("0a026161"))
    assert info == NodeInfo(b"", "", "", False, network_identifier="aa")


def test_limits() -> None:
    with pytest.raises(CodecLimit):
        Lisk07(max_node_info_bytes=40).encode_node_info(_OWN)
    with pytest.raises(CodecLimit):
        _DIALECT.decode_node_info(bytes(20_481))
    with pytest.raises(PacketFault, match="node_info_limit"):
        _DIALECT.decode_node_info(b"\x0a\x81\x02" + b"n" * 257)


def test_peer_lists_of_the_recordings() -> None:
    packet = _DIALECT.decode_packet('{"rid":3,"data":{"data":"Cg8KCTEyNy4wLjAuMRCOoQE=","peerId":"127.0.0.1:20622"}}')
    assert isinstance(packet, Response)
    assert packet.data is not None
    assert _DIALECT.decode_peers(packet.data) == (Endpoint("127.0.0.1", 20622),)
    assert _DIALECT.encode_peers([Endpoint("127.0.0.1", 20622)]) == packet.data


@pytest.mark.parametrize(
    ("hex_text", "rule"),
    [
        ("0a00", "peer_not_ipv4"),  # an empty entry: address and port by default
        ("0a090a07312e322e332e34", "peer_bad_port"),
        ("0a0b0a09312e322e332e34" + "2e35" + "1001", "peer_not_ipv4"),
    ],
)
def test_entries_that_no_node_may_send(hex_text: str, rule: str) -> None:
    with pytest.raises(PacketFault) as caught:
        _DIALECT.decode_peers(bytes.fromhex(hex_text))
    assert caught.value.rule == rule


def test_a_list_is_read_leniently_and_capped() -> None:
    odd = bytes.fromhex("0a8b000a07312e322e332e341001") + b"\x12\x00"
    assert _DIALECT.decode_peers(odd) == (Endpoint("1.2.3.4", 1),)
    three = _DIALECT.encode_peers([Endpoint("1.2.3.4", port) for port in (1, 2, 3)])
    with pytest.raises(PacketFault, match="too_many_peers"):
        _DIALECT.decode_peers(three, 2)
    with pytest.raises(CodecError):
        _DIALECT.decode_peers(b"\xff")


# Properties.

_INFOS = st.builds(
    NodeInfo,
    st.just(b""),
    st.text(max_size=64),
    st.text(max_size=64),
    st.booleans(),
    network_identifier=st.text(max_size=64),
)


@given(_INFOS, st.integers(1, 65535))
def test_what_an_opener_says_arrives(info: NodeInfo, port: int) -> None:
    query = _DIALECT.parse_query(_DIALECT.request_target(info, port), source_ip="127.0.0.1", own_nonce="-me-")
    assert isinstance(query, PeerQuery)
    assert (query.port, query.node_info()) == (port, info)
    assert _DIALECT.decode_node_info(_DIALECT.encode_node_info(info)) == info


@given(st.binary(max_size=80))
def test_arbitrary_bytes_raise_nothing_but_the_two_errors(data: bytes) -> None:
    for decode in (_DIALECT.decode_node_info, _DIALECT.decode_peers):
        try:
            decode(data)
        except (CodecError, PacketFault):
            continue


@given(st.none() | st.binary(max_size=40), st.text(max_size=10))
def test_data_within_a_packet_is_text_whatever_a_program_sends(data: bytes | None, name: str) -> None:
    """An object or a number there ends the process of a real node of this generation or the next."""
    for packet in (
        _DIALECT.encode_message(name, data),
        _DIALECT.encode_request(name, data, 7),
        _DIALECT.encode_response(7, data, "1.2.3.4:5"),
        _DIALECT.encode_pong(7, "1.2.3.4:5"),
    ):
        assert isinstance(json.loads(packet)["data"].get("data", ""), str)
