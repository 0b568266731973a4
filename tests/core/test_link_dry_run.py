"""``ban_mode: dry-run``: what would be punished is counted and reported, and nothing happens."""

from __future__ import annotations

from typing import Any

import pytest

from core.config import NodeConfig
from core.events import InvalidMessageReceived, MessageReceived, PenaltyApplied, RequestReceived
from core.house_messages import (
    PeerConnected,
    PeerMisbehaved,
    PeersAdvertised,
    PeerUpdated,
)
from core.ids import PeerKind
from core.link_base import Stage
from core.link_settings import LinkSettings
from tests.core.link_rig import Rig, inbound, info_bytes, message_packet, outbound, request_packet
from tests.spoken import BOTH_DIALECTS

pytestmark = BOTH_DIALECTS

ECHO = request_packet("echo", b"\x01", 5)


def is_alive(rig: Rig) -> bool:
    """It is open and serves."""
    assert rig.link.stage is Stage.READY
    assert rig.ends == []
    rig.receive(message_packet("still", b"here"))
    return [event.event for event in rig.of(MessageReceived)][-1] == "still"


def test_the_mode_is_an_option() -> None:
    assert LinkSettings.from_config(NodeConfig()).dry_run is False
    assert LinkSettings.from_config(NodeConfig(ban_mode="dry-run")).dry_run is True


@pytest.mark.lisk_form
@pytest.mark.parametrize(
    ("packet", "rule", "points"),
    [
        ("junk", "not_json", 100),
        ({**ECHO, "foo": 1}, "unknown_member", 100),
        ({"event": "#subscribe", "data": {}, "cid": 5}, "reserved_event", 100),
        (request_packet("getPeers", b"\x01", 5), "protocol_request_with_data", 100),
        (message_packet("postNodeInfo", b"\xff"), "invalid_node_info", 100),
    ],
)
def test_the_packet_at_fault_is_dropped_and_reported(packet: Any, rule: str, points: int) -> None:
    rig = inbound(dry_run=True)
    rig.receive(packet)
    assert [(one.reason, one.penalty, one.reputation, one.dry_run) for one in rig.of(PenaltyApplied)] == [
        (rule, points, 0, True)
    ]
    assert rig.of(RequestReceived) == []
    assert rig.take_sent() == []
    assert is_alive(rig)


@pytest.mark.lisk_form
def test_the_ban_is_reported_once_for_a_connection() -> None:
    rig = inbound(dry_run=True)
    for _ in range(5):
        rig.receive("junk")
        rig.do(rig.link.on_control_frame(rig.now))
        rig.do(rig.link.apply_penalty(100, "the program's", rig.now))
    assert [told.reason for told in rig.tells(PeerMisbehaved)] == ["not_json"]
    assert len(rig.of(PenaltyApplied)) == 15, "every penalty is"
    assert len(rig.of(InvalidMessageReceived)) == 10
    assert is_alive(rig)


def test_points_are_counted_as_ever() -> None:
    rig = inbound(dry_run=True)
    for number in range(1, 12):
        rig.call("getNodeInfo", None, number)
    assert [one.reputation for one in rig.of(PenaltyApplied)] == [90, 80, 70, 60, 50, 40, 30, 20, 10, 0]
    assert [told.reason for told in rig.tells(PeerMisbehaved)] == ["get_node_info_repeated"]
    assert rig.tells(PeerUpdated)[-1].peer.reputation == 0
    assert len([packet for packet in rig.take_sent() if "rid" in packet]) == 11, "all are answered"
    assert is_alive(rig)


def test_a_flood_is_reported_and_handled() -> None:
    rig = inbound(dry_run=True)
    rig.receive(*["#2"] * 1100)
    rig.advance(1.0)
    assert [(one.reason, one.penalty) for one in rig.of(PenaltyApplied)] == [("packet_rate", 110)]
    assert is_alive(rig)


def test_faults_are_reported_and_the_packets_around_them_handled() -> None:
    rig = inbound(dry_run=True)
    rig.receive(message_packet("before"), "junk", message_packet("after"))
    assert [event.event for event in rig.of(MessageReceived)] == ["before", "after"]


def test_a_listener_with_a_bad_peer_list_is_connected_without_it() -> None:
    rig = outbound(Stage.PEERS, dry_run=True)
    rig.reply(3, b"\xff")
    assert len(rig.tells(PeerConnected)) == 1
    assert rig.tells(PeersAdvertised) == []
    assert [told.reason for told in rig.tells(PeerMisbehaved)] == ["invalid_peer_list"]
    assert is_alive(rig)


def test_a_listener_without_a_usable_node_info_is_given_up_and_not_banned() -> None:
    """Whether it belongs to our network cannot be known: this is no punishment."""
    rig = outbound(Stage.NODE_INFO, dry_run=True)
    rig.reply(2, b"\xff")
    assert rig.ends == [1000]
    assert [one.dry_run for one in rig.of(PenaltyApplied)] == [True]


@pytest.mark.parametrize("kind", [PeerKind.FIXED, PeerKind.WHITELISTED, PeerKind.SEED])
def test_no_ban_is_reported_for_whom_none_would_be_made(kind: PeerKind) -> None:
    rig = inbound(kind=kind, dry_run=True)
    rig.receive("junk")
    assert len(rig.of(PenaltyApplied)) == 1
    assert rig.tells(PeerMisbehaved) == []
    assert is_alive(rig)


def test_what_a_peer_repeats_does_not_fill_the_journal() -> None:
    """Records are kept for all peers together, and one that stays in spite of everything must not push the rest out."""
    for options in ({"dry_run": True}, {"kind": PeerKind.FIXED}):
        rig = inbound(**options)
        records = 0
        for _ in range(50):
            effects = rig.link.on_packets([(b"junk", False)], rig.now)
            records += sum(len(effect.decisions) for effect in effects if hasattr(effect, "decisions"))
            rig.do(effects)
        assert records == 2, "penalised, and kept all the same"


def test_the_limit_of_node_infos_is_reported() -> None:
    rig = inbound(dry_run=True)
    for _ in range(20):
        rig.message("postNodeInfo", info_bytes())
    assert len(rig.of(PenaltyApplied)) == 16
    assert is_alive(rig)
