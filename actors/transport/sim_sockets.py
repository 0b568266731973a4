"""The descriptors of simulated connections and listening ports, as programs hold them, besides a connection's own.

One end of a connection (:mod:`actors.transport.sim_tcp`) may have several descriptors: while it is handed over, say.
"""

from __future__ import annotations

import errno
import os
from selectors import EVENT_READ
from typing import TYPE_CHECKING

from actors.bases.sim_kernel import WatchKey
from actors.transport.sim_tcp import End
from core.empty import NO_ITEMS
from core.ids import Endpoint

if TYPE_CHECKING:
    from actors.transport.simulated import Host, Internet


class SimStream(WatchKey):
    """A further descriptor of a connection (:class:`~actors.transport.port.StreamSocket`)."""

    __slots__ = ("end",)

    def __init__(self, end: End) -> None:
        super().__init__()
        self.end = end
        end.internet.kernel.open(self)
        strain = end.strained()
        strain.copies = (*strain.copies, self)

    @property
    def remote_ip(self) -> str:
        return self.end.remote_ip

    @property
    def remote_port(self) -> int:
        return self.end.remote_port

    def fileno(self) -> int:
        return self.fd

    def readiness(self) -> int:
        return self.end.readiness()

    def recv(self, max_bytes: int, /) -> bytes:
        self._must_be_open()
        return self.end.recv(max_bytes)

    def send(self, data: bytes | memoryview, /) -> int:
        self._must_be_open()
        return self.end.send(data)

    def connect_error(self) -> OSError | None:
        self._must_be_open()
        return self.end.take_error()

    def shutdown(self) -> None:
        if self.fd >= 0:
            self.end.shut()

    def close(self) -> None:
        fd = self.fd
        if fd >= 0:
            self.fd = -1
            self.end.internet.kernel.close_fd(fd)
            self.end.copy_closed(self)

    def _must_be_open(self) -> None:
        if self.fd < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class SimListener(WatchKey):
    """A listening descriptor (:class:`~actors.transport.port.ListenSocket`)."""

    __slots__ = ("_host", "_internet", "backlog", "endpoint", "queue")

    exhausted = False

    def __init__(self, internet: Internet, host: Host, endpoint: Endpoint, backlog: int) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.backlog = max(1, backlog)
        self.queue: list[End] = NO_ITEMS
        self._internet = internet
        self._host = host
        internet.kernel.open(self)
        host.listeners[endpoint] = self

    def fileno(self) -> int:
        return self.fd

    def readiness(self) -> int:
        return EVENT_READ if self.queue else 0

    def accept(self) -> SimStream | None:
        if self.fd < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return SimStream(self.queue.pop(0)) if self.queue else None

    def close(self) -> None:
        """Stop listening; connections that nobody took are reset."""
        if self.fd < 0:
            return
        self._internet.kernel.close_fd(self.fd)
        self.fd = -1
        self._host.listeners.pop(self.endpoint, None)
        while self.queue:
            self.queue.pop(0).vanish(silent=not self._host.powered)
