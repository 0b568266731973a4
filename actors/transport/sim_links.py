"""How long bytes take from one simulated node to another: latency, jitter, bandwidth; and how long connections live.

The latency of a link is drawn once for each pair of nodes; jitter is drawn anew for each packet. Both come from seeded
streams. A packet never overtakes an earlier one of its connection.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from random import Random
from typing import cast

from actors.transport.sim_distributions import (
    Constant,
    Distribution,
    Exponential,
    LogNormal,
    Pareto,
    Uniform,
    Weibull,
    check_seconds,
)
from actors.transport.sim_regions import SIMBLOCK_2019, Regions

__all__ = [
    "SIMBLOCK_2019",
    "Constant",
    "Distribution",
    "Exponential",
    "LatencyOf",
    "LinkTable",
    "Links",
    "LogNormal",
    "Pareto",
    "Regions",
    "Uniform",
    "Weibull",
]

LatencyOf = Callable[[str, str], float]
"""Seconds from the first node to the second, by their names."""

REMEMBERED_PAIRS = 16_384
"""Latencies that are kept where connections ask for theirs only once: 150 bytes each."""

NO_JITTER = Constant(0.0)
USUAL_LATENCY = Constant(0.05)


@dataclasses.dataclass(frozen=True, slots=True)
class Links:
    """The links between all nodes.

    ``latency``: a distribution from which each pair of nodes draws once, a matrix of regions, or a function of two
    names (which may give each direction another value). ``jitter`` is added to each packet.
    ``bandwidth_bytes_per_s`` is shared by all connections from one node to another, ``uplink_bytes_per_s`` by
    everything that a node sends; None is unlimited. ``loopback_s``: from a node to itself. ``buffer_bytes``: what one
    direction of a connection holds, under way or unread, before the sender has to wait. ``lost_per_s``: each
    connection breaks (both ends get a reset) after a random time; this is the rate, the inverse of the mean time.
    Raises TypeError and ValueError for what is none of that.
    """

    latency: Distribution | Regions | LatencyOf = USUAL_LATENCY
    jitter: Distribution = NO_JITTER
    bandwidth_bytes_per_s: float | None = None
    loopback_s: float = 0.0
    buffer_bytes: int = 256 * 1024
    uplink_bytes_per_s: float | None = None
    lost_per_s: float = 0.0

    def __post_init__(self) -> None:
        if not (hasattr(self.latency, "draw") or isinstance(self.latency, Regions) or callable(self.latency)):
            raise TypeError(f"expected latency as a distribution, such as Constant(0.05), got {self.latency!r}")
        if not hasattr(self.jitter, "draw"):
            raise TypeError(f"expected jitter as a distribution, such as Uniform(0.0, 0.01), got {self.jitter!r}")
        check_seconds("loopback_s", self.loopback_s)
        for name in ("bandwidth_bytes_per_s", "uplink_bytes_per_s"):
            value = getattr(self, name)
            if value is not None and not value > 0.0:
                raise ValueError(f"expected {name} above 0, got {value!r}")
        if self.buffer_bytes < 1:
            raise ValueError(f"expected buffer_bytes of 1 or more, got {self.buffer_bytes!r}")
        if not 0.0 <= self.lost_per_s < math.inf:
            raise ValueError(f"expected lost_per_s of 0 or more, got {self.lost_per_s!r}")


class LinkTable:
    """The links of one run. ``seed_of(name, ...)`` gives the seed of the stream of that name."""

    def __init__(self, links: Links, seed_of: Callable[..., int]) -> None:
        self.links = links
        self.uplinks: dict[str, float] = {}
        """Bytes per second of nodes whose uplink is their own."""
        self._seed_of = seed_of
        self._dice = Random(0)  # for streams of which only the beginning is wanted: making a generator takes 4 us
        self._regions: dict[str, str] = {}
        self._spreads: dict[tuple[str, str], Distribution] = {}
        self._latencies: dict[tuple[str, str], float] = {}
        self._free_at: dict[tuple[str, str], float] = {}
        self._uplink_free_at: dict[str, float] = {}
        self._jitter = Random(seed_of("jitter"))
        self._losses = Random(seed_of("losses"))

    @property
    def is_plain(self) -> bool:
        """A packet takes the latency of its link and nothing else."""
        links = self.links
        is_limited = links.bandwidth_bytes_per_s is not None or links.uplink_bytes_per_s is not None
        return links.jitter is NO_JITTER and not is_limited and not self.uplinks

    def _stream(self, *names: str) -> Random:
        """The beginning of a stream, good until the next is asked for."""
        self._dice.seed(self._seed_of(*names))
        return self._dice

    # ---- regions

    def place(self, name: str, region: str) -> None:
        """Say where a node is. Raises ValueError if the links have no regions, or not this one."""
        regions = self.links.latency
        if not isinstance(regions, Regions):
            raise ValueError(f"{name!r} cannot be in {region!r}: these links have no regions")
        regions.index(region)
        self._regions[name] = region

    def region_of(self, name: str) -> str | None:
        """Where a node is: where it was placed, or drawn by the shares; None if the links have no regions."""
        regions = self.links.latency
        if not isinstance(regions, Regions):
            return None
        region = self._regions.get(name)
        if region is None:
            region = self._regions[name] = regions.draw_region(self._stream("region", name))
        return region

    # ---- times

    def latency_s(self, source: str, target: str) -> float:
        """The time that a packet without size or jitter takes. Raises ValueError if a function gives nonsense."""
        pair = (source, target)
        latency = self._latencies.get(pair)
        if latency is None:
            if len(self._latencies) >= REMEMBERED_PAIRS and self.is_plain:
                self._latencies.clear()  # a draw for a pair gives the same again, and each connection knows its own
            latency = self._latencies[pair] = self._draw(source, target)
        return latency

    def _draw(self, source: str, target: str) -> float:
        if source == target:
            return self.links.loopback_s
        kind = self.links.latency
        if isinstance(kind, Regions):
            there, back = self._spread(source, target), self._spread(target, source)
        elif not callable(kind):
            there = back = kind
        else:
            latency = float(kind(source, target))
            check_seconds(f"the latency from {source} to {target}", latency)
            return latency
        first, second = (source, target) if source < target else (target, source)
        latency = there.draw(self._stream("latency", first, second))
        if there == back:
            self._latencies[target, source] = latency  # the same draw: the other end will ask for it
        return latency

    def _spread(self, source: str, target: str) -> Distribution:
        regions = cast(Regions, self.links.latency)
        pair = str(self.region_of(source)), str(self.region_of(target))
        spread = self._spreads.get(pair)
        if spread is None:
            spread = self._spreads[pair] = regions.between(*pair)
        return spread

    def arrival(self, source: str, target: str, size_bytes: int, now: float) -> float:
        """When a packet that is sent now arrives, if nothing before it holds it up."""
        latency = self.latency_s(source, target)
        if source == target:
            return now + latency
        links = self.links
        if links.jitter is not NO_JITTER:
            latency += links.jitter.draw(self._jitter)
        sent = now
        if size_bytes:
            uplink = self.uplinks.get(source, links.uplink_bytes_per_s)
            if uplink is not None:
                sent = max(sent, self._uplink_free_at.get(source, 0.0)) + size_bytes / uplink
                self._uplink_free_at[source] = sent
            if links.bandwidth_bytes_per_s is not None:
                pair = (source, target)
                sent = max(sent, self._free_at.get(pair, 0.0)) + size_bytes / links.bandwidth_bytes_per_s
                self._free_at[pair] = sent
        return sent + latency

    def life_s(self) -> float | None:
        """How long a new connection will live, if something breaks it; None: for ever."""
        rate = self.links.lost_per_s
        return Exponential(1.0 / rate).draw(self._losses) if rate else None
