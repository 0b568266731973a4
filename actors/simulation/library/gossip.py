"""Push gossip to uniform targets, against its exact law: datagrams over the simulator's links.

Nothing of a node takes part: 1,000 nodes cannot have 499,500 connections. What is tested is what every other result
rests on: the event heap, the seeded streams of many hosts, latencies. :mod:`.overlays` does the same with whole nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from actors.bases.sim_nodes import Simulation
from actors.simulation.library.experiment import Experiment, Samples, about, register
from actors.transport.sim_links import Links
from core.measures.spread import hops, mean
from core.theory.gossip import push_law

LATENCY_S = 0.05
FANOUTS = (2, 4, 8)

Targets = Callable[[int, Random], Sequence[int]]
"""Whom a node passes a message on to."""


class Spreading:
    """One message among ``count`` hosts that pass it on once, when they first hear of it.

    ``targets``: whom to, by each host's own stream. ``dead``: hosts that hear nothing. ``at``: who has heard, and when;
    ``source``: from whom.
    """

    def __init__(self, sim: Simulation, count: int, targets: Targets, dead: frozenset[int] = frozenset()) -> None:
        self._sim = sim
        self._targets = targets
        self._dead = dead
        self._names = [f"n{number}" for number in range(count)]
        self._rngs = [sim.base.make_environment(name).rng("relay") for name in self._names]
        self.at: dict[int, float] = {}
        self.source: dict[int, int] = {}
        self.sends = 0

    def begin(self, origin: int) -> None:
        """The origin hears of it now, from nobody."""
        self._hear(origin, None)

    def _hear(self, node: int, source: int | None) -> None:
        if node in self.at or node in self._dead:
            return
        sim = self._sim
        now = self.at[node] = sim.now
        if source is not None:
            self.source[node] = source
        for target in self._targets(node, self._rngs[node]):
            self.sends += 1
            arrival = sim.internet.links.arrival(self._names[node], self._names[target], 0, now)
            sim.base.timers.call_at(arrival, self._hear, target, node)

    def mean_hops(self) -> float:
        """The mean number of hops to everybody reached but the origin."""
        origin = next(iter(self.at))
        return mean([count for node, count in hops(origin, self.source).items() if node != origin])


def uniform_targets(count: int, fanout: int) -> Targets:
    """``fanout`` different others, each set alike."""

    def choose(node: int, rng: Random) -> Sequence[int]:
        picked = rng.sample(range(count - 1), fanout)
        return [other + (other >= node) for other in picked]

    return choose


def constant_links(latency_s: float = LATENCY_S) -> Links:
    """All links alike."""
    return Links(lambda source, target: latency_s)


def push(seed: int, count: int, fanout: int, dead_share: float = 0.0) -> Spreading:
    """One message from host 0 among ``count``, of which a share is dead (never the origin)."""
    with Simulation(f"push {count} {fanout} {dead_share} {seed}", links=constant_links()) as sim:
        dead = frozenset(
            sim.base.make_environment("failures").rng("dead").sample(range(1, count), round(dead_share * count))
        )
        spreading = Spreading(sim, count, uniform_targets(count, fanout), dead)
        spreading.begin(0)
        sim.run_for(60.0)
    return spreading


def reach_of(count: int, fanout: int) -> Experiment:
    """The experiment for one size and fanout."""
    law = push_law(count, fanout)
    prefix = f"push-n{count}-f{fanout}"

    def run(seed: int) -> Samples:
        spreading = push(seed, count, fanout)
        reached = len(spreading.at) / count
        return {
            f"{prefix}-reach": [reached],
            f"{prefix}-everybody": [float(reached == 1.0)],
            f"{prefix}-sends": [spreading.sends / len(spreading.at)],
        }

    p = law.everybody
    source = "exact law of the chain (core/theory/gossip.py)"
    expected = [
        about(f"{prefix}-reach", law.mean_reach, law.sd_reach, source),
        about(f"{prefix}-everybody", p, (p * (1.0 - p)) ** 0.5, source),
        about(f"{prefix}-sends", float(fanout), 0.0, "everybody sends once to the fanout"),
    ]
    return Experiment(
        f"push-n{count}-f{fanout}",
        f"gossip to {fanout} uniform others, {count} hosts: share reached",
        "links",
        run,
        tuple(expected),
        runs=100,
        quick_runs=10,
    )


for _fanout in FANOUTS:
    register(reach_of(1000, _fanout))


def _hops(seed: int) -> Samples:
    return {f"push-hops-f{fanout}": [push(seed, 1000, fanout).mean_hops()] for fanout in (4, 8, 16)}


register(
    Experiment(
        "push-hops",
        "gossip to uniform others, 1000 hosts, all links alike: mean hops",
        "links",
        _hops,
        tuple(
            about(f"push-hops-f{fanout}", value, sd, "independent Monte Carlo", slack=0.02)
            for fanout, value, sd in ((4, 4.977, 0.035), (8, 3.519, 0.017), (16, 2.764, 0.008))
        ),
        runs=50,
        quick_runs=3,
    )
)

_FAILURES = (0.5, 0.8, 0.9)


def _with_failures(seed: int) -> Samples:
    found = {}
    for share in _FAILURES:
        spreading = push(seed, 1000, 16, share)
        found[f"push-dead-{share}"] = [len(spreading.at) / (1000 - round(share * 1000))]
    return found


register(
    Experiment(
        "push-failures",
        "gossip to 16 uniform others of which a share is dead: share of the living reached",
        "links",
        _with_failures,
        tuple(
            about(
                f"push-dead-{share}",
                push_law(1000, 16, round(share * 1000)).mean_reach,
                push_law(1000, 16, round(share * 1000)).sd_reach,
                "exact law of the chain with dead targets",
            )
            for share in _FAILURES
        ),
        runs=100,
        quick_runs=10,
    )
)
