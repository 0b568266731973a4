"""Which actor watches which file descriptor, kept registered in one selector between loop turns."""

from __future__ import annotations

import logging
import selectors
from typing import TYPE_CHECKING

from thespian.actors import ThespianWatch  # type: ignore[import-untyped, unused-ignore]

from actors.bases.watch import Watch

if TYPE_CHECKING:
    from actors.bases.cell import ActorCell

log = logging.getLogger(__name__)

_REFUSED = (OSError, ValueError, OverflowError, KeyError)
"""What a selector raises for a closed descriptor or a regular file, -1, numbers no descriptor can have, its own."""


def interest_of(watch: object) -> dict[int, int]:
    """Return descriptor to event mask for what a handler returned. Never raises: the list comes from actor code."""
    if isinstance(watch, Watch):
        interest = watch.interest
        if len(interest) != len({*watch.readers, *watch.writers}) or len(watch.readers) != len({*watch.readers}):
            log.debug("duplicate file descriptor in %r", watch)
        return interest
    interest = {}
    for item in watch.filenos if isinstance(watch, ThespianWatch) else ():
        fd = item
        if not isinstance(fd, int):
            try:
                fd = item.fileno()
            except Exception as error:
                log.warning("dropped %r from a watch: not a file descriptor (%s)", item, error)
                continue
        if fd in interest:
            log.debug("duplicate file descriptor %d in a watch", fd)
        interest[fd] = selectors.EVENT_READ
    return interest


class DescriptorTable:
    """The difference between what an actor watched and what it watches now, applied to the selector.

    A closed descriptor leaves an epoll set by itself and nobody is told, so a number that stays in a new watch may
    stand for another file than before. Such a descriptor is registered afresh: the price of a changed watch is two
    system calls for each descriptor that stays in it; an unchanged watch (same object) never comes here.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._owners: dict[int, ActorCell] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def replace(self, cell: ActorCell, returned: object) -> None:
        """Make ``returned`` (what the handler returned) the watch of ``cell``."""
        watch = returned if isinstance(returned, ThespianWatch) else None
        cell.watch = watch
        if watch is None and cell.held is None:
            return
        held = {} if cell.held is None else cell.held.interest
        wanted = interest_of(watch)
        # Thespian's own watches are lists that may change under us: what is held is a copy.
        cell.held = watch if watch is None or isinstance(watch, Watch) else Watch(wanted)
        for fd in held:
            if fd not in wanted:
                self._drop(cell, fd)
        for fd, events in wanted.items():
            if fd in held:
                # Also if another actor has taken it over: it must not be taken back by accident.
                self._refresh(cell, fd, held[fd], events)
            else:
                self._take(cell, fd, events)

    def mask_of(self, cell: ActorCell, fd: int) -> int:
        """What ``cell`` watches a descriptor for, as a mask of :mod:`selectors`; 0 if it is not (or no longer) its."""
        held = cell.held
        return held.mask_of(fd) if held is not None and self._owners.get(fd) is cell else 0

    def release(self, cell: ActorCell) -> None:
        """The actor is gone: forget its watch. Its descriptors stay open, they are the actor's to close."""
        self.replace(cell, None)

    def _take(self, cell: ActorCell, fd: int, events: int) -> None:
        owner = self._owners.get(fd)
        if owner is not None and owner is not cell:
            log.warning("file descriptor %d of %s is now watched by %s", fd, owner.address, cell.address)
            self._selector.unregister(fd)
            del self._owners[fd]
        self._register(cell, fd, events)

    def _register(self, cell: ActorCell, fd: int, events: int) -> None:
        try:
            self._selector.register(fd, events, cell)
        except _REFUSED as error:
            log.warning("dropped file descriptor %d from the watch of %s: %s", fd, cell.address, error)
            self._owners.pop(fd, None)
        else:
            self._owners[fd] = cell

    def _refresh(self, cell: ActorCell, fd: int, before: int, events: int) -> None:
        owner = self._owners.get(fd)
        if owner is None:
            self._register(cell, fd, events)
            return
        if owner is not cell:
            log.warning("file descriptor %d, still in the watch of %s, belongs to %s", fd, cell.address, owner.address)
            return
        if events != before:
            try:
                self._selector.modify(fd, events, cell)
                return
            except _REFUSED:
                log.debug("file descriptor %d of %s was closed and opened again", fd, cell.address)
        else:
            self._selector.unregister(fd)
        self._register(cell, fd, events)

    def _drop(self, cell: ActorCell, fd: int) -> None:
        if self._owners.get(fd) is cell:
            self._selector.unregister(fd)
            del self._owners[fd]
