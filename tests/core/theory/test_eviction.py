"""The closed form of uniform eviction under flood, against published figures."""

from __future__ import annotations

import pytest

from core.theory import eviction


@pytest.mark.parametrize(("attempts", "left"), [(10, 91.02), (41, 73.82), (100, 62.27), (200, 59.02), (500, 58.71)])
def test_honest_left(attempts: int, left: float) -> None:
    assert eviction.honest_left_uniform(attempts, 41.29) == pytest.approx(left, abs=0.005)


def test_the_number_of_candidates() -> None:
    assert eviction.candidates() == 41
    assert eviction.honest_left_uniform(41, eviction.candidates()) == pytest.approx(73.82, abs=0.1)


@pytest.mark.parametrize(
    ("offered", "places", "share"), [(1.0, 1, 0.5), (2.0, 2, 0.4), (10.0, 10, 0.2146), (0.0, 3, 0.0)]
)
def test_erlang_b(offered: float, places: int, share: float) -> None:
    assert eviction.blocked(offered, places) == pytest.approx(share, abs=1e-4)
