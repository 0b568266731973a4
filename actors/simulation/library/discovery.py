"""Discovery from one seed: how many addresses an answer has (LIP 0004, "Selection"), and how soon slots are full.

Answers have n addresses, n uniform from a quarter to a half of the known ones, at least 100, at most 200.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.bases.sim_nodes import Simulation
from actors.simulation.attackers_conduct import Observer
from actors.simulation.attackers_host import Conduct, ScriptedHost
from actors.simulation.library.experiment import Experiment, Samples, about, between, exactly, register
from actors.simulation.library.siege import HONEST_OCTETS, HOSTILE_OCTETS, QUIET, Siege, endpoints, spread_out
from core.ids import Direction, Endpoint
from core.measures.spread import mean

KNOWN = 300
ASKING = 60
SIZES: Sequence[float] = [float(max(100, size)) for size in range(KNOWN // 4, KNOWN // 2 + 1)]
"""Equally likely."""


class Counter(Observer):
    """Notes how many addresses each answer has; asks not to be told to others, so that the book stays as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.advertise = False
        self.sizes: list[float] = []

    def learn(self, found: Sequence[Endpoint]) -> None:
        """One answer."""
        self.sizes.append(float(len(found)))


def answers(seed: int) -> list[float]:
    """The lengths of the answers of a node that knows 300 addresses."""
    with Siege(f"answers {seed}", honest=KNOWN, max_outbound_connections=1, feeler_interval_s=0.0) as siege:
        siege.start_knowing(siege.honest)
        siege.sim.run_for(20.0)
        counter = Counter()
        host = ScriptedHost(siege.sim, "asker", spread_out(HOSTILE_OCTETS, ASKING), counter)
        for ip in host.ips:
            host.dial(ip, siege.victim.endpoint)
            siege.sim.run_for(5.0)
    return counter.sizes


def first_minute(seed: int) -> tuple[float, float, float]:
    """A new node that knows one seed among 500 peers: (seconds until all slots are taken, outbound connections,
    addresses known) after a minute."""
    with Simulation(f"first minute {seed}") as sim:
        ips = spread_out(HONEST_OCTETS, 500)
        ScriptedHost(sim, "crowd", ips, Conduct(endpoints(ips)))
        node = sim.add_node("new", ip="20.0.0.1", collect=(), seed_peers=[f"{ips[7]}:5001"], **QUIET)
        node.start()

        def outbound() -> int:
            return sum(peer.direction is Direction.OUTBOUND for peer in node.connected())

        sim.run_until(lambda: outbound() == 20, 60.0)
        full_at = sim.now
        sim.run_for(60.0 - sim.now)
        return full_at, float(outbound()), float(len(node.known()))


def _run(seed: int) -> Samples:
    full_at, slots, known = first_minute(seed)
    return {
        "discovery-answer-length": answers(seed),
        "discovery-slots-full-s": [full_at],
        "discovery-outbound-after-1-min": [slots],
        "discovery-known-after-1-min": [known],
    }


_SD = mean([(size - mean(SIZES)) ** 2 for size in SIZES]) ** 0.5
_MISSED = 0.8**20
"""A peer's chance to be in none of the answers of 20 peers and the seed, each of a fifth of all."""

register(
    Experiment(
        "discovery",
        "discovery: length of getPeers answers, and the first minute of a node that knows one seed among 500 peers",
        "nodes",
        _run,
        (
            about(
                "discovery-answer-length", mean(SIZES), _SD, "LIP 0004: uniform from a quarter to half, at least 100"
            ),
            between("discovery-slots-full-s", 0.3, 25.0, "asking the seed, one populator interval, dialling"),
            exactly("discovery-outbound-after-1-min", 20.0, "LIP 0004"),
            about("discovery-known-after-1-min", 500.0 * (1.0 - _MISSED), 3.0, "500 (1 - 0.8^20)", slack=4.0),
        ),
        runs=10,
        quick_runs=1,
    )
)
