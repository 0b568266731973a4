"""Descriptors without an operating system: numbers, what stands behind them, and who watches them."""

from __future__ import annotations

import errno
import os
import selectors
from collections.abc import Mapping
from typing import Any, Protocol, cast

from actors.bases.waker import Waker

FIRST_FD = 3


class VirtualFile(Protocol):
    """What a virtual descriptor stands for."""

    def readiness(self) -> int:
        """Event mask of :mod:`selectors`: what would not block now. Errors and ends count as both."""


class VirtualKernel(selectors.BaseSelector):
    """The descriptor table of the simulated machine, and the selector over it.

    One table for all nodes; a number is never used twice, so a stale one never stands for another file. ``hot`` holds
    the watched descriptors of which something may be ready: whoever changes a file calls :meth:`touch`. A descriptor
    stays hot until it is looked at and found not ready, which makes watches level-triggered.
    """

    def __init__(self) -> None:
        self._next_fd = FIRST_FD
        self.files: dict[int, VirtualFile] = {}
        self.keys: dict[int, selectors.SelectorKey] = {}
        self.hot: dict[int, None] = {}

    # ---- files

    def open(self, file: VirtualFile) -> int:
        """Give ``file`` a descriptor."""
        fd = self._next_fd
        self._next_fd += 1
        self.files[fd] = file
        return fd

    def close_fd(self, fd: int) -> None:
        """Take a descriptor back; as with epoll, it leaves every watch without anybody being told."""
        del self.files[fd]
        self.keys.pop(fd, None)
        self.hot.pop(fd, None)

    def touch(self, fd: int) -> None:
        """The readiness of this descriptor may have changed."""
        if fd in self.keys:
            self.hot[fd] = None

    # ---- the selector

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a descriptor. Raises OSError (EBADF) for one that is not open, KeyError for one that is watched."""
        if isinstance(fileobj, StillWaker):
            return selectors.SelectorKey(fileobj, -1, events, data)
        fd = cast(int, fileobj)
        if fd not in self.files:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if fd in self.keys:
            raise KeyError(f"{fd} is registered already")
        key = self.keys[fd] = selectors.SelectorKey(fd, fd, events, data)
        self.hot[fd] = None
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Watch it no more; a descriptor that was closed meanwhile is fine."""
        fd = cast(int, fileobj)
        self.hot.pop(fd, None)
        return self.keys.pop(fd, None) or selectors.SelectorKey(fd, fd, 0, None)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch it for something else. Raises KeyError if it is not watched."""
        fd = cast(int, fileobj)
        if fd not in self.keys:
            raise KeyError(f"{fd} is not registered")
        key = self.keys[fd] = selectors.SelectorKey(fd, fd, events, data)
        self.hot[fd] = None
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now, in the order in which it became so. Never waits."""
        ready: list[tuple[selectors.SelectorKey, int]] = []
        for fd in list(self.hot):
            key = self.keys[fd]
            mask = self.files[fd].readiness() & key.events
            if mask:
                ready.append((key, mask))
            else:
                del self.hot[fd]
        return ready

    def close(self) -> None:
        self.keys.clear()
        self.hot.clear()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self.keys


class StillWaker(Waker):
    """A simulation never sleeps, so nobody has to wake it: no descriptor behind this one."""

    def __init__(self) -> None:
        self.raised = False

    def fileno(self) -> int:
        return -1

    def wake(self) -> None:
        """Nothing sleeps."""

    def clear(self) -> None:
        """Nothing was raised."""

    def close(self) -> None:
        """Nothing was opened."""
