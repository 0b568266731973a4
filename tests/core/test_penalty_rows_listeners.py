"""What a listener that we dialled does, and what it costs it: the rows of docs/penalties.md, "As opener".

A test is named after its row; recordings of real nodes are replayed in test_link_misbehaviour_listeners.py and
tests/actors/test_replayed_listeners.py. lisk-p2p's openers validate no packets, and some packets crash them: see
tests/test_defects.py.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.events import ConnectOutbound, FailedToFetchPeers, InvalidMessageReceived, PenaltyApplied
from core.house_messages import (
    PeerMisbehaved,
    PeersAdvertised,
)
from core.ids import CloseCode, Endpoint, PeerKind
from core.link_base import Stage
from core.wire.payloads import NodeInfo
from tests.core.link_rig import ABORT, REMOTE, Rig, info_bytes, outbound, peers_bytes, request_packet
from tests.spoken import BOTH_DIALECTS

pytestmark = BOTH_DIALECTS

ECHO = request_packet("echo", b"\x01", 5)


def assert_banned(rig: Rig, rule: str) -> None:
    assert rig.ends == [CloseCode.NORMAL]
    assert rig.take_sent()[-1] == {"event": "#disconnect", "data": {"code": 1000}}
    assert [(told.ip, told.reason) for told in rig.tells(PeerMisbehaved)] == [(REMOTE.ip, rule)]
    assert [one.reputation for one in rig.of(PenaltyApplied)][-1] == 0
    assert rig.link.reputation == 0


def assert_no_penalty(rig: Rig) -> None:
    assert rig.link.reputation == 100
    assert rig.of(PenaltyApplied) == []
    assert rig.tells(PeerMisbehaved) == []


@pytest.mark.parametrize("stage", [Stage.HANDSHAKE, Stage.NODE_INFO, Stage.PEERS, Stage.READY])
def test_row_ping_or_pong_destroys_the_connection_and_bans(stage: Stage) -> None:
    rig = outbound(stage)
    rig.do(rig.link.on_control_frame(rig.now))
    assert rig.ends == [ABORT]
    assert [told.reason for told in rig.tells(PeerMisbehaved)] == ["control_frame"]


@pytest.mark.parametrize("data", [None, b"", b"\xff" * 9, info_bytes() + b"\0", info_bytes() + bytes(20_480)])
def test_row_get_node_info_answered_with_missing_undecodable_or_oversized_data(data: bytes | None) -> None:
    """The oversized one costs nothing in the real node (lisk-p2p defect 21)."""
    rig = outbound(Stage.NODE_INFO)
    rig.reply(2, data)
    assert_banned(rig, "invalid_node_info")


def peer_record(ip: str, port: int) -> bytes:
    """A list of one entry, made by hand: our encoder would not write it."""
    varint = bytearray()
    while port > 0x7F:
        varint.append(port & 0x7F | 0x80)
        port >>= 7
    varint.append(port)
    entry = b"\x0a" + bytes([len(ip)]) + ip.encode() + b"\x10" + bytes(varint)
    return b"\x0a" + bytes([len(entry)]) + entry


def peers(count: int) -> bytes:
    return b"".join(peer_record("10.1.2.3", 1000 + number) for number in range(count))


@pytest.mark.parametrize(
    "data",
    [None, peers(201), peer_record("10.1.2.3", 0), peer_record("10.1.2.3", 70_000), peer_record("::1", 5001)],
    ids=["missing", "201 entries", "port 0", "port 70000", "IPv6"],
)
def test_row_peer_lists_that_are_missing_too_long_or_hold_what_is_no_ipv4_endpoint(data: bytes | None) -> None:
    rig = outbound(Stage.PEERS)
    rig.reply(3, data)
    assert_banned(rig, "invalid_peer_list")
    assert rig.tells(PeersAdvertised) == [], "nothing of it is used"
    assert rig.of(ConnectOutbound) == []


@pytest.mark.lisk_form
def test_row_200_peers_are_accepted() -> None:
    rig = outbound(Stage.PEERS)
    rig.reply(3, peers(200))
    assert [len(told.endpoints) for told in rig.tells(PeersAdvertised)] == [200]
    assert_no_penalty(rig)


@pytest.mark.parametrize("data", [b"\xff", peers_bytes(Endpoint("10.0.0.1", 1))[:-1]])
def test_row_undecodable_peer_lists_ban_here(data: bytes) -> None:
    """They cost nothing in the real node (lisk-p2p defect 21); LIP 0004: getPeers malformed, 100 points."""
    rig = outbound(Stage.PEERS)
    rig.reply(3, data)
    assert_banned(rig, "invalid_peer_list")


@pytest.mark.lisk_form
@pytest.mark.parametrize("how", ["error", "silence", "no object"])
def test_row_get_peers_refused_or_not_answered_costs_nothing(how: str) -> None:
    rig = outbound(Stage.PEERS)
    if how == "error":
        rig.reply_error(3)
    elif how == "silence":
        rig.advance(2.0)
    else:
        rig.receive({"rid": 3})
    assert rig.link.stage is Stage.READY
    assert len(rig.of(FailedToFetchPeers)) == 1
    assert_no_penalty(rig)


@pytest.mark.lisk_form
@pytest.mark.parametrize(
    "packet",
    ["not json", "", "5", "null", "[]", [ECHO], {**ECHO, "foo": 1}, {"event": 5}, {"event": "e" * 129}, b"\xff\xfe"],
    ids=str,
)
def test_row_packet_faults_of_a_listener_are_reported_and_ignored(packet: Any) -> None:
    """The real opener executes batches and what has unknown members; nothing of a faulty packet is acted upon here."""
    rig = outbound()
    rig.receive(json.dumps(packet) if isinstance(packet, list) else packet)
    assert rig.link.stage is Stage.READY
    assert rig.take_sent() == []
    assert len(rig.of(InvalidMessageReceived)) == 1
    assert_no_penalty(rig)


def test_row_post_node_info_rules_hold_for_listeners() -> None:
    rig = outbound()
    for _ in range(4):
        rig.message("postNodeInfo", info_bytes())
    assert_no_penalty(rig)
    for number in range(1, 10):
        rig.message("postNodeInfo", info_bytes())
        assert rig.link.reputation == 100 - 10 * number
    rig.message("postNodeInfo", info_bytes())
    assert_banned(rig, "node_info_rate")


@pytest.mark.parametrize("data", [None, b"\xff", info_bytes() + b"\0"])
def test_row_post_node_info_of_a_listener_that_is_missing_or_undecodable_bans(data: bytes | None) -> None:
    for stage in (Stage.NODE_INFO, Stage.READY):
        rig = outbound(stage)
        rig.message("postNodeInfo", data)
        assert_banned(rig, "invalid_node_info")


def test_row_post_node_info_before_the_acknowledgement_counts() -> None:
    """It comes before the acknowledgement from every real listener, so nothing can be said in order yet."""
    rig = outbound(Stage.HANDSHAKE)
    rig.message("postNodeInfo", b"\xff")
    assert rig.ends == [CloseCode.HANDSHAKE_REFUSED]
    assert [told.reason for told in rig.tells(PeerMisbehaved)] == ["invalid_node_info"]


def test_row_rate_rules_hold_for_listeners() -> None:
    rig = outbound()
    rig.receive(*[{"event": "remote-message", "data": {"event": "x"}}] * 350)
    rig.advance(1.0)
    assert rig.link.reputation == 70
    rig.receive(*[{"event": "remote-message", "data": {"event": "x"}}] * 1100)
    rig.advance(1.0)
    assert_banned(rig, "packet_rate")


@pytest.mark.parametrize("procedure", ["getNodeInfo", "getPeers"])
def test_row_a_listener_may_ask_as_an_opener_may(procedure: str) -> None:
    rig = outbound()
    rig.call(procedure, None, 1)
    assert_no_penalty(rig)
    rig.call(procedure, None, 2)
    assert rig.link.reputation == 90
    rig.call(procedure, b"\x01", 3)
    assert_banned(rig, "protocol_request_with_data")


@pytest.mark.parametrize("kind", [PeerKind.FIXED, PeerKind.WHITELISTED, PeerKind.SEED])
def test_row_trusted_listeners_are_never_banned_and_never_disconnected_for_penalties(kind: PeerKind) -> None:
    rig = outbound(kind=kind)
    rig.message("postNodeInfo", b"\xff")
    rig.do(rig.link.on_control_frame(rig.now))
    rig.receive(*["#1"] * 1100)
    rig.advance(1.0)
    assert (rig.link.stage, rig.link.reputation, rig.ends) == (Stage.READY, 0, [])
    assert rig.tells(PeerMisbehaved) == []
    listed = outbound(Stage.PEERS, kind=kind)
    listed.reply(3, b"\xff")
    assert listed.link.stage is Stage.READY, "a bad peer list is no peer list"


@pytest.mark.parametrize("kind", [PeerKind.FIXED, PeerKind.WHITELISTED, PeerKind.SEED])
def test_row_a_trusted_listener_whose_node_info_is_unusable_is_left_without_a_ban(kind: PeerKind) -> None:
    """Not as a penalty: whether it belongs to our network cannot be known. A fixed peer is dialled again."""
    rig = outbound(Stage.NODE_INFO, kind=kind)
    rig.reply(2, b"\xff")
    assert rig.ends == [CloseCode.NORMAL]
    assert rig.tells(PeerMisbehaved) == []


def test_row_another_chain_is_no_misbehaviour() -> None:
    rig = outbound(Stage.NODE_INFO)
    rig.reply(2, info_bytes(NodeInfo(b"\0\0\0\2", "1.1", "other")))
    assert rig.ends == [CloseCode.INCOMPATIBLE]
    assert_no_penalty(rig)
