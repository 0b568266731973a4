"""What the openers of the recorded cases did, and where our node treats it otherwise than a real one does.

tests/fixtures/vectors/misbehaviour.json holds what a real lisk-p2p 0.10.0 node did (answers, close code, ban, what is
left of the reputation) and a description of what the opener did; ``DEEDS`` spells the latter out in packets, ``RAW`` in
bytes, for what is not made of packets.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from core.wire.payloads import NodeInfo
from tests.core.link_rig import info_bytes, message_packet, request_packet

FILE = Path(__file__).resolve().parents[1] / "fixtures" / "vectors" / "misbehaviour.json"
CASES: dict[str, dict[str, Any]] = {case["case"]: case for case in json.loads(FILE.read_text())["results"]}

PING_FRAME = object()
PING_AFTER_S = {"getPeers_x2_11s": 20.2}
"""The random time that the recorded node took to its ping; the others did not come to theirs."""
ECHO = request_packet("echo", b"\x01", 5)


class Binary(NamedTuple):
    """Sent in a binary frame."""

    text: str


def spaced(pause_s: float, *packets: object) -> list[object]:
    """The packets with a pause (a float) after each."""
    return [item for packet in packets for item in (packet, pause_s)]


def asked(procedure: str, count: int, pause_s: float) -> list[object]:
    return spaced(pause_s, *(request_packet(procedure, None, 10 + number) for number in range(count)))


def pushed(data: bytes | None, count: int = 1) -> list[object]:
    return [message_packet("postNodeInfo", data)] * count


def long_info(size: int) -> bytes:
    """A node info record of ``size`` bytes: the nonce is as long as it takes."""
    head, tail = bytes.fromhex("0a04000000011203312e311a"), b"\x20\x01"
    length = size - len(head) - len(tail) - 3
    return head + bytes([length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14]) + b"n" * length + tail


DEEDS: dict[str, list[object]] = {
    "ws_pong": [PING_FRAME],
    "ws_binary_json": [Binary(json.dumps(ECHO))],
    "ws_invalid_utf8": [b"\xff\xfe"],
    "invalid_json": ["not json"],
    "empty_text": [""],
    "hash1": ["#1"],
    "hash2_unsolicited": ["#2"],
    "hash2_binary": [Binary("#2")],
    "json_number": ["5"],
    "json_string": ['"x"'],
    "json_empty_object": ["{}"],
    "json_empty_array": ["[]"],
    "unknown_field": [{**ECHO, "foo": 1}],
    "event_null": [{"event": None}],
    "data_string": [{"event": "remote-message", "data": "x"}],
    "data_number": [{"event": "remote-message", "data": 1}],
    "cid_float_integer": [json.dumps(ECHO).replace('"cid": 5', '"cid": 5.0')],
    "cid_zero": [{**ECHO, "cid": 0}],
    "rid_data_string": [{"rid": 1, "data": "pong"}],
    "rid_error_string": [{"rid": 1, "error": "x"}],
    **{
        f"reserved_{name}": [{"event": f"#{name}", "data": {}, "cid": 5}]
        for name in ("authenticate", "subscribe", "unsubscribe", "publish")
    },
    "reserved_setAuthToken": [{"event": "#setAuthToken", "data": {"token": "x"}}],
    "reserved_kickOut": [{"event": "#kickOut", "data": {"channel": "x"}}],
    "second_handshake": [{"event": "#handshake", "data": {"authToken": None}, "cid": 9}],
    "disconnect_once": [{"event": "#disconnect", "data": {"code": 1000}}],
    "disconnect_11": [{"event": "#disconnect", "data": {"code": 1000}}] * 11,
    "event_unknown": [{"event": "unknown", "cid": 5}],
    "event_local_message": [{"event": "message", "data": {}}],
    "event_proto": [{"event": "__proto__", "data": {}}],
    "rpc_no_data": [{"event": "rpc-request", "cid": 5}],
    "rpc_no_procedure": [{"event": "rpc-request", "data": {}, "cid": 5}],
    "rpc_data_object": [{"event": "rpc-request", "data": {"procedure": "echo", "data": {"a": 1}}, "cid": 5}],
    "rpc_data_not_base64": [{"event": "rpc-request", "data": {"procedure": "echo", "data": "!!*"}, "cid": 5}],
    "rpc_unknown_procedure": [request_packet("nobody", None, 5), 1.0],
    "event_ping_from_client": [{"event": "ping", "cid": 5}],
    "message_no_event": [{"event": "remote-message", "data": {"data": "AQ=="}}],
    "message_extra": [{"event": "remote-message", "data": {"event": "x", "foo": 1}}],
    "message_data_object": [{"event": "remote-message", "data": {"event": "x", "data": {"a": 1}}}],
    "getNodeInfo_with_data": [request_packet("getNodeInfo", b"\x01", 10)],
    "getPeers_with_data": [request_packet("getPeers", b"\x01", 10)],
    "getNodeInfo_x2_fast": asked("getNodeInfo", 2, 0.0),
    "getNodeInfo_x2_slow": asked("getNodeInfo", 2, 1.2),
    "getNodeInfo_x12_slow": asked("getNodeInfo", 12, 1.1),
    "getPeers_x2_fast": asked("getPeers", 2, 0.0),
    "getPeers_x2_slow": asked("getPeers", 2, 1.2),
    "getPeers_x14_slow": asked("getPeers", 14, 1.1),
    "getPeers_x2_11s": [*asked("getPeers", 1, 8.0), "#2", 3.0, request_packet("getPeers", None, 11), 11.0],
    "postNodeInfo_x4": pushed(info_bytes(), 4),
    "postNodeInfo_x20": pushed(info_bytes(), 20),
    "postNodeInfo_no_data": pushed(None),
    "postNodeInfo_empty": pushed(b""),
    "postNodeInfo_garbage": pushed(b"\xff" * 20),
    "postNodeInfo_trailing": pushed(info_bytes() + b"\0"),
    "postNodeInfo_other_network": pushed(info_bytes(NodeInfo(b"\0\0\xff\xff", "9.9", "x"))),
    "postNodeInfo_20480": pushed(long_info(20480)),
    "postNodeInfo_20481": pushed(long_info(20481)),
    "flood_90": [["#2"] * 90, 1.1],
    "flood_150": [["#2"] * 150, 1.1],
    "flood_350": [["#2"] * 350, 1.1],
    "flood_1100": [["#2"] * 1100, 1.1],
    "flood_150_x12s": [["#2"] * 150, 1.0] * 12,
    "idle_21s": [21.0],
    "idle_with_pong": [8.0, "#2", 8.0, "#2", 3.5, "#2", 4.5, "#2", 6.0],
}

RAW = {
    "ws_ping_before_handshake",
    "ws_close_1000",
    "ws_fragmented",
    "ws_rsv1",
    "ws_reserved_opcode",
    "handshake_bad_token",
    "handshake_no_cid",
    "handshake_no_data",
    "payload_max",
    "same_peer_twice",
    "permessage_deflate_offer",
    "origin_header",
    "subprotocol",
    "query_variants",
}
"""Cases of bytes rather than packets, or of a second connection: tests/actors/test_replayed_openers.py plays them."""

DEVIATIONS = {
    **dict.fromkeys(
        ["unknown_field", "reserved_authenticate", "reserved_subscribe", "reserved_unsubscribe", "reserved_publish"],
        "lisk-p2p defect 15: the real node answers the packet before it bans for it.",
    ),
    "getNodeInfo_x2_fast": "The real node counts it a second time at the end of the second, and does not answer.",
    "getPeers_x2_fast": "The real node counts it a second time at the end of the second, and does not answer.",
    "disconnect_once": "lisk-p2p defect 8: the real node leaves the socket open and stops counting it; we close.",
    "disconnect_11": "lisk-p2p defect 8: we close at the first; only those of other connections count with it.",
    "postNodeInfo_20480": "Its nonce has 20,463 characters; we take 256.",
}


class Outcome(NamedTuple):
    """What came of it. ``reputation`` is None if there is nobody any more to have one."""

    texts: list[str]
    close_code: int | None
    banned: bool
    reputation: int | None


OURS: dict[str, Outcome] = {
    "unknown_field": Outcome([], None, True, None),
    "reserved_authenticate": Outcome([], None, True, None),
    "reserved_subscribe": Outcome([], None, True, None),
    "reserved_unsubscribe": Outcome([], None, True, None),
    "reserved_publish": Outcome([], None, True, None),
    "getNodeInfo_x2_fast": Outcome(["{rid 10}", "{rid 11}"], None, False, 90),
    "getPeers_x2_fast": Outcome(["{rid 10}", "{rid 11}"], None, False, 90),
    "disconnect_once": Outcome([], 1000, False, None),
    "disconnect_11": Outcome([], 1000, False, None),
    "postNodeInfo_20480": Outcome(['{"event":"#disconnect","data":{"code":1000}}'], 1000, True, None),
}


def shortened(texts: list[str]) -> list[str]:
    """Answers with node infos and peer lists differ by content; only which calls are answered is compared."""
    packets = [(text, None if text.startswith("#") else json.loads(text)) for text in texts]
    return [f"{{rid {packet['rid']}}}" if packet and packet.get("rid", 0) >= 10 else text for text, packet in packets]


def recorded(case: dict[str, Any]) -> Outcome:
    """What the real node did."""
    after = case["after_misbehaviour"]
    texts = shortened([entry["text"] for entry in after if "text" in entry])
    peers = case["node_state"]["peers"]
    return Outcome(texts, case["close_code"], case["banned"], peers[0]["reputation"] if peers else None)
