"""What two nodes tell each other about themselves, and the opener's questions."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from core.effects import Room
from core.events import (
    CloseOutbound,
    ConnectAbortOutbound,
    ConnectOutbound,
    FailedPeerInfoUpdate,
    FailedToCollectPeerDetailsOnConnect,
    FailedToFetchPeerInfo,
    FailedToFetchPeers,
    FailedToPushNodeInfo,
    PenaltyApplied,
    UpdatedPeerInfo,
)
from core.house_messages import (
    PeerClosed,
    PeerConnected,
    PeersAdvertised,
    PeerUpdated,
)
from core.ids import CloseCode, Endpoint, PeerKind
from core.link_base import Stage
from core.wire.lisk10 import Lisk10
from core.wire.payloads import NodeInfo
from core.wire.query import Refusal
from core.wire.schema import DataType, Field, Schema
from tests.core.link_rig import (
    CHAIN,
    OURS,
    REMOTE,
    THEIRS,
    ack_packet,
    answer_packet,
    inbound,
    info_bytes,
    message_packet,
    outbound,
    peers_bytes,
)
from tests.spoken import BOTH_DIALECTS, dialect

pytestmark = BOTH_DIALECTS

BOTH = pytest.mark.parametrize("connected", [inbound, outbound], ids=["inbound", "outbound"])
OWN_PUSH = message_packet("postNodeInfo", info_bytes(OURS))
HEIGHT = Schema((Field(1, "height", DataType.UINT32),))
SELF_CLOSING = [PeerKind.NONE, PeerKind.FIXED]


def info_of(height: int, nonce: str = OURS.nonce) -> NodeInfo:
    return NodeInfo(CHAIN, "1.1", nonce, True, {"height": height})


def heights(sent: list[Any]) -> list[int]:
    """The heights in the node infos that were pushed."""
    spoken = dialect(Lisk10(HEIGHT))
    pushed = [packet["data"]["data"] for packet in sent if not isinstance(packet, str)]
    return [spoken.decode_node_info(base64.b64decode(text)).options["height"] for text in pushed]  # type: ignore[misc]


# ---- the opener's sequence


def test_the_opener_introduces_itself_and_asks_in_lisk_p2ps_order() -> None:
    rig = outbound(Stage.UPGRADING)
    rig.do(rig.link.on_opened(rig.now))
    assert rig.take_sent() == [{"event": "#handshake", "data": {"authToken": None}, "cid": 1}]
    rig.receive(message_packet("postNodeInfo", info_bytes()), ack_packet())
    assert rig.take_sent() == [
        message_packet("postNodeInfo", info_bytes(OURS)),
        {"event": "rpc-request", "data": {"procedure": "getNodeInfo"}, "cid": 2},
    ]
    rig.advance(0.05)
    rig.reply(2, info_bytes())
    assert rig.take_sent() == [{"event": "rpc-request", "data": {"procedure": "getPeers"}, "cid": 3}]
    assert not rig.link.is_connected
    rig.forget()
    rig.reply(3, peers_bytes(Endpoint("1.2.3.4", 5)))
    assert rig.link.is_connected
    assert [(room, type(message)) for room, message in rig.told] == [
        (Room.BOOK, PeersAdvertised),
        (Room.POOL, PeerConnected),
    ]
    (connected,) = rig.of(ConnectOutbound)
    assert (connected.peer.nonce, connected.peer.chain_id) == (THEIRS.nonce, CHAIN)
    assert connected.peer.latency_ms == pytest.approx(50.0)


def test_a_feeler_asks_for_node_info_and_for_nothing_else() -> None:
    """It is over when the remote has told who it is; no addresses are asked for, and no program hears of it."""
    rig = outbound(Stage.NODE_INFO, kind=PeerKind.FEELER)
    rig.reply(2, info_bytes(THEIRS))
    assert rig.link.is_connected
    assert rig.take_sent() == []
    assert [(room, type(message)) for room, message in rig.told] == [(Room.POOL, PeerConnected)]
    rig.do(rig.link.close(CloseCode.NORMAL, "", rig.now))
    assert [packet["event"] for packet in rig.take_sent()] == ["#disconnect"]
    rig.closed(CloseCode.NORMAL)
    (closed,) = rig.tells(PeerClosed)
    assert (closed.code, closed.was_connected, closed.by_us) == (CloseCode.NORMAL, True, True)
    assert rig.of(ConnectOutbound) == rig.of(CloseOutbound) == []


def test_a_feeler_that_nobody_answers_is_a_failed_dial() -> None:
    rig = outbound(Stage.NODE_INFO, kind=PeerKind.FEELER)
    rig.closed(CloseCode.ABNORMAL)
    (closed,) = rig.tells(PeerClosed)
    assert not closed.was_connected
    assert len(rig.of(ConnectAbortOutbound)) == 1


def test_peers_are_told_to_the_book_with_their_source() -> None:
    rig = outbound(Stage.PEERS)
    rig.reply(3, peers_bytes(Endpoint("1.2.3.4", 5), Endpoint("5.6.7.8", 9)))
    assert rig.tells(PeersAdvertised) == [
        PeersAdvertised(rig.link.peer_id, REMOTE.ip, (Endpoint("1.2.3.4", 5), Endpoint("5.6.7.8", 9)))
    ]


def test_node_infos_are_events_whether_pushed_or_asked_for() -> None:
    rig = outbound(Stage.HANDSHAKE)
    rig.message("postNodeInfo", info_bytes())
    rig.receive(ack_packet())
    rig.reply(2, info_bytes())
    assert [event.peer.nonce for event in rig.of(UpdatedPeerInfo)] == [THEIRS.nonce, THEIRS.nonce]


# ---- the acknowledgement


@pytest.mark.lisk_form
def test_an_acknowledgement_without_data_will_do() -> None:
    rig = outbound(Stage.HANDSHAKE)
    rig.receive({"rid": 1})
    assert rig.link.stage is Stage.NODE_INFO
    rig.do([])
    rig.receive(answer_packet(2, info_bytes()), answer_packet(3, b""))
    rig.advance(19.999)
    assert rig.link.is_connected
    rig.advance(0.001)
    assert rig.ends == [4000]


@pytest.mark.lisk_form
@pytest.mark.parametrize("data", [{}, {"pingTimeout": 0}, {"pingTimeout": 1e10}, {"pingTimeout": "x"}, {"id": "x"}])
def test_an_acknowledgement_without_a_sane_ping_timeout_is_none(data: object) -> None:
    rig = outbound(Stage.HANDSHAKE)
    rig.receive({"rid": 1, "data": data})
    assert (rig.sent, rig.ends) == ([], [4003])
    rig.closed(4003)
    (event,) = rig.of(ConnectAbortOutbound)
    assert "pingTimeout" in event.reason


@pytest.mark.lisk_form
def test_a_listener_cannot_make_its_silence_last_for_ever() -> None:
    rig = outbound(Stage.HANDSHAKE)
    rig.receive(ack_packet(ping_timeout_ms=2**31 - 1))
    rig.receive(answer_packet(2, info_bytes()), answer_packet(3, b""))
    rig.advance(600.0)
    assert rig.ends == [4000]


@pytest.mark.lisk_form
@pytest.mark.parametrize(
    ("given", "code"), [(None, 4003), (4008, 4008), (0, 4003), (999, 4003), (1005, 4003), (5000, 4003), (-7, 4003)]
)
def test_a_refused_handshake_is_left_with_the_code_given_if_a_close_frame_may_carry_it(
    given: int | None, code: int
) -> None:
    rig = outbound(Stage.HANDSHAKE)
    packet: dict[str, object] = {"rid": 1, "error": {"message": "denied"}}
    if given is not None:
        packet["data"] = {"code": given}
    rig.receive(packet)
    assert (rig.sent, rig.ends) == ([], [code])
    rig.closed(code)
    (closed,) = rig.tells(PeerClosed)
    assert (closed.code, closed.reason, closed.by_us) == (code, "denied", False)


def test_answers_with_other_numbers_acknowledge_nothing() -> None:
    rig = outbound(Stage.HANDSHAKE)
    rig.receive(ack_packet(rid=2), {"rid": 7, "error": {"message": "x"}})
    assert rig.link.stage is Stage.HANDSHAKE


def test_a_second_acknowledgement_is_ignored() -> None:
    rig = outbound(Stage.NODE_INFO)
    rig.receive(ack_packet(), {"rid": 1, "error": {"message": "x"}})
    assert rig.link.stage is Stage.NODE_INFO


# ---- getNodeInfo


def test_an_error_answer_to_get_node_info_gives_the_peer_up() -> None:
    rig = outbound(Stage.NODE_INFO)
    rig.reply_error(2, "busy " * 100)
    (disconnect,) = rig.take_sent()
    assert disconnect["data"]["code"] == 1000
    assert disconnect["data"]["data"].startswith("getNodeInfo failed: busy")
    assert len(disconnect["data"]["data"]) == 200
    (failed,) = rig.of(FailedToFetchPeerInfo)
    (repeated,) = rig.of(FailedToCollectPeerDetailsOnConnect)  # lisk-p2p gives the same under this name
    assert failed.reason == repeated.reason
    assert rig.link.reputation == 100


@pytest.mark.lisk_form
def test_a_bare_answer_is_a_failed_one() -> None:
    rig = outbound(Stage.NODE_INFO)
    rig.receive({"rid": 2})
    assert rig.ends == [1000]
    assert rig.of(PenaltyApplied) == []


@pytest.mark.lisk_form
@pytest.mark.parametrize(
    "packet",
    [
        {"rid": 2, "data": {}},
        {"rid": 2, "data": {"data": {"an": "object"}}},
        {"rid": 2, "data": {"data": 5}},
        answer_packet(2, b""),
        answer_packet(2, b"\xff" * 40),
        answer_packet(2, info_bytes() + b"\0"),
        answer_packet(2, b"\x0a" * 20481),
        answer_packet(2, Lisk10(HEIGHT).encode_node_info(info_of(1))),
    ],
    ids=["missing", "object", "number", "empty", "garbage", "trailing", "oversized", "other schema"],
)
def test_lip_0004_an_unusable_answer_to_get_node_info_costs_100(packet: object) -> None:
    """lisk-p2p defects 4 and 21: a non-string crashes a lisk-p2p opener, an oversized one goes unpunished."""
    rig = outbound(Stage.NODE_INFO)
    rig.receive(packet)
    assert rig.ends == [1000]
    assert [event.reason for event in rig.of(PenaltyApplied)] == ["invalid_node_info"]
    assert rig.of(FailedPeerInfoUpdate)


def test_an_unusable_trusted_peer_is_given_up_without_a_ban() -> None:
    rig = outbound(Stage.NODE_INFO, kind=PeerKind.SEED)
    rig.reply(2, b"garbage")
    assert rig.ends == [1000]
    assert rig.of(FailedToFetchPeerInfo)[0].reason == "node info is unusable"
    rig.closed(1000)
    assert rig.tells(PeerClosed)[0].reason.startswith("getNodeInfo failed")


@pytest.mark.parametrize(
    ("theirs", "code", "reason"),
    [
        (NodeInfo(b"\0\0\xff\xff", "1.1", "x"), 4104, "Peer chainID did not match our own"),
        (NodeInfo(CHAIN, "2.0", "x"), 4104, "Peer has incompatible protocol version"),
        (NodeInfo(CHAIN, "1.1", OURS.nonce), 4101, "Peer cannot connect to itself"),
    ],
)
@pytest.mark.parametrize("kind", SELF_CLOSING)
def test_an_incompatible_listener_loses_the_slot(kind: PeerKind, theirs: NodeInfo, code: int, reason: str) -> None:
    """lisk-p2p defect 22: lisk-p2p keeps the connection and its outbound slot for ever."""
    rig = outbound(Stage.NODE_INFO, kind=kind)
    rig.reply(2, info_bytes(theirs))
    assert rig.take_sent() == [{"event": "#disconnect", "data": {"code": code, "data": reason}}]
    assert rig.ends == [code]
    rig.closed(code)
    (closed,) = rig.tells(PeerClosed)
    assert (closed.code, closed.was_connected) == (code, False)
    assert rig.tells(PeerConnected) == []


def test_the_program_may_decide_itself_who_belongs_together() -> None:
    refused = Refusal(CloseCode.INCOMPATIBLE, "not today")
    rig = outbound(Stage.NODE_INFO, review=lambda theirs, own, verdict: refused if theirs.nonce == "x" else None)
    rig.reply(2, info_bytes(NodeInfo(b"another chain", "9.9", "y")))
    assert rig.link.stage is Stage.PEERS
    rig = outbound(Stage.NODE_INFO, review=lambda theirs, own, verdict: refused if theirs.nonce == "x" else None)
    rig.reply(2, info_bytes(NodeInfo(CHAIN, "1.1", "x")))
    assert rig.take_sent() == [{"event": "#disconnect", "data": {"code": 4104, "data": "not today"}}]


def test_a_mute_listener_loses_the_slot() -> None:
    """lisk-p2p defect 22."""
    rig = outbound(Stage.NODE_INFO)
    rig.advance(1.999)
    assert rig.ends == []
    rig.advance(0.001)
    assert rig.ends == [1000]
    assert rig.of(FailedToFetchPeerInfo)[0].reason == "no answer in time"


def test_a_request_that_expires_while_closing_says_nothing_more() -> None:
    rig = outbound(Stage.NODE_INFO, close_timeout_s=10.0)
    rig.close()
    rig.forget()
    rig.advance(5.0)
    assert rig.events == []


# ---- getPeers


def test_a_peer_that_does_not_answer_get_peers_is_connected_all_the_same() -> None:
    rig = outbound(Stage.PEERS)
    rig.advance(2.0)
    assert rig.link.is_connected
    assert [type(event) for event in rig.events] == [
        FailedToFetchPeers,
        FailedToCollectPeerDetailsOnConnect,
        ConnectOutbound,
    ]


@pytest.mark.lisk_form
@pytest.mark.parametrize("packet", [{"rid": 3}, {"rid": 3, "error": {"message": "no"}}], ids=["bare", "error"])
def test_so_is_one_that_refuses(packet: object) -> None:
    rig = outbound(Stage.PEERS)
    rig.receive(packet)
    assert rig.link.is_connected
    assert rig.of(FailedToFetchPeers)
    assert rig.link.reputation == 100
    assert rig.tells(PeersAdvertised) == []


@pytest.mark.lisk_form
@pytest.mark.parametrize(
    "packet",
    [
        {"rid": 3, "data": {}},
        {"rid": 3, "data": {"data": [1]}},
        answer_packet(3, b"\xff"),
        answer_packet(3, peers_bytes(Endpoint("1.2.3.4", 5)) + b"\0"),
        answer_packet(3, peers_bytes(*(Endpoint("1.2.3.4", port) for port in range(1, 201))) + peers_bytes(REMOTE)),
        answer_packet(3, bytes.fromhex("0a0b0a073a3a312020202010 05".replace(" ", ""))),
        answer_packet(3, bytes.fromhex("0a0b0a07312e322e332e341000")),
    ],
    ids=["missing", "list", "garbage", "trailing", "201 peers", "no IPv4", "port 0"],
)
def test_lip_0004_an_unusable_peer_list_costs_100(packet: object) -> None:
    """lisk-p2p defect 21: lisk-p2p does not punish undecodable lists."""
    rig = outbound(Stage.PEERS)
    rig.receive(packet)
    assert rig.ends == [1000]
    assert [event.reason for event in rig.of(PenaltyApplied)] == ["invalid_peer_list"]
    assert rig.tells(PeersAdvertised) == []
    assert rig.of(ConnectOutbound) == []


def test_a_trusted_peer_with_an_unusable_list_is_connected_without_it() -> None:
    rig = outbound(Stage.PEERS, kind=PeerKind.FIXED)
    rig.reply(3, b"garbage")
    assert rig.link.is_connected
    assert rig.tells(PeersAdvertised) == []


@pytest.mark.lisk_form
@pytest.mark.parametrize(("limit", "sent", "taken"), [(2, 200, 2), (200, 200, 200), (300, 300, 300), (300, 201, 201)])
def test_no_more_peers_are_taken_than_configured_and_nobody_is_punished_for_the_protocols_own_limit(
    limit: int, sent: int, taken: int
) -> None:
    rig = outbound(Stage.PEERS, max_peers_per_answer=limit)
    endpoints = [Endpoint("1.2.3.4", port) for port in range(1, sent + 1)]
    rig.reply(3, peers_bytes(*endpoints[:150]) + peers_bytes(*endpoints[150:]))
    (advertised,) = rig.tells(PeersAdvertised)
    assert advertised.endpoints == tuple(endpoints[:taken])
    assert rig.link.reputation == 100


def test_a_list_beyond_a_raised_limit_is_punished() -> None:
    rig = outbound(Stage.PEERS, max_peers_per_answer=300)
    endpoints = [Endpoint("1.2.3.4", port) for port in range(1, 302)]
    rig.reply(3, peers_bytes(*endpoints[:151]) + peers_bytes(*endpoints[151:]))
    assert rig.ends == [1000]


@BOTH
def test_a_connected_peer_is_asked_for_peers_again_when_the_pool_wants(connected: Any) -> None:
    rig = connected()
    rig.do(rig.link.ask_for_peers(rig.now))
    (packet,) = rig.take_sent()
    assert packet["data"] == {"procedure": "getPeers"}
    rig.reply(packet["cid"], peers_bytes(Endpoint("1.2.3.4", 5)))
    assert rig.tells(PeersAdvertised)
    assert rig.events == []


def test_a_second_peer_list_may_fail_too() -> None:
    rig = outbound()
    rig.do(rig.link.ask_for_peers(rig.now))
    rig.advance(2.0)
    assert [type(event) for event in rig.events] == [FailedToFetchPeers, FailedToCollectPeerDetailsOnConnect]
    assert rig.link.is_connected


def test_a_peer_that_is_not_connected_is_not_asked_for_peers() -> None:
    rig = outbound(Stage.NODE_INFO)
    rig.do(rig.link.ask_for_peers(rig.now))
    assert rig.sent == []


# ---- our node info, pushed


def test_a_changed_node_info_is_pushed_at_most_3_times_in_10_s_and_the_last_state_always_arrives() -> None:
    rig = inbound(dialect=Lisk10(HEIGHT), own=info_of(0), announced=info_of(0, "x"))
    for height in range(1, 8):
        rig.do(rig.link.push_node_info(info_of(height), rig.now))
        rig.advance(0.1)
    # One was sent when the connection was made.
    assert heights(rig.take_sent()) == [1, 2]
    rig.advance(9.2)
    assert heights(rig.take_sent()) == []
    rig.advance(0.1)
    assert heights(rig.take_sent()) == [7]


def test_a_push_on_a_closing_connection_is_told_as_failed() -> None:
    rig = outbound()
    rig.do(rig.link.close(1000, "enough", rig.now))
    rig.do(rig.link.push_node_info(OURS, rig.now))
    assert [event.reason for event in rig.of(FailedToPushNodeInfo)] == ["the connection is closing"]


def test_a_push_that_waits_has_the_newest_state() -> None:
    rig = inbound(dialect=Lisk10(HEIGHT), own=info_of(0), announced=info_of(0, "x"))
    for height in (1, 2, 3):
        rig.do(rig.link.push_node_info(info_of(height), rig.now))
    rig.advance(9.9)
    rig.do(rig.link.push_node_info(info_of(4), rig.now))
    rig.advance(0.1)
    assert heights(rig.take_sent()) == [1, 2, 4]


@pytest.mark.lisk_form
def test_a_push_due_at_this_very_moment_goes_out_with_the_newest_state() -> None:
    rig = inbound(dialect=Lisk10(HEIGHT), own=info_of(0), announced=info_of(0, "x"))
    for height in (1, 2, 3):
        rig.do(rig.link.push_node_info(info_of(height), rig.now))
    rig.forget()
    rig.now += 10.0
    rig.do(rig.link.push_node_info(info_of(4), rig.now))
    assert heights(rig.take_sent()) == [4]
    rig.advance(0.0)
    assert rig.take_sent() == ["#1"]


def test_no_lisk_p2p_node_can_count_more_than_4_in_any_10_s() -> None:
    """Fixed windows of our own could put 5 into one of theirs, which costs 10 points there."""
    rig = inbound(
        dialect=Lisk10(HEIGHT),
        own=info_of(0),
        announced=info_of(0, "x"),
        ping_interval_min_s=99,
        ping_interval_max_s=99,
    )
    sent_at = [rig.now]
    for height in range(1, 600):
        rig.advance(0.1)
        rig.do(rig.link.push_node_info(info_of(height), rig.now))
        sent_at += [rig.now] * sum(not isinstance(packet, str) for packet in rig.take_sent())
        rig.receive("#2")
    assert len(sent_at) == 18
    assert all(later - earlier >= 9.999 for earlier, later in zip(sent_at, sent_at[3:], strict=False))


@pytest.mark.parametrize("stage", [Stage.CONNECTING, Stage.UPGRADING, Stage.HANDSHAKE])
def test_before_the_handshake_a_changed_node_info_is_only_kept(stage: Stage) -> None:
    rig = outbound(stage, dialect=Lisk10(HEIGHT), own=info_of(0))
    rig.do(rig.link.push_node_info(info_of(1), rig.now))
    assert rig.sent == []
    if stage is Stage.HANDSHAKE:
        rig.receive(ack_packet())
        assert heights(rig.take_sent()[:1]) == [1]


def test_a_closing_connection_gets_no_node_info() -> None:
    rig = inbound()
    for _ in range(5):
        rig.do(rig.link.push_node_info(OURS, rig.now))
    rig.close()
    rig.forget()
    rig.do(rig.link.push_node_info(OURS, rig.now))
    rig.advance(1.0)
    assert rig.sent == []


# ---- their node info, pushed


@BOTH
def test_a_pushed_node_info_changes_the_options_and_nothing_else(connected: Any) -> None:
    options = {"dialect": Lisk10(HEIGHT), "own": info_of(0)}
    rig = connected(**options, **{"announced" if connected is inbound else "theirs": info_of(1, "x")})
    other = NodeInfo(b"\xff", "9.9", "somebody else", False, {"height": 2})
    rig.message("postNodeInfo", dialect(Lisk10(HEIGHT)).encode_node_info(other))
    info = rig.link.info()
    assert (info.chain_id, info.network_version, info.nonce, info.advertise_address) == (CHAIN, "1.1", "x", True)
    assert info.options == {"height": 2}
    assert [event.peer.options for event in rig.of(UpdatedPeerInfo)] == [{"height": 2}]
    assert [update.peer.options for update in rig.tells(PeerUpdated)] == [{"height": 2}]
    assert rig.link.reputation == 100


@pytest.mark.parametrize(
    "data",
    [None, b"", b"\xff" * 40, info_bytes() + b"\0", b"\x0a" * 20481],
    ids=["missing", "empty", "garbage", "trailing", "oversized"],
)
@pytest.mark.parametrize("stage", [Stage.HANDSHAKE, Stage.NODE_INFO, Stage.PEERS, Stage.READY])
def test_lip_0004_an_unusable_pushed_node_info_costs_100(stage: Stage, data: bytes | None) -> None:
    rig = outbound(stage)
    rig.message("postNodeInfo", data)
    assert rig.ends == [4003 if stage is Stage.HANDSHAKE else 1000]
    assert [event.reason for event in rig.of(PenaltyApplied)] == ["invalid_node_info"]


def test_a_trusted_peers_unusable_node_info_is_ignored() -> None:
    rig = inbound(kind=PeerKind.WHITELISTED)
    rig.message("postNodeInfo", b"garbage")
    assert rig.link.is_connected
    assert rig.of(FailedPeerInfoUpdate)
    assert rig.link.info().nonce == THEIRS.nonce


def test_the_size_limit_is_exact_and_configurable() -> None:
    exact = len(info_bytes())
    rig = inbound(max_node_info_bytes=exact)
    rig.message("postNodeInfo", info_bytes())
    assert rig.link.reputation == 100
    rig = inbound(max_node_info_bytes=exact - 1)
    rig.message("postNodeInfo", info_bytes())
    assert rig.ends == [1000]
    assert rig.of(FailedPeerInfoUpdate)[0].reason == f"node info: {exact} bytes, {exact - 1} are allowed"


def test_lip_0004_from_the_fifth_node_info_in_10_s_on_each_costs_10() -> None:
    rig = inbound()
    for _ in range(4):
        rig.message("postNodeInfo", info_bytes())
    assert rig.link.reputation == 100
    for _ in range(9):
        rig.message("postNodeInfo", info_bytes())
    assert rig.link.reputation == 10
    rig.forget()
    rig.message("postNodeInfo", info_bytes())
    assert rig.ends == [1000]
    assert rig.of(UpdatedPeerInfo) == []


def test_the_window_of_node_infos_is_cleared() -> None:
    rig = inbound()
    for _ in range(12):
        rig.message("postNodeInfo", info_bytes())
        rig.advance(2.5)
    assert rig.link.reputation == 100


def test_a_node_info_that_breaks_two_rules_is_punished_once_when_the_first_bans() -> None:
    rig = inbound()
    rig.do(rig.link.apply_penalty(90, "x", rig.now))
    for _ in range(4):
        rig.message("postNodeInfo", info_bytes())
    rig.forget()
    rig.message("postNodeInfo", b"garbage")
    assert [event.reason for event in rig.of(PenaltyApplied)] == ["node_info_rate"]
    assert rig.of(FailedPeerInfoUpdate) == []


@pytest.mark.lisk_form
def test_own_node_info_goes_out_base64_encoded_as_real_nodes_do() -> None:
    rig = inbound()
    rig.do(rig.link.push_node_info(OURS, rig.now))
    assert rig.take_sent()[0]["data"]["data"] == "CgQAAAABEgMxLjEaEDAwMDAwMDAwMDAwMDAwMDEgAQ=="


# ---- whose answer is it


@BOTH
def test_answers_to_the_program_do_not_disturb_the_introduction(connected: Any) -> None:
    rig = connected()
    for procedure in ("getNodeInfo", "getPeers", "ping"):
        rig.request(procedure, None)
    first, second, third = (packet["cid"] for packet in rig.take_sent())
    rig.reply(first, b"garbage")
    rig.reply_error(second)
    rig.advance(10.0)
    rig.reply(third, b"late")
    rig.reply_error(third)
    assert len(rig.replies) == 3
    assert rig.ends == []
    assert rig.tells(PeersAdvertised) == []


@pytest.mark.parametrize("packet", [answer_packet(1, b'"pong"'), {"rid": 1}, {"rid": 1, "error": {"message": "?"}}])
def test_any_answer_to_a_ping_measures_the_latency(packet: object) -> None:
    rig = inbound()
    rig.advance(19.0)
    rig.receive("#2")
    rig.advance(1.03)
    rig.receive(packet)
    assert rig.tells(PeerUpdated)[0].peer.latency_ms == pytest.approx(30.0)


def test_a_ping_that_is_not_answered_in_time_closes_and_a_handshake_too() -> None:
    rig = inbound(keep_alive_timeout_s=100.0)
    rig.advance(30.0)
    assert rig.ends == [4001]
    rig = outbound(Stage.HANDSHAKE)
    rig.advance(2.0)
    assert rig.ends == [4003]
