"""Watches for reading and writing on Thespian's process base, which knows reading only, and at a price.

Thespian registers every watched descriptor anew in every turn, and its process dies of a descriptor that is listed
twice, is a plain file, or has become a number of its own. So it gets to see one descriptor for ever: that of an epoll
in which the actor's own are registered.
"""

from __future__ import annotations

import logging
import select
import selectors
from typing import Any

from thespian.actors import ThespianWatch, WatchMessage

from actors.bases.watch import Watch, WatchReady

log = logging.getLogger("ensemble.multiprocess")

_MASKS = {
    selectors.EVENT_READ: select.EPOLLIN,
    selectors.EVENT_WRITE: select.EPOLLOUT,
    selectors.EVENT_READ | selectors.EVENT_WRITE: select.EPOLLIN | select.EPOLLOUT,
}
_ENDED = select.EPOLLERR | select.EPOLLHUP


class WatchingActor:
    """Stands between Thespian's process and the actor's instance: translates watches, and what comes of them."""

    def __init__(self, instance: Any) -> None:
        self._instance = instance
        self._epoll = select.epoll()
        self._current: Any = None
        self._interest: dict[int, int] = {}
        self._seen_by_thespian = ThespianWatch([self._epoll.fileno()])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instance, name)

    def receiveMessage(self, message: Any, sender: Any) -> Any:
        """Hand on a message; a watch message becomes what is ready, both for reading and writing."""
        if isinstance(message, WatchMessage):
            ready = self._ready()
            if ready is None:
                return self._shown()
            message = ready
        try:
            result = self._instance.receiveMessage(message, sender)
        except BaseException:
            self._replace(None)
            raise
        if result is not self._current:
            self._replace(result)
        return self._shown()

    def _shown(self) -> Any:
        return self._seen_by_thespian if self._interest else None

    def _replace(self, watch: Any) -> None:
        self._current = watch
        wanted: dict[int, int] = {}
        if isinstance(watch, Watch):
            wanted = watch.interest
        elif isinstance(watch, ThespianWatch):
            wanted = dict.fromkeys(watch.filenos, selectors.EVENT_READ)
        for fd in self._interest:
            if fd not in wanted:
                self._forget(fd)
        self._interest = {fd: mask for fd, mask in wanted.items() if self._register(fd, mask)}

    def _forget(self, fd: int) -> None:
        try:
            self._epoll.unregister(fd)
        except (OSError, ValueError):
            return  # closed meanwhile: epoll has dropped it by itself

    def _register(self, fd: int, mask: int) -> bool:
        """Always told anew: a number may have come back as another socket since."""
        try:
            try:
                self._epoll.modify(fd, _MASKS[mask])
            except FileNotFoundError:
                self._epoll.register(fd, _MASKS[mask])
        except (OSError, ValueError, OverflowError) as error:
            log.warning("descriptor %s cannot be watched: %s", fd, error)
            return False
        return True

    def _ready(self) -> WatchReady | None:
        readable: list[int] = []
        writable: list[int] = []
        for fd, events in self._epoll.poll(0):
            wanted = self._interest.get(fd, 0)
            if wanted & selectors.EVENT_READ and events & (select.EPOLLIN | _ENDED):
                readable.append(fd)
            if wanted & selectors.EVENT_WRITE and events & (select.EPOLLOUT | _ENDED):
                writable.append(fd)
        return WatchReady(readable, tuple(writable)) if readable or writable else None
