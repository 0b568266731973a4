"""Where random seconds come from: of latencies, and of everything else that takes a random time.

Every draw uses ``random.Random.random`` and arithmetic only. Where a logarithm or a power comes in, machines may differ
in the last digit; that is lost when times are rounded to ticks (:mod:`actors.bases.sim_time`).
"""

from __future__ import annotations

import dataclasses
import math
from random import Random
from typing import Protocol


class Distribution(Protocol):
    """Where random seconds come from."""

    def draw(self, rng: Random, /) -> float:
        """Seconds, 0 or more."""


def check_seconds(name: str, value: float) -> None:
    """Raise ValueError unless ``value`` is a time."""
    if not 0.0 <= value < math.inf:
        raise ValueError(f"expected {name} as seconds, 0 or more, got {value!r}")


@dataclasses.dataclass(frozen=True, slots=True)
class Constant:
    """Always the same. Raises ValueError for a negative time, as all of them do."""

    seconds: float

    def __post_init__(self) -> None:
        check_seconds("seconds", self.seconds)

    def draw(self, rng: Random, /) -> float:
        return self.seconds


@dataclasses.dataclass(frozen=True, slots=True)
class Uniform:
    """Anything from ``low_s`` to ``high_s`` alike."""

    low_s: float
    high_s: float

    def __post_init__(self) -> None:
        check_seconds("low_s", self.low_s)
        check_seconds("high_s", self.high_s)
        if self.low_s > self.high_s:
            raise ValueError(f"expected low_s to be at most high_s ({self.high_s}), got {self.low_s}")

    def draw(self, rng: Random, /) -> float:
        return self.low_s + (self.high_s - self.low_s) * rng.random()


@dataclasses.dataclass(frozen=True, slots=True)
class LogNormal:
    """Half of them below ``median_s``, with a long tail: what round trips over the Internet look like.

    ``sigma`` is the standard deviation of the logarithm (0.5: the slowest 5 of 100 take 2.3 medians and more). Nothing
    is faster than ``floor_s``, to which all of it is added: light in glass needs its time.
    """

    median_s: float
    sigma: float = 0.5
    floor_s: float = 0.0

    def __post_init__(self) -> None:
        check_seconds("median_s", self.median_s)
        check_seconds("sigma", self.sigma)
        check_seconds("floor_s", self.floor_s)

    def draw(self, rng: Random, /) -> float:
        # Box-Muller by hand: random.lognormvariate may be made differently in another version of Python.
        radius = math.sqrt(-2.0 * math.log(1.0 - rng.random()))
        exponent = self.sigma * radius * math.cos(math.tau * rng.random())
        return self.floor_s + self.median_s * math.exp(exponent)


@dataclasses.dataclass(frozen=True, slots=True)
class Pareto:
    """Nothing below ``floor_s``, and a tail, heavier the smaller ``shape`` is (1 and less: no finite mean)."""

    floor_s: float
    shape: float

    def __post_init__(self) -> None:
        check_seconds("floor_s", self.floor_s)
        if not 0.0 < self.shape < math.inf:
            raise ValueError(f"expected shape above 0, got {self.shape!r}")

    def draw(self, rng: Random, /) -> float:
        return float(self.floor_s * (1.0 - rng.random()) ** (-1.0 / self.shape))


@dataclasses.dataclass(frozen=True, slots=True)
class Exponential:
    """Times without memory, of this mean: how long until the next of many independent things happens."""

    mean_s: float

    def __post_init__(self) -> None:
        check_seconds("mean_s", self.mean_s)

    def draw(self, rng: Random, /) -> float:
        return -self.mean_s * math.log(1.0 - rng.random())


@dataclasses.dataclass(frozen=True, slots=True)
class Weibull:
    """Session lengths of peers, as they have been measured: with a ``shape`` below 1 who has stayed is likely to stay.

    (Stutzbach and Rejaie, "Understanding Churn in Peer-to-Peer Networks", IMC 2006: shapes of about 0.4 to 0.6.)
    """

    scale_s: float
    shape: float

    def __post_init__(self) -> None:
        check_seconds("scale_s", self.scale_s)
        if not 0.0 < self.shape < math.inf:
            raise ValueError(f"expected shape above 0, got {self.shape!r}")

    def draw(self, rng: Random, /) -> float:
        return float(self.scale_s * (-math.log(1.0 - rng.random())) ** (1.0 / self.shape))
