"""One-way cuts, lost connections, frozen nodes, slow readers, wrong clocks, orderly leaving, churn."""

from __future__ import annotations

import pytest

from actors.bases.sim_churn import Churn, Leave
from actors.bases.sim_nodes import SimNode, Simulation
from actors.transport.sim_links import SIMBLOCK_2019, Constant, Exponential, Links
from core import messages as m
from core.events import CloseInbound, CloseOutbound, MessageReceived
from core.ids import PeerId
from tests.sim.conftest import MakeSimulation, connected_pair, one_seed_network

Pair = tuple[Simulation, SimNode, SimNode]


@pytest.fixture
def lisk_pair(simulate: MakeSimulation) -> Pair:
    """Two nodes that speak lisk-p2p's dialect: it asks for signs of life every 8 s, and sends payloads in base64."""
    return connected_pair(simulate(), network={"native": False})


def received(node: SimNode) -> int:
    return len(node.told(MessageReceived))


def test_a_one_way_cut_holds_back_one_direction(pair: Pair) -> None:
    sim, alice, bob = pair
    cut = sim.cut([alice], [bob], one_way=True)
    alice.broadcast("held", b"")
    bob.broadcast("through", b"")
    sim.run_for(2.0)
    assert (received(alice), received(bob)) == (1, 0)
    sim.heal(cut)
    sim.run_for(2.0)
    assert (received(alice), received(bob)) == (1, 1)


def test_room_is_not_reported_over_a_cut(simulate: MakeSimulation) -> None:
    """The writer's messages arrive, and what its reader has read is not heard of until the way back is healed."""
    sim, alice, bob = connected_pair(simulate(links=Links(Constant(0.01), buffer_bytes=20_000)))
    cut = sim.cut([bob], [alice], one_way=True)
    for _ in range(10):
        alice.broadcast("big", bytes(6_000))
        sim.run_for(0.1)
    assert 0 < received(bob) < 10
    sim.heal(cut)
    sim.run_for(2.0)
    assert received(bob) == 10


def test_a_clogged_link_heals_by_itself(pair: Pair) -> None:
    sim, alice, bob = pair
    sim.cut([alice], for_s=5.0)
    alice.broadcast("late", b"")
    sim.run_for(4.9)
    assert received(bob) == 0
    sim.run_for(0.5)
    assert received(bob) == 1
    assert alice.is_connected_to(bob)


def test_a_cut_with_reset_ends_connections(pair: Pair) -> None:
    sim, alice, bob = pair
    sim.cut([alice], [bob], one_way=True, reset=True)
    sim.run_for(0.1)
    assert [len(node.connected()) for node in (alice, bob)] == [0, 0]


def test_connections_are_lost_at_a_rate_and_made_again(simulate: MakeSimulation) -> None:
    sim, alice, bob = connected_pair(simulate(links=Links(lost_per_s=1 / 20.0)))
    sim.run_for(600.0)
    lost = [closed.code for closed in [*bob.told(CloseOutbound), *bob.told(CloseInbound)]]
    assert lost.count(1006) >= 8, "600 s and a mean life of 20 s, new dials apart"
    assert sim.run_until(lambda: alice.is_connected_to(bob), 60.0)


def test_a_frozen_node_handles_what_came_meanwhile_when_it_thaws(pair: Pair) -> None:
    sim, alice, bob = pair
    bob.freeze(for_s=5.0)
    assert bob.is_frozen
    alice.broadcast("hello", b"")
    sim.run_for(4.9)
    assert received(bob) == 0
    sim.run_for(0.2)
    assert not bob.is_frozen
    assert received(bob) == 1
    assert alice.is_connected_to(bob)


def test_a_node_that_stays_frozen_is_given_up(lisk_pair: Pair) -> None:
    sim, alice, bob = lisk_pair
    bob.freeze()
    assert sim.run_until(lambda: not alice.connected(), 30.0)
    bob.thaw()
    bob.thaw()
    assert sim.run_until(lambda: alice.is_connected_to(bob), 60.0)


def test_the_end_of_a_freeze_does_not_end_a_later_one(pair: Pair) -> None:
    sim, _, bob = pair
    bob.freeze(for_s=2.0)
    bob.thaw()
    bob.freeze(for_s=5.0)
    sim.run_for(4.0)
    assert bob.is_frozen
    sim.run_for(2.0)
    assert not bob.is_frozen


def test_a_frozen_node_can_crash_and_start_again(pair: Pair) -> None:
    sim, alice, bob = pair
    bob.freeze()
    alice.broadcast("lost", b"")
    sim.run_for(1.0)
    bob.crash()
    assert not bob.is_frozen
    bob.start()
    assert sim.run_until(lambda: alice.is_connected_to(bob), 60.0)
    assert received(bob) == 0


def test_a_slow_reader_slows_the_writer_down(lisk_pair: Pair) -> None:
    sim, alice, bob = lisk_pair
    bob.read_slowly(10_000.0)
    alice.broadcast("long", bytes(45_000))  # 60,000 bytes in base64
    sim.run_for(5.0)
    assert received(bob) == 0
    sim.run_for(2.0)
    assert received(bob) == 1
    bob.read_slowly(None)
    alice.broadcast("long", bytes(45_000))
    sim.run_for(0.2)
    assert received(bob) == 2


def test_a_reader_that_is_too_slow_is_dropped(lisk_pair: Pair) -> None:
    sim, alice, bob = lisk_pair
    bob.read_slowly(10.0)
    for _ in range(5):
        alice.broadcast("much", bytes(2_000_000))
    assert sim.run_until(lambda: not alice.connected(), 30.0)


def test_a_slow_reader_whose_connection_is_reset_hears_of_it_at_once(pair: Pair) -> None:
    sim, alice, bob = pair
    bob.read_slowly(10.0)
    alice.broadcast("much", bytes(20_000))
    sim.run_for(1.0)
    alice.crash()
    sim.run_for(1.0)
    assert not bob.connected()


def test_a_reading_rate_is_a_rate(pair: Pair) -> None:
    _, _, bob = pair
    with pytest.raises(ValueError, match="bytes_per_s"):
        bob.read_slowly(0.0)


def test_a_clock_that_is_set_forward_ends_bans_early_and_disturbs_no_connection(pair: Pair) -> None:
    sim, alice, bob = pair
    alice.ask(m.BanAddress(0, "9.9.9.9", PeerId("9.9.9.9:1"), "a test", 3600.0))
    alice.step_clock(3000.0)
    assert alice.clock_offset_s == 3000.0
    sim.run_for(599.0)
    assert alice.ask(m.GetBans(0)).bans
    sim.run_for(2.0)
    assert not alice.ask(m.GetBans(0)).bans
    assert alice.is_connected_to(bob)


def test_a_node_leaves_in_order_from_a_scheduled_call(pair: Pair) -> None:
    sim, alice, bob = pair
    sim.at(sim.now + 1.0, bob.shut_down)
    sim.run_for(3.0)
    assert not bob.is_running
    assert not bob.is_stopping
    assert [closed.code for closed in alice.told(CloseInbound)] == [1000]
    bob.start()
    assert sim.run_until(lambda: alice.is_connected_to(bob), 60.0)


@pytest.mark.parametrize("leave", Leave)
def test_churn_keeps_a_network_going(simulate: MakeSimulation, leave: Leave) -> None:
    sim = simulate(links=Links(SIMBLOCK_2019))
    hub, *others = one_seed_network(sim, 6)
    sim.start_all()
    churn = Churn(sim, others, session=Exponential(60.0), absence=Exponential(20.0), leave=leave)
    sim.run_for(300.0)
    # 5 nodes and about 3.75 rounds each: fewer than 8 departures happen once in a thousand runs.
    assert churn.departures >= 8
    assert churn.departures - churn.arrivals <= 5
    churn.stop()
    sim.run_for(90.0)
    for node in others:
        if not node.is_running:
            node.start()
    assert sim.run_until(lambda: all(node.is_connected_to(hub) for node in others), 120.0)


@pytest.mark.parametrize("keep", [True, False])
def test_who_comes_back_has_its_storage_or_not(simulate: MakeSimulation, keep: bool) -> None:
    sim = simulate()
    hub = sim.add_node("hub")
    node = sim.add_node("node", data_dir="here", storage_interval_s=5.0, previous_peers=[hub.peer_id])
    sim.start_all()
    node.ask(m.BanAddress(0, "9.9.9.9", PeerId("9.9.9.9:1"), "a test", 3600.0))
    sim.run_for(10.0)
    Churn(sim, [node], session=Constant(1.0), absence=Constant(4.0), leave=Leave.CRASH, keep_storage=keep)
    sim.run_for(5.5)
    assert node.is_running
    assert len(node.ask(m.GetBans(0)).bans) == keep
