"""The port between a node and its data directory, and the implementation that keeps everything in memory.

A :class:`Disk` is where data directories are, a :class:`Storage` is one of them in use by one node. The real disk is
:class:`actors.storage_sqlite.SqliteDisk`. A simulated world offers a :class:`MemoryDisk`, on which a node that is
started again finds what it had, without a thread or a file, so that a run can be repeated.

The owner of a storage is the PeerBook actor. It calls from its handlers, so nothing here waits for a disk, except
opening and :meth:`Storage.take_anchors`, which happen once, at a start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.config.protections import MAX_ANCHORS
from core.errors import StartFailed
from core.ids import Endpoint
from core.stored import Snapshot, Stored


class Storage(Protocol):
    """One data directory, in use."""

    def save(self, snapshot: Snapshot) -> None:
        """Have ``snapshot`` written, whole or not at all. Returns at once; a later one replaces one that waits."""

    def save_anchors(self, anchors: Sequence[Endpoint]) -> None:
        """Have these kept as the anchors of the next start, 64 at most. Returns at once."""

    def take_anchors(self) -> tuple[Endpoint, ...]:
        """The anchors of the last run, once: they are gone from the disk before this returns.

        As in Bitcoin Core: an anchor that makes the node crash must not be dialled at every start. If the disk does
        not let go of them there are none, and a problem to take.
        """

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits to be written; what was handed over is on disk, or lost for the reason in
        :meth:`take_problem`."""

    def take_problem(self) -> str | None:
        """Why writing failed since the last call, for the operator; None if it did not."""

    def close(self, timeout_s: float = 0.0) -> bool:
        """Write what waits, then let go of the directory; True once that is done.

        Waits for at most ``timeout_s``. Idempotent: call again to learn whether it is done by now.
        """


class Disk(Protocol):
    """Where data directories are."""

    def open(self, data_dir: str, *, fresh_secret: bytes, wall_now: float) -> tuple[Storage, Stored]:
        """Use a data directory; a new one is made, with ``fresh_secret`` as its secret from then on.

        ``wall_now``: Unix time, for the name of a damaged file that is set aside. Raises StartFailed, naming the
        directory, if it is in use, cannot be used, or was written by a newer version.
        """


def in_use_text(directory: str, holder: str = "") -> str:
    """What to tell who wants to start a second node on one data directory."""
    by = f"another node ({holder})" if holder else "another node"
    return f"data_dir {directory} is in use by {by}: give every node a data_dir of its own"


@dataclass(slots=True)
class _Kept:
    """What one directory of a MemoryDisk holds."""

    secret: bytes
    snapshot: Snapshot
    anchors: tuple[Endpoint, ...] = ()
    user: MemoryStorage | None = None


class MemoryDisk:
    """Data directories in memory, by their text. Keep the disk to start a node again with what it had."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def open(self, data_dir: str, *, fresh_secret: bytes, wall_now: float) -> tuple[Storage, Stored]:
        """See :class:`Disk`."""
        kept = self._kept.setdefault(data_dir, _Kept(fresh_secret, Snapshot()))
        if kept.user is not None:
            raise StartFailed(in_use_text(data_dir))
        kept.user = MemoryStorage(kept)
        return kept.user, Stored(kept.secret, kept.snapshot)

    def crash(self, data_dir: str) -> None:
        """The node that used the directory was killed: what it writes from now on is lost, others may use it."""
        kept = self._kept.get(data_dir)
        if kept is not None and kept.user is not None:
            kept.user.close()


class MemoryStorage:
    """One directory of a :class:`MemoryDisk`; writes at once."""

    is_settled = True

    def __init__(self, kept: _Kept) -> None:
        self._kept: _Kept | None = kept

    def save(self, snapshot: Snapshot) -> None:
        """See :class:`Storage`."""
        if self._kept is not None:
            self._kept.snapshot = snapshot.bounded()

    def save_anchors(self, anchors: Sequence[Endpoint]) -> None:
        """See :class:`Storage`."""
        if self._kept is not None:
            self._kept.anchors = tuple(anchors[:MAX_ANCHORS])

    def take_anchors(self) -> tuple[Endpoint, ...]:
        """See :class:`Storage`."""
        if self._kept is None:
            return ()
        anchors, self._kept.anchors = self._kept.anchors, ()
        return anchors

    def take_problem(self) -> str | None:
        """See :class:`Storage`."""
        return None

    def close(self, timeout_s: float = 0.0) -> bool:
        """See :class:`Storage`."""
        if self._kept is not None:
            self._kept.user = None
            self._kept = None
        return True


def storage_of(actor: object) -> Disk:
    """The disk an actor lives with: the one its system base provides (``storage``), or the machine's."""
    disk: Disk | None = getattr(getattr(actor, "_myRef", None), "storage", None)
    if disk is not None:
        return disk
    from actors.storage_sqlite import SqliteDisk  # only here: whoever lives with another disk needs no SQLite

    return SqliteDisk()
