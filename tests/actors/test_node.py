"""The node: start, stop, supervision, subscribers, commands. In virtual time, with its real children."""

from __future__ import annotations

from typing import Any

import pytest

from actors.peer import InboundPeer
from actors.peer_book import PeerBook
from actors.peer_pool import PeerPool
from actors.peer_server import PeerServer
from core.config import NodeConfig
from core.errors import AlreadyActive, Misuse, NotActive, StartFailed
from core.events import (
    CloseOutbound,
    NetworkReady,
    NodeFailed,
)
from core.house_messages import (
    InboundRefused,
    PeerConnected,
    PeersAdvertised,
    ServerListening,
)
from core.ids import Direction, Endpoint, PeerId
from core.messages import (
    AnswerCall,
    ApplyNodeInfo,
    ApplyPenalty,
    BanAddress,
    BroadcastMessage,
    Broadcasts,
    Done,
    Failed,
    GetBans,
    GetConnectedPeers,
    GetDisconnectedPeers,
    GetNetworkStats,
    GetNodeInfo,
    GetTriedPeers,
    NodeStarted,
    Query,
    SendMessage,
    SendRequest,
    StartNode,
    StopNode,
    Subscribe,
    UnbanAddress,
)
from core.restart import MAX_CRASHES
from tests.actors.nodes import TestNode, connect
from tests.actors.remote import opener
from tests.actors.world import Complaints, World, override

POISON: dict[type, Any] = {
    PeerPool: PeerConnected(None),  # type: ignore[arg-type]
    PeerBook: PeersAdvertised(PeerId("x"), "no address", (None,)),  # type: ignore[arg-type]
    PeerServer: None,
}


def poison(node: TestNode, kind: type) -> None:
    """Crash a child of the node."""
    if kind is PeerServer:
        child = node.server
        override(child, "receiveMsg_InboundRefused", lambda *_: 1 / 0)
        node.poison(kind, InboundRefused(1, 1, ""))
    else:
        node.poison(kind, POISON[kind])


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


# ---- start ----


def test_a_start_is_answered_with_the_bound_address_and_the_node_info(node: TestNode) -> None:
    answer = node.ask(StartNode, NodeConfig(port=5001))
    assert isinstance(answer, NodeStarted)
    assert answer.listening == Endpoint("10.1.0.1", 5001)
    assert answer.node_info.chain_id == b"\0\0\0\1"
    assert len(answer.node_info.nonce) == 16
    assert node.ask(GetNodeInfo).node_info == answer.node_info


def test_port_0_is_any_free_port_and_peers_are_told_which(world: World) -> None:
    first = TestNode(world, "10.1.0.1")
    answer = first.ask(StartNode, NodeConfig(port=0, seed_peers=["10.2.0.1:5001"]))
    assert answer.listening.port > 0
    second = TestNode(world, "10.2.0.1").start()
    world.run(40)
    assert [peer.port for peer in second.peers()] == [answer.listening.port]


def test_a_node_that_does_not_listen_still_dials(world: World) -> None:
    TestNode(world, "10.2.0.1").start()
    first = TestNode(world, "10.1.0.1", max_inbound_connections=0, seed_peers=["10.2.0.1:5001"])
    answer = first.ask(StartNode, NodeConfig(**first.options))
    assert answer.listening is None
    assert first.children(PeerServer) == []
    world.run(5)
    assert len(first.peers(Direction.OUTBOUND)) == 1
    assert isinstance(first.stop(), Done)


def test_nodes_that_do_not_listen_on_any_port_are_told_apart_by_the_one_they_announce(world: World) -> None:
    """Port 0 cannot be announced: lisk-p2p refuses it with 4105."""
    hub = TestNode(world, "10.9.0.1").start()
    options: dict[str, Any] = {"max_inbound_connections": 0, "port": 0, "seed_peers": ["10.9.0.1:5001"]}
    for _ in range(3):
        TestNode(world, "10.1.0.1", **options).start()
    world.run(5)
    ports = {peer.port for peer in hub.peers()}
    assert len(ports) == 3
    assert min(ports) >= 1024


def test_a_port_that_is_taken_is_named_and_nothing_is_left_behind(world: World, complaints: Complaints) -> None:
    TestNode(world, "10.1.0.1").start()
    second = TestNode(world, "10.1.0.1")
    error = second.fails(StartNode, NodeConfig(host_ip="10.1.0.1", port=5001))
    assert isinstance(error, StartFailed)
    assert "10.1.0.1:5001" in str(error)
    assert "taken by another program" in str(error)
    world.run(5)
    assert second.children(object) == []
    assert second.events(NodeFailed) == []  # the failed start says it
    second.options["port"] = 5002
    second.start()  # and it can be tried again


def test_a_node_info_that_cannot_be_used_is_refused(node: TestNode) -> None:
    config = NodeConfig(custom_node_info_schema={"type": "object", "properties": {"x": {"dataType": "no type"}}})
    assert isinstance(node.fails(StartNode, config), StartFailed)
    big = NodeConfig(
        custom_node_info_schema={
            "$id": "/t",
            "type": "object",
            "properties": {"text": {"dataType": "string", "fieldNumber": 1}},
            "required": ["text"],
        },
        node_info={"options": {"text": "x" * 30_000}},
    )
    error = node.fails(StartNode, big)
    assert isinstance(error, StartFailed)
    assert "at most 20480 bytes" in str(error)


@pytest.mark.parametrize(
    "option",
    ["peer_selection_for_send", "peer_selection_for_request", "peer_selection_for_connection", "peer_handshake_check"],
)
@pytest.mark.parametrize("value", ["no_such_module:rule", "json:no_such_function", "json:__doc__"])
def test_a_rule_that_does_not_exist_is_named_at_the_start(node: TestNode, option: str, value: str) -> None:
    error = node.fails(StartNode, NodeConfig(**{option: value}))
    assert isinstance(error, StartFailed)
    assert option in str(error)
    assert value in str(error)


def test_a_node_that_runs_cannot_be_started(node: TestNode) -> None:
    node.start()
    assert isinstance(node.fails(StartNode, NodeConfig()), AlreadyActive)


def test_commands_before_the_start_and_after_the_stop_are_refused(node: TestNode) -> None:
    commands = (
        (GetConnectedPeers,),
        (GetDisconnectedPeers,),
        (GetTriedPeers,),
        (GetBans,),
        (SendMessage, "e", None),
        (BroadcastMessage, "e", None),
        (SendRequest, "p", None),
        (ApplyNodeInfo, {}),
        (ApplyPenalty, PeerId("1.1.1.1:1"), 1, ""),
        (BanAddress, "1.1.1.1", PeerId("1.1.1.1:0"), ""),
        (UnbanAddress, "1.1.1.1"),
    )
    for command in commands:
        assert isinstance(node.fails(*command), NotActive)
    assert isinstance(node.fails(GetNodeInfo), NotActive)
    node.start()
    node.stop()
    for command in commands:
        assert isinstance(node.fails(*command), NotActive)


def test_several_broadcasts_are_refused_each(node: TestNode) -> None:
    node.tell(Broadcasts((BroadcastMessage(91, "a", None), BroadcastMessage(92, "b", None))))
    for number in (91, 92):
        answer = node.answer(number)
        assert isinstance(answer, Failed)
        assert isinstance(answer.error, NotActive)


def test_a_command_that_nobody_knows_is_refused(node: TestNode, complaints: Complaints) -> None:
    node.start()
    assert isinstance(node.fails(Query), Misuse)
    complaints.expect("does not know the command Query")


# ---- stop ----


def test_stop_is_bounded_and_idempotent(world: World, pair: tuple[TestNode, TestNode]) -> None:
    first, second = pair
    began = world.time
    numbers = [1, 2, 3]
    for number in numbers:
        first.tell(StopNode(number))
    for number in numbers:
        assert isinstance(first.answer(number), Done)
    assert world.time - began < 5
    assert isinstance(first.stop(), Done)
    world.run(1)
    assert first.children(object) == []
    assert [event.code for event in second.events(CloseOutbound)] == [1000]


def test_stop_before_any_start_is_fine(node: TestNode) -> None:
    assert isinstance(node.stop(), Done)


def test_a_peer_that_does_not_close_does_not_hold_up_the_stop(world: World, node: TestNode) -> None:
    node.start()
    remote = opener(world, "10.7.0.1", node.endpoint)
    assert len(node.peers()) == 1
    began = world.time
    node.stop()
    assert world.time - began <= 5
    remote.hang_up()


def test_start_again_after_the_stop_works(world: World, pair: tuple[TestNode, TestNode]) -> None:
    """Defect 25 of lisk-p2p: stop() then start() throws and leaves a deaf server."""
    first, second = pair
    for _ in range(3):
        first.stop()
        first.start()
        assert first.peers() == []
        world.run(60)
        connect(first, second)
    assert first.ask(GetNetworkStats).inbound_connects_total + first.ask(GetNetworkStats).outbound_connects_total == 1


def test_start_right_behind_the_stop_works(world: World, node: TestNode) -> None:
    node.start()
    node.tell(StopNode(1))
    node.answer(1)
    node.start()
    assert node.peers() == []


def test_a_stop_while_starting_answers_both(world: World, node: TestNode) -> None:
    # Both messages are there before the node handles the first: the port is not bound when the stop comes.
    base = world.base
    cell = base.find(str(node.address.addressDetails))
    base.enqueue(cell, StartNode(1, NodeConfig(port=5001)), node.program.address)
    base.enqueue(cell, StopNode(2), node.program.address)
    answer = node.answer(1)
    assert isinstance(answer, Failed)
    assert isinstance(answer.error, NotActive)
    assert isinstance(node.answer(2), Done)
    world.run(5)
    assert world.instance(node.address) is not None  # the server's late ServerListening did not end the node
    node.start()


def test_the_server_of_an_earlier_run_is_not_listened_to(node: TestNode) -> None:
    node.start()
    node.tell(ServerListening(Endpoint("9.9.9.9", 9)))
    assert node.peers() == []


# ---- supervision ----


@pytest.mark.parametrize("kind", [PeerPool, PeerBook, PeerServer])
def test_a_crashed_child_is_replaced_and_the_node_goes_on(world: World, complaints: Complaints, kind: type) -> None:
    first = TestNode(world, "10.1.0.1").start()
    second = TestNode(world, "10.2.0.1", seed_peers=["10.1.0.1:5001"]).start()
    connect(first, second)
    before = second.child(kind)
    poison(second, kind)
    world.run(0.5)
    complaints.expect(f"{kind.__name__} failed on")
    complaints.expect(f"{kind.__name__} crashed and is replaced")
    assert second.child(kind) is not before
    world.run(60)
    connect(first, second)
    # The new one talks to the others and they to it: a third node gets in, and is found.
    third = TestNode(world, "10.3.0.1", seed_peers=["10.2.0.1:5001"]).start()
    connect(third, first, second)
    assert isinstance(second.stop(), Done)
    assert second.events(NodeFailed) == []


@pytest.mark.parametrize("kind", [PeerPool, PeerBook, PeerServer])
def test_crashes_beyond_the_budget_end_the_node_with_a_reason(
    world: World, node: TestNode, complaints: Complaints, kind: type
) -> None:
    node.start()
    node.ask(Subscribe, frozenset({NetworkReady.NAME}))  # whatever is subscribed to
    for _ in range(MAX_CRASHES + 1):
        world.run(6)
        if node.children(kind):
            poison(node, kind)
    world.run(6)
    for text in ("failed on", "crashed and is replaced", "the node ends"):
        complaints.expect(text)
    name = {PeerPool: "pool", PeerBook: "book", PeerServer: "server"}[kind]
    (failed,) = node.events(NodeFailed)
    assert name in failed.reason
    assert node.children(object) == []
    assert isinstance(node.fails(GetConnectedPeers), NotActive)
    node.start()  # with a new budget
    poison(node, kind)
    world.run(6)
    assert node.children(kind) != []
    complaints.expect("failed on")
    complaints.expect("crashed and is replaced")


def test_a_crash_while_stopping_does_not_bring_anything_back(
    world: World, pair: tuple[TestNode, TestNode], complaints: Complaints
) -> None:
    first, _ = pair
    poison(first, PeerBook)
    first.stop()  # before the replacement is due
    world.run(60)
    complaints.expect("PeerBook failed on")
    assert first.children(object) == []
    assert world.instance(first.address) is not None


def test_a_crash_is_not_repaired_while_a_stop_is_under_way(
    world: World, node: TestNode, complaints: Complaints
) -> None:
    node.start()
    remote = opener(world, "10.7.0.1", node.endpoint)  # it does not close: the stop takes its time
    poison(node, PeerBook)
    world.run(0.01)  # a new book is planned, but not due
    node.tell(StopNode(1))
    world.run(1)
    complaints.expect("PeerBook failed on")
    assert node.children(PeerPool) != []
    assert node.children(PeerBook) == []
    node.answer(1)
    remote.hang_up()


def test_a_pool_that_crashes_while_the_node_stops_does_not_hold_it_up(
    world: World, node: TestNode, complaints: Complaints
) -> None:
    node.start()
    remote = opener(world, "10.7.0.1", node.endpoint)
    began = world.time
    node.tell(StopNode(1))
    poison(node, PeerPool)
    node.answer(1)
    assert world.time - began < 1
    complaints.expect("PeerPool failed on")
    remote.hang_up()


def test_a_crashed_peer_is_one_lost_connection(
    world: World, pair: tuple[TestNode, TestNode], complaints: Complaints
) -> None:
    first, second = pair
    peer = first.child(InboundPeer)
    pool = first.pool
    first.program.tell(peer.myAddress, AnswerCall(None, object()))  # type: ignore[arg-type]
    override(peer, "receiveMsg_AnswerCall", lambda *_: 1 / 0)
    first.program.tell(peer.myAddress, AnswerCall(1, None))
    world.run(0.1)
    complaints.expect("InboundPeer failed on")
    assert first.peers() == []
    assert first.pool is pool
    world.run(60)
    connect(first, second)


def test_a_replaced_server_and_pool_know_the_bans(world: World, node: TestNode, complaints: Complaints) -> None:
    node.start()
    node.ask(BanAddress, "10.7.0.1", PeerId("10.7.0.1:5001"), "test")
    for kind in (PeerServer, PeerPool):
        poison(node, kind)
        world.run(3)
        complaints.expect("failed on")
        complaints.expect("crashed and is replaced")
    assert node.server._banned == {"10.7.0.1"}
    assert node.pool.pool._avoided.is_banned("10.7.0.1")
    poison(node, PeerBook)  # nobody is to be set free by that: the new book hears of the bans from the pool
    world.run(3)
    complaints.expect("failed on")
    complaints.expect("crashed and is replaced")
    assert node.server._banned == {"10.7.0.1"}
    assert [ban.ip for ban in node.ask(GetBans).bans] == ["10.7.0.1"]
