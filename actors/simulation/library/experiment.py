"""What an experiment of the library is: a function of a seed, what it should give, and how often to repeat it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import msgspec

from actors.simulation import roles
from core.measures.spread import deviation_of_sample
from core.scenario.judging import Anchor, Check

Samples = Mapping[str, Sequence[float]]
"""What one run measured, by quantity: one value or several independent ones."""

Run = Callable[[int], Samples]
"""One run, by its seed."""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """One expectation: ``anchor.name`` is the quantity.

    ``sd_from_sample``: no source gives the deviation of a single run, so the sample's own is taken.
    """

    anchor: Anchor
    sd_from_sample: bool = False


def exactly(name: str, value: float, source: str) -> Expected:
    """A value without any tolerance."""
    return Expected(anchor=Anchor(name=name, expected=value, source=source))


def about(name: str, value: float, sd: float | None, source: str, *, slack: float = 0.0) -> Expected:
    """A mean over runs; ``sd`` of one run, None: not known."""
    anchor = Anchor(name=name, expected=value, sd=sd or 0.0, slack=slack, source=source)
    return Expected(anchor=anchor, sd_from_sample=sd is None)


def between(name: str, low: float, high: float, source: str) -> Expected:
    """A mean that must lie in a band."""
    return Expected(anchor=Anchor(name=name, expected=(low + high) / 2, slack=(high - low) / 2, source=source))


def judge(expected: Expected, values: Sequence[float]) -> Check:
    """The mean of all samples beside what it should be. Raises ValueError for no samples."""
    if not values:
        raise ValueError(f"{expected.anchor.name} was not measured")
    anchor = expected.anchor
    if expected.sd_from_sample:
        anchor = msgspec.structs.replace(anchor, sd=deviation_of_sample(values))
    return Check(anchor=anchor, measured=math.fsum(values) / len(values), runs=len(values))


@dataclass(frozen=True)
class Experiment:
    """See the module.

    ``level``: what of the system takes part: ``links`` (the simulator's clock, randomness and links), ``mind`` (a class
    of the node called directly), ``nodes`` (whole nodes on simulated links). ``runs``: repetitions of the full
    validation; ``quick_runs``: of the quick one, 0 leaves the experiment out.
    """

    name: str
    title: str
    level: str
    run_once: Run
    expected: tuple[Expected, ...]
    runs: int
    quick_runs: int = 0

    def run(
        self, *, seeds: int | None = None, jobs: int = 1, progress: Callable[[str], None] | None = None
    ) -> Iterable[Check]:
        """Measure and judge. ``seeds``: so many runs instead of the usual ones; ``jobs``: processes."""
        count = self.runs if seeds is None else seeds
        samples: dict[str, list[float]] = {}
        for done, measured in enumerate(self._measure(count, jobs), 1):
            for name, values in measured.items():
                samples.setdefault(name, []).extend(values)
            if progress is not None:
                progress(f"{self.name}: run {done} of {count}")
        return [judge(expected, samples.get(expected.anchor.name, ())) for expected in self.expected]

    def _measure(self, count: int, jobs: int) -> Iterator[Samples]:
        if jobs <= 1 or count <= 1:
            yield from map(self.run_once, range(1, count + 1))
            return
        with ProcessPoolExecutor(max_workers=min(jobs, count)) as pool:
            yield from pool.map(_run_named, [self.name] * count, range(1, count + 1))


def _run_named(name: str, seed: int) -> Samples:
    """In a worker process: the experiment is found by name, for functions of functions cannot be pickled."""
    found = next(item for item in roles.validations() if item.name == name)
    assert isinstance(found, Experiment)
    return found.run_once(seed)


def register(experiment: Experiment) -> Experiment:
    """Make an experiment known to ``ensemble simulate --validate``."""
    roles.validation(experiment)
    return experiment
