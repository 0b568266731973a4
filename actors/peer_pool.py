"""PeerPool: parent of all peers.

Parent: Node. Children: OutboundPeer, InboundPeer, SeedResolver. Mind: :class:`core.pool_guarded.GuardedPool`.
Accepts: Init; AdmitInbound (server); ChosenPeers, FeelerChosen, DialAnchors, AddressBanned, AddressUnbanned,
BansInForce (book); PeerConnected, PeerUpdated, PeerClosed (peers); HostsResolved (resolver); SendMessage,
BroadcastMessage, Broadcasts, SendRequest, FindPeer, ApplyPenalty, GetConnectedPeers, GetDisconnectedPeers (forwarded by
the node); NodeInfoChanged, SubscribersChanged, CloseAllPeers (node).
"""

from __future__ import annotations

from typing import Any

import msgspec
from thespian.actors import ChildActorExited

from actors.asked import AskedActor
from actors.hooks import chosen, guarded
from actors.peer import InboundPeer, OutboundPeer
from actors.seed_resolver import SeedResolver
from actors.wiring import (
    Forwarded,
    InboundAdmitted,
    Init,
    PrepareInbound,
    Rooms,
    StartOutbound,
    SubscribersChanged,
)
from core.deadlines import earliest
from core.dialects import languages_of
from core.effects import CreateInbound, DialPeer, ForwardToPeer, ResolveSeedNames, TellPeer, TellPeers
from core.empty import NO_ITEMS
from core.errors import PeerNotFound
from core.house_messages import (
    AddressBanned,
    AddressUnbanned,
    AdmitInbound,
    BansInForce,
    ChosenPeers,
    CloseAllPeers,
    DialAnchors,
    FeelerChosen,
    HostsResolved,
    KeepBans,
    NodeInfoChanged,
    PeerClosed,
    PeerConnected,
    PeerDismissed,
    PeerUpdated,
    ResolveHosts,
)
from core.ids import CloseCode, Direction, Endpoint, PeerKind
from core.link_settings import LinkSettings
from core.messages import (
    ActorMessage,
    ApplyPenalty,
    BroadcastMessage,
    Broadcasts,
    Failed,
    FindPeer,
    GetConnectedPeers,
    GetDisconnectedPeers,
    ListKnownPeers,
    PeerGone,
    PeerList,
    SendMessage,
    SendRequest,
)
from core.pool_guarded import GuardedPool
from core.pool_settings import PoolSettings
from core.select import Selection
from core.slots import Slot

REFILL_PAUSE_S = 0.01
"""Before spare peers are made, where they are kept."""

SPARES_AT_ONCE = 8
"""About 3 ms each. What the pool does between two of them costs the second memory: pages that it cannot share."""

SPARE_LOST_PAUSE_S = 1.0
"""A spare that dies may do so for a reason that the next one shares."""

MAX_EXPECTED = 1024
"""Ends of actors that are waited for: more than there ever are, unless the base loses some. If one is forgotten, a look
at every child finds out that it was none."""


class PeerPool(AskedActor):
    """See the module."""

    WAITS_FOR_INIT = True

    def __init__(self) -> None:
        super().__init__()
        self._pool: GuardedPool | None = None
        self._seekers: list[Any] = []  # who has asked for peers' actors: a few programs and application actors
        self._dismissed: list[Any] = NO_ITEMS  # peers that have closed, and whose end is still to come: a few
        self._resolver: Any = None
        self._spares: list[Any] = []  # InboundPeers without a connection, where making one takes time
        self._unserved: list[CreateInbound] = []  # those who wait for one, in order
        self._spares_wanted = 0
        self._refill_at: float | None = None
        self._due_at: float | None = None
        self._is_as_before = False  # this message changes nothing of when something is due

    @property
    def pool(self) -> GuardedPool:
        """The mind; there is one from Init on."""
        if self._pool is None:
            raise RuntimeError("PeerPool got work before Init")
        return self._pool

    def receiveMsg_Init(self, message: Init, sender: Any) -> None:
        """Begin to fill the slots."""
        charter = message.charter
        self._adopt_charter(charter)
        config = charter.config
        languages_of(config)  # worked out here, so that a peer's process, forked later, need not
        LinkSettings.from_config(config)
        self._pool = GuardedPool(
            PoolSettings.from_config(config, charter.own_port),
            own_nonce=charter.node_info.nonce,
            secret=charter.secret,
            rng=self.environment.room_rng(f"peer pool {charter.node_info.nonce}"),
            selection=Selection(
                guarded("peer_selection_for_send", config.peer_selection_for_send, self.log, chosen),
                guarded("peer_selection_for_request", config.peer_selection_for_request, self.log),
            ),
        )
        self._spares_wanted = self._count_wanted_spares()
        self.apply(self.pool.start(self.now()))
        self._plan_refill(self.now())
        self.catch_up()

    def deadline(self) -> float | None:
        """The pool's, or when a spare peer is to be made; as it was after the last message."""
        return self._due_at

    def _arm(self) -> None:
        """Not after what changes nothing of that, which most messages are. Of each appointment it is asked three times
        when it is: worked out once."""
        if self._is_as_before:
            self._is_as_before = False
            return
        self._due_at = earliest(self._pool.next_deadline(), self._refill_at) if self._pool is not None else None
        super()._arm()

    def on_time(self, now: float) -> None:
        """Populate, shuffle, redial, rediscover."""
        if self._refill_at is not None and self._refill_at <= now:
            missing = self._spares_wanted - len(self._spares) + len(self._unserved)
            self._spares += [self._make_peer(Direction.INBOUND) for _ in range(min(missing, SPARES_AT_ONCE))]
            while self._unserved and self._spares:
                self._serve(self._unserved.pop(0))
            self._plan_refill(now)
        self.apply(self.pool.on_time(now))

    def _count_wanted_spares(self) -> int:
        return getattr(self._myRef, "spare_peers", 0) if self.need_charter().config.max_inbound_connections else 0

    def _plan_refill(self, now: float) -> None:
        """A few spare peers at a time, so that nothing else waits long; at once if somebody waits for one."""
        if self._unserved:
            self._refill_at = now
        else:
            self._refill_at = now + REFILL_PAUSE_S if len(self._spares) < self._spares_wanted else None

    # ---- server and book ----

    def receiveMsg_AdmitInbound(self, message: AdmitInbound, sender: Any) -> None:
        """Room for a checked opener?"""
        self._is_as_before = not self._spares_wanted
        self.apply(self.pool.on_admit(message.peer, self.remember_asker(sender, message.request_id)))

    def receiveMsg_ChosenPeers(self, message: ChosenPeers, sender: Any) -> None:
        """Whom the book chose."""
        self._is_as_before = True
        self.apply(self.pool.on_chosen(message, self.now()))

    def receiveMsg_FeelerChosen(self, message: FeelerChosen, sender: Any) -> None:
        """Whom the book wants tried out."""
        self._is_as_before = True
        self.apply(self.pool.on_feeler_chosen(message, self.now()))

    def receiveMsg_DialAnchors(self, message: DialAnchors, sender: Any) -> None:
        """The anchors of the last run."""
        self.apply(self.pool.on_anchors(message.anchors, self.now()))

    def receiveMsg_AddressBanned(self, message: AddressBanned, sender: Any) -> None:
        """Close what this address has, dial it no more."""
        self.apply(self.pool.on_banned(message.ban))

    def receiveMsg_AddressUnbanned(self, message: AddressUnbanned, sender: Any) -> None:
        """It may be dialled again."""
        self.apply(self.pool.on_unbanned(message.ip))

    def receiveMsg_BansInForce(self, message: BansInForce, sender: Any) -> None:
        """All bans; the book or the pool is new. A new book may have lost some: give them back."""
        missing = self.pool.bans_missing(message.bans) if message.is_new_book else ()
        if missing:
            self.send(sender, KeepBans(missing))
        self.apply(self.pool.on_bans(message.bans))

    # ---- peers ----

    def receiveMsg_PeerConnected(self, message: PeerConnected, sender: Any) -> None:
        """A peer carries messages."""
        self._is_as_before = message.peer.kind is not PeerKind.FIXED
        self.apply(self.pool.on_connected(message.peer, self.now()))

    def receiveMsg_PeerUpdated(self, message: PeerUpdated, sender: Any) -> None:
        """What is known of a peer changed."""
        self.pool.on_updated(message.peer)
        self._is_as_before = True

    def receiveMsg_PeerClosed(self, message: PeerClosed, sender: Any) -> None:
        """A peer's last message: it only refuses what is still on its way to it, until it may go."""
        self.send(sender, PeerDismissed())
        slot = self.pool.slots.get(message.endpoint, message.direction)
        if slot is not None and _is_actor_of(slot, sender):
            self._expect_the_end_of(sender)
            self._is_as_before = slot.kind is not PeerKind.FIXED  # those are dialled again after a while
            self.apply(self.pool.on_closed(message, self.now()))

    def receiveMsg_HostsResolved(self, message: HostsResolved, sender: Any) -> None:
        """What seeds given by name stand for."""
        self.apply(self.pool.on_resolved(message.hosts, self.now()))

    def receiveMsg_ChildActorExited(self, message: ChildActorExited, sender: Any) -> None:
        """A peer's actor is gone; without a PeerClosed before, it crashed: one lost connection."""
        gone = message.childAddress
        if gone in self._dismissed:
            self._dismissed.remove(gone)
            self._is_as_before = True
            return
        if self._resolver is not None and self._resolver == gone:
            self._resolver = None
            self.apply(self.pool.on_resolver_lost())
            return
        if gone in self._spares:
            self._spares.remove(gone)
            self._refill_at = self.now() + SPARE_LOST_PAUSE_S
            return
        slot = next((slot for slot in self.pool.slots if _is_actor_of(slot, gone)), None)
        if slot is not None:
            for asker in self._seekers:
                self.send(asker, PeerGone(slot.endpoint.peer_id, crashed=True))
            lost = PeerClosed(slot.endpoint, slot.direction, True, CloseCode.ABNORMAL, "its actor ended", False)
            self.apply(self.pool.on_closed(lost, self.now()))

    def _expect_the_end_of(self, peer: Any) -> None:
        if self._dismissed is NO_ITEMS:
            self._dismissed = []
        self._dismissed.append(peer)
        del self._dismissed[:-MAX_EXPECTED]

    # ---- the program ----

    def receiveMsg_SendMessage(self, message: SendMessage, sender: Any) -> None:
        """To one peer, or a selection."""
        self.apply(self.pool.send(message, self.remember_asker(sender, message.request_id)))
        self._is_as_before = True

    def receiveMsg_BroadcastMessage(self, message: BroadcastMessage, sender: Any) -> None:
        """To all."""
        self.apply(self.pool.broadcast(message, self.remember_asker(sender, message.request_id)))

    def receiveMsg_Broadcasts(self, message: Broadcasts, sender: Any) -> None:
        """Several to all."""
        asked = [self.remember_asker(sender, one.request_id) for one in message.messages]
        self.apply(self.pool.broadcast_all(message.messages, asked))

    def receiveMsg_SendRequest(self, message: SendRequest, sender: Any) -> None:
        """Ask one."""
        self.apply(self.pool.request(message, self.remember_asker(sender, message.request_id)))

    def receiveMsg_FindPeer(self, message: FindPeer, sender: Any) -> None:
        """Have one tell the asker who it is; and tell the asker should it crash, for then it cannot."""
        if sender not in self._seekers:
            self._seekers.append(sender)
        self.apply(self.pool.find(message, self.remember_asker(sender, message.request_id)))

    def receiveMsg_ApplyPenalty(self, message: ApplyPenalty, sender: Any) -> None:
        """Punish one."""
        self.apply(self.pool.penalise(message, self.remember_asker(sender, message.request_id)))

    def receiveMsg_GetConnectedPeers(self, message: GetConnectedPeers, sender: Any) -> None:
        """Who is connected."""
        self.send(sender, PeerList(message.request_id, self.pool.connected_peers()))

    def receiveMsg_GetDisconnectedPeers(self, message: GetDisconnectedPeers, sender: Any) -> None:
        """Who is known and not connected: the book answers."""
        connected = frozenset(peer.endpoint for peer in self.pool.connected_peers())
        self.send(self.need_charter().rooms.book, Forwarded(sender, ListKnownPeers(message.request_id, connected)))

    # ---- the node ----

    def receiveMsg_NodeInfoChanged(self, message: NodeInfoChanged, sender: Any) -> None:
        """Pass it on, and start new peers with it."""
        charter = self.need_charter()
        self.charter = msgspec.structs.replace(charter, node_info=message.node_info)
        self._tell_all(message)

    def receiveMsg_SubscribersChanged(self, message: SubscribersChanged, sender: Any) -> None:
        """Pass it on, and start new peers with it."""
        super().receiveMsg_SubscribersChanged(message, sender)
        if self.charter is not None:
            self.charter = msgspec.structs.replace(self.charter, subscribers=message.subscribers)
        self._tell_all(message)

    def receiveMsg_Rooms(self, message: Rooms, sender: Any) -> None:
        """Pass it on. A new book knows nothing."""
        before = self.charter
        super().receiveMsg_Rooms(message, sender)
        self._tell_all(message)
        if before is not None and before.rooms.book != message.book:
            self.apply(self.pool.on_book_replaced(self.now()))
        if self._pool is not None:
            self.apply(self.pool.on_gates_replaced())

    def receiveMsg_CloseAllPeers(self, message: CloseAllPeers, sender: Any) -> None:
        """The node stops."""
        self.apply(self.pool.stop())

    def _tell_all(self, message: ActorMessage) -> None:
        for slot in self._pool.slots if self._pool is not None else ():
            if slot.actor is not None:
                self.send(slot.actor, message)

    # ---- effects ----

    def do_dial_peer(self, effect: DialPeer) -> None:
        """Create the peer that dials."""
        peer = self._make_peer(Direction.OUTBOUND)
        self.pool.slots.set_actor(effect.endpoint, Direction.OUTBOUND, peer)
        self.send(peer, StartOutbound(self.need_charter(), effect.endpoint, effect.kind))

    def do_create_inbound(self, effect: CreateInbound) -> None:
        """Create the peer that takes the connection over; where that takes time, one after the other, as they come."""
        if self._spares_wanted and not self._spares:
            self._unserved.append(effect)
        else:
            self._serve(effect)
        if self._spares_wanted:
            self._plan_refill(self.now())

    def _serve(self, effect: CreateInbound) -> None:
        """Prepare the peer and tell the server."""
        peer = self._spares.pop() if self._spares else self._make_peer(Direction.INBOUND)
        self.pool.slots.set_actor(effect.endpoint, Direction.INBOUND, peer)
        self.send(peer, PrepareInbound(self.need_charter(), effect.endpoint, effect.kind))
        asked = self.asker(effect.ask_id)
        if asked is not None:
            server, request_id = asked
            self.send(server, InboundAdmitted(request_id, peer))

    def _make_peer(self, direction: Direction) -> Any:
        return self.createActor(OutboundPeer if direction is Direction.OUTBOUND else InboundPeer)

    def _peer(self, direction: Direction, endpoint: Endpoint) -> Any:
        """The actor of a peer; made now, if it was still to be made."""
        for effect in self._unserved if direction is Direction.INBOUND else ():
            if effect.endpoint == endpoint:
                self._unserved.remove(effect)
                self._serve(effect)
                break
        slot = self.pool.slots.get(endpoint, direction)
        return slot.actor if slot is not None else None

    def do_resolve_seed_names(self, effect: ResolveSeedNames) -> None:
        """Have names looked up by an actor that may wait."""
        if self._resolver is None:
            self._resolver = self.createActor(SeedResolver)
        self.send(self._resolver, ResolveHosts(effect.hosts))

    def do_tell_peer(self, effect: TellPeer) -> None:
        """To the actor of a peer."""
        peer = self._peer(effect.direction, effect.endpoint)
        if peer is not None:
            self.send(peer, effect.message)

    def do_tell_peers(self, effect: TellPeers) -> None:
        """To those of several."""
        send, message = self._myRef.actor_send, effect.message  # all that send() does
        for slot in effect.slots:
            actor = slot.actor
            if actor is not None:
                send(actor, message)

    def do_forward_to_peer(self, effect: ForwardToPeer) -> None:
        """A program's command for one peer, which answers the program itself."""
        peer = self._peer(effect.direction, effect.endpoint)
        asked = self.asker(effect.ask_id)
        if peer is not None:
            self.send(peer, effect.message if asked is None else Forwarded(asked[0], effect.message))
        elif asked is not None:
            asker, request_id = asked
            self.send(asker, Failed(request_id, PeerNotFound(f"{effect.endpoint.peer_id} is gone")))


def _is_actor_of(slot: Slot, address: Any) -> bool:
    return slot.actor is not None and bool(slot.actor == address)
