"""Push gossip: whoever hears a message for the first time passes it on once, to ``fanout`` others.

The number of nodes that ever hear of it does not depend on the order in which things happen, so whoever has heard can
be looked at one after the other. With k of n infected, the next one's targets contain a hypergeometric number of new
ones, and it ends when all infected have been looked at: a Markov chain in one dimension, whose law is computed exactly.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

NEGLIGIBLE = 1e-18
"""States that are less likely are dropped from the chain."""


class PushLaw(NamedTuple):
    """The law of the number of nodes reached, the origin included: ``probabilities[k]`` for k nodes, k from 0 to n.

    ``nodes``: those that can be reached.
    """

    nodes: int
    probabilities: tuple[float, ...]

    @property
    def mean_reach(self) -> float:
        """The mean share of nodes reached."""
        return math.fsum(count * p for count, p in enumerate(self.probabilities)) / self.nodes

    @property
    def sd_reach(self) -> float:
        """The standard deviation of that share in a single run."""
        mean = self.mean_reach
        spread = (p * (count / self.nodes - mean) ** 2 for count, p in enumerate(self.probabilities))
        return math.sqrt(math.fsum(spread))

    @property
    def everybody(self) -> float:
        """The probability that all nodes are reached."""
        return self.probabilities[self.nodes]


@functools.lru_cache(maxsize=64)
def push_law(nodes: int, fanout: int, dead: int = 0) -> PushLaw:
    """The exact law for ``fanout`` distinct targets, uniform among the other nodes, of which ``dead`` hear nothing.

    Raises ValueError unless 1 <= fanout < nodes and 0 <= dead < nodes.
    """
    if not 1 <= fanout < nodes:
        raise ValueError(f"expected a fanout from 1 to {nodes - 1}, got {fanout!r}")
    if not 0 <= dead < nodes:
        raise ValueError(f"expected 0 to {nodes - 1} dead nodes, got {dead!r}")
    living = nodes - dead
    rows: list[tuple[tuple[int, float], ...]] = [()] * (living + 1)
    states = {1: 1.0}
    final = [0.0] * (living + 1)
    step = 0
    while states:
        following: dict[int, float] = {}
        step += 1
        for infected, probability in states.items():
            row = rows[infected]
            if not row:
                row = rows[infected] = _newly_infected(nodes - 1, living - infected, fanout)
            for added, chance in row:
                now = infected + added
                if now == step:
                    final[now] += probability * chance
                else:
                    following[now] = following.get(now, 0.0) + probability * chance
        states = {state: p for state, p in following.items() if p > NEGLIGIBLE}
    return PushLaw(living, tuple(final))


def _newly_infected(others: int, waiting: int, fanout: int) -> tuple[tuple[int, float], ...]:
    """(how many, probability): how many of the targets, drawn from all ``others``, are among those that ``waiting``."""
    ways = math.comb(others, fanout)
    counts = range(max(0, fanout - (others - waiting)), min(fanout, waiting) + 1)
    return tuple((k, math.comb(waiting, k) * math.comb(others - waiting, fanout - k) / ways) for k in counts)


def fixed_point(rate: float) -> float:
    """The solution x > 0 of x = 1 - exp(-rate x), the reach in a network without end; 0 for a rate up to 1."""
    if rate <= 1.0:
        return 0.0
    x = 1.0
    for _ in range(10_000):
        following = 1.0 - math.exp(-rate * x)
        if abs(following - x) < 1e-15:
            break
        x = following
    return x


def everybody_limit(nodes: int, fanout: float) -> float:
    """exp(-exp(-(f - ln n))): the probability that all of many nodes hear (Kermarrec, Massoulie, Ganesh 2003)."""
    return math.exp(-math.exp(-(fanout - math.log(nodes))))


class LossyPush(NamedTuple):
    """Push gossip where only ``r`` of all sends reach a living node, in a network without end."""

    reach: float
    """Of the living nodes, if it does not die at once."""
    early_death: float
    mean_reach: float


def lossy_push(fanout: int, arriving: float) -> LossyPush:
    """``arriving``: the probability that one send reaches a living node, (1 - dead) (1 - loss)."""
    reach = fixed_point(fanout * arriving)
    death = 0.0  # the smallest solution of pi = (1 - r + r pi)^f, from below
    for _ in range(100_000):
        following = (1.0 - arriving + arriving * death) ** fanout
        if abs(following - death) < 1e-15:
            break
        death = following
    return LossyPush(reach, death, reach * (1.0 - death))
