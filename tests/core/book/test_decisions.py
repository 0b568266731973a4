"""The record of a decision."""

from __future__ import annotations

import pickle

import pytest

from core.book import rules
from core.decisions import Decision, DecisionKind, Rule, decide

RULE = Rule("third_time", "A rule book, chapter 3")


def test_a_record_says_who_what_why_and_when() -> None:
    record = decide("1.2.3.4:5001", DecisionKind.BANNED, RULE, 12.5, ("score", 0), ("limit", 0.5))
    assert record == Decision(
        "1.2.3.4:5001",
        DecisionKind.BANNED,
        "third_time",
        "A rule book, chapter 3",
        (("score", 0), ("limit", 0.5)),
        12.5,
    )
    text = "1.2.3.4:5001 banned by third_time (score 0, limit 0.5; A rule book, chapter 3)"
    assert (record.text, str(record)) == (text, f"1970-01-01 00:00:12Z {text}")
    bare = decide("1.2.3.4", DecisionKind.KEPT, RULE, 0.0)
    assert str(bare) == "1.2.3.4 kept by third_time (A rule book, chapter 3)"


def test_a_record_is_frozen_hashable_and_survives_pickling() -> None:
    record = decide("1.2.3.4:5001", DecisionKind.ADDED, RULE, 1.0, ("bucket", 3))
    assert pickle.loads(pickle.dumps(record)) == record
    assert len({record, record}) == 1
    with pytest.raises(AttributeError):
        record.subject = "someone else"  # type: ignore[misc]
    assert not hasattr(record, "__dict__")


def test_rules_of_the_book_have_distinct_names_and_a_source() -> None:
    found = [value for value in vars(rules).values() if isinstance(value, Rule)]
    assert len({rule.name for rule in found}) == len(found) > 20
    assert all(rule.source for rule in found)
