"""The journal: what it keeps, and whose story it tells."""

from __future__ import annotations

import pytest

from core.book import rules as book_rules
from core.config import NodeConfig
from core.decisions import Decision, DecisionKind, Rule, decide
from core.journal import CAPACITY, Journal, address_of, canonical_subject, is_notable

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


def test_ten_thousand_are_kept_unless_configured_otherwise() -> None:
    assert NodeConfig().decisions_kept == CAPACITY == 10_000
    journal = Journal()
    journal.add(decision("1.2.3.4:1", at) for at in range(CAPACITY + 5))
    assert len(journal) == CAPACITY
    assert journal.story("1.2.3.4")[0].at == 5


def test_a_journal_that_keeps_nothing() -> None:
    journal = Journal(capacity=0)
    journal.add([decision("1.2.3.4:1")])
    assert (len(journal), journal.story("1.2.3.4")) == (0, ())


@pytest.mark.parametrize(("first", "flood"), [("banned", "refused"), ("added", "banned")])
def test_a_flood_of_one_sort_leaves_half_of_the_journal_to_the_other(first: str, flood: str) -> None:
    """Whoever knocks or gossips thousands of times must not drive out why somebody was banned."""
    journal = Journal(capacity=10)
    journal.add(decide("1.1.1.1", DecisionKind(first), RULE, at) for at in range(8))
    journal.add(decide("2.2.2.2", DecisionKind(flood), RULE, at) for at in range(1000))
    assert len(journal) == 10
    assert [one.at for one in journal.story("1.1.1.1")] == [3, 4, 5, 6, 7]
    assert [one.at for one in journal.story("2.2.2.2")] == [995, 996, 997, 998, 999]


def test_a_story_is_in_the_order_of_time_and_then_of_telling() -> None:
    journal = Journal()
    late = decide("1.1.1.1:1", DecisionKind.DIALLED, RULE, 7.0)
    later = decide("1.1.1.1:1", DecisionKind.BANNED, RULE, 7.0)
    early = decide("1.1.1.1:1", DecisionKind.CHOSEN, RULE, 6.0)
    journal.add([late])
    journal.add([later])
    journal.add([early])  # by an actor whose message took longer
    assert journal.story("1.1.1.1:1") == (early, late, later)


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("1.2.3.4:5001", "1.2.3.4:5001"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:DB8:0::1]:05001", "[2001:db8::1]:5001"),
    ],
)
def test_subjects_have_one_form(text: str, subject: str) -> None:
    assert canonical_subject(text) == subject


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:x", "[::1]", "9" * 1000])
def test_what_is_no_subject_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        canonical_subject(text)


def test_an_operator_is_told_of_bans_and_refusals_but_not_of_gossip() -> None:
    def notable(kind: DecisionKind, rule: Rule = RULE) -> bool:
        return is_notable(decide("1.2.3.4", kind, rule, 1.0))

    for kind in (DecisionKind.BANNED, DecisionKind.UNBANNED, DecisionKind.PENALISED, DecisionKind.SHUFFLED_OUT):
        assert notable(kind)
    for kind in (DecisionKind.ADDED, DecisionKind.CHOSEN, DecisionKind.PASSED_OVER, DecisionKind.PROTECTED):
        assert not notable(kind)
    assert notable(DecisionKind.REFUSED)
    assert not notable(DecisionKind.REFUSED, book_rules.PORT_KEPT)
    assert notable(DecisionKind.EVICTED)
    assert not notable(DecisionKind.EVICTED, book_rules.NEW_BUCKET_FULL_RANDOM)
