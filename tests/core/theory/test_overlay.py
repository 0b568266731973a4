"""The random overlay and its shuffling, against published figures."""

from __future__ import annotations

import math
from random import Random

import pytest

from core.measures.spread import deviation_of_sample
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


def test_joiners_of_a_growing_network_together() -> None:
    for joiner in (1, 20, 21, 77, 100):
        mean, sd = overlay.in_degree_of_joiners([joiner], 100, 20)
        assert mean == pytest.approx(overlay.expected_in_degree(joiner, 100, 20))
        chances = [min(20, later - 1) / (later - 1) for later in range(joiner + 1, 101)]
        assert sd == pytest.approx(math.sqrt(math.fsum(p * (1.0 - p) for p in chances)))
    everybody, none = overlay.in_degree_of_joiners(range(1, 101), 100, 20)
    assert everybody == pytest.approx(190 + 80 * 20), "every connection has two ends"
    assert none == pytest.approx(0.0, abs=1e-6), "and all together have no choice"


def _picks(rng: Random, nodes: int, outbound: int, block: range) -> int:
    drawn = (rng.sample(range(1, later), min(outbound, later - 1)) for later in range(2, nodes + 1))
    return sum(one in block for draw in drawn for one in draw)


def test_their_deviation_is_that_of_a_thousand_networks() -> None:
    rng, block = Random(7), range(6, 16)
    found = [float(_picks(rng, 30, 4, block)) for _ in range(2000)]
    mean, sd = overlay.in_degree_of_joiners(block, 30, 4)
    assert sum(found) / len(found) == pytest.approx(mean, abs=4 * sd / math.sqrt(len(found)))
    assert deviation_of_sample(found) == pytest.approx(sd, rel=0.08)


def test_shuffling_evens_out() -> None:
    assert overlay.excess_left(100, 20, 0.0) == 1.0
    assert overlay.excess_left(100_000, 20, 12.0) == pytest.approx(math.exp(-0.6), rel=0.001)
    assert overlay.excess_left(100, 20, 12.0) < math.exp(-0.6), "who has many is connected to those who could come"
    with pytest.raises(ValueError, match="expected more than 41 nodes, got 41"):
        overlay.excess_left(41, 20, 1.0)


def test_a_healed_partition() -> None:
    assert overlay.cross_share(50, 8, 0.0) == 0.0
    assert overlay.cross_share(50, 8, 1e6) == pytest.approx(50 / 99), "in the end, as if there never was a cut"
    assert overlay.cross_share(500_000, 20, 12.0) == pytest.approx(0.5 * (1.0 - math.exp(-0.6)), rel=0.001)
    step = 1e-6  # the first replacements: 50 of the other side, 33 of the own side can be drawn
    assert overlay.cross_share(50, 8, step) / step == pytest.approx(50 / (50 + 33) / 8, rel=0.001)
    with pytest.raises(ValueError, match="expected more than 17 nodes, got 16"):
        overlay.cross_share(8, 8, 1.0)


def test_turnover() -> None:
    assert overlay.turnover_drops(20) == pytest.approx(71.955, abs=1e-3)
    assert overlay.turnover_sd(20) == pytest.approx(23.80, abs=1e-2)
    shares = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    assert [overlay.turnover_quantile(20, share) for share in shares] == [42, 55, 67, 84, 117, 149]
    assert overlay.originals_left(20, 12) == pytest.approx(10.807, abs=1e-3)
    assert overlay.half_life_drops(20) * 5 == pytest.approx(67.6, abs=0.1)
    assert overlay.originals_left_sd(1, 0) == 0.0
