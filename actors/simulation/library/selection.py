"""Relaying by LIP 0004's choice of peers (16, at least half of them outbound) over a random overlay of 1,000 nodes.

The choice is the node's own (:func:`core.select.for_send`), called for every node that hears the message; overlay and
links are the simulator's. :mod:`.overlays` measures the same with whole nodes in networks that fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from actors.bases.sim_environment import derive_rng
from actors.bases.sim_nodes import Simulation, default_ip
from actors.simulation.library.experiment import Experiment, Samples, about, register
from actors.simulation.library.gossip import Spreading, Targets, constant_links
from core import select
from core.events import PeerInfo
from core.ids import Direction, Endpoint
from core.measures.graph import Edge
from core.slots import roles_of
from core.theory.gossip import push_law

OUTBOUND = 20
INDEPENDENT = "independent simulation, 200 to 400 runs"


def drawn_overlay(rng: Random, count: int, outbound: int = OUTBOUND) -> list[Edge]:
    """Everybody opens ``outbound`` connections, drawn alike among those that it is not connected to yet, in turns."""
    linked: list[set[int]] = [set() for _ in range(count)]
    edges: list[Edge] = []
    for _ in range(outbound):
        order = list(range(count))
        rng.shuffle(order)
        for node in order:
            other = int(rng.random() * count)
            while other == node or other in linked[node]:
                other = int(rng.random() * count)
            linked[node].add(other)
            linked[other].add(node)
            edges.append((node, other))
    return edges


class Overlay:
    """An overlay whose nodes choose among their peers by the node's rule."""

    def __init__(self, count: int, edges: Sequence[Edge]) -> None:
        self.peers: list[list[PeerInfo]] = [[] for _ in range(count)]
        self._numbers = {default_ip(number): number for number in range(count)}
        for source, target in edges:
            self.peers[source].append(_peer(target, Direction.OUTBOUND))
            self.peers[target].append(_peer(source, Direction.INBOUND))

    def targets(self, limit: int) -> Targets:
        """Whom a node relays to: ``limit`` peers by LIP 0004's rule."""

        def choose(node: int, rng: Random) -> Sequence[int]:
            chosen = select.for_send(roles_of(self.peers[node]), limit, rng)
            return [self._numbers[peer.ip_address] for peer in chosen]

        return choose


def _peer(number: int, direction: Direction) -> PeerInfo:
    endpoint = Endpoint(default_ip(number), 5001)
    return PeerInfo(peer_id=endpoint.peer_id, ip_address=endpoint.ip, port=endpoint.port, direction=direction)


def relay(seed: int, count: int, limit: int, dead_share: float = 0.0) -> Spreading:
    """One message over an overlay of its own."""
    name = f"relay {count} {limit} {dead_share} {seed}"
    rng = derive_rng(name, "overlay")
    overlay = Overlay(count, drawn_overlay(rng, count))
    dead = frozenset(rng.sample(range(1, count), round(dead_share * count)))
    with Simulation(name, links=constant_links()) as sim:
        spreading = Spreading(sim, count, overlay.targets(limit), dead)
        spreading.begin(0)
        sim.run_for(60.0)
    return spreading


ROWS = {
    2: (0.7956, 9.07, 0.21),
    4: (0.98197, 5.03, 0.06),
    6: (0.99805, 4.02, 0.018),
    8: (0.99979, 3.54, 0.02),
    16: (1.0, 2.770, 0.006),
}
"""Reach, mean hops and their standard deviation in a run, by the number of targets."""


def _reach(seed: int) -> Samples:
    found: dict[str, list[float]] = {}
    for limit in ROWS:
        spreading = relay(seed, 1000, limit)
        found[f"relay-n1000-f{limit}-reach"] = [len(spreading.at) / 1000]
        found[f"relay-n1000-f{limit}-hops"] = [spreading.mean_hops()]
    return found


_expected = []
for _limit, (_share, _hops, _sd_hops) in ROWS.items():
    _sd = push_law(1000, _limit).sd_reach
    _expected.append(about(f"relay-n1000-f{_limit}-reach", _share, _sd, INDEPENDENT, slack=_sd / 14 + 1e-5))
    _expected.append(about(f"relay-n1000-f{_limit}-hops", _hops, _sd_hops, INDEPENDENT, slack=0.02))

register(
    Experiment(
        "relay-selection",
        "LIP 0004's relaying to F peers over 20 outbound connections, 1000 nodes: reach and hops",
        "mind",
        _reach,
        tuple(_expected),
        runs=40,
        quick_runs=1,
    )
)

FAILURES = {0.5: (0.99993, 0.0001), 0.7: (0.9916, 0.0016), 0.8: (0.920, 0.043), 0.9: (0.432, 0.080)}
"""Share of the living reached, and the uncertainty of that figure, by the share of the dead; nothing is repaired."""


def _failures(seed: int) -> Samples:
    found = {}
    for share in FAILURES:
        spreading = relay(seed, 1000, 16, share)
        found[f"relay-dead-{share}"] = [len(spreading.at) / (1000 - round(share * 1000))]
    return found


register(
    Experiment(
        "relay-failures",
        "LIP 0004's relaying to 16 peers when a share of 1000 nodes has died and nothing is repaired yet",
        "mind",
        _failures,
        tuple(
            about(f"relay-dead-{share}", value, None, INDEPENDENT, slack=slack)
            for share, (value, slack) in FAILURES.items()
        ),
        runs=100,
        quick_runs=0,
    )
)
