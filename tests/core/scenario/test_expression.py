"""Expressions over measures."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.scenario.expression import BadExpression, Call, parse, statistic

KNOWN: dict[str, float | tuple[float, ...]] = {"reach": 0.98, "hops": (1.0, 2.0, 3.0, 4.0), "held": 3.0, "no": ()}


def resolve(name: str, arguments: tuple[float | str, ...], named: dict[str, float | str]) -> float | tuple[float, ...]:
    if name == "echo":
        return float(arguments[0]) if arguments else float(named["value"])
    return KNOWN[name]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("reach", 0.98), ("reach(m1)", 0.98), ("reach(m1) >= 0.98", 1.0), ("reach > 98%", 0.0), ("hops.mean", 2.5),
        ("hops(m1).max - hops.min", 3.0), ("hops.p50", 2.5), ("hops.count == 4 and reach < 1", 1.0),
        ("2 * -held", -6.0), ("not held == 3 or 1 < 2", 1.0), ("(1 + 2) * 3", 9.0),
        ("1 - 2 - 3", -4.0), ("12 / 2 / 3", 2.0),
        ("echo(120ms) < 1s", 1.0), ("echo(value=7)", 7.0), ("hops.sd", 1.2909944487358056), ("reach.mean", 0.98),
        ("hops.sum", 10.0), ("hops.median", 2.5), ("1 != 2", 1.0), ("0.1 + 0.2 == 0.3", 1.0), ("not 1", 0.0),
    ],
)  # fmt: skip
def test_values(text: str, value: float) -> None:
    assert parse(text).value(resolve) == pytest.approx(value)


@pytest.mark.parametrize("text", ["1 / 0", "no.mean", "no.p90", "no.min"])
def test_what_has_no_value_is_no_number_and_fails_every_comparison(text: str) -> None:
    value = parse(text).value(resolve)
    assert value != value
    assert parse(f"{text} >= 0").value(resolve) == 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected an expression"), ("reach >=", "at the end"), ("reach reach", "expected an operator at 'reach'"),
        ("hops.average", "expected a statistic"), ("reach(m1", "is not closed"), ("(1", r"expected '\)'"),
        ("1 ; 2", "expected a number, a measure or an operator at ';'"), ("3 parsecs", "an operator"),
        ("3parsecs", "a known unit"), ("and 1", "a number or a measure"), ("(" * 40 + "1" + ")" * 40, "levels"),
        ("hops.p0", "expected a statistic"), ("x" * 600, "1 to 500 characters"), ("echo(1,,2)", "parted by commas"),
        ("__import__('os').system", "expected a statistic"),
    ],
)  # fmt: skip
def test_what_is_no_expression_says_where(text: str, message: str) -> None:
    with pytest.raises(BadExpression, match=message):
        parse(text)


def test_many_numbers_do_not_stand_for_one() -> None:
    with pytest.raises(BadExpression, match=r"4 numbers here; say which, as \.mean"):
        parse("hops > 2").value(resolve)
    assert parse("hops").samples(resolve) == (1.0, 2.0, 3.0, 4.0)
    assert parse("held").samples(resolve) == (3.0,)


def test_arguments_are_names_numbers_and_quoted_texts() -> None:
    (call,) = parse("held(victim, trap|poison, 'a, b', 3, 2min, full:3, side=eu)").calls()
    assert call == Call("held", ("victim", "trap|poison", "a, b", 3.0, 120.0, "full:3"), (("side", "eu"),))


def test_statistics_by_name() -> None:
    assert statistic("p90", [float(n) for n in range(11)]) == pytest.approx(9.0)
    with pytest.raises(BadExpression):
        statistic("p100", [1.0])


@given(st.text(max_size=60))
def test_no_text_does_anything_but_parse_or_fail_in_words(text: str) -> None:
    with contextlib.suppress(BadExpression):
        assert parse(text).text == text
