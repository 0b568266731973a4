"""File descriptors an actor wants to hear about, for reading and for writing.

Thespian's ``ThespianWatch`` knows reading only. :class:`Watch` adds writing and stays a ``ThespianWatch``, so that
Thespian's own multi-process bases still serve its reading half; :class:`WatchReady` is the ``WatchMessage`` that
answers it.

Rules, as Thespian has them: the watch returned by the *last* ``receiveMessage`` replaces the one before; returning
None (or raising) ends it. A watch is level-triggered: what was not read or written is reported again. Rules of ours:

* A watch does not change once it was returned. To return the *same object* again costs nothing; after opening or
  closing a descriptor, return a new one. Take a descriptor out of the watch before closing it, or close it and return
  a new watch from the same handler (only the former is safe if the descriptor was duplicated, or inherited by a
  child process: the kernel goes on reporting what nobody can unregister any more).
* One descriptor belongs to one actor: the last to watch it gets its events.
* A descriptor that cannot be watched (closed, -1, a regular file) is dropped from the watch with a warning.
* Hang-up and error count as readable for a reader and as writable for a writer, so that the next read or write of
  the actor meets the error.
"""

from __future__ import annotations

import operator
import selectors
from collections.abc import Iterable
from typing import Any

from thespian.actors import ThespianWatch, WatchMessage  # type: ignore[import-untyped, unused-ignore]


class Watch(ThespianWatch):  # type: ignore[misc, unused-ignore]
    """Interest in some descriptors: ``readers`` for reading, ``writers`` for writing; one may be in both.

    Raises TypeError for anything but integers; whether they can be watched, the base finds out.
    """

    __slots__ = ("readers", "writers")  # Thespian's attribute is made when asked for: there is one for each connection

    readers: tuple[int, ...]
    writers: tuple[int, ...]

    def __init__(self, readers: Iterable[int] = (), writers: Iterable[int] = ()) -> None:
        self.readers = tuple(map(operator.index, readers))
        self.writers = tuple(map(operator.index, writers))

    @property
    def filenos(self) -> list[int]:
        """The reading half: all that Thespian's own bases know."""
        return list(self.readers)

    def mask_of(self, fd: int) -> int:
        """Event mask of :mod:`selectors` for one descriptor; 0 if it is not in the watch."""
        reads = selectors.EVENT_READ if fd in self.readers else 0
        return reads | selectors.EVENT_WRITE if fd in self.writers else reads

    @property
    def interest(self) -> dict[int, int]:
        """Descriptor to event mask of :mod:`selectors`. Made anew each time: a base needs it when a watch changes, and
        it would be half of what an idle connection takes for its watch."""
        interest = dict.fromkeys(self.readers, selectors.EVENT_READ)
        for fd in self.writers:
            interest[fd] = interest.get(fd, 0) | selectors.EVENT_WRITE
        return interest

    def __repr__(self) -> str:
        return f"Watch(readers={self.readers}, writers={self.writers})"


def watch_only(actor: Any, fd: int, events: int) -> Watch | None:
    """Watch one descriptor for ``events`` (mask of :mod:`selectors`; 0: none any more); returns the watch that the
    actor's handlers are to return from now on.

    A simulation holds the watch itself, which then is neither returned nor replaced: 140 bytes less for each of tens
    of thousands of actors that have one descriptor and seldom watch it for something else.
    """
    hold = getattr(actor._myRef, "watch_only", None)
    if hold is not None:
        hold(fd, events)
        return None
    if not events:
        return None
    return Watch([fd] if events & selectors.EVENT_READ else (), [fd] if events & selectors.EVENT_WRITE else ())


class WatchReady(WatchMessage):  # type: ignore[misc, unused-ignore]
    """Descriptors of the actor's watch that can be used now. Sender is the actor itself.

    ``ready`` lists the readable ones, as in Thespian; ``writable`` holds the writable ones.
    """

    ready: list[int]
    writable: tuple[int, ...]

    def __init__(self, ready: list[int], writable: tuple[int, ...] = ()) -> None:
        self.ready = ready
        self.writable = writable

    def __repr__(self) -> str:
        return f"WatchReady(ready={self.ready}, writable={self.writable})"
