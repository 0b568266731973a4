"""How long bytes take from one simulated node to another: latency, jitter, bandwidth.

The latency of a link is drawn once for each pair of nodes, and is the same in both directions; jitter is drawn anew
for each packet. Both come from seeded streams. A packet never overtakes an earlier one of its connection.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from random import Random
from typing import Protocol


class Distribution(Protocol):
    """Where random seconds come from."""

    def draw(self, rng: Random, /) -> float:
        """Seconds, 0 or more."""


def _check(name: str, value: float) -> None:
    if not 0.0 <= value < math.inf:
        raise ValueError(f"expected {name} as seconds, 0 or more, got {value!r}")


@dataclasses.dataclass(frozen=True, slots=True)
class Constant:
    """Always the same. Raises ValueError for a negative time, as all of them do."""

    seconds: float

    def __post_init__(self) -> None:
        _check("seconds", self.seconds)

    def draw(self, rng: Random, /) -> float:
        return self.seconds


@dataclasses.dataclass(frozen=True, slots=True)
class Uniform:
    """Anything from ``low_s`` to ``high_s`` alike."""

    low_s: float
    high_s: float

    def __post_init__(self) -> None:
        _check("low_s", self.low_s)
        _check("high_s", self.high_s)
        if self.low_s > self.high_s:
            raise ValueError(f"expected low_s to be at most high_s ({self.high_s}), got {self.low_s}")

    def draw(self, rng: Random, /) -> float:
        return self.low_s + (self.high_s - self.low_s) * rng.random()


@dataclasses.dataclass(frozen=True, slots=True)
class LogNormal:
    """Half of them below ``median_s``, with a long tail: what round trips over the Internet look like.

    ``sigma`` is the standard deviation of the logarithm (0.5: the slowest 5 of 100 take 2.3 medians and more).
    """

    median_s: float
    sigma: float = 0.5

    def __post_init__(self) -> None:
        _check("median_s", self.median_s)
        _check("sigma", self.sigma)

    def draw(self, rng: Random, /) -> float:
        # Box-Muller by hand: random.lognormvariate may be made differently in another version of Python. What the
        # machine's logarithm adds of its own, in the last digit, is lost when times are rounded to ticks.
        radius = math.sqrt(-2.0 * math.log(1.0 - rng.random()))
        return self.median_s * math.exp(self.sigma * radius * math.cos(math.tau * rng.random()))


LatencyOf = Callable[[str, str], float]
"""Seconds from the first node to the second, by their names."""

NO_JITTER = Constant(0.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Links:
    """The links between all nodes.

    ``latency``: a distribution from which each pair of nodes draws once, or a function of two names (which may give
    each direction another value). ``jitter`` is added to each packet. ``bandwidth_bytes_per_s`` is shared by all
    connections from one node to another; None is unlimited. ``loopback_s``: from a node to itself.
    ``buffer_bytes``: what one direction of a connection holds, under way or unread, before the sender has to wait.
    """

    latency: Distribution | LatencyOf = Constant(0.05)
    jitter: Distribution = NO_JITTER
    bandwidth_bytes_per_s: float | None = None
    loopback_s: float = 0.0
    buffer_bytes: int = 256 * 1024

    def __post_init__(self) -> None:
        _check("loopback_s", self.loopback_s)
        if self.bandwidth_bytes_per_s is not None and not self.bandwidth_bytes_per_s > 0.0:
            raise ValueError(f"expected bandwidth_bytes_per_s above 0, got {self.bandwidth_bytes_per_s!r}")
        if self.buffer_bytes < 1:
            raise ValueError(f"expected buffer_bytes of 1 or more, got {self.buffer_bytes!r}")


class LinkTable:
    """The links of one run. ``stream_of(name, ...)`` gives the seeded stream of that name."""

    def __init__(self, links: Links, stream_of: Callable[..., Random]) -> None:
        self.links = links
        self._stream_of = stream_of
        self._latencies: dict[tuple[str, str], float] = {}
        self._free_at: dict[tuple[str, str], float] = {}
        self._jitter = stream_of("jitter")

    @property
    def is_plain(self) -> bool:
        """A packet takes the latency of its link and nothing else."""
        return self.links.jitter is NO_JITTER and self.links.bandwidth_bytes_per_s is None

    def latency_s(self, source: str, target: str) -> float:
        """The time that a packet without size or jitter takes. Raises ValueError if a function gives nonsense."""
        pair = (source, target)
        latency = self._latencies.get(pair)
        if latency is None:
            latency = self._latencies[pair] = self._draw(source, target)
        return latency

    def _draw(self, source: str, target: str) -> float:
        if source == target:
            return self.links.loopback_s
        kind = self.links.latency
        if callable(kind):
            latency = float(kind(source, target))
            _check(f"the latency from {source} to {target}", latency)
            return latency
        first, second = sorted((source, target))
        return kind.draw(self._stream_of("latency", first, second))

    def arrival(self, source: str, target: str, size_bytes: int, now: float) -> float:
        """When a packet that is sent now arrives, if nothing before it holds it up."""
        latency = self.latency_s(source, target)
        if source == target:
            return now + latency
        links = self.links
        if links.jitter is not NO_JITTER:
            latency += links.jitter.draw(self._jitter)
        if links.bandwidth_bytes_per_s is None or not size_bytes:
            return now + latency
        pair = (source, target)
        sent = max(now, self._free_at.get(pair, 0.0)) + size_bytes / links.bandwidth_bytes_per_s
        self._free_at[pair] = sent
        return sent + latency
