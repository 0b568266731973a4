"""Many runs: in processes, together, and what they say together."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actors.simulation import roles
from actors.simulation.results import RunResult, Verdict
from actors.simulation.scenario_files import scenario_of_mapping
from actors.simulation.sweeps import Job, jobs_of, points_of, replay_command, run_jobs
from actors.simulation.tables import points_text
from core.scenario.judging import Anchor

TINY: dict[str, Any] = {
    "scenario": "tiny",
    "duration": "5s",
    "nodes": [{"group": "hub"}, {"group": "full", "count": 2, "seeds": "hub"}],
    "workload": {"at": "3s", "publish": {"id": "m"}},
    "expect": ["reach(m) == 1", {"mean": "hops(m).mean", "min": 1}, {"value": "running", "equals": 3}],
}


class Killer:
    """Whatever process reads this ends."""

    def __reduce__(self) -> tuple[Any, tuple[int]]:
        return os._exit, (9,)


def test_a_process_that_dies_costs_its_own_run_only() -> None:
    jobs = jobs_of(scenario_of_mapping(TINY), [1, 2, 3])
    bad = Job(jobs[1].scenario, jobs[1].settings, "again", detail=Killer())  # type: ignore[arg-type]
    told: list[int] = []
    results = run_jobs([jobs[0], bad, jobs[2]], 2, lambda job, result: told.append(result.seed))
    assert [bool(result.failure) for result in results] == [False, True, False]
    assert "process of the sweep died" in results[1].failure
    assert results[1].replay == "again"
    assert sorted(told) == [1, 2, 3]
    (point,) = points_of(jobs, results)
    assert not point.holds
    assert "seed 2 failed: a process" in points_text([point])


class Teller:
    """Whatever process reads this says which it is, on a named pipe."""

    def __init__(self, pipe: str) -> None:
        self._pipe = pipe

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return tell_process, (self._pipe,)


def tell_process(pipe: str) -> bool:
    with open(pipe, "w") as out:
        out.write(f"{os.getpid()}\n")
    return False


def sweep_for_long(pipe: str) -> None:
    """Two runs at the same time that take very long."""
    plan = scenario_of_mapping(TINY | {"duration": "90d", "expect": []}).plan()
    job = Job(plan, (), "again", detail=Teller(pipe))  # type: ignore[arg-type]
    run_jobs([job, job], 2, lambda job, result: None)


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    pipe = tmp_path / "pids"
    os.mkfifo(pipe)
    program = f"from {__name__} import sweep_for_long as sweep; sweep({str(pipe)!r})"
    guard = "if __name__ == '__main__':\n    "  # spawned workers import the program
    script = tmp_path / "program.py"
    script.write_text(guard + program + "\n")
    with subprocess.Popen([sys.executable, str(script)], env=os.environ | {"PYTHONPATH": os.getcwd()}) as parent:
        workers: set[int] = set()
        while len(workers) < 2:
            with open(pipe) as told:
                workers |= {int(line) for line in told}
        watched = [os.pidfd_open(pid) for pid in workers]
        parent.kill()
    for descriptor in watched:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)  # readable: the process has ended
        assert poll.poll(30_000), "a worker goes on"
        os.close(descriptor)


def result_with(measured: float, holds: bool | None = None, **changes: Any) -> RunResult:
    values: dict[str, Any] = {
        "scenario": "x", "seed": 1, "settings": [], "digest": "", "virtual_s": 1.0, "wall_s": 1.0, "cpu_s": 1.0,
        "nodes": 1, "delivered": 0, "packets": 0, "bytes_carried": 0, "failure": "", "replay": "",
        "metrics": {"reach": measured},
        "verdicts": [Verdict(label="v", expected="e", measured=measured, holds=holds, at_s=1.0)],
    }  # fmt: skip
    return RunResult(**(values | changes))


def judged(expectation: Any, *results: RunResult) -> Any:
    plan = scenario_of_mapping(TINY | {"expect": [expectation]}).plan()
    jobs = [Job(plan, (), "")] * len(results)
    return points_of(jobs, list(results))[0]


def test_means_are_judged_over_all_runs() -> None:
    point = judged({"mean": "reach", "within": [0.5, 0.1]}, result_with(0.2), result_with(0.8))
    assert (point.verdicts[0].measured, point.verdicts[0].holds) == (0.5, True)
    assert judged({"mean": "reach", "min": 0.6}, result_with(0.2), result_with(0.8)).holds is False
    assert point.metrics["reach"].mean == 0.5


def test_anchors_are_judged_by_the_tolerance_of_so_many_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    roles.anchors()
    monkeypatch.setitem(roles._anchors, "test-anchor", Anchor(name="test-anchor", expected=0.5, sd=0.1, slack=0.0))
    expectation = {"anchor": "test-anchor", "of": "reach"}
    assert judged(expectation, result_with(0.8)).holds
    assert not judged(expectation, *[result_with(0.8)] * 4).holds
    check = judged(expectation, *[result_with(0.6)] * 4).checks[0]
    assert check.z == pytest.approx(2.0)


def test_one_run_in_which_it_fails_is_enough() -> None:
    point = judged("reach == 1", result_with(1.0, True), result_with(0.0, False))
    assert not point.holds
    assert point.verdicts[0].detail == "in 1 of 2 runs"
    assert not judged("reach == 1", result_with(1.0, True), result_with(1.0, failure="broken", verdicts=[])).holds


def test_the_command_that_does_it_again_can_be_typed() -> None:
    file = scenario_of_mapping(TINY, origin="a file.yaml")
    file.assignments.append(("links.latency", "uniform(1ms, 2ms)"))
    command = replay_command(file, 7, file.points()[0])
    assert command == "ensemble simulate 'a file.yaml' --seed 7 --set 'links.latency=uniform(1ms, 2ms)'"
