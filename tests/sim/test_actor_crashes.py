"""Single actors of a node end without a word, at any moment, while messages between actors are late and shuffled.

The same faults that tests/chaos plays with real processes: here they are cheap, and can be repeated.
"""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

import pytest

from actors.bases.sim_cell import Reordering
from actors.bases.sim_nodes import SimNode, Simulation
from actors.node import Node
from actors.peer import InboundPeer, OutboundPeer
from actors.peer_actor import PeerActor
from actors.peer_book import PeerBook
from actors.peer_pool import PeerPool
from actors.peer_server import PeerServer
from core import messages as m
from core.events import BanPeer, CloseInbound, CloseOutbound, NodeFailed, RemovePeer
from core.house_messages import PeerMisbehaved
from core.ids import PeerId, PeerKind
from tests.actors.world import lives_as
from tests.sim.conftest import MakeSimulation, all_connected, one_seed_network

A = TypeVar("A")

KILLS = 100
LISTENS_AGAIN_S = 2.0
CONNECTED_AGAIN_S = 120.0
BUDGET = {"max_restarts": 1000}


def actor_of(node: SimNode, kind: type[A]) -> A:
    """The node's actor of this class."""
    found = [c.instance for c in node.sim.base.population(node.identity).values() if lives_as(c, kind)]
    return found[0]


def strike(node: SimNode, kind: type, number: int = 0) -> bool:
    """End one actor of this class as a kill ends its process: the kernel closes what it had. False if there is none."""
    base = node.sim.base
    cells = [cell for cell in base.population(node.identity).values() if lives_as(cell, kind)]
    if not cells:
        return False
    cell = cells[number % len(cells)]
    cell.instance.end()
    base.bury(cell, crashed=True)
    return True


def closings(nodes: list[SimNode]) -> Counter[frozenset[str]]:
    """Between whom connections were closed so far, and how often."""
    events = [(node, event) for node in nodes for event in node.told(CloseInbound) + node.told(CloseOutbound)]
    return Counter(frozenset({node.peer_id, event.peer.peer_id}) for node, event in events)


def connections(node: SimNode) -> Counter[str]:
    """The ids of the peers that the pool has told the node of, one for each connection."""
    standing = actor_of(node, Node)._standing
    return Counter(endpoint.peer_id for (_, endpoint), number in standing._latest.items() if number > 0)


def network(simulate: MakeSimulation, seed: int, count: int = 4) -> tuple[Simulation, list[SimNode]]:
    sim = simulate(seed, reordering=Reordering(0.02, break_pair_order=True))
    options = {**BUDGET, "outbound_shuffle_interval_s": 1e6, "populator_interval_s": 2.0}
    nodes = one_seed_network(sim, count, **options)
    sim.start_all()
    assert sim.run_until(lambda: all_connected(nodes), 120.0)
    sim.run_for(10.0)  # two that dialled each other at once have one connection by then
    return sim, nodes


def is_listening(node: SimNode) -> bool:
    return node.identity.network.host.listener_for(node.endpoint.ip, node.endpoint.port) is not None


@pytest.mark.parametrize("kind", [InboundPeer, OutboundPeer])
def test_a_peer_is_one_lost_connection_and_comes_back(simulate: MakeSimulation, kind: type) -> None:
    sim, nodes = network(simulate, 11)
    rng = sim.rng("strikes")
    struck = 0
    for _ in range(KILLS):
        sim.run_for(rng.uniform(0.0, 5.0))
        before = closings(nodes)
        if strike(rng.choice(nodes), kind, rng.randrange(100)):
            struck += 1
            assert sim.run_until(lambda: all_connected(nodes), CONNECTED_AGAIN_S)
            sim.run_for(5.0)  # if both have dialled again, one connection of the two is closed
            assert len(closings(nodes) - before) == 1
    assert struck > KILLS / 4


def test_a_server_listens_again_and_no_connection_is_lost(simulate: MakeSimulation) -> None:
    sim, nodes = network(simulate, 12)
    rng = sim.rng("strikes")
    before = closings(nodes)
    for _ in range(KILLS):
        sim.run_for(rng.uniform(0.0, 5.0))
        assert strike(nodes[1], PeerServer)
        assert not is_listening(nodes[1])
        assert sim.run_until(lambda: is_listening(nodes[1]), LISTENS_AGAIN_S)
    assert closings(nodes) == before
    late = sim.add_node("late", fixed_peers=[nodes[1].peer_id], **BUDGET)
    late.start()
    assert sim.run_until(lambda: late.is_connected_to(nodes[1]), 30.0)


def test_a_book_comes_back_with_its_storage(simulate: MakeSimulation) -> None:
    sim, nodes = network(simulate, 13, 3)
    victim = sim.add_node("victim", seed_peers=[nodes[0].peer_id], data_dir="here", storage_interval_s=1.0, **BUDGET)
    victim.start()
    assert sim.run_until(lambda: len(victim.connected()) == 3, 60.0)
    victim.ask(m.BanAddress(0, "9.9.9.9", PeerId("9.9.9.9:1"), "a test", 1e6))
    sim.run_for(5.0)
    known = set(victim.known())
    rng = sim.rng("strikes")
    before = closings([*nodes, victim])
    for _ in range(KILLS):
        sim.run_for(rng.uniform(0.0, 5.0))
        assert strike(victim, PeerBook)
        sim.run_for(2.0)
        assert [ban.ip for ban in victim.ask(m.GetBans(0)).bans] == ["9.9.9.9"]
        assert set(victim.known()) == known
    assert closings([*nodes, victim]) == before


def test_a_ban_that_a_crashed_book_was_told_of_is_not_lost(simulate: MakeSimulation) -> None:
    sim, nodes = network(simulate, 17, 3)
    victim, offender = nodes[0], PeerId("9.9.9.9:1")
    victim.tell(PeerMisbehaved(offender, "9.9.9.9", PeerKind.NONE, "a test"))
    node = actor_of(victim, Node)
    assert sim.run_until(lambda: bool(node._bans_ordered), 1.0)  # on its way to the book
    assert strike(victim, PeerBook)
    sim.run_for(5.0)
    assert [ban.ip for ban in victim.ask(m.GetBans(0)).bans] == ["9.9.9.9"]
    assert len(victim.told(BanPeer)) == 1
    assert not node._bans_ordered


def test_bans_that_were_taken_are_not_remembered_as_orders(simulate: MakeSimulation) -> None:
    sim, nodes = network(simulate, 18, 3)
    node = actor_of(nodes[0], Node)
    nodes[0].tell(PeerMisbehaved(PeerId("9.9.9.9:1"), "9.9.9.9", PeerKind.NONE, "a test"))
    sim.run_for(5.0)
    assert len(nodes[0].told(BanPeer)) == 1
    assert not node._bans_ordered


def test_a_pool_is_rebuilt_and_its_peers_do_not_linger(simulate: MakeSimulation) -> None:
    sim, nodes = network(simulate, 14)
    rng = sim.rng("strikes")
    for _ in range(KILLS):
        sim.run_for(rng.uniform(0.0, 5.0))
        old = [c for c in sim.base.population(nodes[1].identity).values() if isinstance(c.instance, PeerActor)]
        removed, standing = len(nodes[1].told(RemovePeer)), connections(nodes[1])
        assert strike(nodes[1], PeerPool)
        assert sim.run_until(lambda old=old: all(cell.is_dead for cell in old), 2.0)
        assert sim.run_until(lambda: all_connected(nodes), CONNECTED_AGAIN_S)
        told = Counter(event.peer_id for event in nodes[1].told(RemovePeer)[removed:])
        assert told >= standing  # the node says what its pool cannot say any more


def test_beyond_the_budget_the_node_ends_with_the_reason(
    simulate: MakeSimulation, caplog: pytest.LogCaptureFixture
) -> None:
    sim = simulate(15)
    node = sim.add_node("node", max_restarts=3, restart_window_s=60.0, collect=None)
    node.start()
    for _ in range(4):
        assert sim.run_until(lambda: strike(node, PeerServer), 10.0)
    assert sim.run_until(lambda: bool(node.told(NodeFailed)), 10.0)
    assert [event.reason for event in node.told(NodeFailed)] == ["server crashed too often"]
    assert "the node ends: server crashed too often" in caplog.text
    caplog.clear()  # nothing else may be logged as an error
    assert not is_listening(node)


def test_everything_is_struck_and_the_network_stays(simulate: MakeSimulation) -> None:
    sim, nodes = network(simulate, 16)
    rng = sim.rng("strikes")
    kinds = [InboundPeer, OutboundPeer, PeerServer, PeerBook, PeerPool]
    for _ in range(KILLS):
        sim.run_for(rng.uniform(0.0, 2.0))
        strike(rng.choice(nodes), rng.choice(kinds), rng.randrange(100))
    assert sim.run_until(lambda: all_connected(nodes), 300.0)
    for node in nodes:
        node.stop()  # raises if an actor or a connection is left
