"""What an opener does, and what it costs it: every row of lisk-p2p 0.10's table (docs/penalties.md, "As listener").

A test is named after its row and says what *we* do; the recordings of real nodes are replayed against the same code in
test_link_misbehaviour_openers.py and tests/actors/test_replayed_openers.py. Rows about frames, and what a ban does to
later connections, are in the latter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from core.config import NodeConfig
from core.dialects import languages_of
from core.effects import Effect, Emit, Tell
from core.events import InvalidMessageReceived, InvalidRequestReceived, PeerInfo, PenaltyApplied, RequestReceived
from core.house_messages import (
    GetSample,
    PeerClosed,
    PeerMisbehaved,
)
from core.ids import CloseCode, Direction, Endpoint, PeerKind
from core.link_base import Stage
from core.pool import Pool
from core.pool_inbound import GOODBYE_WINDOW_S, MAX_GOODBYES
from core.pool_settings import PoolSettings
from core.wire.payloads import NodeInfo
from tests.core.link_rig import ABORT, CHAIN, REMOTE, Rig, inbound, info_bytes, message_packet, request_packet
from tests.spoken import BOTH_DIALECTS

pytestmark = BOTH_DIALECTS

ECHO = request_packet("echo", b"\x01", 5)
TRUSTED = [PeerKind.FIXED, PeerKind.WHITELISTED, PeerKind.SEED]


def assert_raw_ban(rig: Rig, rule: str) -> None:
    """TCP destroyed, no word before, the address banned."""
    assert rig.ends == [ABORT]
    assert rig.take_sent() == []
    assert [(told.ip, told.reason) for told in rig.tells(PeerMisbehaved)] == [(REMOTE.ip, rule)]
    assert [(one.penalty, one.reputation, one.reason) for one in rig.of(PenaltyApplied)] == [(100, 0, rule)]


def assert_penalty_ban(rig: Rig, rule: str) -> None:
    """``#disconnect`` 1000 without a reason, close frame 1000, the address banned."""
    assert rig.ends == [CloseCode.NORMAL]
    assert rig.take_sent()[-1] == {"event": "#disconnect", "data": {"code": 1000}}
    assert [(told.ip, told.reason) for told in rig.tells(PeerMisbehaved)] == [(REMOTE.ip, rule)]


def assert_no_penalty(rig: Rig) -> None:
    assert rig.link.stage is Stage.READY
    assert rig.link.reputation == 100
    assert rig.of(PenaltyApplied) == []


# ---- raw bans ----


def test_row_ping_or_pong_control_frame() -> None:
    rig = inbound()
    rig.do(rig.link.on_control_frame(rig.now))
    assert_raw_ban(rig, "control_frame")


@pytest.mark.lisk_form
@pytest.mark.parametrize(
    ("packet", "binary", "rule"),
    [
        ("not json", False, "not_json"),
        ("", False, "not_json"),
        ("#1", False, "keep_alive_from_opener"),
        ("#2", True, "not_json"),
        ("5", False, "not_object"),
        ('"x"', False, "not_object"),
        ("true", False, "not_object"),
        ("null", False, "not_object"),
        ("[]", False, "not_object"),
        ([ECHO], False, "not_object"),
    ],
)
def test_row_not_json_empty_keep_alives_scalars_and_batches(packet: object, binary: bool, rule: str) -> None:
    """The real node executes the entries of a batch before it bans for it."""
    rig = inbound()
    rig.receive(json.dumps(packet) if isinstance(packet, list) else packet, binary=binary)
    assert rig.of(RequestReceived) == []
    assert_raw_ban(rig, rule)


@pytest.mark.lisk_form
@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"foo": 1}, "unknown_member"),
        ({"event": None}, "event_not_text"),
        ({"event": 5}, "event_not_text"),
        ({"data": "text"}, "data_not_object"),
        ({"data": None}, "data_not_object"),
        ({"data": []}, "data_not_object"),
        ({"data": 7}, "data_not_object"),
        ({"cid": "5"}, "cid_not_integer"),
        ({"cid": 5.5}, "cid_not_integer"),
        ({"rid": "5"}, "rid_not_integer"),
        ({"error": "text"}, "error_not_object"),
    ],
)
def test_row_unknown_members_and_members_of_the_wrong_type(change: dict[str, Any], rule: str) -> None:
    """The real node answers a valid request inside before it bans (lisk-p2p defect 15)."""
    rig = inbound()
    rig.receive({**ECHO, **change})
    assert rig.of(RequestReceived) == []
    assert_raw_ban(rig, rule)


@pytest.mark.lisk_form
@pytest.mark.parametrize("name", ["authenticate", "removeAuthToken", "subscribe", "unsubscribe", "publish"])
def test_row_reserved_socketcluster_events(name: str) -> None:
    """The real node lets SocketCluster act on them before it bans."""
    rig = inbound()
    rig.receive({"event": f"#{name}", "data": {}, "cid": 5})
    assert_raw_ban(rig, "reserved_event")


@pytest.mark.lisk_form
def test_row_event_name_of_more_than_128_characters() -> None:
    rig = inbound()
    rig.receive({"event": "e" * 128})
    assert_no_penalty(rig)
    rig.receive({"event": "e" * 129})
    assert_raw_ban(rig, "event_too_long")


@pytest.mark.lisk_form
def test_row_invalid_utf8() -> None:
    rig = inbound()
    rig.receive(b"\xff\xfe")
    assert_raw_ban(rig, "not_json")


class Host:
    """Openers of one address, and the pool that sees them come and go."""

    def __init__(self, **settings: Any) -> None:
        self.pool = Pool(PoolSettings(**settings), own_nonce="a", secret=b"secret", rng=Random(1))
        self.done: list[Effect] = list(self.pool.start(0.0))

    def visit(self, endpoint: Endpoint, now: float, *, goodbye: bool = True) -> None:
        """Come, and leave with a ``#disconnect`` (or with a close frame alone)."""
        info = PeerInfo(
            peer_id=endpoint.peer_id, ip_address=endpoint.ip, port=endpoint.port, direction=Direction.INBOUND
        )
        self.done += self.pool.on_admit(info, 1)
        self.done += self.pool.on_connected(info, now)
        closed = PeerClosed(endpoint, Direction.INBOUND, True, CloseCode.NORMAL, "", False, goodbye)
        self.done += self.pool.on_closed(closed, now)

    def misbehaved(self) -> list[PeerMisbehaved]:
        told = [effect.message for effect in self.done if isinstance(effect, Tell)]
        return [message for message in told if isinstance(message, PeerMisbehaved)]

    def penalties(self) -> Iterator[PenaltyApplied]:
        for effect in self.done:
            if isinstance(effect, Emit):
                yield from (event for event in effect.events if isinstance(event, PenaltyApplied))


def test_row_more_than_10_disconnects_in_a_second_from_one_address() -> None:
    """All its connections together; on one connection there is only one, because it is closed then."""
    host = Host()
    for number in range(MAX_GOODBYES):
        host.visit(Endpoint("10.0.0.1", 5001 + number), 0.05 * number)
        host.visit(Endpoint("10.0.0.2", 5001), 0.05 * number)
    assert host.misbehaved() == []
    host.visit(Endpoint("10.0.0.1", 6000), 0.9)
    assert host.misbehaved() == [
        PeerMisbehaved(Endpoint("10.0.0.1", 6000).peer_id, "10.0.0.1", PeerKind.NONE, "disconnect_rate")
    ]
    assert [(one.penalty, one.dry_run) for one in host.penalties()] == [(100, False)]
    host.visit(Endpoint("10.0.0.1", 6001), 0.9)
    assert len(host.misbehaved()) == 1, "once is enough"


def test_row_10_disconnects_in_every_second_are_allowed() -> None:
    host = Host()
    for second in range(5):
        for number in range(MAX_GOODBYES):
            host.visit(Endpoint("10.0.0.1", 5001 + number), second * GOODBYE_WINDOW_S)
    assert host.misbehaved() == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_row_disconnects_that_do_not_count(number: int) -> None:
    """Of loopback addresses (a whole network on one machine may stop), of trusted peers, and closes without one."""
    peer = [Endpoint("127.0.0.1", 5001), Endpoint("10.0.0.1", 5001), Endpoint("10.0.0.1", 5002)][number]
    host = Host(whitelisted_peers=(Endpoint("10.0.0.1", 5001),))
    for _ in range(50):
        host.visit(peer, 0.0, goodbye=number != 2)
    assert host.misbehaved() == []


# ---- ignored ----


@pytest.mark.lisk_form
@pytest.mark.parametrize(
    "packet",
    [
        {"event": "#setAuthToken", "data": {"token": "x"}},
        {"event": "#kickOut", "data": {"channel": "x"}},
        {"event": "unknown", "cid": 5},
        {"event": "message", "data": {}},
        {"event": "__proto__", "data": {}},
        {"event": "#handshake", "data": {"authToken": None}, "cid": 9},
        {},
    ],
)
def test_row_unknown_events_and_a_second_handshake_are_ignored(packet: dict[str, Any]) -> None:
    rig = inbound()
    rig.receive(packet)
    assert_no_penalty(rig)
    assert rig.take_sent() == []


@pytest.mark.lisk_form
@pytest.mark.parametrize(
    "data", [{}, {"procedure": 5}, {"procedure": "p", "data": {"a": 1}}, {"procedure": "p", "extra": 1}]
)
def test_row_rpc_request_with_a_bad_inner_object_is_answered_with_an_error(data: dict[str, Any]) -> None:
    rig = inbound()
    rig.receive({"event": "rpc-request", "data": data, "cid": 5})
    assert rig.take_sent() == [{"rid": 5, "error": {"message": "RPC request format is invalid."}}]
    assert len(rig.of(InvalidRequestReceived)) == 1
    assert_no_penalty(rig)


@pytest.mark.lisk_form
@pytest.mark.parametrize("data", [{}, {"event": 5}, {"event": "x", "data": {"a": 1}}, {"event": "x", "extra": 1}])
def test_row_remote_message_with_a_bad_inner_object_is_ignored(data: dict[str, Any]) -> None:
    rig = inbound()
    rig.receive({"event": "remote-message", "data": data})
    assert rig.take_sent() == []
    assert_no_penalty(rig)


@pytest.mark.parametrize("answer", [{"data": {"data": "AQ=="}}, {"error": {"message": "no"}}, {}])
def test_row_answer_to_an_unknown_rid_is_ignored(answer: dict[str, Any]) -> None:
    rig = inbound()
    rig.receive({"rid": 77, **answer})
    assert rig.take_sent() == []
    assert_no_penalty(rig)


def test_row_unknown_procedures_are_the_programs_and_cost_nothing() -> None:
    rig = inbound()
    rig.call("nobody", None, 5)
    assert [request.procedure for request in rig.of(RequestReceived)] == ["nobody"]
    rig.receive({"event": "ping", "cid": 6})
    assert rig.take_sent() == []
    assert_no_penalty(rig)


def test_row_ping_rpc_is_answered_here() -> None:
    """The real listener hands it to its application; a connection can be checked from either end here."""
    rig = inbound()
    rig.call("ping", None, 5)
    assert [packet["rid"] for packet in rig.take_sent()] == [5]
    assert_no_penalty(rig)


# ---- penalties ----


@pytest.mark.parametrize("procedure", ["getNodeInfo", "getPeers"])
def test_row_get_node_info_or_get_peers_with_data(procedure: str) -> None:
    rig = inbound()
    rig.call(procedure, b"\x01", 10)
    assert_penalty_ban(rig, "protocol_request_with_data")
    rig = inbound()
    rig.call(procedure, b"", 10)
    assert_no_penalty(rig)


def test_row_get_node_info_more_than_once_costs_10_and_the_11th_bans() -> None:
    rig = inbound()
    for number in range(1, 11):
        rig.call("getNodeInfo", None, number)
        assert rig.link.reputation == 100 - 10 * (number - 1)
        rig.advance(1.1)
    assert [packet["rid"] for packet in rig.take_sent() if "rid" in packet] == list(range(1, 11))
    rig.receive("#2")
    rig.call("getNodeInfo", None, 11)
    assert_penalty_ban(rig, "get_node_info_repeated")


def test_row_get_peers_once_a_second_bans_at_the_12th() -> None:
    """One of them is forgiven, because the counter is cleared every 10 s."""
    rig = inbound()
    for number in range(1, 12):
        rig.call("getPeers", None, number)
        rig.advance(1.0)
        assert rig.link.stage is Stage.READY
    assert rig.link.reputation == 10
    assert len(rig.tells(GetSample)) == 11, "eleven are answered"
    rig.call("getPeers", None, 12)
    assert_penalty_ban(rig, "get_peers_repeated")


def test_row_get_peers_again_after_10_s_is_free() -> None:
    rig = inbound()
    rig.call("getPeers", None, 1)
    rig.advance(10.0)
    rig.call("getPeers", None, 2)
    assert_no_penalty(rig)


@pytest.mark.parametrize("procedure", ["getNodeInfo", "getPeers"])
def test_row_the_same_twice_within_a_second_costs_10_and_is_answered(procedure: str) -> None:
    """The real node takes 10 at once and 10 at the end of the second, and does not answer the second."""
    rig = inbound()
    rig.call(procedure, None, 1)
    rig.call(procedure, None, 2)
    rig.advance(1.5)
    assert rig.link.reputation == 90
    answered = len(rig.tells(GetSample)) + sum("rid" in packet for packet in rig.take_sent())
    assert answered == 2


def test_row_post_node_info_from_the_5th_in_10_s_costs_10_and_the_14th_bans() -> None:
    rig = inbound()
    for number in range(1, 14):
        rig.message("postNodeInfo", info_bytes())
        assert rig.link.reputation == 100 - 10 * max(0, number - 4)
    rig.message("postNodeInfo", info_bytes())
    assert_penalty_ban(rig, "node_info_rate")


def test_row_post_node_info_4_in_every_10_s_is_free() -> None:
    rig = inbound(ping_interval_min_s=1000.0)
    for _ in range(5):
        for _ in range(4):
            rig.message("postNodeInfo", info_bytes())
        rig.advance(10.0)
        rig.receive("#2")
    assert_no_penalty(rig)


@pytest.mark.parametrize("data", [None, b"", b"\xff" * 20, info_bytes() + b"\0", info_bytes() + bytes(20_480)])
def test_row_post_node_info_missing_undecodable_trailing_or_too_large(data: bytes | None) -> None:
    rig = inbound()
    rig.message("postNodeInfo", data)
    assert_penalty_ban(rig, "invalid_node_info")


@pytest.mark.lisk_form
def test_row_post_node_info_of_exactly_20480_bytes_is_accepted() -> None:
    schema = {"properties": {"label": {"dataType": "string", "fieldNumber": 1}}}
    options: dict[str, Any] = {"custom_node_info_schema": {"$id": "/x", "type": "object", **schema}}
    dialect = languages_of(NodeConfig(**options)).main
    theirs = languages_of(NodeConfig(**options, max_peer_info_bytes=30_000)).main
    for size in (20_480, 20_481):
        short = theirs.encode_node_info(NodeInfo(CHAIN, "1.1", "n", options={"label": "x" * 20_000}))
        label = "x" * (20_000 + size - len(short))
        info = theirs.encode_node_info(NodeInfo(CHAIN, "1.1", "n", options={"label": label}))
        assert len(info) == size
        rig = inbound(dialect=dialect, own=NodeInfo(CHAIN, "1.1", "o", options={"label": ""}))
        rig.message("postNodeInfo", info)
        if size == 20_480:
            assert_no_penalty(rig)
            assert rig.link.info().options == {"label": label}
        else:
            assert_penalty_ban(rig, "invalid_node_info")


def test_row_post_node_info_of_another_network_is_accepted_and_ignored() -> None:
    rig = inbound()
    before = rig.link.info()
    rig.message("postNodeInfo", info_bytes(NodeInfo(b"\0\0\xff\xff", "9.9", "x", False)))
    assert rig.link.info() == before
    assert_no_penalty(rig)


@pytest.mark.parametrize(("count", "points"), [(90, 0), (100, 0), (150, 10), (350, 30), (999, 90)])
def test_row_rate_above_100_packets_a_second(count: int, points: int) -> None:
    rig = inbound()
    rig.receive(*["#2"] * count)
    assert rig.link.reputation == 100
    rig.advance(1.0)
    assert rig.link.reputation == 100 - points


def test_row_rate_of_1100_packets_a_second_bans() -> None:
    rig = inbound()
    rig.receive(*["#2"] * 1100)
    rig.advance(1.0)
    assert_penalty_ban(rig, "packet_rate")


# ---- the end of a connection ----


@pytest.mark.lisk_form
def test_row_silence_for_20_s_is_closed_with_4001_without_a_ban() -> None:
    rig = inbound()
    rig.advance(20.0)
    assert rig.ends == [4001]
    assert rig.tells(PeerMisbehaved) == []


def test_row_disconnect_without_closing_the_socket_is_closed_by_us() -> None:
    """lisk-p2p defect 8: the real node forgets the peer and leaves the socket open."""
    rig = inbound()
    rig.receive({"event": "#disconnect", "data": {"code": 1000}})
    rig.advance(2.0)
    assert rig.ends == [1000, ABORT]
    assert [closed.said_goodbye for closed in rig.tells(PeerClosed)] == [True]
    assert rig.tells(PeerMisbehaved) == []


# ---- trust ----

FAULTS: list[object] = [
    "junk",
    [ECHO],
    {**ECHO, "foo": 1},
    {"event": "#subscribe", "data": {}},
    request_packet("getPeers", b"\x01", 5),
    message_packet("postNodeInfo", b"\xff"),
    message_packet("postNodeInfo", None),
]


@pytest.mark.parametrize("kind", TRUSTED)
@pytest.mark.parametrize("packet", FAULTS, ids=[str(number) for number in range(len(FAULTS))])
def test_row_trusted_peers_lose_points_and_neither_connection_nor_access(kind: PeerKind, packet: object) -> None:
    """The real node disconnects them, and bans them too for faults in raw frames."""
    rig = inbound(kind=kind)
    for _ in range(3):
        rig.receive(packet)
    rig.do(rig.link.on_control_frame(rig.now))
    rig.receive(*["#2"] * 1100)
    rig.advance(1.0)
    rig.do(rig.link.apply_penalty(100, "the program's", rig.now))
    assert rig.link.stage is Stage.READY
    assert rig.link.reputation == 0
    assert rig.tells(PeerMisbehaved) == []
    assert not rig.ends
    rig.forget()
    rig.call("echo", b"x", 9)
    assert len(rig.of(RequestReceived)) == 1, "it is served as before"


@pytest.mark.lisk_form
def test_row_faults_are_events_too() -> None:
    rig = inbound()
    rig.receive("junk")
    assert [(event.peer_id, event.rule) for event in rig.of(InvalidMessageReceived)] == [(REMOTE.peer_id, "not_json")]
