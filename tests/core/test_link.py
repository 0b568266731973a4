"""What drives a link: the channel, the node, the clock."""

from __future__ import annotations

from typing import Any

import pytest

from core.effects import Room, SendPackets
from core.events import (
    CloseInbound,
    ConnectAbortOutbound,
    FailedToAddInboundPeer,
    FailedToSendMessage,
    InvalidMessageReceived,
    MessageReceived,
    NewInboundPeer,
    PenaltyApplied,
    UpdatedPeerInfo,
)
from core.house_messages import (
    PeerClosed,
    PeerConnected,
    PeerMisbehaved,
    PeerTraffic,
    PeerUpdated,
)
from core.ids import Direction, PeerKind
from core.link_base import Stage
from core.messages import SendMessage
from tests.core.link_rig import (
    ABORT,
    OURS,
    SESSION_ID,
    THEIRS,
    Fixed,
    Rig,
    ack_packet,
    answer_packet,
    inbound,
    info_bytes,
    message_packet,
    outbound,
)
from tests.spoken import BOTH_DIALECTS, packet_of

pytestmark = BOTH_DIALECTS

BOTH = pytest.mark.parametrize("connected", [inbound, outbound], ids=["inbound", "outbound"])
SPEAKING = [Stage.HANDSHAKE, Stage.NODE_INFO, Stage.PEERS, Stage.READY]
NOT_JSON = [
    "",
    "5",
    "null",
    '"x"',
    "[]",
    "{",
    "\x00",
    '{"event":"x","extra":1}',
    '{"event":5}',
    '{"event":"x","data":5}',
]


# ---- start


@pytest.mark.lisk_form
def test_an_inbound_link_tells_its_node_info_before_it_acknowledges() -> None:
    rig = Rig(Direction.INBOUND)
    rig.do(rig.link.expect_hand_over(rig.now))
    rig.do(rig.link.start_inbound(THEIRS, 1, SESSION_ID, rig.now))
    assert rig.take_sent() == [message_packet("postNodeInfo", info_bytes(OURS)), ack_packet()]
    assert [(room, type(message)) for room, message in rig.told] == [(Room.POOL, PeerConnected)]
    (event,) = rig.of(NewInboundPeer)
    assert event.peer.nonce == THEIRS.nonce


@pytest.mark.parametrize("cid", [None, 0])
def test_a_handshake_without_a_number_is_not_acknowledged(cid: int | None) -> None:
    rig = Rig(Direction.INBOUND)
    rig.do(rig.link.start_inbound(THEIRS, cid, SESSION_ID, rig.now))
    assert len(rig.sent) == 1
    assert rig.link.is_connected


@pytest.mark.lisk_form
def test_the_acknowledgement_tells_the_configured_silence() -> None:
    rig = Rig(Direction.INBOUND, keep_alive_timeout_s=12.5)
    rig.do(rig.link.start_inbound(THEIRS, 5, SESSION_ID, rig.now))
    assert rig.take_sent()[1] == ack_packet(5, 12_500)


def test_a_hand_over_that_comes_too_late_changes_nothing() -> None:
    rig = Rig(Direction.INBOUND)
    rig.do(rig.link.expect_hand_over(rig.now))
    rig.advance(10.0)
    assert rig.ends == [ABORT]
    (event,) = rig.of(FailedToAddInboundPeer)
    assert event.reason == "hand-over timed out"
    rig.do(rig.link.start_inbound(THEIRS, 1, SESSION_ID, rig.now))
    assert rig.sent == []
    assert rig.link.stage is Stage.CLOSED


@pytest.mark.parametrize(
    ("stage", "time_s", "reason"),
    [(Stage.CONNECTING, 2.0, "connect timed out"), (Stage.UPGRADING, 5.0, "HTTP upgrade timed out")],
)
def test_a_mute_address_is_given_up(stage: Stage, time_s: float, reason: str) -> None:
    rig = outbound(stage)
    rig.advance(time_s - 0.001)
    assert rig.ends == []
    rig.advance(0.001)
    assert rig.ends == [ABORT]
    (event,) = rig.of(ConnectAbortOutbound)
    assert (event.reason, event.code) == (reason, 1006)
    assert rig.tells(PeerClosed)[0].by_us


def test_a_handshake_that_is_not_acknowledged_ends_with_4003() -> None:
    rig = outbound(Stage.HANDSHAKE)
    rig.advance(2.0)
    assert rig.ends == [4003]
    rig.advance(2.0)
    assert rig.ends == [4003, ABORT]
    (event,) = rig.of(ConnectAbortOutbound)
    assert event.reason == "handshake timed out"


def test_progress_comes_once() -> None:
    rig = outbound(Stage.NODE_INFO)
    rig.do(rig.link.on_connected(rig.now))
    rig.do(rig.link.on_opened(rig.now))
    assert rig.link.stage is Stage.NODE_INFO
    assert rig.sent == []


def test_an_upgrade_that_is_refused_is_the_reason_of_the_end() -> None:
    rig = outbound(Stage.UPGRADING)
    rig.do(rig.link.on_refused(401, "Peer is not allowed to connect" + "x" * 500, rig.now))
    rig.closed(1006, "connection lost")
    (event,) = rig.of(ConnectAbortOutbound)
    assert event.code == 401
    assert event.reason.startswith("HTTP 401: Peer is not allowed to connect")
    assert len(event.reason) < 220
    assert not rig.tells(PeerClosed)[0].by_us


# ---- packets


@BOTH
def test_messages_are_events_in_the_order_of_arrival(connected: Any) -> None:
    rig = connected()
    rig.receive(message_packet("a", b"1"), message_packet("b"), message_packet("c", b""))
    assert rig.events == [
        MessageReceived(peer_id=rig.link.peer_id, event="a", data=b"1"),
        MessageReceived(peer_id=rig.link.peer_id, event="b", data=None),
        MessageReceived(peer_id=rig.link.peer_id, event="c", data=b""),
    ]
    assert rig.link.traffic.messages_received == 3


@pytest.mark.parametrize("stage", SPEAKING)
def test_messages_before_the_introduction_is_over_are_not_lost(stage: Stage) -> None:
    rig = outbound(stage)
    rig.message("early")
    assert rig.of(MessageReceived)


@pytest.mark.parametrize("stage", [Stage.CONNECTING, Stage.UPGRADING])
def test_nothing_is_read_before_the_websocket_is_open(stage: Stage) -> None:
    rig = outbound(stage)
    rig.message("impossible")
    rig.do(rig.link.on_control_frame(rig.now))
    assert rig.events == []


@pytest.mark.parametrize("text", NOT_JSON)
def test_a_packet_that_no_opener_sends_destroys_the_connection_and_bans(text: str) -> None:
    rig = inbound()
    rig.receive(message_packet("before"), text, message_packet("after"))
    assert rig.ends == [ABORT]
    assert rig.take_sent() == []
    assert [event.event for event in rig.of(MessageReceived)] == ["before"]
    (misbehaved,) = rig.tells(PeerMisbehaved)
    assert misbehaved.reason == rig.of(InvalidMessageReceived)[0].rule
    assert rig.tells(PeerTraffic)[0].errors == 1
    (closed,) = rig.of(CloseInbound)
    assert (closed.code, closed.reason) == (1006, f"banned: {misbehaved.reason}")


@pytest.mark.parametrize("text", NOT_JSON)
@pytest.mark.parametrize("stage", SPEAKING)
def test_from_a_listener_it_is_reported_and_ignored(stage: Stage, text: str) -> None:
    rig = outbound(stage)
    rig.receive(text, message_packet("after"))
    assert rig.link.stage is stage
    assert rig.of(InvalidMessageReceived)
    assert rig.of(MessageReceived)
    assert rig.of(PenaltyApplied) == []


@pytest.mark.lisk_form
@pytest.mark.parametrize(
    "packet",
    [
        "#2",
        {},
        {"event": "#handshake", "data": {"authToken": None}, "cid": 1},
        {"event": "unknown", "cid": 5},
        {"event": "ping", "cid": 5},
        {"event": "#setAuthToken", "data": {"token": 5}},
        {"event": "#kickOut"},
        {"event": "remote-message"},
        {"event": "remote-message", "data": {"event": "x", "data": {}}},
        {"event": "remote-message", "data": {"data": "AQ=="}},
    ],
)
@BOTH
def test_harmless_packets_are_ignored(connected: Any, packet: object) -> None:
    rig = connected()
    rig.receive(packet)
    assert (rig.events, rig.sent, rig.told, rig.ends) == ([], [], [], [])
    assert rig.link.reputation == 100


@BOTH
def test_a_control_frame_destroys_the_connection_and_bans(connected: Any) -> None:
    rig = connected()
    rig.do(rig.link.on_control_frame(rig.now))
    assert rig.ends == [ABORT]
    assert rig.tells(PeerMisbehaved)[0].reason == "control_frame"
    assert rig.of(InvalidMessageReceived)[0].rule == "control_frame"


@pytest.mark.lisk_form
def test_binary_messages_are_read_as_text_but_for_keep_alives() -> None:
    rig = inbound()
    rig.receive(message_packet("x"), binary=True)
    assert rig.of(MessageReceived)
    rig.receive("#2", binary=True)
    assert rig.ends == [ABORT]


@pytest.mark.lisk_form
def test_an_opener_that_sends_the_listeners_keep_alive_is_banned() -> None:
    rig = inbound()
    rig.receive("#1")
    assert rig.ends == [ABORT]
    assert rig.tells(PeerMisbehaved)[0].reason == "keep_alive_from_opener"


# ---- #disconnect


@pytest.mark.parametrize("stage", [Stage.NODE_INFO, Stage.PEERS, Stage.READY])
def test_an_opener_echoes_disconnect_and_closes(stage: Stage) -> None:
    rig = outbound(stage)
    rig.receive({"event": "#disconnect", "data": {"code": 4418, "data": "Evicted"}}, message_packet("late"))
    assert rig.take_sent() == [{"event": "#disconnect", "data": {"code": 4418, "data": "Evicted"}}]
    assert rig.ends == [4418]
    assert rig.of(MessageReceived) == []
    rig.closed(4418)
    (closed,) = rig.tells(PeerClosed)
    assert (closed.code, closed.reason, closed.by_us) == (4418, "Evicted", False)


def test_in_the_handshake_it_leaves_with_4003_and_keeps_the_listeners_reason() -> None:
    rig = outbound(Stage.HANDSHAKE)
    rig.receive({"event": "#disconnect", "data": {"code": 4404, "data": "Peer has a duplicate connection"}})
    assert (rig.take_sent(), rig.ends) == ([], [4003])
    rig.closed(4003)
    (closed,) = rig.tells(PeerClosed)
    assert (closed.code, closed.reason) == (4404, "Peer has a duplicate connection")


def test_a_listener_closes_after_disconnect_and_does_not_wait_for_ever() -> None:
    """lisk-p2p defect 8: lisk-p2p leaves the socket open and does not count it any more."""
    rig = inbound()
    rig.receive({"event": "#disconnect", "data": {"code": 1000}})
    assert (rig.take_sent(), rig.ends) == ([], [1000])
    rig.advance(2.0)
    assert rig.ends == [1000, ABORT]
    assert rig.tells(PeerClosed)[0].code == 1000


@pytest.mark.lisk_form
@pytest.mark.parametrize(
    "data", [None, "absent", {}, {"code": "abc"}, {"code": 999}, {"code": 1005}, {"code": 5000}, {"code": 0}, [1], "x"]
)
@BOTH
def test_an_odd_disconnect_is_an_orderly_end(connected: Any, data: object) -> None:
    """lisk-p2p defect 3: these crash a lisk-p2p opener."""
    rig = connected()
    rig.receive({"event": "#disconnect"} if data == "absent" else {"event": "#disconnect", "data": data})
    assert rig.ends == [1000]
    assert rig.link.reputation == 100


# ---- the packet rate


@pytest.mark.parametrize(("packets", "penalty"), [(90, 0), (100, 0), (150, 10), (350, 30)])
@BOTH
def test_packets_beyond_the_rate_cost_points_at_the_end_of_the_second(
    connected: Any, packets: int, penalty: int
) -> None:
    rig = connected()
    rig.advance(1.0)
    rig.forget()
    rig.receive(*["#2"] * packets)
    assert rig.of(PenaltyApplied) == []
    rig.advance(1.0)
    assert rig.link.reputation == 100 - penalty
    assert [event.reason for event in rig.of(PenaltyApplied)] == ["packet_rate"] * bool(penalty)


def test_a_flood_is_banned_and_what_is_left_of_it_not_acted_upon() -> None:
    rig = inbound()
    rig.receive(*["#2"] * 1100)
    rig.now += 1.0
    rig.message("after")
    assert rig.ends == [1000]
    assert rig.of(MessageReceived) == []


def test_a_flood_is_banned_by_the_clock_too() -> None:
    rig = inbound()
    rig.receive(*["#2"] * 1100)
    rig.advance(1.0)
    assert rig.ends == [1000]
    assert rig.take_sent() == [{"event": "#disconnect", "data": {"code": 1000}}]


# ---- keep-alive and ping


@pytest.mark.lisk_form
def test_a_listener_sends_a_keep_alive_every_8_s() -> None:
    rig = inbound(ping_interval_min_s=100, ping_interval_max_s=100)
    for _ in range(5):
        rig.advance(7.999)
        assert rig.take_sent() == []
        rig.advance(0.001)
        assert rig.take_sent() == ["#1"]
        rig.receive("#2")


@pytest.mark.lisk_form
def test_an_opener_answers_it_at_once_even_before_the_acknowledgement() -> None:
    rig = outbound(Stage.HANDSHAKE)
    rig.receive("#1")
    assert rig.take_sent() == ["#2"]


@pytest.mark.lisk_form
@pytest.mark.parametrize(("connected", "code"), [(inbound, 4001), (outbound, 4000)], ids=["inbound", "outbound"])
def test_20_s_of_silence_end_the_connection_with_a_close_frame_only(connected: Any, code: int) -> None:
    rig = connected(ping_interval_min_s=100, ping_interval_max_s=100)
    rig.advance(19.999)
    assert rig.ends == []
    rig.forget()
    rig.advance(0.001)
    assert (rig.ends, rig.take_sent()) == ([code], [])
    rig.advance(2.0)
    assert rig.tells(PeerClosed)[0].reason == "silent for too long"


@pytest.mark.lisk_form
@BOTH
def test_any_packet_is_a_sign_of_life(connected: Any) -> None:
    rig = connected(ping_interval_min_s=1000, ping_interval_max_s=1000)
    for _ in range(10):
        rig.advance(19.0)
        rig.message("x")
    assert rig.link.is_connected


@pytest.mark.lisk_form
@pytest.mark.parametrize(("share", "first_s"), [(0.0, 20.0), (0.5, 40.0), (1.0, 60.0)])
def test_a_listener_pings_20_to_60_s_after_the_last_answer(share: float, first_s: float) -> None:
    rig = inbound(rng=Fixed(share), keep_alive_timeout_s=1000.0)
    for cid in (1, 2):
        rig.advance(first_s - 0.01)
        rig.receive("#2")
        assert "ping" not in "".join(rig.sent)
        rig.advance(0.01)
        assert {"event": "rpc-request", "data": {"procedure": "ping"}, "cid": cid} in rig.take_sent()
        rig.reply(cid, b'"pong"')


@pytest.mark.lisk_form
def test_latency_is_the_smallest_round_trip_of_this_connection() -> None:
    rig = inbound()
    for cid, round_trip_s in ((1, 0.2), (2, 0.05), (3, 0.3)):
        while "ping" not in "".join(rig.sent):
            rig.wait_for_deadline()
            rig.receive("#2")
        rig.forget()
        rig.advance(round_trip_s)
        rig.reply(cid, b'"pong"')
        assert len(rig.tells(PeerUpdated)) == (cid < 3)
    assert rig.link.info().latency_ms == pytest.approx(50.0)


@pytest.mark.lisk_form
@pytest.mark.parametrize(
    "answer",
    [
        {"rid": 1, "data": {"data": {"an": "object"}}},
        {"rid": 1, "data": {"data": 5}},
        {"rid": 1, "data": {"data": None}},
        {"rid": 1, "data": {"data": True}},
        {"rid": 1, "data": {}},
        {"rid": 1},
        {"rid": 1, "error": {"message": "no such procedure"}},
        answer_packet(1, b"anything"),
    ],
)
def test_any_answer_to_a_ping_is_one(answer: object) -> None:
    """lisk-p2p defect 1: four of these crash a lisk-p2p listener."""
    rig = inbound()
    rig.advance(19.0)
    rig.receive("#2")
    rig.advance(1.0)
    rig.receive(answer)
    rig.advance(19.0)
    assert rig.link.is_connected
    assert rig.link.reputation == 100
    assert rig.link.info().latency_ms == 0.0


def test_an_unanswered_ping_ends_the_connection() -> None:
    rig = inbound()
    for _ in range(29):
        rig.advance(1.0)
        rig.receive("#2")
    assert rig.ends == []
    rig.advance(1.0)
    assert rig.ends == [4001]
    rig.closed(4001)
    assert rig.tells(PeerClosed)[0].reason == "ping was not answered"


@pytest.mark.lisk_form
def test_an_opener_does_not_ping() -> None:
    rig = outbound()
    for _ in range(100):
        rig.advance(1.0)
        rig.receive("#1")
    assert set(rig.sent) == {"#2"}


# ---- what the node wants


@BOTH
def test_a_message_is_sent(connected: Any) -> None:
    rig = connected()
    rig.do(rig.link.send("block", b"\x01", rig.now))
    rig.do(rig.link.send("empty", None, rig.now))
    assert rig.take_sent() == [message_packet("block", b"\x01"), message_packet("empty")]
    assert rig.link.traffic.messages_sent == 2


@BOTH
def test_several_messages_are_one_effect(connected: Any) -> None:
    rig = connected()
    messages = [SendMessage(0, "block", b"\x01"), SendMessage(7, "empty", None)]
    (effect,) = rig.link.send_all(messages, rig.now)
    assert isinstance(effect, SendPackets)
    assert [packet_of(packet, rig.link.peer_id) for packet in effect.packets] == [
        message_packet("block", b"\x01"),
        message_packet("empty"),
    ]
    assert rig.link.traffic.messages_sent == 2


def test_several_messages_that_cannot_be_sent_are_reported_one_by_one() -> None:
    rig = outbound(Stage.PEERS)
    rig.do(rig.link.send_all([SendMessage(0, "a", None), SendMessage(0, "b", None)], rig.now))
    assert [event.event for event in rig.of(FailedToSendMessage)] == ["a", "b"]
    assert rig.link.traffic.messages_dropped == 2


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage < Stage.READY])
def test_a_message_to_a_peer_that_is_not_ready_is_reported_not_kept(stage: Stage) -> None:
    rig = outbound(stage)
    rig.do(rig.link.send("block", b"\x01", rig.now))
    assert rig.sent == []
    assert rig.events == [
        FailedToSendMessage(peer_id=rig.link.peer_id, event="block", reason="the connection is not ready")
    ]
    assert rig.link.traffic.messages_dropped == 1


def test_so_is_one_to_a_peer_that_is_closing() -> None:
    rig = inbound()
    rig.close()
    rig.forget()
    rig.do(rig.link.send("block", b"\x01", rig.now))
    assert rig.events[0].reason == "the connection is closing"  # type: ignore[attr-defined]
    rig.closed()
    rig.do(rig.link.send("block", b"\x01", rig.now))
    assert len(rig.of(FailedToSendMessage)) == 2


@BOTH
def test_a_peer_that_does_not_read_is_dropped(connected: Any) -> None:
    rig = connected()
    rig.do(rig.link.on_overflow(rig.now))
    assert rig.ends == [ABORT]
    (closed,) = rig.tells(PeerClosed)
    assert (closed.code, closed.reason) == (1006, "send queue is full: the peer does not read")
    assert rig.tells(PeerMisbehaved) == []


def test_an_overflow_while_closing_ends_the_wait() -> None:
    rig = inbound()
    rig.close(4418, "Evicted")
    rig.do(rig.link.on_overflow(rig.now))
    assert rig.ends == [4418, ABORT]
    assert rig.tells(PeerClosed)[0].reason == "Evicted"


# ---- the clock


def test_traffic_is_reported_once_a_second_while_there_is_some() -> None:
    rig = inbound()
    rig.message("a")
    rig.do(rig.link.send("b", None, rig.now))
    rig.request()
    rig.advance(0.999)
    assert rig.tells(PeerTraffic) == []
    rig.advance(0.001)
    assert rig.tells(PeerTraffic) == [PeerTraffic(messages_received=1, messages_sent=1, requests_sent=1)]
    rig.advance(3.0)
    assert len(rig.tells(PeerTraffic)) == 1


def test_a_quiet_interval_is_not_reported() -> None:
    rig = inbound()
    rig.receive("#2")
    rig.advance(1.0)
    assert rig.tells(PeerTraffic) == []


def test_an_early_wake_up_does_nothing() -> None:
    rig = inbound()
    rig.do(rig.link.on_time(rig.now))
    assert (rig.sent, rig.events, rig.told) == ([], [], [])


def test_everything_that_fell_due_in_a_long_pause_is_done_at_once() -> None:
    rig = inbound()
    rig.request(ask_id=1)
    rig.now += 3600.0
    rig.do(rig.link.on_time(rig.now))
    assert len(rig.replies) == 1
    assert rig.ends == [4001]
    rig.advance(2.0)
    assert rig.link.stage is Stage.CLOSED


def test_a_trusted_listener_pushes_and_floods_without_losing_its_connection() -> None:
    rig = outbound(kind=PeerKind.FIXED)
    rig.receive(*[message_packet("postNodeInfo", info_bytes())] * 50, *["#2"] * 2000)
    rig.advance(1.0)
    assert rig.link.is_connected
    assert rig.link.reputation == 0
    assert len(rig.of(UpdatedPeerInfo)) == 50


def test_after_the_end_nothing_is_due_and_nothing_done() -> None:
    rig = inbound()
    rig.message("x")
    rig.closed()
    rig.forget()
    rig.do(rig.link.on_time(rig.now + 1000.0))
    assert rig.link.next_deadline() is None
    assert (rig.sent, rig.events, rig.told) == ([], [], [])


@pytest.mark.lisk_form
def test_a_node_info_that_had_to_wait_is_pushed_by_the_clock() -> None:
    rig = inbound()
    for _ in range(3):
        rig.do(rig.link.push_node_info(OURS, rig.now))
    rig.forget()
    rig.advance(9.999)
    assert rig.take_sent() == ["#1"]
    rig.advance(0.001)
    assert rig.take_sent() == [message_packet("postNodeInfo", info_bytes(OURS))]


def test_keep_alives_alone_are_not_reported_as_traffic() -> None:
    rig = inbound()
    rig.receive("#2")
    rig.advance(2.0)
    assert rig.tells(PeerTraffic) == []
    rig.message("x")
    rig.advance(1.0)
    assert [report.messages_received for report in rig.tells(PeerTraffic)] == [1]
