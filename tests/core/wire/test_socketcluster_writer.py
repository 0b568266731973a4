"""Writing packets: the texts of real nodes again, byte for byte, and round trips."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.wire import socketcluster_writer as writer
from core.wire.packets import (
    Disconnect,
    ErrorResponse,
    Handshake,
    KeepAlivePing,
    KeepAlivePong,
    Message,
    Packet,
    Request,
    Response,
)
from core.wire.socketcluster import decode_packet
from tests.core.wire.vectors import captured_texts

_TEXTS = captured_texts()
_CANNOT_BE_REBUILT = '{"rid":13,"error":{"message":"custom","code":77,"extra":{"a":1}}}'
"""An error of an application that carries members of its own; we read them past."""


def _rewritten(packet: Packet, text: str) -> str:
    """Return the text of ``packet``, with what packets do not hold (peer and session ids) from the original."""
    match packet:
        case Handshake(cid=int(cid)):
            return writer.encode_handshake(cid)
        case Request(procedure, data, cid):
            return writer.encode_request(procedure, data, cid)
        case Message(event, data):
            return writer.encode_message(event, data)
        case Response(rid, _, int(ping_timeout_ms)):
            return writer.encode_ack(rid, json.loads(text)["data"]["id"], ping_timeout_ms)
        case Response(rid, data):
            return writer.encode_response(rid, data, json.loads(text)["data"]["peerId"])
        case ErrorResponse(rid, message, code):
            return writer.encode_error(rid, message, code)
        case Disconnect(int(code), reason):
            return writer.encode_disconnect(code, reason)
        case KeepAlivePing():
            return "#1"
        case KeepAlivePong():
            return "#2"
    raise AssertionError(f"unexpected packet {packet}")


@pytest.mark.parametrize("text", [text for _, text in _TEXTS], ids=[name for name, _ in _TEXTS])
def test_every_recorded_text_is_written_again_byte_for_byte(text: str) -> None:
    rewritten = _rewritten(decode_packet(text), text)
    if text == _CANNOT_BE_REBUILT:
        assert rewritten == '{"rid":13,"error":{"message":"custom","code":77}}'
    else:
        assert rewritten == text


def test_names_have_the_escapes_of_javascript() -> None:
    """The expected text was printed by ``JSON.stringify`` of Node 20."""
    name = '"\\/\b\f\n\r\t\x00\x1f\x7f\u00e9\u2028\ufeff\U0001f600'
    assert writer.encode_message(name, None) == (
        '{"event":"remote-message","data":{"event":'
        '"\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\u00e9\u2028\ufeff\U0001f600"}}'
    )


def test_absent_and_empty_payloads_differ() -> None:
    assert writer.encode_message("e", None) == '{"event":"remote-message","data":{"event":"e"}}'
    assert writer.encode_message("e", b"") == '{"event":"remote-message","data":{"event":"e","data":""}}'
    assert writer.encode_request("p", None, 1) == '{"event":"rpc-request","data":{"procedure":"p"},"cid":1}'
    assert writer.encode_request("p", b"", None) == '{"event":"rpc-request","data":{"procedure":"p","data":""}}'
    assert writer.encode_response(1, None, "1.2.3.4:5") == '{"rid":1,"data":{"peerId":"1.2.3.4:5"}}'
    assert writer.encode_response(1, b"", "1.2.3.4:5") == '{"rid":1,"data":{"data":"","peerId":"1.2.3.4:5"}}'


def test_a_close_without_reason() -> None:
    for reason in (None, ""):
        assert writer.encode_disconnect(1000, reason) == '{"event":"#disconnect","data":{"code":1000}}'


def test_unpaired_surrogates_become_the_replacement_character() -> None:
    odd, good = "a\ud800\ud83d\ude00", "a\ufffd\U0001f600"
    assert decode_packet(writer.encode_message(odd, b"x")) == Message(good, b"x")
    assert decode_packet(writer.encode_request(odd, b"x", 1)) == Request(good, b"x", 1)
    assert decode_packet(writer.encode_error(1, odd)) == ErrorResponse(1, good)
    assert decode_packet(writer.encode_disconnect(4000, odd)) == Disconnect(4000, good)


_NAMES = st.text(max_size=128)
_PAYLOADS = st.none() | st.binary(max_size=100)
_IDS = st.integers(-(2**53) + 1, 2**53 - 1)


@given(_NAMES, _PAYLOADS)
def test_messages_come_back(name: str, data: bytes | None) -> None:
    assert decode_packet(writer.encode_message(name, data)) == Message(name, data)


@given(_NAMES, _PAYLOADS, _IDS | st.none())
def test_requests_come_back(name: str, data: bytes | None, cid: int | None) -> None:
    assert decode_packet(writer.encode_request(name, data, cid)) == Request(name, data, cid)


@given(_IDS, _PAYLOADS, st.text(max_size=60))
def test_responses_come_back(rid: int, data: bytes | None, peer_id: str) -> None:
    assert decode_packet(writer.encode_response(rid, data, peer_id)) == Response(rid, data)


@given(_IDS, st.text(max_size=60), _IDS | st.none())
def test_errors_come_back(rid: int, message: str, code: int | None) -> None:
    assert decode_packet(writer.encode_error(rid, message, code)) == ErrorResponse(rid, message, code)


@given(_IDS, st.text(max_size=60), st.integers(1, 2**31 - 1))
def test_acknowledgements_come_back(rid: int, session_id: str, ping_timeout_ms: int) -> None:
    packet = decode_packet(writer.encode_ack(rid, session_id, ping_timeout_ms))
    assert packet == Response(rid, None, ping_timeout_ms)


@given(st.integers(3000, 4999), st.text(max_size=60))
def test_goodbyes_come_back(code: int, reason: str) -> None:
    assert decode_packet(writer.encode_disconnect(code, reason)) == Disconnect(code, reason)
