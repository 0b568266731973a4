"""Which of many repeated decisions are news: the same about the same peer is told once, until something else is."""

from __future__ import annotations

from collections.abc import Iterable

from core.decisions import Decision, DecisionKind, Decisions

REPEATED = frozenset({DecisionKind.PASSED_OVER, DecisionKind.PROTECTED, DecisionKind.REFUSED})
"""What is decided again and again while nothing changes: a connected peer is passed over at every choice."""

MAX_TOLD = 4096
"""Peers of which it is remembered what was told last; beyond this the oldest are told anew."""


class News:
    """Filters repeated decisions; any other decision about a peer makes the next one news again."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def of(self, decisions: Iterable[Decision]) -> Decisions:
        """Those that were not told before."""
        told, news = self._told, []
        for decision in decisions:
            subject, rule = decision.subject, decision.rule
            if decision.decision not in REPEATED:
                told.pop(subject, None)
            elif told.get(subject) == rule:
                continue
            else:
                told[subject] = rule
                if len(told) > MAX_TOLD:
                    del told[next(iter(told))]
            news.append(decision)
        return tuple(news)

    def forget(self, subject: str) -> None:
        """Something else happened to this peer: the next decision about it is news again."""
        self._told.pop(subject, None)
