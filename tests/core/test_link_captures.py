"""Recorded connections of real lisk-p2p nodes, replayed with either side played by us, byte for byte.

Recordings of 0.10.0, 0.7.3, 0.5.0 and 0.4.2. Where a payload is a JSON object (0.5.0 and 0.4.2), the order of its
members is not compared: the program chose it. Each difference is deliberate and has its reason in ``DEVIATIONS`` or
``NOT_REPLAYED``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import pytest

from core.wire.dialect import Dialect
from core.wire.generations import AnyGeneration
from core.wire.lisk05 import Lisk05
from core.wire.lisk07 import Lisk07
from core.wire.lisk10 import Lisk10
from core.wire.packets import Message
from core.wire.payloads import NodeInfo
from core.wire.query import PeerQuery
from core.wire.schema import DataType, Field, Schema
from tests.core.link_replay import Replay, Sent
from tests.core.wire.vectors import captures

OPENER, LISTENER = "c2s", "s2c"
SCHEMA = Schema((Field(1, "height", DataType.UINT32), Field(2, "label", DataType.STRING)))
PLAIN: dict[str, Dialect] = {"0.10.0": Lisk10(), "0.7.3": Lisk07(), "0.5.0": Lisk05(), "0.4.2": Lisk05()}
CUSTOM: dict[str, Dialect] = {"0.10.0": Lisk10(SCHEMA), "0.7.3": Lisk07(SCHEMA)}
JSON_VERSIONS = ("0.5.0", "0.4.2")

Key = tuple[str, str, int, str]
"""Version, recording, number of the connection in it, the side that we play."""


class Deviation(NamedTuple):
    """What we send instead of what the real node sent: texts exchanged, texts added at the end."""

    reason: str
    instead: dict[str, str]
    added: tuple[str, ...] = ()


CUSTOM_ERROR = '{"rid":13,"error":{"message":"custom","code":77,"extra":{"a":1}}}'
NO_ADDRESS = '{"event":"#disconnect","data":{"code":4105,"data":{"name":"InvalidPeerInfoError"}}}'
BAD_ADDRESS = "Invalid peer ipAddress or port for peer with ip: 127.0.0.1 and port "
NETWORK_NAMES = {"0.10.0": "chainID", "0.7.3": "networkIdentifier", "0.5.0": "networkId", "0.4.2": "networkId"}


def _disconnect(code: int, reason: str) -> str:
    return f'{{"event":"#disconnect","data":{{"code":{code},"data":"{reason}"}}}}'


DEVIATIONS: dict[Key, Deviation] = {
    **{
        (version, "rpc", 0, LISTENER): Deviation(
            "An error of our application is its text: own members of JavaScript error objects have no counterpart, and "
            "lisk-p2p's own callers do not see them either.",
            {CUSTOM_ERROR: '{"rid":13,"error":{"message":"custom"}}'},
        )
        for version in PLAIN
    },
    **{
        (version, "incompatible_server", 0, OPENER): Deviation(
            "lisk-p2p defect 22: lisk-p2p keeps an incompatible listener and its outbound slot for ever; we close.",
            {},
            (_disconnect(4104, f"Peer {name} did not match our own"), "close 4104"),
        )
        for version, name in NETWORK_NAMES.items()
    },
    **{
        (version, "raw_bad_query", number, LISTENER): Deviation(
            "Older generations sent the error object, of which JSON keeps only the name; we say what is wrong.",
            {NO_ADDRESS: _disconnect(4105, BAD_ADDRESS + port)},
        )
        for version in ("0.7.3", "0.5.0", "0.4.2")
        for number, port in ((3, "NaN"), (4, "0"), (5, "70000"), (6, "NaN"))
    },
}

CANCELLED = "Nothing was sent: the dial was cancelled (lisk-p2p defect 23)."
NOT_REPLAYED: dict[Key, str] = {
    **{
        (version, "incompatible_server", 0, LISTENER): "Its peerHandshakeCheck was replaced by one that accepts all."
        for version in PLAIN
    },
    **{(version, "seed_disconnect_immediate", 0, side): CANCELLED for version in PLAIN for side in (OPENER, LISTENER)},
    **{
        (version, "raw_options_bad", number, LISTENER): "Options that are JSON, but no object: we refuse the query."
        for version in JSON_VERSIONS
        for number in (1, 2, 3)
    },
    **{
        (
            "0.4.2",
            "banned",
            number,
            LISTENER,
        ): "Only 0.4 tells a banned opener 4403; from 0.5 on it is HTTP 401."
        for number in (1, 2, 3)
    },
    **{
        (version, "readme_config", 0, OPENER): "Its query lacks a version, which ours always has."
        for version in JSON_VERSIONS
    },
    ("0.7.3", "banned", 4, OPENER): "It was stopped before it sent anything.",
    ("0.7.3", "banned", 4, LISTENER): "Nothing arrived.",
    ("0.7.3", "shuffled", 1, OPENER): "It was stopped before it answered.",
}

CLOCK_TOLERANCE_S = 0.5
"""Our keep-alive is counted anew from the hand-over to the peer's actor, lisk-p2p's from the upgrade."""

CLOCK_DRIVEN = ("#1", '"procedure":"ping"', '"code":4005')


def played() -> Iterator[tuple[Key, dict[str, Any], dict[str, Any]]]:
    for version in PLAIN:
        for name, capture in captures(version):
            for number, connection in enumerate(capture["connections"]):
                for side in (OPENER, LISTENER):
                    if side == OPENER and name.startswith("raw_"):
                        continue  # the opener was no lisk-p2p node
                    if (version, name, number, side) not in NOT_REPLAYED:
                        yield (version, name, number, side), capture, connection


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


def dialect_of(key: Key) -> Dialect:
    version, name, number, side = key
    custom = name == "customschema" or (name == "customschema_onesided" and (side == LISTENER) == (number == 0))
    return CUSTOM[version] if custom else PLAIN[version]


def pushed_info(dialect: Dialect, text: str) -> NodeInfo | None:
    """The node info in a packet, with the port that those of JSON repeat."""
    (packet,) = dialect.decode_packets(text.encode(), binary=False)
    if not isinstance(packet, Message) or packet.event != "postNodeInfo" or packet.data is None:
        return None
    port = json.loads(packet.data)["wsPort"] if dialect.name == "lisk-0.5" else 0
    return replace(dialect.decode_node_info(packet.data), port=port)


def own_info(key: Key, capture: dict[str, Any], connection: dict[str, Any]) -> NodeInfo:
    """Who the played node was: by its first node info, or by its query, or (a refusing listener) by its port."""
    _, name, _, side = key
    dialect = dialect_of(key)
    same_node = [connection]
    if side == LISTENER:
        same_node += [
            other for other in capture["connections"] if other.get("target_port") == connection.get("target_port")
        ]
    for other in same_node:
        for event in other["events"]:
            if event["dir"] == side and '"postNodeInfo"' in event.get("text", ""):
                info = pushed_info(dialect, event["text"])
                if info is not None:
                    return info
    if side == OPENER or name == "self":
        target = recorded(connection, OPENER)[0].what
        query = dialect.parse_query(target, source_ip="127.0.0.1", own_nonce="-")
        assert isinstance(query, PeerQuery)
        info = replace(query.node_info(), port=query.port, version=dict(parse_qsl(target)).get("version", ""))
        return replace(info, options={"height": 0, "label": ""}) if dialect in CUSTOM.values() else info
    names = {"network_identifier": "11111111111111112222222222222222", "network_id": "123xyz"}
    return NodeInfo(b"\0\0\0\1", "1.1", "the listener's nonce", **names)


def recorded_ping_s(connection: dict[str, Any]) -> float:
    """The random time between hand-over and ping, as the real node chose it."""
    sent = recorded(connection, LISTENER)
    acknowledged = next((entry.t for entry in sent if '"pingTimeout"' in entry.what), 0.0)
    return next((entry.t - acknowledged for entry in sent if '"ping"' in entry.what), 60.0)


@pytest.mark.parametrize(("key", "capture", "connection"), CASES, ids=["-".join(map(str, key)) for key, *_ in CASES])
def test_we_send_what_the_real_node_sent(key: Key, capture: dict[str, Any], connection: dict[str, Any]) -> None:
    side = key[3]
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
    form = as_values if key[0] in JSON_VERSIONS else as_text
    assert [form(entry.what) for entry in ours] == [form(what) for what in expected]
    for mine, theirs in zip(ours, real, strict=False):
        if any(mark in mine.what for mark in CLOCK_DRIVEN):
            assert mine.t == pytest.approx(theirs.t, abs=CLOCK_TOLERANCE_S), mine.what


@pytest.mark.parametrize("name", ["connect", "messages", "rpc", "ping", "stop_server"])
@pytest.mark.parametrize("version", PLAIN)
def test_an_opener_that_speaks_every_generation_sends_the_same_to_each(version: str, name: str) -> None:
    """After the query, which names all of our networks, it says what a node of that generation says."""
    key = (version, name, 0, OPENER)
    capture, connection = next((capture, connection) for found, capture, connection in CASES if found == key)
    real = recorded(connection, OPENER)
    said = own_info(key, capture, connection)
    own = replace(
        said, chain_id=b"\0\0\0\1", network_identifier="11111111111111112222222222222222", network_id="123xyz"
    )
    anything = AnyGeneration((PLAIN["0.10.0"], PLAIN["0.7.3"], PLAIN["0.5.0"]))
    replay = Replay(
        connection, OPENER, own=own, dialect=anything, banned=False, ping_after_s=60.0, reads=PLAIN[version]
    )
    form = as_values if version in JSON_VERSIONS else as_text
    assert [form(entry.what) for entry in replay.run()[1:]] == [form(entry.what) for entry in real[1:]]


def as_text(what: str) -> object:
    return what


def as_values(what: str) -> object:
    """A packet or a query with its members in no order, and peers without what only lisk-p2p 0.5 tells of them."""
    if what.startswith("/"):
        pairs = dict(parse_qsl(what.partition("?")[2], keep_blank_values=True))
        return pairs | {"options": json.loads(pairs["options"])}
    if not what.startswith("{"):
        return what
    packet = json.loads(what)
    answer = packet.get("data", {}).get("data") if isinstance(packet.get("data"), dict) else None
    if isinstance(answer, dict) and "peers" in answer:
        answer["peers"] = [{name: peer[name] for name in ("ipAddress", "wsPort")} for peer in answer["peers"]]
    return packet


def test_every_recording_is_replayed_or_has_a_reason() -> None:
    for version in PLAIN:
        names = {name for name, _ in captures(version)}
        replayed = [key for key, *_ in CASES if key[0] == version]
        assert {key[1] for key in replayed} | {key[1] for key in NOT_REPLAYED if key[0] == version} == names
        assert len(replayed) > 50
    assert sum(len(recorded(connection, key[3])) for key, _, connection in CASES) > 1000


@pytest.mark.parametrize("key", DEVIATIONS)
def test_every_deviation_is_still_one(key: Key) -> None:
    connection = next(connection for found, _, connection in CASES if found == key)
    texts = [entry.what for entry in recorded(connection, key[3])]
    assert DEVIATIONS[key].reason
    assert set(DEVIATIONS[key].instead) <= set(texts)
    assert not set(DEVIATIONS[key].added) & set(texts)
