"""Distributions by name."""

from __future__ import annotations

import math
from random import Random

import pytest

from core.scenario.draws import Draw, constant, duration_draw, number_draw
from core.scenario.fields import Faults

MEANS = [
    ("50ms", 0.05), ("constant(2s)", 2.0), ("uniform(10ms, 90ms)", 0.05), ("exp(10min)", 600.0),
    ("normal(5s, 1s)", 5.0), ("lognormal(60ms, 0.5)", 0.06 * math.exp(0.125)), ("pareto(1s, 3)", 1.5),
    ("weibull(2, 10s)", 10.0 * math.gamma(1.5)), ("loguniform(1s, 100s)", 99.0 / math.log(100.0)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "mean"), MEANS)
def test_means(text: str, mean: float) -> None:
    draw: Draw = duration_draw()(text, ())
    rng = Random(7)
    values = [draw.draw(rng) for _ in range(20_000)]
    assert math.fsum(values) / len(values) == pytest.approx(mean, rel=0.03)
    assert min(values) >= 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gamma(1s)", "unknown distribution gamma; did you mean normal|unknown distribution gamma"),
        ("lognormall(60ms, 0.5)", "did you mean lognormal"), ("uniform(1s)", "got 1 parameters"),
        ("uniform(2s, 1s)", "LOW must not be above HIGH"), ("uniform(1, 2)", "a duration with its unit"),
        ("pareto(1s, 0)", "above 0"), ("loguniform(0s, 1s)", "above 0"), ("lognormal(60ms, wide)", "a plain number"),
        (5, "a duration with its unit"), (None, "or a distribution"), ("exp(1e999s)", "a duration"),
    ],
)  # fmt: skip
def test_what_is_no_distribution(text: object, message: str) -> None:
    with pytest.raises(Faults, match=message):
        duration_draw()(text, ("links", "latency"))


def test_numbers_too_and_a_floor() -> None:
    assert number_draw()("uniform(0, 0.3)", ()) == Draw("uniform", (0.0, 0.3))
    assert constant(0.5).draw(Random(1)) == 0.5
    assert Draw("normal", (0.0, 1.0), floor=0.25).draw(Random(3)) >= 0.25
    assert str(Draw("uniform", (0.01, 0.09))) == "uniform(0.01, 0.09)"
