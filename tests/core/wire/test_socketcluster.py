"""Reading packets: recordings of real nodes, the rules of the protocol one by one, and hostile input."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.wire.packets import (
    Disconnect,
    ErrorResponse,
    Handshake,
    KeepAlivePing,
    KeepAlivePong,
    MalformedMessage,
    MalformedRequest,
    Message,
    Packet,
    PacketFault,
    PlainEvent,
    Request,
    Response,
)
from core.wire.socketcluster import MAX_INTEGER, decode_packet, sendable_close_code
from tests.core.wire.vectors import captured_texts

_TEXTS = captured_texts()


def _expected(text: str) -> Packet:
    """Read a recorded packet with the standard library, by the shape that the recording shows."""
    if text in ("#1", "#2"):
        return KeepAlivePing() if text == "#1" else KeepAlivePong()
    packet = json.loads(text)
    inner = packet.get("data", {})
    data = base64.b64decode(inner["data"]) if packet.get("event") != "#disconnect" and "data" in inner else None
    match packet.get("event"):
        case "#handshake":
            return Handshake(packet["cid"])
        case "rpc-request":
            return Request(inner["procedure"], data, packet["cid"])
        case "remote-message":
            return Message(inner["event"], data)
        case "#disconnect":
            return Disconnect(inner["code"], inner.get("data", ""))
    if "error" in packet:
        return ErrorResponse(packet["rid"], packet["error"]["message"], packet["error"].get("code"))
    return Response(packet["rid"], data, inner.get("pingTimeout"))


def test_the_recordings_are_there() -> None:
    assert len(_TEXTS) > 100
    assert {type(_expected(text)) for _, text in _TEXTS} == {
        Handshake,
        Request,
        Message,
        Disconnect,
        Response,
        ErrorResponse,
        KeepAlivePing,
        KeepAlivePong,
    }


@pytest.mark.parametrize("text", [text for _, text in _TEXTS], ids=[name for name, _ in _TEXTS])
def test_every_recorded_text_is_understood(text: str) -> None:
    assert decode_packet(text) == _expected(text)
    assert decode_packet(text.encode()) == _expected(text)


_LONG = "n" * 128
_TOO_LONG = "n" * 129


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        # Spaces, order of members and escapes do not matter; of a repeated member the last counts.
        (' { "cid" : 7 , "data" : {"procedure":"p"} , "event" : "rpc-request" } ', Request("p", None, 7)),
        ('{"event":"remote-\\u006dessage","data":{"event":"\\ud83d\\ude00"}}', Message("\U0001f600", None)),
        ('{"event":"x","event":"remote-message","data":{"event":"e"}}', Message("e", None)),
        # Calls.
        ('{"event":"rpc-request","data":{"procedure":"p","data":"AQI="},"cid":5}', Request("p", b"\1\2", 5)),
        ('{"event":"rpc-request","data":{"procedure":"p","data":""},"cid":5}', Request("p", b"", 5)),
        ('{"event":"rpc-request","data":{"procedure":"p"}}', Request("p", None, None)),
        ('{"event":"rpc-request","data":{"procedure":"p"},"cid":0}', Request("p", None, 0)),
        ('{"event":"rpc-request","data":{"procedure":"p"},"cid":-3}', Request("p", None, -3)),
        ('{"event":"rpc-request","data":{"procedure":"p"},"cid":5.0}', Request("p", None, 5)),
        ('{"event":"rpc-request","data":{"procedure":"p"},"cid":5e2,"rid":1.0}', Request("p", None, 500)),
        ('{"event":"rpc-request","data":{"procedure":"p"},"cid":9007199254740991}', Request("p", None, MAX_INTEGER)),
        ('{"event":"rpc-request","data":{"procedure":"p","data":"!!*"},"cid":5}', Request("p", b"", 5)),
        ('{"event":"rpc-request","data":{"procedure":"p","data":"AQ"},"cid":5}', Request("p", b"\1", 5)),
        (f'{{"event":"rpc-request","data":{{"procedure":"{_LONG}"}},"cid":1}}', Request(_LONG, None, 1)),
        (f'{{"event":"rpc-request","data":{{"procedure":"{_TOO_LONG}"}},"cid":1}}', MalformedRequest(1)),
        (f'{{"event":"rpc-request","data":{{"procedure":"{_TOO_LONG}","data":"A"}}}}', MalformedRequest(None)),
        ('{"event":"rpc-request","cid":5}', MalformedRequest(5)),
        ('{"event":"rpc-request","data":{},"cid":5}', MalformedRequest(5)),
        ('{"event":"rpc-request","data":{"data":"AQ=="},"cid":5}', MalformedRequest(5)),
        ('{"event":"rpc-request","data":{"procedure":5},"cid":5}', MalformedRequest(5)),
        ('{"event":"rpc-request","data":{"procedure":"p","data":{"a":1}},"cid":5}', MalformedRequest(5)),
        ('{"event":"rpc-request","data":{"procedure":"p","data":null},"cid":5}', MalformedRequest(5)),
        ('{"event":"rpc-request","data":{"procedure":"p","type":"/RPCRequest"},"cid":5}', MalformedRequest(5)),
        ('{"event":"rpc-request","data":{"procedure":"p","event":"e"},"cid":5}', MalformedRequest(5)),
        ('{"event":"rpc-request","data":{"procedure":"p","peerId":"e"},"cid":5}', MalformedRequest(5)),
        # Messages.
        ('{"event":"remote-message","data":{"event":"e","data":"AQI="}}', Message("e", b"\1\2")),
        ('{"event":"remote-message","data":{"event":"e","data":""}}', Message("e", b"")),
        ('{"event":"remote-message","data":{"event":"e","data":"AQI"},"cid":1}', Message("e", b"\1\2")),
        ('{"event":"remote-message","data":{"event":""}}', Message("", None)),
        (f'{{"event":"remote-message","data":{{"event":"{_LONG}"}}}}', Message(_LONG, None)),
        (f'{{"event":"remote-message","data":{{"event":"{_TOO_LONG}"}}}}', MalformedMessage()),
        (f'{{"event":"remote-message","data":{{"event":"{_TOO_LONG}","data":"A"}}}}', MalformedMessage()),
        ('{"event":"remote-message"}', MalformedMessage()),
        ('{"event":"remote-message","data":{}}', MalformedMessage()),
        ('{"event":"remote-message","data":{"event":null}}', MalformedMessage()),
        ('{"event":"remote-message","data":{"event":"e","data":{"a":1}}}', MalformedMessage()),
        ('{"event":"remote-message","data":{"event":"e","extra":1}}', MalformedMessage()),
        ('{"event":"remote-message","data":{"event":"e","peerId":"x"}}', MalformedMessage()),
        ('{"event":"remote-message","data":{"event":"e","procedure":"x"}}', MalformedMessage()),
        # Answers. Objects, numbers and the like as payload crash lisk-p2p nodes.
        ('{"rid":2,"data":{"data":"AQI=","peerId":"1.2.3.4:5"}}', Response(2, b"\1\2")),
        ('{"rid":2,"data":{"data":"AQI","peerId":"1.2.3.4:5"}}', Response(2, b"\1\2")),
        ('{"rid":2,"data":{"data":"","peerId":"1.2.3.4:5"}}', Response(2, b"")),
        ('{"rid":2,"data":{"peerId":"1.2.3.4:5"}}', Response(2, None)),
        ('{"rid":2,"data":{"peerId":5,"x":[]}}', Response(2, None)),
        ('{"rid":2,"data":{}}', Response(2, None)),
        ('{"rid":0,"data":{}}', Response(0, None)),
        ('{"rid":2}', Response(2, None, bare=True)),
        ('{"rid":2.0,"cid":1}', Response(2, None, bare=True)),
        ('{"rid":2,"data":{"data":{"a":1}}}', Response(2, None, malformed=True)),
        ('{"rid":2,"data":{"data":5}}', Response(2, None, malformed=True)),
        ('{"rid":2,"data":{"data":true}}', Response(2, None, malformed=True)),
        ('{"rid":2,"data":{"data":null}}', Response(2, None, malformed=True)),
        ('{"rid":2,"data":{"data":[]}}', Response(2, None, malformed=True)),
        # Acknowledgements of the handshake.
        ('{"rid":1,"data":{"id":"x","pingTimeout":20000,"isAuthenticated":true}}', Response(1, None, 20000)),
        ('{"rid":1,"data":{"pingTimeout":2147483647}}', Response(1, None, 2**31 - 1)),
        ('{"rid":1,"data":{"pingTimeout":1500.5}}', Response(1, None, 1500)),
        ('{"rid":1,"data":{"pingTimeout":2147483648}}', Response(1, None, malformed=True)),
        ('{"rid":1,"data":{"pingTimeout":0}}', Response(1, None, malformed=True)),
        ('{"rid":1,"data":{"pingTimeout":-5}}', Response(1, None, malformed=True)),
        ('{"rid":1,"data":{"pingTimeout":1e999}}', Response(1, None, malformed=True)),
        ('{"rid":1,"data":{"pingTimeout":"20000"}}', Response(1, None, malformed=True)),
        ('{"rid":1,"data":{"pingTimeout":null}}', Response(1, None, malformed=True)),
        # Error answers.
        ('{"rid":3,"error":{"message":"no","name":"E"}}', ErrorResponse(3, "no")),
        ('{"rid":3,"error":{}}', ErrorResponse(3, "")),
        ('{"rid":3,"error":{"message":5,"code":"x"}}', ErrorResponse(3, "")),
        ('{"rid":3,"error":{"message":"no","code":77},"data":{}}', ErrorResponse(3, "no", 77)),
        ('{"rid":3,"error":{"message":"no","code":77},"data":{"code":4008}}', ErrorResponse(3, "no", 4008)),
        ('{"rid":3,"error":{"message":"no","code":1e30}}', ErrorResponse(3, "no")),
        ('{"rid":3,"error":{"message":"no","code":1.5}}', ErrorResponse(3, "no")),
        (f'{{"rid":3,"error":{{"message":"{"m" * 1001}"}}}}', ErrorResponse(3, "m" * 1000)),
        # Handshakes.
        ('{"event":"#handshake","data":{"authToken":"abc"},"cid":1}', Handshake(1)),
        ('{"event":"#handshake","cid":1}', Handshake(1)),
        ('{"event":"#handshake","data":{}}', Handshake(None)),
        # Goodbyes, the odd ones included that crash lisk-p2p openers.
        ('{"event":"#disconnect","data":{"code":4404,"data":"why"}}', Disconnect(4404, "why")),
        ('{"event":"#disconnect","data":{"code":1000}}', Disconnect(1000, "")),
        ('{"event":"#disconnect"}', Disconnect(None, "")),
        ('{"event":"#disconnect","data":null}', Disconnect(None, "")),
        ('{"event":"#disconnect","data":"bye"}', Disconnect(None, "")),
        ('{"event":"#disconnect","data":[]}', Disconnect(None, "")),
        ('{"event":"#disconnect","data":{}}', Disconnect(None, "")),
        ('{"event":"#disconnect","data":{"code":"abc","data":"why"}}', Disconnect(None, "why")),
        ('{"event":"#disconnect","data":{"code":0}}', Disconnect(None, "")),
        ('{"event":"#disconnect","data":{"code":1005}}', Disconnect(None, "")),
        ('{"event":"#disconnect","data":{"code":5000}}', Disconnect(None, "")),
        ('{"event":"#disconnect","data":{"code":4105,"data":{"name":"InvalidPeerInfoError"}}}', Disconnect(4105, "")),
        (f'{{"event":"#disconnect","data":{{"code":4000,"data":"{"r" * 1001}"}}}}', Disconnect(4000, "r" * 1000)),
        # Events of others.
        ('{"event":"#setAuthToken","data":{"token":5}}', PlainEvent("#setAuthToken", None)),
        ('{"event":"#kickOut"}', PlainEvent("#kickOut", None)),
        ('{"event":"ping","cid":4}', PlainEvent("ping", 4)),
        ('{"event":"message","data":{"event":"e"},"rid":1}', PlainEvent("message", None)),
        ('{"event":"__proto__"}', PlainEvent("__proto__", None)),
        ('{"event":"","data":{"a":[{}]}}', PlainEvent("", None)),
        (f'{{"event":"{_LONG}"}}', PlainEvent(_LONG, None)),
        ("{}", PlainEvent("", None)),
        ('{"data":{},"cid":2}', PlainEvent("", 2)),
        # Unpaired surrogates are no Unicode: JavaScript may send them, we read the replacement character.
        ('{"event":"\\uD800"}', PlainEvent("\ufffd", None)),
        (
            '{"event":"remote-message","data":{"event":"\\udc00\\\\ud800\\ud83d\\ude00"}}',
            Message("\ufffd\\ud800😀", None),
        ),
        # Keep-alive.
        ("#1", KeepAlivePing()),
        ("#2", KeepAlivePong()),
    ],
)
def test_packets_that_are_understood(text: str, packet: Packet) -> None:
    assert decode_packet(text) == packet
    assert decode_packet(text.encode()) == packet
    if not text.startswith("#"):
        assert decode_packet(text.encode(), binary=True) == packet


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "not_json"),
        ("not json", "not_json"),
        ("{", "not_json"),
        ('{"rid":1}x', "not_json"),
        ('\ufeff{"rid":1}', "not_json"),
        ('{"event":"\\x"}', "not_json"),
        ('{"event":"\\ud800', "not_json"),
        ('{"event":"\ud800"}', "not_json"),
        ('{"cid":01}', "not_json"),
        ('{"cid":NaN}', "not_json"),
        ("#3", "not_json"),
        ("#1 ", "not_json"),
        ("5", "not_object"),
        ('"x"', "not_object"),
        ("null", "not_object"),
        ("true", "not_object"),
        ("[]", "not_object"),
        ('[{"event":"remote-message","data":{"event":"e"}}]', "not_object"),
        ('{"event":"e","extra":1}', "unknown_member"),
        ('{"rid":1,"Data":{}}', "unknown_member"),
        ('{"event":null}', "event_not_text"),
        ('{"event":5}', "event_not_text"),
        ('{"event":{}}', "event_not_text"),
        (f'{{"event":"{_TOO_LONG}"}}', "event_too_long"),
        ('{"event":"e","data":"x"}', "data_not_object"),
        ('{"event":"e","data":null}', "data_not_object"),
        ('{"event":"e","data":[]}', "data_not_object"),
        ('{"event":"e","data":5}', "data_not_object"),
        ('{"event":"rpc-request","data":null,"cid":1}', "data_not_object"),
        ('{"rid":1,"data":"pong"}', "data_not_object"),
        ('{"event":"e","cid":"1"}', "cid_not_integer"),
        ('{"event":"e","cid":null}', "cid_not_integer"),
        ('{"event":"e","cid":1.5}', "cid_not_integer"),
        ('{"event":"e","cid":true}', "cid_not_integer"),
        ('{"event":"e","cid":1e999}', "cid_not_integer"),
        ('{"event":"e","cid":9007199254740992}', "cid_not_integer"),
        (f'{{"event":"e","cid":1{"0" * 5000}}}', "cid_not_integer"),
        ('{"rid":"1"}', "rid_not_integer"),
        ('{"rid":1.5,"data":{}}', "rid_not_integer"),
        ('{"rid":-9007199254740992,"data":{}}', "rid_not_integer"),
        ('{"rid":1,"error":"x"}', "error_not_object"),
        ('{"rid":1,"error":null}', "error_not_object"),
        ('{"event":"e","error":[]}', "error_not_object"),
        ('{"event":"#authenticate","data":{},"cid":5}', "reserved_event"),
        ('{"event":"#removeAuthToken"}', "reserved_event"),
        ('{"event":"#subscribe","data":{"channel":"x"},"cid":5}', "reserved_event"),
        ('{"event":"#unsubscribe","data":{},"cid":5}', "reserved_event"),
        ('{"event":"#publish"}', "reserved_event"),
        ('{"data":' + "[" * 100_000, "too_deep"),
        ('{"event":"e","data":' + '{"a":' * 100_000, "too_deep"),
    ],
)
def test_packets_that_no_correct_peer_sends(text: str, rule: str) -> None:
    with pytest.raises(PacketFault) as caught:
        decode_packet(text)
    assert caught.value.rule == rule
    assert 0 < len(caught.value.detail) <= 200


def test_nothing_is_acted_upon_before_the_whole_packet_is_valid() -> None:
    for member in ('"cid":"x"', '"rid":[]', '"error":5', '"extra":1'):
        for event in ("rpc-request", "remote-message", "#handshake", "#disconnect"):
            with pytest.raises(PacketFault):
                decode_packet(f'{{"event":"{event}","data":{{"procedure":"p"}},{member}}}')


@pytest.mark.parametrize("text", ["#1", "#2", ""])
def test_keep_alive_in_binary_frames_is_garbage(text: str) -> None:
    with pytest.raises(PacketFault) as caught:
        decode_packet(text.encode(), binary=True)
    assert caught.value.rule == "not_json"


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b'{"event":"\xff"}',
        b'{"event":"e","data":{"x":"\xff"}}',
        b'{"event":"remote-message","data":{"event":"\xed\xa0\x80"}}',
        b'{"event":"remote-message","data":{"event":"\xc0\x80"}}',
    ],
)
def test_invalid_utf_8_is_not_json(data: bytes) -> None:
    for binary in (False, True):
        with pytest.raises(PacketFault) as caught:
            decode_packet(data, binary=binary)
        assert caught.value.rule == "not_json"


def test_escapes_beyond_the_cap_are_not_repaired() -> None:
    repaired = decode_packet('{"event":"' + "\\ud800" * 100 + '"}')
    assert repaired == PlainEvent("\ufffd" * 100, None)
    with pytest.raises(PacketFault) as caught:
        decode_packet('{"event":"' + "\\ud800" * 1025 + '"}')
    assert caught.value.rule == "not_json"


def test_an_attackers_text_is_cut_in_the_detail_of_a_fault() -> None:
    with pytest.raises(PacketFault) as caught:
        decode_packet(f'{{"{"x" * 10_000}":1}}')
    assert len(caught.value.detail) == 200


def test_close_codes_that_may_be_sent() -> None:
    sendable = [code for code in range(-1, 6000) if sendable_close_code(code)]
    assert sendable == [1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)]


# Properties.

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)
_EVENTS = st.sampled_from(["rpc-request", "remote-message", "#handshake", "#disconnect", "#publish", "e", ""])
_INNER = st.fixed_dictionaries(
    {},
    optional={
        name: st.text(max_size=4) | _JSON
        for name in ("procedure", "event", "data", "peerId", "pingTimeout", "code", "message", "x")
    },
)
_ALMOST_PACKETS = st.fixed_dictionaries(
    {},
    optional={
        "event": _EVENTS | _JSON,
        "data": _INNER | _JSON,
        "cid": st.integers(-5, 5) | _JSON,
        "rid": st.integers(-5, 5) | _JSON,
        "error": _INNER | _JSON,
        "other": st.nothing() | st.just(1),
    },
)


def _decodes_or_faults(text: str | bytes, binary: bool = False) -> Packet | None:
    try:
        return decode_packet(text, binary=binary)
    except PacketFault:
        return None


@given(st.text(max_size=40), st.booleans())
@example("\ud800", False)
def test_arbitrary_text_is_a_packet_or_a_fault(text: str, binary: bool) -> None:
    _decodes_or_faults(text, binary)


@given(st.binary(max_size=40), st.booleans())
def test_arbitrary_bytes_are_a_packet_or_a_fault(data: bytes, binary: bool) -> None:
    _decodes_or_faults(data, binary)


def _is_integer(value: Any) -> bool:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return whole and not isinstance(value, bool) and abs(value) <= MAX_INTEGER


def _is_correct(packet: dict[str, Any]) -> bool:
    """The rules of a lisk-p2p listener for the outer object, written down a second time."""
    event = packet.get("event", "")
    return (
        isinstance(event, str)
        and event != "#publish"
        and (event == "#disconnect" or isinstance(packet.get("data", {}), dict))
        and all(
            _is_integer(packet[name]) and len(json.dumps(packet[name])) < 40
            for name in ("cid", "rid")
            if name in packet
        )
        and isinstance(packet.get("error", {}), dict)
        and "other" not in packet
    )


@given(_ALMOST_PACKETS)
def test_exactly_the_correct_packets_are_read(packet: dict[str, Any]) -> None:
    text = json.dumps(packet)
    decoded = _decodes_or_faults(text)
    assert (decoded is not None) == _is_correct(packet)
    assert decoded == _decodes_or_faults(json.dumps(packet, ensure_ascii=False).encode(), binary=True)


@given(st.sampled_from([text for _, text in _TEXTS]), st.data())
def test_one_changed_byte_is_a_packet_or_a_fault(text: str, data: st.DataObject) -> None:
    changed = bytearray(text.encode())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    _decodes_or_faults(bytes(changed))
