"""A file descriptor that any thread can make readable, to end another thread's wait in a selector."""

from __future__ import annotations

import os
import socket
import threading


class Waker:
    """An eventfd where there is one, else a pair of connected sockets.

    ``raised`` says that somebody called :meth:`wake` since the last :meth:`clear`; it may be true a moment before the
    descriptor is readable, never the other way round.
    """

    def __init__(self) -> None:
        self.raised = False
        self._open = True
        self._lock = threading.Lock()
        self._pair: tuple[socket.socket, socket.socket] | None = None
        if hasattr(os, "eventfd"):
            self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:
            self._pair = socket.socketpair()
            for end in self._pair:
                end.setblocking(False)
            self._fd = self._pair[0].fileno()

    def fileno(self) -> int:
        return self._fd

    def wake(self) -> None:
        """Make the descriptor readable; nothing once it is closed. Any thread."""
        with self._lock:  # a late wake must not write into whatever file has the number next
            if not self._open:
                return
            self.raised = True
            if self._pair is None:
                os.eventfd_write(self._fd, 1)
                return
            try:
                self._pair[1].send(b"\0")
            except BlockingIOError:
                return  # full: it is readable already

    def clear(self) -> None:
        """Make it unreadable again. Only the thread that waits on it."""
        self.raised = False
        try:
            if self._pair is None:
                os.eventfd_read(self._fd)
            else:
                self._pair[0].recv(4096)
        except BlockingIOError:
            return  # nothing was written yet: the writer is between its two steps

    def close(self) -> None:
        with self._lock:
            if not self._open:
                return
            self._open = False
            if self._pair is None:
                os.close(self._fd)
            else:
                for end in self._pair:
                    end.close()
