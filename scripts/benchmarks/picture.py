"""The summary as a picture: how many times better or worse than the reference, on a logarithmic scale. Plain SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

WIDTH, LABEL_WIDTH, RIGHT = 960, 250, 60
BAR, GAP, ROW_GAP, HEAD = 13, 2, 12, 64
COLOURS = ("#1a7f4b", "#2f6fb5", "#c9822b", "#8a5ba8", "#9a9a9a", "#b5483f")
TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 50)
FONT = 'font-family="Helvetica, Arial, sans-serif"'


def picture(summaries: Sequence[dict[str, Any]]) -> str:
    """One panel under the other. To the right of the line at 1 is better than the reference."""
    panels: list[str] = []
    top = 10
    for summary in summaries:
        body, height = _panel(summary, top)
        panels.append(body)
        top += height
    style = f'<rect width="{WIDTH}" height="{top}" fill="white"/>'
    size = f'width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {FONT}>{style}\n' + "\n".join(panels) + "\n</svg>\n"


def advantage(figures: dict[str, Any], more_is_better: bool) -> tuple[float, float, float]:
    """Median, lowest and highest: times better than the reference."""
    ratio = figures["ratio"]
    if more_is_better:
        return ratio["median"], ratio["min"], ratio["max"]
    return 1 / ratio["median"], 1 / ratio["max"], 1 / ratio["min"]


def _panel(summary: dict[str, Any], top: int) -> tuple[str, int]:
    reference, *others = summary["contestants"]
    rows = list(summary["measures"].items())
    values = [
        value
        for measure, about in rows
        for name in others
        for value in advantage(summary["contestants"][name][measure], about["more_is_better"])
    ]
    low, high = min([*values, 0.5]), max([*values, 2.0])
    scale = (WIDTH - LABEL_WIDTH - RIGHT) / (math.log(high) - math.log(low))

    def x(value: float) -> float:
        return LABEL_WIDTH + (math.log(value) - math.log(low)) * scale

    row_height = len(others) * (BAR + GAP) + ROW_GAP
    bottom = top + HEAD + len(rows) * row_height
    parts = [_text(10, top + 18, f"{summary['title']}: times better than {reference}", size=15, weight="bold")]
    parts += _legend(others, top + 38)
    parts += _grid(x, low, high, top + HEAD - 10, bottom)
    for index, (measure, about) in enumerate(rows):
        y = top + HEAD + index * row_height
        parts.append(_text(LABEL_WIDTH - 8, y + row_height / 2 - 2, measure, anchor="end"))
        for place, name in enumerate(others):
            found = advantage(summary["contestants"][name][measure], about["more_is_better"])
            parts.append(_bar(x, found, y + place * (BAR + GAP), COLOURS[place % len(COLOURS)]))
    return "\n".join(parts), bottom - top + 24


def _bar(x: Any, found: tuple[float, float, float], y: float, colour: str) -> str:
    median, lowest, highest = found
    left, right = sorted((x(1.0), x(median)))
    middle = y + BAR / 2
    label = f"{median:.2f}" if median < 10 else f"{median:.1f}"
    return (
        f'<rect x="{left:.1f}" y="{y:.1f}" width="{max(right - left, 1):.1f}" height="{BAR}" fill="{colour}"/>'
        f'<line x1="{x(lowest):.1f}" x2="{x(highest):.1f}" y1="{middle:.1f}" y2="{middle:.1f}" stroke="#222"/>'
        + _text(max(x(highest), x(1.0)) + 5, y + BAR - 2, label, size=11)
    )


def _legend(names: Sequence[str], y: float) -> Iterator[str]:
    left = 10.0
    for place, name in enumerate(names):
        yield f'<rect x="{left}" y="{y - 9}" width="10" height="10" fill="{COLOURS[place % len(COLOURS)]}"/>'
        yield _text(left + 14, y, name)
        left += 30 + 6.6 * len(name)


def _grid(x: Any, low: float, high: float, top: float, bottom: float) -> Iterator[str]:
    for tick in TICKS:
        if low <= tick <= high:
            colour, width = ("#444", 1.5) if tick == 1 else ("#ddd", 1)
            yield (
                f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top}" y2="{bottom}" '
                f'stroke="{colour}" stroke-width="{width}"/>'
            )
            yield _text(x(tick), bottom + 13, f"{tick:g}", anchor="middle", size=11)


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="#222">{escape(text)}</text>'
    )
