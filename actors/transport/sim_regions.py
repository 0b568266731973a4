"""Parts of the world: how long a packet takes from one to another, and how many nodes are where."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from random import Random

from actors.transport.sim_distributions import Distribution, Pareto

Spread = Callable[[float], Distribution]
"""Makes the distribution of latencies of a given mean (seconds)."""


def simblock_spread(mean_s: float) -> Distribution:
    """SimBlock's latencies around a mean of m milliseconds: Pareto, 5 ms below it at least, of shape m/5.

    (Aoki et al., "SimBlock", 2019; ``Network.getLatency`` in its source.)
    """
    mean_ms = mean_s * 1000.0
    return Pareto(max(mean_ms - 5.0, 1.0) / 1000.0, max(0.2 * mean_ms, 0.1))


@dataclasses.dataclass(frozen=True, slots=True)
class Regions:
    """A matrix of mean latencies between regions, seconds, row to column.

    ``spread`` says how latencies scatter around a mean: each pair of nodes draws once. ``shares``: how likely a node
    without a place of its own is in each region (any positive weights). Raises ValueError for a matrix that is not
    square, names that are not unique, and numbers that are no times.
    """

    names: tuple[str, ...]
    mean_s: tuple[tuple[float, ...], ...]
    shares: tuple[float, ...]
    spread: Spread = simblock_spread

    def __post_init__(self) -> None:
        count = len(self.names)
        if not count or len(set(self.names)) != count:
            raise ValueError(f"expected one region or more, each named once, got {self.names!r}")
        if len(self.mean_s) != count or any(len(row) != count for row in self.mean_s):
            raise ValueError(f"expected a matrix of {count} rows and {count} columns")
        if any(not 0.0 <= cell < math.inf for row in self.mean_s for cell in row):
            raise ValueError("expected mean latencies as seconds, 0 or more")
        if len(self.shares) != count or any(not 0.0 <= share < math.inf for share in self.shares):
            raise ValueError(f"expected {count} shares, each 0 or more")
        if not sum(self.shares) > 0.0:
            raise ValueError("expected shares of which one at least is above 0")

    def index(self, name: str) -> int:
        """The row of a region. Raises ValueError if there is none of this name."""
        if name not in self.names:
            raise ValueError(f"expected a region out of {', '.join(self.names)}, got {name!r}")
        return self.names.index(name)

    def between(self, source: str, target: str) -> Distribution:
        """Where the latency from a node here to a node there is drawn from."""
        return self.spread(self.mean_s[self.index(source)][self.index(target)])

    def draw_region(self, rng: Random) -> str:
        """A region by the shares."""
        left = rng.random() * sum(self.shares)
        for name, share in zip(self.names, self.shares, strict=True):
            left -= share
            if left < 0.0:
                return name
        return self.names[-1]


def _milliseconds(*rows: tuple[int, ...]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(cell / 1000.0 for cell in row) for row in rows)


SIMBLOCK_2019 = Regions(
    ("NA", "EU", "SA", "AP", "JP", "AU"),
    _milliseconds(
        (32, 124, 184, 198, 151, 189),
        (124, 11, 227, 237, 252, 294),
        (184, 227, 88, 325, 301, 322),
        (198, 237, 325, 85, 58, 198),
        (151, 252, 301, 58, 12, 126),
        (189, 294, 322, 198, 126, 16),
    ),
    (0.3316, 0.4998, 0.0090, 0.1177, 0.0224, 0.0195),
)
"""Bitcoin's nodes of 2019 and the latencies between them, from SimBlock's ``NetworkConfiguration``
(REGION_DISTRIBUTION_2019, LATENCY_2019): North America, Europe, South America, Asia and Pacific, Japan, Australia."""
