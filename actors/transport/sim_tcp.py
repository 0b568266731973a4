"""TCP as programs see it: streams, resets, full buffers. Between hosts of a :mod:`~actors.transport.simulated` network.

What is modelled: connecting takes a round trip, or is refused after one; a listener's backlog; bytes in order, one
latency late; an end of the stream after a close, a reset after a close over unread bytes; the first error is told once;
a sender that gets ahead of its reader by a buffer has to wait, and learns a latency after the reader read that there is
room. What is not: segments, congestion, loss of single packets (TCP turns it into delay: say so by jitter), half-closed
connections that go on in one direction.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from actors.transport.sim_held import AT_EASE, HeldEnd, Packet, State
from core.empty import NO_ITEMS

if TYPE_CHECKING:
    from actors.transport.simulated import Host

# A lookup in the enumeration takes five times as long.
_CONNECTING, _OPEN, _LOST, _CLOSED = State.CONNECTING, State.OPEN, State.LOST, State.CLOSED
_SYN, _ACCEPTED, _FIN, _RST = Packet.SYN, Packet.ACCEPTED, Packet.FIN, Packet.RST

APART_S = 1e-6
"""Packets of a connection that would arrive together arrive one after the other, so much later, which is more than a
tick: the order of what happens at one instant is drawn by lot."""


class End(HeldEnd):
    """One end of a connection, as its host's kernel has it."""

    __slots__ = ()

    def __init__(self, host: Host, remote_ip: str, remote_port: int, remote_host: Host) -> None:
        super().__init__(host, remote_ip, remote_port, remote_host)
        host.ends[self] = None

    # ---- beginning and end

    def accept_from(self, opener: End) -> None:
        """Be the listener's end of a connection that ``opener`` asks for."""
        self.peer = opener
        self.state = _OPEN
        opener.peer = self
        opener.strain.opened_from = None
        opener.ease()
        if self._latency_s == opener._latency_s:
            self._latency_s = opener._latency_s  # one number for both
        self.transmit(_ACCEPTED)

    def transmit(self, item: bytes | Packet) -> None:
        """Send on its way, behind what was sent before."""
        internet = self.host.internet
        if self._latency_s is not None:
            arrival = internet.clock.now + self._latency_s
        else:
            arrival = internet.arrival(self, len(item) if isinstance(item, bytes) else 0)
        if arrival < self._earliest_arrival:
            arrival = self._earliest_arrival
        self._earliest_arrival = arrival + APART_S
        self._under_way += 1
        call_at = internet.call_at  # an attribute that is called where it is read is searched as a method first
        call_at(arrival, _ARRIVES, self, item)

    def release(self, earliest: float) -> None:
        """The cut that held our packets is healed; they arrive at ``earliest``, and later ones not before."""
        self._earliest_arrival = max(self._earliest_arrival, earliest + APART_S)
        self.internet.call_at(earliest, _held_arrive, self)

    def vanish(self, *, silent: bool) -> None:
        """Our host has crashed: there is no such connection any more, nor any descriptor of it."""
        if not silent and self.state is _OPEN:
            self.transmit(_RST)
        for held in (self, *self.strain.copies):
            if held.fd >= 0:
                self.internet.kernel.close_fd(held.fd)
                held.fd = -1
        if self.strain.copies:
            self.strain.copies = ()
            self.ease()
        self._forget()

    def lose(self, code: int) -> None:
        """The connection is gone, with this error."""
        if self.state in (_CONNECTING, _OPEN):
            self.state = _LOST
            self.strained().error = code
            self.internet.note(f"{self.name} lost {errno.errorcode[code]}")
            self.internet.touch(self)

    def _forget(self) -> None:
        self.state = _CLOSED
        self.inbox = NO_ITEMS
        self.host.ends.pop(self, None)
        self._part()

    def _part(self) -> None:
        """If nothing can pass between the two ends any more, let go: each goes with the last who holds it."""
        peer = self.peer
        if peer is not None and peer.state is _CLOSED and not self._under_way and not peer._under_way:
            self.peer = peer.peer = None

    def _hold(self, item: bytes | Packet) -> None:
        """It has come as far as a cut, or behind others that have."""
        self.internet.note(f"{self.name} held")
        if self.strain.held:
            self.strain.held.append(item)
        else:
            self.strained().held = [item]
            self.internet.hold(self)

    def _arrives(self, item: bytes | Packet) -> None:
        """A packet that we have sent would reach the other host now."""
        internet, peer = self.host.internet, self.peer
        if self.strain.held or (internet.is_cut_anywhere and internet.is_cut(self.host, self.remote_host)):
            self._hold(item)
            return
        under_way = self._under_way = self._under_way - 1
        if not under_way and self._latency_s is not None and self._latency_s > APART_S:
            self._earliest_arrival = 0.0  # what is sent from now on arrives later anyway: one number less at rest
        internet.packets += 1
        if type(item) is bytes:
            size = len(item)
            internet.bytes_carried += size
            # By its number, if it has one: most lines of a trace are of these.
            note = internet.note
            note(f"net {self.fd} {size} bytes" if self.fd >= 0 else f"{self.name} {size} bytes")
            if peer is None or not peer.host.powered:
                pass
            elif peer.state is not _OPEN or peer.strain is not AT_EASE:
                peer._take(item)
            else:
                if peer.inbox:
                    peer.inbox.append(item)
                else:
                    peer.inbox = [item]
                if peer.events and not peer.is_told:
                    tell = internet.tell
                    tell(peer)
        elif isinstance(item, Packet):
            internet.note(f"{self.name} {item.value}")
            if item is _SYN:
                if self.state is _CONNECTING and not self.strain.is_shut:
                    internet.syn_arrives(self)
            elif peer is not None and peer.host.powered:
                peer._take(item)
        if self.state is _CLOSED and not self._under_way:
            self._part()

    def _take(self, item: bytes | Packet) -> None:
        """A packet of the other end has reached us: no data, or one that has not the usual way."""
        if self.state is _CLOSED:
            if item is not _RST and item is not _FIN:
                self.transmit(_RST)  # nobody here: tell whoever goes on sending
            return
        if item is _RST:
            self.lose(errno.ECONNRESET)
            return
        if item is _ACCEPTED:
            if self.state is _CONNECTING:
                self.state = _OPEN
        elif item is _FIN:
            self.strained().fin_received = True
        elif self.state is _OPEN and not self.strain.is_shut and isinstance(item, bytes):
            if self.inbox:
                self.inbox.append(item)
            else:
                self.inbox = [item]
        self.internet.touch(self)

    # ---- room

    def report_room(self, count: int) -> None:
        """Our program has read ``count`` bytes. A sender that waits hears of it a latency later."""
        peer = self.peer
        if peer is None or peer.state is not _OPEN:
            return
        internet = self.internet
        if internet.is_cut_anywhere and internet.is_cut(self.host, peer.host):
            internet.hold_room(self, count)
        elif peer.strain.is_waiting_for_room:
            latency_s = internet.links.latency_s(self.host.name, peer.host.name)
            internet.call_at(internet.clock.now + latency_s, peer._hear_of_room, count)
        else:
            peer.unread_at_peer -= count

    def _hear_of_room(self, count: int, _: Any) -> None:
        self.unread_at_peer -= count
        self.strain.is_waiting_for_room = False
        self.ease()
        self.internet.touch(self)


_ARRIVES = End._arrives
"""To be called with an end; read from here because a class is slow to read."""


def _held_arrive(end: End, _: Any) -> None:
    """A cut was healed a while ago: what it held gets through, unless the link has been cut again."""
    if end.internet.is_cut(end.host, end.remote_host):
        end.internet.hold(end)
        return
    strain = end.strain
    held, strain.held = strain.held, NO_ITEMS
    end.ease()
    for item in held:
        end._arrives(item)
