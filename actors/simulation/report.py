"""Reports to look at: a run, a sweep, the validations; each one page that holds everything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from actors.simulation import figures
from actors.simulation.page import charts, facts, heading, page, pill, table
from actors.simulation.results import Holders, PointResult, RunDetail, RunResult, Verdict
from actors.simulation.svg import escape, intervals
from actors.simulation.tables import figure
from core.scenario.judging import Check
from core.scenario.plan import Scenario
from core.scenario.units import shown_duration

if TYPE_CHECKING:
    from actors.simulation.outputs import Manifest
    from actors.simulation.sweeps import Job

MAX_STORY = 200
MAX_FAILED = 20


def run_report(manifest: Manifest, scenario: Scenario, point: PointResult, detail: RunDetail) -> str:
    """The page of one run."""
    (run,) = point.runs
    parts = [
        f"<h1>{escape(scenario.scenario)} {pill(point.holds, 'all holds', 'failed')}</h1>",
        f'<p class="about">{escape(scenario.about)}</p>',
        facts(_facts(run)),
        _failure(run),
        heading("Expectations") if point.verdicts else "",
        _verdicts(point.verdicts) if point.verdicts else "",
    ]
    for title, shown in figures.sections(scenario, run, detail):
        drawn = [one for one in shown if one]
        if drawn:
            parts += [heading(title), charts(drawn)]
        if title == figures.HELD:
            parts.append(_held(detail.holders))
    parts += [heading("Figures"), _metrics(run), _story(detail), _manifest(manifest, run.digest)]
    return page(f"{scenario.scenario}, seed {run.seed}", parts)


def _facts(run: RunResult) -> list[tuple[str, str]]:
    speed = run.virtual_s / run.wall_s if run.wall_s else 0.0
    items = [
        (f"{run.nodes:,}", "nodes"),
        (shown_duration(run.virtual_s), "virtual time"),
        (shown_duration(run.wall_s), f"real time ({speed:.3g} times as fast)"),
        (str(run.seed), "seed"),
        (f"{run.packets:,}", "packets on links"),
    ]
    if "reach" in run.metrics:
        items.append((f"{run.metrics['reach']:.2%}", "mean reach"))
    if "propagation p90 s" in run.metrics:
        items.append((shown_duration(run.metrics["propagation p90 s"]), "propagation, p90"))
    return items


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _failure(run: RunResult) -> str:
    if not run.failure:
        return ""
    return (
        f"{heading('The run failed')}<pre>{escape(run.failure)}</pre><p>Replay: <code>{escape(run.replay)}</code></p>"
    )


def _verdicts(verdicts: Sequence[Verdict]) -> str:
    rows = [_verdict(one) for one in verdicts]
    return table(["expectation", "expected", "measured", "", ""], rows, numbers=frozenset({1, 2}))


def _verdict(one: Verdict) -> list[str]:
    return [_code(one.label), escape(one.expected), figure(one.measured), pill(one.holds), escape(one.detail)]


def _held(records: Sequence[Holders]) -> str:
    """What attackers have of the watched nodes, as a table; empty if they have nothing."""
    rows = [
        [escape(node), what, f"{theirs:,} of {total:,}", f"{mean:.1%}", f"{most:.1%}"]
        for node, what, theirs, total, mean, most in figures.held_rows(records)
    ]
    heads = ["node", "what attackers hold", "at the end", "share over all time, mean", "most"]
    return f"<p></p>{table(heads, rows, numbers=frozenset({2, 3, 4}))}" if rows else ""


def _metrics(run: RunResult) -> str:
    rows = [[escape(name), figure(value)] for name, value in run.metrics.items()]
    return table(["figure", "at the end"], rows, numbers=frozenset({1}))


def _story(detail: RunDetail) -> str:
    if not detail.story:
        return ""
    rows = [[f"{line[0]:,.3f}", escape(line[1])] for line in detail.story[:MAX_STORY]]
    more = f"<p class='note'>and {len(detail.story) - MAX_STORY:,} lines more in story.csv</p>"
    return (
        heading("What was done")
        + table(["seconds", "what"], rows, numbers=frozenset({0}))
        + (more if len(detail.story) > MAX_STORY else "")
    )


def _manifest(manifest: Manifest, digest: str) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    replay = escape(manifest.replay[0]) if manifest.replay else ""
    return (
        f"<footer><p>Replay: <code>{replay}</code></p>"
        f"<p>Digest of the run <code>{digest or 'in runs.csv'}</code>, "
        f"of the configuration <code>{manifest.config_sha256}</code>.</p>"
        f"<p>{escape(manifest.file)}, {escape(manifest.started_at)}; {escape(versions)}</p></footer>"
    )


# ---- sweeps ------------------------------------------------------------------------------------------------------


def sweep_report(manifest: Manifest, jobs: Sequence[Job], points: Sequence[PointResult]) -> str:
    """The page of many runs: figures over the combinations, with intervals, and what failed."""
    scenario = jobs[0].scenario
    runs = [run for point in points for run in point.runs]
    failed = [run for run in runs if not run.holds]
    broken = sum(verdict.holds is False for point in points for verdict in point.verdicts)
    holds = all(point.holds for point in points)
    parts = [
        f"<h1>{escape(scenario.scenario)} {pill(holds, 'all holds', 'failed')}</h1>",
        f'<p class="about">{escape(scenario.about)}</p>',
        facts(
            [
                (f"{len(runs):,}", "runs"),
                (f"{len(points):,}", "combinations"),
                (f"{len(failed):,}", "runs in which something failed"),
                (f"{broken:,}", "expectations that fail over all runs"),
                (shown_duration(manifest.wall_s), "real time"),
                (shown_duration(manifest.cpu_s), "of a processor"),
            ]
        ),
    ]
    names = list(dict.fromkeys(name for point in points for name in point.metrics))
    labels, below = labels_of(points)
    drawn = []
    for name in names:
        groups = [
            (label, one.mean, one.half_width, [run.metrics[name] for run in point.runs if name in run.metrics])
            for label, point in zip(labels, points, strict=True)
            if (one := point.metrics.get(name)) is not None
        ]
        if any(dot != groups[0][1] for _, mean, _, dots in groups for dot in (*dots, mean)):
            drawn.append(intervals(name, groups, name, x_label=below))
    parts += [heading("Figures over all runs"), charts(drawn), "<p></p>", _means(points, names, labels, below)]
    if any(point.verdicts for point in points):
        parts += [heading("Expectations"), _verdicts_of_points(points, labels, below)]
    if failed:
        rows = [[str(run.seed), escape(_why(run)), f"<code>{escape(run.replay)}</code>"] for run in failed[:MAX_FAILED]]
        parts += [heading("Failed runs"), table(["seed", "why", "replay"], rows)]
    parts.append(_manifest(manifest, ""))
    return page(f"{scenario.scenario}, {len(runs)} runs", parts)


def labels_of(points: Sequence[PointResult]) -> tuple[list[str], str]:
    """What each combination is called: only what differs; and what stands below, if that is one name for all."""
    given = [dict(point.settings) for point in points]
    names = list(dict.fromkeys(name for one in given for name in one))
    differ = [name for name in names if len({one.get(name, "") for one in given}) > 1]
    if len(differ) == 1:
        return [one.get(differ[0], "") for one in given], differ[0]
    return [", ".join(f"{name}={one.get(name, '')}" for name in differ) or "all seeds" for one in given], ""


def _verdicts_of_points(points: Sequence[PointResult], labels: Sequence[str], below: str) -> str:
    if len(points) == 1:
        return _verdicts(points[0].verdicts)
    rows = [
        [escape(label), *_verdict(one)] for label, point in zip(labels, points, strict=True) for one in point.verdicts
    ]
    heads = [below or "combination", "expectation", "expected", "measured", "", ""]
    return table(heads, rows, numbers=frozenset({2, 3}))


def _why(run: RunResult) -> str:
    if run.failure:
        return run.failure.partition("\n")[0]
    return "; ".join(verdict.label for verdict in run.verdicts if verdict.holds is False)


def _means(points: Sequence[PointResult], names: Sequence[str], labels: Sequence[str], below: str) -> str:
    rows = []
    for name in names:
        cells = [escape(name)]
        for point in points:
            one = point.metrics.get(name)
            cells.append("-" if one is None else f"{figure(one.mean)} ± {figure(one.half_width)}")
        rows.append(cells)
    heads = [f"{below}={label}" if below else label for label in labels]
    return table(["mean, 95 % interval", *heads], rows, numbers=frozenset(range(1, len(points) + 1)))


# ---- validations -------------------------------------------------------------------------------------------------


def validation_report(checks: Sequence[Check], versions: dict[str, str]) -> str:
    """The page of the validations: measured, expected, z."""
    bad = sum(not check.holds for check in checks)
    rows = [
        [
            f"<code>{escape(check.anchor.name)}</code>",
            escape(check.anchor.quantity),
            f"{check.anchor.expected:.6g}",
            f"{check.measured:.6g}",
            f"{check.tolerance:.3g}",
            str(check.runs),
            "-" if check.z is None else f"{check.z:+.2f}",
            pill(check.holds, "agrees", "disagrees"),
            escape(check.anchor.source),
        ]
        for check in checks
    ]
    spread = [check.z for check in checks if check.z is not None and math.isfinite(check.z)]
    parts = [
        f"<h1>Validation {pill(not bad, 'everything agrees', f'{bad} disagree')}</h1>",
        '<p class="about">What the simulator measures beside what is known from theory or from print. R runs '
        "agree with a figure when their mean is within four standard deviations, and the slack of the theory.</p>",
        facts([(str(len(checks)), "figures"), (str(len(checks) - bad), "agree"), (str(bad), "disagree")]),
        charts([figures.z_scores(spread)]),
        heading("All figures"),
        table(
            ["anchor", "quantity", "expected", "measured", "tolerance", "runs", "z", "", "source"],
            rows,
            numbers=frozenset({2, 3, 4, 5, 6}),
        ),
        f"<footer><p>{escape(', '.join(f'{name} {version}' for name, version in versions.items()))}</p></footer>",
    ]
    return page("Validation", parts)
