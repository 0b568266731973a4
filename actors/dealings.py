"""What programs and a peer have to do with each other, beyond messages that come and go at once."""

from __future__ import annotations

from typing import Any

from core.empty import NO_ITEMS
from core.messages import Query


class Dealings:
    """Made when there is something of it; peers without share :data:`NO_DEALINGS`, as nearly all of a simulation do."""

    __slots__ = ("answers", "holders", "is_queueing", "known_by", "leaves_at", "overflowed", "owed", "settling")

    def __init__(self) -> None:
        self.settling = False  # a SettleNow is under way
        self.owed: list[tuple[Any, int]] = NO_ITEMS  # who waits until what it sent has gone, and its request ids
        self.answers: list[tuple[Any, Query]] = NO_ITEMS  # to hand over when this message has been dealt with
        self.known_by: list[Any] = NO_ITEMS  # who sends here without asking the pool: they are told of the end
        self.leaves_at: float | None = None  # at the latest; set when the pool has let go
        self.holders: list[Any] = NO_ITEMS  # subscribers that have too many events already
        self.overflowed = False  # the send queue
        self.is_queueing = False  # something was left in the send queue


NO_DEALINGS = Dealings()
"""Never to be changed."""
