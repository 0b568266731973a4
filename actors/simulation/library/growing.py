"""A network that grows node by node, and what shuffling makes of it.

Node t joins when t - 1 others are there, knows all of them, and opens 20 connections (or one to each, while they are
fewer). The oldest nodes get most inbound connections: 20 ln(n / t) in the mean, and exactly by the law of
:func:`core.theory.overlay.in_degree_of_joiners`. Then all know all, and shuffling goes on for an hour: what the oldest
have beyond the mean has to decay.
"""

from __future__ import annotations

from actors.bases.sim_nodes import DEFAULT_PORT, Simulation, default_ip
from actors.simulation.library.experiment import Expected, Experiment, Samples, about, register
from actors.simulation.library.gossip import constant_links
from actors.simulation.library.overlays import STILL, edges_of
from core.ids import Endpoint
from core.measures import graph
from core.theory import overlay

NODES = 100
OUTBOUND = 20
BLOCK = 20
"""Joiners are looked at by the score: the first twenty, the next twenty, ..."""
SHUFFLED_S = 3600.0
INTERVAL_S = 300.0


def in_degrees(seed: int, shuffled_s: float = 0.0, nodes: int = NODES) -> tuple[list[int], list[int]]:
    """Inbound connections of each node in order of joining: when all have joined, and after so long a time of
    shuffling."""
    everybody = [Endpoint(default_ip(number), DEFAULT_PORT) for number in range(nodes)]
    options = STILL | {"outbound_shuffle_interval_s": INTERVAL_S if shuffled_s else 1e6}
    with Simulation(f"growing {seed}", links=constant_links()) as sim:
        joined = []
        for number, own in enumerate(everybody):
            node = sim.add_node(
                ip=own.ip,
                collect=(),
                previous_peers=everybody[:number],
                max_outbound_connections=min(OUTBOUND, number),
                **options,
            )
            joined.append(node)
            node.start()
            sim.run_for(1.0)
        grown = graph.in_degrees(nodes, edges_of(joined))
        sim.run_for(shuffled_s)
        return grown, graph.in_degrees(nodes, edges_of(joined))


def _run(seed: int) -> Samples:
    grown, shuffled = in_degrees(seed, SHUFFLED_S)
    found: dict[str, list[float]] = {
        f"growing-in-degree-{first + 1}-{first + BLOCK}": [sum(grown[first : first + BLOCK]) / BLOCK]
        for first in range(0, NODES, BLOCK)
    }
    mean = sum(grown) / NODES
    found["growing-in-degree-sd"] = [graph.deviation(grown)]
    oldest = sum(grown[:BLOCK]) / BLOCK - mean, sum(shuffled[:BLOCK]) / BLOCK - sum(shuffled) / NODES
    found["growing-excess-left"] = [oldest[1] / oldest[0]]
    return found


def _expected() -> tuple[Expected, ...]:
    blocks = []
    for first in range(0, NODES, BLOCK):
        mean, sd = overlay.in_degree_of_joiners(range(first + 1, first + BLOCK + 1), NODES, OUTBOUND)
        name = f"growing-in-degree-{first + 1}-{first + BLOCK}"
        blocks.append(about(name, mean / BLOCK, sd / BLOCK, "exact law of a growing network; about 20 ln(n/t)"))
    return (
        *blocks,
        about(
            "growing-excess-left",
            overlay.excess_left(NODES, OUTBOUND, SHUFFLED_S / INTERVAL_S),
            0.05,
            "mean field: exp(-k (1/20 + 1/59)) after k = 12 replacements",
            slack=0.03,
        ),
    )


register(
    Experiment(
        "growing-network",
        "100 whole nodes join one by one: inbound connections by age, and what an hour of shuffling leaves of them",
        "nodes",
        _run,
        _expected(),
        runs=4,
        quick_runs=0,
    )
)
