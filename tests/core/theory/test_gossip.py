"""The exact law of push gossip, against enumeration, limits and published figures."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest

from core.theory import gossip


def enumerated(nodes: int, fanout: int, dead: int = 0) -> list[float]:
    """The law by trying every choice of everybody (feasible for four or five nodes)."""
    choices = [list(itertools.combinations([v for v in range(nodes) if v != u], fanout)) for u in range(nodes)]
    found: Counter[int] = Counter()
    for picks in itertools.product(*choices):
        reached, queue = {0}, [0]
        while queue:
            for target in picks[queue.pop()]:
                if target not in reached and target < nodes - dead:
                    reached.add(target)
                    queue.append(target)
        found[len(reached)] += 1
    return [found[k] / found.total() for k in range(nodes - dead + 1)]


@pytest.mark.parametrize(("nodes", "fanout"), [(2, 1), (4, 1), (5, 1), (4, 2), (5, 2), (5, 3)])
def test_the_law_is_that_of_all_choices_counted(nodes: int, fanout: int) -> None:
    assert gossip.push_law(nodes, fanout).probabilities == pytest.approx(enumerated(nodes, fanout))


@pytest.mark.parametrize(("nodes", "fanout", "dead"), [(4, 1, 1), (5, 2, 1), (5, 2, 3), (5, 3, 2)])
def test_dead_targets_take_part_in_the_choice_only(nodes: int, fanout: int, dead: int) -> None:
    assert gossip.push_law(nodes, fanout, dead).probabilities == pytest.approx(enumerated(nodes, fanout, dead))


@pytest.mark.parametrize(
    ("nodes", "fanout", "mean", "sd", "everybody"),
    [
        (1000, 2, 0.797513, 0.016483, 0.0),
        (1000, 4, 0.980359, 0.004572, 0.0),
        (1000, 8, 0.999675, 0.000571, 0.7225),
        (500, 8, 0.999685, 0.000794, 0.8546),
        (100, 4, 0.982013, 0.013807, 0.1741),
    ],
)
def test_published_rows(nodes: int, fanout: int, mean: float, sd: float, everybody: float) -> None:
    law = gossip.push_law(nodes, fanout)
    assert law.mean_reach == pytest.approx(mean, abs=1e-6)
    assert law.sd_reach == pytest.approx(sd, abs=1e-6)
    assert law.everybody == pytest.approx(everybody, abs=1e-4)
    assert math.fsum(law.probabilities) == pytest.approx(1.0)


def test_limits() -> None:
    assert gossip.fixed_point(4.0) == pytest.approx(0.980173, abs=1e-6)
    assert gossip.fixed_point(0.9) == 0.0
    assert gossip.everybody_limit(1000, 8) == pytest.approx(0.7150, abs=1e-4)
    assert gossip.push_law(1000, 2).mean_reach == pytest.approx(gossip.fixed_point(2.0), abs=0.001)


@pytest.mark.parametrize(
    ("arriving", "mean"), [(0.5, 0.9996), (0.25, 0.9698), (0.2, 0.9221), (0.15, 0.7929), (0.1, 0.4306)]
)
def test_loss_and_dead_targets(arriving: float, mean: float) -> None:
    assert gossip.lossy_push(16, arriving).mean_reach == pytest.approx(mean, abs=6e-5)


def test_what_cannot_be_is_refused() -> None:
    for fanout in (0, 10):
        with pytest.raises(ValueError, match="fanout from 1 to 9"):
            gossip.push_law(10, fanout)
    with pytest.raises(ValueError, match="0 to 9 dead"):
        gossip.push_law(10, 2, 10)
