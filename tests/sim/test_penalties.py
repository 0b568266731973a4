"""Penalties and bans over days, with whole nodes in virtual time (LIP 0004, "Penalties and bans")."""

from __future__ import annotations

import itertools

from actors.bases.sim_nodes import SimNode, Simulation
from core import messages as m
from core.events import BanPeer, CloseInbound, PenaltyApplied, UnbanPeer
from tests.sim.conftest import MakeSimulation

DAY_S = 86_400.0


PATIENCE_S = 600.0


def host_and_fan(sim: Simulation, patience_s: float = PATIENCE_S, **options: object) -> tuple[SimNode, SimNode]:
    """A node, and one that dials it every 10 minutes; connected.

    What else happens every few seconds is of no interest here, and days of it would take minutes.
    """
    sleepy = {
        "populator_interval_s": patience_s,
        "fallback_seed_peer_discovery_interval_s": patience_s,
        "outbound_shuffle_interval_s": DAY_S,
    }
    alice = sim.add_node("alice", **sleepy, **options)
    bob = sim.add_node("bob", seed_peers=[alice.peer_id], is_honest=False, **sleepy)
    sim.start_all()
    assert sim.run_until(lambda: alice.is_connected_to(bob), 10.0)
    return alice, bob


def test_lip_after_24_hours_the_score_starts_afresh(simulate: MakeSimulation) -> None:
    sim = simulate()
    alice, bob = host_and_fan(sim)
    alice.ask(m.ApplyPenalty(0, bob.peer_id, 60, "first"))
    alice.ask(m.ApplyPenalty(0, bob.peer_id, 60, "second"))
    sim.run_for(DAY_S - 1.0)
    assert not alice.connected()
    assert sim.run_until(lambda: alice.is_connected_to(bob), PATIENCE_S + 2.0)
    (peer,) = alice.connected()
    assert peer.reputation == 100
    alice.ask(m.ApplyPenalty(0, bob.peer_id, 90, "almost"))
    sim.run_for(60.0)
    assert alice.is_connected_to(bob), "nothing of the old score is left"
    assert len(alice.told(BanPeer)) == len(alice.told(UnbanPeer)) == 1


def test_lip_a_reconnect_without_a_ban_starts_at_100_too(simulate: MakeSimulation) -> None:
    sim = simulate()
    alice, bob = host_and_fan(sim)
    alice.ask(m.ApplyPenalty(0, bob.peer_id, 99, "almost"))
    bob.stop()
    bob.start()
    assert sim.run_until(lambda: alice.is_connected_to(bob), 10.0)
    assert [peer.reputation for peer in alice.connected()] == [100]


def test_a_second_offence_after_a_ban_is_a_second_ban_of_24_hours(simulate: MakeSimulation) -> None:
    sim = simulate()
    alice, bob = host_and_fan(sim)
    for offence in range(3):
        assert sim.run_until(lambda: alice.is_connected_to(bob), DAY_S + PATIENCE_S)
        alice.ask(m.ApplyPenalty(0, bob.peer_id, 100, f"offence {offence}"))
        sim.run_for(1.0)
    times = [at for at, event in alice.events if isinstance(event, BanPeer)]
    assert len(times) == 3
    assert all(DAY_S <= later - earlier <= DAY_S + PATIENCE_S + 2.0 for earlier, later in itertools.pairwise(times))


def test_a_ban_of_40_days_lasts_40_days(simulate: MakeSimulation) -> None:
    """Defect 20 of lisk-p2p: more than 2^31 - 1 ms overflow its timer, and the ban lasts 1 ms."""
    sim = simulate()
    alice, bob = host_and_fan(sim, patience_s=DAY_S / 2, peer_ban_time_s=40 * DAY_S)
    alice.ask(m.ApplyPenalty(0, bob.peer_id, 100, "spam"))
    sim.run_for(40 * DAY_S - 60.0)
    assert not alice.connected()
    assert not alice.told(UnbanPeer)
    sim.run_for(61.0)
    assert len(alice.told(UnbanPeer)) == 1
    assert sim.run_until(lambda: alice.is_connected_to(bob), DAY_S)


def test_lip_a_banned_peer_is_not_dialled_and_is_forgotten(simulate: MakeSimulation) -> None:
    sim = simulate()
    bob = sim.add_node("bob", is_honest=False)
    alice = sim.add_node("alice", previous_peers=[bob.peer_id])
    sim.start_all()
    assert sim.run_until(lambda: alice.is_connected_to(bob), 20.0)
    assert bob.endpoint in alice.known()
    alice.ask(m.ApplyPenalty(0, bob.peer_id, 100, "spam"))
    sim.run_for(3600.0)
    assert bob.endpoint not in alice.known()
    assert not alice.connected()


def test_lip_a_dry_run_of_a_day_bans_nobody(simulate: MakeSimulation) -> None:
    sim = simulate()
    alice, bob = host_and_fan(sim, ban_mode="dry-run")
    for _ in range(3):
        alice.ask(m.ApplyPenalty(0, bob.peer_id, 100, "spam"))
        sim.run_for(3600.0)
    assert [event.dry_run for event in alice.told(BanPeer)] == [True]
    assert [event.dry_run for event in alice.told(PenaltyApplied)] == [True] * 3
    assert not alice.told(CloseInbound)
    assert alice.is_connected_to(bob)


def test_lip_honest_nodes_lose_no_points(simulate: MakeSimulation) -> None:
    """Node infos, pings, repeated getPeers: what our own nodes do is within the limits of each other."""
    sim = simulate()
    hub = sim.add_node("hub", ban_mode="dry-run")
    nodes = [hub, *sim.add_nodes(5, seed_peers=[hub.peer_id], ban_mode="dry-run")]
    sim.start_all()
    sim.run_for(900.0)
    assert all(node.connected() for node in nodes)
    assert [node.told(PenaltyApplied) for node in nodes] == [[]] * len(nodes)
