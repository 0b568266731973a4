"""One run of a scenario, from its first event to its results."""

from __future__ import annotations

import contextlib
import gc
import logging
import math
from collections.abc import Callable, Iterator
from typing import Any

from actors.bases.sim_monitor import Rules
from actors.bases.sim_nodes import Simulation
from actors.bases.stopwatch import Stopwatch
from actors.simulation import quantities
from actors.simulation.deeds import Deeds
from actors.simulation.lab import Laboratory, links_of
from actors.simulation.results import MessageRecord, RunDetail, RunResult
from actors.simulation.watching import Curves, Evaluator, Expectations, Watch
from core.errors import EnsembleError
from core.scenario.expression import BadExpression
from core.scenario.judging import percentile
from core.scenario.plan import Scenario

Progress = Callable[[float, float], None]
"""Told the virtual time that has passed, and all of it."""

SLICES = 100
"""How often progress is told."""

MAX_ERRORS = 20


class _Errors(logging.Handler):
    """Collects what actors log as errors: a run in which an actor failed is no good run."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.lines) < MAX_ERRORS:
            self.lines.append(f"{record.name}: {record.getMessage()}")


@contextlib.contextmanager
def _collected_errors() -> Iterator[list[str]]:
    handler = _Errors()
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield handler.lines
    finally:
        root.removeHandler(handler)


class Experiment:
    """A scenario on a simulation that nothing has happened in yet."""

    def __init__(self, sim: Simulation, scenario: Scenario) -> None:
        self.scenario = scenario
        self.lab = Laboratory(sim, scenario)
        self._evaluator = Evaluator(self.lab)
        self._deeds = Deeds(self.lab, self._evaluator.holds)
        self.lab.add_attackers()
        self._deeds.plan_all()
        self._curves = Curves(self.lab, self._evaluator)
        self._watch = Watch(self.lab)
        self.expectations = Expectations(self.lab, self._evaluator)
        if any(scenario.invariants.values()):
            watched: dict[str, Any] = dict(scenario.invariants)
            sim.monitor(Rules(every_s=max(1.0, scenario.interval_s), **watched))

    def run(self, progress: Progress | None = None) -> None:
        """Let the whole duration pass. Raises what goes wrong."""
        sim, duration = self.lab.sim, self.scenario.duration_s
        for part in range(1, SLICES + 1):
            sim.run_for(max(0.0, duration * part / SLICES - sim.now))
            if progress is not None:
                progress(sim.now, duration)

    def metrics(self) -> dict[str, float]:
        """The usual figures at the end, as far as the scenario has them."""
        lab = self.lab
        running = [node for node in lab.honest() if node.is_running]
        found: dict[str, float] = {"running nodes": float(len(running))}
        for name, direction in (("outbound", quantities.outbound), ("inbound", quantities.inbound)):
            found[f"{name} per node"] = _mean(direction(lab))
        if lab.recorder.messages:
            delays = sorted(quantities.propagation(lab))
            found |= {
                "messages": float(len(lab.recorder.messages)),
                "reach": quantities.reach(lab),
                "hops mean": _mean(quantities.hops(lab)),
                "propagation p50 s": percentile(delays, 0.5),
                "propagation p90 s": percentile(delays, 0.9),
                "propagation p99 s": percentile(delays, 0.99),
                "duplicates per node": _mean(quantities.duplicates(lab)),
            }
        if lab.recorder.requests:
            found["requests answered"] = quantities.answered(lab)
            found["request p50 s"] = percentile(sorted(quantities.request_time(lab)), 0.5)
        for name, value in (
            ("bans", quantities.bans_total(lab)),
            ("evictions", quantities.evictions(lab)),
            ("shuffled out", quantities.shuffles(lab)),
            ("departures by churn", float(self._deeds.departures)),
        ):
            if value:
                found[name] = value
        for probe in self.scenario.probes:
            points = lab.recorder.series.get(probe.name)
            if points:
                found[probe.name] = points[-1][1]
        return {name: value for name, value in found.items() if not math.isnan(value)}

    def detail(self) -> RunDetail:
        """Everything that was recorded."""
        lab, recorder = self.lab, self.lab.recorder
        running = [node for node in lab.honest() if node.is_running]
        return RunDetail(
            messages=[
                MessageRecord(
                    id=log.id,
                    origin=log.origin,
                    at_s=log.at_s,
                    size_bytes=log.size_bytes,
                    population=log.population,
                    arrivals=[
                        (node, one.at_s - log.at_s, lab.name_of(one.source), one.hops)
                        for node, one in log.first.items()
                    ],
                    copies=log.copies,
                )
                for log in recorder.messages.values()
            ],
            series=recorder.series,
            edges=recorder.edges,
            bans=recorder.bans,
            evictions=recorder.evictions,
            story=[*recorder.story, *recorder.failures],
            holders=self._watch.holders,
            buckets=self._watch.buckets(),
            degrees=[recorder.degree(node) for node in running],
            outbound=[int(value) for value in quantities.outbound(lab)],
            owners=lab.owners(),
            names=lab.names_by_peer(),
            regions=lab.regions(),
        )


def _mean(values: tuple[float, ...]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def run_scenario(
    scenario: Scenario,
    *,
    replay: str = "",
    settings: list[tuple[str, str]] | None = None,
    detail: bool = True,
    progress: Progress | None = None,
) -> RunResult:
    """Run a scenario with its own seed. What goes wrong in the run is its ``failure``, and never raised."""
    watch = Stopwatch()
    failure = ""
    gc.collect()
    with _collected_errors() as errors:
        sim = Simulation(scenario.seed, links=links_of(scenario.links), replay=replay)
        try:
            experiment = Experiment(sim, scenario)
            try:
                experiment.run(progress)
            except (EnsembleError, BadExpression, RuntimeError, ValueError, LookupError) as error:
                failure = f"{type(error).__name__}: {error}"
            result = _result(experiment, failure, replay, settings or [], detail)
        finally:
            sim.close()
    if errors and not result.failure:
        result.failure = f"actors failed: {'; '.join(errors[:3])}"
    result.wall_s, result.cpu_s = watch.wall_s, watch.cpu_s
    return result


def _result(
    experiment: Experiment, failure: str, replay: str, settings: list[tuple[str, str]], detail: bool
) -> RunResult:
    sim, scenario = experiment.lab.sim, experiment.scenario
    digest = sim.digest()
    return RunResult(
        scenario=scenario.scenario,
        seed=scenario.seed,
        settings=settings,
        digest=digest,
        virtual_s=sim.now,
        wall_s=0.0,
        cpu_s=0.0,
        nodes=len(sim.nodes),
        delivered=sim.base.delivered,
        packets=sim.internet.packets,
        bytes_carried=sim.internet.bytes_carried,
        verdicts=[] if failure else experiment.expectations.verdicts(),
        metrics=experiment.metrics(),
        failure=failure,
        replay=replay,
        detail=experiment.detail() if detail else None,
    )
