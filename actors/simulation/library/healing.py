"""A partition that heals by shuffling alone: how the connections across grow again, and when messages get across.

Two sides of 50 whole nodes that know each other are cut apart; every slot is filled again with nodes of the own side.
After the cut nobody has a free slot, so that nothing but shuffling makes connections across: their share follows
:func:`core.theory.overlay.cross_share`, and within one interval there are enough of them for every message.
"""

from __future__ import annotations

from actors.bases.sim_node import SimNode
from actors.bases.sim_nodes import Simulation
from actors.simulation.library.experiment import Expected, Experiment, Samples, about, exactly, register
from actors.simulation.library.gossip import constant_links
from actors.simulation.library.overlays import STILL, Relaying, acquaintances, edges_of
from core.theory import overlay

SIDE = 50
OUTBOUND = 8
INTERVAL_S = 300.0
SHUFFLING = STILL | {"outbound_shuffle_interval_s": INTERVAL_S}
CUT_S = 240.0
AFTER = (1, 3, 6, 12)
"""Intervals after the cut at which one looks."""


def crossing(nodes: list[SimNode]) -> float:
    """The share of outbound connections that cross."""
    edges = edges_of(nodes)
    return sum((one < SIDE) != (other < SIDE) for one, other in edges) / len(edges)


def _run(seed: int) -> Samples:
    with Simulation(f"healing {seed}", links=constant_links()) as sim:
        nodes = acquaintances(sim, 2 * SIDE, max_outbound_connections=OUTBOUND, **SHUFFLING)
        relaying = Relaying(nodes)
        sim.start_all()
        sim.run_for(45.0)
        sim.partition(nodes[:SIDE], nodes[SIDE:], reset=True)
        sim.run_for(CUT_S)
        found = {"healing-cross-share-cut": [crossing(nodes)], "healing-reach-cut": [_reach(relaying, nodes, b"cut")]}
        sim.heal()
        for done, intervals in zip((0, *AFTER), AFTER, strict=False):
            sim.run_for((intervals - done) * INTERVAL_S)
            found[f"healing-cross-share-{intervals}"] = [crossing(nodes)]
            if intervals == 1:
                found["healing-reach-1"] = [_reach(relaying, nodes, b"healed")]
    return found


def _reach(relaying: Relaying, nodes: list[SimNode], name: bytes) -> float:
    relaying.publish(nodes[0], name)
    nodes[0].sim.run_for(5.0)
    return len(relaying.reached[name]) / len(nodes)


def _expected() -> tuple[Expected, ...]:
    shares = []
    for intervals in AFTER:
        share = overlay.cross_share(SIDE, OUTBOUND, intervals)
        # Connections are drawn nearly independently of each other.
        sd = (share * (1.0 - share) / (2 * SIDE * OUTBOUND)) ** 0.5
        law = f"mean field, {intervals} replacements of each node; in a large network (1 - exp(-k/8)) / 2"
        shares.append(about(f"healing-cross-share-{intervals}", share, sd, law, slack=0.01))
    return (
        exactly("healing-cross-share-cut", 0.0, "nothing crosses a cut"),
        exactly("healing-reach-cut", 0.5, "one side of two"),
        *shares,
        about("healing-reach-1", 1.0, 0.0, "16 of 16 connections: a connected graph", slack=1e-9),
    )


register(
    Experiment(
        "partition-and-heal",
        "two sides of 50 whole nodes after a cut, by shuffling alone: share of connections that cross; reach",
        "nodes",
        _run,
        _expected(),
        runs=4,
        quick_runs=0,
    )
)
