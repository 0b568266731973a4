"""PeerBook: the node's memory of addresses, and of bans.

Parent: Node. Children: none. Mind: :class:`core.book.book.Book` and :class:`core.bans.Bans`.
Storage: :class:`actors.storage_keeper.Keeper`, if the node has a data directory.
Accepts: OpenStorage, Init, CloseStorage (node); ChoosePeers, OutboundSucceeded, OutboundFailed, InboundSeen, ForgetPeer
(pool); PeersAdvertised, GetSample (peers); BanAddress, UnbanAddress, GetBans, GetTriedPeers, ListKnownPeers (forwarded
by the node).
Tells server and pool BansInForce, AddressBanned and AddressUnbanned, the node BookCounts, StorageOpened, StorageFailed
and StorageClosed, the subscribers DiscoveredPeer, BanPeer, UnbanPeer.
"""

from __future__ import annotations

from typing import Any

from thespian.actors import ActorExitRequest

from actors.base import HouseActor
from actors.hooks import Rule, chosen, guarded
from actors.storage import storage_of
from actors.storage_keeper import Keeper
from actors.wiring import Init, Rooms
from core.bans import Bans
from core.book.book import Book
from core.book.choice import Constraints
from core.book.config import BookConfig
from core.book.entry import EntryView
from core.decisions import DecisionKind
from core.errors import Misuse, StartFailed
from core.events import BanPeer, DiscoveredPeer, Event, PeerInfo, UnbanPeer
from core.ids import Endpoint
from core.messages import (
    ActorMessage,
    AddressBanned,
    AddressUnbanned,
    Ban,
    BanAddress,
    BanList,
    BansInForce,
    BookCounts,
    ChoosePeers,
    ChosenPeers,
    CloseStorage,
    Done,
    Failed,
    ForgetPeer,
    GetBans,
    GetSample,
    GetTriedPeers,
    InboundSeen,
    ListKnownPeers,
    OpenStorage,
    OutboundFailed,
    OutboundSucceeded,
    PeerList,
    PeersAdvertised,
    PeerSample,
    StorageClosed,
    StorageFailed,
    StorageOpened,
    UnbanAddress,
)
from core.netgroup import NetGroup
from core.stored import Snapshot


class PeerBook(HouseActor):
    """See the module."""

    WAITS_FOR_INIT = True

    def __init__(self) -> None:
        super().__init__()
        self._book: Book | None = None
        self._bans: Bans | None = None
        self._discovered = 0
        self._reported: BookCounts | None = None
        self._choose_rule: Rule | None = None
        self._stored = Snapshot()
        self._keeper: Keeper | None = None
        self._closer: Any = None

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
        """Fill the tables from configuration and storage."""
        self._adopt_charter(message.charter)
        config = message.charter.config
        now = self._wall()
        rng = self.environment.rng(f"peer book {message.charter.node_info.nonce}")
        self._book = book = Book(BookConfig(), message.charter.secret, rng)
        self._bans = Bans(config)
        self._choose_rule = guarded(
            "peer_selection_for_connection", config.peer_selection_for_connection, self.log, chosen
        )
        for endpoint in config.whitelisted_peers:
            if not self.bans.is_blacklisted(endpoint.ip):
                book.whitelist(endpoint, now)
        self._restore(now)
        for endpoint in config.previous_peers:
            if not self.bans.is_blacklisted(endpoint.ip):
                book.connected(endpoint, now)
        self._tell_gates(BansInForce(self.bans.all()))
        self._report()
        self.catch_up()

    def _restore(self, now: float) -> None:
        """Whitelisted peers are there already, so they stay what configuration makes them."""
        stored, self._stored = self._stored, Snapshot()
        self.bans.restore(stored.bans, now)
        self.book.restore([entry for entry in stored.entries if not self.bans.is_refused(entry.ip)], now)

    def receiveMsg_Rooms(self, message: Rooms, sender: Any) -> None:
        """The server or the pool may be new: tell them who is banned."""
        super().receiveMsg_Rooms(message, sender)
        self._tell_gates(BansInForce(self.bans.all()))

    # ---- the pool ----

    def receiveMsg_ChoosePeers(self, message: ChoosePeers, sender: Any) -> None:
        """Whom to dial."""
        counts = self.book.counts()
        known = counts.new + counts.tried
        self.send(sender, ChosenPeers(message.request_id, self._choose(message), counts.tried, known))

    def _choose(self, message: ChoosePeers) -> tuple[Endpoint, ...]:
        book = self.book
        chosen = self._choose_by_rule(message)
        if chosen is not None:
            return chosen
        groups = {NetGroup(group): count for group, count in message.group_counts}
        constraints = Constraints(endpoints=message.excluded, group_counts=groups)
        return book.choose(message.count, self._wall(), constraints).endpoints

    def _choose_by_rule(self, message: ChoosePeers) -> tuple[Endpoint, ...] | None:
        """What the application's rule chooses, as far as it names known peers; None if there is none, or it is mute."""
        if self._choose_rule is None:
            return None
        tried_entries = [entry for entry in self.book.tried() if entry.endpoint not in message.excluded]
        known = {entry.endpoint: entry for entry in self.book.all() if entry.endpoint not in message.excluded}
        tried_endpoints = {entry.endpoint for entry in tried_entries}
        tried = tuple(_peer_info(entry) for entry in tried_entries)
        new = tuple(_peer_info(entry) for endpoint, entry in known.items() if endpoint not in tried_endpoints)
        chosen = self._choose_rule(tried, new, message.count)
        if chosen is None:
            return None
        named = (peer.endpoint if isinstance(peer, PeerInfo) else peer for peer in chosen)
        wanted = dict.fromkeys(endpoint for endpoint in named if isinstance(endpoint, Endpoint))
        return tuple(endpoint for endpoint in wanted if endpoint in known)[: message.count]

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
        config = self.need_charter().config
        sample = self.book.sample_for_getpeers(
            config.max_peer_discovery_response_length,
            requester_ip=message.requester_ip,
            least=config.minimum_peer_discovery_threshold,
        )
        self.send(sender, PeerSample(message.request_id, sample))

    # ---- bans ----

    def receiveMsg_BanAddress(self, message: BanAddress, sender: Any) -> None:
        """Ban an address, forget its entries, tell everybody."""
        try:
            ban = self.bans.ban(message.ip, message.reason, self.environment.wall_now(), message.duration_s)
        except ValueError as error:
            self._answer(sender, message.request_id, Failed(message.request_id, Misuse(str(error))))
            return
        if ban is not None:
            self.book.remove_ip(ban.ip, self._wall())
            self._tell_gates(AddressBanned(ban))
            self._bans_changed()
            peer_id, until = message.peer_id, ban.until
            self.emit((BanPeer(peer_id=peer_id, ip_address=ban.ip, until=until, reason=ban.reason),))
            self._report()
        self._answer(sender, message.request_id, Done(message.request_id))

    def receiveMsg_UnbanAddress(self, message: UnbanAddress, sender: Any) -> None:
        """End a ban by hand."""
        try:
            ip = self.bans.unban(message.ip)
            if ip is None:
                raise ValueError(f"{message.ip[:64]} is not banned")
        except ValueError as error:
            self._answer(sender, message.request_id, Failed(message.request_id, Misuse(str(error))))
            return
        self._on_unbanned([ip])
        self._answer(sender, message.request_id, Done(message.request_id))

    def receiveMsg_GetBans(self, message: GetBans, sender: Any) -> None:
        """All bans in force."""
        bans: tuple[Ban, ...] = self.bans.all()
        self.send(sender, BanList(message.request_id, bans))

    def deadline(self) -> float | None:
        """When the next ban ends, or something is to be written."""
        if self._bans is None:
            return None
        ends_at = self._bans.next_end()
        unban_at = None if ends_at is None else ends_at - self.environment.wall_now() + self.now()
        save_at = None if self._keeper is None else self._keeper.next_due(self.book.changes)
        return min((at for at in (unban_at, save_at) if at is not None), default=None)

    def on_time(self, now: float) -> None:
        """Bans may have ended, something may have to be written."""
        ended = self.bans.take_ended(self.environment.wall_now())
        if ended:
            self._on_unbanned(ended)
        if self._keeper is not None:
            self._keeper.on_time(self.book.changes, now, self._snapshot)
            self._tell_closer()

    def _on_unbanned(self, ips: list[str]) -> None:
        for ip in ips:
            self._tell_gates(AddressUnbanned(ip))
            self.emit((UnbanPeer(ip_address=ip),))
        self._bans_changed()
        self._report()

    def _bans_changed(self) -> None:
        if self._keeper is not None:
            self._keeper.hurry()

    # ---- storage ----

    def receiveMsg_OpenStorage(self, message: OpenStorage, sender: Any) -> None:
        """Read what an earlier run left; Init puts it in place."""
        try:
            storage, stored = storage_of(self).open(
                message.data_dir, fresh_secret=message.secret, wall_now=self._wall()
            )
        except StartFailed as error:
            self.send(sender, StorageFailed(str(error)))
            return
        for notice in stored.notices:
            self.log.warning("%s", notice)
        self._keeper = Keeper(storage, message.interval_s, self.now(), self.log)
        self._stored = stored.snapshot
        self.send(sender, StorageOpened(stored.secret))

    def receiveMsg_CloseStorage(self, message: CloseStorage, sender: Any) -> None:
        """Write the last state; tell the node when it is on disk."""
        self._closer = sender
        self._finish()
        self._tell_closer()

    def _tell_closer(self) -> None:
        if self._closer is not None and (self._keeper is None or self._keeper.is_finished()):
            self.send(self._closer, StorageClosed())
            self._closer = None

    def _finish(self) -> None:
        if self._keeper is not None and self._book is not None:
            self._keeper.finish(self.now(), self._snapshot)

    def _snapshot(self) -> Snapshot:
        return Snapshot(self.book.snapshot(), self.bans.all())

    def receiveMsg_ActorExitRequest(self, message: ActorExitRequest, sender: Any) -> None:
        """The end, by order: write what is known. A crashed actor does not get here: what it knows may be wrong."""
        self._finish()
        self.end()

    def release(self) -> None:
        """Let go of the data directory, if need be while it is still being written."""
        if self._keeper is not None:
            self._keeper.let_go()

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
        if report != self._reported:
            self._reported = report
            self.send(self.need_charter().rooms.node, report)


def _peer_info(entry: EntryView) -> PeerInfo:
    endpoint: Endpoint = entry.endpoint
    return PeerInfo(
        peer_id=endpoint.peer_id,
        ip_address=endpoint.ip,
        port=endpoint.port,
        advertise_address=entry.advertise,
    )
