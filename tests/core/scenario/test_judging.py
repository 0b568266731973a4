"""Anchors, tolerances, confidence intervals."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.scenario.judging import Anchor, Band, Check, percentile, summarise, t95

REACH = Anchor(name="push", expected=0.98, sd=0.004, slack=0.001)


@pytest.mark.parametrize(
    ("measured", "runs", "holds"),
    [(0.98, 1, True), (0.9969, 1, True), (0.9971, 1, False), (0.9825, 100, True), (0.983, 100, False),
     (0.9776, 100, True), (math.nan, 1, False)],
)  # fmt: skip
def test_the_tolerance_rule(measured: float, runs: int, holds: bool) -> None:
    assert Check(anchor=REACH, measured=measured, runs=runs).holds is holds


def test_z_counts_what_is_beyond_the_slack() -> None:
    check = Check(anchor=REACH, measured=0.975, runs=4)
    assert check.z == pytest.approx(-2.0)
    assert check.tolerance == pytest.approx(0.009)
    assert Check(anchor=REACH, measured=0.9805, runs=4).z == 0.0
    assert Check(anchor=Anchor(name="exact", expected=32.0), measured=32.0, runs=1).z is None


def test_a_band_has_its_ends() -> None:
    assert Band(low=1.0, high=2.0).holds(2.0)
    assert not Band(low=1.0).holds(0.999)
    assert not Band().holds(math.nan)


def test_the_interval_is_students() -> None:
    summary = summarise([1.0, 2.0, 3.0, 4.0, 5.0])
    assert summary.mean == 3.0
    assert summary.half_width == pytest.approx(2.776 * statistics.stdev([1, 2, 3, 4, 5]) / math.sqrt(5))
    assert summarise([7.0]).half_width == 0.0
    with pytest.raises(ValueError, match="nothing to summarise"):
        summarise([])


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.706), (30, 2.042), (49, 2.0096), (120, 1.9799), (0, math.inf)]
)
def test_quantiles_of_t(freedom: int, quantile: float) -> None:
    assert t95(freedom) == pytest.approx(quantile, abs=0.001)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_percentiles_agree_with_the_standard_library(values: list[float]) -> None:
    ordered = sorted(values)
    cuts = statistics.quantiles(ordered, n=10, method="inclusive")
    assert percentile(ordered, 0.9) == pytest.approx(cuts[8], rel=1e-9, abs=1e-6)
    assert math.isnan(percentile([], 0.5))
