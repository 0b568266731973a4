"""Descriptors without an operating system: numbers, what stands behind them, and who watches them."""

from __future__ import annotations

import errno
import os
import selectors
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from actors.bases.descriptors import DescriptorTable
from actors.bases.reactor import WatchMark
from actors.bases.waker import Waker

if TYPE_CHECKING:
    from actors.bases.cell import ActorCell

FIRST_FD = 3


class WatchKey(WatchMark):
    """What a virtual descriptor stands for, and at the same time who watches it, as :class:`selectors.SelectorKey`.

    In a mailbox: something may be ready of it. ``is_told`` while it is in the mailbox of who watches (``data``: its
    cell). One object for both: each connection of a simulation has two.
    """

    __slots__ = ("data", "events", "fd", "is_told")

    KINDS: ClassVar[set[type]] = set()
    """This class and those made of it: what a mailbox tells such a mark by."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        WatchKey.KINDS.add(cls)

    def __init__(self) -> None:
        self.fd = -1
        self.data: Any = None
        self.events = 0
        self.is_told = False

    @property
    def fileobj(self) -> int:
        return self.fd

    @property
    def name(self) -> str:
        """What it stands for; empty for what a trace does not tell of."""
        return ""

    def readiness(self) -> int:
        """Event mask of :mod:`selectors`: what would not block now. Errors and ends count as both."""
        return 0

    @property
    def interest(self) -> dict[int, int]:
        """As that of a :class:`~actors.bases.watch.Watch`, in whose place it may stand."""
        return {self.fd: self.events} if self.events else {}

    def ready(self) -> int:
        """Event mask of what is ready now of what is watched."""
        return self.readiness() & self.events


WatchKey.KINDS.add(WatchKey)

SPENT = WatchKey()
"""Stands in a mailbox in the place of a descriptor that is watched no more: nothing is ever ready of it."""


class VirtualKernel(selectors.BaseSelector):
    """The descriptor table of the simulated machine, and the selector over it.

    One table for all nodes; a number is never used twice, so a stale one never stands for another file. Whoever changes
    a file calls :meth:`touch`, or ``tell``, if somebody watches it: the file goes into that mailbox. Who takes it out
    looks whether something is ready, and tells it again if there still is something afterwards, which makes watches
    level-triggered.
    """

    def __init__(self, tell: Callable[[WatchKey], None] = lambda key: None) -> None:
        """``tell`` puts a file into the mailbox of who watches it; never called for one that ``is_told``."""
        self._next_fd = FIRST_FD
        self.files: dict[int, WatchKey] = {}
        self.tell = tell

    # ---- files

    def open(self, file: WatchKey) -> int:
        """Give ``file`` a descriptor."""
        fd = file.fd = self._next_fd
        self._next_fd += 1
        self.files[fd] = file
        return fd

    def close_fd(self, fd: int) -> None:
        """Take a descriptor back; as with epoll, it leaves every watch without anybody being told."""
        self.unregister(fd)
        del self.files[fd]

    def touch(self, fd: int) -> None:
        """The readiness of this descriptor may have changed."""
        key = self.key_of(fd)
        if key is not None and not key.is_told:
            self.tell(key)

    def key_of(self, fd: int) -> WatchKey | None:
        """Who watches this descriptor; None if nobody does, or there is none."""
        file = self.files.get(fd)
        return None if file is None or not file.events else file

    # ---- the selector

    def register(self, fileobj: Any, events: int, data: Any = None) -> Any:
        """Watch a descriptor. Raises OSError (EBADF) for one that is not open, KeyError for one that is watched."""
        if isinstance(fileobj, StillWaker):
            return selectors.SelectorKey(fileobj, -1, events, data)
        fd = cast(int, fileobj)
        file = self.files.get(fd)
        if file is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if file.events:
            raise KeyError(f"{fd} is registered already")
        file.data, file.events = data, events
        if file.ready():
            self.tell(file)
        return file

    def unregister(self, fileobj: Any) -> Any:
        """Watch it no more; a descriptor that was closed meanwhile is fine."""
        key = self.key_of(cast(int, fileobj))
        if key is None:
            return None
        before = selectors.SelectorKey(key.fd, key.fd, key.events, key.data)
        if key.is_told:
            # It must not be taken for what a later watch, perhaps another's, is told.
            inbox = key.data.inbox
            for place, (message, sender) in enumerate(inbox):
                if message is key:
                    inbox[place] = SPENT, sender
            key.is_told = False
        key.data, key.events = None, 0
        return before

    def modify(self, fileobj: Any, events: int, data: Any = None) -> Any:
        """Watch it for something else. Raises KeyError if it is not watched."""
        if self.key_of(fileobj) is None:
            raise KeyError(f"{fileobj} is not registered")
        self.unregister(fileobj)
        return self.register(fileobj, events, data)

    def is_watched(self, fd: int, events: int, data: Any) -> bool:
        """Whether ``data`` watches this descriptor for exactly these events."""
        key = self.key_of(fd)
        return key is not None and key.events == events and key.data is data

    def select(self, timeout: float | None = None) -> list[Any]:
        """What is ready now, as (key, mask). Never waits."""
        return [(key, mask) for key in self._keys() if (mask := key.ready())]

    def _keys(self) -> Iterator[WatchKey]:
        return (file for file in self.files.values() if file.events)

    def close(self) -> None:
        for key in list(self._keys()):
            self.unregister(key.fd)

    def get_map(self) -> Mapping[Any, Any]:
        return {key.fd: key for key in self._keys()}


class Watchers(dict[int, Any]):
    """Who watches which descriptor, read from the kernel's own keys instead of kept a second time."""

    def __init__(self, kernel: VirtualKernel) -> None:
        super().__init__()
        self._kernel = kernel

    def get(self, fd: int, default: Any = None) -> Any:
        key = self._kernel.key_of(fd)
        return default if key is None else key.data

    def pop(self, fd: int, default: Any = None) -> Any:
        """The kernel has forgotten it already."""
        return default

    def __len__(self) -> int:
        return len(self._kernel.get_map())

    def __setitem__(self, fd: int, cell: Any) -> None:
        """The kernel has noted it already."""

    def __delitem__(self, fd: int) -> None:
        """The kernel has forgotten it already."""


class VirtualDescriptors(DescriptorTable):
    """Since a number never stands for another file, what goes on being watched need not be registered anew."""

    _selector: VirtualKernel

    def __init__(self, selector: VirtualKernel) -> None:
        super().__init__(selector)
        self._owners = Watchers(selector)

    def watch_only(self, cell: ActorCell, fd: int, events: int) -> None:
        """Let one descriptor (and events 0: none) be all that ``cell`` watches. What it held is the descriptor itself,
        which knows for what it is watched, and by whom: there is nothing to keep besides."""
        for other in () if cell.held is None else cell.held.interest:
            if other != fd or not events:
                self._drop(cell, other)
        cell.held = None
        if events:
            if self._owners.get(fd) is cell:
                self._refresh(cell, fd, events, events)
            else:
                self._take(cell, fd, events)
            cell.held = self._selector.key_of(fd)

    def _refresh(self, cell: ActorCell, fd: int, before: int, events: int) -> None:
        if not self._selector.is_watched(fd, events, cell):
            super()._refresh(cell, fd, before, events)


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
