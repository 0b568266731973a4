"""Charts as SVG text: lines, steps, histograms, stacked areas, heat maps, means with intervals.

Everything is in the text: no script, no font, nothing is fetched. Colours are CSS variables of the page
(:mod:`actors.simulation.page`), so that it can be light or dark. Every mark has a ``title``, which browsers show when
the pointer rests on it.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 560, 270
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 44
MAX_POINTS = 600
"""Points of a curve that are drawn; more would not be seen and make pages heavy."""

COLOURS = tuple(f"var(--c{number})" for number in range(1, 9))

BEYOND = 1e15
"""Larger numbers (and what is none) are left out."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """One line. ``low`` and ``high`` make a band around it. ``is_step``: it keeps its value until the next point."""

    name: str
    points: Sequence[Point]
    colour: str = ""
    is_step: bool = False
    is_dashed: bool = False
    low: Sequence[Point] = ()
    high: Sequence[Point] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """The inner area of a chart, and where values lie in it."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        """Pixels from the left."""
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low or 1.0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        return HEIGHT - BOTTOM - (value - self.y_low) / (self.y_high - self.y_low or 1.0) * (HEIGHT - TOP - BOTTOM)


def escape(text: object) -> str:
    """Text that is safe in HTML and SVG."""
    return html.escape(str(text), quote=True)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that divide a range into about ``count`` parts."""
    raw = (high - low) / max(count, 1)
    # Neither so small nor so large that a power of ten is no number, nor lost in the size of what it divides.
    if not max(1e-300, 1e-12 * abs(low)) < raw < 1e300:
        return [low]
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def short(value: float) -> str:
    """A number at an axis."""
    if value == 0:
        return "0"
    size = abs(value)
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            scale = {"G": 1e9, "M": 1e6, "k": 1e3}[suffix]
            return f"{value / scale:.3g}{suffix}"
    return f"{value:.3g}" if size < 1000 else f"{value:.0f}"


def _frame(curves: Sequence[Curve], from_zero: bool, y_high: float | None) -> Frame:
    xs = [x for curve in curves for x, _ in curve.points if is_drawn(x)]
    ys = [y for curve in curves for part in (curve.points, curve.low, curve.high) for _, y in part if is_drawn(y)]
    low = 0.0 if from_zero else min(ys, default=0.0)
    high = y_high if y_high is not None else max(ys, default=1.0)
    if high <= low:
        high = low + 1.0
    return Frame(min(xs, default=0.0), max(xs, default=1.0), low, low + (high - low) * (1.0 if y_high else 1.06))


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(kind: str, x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _rows(frame: Frame) -> list[str]:
    """Lines across, with their values to the left."""
    parts = []
    for value in ticks(frame.y_low, frame.y_high):
        y = frame.y(value)
        parts += [_line("grid", LEFT, y, WIDTH - RIGHT, y), _text("tick", LEFT - 7, y + 4, short(value), "end")]
    return parts


def _axes(frame: Frame, x_label: str, y_label: str, *, whole: bool = False) -> list[str]:
    """Axes with round numbers. ``whole``: only whole numbers stand below."""
    parts = _rows(frame)
    bottom = HEIGHT - BOTTOM
    for value in ticks(frame.x_low, frame.x_high, 6):
        if whole and value != round(value):
            continue
        x = frame.x(value)
        parts += [_line("axis", x, bottom, x, bottom + 4), _text("tick", x, bottom + 17, short(value))]
    return [*parts, _line("axis", LEFT, bottom, WIDTH - RIGHT, bottom), *_labels(x_label, y_label)]


def _labels(x_label: str, y_label: str) -> list[str]:
    middle_y = (TOP + HEIGHT - BOTTOM) / 2
    place = f'transform="translate(14 {middle_y}) rotate(-90)" text-anchor="middle"'
    return [
        _text("label", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_label),
        f'<text class="label" {place}>{escape(y_label)}</text>',
    ]


def figure(
    title: str,
    body: Sequence[str],
    note: str = "",
    legend: Sequence[tuple[str, str]] = (),
    *,
    height: int = HEIGHT,
    width: int = WIDTH,
) -> str:
    """A chart with its title above, its legend and note below."""
    keys = "".join(
        f'<span class="key"><i style="background:{colour}"></i>{escape(name)}</span>' for name, colour in legend
    )
    foot = f'<div class="legend">{keys}</div>' if keys else ""
    foot += f'<p class="note">{escape(note)}</p>' if note else ""
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}">{"".join(body)}</svg>{foot}</figure>'
    )


def is_drawn(value: float) -> bool:
    """Whether a number has a place in a chart."""
    return abs(value) < BEYOND


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most :data:`MAX_POINTS` of the points, the first and the last among them."""
    found = [point for point in points if is_drawn(point[0]) and is_drawn(point[1])]
    if len(found) <= MAX_POINTS:
        return found
    step = (len(found) - 1) / (MAX_POINTS - 1)
    return [found[round(index * step)] for index in range(MAX_POINTS)]


def _path(points: Sequence[Point], frame: Frame, is_step: bool) -> str:
    parts: list[str] = []
    for x, y in points:
        px, py = frame.x(x), frame.y(y)
        if not parts:
            parts.append(f"M{px:.1f} {py:.1f}")
        elif is_step:
            parts.append(f"H{px:.1f}V{py:.1f}")
        else:
            parts.append(f"L{px:.1f} {py:.1f}")
    return "".join(parts)


def _marks(marks: Sequence[tuple[float, str]], frame: Frame) -> list[str]:
    """Upright lines with a text, where something happened."""
    places = [(frame.x(x), text) for x, text in marks if frame.x_low <= x <= frame.x_high]
    return [
        f'<line class="mark" x1="{px:.1f}" y1="{TOP}" x2="{px:.1f}" y2="{HEIGHT - BOTTOM}">'
        f"<title>{escape(text)}</title></line>"
        for px, text in places
    ]


def lines(
    title: str,
    curves: Sequence[Curve],
    x_label: str,
    y_label: str,
    *,
    note: str = "",
    y_high: float | None = None,
    marks: Sequence[tuple[float, str]] = (),
    from_zero: bool = True,
) -> str:
    """Curves over one axis. ``marks``: upright lines with a text, where something happened."""
    frame = _frame(curves, from_zero, y_high)
    body = _axes(frame, x_label, y_label)
    body += _marks(marks, frame)
    legend = []
    for index, curve in enumerate(curves):
        colour = curve.colour or COLOURS[index % len(COLOURS)]
        legend.append((curve.name, colour))
        if curve.low and curve.high:
            ring = [*curve.low, *reversed(curve.high)]
            body.append(f'<path d="{_path(ring, frame, False)}Z" fill="{colour}" opacity="0.15"/>')
        dash = ' stroke-dasharray="5 4"' if curve.is_dashed else ""
        points = thinned(curve.points)
        last = f"{points[-1][1]:.6g} at the end" if points else "nothing"
        body.append(
            f'<path d="{_path(points, frame, curve.is_step)}" fill="none" stroke="{colour}" stroke-width="1.8"{dash}>'
            f"<title>{escape(curve.name)}: {last}</title></path>"
        )
    return figure(title, body, note, legend if len(curves) > 1 else ())


def bars(
    title: str,
    values: Sequence[tuple[float, float]],
    x_label: str,
    y_label: str,
    *,
    overlay: Sequence[Point] = (),
    overlay_name: str = "",
    name: str = "measured",
    note: str = "",
) -> str:
    """A histogram over whole numbers, with a curve to compare it with."""
    xs = [x for x, _ in (*values, *overlay)]
    low, high = min(xs, default=0.0) - 0.7, max(xs, default=1.0) + 0.7
    top = max([y for _, y in (*values, *overlay)], default=1.0) or 1.0
    frame = Frame(low, high, 0.0, top * 1.08)
    body = _axes(frame, x_label, y_label, whole=True)
    width = min(46.0, max(1.0, (frame.x(1.0) - frame.x(0.0)) * 0.8))
    for x, y in values:
        left, upper = frame.x(x) - width / 2, frame.y(y)
        body.append(
            f'<rect x="{left:.1f}" y="{upper:.1f}" width="{width:.1f}" height="{HEIGHT - BOTTOM - upper:.1f}" rx="1.5" '
            f'fill="var(--c1)" opacity="0.75"><title>{short(x)}: {y:.5g}</title></rect>'
        )
    legend = []
    if overlay:
        path = _path(list(overlay), frame, False)
        body.append(f'<path d="{path}" fill="none" stroke="var(--c2)" stroke-width="2"/>')
        legend = [(name, "var(--c1)"), (overlay_name, "var(--c2)")]
    return figure(title, body, note, legend)


def columns(title: str, values: Sequence[tuple[str, float, str]], y_label: str, *, note: str = "") -> str:
    """A column for each name, with its value as text above."""
    top = max((value for _, value, _ in values if math.isfinite(value)), default=1.0) or 1.0
    frame = Frame(0.0, max(len(values), 1), 0.0, top * 1.15)
    body = _rows(frame)
    slot = frame.x(1.0) - frame.x(0.0)
    for index, (name, value, text) in enumerate(values):
        if not math.isfinite(value):
            continue
        middle, upper = frame.x(index + 0.5), frame.y(value)
        body.append(
            f'<rect x="{middle - slot * 0.3:.1f}" y="{upper:.1f}" width="{slot * 0.6:.1f}" '
            f'height="{HEIGHT - BOTTOM - upper:.1f}" rx="2" fill="var(--c1)" opacity="0.8"/>'
            f'<text class="value" x="{middle:.1f}" y="{upper - 5:.1f}" text-anchor="middle">{escape(text)}</text>'
            f'<text class="tick" x="{middle:.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{escape(name)}</text>'
        )
    bottom = HEIGHT - BOTTOM
    body.append(f'<line class="axis" x1="{LEFT}" y1="{bottom}" x2="{WIDTH - RIGHT}" y2="{bottom}"/>')
    return figure(title, [*body, *_labels("", y_label)], note)


def stacked(
    title: str,
    xs: Sequence[float],
    layers: Sequence[tuple[str, str, Sequence[float]]],
    x_label: str,
    y_label: str,
    *,
    note: str = "",
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """Areas on top of each other: (name, colour, a value for each x). ``marks``: as in :func:`lines`."""
    totals = [sum(values[index] for _, _, values in layers) for index in range(len(xs))]
    frame = Frame(min(xs, default=0.0), max(xs, default=1.0), 0.0, (max(totals, default=1.0) or 1.0) * 1.05)
    body = _axes(frame, x_label, y_label)
    floor = [0.0] * len(xs)
    keep = sorted({round(index * (len(xs) - 1) / (MAX_POINTS - 1)) for index in range(MAX_POINTS)}) if xs else []
    for name, colour, values in layers:
        roof = [one + other for one, other in zip(floor, values, strict=True)]
        ring = [(xs[i], roof[i]) for i in keep] + [(xs[i], floor[i]) for i in reversed(keep)]
        last = values[-1] if values else 0.0
        body.append(
            f'<path d="{_path(ring, frame, False)}Z" fill="{colour}" opacity="0.8">'
            f"<title>{escape(name)}: {last:.5g} at the end</title></path>"
        )
        floor = roof
    body += _marks(marks, frame)
    return figure(title, body, note, [(name, colour) for name, colour, _ in layers])


def heat_map(
    title: str,
    cells: Sequence[tuple[str, float, str]],
    across: int,
    *,
    note: str = "",
    legend: Sequence[tuple[str, str]] = (),
) -> str:
    """Cells in rows of ``across``: (colour, opacity from 0 to 1, text)."""
    size, gap = 30, 3
    if across > 16:
        size = max(8, 496 // across)
    rows = math.ceil(len(cells) / across)
    body = []
    for index, (colour, opacity, text) in enumerate(cells):
        x, y = LEFT / 2 + index % across * (size + gap), TOP + index // across * (size + gap)
        body.append(
            f'<rect class="cell" x="{x}" y="{y}" width="{size}" height="{size}" rx="3"/>'
            f'<rect x="{x}" y="{y}" width="{size}" height="{size}" rx="3" fill="{colour}" opacity="{opacity:.3f}">'
            f"<title>{escape(text)}</title></rect>"
        )
    return figure(title, body, note, legend, height=TOP * 2 + rows * (size + gap), width=LEFT + across * (size + gap))


def intervals(
    title: str,
    groups: Sequence[tuple[str, float, float, Sequence[float]]],
    y_label: str,
    *,
    note: str = "",
    x_label: str = "",
) -> str:
    """For each group (name, mean, half-width of its interval, single values): a mark, a bar, and dots."""
    values = [v for _, mean, half, dots in groups for v in (mean - half, mean + half, *dots) if math.isfinite(v)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    pad = (high - low) * 0.12 or abs(high) * 0.05 or 1.0
    frame = Frame(0.0, max(len(groups), 1), low - pad, high + pad)
    body = _rows(frame)
    for index, (name, mean, half, dots) in enumerate(groups):
        x = frame.x(index + 0.5)
        spread = min(18.0, (frame.x(1.0) - frame.x(0.0)) * 0.3)
        for place, value in enumerate(dots):
            shift = ((place * 0.618034) % 1.0 - 0.5) * 2 * spread
            body.append(
                f'<circle cx="{x + shift:.1f}" cy="{frame.y(value):.1f}" r="2.2" fill="var(--c1)" opacity="0.35"/>'
            )
        if math.isfinite(half):
            body.append(
                f'<line x1="{x:.1f}" y1="{frame.y(mean - half):.1f}" x2="{x:.1f}" y2="{frame.y(mean + half):.1f}" '
                f'stroke="var(--c2)" stroke-width="2.5"/>'
            )
        body.append(
            f'<circle cx="{x:.1f}" cy="{frame.y(mean):.1f}" r="4.5" fill="var(--c2)">'
            f"<title>{escape(name)}: {mean:.6g} ± {half:.3g}</title></circle>"
        )
        if len(groups) <= 8 or all(len(one[0]) <= 5 for one in groups):
            room = max(66 // len(groups), 6)
            label = name if len(name) <= room else f"{name[: room - 1]}…"
            body.append(_text("tick", x, HEIGHT - BOTTOM + 17, label))
    return figure(
        title, [*body, *_labels(x_label, y_label)], note, [("a run", "var(--c1)"), ("mean, 95 %", "var(--c2)")]
    )
