"""Crashes, power cuts, partitions and unkind message passing."""

from __future__ import annotations

import pytest

from actors.bases.sim_cell import Reordering
from actors.bases.sim_nodes import SimNode, Simulation
from core import messages as m
from core.events import CloseInbound, CloseOutbound, MessageReceived
from core.ids import PeerId
from tests.sim.conftest import MakeSimulation, all_connected, connected_pair, one_seed_network

Pair = tuple[Simulation, SimNode, SimNode]
DIALECTS = {"lisk-0.10": {"network": {"native": False}}, "native": {}}
BOTH_DIALECTS = pytest.mark.parametrize("dialect", DIALECTS)

ENDING_S = 2.0 + 0.1
"""The wait for an answer to the close frame, and a little for what was under way."""

OPENER_NOTICES_S = {"lisk-0.10": 20.0 + ENDING_S, "native": 120.0 + 20.0 + ENDING_S}
"""After how long a listener is given up that says nothing: the keep-alive time-out; in native the longest interval of
pings before it."""

LISTENER_NOTICES_S = {"lisk-0.10": 20.0 + ENDING_S, "native": 120.0 + 10.0 + ENDING_S}
"""After how long an opener is given up: the keep-alive time-out; in native a ping, and the time to answer it."""


def test_a_crash_is_noticed_by_the_reset(pair: Pair) -> None:
    sim, alice, bob = pair
    alice.crash()
    assert sim.run_until(lambda: not bob.connected(), 1.0)
    assert [closed.code for closed in bob.told(CloseOutbound)] == [1006]
    assert not alice.connected()


@BOTH_DIALECTS
def test_a_power_cut_is_noticed_by_the_opener_s_keep_alive(simulate: MakeSimulation, dialect: str) -> None:
    sim, alice, bob = connected_pair(simulate(), **DIALECTS[dialect])
    sim.run_for(60.0)
    alice.crash(silent=True)
    began = sim.now
    assert sim.run_until(lambda: not bob.connected(), 160.0)
    assert 10.0 < sim.now - began <= OPENER_NOTICES_S[dialect]
    assert [closed.code for closed in bob.told(CloseOutbound)] == [4000]


@BOTH_DIALECTS
def test_a_power_cut_is_noticed_by_the_listener_s_keep_alive(simulate: MakeSimulation, dialect: str) -> None:
    sim, alice, bob = connected_pair(simulate(), **DIALECTS[dialect])
    sim.run_for(60.0)
    bob.crash(silent=True)
    began = sim.now
    assert sim.run_until(lambda: not alice.connected(), 160.0)
    assert 10.0 < sim.now - began <= LISTENER_NOTICES_S[dialect]
    assert [closed.code for closed in alice.told(CloseInbound)] == [4001]


def test_a_node_comes_back_from_a_power_cut(pair: Pair) -> None:
    sim, alice, bob = pair
    alice.crash(silent=True)
    sim.run_for(5.0)
    alice.start()
    # What bob still sends over the old connection is answered by a reset.
    assert sim.run_until(lambda: bob.is_connected_to(alice) and alice.is_connected_to(bob), 61.0)


@pytest.mark.parametrize("end", ["stop", "crash"])
def test_a_node_comes_back_with_what_it_had_written(simulate: MakeSimulation, end: str) -> None:
    sim = simulate()
    alice = sim.add_node("alice", data_dir="alice's", storage_interval_s=60.0)
    bob = sim.add_node("bob", seed_peers=[alice.peer_id])
    sim.start_all()
    sim.run_for(70.0)
    alice.ask(m.BanAddress(0, "9.9.9.9", PeerId("9.9.9.9:1"), "a test", 3600.0))
    banned_at = sim.now
    sim.run_for(70.0)
    getattr(alice, end)()
    sim.run_for(1000.0)
    alice.start()
    assert bob.endpoint in alice.known()
    (ban,) = alice.ask(m.GetBans(0)).bans
    assert (ban.ip, ban.until) == ("9.9.9.9", sim.base.wall_start + banned_at + 3600.0)
    sim.run_for(3600.0 - (sim.now - banned_at) - 1.0)
    assert alice.ask(m.GetBans(0)).bans
    sim.run_for(2.0)
    assert not alice.ask(m.GetBans(0)).bans


@BOTH_DIALECTS
def test_a_partition_is_noticed_by_keep_alive_and_healed(simulate: MakeSimulation, dialect: str) -> None:
    sim = simulate()
    nodes = one_seed_network(sim, 6, **DIALECTS[dialect])
    sim.start_all()
    assert sim.run_until(lambda: all_connected(nodes), 60.0)
    left, right = nodes[:3], nodes[3:]

    def is_split() -> bool:
        return all(len(node.connected()) == 2 for node in nodes)

    sim.run_for(60.0)
    sim.partition(left, right)
    began = sim.now
    assert sim.run_until(is_split, 160.0)
    assert 10.0 < sim.now - began <= OPENER_NOTICES_S[dialect]
    assert all(node.is_connected_to(other) for node in right for other in right if other is not node)
    sim.run_for(300.0)
    assert is_split()
    sim.heal()
    assert sim.run_until(lambda: all_connected(nodes), 600.0)


def test_a_partition_that_resets_is_noticed_at_once(pair: Pair) -> None:
    sim, alice, bob = pair
    sim.partition([alice], [bob], reset=True)
    assert sim.run_until(lambda: not alice.connected() and not bob.connected(), 0.0)
    sim.run_for(60.0)
    assert not alice.connected()
    sim.heal()
    assert sim.run_until(lambda: alice.is_connected_to(bob), 61.0)


def test_what_a_short_partition_held_arrives_in_order(pair: Pair) -> None:
    sim, alice, bob = pair
    sim.partition([alice])
    for number in range(20):
        bob.send("count", bytes([number]), alice.peer_id)
        sim.run_for(0.1)
    assert not alice.told(MessageReceived)
    sim.heal()
    sim.run_for(0.051)
    assert [event.data for event in alice.told(MessageReceived)] == [bytes([number]) for number in range(20)]
    sim.run_for(60.0)
    assert alice.is_connected_to(bob)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("break_pair_order", [False, True])
def test_the_actors_bear_unkind_message_passing(simulate: MakeSimulation, seed: int, break_pair_order: bool) -> None:
    """Messages of different actors overtake each other, and in the worse case those of one pair do.

    The delays (up to 20 ms) make handshakes, closes and shuffles meet in the middle.
    """
    sim = simulate(seed, reordering=Reordering(0.02, break_pair_order))
    nodes = one_seed_network(sim, 6, outbound_shuffle_interval_s=20.0)
    sim.start_all()
    assert sim.run_until(lambda: all_connected(nodes), 60.0)
    nodes[2].crash()
    sim.run_for(60.0)
    nodes[2].start()
    nodes[3].stop()
    nodes[3].start()
    assert sim.run_until(lambda: all_connected(nodes), 120.0)
    _, alice, bob = connected_pair(sim)
    alice.answerers["echo"] = lambda request: request.data
    for number in range(30):
        assert bob.request("echo", bytes([number]), alice.peer_id).data == bytes([number])
    for node in sim.nodes.values():
        node.stop()  # raises if an actor or a connection is left
    assert not sim.base.cells
