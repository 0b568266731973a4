"""LIP 0004, "Penalties and bans": a test for each rule, named after it. Deviations are in docs/penalties.md.

Rules about what happens over days are in tests/sim/test_penalties.py, with the actors themselves.
"""

from __future__ import annotations

from typing import Any

import pytest

from core.bans import Bans
from core.book.book import Book
from core.book.config import BookConfig
from core.config import NodeConfig
from core.events import PenaltyApplied
from core.house_messages import (
    PeerMisbehaved,
)
from core.ids import CloseCode, Endpoint, PeerKind
from core.link_base import Stage
from core.link_settings import LinkSettings
from core.penalties import REPUTATION_AT_START
from core.wire.payloads import NodeInfo
from tests.core.link_rig import CHAIN, OURS, THEIRS, Fixed, Rig, b64, inbound, info_bytes, outbound
from tests.spoken import BOTH_DIALECTS

pytestmark = BOTH_DIALECTS

LIP_WINDOW_S = 10.0
STEP_S = 0.01
"""How exactly the time of a packet is seen."""


def penalties(rig: Rig) -> list[int]:
    return [event.penalty for event in rig.of(PenaltyApplied)]


def test_lip_every_peer_has_100_points_at_the_start() -> None:
    assert REPUTATION_AT_START == 100
    for connect in (inbound, outbound):
        rig = connect()
        assert rig.link.reputation == rig.link.info().reputation == 100


def test_lip_penalties_are_subtracted_and_at_0_the_peer_is_banned() -> None:
    rig = inbound()
    rig.do(rig.link.apply_penalty(99, "", rig.now))
    assert (rig.link.reputation, rig.link.stage) == (1, Stage.READY)
    rig.do(rig.link.apply_penalty(1, "", rig.now))
    assert rig.link.reputation == 0
    assert rig.tells(PeerMisbehaved)


def test_lip_below_0_is_banned_too() -> None:
    rig = inbound()
    rig.do(rig.link.apply_penalty(99, "", rig.now))
    rig.do(rig.link.apply_penalty(100, "", rig.now))
    assert rig.tells(PeerMisbehaved)


def test_lip_a_ban_lasts_24_hours() -> None:
    ban = Bans(NodeConfig()).ban("1.2.3.4", "", 1000.0)
    assert ban is not None
    assert ban.until == 1000.0 + 24 * 3600


def test_lip_the_connection_is_dropped_without_a_reason() -> None:
    rig = inbound()
    rig.do(rig.link.apply_penalty(100, "a reason of ours", rig.now))
    assert rig.take_sent() == [{"event": "#disconnect", "data": {"code": 1000}}]
    assert rig.ends == [CloseCode.NORMAL]


def test_lip_a_banned_address_is_removed_from_both_collections() -> None:
    book = Book(BookConfig(), b"s" * 32, Fixed())
    book.add_many([Endpoint("1.2.3.4", 1)], "9.9.9.9", 0.0)
    book.connected(Endpoint("5.6.7.8", 1), 0.0)
    for ip in ("1.2.3.4", "5.6.7.8"):
        book.remove_ip(ip, 1.0)
    assert list(book.all()) == []


def test_lip_scores_are_not_told_to_anybody() -> None:
    """Nothing that a remote may ask for, or is sent unasked, changes with its score."""
    sent = []
    for penalty in (1, 99):
        rig = inbound(own=OURS)
        rig.do(rig.link.apply_penalty(penalty, "", rig.now))
        rig.call("getNodeInfo", None, 1)
        rig.do(rig.link.push_node_info(NodeInfo(CHAIN, "1.1", "n"), rig.now))
        sent.append(rig.take_sent())
    assert sent[0] == sent[1]


@pytest.mark.parametrize("kind", [PeerKind.FIXED, PeerKind.WHITELISTED, PeerKind.SEED])
def test_lip_fixed_whitelisted_and_seed_peers_are_never_banned(kind: PeerKind) -> None:
    for connect in (inbound, outbound):
        rig = connect(kind=kind)
        for _ in range(3):
            rig.do(rig.link.apply_penalty(100, "", rig.now))
        assert (rig.link.stage, rig.link.reputation) == (Stage.READY, 0)
        assert rig.tells(PeerMisbehaved) == []


# ---- the table ----


@pytest.mark.parametrize("procedure", ["getNodeInfo", "getPeers"])
def test_lip_table_malformed_requests_of_the_protocol_cost_100(procedure: str) -> None:
    rig = inbound()
    rig.call(procedure, b"what?", 1)
    assert penalties(rig) == [100]


def test_lip_table_a_malformed_post_node_info_costs_100() -> None:
    rig = inbound()
    rig.message("postNodeInfo", b"what?")
    assert penalties(rig) == [100]


@pytest.mark.parametrize(("stage", "rid"), [(Stage.NODE_INFO, 2), (Stage.PEERS, 3)])
def test_lip_table_malformed_answers_cost_100(stage: Stage, rid: int) -> None:
    rig = outbound(stage)
    rig.reply(rid, b"what?")
    assert penalties(rig) == [100]


@pytest.mark.parametrize("connect", [inbound, outbound])
def test_lip_table_more_than_4_post_node_info_in_10_s_cost_10_each(connect: Any) -> None:
    rig = connect()
    for _ in range(7):
        rig.message("postNodeInfo", info_bytes())
    assert penalties(rig) == [10, 10, 10]


def test_lip_table_get_node_info_more_than_once_on_a_connection_costs_10_each() -> None:
    rig = inbound(ping_interval_min_s=1e6)
    for number in range(4):
        rig.call("getNodeInfo", None, number + 1)
        for _ in range(3):  # the counter of this one is never cleared
            rig.advance(8.0)
            rig.receive("#2")
    assert penalties(rig) == [10, 10, 10]


def test_lip_table_get_peers_more_than_once_after_connecting_costs_10_each() -> None:
    """To the letter, with ``get_peers_rule: once-per-connection``."""
    rig = inbound(ping_interval_min_s=1e6, peers_asked_once=True)
    for number in range(4):
        rig.call("getPeers", None, number + 1)
        for _ in range(3):
            rig.advance(8.0)
            rig.receive("#2")
    assert penalties(rig) == [10, 10, 10]


def test_lip_table_get_peers_is_counted_in_windows_of_10_s_by_default() -> None:
    """lisk-p2p's reading, and a named option: its nodes ask again, and the LIP's rule would ban them in time."""
    rig = inbound(ping_interval_min_s=1e6)
    for number in range(4):
        rig.call("getPeers", None, number + 1)
        rig.advance(LIP_WINDOW_S)
        rig.receive("#2")
    assert penalties(rig) == []
    for number in range(3):
        rig.call("getPeers", None, number + 10)
    assert penalties(rig) == [10, 10]


def test_lip_table_the_option_decides() -> None:
    assert LinkSettings.from_config(NodeConfig()).peers_asked_once is False
    assert LinkSettings.from_config(NodeConfig(get_peers_rule="once-per-connection")).peers_asked_once is True


@pytest.mark.parametrize("penalty", [10, 100])
def test_lip_table_application_messages_are_the_applications_to_punish(penalty: int) -> None:
    """Invalid ones cost 100, too many of them 10; we neither read nor limit what belongs to the application."""
    rig = inbound()
    for _ in range(90):
        rig.message("postTransactionsAnnouncement", b"\xff\xff not what the application expects")
    assert penalties(rig) == []
    rig.do(rig.link.apply_penalty(penalty, "invalid transaction announcement", rig.now))
    assert [(event.penalty, event.reason) for event in rig.of(PenaltyApplied)] == [
        (penalty, "invalid transaction announcement")
    ]
    assert bool(rig.tells(PeerMisbehaved)) == (penalty == 100)


@pytest.mark.parametrize("connect", [inbound, outbound])
def test_lip_windows_are_counters_cleared_every_10_s(connect: Any) -> None:
    """No sliding window: four at the end of one and four at the beginning of the next are allowed."""
    rig = connect(ping_interval_min_s=1e6)
    rig.message("postNodeInfo", info_bytes())
    rig.advance(LIP_WINDOW_S - 0.001)
    for _ in range(3):
        rig.message("postNodeInfo", info_bytes())
    rig.advance(0.001)
    for _ in range(4):
        rig.message("postNodeInfo", info_bytes())
    assert penalties(rig) == []
    rig.message("postNodeInfo", info_bytes())
    assert penalties(rig) == [10]


@pytest.mark.parametrize("connect", [inbound, outbound])
def test_lip_we_send_at_most_3_post_node_info_in_10_s(connect: Any) -> None:
    """In any 10 s, because we do not know where their windows begin; the last state is always sent."""
    rig = connect(ping_interval_min_s=1e6)
    sent_at: list[float] = []
    states: list[str] = []

    def note() -> None:
        for packet in rig.take_sent():
            if packet not in ("#1", "#2") and packet.get("event") == "remote-message":
                sent_at.append(rig.now)
                states.append(packet["data"]["data"])

    def pass_time(seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            rig.advance(STEP_S)
            note()
        rig.receive("#2" if connect is inbound else "#1")

    for number in range(100):
        rig.do(rig.link.push_node_info(NodeInfo(CHAIN, "1.1", f"state {number}"), rig.now))
        note()
        pass_time(0.37)
    pass_time(8.0)
    pass_time(8.0)
    window_s = LIP_WINDOW_S - 2 * STEP_S
    assert len(sent_at) > 9
    assert all(sum(at <= other < at + window_s for other in sent_at) <= 3 for at in sent_at)
    last = rig.link._dialect.encode_node_info(NodeInfo(CHAIN, "1.1", "state 99"))
    assert states[-1] == b64(last)


def test_lip_the_score_starts_afresh_with_every_connection() -> None:
    rig = inbound()
    rig.do(rig.link.apply_penalty(100, "", rig.now))
    rig.closed()
    assert inbound(announced=THEIRS).link.reputation == 100
