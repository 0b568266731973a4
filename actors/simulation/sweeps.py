"""Many runs: seeds and combinations of a sweep, in parallel processes, and what they say together."""

from __future__ import annotations

import math
import multiprocessing
import os
import shlex
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from actors.simulation import roles
from actors.simulation.experiment import Progress, run_scenario
from actors.simulation.results import PointResult, RunResult, Verdict
from actors.simulation.scenario_files import Point, ScenarioFile
from core.scenario import expect as e
from core.scenario.judging import Check, summarise
from core.scenario.plan import Scenario

OnResult = Callable[["Job", RunResult], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One run to do. ``point`` is the index of its combination."""

    scenario: Scenario
    settings: tuple[tuple[str, str], ...]
    replay: str
    point: int = 0
    detail: bool = False


def jobs_of(file: ScenarioFile, seeds: Sequence[int] | None, *, detail: bool = False) -> list[Job]:
    """All runs of a file: each combination of its sweep with each seed (None: that of the file). Raises ConfigError."""
    found = []
    for index, point in enumerate(file.points()):
        for seed in seeds if seeds is not None else [None]:
            plan = file.plan(seed, point)
            settings = tuple((name, _text(value)) for name, value in (*point.settings, *file.assignments))
            found.append(Job(plan, settings, replay_command(file, plan.seed, point), index, detail))
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def replay_command(file: ScenarioFile, seed: int, point: Point) -> str:
    """The one command that does a run again."""
    extra = Point((*point.settings, *file.assignments)).as_arguments()
    return shlex.join(["ensemble", "simulate", file.origin, "--seed", str(seed), *extra])


def run_job(job: Job, progress: Progress | None = None) -> RunResult:
    """Do one run, here. What goes wrong in it is part of its result."""
    return run_scenario(
        job.scenario, replay=job.replay, settings=list(job.settings), detail=job.detail, progress=progress
    )


def run_jobs(
    jobs: Sequence[Job], workers: int, on_result: OnResult, progress: Progress | None = None
) -> list[RunResult]:
    """Do all runs, in up to so many processes; results in the order of the jobs.

    ``on_result`` is told each as it comes. With one worker the runs happen here, and ``progress`` is told of each.
    A run whose process dies (killed, out of memory) has a result that says so.
    """
    if workers <= 1 or len(jobs) == 1:
        results = []
        for job in jobs:
            results.append(run_job(job, progress))
            on_result(job, results[-1])
        return results
    return _in_processes(jobs, workers, on_result)


def _in_processes(jobs: Sequence[Job], workers: int, on_result: OnResult) -> list[RunResult]:
    results: dict[int, RunResult] = {}

    def tell(index: int, result: RunResult) -> None:
        results[index] = result
        on_result(jobs[index], result)

    left = _round(jobs, range(len(jobs)), workers, tell)
    for index in left:  # one process died and took the others' pool along: which of them it was shows one by one
        if _round(jobs, [index], 1, tell):
            tell(index, _lost(jobs[index]))
    return [results[index] for index in range(len(jobs))]


def _round(
    jobs: Sequence[Job], chosen: Sequence[int], workers: int, tell: Callable[[int, RunResult], None]
) -> list[int]:
    """Do the chosen runs in one pool of processes; return those that were not done because a process died."""
    # Spawned, not forked: a run must not inherit anything that an earlier one left behind.
    spawn = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(min(workers, len(chosen)), spawn, initializer=_begin_worker)
    broken: list[int] = []
    try:
        waiting: dict[Future[RunResult], int] = {executor.submit(run_job, jobs[index]): index for index in chosen}
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=waiting.__getitem__):
                index = waiting.pop(future)
                try:
                    tell(index, future.result())
                except BrokenProcessPool:
                    broken.append(index)
    except KeyboardInterrupt:
        for process in list((getattr(executor, "_processes", None) or {}).values()):
            process.terminate()  # a long run would go on to its end otherwise
        raise
    finally:
        executor.shutdown(cancel_futures=True)
    return sorted(broken)


def _begin_worker() -> None:
    # Ctrl-C goes to all processes of a terminal; one complaint is enough.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="end with the parent", daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot end its workers, and a long run would go on for nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _lost(job: Job) -> RunResult:
    """The result of a run whose process has died."""
    return RunResult(
        scenario=job.scenario.scenario,
        seed=job.scenario.seed,
        settings=list(job.settings),
        digest="",
        virtual_s=0.0,
        wall_s=0.0,
        cpu_s=0.0,
        nodes=0,
        delivered=0,
        packets=0,
        bytes_carried=0,
        verdicts=[],
        metrics={},
        failure="a process of the sweep died (killed, or out of memory); fewer --jobs need less memory",
        replay=job.replay,
    )


def points_of(jobs: Sequence[Job], results: Sequence[RunResult]) -> list[PointResult]:
    """The results by combination, with means over seeds and what is judged by them."""
    found = []
    for index in sorted({job.point for job in jobs}):
        mine = [result for job, result in zip(jobs, results, strict=True) if job.point == index]
        plan = next(job for job in jobs if job.point == index)
        found.append(_point(plan, mine))
    return found


def _point(job: Job, runs: list[RunResult]) -> PointResult:
    good = [run for run in runs if run.verdicts or not run.failure]
    names = dict.fromkeys(name for run in good for name in run.metrics)
    verdicts: list[Verdict] = []
    checks: list[Check] = []
    for index, expectation in enumerate(job.scenario.expect):
        verdict, check = _judged(expectation, [run.verdicts[index] for run in good if run.verdicts])
        verdicts.append(verdict)
        checks += [check] if check is not None else []
    return PointResult(
        settings=list(job.settings),
        runs=runs,
        metrics={name: summarise([run.metrics[name] for run in good if name in run.metrics]) for name in names},
        verdicts=verdicts,
        checks=checks,
    )


def _judged(expectation: e.Expectation, found: list[Verdict]) -> tuple[Verdict, Check | None]:
    """What all runs together say about one expectation."""
    values = [verdict.measured for verdict in found]
    mean = math.fsum(values) / len(values) if values else math.nan
    at_s = max((verdict.at_s for verdict in found), default=0.0)
    label, count = expectation.label, len(values)
    if isinstance(expectation, e.ExpectMean):
        spread = f"± {summarise(values).half_width:.3g} over {count} runs" if count > 1 else ""
        holds = expectation.band.holds(mean)
        return Verdict(
            label=label, expected=expectation.bounds, measured=mean, holds=holds, at_s=at_s, detail=spread
        ), None
    if isinstance(expectation, e.ExpectAnchor):
        check = Check(anchor=roles.anchor_of(expectation.anchor), measured=mean, runs=max(count, 1))
        z = "" if check.z is None else f"z = {check.z:+.2f}, "
        return Verdict(
            label=label,
            expected=f"{check.anchor.expected:.6g} ± {check.tolerance:.3g}",
            measured=mean,
            holds=check.holds,
            at_s=at_s,
            detail=f"{z}{count} runs",
        ), check
    failed = [verdict for verdict in found if verdict.holds is False]
    holds = bool(found) and not failed
    detail = found[0].detail if count == 1 else f"in {count - len(failed)} of {count} runs"
    expected = found[0].expected if found else ""
    return Verdict(label=label, expected=expected, measured=mean, holds=holds, at_s=at_s, detail=detail), None


def all_hold(points: Iterable[PointResult]) -> bool:
    """Whether nothing went wrong anywhere."""
    return all(point.holds for point in points)
