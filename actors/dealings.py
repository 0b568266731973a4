"""What programs and a peer have to do with each other, beyond messages that come and go at once."""

from __future__ import annotations

from typing import Any

from core.empty import NO_ITEMS
from core.messages import Query

READING = 1
"""The interest of a channel at rest, and what is watched for then."""


class Dealings:
    """Made when there is something of it; peers without share :data:`NO_DEALINGS`, as nearly all of a simulation do."""

    __slots__ = (
        "answers",
        "holders",
        "is_queueing",
        "known_by",
        "leaves_at",
        "overflowed",
        "owed",
        "settling",
        "watched",
    )

    def __init__(self) -> None:
        self.settling = False  # a SettleNow is under way
        self.owed: list[tuple[Any, int]] = NO_ITEMS  # who waits until what it sent has gone, and its request ids
        self.answers: list[tuple[Any, Query]] = NO_ITEMS  # to hand over when this message has been dealt with
        self.known_by: list[Any] = NO_ITEMS  # who sends here without asking the pool: they are told of the end
        self.leaves_at: float | None = None  # at the latest; set when the pool has let go
        self.holders: list[Any] = NO_ITEMS  # subscribers that have too many events already
        self.overflowed = False  # the send queue
        self.is_queueing = False  # something was left in the send queue
        self.watched = READING  # the interest of the channel that the watch expresses

    @property
    def is_none(self) -> bool:
        """There is nothing of it any more."""
        is_waiting = self.settling or self.owed or self.answers or self.leaves_at is not None
        is_full = self.holders or self.overflowed or self.is_queueing
        return not (is_waiting or is_full or self.known_by) and self.watched == READING


NO_DEALINGS = Dealings()
"""Never to be changed."""
