"""Charts: well-formed whatever the numbers are, and they show what they are given."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.simulation import svg
from actors.simulation.svg import Curve, bars, columns, heat_map, intervals, lines, stacked, thinned, ticks

NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-1e6, 1e6)
FINITE = st.floats(-1e9, 1e9)


def parsed(chart: str) -> ElementTree.Element:
    """The chart as XML. Nothing in it may be no number, or a text that was not escaped."""
    root = ElementTree.fromstring(chart)
    assert "nan" not in chart
    return root


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=30), st.text(max_size=10))
@example([(0.0, 5e-324)], "a range that is no normal number")
@example([(-1e308, 1.0), (1e308, 2.0)], "a range beyond all numbers")
@example([(1e15, 1.0), (1e15 + 0.25, 2.0)], "a range lost in its place")
def test_lines_of_any_numbers_are_drawn(points: list[tuple[float, float]], name: str) -> None:
    ordinary = "".join(character for character in name if character.isprintable())
    parsed(lines(f"<{ordinary}>", [Curve("one & two", points), Curve("b", [], is_step=True)], "x", "y"))


@given(st.lists(st.tuples(st.integers(0, 50).map(float), st.floats(0, 1)), max_size=20))
def test_histograms_of_any_numbers_are_drawn(values: list[tuple[float, float]]) -> None:
    root = parsed(bars("bars", values, "x", "y", overlay=values, overlay_name="law"))
    assert len(root.findall(".//rect")) == len(values)


@given(
    st.lists(
        st.tuples(st.text("abc<&", max_size=9), FINITE, st.floats(0, 1e6), st.lists(FINITE, max_size=5)), max_size=9
    )
)
def test_intervals_of_any_numbers_are_drawn(groups: list[tuple[str, float, float, list[float]]]) -> None:
    root = parsed(intervals("means", groups, "y", x_label="fanout"))
    assert len(root.findall(".//circle")) == sum(1 + len(dots) for *_, dots in groups)


@given(FINITE, FINITE)
def test_ticks_are_round_and_inside(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    found = ticks(low, high)
    assert 1 <= len(found) <= 12
    slack = (high - low) * 1e-6 + 1e-9
    assert all(low - slack <= value <= high + slack for value in found)


def test_the_last_point_of_a_long_curve_is_drawn() -> None:
    points = [(float(x), float(x % 7)) for x in range(10_000)]
    kept = thinned(points)
    assert len(kept) <= svg.MAX_POINTS
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert thinned([(0.0, math.nan), (1.0, math.inf), (2.0, 1.0)]) == [(2.0, 1.0)]


def test_areas_stand_on_each_other() -> None:
    root = parsed(
        stacked("slots", [0.0, 1.0], [("honest", "green", [2.0, 1.0]), ("evil", "red", [0.0, 1.0])], "s", "n")
    )
    assert [path.get("fill") for path in root.findall(".//path")] == ["green", "red"]
    parsed(stacked("nothing", [], [], "s", "n"))


def test_a_heat_map_has_a_cell_for_each_bucket() -> None:
    root = parsed(heat_map("buckets", [("red", 0.5, f"bucket {index}") for index in range(64)], 16))
    assert len(root.findall(".//rect/title")) == 64
    assert len(parsed(heat_map("wide", [("red", 0.5, "")] * 128, 32)).findall(".//rect")) == 256


def test_columns_leave_out_what_is_no_number() -> None:
    root = parsed(columns("p", [("p10", 1.0, "1"), ("p99", math.nan, "-")], "ms"))
    assert len(root.findall(".//rect")) == 1


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.25, "0.25"), (1234.0, "1234"), (45_000.0, "45k"), (2.5e6, "2.5M"), (3e9, "3G")]
)
def test_numbers_at_axes_are_short(value: float, text: str) -> None:
    assert svg.short(value) == text
