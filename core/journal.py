"""The node's memory of its own decisions: the latest of them, and the story of a peer told from them."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from operator import itemgetter

from core.book import rules
from core.decisions import Decision, DecisionKind
from core.empty import NO_ITEMS
from core.ids import Endpoint

CAPACITY = 10_000
"""Records kept. At up to 400 bytes each this is 4 MB at most; the oldest go first."""

LASTING = frozenset(
    {
        DecisionKind.PENALISED,
        DecisionKind.BANNED,
        DecisionKind.UNBANNED,
        DecisionKind.SHUFFLED_OUT,
        DecisionKind.MOVED_TO_TRIED,
    }
)
"""What strangers cannot cause at will, by telling addresses or by knocking."""

NOTABLE = LASTING - {DecisionKind.MOVED_TO_TRIED} | {DecisionKind.REFUSED, DecisionKind.EVICTED}

GOSSIP = frozenset(
    rule.name
    for rule in (
        rules.ADDRESS_UNUSABLE,
        rules.NARROWER_REACH,
        rules.PORT_KEPT,
        rules.NEW_BUCKET_FULL_AGE,
        rules.NEW_BUCKET_FULL_RANDOM,
    )
)
"""Rules about addresses that peers told us, two hundred at a time."""


class Journal:
    """The latest ``capacity`` decisions, in the order in which they were told.

    An attacker who tells thousands of addresses, or knocks thousands of times, must not drive out why somebody was
    banned: when the journal is full, the oldest record goes of whichever sort (lasting, or not) holds more than half.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._told = 0
        self._lasting: deque[tuple[int, Decision]] = NO_ITEMS
        self._passing: deque[tuple[int, Decision]] = NO_ITEMS

    def __len__(self) -> int:
        return len(self._lasting) + len(self._passing)

    def add(self, decisions: Iterable[Decision]) -> None:
        """Record decisions; beyond the capacity the oldest are forgotten."""
        if self._lasting is NO_ITEMS:
            self._lasting, self._passing = deque(), deque()
        lasting, passing = self._lasting, self._passing
        for decision in decisions:
            self._told += 1
            (lasting if decision.decision in LASTING else passing).append((self._told, decision))
            if len(lasting) + len(passing) > self._capacity:
                (lasting if len(lasting) > len(passing) else passing).popleft()

    def story(self, subject: str) -> tuple[Decision, ...]:
        """Everything kept about a peer, by time, and in the order told where times are equal.

        ``subject`` is a canonical peer id (``ip:port``) or bare address. A peer's story contains what was decided about
        its whole address (a ban), an address's story what was decided about any of its ports.
        """
        address = address_of(subject)
        told = heapq.merge(self._lasting, self._passing, key=itemgetter(0))
        if address == subject:
            found = [decision for _, decision in told if address_of(decision.subject) == address]
        else:
            found = [decision for _, decision in told if decision.subject in (subject, address)]
        # They come from several actors: what was told later may have been decided earlier.
        return tuple(sorted(found, key=lambda decision: decision.at))


def address_of(subject: str) -> str:
    """The address of ``1.2.3.4:5001`` or ``[::1]:5001``; a bare address as it is."""
    if subject.startswith("["):
        return subject[1:].partition("]")[0]
    if subject.count(":") == 1:
        return subject.partition(":")[0]
    return subject


def canonical_subject(text: str) -> str:
    """A peer id or a bare IP address in the form that records have. Raises ValueError, saying what is wrong."""
    try:
        return Endpoint.checked(text, 1).ip
    except ValueError:
        return Endpoint.parse(text).peer_id


def is_notable(decision: Decision) -> bool:
    """Whether an operator wants to read of it without having asked for details."""
    return decision.decision in NOTABLE and decision.rule not in GOSSIP
