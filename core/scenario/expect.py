"""What must be true of a run: at a time, always, within a time, on average over seeds, or against an anchor."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final

from core.scenario import fields as f
from core.scenario.expression import BadExpression, Expression, parse
from core.scenario.fields import Key, Path, Section
from core.scenario.judging import Band

END: Final = "end"


class Formula(Section, frozen=True, kw_only=True):
    """An expression, and where the file says it."""

    expression: Expression
    path: Path = ()

    @property
    def text(self) -> str:
        """As it was written."""
        return self.expression.text


def parse_formula(value: object, path: Path) -> Formula:
    """Read an expression. Raises Faults."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise f.expected(path, "an expression, as reach(m1) or outbound.mean", value)
    try:
        return Formula(expression=parse(value), path=path)
    except BadExpression as error:
        raise f.fault(path, str(error)) from None


def _parse_at(value: object, path: Path) -> float | None:
    """A time, None for the end."""
    return None if value == END else float(f.duration()(value, path))


class Expectation(Section, frozen=True, kw_only=True):
    """Base of all. ``label``: how it is called in tables."""

    @property
    def label(self) -> str:
        """One line for people."""
        raise NotImplementedError

    @property
    def formula(self) -> Formula:
        """What is measured."""
        raise NotImplementedError


class _Bounded(Expectation, frozen=True, kw_only=True):
    """A number and where it must lie."""

    within: Annotated[tuple[float, float] | None, Key(f.pair_of(f.quantity()), "[value, how far it may be off]")] = None
    min_: Annotated[float | None, Key(f.quantity(), "at least")] = None
    max_: Annotated[float | None, Key(f.quantity(), "at most")] = None
    equals: Annotated[float | None, Key(f.quantity(), "exactly")] = None
    at_s: Annotated[float | None, Key(_parse_at, "when: a time, or end")] = None

    def __post_init__(self) -> None:
        given = (self.within, self.equals, self.min_ if self.min_ is not None else self.max_)
        if sum(one is not None for one in given) != 1:
            raise f.fault((), "expected one of within, equals, or min and max")

    @property
    def band(self) -> Band:
        """Where the value must lie."""
        if self.within is not None:
            return Band(low=self.within[0] - self.within[1], high=self.within[0] + self.within[1])
        if self.equals is not None:
            return Band(low=self.equals, high=self.equals)
        low = -math.inf if self.min_ is None else self.min_
        return Band(low=low, high=math.inf if self.max_ is None else self.max_)

    @property
    def bounds(self) -> str:
        """The band, for people."""
        if self.within is not None:
            return f"{self.within[0]:.6g} ± {self.within[1]:.3g}"
        if self.equals is not None:
            return f"= {self.equals:.6g}"
        low, high = self.min_, self.max_
        if low is not None and high is not None:
            return f"{low:.6g} to {high:.6g}"
        return f">= {low:.6g}" if low is not None else f"<= {high:.6g}"


class ExpectValue(_Bounded, frozen=True, kw_only=True):
    """``{value: EXPR, min: ...}``: a number, at a time or at the end of each run."""

    value: Annotated[Formula, Key(parse_formula, "what is measured")]

    @property
    def formula(self) -> Formula:
        return self.value

    @property
    def label(self) -> str:
        return self.value.text


class ExpectMean(_Bounded, frozen=True, kw_only=True):
    """``{mean: EXPR, within: ...}``: the mean of a number over all runs of a sweep over seeds."""

    mean: Annotated[Formula, Key(parse_formula, "what is measured")]

    @property
    def formula(self) -> Formula:
        return self.mean

    @property
    def label(self) -> str:
        return f"mean of {self.mean.text}"


class ExpectAnchor(Expectation, frozen=True, kw_only=True):
    """``{anchor: NAME, of: EXPR}``: the mean over all runs against a known value."""

    anchor: Annotated[str, Key(f.text(80), "name of the anchor")]
    of: Annotated[Formula, Key(parse_formula, "what is measured")]
    at_s: Annotated[float | None, Key(_parse_at, "when: a time, or end")] = None
    path: Path = ()

    @property
    def formula(self) -> Formula:
        return self.of

    @property
    def label(self) -> str:
        return f"{self.of.text} against {self.anchor}"


class ExpectThat(Expectation, frozen=True, kw_only=True):
    """``{that: EXPR}``: true at a time or at the end."""

    that: Annotated[Formula, Key(parse_formula, "what must be true")]
    at_s: Annotated[float | None, Key(_parse_at, "when: a time, or end")] = None

    @property
    def formula(self) -> Formula:
        return self.that

    @property
    def label(self) -> str:
        return self.that.text


class ExpectAlways(Expectation, frozen=True, kw_only=True):
    """``{always: EXPR, from: 6min}``: true whenever one looks."""

    always: Annotated[Formula, Key(parse_formula, "what must be true")]
    from_s: Annotated[float, Key(f.duration(), "from then on")] = 0.0
    until_s: Annotated[float | None, Key(f.duration(), "until then")] = None
    every_s: Annotated[float | None, Key(f.duration(above=0.0), "how often one looks")] = None

    @property
    def formula(self) -> Formula:
        return self.always

    @property
    def label(self) -> str:
        return f"always {self.always.text}"


def _parse_after(value: object, path: Path) -> float | str:
    if isinstance(value, str) and f.is_name(value):
        return value
    return float(f.duration()(value, path))


class ExpectEventually(Expectation, frozen=True, kw_only=True):
    """``{eventually: EXPR, within: 5min, after: split}``: true at some moment in that time."""

    eventually: Annotated[Formula, Key(parse_formula, "what must become true")]
    within_s: Annotated[float, Key(f.duration(above=0.0), "in which time")]
    after: Annotated[float | str, Key(_parse_after, "since when: a time, or the id of an entry of the timeline")] = 0.0
    every_s: Annotated[float | None, Key(f.duration(above=0.0), "how often one looks")] = None
    path: Path = ()

    @property
    def formula(self) -> Formula:
        return self.eventually

    @property
    def label(self) -> str:
        return f"eventually {self.eventually.text}"


KINDS: Final[dict[str, type[Expectation]]] = {
    "value": ExpectValue,
    "that": ExpectThat,
    "always": ExpectAlways,
    "eventually": ExpectEventually,
    "mean": ExpectMean,
    "anchor": ExpectAnchor,
}


def parse_expectation(value: object, path: Path) -> Expectation:
    """Read one expectation. Raises Faults."""
    if isinstance(value, str):
        return ExpectThat(that=parse_formula(value, path))
    kind = f.only_key(value, path, tuple(KINDS), "expectation")
    found: Any = f.section(KINDS[kind])(value, path)
    return found  # type: ignore[no-any-return]
