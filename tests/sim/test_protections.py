"""Feelers and anchors in whole networks, in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from actors.bases.sim_nodes import SimNode, Simulation
from actors.peer_book import PeerBook
from core import messages as m
from core.events import ConnectOutbound
from core.ids import Direction, Endpoint
from tests.sim.conftest import MakeSimulation

FEELING_S = 1800.0
OFTEN = {"feeler_interval_s": 30.0}
STEADY = {"outbound_shuffle_interval_s": 1e6}
"""No shuffling: whoever is dialled beyond the slots is dialled by a feeler."""


def network(sim: Simulation, count: int, **options: Any) -> tuple[SimNode, list[SimNode]]:
    """``count`` nodes around a hub, and alice, who has two outbound slots and lets nobody in."""
    hub = sim.add_node("hub", **STEADY)
    others = sim.add_nodes(count - 1, seed_peers=[hub.peer_id], **STEADY)
    alice = sim.add_node(
        "alice",
        seed_peers=[hub.peer_id],
        max_outbound_connections=2,
        max_inbound_connections=0,
        **{**STEADY, **options},
    )
    for node in (hub, *others):
        node.start()
    sim.run_for(60.0)
    alice.start()
    sim.run_for(60.0)
    assert len(outbound(alice)) == 2
    return alice, [hub, *others]


def outbound(node: SimNode) -> set[Endpoint]:
    return {peer.endpoint for peer in node.connected() if peer.direction is Direction.OUTBOUND}


def tried(node: SimNode) -> set[Endpoint]:
    book: PeerBook = node.child(PeerBook)
    return {entry.endpoint for entry in book.book.tried()}


def test_feelers_prove_every_living_address_and_clear_out_the_dead(simulate: MakeSimulation) -> None:
    sim = simulate()
    alice, others = network(sim, 10, **OFTEN)
    connected = outbound(alice)
    dead = next(node for node in others if node.endpoint in alice.known() and node.endpoint not in tried(alice))
    dead.stop()
    sim.run_for(FEELING_S)
    assert tried(alice) == {node.endpoint for node in others} - {dead.endpoint}
    assert dead.endpoint not in alice.known()
    assert outbound(alice) == connected, "nobody lost his slot for it"
    assert {event.peer.endpoint for event in alice.told(ConnectOutbound)} <= connected | {others[0].endpoint}


def test_without_feelers_tried_has_whoever_was_connected(simulate: MakeSimulation) -> None:
    sim = simulate()
    alice, others = network(sim, 10, feeler_interval_s=0)
    sim.run_for(FEELING_S)
    assert tried(alice) == outbound(alice) | {others[0].endpoint}


@pytest.mark.parametrize("end", ["stop", "crash"])
def test_the_two_oldest_connections_outlast_a_restart(simulate: MakeSimulation, end: str) -> None:
    """Bitcoin Core PR #17428: an eclipse by restart needs both anchors. A chance restart would be 1 in 45."""
    sim = simulate()
    alice, _ = network(sim, 10, data_dir="alice's", storage_interval_s=60.0)
    sim.run_for(600.0)
    before = outbound(alice)
    getattr(alice, end)()
    sim.run_for(120.0)
    alice.start()
    sim.run_for(30.0)
    assert outbound(alice) == before
    for endpoint in before:
        story = alice.ask(m.Explain(0, endpoint.peer_id)).decisions
        assert [made.rule for made in story if made.decision.value == "dialled"] == ["anchor"]


def test_anchors_that_have_gone_are_replaced(simulate: MakeSimulation) -> None:
    sim = simulate()
    alice, others = network(sim, 10, data_dir="alice's")
    sim.run_for(600.0)
    before = outbound(alice)
    alice.stop()
    for node in others:
        if node.endpoint in before:
            node.stop()
    alice.start()
    assert sim.run_until(lambda: len(outbound(alice)) == 2, 300.0)
    assert not outbound(alice) & before
