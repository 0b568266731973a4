"""Pool: who is connected, who should be, and through whom we speak. Decisions only.

Slots, dialling, seeds, fixed peers, shuffling, inbound admission and eviction, and the choice of peers for sending and
asking. The peer book says whom one *could* dial; the pool says how many, and whom not.

Sources: LIP 0004 ("Connections", "Selection", "Start-up and discovery", "Static lists"); departures are named where
they are made. The attacker in mind fills our inbound slots, wants our outbound ones, and closes what is honest.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from core import evict, select
from core.avoid import Avoided
from core.effects import CreateInbound, DialPeer, Effect, Reply, Room
from core.events import NetworkReady, PeerInfo, RemovePeer
from core.ids import CloseCode, Direction, Endpoint, PeerKind
from core.messages import (
    AllPeersClosed,
    AskForPeers,
    Ban,
    ChoosePeers,
    ChosenPeers,
    ForgetPeer,
    InboundRefused,
    InboundSeen,
    OutboundFailed,
    OutboundSucceeded,
    PeerClosed,
)
from core.pool_base import PoolBase
from core.pool_settings import PoolSettings
from core.redial import Redial
from core.slots import Slot
from core.timetable import Timetable

SEED_DONE = "Disconnect from SeedPeer after discovery"
DUPLICATE = "Peer has a duplicate connection"

MAX_SEED_GUESTS = 32
"""Seeds connected at once, over and above the outbound slots. A configuration may name thousands."""

ASK_PAUSE_S = 11.0
"""One peer is asked for its peers at most this often: a second getPeers within 10 s costs 10 points of reputation."""

TRUSTED = frozenset({PeerKind.FIXED, PeerKind.WHITELISTED})


class Pool(PoolBase):
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
        super().__init__(settings, rng, selection)
        self._own_nonce = own_nonce
        self._secret = secret
        self._kinds = settings.kinds()
        self._redial = Redial(settings.fixed_peers, settings.populator_interval_s)
        self._times = Timetable(settings, rng)
        self._avoided = Avoided(settings.populator_interval_s)
        self._choosing = 0  # request id of the last question to the book
        self._choosing_since: float | None = None  # ... and when it was asked, while it is open
        self._book_known = False
        self._end_told = False
        self._ready_told = False

    # ---- start, clock, stop ----

    def start(self, now: float) -> list[Effect]:
        """Dial fixed peers, ask the book, and the seeds if the book knows little."""
        self._times.start(now)
        return self.on_time(now)

    def next_deadline(self) -> float | None:
        """When :meth:`on_time` wants to be called."""
        if self._stopping:
            return None
        planned, redial = self._times.next_deadline(), self._redial.next_deadline()
        return planned if redial is None else redial if planned is None else min(planned, redial)

    def on_time(self, now: float) -> list[Effect]:
        """Do what is due."""
        if self._stopping:
            return []
        self._dial_fixed(now)
        if self._times.shuffling_is_due(now):
            self._shuffle()
        if self._times.populating_is_due(now):
            self._release_seeds()
            self._populate(now)
        if self._times.seeds_are_due(now):
            self._rediscover(now)
        return self._flush()

    def stop(self) -> list[Effect]:
        """Close every connection in order and make no new ones."""
        self._stopping = True
        for slot in list(self._slots):
            self._end(slot, CloseCode.NORMAL, f"Intentionally removed peer {slot.endpoint.peer_id}")
        self._say_when_empty()
        return self._flush()

    def _say_when_empty(self) -> None:
        if self._stopping and not len(self._slots) and not self._end_told:
            self._end_told = True
            self._tell(Room.NODE, AllPeersClosed())

    # ---- dialling ----

    def _free_outbound(self) -> int:
        # Seeds are guests: they do not take a slot from a peer of the network (in lisk-p2p, as many seeds as slots
        # make start() cancel its own seed connections). A fixed peer that is away keeps its slot free.
        used = sum(slot.kind is not PeerKind.SEED for slot in self._slots.of(Direction.OUTBOUND))
        return self._settings.max_outbound_connections - used - self._redial.waiting()

    def _populate(self, now: float) -> None:
        free = self._free_outbound()
        if free <= 0 or self._stopping or not self._may_ask_book(now):
            return
        excluded = self._slots.endpoints() | self._avoided.endpoints(now) | set(self._settings.fixed_peers)
        self._choosing += 1
        self._choosing_since = now
        groups = tuple(sorted(self._slots.outbound_groups().items()))
        self._tell(Room.BOOK, ChoosePeers(self._choosing, free, frozenset(excluded), groups))

    def _may_ask_book(self, now: float) -> bool:
        """One question at a time; a restarted book may have lost it, so it is asked again after an interval."""
        since = self._choosing_since
        return since is None or now - since >= self._settings.populator_interval_s

    def on_chosen(self, answer: ChosenPeers, now: float) -> list[Effect]:
        """The book's choice: dial it; ask the seeds if it is too little."""
        if answer.request_id != self._choosing or self._choosing_since is None or self._stopping:
            return []
        self._choosing_since = None
        first_answer = not self._book_known
        self._book_known = True
        for endpoint in answer.endpoints[: max(0, self._free_outbound())]:
            kind = self._kinds.get(endpoint, PeerKind.NONE)
            # A fixed peer has its own pace; one that was dialled in vain since the question was asked has to rest.
            if kind is not PeerKind.FIXED and not self._avoided.is_resting(endpoint, now):
                self._dial(endpoint, kind)
        if first_answer and answer.tried_count < self._settings.min_tried_for_no_seeds:
            self._dial_seeds()
        return self._flush()

    def _dial(self, endpoint: Endpoint, kind: PeerKind) -> bool:
        avoided = self._avoided
        if self._slots.is_busy(endpoint) or avoided.is_own(endpoint) or avoided.is_banned(endpoint.ip):
            return False
        self._slots.add(Slot(endpoint, Direction.OUTBOUND, kind))
        self._out.append(DialPeer(endpoint, kind))
        return True

    def _dial_fixed(self, now: float) -> None:
        for endpoint in self._redial.due(now):
            if self._dial(endpoint, PeerKind.FIXED) or self._avoided.is_own(endpoint):
                continue
            # One that is connected, inbound perhaps, comes back to the redialling when it is lost.
            if not self._slots.is_busy(endpoint):
                self._redial.lost(endpoint, now)

    def _dial_seeds(self) -> None:
        # All seeds, in random order: lisk-p2p only ever uses as many as there are free slots, always the first ones.
        seeds = list(self._settings.seed_peers)
        self._rng.shuffle(seeds)
        guests = sum(slot.kind is PeerKind.SEED for slot in self._slots.of(Direction.OUTBOUND))
        for endpoint in seeds:
            if guests >= MAX_SEED_GUESTS:
                break
            # A seed that is whitelisted too is a guest all the same; one that is fixed has its own pace.
            if self._kinds[endpoint] is not PeerKind.FIXED and self._dial(endpoint, PeerKind.SEED):
                guests += 1

    def _release_seeds(self) -> None:
        """LIP 0004: disconnect from the seeds after discovery. While slots are free they are kept, as by lisk-p2p."""
        outbound = self._slots.of(Direction.OUTBOUND)
        connected = sum(slot.info is not None and slot.kind is not PeerKind.SEED for slot in outbound)
        if connected + self._redial.waiting() < self._settings.max_outbound_connections:
            return
        for slot in outbound:
            if slot.kind is PeerKind.SEED and slot.info is not None:
                self._end(slot, CloseCode.NORMAL, SEED_DONE)

    def _rediscover(self, now: float) -> None:
        """LIP 0004: too few outbound connections after 30 s: ask the seeds again, and a connected peer as well."""
        if self._free_outbound() <= 0:
            return
        self._dial_seeds()
        latest = now - ASK_PAUSE_S
        willing = [
            slot for slot in self._slots.of(Direction.OUTBOUND) if slot.info is not None and slot.asked_at <= latest
        ]
        if willing:
            slot = self._rng.choice(willing)
            slot.asked_at = now
            self._say(slot, AskForPeers())

    def _shuffle(self) -> None:
        if self._free_outbound() > 0:
            return  # a free slot is already looking for somebody new
        candidates = [
            slot
            for slot in self._slots.of(Direction.OUTBOUND)
            if slot.info is not None and slot.kind not in (PeerKind.FIXED, PeerKind.SEED)
        ]
        if candidates:
            slot = self._rng.choice(candidates)
            self._end(slot, CloseCode.EVICTED, f"Evicted outbound peer {slot.endpoint.peer_id}")

    # ---- inbound ----

    def on_admit(self, peer: PeerInfo, ask_id: int) -> list[Effect]:
        """The server asks for room for a checked opener. Answer: CreateInbound, or Reply with a refusal."""
        endpoint = peer.endpoint
        taken = self._slots.get(endpoint, Direction.INBOUND)
        dialled = self._slots.get(endpoint, Direction.OUTBOUND)
        # A dial of ours to the same peer that is not through yet does not count: both sides dialling at once would
        # refuse each other (as lisk-p2p nodes do). If both get through, on_connected() ends one of them.
        if taken is not None or (dialled is not None and dialled.info is not None):
            return self._refuse(ask_id, CloseCode.DUPLICATE, DUPLICATE)
        if self._stopping:
            return self._refuse(ask_id, CloseCode.TRY_AGAIN_LATER, "Node is stopping")
        if self._avoided.is_banned(endpoint.ip):
            return self._refuse(ask_id, CloseCode.FORBIDDEN, "Peer is not allowed to connect")
        kind = self._kinds.get(endpoint, PeerKind.NONE)
        if not self._make_room(kind):
            return self._refuse(ask_id, CloseCode.TRY_AGAIN_LATER, "No inbound connection can be evicted")
        self._slots.add(Slot(endpoint, Direction.INBOUND, kind))
        self._out.append(CreateInbound(endpoint, kind, ask_id))
        return self._flush()

    def _refuse(self, ask_id: int, code: int, reason: str) -> list[Effect]:
        self._out.append(Reply(ask_id, InboundRefused(0, code, reason)))
        return self._flush()

    def _make_room(self, newcomer: PeerKind) -> bool:
        inbound = self._slots.of(Direction.INBOUND)
        if len(inbound) < self._settings.max_inbound_connections:
            return True
        candidates = [slot.info for slot in inbound if slot.info is not None]
        victim = evict.select_victim(candidates, self._settings.protection, self._secret, self._rng)
        if victim is None and newcomer in TRUSTED:
            # LIP 0004: a whitelisted peer is let in while there is an ordinary one, however well that one is protected.
            victim = evict.select_victim(candidates, evict.NO_PROTECTION, self._secret, self._rng)
        slot = self._slots.get(victim.endpoint, Direction.INBOUND) if victim is not None else None
        if slot is None:
            return False
        self._end(slot, CloseCode.EVICTED, f"Evicted inbound peer {slot.endpoint.peer_id}")
        return True

    # ---- what peers report ----

    def on_connected(self, peer: PeerInfo, now: float) -> list[Effect]:
        """A peer's connection carries messages."""
        direction = peer.direction or Direction.OUTBOUND
        slot = self._slots.get(peer.endpoint, direction)
        if slot is None:
            return []  # closed meanwhile
        if slot.info is not None:
            slot.info = peer  # said twice
            return []
        slot.info = peer
        self._redial.succeeded(peer.endpoint)
        if direction is Direction.OUTBOUND:
            self._on_outbound_connected(slot, peer, now)
        else:
            self._counts["inbound_connects"] += 1
            self._tell(Room.BOOK, InboundSeen(peer.endpoint, peer.advertise_address))
        self._end_double(peer.endpoint)
        self._report()
        return self._flush()

    def _on_outbound_connected(self, slot: Slot, peer: PeerInfo, now: float) -> None:
        slot.asked_at = now  # it has told its peers by now
        self._counts["outbound_connects"] += 1
        self._tell(Room.BOOK, OutboundSucceeded(peer.endpoint, peer.advertise_address))
        if not self._ready_told:
            self._ready_told = True
            self._emit(NetworkReady())
        self._populate(now)

    def _end_double(self, endpoint: Endpoint) -> None:
        """Two nodes dialled each other at once: both keep the connection opened by the one with the smaller nonce."""
        outbound = self._slots.get(endpoint, Direction.OUTBOUND)
        inbound = self._slots.get(endpoint, Direction.INBOUND)
        if outbound is None or inbound is None or outbound.info is None or inbound.info is None:
            return
        if outbound.leaving or inbound.leaving:
            return  # one of them ends anyway
        ours_wins = self._own_nonce < outbound.info.nonce
        self._end(inbound if ours_wins else outbound, CloseCode.DUPLICATE, DUPLICATE)

    def on_updated(self, peer: PeerInfo) -> list[Effect]:
        """Latency, reputation or node info of a peer changed."""
        slot = self._slots.get(peer.endpoint, peer.direction or Direction.OUTBOUND)
        if slot is not None and slot.info is not None:
            slot.info = peer
        return []

    def on_closed(self, closed: PeerClosed, now: float) -> list[Effect]:
        """A connection is gone: free its slot, tell the book, look for another."""
        slot = self._slots.pop(closed.endpoint, closed.direction)
        if slot is None:
            return []
        if slot.info is not None:
            self._counts[f"{closed.direction.value}_disconnects"] += 1
            self._emit(RemovePeer(peer_id=closed.endpoint.peer_id, reason=closed.reason))
        if closed.direction is Direction.OUTBOUND:
            self._on_outbound_closed(closed, now)
        if slot.kind is PeerKind.FIXED and not self._slots.is_busy(closed.endpoint):
            self._redial.lost(closed.endpoint, now)
        self._report()
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
        self._avoided.ban(ban.ip)
        return self._close_banned()

    def on_unbanned(self, ip: str) -> list[Effect]:
        """A ban ended."""
        self._avoided.unban(ip)
        return []

    def on_bans(self, bans: Iterable[Ban]) -> list[Effect]:
        """The book told all bans in force: one of us two is new."""
        self._avoided.set_bans(ban.ip for ban in bans)
        return self._close_banned()

    def _close_banned(self) -> list[Effect]:
        for slot in list(self._slots):
            if slot.kind is PeerKind.NONE and self._avoided.is_banned(slot.endpoint.ip):
                self._end(slot, CloseCode.NORMAL, "")
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
