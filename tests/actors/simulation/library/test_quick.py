"""The quick validation: every experiment that takes part agrees with theory and print."""

from __future__ import annotations

from typing import cast

import pytest

from actors.simulation import roles
from actors.simulation.library.experiment import Experiment

EXPERIMENTS = [cast(Experiment, item) for item in roles.validations() if isinstance(item, Experiment)]
QUICK = [item for item in EXPERIMENTS if item.quick_runs]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("experiment", QUICK, ids=lambda item: item.name)
def test_it_agrees(experiment: Experiment) -> None:
    heard: list[str] = []
    for check in experiment.run(seeds=experiment.quick_runs, progress=heard.append):
        assert check.holds, f"{check.anchor}: measured {check.measured} in {check.runs} runs, z {check.z}"
    assert len(heard) == experiment.quick_runs


def test_names_are_unique_and_every_expectation_has_a_source() -> None:
    anchors = [expected.anchor for item in EXPERIMENTS for expected in item.expected]
    assert len({anchor.name for anchor in anchors}) == len(anchors)
    assert all(anchor.source for anchor in anchors)
    assert all(item.level in ("links", "mind", "nodes") and item.runs > 0 for item in EXPERIMENTS)


def test_the_same_seed_measures_the_same() -> None:
    experiment = next(item for item in QUICK if item.name == "push-n1000-f4")
    assert experiment.run_once(5) == experiment.run_once(5) != experiment.run_once(6)
