"""Recorded connections of real lisk-p2p 0.10.0 nodes, replayed with either side played by us, byte for byte.

Each difference is deliberate and has its reason in ``DEVIATIONS`` or ``NOT_REPLAYED``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from core.wire.lisk10 import Lisk10
from core.wire.payloads import NodeInfo
from core.wire.query import PeerQuery
from core.wire.schema import DataType, Field, Schema
from tests.core.link_replay import Replay, Sent
from tests.core.wire.vectors import captures

OPENER, LISTENER = "c2s", "s2c"
CUSTOM = Lisk10(Schema((Field(1, "height", DataType.UINT32), Field(2, "label", DataType.STRING))))
PLAIN = Lisk10()

Key = tuple[str, int, str]


class Deviation(NamedTuple):
    """What we send instead of what the real node sent: texts exchanged, texts added at the end."""

    reason: str
    instead: dict[str, str]
    added: tuple[str, ...] = ()


DEVIATIONS: dict[Key, Deviation] = {
    ("rpc", 0, LISTENER): Deviation(
        "An error of our application is its text: own members of JavaScript error objects have no counterpart, and "
        "lisk-p2p's own callers do not see them either.",
        {
            '{"rid":13,"error":{"message":"custom","code":77,"extra":{"a":1}}}': (
                '{"rid":13,"error":{"message":"custom"}}'
            )
        },
    ),
    ("incompatible_server", 0, OPENER): Deviation(
        "lisk-p2p defect 22: lisk-p2p keeps an incompatible listener and its outbound slot for ever; we close.",
        {},
        (
            '{"event":"#disconnect","data":{"code":4104,"data":"Peer chainID did not match our own"}}',
            "close 4104",
        ),
    ),
}

NOT_REPLAYED: dict[Key, str] = {
    ("incompatible_server", 0, LISTENER): "Its peerHandshakeCheck was replaced by one that accepts everybody.",
    ("seed_disconnect_immediate", 0, OPENER): "Nothing was sent: the dial was cancelled (lisk-p2p defect 23).",
    ("seed_disconnect_immediate", 0, LISTENER): "Nothing was sent: the dial was cancelled (lisk-p2p defect 23).",
}

CLOCK_TOLERANCE_S = 0.5
"""Our keep-alive is counted anew from the hand-over to the peer's actor, lisk-p2p's from the upgrade."""

CLOCK_DRIVEN = ("#1", '"procedure":"ping"', '"code":4005')


def played() -> Iterator[tuple[Key, dict[str, Any], dict[str, Any]]]:
    for name, capture in captures():
        for number, connection in enumerate(capture["connections"]):
            for side in (OPENER, LISTENER):
                if side == OPENER and name.startswith("raw_"):
                    continue  # the opener was no lisk-p2p node
                if (name, number, side) not in NOT_REPLAYED:
                    yield (name, number, side), capture, connection


CASES = list(played())


def recorded(connection: dict[str, Any], side: str) -> list[Sent]:
    """What the real node sent."""
    sent = []
    for event in connection["events"]:
        if event["dir"] != side or event["kind"] == "tcp-end":
            continue
        match event["kind"]:
            case "http-request":
                what = event["start"].split(" ")[1]
            case "http-response":
                what = f"HTTP {event['start'].split(' ')[1]}"
            case _:
                what = f"close {event['close_code']}" if event["type"] == "close" else event["text"]
        sent.append(Sent(event["t"] / 1000, what))
    return sent


def dialect_of(key: Key) -> Lisk10:
    name, number, side = key
    if name == "customschema":
        return CUSTOM
    if name == "customschema_onesided":
        return CUSTOM if (side == LISTENER) == (number == 0) else PLAIN
    return PLAIN


def own_info(key: Key, capture: dict[str, Any], connection: dict[str, Any]) -> NodeInfo:
    """Who the played node was: by its first node info, or by its query, or (a refusing listener) by its port."""
    name, _, side = key
    same_node = [connection]
    if side == LISTENER:
        same_node += [other for other in capture["connections"] if other["target_port"] == connection["target_port"]]
    for other in same_node:
        for event in other["events"]:
            if event["dir"] == side and '"postNodeInfo"' in event.get("text", ""):
                return dialect_of(key).decode_node_info(base64.b64decode(json.loads(event["text"])["data"]["data"]))
    if side == OPENER or name == "self":
        query = PLAIN.parse_query(recorded(connection, OPENER)[0].what, source_ip="127.0.0.1", own_nonce="-")
        assert isinstance(query, PeerQuery)
        options = {"height": 0, "label": ""} if dialect_of(key) is CUSTOM else {}
        return NodeInfo(query.chain_id, query.network_version, query.nonce, query.advertise_address, options)
    return NodeInfo(b"\0\0\0\1", "1.1", "the listener's nonce")


def recorded_ping_s(connection: dict[str, Any]) -> float:
    """The random time between hand-over and ping, as the real node chose it."""
    sent = recorded(connection, LISTENER)
    acknowledged = next((entry.t for entry in sent if '"pingTimeout"' in entry.what), 0.0)
    return next((entry.t - acknowledged for entry in sent if '"ping"' in entry.what), 60.0)


@pytest.mark.parametrize(("key", "capture", "connection"), CASES, ids=[f"{n}-{i}-{s}" for (n, i, s), *_ in CASES])
def test_we_send_what_the_real_node_sent(key: Key, capture: dict[str, Any], connection: dict[str, Any]) -> None:
    side = key[2]
    real = recorded(connection, side)
    ours = Replay(
        connection,
        side,
        own=own_info(key, capture, connection),
        dialect=dialect_of(key),
        banned=any(entry.what == "HTTP 401" for entry in real),
        ping_after_s=recorded_ping_s(connection),
    ).run()
    deviation = DEVIATIONS.get(key, Deviation("", {}))
    expected = [deviation.instead.get(entry.what, entry.what) for entry in real] + list(deviation.added)
    assert [entry.what for entry in ours] == expected
    for mine, theirs in zip(ours, real, strict=False):
        if any(mark in mine.what for mark in CLOCK_DRIVEN):
            assert mine.t == pytest.approx(theirs.t, abs=CLOCK_TOLERANCE_S), mine.what


def test_every_recording_is_replayed_or_has_a_reason() -> None:
    names = {name for name, _ in captures()}
    assert {key[0] for key, *_ in CASES} | {key[0] for key in NOT_REPLAYED} == names
    assert len(CASES) > 60
    assert sum(len(recorded(connection, key[2])) for key, _, connection in CASES) > 250


@pytest.mark.parametrize("key", DEVIATIONS)
def test_every_deviation_is_still_one(key: Key) -> None:
    connection = next(connection for found, _, connection in CASES if found == key)
    texts = [entry.what for entry in recorded(connection, key[2])]
    assert DEVIATIONS[key].reason
    assert set(DEVIATIONS[key].instead) <= set(texts)
    assert not set(DEVIATIONS[key].added) & set(texts)
