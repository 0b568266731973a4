"""Is a measured value what it should be? One rule for single runs, for means over seeds, and for anchors.

An *anchor* is a value known from theory or from print: expected value, standard deviation of a single run, and a slack
for what the theory leaves out. R independent runs agree with it when |mean - E| <= 4 sd / sqrt(R) + slack: four sigma
over some 180 checks give a false alarm about once in 90 full suites.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

SIGMAS: Final = 4.0


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """A value that is known. ``sd``: of one run, 0 for an exact one. ``source``: where it comes from."""

    name: str
    expected: float
    sd: float = 0.0
    slack: float = 0.0
    source: str = ""
    quantity: str = ""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A measured mean beside its anchor."""

    anchor: Anchor
    measured: float
    runs: int

    @property
    def tolerance(self) -> float:
        """How far from the expected value the mean may be."""
        return SIGMAS * self.anchor.sd / math.sqrt(self.runs) + self.anchor.slack

    @property
    def z(self) -> float | None:
        """Distance beyond the slack, in standard deviations of the mean, with its sign; None for an exact anchor."""
        if self.anchor.sd <= 0.0:
            return None
        distance = self.measured - self.anchor.expected
        beyond = max(abs(distance) - self.anchor.slack, 0.0)
        return math.copysign(beyond * math.sqrt(self.runs) / self.anchor.sd, distance)

    @property
    def holds(self) -> bool:
        """Whether the mean agrees with the anchor. A measurement that is no number never does."""
        return abs(self.measured - self.anchor.expected) <= self.tolerance


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """What a value must lie in. ``low`` and ``high`` are included."""

    low: float = -math.inf
    high: float = math.inf

    def holds(self, value: float) -> bool:
        """Whether the value lies in the band; no for what is no number."""
        return self.low <= value <= self.high


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The mean of a value over independent runs, with the half-width of its 95 % confidence interval."""

    mean: float
    sd: float
    half_width: float
    low: float
    high: float
    count: int


_T95: Final = (
    math.inf, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Two-sided 95 % quantiles of Student's t by degrees of freedom, 0 to 30."""


def t95(freedom: int) -> float:
    """The two-sided 95 % quantile of Student's t; above 30 degrees by Fisher and Cornish's expansion of 1.96."""
    if freedom < len(_T95):
        return _T95[max(freedom, 0)]
    z = 1.959964
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def summarise(values: Sequence[float]) -> Summary:
    """Mean and 95 % confidence interval (Student's t). Raises ValueError for no values."""
    count = len(values)
    if not count:
        raise ValueError("there is nothing to summarise")
    mean = math.fsum(values) / count
    if min(values) == max(values):  # not by the formula: rounding would make a difference where there is none
        return Summary(mean=values[0], sd=0.0, half_width=0.0, low=values[0], high=values[0], count=count)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = t95(count - 1) * sd / math.sqrt(count)
    return Summary(mean=mean, sd=sd, half_width=half, low=min(values), high=max(values), count=count)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which ``share`` of sorted values lie, interpolated; NaN for none."""
    if not ordered:
        return math.nan
    position = share * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
