"""Why the node did something to a peer: one small record for every decision.

The node keeps the latest records and tells the story of a peer from them (``explain``); they are events and log lines
too. A record names the rule, where the rule comes from, and the numbers that were compared, so that a reader can check
the decision by hand.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

UNSTAMPED: Final = 0.0
"""The time in a record of a mind that does not know Unix time: its actor stamps it (see :func:`stamped`)."""


END_OF_DATES: Final = 253_402_300_800.0
"""The year 10000, which no calendar of Python's knows; a clock of a simulation may."""


class DecisionKind(enum.Enum):
    """What was decided about the subject. Values are stable: programs may match on them."""

    ADDED = "added"
    UPDATED = "updated"
    MOVED_TO_TRIED = "moved_to_tried"
    MOVED_TO_NEW = "moved_to_new"
    EVICTED = "evicted"
    FORGOTTEN = "forgotten"
    KEPT = "kept"
    REFUSED = "refused"
    DEFERRED = "deferred"
    CHOSEN = "chosen"
    PASSED_OVER = "passed_over"
    DIALLED = "dialled"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    SHUFFLED_OUT = "shuffled_out"
    PROTECTED = "protected"
    PENALISED = "penalised"
    BANNED = "banned"
    UNBANNED = "unbanned"


class Rule(NamedTuple):
    """A rule by its short, stable name, and the text it comes from (``LIP 0004, Peer directory``)."""

    name: str
    source: str


class Decision(NamedTuple):
    """One decision about one peer.

    ``subject``: peer id (``ip:port``), or the bare address where the decision is about an address. ``numbers``: the
    figures compared, as (name, value), units in the names. ``at``: Unix time, seconds. Picklable and hashable. A tuple,
    because a full peer book makes two or three for every address it hears of, and a frozen dataclass takes three times
    as long to make.
    """

    subject: str
    decision: DecisionKind
    rule: str
    source: str
    numbers: tuple[tuple[str, float], ...]
    at: float

    def __str__(self) -> str:
        """The record as a line, with its time: ``2026-03-01 12:30:05Z 1.2.3.4:5001 banned by ...``."""
        if not UNSTAMPED < self.at < END_OF_DATES:
            return self.text
        return f"{datetime.fromtimestamp(self.at, UTC):%Y-%m-%d %H:%M:%SZ} {self.text}"

    @property
    def text(self) -> str:
        """The same without its time, for a log that has its own:
        ``1.2.3.4:5001 moved_to_new by consecutive_failures (failures 3, limit 3; LIP 0004, Peer directory)``."""
        figures = ", ".join(f"{name} {_figure(value)}" for name, value in self.numbers)
        because = f"{figures}; {self.source}" if figures else self.source
        return f"{self.subject} {self.decision.value} by {self.rule} ({because})"


Decisions = tuple[Decision, ...]
"""What an operation decided, in order; empty when nothing changed."""


def decide(subject: str, decision: DecisionKind, rule: Rule, at: float, *numbers: tuple[str, float]) -> Decision:
    """Return the record of a decision: ``decide(peer_id, DecisionKind.EVICTED, RULE, now, ("age_s", 12.0))``."""
    return Decision(subject, decision, rule.name, rule.source, numbers, at)


def decided(subject: str, decision: DecisionKind, rule: Rule, *numbers: tuple[str, float]) -> Decision:
    """The same for a mind that works in monotonic time or knows no time at all: not stamped yet."""
    return Decision(subject, decision, rule.name, rule.source, numbers, UNSTAMPED)


def stamped(decisions: Iterable[Decision], at: float) -> Decisions:
    """The records with Unix time ``at`` in those that have none yet: an effect is carried out when it is decided."""
    return tuple([one if one.at else Decision(*one[:-1], at) for one in decisions])


def _figure(value: float) -> str:
    """Whole numbers in full (a Unix time in ``6g`` is off by days), others with four significant digits."""
    if math.isfinite(value) and value == int(value):
        return str(int(value))
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
