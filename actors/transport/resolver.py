"""The port between the actors and DNS, and its implementations: the machine's resolver, and a table.

Looking a name up may take half a minute, and there is no non-blocking call for it in the standard library. So
:class:`ThreadResolver` asks in threads of its own, few and short-lived, and answers through a descriptor that becomes
readable: no handler ever waits, and whoever asked goes by its own clock.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

MAX_THREADS = 4
"""Look-ups at the same time. A call into the machine's resolver cannot be taken back, so this is also how many of them
can hang at once; names that do not get a thread wait."""

MAX_ANSWER = 256
"""Addresses of one answer that are handed on."""


class Lookup(NamedTuple):
    """What became of a name: its addresses as text, or (if there are none) why not, for the operator."""

    host: str
    addresses: tuple[str, ...]
    error: str = ""


class Resolver(Protocol):
    """Looks names up without making anybody wait."""

    def fileno(self) -> int:
        """A descriptor that is readable while answers wait; -1 if answers are there as soon as one asks."""

    def ask(self, host: str) -> None:
        """Look ``host`` up. Returns at once; asking again while it is under way is of no effect."""

    def take(self) -> list[Lookup]:
        """The answers that have come since the last call."""

    def close(self) -> None:
        """Answer no more and give the descriptor back. Idempotent."""


def look_up(host: str) -> tuple[str, ...]:
    """Ask the machine's resolver (DNS, hosts file, whatever it is set to) for IPv4 and IPv6. Raises OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))[:MAX_ANSWER]


class ThreadResolver:
    """The machine's resolver, asked in at most :data:`MAX_THREADS` threads, which end when there is nothing to ask.

    ``call`` looks one name up and may block (tests give their own).
    """

    def __init__(self, call: Callable[[str], Sequence[str]] = look_up) -> None:
        self._call = call
        self._bell, self._ring = socket.socketpair()
        self._bell.setblocking(False)
        self._ring.setblocking(False)
        self._lock = threading.Lock()  # guards everything below: the threads and the loop meet here and nowhere else
        self._waiting: deque[str] = deque()
        self._open: set[str] = set()
        self._answers: list[Lookup] = []
        self._threads = 0
        self._closed = False

    def fileno(self) -> int:
        return self._bell.fileno()

    def ask(self, host: str) -> None:
        with self._lock:
            if self._closed or host in self._open:
                return
            self._open.add(host)
            self._waiting.append(host)
            if self._threads >= MAX_THREADS:
                return
            self._threads += 1
        # A daemon: a look-up that hangs must not keep the process from ending.
        threading.Thread(target=self._work, name="ensemble-resolver", daemon=True).start()

    def take(self) -> list[Lookup]:
        with self._lock:
            answers, self._answers = self._answers, []
            if not self._closed:
                with contextlib.suppress(BlockingIOError):  # taken before, and nobody rang since
                    self._bell.recv(4096)
        return answers

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._waiting.clear()
                self._bell.close()
                self._ring.close()

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._closed or not self._waiting:
                    self._threads -= 1
                    return
                host = self._waiting.popleft()
            self._deliver(self._answer(host))

    def _answer(self, host: str) -> Lookup:
        try:
            addresses = tuple(self._call(host))[:MAX_ANSWER]
        except Exception as error:  # gaierror, UnicodeError of the IDNA codec, ...: the operator is told
            return Lookup(host, (), getattr(error, "strerror", None) or str(error) or type(error).__name__)
        return Lookup(host, addresses, "" if addresses else "it has no address")

    def _deliver(self, answer: Lookup) -> None:
        with self._lock:
            self._open.discard(answer.host)
            if self._closed:
                return
            self._answers.append(answer)
            # Thousands of rings unread: the descriptor is readable, which is all that a ring is for.
            with contextlib.suppress(BlockingIOError):
                self._ring.send(b"!")


class TableResolver:
    """Names of a world that is not the machine's: a host missing from the table has no address."""

    def __init__(self, table: Mapping[str, Sequence[str]]) -> None:
        self._table = table
        self._answers: list[Lookup] = []

    def fileno(self) -> int:
        return -1

    def ask(self, host: str) -> None:
        addresses = tuple(self._table.get(host, ()))
        self._answers.append(Lookup(host, addresses, "" if addresses else "no such name"))

    def take(self) -> list[Lookup]:
        answers, self._answers = self._answers, []
        return answers

    def close(self) -> None:
        self._answers = []


def resolver_of(actor: object) -> Resolver:
    """The resolver of the world an actor lives in; on a base that has no world of its own, the machine's.

    A base gives its actors a ``resolver``, or a ``network`` whose ``names`` are a table. An actor of another network
    than the machine's never asks the machine's DNS: its names are those of its network, if any.
    """
    cell = getattr(actor, "_myRef", None)
    resolver: Resolver | None = getattr(cell, "resolver", None)
    if resolver is not None:
        return resolver
    network = getattr(cell, "network", None)
    if network is not None:
        return TableResolver(getattr(network, "names", {}))
    return ThreadResolver()
