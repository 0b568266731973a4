"""The node's memory of its own decisions: the latest of them, and the story of a peer told from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from core.decisions import Decision

CAPACITY = 10_000
"""Records kept. At about 300 bytes each this is 3 MB at most; the oldest go first."""

MAX_SUBJECT_CHARACTERS = 80


class Journal:
    """The latest ``capacity`` decisions, in the order in which they were told."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._decisions: deque[Decision] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self._decisions)

    def add(self, decisions: Iterable[Decision]) -> None:
        """Record decisions; beyond the capacity the oldest are forgotten."""
        self._decisions.extend(decisions)

    def story(self, subject: str) -> tuple[Decision, ...]:
        """Everything kept about a peer, in order.

        ``subject`` is a peer id (``ip:port``) or a bare address. A peer's story contains what was decided about its
        whole address (a ban), an address's story what was decided about any of its ports.
        """
        subject = subject[:MAX_SUBJECT_CHARACTERS]
        address = address_of(subject)
        if address == subject:
            return tuple(one for one in self._decisions if address_of(one.subject) == address)
        return tuple(one for one in self._decisions if one.subject in (subject, address))


def address_of(subject: str) -> str:
    """The address of ``1.2.3.4:5001`` or ``[::1]:5001``; a bare address as it is."""
    if subject.startswith("["):
        return subject[1:].partition("]")[0]
    if subject.count(":") == 1:
        return subject.partition(":")[0]
    return subject
