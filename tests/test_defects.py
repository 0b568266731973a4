"""The defects of lisk-p2p 0.10 (docs/defects.md), by number: what crashes, leaks or misbehaves there, tried here.

Those of the peer book (10 to 14) are in tests/core/book/test_lisk_defects.py, that of the query (30) in
tests/core/wire/test_query.py; docs/defects.md names the test of each.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import pytest

from actors import P2P
from core.admission import Admission, AdmissionSettings
from core.bans import Bans
from core.book.sample import WIRE_CAP
from core.config import NodeConfig
from core.dialects import Languages, languages_of
from core.effects import AbortChannel, CreateInbound, DialPeer, Effect, Tell, TellPeer
from core.errors import StartFailed
from core.events import ConnectOutbound, InvalidMessageReceived, PeerInfo
from core.house_messages import (
    ChoosePeers,
    ChosenPeers,
    ClosePeer,
    PeerMisbehaved,
    PeersAdvertised,
    PeerTraffic,
)
from core.ids import CloseCode, Direction, Endpoint, PeerId, PeerKind
from core.link_base import Stage
from core.messages import (
    Ban,
    NetworkStats,
)
from core.pool import Pool
from core.pool_settings import PoolSettings
from core.wire.lisk10 import Lisk10
from core.wire.payloads import NodeInfo
from tests.core.link_rig import (
    ABORT,
    CHAIN,
    OURS,
    answer_packet,
    b64,
    inbound,
    info_bytes,
    message_packet,
    outbound,
    peers_bytes,
)

PATIENCE_S = 20.0
"""A test that waits for this has failed; nothing waits for it otherwise."""

ODD_DATA: list[Any] = [{"a": 1}, 7, True, None, [], "pong", "!!*"]


# ---- remote crashes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ODD_DATA)
def test_defect_1_odd_answers_to_a_ping_crash_nobody(data: Any) -> None:
    rig = inbound()
    rig.advance(10.0)
    rig.receive("#2")
    rig.advance(10.0)
    (ping,) = [packet for packet in rig.take_sent() if packet != "#1"]
    assert ping["data"] == {"procedure": "ping"}
    rig.receive({"rid": ping["cid"], "data": {"data": data}})
    assert rig.link.stage is Stage.READY
    assert rig.link.reputation == 100
    assert rig.link.info().latency_ms is not None


@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {}}, {"data": {"procedure": None}}])
def test_defect_2_a_request_without_data_crashes_no_opener(data: dict[str, Any]) -> None:
    rig = outbound()
    rig.receive({"event": "rpc-request", "cid": 5, **data})
    assert rig.link.stage is Stage.READY
    answers = rig.take_sent()
    if data == {"data": None}:  # no packet at all: reported, and from a listener ignored
        assert [event.rule for event in rig.of(InvalidMessageReceived)] == ["data_not_object"]
    else:
        assert answers == [{"rid": 5, "error": {"message": "RPC request format is invalid."}}]


@pytest.mark.parametrize(
    "packet",
    [
        {"event": "#disconnect"},
        {"event": "#disconnect", "data": None},
        {"event": "#disconnect", "data": {"code": "1000"}},
        *[{"event": "#disconnect", "data": {"code": code}} for code in (999, 1005, 1006, 5000, -1, 2**60, 1.5)],
    ],
)
@pytest.mark.parametrize("connect", [inbound, outbound])
def test_defect_3_an_odd_goodbye_is_an_orderly_close(connect: Any, packet: dict[str, Any]) -> None:
    rig = connect()
    rig.receive(packet)
    assert rig.ends == [CloseCode.NORMAL]


@pytest.mark.parametrize(
    "packet",
    [
        {"event": "#publish"},
        {"event": "#kickOut"},
        {"event": "#kickOut", "data": None},
        {"event": "#setAuthToken", "data": {"token": 5}},
        {"event": "#setAuthToken", "data": 5},
    ],
)
@pytest.mark.parametrize("stage", [Stage.HANDSHAKE, Stage.NODE_INFO, Stage.READY])
def test_defect_3_socketcluster_events_crash_no_opener(stage: Stage, packet: dict[str, Any]) -> None:
    rig = outbound(stage)
    rig.receive(packet)
    assert rig.link.stage is stage
    assert rig.take_sent() == []


@pytest.mark.parametrize("data", [{"a": 1}, 7, True, None, []])
@pytest.mark.parametrize("stage", [Stage.NODE_INFO, Stage.PEERS])
def test_defect_4_an_answer_whose_data_is_no_text_crashes_no_opener(stage: Stage, data: Any) -> None:
    rig = outbound(stage)
    rig.receive({"rid": 2 if stage is Stage.NODE_INFO else 3, "data": {"data": data}})
    assert [told.reason for told in rig.tells(PeerMisbehaved)] == [
        "invalid_node_info" if stage is Stage.NODE_INFO else "invalid_peer_list"
    ]


@contextlib.contextmanager
def connected(peer: P2P, host: str) -> Iterator[P2P]:
    """A node that has dialled ``peer`` at ``host``."""
    assert peer.listen_address is not None
    node = P2P(host_ip="127.0.0.1", port=0, seed_peers=[(host, peer.listen_address[1])])
    with node.events(ConnectOutbound) as connects, node:
        assert connects.get(PATIENCE_S).peer.ip_address == host
        yield node


@pytest.mark.sockets
def test_defect_5_a_node_bound_to_all_ipv6_addresses_serves() -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            hosts = ["127.0.0.1", "::1"]
    except OSError:
        pytest.skip("this machine has no IPv6")
    with P2P(host_ip="::", port=0) as peer:
        for host in hosts:
            with connected(peer, host):
                assert len(peer.get_connected_peers()) == 1


@pytest.mark.sockets
def test_defect_6_a_taken_port_fails_the_start_and_nothing_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        p2p = P2P(host_ip="127.0.0.1", port=port)
        with pytest.raises(StartFailed, match=rf"127\.0\.0\.1:{port}.*taken"):
            p2p.start()
        assert not p2p.is_active
    # Free now: the very same object starts, and listens when start() returns.
    with p2p, socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S):
        assert p2p.is_active


# ---- resources and memory ----------------------------------------------------------------------------------------


def test_defect_7_names_of_a_remote_are_no_keys_of_ours() -> None:
    rig = inbound(max_packet_rate=1e9)
    for number in range(500):
        rig.message(f"name {number}" + "x" * 100, b"payload")
        rig.call(f"procedure {number}", b"payload", cid=number + 1)
        rig.message("n" * 129)
    rig.advance(1.0)
    (counted,) = rig.tells(PeerTraffic)
    assert (counted.messages_received, counted.requests_received) == (500, 500)
    for kind in (PeerTraffic, NetworkStats):
        assert {field.type for field in msgspec.structs.fields(kind)} <= {int, float}, "numbers by name, no maps"


def test_defect_8_a_goodbye_without_a_close_leaves_no_socket_open() -> None:
    rig = inbound()
    rig.receive({"event": "#disconnect", "data": {"code": 1000}})
    assert rig.ends == [1000]
    rig.advance(2.0)
    assert rig.ends == [1000, ABORT]


@pytest.mark.sockets
def test_defect_8_unfinished_handshakes_are_limited() -> None:
    with P2P(host_ip="127.0.0.1", port=0, max_pending_handshakes=3, max_pending_handshakes_per_ip=3) as p2p:
        assert p2p.listen_address is not None
        with contextlib.ExitStack() as sockets:
            opened = [
                sockets.enter_context(socket.create_connection(p2p.listen_address, timeout=PATIENCE_S))
                for _ in range(4)
            ]
            assert opened[3].recv(1) == b"", "the fourth is closed at once"
            opened[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert opened[0].recv(12) == b"HTTP/1.1 400", "the first is served"


def test_defect_9_bans_are_kept_by_address_and_end() -> None:
    bans = Bans(NodeConfig(peer_ban_time_s=60.0))
    for second in range(100):
        bans.ban("10.0.0.1", "the same host again, from another port", float(second % 60))
    assert len(bans) == 1
    assert bans.take_ended(59.0) == []
    assert bans.take_ended(60.0) == ["10.0.0.1"], "a further offence does not prolong it"
    assert len(bans) == 0
    assert bans.next_end() is None


# ---- banning -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["#subscribe", "#publish", "#authenticate"])
def test_defect_15_an_invalid_packet_has_no_effect(name: str) -> None:
    for packet in (
        {"event": name, "data": {}, "cid": 1},
        {"event": "rpc-request", "data": {"procedure": "getNodeInfo"}, "cid": 1, "extra": 1},
        [{"event": "rpc-request", "data": {"procedure": "getNodeInfo"}, "cid": 1}],
    ):
        rig = inbound()
        rig.receive(packet, message_packet("after", b"it"))
        assert rig.ends == [ABORT]
        assert rig.take_sent() == []
        assert not rig.link.traffic.messages_received, "what follows it is not acted upon either"
        assert rig.tells(PeerMisbehaved)


class PoolRig:
    """A pool whose peers do what the test says. Effects of every call are kept."""

    def __init__(self, own_nonce: str = "b", **settings: Any) -> None:
        self.pool = Pool(PoolSettings(**settings), own_nonce=own_nonce, secret=b"secret", rng=Random(1))
        self.done: list[Effect] = []
        self.do(self.pool.start(0.0))

    def do(self, effects: list[Effect]) -> None:
        self.done += effects

    def choose(self, *endpoints: Endpoint, tried: int = 0) -> None:
        """The book answers its last question."""
        asked = [one.message for one in self.done if isinstance(one, Tell) and isinstance(one.message, ChoosePeers)]
        self.do(self.pool.on_chosen(ChosenPeers(asked[-1].request_id, endpoints, tried, len(endpoints)), 0.0))

    def connect(self, endpoint: Endpoint, direction: Direction, nonce: str = "a", at: float = 0.0) -> None:
        """A peer of this endpoint is connected."""
        peer = PeerInfo(
            peer_id=endpoint.peer_id, ip_address=endpoint.ip, port=endpoint.port, nonce=nonce, direction=direction
        )
        if direction is Direction.INBOUND:
            self.do(self.pool.on_admit(peer, 1))
        self.do(self.pool.on_connected(peer, at))

    def dialled(self) -> list[Endpoint]:
        return [effect.endpoint for effect in self.done if isinstance(effect, DialPeer)]

    def closed(self) -> list[tuple[Direction, PeerId, int]]:
        """What was ordered to close: direction, peer, code."""
        return [
            (effect.direction, effect.endpoint.peer_id, effect.message.code)
            for effect in self.done
            if isinstance(effect, TellPeer) and isinstance(effect.message, ClosePeer)
        ]


def test_defect_16_a_ban_closes_every_connection_of_its_address() -> None:
    rig = PoolRig()
    same = [Endpoint("10.0.0.1", port) for port in (5001, 5002)]
    for endpoint in (*same, Endpoint("10.0.0.2", 5001)):
        rig.connect(endpoint, Direction.INBOUND)
    rig.do(rig.pool.on_banned(Ban("10.0.0.1", 60.0, "misbehaved")))
    assert rig.closed() == [(Direction.INBOUND, endpoint.peer_id, CloseCode.NORMAL) for endpoint in same]
    before = len(rig.done)
    rig.connect(Endpoint("10.0.0.1", 5003), Direction.INBOUND)
    assert not any(isinstance(effect, CreateInbound) for effect in rig.done[before:])


@pytest.mark.parametrize("option", ["fixed_peers", "whitelisted_peers", "seed_peers"])
def test_defect_17_addresses_of_trusted_peers_are_never_banned(option: str) -> None:
    bans = Bans(NodeConfig(**{option: ["10.0.0.1:5001"]}))
    with pytest.raises(ValueError, match="never banned"):
        bans.ban("10.0.0.1", "raw fault from an ephemeral port", 0.0)
    assert len(bans) == 0


@pytest.mark.parametrize("kind", [PeerKind.FIXED, PeerKind.WHITELISTED, PeerKind.SEED])
def test_defect_17_a_trusted_peer_loses_points_and_stays(kind: PeerKind) -> None:
    rig = inbound(kind=kind)
    rig.receive("not json")
    rig.do(rig.link.on_control_frame(rig.now))
    assert rig.link.reputation == 0
    assert rig.link.stage is Stage.READY
    assert not rig.tells(PeerMisbehaved)


def admission(*, trusted: bool) -> Admission:
    return Admission(
        ticket=1,
        remote_ip="10.0.0.1",
        banned=False,
        trusted=trusted,
        own=OURS,
        languages=Languages(Lisk10()),
        settings=AdmissionSettings(),
        now=0.0,
    )


def test_defect_17_a_fault_before_the_handshake_bans_by_address_and_no_trusted_one() -> None:
    target = Lisk10().request_target(NodeInfo(CHAIN, "1.1", "n"), 5001)
    for trusted in (False, True):
        door = admission(trusted=trusted)
        door.on_upgrade(target, {}, 0.0)
        effects = door.on_packet(b"not json", False, 0.0)
        told = [one.message for one in effects if isinstance(one, Tell) and isinstance(one.message, PeerMisbehaved)]
        assert [(one.ip, one.peer_id) for one in told] == ([] if trusted else [("10.0.0.1", "10.0.0.1:5001")])
        assert any(isinstance(effect, AbortChannel) for effect in effects) is not trusted


def test_defect_18_whoever_is_banned_is_not_told_so() -> None:
    rig = inbound()
    rig.do(rig.link.apply_penalty(100, "the program's reason", rig.now))
    assert rig.take_sent() == [{"event": "#disconnect", "data": {"code": 1000}}]
    assert rig.ends == [1000]


def test_defect_19_every_connection_starts_with_100_points() -> None:
    rig = inbound()
    rig.do(rig.link.apply_penalty(90, "nearly", rig.now))
    assert rig.link.reputation == 10
    rig.closed()
    again = inbound()
    again.do(again.link.apply_penalty(10, "a little", again.now))
    assert again.link.reputation == 90
    assert again.link.stage is Stage.READY


def test_defect_20_a_ban_of_forty_days_lasts_forty_days() -> None:
    forty_days_s = 40 * 86400.0
    bans = Bans(NodeConfig(peer_ban_time_s=forty_days_s))
    bans.ban("10.0.0.1", "", 0.0)
    assert bans.take_ended(forty_days_s - 1) == []
    assert bans.take_ended(forty_days_s) == ["10.0.0.1"]


@pytest.mark.parametrize("data", [b"\xff", peers_bytes(Endpoint("10.0.0.1", 1))[:-1], None])
def test_defect_21_an_undecodable_peer_list_costs_as_much_as_a_missing_one(data: bytes | None) -> None:
    rig = outbound(Stage.PEERS)
    rig.reply(3, data)
    assert rig.link.reputation == 0
    assert rig.tells(PeerMisbehaved)
    assert not rig.tells(PeersAdvertised)


@pytest.mark.parametrize("pushed", [True, False])
def test_defect_21_an_oversized_node_info_costs_the_same_pushed_or_answered(pushed: bool) -> None:
    oversized = info_bytes() + bytes(20_480)
    rig = outbound(Stage.NODE_INFO)
    rig.receive(message_packet("postNodeInfo", oversized) if pushed else answer_packet(2, oversized))
    assert [told.reason for told in rig.tells(PeerMisbehaved)] == ["invalid_node_info"]


# ---- connection management ---------------------------------------------------------------------------------------


def test_defect_22_an_incompatible_listener_is_given_up() -> None:
    rig = outbound(Stage.NODE_INFO)
    rig.reply(2, info_bytes(NodeInfo(b"\0\0\0\2", "1.1", "other")))
    assert rig.ends == [CloseCode.INCOMPATIBLE]


@pytest.mark.parametrize("stage", [Stage.CONNECTING, Stage.UPGRADING, Stage.HANDSHAKE, Stage.NODE_INFO])
def test_defect_22_a_mute_listener_is_given_up_at_every_step(stage: Stage) -> None:
    rig = outbound(stage)
    rig.advance(10.0)
    assert rig.link.stage is Stage.CLOSED
    assert rig.now == 1010.0


def test_defect_22_a_listener_that_is_silent_about_peers_is_kept() -> None:
    rig = outbound(Stage.PEERS)
    rig.advance(2.0)
    assert rig.link.stage is Stage.READY


SEEDS = tuple(Endpoint(f"10.{number}.0.1", 5001) for number in range(6))


def test_defect_23_as_many_seeds_as_slots_are_no_problem() -> None:
    rig = PoolRig(seed_peers=SEEDS[:1], max_outbound_connections=1)
    rig.choose()
    assert rig.dialled() == [SEEDS[0]]
    rig.connect(SEEDS[0], Direction.OUTBOUND)
    peer = Endpoint("10.99.0.1", 5001)
    rig.choose(peer, tried=1)
    assert rig.dialled() == [SEEDS[0], peer], "the seed takes no slot of the network's peers"
    assert rig.closed() == [], "and is not sent away before there is one"
    rig.connect(peer, Direction.OUTBOUND)
    rig.do(rig.pool.on_time(10.0))
    assert rig.closed() == [(Direction.OUTBOUND, SEEDS[0].peer_id, CloseCode.NORMAL)]


def test_defect_24_all_seeds_are_used() -> None:
    rig = PoolRig(seed_peers=SEEDS, max_outbound_connections=2)
    rig.choose()
    assert sorted(rig.dialled()) == sorted(SEEDS)


@pytest.mark.sockets
def test_defect_25_a_stopped_node_starts_again_and_hears() -> None:
    with P2P(host_ip="127.0.0.1", port=0) as peer:
        peer.stop()
        peer.start()
        peer.procedure("echo", lambda request: request.data)
        with connected(peer, "127.0.0.1") as node:
            assert node.request("echo", b"again").data == b"again"


def test_defect_26_two_nodes_of_one_process_have_their_own_schemas() -> None:
    schema = {"$id": "/nodeInfo", "type": "object", "properties": {"height": {"dataType": "uint32", "fieldNumber": 1}}}
    with_options = languages_of(NodeConfig(custom_node_info_schema=schema)).main
    without = languages_of(NodeConfig()).main
    info = NodeInfo(CHAIN, "1.1", "n", options={"height": 5})
    assert with_options.decode_node_info(with_options.encode_node_info(info)).options == {"height": 5}
    assert without.decode_node_info(without.encode_node_info(OURS)).options == {}


def test_defect_27_of_two_nodes_that_dial_each_other_at_once_one_connection_remains() -> None:
    first, second = Endpoint("10.0.0.1", 5001), Endpoint("10.0.0.2", 5001)
    closed = []
    for own, other, nonces in ((first, second, "ab"), (second, first, "ba")):
        rig = PoolRig(own_nonce=nonces[0])
        rig.choose(other)
        assert rig.dialled() == [other]
        rig.connect(other, Direction.INBOUND, nonces[1])
        assert any(isinstance(effect, CreateInbound) for effect in rig.done), "not refused while ours is under way"
        rig.connect(other, Direction.OUTBOUND, nonces[1])
        ((direction, _, code),) = rig.closed()
        assert code == CloseCode.DUPLICATE
        closed.append((own, other) if direction is Direction.OUTBOUND else (other, own))
    assert closed == [(second, first)] * 2, "both close the same one: that of the greater nonce"


def test_defect_28_peers_on_our_own_address_are_dialled() -> None:
    config = NodeConfig(host_ip="127.0.0.1", port=5001, seed_peers=["127.0.0.1:5002"], fixed_peers=["127.0.0.1:5003"])
    pool = Pool(PoolSettings.from_config(config), own_nonce="a", secret=b"secret", rng=Random(1))
    effects = pool.start(0.0) + pool.on_chosen(ChosenPeers(1, (), 0, 0), 0.0)
    assert [effect.endpoint.port for effect in effects if isinstance(effect, DialPeer)] == [5003, 5002]


@pytest.mark.parametrize("value", [0, "", False, []])
def test_defect_29_falsy_results_are_sent(value: Any) -> None:
    rig = inbound()
    rig.call("ask", cid=9)
    rig.do(rig.link.answer(9, Lisk10().app_payload(value)))
    (answer,) = rig.take_sent()
    assert answer["data"]["data"] == b64(json.dumps(value).encode())


def test_defect_29_the_longest_peer_list_fits_into_a_message() -> None:
    longest = [Endpoint(f"{255 - number // 100}.255.255.{100 + number % 100}", 65535) for number in range(WIRE_CAP + 1)]
    rig = inbound()
    rig.call("getPeers", cid=9)
    rig.do(rig.link.on_sample(9, longest))
    (text,) = rig.sent
    assert len(Lisk10().decode_peers(peers_bytes(*longest))) == WIRE_CAP
    assert len(text) < 8192
