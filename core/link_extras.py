"""What a connection has only at times: while it opens, while it ends, while somebody waits for something.

One object that is there while it is needed. Of thousands of connections nearly all are at rest, and share one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from core.calls import OpenCalls, ResponseRate
from core.decisions import Decision
from core.effects import AbortChannel, CloseChannel
from core.empty import NO_ITEMS
from core.outflow import FREE
from core.wire.payloads import NodeInfo
from core.wire.query import Refusal

OWN_INFO_PER_WINDOW = 3
"""LIP 0004, "Penalties and bans": we ourselves send at most 3 postNodeInfo within 10 s."""

OWN_INFO_WINDOW_S = 10.0

Review: TypeAlias = Callable[[NodeInfo, NodeInfo, Refusal | None], Refusal | None]
"""What a program says about a remote's node info and ours, given the dialect's own verdict; None lets it in."""


class End(NamedTuple):
    """Why the connection ends, told first: a close code (or HTTP status), a text, and whether we decided it."""

    code: int
    reason: str
    by_us: bool


class Retirement(NamedTuple):
    """The connection ends with this close code and reason when nothing on it waits for an answer: that is looked at at
    ``look_at``, and no more waited for at ``until``."""

    code: int
    reason: str
    look_at: float
    until: float


class Extras:
    """See the module. ``wall_offset_s`` is Unix time minus the link's, until it is ready; ``review`` as long."""

    __slots__ = (
        "calls",
        "decisions",
        "end",
        "is_held",
        "last",
        "outflow",
        "own_pushes",
        "push_at",
        "response_rate",
        "retirement",
        "review",
        "said_goodbye",
        "step_deadline",
        "wall_offset_s",
    )

    def __init__(self, wall_offset_s: float = 0.0, review: Review | None = None) -> None:
        self.wall_offset_s = wall_offset_s
        self.review = review
        self.step_deadline: float | None = None  # of the present stage: connect, upgrade, close
        self.own_pushes: tuple[float, ...] = ()  # when our node info was pushed
        self.push_at: float | None = None  # when our node info, changed too often, will be pushed
        self.calls: OpenCalls | None = None  # the remote's, while there are any
        self.response_rate: ResponseRate | None = None  # once there is one
        self.outflow = FREE  # another while something waits to be read by the remote
        self.is_held = False  # nothing is read at the moment
        self.decisions: list[Decision] = NO_ITEMS  # not handed out yet
        self.last: CloseChannel | AbortChannel | None = None  # what follows when all else is handed out
        self.retirement: Retirement | None = None
        self.end: End | None = None
        self.said_goodbye = False

    def rest(self, now: float) -> bool:
        """Give up what is over; True if nothing is left."""
        if not self.calls:
            self.calls = None
        if self.own_pushes and self.own_pushes[-1] + OWN_INFO_WINDOW_S <= now:
            self.own_pushes = ()
        is_opening = self.review is not None or self.wall_offset_s or self.step_deadline is not None
        is_pushing = self.own_pushes or self.push_at is not None
        is_busy = self.calls is not None or self.is_held or is_pushing or self.outflow is not FREE
        is_ending = self.end is not None or self.retirement is not None or self.last is not None
        return not (is_opening or is_busy or is_ending or self.response_rate is not None or self.decisions)


AT_REST = Extras()
"""Those of a connection at rest; never to be changed."""
