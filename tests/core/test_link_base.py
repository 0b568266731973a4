"""The end of a connection at each stage and in each direction, and how a remote is judged."""

from __future__ import annotations

import json

import pytest

from core.effects import Room
from core.errors import ConnectionLost
from core.events import (
    CloseInbound,
    CloseOutbound,
    ConnectAbortOutbound,
    FailedToAddInboundPeer,
    InboundSocketError,
    OutboundSocketError,
    PenaltyApplied,
)
from core.house_messages import (
    PeerClosed,
    PeerMisbehaved,
    PeerTraffic,
    PeerUpdated,
)
from core.ids import CloseCode, Direction, PeerKind
from core.link_base import Stage
from core.messages import (
    Failed,
)
from core.wire.lisk10 import Lisk10
from core.wire.payloads import NodeInfo
from tests.core.link_rig import (
    ABORT,
    CHAIN,
    OURS,
    REMOTE,
    THEIRS,
    WALL_S,
    Rig,
    ack_packet,
    inbound,
    info_bytes,
    message_packet,
    outbound,
)
from tests.spoken import BOTH_DIALECTS

pytestmark = BOTH_DIALECTS

OPEN_STAGES = [Stage.NODE_INFO, Stage.PEERS, Stage.READY]
BEFORE_CLOSING = [stage for stage in Stage if stage < Stage.CLOSING]
TRUSTED = [PeerKind.FIXED, PeerKind.WHITELISTED, PeerKind.SEED]


def closed_message(rig: Rig) -> PeerClosed:
    (message,) = rig.tells(PeerClosed)
    return message


# ---- what is known about the remote


def test_before_the_introduction_only_the_address_is_known() -> None:
    info = outbound(Stage.CONNECTING).link.info()
    assert (info.peer_id, info.ip_address, info.port) == ("10.20.30.40:5001", "10.20.30.40", 5001)
    assert (info.chain_id, info.nonce, info.connected_at, info.latency_ms) == (b"", "", None, None)
    assert (info.response_rate, info.reputation, info.advertise_address) == (None, 100, True)


def test_a_connected_peer_is_known_by_what_it_announced() -> None:
    rig = inbound(kind=PeerKind.FIXED)
    info = rig.link.info()
    assert (info.chain_id, info.nonce, info.network_version) == (CHAIN, THEIRS.nonce, "1.1")
    assert (info.direction, info.kind) == (Direction.INBOUND, PeerKind.FIXED)
    assert info.connected_at == rig.now + WALL_S


# ---- closing


@pytest.mark.parametrize("stage", OPEN_STAGES)
def test_an_open_connection_is_closed_in_order(stage: Stage) -> None:
    rig = outbound(stage)
    rig.close(CloseCode.EVICTED, "Evicted outbound peer x")
    assert rig.take_sent() == [{"event": "#disconnect", "data": {"code": 4418, "data": "Evicted outbound peer x"}}]
    assert rig.ends == [4418]
    assert rig.link.stage is Stage.CLOSING
    rig.closed(4418)
    assert closed_message(rig) == PeerClosed(
        REMOTE, Direction.OUTBOUND, stage is Stage.READY, 4418, "Evicted outbound peer x", True
    )


def test_a_close_without_a_reason_leaves_it_out() -> None:
    rig = inbound()
    rig.close(1000, "")
    assert rig.take_sent() == [{"event": "#disconnect", "data": {"code": 1000}}]


def test_in_the_handshake_the_close_frame_says_4003_and_nothing_else_whatever_the_reason() -> None:
    rig = outbound(Stage.HANDSHAKE)
    rig.close(CloseCode.NORMAL, "Intentionally removed")
    assert rig.take_sent() == []
    assert rig.ends == [4003]
    rig.closed(4003)
    assert closed_message(rig).code == 1000


@pytest.mark.parametrize("stage", [Stage.CONNECTING, Stage.UPGRADING])
def test_what_is_no_websocket_yet_is_destroyed(stage: Stage) -> None:
    rig = outbound(stage)
    rig.close(1000, "stop")
    assert rig.take_sent() == []
    assert rig.ends == [ABORT]
    assert rig.link.stage is Stage.CLOSED
    (event,) = rig.of(ConnectAbortOutbound)
    assert (event.code, event.reason) == (1000, "stop")


@pytest.mark.parametrize("stage", BEFORE_CLOSING)
def test_a_second_close_changes_nothing(stage: Stage) -> None:
    rig = outbound(stage)
    rig.close(4418, "first")
    sent, ends = list(rig.sent), list(rig.ends)
    rig.close(1000, "second")
    assert (rig.sent, rig.ends) == (sent, ends)
    rig.closed(1006, "reset")
    assert closed_message(rig).reason == "first"
    rig.close(1000, "third")
    assert (rig.sent, rig.ends) == (sent, ends)


@pytest.mark.parametrize("stage", [Stage.HANDSHAKE, *OPEN_STAGES])
def test_a_close_that_is_not_answered_is_enforced_after_2_s(stage: Stage) -> None:
    rig = outbound(stage)
    rig.close(1000, "bye")
    rig.advance(1.99)
    assert rig.link.stage is Stage.CLOSING
    rig.advance(0.01)
    assert rig.ends[-1] == ABORT
    assert closed_message(rig).code == 1000


def test_packets_that_come_while_closing_are_not_acted_upon() -> None:
    rig = inbound()
    rig.close(1000, "bye")
    rig.forget()
    rig.message("late")
    rig.call("late")
    rig.receive("garbage")
    rig.receive({"event": "#disconnect", "data": {"code": 4418}})
    rig.do(rig.link.on_control_frame(rig.now))
    assert (rig.sent, rig.events, rig.told) == ([], [], [])
    rig.closed()
    assert closed_message(rig).code == 1000


# ---- closed by the other side or by the network


@pytest.mark.parametrize("stage", BEFORE_CLOSING)
def test_a_lost_connection_is_told_once_and_nothing_follows(stage: Stage) -> None:
    rig = outbound(stage)
    rig.closed(1006, "reset by peer")
    assert closed_message(rig) == PeerClosed(
        REMOTE, Direction.OUTBOUND, stage is Stage.READY, 1006, "reset by peer", False
    )
    rig.forget()
    rig.closed(1006, "again")
    rig.message("late")
    rig.advance(1000.0)
    rig.do(rig.link.on_control_frame(rig.now))
    rig.do(rig.link.on_time(rig.now))
    rig.do(rig.link.on_overflow(rig.now))
    rig.do(rig.link.apply_penalty(100, "late", rig.now))
    rig.do(rig.link.push_node_info(THEIRS, rig.now))
    rig.do(rig.link.ask_for_peers(rig.now))
    rig.do(rig.link.on_opened(rig.now))
    rig.do(rig.link.on_connected(rig.now))
    rig.do(rig.link.start_inbound(THEIRS, 1, "", rig.now))
    rig.do(rig.link.on_refused(401, "", rig.now))
    assert (rig.sent, rig.events, rig.ends) == ([], [], [])
    assert rig.link.stage is Stage.CLOSED


def test_a_socket_error_of_a_connected_peer_is_an_event_before_the_close() -> None:
    rig = outbound()
    rig.closed(1006, "reset by peer")
    assert [type(event) for event in rig.events] == [OutboundSocketError, CloseOutbound]
    rig = inbound()
    rig.closed(1009, "too big")
    assert [type(event) for event in rig.events] == [InboundSocketError, CloseInbound]
    (closed,) = rig.of(CloseInbound)
    assert (closed.code, closed.reason, closed.peer.nonce) == (1009, "too big", THEIRS.nonce)


def test_an_orderly_close_or_a_close_of_ours_is_no_socket_error() -> None:
    rig = inbound()
    rig.closed(4418)
    assert [type(event) for event in rig.events] == [CloseInbound]
    rig = inbound()
    rig.close()
    rig.closed(1006, "reset by peer")
    assert [type(event) for event in rig.events] == [CloseInbound]


def test_a_dial_that_failed_is_no_socket_error_of_a_peer() -> None:
    rig = outbound(Stage.CONNECTING)
    rig.closed(1006, "connection refused")
    (event,) = rig.events
    assert isinstance(event, ConnectAbortOutbound)
    assert (event.peer_id, event.code, event.reason) == ("10.20.30.40:5001", 1006, "connection refused")


def test_an_inbound_connection_that_never_came_is_a_failed_inbound_peer() -> None:
    rig = Rig(Direction.INBOUND)
    rig.do(rig.link.expect_hand_over(rig.now))
    rig.closed(1006, "lost in the hand-over")
    (event,) = rig.events
    assert isinstance(event, FailedToAddInboundPeer)
    assert (event.ip_address, event.reason) == ("10.20.30.40", "lost in the hand-over")
    assert not closed_message(rig).was_connected


def test_requests_that_wait_learn_that_the_connection_is_lost() -> None:
    rig = inbound()
    rig.request("a", ask_id=3)
    rig.request("b", ask_id=4)
    rig.closed(1006, "reset")
    assert [ask_id for ask_id, _ in rig.replies] == [3, 4]
    for _, answer in rig.replies:
        assert isinstance(answer, Failed)
        assert isinstance(answer.error, ConnectionLost)
        assert answer.error.peer_id == "10.20.30.40:5001"


def test_the_last_traffic_is_reported_before_the_close() -> None:
    rig = inbound()
    rig.message("x")
    rig.closed()
    kinds = [type(message) for room, message in rig.told if room is Room.NODE or isinstance(message, PeerClosed)]
    assert kinds == [PeerTraffic, PeerClosed]


# ---- penalties and bans


def test_penalties_are_subtracted_reported_and_told_to_the_pool() -> None:
    rig = inbound()
    rig.do(rig.link.apply_penalty(30, "bad block", rig.now))
    rig.do(rig.link.apply_penalty(30, "bad block", rig.now))
    assert [(event.penalty, event.reputation, event.reason) for event in rig.of(PenaltyApplied)] == [
        (30, 70, "bad block"),
        (30, 40, "bad block"),
    ]
    assert [update.peer.reputation for update in rig.tells(PeerUpdated)] == [70, 40]
    assert rig.link.is_connected


@pytest.mark.parametrize("penalty", [0, -5])
def test_a_penalty_of_nothing_is_none(penalty: int) -> None:
    rig = inbound()
    rig.do(rig.link.apply_penalty(penalty, "nothing", rig.now))
    assert (rig.events, rig.told) == ([], [])


@pytest.mark.parametrize("stage", OPEN_STAGES)
def test_lip_0004_at_zero_the_peer_is_dropped_without_a_reason_and_reported_for_a_ban(stage: Stage) -> None:
    rig = outbound(stage)
    rig.do(rig.link.apply_penalty(100, "bad block", rig.now))
    assert rig.take_sent() == [{"event": "#disconnect", "data": {"code": 1000}}]
    assert rig.ends == [1000]
    assert rig.tells(PeerMisbehaved) == [PeerMisbehaved(rig.link.peer_id, REMOTE.ip, PeerKind.NONE, "bad block")]
    rig.closed(1000)
    assert (closed_message(rig).code, closed_message(rig).reason) == (1000, "banned: bad block")
    assert closed_message(rig).by_us


def test_a_ban_before_the_websocket_is_open_destroys_the_connection() -> None:
    rig = outbound(Stage.UPGRADING)
    rig.do(rig.link.apply_penalty(100, "known liar", rig.now))
    assert rig.ends == [ABORT]
    assert closed_message(rig).reason == "banned: known liar"


def test_events_of_a_ban_come_before_the_close_event_even_when_the_connection_is_destroyed() -> None:
    rig = inbound()
    rig.receive("not json")
    assert rig.ends == [ABORT]
    assert [event.NAME for event in rig.events] == [
        "EVENT_INVALID_MESSAGE_RECEIVED",
        "EVENT_PENALTY_APPLIED",
        "EVENT_CLOSE_INBOUND",
    ]


def test_a_banned_peer_is_judged_once() -> None:
    rig = inbound()
    rig.do(rig.link.apply_penalty(100, "first", rig.now))
    rig.do(rig.link.apply_penalty(100, "second", rig.now))
    assert len(rig.of(PenaltyApplied)) == len(rig.tells(PeerMisbehaved)) == 1


@pytest.mark.parametrize("kind", TRUSTED)
def test_lip_0004_trusted_peers_are_never_banned(kind: PeerKind) -> None:
    rig = inbound(kind=kind)
    rig.do(rig.link.apply_penalty(70, "bad block", rig.now))
    rig.do(rig.link.apply_penalty(70, "bad block", rig.now))
    rig.do(rig.link.apply_penalty(70, "bad block", rig.now))
    rig.do(rig.link.on_control_frame(rig.now))
    rig.receive("not json")
    assert rig.link.is_connected
    assert rig.link.reputation == 0
    assert (rig.ends, rig.tells(PeerMisbehaved)) == ([], [])
    assert [update.peer.reputation for update in rig.tells(PeerUpdated)] == [30, 0]
    rig.message("still there")
    assert rig.events[-1].NAME == "EVENT_MESSAGE_RECEIVED"


def test_the_reputation_is_of_this_connection() -> None:
    rig = inbound()
    rig.do(rig.link.apply_penalty(90, "bad block", rig.now))
    rig.closed()
    assert inbound().link.reputation == 100


def test_the_standing_of_a_peer_is_told_when_it_changed() -> None:
    rig = inbound()
    rig.receive("#2")
    assert rig.tells(PeerUpdated) == []
    rig.do(rig.link.apply_penalty(1, "x", rig.now))
    rig.do(rig.link.apply_penalty(1, "x", rig.now))
    assert [update.peer.reputation for update in rig.tells(PeerUpdated)] == [99, 98]
    rig.message("postNodeInfo", info_bytes())
    assert len(rig.tells(PeerUpdated)) == 3


def test_a_rule_that_costs_this_direction_nothing_is_not_punished() -> None:
    rig = outbound()
    rig.receive("not json")
    assert rig.of(PenaltyApplied) == []


def test_silence_is_answered_with_a_close_frame_and_no_disconnect() -> None:
    rig = outbound()
    rig.advance(20.0)
    assert (rig.sent, rig.ends) == ([], [4000])


# ---- the dialect


class Listening(Lisk10):
    """A dialect that only learns from the listener's first message what it is."""

    name = "listening"

    def __init__(self, follows: Lisk10) -> None:
        super().__init__()
        self.follows = follows
        self.asked: list[tuple[bytes, NodeInfo]] = []

    def settle(self, payload: bytes, own: NodeInfo) -> Lisk10:
        self.asked.append((payload, own))
        return self.follows


class Loud(Lisk10):
    """Tells itself apart by what it sends."""

    name = "loud"

    @staticmethod
    def encode_request(procedure: str, data: bytes | None, cid: int | None) -> str:
        return f"# {procedure}"


@pytest.mark.lisk_form
def test_what_the_upgrade_agreed_on_is_spoken() -> None:
    rig = Rig(Direction.OUTBOUND)
    rig.do(rig.link.start_outbound(rig.now))
    rig.do(rig.link.on_connected(rig.now))
    rig.link.speak(Loud())
    rig.do(rig.link.on_opened(rig.now))
    rig.receive(ack_packet())
    assert rig.take_sent()[-1] == "# getNodeInfo"


def test_after_the_handshake_has_begun_the_dialect_stays() -> None:
    rig = outbound(Stage.HANDSHAKE)
    with pytest.raises(RuntimeError, match=r"the dialect of .* cannot change"):
        rig.link.speak(Loud())
    with pytest.raises(RuntimeError):
        inbound().link.speak(Loud())


@pytest.mark.lisk_form
def test_a_dialect_may_follow_from_the_listeners_first_message() -> None:
    listening = Listening(Loud())
    rig = outbound(Stage.HANDSHAKE, dialect=listening)
    first = message_packet("postNodeInfo", info_bytes())
    rig.receive(first, ack_packet())
    assert listening.asked == [(json.dumps(first).encode(), OURS)], "asked once: Loud answers from then on"
    assert rig.take_sent()[-1] == "# getNodeInfo"
