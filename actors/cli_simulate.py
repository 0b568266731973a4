"""``ensemble simulate``: scenarios from files, their results, sweeps, checks of determinism, validations.

Exit codes: 0 everything holds, 1 an expectation failed or a run went wrong, 2 wrong input.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from actors.cli_help import examples

if TYPE_CHECKING:
    from actors.simulation.results import PointResult
    from actors.simulation.scenario_files import ScenarioFile

EXIT_FAILED = 1

RESULTS = Path("simulation-results")
"""Where results go, in a directory named after the scenario, unless --out says otherwise."""

HASH_SEEDS = ("0", "4242")
"""A run must not depend on the order of sets of texts, which PYTHONHASHSEED decides."""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "simulate",
        help="run a scenario on a simulated network, in virtual time",
        description="Run a scenario on a simulated network, in virtual time: whole nodes, one seed, the same results "
        "on every machine. Exit code 0: everything holds; 1: an expectation failed, or a run went wrong; 2: wrong "
        "input.",
        **examples(
            "simulate configs/simulations/hello-network.yaml",
            "simulate configs/simulations/hello-network.yaml --seeds 1..10 --jobs 2",
            "simulate configs/simulations/hello-network.yaml --explain",
            "simulate --list",
        ),
    )
    add = parser.add_argument
    add("file", nargs="?", type=Path, metavar="FILE", help="scenario (configs/simulations/*.yaml)")
    add("--seed", type=_seed, metavar="N", help="the seed of the run (default: the file's)")
    add("--seeds", metavar="1..50", help="a run for each of these seeds; 'all': as many as the file says")
    add("--jobs", type=_jobs, metavar="J", help="processes for several runs (default: one per processor)")
    help_set = "set a parameter or any value of the file, as --set links.latency=80ms; may be repeated"
    add("--set", action="append", default=[], type=_assignment, dest="assignments", metavar="NAME=VALUE", help=help_set)
    add("--out", type=Path, metavar="DIR", help=f"where results are written (default: {RESULTS}/NAME)")
    add("--no-out", action="store_true", help="write no files")
    add("--junit", type=Path, metavar="FILE", help="write the expectations as JUnit's XML, for continuous integration")
    add("--json", action="store_true", help="print the results as JSON, for programs")
    add("--quiet", action="store_true", help="show no progress")
    add("--only", action="append", default=[], metavar="NAME", help="of the validations, only this one")
    add("--quick", action="store_true", help="of the validations, those that take seconds, with few runs of each")
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument("--explain", action="store_true", help="print what the file means; run nothing")
    help_check = "run it twice here and twice elsewhere; print the first difference"
    actions.add_argument("--check-determinism", action="store_true", help=help_check)
    actions.add_argument("--validate", action="store_true", help="check the simulator against known figures")
    actions.add_argument("--list", action="store_true", help="list measures, kinds of attackers, validations")
    parser.set_defaults(command=_simulate)


def _seed(text: str) -> int:
    if not text.isdigit() or int(text) > 2**53:
        raise argparse.ArgumentTypeError(f"expected a whole number of 0 or more, got {text[:40]!r}")
    return int(text)


def _jobs(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"expected a number of processes from 1 to 1024, got {text[:40]!r}")
    return int(text)


def _assignment(text: str) -> tuple[str, Any]:
    from actors.simulation.scenario_files import assignment

    try:
        return assignment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _simulate(parsed: argparse.Namespace, output: TextIO) -> int:
    if parsed.list:
        from actors.simulation.tables import vocabulary_text

        print(vocabulary_text(), file=output)
        return 0
    if parsed.validate:
        return _validate(parsed, output)
    from actors.simulation.scenario_files import read_scenario
    from core.errors import ConfigError

    if parsed.file is None:
        raise ConfigError(["ensemble simulate: expected a scenario file (there are some in configs/simulations)"])
    file = read_scenario(parsed.file, parsed.assignments)
    if parsed.explain:
        from actors.simulation.tables import plan_text

        print(plan_text(file.plan(parsed.seed)), file=output)
        return 0
    if parsed.check_determinism:
        return _check_determinism(parsed, file, output)
    return _run(parsed, file, output)


def _seeds(parsed: argparse.Namespace, file: ScenarioFile) -> list[int] | None:
    from actors.simulation.scenario_files import seeds_of
    from core.errors import ConfigError

    if parsed.seeds is None:
        return None if parsed.seed is None else [parsed.seed]
    if parsed.seed is not None:
        raise ConfigError(["ensemble simulate: expected one of --seed and --seeds"])
    if parsed.seeds == "all":
        return list(range(1, file.plan().seeds + 1))
    try:
        return seeds_of(parsed.seeds)
    except ValueError as error:
        raise ConfigError([f"--seeds: {error}"]) from None


def _run(parsed: argparse.Namespace, file: ScenarioFile, output: TextIO) -> int:
    from actors.bases.stopwatch import Stopwatch
    from actors.simulation.outputs import Manifest, write_results
    from actors.simulation.progress import ProgressLine
    from actors.simulation.results import RunResult
    from actors.simulation.sweeps import Job, all_hold, jobs_of, points_of, run_jobs

    seeds = _seeds(parsed, file)
    jobs = jobs_of(file, seeds)
    if len(jobs) == 1 and not parsed.no_out:
        jobs = jobs_of(file, seeds, detail=True)
    line = ProgressLine(is_quiet=parsed.quiet)
    manifest, watch = Manifest.begin(file), Stopwatch()
    done: list[bool] = []

    def on_result(job: Job, result: RunResult) -> None:
        done.append(result.holds)
        if len(jobs) > 1:
            line.runs(len(done), len(jobs), done.count(False))

    def progress(now_s: float, duration_s: float) -> None:
        plan = jobs[len(done)].scenario
        line.virtual(f"{plan.scenario} seed {plan.seed}", now_s, duration_s)

    results = run_jobs(jobs, parsed.jobs or os.cpu_count() or 1, on_result, progress)
    line.clear()
    points = points_of(jobs, results)
    directory = None if parsed.no_out else parsed.out or RESULTS / jobs[0].scenario.scenario
    if directory is not None:
        write_results(directory, manifest.end(results, watch.wall_s), jobs, points)
    if parsed.junit is not None:
        from actors.simulation.junit import cases_of, write_junit

        write_junit(parsed.junit, cases_of(points))
    _show(parsed, points, directory, output)
    return 0 if all_hold(points) else EXIT_FAILED


def _show(parsed: argparse.Namespace, points: list[PointResult], directory: Path | None, output: TextIO) -> None:
    from actors.simulation.outputs import as_json, without_detail
    from actors.simulation.tables import points_text, run_text

    if parsed.json:
        print(as_json([without_detail(point) for point in points]), file=output)
        return
    runs = [run for point in points for run in point.runs]
    print(run_text(runs[0], points[0].verdicts) if len(runs) == 1 else points_text(points), file=output)
    if directory is not None:
        print(f"\nwritten to {directory}: open {directory / 'report.html'}", file=output)
    if len(runs) == 1 and not points[0].holds:
        print(f"replay: {runs[0].replay}", file=output)


def _check_determinism(parsed: argparse.Namespace, file: ScenarioFile, output: TextIO) -> int:
    """Twice in this process, comparing line by line; then in fresh processes with other hash seeds."""
    from actors.bases.sim_check import NotDeterministic, check_determinism
    from actors.simulation.experiment import Experiment
    from actors.simulation.lab import links_of
    from actors.simulation.sweeps import replay_command

    plan = file.plan(parsed.seed)
    try:
        digest = check_determinism(lambda sim: Experiment(sim, plan).run(), plan.seed, links=links_of(plan.links))
    except NotDeterministic as error:
        print(f"{plan.scenario}, seed {plan.seed}, is not deterministic: {error}", file=output)
        return EXIT_FAILED
    print(f"twice in this process: digest {digest}", file=output)
    command = replay_command(file, plan.seed, file.points()[0]).partition(" ")[2]
    is_same = True
    for hash_seed in HASH_SEEDS:
        other = _digest_elsewhere(command, hash_seed)
        is_same = is_same and other == digest
        word = "the same" if other == digest else f"ANOTHER ONE: {other}"
        print(f"in a new process with PYTHONHASHSEED={hash_seed}: {word}", file=output)
    return 0 if is_same else EXIT_FAILED


def _digest_elsewhere(command: str, hash_seed: str) -> str:
    import shlex

    from core.errors import EnsembleError

    arguments = [sys.executable, "-m", "actors.cli", *shlex.split(command), "--json", "--no-out", "--quiet"]
    done = subprocess.run(arguments, env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True)
    try:
        return str(json.loads(done.stdout)[0]["runs"][0]["digest"])
    except (ValueError, LookupError):
        raise EnsembleError(f"a run in another process failed: {done.stderr.strip()[-500:]}") from None


def _validate(parsed: argparse.Namespace, output: TextIO) -> int:
    from actors.simulation.outputs import write_validation
    from actors.simulation.progress import ProgressLine
    from actors.simulation.scenario_files import seeds_of
    from actors.simulation.tables import CHECK_HEADS, check_row, table
    from actors.simulation.validating import run_validations
    from core.scenario.judging import Check

    line = ProgressLine(is_quiet=parsed.quiet)
    seeds = None if parsed.seeds in {None, "all"} else len(seeds_of(parsed.seeds))
    workers = parsed.jobs or os.cpu_count() or 1
    checks: list[Check] = []
    found = run_validations(parsed.only, seeds=seeds, jobs=workers, progress=line.text, quick=parsed.quick)
    for _, check in found:
        checks.append(check)
    line.clear()
    if parsed.json:
        from actors.simulation.outputs import checks_as_json

        print(checks_as_json(checks), file=output)
    else:
        print(table(CHECK_HEADS, [check_row(check) for check in checks]), file=output)
        bad = sum(not check.holds for check in checks)
        print(f"\n{len(checks) - bad} of {len(checks)} figures agree", file=output)
    if parsed.out is not None:
        write_validation(parsed.out, checks)
    if parsed.junit is not None:
        from actors.simulation.junit import cases_of_checks, write_junit

        write_junit(parsed.junit, cases_of_checks(checks))
    return 0 if checks and all(check.holds for check in checks) else EXIT_FAILED
