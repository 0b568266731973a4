"""Medians with their spread, and what they say: text for the terminal, Markdown for the documentation, budgets."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scripts.benchmarks.rounds import Figures, Result

Summary = dict[str, Any]


class Budget(NamedTuple):
    """What DESIGN.md's section 6 asks for: a ratio to the reference that is to be reached, or not to be exceeded."""

    subject: str
    contestant: str
    measure: str
    ratio: float


BUDGETS = (
    Budget("network", "Ensemble to Ensemble, native", "one-way 32 B", 5.0),
    Budget("network", "Ensemble to Ensemble, lisk-0.10", "one-way 32 B", 1.0),
    Budget("network", "Ensemble to Ensemble, native", "requests, 64 in flight", 3.0),
    Budget("network", "Ensemble to Ensemble, native", "one request, p50", 0.7),
    Budget("peers", "Ensemble, native", "broadcast 1 KB to 20", 3.0),
    Budget("peers", "Ensemble, native", "memory, 100 inbound peers", 1.0),
)


def spread(values: Sequence[float]) -> dict[str, float]:
    """``min``, ``median`` and ``max``."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def ratios(reference: Sequence[Figures], measured: Sequence[Figures], measure: str) -> list[float]:
    """Measured through reference, round by round."""
    return [mine[measure] / theirs[measure] for mine, theirs in zip(measured, reference, strict=True)]


def summarise(result: Result) -> Summary:
    """Medians, extremes and ratios to the first contestant within a round; for programs, and for what follows."""
    reference = next(iter(result.rounds.values()))
    return {
        "title": result.title,
        "measures": {
            name: {"unit": measure.unit, "more_is_better": measure.more_is_better}
            for name, measure in result.measures.items()
        },
        "contestants": {
            contestant: {
                measure: {
                    **spread([figures[measure] for figures in rounds]),
                    "ratio": spread(ratios(reference, rounds, measure)),
                }
                for measure in result.measures
            }
            for contestant, rounds in result.rounds.items()
        },
    }


def table(summary: Summary) -> str:
    """One line for each measure and contestant."""
    width = max(map(len, summary["contestants"])) + 2
    lines = [f"{'measure':<36}{'':<{width}}{'median':>12}  {'lowest to highest':<32}{'ratio':>6}  spread of the ratio"]
    for measure, about in summary["measures"].items():
        for contestant, figures in summary["contestants"].items():
            row = figures[measure]
            ratio = row["ratio"]
            reach = f"{number(row['min'])} to {number(row['max'])} {about['unit']}"
            lines.append(
                f"{measure:<36}{contestant:<{width}}{number(row['median']):>12}  {reach:<32}"
                f"{ratio['median']:>6.2f}  {ratio['min']:.2f} to {ratio['max']:.2f}"
            )
    return "\n".join(lines)


def markdown(summary: Summary) -> str:
    """A row for each measure, a column for each contestant; a cell has the median and, bold, the median ratio."""
    reference, *others = summary["contestants"]
    lines = [f"| | {' | '.join((reference, *others))} |", "|---" * (len(others) + 2) + "|"]
    for measure, about in summary["measures"].items():
        cells = [number(summary["contestants"][reference][measure]["median"])]
        for contestant in others:
            row = summary["contestants"][contestant][measure]
            ratio = row["ratio"]
            cells.append(
                f"{number(row['median'])}, **{ratio['median']:.2f}** ({ratio['min']:.2f} to {ratio['max']:.2f})"
            )
        lines.append(f"| {measure}, {about['unit']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def judged(summaries: Mapping[str, Summary]) -> list[dict[str, Any]]:
    """Each budget with what was measured; those whose contestant was not measured are left out."""
    verdicts = []
    for budget in BUDGETS:
        subject = summaries.get(budget.subject)
        figures = subject["contestants"].get(budget.contestant) if subject else None
        if subject is None or figures is None:
            continue
        reached = figures[budget.measure]["ratio"]["median"]
        more_is_better = subject["measures"][budget.measure]["more_is_better"]
        is_met = reached >= budget.ratio if more_is_better else reached <= budget.ratio
        verdicts.append(
            {**budget._asdict(), "at": "least" if more_is_better else "most", "reached": reached, "is_met": is_met}
        )
    return verdicts


def budget_table(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """The budgets as Markdown."""
    lines = ["| budget: ratio to lisk-p2p | asked | reached | |", "|---|---|---|---|"]
    for verdict in verdicts:
        asked = f"at {verdict['at']} {verdict['ratio']:g}"
        short = "met" if verdict["is_met"] else f"missed: {verdict['reached'] / verdict['ratio']:.0%} of it"
        lines.append(
            f"| {verdict['contestant']}: {verdict['measure']} | {asked} | {verdict['reached']:.2f} | {short} |"
        )
    return "\n".join(lines)


def number(value: float) -> str:
    """As many digits as mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
