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
from core.effects import CreateInbound, DialPeer, Effect, Emit, ForwardToPeer, Reply, Room, Tell, TellPeer
from core.errors import NotActive, PeerNotFound
from core.events import Event, NetworkReady, PeerInfo, RemovePeer
from core.ids import CloseCode, Direction, Endpoint, PeerId, PeerKind
from core.messages import (
    ActorMessage,
    AllPeersClosed,
    ApplyPenalty,
    AskForPeers,
    Ban,
    BroadcastMessage,
    ChoosePeers,
    ChosenPeers,
    ClosePeer,
    Done,
    Failed,
    ForgetPeer,
    InboundRefused,
    InboundSeen,
    OutboundFailed,
    OutboundSucceeded,
    PeerClosed,
    PoolCounts,
    SendMessage,
    SendRequest,
)
from core.pool_settings import PoolSettings
from core.redial import Redial
from core.slots import Slot, Slots

SEED_DONE = "Disconnect from SeedPeer after discovery"
DUPLICATE = "Peer has a duplicate connection"


class Pool:
    """The PeerPool's mind. ``secret`` keys the eviction's order of net groups; times are monotonic seconds."""

    def __init__(self, settings: PoolSettings, *, own_nonce: str, secret: bytes, rng: Random) -> None:
        self._settings = settings
        self._own_nonce = own_nonce
        self._secret = secret
        self._rng = rng
        self._slots = Slots()
        self._kinds = settings.kinds()
        self._redial = Redial(settings.fixed_peers, settings.populator_interval_s)
        self._not_now: dict[Endpoint, float] = {}  # failed lately: not chosen again before
        self._own: set[Endpoint] = set()  # addresses that turned out to be ourselves
        self._banned: set[str] = set()
        self._tried_count = 0
        self._choosing = 0  # request id of the last question to the book
        self._choosing_since: float | None = None  # ... and when it was asked, while it is open
        self._book_known = False
        self._stopping = False
        self._ready_told = False
        self._populate_at: float | None = None
        self._seeds_at: float | None = None
        self._shuffle_at: float | None = None
        self._shuffle_window_ends_at = 0.0
        self._counts = dict.fromkeys(
            ("inbound_connects", "outbound_connects", "inbound_disconnects", "outbound_disconnects", "dials_failed"), 0
        )
        self._out: list[Effect] = []

    # ---- start, clock, stop ----

    def start(self, now: float) -> list[Effect]:
        """Dial fixed peers, ask the book, and the seeds if the book knows little."""
        self._populate_at = now
        self._seeds_at = now + self._settings.seed_interval_s
        self._shuffle_window_ends_at = now
        self._plan_shuffle(now)
        return self.on_time(now)

    def next_deadline(self) -> float | None:
        """When :meth:`on_time` wants to be called."""
        deadlines = (self._populate_at, self._seeds_at, self._shuffle_at, self._redial.next_deadline())
        return None if self._stopping else min((at for at in deadlines if at is not None), default=None)

    def on_time(self, now: float) -> list[Effect]:
        """Do what is due."""
        if self._stopping:
            return []
        for endpoint in self._redial.due(now):
            if not self._dial(endpoint, PeerKind.FIXED):
                self._redial.lost(endpoint, now)  # connected inbound, say: look again later
        if self._shuffle_at is not None and self._shuffle_at <= now:
            self._shuffle()
            self._plan_shuffle(now)
        if self._populate_at is not None and self._populate_at <= now:
            self._populate_at = now + self._settings.populator_interval_s
            self._release_seeds()
            self._populate(now)
        if self._seeds_at is not None and self._seeds_at <= now:
            self._seeds_at = now + self._settings.seed_interval_s
            self._rediscover()
        return self._flush()

    def stop(self) -> list[Effect]:
        """Close every connection in order and make no new ones."""
        self._stopping = True
        for slot in list(self._slots):
            self._end(slot, CloseCode.NORMAL, f"Intentionally removed peer {slot.endpoint.peer_id}")
        self._say_when_empty()
        return self._flush()

    def _say_when_empty(self) -> None:
        if self._stopping and not len(self._slots):
            self._tell(Room.NODE, AllPeersClosed())

    # ---- dialling ----

    def _free_outbound(self) -> int:
        # Seeds are guests: they do not take a slot from a peer of the network (in lisk-p2p, as many seeds as slots
        # make start() cancel its own seed connections).
        used = sum(slot.kind is not PeerKind.SEED for slot in self._slots.of(Direction.OUTBOUND))
        return self._settings.max_outbound_connections - used

    def _populate(self, now: float) -> None:
        free = self._free_outbound()
        if free <= 0 or self._stopping or not self._may_ask_book(now):
            return
        self._not_now = {endpoint: until for endpoint, until in self._not_now.items() if until > now}
        excluded = self._slots.endpoints() | self._own | set(self._not_now)
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
        if answer.request_id != self._choosing or self._stopping:
            return []
        self._choosing_since = None
        first_answer = not self._book_known
        self._book_known = True
        self._tried_count = answer.tried_count
        for endpoint in answer.endpoints[: max(0, self._free_outbound())]:
            self._dial(endpoint, self._kinds.get(endpoint, PeerKind.NONE))
        if first_answer and answer.tried_count < self._settings.min_tried_for_no_seeds:
            self._dial_seeds()
        return self._flush()

    def _dial(self, endpoint: Endpoint, kind: PeerKind) -> bool:
        busy = any(self._slots.get(endpoint, direction) for direction in Direction)
        if busy or endpoint in self._own or endpoint.ip in self._banned:
            return False
        self._slots.add(Slot(endpoint, Direction.OUTBOUND, kind))
        self._out.append(DialPeer(endpoint, kind))
        return True

    def _dial_seeds(self) -> None:
        # All seeds, in random order: lisk-p2p only ever uses as many as there are free slots, always the first ones.
        seeds = list(self._settings.seed_peers)
        self._rng.shuffle(seeds)
        for endpoint in seeds:
            self._dial(endpoint, self._kinds.get(endpoint, PeerKind.SEED))

    def _release_seeds(self) -> None:
        """LIP 0004: disconnect from the seeds after discovery. While slots are free they are kept, as by lisk-p2p."""
        if self._free_outbound() > 0:
            return
        for slot in self._slots.of(Direction.OUTBOUND):
            if slot.kind is PeerKind.SEED and slot.info is not None:
                self._end(slot, CloseCode.NORMAL, SEED_DONE)

    def _rediscover(self) -> None:
        """LIP 0004: too few outbound connections after 30 s: ask the seeds again; a connected peer will do as well."""
        if self._free_outbound() <= 0:
            return
        if self._tried_count < self._settings.min_tried_for_no_seeds:
            self._dial_seeds()
        connected = [slot for slot in self._slots.of(Direction.OUTBOUND) if slot.info is not None]
        if connected:
            self._say(self._rng.choice(connected), AskForPeers())

    def _plan_shuffle(self, now: float) -> None:
        """A random moment inside each interval (LIP 0004): a fixed tick can be learned and waited for."""
        starts_at = max(now, self._shuffle_window_ends_at)
        self._shuffle_window_ends_at = starts_at + self._settings.shuffle_interval_s
        self._shuffle_at = self._rng.uniform(starts_at, self._shuffle_window_ends_at)

    def _shuffle(self) -> None:
        if self._free_outbound() > 0:
            return  # a free slot is already looking for somebody new
        candidates = [
            slot
            for slot in self._slots.of(Direction.OUTBOUND)
            if slot.info is not None and slot.kind is not PeerKind.FIXED
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
        if endpoint.ip in self._banned:
            return self._refuse(ask_id, CloseCode.FORBIDDEN, "Peer is not allowed to connect")
        if not self._make_room():
            return self._refuse(ask_id, CloseCode.TRY_AGAIN_LATER, "No inbound connection can be evicted")
        kind = self._kinds.get(endpoint, PeerKind.NONE)
        self._slots.add(Slot(endpoint, Direction.INBOUND, kind))
        self._out.append(CreateInbound(endpoint, kind, ask_id))
        return self._flush()

    def _refuse(self, ask_id: int, code: int, reason: str) -> list[Effect]:
        self._out.append(Reply(ask_id, InboundRefused(0, code, reason)))
        return self._flush()

    def _make_room(self) -> bool:
        inbound = self._slots.of(Direction.INBOUND)
        if len(inbound) < self._settings.max_inbound_connections:
            return True
        candidates = [slot.info for slot in inbound if slot.info is not None]
        victim = evict.select_victim(candidates, self._settings.protection, self._secret, self._rng)
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
        slot.info = peer
        if direction is Direction.OUTBOUND:
            self._counts["outbound_connects"] += 1
            self._redial.succeeded(peer.endpoint)
            self._tell(Room.BOOK, OutboundSucceeded(peer.endpoint, peer.advertise_address))
            if not self._ready_told:
                self._ready_told = True
                self._emit(NetworkReady())
            self._populate(now)  # it has told its peers by now
        else:
            self._counts["inbound_connects"] += 1
            self._tell(Room.BOOK, InboundSeen(peer.endpoint, peer.advertise_address))
        self._end_double(peer.endpoint)
        self._report()
        return self._flush()

    def _end_double(self, endpoint: Endpoint) -> None:
        """Two nodes dialled each other at once: both keep the connection opened by the one with the smaller nonce."""
        outbound = self._slots.get(endpoint, Direction.OUTBOUND)
        inbound = self._slots.get(endpoint, Direction.INBOUND)
        if outbound is None or inbound is None or outbound.info is None or inbound.info is None:
            return
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
            self._on_outbound_closed(slot, closed, now)
        self._report()
        if not self._stopping and closed.direction is Direction.OUTBOUND:
            self._populate(now)
        self._say_when_empty()
        return self._flush()

    def _on_outbound_closed(self, slot: Slot, closed: PeerClosed, now: float) -> None:
        self._not_now[closed.endpoint] = now + self._settings.populator_interval_s
        if closed.code == CloseCode.OWN_NONCE:
            self._own.add(closed.endpoint)
            self._tell(Room.BOOK, ForgetPeer(closed.endpoint))
        elif not closed.was_connected and not self._stopping:
            self._counts["dials_failed"] += 1
            # A refused duplicate proves that somebody listens there; every other refusal makes the address useless.
            if closed.code != CloseCode.DUPLICATE:
                self._tell(Room.BOOK, OutboundFailed(closed.endpoint))
        if slot.kind is PeerKind.FIXED:
            self._redial.lost(closed.endpoint, now)

    def on_banned(self, ban: Ban) -> list[Effect]:
        """The book banned an address: close what it still has. In lisk-p2p its other connections live on."""
        self._banned.add(ban.ip)
        for slot in list(self._slots):
            if slot.endpoint.ip == ban.ip and slot.kind is PeerKind.NONE:
                self._end(slot, CloseCode.NORMAL, "")
        return self._flush()

    def on_unbanned(self, ip: str) -> list[Effect]:
        """A ban ended."""
        self._banned.discard(ip)
        return []

    # ---- what the program wants ----

    def connected_peers(self) -> tuple[PeerInfo, ...]:
        """Every connected peer, outbound first."""
        return tuple(self._slots.connected())

    def send(self, command: SendMessage, ask_id: int) -> list[Effect]:
        """To one peer, or to the peers that the selection rule picks."""
        if command.peer_id is not None:
            return self._to_one(command.peer_id, command, ask_id)
        peers = select.for_send(self._slots.connected(), self._settings.send_peer_limit, self._rng)
        return self._to_many(peers, SendMessage(0, command.event, command.data), ask_id)

    def broadcast(self, command: BroadcastMessage, ask_id: int) -> list[Effect]:
        """To every connected peer."""
        return self._to_many(self._slots.connected(), SendMessage(0, command.event, command.data), ask_id)

    def request(self, command: SendRequest, ask_id: int) -> list[Effect]:
        """Ask one peer, or the one that the selection rule picks; the peer answers the asker itself."""
        if command.peer_id is not None:
            return self._to_one(command.peer_id, command, ask_id)
        peer = select.for_request(self._slots.connected(), self._rng)
        if peer is None:
            return self._failed(ask_id, PeerNotFound("no peer is connected"))
        return self._to_one(peer.peer_id, command, ask_id)

    def penalise(self, command: ApplyPenalty, ask_id: int) -> list[Effect]:
        """The application's penalty for a connected peer."""
        return self._to_one(command.peer_id, command, ask_id)

    def _to_one(self, peer_id: PeerId, command: ActorMessage, ask_id: int) -> list[Effect]:
        slot = self._slots.connected_by_id(peer_id)
        if slot is None:
            return self._failed(ask_id, PeerNotFound(f"no connected peer has the id {peer_id[:80]!r}"))
        self._out.append(ForwardToPeer(slot.endpoint, slot.direction, command, ask_id))
        return self._flush()

    def _to_many(self, peers: Iterable[PeerInfo], message: SendMessage, ask_id: int) -> list[Effect]:
        if self._stopping:
            return self._failed(ask_id, NotActive("the node is stopping"))
        for peer in peers:
            direction = peer.direction or Direction.OUTBOUND
            self._out.append(TellPeer(peer.endpoint, direction, message))
        if ask_id:
            self._out.append(Reply(ask_id, Done(0)))
        return self._flush()

    def _failed(self, ask_id: int, error: Exception) -> list[Effect]:
        if ask_id:
            self._out.append(Reply(ask_id, Failed(0, error)))
        return self._flush()

    # ---- output ----

    def _end(self, slot: Slot, code: int, reason: str) -> None:
        if not slot.leaving:
            slot.leaving = True
            self._say(slot, ClosePeer(code, reason))

    def _say(self, slot: Slot, message: ActorMessage) -> None:
        self._out.append(TellPeer(slot.endpoint, slot.direction, message))

    def _tell(self, room: Room, message: ActorMessage) -> None:
        self._out.append(Tell(room, message))

    def _emit(self, event: Event) -> None:
        self._out.append(Emit((event,)))

    def _report(self) -> None:
        connected = self._slots.connected()
        outbound = sum(peer.direction is Direction.OUTBOUND for peer in connected)
        self._tell(Room.NODE, PoolCounts(len(connected) - outbound, outbound, **self._counts))

    def _flush(self) -> list[Effect]:
        out = self._out
        self._out = []
        return out
