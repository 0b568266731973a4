"""PeerBook: the node's memory of addresses, and of bans.

Parent: Node. Children: none. Mind: :class:`core.book.book.Book` and :class:`core.bans.Bans`.
Accepts: Init; ChoosePeers, OutboundSucceeded, OutboundFailed, InboundSeen, ForgetPeer (pool); PeersAdvertised,
GetSample (peers); BanAddress, UnbanAddress, GetBans, GetTriedPeers, ListKnownPeers (forwarded by the node).
Tells server and pool AddressBanned and AddressUnbanned, the node BookCounts, the subscribers DiscoveredPeer, BanPeer,
UnbanPeer.
"""

from __future__ import annotations

from typing import Any

from actors.base import HouseActor
from actors.hooks import Rule, guarded
from actors.wiring import Init
from core.bans import Bans
from core.book.book import Book
from core.book.choice import Constraints
from core.book.config import BookConfig
from core.book.entry import EntryView
from core.decisions import DecisionKind
from core.errors import Misuse
from core.events import BanPeer, DiscoveredPeer, Event, PeerInfo, UnbanPeer
from core.ids import Endpoint
from core.messages import (
    ActorMessage,
    AddressBanned,
    AddressUnbanned,
    Ban,
    BanAddress,
    BanList,
    BookCounts,
    ChoosePeers,
    ChosenPeers,
    Done,
    Failed,
    ForgetPeer,
    GetBans,
    GetSample,
    GetTriedPeers,
    InboundSeen,
    ListKnownPeers,
    OutboundFailed,
    OutboundSucceeded,
    PeerList,
    PeersAdvertised,
    PeerSample,
    UnbanAddress,
)
from core.netgroup import NetGroup


class PeerBook(HouseActor):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._book: Book | None = None
        self._bans: Bans | None = None
        self._discovered = 0
        self._choose_rule: Rule | None = None

    @property
    def book(self) -> Book:
        """The tables; there are some from Init on."""
        if self._book is None:
            raise RuntimeError("PeerBook got work before Init")
        return self._book

    @property
    def bans(self) -> Bans:
        """The bans; as above."""
        if self._bans is None:
            raise RuntimeError("PeerBook got work before Init")
        return self._bans

    def receiveMsg_Init(self, message: Init, sender: Any) -> None:
        """Fill the tables from configuration."""
        self._adopt_charter(message.charter)
        config = message.charter.config
        now = self._wall()
        rng = self.environment.rng("peer book")
        self._book = book = Book(BookConfig(), message.charter.secret, rng)
        self._bans = Bans(config)
        self._choose_rule = guarded(
            "peer_selection_for_connection", config.peer_selection_for_connection, self.log, tuple
        )
        for endpoint in config.whitelisted_peers:
            book.whitelist(endpoint, now)
        for endpoint in config.previous_peers:
            if not self.bans.is_blacklisted(endpoint.ip):
                book.connected(endpoint, now)
        self._report()

    # ---- the pool ----

    def receiveMsg_ChoosePeers(self, message: ChoosePeers, sender: Any) -> None:
        """Whom to dial."""
        counts = self.book.counts()
        known = counts.new + counts.tried
        self.send(sender, ChosenPeers(message.request_id, self._choose(message), counts.tried, known))

    def _choose(self, message: ChoosePeers) -> tuple[Endpoint, ...]:
        book = self.book
        if self._choose_rule is not None:
            tried = tuple(_peer_info(entry) for entry in book.tried() if entry.endpoint not in message.excluded)
            every = tuple(_peer_info(entry) for entry in book.all() if entry.endpoint not in message.excluded)
            new = tuple(peer for peer in every if peer not in tried)
            chosen = self._choose_rule(tried, new, message.count)
            if chosen is not None:
                known = {peer.endpoint for peer in every}
                wanted = dict.fromkeys(getattr(peer, "endpoint", peer) for peer in chosen)
                return tuple(endpoint for endpoint in wanted if endpoint in known)[: message.count]
        groups = {NetGroup(group): count for group, count in message.group_counts}
        constraints = Constraints(endpoints=message.excluded, group_counts=groups)
        return book.choose(message.count, self._wall(), constraints).endpoints

    def receiveMsg_OutboundSucceeded(self, message: OutboundSucceeded, sender: Any) -> None:
        """A handshake succeeded."""
        self.book.connected(message.endpoint, self._wall())
        self.book.set_advertise(message.endpoint, message.advertise)
        self._report()

    def receiveMsg_OutboundFailed(self, message: OutboundFailed, sender: Any) -> None:
        """A dial failed."""
        self.book.dial_failed(message.endpoint, self._wall())
        self._report()

    def receiveMsg_InboundSeen(self, message: InboundSeen, sender: Any) -> None:
        """A peer connected to us."""
        if not self.bans.is_refused(message.endpoint.ip):
            self.book.inbound_seen(message.endpoint, self._wall(), message.advertise)
            self._report()

    def receiveMsg_ForgetPeer(self, message: ForgetPeer, sender: Any) -> None:
        """An address that is ourselves."""
        self.book.remove(message.endpoint, self._wall())
        self._report()

    # ---- the peers ----

    def receiveMsg_PeersAdvertised(self, message: PeersAdvertised, sender: Any) -> None:
        """A getPeers answer."""
        wanted = [endpoint for endpoint in message.endpoints if not self.bans.is_refused(endpoint.ip)]
        decisions = self.book.add_many(wanted, message.source_ip, self._wall())
        added = {decision.subject for decision in decisions if decision.decision is DecisionKind.ADDED}
        events: tuple[Event, ...] = tuple(
            DiscoveredPeer(endpoint=endpoint, source=message.source) for endpoint in wanted if endpoint.peer_id in added
        )
        self._discovered += len(events)
        self.emit(events)
        self._report()

    def receiveMsg_GetSample(self, message: GetSample, sender: Any) -> None:
        """A remote asked for peers."""
        cap = self.need_charter().config.max_peer_discovery_response_length
        self.send(sender, PeerSample(message.request_id, self.book.sample_for_getpeers(cap)))

    # ---- bans ----

    def receiveMsg_BanAddress(self, message: BanAddress, sender: Any) -> None:
        """Ban an address, forget its entries, tell everybody."""
        try:
            ban = self.bans.ban(message.ip, message.reason, self.environment.wall_now(), message.duration_s)
        except ValueError as error:
            self._answer(sender, message.request_id, Failed(message.request_id, Misuse(str(error))))
            return
        if ban is not None:
            self.book.remove_ip(message.ip, self._wall())
            self._tell_gates(AddressBanned(ban))
            peer_id, until = message.peer_id, ban.until
            self.emit((BanPeer(peer_id=peer_id, ip_address=ban.ip, until=until, reason=ban.reason),))
            self._report()
        self._answer(sender, message.request_id, Done(message.request_id))

    def receiveMsg_UnbanAddress(self, message: UnbanAddress, sender: Any) -> None:
        """End a ban by hand."""
        if self.bans.unban(message.ip):
            self._on_unbanned([message.ip])
            self._answer(sender, message.request_id, Done(message.request_id))
        else:
            error = Misuse(f"{message.ip[:64]} is not banned")
            self._answer(sender, message.request_id, Failed(message.request_id, error))

    def receiveMsg_GetBans(self, message: GetBans, sender: Any) -> None:
        """All bans in force."""
        bans: tuple[Ban, ...] = self.bans.all()
        self.send(sender, BanList(message.request_id, bans))

    def deadline(self) -> float | None:
        """When the next ban ends."""
        if self._bans is None:
            return None
        ends_at = self._bans.next_end()
        return None if ends_at is None else ends_at - self.environment.wall_now() + self.now()

    def on_time(self, now: float) -> None:
        """Bans may have ended."""
        self._on_unbanned(self.bans.take_ended(self.environment.wall_now()))

    def _on_unbanned(self, ips: list[str]) -> None:
        for ip in ips:
            self._tell_gates(AddressUnbanned(ip))
            self.emit((UnbanPeer(ip_address=ip),))
        self._report()

    # ---- the program ----

    def receiveMsg_GetTriedPeers(self, message: GetTriedPeers, sender: Any) -> None:
        """All tried entries."""
        self.send(sender, PeerList(message.request_id, tuple(map(_peer_info, self.book.tried()))))

    def receiveMsg_ListKnownPeers(self, message: ListKnownPeers, sender: Any) -> None:
        """All entries, without some."""
        peers = tuple(_peer_info(entry) for entry in self.book.all() if entry.endpoint not in message.without)
        self.send(sender, PeerList(message.request_id, peers))

    # ---- inside ----

    def _wall(self) -> float:
        """The book's clock is Unix time, so that ages survive a restart."""
        return self.environment.wall_now()

    def _tell_gates(self, message: ActorMessage) -> None:
        rooms = self.need_charter().rooms
        for address in (rooms.server, rooms.pool):
            if address is not None:
                self.send(address, message)

    def _answer(self, asker: Any, request_id: int, message: ActorMessage) -> None:
        if request_id:
            self.send(asker, message)

    def _report(self) -> None:
        counts = self.book.counts()
        bans = self.bans
        report = BookCounts(counts.new, counts.tried, len(bans), bans.total, self._discovered)
        self.send(self.need_charter().rooms.node, report)


def _peer_info(entry: EntryView) -> PeerInfo:
    endpoint: Endpoint = entry.endpoint
    return PeerInfo(
        peer_id=endpoint.peer_id,
        ip_address=endpoint.ip,
        port=endpoint.port,
        advertise_address=entry.advertise,
    )
