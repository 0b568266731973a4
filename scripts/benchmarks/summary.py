"""Medians with their spread, and tables of them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def spread(values: Sequence[float]) -> dict[str, float]:
    """``min``, ``median`` and ``max``."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def ratios(
    reference: Sequence[Mapping[str, float]], measured: Sequence[Mapping[str, float]], measure: str
) -> list[float]:
    """Measured through reference, round by round."""
    return [mine[measure] / theirs[measure] for mine, theirs in zip(measured, reference, strict=True)]


def table(summary: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """One row for each measure and pair: median, spread, ratio to the reference."""
    lines = [f"{'measure':<26}{'pair':<24}{'median':>12}  {'lowest to highest':<24}{'ratio':>6}  spread of the ratio"]
    measures = next(iter(summary.values()))
    for measure in measures:
        for pair, figures in summary.items():
            row = figures[measure]
            ratio = row["ratio_to_lisk"]
            lines.append(
                f"{measure:<26}{pair:<24}{_number(row['median']):>12}  "
                f"{_number(row['min']) + ' to ' + _number(row['max']) + ' ' + row['unit']:<24}"
                f"{ratio['median']:>6.2f}  {ratio['min']:.2f} to {ratio['max']:.2f}"
            )
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
