"""The dialect as a whole: what a connection asks of it."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import Endpoint
from core.wire.codec import CodecError, CodecLimit
from core.wire.dialect import Dialect
from core.wire.lisk10 import Lisk10
from core.wire.packets import Handshake, KeepAlivePing, KeepAlivePong, Message, PacketFault, Response
from core.wire.payloads import NodeInfo
from core.wire.query import PeerQuery
from core.wire.schema import parse_schema
from tests.core.wire.vectors import captures, codec_vectors, python_value

_DIALECT: Dialect = Lisk10()
_VECTORS = codec_vectors()
_CUSTOM = parse_schema(_VECTORS["generated_with"]["custom_schema"])
_PLAIN = [vector for vector in _VECTORS["encode"] if vector["dialect"] == "D5" and vector["schema"] == "nodeInfo"]


def _node_info(value: dict[str, Any]) -> NodeInfo:
    fields = python_value(value)
    return NodeInfo(
        fields["chainID"],
        fields["networkVersion"],
        fields["nonce"],
        fields["advertiseAddress"],
        fields.get("options", {}),
    )


def test_what_a_connection_needs_to_know() -> None:
    assert (_DIALECT.name, _DIALECT.path) == ("lisk-0.10", "/rpc/")
    assert Lisk10.decode_packet(Lisk10.keep_alive_ping) == KeepAlivePing()
    assert Lisk10.decode_packet(Lisk10.keep_alive_pong) == KeepAlivePong()
    assert _DIALECT.decode_packet(_DIALECT.encode_handshake(1)) == Handshake(1)
    assert _DIALECT.app_payload({"n": 1}) == b'{"n":1}'


def test_the_answer_to_ping_is_that_of_the_recordings() -> None:
    text = _DIALECT.encode_pong(1, "127.0.0.1:25230")
    assert text == '{"rid":1,"data":{"data":"InBvbmci","peerId":"127.0.0.1:25230"}}'


@pytest.mark.parametrize(
    ("target", "matches"),
    [
        ("/rpc/?networkVersion=1.1", True),
        ("/rpc/", True),
        ("/rpc", False),
        ("/rpc?networkVersion=1.1", False),
        ("/rpc/x?networkVersion=1.1", False),
        ("/", False),
        ("/socketcluster/?networkVersion=1.1", False),
        ("//rpc/", False),
        ("/RPC/", False),
        ("http://host/rpc/", False),
        ("", False),
    ],
)
def test_the_path_must_match_exactly(target: str, matches: bool) -> None:
    assert _DIALECT.matches_path(target) is matches


def test_an_openers_target_is_understood_by_a_listener() -> None:
    info = NodeInfo(b"\0\0\0\1", "1.1", "78a1ad05a9bf1f8b")
    target = _DIALECT.request_target(info, 6002)
    assert target == "/rpc/?networkVersion=1.1&chainID=00000001&nonce=78a1ad05a9bf1f8b&advertiseAddress=true&port=6002"
    query = _DIALECT.parse_query(target, source_ip="127.0.0.1", own_nonce="x")
    assert query == PeerQuery(6002, b"\0\0\0\1", "1.1", "78a1ad05a9bf1f8b", True)


@pytest.mark.parametrize(
    ("text", "ping_timeout_ms"),
    [
        ('{"rid":1,"data":{"id":"LSQ84NOW4TXZKA_dAAAA","pingTimeout":20000,"isAuthenticated":false}}', 20000),
        ('{"rid":1,"data":{"pingTimeout":1000,"isAuthenticated":true,"authError":{}}}', 1000),
        ('{"rid":1}', 20000),
    ],
)
def test_acknowledgements_that_are_accepted(text: str, ping_timeout_ms: int) -> None:
    packet = _DIALECT.decode_packet(text)
    assert isinstance(packet, Response)
    assert _DIALECT.accept_ack(packet) == ping_timeout_ms


@pytest.mark.parametrize(
    "text",
    [
        '{"rid":1,"data":{"id":"x","isAuthenticated":false}}',
        '{"rid":1,"data":{}}',
        '{"rid":1,"data":{"pingTimeout":1e10}}',
        '{"rid":1,"data":{"pingTimeout":"20000"}}',
        '{"rid":1,"data":{"data":5,"pingTimeout":20000}}',
    ],
)
def test_acknowledgements_that_are_not(text: str) -> None:
    packet = _DIALECT.decode_packet(text)
    assert isinstance(packet, Response)
    with pytest.raises(PacketFault) as caught:
        _DIALECT.accept_ack(packet)
    assert caught.value.rule == "bad_ack"


@pytest.mark.parametrize(
    "vector", [vector for vector in _PLAIN if "decodes_to" in vector], ids=lambda vector: vector["id"]
)
def test_node_infos_of_the_vectors(vector: dict[str, Any]) -> None:
    info = _node_info(vector["value"])
    record = _DIALECT.encode_node_info(info)
    assert record.hex() == vector["hex"]
    assert _DIALECT.decode_node_info(record) == _node_info(vector["decodes_to"])
    assert _DIALECT.encode_message("postNodeInfo", record).endswith(f'"data":"{vector["base64"]}"}}}}')


def test_node_infos_of_the_recordings() -> None:
    """Every node info that real nodes pushed or answered is read, and written again byte for byte."""
    seen = 0
    for name, capture in captures():
        dialect = Lisk10(_CUSTOM if name.startswith("customschema") else None)
        for connection in capture["connections"]:
            for event in connection["events"]:
                packet = dialect.decode_packet(event["text"]) if event.get("type") == "text" else None
                if isinstance(packet, Message) and packet.event == "postNodeInfo" and packet.data is not None:
                    try:
                        info = dialect.decode_node_info(packet.data)
                    except CodecError:
                        assert name == "customschema_onesided"
                        continue
                    assert dialect.encode_node_info(info) == packet.data
                    seen += 1
    assert seen > 20


def test_a_custom_schema_belongs_to_one_dialect_object() -> None:
    """Defect 26: in lisk-p2p the second node of a process without a schema spoils the first one's."""
    custom, plain = Lisk10(_CUSTOM), Lisk10()
    info = NodeInfo(b"\0\0\0\1", "1.1", "0123456789abcdef", options={"height": 5, "label": "aaa"})
    record = custom.encode_node_info(info)
    assert record.hex().endswith("2001" + "2a0708051203616161")
    assert custom.decode_node_info(record) == info
    with pytest.raises(CodecError, match="expected the record to end at byte 40"):
        plain.decode_node_info(record)
    with pytest.raises(CodecError, match="options: the field is missing"):
        custom.decode_node_info(record[:31])
    assert pickle.loads(pickle.dumps(custom)).decode_node_info(record) == info


@pytest.mark.parametrize(
    ("dialect", "options", "problem"),
    [
        (Lisk10(_CUSTOM), {}, "options.height: the property is missing"),
        (Lisk10(_CUSTOM), {"height": 5}, "options.label: the property is missing"),
        (Lisk10(_CUSTOM), {"height": -5, "label": ""}, "options.height: expected an integer from 0"),
        (Lisk10(_CUSTOM), {"height": 5, "label": "", "x": 1}, "options.x: no such property in the schema"),
        (Lisk10(), {"height": 5}, "options: no such property in the schema"),
    ],
)
def test_options_that_do_not_fit_are_refused(dialect: Lisk10, options: dict[str, object], problem: str) -> None:
    with pytest.raises(CodecError, match=problem):
        dialect.encode_node_info(NodeInfo(b"\0\0\0\1", "1.1", "n", options=options))


def test_the_size_of_a_node_info_is_capped_both_ways() -> None:
    """Exactly 20,480 bytes are accepted, one more is not (lisk-p2p bans for it)."""
    label = "x" * 20_439
    dialect, small = Lisk10(_CUSTOM), Lisk10(_CUSTOM, max_node_info_bytes=100)
    record = dialect.encode_node_info(NodeInfo(b"\0\0\0\1", "1.1", "n" * 16, options={"height": 1, "label": label}))
    assert len(record) == 20_480
    assert dialect.decode_node_info(record).options["label"] == label
    with pytest.raises(CodecLimit):
        dialect.encode_node_info(NodeInfo(b"\0\0\0\1", "1.1", "n" * 17, options={"height": 1, "label": label}))
    with pytest.raises(CodecLimit):
        dialect.decode_node_info(record + b"x")
    with pytest.raises(CodecLimit):
        small.decode_node_info(record)


def test_values_beyond_the_limits_are_a_fault() -> None:
    record = bytes.fromhex("0a0012001a8102") + b"n" * 257 + b"\x20\x01"
    with pytest.raises(PacketFault) as caught:
        _DIALECT.decode_node_info(record)
    assert caught.value.rule == "node_info_limit"


def test_peer_lists_of_the_recordings() -> None:
    packet = _DIALECT.decode_packet(
        '{"rid":3,"data":{"data":"Cg8KCTEyNy4wLjAuMRCqwwEKDwoJMTI3LjAuMC4xEMK4AgoPCgkxMjcuMC4wLjEQwbgC",'
        '"peerId":"127.0.0.1:25002"}}'
    )
    assert isinstance(packet, Response)
    assert packet.data is not None
    peers = _DIALECT.decode_peers(packet.data)
    assert peers == tuple(Endpoint("127.0.0.1", port) for port in (25002, 40002, 40001))
    assert _DIALECT.encode_peers(peers) == packet.data


@given(st.binary(max_size=80))
def test_arbitrary_node_infos_raise_nothing_but_the_two_errors(data: bytes) -> None:
    try:
        info = _DIALECT.decode_node_info(data)
    except (CodecError, PacketFault):
        return
    assert _DIALECT.encode_node_info(info) == data
