"""What the PeerBook actor does about its storage: when to write, what became of it, and a bounded end.

Nothing here waits, except :meth:`Keeper.let_go`. Writing happens elsewhere, so its end is learned by asking: a while
after each write for what went wrong, and often while the node waits for it to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from logging import Logger

from actors.storage import Storage
from core.deadlines import earliest
from core.ids import Endpoint
from core.stored import SavePlan, Snapshot

CHECK_S = 1.0
"""How long after a write its outcome is asked for."""

CLOSING_CHECK_S = 0.005
LET_GO_TIMEOUT_S = 1.0
"""How long an actor that is ending waits for a write to end."""

Take = Callable[[], Snapshot]


class Keeper:
    """Keeps one book in one storage. Times are monotonic seconds; ``version`` is as for :class:`SavePlan`."""

    def __init__(self, storage: Storage, interval_s: float, now: float, log: Logger) -> None:
        self._storage = storage
        self._plan = SavePlan(interval_s, now)
        self._log = log
        self._check_at: float | None = None
        self._finishing = False

    def hurry(self) -> None:
        """Something happened that a crash must not undo."""
        self._plan.hurry()

    def next_due(self, version: int) -> float | None:
        """When :meth:`on_time` wants to be called."""
        due = None if self._finishing else self._plan.next_due(version)
        return earliest(due, self._check_at)

    def on_time(self, version: int, now: float, take: Take) -> None:
        """Have the book written if that is due; ``take`` takes the snapshot."""
        if self._check_at is not None and self._check_at <= now:
            self._check(now)
        due = self._plan.next_due(version)
        if due is not None and due <= now and not self._finishing:
            self._storage.save(take())
            self._plan.saved(version, now)
            self._check_at = now + CHECK_S

    def finish(self, now: float, take: Take) -> None:
        """Have the last snapshot written, and the storage closed after it. Once; later calls do nothing."""
        if not self._finishing:
            self._finishing = True
            self._storage.save(take())
            self._storage.close()
            self._check_at = now

    def keep_anchors(self, anchors: Sequence[Endpoint], now: float) -> None:
        """Have the anchors of the next start written."""
        if not self._finishing:
            self._storage.save_anchors(anchors)
            self._check_at = now + CHECK_S

    def is_finished(self) -> bool:
        """Whether the last snapshot is written, or cannot be, and the directory is free."""
        return self._finishing and self._storage.close()

    def let_go(self) -> None:
        """Close the storage. No snapshot is taken: that is :meth:`finish`, and a crashed actor has none to trust."""
        self._finishing = True
        if not self._storage.close(LET_GO_TIMEOUT_S):
            self._log.warning("storage: still writing after %g s, going on without waiting", LET_GO_TIMEOUT_S)
        self._report()
        self._check_at = None

    def _check(self, now: float) -> None:
        if self._finishing:
            self._check_at = None if self._storage.close() else now + CLOSING_CHECK_S
        else:
            self._check_at = None if self._storage.is_settled else now + CHECK_S
        self._report()

    def _report(self) -> None:
        problem = self._storage.take_problem()
        if problem is not None:
            self._plan.failed()
            self._log.error("%s", problem)
