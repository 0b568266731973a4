"""Results as text: tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from actors.simulation import roles
from actors.simulation.results import PointResult, RunResult, Verdict
from core.scenario.judging import Check
from core.scenario.plan import Scenario
from core.scenario.units import shown_duration

RIGHT = frozenset({"expected", "measured", "z", "runs", "mean", "tolerance", "median"})
"""Columns of numbers."""

MAX_FAILURES = 5
MAX_CELL = 96


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under their heads, in columns; numbers to the right."""
    cells = [list(map(_cell, row)) for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
    lines = [list(head), ["-" * width for width in widths], *cells]
    return "\n".join(
        "  ".join(
            text.rjust(width) if name in RIGHT else text.ljust(width)
            for text, width, name in zip(line, widths, head, strict=True)
        ).rstrip()
        for line in lines
    )


def _cell(text: str) -> str:
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def figure(value: float) -> str:
    """A number for people: four significant digits, whole ones in full."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "never" if value > 0 else "-inf"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def verdict_rows(verdicts: Iterable[Verdict]) -> list[list[str]]:
    """One row for each expectation."""
    marks = {True: "holds", False: "FAILS", None: "-"}
    return [[one.label, one.expected, figure(one.measured), marks[one.holds], one.detail] for one in verdicts]


def run_text(run: RunResult, verdicts: Sequence[Verdict]) -> str:
    """One run: what it was, what was expected, what was measured."""
    speed = run.virtual_s / run.wall_s if run.wall_s else 0.0
    parts = [
        f"{run.scenario}, seed {run.seed}: {run.nodes} nodes, {shown_duration(run.virtual_s)} of virtual time in "
        f"{shown_duration(run.wall_s)} ({speed:.3g} times as fast; {shown_duration(run.cpu_s)} of a processor)",
        f"{run.delivered:,} messages between actors, {run.packets:,} packets, {run.bytes_carried:,} bytes on links",
        f"digest {run.digest}",
    ]
    if verdicts:
        rows = verdict_rows(verdicts)
        parts += ["", table(["expectation", "expected", "measured", "verdict", ""], rows)]
    if run.metrics:
        rows = [[name, figure(value)] for name, value in run.metrics.items()]
        parts += ["", table(["figure", "measured"], rows)]
    if run.failure:
        parts += ["", f"the run failed: {run.failure}"]
    return "\n".join(parts)


def points_text(points: Sequence[PointResult]) -> str:
    """A sweep: means over seeds for each combination, and what failed, with the commands that replay it."""
    parts: list[str] = []
    for point in points:
        label = ", ".join(f"{name}={value}" for name, value in point.settings)
        seeds = f"{len(point.runs)} runs" if len(point.runs) != 1 else f"seed {point.runs[0].seed}"
        parts += [f"{point.runs[0].scenario}{f' ({label})' if label else ''}: {seeds}"]
        rows = [
            [name, figure(one.mean), f"± {figure(one.half_width)}", figure(one.low), figure(one.high)]
            for name, one in point.metrics.items()
        ]
        parts += [table(["figure", "mean", "95 %", "lowest", "highest"], rows)]
        if point.verdicts:
            heads = ["expectation", "expected", "measured", "verdict", ""]
            parts += ["", table(heads, verdict_rows(point.verdicts))]
        parts += ["", *failures(point.runs)]
    return "\n".join(parts).rstrip()


def failures(runs: Iterable[RunResult]) -> list[str]:
    """What failed, and how to see it again: a few lines for each of the first runs."""
    lines = []
    bad = [run for run in runs if not run.holds]
    for run in bad[:MAX_FAILURES]:
        broken = [verdict.label for verdict in run.verdicts if verdict.holds is False]
        what = run.failure.partition("\n")[0] or f"expectations failed: {'; '.join(broken)}"
        lines += [f"seed {run.seed} failed: {what}", f"  replay: {run.replay}"]
    if len(bad) > MAX_FAILURES:
        lines.append(f"... and {len(bad) - MAX_FAILURES} more runs failed")
    return lines


CHECK_HEADS = ("anchor", "expected", "measured", "runs", "tolerance", "z", "verdict")


def check_row(check: Check) -> list[str]:
    """One line of the table of validations."""
    return [
        check.anchor.name,
        f"{check.anchor.expected:.6g}",
        f"{check.measured:.6g}",
        str(check.runs),
        f"{check.tolerance:.3g}",
        "-" if check.z is None else f"{check.z:+.2f}",
        "agrees" if check.holds else "DISAGREES",
    ]


def plan_text(scenario: Scenario) -> str:
    """The expanded plan: everything that a file means, for people."""
    rows = [
        [
            group.group,
            str(group.count),
            ", ".join(
                f"{name} {value}"
                for name, value in (
                    ("seeds", group.seeds),
                    ("knows", group.knows),
                    ("fixed", group.fixed),
                    ("trusts", group.trusts),
                )
                if value is not None
            ),
            ", ".join(f"{name}={value}" for name, value in group.config.items()),
        ]
        for group in scenario.nodes
    ]
    links = scenario.links
    latency = f"regions {links.regions.known or links.regions.names}" if links.regions else f"latency {links.latency}"
    parts = [
        f"{scenario.scenario}: {sum(group.count for group in scenario.nodes)} nodes for "
        f"{shown_duration(scenario.duration_s)}, seed {scenario.seed}, "
        f"curves every {shown_duration(scenario.interval_s)}",
        scenario.about,
        "",
        table(["group", "nodes", "peers", "config"], rows),
        "",
        f"links: {latency}, jitter {links.jitter or 'none'}, bandwidth {links.bandwidth_bytes_per_s or 'unlimited'}",
        f"relay: {scenario.relay.targets}, fanout {scenario.relay.fanout}",
    ]
    entries = sorted((*scenario.workload, *scenario.timeline), key=lambda entry: entry.when.at_s or 0.0)
    if entries:
        rows = [[_when(entry.when), entry.label] for entry in entries]
        parts += ["", table(["when", "what"], rows)]
    if scenario.attackers:
        rows = [[one.name, one.kind, shown_duration(one.start_s), str(one.options)] for one in scenario.attackers]
        parts += ["", table(["attacker", "kind", "from", "options"], rows)]
    if scenario.expect:
        parts += ["", "expectations:", *(f"  {one.label}" for one in scenario.expect)]
    return "\n".join(parts)


def _when(when: object) -> str:
    given = {name: getattr(when, name) for name in ("at_s", "every_s", "between_s", "when", "from_s", "until_s")}
    texts = []
    for name, value in given.items():
        if value is None:
            continue
        shown = value.text if hasattr(value, "text") else _times(value)
        texts.append(f"{name.removesuffix('_s')} {shown}")
    return ", ".join(texts)


def _times(value: object) -> str:
    if isinstance(value, tuple):
        return " and ".join(shown_duration(one) for one in value)
    return shown_duration(float(value))  # type: ignore[arg-type]


def vocabulary_text() -> str:
    """Every measure, kind of attacker and validation that there is."""
    parts = [
        table(["measure", "meaning"], [[one.name, one.meaning] for one in roles.measures()]),
        table(["attacker", "meaning"], [[one.kind, one.meaning] for one in roles.attackers()]),
        table(["validation", "meaning"], [[one.name, one.title] for one in roles.validations()]),
    ]
    return "\n\n".join(parts)
