"""The random overlay and its shuffling, against published figures."""

from __future__ import annotations

import pytest

from core.theory import overlay


@pytest.mark.parametrize(("nodes", "path", "sd"), [(500, 1.9569, 4.382), (1000, 2.1535, 4.427), (5000, 2.7123, 4.463)])
def test_the_random_graph(nodes: int, path: float, sd: float) -> None:
    assert overlay.mean_path(nodes, 20) == pytest.approx(path, abs=1e-4)
    assert overlay.in_degree_sd(nodes, 20) == pytest.approx(sd, abs=1e-3)


def test_a_growing_network() -> None:
    assert overlay.expected_in_degree(1000, 1000, 20) == 0.0
    assert overlay.expected_in_degree(500, 1000, 20) == pytest.approx(20 * 0.6931, abs=0.05)
    total = sum(overlay.expected_in_degree(t, 300, 20) for t in range(1, 301))
    assert total == pytest.approx(sum(min(20, t - 1) for t in range(1, 301))), "every connection has two ends"


def test_turnover() -> None:
    assert overlay.turnover_drops(20) == pytest.approx(71.955, abs=1e-3)
    assert overlay.turnover_sd(20) == pytest.approx(23.80, abs=1e-2)
    shares = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    assert [overlay.turnover_quantile(20, share) for share in shares] == [42, 55, 67, 84, 117, 149]
    assert overlay.originals_left(20, 12) == pytest.approx(10.807, abs=1e-3)
    assert overlay.half_life_drops(20) * 5 == pytest.approx(67.6, abs=0.1)
    assert overlay.originals_left_sd(1, 0) == 0.0
