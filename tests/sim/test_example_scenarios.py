"""The scenarios in configs/simulations hold what they promise, for their own seed and for another."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.simulation.scenario_files import read_scenario
from actors.simulation.sweeps import all_hold, jobs_of, points_of, run_jobs
from actors.simulation.tables import points_text

DIRECTORY = Path(__file__).resolve().parents[2] / "configs" / "simulations"
EXAMPLES = ("hello-network", "partition-and-heal", "churn", "block-propagation", "slow-readers")


def check(name: str, seeds: list[int] | None) -> None:
    jobs = jobs_of(read_scenario(DIRECTORY / f"{name}.yaml"), seeds)
    points = points_of(jobs, run_jobs(jobs, 1, lambda job, result: None))
    assert all_hold(points), points_text(points)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_holds(name: str) -> None:
    check(name, None)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_holds_with_another_seed(name: str) -> None:
    check(name, [2])


def test_every_file_is_a_scenario_called_like_it() -> None:
    for path in sorted(DIRECTORY.rglob("*.yaml")):
        file = read_scenario(path)
        for point in file.points():
            assert file.plan(point=point).scenario == path.stem
