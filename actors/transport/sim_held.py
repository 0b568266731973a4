"""A simulated connection's end as the program that holds it knows it: a descriptor to read, to write and to close.

How bytes travel between two ends, and how connections begin and end, is in :mod:`actors.transport.sim_tcp`.
"""

from __future__ import annotations

import enum
import errno
import os
from selectors import EVENT_READ, EVENT_WRITE
from typing import TYPE_CHECKING, Any, Self

from actors.bases.sim_kernel import WatchKey
from core.empty import NO_ITEMS

if TYPE_CHECKING:
    from actors.transport.sim_sockets import SimStream
    from actors.transport.sim_tcp import End
    from actors.transport.simulated import Host, Internet

SLOW_READ_S = 0.1
"""A program that reads slowly takes what it can in this time, then waits until the time has passed."""


class Packet(enum.Enum):
    """What travels besides data."""

    SYN = "syn"
    ACCEPTED = "accepted"
    FIN = "fin"
    RST = "rst"


class State(enum.Enum):
    """Of one end of a connection."""

    CONNECTING = enum.auto()
    OPEN = enum.auto()
    LOST = enum.auto()
    """Reset or refused: there may be bytes to read, then an error, then nothing."""
    CLOSED = enum.auto()
    """Nobody here has it any more."""


# A lookup in the enumeration takes five times as long.
_CONNECTING, _OPEN, _LOST, _CLOSED = State.CONNECTING, State.OPEN, State.LOST, State.CLOSED
_SYN, _FIN, _RST = Packet.SYN, Packet.FIN, Packet.RST
_BOTH = EVENT_READ | EVENT_WRITE


class Strain:
    """What an end of a connection is not for most of its life: held up, shut, ending, or held by more than one."""

    __slots__ = (
        "copies",
        "error",
        "fin_received",
        "held",
        "is_shut",
        "is_waiting_for_room",
        "opened_from",
        "read_again_at",
    )

    def __init__(self) -> None:
        self.opened_from: tuple[str, int] | None = None  # address and port, until there is another end that knows them
        self.copies: tuple[SimStream, ...] = ()  # descriptors besides the end's own
        self.error = 0
        self.fin_received = False
        self.held: list[bytes | Packet] = NO_ITEMS  # packets under way that wait for a cut to be healed
        self.is_shut = False
        self.is_waiting_for_room = False
        self.read_again_at = 0.0

    @property
    def is_any(self) -> bool:
        """Whether there is any."""
        return bool(
            self.copies
            or self.opened_from
            or self.error
            or self.fin_received
            or self.held
            or self.is_shut
            or self.is_waiting_for_room
            or self.read_again_at
        )


AT_EASE = Strain()
"""That of nearly all ends; never to be changed."""


class HeldEnd(WatchKey):
    """One end of a connection as the descriptor by which a program holds it
    (:class:`~actors.transport.port.StreamSocket`). :class:`~actors.transport.sim_tcp.End` adds what its host's kernel
    has of it: one object for both, which is touched for each packet. While it is handed over, say, there are further
    descriptors (:class:`~actors.transport.sim_sockets.SimStream`).
    """

    __slots__ = (
        "_earliest_arrival",
        "_latency_s",
        "_under_way",
        "host",
        "inbox",
        "peer",
        "remote_ip",
        "remote_port",
        "state",
        "strain",
        "unread_at_peer",
    )

    def __init__(self, host: Host, remote_ip: str, remote_port: int, remote_host: Host) -> None:
        super().__init__()
        self.host = host
        self.remote_ip = remote_ip
        self.remote_port = remote_port
        self.state = _CONNECTING
        self.peer: End | None = None
        self.inbox: list[bytes] = NO_ITEMS
        self.strain = AT_EASE
        self._under_way = 0  # packets
        self._earliest_arrival = 0.0  # of the next
        links = host.internet.links
        self._latency_s = links.latency_s(host.name, remote_host.name) if links.is_plain else None
        self.unread_at_peer = 0  # bytes sent that its program has not read, as far as we have heard

    @property
    def remote_host(self) -> Host:
        """Where it leads; looked up, for nothing asks while all goes well."""
        return self.internet.host_at(self.remote_ip, self.host) if self.peer is None else self.peer.host

    @property
    def name(self) -> str:
        return f"net {self.host.name}:{self.local[1]} > {self.remote_host.name}:{self.remote_port}"

    @property
    def local(self) -> tuple[str, int]:
        """Our address and port: what the other end has as its remote one."""
        peer = self.peer
        if peer is not None:
            return peer.remote_ip, peer.remote_port
        return self.strain.opened_from or ("", 0)

    @property
    def internet(self) -> Internet:
        return self.host.internet

    def strained(self) -> Strain:
        """Its strain, to be changed. Whoever lessens it calls :meth:`ease`."""
        if self.strain is AT_EASE:
            self.strain = Strain()
        return self.strain

    def ease(self) -> None:
        """Give up a strain that is none any more."""
        if not self.strain.is_any:
            self.strain = AT_EASE

    # ---- the descriptor

    def opened(self) -> Self:
        """Have a descriptor of its own; none must be open."""
        fd = self.internet.kernel.open(self)
        self.internet.note(f"net {fd} is {self.name}")
        return self

    def dial(self, ip: str, port: int) -> Self:
        """Ask the other side for the connection, from this address and port, for a program that has the descriptor."""
        self.strained().opened_from = ip, port
        self.transmit(_SYN)
        return self.opened()

    def fileno(self) -> int:
        return self.fd

    def readiness(self) -> int:
        strain = self.strain
        if self.state is not _OPEN or strain.is_shut:
            return 0 if self.state is _CONNECTING else _BOTH
        mask = EVENT_WRITE if self.unread_at_peer < self.host.internet.buffer_bytes else 0
        has_something = self.inbox or strain.fin_received
        if has_something and (not strain.read_again_at or strain.read_again_at <= self.internet.clock.now):
            mask |= EVENT_READ
        return mask

    def recv(self, max_bytes: int, /) -> bytes:
        inbox = self.inbox
        if not inbox:
            return self._nothing_to_read()
        host = self.host
        rate = host.read_bytes_per_s
        # What is lost or shut is ready whatever the rate: a program that may not read then would try for ever.
        if rate is not None and self.state is not _LOST and not self.strain.is_shut:
            max_bytes = self._read_slowly(max_bytes, rate)
        data = inbox[0] if len(inbox) == 1 else b"".join(inbox)
        if len(data) <= max_bytes:
            self.inbox = NO_ITEMS
        else:
            self.inbox = [data[max_bytes:]]
            data = data[:max_bytes]
        peer = self.peer
        if peer is not None and not peer.strain.is_waiting_for_room and not host.internet.is_cut_anywhere:
            peer.unread_at_peer -= len(data)
        else:
            self.report_room(len(data))
        return data

    def send(self, data: bytes | memoryview, /) -> int:
        count = len(data)
        room = self.host.internet.buffer_bytes - self.unread_at_peer
        if self.state is not _OPEN or self.strain.is_shut or count > room:
            count = self._cannot_send_all(count, room)
            data = data[:count]
        self.unread_at_peer += count
        if count:
            self.transmit(data if type(data) is bytes else bytes(data))
        return count

    def connect_error(self) -> OSError | None:
        self._must_be_held()
        return self.take_error()

    def shutdown(self) -> None:
        if self.fd >= 0:
            self.shut()

    def close(self) -> None:
        fd = self.fd
        if fd >= 0:
            self.fd = -1
            self.internet.kernel.close_fd(fd)
            if not self.strain.copies:
                self._let_go()

    def copy_closed(self, copy: SimStream) -> None:
        """One of the other descriptors is closed."""
        strain = self.strain
        strain.copies = tuple(other for other in strain.copies if other is not copy)
        self.ease()
        if self.fd < 0 and not strain.copies:
            self._let_go()

    def _let_go(self) -> None:
        """The last descriptor is closed, and so is the connection."""
        if self.state is _CLOSED:
            return
        if self.state is _OPEN:
            if self.inbox:
                self.transmit(_RST)
            elif not self.strain.is_shut:
                self.transmit(_FIN)
        self._forget()

    def _must_be_held(self) -> None:
        """Raises OSError (EBADF) if no descriptor is open."""
        if self.fd < 0 and not self.strain.copies:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    # ---- what programs meet seldom

    def _nothing_to_read(self) -> bytes:
        """What a program gets that reads when there is nothing: the end of the stream, or OSError is raised."""
        self._must_be_held()
        strain = self.strain
        if strain.error:
            self.raise_error()
        if strain.fin_received or strain.is_shut or self.state is _LOST:
            return b""
        if self.state is _CONNECTING:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def _read_slowly(self, max_bytes: int, rate: float) -> int:
        """How much may be read now by a program that is slow; the next time is planned. Raises BlockingIOError."""
        now = self.internet.clock.now
        if now < self.strain.read_again_at:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        count = max(1, min(max_bytes, int(rate * SLOW_READ_S), sum(map(len, self.inbox))))
        self.strained().read_again_at = at = now + count / rate
        self.internet.call_at(at, self._may_read_again)
        return count

    def _may_read_again(self, _: Any, __: Any) -> None:
        if self.strain.read_again_at <= self.internet.clock.now:
            self.read_at_once()

    def read_at_once(self) -> None:
        """The program does not have to wait before it reads again."""
        if self.strain.read_again_at:
            self.strain.read_again_at = 0.0
            self.ease()
        self.internet.touch(self)

    def _cannot_send_all(self, count: int, room: int) -> int:
        """How many of so many bytes can be sent. Raises OSError."""
        self._must_be_held()
        if self.strain.error:
            self.raise_error()
        if self.strain.is_shut or self.state is _LOST:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        if room < count:
            self.strained().is_waiting_for_room = True
        if self.state is _CONNECTING or room <= 0:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return min(count, room)

    def take_error(self) -> OSError | None:
        """The pending error, which is told once."""
        code = self.strain.error
        if not code:
            return None
        self.strain.error = 0
        self.ease()
        return OSError(code, os.strerror(code))

    def raise_error(self) -> None:
        error = self.take_error()
        if error is not None:
            try:
                raise error
            finally:
                del error  # or the error, by its traceback, would hold this frame, and the frame the error

    def shut(self) -> None:
        """End both directions, for every descriptor."""
        if not self.strain.is_shut and self.state in (_CONNECTING, _OPEN):
            if self.state is _OPEN:
                self.transmit(_FIN)
            self.strained().is_shut = True
            self.internet.touch(self)

    # ---- what the network does for it

    def transmit(self, item: bytes | Packet) -> None:
        """Send on its way, behind what was sent before."""
        raise NotImplementedError

    def report_room(self, count: int) -> None:
        """Our program has read ``count`` bytes. A sender that waits hears of it a latency later."""
        raise NotImplementedError

    def _forget(self) -> None:
        """The connection is closed, and everything that is to be said of it is on its way."""
        raise NotImplementedError
