"""The journal: what it keeps, and whose story it tells."""

from __future__ import annotations

import pytest

from core.decisions import Decision, DecisionKind, Rule, decide
from core.journal import Journal, address_of

RULE = Rule("test_rule", "a test")


def decision(subject: str, at: float = 0.0) -> Decision:
    return decide(subject, DecisionKind.REFUSED, RULE, at)


@pytest.mark.parametrize(
    ("subject", "address"),
    [
        ("1.2.3.4:5001", "1.2.3.4"),
        ("1.2.3.4", "1.2.3.4"),
        ("[2001:db8::1]:5001", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_address_of_a_subject(subject: str, address: str) -> None:
    assert address_of(subject) == address


def test_a_peers_story_holds_what_was_decided_about_it_and_its_address_in_order() -> None:
    journal = Journal()
    told = [decision("1.2.3.4:1", 1), decision("1.2.3.4:2", 2), decision("1.2.3.4", 3), decision("5.6.7.8:1", 4)]
    journal.add(told)
    assert journal.story("1.2.3.4:1") == (told[0], told[2])
    assert journal.story("1.2.3.4") == (told[0], told[1], told[2])
    assert journal.story("9.9.9.9:1") == ()


def test_the_oldest_decisions_are_forgotten_first() -> None:
    journal = Journal(capacity=3)
    journal.add(decision("1.2.3.4:1", at) for at in range(5))
    assert len(journal) == 3
    assert [one.at for one in journal.story("1.2.3.4:1")] == [2, 3, 4]
