"""How everything is measured: contestants in turn, round after round, so that a slow moment of the machine hits all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

Figures = dict[str, float]
Progress = Callable[[str], None]


class Measure(NamedTuple):
    """One row: its unit, and whether more of it is better."""

    unit: str
    more_is_better: bool


class Result(NamedTuple):
    """What the contestants of one subject did, one dictionary a round. The first contestant is the reference."""

    title: str
    measures: Mapping[str, Measure]
    rounds: dict[str, list[Figures]]


def cores() -> tuple[int | None, int | None]:
    """Two cores for two processes; None where there is only one."""
    found = sorted(os.sched_getaffinity(0))
    return (found[0], found[1]) if len(found) > 1 else (None, None)


def alternate(
    contestants: Mapping[str, Callable[[], Figures]], rounds: int, progress: Progress
) -> dict[str, list[Figures]]:
    """Measure every contestant once a round; every other round in the opposite order."""
    results: dict[str, list[Figures]] = {name: [] for name in contestants}
    for number in range(1, rounds + 1):
        order = list(contestants) if number % 2 else list(reversed(contestants))
        for name in order:
            progress(f"round {number} of {rounds}: {name}")
            results[name].append(contestants[name]())
    return results
