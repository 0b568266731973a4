"""Random quantities by name: ``lognormal(60ms, 0.5)``, ``uniform(10ms, 90ms)``, ``weibull(0.5, 40min)``.

Each draws from a :class:`random.Random` by ``random()`` and arithmetic alone, so that a seed gives the same numbers in
every version of Python. Logarithms may differ between machines in the last digit; times are rounded to ticks later.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from random import Random
from typing import Any, Final

import msgspec

from core.scenario import units
from core.scenario.fields import Parser, Path, expected, fault, nearest


class Draw(msgspec.Struct, frozen=True):
    """A distribution and its parameters. What it draws is never below ``floor``, nor below 0."""

    kind: str
    parameters: tuple[float, ...]
    floor: float = 0.0

    def draw(self, rng: Random, /) -> float:
        """One value, 0 or more."""
        return max(self.floor, _KINDS[self.kind][1](rng, self.parameters), 0.0)

    @property
    def is_constant(self) -> bool:
        """Whether every draw is the same."""
        return self.kind == "constant"

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(format(value, 'g') for value in self.parameters)})"


def constant(value: float) -> Draw:
    """Always the same."""
    return Draw("constant", (value,))


def _normal(rng: Random) -> float:
    """A standard normal number by Box and Muller (random.gauss promises no fixed sequence)."""
    return math.sqrt(-2.0 * math.log(1.0 - rng.random())) * math.cos(math.tau * rng.random())


def _pareto(rng: Random, shape: float, scale: float) -> float:
    return float(scale / (1.0 - rng.random()) ** (1.0 / shape))


_Maker = Callable[[Random, tuple[float, ...]], float]

_KINDS: Final[dict[str, tuple[str, _Maker]]] = {
    # name: (a letter for each parameter: q quantity, n plain number; how to draw)
    "constant": ("q", lambda rng, p: p[0]),
    "uniform": ("qq", lambda rng, p: p[0] + (p[1] - p[0]) * rng.random()),
    "exp": ("q", lambda rng, p: -p[0] * math.log(1.0 - rng.random())),
    "normal": ("qq", lambda rng, p: p[0] + p[1] * _normal(rng)),
    "lognormal": ("qn", lambda rng, p: p[0] * math.exp(p[1] * _normal(rng))),
    "pareto": ("qn", lambda rng, p: _pareto(rng, p[1], p[0])),
    "weibull": ("nq", lambda rng, p: p[1] * (-math.log(1.0 - rng.random())) ** (1.0 / p[0])),
    "loguniform": ("qq", lambda rng, p: math.exp(math.log(p[0]) + math.log(p[1] / p[0]) * rng.random())),
}

FORMS: Final = {
    "constant": "constant(50ms)",
    "uniform": "uniform(LOW, HIGH)",
    "exp": "exp(MEAN)",
    "normal": "normal(MEAN, SD)",
    "lognormal": "lognormal(MEDIAN, SIGMA)",
    "pareto": "pareto(LEAST, SHAPE)",
    "weibull": "weibull(SHAPE, SCALE)",
    "loguniform": "loguniform(LOW, HIGH)",
}
"""How each is written."""

_CALL: Final = re.compile(r"\s*([A-Za-z]+)\s*\(([^()]*)\)\s*")


def parse_draw(value: object, path: Path, reader: Callable[[Any], float], what: str) -> Draw:
    """Read a distribution, or a single quantity as a constant one. ``reader`` reads a quantity. Raises Faults."""
    called = _CALL.fullmatch(value) if isinstance(value, str) and len(value) <= 200 else None
    if called is None:
        try:
            return constant(reader(value))
        except ValueError:
            raise expected(path, f"{what}, or a distribution as {FORMS['uniform']}", value) from None
    kind = called[1].lower()
    if kind not in _KINDS:
        raise fault(path, f"unknown distribution {called[1][:40]}{nearest(kind, _KINDS) or ': ' + ', '.join(_KINDS)}")
    letters = _KINDS[kind][0]
    parts = [part.strip() for part in called[2].split(",")]
    if len(parts) != len(letters):
        raise fault(path, f"expected {FORMS[kind]}, got {len(parts)} parameters")
    values: list[float] = []
    for letter, part in zip(letters, parts, strict=True):
        try:
            values.append(reader(part) if letter == "q" else float(part))
        except ValueError:
            need = what if letter == "q" else "a plain number"
            raise expected(path, f"{need} in {FORMS[kind]}", part) from None
    problem = _problem(kind, values)
    if problem:
        raise fault(path, f"{FORMS[kind]}: {problem}")
    return Draw(kind, tuple(values))


def _problem(kind: str, values: list[float]) -> str:
    if not all(math.isfinite(value) for value in values):
        return "parameters must be finite"
    if kind in {"uniform", "loguniform"} and values[0] > values[1]:
        return "LOW must not be above HIGH"
    if kind == "loguniform" and values[0] <= 0.0:
        return "LOW must be above 0"
    if kind in {"pareto", "weibull"} and min(values) <= 0.0:
        return "both must be above 0"
    return ""


def duration_draw() -> Parser:
    """A parser for random durations in seconds."""
    return lambda value, path: parse_draw(value, path, units.duration_s, "a duration with its unit, as 50ms")


def number_draw() -> Parser:
    """A parser for random numbers, with or without a unit."""
    return lambda value, path: parse_draw(value, path, units.quantity, "a number")
