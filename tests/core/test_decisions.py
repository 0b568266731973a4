"""The record of a decision: how it reads, and when it gets its time."""

from __future__ import annotations

import pickle

import pytest

from core.decisions import UNSTAMPED, Decision, DecisionKind, Rule, decide, decided, stamped

RULE = Rule("test_rule", "a test")


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (3, "3"),
        (1.0, "1"),
        (1_795_000_000, "1795000000"),
        (1_795_000_000.25, "1795000000"),
        (0.034, "0.034"),
        (1 / 3, "0.3333"),
        (12.34567, "12.35"),
        (-2.5, "-2.5"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_figures_are_whole_or_short_and_never_in_powers_of_ten(figure: float, text: str) -> None:
    decision = decided("1.2.3.4", DecisionKind.BANNED, RULE, ("x", figure))
    assert decision.text == f"1.2.3.4 banned by test_rule (x {text}; a test)"


def test_a_line_names_time_subject_decision_rule_figures_and_source() -> None:
    decision = decide("1.2.3.4:5001", DecisionKind.MOVED_TO_NEW, RULE, 1_000_000.0, ("failures", 3), ("limit", 3))
    text = "1.2.3.4:5001 moved_to_new by test_rule (failures 3, limit 3; a test)"
    assert (decision.text, str(decision)) == (text, f"1970-01-12 13:46:40Z {text}")
    assert str(decide("::1", DecisionKind.UNBANNED, RULE, 1.0)).endswith("::1 unbanned by test_rule (a test)")


@pytest.mark.parametrize("at", [UNSTAMPED, -1.0, 1e18, float("inf"), float("nan")])
def test_a_time_that_no_calendar_has_is_left_out(at: float) -> None:
    assert str(decide("::1", DecisionKind.UNBANNED, RULE, at)) == "::1 unbanned by test_rule (a test)"


def test_records_without_a_time_get_one_and_the_others_keep_theirs() -> None:
    early = decide("1.2.3.4", DecisionKind.ADDED, RULE, 5.0)
    late = decided("1.2.3.4", DecisionKind.CHOSEN, RULE)
    assert late.at == UNSTAMPED
    assert [one.at for one in stamped((early, late), 9.0)] == [5.0, 9.0]


def test_a_record_travels_between_processes() -> None:
    decision = decide("1.2.3.4:5001", DecisionKind.EVICTED, RULE, 2.5, ("age_s", 1.5))
    copy = pickle.loads(pickle.dumps(decision))
    assert isinstance(copy, Decision)
    assert copy == decision
    assert copy.decision is DecisionKind.EVICTED
