"""Why the node did something to a peer: one small record for every decision.

The node keeps the latest records and tells the story of a peer from them (``explain``); they are events and log lines
too. A record names the rule, where the rule comes from, and the numbers that were compared, so that a reader can check
the decision by hand.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


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
    figures compared, as (name, value), units in the names. ``at``: seconds, on the clock of whoever decided (Unix time
    in the peer book). Picklable and hashable. A tuple, because a full peer book makes two or three for every address it
    hears of, and a frozen dataclass takes three times as long to make.
    """

    subject: str
    decision: DecisionKind
    rule: str
    source: str
    numbers: tuple[tuple[str, float], ...]
    at: float

    def __str__(self) -> str:
        """One line for a log: ``1.2.3.4:5001 moved_to_new by third_failure (failures 3, limit 3; LIP 0004, ...)``."""
        figures = ", ".join(f"{name} {value:g}" for name, value in self.numbers)
        because = f"{figures}; {self.source}" if figures else self.source
        return f"{self.subject} {self.decision.value} by {self.rule} ({because})"


Decisions = tuple[Decision, ...]
"""What an operation decided, in order; empty when nothing changed."""


def decide(subject: str, decision: DecisionKind, rule: Rule, at: float, *numbers: tuple[str, float]) -> Decision:
    """Return the record of a decision: ``decide(peer_id, DecisionKind.EVICTED, RULE, now, ("age_s", 12.0))``."""
    return Decision(subject, decision, rule.name, rule.source, numbers, at)
