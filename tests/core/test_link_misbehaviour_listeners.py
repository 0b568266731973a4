"""How a real lisk-p2p 0.10.0 node treated listeners that broke the rules, and how our link treats the same packets.

Each recorded case is a fresh node that dialled a hand-made listener. The listener's packets are replayed; what our side
sends, closes and punishes must be what the real node did, but for ``DEVIATIONS``.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from core.events import RequestReceived
from core.house_messages import (
    GetSample,
    PeerMisbehaved,
)
from core.ids import Direction, Endpoint
from core.wire.lisk10 import Lisk10
from core.wire.payloads import NodeInfo
from tests.core.link_rig import CHAIN, Rig

FILE = Path(__file__).resolve().parents[1] / "fixtures" / "vectors" / "misbehaviour_listener.json"
CASES: dict[str, dict[str, Any]] = {case["case"]: case for case in json.loads(FILE.read_text())["results"]}


class Deviation(NamedTuple):
    """Of what the real node sent, the last ``less`` items are missing here and ``more`` come instead."""

    reason: str
    less: int
    more: tuple[str, ...]
    ban: bool | None = None


CRASH = "The real node crashed (docs/defects.md)."
CLIENT = "The SocketCluster client answers or acts on events of its own that no listener of this network sends."
SLOT = "lisk-p2p defect 22: the real node keeps the connection and its slot for ever; we give the peer up."
DISCONNECT = '{"event":"#disconnect","data":{"code":1000}}'
FAILED = '{"event":"#disconnect","data":{"code":1000,"data":"getNodeInfo failed: %s"}}'

DEVIATIONS = {
    "rpc_request_no_data": Deviation(
        CRASH, 0, ('{"rid":1,"error":{"message":"RPC request format is invalid."}}',), ban=False
    ),
    "disconnect_null": Deviation(CRASH, 0, (DISCONNECT, "close 1000")),
    "disconnect_string_code": Deviation(CRASH, 1, (DISCONNECT, "close 1000")),
    "disconnect_5000": Deviation(CRASH, 1, ('{"event":"#disconnect","data":{"code":1000,"data":"x"}}', "close 1000")),
    "nodeinfo_data_object": Deviation(CRASH + " LIP 0004: 100 points.", 0, (DISCONNECT, "close 1000"), ban=True),
    "setAuthToken_string": Deviation(CLIENT, 1, ()),
    "removeAuthToken": Deviation(CLIENT, 1, ()),
    "event_close": Deviation(CLIENT, 2, ()),
    "event_connect": Deviation(CLIENT, 2, ()),
    "batch": Deviation("A batch is no packet: a listener of 0.10 bans for it, and its openers execute it.", 2, ()),
    "binary_frame": Deviation(
        "The real opener ignores JSON in binary frames, the real listener reads it; we read it on both sides.",
        0,
        ('{"rid":1,"data":{"data":"AQ==","peerId":"127.0.0.1:21000"}}',),
    ),
    "nodeinfo_no_object": Deviation(SLOT, 0, (FAILED % "the answer has no data", "close 1000")),
    "nodeinfo_error": Deviation(SLOT, 0, (FAILED % "nope", "close 1000")),
    "nodeinfo_other_chain": Deviation(
        SLOT,
        0,
        ('{"event":"#disconnect","data":{"code":4104,"data":"Peer chainID did not match our own"}}', "close 4104"),
    ),
    "nodeinfo_other_version": Deviation(
        SLOT,
        0,
        ('{"event":"#disconnect","data":{"code":4104,"data":"Peer has incompatible protocol version"}}', "close 4104"),
    ),
    "ack_no_pingTimeout": Deviation(
        "Without a ping time-out the real node starts, and gives up at once with 4000; we do not start.",
        4,
        ("close 4003",),
    ),
    "ack_pingTimeout_huge": Deviation(
        "Without a ping time-out the real node starts, and gives up at once with 4000; we do not start.",
        3,
        ("close 4003",),
    ),
}

NOT_REPLAYED = {
    "payload_max_plus1": "The size of messages is the channel's affair.",
    "http_401": "It never became a WebSocket.",
    "http_never": "It never became a WebSocket.",
    "bad_accept": "It never became a WebSocket.",
    "deflate_response": "Compression is the channel's affair; we never offer it.",
}
"""On the level of bytes: tests/actors/test_replayed_listeners.py."""


FRAME_HEADER_BYTES = 4
"""Of a frame of 126 to 65,535 bytes (RFC 6455, section 5.2)."""


def peers_packet(frame_bytes: int) -> str:
    """The answer to getPeers of which the recording has only the size: so many peers on ports from 41,000 on."""
    for count in (200, 201):
        endpoints = [Endpoint("127.0.0.1", 41000 + number) for number in range(count)]
        record = b"".join(Lisk10().encode_peers([endpoint]) for endpoint in endpoints)  # 200 at most in one go
        text = f'{{"rid":3,"data":{{"data":"{base64.b64encode(record).decode()}"}}}}'
        if len(text) + FRAME_HEADER_BYTES == frame_bytes:
            return text
    raise AssertionError(f"no list of peers has a frame of {frame_bytes} bytes")


def payload_of(sent: str) -> str | None:
    """The text of a frame as recorded (with the last byte of its header before it); None for a control frame."""
    if sized := re.fullmatch(r"(\d+) bytes", sent):
        return peers_packet(int(sized[1]))
    if re.fullmatch("8[9a][0-9a-f]{2}", sent):
        return None
    starts = [at for at in (sent.find("{"), sent.find("[")) if at >= 0]
    return sent[min(starts) :] if starts else sent


class Node:
    """Our side: a link, and an application that answers every request with what was sent."""

    def __init__(self, case: dict[str, Any]) -> None:
        transcript = case["transcript"]
        target = next(entry["http"] for entry in transcript if "http" in entry)
        nonce = re.search("nonce=([0-9a-f]+)", target)
        assert nonce is not None
        peer_ids = re.findall(r'"peerId":"127\.0\.0\.1:(\d+)"', "".join(self.recorded(case)))
        port = int(next((found for found in peer_ids if found != "1"), "21000"))
        self.case = case
        self.rig = Rig(
            Direction.OUTBOUND,
            endpoint=Endpoint("127.0.0.1", port),
            own=NodeInfo(CHAIN, "1.1", nonce[1]),
            now=0.0,
            handshake_timeout_s=3.0,
            request_timeout_outbound_s=3.0,
        )
        self.done: list[str] = []

    @staticmethod
    def recorded(case: dict[str, Any]) -> list[str]:
        """What the real node sent: texts and close codes."""
        mine = [entry for entry in case["transcript"] if entry.get("dir") == "c2s"]
        return [
            entry.get("text", f"close {entry.get('close')}") for entry in mine if "text" in entry or "close" in entry
        ]

    def run(self) -> list[str]:
        rig = self.rig
        for entry in self.case["transcript"]:
            self.pass_time(entry["t"] / 1000)
            if "http" in entry:
                rig.do(rig.link.start_outbound(rig.now))
                rig.do(rig.link.on_opened(rig.now))
            elif entry.get("dir") == "s2c" and "sent" in entry:
                self.receive(entry["sent"])
            elif entry.get("dir") == "s2c" and "close" in entry and not rig.ends:
                rig.closed(entry["close"])
            self.answer()
        return [*rig.sent, *(f"close {end:d}" for end in rig.ends if isinstance(end, int))]

    def pass_time(self, until: float) -> None:
        if until > self.rig.now and not self.rig.ends:
            self.rig.advance(until - self.rig.now)

    def receive(self, sent: str) -> None:
        text = payload_of(sent)
        if text is None:
            self.rig.do(self.rig.link.on_control_frame(self.rig.now))
        elif re.fullmatch("82[0-9a-f]+", text):
            self.rig.receive(bytes.fromhex(text)[2:], binary=True)
        else:
            self.rig.receive(text)

    def answer(self) -> None:
        """The program's and the book's part."""
        rig = self.rig
        for request in rig.of(RequestReceived):
            rig.do(rig.link.answer(request.call_id or 0, request.data))
        for sample in rig.tells(GetSample):
            given = next(text for text in self.recorded(self.case) if text.startswith(f'{{"rid":{sample.request_id},'))
            data = base64.b64decode(json.loads(given)["data"]["data"])
            rig.do(rig.link.on_sample(sample.request_id, Lisk10().decode_peers(data)))
        rig.events = [event for event in rig.events if not isinstance(event, RequestReceived)]
        rig.told = [(room, message) for room, message in rig.told if not isinstance(message, GetSample)]


@pytest.mark.parametrize("name", [name for name in CASES if name not in NOT_REPLAYED])
def test_a_listener_is_treated_as_a_real_node_treats_it(name: str) -> None:
    case = CASES[name]
    node = Node(case)
    ours, real = node.run(), Node.recorded(case)
    deviation = DEVIATIONS.get(name, Deviation("", 0, ()))
    assert ours == real[: len(real) - deviation.less] + list(deviation.more)
    banned = case["banned"] if deviation.ban is None else deviation.ban
    assert bool(node.rig.tells(PeerMisbehaved)) == banned
    assert not banned or node.rig.ends


def test_every_deviation_is_still_one() -> None:
    assert set(DEVIATIONS) | set(NOT_REPLAYED) <= set(CASES)
    assert not set(DEVIATIONS) & set(NOT_REPLAYED)
    crashed = {name for name, case in CASES.items() if case["node_crashed"]}
    assert crashed - {"kickOut_no_data"} == {
        name for name, found in DEVIATIONS.items() if found.reason.startswith(CRASH)
    }
