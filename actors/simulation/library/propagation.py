"""Block propagation over the planet: LIP 0004's relaying with SimBlock's latencies of 2019 (regions, Pareto).

The reference is an independent simulation of the same: 20 outbound connections, every node relays to 16 peers at once,
small messages, nothing computed on the way. The region of the origin is fixed: it decides more than anything else. So
are the numbers of nodes in each region, by largest remainder: Europe has 49.98 of a hundred nodes, and half of all
nodes have a message from there either within Europe, at 40 ms, or with the first overseas, at 120 ms. Times are those
of all nodes but the origin.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.bases.sim_environment import derive_rng
from actors.bases.sim_nodes import Simulation
from actors.simulation.library.experiment import Experiment, Samples, about, register
from actors.simulation.library.gossip import Spreading
from actors.simulation.library.selection import INDEPENDENT, Overlay, drawn_overlay
from actors.transport.sim_links import SIMBLOCK_2019, Links
from core.measures.spread import nearest_rank

RELAY_TO = 16

Row = tuple[tuple[float, float], tuple[float, float]]
"""(p50 and its standard deviation in one run, p90 and its), in milliseconds."""

ROWS: dict[tuple[int, str], Row] = {
    (500, "EU"): ((120.0, 1.3), (250.8, 1.9)),
    (1000, "EU"): ((120.1, 1.4), (253.9, 2.4)),
    (1000, "NA"): ((140.3, 1.6), (263.9, 8.4)),
    (1000, "JP"): ((266.1, 1.8), (349.2, 29.9)),
    (1000, "AU"): ((308.3, 1.6), (406.5, 15.7)),
}


def quotas(count: int, shares: Sequence[float]) -> list[int]:
    """``count`` nodes by shares, as exactly as whole numbers allow: the largest remainders are rounded up."""
    total = sum(shares)
    exact = [count * share / total for share in shares]
    found = [int(value) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda index: found[index] - exact[index])
    for index in by_remainder[: count - sum(found)]:
        found[index] += 1
    return found


def place_all(sim: Simulation, count: int, region: str) -> None:
    """Put hosts n0, n1, ... into regions by quota, the first one into ``region``."""
    regions = SIMBLOCK_2019
    drawn = [name for name, many in zip(regions.names, quotas(count, regions.shares), strict=True) for _ in range(many)]
    drawn.remove(region)
    derive_rng(sim.seed, "places").shuffle(drawn)
    for number, name in enumerate([region, *drawn]):
        sim.internet.links.place(f"n{number}", name)


def percentiles(seed: int, count: int, region: str, *, limit: int = RELAY_TO) -> tuple[float, float]:
    """When half, and nine tenths, of all nodes have a message from a node in ``region``: milliseconds."""
    name = f"propagation {count} {region} {seed}"
    overlay = Overlay(count, drawn_overlay(derive_rng(name, "overlay"), count))
    with Simulation(name, links=Links(SIMBLOCK_2019)) as sim:
        place_all(sim, count, region)
        spreading = Spreading(sim, count, overlay.targets(limit))
        spreading.begin(0)
        sim.run_for(30.0)
    times = list(spreading.at.values())[1:]
    return 1000.0 * nearest_rank(times, 0.5, of=count - 1), 1000.0 * nearest_rank(times, 0.9, of=count - 1)


def _experiment(count: int, region: str, row: Row, quick_runs: int) -> Experiment:
    prefix = f"propagation-n{count}-{region.lower()}"

    def run(seed: int) -> Samples:
        p50, p90 = percentiles(seed, count, region)
        return {f"{prefix}-p50-ms": [p50], f"{prefix}-p90-ms": [p90]}

    (p50, sd50), (p90, sd90) = row
    return Experiment(
        prefix,
        f"a message from {region} among {count} nodes, SimBlock's latencies of 2019: half and nine tenths have it",
        "mind",
        run,
        (
            about(f"{prefix}-p50-ms", p50, sd50, INDEPENDENT, slack=1.0),
            about(f"{prefix}-p90-ms", p90, sd90, INDEPENDENT, slack=1.0),
        ),
        runs=30,
        quick_runs=quick_runs,
    )


for (_count, _region), _row in ROWS.items():
    register(_experiment(_count, _region, _row, quick_runs=2 if (_count, _region) == (500, "EU") else 0))
