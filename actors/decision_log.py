"""The node's decisions as it keeps and logs them; see :class:`core.journal.Journal` for what a peer's story is."""

from __future__ import annotations

import logging

from core.decisions import Decisions
from core.journal import Journal, canonical_subject, is_notable
from core.rate import WindowCounter

LOGGER = "ensemble.decisions"

MAX_LINES = 100
WINDOW_S = 10.0
"""Strangers who knock cause refusals: at most so many lines within so many seconds, unless details are asked for."""


class DecisionLog:
    """Keeps the latest decisions and writes one line for each: INFO if an operator wants to know, else DEBUG."""

    def __init__(self, capacity: int) -> None:
        self._journal = Journal(capacity)
        self._lines = WindowCounter(WINDOW_S)

    def take(self, decisions: Decisions, now: float) -> None:
        """Keep decisions and log them. ``now``: monotonic seconds."""
        self._journal.add(decisions)
        log = logging.getLogger(LOGGER)  # asked for anew: see HouseActor.log
        if log.isEnabledFor(logging.DEBUG):
            for decision in decisions:
                log.log(logging.INFO if is_notable(decision) else logging.DEBUG, "%s", decision.text)
        elif log.isEnabledFor(logging.INFO):
            for decision in filter(is_notable, decisions):
                self._log_one(log, decision.text, now)

    def _log_one(self, log: logging.Logger, line: str, now: float) -> None:
        count = self._lines.add(now)
        if count <= MAX_LINES:
            log.info("%s", line)
        elif count == MAX_LINES + 1:
            log.info("more than %d decisions in %g s: the others are not logged", MAX_LINES, WINDOW_S)

    def story(self, subject: str) -> Decisions:
        """What is kept about a peer id or a bare address. Raises ValueError if it is neither."""
        return self._journal.story(canonical_subject(subject))
