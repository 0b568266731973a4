"""What the benchmark makes of figures. That it yields them: tests/interop/test_benchmark.py."""

from __future__ import annotations

from xml.etree import ElementTree

from scripts.benchmarks.picture import advantage, picture
from scripts.benchmarks.rounds import Measure, Result, alternate
from scripts.benchmarks.summary import BUDGETS, budget_table, judged, markdown, summarise, table

MEASURES = {"one-way 32 B": Measure("messages/s", True), "one request, p50": Measure("ms", False)}
NATIVE = "Ensemble to Ensemble, native"


def result(ours: list[tuple[float, float]]) -> Result:
    def figures(speed: float, time: float) -> dict[str, float]:
        return {"one-way 32 B": speed, "one request, p50": time}

    theirs = [figures(100.0, 2.0), figures(200.0, 4.0), figures(50.0, 1.0)]
    return Result("Title", MEASURES, {"them": theirs, NATIVE: [figures(*one) for one in ours]})


def test_ratios_are_those_within_a_round() -> None:
    summary = summarise(result([(600.0, 1.0), (1000.0, 2.0), (400.0, 0.9)]))
    row = summary["contestants"][NATIVE]["one-way 32 B"]
    assert (row["min"], row["median"], row["max"]) == (400.0, 600.0, 1000.0)
    assert row["ratio"] == {"min": 5.0, "median": 6.0, "max": 8.0}
    assert summary["contestants"][NATIVE]["one request, p50"]["ratio"] == {"min": 0.5, "median": 0.5, "max": 0.9}


def test_contestants_take_turns_and_turn_round() -> None:
    order: list[str] = []

    def contestant(name: str) -> dict[str, float]:
        order.append(name)
        return {"": float(len(order))}

    found = alternate({name: lambda name=name: contestant(name) for name in "abc"}, 2, lambda text: None)  # type: ignore[misc]
    assert "".join(order) == "abccba"
    assert [len(rounds) for rounds in found.values()] == [2, 2, 2]


def test_a_budget_is_met_or_missed_by_so_much() -> None:
    summary = summarise(result([(400.0, 1.0), (800.0, 2.0), (200.0, 0.5)]))
    wanted = [budget for budget in BUDGETS if budget.contestant == NATIVE and budget.measure in MEASURES]
    summary["measures"] |= {budget.measure: summary["measures"]["one-way 32 B"] for budget in BUDGETS} | {
        "one request, p50": summary["measures"]["one request, p50"]
    }
    for budget in BUDGETS:
        summary["contestants"][NATIVE].setdefault(budget.measure, summary["contestants"][NATIVE]["one-way 32 B"])
    verdicts = {verdict["measure"]: verdict for verdict in judged({"network": summary})}
    assert {budget.measure for budget in wanted} <= set(verdicts)
    assert verdicts["one-way 32 B"]["is_met"] is False  # 4 of 5
    assert verdicts["one request, p50"]["is_met"] is True  # 0.5, at most 0.7
    assert "missed: 80% of it" in budget_table(list(verdicts.values()))


def test_tables_and_picture_hold_every_figure() -> None:
    summary = summarise(result([(600.0, 1.0), (1000.0, 2.0), (400.0, 0.9)]))
    assert "| one-way 32 B, messages/s | 100 | 600, **6.00** (5.00 to 8.00) |" in markdown(summary)
    assert len(table(summary).splitlines()) == 1 + len(MEASURES) * 2
    drawn = ElementTree.fromstring(picture([summary, summary]))
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("6.00") == 2
    assert texts.count("2.00") == 2  # half the time is twice as good


def test_less_is_better_where_it_is() -> None:
    figures = {"ratio": {"min": 0.25, "median": 0.5, "max": 2.0}}
    assert advantage(figures, more_is_better=True) == (0.5, 0.25, 2.0)
    assert advantage(figures, more_is_better=False) == (2.0, 0.5, 4.0)
