"""Requests over one connection, in both directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.effects import Room
from core.errors import ConnectionLost, RequestFailed, RequestRefused, RequestTimedOut
from core.events import InvalidRequestReceived, PenaltyApplied, RequestReceived
from core.house_messages import (
    GetSample,
    PeerClosed,
    PeerUpdated,
)
from core.ids import Direction, Endpoint, PeerKind
from core.link import RETIRE_STEP_S
from core.link_base import Stage
from core.messages import (
    Failed,
    RequestAnswered,
)
from tests.core.link_rig import (
    OURS,
    Rig,
    answer_packet,
    b64,
    inbound,
    info_bytes,
    outbound,
    peers_bytes,
    request_packet,
)
from tests.spoken import BOTH_DIALECTS

pytestmark = BOTH_DIALECTS

BOTH = pytest.mark.parametrize("connected", [inbound, outbound], ids=["inbound", "outbound"])


def failure(rig: Rig) -> Any:
    ((_, answer),) = rig.replies
    assert isinstance(answer, Failed)
    return answer.error


# ---- ours


@BOTH
def test_a_request_is_sent_and_its_answer_goes_to_the_asker(connected: Any) -> None:
    rig = connected()
    rig.request("getBlock", b"\x01\x02", ask_id=9)
    (packet,) = rig.take_sent()
    assert packet == {
        "event": "rpc-request",
        "data": {"procedure": "getBlock", "data": b64(b"\x01\x02")},
        "cid": packet["cid"],
    }
    rig.reply(packet["cid"], b"block")
    assert rig.replies == [(9, RequestAnswered(0, rig.link.peer_id, b"block"))]


@pytest.mark.parametrize("data", [None, b"", b"0"])
def test_an_absent_and_an_empty_answer_differ(data: bytes | None) -> None:
    rig = inbound()
    rig.request("x", None)
    assert rig.take_sent() == [{"event": "rpc-request", "data": {"procedure": "x"}, "cid": 1}]
    rig.reply(1, data)
    assert rig.replies == [(7, RequestAnswered(0, rig.link.peer_id, data))]


def test_call_ids_follow_those_of_the_introduction() -> None:
    rig = outbound()
    rig.request()
    assert rig.take_sent()[0]["cid"] == 4
    rig = inbound()
    rig.request()
    assert rig.take_sent()[0]["cid"] == 1


def test_an_error_answer_is_a_refusal_with_the_peers_words() -> None:
    rig = inbound()
    rig.request()
    rig.reply_error(1, "it failed")
    error = failure(rig)
    assert isinstance(error, RequestRefused)
    assert (str(error), error.peer_id) == ("it failed", rig.link.peer_id)


@pytest.mark.lisk_form
@pytest.mark.parametrize(
    "packet", [{"rid": 1}, {"rid": 1, "data": {"data": {"x": 1}}}, {"rid": 1, "data": {"data": 5}}]
)
def test_an_answer_in_an_unknown_form_fails_the_request_and_nothing_else(packet: object) -> None:
    """lisk-p2p defects 1 and 4: such answers crash a lisk-p2p node."""
    rig = inbound()
    rig.request("getBlock")
    rig.receive(packet)
    error = failure(rig)
    assert type(error) is RequestFailed
    assert "getBlock" in str(error)
    assert rig.link.is_connected
    assert rig.link.reputation == 100


@pytest.mark.parametrize(("connected", "timeout_s"), [(outbound, 2.0), (inbound, 10.0)], ids=["outbound", "inbound"])
def test_an_unanswered_request_times_out_by_the_direction_of_the_connection(connected: Any, timeout_s: float) -> None:
    rig = connected()
    rig.request("slow", ask_id=5)
    cid = rig.take_sent()[0]["cid"]
    rig.advance(timeout_s - 0.001)
    assert rig.replies == []
    rig.advance(0.001)
    error = failure(rig)
    assert isinstance(error, RequestTimedOut)
    assert isinstance(error, TimeoutError)
    assert str(error) == f"10.20.30.40:5001 did not answer 'slow' in {timeout_s:g} s"
    rig.reply(cid, b"late")
    assert len(rig.replies) == 1


def test_a_request_may_have_its_own_time() -> None:
    rig = outbound()
    rig.request(timeout_s=0.5)
    rig.advance(0.5)
    assert isinstance(failure(rig), RequestTimedOut)


def test_time_outs_end_in_the_order_of_their_deadlines() -> None:
    rig = outbound()
    for ask_id, timeout_s in ((1, 3.0), (2, 1.0), (3, 2.0)):
        rig.request(timeout_s=timeout_s, ask_id=ask_id)
    rig.advance(5.0)
    assert [ask_id for ask_id, _ in rig.replies] == [2, 3, 1]


@pytest.mark.lisk_form
def test_answers_nobody_asked_for_are_ignored() -> None:
    rig = inbound()
    rig.receive(answer_packet(99, b"x"), answer_packet(-1, b"x"), {"rid": 99, "error": {"message": "x"}})
    rig.request()
    rig.reply(1, b"first")
    rig.reply(1, b"second")
    rig.reply_error(1)
    assert rig.replies == [(7, RequestAnswered(0, rig.link.peer_id, b"first"))]
    assert rig.link.reputation == 100


def test_a_request_that_nobody_waits_for_is_not_mistaken_for_the_links_own() -> None:
    rig = outbound()
    for procedure in ("ping", "getPeers", "getNodeInfo", "#handshake"):
        rig.request(procedure, None, ask_id=0)
    rig.forget()
    for cid in (4, 5, 6, 7):
        rig.reply(cid, b"anything")
    assert (rig.ends, rig.events, rig.told) == ([], [], [])


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage < Stage.READY])
def test_a_peer_that_is_not_connected_cannot_be_asked(stage: Stage) -> None:
    rig = outbound(stage)
    rig.request()
    assert "is not connected" in str(failure(rig))
    assert rig.sent == []


def test_a_closing_peer_cannot_be_asked() -> None:
    rig = inbound()
    rig.close()
    rig.forget()
    rig.request()
    assert "is not connected" in str(failure(rig))


def test_requests_that_wait_are_capped() -> None:
    rig = inbound(max_pending_requests=3)
    for ask_id in range(1, 5):
        rig.request(ask_id=ask_id)
    assert len(rig.sent) == 3
    ((ask_id, answer),) = rig.replies
    assert ask_id == 4
    assert "3 requests to 10.20.30.40:5001 wait for an answer" in str(answer.error)
    rig.reply(1, b"x")
    rig.request(ask_id=5)
    assert len(rig.sent) == 4


def test_requests_are_counted() -> None:
    rig = inbound()
    rig.request()
    rig.call("x")
    rig.call("getNodeInfo")
    assert (rig.link.traffic.requests_sent, rig.link.traffic.requests_received) == (1, 2)


# ---- the response rate


def test_the_response_rate_is_the_share_of_our_requests_that_were_answered() -> None:
    rig = inbound()
    assert rig.link.info().response_rate is None
    for ask_id in range(1, 5):
        rig.request(ask_id=ask_id)
    assert rig.link.info().response_rate is None
    rig.reply(1, b"x")
    rig.reply_error(2)
    rig.receive({"rid": 3})
    assert rig.link.info().response_rate == 1.0
    rig.advance(10.0)
    assert rig.link.info().response_rate == 0.75
    rig.reply(4, b"late")
    assert rig.link.info().response_rate == 0.75


def test_the_links_own_requests_do_not_count_for_the_response_rate() -> None:
    rig = outbound()
    assert rig.link.info().response_rate is None


def test_the_response_rate_is_told_with_the_ping_not_per_message() -> None:
    rig = inbound()
    for ask_id in range(1, 51):
        rig.request(ask_id=ask_id)
        rig.reply(ask_id, b"x")
    assert rig.tells(PeerUpdated) == []
    rig.advance(7.0)
    rig.receive("#2")
    rig.advance(13.0)
    rig.reply(51, b'"pong"')
    (update,) = rig.tells(PeerUpdated)
    assert update.peer.response_rate == 1.0


@pytest.mark.lisk_form
def test_an_opener_tells_the_response_rate_with_the_keep_alive_if_it_changed() -> None:
    rig = outbound()
    rig.request()
    rig.reply(4, b"x")
    assert rig.tells(PeerUpdated) == []
    rig.receive("#1")
    rig.receive("#1")
    (update,) = rig.tells(PeerUpdated)
    assert update.peer.response_rate == 1.0


# ---- the remote's


@BOTH
def test_a_request_of_the_remote_is_answered_once_by_the_program(connected: Any) -> None:
    rig = connected()
    rig.call("getBlock", b"\x05", cid=17)
    assert rig.events == [
        RequestReceived(peer_id=rig.link.peer_id, procedure="getBlock", data=b"\x05", call_id=17),
    ]
    rig.do(rig.link.answer(17, b"block"))
    assert rig.take_sent() == [{"rid": 17, "data": {"data": b64(b"block"), "peerId": "10.20.30.40:5001"}}]
    rig.do(rig.link.answer(17, b"again"))
    rig.do(rig.link.refuse(17, "again"))
    assert rig.take_sent() == []


def test_an_answer_without_data_leaves_the_member_out() -> None:
    rig = inbound()
    rig.call("x")
    rig.do(rig.link.answer(1, None))
    assert rig.take_sent() == [{"rid": 1, "data": {"peerId": "10.20.30.40:5001"}}]


def test_a_request_is_refused_with_an_error() -> None:
    rig = inbound()
    rig.call("x", cid=3)
    rig.do(rig.link.refuse(3, "it failed"))
    assert rig.take_sent() == [{"rid": 3, "error": {"message": "it failed"}}]
    rig.do(rig.link.answer(3, b"x"))
    assert rig.take_sent() == []


@pytest.mark.lisk_form
@pytest.mark.parametrize("cid", [None, 0])
def test_a_request_without_a_call_id_is_handed_on_but_never_answered(cid: int | None) -> None:
    rig = inbound()
    rig.call("x", cid=cid)
    (event,) = rig.of(RequestReceived)
    assert event.call_id is None
    for procedure in ("getNodeInfo", "getPeers", "ping"):
        rig.call(procedure, cid=cid)
    rig.receive({"event": "rpc-request", "data": {}, "cid": 0})
    assert rig.sent == []
    assert rig.tells(GetSample) == []


def test_answers_after_the_close_go_nowhere() -> None:
    rig = inbound()
    rig.call("x", cid=1)
    rig.call("y", cid=2)
    rig.call("getPeers", cid=3)
    rig.close()
    rig.forget()
    rig.do(rig.link.answer(1, b"x"))
    rig.do(rig.link.refuse(2, "x"))
    rig.do(rig.link.on_sample(3, []))
    assert rig.sent == []


def test_open_calls_are_capped_and_the_rest_refused() -> None:
    rig = inbound(max_open_calls=2)
    for cid in (1, 2, 3):
        rig.call("x", cid=cid)
    rig.call("getPeers", cid=4)
    assert [event.call_id for event in rig.of(RequestReceived)] == [1, 2]
    refusal = {"message": "Too many unanswered requests on this connection"}
    assert rig.take_sent() == [{"rid": 3, "error": refusal}, {"rid": 4, "error": refusal}]
    assert rig.tells(GetSample) == []
    rig.do(rig.link.answer(1, b"x"))
    rig.call("x", cid=5)
    assert [event.call_id for event in rig.of(RequestReceived)] == [1, 2, 5]


def test_calls_that_nobody_answers_expire() -> None:
    rig = inbound(max_open_calls=1, open_call_expiry_s=5.0)
    rig.call("nobody knows it", cid=1)
    rig.advance(4.9)
    rig.call("x", cid=2)
    rig.advance(0.1)
    rig.call("x", cid=3)
    assert [event.call_id for event in rig.of(RequestReceived)] == [1, 3]
    rig.forget()
    rig.do(rig.link.answer(1, b"too late"))
    assert rig.sent == []


@pytest.mark.lisk_form
@pytest.mark.parametrize(
    "inner", [None, {}, {"procedure": 5}, {"procedure": "x", "data": {"a": 1}}, {"procedure": "x", "extra": 1}]
)
@BOTH
def test_a_malformed_request_is_answered_with_an_error_and_costs_nothing(connected: Any, inner: object) -> None:
    """lisk-p2p defect 2: one without data crashes a lisk-p2p opener."""
    rig = connected()
    packet: dict[str, object] = {"event": "rpc-request", "cid": 8}
    if inner is not None:
        packet["data"] = inner
    rig.receive(packet)
    assert rig.take_sent() == [{"rid": 8, "error": {"message": "RPC request format is invalid."}}]
    assert rig.of(InvalidRequestReceived)[0].peer_id == rig.link.peer_id
    assert rig.link.reputation == 100
    assert rig.link.traffic.errors == 1


# ---- the protocol's own procedures


@BOTH
def test_get_node_info_is_answered_with_ours(connected: Any) -> None:
    rig = connected()
    rig.call("getNodeInfo", cid=2)
    assert rig.take_sent() == [{"rid": 2, "data": {"data": b64(info_bytes(OURS)), "peerId": "10.20.30.40:5001"}}]


def test_empty_data_is_as_good_as_none() -> None:
    rig = inbound()
    rig.call("getNodeInfo", b"", cid=2)
    rig.call("getPeers", b"", cid=3)
    assert len(rig.sent) == 1
    assert rig.tells(GetSample) == [GetSample(3, rig.link.endpoint.ip)]
    assert rig.link.reputation == 100


@pytest.mark.parametrize("procedure", ["getNodeInfo", "getPeers"])
@BOTH
def test_lip_0004_a_protocol_request_with_data_costs_100(connected: Any, procedure: str) -> None:
    rig = connected()
    rig.call(procedure, b"x", cid=2)
    assert rig.take_sent() == [{"event": "#disconnect", "data": {"code": 1000}}]
    assert rig.ends == [1000]
    assert rig.of(PenaltyApplied)[0].reason == "protocol_request_with_data"


def test_lip_0004_every_get_node_info_after_the_first_costs_10_and_is_answered_until_the_ban() -> None:
    rig = inbound()
    for cid in range(1, 12):
        rig.call("getNodeInfo", cid=cid)
        rig.advance(1.1)
    assert [packet["rid"] for packet in rig.take_sent() if "rid" in packet] == list(range(1, 11))
    assert [event.penalty for event in rig.of(PenaltyApplied)] == [10] * 10
    assert rig.ends == [1000]


def test_lip_0004_more_than_one_get_peers_in_10_s_costs_10_each() -> None:
    """As recorded from a lisk-p2p node: one each 1.1 s, its counter cleared after 10 s; the 12th request bans."""
    rig = inbound()
    asked = 0
    while rig.link.is_connected:
        asked += 1
        rig.call("getPeers", cid=asked)
        rig.advance(1.1)
    assert asked == 12
    assert [sample.request_id for sample in rig.tells(GetSample)] == list(range(1, 12))
    assert {event.reason for event in rig.of(PenaltyApplied)} == {"get_peers_repeated"}


def test_get_peers_twice_11_s_apart_is_fine() -> None:
    rig = inbound()
    rig.call("getPeers", cid=1)
    rig.advance(11.0)
    rig.call("getPeers", cid=2)
    assert rig.link.reputation == 100


@pytest.mark.parametrize("stage", [Stage.NODE_INFO, Stage.PEERS, Stage.READY])
def test_get_peers_is_answered_from_the_book(stage: Stage) -> None:
    rig = outbound(stage)
    rig.call("getPeers", cid=6)
    assert (Room.BOOK, GetSample(6, rig.link.endpoint.ip)) in rig.told
    rig.do(rig.link.on_sample(6, [Endpoint("1.2.3.4", 5)]))
    assert rig.take_sent() == [
        {"rid": 6, "data": {"data": b64(peers_bytes(Endpoint("1.2.3.4", 5))), "peerId": "10.20.30.40:5001"}}
    ]
    rig.do(rig.link.on_sample(6, []))
    assert rig.take_sent() == []


@pytest.mark.lisk_form
def test_no_peers_are_an_empty_text_which_is_not_the_same_as_none() -> None:
    rig = inbound()
    rig.call("getPeers", cid=6)
    rig.do(rig.link.on_sample(6, []))
    assert rig.take_sent()[0]["data"]["data"] == ""


def test_no_more_peers_are_told_than_configured() -> None:
    rig = inbound(max_peers_per_answer=2)
    endpoints = [Endpoint("1.2.3.4", port) for port in range(1, 6)]
    rig.call("getPeers", cid=1)
    rig.do(rig.link.on_sample(1, endpoints))
    assert rig.take_sent()[0]["data"]["data"] == b64(peers_bytes(*endpoints[:2]))


@BOTH
def test_a_ping_is_answered_with_pong(connected: Any) -> None:
    rig = connected()
    rig.call("ping", cid=4)
    assert rig.take_sent() == [{"rid": 4, "data": {"data": "InBvbmci", "peerId": "10.20.30.40:5001"}}]
    assert rig.events == []


def test_a_trusted_peer_that_repeats_itself_is_answered_all_the_same() -> None:
    rig = inbound(kind=PeerKind.FIXED)
    for cid in range(1, 30):
        rig.call("getNodeInfo", cid=cid)
    assert len(rig.sent) == 29


def test_packets_after_the_one_that_bans_are_not_acted_upon() -> None:
    """lisk-p2p defect 15: lisk-p2p executes first and judges later."""
    rig = inbound()
    rig.receive(
        request_packet("before", cid=1),
        request_packet("getPeers", b"x", cid=2),
        request_packet("after", cid=3),
        request_packet("ping", cid=4),
    )
    assert [event.procedure for event in rig.of(RequestReceived)] == ["before"]
    assert rig.take_sent() == [{"event": "#disconnect", "data": {"code": 1000}}]


def test_the_direction_of_a_link_does_not_change_who_is_who() -> None:
    assert inbound().link.info().direction is Direction.INBOUND
    assert outbound().link.info().direction is Direction.OUTBOUND


# ---- a connection that is to end, but not before everything is answered


@pytest.mark.parametrize("make", [inbound, outbound])
def test_a_connection_retires_when_our_requests_are_answered(make: Callable[..., Rig]) -> None:
    rig = make(request_timeout_inbound_s=10.0, request_timeout_outbound_s=10.0)
    rig.request()
    cid = rig.take_sent()[-1]["cid"]
    rig.do(rig.link.retire(4404, "double", rig.now))
    rig.advance(3.0)
    assert rig.ends == []
    rig.request()  # one that was under way from the program when the order came
    rig.reply(cid, b"answer")
    rig.advance(2 * RETIRE_STEP_S)
    assert rig.ends == []
    rig.reply(cid + 1, b"answer")
    rig.advance(RETIRE_STEP_S)
    assert rig.ends == [4404]
    assert rig.take_sent()[-1] == {"event": "#disconnect", "data": {"code": 4404, "data": "double"}}
    assert [type(answer) for _, answer in rig.replies] == [RequestAnswered, RequestAnswered]


def test_a_connection_retires_when_the_remotes_requests_are_answered() -> None:
    rig = inbound()
    rig.do(rig.link.retire(4404, "double", rig.now))
    rig.advance(RETIRE_STEP_S / 2)
    rig.call("ask", cid=5)  # was under way
    rig.advance(3 * RETIRE_STEP_S)
    assert rig.ends == []
    rig.do(rig.link.answer(5, b"answer"))
    assert rig.take_sent()[-1]["rid"] == 5
    rig.advance(RETIRE_STEP_S)
    assert rig.ends == [4404]


def test_a_connection_at_rest_retires_after_a_moment() -> None:
    rig = inbound()
    rig.do(rig.link.retire(4404, "double", rig.now))
    assert rig.ends == []
    rig.advance(RETIRE_STEP_S)
    assert rig.ends == [4404]
    rig.closed(4404)
    assert rig.tells(PeerClosed)[0].code == 4404


def test_who_never_answers_does_not_keep_a_connection_that_retires() -> None:
    rig = inbound(request_timeout_inbound_s=4.0)
    rig.request(timeout_s=3600.0)
    rig.call("ask", cid=5)
    rig.do(rig.link.retire(4404, "double", rig.now))
    rig.advance(3.9)
    assert rig.ends == []
    rig.advance(0.1)
    assert rig.ends == [4404]
    rig.closed(4404)
    assert isinstance(failure(rig), ConnectionLost)


def test_a_connection_that_retires_can_be_closed_at_once() -> None:
    rig = inbound()
    rig.request()
    rig.do(rig.link.retire(4404, "double", rig.now))
    rig.close(1000, "banned")
    assert rig.ends == [1000]


def test_a_connection_that_is_not_ready_is_closed_at_once() -> None:
    rig = outbound(Stage.NODE_INFO)
    rig.do(rig.link.retire(4404, "double", rig.now))
    assert rig.ends == [4404]
