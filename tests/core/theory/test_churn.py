"""Renewal theory, against processes drawn by lot."""

from __future__ import annotations

from random import Random

import pytest

from core.measures.spread import deviation_of_sample, mean
from core.theory import churn

SESSION, ABSENCE, TIME = 30.0, 10.0, 180.0


def _life(rng: Random) -> tuple[float, int]:
    """The share of time that one node is there, and how often it leaves, once the beginning is forgotten."""
    now, there, left, is_there = -400.0, 0.0, 0, True
    while now < TIME:
        end = now + rng.expovariate(1.0 / (SESSION if is_there else ABSENCE))
        if is_there:
            there += max(0.0, min(end, TIME) - max(now, 0.0))
            left += 0.0 <= end < TIME
        now, is_there = end, not is_there
    return there / TIME, left


def test_shares_and_departures_of_drawn_lives() -> None:
    rng = Random(5)
    lives = [_life(rng) for _ in range(4000)]
    there, left = [life[0] for life in lives], [float(life[1]) for life in lives]
    share, times = churn.availability(SESSION, ABSENCE), churn.departures(SESSION, ABSENCE, TIME)
    assert (share, times) == (0.75, 4.5)
    assert mean(there) == pytest.approx(share, abs=4 * churn.availability_sd(SESSION, ABSENCE, len(lives), TIME))
    assert mean(left) == pytest.approx(times, abs=4 * churn.departures_sd(SESSION, ABSENCE, len(lives), TIME))
    assert deviation_of_sample(there) == pytest.approx(churn.availability_sd(SESSION, ABSENCE, 1, TIME), rel=0.06)
    assert deviation_of_sample(left) == pytest.approx(churn.departures_sd(SESSION, ABSENCE, 1, TIME), rel=0.06)
