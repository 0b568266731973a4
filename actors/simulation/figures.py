"""The charts of a run: what is drawn from which records."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from actors.simulation.results import Buckets, Holders, MessageRecord, RunDetail, RunResult
from actors.simulation.svg import Curve, Point, bars, columns, heat_map, lines, stacked
from core.scenario.judging import percentile
from core.scenario.plan import Scenario

MAX_CURVES = 6
"""Messages that get a curve each; more become a median and a band."""

PERCENTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
USUAL = frozenset(
    {"running nodes", "outbound per node", "inbound per node", "bans in force", "evictions", "components",
     "known addresses per node"}
)  # fmt: skip
"""Curves that have charts of their own; the others are probes."""

HELD = "Who holds the watched nodes"
HONEST = "honest"
ATTACKERS = ("var(--c4)", "var(--c2)", "var(--c5)", "var(--c7)")
MAX_MARKS = 60


def sections(scenario: Scenario, run: RunResult, detail: RunDetail) -> list[tuple[str, list[str]]]:
    """All charts of a run, by section."""
    marks = [(line[0], line[1]) for line in detail.story][:MAX_MARKS]
    return [
        ("Messages", messages(detail.messages, detail.regions)),
        ("Network", network(detail, marks)),
        ("Bans and evictions", bans(detail, run.virtual_s, marks)),
        (HELD, holders(detail.holders, marks)),
        ("Books of the watched nodes, bucket by bucket", [bucket_map(one) for one in detail.buckets]),
        ("Probes", probes(scenario, detail, marks)),
    ]


# ---- messages


def messages(records: Sequence[MessageRecord], regions: Mapping[str, str]) -> list[str]:
    """Reach over time, percentiles of propagation (also by region), hops, duplicates."""
    if not records:
        return []
    delays = sorted(delay for log in records for _, delay, _, hops in log.arrivals if hops)
    hops = Counter(one[3] for log in records for one in log.arrivals if one[3])
    copies = Counter(log.copies.get(one[0], 0) for log in records for one in log.arrivals)
    unit, scale = ("ms", 1000.0) if (delays[-1] if delays else 0.0) < 5.0 else ("s", 1.0)
    percentiles = [(f"p{round(share * 100)}", percentile(delays, share) * scale) for share in PERCENTILES]
    percentiles.append(("last", delays[-1] * scale if delays else math.nan))
    what = f"{len(records)} messages" if len(records) > 1 else f"message {records[0].id}"
    return [
        _reach(records, unit, scale),
        columns(
            "Propagation percentiles",
            [(name, value, f"{value:.0f}" if value >= 100 else f"{value:.3g}") for name, value in percentiles],
            f"{unit} after publication",
            note=f"first arrivals of {what} at {len(delays):,} nodes",
        ),
        _by_region(records, regions, unit, scale),
        bars("Hops of the first copy", _shares(hops), "hops", "share of arrivals"),
        bars("Duplicates per node and message", _shares(copies), "further copies", "share of nodes"),
    ]


def _by_region(records: Sequence[MessageRecord], regions: Mapping[str, str], unit: str, scale: float) -> str:
    """How long messages take to the nodes of each region; empty if there are no regions."""
    found: dict[str, list[float]] = {}
    for log in records:
        for node, delay, _, hops in log.arrivals:
            if hops and node in regions:
                found.setdefault(regions[node], []).append(delay * scale)
    if len(found) < 2:
        return ""
    values = []
    for region, delays in sorted(found.items()):
        delays.sort()
        half, most = percentile(delays, 0.5), percentile(delays, 0.9)
        values.append((region, most, f"{half:.3g} / {most:.3g}"))
    return columns("Propagation by region", values, f"{unit} after publication", note="p50 / p90; the columns are p90")


def _shares(counts: Counter[int]) -> list[Point]:
    total = sum(counts.values()) or 1
    return [(float(value), count / total) for value, count in sorted(counts.items())]


def _reach_curve(log: MessageRecord, scale: float) -> list[Point]:
    times = sorted(delay for _, delay, _, _ in log.arrivals)
    return [(time * scale, (index + 1) / max(log.population, 1)) for index, time in enumerate(times)]


def _reach(records: Sequence[MessageRecord], unit: str, scale: float) -> str:
    label = f"{unit} after publication"
    if len(records) <= MAX_CURVES:
        end = max((curve[-1][0] for log in records if (curve := _reach_curve(log, scale))), default=1.0)
        curves = []
        for log in records:
            curve = _reach_curve(log, scale)
            curves.append(Curve(log.id, [*curve, (end, curve[-1][1])] if curve else [], is_step=True))
        return lines("Reach over time", curves, label, "share of nodes", y_high=1.0)
    grid = _grid(max(delay for log in records for _, delay, _, _ in log.arrivals) * scale)
    reached = [_sampled(_reach_curve(log, scale), grid) for log in records]
    low, middle, high = ([] for _ in range(3))
    for index, time in enumerate(grid):
        ordered = sorted(curve[index] for curve in reached)
        low.append((time, percentile(ordered, 0.1)))
        middle.append((time, percentile(ordered, 0.5)))
        high.append((time, percentile(ordered, 0.9)))
    median = Curve("median", middle, low=low, high=high)
    note = f"{len(records)} messages: the median, and the band in which eight of ten lie"
    return lines("Reach over time", [median], label, "share of nodes", y_high=1.0, note=note)


def _grid(end: float, count: int = 150) -> list[float]:
    return [end * index / count for index in range(count + 1)]


def _sampled(curve: Sequence[Point], grid: Sequence[float]) -> list[float]:
    found, place, value = [], 0, 0.0
    for time in grid:
        while place < len(curve) and curve[place][0] <= time:
            value = curve[place][1]
            place += 1
        found.append(value)
    return found


# ---- the network


def over_time(
    title: str,
    curves: Sequence[Curve],
    y_label: str,
    marks: Sequence[tuple[float, str]],
    y_high: float | None = None,
) -> str:
    """Curves over virtual time, in the unit that suits it. ``marks``: seconds, and what was done then."""
    end = max((point[0] for curve in curves for point in curve.points), default=1.0)
    unit, size = time_unit(end)
    scaled = [
        dataclasses.replace(curve, points=[(at_s / size, value) for at_s, value in curve.points]) for curve in curves
    ]
    note = "dotted: what was done to the network; rest on a line to read it" if marks else ""
    shown = [(at_s / size, f"{at_s:g} s: {text}") for at_s, text in marks]
    return lines(title, scaled, f"virtual {unit}", y_label, marks=shown, note=note, y_high=y_high)


def time_unit(end_s: float) -> tuple[str, float]:
    """The unit in which a time that long is best shown, and its seconds."""
    for unit, size in (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if end_s > 5.0 * size:
            return unit, size
    return "seconds", 1.0


def network(detail: RunDetail, marks: Sequence[tuple[float, str]]) -> list[str]:
    """Connections over time, degrees against theory, nodes that run, components, known addresses."""
    series = detail.series
    drawn = [
        over_time(
            "Connections per node",
            [Curve(name, series[name]) for name in ("outbound per node", "inbound per node") if name in series],
            "mean over running nodes",
            marks,
        ),
        degrees(detail),
    ]
    for name in ("running nodes", "components", "known addresses per node"):
        if name in series:
            title = name[0].upper() + name[1:]
            curve = Curve(name, series[name], is_step=name != "known addresses per node")
            drawn.append(over_time(title, [curve], name, marks))
    return drawn


def degrees(detail: RunDetail) -> str:
    """Inbound connections of each node at the end, beside the binomial law of a random overlay."""
    count = len(detail.degrees)
    if count < 3:
        return ""
    inbound = [both - out for both, out in zip(detail.degrees, detail.outbound, strict=True)]
    mean_out = sum(detail.outbound) / count
    low, high = min(inbound), max(inbound)
    note = f"{count} nodes with {mean_out:.2f} outbound connections on average"
    chance = min(mean_out / (count - 1), 1.0)
    law = [(float(k), binomial(count - 1, chance, k)) for k in range(max(0, low - 3), high + 4)]
    return bars(
        "Inbound connections of a node at the end",
        _shares(Counter(inbound)),
        "inbound connections",
        "share of nodes",
        overlay=law,
        overlay_name="binomial law",
        note=note,
    )


def binomial(trials: int, chance: float, hits: int) -> float:
    """The probability of so many hits."""
    if not 0 <= hits <= trials:
        return 0.0
    if chance in {0.0, 1.0}:
        return float(hits == round(trials * chance))
    log = math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)
    return math.exp(log + hits * math.log(chance) + (trials - hits) * math.log(1.0 - chance))


# ---- bans and evictions


def bans(detail: RunDetail, end_s: float, marks: Sequence[tuple[float, str]]) -> list[str]:
    """Bans and evictions, counted up over time."""
    drawn = []
    if detail.bans:
        curves = [
            Curve("bans imposed", _counted((ban[0] for ban in detail.bans if ban[3] > 0.0), end_s), is_step=True),
            Curve("in force", detail.series.get("bans in force", []), is_step=True),
        ]
        drawn.append(over_time("Bans", curves, "bans", marks))
    if detail.evictions:
        curves = [
            Curve(name, _counted((one[0] for one in detail.evictions if one[3] == direction), end_s), is_step=True)
            for name, direction in (("inbound, evicted", "inbound"), ("outbound, shuffled out", "outbound"))
        ]
        drawn.append(over_time("Evictions", curves, "connections", marks))
    return drawn


def _counted(times: Iterable[float], end_s: float) -> list[Point]:
    ordered = sorted(times)
    points = [(0.0, 0.0), *((time, float(index + 1)) for index, time in enumerate(ordered))]
    return [*points, (end_s, float(len(ordered)))]


# ---- watched nodes

PLACES = (
    ("outbound", "outbound slots"),
    ("inbound", "inbound slots"),
    ("tried", "tried addresses"),
    ("new", "new addresses"),
)
"""What of a node can be held: the field of a record, and how it is called."""


def holders(records: Sequence[Holders], marks: Sequence[tuple[float, str]] = ()) -> list[str]:
    """How much of each watched node attackers hold over time, and who holds its slots and its book."""
    drawn = []
    for node in dict.fromkeys(one.node for one in records):
        mine = [one for one in records if one.node == node]
        drawn.append(attackers_share(node, mine, marks))
        unit, size = time_unit(mine[-1].at_s)
        shown = [(at_s / size, f"{at_s:g} s: {text}") for at_s, text in marks]
        for place, what in PLACES:
            owners = dict.fromkeys(owner for one in mine for owner in getattr(one, place))
            if not owners:
                continue
            layers = [
                (owner, colour_of(owner, list(owners)), [float(getattr(one, place).get(owner, 0)) for one in mine])
                for owner in sorted(owners, key=lambda owner: owner != HONEST)
            ]
            title = f"{what[0].upper()}{what[1:]} of {node}"
            times = [one.at_s / size for one in mine]
            drawn.append(stacked(title, times, layers, f"virtual {unit}", what, marks=shown))
    return drawn


def share_held(counts: Mapping[str, int]) -> float:
    """The attackers' share of one place at one moment; nan if nobody has anything there."""
    total = sum(counts.values())
    return 1.0 - counts.get(HONEST, 0) / total if total else math.nan


def held_rows(records: Sequence[Holders]) -> list[tuple[str, str, int, int, float, float]]:
    """(node, what, attackers' at the end, of how many, mean share, largest share), where they ever had anything."""
    rows = []
    for node in dict.fromkeys(one.node for one in records):
        mine = [one for one in records if one.node == node]
        for place, what in PLACES:
            shares = [share for one in mine if not math.isnan(share := share_held(getattr(one, place)))]
            if any(shares):
                last = getattr(mine[-1], place)
                total = sum(last.values())
                theirs = total - last.get(HONEST, 0)
                rows.append((node, what, theirs, total, math.fsum(shares) / len(shares), max(shares)))
    return rows


def attackers_share(node: str, records: Sequence[Holders], marks: Sequence[tuple[float, str]]) -> str:
    """The attackers' shares of one node's slots and tables over time; empty if they never have anything."""
    curves = []
    for (place, what), colour in zip(PLACES, ATTACKERS, strict=True):
        shares = [(one.at_s, share_held(getattr(one, place))) for one in records]
        points = [(at_s, share) for at_s, share in shares if not math.isnan(share)]
        is_table = place in ("tried", "new")
        curves.append(Curve(what, points, colour=colour, is_step=not is_table, is_dashed=is_table))
    if not any(share for curve in curves for _, share in curve.points):
        return ""
    title = f"What attackers hold of {node}"
    return over_time(title, [curve for curve in curves if curve.points], "share", marks, y_high=1.0)


def colour_of(owner: str, owners: Sequence[str]) -> str:
    """Green for honest nodes, a warm colour for each attacker."""
    if owner == HONEST:
        return "var(--c3)"
    return ATTACKERS[sorted(one for one in owners if one != HONEST).index(owner) % len(ATTACKERS)]


def bucket_map(one: Buckets) -> str:
    """Every bucket of a table: its colour says who fills it, its strength how full it is."""
    owners = sorted({owner for bucket in one.buckets for owner in bucket})
    cells = []
    for index, bucket in enumerate(one.buckets):
        total = sum(bucket.values())
        most = max(bucket, key=lambda owner: bucket[owner], default=HONEST)
        parts = ", ".join(f"{owner} {count}" for owner, count in bucket.items()) or "empty"
        strength = 0.0 if not total else 0.25 + 0.75 * total / one.bucket_size
        cells.append((colour_of(most, owners), min(strength, 1.0), f"bucket {index}: {parts} of {one.bucket_size}"))
    held = sum(sum(bucket.values()) for bucket in one.buckets)
    bad = held - sum(bucket.get(HONEST, 0) for bucket in one.buckets)
    note = f"{held:,} addresses in {len(one.buckets)} buckets of {one.bucket_size}, {bad:,} of attackers; "
    note += "the colour is who has most"
    legend = [(owner, colour_of(owner, owners)) for owner in owners]
    return heat_map(f"Table {one.table} of {one.node}", cells, 16, note=note, legend=legend)


# ---- probes, and validations


def probes(scenario: Scenario, detail: RunDetail, marks: Sequence[tuple[float, str]]) -> list[str]:
    """A chart for each probe."""
    drawn = []
    for probe in scenario.probes:
        points = detail.series.get(probe.name)
        if points:
            drawn.append(over_time(probe.name, [Curve(probe.name, points)], probe.value.text, marks))
    return drawn


def z_scores(values: Sequence[float]) -> str:
    """How the z of all checks are spread; between -4 and 4 they agree."""
    if len(values) < 5:
        return ""
    counts = Counter(max(-6, min(6, round(value))) for value in values)
    overlay = [(z / 4.0, math.exp(-((z / 4.0) ** 2) / 2.0) / math.sqrt(math.tau)) for z in range(-16, 17)]
    return bars(
        "z of all figures",
        _shares(counts),
        "standard deviations of the mean",
        "share of figures",
        overlay=overlay,
        overlay_name="normal law",
        note="rounded to whole numbers; beyond 4 is a disagreement",
    )
