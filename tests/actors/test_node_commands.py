"""What a program asks of a node, and whole networks of nodes. In virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from actors.peer import InboundPeer, OutboundPeer
from core.errors import InvalidNodeInfo, Misuse, PeerNotFound
from core.events import (
    BanPeer,
    DecisionTaken,
    DiscoveredPeer,
    MessageReceived,
    NetworkReady,
    NewInboundPeer,
    RequestReceived,
    UnbanPeer,
    UpdatedPeerInfo,
)
from core.house_messages import (
    PeersAdvertised,
)
from core.ids import Endpoint, PeerId
from core.messages import (
    AnswerCall,
    ApplyNodeInfo,
    ApplyPenalty,
    BanAddress,
    BanList,
    BroadcastMessage,
    Done,
    EventBatch,
    Failed,
    GetBans,
    GetDisconnectedPeers,
    GetNetworkStats,
    GetNodeInfo,
    GetTriedPeers,
    NodeInfoAnswer,
    PeerList,
    RequestAnswered,
    SendMessage,
    SendRequest,
    Subscribe,
    UnbanAddress,
)
from tests.actors.nodes import TestNode, connect
from tests.actors.remote import opener
from tests.actors.world import World

SCHEMA = {
    "$id": "/test/info",
    "type": "object",
    "properties": {"height": {"dataType": "uint32", "fieldNumber": 1}},
    "required": ["height"],
}


@pytest.fixture
def node(world: World) -> TestNode:
    return TestNode(world, "10.1.0.1")


@pytest.fixture
def pair(world: World) -> tuple[TestNode, TestNode]:
    """Two connected nodes; the second dialled the first."""
    first = TestNode(world, "10.1.0.1").start()
    second = TestNode(world, "10.2.0.1", seed_peers=["10.1.0.1:5001"]).start()
    connect(first, second)
    return first, second


# ---- subscribers ----


def test_events_go_to_who_subscribed_as_long_as_they_want_them(world: World, node: TestNode) -> None:
    node.start()
    second = world.probe()
    second.tell(node.address, Subscribe(1, frozenset({BanPeer.NAME})))
    second.wait(Done)
    node.ask(BanAddress, "1.1.1.1", PeerId("1.1.1.1:1"), "a")
    node.ask(UnbanAddress, "1.1.1.1")
    assert [type(event) for event in node.events() if not isinstance(event, DecisionTaken)] == [BanPeer, UnbanPeer]
    assert [batch.events[0].ip_address for batch in second.of(EventBatch)] == ["1.1.1.1"]
    second.tell(node.address, Subscribe(2, frozenset()))
    second.wait(Done, 2)
    node.ask(BanAddress, "2.2.2.2", PeerId("2.2.2.2:1"), "b")
    world.run(1)
    assert len(second.of(EventBatch)) == 1
    assert len(node.events(BanPeer)) == 2


def test_a_later_subscription_replaces_the_earlier_one(world: World, node: TestNode) -> None:
    node.start()
    node.ask(Subscribe, frozenset({UnbanPeer.NAME}))
    node.ask(BanAddress, "1.1.1.1", PeerId("1.1.1.1:1"), "a")
    node.ask(UnbanAddress, "1.1.1.1")
    assert [type(event) for event in node.events()] == [UnbanPeer]


def test_peers_that_are_connected_hear_of_a_new_subscriber(world: World, pair: tuple[TestNode, TestNode]) -> None:
    first, second = pair
    late = world.probe()
    late.tell(first.address, Subscribe(1, frozenset({MessageReceived.NAME})))
    late.wait(Done)
    second.ask(BroadcastMessage, "hello", b"data")
    (batch,) = [late.wait(EventBatch)]
    assert [(event.event, event.data) for event in batch.events] == [("hello", b"data")]


# ---- commands ----


def test_messages_reach_the_other_side(world: World, pair: tuple[TestNode, TestNode]) -> None:
    first, second = pair
    assert isinstance(first.ask(SendMessage, "one", b"\0\xff"), Done)
    assert isinstance(first.ask(SendMessage, "two", None, second.endpoint.peer_id), Done)
    assert isinstance(first.ask(BroadcastMessage, "three", b""), Done)
    world.run(1)
    assert [(event.event, event.data) for event in second.events(MessageReceived)] == [
        ("one", b"\0\xff"),
        ("two", None),
        ("three", b""),
    ]
    assert isinstance(first.fails(SendMessage, "e", None, PeerId("9.9.9.9:9")), PeerNotFound)


def test_a_request_is_answered_to_who_asked(world: World, pair: tuple[TestNode, TestNode]) -> None:
    first, second = pair
    asker = world.probe()
    asker.tell(first.address, SendRequest(7, "sum", b"1+1"))
    world.until(lambda: bool(second.events(RequestReceived)))
    (request,) = second.events(RequestReceived)
    assert (request.procedure, request.data) == ("sum", b"1+1")
    second.program.tell(second.sender_of(RequestReceived), AnswerCall(request.call_id, b"2"))
    assert asker.wait(RequestAnswered) == RequestAnswered(7, second.endpoint.peer_id, b"2")
    assert first.program.of(RequestAnswered) == []


def test_a_request_on_a_connection_that_ends_is_answered_exactly_once(
    world: World, pair: tuple[TestNode, TestNode]
) -> None:
    """Whatever overtakes what: the peer's actor goes only when the pool passes nothing on to it any more."""
    first, _second = pair
    peer = first.child(InboundPeer)
    base, pool_cell = world.base, world.base.find(str(first.pool.myAddress.addressDetails))
    numbers = range(100, 130)
    for number in numbers:
        if number == 110:
            peer.apply(peer.link.close(1000, "test", peer.now()))
            peer._on_channel_closed(1006, "test")
            peer._settle()
        base.enqueue(pool_cell, SendRequest(number, "p", None, 1.0), first.program.address)
        base.enqueue(pool_cell, SendMessage(number + 1000, "e", None), first.program.address)
    for number in numbers:
        assert isinstance(first.answer(number), Failed)
        first.answer(number + 1000)


def test_the_book_answers_what_is_known(world: World) -> None:
    node = TestNode(world, "10.1.0.1", previous_peers=["10.5.0.1:5001"], whitelisted_peers=["10.6.0.1:5001"]).start()
    for kind in (GetTriedPeers, GetDisconnectedPeers):
        answer = node.ask(kind)
        assert isinstance(answer, PeerList)
        assert {peer.peer_id for peer in answer.peers} == {"10.5.0.1:5001", "10.6.0.1:5001"}


def test_disconnected_peers_are_those_that_are_not_connected(pair: tuple[TestNode, TestNode]) -> None:
    _first, second = pair
    second.program.tell(
        second.book.myAddress, PeersAdvertised(PeerId("10.1.0.1:5001"), "10.1.0.1", (Endpoint("9.9.9.9", 9),))
    )
    assert [peer.peer_id for peer in second.ask(GetDisconnectedPeers).peers] == ["9.9.9.9:9"]
    assert second.events(DiscoveredPeer)[-1].endpoint == Endpoint("9.9.9.9", 9)


def test_bans_are_made_listed_and_ended(world: World, pair: tuple[TestNode, TestNode]) -> None:
    first, second = pair
    assert isinstance(first.ask(BanAddress, "10.2.0.1", second.endpoint.peer_id, "spam", 100.0), Done)
    world.run(1)
    assert first.peers() == []
    bans = first.ask(GetBans)
    assert isinstance(bans, BanList)
    assert [(ban.ip, ban.reason) for ban in bans.bans] == [("10.2.0.1", "spam")]
    remote = opener(world, "10.2.0.1", first.endpoint, handshake=False)
    assert remote.closed is not None
    assert "401" in str(remote.events)
    world.run(101)
    assert [event.ip_address for event in first.events(UnbanPeer)] == ["10.2.0.1"]
    assert first.ask(GetBans).bans == ()
    world.run(60)
    connect(first, second)


@pytest.mark.parametrize("ip", ["", "no address", "10.9.0.1"])
def test_bans_that_cannot_be_are_refused(world: World, ip: str) -> None:
    node = TestNode(world, "10.1.0.1", fixed_peers=["10.9.0.1:5001"]).start()
    assert isinstance(node.fails(BanAddress, ip, PeerId("x"), ""), Misuse)
    assert isinstance(node.fails(UnbanAddress, ip), Misuse)


def test_a_penalty_of_100_bans(world: World, pair: tuple[TestNode, TestNode]) -> None:
    first, second = pair
    assert isinstance(first.ask(ApplyPenalty, second.endpoint.peer_id, 40, "slow"), Done)
    world.run(1)
    assert len(first.peers()) == 1
    assert isinstance(first.ask(ApplyPenalty, second.endpoint.peer_id, 60, "slower"), Done)
    world.run(1)
    assert first.peers() == []
    assert [event.ip_address for event in first.events(BanPeer)] == ["10.2.0.1"]


def test_node_info_is_applied_and_pushed(world: World) -> None:
    options: dict[str, Any] = {"custom_node_info_schema": SCHEMA, "node_info": {"options": {"height": 1}}}
    first = TestNode(world, "10.1.0.1", **options).start()
    second = TestNode(world, "10.2.0.1", seed_peers=["10.1.0.1:5001"], **options).start()
    connect(first, second)
    answer = first.ask(ApplyNodeInfo, {"height": 2})
    assert isinstance(answer, NodeInfoAnswer)
    assert answer.node_info.options == {"height": 2}
    world.run(1)
    assert second.events(UpdatedPeerInfo)[-1].peer.options == {"height": 2}
    third = TestNode(world, "10.3.0.1", seed_peers=["10.1.0.1:5001"], **options).start()
    connect(third, first)
    assert {peer.options["height"] for peer in third.peers() if peer.ip_address == "10.1.0.1"} == {2}
    for wrong in ({"height": "high"}, {"height": -1}, {"height": 2**40}, {}, {"other": 1}):
        assert isinstance(first.fails(ApplyNodeInfo, wrong), InvalidNodeInfo), wrong
    assert first.ask(GetNodeInfo).node_info.options == {"height": 2}


def test_options_without_a_schema_are_refused(node: TestNode) -> None:
    node.start()
    error = node.fails(ApplyNodeInfo, {"height": 1})
    assert isinstance(error, InvalidNodeInfo)
    assert "custom_node_info_schema" in str(error)


def test_statistics_count_what_happened(world: World, pair: tuple[TestNode, TestNode]) -> None:
    first, second = pair
    second.ask(SendMessage, "e", b"data")
    world.run(3)
    stats = first.ask(GetNetworkStats)
    assert (stats.inbound_connected, stats.outbound_connected) == (1, 0)
    assert stats.messages_received_total == 1
    assert stats.bytes_received_total > 100
    assert second.ask(GetNetworkStats).messages_sent_total == 1


# ---- networks ----


def test_five_nodes_with_one_seed_find_one_another(world: World) -> None:
    seed = TestNode(world, "10.1.0.1").start()
    others = [TestNode(world, f"10.{number}.0.1", seed_peers=["10.1.0.1:5001"]).start() for number in range(2, 6)]
    connect(seed, *others)
    for one in others:
        connect(one, *(other for other in others if other is not one))
        assert len({peer.ip_address for peer in one.peers()}) == len(one.peers()) == 4
    seed.ask(BroadcastMessage, "to all", b"x")
    world.run(1)
    assert all([event.event for event in one.events(MessageReceived)] == ["to all"] for one in others)
    assert len([event for one in others for event in one.events(NetworkReady)]) == 4


def test_two_nodes_that_dial_each_other_at_once_keep_one_connection(world: World) -> None:
    for seed in range(5):
        first = TestNode(world, f"10.1.{seed}.1", seed_peers=[f"10.2.{seed}.1:5001"]).start()
        second = TestNode(world, f"10.2.{seed}.1", seed_peers=[f"10.1.{seed}.1:5001"]).start()
        world.run(40)
        assert len(first.peers()) == len(second.peers()) == 1
        assert first.is_connected_to(second)
        for node in (first, second):
            node.stop()


def test_a_node_that_learns_its_own_address_dials_it_once(world: World) -> None:
    seed = TestNode(world, "10.1.0.1").start()
    node = TestNode(world, "10.2.0.1", seed_peers=["10.1.0.1:5001", "10.2.0.1:5001"]).start()
    connect(node, seed)
    world.run(600)
    assert {peer.ip_address for peer in node.peers()} == {"10.1.0.1"}
    assert node.pool.pool._avoided.is_own(node.endpoint)
    assert node.children(OutboundPeer) == [node.child(OutboundPeer)]


def test_a_fixed_peer_that_goes_and_comes_back_is_connected_again(world: World) -> None:
    fixed = TestNode(world, "10.1.0.1").start()
    node = TestNode(world, "10.2.0.1", fixed_peers=["10.1.0.1:5001"]).start()
    connect(node, fixed)
    fixed.stop()
    world.run(500)
    assert node.peers() == []
    fixed.start()
    world.run(61)
    assert node.is_connected_to(fixed)


def test_an_inbound_connection_is_announced(pair: tuple[TestNode, TestNode]) -> None:
    first, second = pair
    assert [event.peer.endpoint for event in first.events(NewInboundPeer)] == [second.endpoint]
