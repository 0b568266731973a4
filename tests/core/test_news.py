"""What of repeated decisions is told."""

from __future__ import annotations

from core.decisions import Decision, DecisionKind, Rule, decided
from core.news import MAX_TOLD, News

FULL, BUSY = Rule("full", "a test"), Rule("busy", "a test")
PASSED = DecisionKind.PASSED_OVER


def passed(subject: str, rule: Rule = BUSY) -> Decision:
    return decided(subject, PASSED, rule)


def test_the_same_about_the_same_peer_is_told_once() -> None:
    news = News()
    first, second = passed("1.1.1.1:1"), passed("2.2.2.2:1")
    assert news.of([first, second, first]) == (first, second)
    assert news.of([second, first]) == ()


def test_another_rule_is_news() -> None:
    news = News()
    assert len(news.of([passed("1.1.1.1:1"), passed("1.1.1.1:1", FULL), passed("1.1.1.1:1")])) == 3


def test_after_anything_else_it_is_news_again() -> None:
    news = News()
    chosen = decided("1.1.1.1:1", DecisionKind.CHOSEN, BUSY)
    story = [passed("1.1.1.1:1"), chosen, chosen, passed("1.1.1.1:1")]
    assert news.of(story) == tuple(story)
    news.forget("1.1.1.1:1")
    assert len(news.of(story[-1:])) == 1


def test_what_was_told_is_bounded() -> None:
    news = News()
    flood = [passed(f"peer {number}") for number in range(MAX_TOLD + 1)]
    assert news.of(flood) == tuple(flood)
    assert news.of(flood[1:]) == ()
    assert news.of(flood[:1]) == (flood[0],)
