"""Discovery where honest peers crowd in few networks: what it costs them that a draw counts groups.

60 whole nodes in 20 /16, the largest with a quarter of them, start within a minute and know one seed. Each has to find
its 8 outbound peers, of which at most 3 are in one /16, whether draws count groups (the default) or addresses (LIP
0004).
"""

from __future__ import annotations

from typing import Any

from actors.bases.sim_nodes import DEFAULT_PORT, Simulation
from actors.simulation.library.experiment import Experiment, Samples, between, exactly, register
from actors.simulation.library.gossip import constant_links
from actors.simulation.library.overlays import STILL, edges_of
from actors.simulation.library.siege import HONEST_OCTETS, gathered
from core.ids import Direction
from core.measures import graph

NODES = 60
GROUPS = 20
OUTBOUND = 8
STARTS_S = 60.0
LIMIT_S = 1800.0


def discovered(seed: int, **options: Any) -> dict[str, float]:
    """``full_s``: until every node has all its outbound peers; then ``components``, and the largest number of inbound
    connections that a node has (``inbound``)."""
    ips = gathered(HONEST_OCTETS, GROUPS, NODES)
    with Simulation(f"crowded {seed}", links=constant_links()) as sim:
        nodes = [
            sim.add_node(
                ip=ip,
                collect=(),
                seed_peers=[f"{ips[0]}:{DEFAULT_PORT}"] if number else [],
                max_outbound_connections=OUTBOUND,
                **STILL | options,
            )
            for number, ip in enumerate(ips)
        ]
        for number, node in enumerate(nodes):
            sim.at(number * STARTS_S / NODES, node.launch)
        sim.run_for(STARTS_S)

        def is_full() -> bool:
            return all(
                sum(peer.direction is Direction.OUTBOUND for peer in node.connected()) >= OUTBOUND for node in nodes
            )

        while not is_full() and sim.now < LIMIT_S:
            sim.run_for(1.0)
        edges = edges_of(nodes)
        return {
            "full_s": sim.now,
            "components": float(len(graph.components(graph.masks_of(NODES, edges)))),
            "inbound": float(max(graph.in_degrees(NODES, edges))),
        }


def _run(seed: int) -> Samples:
    by_group, by_address = discovered(seed), discovered(seed, draw_weight_per_netgroup=0)
    return {
        "crowded-full-s": [by_group["full_s"]],
        "crowded-full-later-s": [by_group["full_s"] - by_address["full_s"]],
        "crowded-components": [by_group["components"]],
        "crowded-most-inbound": [by_group["inbound"]],
    }


register(
    Experiment(
        "crowded-networks",
        "60 whole nodes in 20 /16, the largest with a quarter of them: until all have found their 8 outbound peers",
        "nodes",
        _run,
        (
            between("crowded-full-s", STARTS_S, STARTS_S + 60.0, "two rounds of asking the seed after the last start"),
            between("crowded-full-later-s", -30.0, 30.0, "no later than where addresses count, but for one such round"),
            exactly("crowded-components", 1.0, "a connected network"),
            between("crowded-most-inbound", OUTBOUND, 59.0, "of all others at most"),
        ),
        runs=5,
        quick_runs=1,
    )
)
