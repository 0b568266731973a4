"""Latencies, regions and lives of simulated connections, against the formulas that they are made of."""

from __future__ import annotations

import math
import statistics
from random import Random
from typing import Any

import pytest

from actors.bases.sim_environment import StreamSeeds
from actors.transport.sim_links import (
    SIMBLOCK_2019,
    Constant,
    Distribution,
    Exponential,
    Links,
    LinkTable,
    LogNormal,
    Pareto,
    Regions,
    Weibull,
)
from actors.transport.sim_regions import simblock_spread

DRAWS = 4000


def table(links: Links, seed: int = 1) -> LinkTable:
    return LinkTable(links, StreamSeeds(seed))


def draws(distribution: Distribution) -> list[float]:
    rng = Random(5)
    return sorted(distribution.draw(rng) for _ in range(DRAWS))


def share_below(values: list[float], limit: float) -> float:
    return sum(value < limit for value in values) / len(values)


@pytest.mark.parametrize(
    ("distribution", "median"),
    [
        (LogNormal(0.1, 0.5), 0.1),
        (LogNormal(0.1, 0.5, floor_s=0.2), 0.3),
        (Pareto(0.1, 2.0), 0.1 * math.sqrt(2.0)),
        (Exponential(10.0), 10.0 * math.log(2.0)),
        (Weibull(60.0, 0.5), 60.0 * math.log(2.0) ** 2),
    ],
)
def test_half_of_the_draws_are_below_the_median(distribution: Distribution, median: float) -> None:
    # The number below the median is binomial: four standard deviations are 2 / sqrt(n).
    assert abs(share_below(draws(distribution), median) - 0.5) < 2.0 / math.sqrt(DRAWS)


def test_floors_hold() -> None:
    assert draws(LogNormal(0.1, 1.0, floor_s=0.2))[0] >= 0.2
    assert draws(Pareto(0.1, 0.5))[0] >= 0.1


def test_simblock_latencies_scatter_around_their_mean() -> None:
    """Scale m - 5 and shape m / 5: the mean of such a Pareto law is shape * scale / (shape - 1)."""
    shape, scale = 0.2 * 124, 0.119
    values = draws(simblock_spread(0.124))
    assert values[0] >= scale
    mean = shape * scale / (shape - 1.0)
    assert abs(statistics.fmean(values) - mean) < 4.0 * statistics.stdev(values) / math.sqrt(DRAWS)
    assert mean == pytest.approx(0.124, rel=0.01)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Pareto(0.1, 0.0), "shape"),
        (lambda: Weibull(0.1, -1.0), "shape"),
        (lambda: Exponential(-1.0), "mean_s"),
        (lambda: LogNormal(0.1, floor_s=-0.1), "floor_s"),
        (lambda: Links(lost_per_s=-1.0), "lost_per_s"),
        (lambda: Links(uplink_bytes_per_s=0.0), "uplink_bytes_per_s"),
        (lambda: Regions(("A", "A"), ((0.1, 0.1), (0.1, 0.1)), (1.0, 1.0)), "once"),
        (lambda: Regions(("A", "B"), ((0.1, 0.1),), (1.0, 1.0)), "2 rows"),
        (lambda: Regions(("A",), ((-0.1,),), (1.0,)), "seconds"),
        (lambda: Regions(("A",), ((0.1,),), (0.0,)), "above 0"),
        (lambda: SIMBLOCK_2019.index("Atlantis"), "Atlantis"),
    ],
)
def test_nonsense_is_refused(make: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        make()


def test_a_pair_draws_once_and_by_its_regions() -> None:
    links = table(Links(SIMBLOCK_2019))
    for name, region in (("ann", "EU"), ("ben", "EU"), ("cal", "AU")):
        links.place(name, region)
    near, far = links.latency_s("ann", "ben"), links.latency_s("ann", "cal")
    assert near == links.latency_s("ben", "ann") == links.latency_s("ann", "ben")
    assert far == links.latency_s("cal", "ann")
    assert near >= 0.006
    assert far >= 0.289


def test_nodes_without_a_place_are_spread_by_the_shares() -> None:
    links = table(Links(SIMBLOCK_2019))
    regions = [links.region_of(f"n{number}") for number in range(2000)]
    for name, share in zip(SIMBLOCK_2019.names, SIMBLOCK_2019.shares, strict=True):
        assert abs(regions.count(name) / 2000 - share) < 4.0 * math.sqrt(share * (1.0 - share) / 2000)
    assert links.region_of("n7") == regions[7]


def test_a_place_needs_regions() -> None:
    with pytest.raises(ValueError, match="no regions"):
        table(Links()).place("ann", "EU")
    assert table(Links()).region_of("ann") is None


def test_an_uplink_is_shared_by_everything_a_node_sends() -> None:
    links = table(Links(Constant(1.0), uplink_bytes_per_s=100.0))
    assert not links.is_plain
    assert [links.arrival("ann", to, 100, 0.0) for to in ("ben", "cal", "ben")] == [2.0, 3.0, 4.0]
    assert links.arrival("ben", "ann", 100, 0.0) == 2.0, "the other direction is another uplink"
    links.uplinks["ben"] = 1000.0
    assert links.arrival("ben", "ann", 100, 2.0) == pytest.approx(3.1)


def test_connections_live_as_long_as_the_rate_says() -> None:
    links = table(Links(lost_per_s=0.1))
    lives = [life for _ in range(DRAWS) if (life := links.life_s()) is not None]
    assert abs(statistics.fmean(lives) - 10.0) < 4.0 * 10.0 / math.sqrt(DRAWS)
    assert table(Links()).life_s() is None


@pytest.mark.parametrize(("name", "hint"), [("latency", "Constant"), ("jitter", "Uniform")])
def test_a_plain_number_is_refused_at_once_and_not_by_the_first_packet(name: str, hint: str) -> None:
    with pytest.raises(TypeError, match=f"expected {name} as a distribution, such as {hint}"):
        Links(**{name: 0.05})


def test_a_pair_of_nodes_draws_once_for_both_ways_where_these_are_alike() -> None:
    asked: list[tuple[str, ...]] = []

    def seed_of(*names: str) -> int:
        asked.append(names)
        return StreamSeeds(1)(*names)

    links = LinkTable(Links(SIMBLOCK_2019), seed_of)
    there, back = links.latency_s("b", "a"), links.latency_s("a", "b")
    assert there == back
    assert asked.count(("latency", "a", "b")) == 1
    again = LinkTable(Links(SIMBLOCK_2019), StreamSeeds(1))
    assert again.latency_s("a", "b") == there, "whoever asks first"


def test_a_way_there_and_another_back_have_latencies_of_their_own() -> None:
    regions = Regions(("x", "y"), ((0.01, 0.2), (0.5, 0.01)), (1.0, 1.0), spread=Constant)
    links = table(Links(regions))
    links.place("a", "x")
    links.place("b", "y")
    assert (links.latency_s("a", "b"), links.latency_s("b", "a")) == (0.2, 0.5)
