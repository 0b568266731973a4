"""Percentiles by nearest rank, hops along the way of a message."""

from __future__ import annotations

import math

import pytest

from core.measures import spread


def test_percentiles_are_of_all_nodes_whether_they_heard_or_not() -> None:
    times = [5.0, 1.0, 2.0, 4.0, 3.0]
    assert spread.nearest_rank(times, 0.5) == 3.0
    assert spread.nearest_rank(times, 0.5, of=10) == 5.0
    assert spread.nearest_rank(times, 0.6, of=10) == math.inf
    assert spread.nearest_rank(times, 0.0) == 1.0
    assert spread.nearest_rank([0.1] * 9 + [9.0], 0.9) == 0.1, "not the tenth by a rounding error"
    with pytest.raises(ValueError, match="from 0 to 1"):
        spread.nearest_rank(times, 1.5)


def test_hops() -> None:
    assert spread.hops("a", {"d": "c", "c": "b", "b": "a", "e": "a"}) == {"a": 0, "b": 1, "c": 2, "d": 3, "e": 1}


def test_samples() -> None:
    assert spread.mean([1.0, 2.0, 6.0]) == 3.0
    assert math.isnan(spread.mean([]))
    assert spread.deviation_of_sample([1.0, 3.0]) == pytest.approx(math.sqrt(2))
    assert spread.deviation_of_sample([1.0]) == 0.0
