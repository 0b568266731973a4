"""Slots over time, with the actors themselves: filling, refilling, shuffling, redialling, evicting, pricing packets."""

from __future__ import annotations

from collections import Counter

from actors.bases.sim_nodes import SimNode, Simulation
from core.events import BanPeer, CloseInbound, CloseOutbound, ConnectOutbound, PenaltyApplied
from core.ids import CloseCode, Direction, Endpoint
from core.netgroup import net_group
from tests.sim.conftest import MakeSimulation

NO_FEELERS = {"feeler_interval_s": 0}


def outbound(node: SimNode) -> set[Endpoint]:
    return {peer.endpoint for peer in node.connected() if peer.direction is Direction.OUTBOUND}


def inbound(node: SimNode) -> set[Endpoint]:
    return {peer.endpoint for peer in node.connected() if peer.direction is Direction.INBOUND}


def alice_among(sim: Simulation, count: int, **options: object) -> tuple[SimNode, list[SimNode]]:
    """``count`` nodes that know each other, and alice, who starts when they do and lets nobody in."""
    hub = sim.add_node("hub", **NO_FEELERS)
    others = [hub, *sim.add_nodes(count - 1, seed_peers=[hub.peer_id], **NO_FEELERS)]
    for node in others:
        node.start()
    sim.run_for(60.0)
    alice = sim.add_node("alice", seed_peers=[hub.peer_id], max_inbound_connections=0, **NO_FEELERS, **options)
    alice.start()
    sim.run_for(60.0)
    return alice, others


def test_lip_a_lost_outbound_connection_is_replaced_at_once(simulate: MakeSimulation) -> None:
    """LIP 0004, Connections: closed by the other side: pick another peer."""
    sim = simulate()
    alice, others = alice_among(sim, 8, max_outbound_connections=3)
    gone = next(node for node in others if node.endpoint in outbound(alice))
    gone.stop()
    assert sim.run_until(lambda: len(outbound(alice) - {gone.endpoint}) == 3, 2.0), (
        "long before the next populator tick"
    )


def test_lip_one_outbound_connection_is_shuffled_in_every_5_minutes_at_a_random_moment(
    simulate: MakeSimulation,
) -> None:
    """LIP 0004, Connections: shuffling."""
    sim = simulate()
    alice, _ = alice_among(sim, 5, max_outbound_connections=2)
    started = sim.now - 60.0
    shuffled: list[float] = []
    for _ in range(300):
        sim.run_for(10.0)
        closes = [event for event in alice.told(CloseOutbound) if event.code == CloseCode.EVICTED]
        shuffled += [sim.now - started] * (len(closes) - len(shuffled))
    per_interval = Counter(int(moment // 300.0) for moment in shuffled)
    assert set(per_interval.values()) <= {1, 2}  # noticed up to 10 s late, perhaps in the next interval
    assert 9 <= len(shuffled) <= 11
    assert len({round(moment % 300.0, -1) for moment in shuffled}) > 4, "not at a fixed tick"
    assert len(outbound(alice)) == 2


def test_lip_a_fixed_peer_is_redialled_for_ever_never_more_than_a_minute_apart(simulate: MakeSimulation) -> None:
    """LIP 0004, Static lists: fixed peers."""
    sim = simulate()
    bob = sim.add_node("bob", **NO_FEELERS)
    alice = sim.add_node("alice", fixed_peers=[bob.peer_id], **NO_FEELERS)
    sim.start_all()
    assert sim.run_until(lambda: alice.is_connected_to(bob), 10.0)
    bob.stop()
    sim.run_for(6 * 3600.0)
    assert not alice.connected()
    bob.start()
    assert sim.run_until(lambda: alice.is_connected_to(bob), 61.0)


def test_lip_seeds_are_asked_again_while_slots_are_free(simulate: MakeSimulation) -> None:
    """LIP 0004, Start-up and discovery: too few outbound connections after 30 s: ask the seeds again."""
    sim = simulate()
    hub = sim.add_node("hub", **NO_FEELERS)
    alice = sim.add_node("alice", seed_peers=[hub.peer_id], **NO_FEELERS)
    alice.start()
    sim.run_for(300.0)
    assert alice.told(ConnectOutbound) == []
    hub.start()
    assert sim.run_until(lambda: alice.is_connected_to(hub), 31.0)


def test_lip_no_more_than_3_outbound_connections_go_to_one_net_group(simulate: MakeSimulation) -> None:
    """LIP 0004, Connections: outbound per network group."""
    sim = simulate()
    same_group = [sim.add_node(f"same{number}", ip=f"60.1.0.{number}", **NO_FEELERS) for number in range(1, 9)]
    elsewhere = sim.add_node("elsewhere", ip="70.2.0.1", **NO_FEELERS)
    known = [node.peer_id for node in (*same_group, elsewhere)]
    alice = sim.add_node("alice", ip="80.3.0.1", previous_peers=known, **NO_FEELERS)
    sim.start_all()
    sim.run_for(120.0)
    groups = Counter(net_group(endpoint.ip) for endpoint in outbound(alice))
    assert sorted(groups.values()) == [1, 3]


def test_lip_a_full_node_evicts_one_of_a_flood_and_lets_the_newcomer_in(simulate: MakeSimulation) -> None:
    """LIP 0004, Inbound eviction; the victim is the youngest of the largest net group."""
    sim = simulate()
    hub = sim.add_node("hub", ip="50.0.0.1", max_inbound_connections=6, max_outbound_connections=0, **NO_FEELERS)
    honest = [sim.add_node(f"honest{n}", ip=f"6{n}.1.0.1", fixed_peers=[hub.peer_id], **NO_FEELERS) for n in range(3)]
    hub.start()
    for node in honest:
        node.start()
        sim.run_for(60.0)
    flood = [sim.add_node(f"flood{n}", ip=f"90.9.0.{n + 1}", fixed_peers=[hub.peer_id], **NO_FEELERS) for n in range(5)]
    for node in flood:
        node.start()
        sim.run_for(5.0)
    assert {node.endpoint for node in honest} <= inbound(hub)
    assert len(inbound(hub)) == 6
    evicted = {event.peer.endpoint for event in hub.told(CloseInbound) if event.code == CloseCode.EVICTED}
    assert evicted
    assert evicted <= {node.endpoint for node in flood}


def test_a_burst_above_the_packet_rate_is_priced_once_at_the_end_of_its_second(simulate: MakeSimulation) -> None:
    """350 packets in a second cost 30, as measured on lisk-p2p; 1,100 are a ban."""
    sim = simulate()
    hub = sim.add_node("hub", **NO_FEELERS)
    chatty = sim.add_node("chatty", seed_peers=[hub.peer_id], is_honest=False, **NO_FEELERS)
    sim.start_all()
    assert sim.run_until(lambda: hub.is_connected_to(chatty), 10.0)
    sim.run_for(5.0)
    for _ in range(349):
        chatty.broadcast("chat", b"")
    sim.run_for(3.0)
    assert [event.penalty for event in hub.told(PenaltyApplied)] == [30]
    for _ in range(1100):
        chatty.broadcast("chat", b"")
    sim.run_for(3.0)
    assert [event.ip_address for event in hub.told(BanPeer)] == [chatty.endpoint.ip]
