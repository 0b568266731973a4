"""Packets with JSON values: those of real nodes, what differs from later generations, and hostile ones."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.wire.lisk05 import packets
from core.wire.lisk05.packets import (
    decode_packet,
    decode_packets,
    encode_message,
    encode_ping,
    encode_pong,
    encode_request,
    encode_response,
)
from core.wire.packets import (
    Disconnect,
    ErrorResponse,
    Handshake,
    KeepAlivePing,
    KeepAlivePong,
    MalformedMessage,
    MalformedRequest,
    Message,
    PacketFault,
    PlainEvent,
    Request,
    Response,
)
from core.wire.socketcluster import decode_carefully
from tests.core.wire.vectors import captured_texts

_TEXTS = [*captured_texts("0.5.0"), *captured_texts("0.4.2")]


def test_the_recordings_are_there() -> None:
    assert len(_TEXTS) > 200


@pytest.mark.parametrize("text", sorted({text for _, text in _TEXTS}))
def test_packets_of_the_recordings_are_read_and_written_again(text: str) -> None:
    match decode_packet(text):
        case Message(event, data):
            assert encode_message(event, data) == text
        case Request("ping", None, int(cid)) if "rpc-request" not in text:
            assert encode_ping(cid) == text
        case Request(procedure, data, cid):
            assert encode_request(procedure, data, cid) == text
        case Response(rid, data, None, malformed=False, bare=False):
            peer_id = json.loads(text)["data"]["peerId"]
            assert encode_response(rid, data, peer_id) == text
        case Response(rid, None, malformed=True):
            assert encode_pong(rid, "1.2.3.4:5") == text


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ('{"event":"#handshake","data":{"authToken":null},"cid":1}', Handshake(1)),
        ('{"event":"rpc-request","data":{"procedure":"p","data":{"a":[1]}},"cid":4}', Request("p", b'{"a":[1]}', 4)),
        ('{"event":"rpc-request","data":{"procedure":"p","data":null},"cid":4}', Request("p", None, 4)),
        ('{"event":"rpc-request","data":{"procedure":"p","more":1}}', Request("p", None, None)),
        ('{"event":"rpc-request","data":{"procedure":5},"cid":4}', MalformedRequest(4)),
        ('{"event":"rpc-request","data":{"data":5},"cid":4}', MalformedRequest(4)),
        ('{"event":"rpc-request","cid":4}', MalformedRequest(4)),
        ('{"event":"ping","cid":7}', Request("ping", None, 7)),
        ('{"event":"ping"}', Request("ping", None, None)),
        ('{"event":"remote-message","data":{"event":"e","data":"x"}}', Message("e", b'"x"')),
        ('{"event":"remote-message","data":{"event":"e","data":0}}', Message("e", b"0")),
        ('{"event":"remote-message","data":{"event":"e"}}', Message("e", None)),
        ('{"event":"remote-message","data":{"event":["e"]}}', MalformedMessage()),
        ('{"event":"remote-message"}', MalformedMessage()),
        ('{"event":"remote-message","data":{"event":"' + "e" * 129 + '"}}', MalformedMessage()),
        ('{"rid":1,"data":"pong"}', Response(1, None, malformed=True)),
        ('{"rid":1,"data":5}', Response(1, None, malformed=True)),
        ('{"rid":1,"data":{"data":false,"peerId":"x"}}', Response(1, b"false")),
        ('{"rid":1,"data":{"peerId":"x"}}', Response(1, None)),
        ('{"rid":1}', Response(1, None, bare=True)),
        ('{"rid":1,"data":{"id":"x","pingTimeout":20000}}', Response(1, None, ping_timeout_ms=20_000)),
        ('{"rid":1,"data":{"id":"x","pingTimeout":"x"}}', Response(1, None, malformed=True)),
        ('{"rid":2,"error":{"message":"m","name":"InvalidRPCRequestError"}}', ErrorResponse(2, "m")),
        ('{"event":"#disconnect","data":{"code":1000}}', Disconnect(1000, "")),
        ('{"event":"#disconnect","data":{"code":4105,"data":{"name":"InvalidPeerInfoError"}}}', Disconnect(4105, "")),
        ('{"event":"evt","data":{}}', PlainEvent("evt", None)),
        ("#1", KeepAlivePing()),
        ("#2", KeepAlivePong()),
    ],
)
def test_how_packets_are_read(text: str, packet: object) -> None:
    assert decode_packet(text) == packet
    assert decode_packets(text.encode(), binary=False) == (packet,)


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"[]", "not_object"),
        (b'{"event":"remote-message","data":{"event":"e","data":"\xff"}}', "not_json"),
        (b'{"event":"e","data":5}', "data_not_object"),
        (b'{"event":"#publish"}', "reserved_event"),
        (b'{"rid":"1","data":"pong"}', "rid_not_integer"),
        (b'{"event":"e","more":1}', "unknown_member"),
        (b'{"event":"remote-message","data":{"event":"e","data":' + b"[" * 9999 + b"]" * 9999 + b"}}", "too_deep"),
    ],
)
def test_what_no_correct_peer_sends(payload: bytes, rule: str) -> None:
    with pytest.raises(PacketFault) as caught:
        decode_packets(payload, binary=False)
    assert caught.value.rule == rule


def test_a_payload_cannot_forge_members_of_its_packet() -> None:
    forged = encode_message("e", b'1},"cid":5,"x":{"a":1')
    assert json.loads(forged) == {
        "event": "remote-message",
        "data": {"event": "e", "data": {"base64": True, "data": "MX0sImNpZCI6NSwieCI6eyJhIjox"}},
    }


@given(st.text(max_size=20), st.none() | st.binary(max_size=40), st.integers(1, 2**53 - 1))
def test_what_is_written_is_read_again(name: str, data: bytes | None, cid: int) -> None:
    expected = None if data == b"null" else data
    assert decode_packet(encode_message(name, data)) == Message(name, expected)
    assert decode_packet(encode_request(name, data, cid)) == Request(name, expected, cid)
    assert decode_packet(encode_response(cid, data, "1.2.3.4:5")) == Response(cid, expected)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
_SHAPES = st.fixed_dictionaries(
    {},
    optional={
        "event": st.sampled_from(["rpc-request", "remote-message", "ping", "other", "e" * 129]) | _VALUES,
        "cid": st.integers() | _VALUES,
        "rid": st.integers() | _VALUES,
        "data": _VALUES
        | st.fixed_dictionaries(
            {},
            optional={
                "event": st.text(max_size=3) | _VALUES,
                "procedure": st.text(max_size=3) | _VALUES,
                "data": _VALUES,
                "pingTimeout": st.just(5) | _VALUES,
                "peerId": _VALUES,
            },
        ),
    },
)


@given(_SHAPES)
def test_the_short_way_and_the_careful_one_read_alike(packet: dict[str, object]) -> None:
    text = json.dumps(packet)
    outcomes = []
    for read in (decode_packet, lambda given_: packets._as_request(decode_carefully(given_, False, packets._VALUES))):
        try:
            outcomes.append(read(text))
        except PacketFault as fault:
            outcomes.append(fault.rule)
    assert outcomes[0] == outcomes[1]


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), st.booleans())
def test_arbitrary_bytes_raise_nothing_but_faults(data: bytes, binary: bool) -> None:
    try:
        decode_packets(data, binary=binary)
    except PacketFault:
        return
