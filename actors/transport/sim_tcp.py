"""TCP as programs see it: streams, resets, full buffers. Between hosts of a :mod:`~actors.transport.simulated` network.

What is modelled: connecting takes a round trip, or is refused after one; a listener's backlog; bytes in order, one
latency late; an end of the stream after a close, a reset after a close over unread bytes; the first error is told once;
a sender that gets ahead of its reader by a buffer has to wait, and learns a latency after the reader read that there is
room. What is not: segments, congestion, loss of single packets (TCP turns it into delay: say so by jitter), half-closed
connections that go on in one direction.
"""

from __future__ import annotations

import enum
import errno
import os
from typing import TYPE_CHECKING, Any

from core.empty import NO_ITEMS

if TYPE_CHECKING:
    from actors.transport.sim_sockets import SimStream
    from actors.transport.simulated import Host, Internet

APART_S = 1e-6
"""Packets of a connection that would arrive together arrive one after the other, so much later, which is more than a
tick: the order of what happens at one instant is drawn by lot."""

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


_OPEN, _CLOSED = State.OPEN, State.CLOSED


class End:
    """One end of a connection, as its host's kernel has it. Several descriptors may stand for it (``streams``)."""

    __slots__ = (
        "_earliest_arrival",
        "_held",
        "_latency_s",
        "_under_way",
        "error",
        "fin_received",
        "host",
        "inbox",
        "internet",
        "is_shut",
        "is_waiting_for_room",
        "label",
        "local_ip",
        "local_port",
        "peer",
        "read_again_at",
        "remote_host",
        "remote_ip",
        "remote_port",
        "state",
        "streams",
        "unread_at_peer",
    )

    def __init__(
        self,
        internet: Internet,
        host: Host,
        local_ip: str,
        local_port: int,
        remote_ip: str,
        remote_port: int,
        remote_host: Host,
    ) -> None:
        self.internet = internet
        self.host = host
        self.local_ip = local_ip
        self.local_port = local_port
        self.remote_ip = remote_ip
        self.remote_port = remote_port
        self.remote_host = remote_host
        self.label = f"net {host.name}:{local_port} > {remote_host.name}:{remote_port}"
        self.state = State.CONNECTING
        self.peer: End | None = None
        self.streams: tuple[SimStream, ...] = ()
        self.inbox: list[bytes] = NO_ITEMS
        self.fin_received = False
        self.is_shut = False
        self.error = 0
        self._under_way = 0  # packets
        self._held: list[bytes | Packet] = NO_ITEMS  # those of them that wait for a cut to be healed
        self._earliest_arrival = 0.0  # of the next
        links = internet.links
        self._latency_s = links.latency_s(host.name, remote_host.name) if links.is_plain else None
        self.unread_at_peer = 0  # bytes sent that its program has not read, as far as we have heard
        self.is_waiting_for_room = False
        self.read_again_at = 0.0
        host.ends[self] = None

    # ---- for programs, which read and write through their descriptors (:mod:`actors.transport.sim_sockets`)

    def nothing_to_read(self) -> bytes:
        """What a program gets that reads when there is nothing: the end of the stream, or OSError is raised."""
        if self.error:
            self.raise_error()
        if self.fin_received or self.is_shut or self.state is State.LOST:
            return b""
        if self.state is State.CONNECTING:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def read_slowly(self, max_bytes: int, rate: float) -> int:
        """How much may be read now by a program that is slow; the next time is planned. Raises BlockingIOError."""
        now = self.internet.clock.now
        if now < self.read_again_at:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        count = max(1, min(max_bytes, int(rate * SLOW_READ_S), sum(map(len, self.inbox))))
        self.read_again_at = now + count / rate
        self.internet.call_at(self.read_again_at, self._may_read_again)
        return count

    def _may_read_again(self, _: Any, __: Any) -> None:
        if self.read_again_at <= self.internet.clock.now:
            self.read_at_once()

    def read_at_once(self) -> None:
        """The program does not have to wait before it reads again."""
        self.read_again_at = 0.0
        self.internet.touch(self)

    def cannot_send_all(self, count: int, room: int) -> int:
        """How many of so many bytes can be sent. Raises OSError."""
        if self.error:
            self.raise_error()
        if self.is_shut or self.state is State.LOST:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        if room < count:
            self.is_waiting_for_room = True
        if self.state is State.CONNECTING or room <= 0:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return min(count, room)

    def take_error(self) -> OSError | None:
        """The pending error, which is told once."""
        code, self.error = self.error, 0
        return OSError(code, os.strerror(code)) if code else None

    def raise_error(self) -> None:
        error = self.take_error()
        if error is not None:
            try:
                raise error
            finally:
                del error  # or the error, by its traceback, would hold this frame, and the frame the error

    def shut(self) -> None:
        """End both directions, for every descriptor."""
        if not self.is_shut and self.state in (State.CONNECTING, State.OPEN):
            if self.state is State.OPEN:
                self.transmit(Packet.FIN)
            self.is_shut = True
            self.internet.touch(self)

    def drop(self, stream: SimStream) -> None:
        """A descriptor is closed; with the last one, the connection is."""
        self.streams = tuple(other for other in self.streams if other is not stream)
        if self.streams or self.state is State.CLOSED:
            return
        if self.state is State.OPEN:
            if self.inbox:
                self.transmit(Packet.RST)
            elif not self.is_shut:
                self.transmit(Packet.FIN)
        self._forget()

    # ---- for the network

    def accept_from(self, opener: End) -> None:
        """Be the listener's end of a connection that ``opener`` asks for."""
        self.peer = opener
        self.state = State.OPEN
        opener.peer = self
        self.transmit(Packet.ACCEPTED)

    def transmit(self, item: bytes | Packet) -> None:
        """Send on its way, behind what was sent before."""
        internet = self.internet
        if self._latency_s is not None:
            arrival = internet.clock.now + self._latency_s
        else:
            arrival = internet.arrival(self, len(item) if isinstance(item, bytes) else 0)
        if arrival < self._earliest_arrival:
            arrival = self._earliest_arrival
        self._earliest_arrival = arrival + APART_S
        self._under_way += 1
        internet.call_at(arrival, End._arrives, self, item)

    def release(self, earliest: float) -> None:
        """The cut that held our packets is healed; they arrive at ``earliest``, and later ones not before."""
        self._earliest_arrival = max(self._earliest_arrival, earliest + APART_S)
        self.internet.call_at(earliest, _held_arrive, self)

    def vanish(self, *, silent: bool) -> None:
        """Our host has crashed."""
        if not silent and self.state is State.OPEN:
            self.transmit(Packet.RST)
        for stream in self.streams:
            stream.vanish()
        self.streams = ()
        self._forget()

    def lose(self, code: int) -> None:
        """The connection is gone, with this error."""
        if self.state in (State.CONNECTING, State.OPEN):
            self.state = State.LOST
            self.error = code
            self.internet.note(f"{self.label} lost {errno.errorcode[code]}")
            self.internet.touch(self)

    def _forget(self) -> None:
        self.state = State.CLOSED
        self.inbox = NO_ITEMS
        self.host.ends.pop(self, None)
        self._part()

    def _part(self) -> None:
        """If nothing can pass between the two ends any more, let go: each goes with the last who holds it."""
        peer = self.peer
        if peer is not None and peer.state is State.CLOSED and not self._under_way and not peer._under_way:
            self.peer = peer.peer = None

    def _hold(self, item: bytes | Packet) -> None:
        """It has come as far as a cut, or behind others that have."""
        self.internet.note(f"{self.label} held")
        if self._held:
            self._held.append(item)
        else:
            self._held = [item]
            self.internet.hold(self)

    def _arrives(self, item: bytes | Packet) -> None:
        """A packet that we have sent would reach the other host now."""
        internet, peer = self.internet, self.peer
        if self._held or (internet.is_cut_anywhere and internet.is_cut(self.host, self.remote_host)):
            self._hold(item)
            return
        self._under_way -= 1
        internet.packets += 1
        if type(item) is bytes:
            size = len(item)
            internet.bytes_carried += size
            internet.note(f"{self.label} {size} bytes")
            if peer is None or not peer.host.powered:
                pass
            elif peer.state is not _OPEN or peer.is_shut:
                peer._take(item)
            else:
                if peer.inbox:
                    peer.inbox.append(item)
                else:
                    peer.inbox = [item]
                for stream in peer.streams:
                    key = stream.key
                    if key is not None and not key.is_told:
                        internet.tell(key)
        elif isinstance(item, Packet):
            internet.note(f"{self.label} {item.value}")
            if item is Packet.SYN:
                if self.state is State.CONNECTING and not self.is_shut:
                    internet.syn_arrives(self)
            elif peer is not None and peer.host.powered:
                peer._take(item)
        if self.state is _CLOSED and not self._under_way:
            self._part()

    def _take(self, item: bytes | Packet) -> None:
        """A packet of the other end has reached us."""
        if self.state is State.CLOSED:
            if item is not Packet.RST and item is not Packet.FIN:
                self.transmit(Packet.RST)  # nobody here: tell whoever goes on sending
            return
        if item is Packet.RST:
            self.lose(errno.ECONNRESET)
            return
        if item is Packet.ACCEPTED:
            if self.state is State.CONNECTING:
                self.state = State.OPEN
        elif item is Packet.FIN:
            self.fin_received = True
        self.internet.touch(self)

    # ---- room

    def report_room(self, count: int) -> None:
        """Our program has read ``count`` bytes. A sender that waits hears of it a latency later."""
        peer = self.peer
        if peer is None or peer.state is not State.OPEN:
            return
        internet = self.internet
        if internet.is_cut_anywhere and internet.is_cut(self.host, peer.host):
            internet.hold_room(self, count)
        elif peer.is_waiting_for_room:
            latency_s = internet.links.latency_s(self.host.name, peer.host.name)
            internet.call_at(internet.clock.now + latency_s, peer._hear_of_room, count)
        else:
            peer.unread_at_peer -= count

    def _hear_of_room(self, count: int, _: Any) -> None:
        self.unread_at_peer -= count
        self.is_waiting_for_room = False
        self.internet.touch(self)


def _held_arrive(end: End, _: Any) -> None:
    """A cut was healed a while ago: what it held gets through, unless the link has been cut again."""
    if end.internet.is_cut(end.host, end.remote_host):
        end.internet.hold(end)
        return
    held, end._held = end._held, NO_ITEMS
    for item in held:
        end._arrives(item)
