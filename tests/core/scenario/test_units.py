"""Quantities with units."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.scenario import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("50ms", 0.05), ("10s", 10.0), ("1h30min", 5400.0), ("2 min", 120.0), ("1d 2h", 93_600.0), (0, 0.0),
        ("0s", 0.0), ("2.5s", 2.5), ("1min30s", 90.0), ("250us", 0.00025), ("1e-3s", 0.001), ("3m", None), ("5", None),
        (5, None), ("", None), ("s", None), ("-1s", None), ("1s x", None), (True, None), (None, None), ("1" * 70, None),
        ("1e999s", None),
    ],
)  # fmt: skip
def test_durations(text: object, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="a duration with its unit"):
            units.duration_s(text)
    else:
        assert units.duration_s(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "size"), [("200B", 200), ("15KB", 15_000), ("1KiB", 1024), ("1.5MB", 1_500_000), (0, 0)]
)
def test_sizes(text: object, size: int) -> None:
    assert units.size_bytes(text) == size


@pytest.mark.parametrize("text", ["15", 15, "15 kb", "KB", None, "-1B", True])
def test_sizes_need_their_unit(text: object) -> None:
    with pytest.raises(ValueError, match="a size with its unit"):
        units.size_bytes(text)


def test_bandwidths_are_bits_or_bytes_per_second() -> None:
    assert units.bandwidth_bytes_per_s("20Mbit/s") == 2.5e6
    assert units.bandwidth_bytes_per_s("20Mbit") == 2.5e6
    assert units.bandwidth_bytes_per_s("1MB/s") == 1e6
    for wrong in ("1MB", "20", "0Mbit/s", 20, None):
        with pytest.raises(ValueError, match="a bandwidth with its unit"):
            units.bandwidth_bytes_per_s(wrong)


def test_rates_and_shares() -> None:
    assert units.rate_per_s("30/min") == 0.5
    assert units.share("30%") == pytest.approx(0.3)
    assert units.share(1) == 1.0
    for wrong in ("2", "2/x", "0/s", 2, None):
        with pytest.raises(ValueError, match="times per unit of time"):
            units.rate_per_s(wrong)
    for wrong in ("130%", 1.5, -0.1, "x", True, math.nan, None):
        with pytest.raises(ValueError, match="a share"):
            units.share(wrong)


@pytest.mark.parametrize(
    ("text", "number"), [(0.98, 0.98), ("95%", 0.95), ("120ms", 0.12), ("15KB", 15_000.0), ("-2s", -2.0), (3, 3.0)]
)
def test_quantities(text: object, number: float) -> None:
    assert units.quantity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["many", "", None, True, math.inf, [1]])
def test_what_is_no_quantity(text: object) -> None:
    with pytest.raises(ValueError, match="a number, or a quantity"):
        units.quantity(text)


@given(st.floats(min_value=0.001, max_value=1e7))
def test_a_duration_shown_can_be_read_again(seconds: float) -> None:
    assert units.duration_s(units.shown_duration(seconds)) == pytest.approx(seconds, rel=0.01, abs=1.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.05, "50 ms"), (90.5, "90.5 s"), (150, "2 min 30 s"), (3 * 3600, "3 h"), (183_600, "2 d 3 h")],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert units.shown_duration(seconds) == text
