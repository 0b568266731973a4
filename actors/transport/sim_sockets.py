"""The descriptors of simulated connections and listening ports, as programs hold them.

One end of a connection (:mod:`actors.transport.sim_tcp`) may have several descriptors: while it is handed over, say.
"""

from __future__ import annotations

import errno
import os
from selectors import EVENT_READ, EVENT_WRITE
from typing import TYPE_CHECKING, Any

from actors.transport.sim_tcp import End, State
from core.empty import NO_ITEMS
from core.ids import Endpoint

if TYPE_CHECKING:
    from actors.transport.simulated import Host, Internet

_OPEN = State.OPEN
_BOTH = EVENT_READ | EVENT_WRITE


class SimStream:
    """A descriptor of a connection (:class:`~actors.transport.port.StreamSocket`)."""

    __slots__ = ("_fd", "end", "key", "remote_ip", "remote_port")

    def __init__(self, end: End) -> None:
        self.end = end
        self.key: Any = None
        self.remote_ip = end.remote_ip
        self.remote_port = end.remote_port
        self._fd = end.internet.kernel.open(self)
        end.streams = (*end.streams, self)

    def fileno(self) -> int:
        return self._fd

    def readiness(self) -> int:
        end = self.end
        if end.state is not _OPEN or end.is_shut:
            return 0 if end.state is State.CONNECTING else _BOTH
        mask = EVENT_READ if end.inbox or end.fin_received else 0
        if mask and end.read_again_at > end.internet.clock.now:
            mask = 0
        return mask | EVENT_WRITE if end.unread_at_peer < end.internet.buffer_bytes else mask

    def recv(self, max_bytes: int, /) -> bytes:
        if self._fd < 0:
            self._raise_closed()
        end = self.end
        inbox = end.inbox
        if not inbox:
            return end.nothing_to_read()
        rate = end.host.read_bytes_per_s
        # What is lost or shut is ready whatever the rate: a program that may not read then would try for ever.
        if rate is not None and end.state is not State.LOST and not end.is_shut:
            max_bytes = end.read_slowly(max_bytes, rate)
        data = inbox[0] if len(inbox) == 1 else b"".join(inbox)
        if len(data) <= max_bytes:
            end.inbox = NO_ITEMS
        else:
            end.inbox = [data[max_bytes:]]
            data = data[:max_bytes]
        peer = end.peer
        if peer is not None and not peer.is_waiting_for_room and not end.internet.is_cut_anywhere:
            peer.unread_at_peer -= len(data)
        else:
            end.report_room(len(data))
        return data

    def send(self, data: bytes | memoryview, /) -> int:
        if self._fd < 0:
            self._raise_closed()
        end = self.end
        count = len(data)
        room = end.internet.buffer_bytes - end.unread_at_peer
        if end.state is not _OPEN or end.is_shut or count > room:
            count = end.cannot_send_all(count, room)
            data = data[:count]
        end.unread_at_peer += count
        if count:
            end.transmit(data if type(data) is bytes else bytes(data))
        return count

    def connect_error(self) -> OSError | None:
        if self._fd < 0:
            self._raise_closed()
        return self.end.take_error()

    def shutdown(self) -> None:
        if self._fd >= 0:
            self.end.shut()

    def close(self) -> None:
        fd = self._fd
        if fd >= 0:
            self._fd = -1
            self.end.internet.kernel.close_fd(fd)
            self.end.drop(self)

    def vanish(self) -> None:
        """The host has crashed: there is no such descriptor any more."""
        self.end.internet.kernel.close_fd(self._fd)
        self._fd = -1

    @staticmethod
    def _raise_closed() -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class SimListener:
    """A listening descriptor (:class:`~actors.transport.port.ListenSocket`)."""

    exhausted = False

    def __init__(self, internet: Internet, host: Host, endpoint: Endpoint, backlog: int) -> None:
        self.endpoint = endpoint
        self.backlog = max(1, backlog)
        self.queue: list[End] = NO_ITEMS
        self.key: Any = None
        self._internet = internet
        self._host = host
        self._fd = internet.kernel.open(self)
        host.listeners[endpoint] = self

    def fileno(self) -> int:
        return self._fd

    def readiness(self) -> int:
        return EVENT_READ if self.queue else 0

    def accept(self) -> SimStream | None:
        if self._fd < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return SimStream(self.queue.pop(0)) if self.queue else None

    def close(self) -> None:
        """Stop listening; connections that nobody took are reset."""
        if self._fd < 0:
            return
        self._internet.kernel.close_fd(self._fd)
        self._fd = -1
        self._host.listeners.pop(self.endpoint, None)
        while self.queue:
            self.queue.pop(0).vanish(silent=not self._host.powered)
