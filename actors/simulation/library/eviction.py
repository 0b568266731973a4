"""Inbound eviction under flood: the node's own selector, called for every newcomer, against closed form and print.

A hundred honest peers, each in a net group of its own; an attacker connects again and again, and for each newcomer one
peer is evicted. The attackers answer nothing and are slower than everybody ("worse"), or as good as the honest ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from actors.bases.sim_environment import derive_rng
from actors.simulation.library.experiment import Experiment, Samples, about, register
from core.events import PeerInfo
from core.evict import ProtectionRatios, VictimRule, judge
from core.ids import Direction, Endpoint
from core.theory import eviction

HONEST_PEERS = 100
RATIOS = ProtectionRatios()


@dataclass(frozen=True)
class Flood:
    """``fresh``: every newcomer comes from a net group of its own, otherwise all from one /16. ``worse``: see above."""

    fresh: bool
    worse: bool


def honest_left(
    seed: int, flood: Flood, rule: VictimRule, marks: tuple[int, ...], ratios: ProtectionRatios = RATIOS
) -> list[int]:
    """How many honest peers are left after each of these numbers of newcomers."""
    rng = derive_rng("flood", seed, rule.value, flood.fresh, flood.worse)
    secret = rng.randbytes(32)
    peers = [_peer(f"{20 + n % 70}.{n}.0.1", rng, float(n), worse=False) for n in range(HONEST_PEERS)]
    left, found = HONEST_PEERS, []
    for attempt in range(1, max(marks) + 1):
        victim = judge(peers, ratios, secret, rng, rule).victim
        if victim is not None:
            peers.remove(victim)
            left -= not victim.ip_address.startswith("1")
            peers.append(_peer(_flood_ip(attempt, flood.fresh), rng, float(1000 + attempt), worse=flood.worse))
        if attempt in marks:
            found.append(left)
    return found


def _flood_ip(attempt: int, fresh: bool) -> str:
    if fresh:
        return f"{101 + attempt // 250}.{attempt % 250}.0.1"
    return f"150.0.{attempt // 250}.{attempt % 250 + 1}"


def _peer(ip: str, rng: Random, connected_at: float, *, worse: bool) -> PeerInfo:
    return PeerInfo(
        peer_id=Endpoint(ip, 5001).peer_id,
        ip_address=ip,
        port=5001,
        direction=Direction.INBOUND,
        latency_ms=1000.0 + rng.random() if worse else 1.0 + 200.0 * rng.random(),
        response_rate=None if worse else 0.01 + 0.99 * rng.random(),
        connected_at=connected_at,
    )


UNIFORM, BITCOIN = VictimRule.RANDOM, VictimRule.YOUNGEST_OF_LARGEST_GROUP
ONE_GROUP, FRESH, SAME_FRESH = Flood(False, True), Flood(True, True), Flood(True, False)
MARKS = (10, 41, 100, 200, 500)


def _uniform(seed: int) -> Samples:
    left = honest_left(seed, ONE_GROUP, UNIFORM, MARKS)
    return {f"evict-uniform-k{mark}": [float(value)] for mark, value in zip(MARKS, left, strict=True)}


register(
    Experiment(
        "evict-uniform",
        "a flood from one /16 against lisk-p2p's uniform victim: honest peers left of 100 after k newcomers",
        "mind",
        _uniform,
        tuple(
            about(
                f"evict-uniform-k{mark}",
                eviction.honest_left_uniform(mark, eviction.candidates()),
                sd,
                "closed form 100 - C + C (1 - 1/C)^k; sd by independent Monte Carlo",
                slack=0.5,
            )
            for mark, sd in zip(MARKS, (1.0, 2.0, 1.6, 1.0, 0.7), strict=True)
        ),
        runs=100,
        quick_runs=5,
    )
)

AS_BITCOIN = ProtectionRatios(net_group=0.04, latency=0.08, productivity=0.08)
"""4, 8 and 8 of 100, as the independent simulation protects; the defaults (4, 7, 7) leave one or two more."""
MONTE_CARLO = "independent Monte Carlo (protecting 4, 8, 8)"
_B_ROWS = (
    ("worse-one-group", ONE_GROUP, {10: 98.93, 1000: 98.93}, 0.88),
    ("worse-fresh", FRESH, {10: 98.65, 100: 97.08, 1000: 95.40}, 1.0),
    ("same-fresh", SAME_FRESH, {10: 97.37, 100: 89.37, 1000: 80.78}, 2.5),
)


def _bitcoin(seed: int) -> Samples:
    found = {}
    for name, flood, row, _ in _B_ROWS:
        left = honest_left(seed, flood, BITCOIN, tuple(row), AS_BITCOIN)
        found.update({f"evict-group-{name}-k{mark}": [float(value)] for mark, value in zip(row, left, strict=True)})
    return found


register(
    Experiment(
        "evict-largest-group",
        "floods against the youngest of the largest net group (the default): honest peers left of 100",
        "mind",
        _bitcoin,
        tuple(
            about(f"evict-group-{name}-k{mark}", value, sd, MONTE_CARLO, slack=0.1)
            for name, _, row, sd in _B_ROWS
            for mark, value in row.items()
        ),
        runs=40,
        quick_runs=1,
    )
)
