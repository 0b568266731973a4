"""Pool: who is connected, who should be, and through whom we speak. Decisions only.

The clock, and what peers and the book report; on top of dialling (:mod:`core.pool_outbound`), inbound admission
(:mod:`core.pool_inbound`) and sending (:mod:`core.pool_base`).

Sources: LIP 0004 ("Connections", "Selection", "Start-up and discovery", "Static lists"); departures are named where
they are made. The attacker in mind fills our inbound slots, wants our outbound ones, and closes what is honest.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from core import rules, select
from core.deadlines import earliest
from core.decisions import DecisionKind, decided
from core.effects import Effect, Room
from core.events import NetworkReady, PeerInfo, RemovePeer
from core.house_messages import (
    AllPeersClosed,
    ForgetPeer,
    InboundSeen,
    OutboundFailed,
    OutboundSucceeded,
    PeerClosed,
)
from core.ids import CloseCode, Direction, Endpoint, PeerKind
from core.messages import (
    Ban,
)
from core.pool_base import DISCONNECTS
from core.pool_inbound import DUPLICATE
from core.pool_outbound import OutboundPool
from core.pool_settings import PoolSettings
from core.seeds import STALE_S
from core.slots import Slot
from core.timetable import Timetable


class Pool(OutboundPool):
    """The PeerPool's mind. ``secret`` keys the eviction's order of net groups; times are monotonic seconds."""

    def __init__(
        self,
        settings: PoolSettings,
        *,
        own_nonce: str,
        secret: bytes,
        rng: Random,
        selection: select.Selection = select.OWN_RULES,
    ) -> None:
        super().__init__(settings, secret, rng, selection)
        self._own_nonce = own_nonce
        self._times = Timetable(settings, rng)
        self._end_told = False
        self._ready_told = False

    # ---- start, clock, stop ----

    def start(self, now: float) -> list[Effect]:
        """Dial fixed peers, ask the book, and the seeds if the book knows little."""
        self._times.start(now)
        self._resolve(now)
        return self.on_time(now)

    def next_deadline(self) -> float | None:
        """When :meth:`on_time` wants to be called."""
        if self._stopping:
            return None
        return earliest(self._times.next_deadline(), self._redial.next_deadline())

    def on_time(self, now: float) -> list[Effect]:
        """Do what is due."""
        if self._stopping:
            return []
        if self._settings.fixed_peers:
            self._dial_fixed(now)
        if self._times.shuffling_is_due(now):
            self._shuffle()
        if self._times.populating_is_due(now):
            self._release_seeds()
            self._populate(now)
        if self._times.seeds_are_due(now):
            self._rediscover(now)
            self._resolve(now, STALE_S)
        return self._flush()

    def stop(self) -> list[Effect]:
        """Close every connection in order and make no new ones."""
        self._stopping = True
        for slot in list(self._slots):
            self._end(slot, CloseCode.NORMAL, f"Intentionally removed peer {slot.endpoint.peer_id}", rules.STOPPING)
        self._say_when_empty()
        return self._flush()

    def _say_when_empty(self) -> None:
        if self._stopping and not len(self._slots) and not self._end_told:
            self._end_told = True
            self._tell(Room.NODE, AllPeersClosed())

    # ---- what peers report ----

    def on_connected(self, peer: PeerInfo, now: float) -> list[Effect]:
        """A peer's connection carries messages."""
        slot = self._slots.get(peer.endpoint, peer.direction or Direction.OUTBOUND)
        if slot is None:
            return []  # closed meanwhile
        if slot.info is None:
            self._on_first_connected(slot, peer, now)
        else:
            self._slots.update(slot, peer)  # said twice
        return self._flush()

    def _on_first_connected(self, slot: Slot, peer: PeerInfo, now: float) -> None:
        self._slots.connect(slot, peer)
        self._redial.succeeded(slot.endpoint)
        self._record_connected(slot)
        if slot.direction is Direction.OUTBOUND:
            self._on_outbound_connected(slot, peer, now)
        else:
            self._counts["inbound_connects"] += 1
            self._tell(Room.BOOK, InboundSeen(slot.endpoint, peer.advertise_address))
        self._end_double(slot.endpoint)
        self._report(slot, stands=True)

    def _record_connected(self, slot: Slot) -> None:
        slots, limits = self._slots, self._settings
        if slot.direction is Direction.OUTBOUND:
            rule, taken, limit = rules.OPENED, slots.outbound_tally.staying, limits.max_outbound_connections
            figures = (("outbound", taken), ("limit", limit))
        else:
            rule, taken, limit = rules.ADMITTED, slots.inbound_tally.staying, limits.max_inbound_connections
            figures = (("inbound", taken), ("limit", limit))
        self._record(slot.endpoint, DecisionKind.CONNECTED, rule, *figures)

    def _on_outbound_connected(self, slot: Slot, peer: PeerInfo, now: float) -> None:
        slot.asked_at = now  # it has told its peers by now
        self._counts["outbound_connects"] += 1
        self._tell(Room.BOOK, OutboundSucceeded(slot.endpoint, peer.advertise_address))
        if not self._ready_told:
            self._ready_told = True
            self._emit(NetworkReady())
        self._populate(now)

    def _end_double(self, endpoint: Endpoint) -> None:
        """Two nodes dialled each other at once: both keep the connection opened by the one with the smaller nonce.

        Programs may have asked something on the other one already: it ends when that is answered.
        """
        outbound = self._slots.get(endpoint, Direction.OUTBOUND)
        inbound = self._slots.get(endpoint, Direction.INBOUND)
        if outbound is None or inbound is None or outbound.info is None or inbound.info is None:
            return
        if outbound.leaving or inbound.leaving:
            return  # one of them ends anyway
        ours_wins = self._own_nonce < outbound.info.nonce
        slot = inbound if ours_wins else outbound
        self._end(slot, CloseCode.DUPLICATE, DUPLICATE, rules.DUPLICATE, in_peace=True)

    def on_updated(self, peer: PeerInfo) -> None:
        """Latency, reputation or node info of a peer changed."""
        slot = self._slots.get(peer.endpoint, peer.direction or Direction.OUTBOUND)
        if slot is not None and slot.info is not None:
            self._slots.update(slot, peer)

    def on_closed(self, closed: PeerClosed, now: float) -> list[Effect]:
        """A connection is gone: free its slot, tell the book, look for another."""
        slot = self._slots.pop(closed.endpoint, closed.direction)
        if slot is None:
            return []
        if slot.farewell is not None:
            why = slot.farewell.why
        else:
            why = rules.ending(closed.code, by_us=closed.by_us, was_connected=closed.was_connected)
        peer_id = closed.endpoint.peer_id
        self._decisions.append(decided(peer_id, DecisionKind.DISCONNECTED, why, ("code", closed.code)))
        self._spared.forget(peer_id)
        if slot.info is not None:
            self._counts[DISCONNECTS[closed.direction]] += 1
            self._emit(RemovePeer(peer_id=peer_id, reason=closed.reason))
        if closed.direction is Direction.OUTBOUND:
            self._on_outbound_closed(closed, now)
        elif closed.said_goodbye:
            self._on_goodbye(slot, now)
        if slot.kind is PeerKind.FIXED and not self._slots.is_busy(closed.endpoint):
            self._redial_later(closed.endpoint, now)
        self._report(slot if slot.info is not None else None)
        if not self._stopping and closed.direction is Direction.OUTBOUND:
            self._populate(now)
        self._say_when_empty()
        return self._flush()

    def _on_outbound_closed(self, closed: PeerClosed, now: float) -> None:
        self._avoided.closed(closed.endpoint, now)
        if closed.code == CloseCode.OWN_NONCE:
            self._avoided.add_own(closed.endpoint)
            self._tell(Room.BOOK, ForgetPeer(closed.endpoint))
        elif not closed.was_connected and not self._stopping:
            self._counts["dials_failed"] += 1
            # A refused duplicate proves that somebody listens there; every other refusal makes the address useless.
            if closed.code != CloseCode.DUPLICATE:
                self._tell(Room.BOOK, OutboundFailed(closed.endpoint))

    def on_banned(self, ban: Ban) -> list[Effect]:
        """The book banned an address: close what it still has. In lisk-p2p its other connections live on."""
        self._avoided.ban(ban)
        return self._close_banned()

    def on_unbanned(self, ip: str) -> list[Effect]:
        """A ban ended."""
        self._avoided.unban(ip)
        return []

    def on_bans(self, bans: Iterable[Ban]) -> list[Effect]:
        """The book told all bans in force: one of us two is new."""
        self._avoided.set_bans(bans)
        return self._close_banned()

    def bans_missing(self, bans: Iterable[Ban]) -> tuple[Ban, ...]:
        """The bans we know of that a new book does not."""
        return self._avoided.bans_without(ban.ip for ban in bans)

    def _close_banned(self) -> list[Effect]:
        for slot in list(self._slots):
            if slot.kind in (PeerKind.NONE, PeerKind.FEELER) and self._avoided.is_banned(slot.endpoint.ip):
                self._end(slot, CloseCode.NORMAL, "", rules.BANNED)
        return self._flush()

    def on_book_replaced(self, now: float) -> list[Effect]:
        """The book crashed and a new one knows nothing: tell it who is connected, and ask anew."""
        for peer in self._slots.connected():
            seen = OutboundSucceeded if peer.direction is Direction.OUTBOUND else InboundSeen
            self._tell(Room.BOOK, seen(peer.endpoint, peer.advertise_address))
        self._choosing_since = None
        self._book_known = False
        self._populate(now)
        return self._flush()
