"""Validations: what the library checks the simulator against. A scenario file with anchors is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from actors.simulation import roles
from actors.simulation.results import RunResult
from actors.simulation.scenario_files import ScenarioFile, read_scenario
from actors.simulation.sweeps import Job, jobs_of, points_of, run_jobs
from core.errors import EnsembleError
from core.scenario.judging import Check


class ScenarioValidation:
    """A scenario whose expectations are anchors, as a validation: run with its ``seeds``, or as many as one likes.

    Register it with :func:`actors.simulation.roles.validation`.
    """

    def __init__(self, file: Path | ScenarioFile, title: str = "") -> None:
        self._source = file
        self._read: ScenarioFile | None = None
        self._title = title

    @property
    def _file(self) -> ScenarioFile:
        if self._read is None:
            source = self._source
            self._read = source if isinstance(source, ScenarioFile) else read_scenario(source)
        return self._read

    @property
    def name(self) -> str:
        return str(self._file.tree["scenario"])

    @property
    def title(self) -> str:
        about = str(self._file.tree.get("about", ""))
        return self._title or about.partition(".")[0] or self.name

    def run(self, *, seeds: int | None, jobs: int, progress: Callable[[str], None]) -> Iterator[Check]:
        """Measure. Raises EnsembleError if a run goes wrong."""
        count = seeds if seeds is not None else int(self._file.tree.get("seeds", 1))
        work = jobs_of(self._file, range(1, count + 1))
        done = 0

        def tell(job: Job, result: RunResult) -> None:
            nonlocal done
            done += 1
            if result.failure:
                raise EnsembleError(f"{self.name}, seed {result.seed}: {result.failure}\nreplay: {result.replay}")
            progress(f"{self.name}: {done} of {len(work)} runs")

        for point in points_of(work, run_jobs(work, jobs, tell)):
            yield from point.checks


def run_validations(
    only: Iterable[str], *, seeds: int | None, jobs: int, progress: Callable[[str], None], quick: bool = False
) -> Iterator[tuple[roles.Validation, Check]]:
    """Run the validations of these names (all if there are none). Raises EnsembleError for an unknown name.

    ``quick``: those that have a quick form (``quick_runs``), with so many runs each.
    """
    wanted = list(only)
    known = {one.name: one for one in roles.validations()}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise EnsembleError(f"there is no validation called {unknown[0]!r}; there are {', '.join(known) or 'none'}")
    for one in [known[name] for name in wanted] if wanted else known.values():
        quick_runs = int(getattr(one, "quick_runs", 0))
        if quick and not quick_runs:
            continue
        progress(f"{one.name}: {one.title}")
        count = quick_runs if quick and seeds is None else seeds
        for check in one.run(seeds=count, jobs=jobs, progress=progress):
            yield one, check
