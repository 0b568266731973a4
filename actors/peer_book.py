"""PeerBook: the node's memory of addresses, and of bans.

Parent: Node. Children: none. Mind: :class:`core.book.book.Book` and :class:`core.bans.Bans`.
Whom to dial: :mod:`actors.book_choice`.
Storage: :class:`actors.storage_keeper.Keeper`, if the node has a data directory.
Accepts: OpenStorage, Init, CloseStorage (node); ChoosePeers, OutboundSucceeded, OutboundFailed, InboundSeen,
ForgetPeer, NamedSeedsChanged, KeepBans, ChooseFeeler, KeepAnchors (pool); PeersAdvertised, GetSample (peers);
BanAddress, UnbanAddress, GetBans, GetTriedPeers, ListKnownPeers (forwarded by the node).
Tells server and pool BansInForce, AddressBanned and AddressUnbanned, the node BookCounts, DecisionsTaken,
StorageOpened, StorageFailed and StorageClosed, the subscribers DiscoveredPeer, BanPeer, UnbanPeer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from thespian.actors import ActorExitRequest

from actors.book_choice import ChoosingBook, peer_info
from actors.hooks import chosen, guarded
from actors.storage import storage_of
from actors.storage_keeper import Keeper
from actors.wiring import Init, Rooms
from core import rules
from core.bans import Bans
from core.book import rules as book_rules
from core.book.book import Book
from core.book.config import BookConfig
from core.book.intake import Intake
from core.deadlines import earliest
from core.decisions import DecisionKind, Rule, decide
from core.errors import Misuse, StartFailed
from core.events import BanPeer, DiscoveredPeer, UnbanPeer
from core.house_messages import (
    AddressBanned,
    AddressUnbanned,
    BansInForce,
    BookCounts,
    CloseStorage,
    DialAnchors,
    ForgetPeer,
    GetSample,
    InboundSeen,
    KeepAnchors,
    KeepBans,
    NamedSeedsChanged,
    OpenStorage,
    OutboundFailed,
    OutboundSucceeded,
    PeersAdvertised,
    PeerSample,
    StorageClosed,
    StorageFailed,
    StorageOpened,
)
from core.ids import Endpoint
from core.messages import (
    ActorMessage,
    Ban,
    BanAddress,
    BanList,
    Done,
    Failed,
    GetBans,
    GetTriedPeers,
    ListKnownPeers,
    PeerList,
    UnbanAddress,
)
from core.netgroup import host_key, is_exempt
from core.static_lists import static_lists
from core.stored import Snapshot

TESTS_EVERY_S = 60.0
"""How often it is looked whether a test before an eviction has had no result in time."""


class PeerBook(ChoosingBook):
    """See the module."""

    WAITS_FOR_INIT = True

    def __init__(self) -> None:
        super().__init__()
        self._bans: Bans | None = None
        self._discovered = 0
        self._intake = Intake(0.0, 0)
        self._anchors: tuple[Endpoint, ...] = ()
        self._tests_seen_at = 0.0
        self._reported: BookCounts | None = None
        self._stored = Snapshot()
        self._keeper: Keeper | None = None
        self._closer: Any = None

    @property
    def bans(self) -> Bans:
        """The bans; there are some from Init on."""
        if self._bans is None:
            raise RuntimeError("PeerBook got work before Init")
        return self._bans

    def receiveMsg_Init(self, message: Init, sender: Any) -> None:
        """Fill the tables from configuration and storage."""
        self._adopt_charter(message.charter)
        config = message.charter.config
        now = self._wall()
        rng = self.environment.room_rng(f"peer book {message.charter.node_info.nonce}")
        settings = BookConfig.from_config(config)
        self._book = book = Book(settings, settings.key_from(message.charter.secret), rng)
        self._bans = Bans(config, message.charter.own_port)
        self._intake = Intake(config.address_intake_per_s, config.address_intake_allowance)
        lists = static_lists(config, message.charter.own_port)
        self._choose_rule = guarded(
            "peer_selection_for_connection", config.peer_selection_for_connection, self.log, chosen
        )
        for endpoint in lists.whitelisted:
            self._told(book.whitelist(endpoint, now))
        self._restore(now)
        for endpoint in lists.previous:
            self._told(book.connected(endpoint, now))
        self._tell_gates(BansInForce(self.bans.all(), is_new_book=True))
        self._tell_anchors()
        self._report()
        self.catch_up()

    def _tell_anchors(self) -> None:
        """Before the pool gets any other address to dial. Configuration may have blacklisted one meanwhile."""
        anchors, self._anchors = self._anchors, ()
        allowed = tuple(endpoint for endpoint in anchors if not self.bans.is_refused(endpoint.ip))
        pool = self.need_charter().rooms.pool
        if allowed and pool is not None:
            self.send(pool, DialAnchors(allowed))

    def _restore(self, now: float) -> None:
        """Whitelisted peers are there already, so they stay what configuration makes them."""
        stored, self._stored = self._stored, Snapshot()
        self.bans.restore(stored.bans, now)
        kept = self.bans.all()[: self.need_charter().config.decisions_kept]
        banned = DecisionKind.BANNED
        self._told(decide(ban.ip, banned, rules.BAN_STORED, now, ("until", ban.until)) for ban in kept)
        entries = [entry for entry in stored.entries if not self.bans.is_refused(entry.ip)]
        self._told(self.book.restore(entries, now))

    def receiveMsg_Rooms(self, message: Rooms, sender: Any) -> None:
        """The server or the pool may be new: tell them who is banned."""
        before = self.need_charter().rooms
        super().receiveMsg_Rooms(message, sender)
        if (before.server, before.pool) != (message.server, message.pool):
            self._tell_gates(BansInForce(self.bans.all()))

    # ---- the pool ----

    def receiveMsg_KeepAnchors(self, message: KeepAnchors, sender: Any) -> None:
        """Whom to dial first after a restart."""
        if self._keeper is not None:
            self._keeper.keep_anchors(message.anchors, self.now())

    def receiveMsg_OutboundSucceeded(self, message: OutboundSucceeded, sender: Any) -> None:
        """A handshake succeeded."""
        self._told(self.book.connected(message.endpoint, self._wall(), message.advertise))
        self._report()

    def receiveMsg_OutboundFailed(self, message: OutboundFailed, sender: Any) -> None:
        """A dial failed."""
        self._told(self.book.dial_failed(message.endpoint, self._wall()))
        self._report()

    def receiveMsg_InboundSeen(self, message: InboundSeen, sender: Any) -> None:
        """A peer connected to us."""
        if not self.bans.is_refused(message.endpoint.ip):
            self._told(self.book.inbound_seen(message.endpoint, self._wall(), message.advertise))
            self._report()

    def receiveMsg_ForgetPeer(self, message: ForgetPeer, sender: Any) -> None:
        """An address that is ourselves."""
        self._told(self.book.remove(message.endpoint, self._wall(), rules.OWN_ADDRESS))
        self._report()

    # ---- the peers ----

    def receiveMsg_PeersAdvertised(self, message: PeersAdvertised, sender: Any) -> None:
        """A getPeers answer."""
        wanted = self._within_intake(message)
        if not wanted:
            return
        decisions = self.book.add_many(wanted, message.source_ip, self._wall())
        added = {decision.subject for decision in decisions if decision.decision is DecisionKind.ADDED}
        self._told(decisions)
        self._discovered += len(added)
        if added and self.is_wanted(DiscoveredPeer):
            found = (endpoint for endpoint in wanted if endpoint.peer_id in added)
            self.emit(tuple(DiscoveredPeer(endpoint=endpoint, source=message.source) for endpoint in found))
        self._report()

    def _within_intake(self, message: PeersAdvertised) -> list[Endpoint]:
        """The unknown addresses of an answer, as many as its host may tell now. Known ones cost it nothing."""
        book = self.book
        unknown = [it for it in book.unknown(message.endpoints) if not self.bans.is_refused(it.ip)]
        if not unknown:
            return unknown
        # Nodes that share an address by rights (loopback) are told apart by their ports; others are one host.
        shared = is_exempt(message.source_ip, book.config.private_networks_exempt)
        source = message.source.encode() if shared else host_key(message.source_ip)
        granted = self._intake.take(source, len(unknown), self.now())
        if granted < len(unknown):
            figures = (("left_out", len(unknown) - granted), ("taken", granted))
            refused = DecisionKind.REFUSED
            self._told((decide(message.source, refused, book_rules.INTAKE_LIMIT, self._wall(), *figures),))
        return unknown[:granted]

    def receiveMsg_GetSample(self, message: GetSample, sender: Any) -> None:
        """A remote asked for peers."""
        config = self.need_charter().config
        sample = self.book.sample_for_getpeers(
            config.max_peer_discovery_response_length,
            requester_ip=message.requester_ip,
            least=config.minimum_peer_discovery_threshold,
            now=self._wall(),
        )
        self.send(sender, PeerSample(message.request_id, sample))

    # ---- bans ----

    def receiveMsg_BanAddress(self, message: BanAddress, sender: Any) -> None:
        """Ban an address, forget its entries, tell everybody; in a dry run tell the program that it would be so."""
        ban_or_not = self.bans.would_ban if message.dry_run else self.bans.ban
        try:
            ban = ban_or_not(message.ip, message.reason, self.environment.wall_now(), message.duration_s)
        except ValueError as error:
            self._answer(sender, message.request_id, Failed(message.request_id, Misuse(str(error))))
            return
        if ban is not None:
            if not message.dry_run:
                self._tell_gates(AddressBanned(ban))
                self._record_ban(ban, by_hand=sender != self.need_charter().rooms.node)
                self._on_banned([ban])
            self.emit((_ban_event(ban, message),))
        self._answer(sender, message.request_id, Done(message.request_id))

    def _record_ban(self, ban: Ban, *, by_hand: bool) -> None:
        """Bans of the node itself come from the node; those of a program are passed on by it as the program's."""
        now = self._wall()
        rule = rules.BY_HAND if by_hand else rules.REPUTATION_SPENT
        figures = (("until", ban.until), ("duration_s", ban.until - now))
        self._told((decide(ban.ip, DecisionKind.BANNED, rule, now, *figures),))

    def _on_banned(self, bans: Iterable[Ban]) -> None:
        for ban in bans:
            self._told(self.book.remove_ip(ban.ip, self._wall()))
        self._bans_changed()
        self._report()

    def receiveMsg_KeepBans(self, message: KeepBans, sender: Any) -> None:
        """Bans that an earlier book made and this one does not know of: some were not written when it crashed."""
        self.bans.restore(message.bans, self.environment.wall_now())
        self._tell_gates(BansInForce(self.bans.all()))
        self._on_banned(self.bans.all())

    def receiveMsg_NamedSeedsChanged(self, message: NamedSeedsChanged, sender: Any) -> None:
        """The seeds that are given by name stand for these: their addresses are not banned, as long as they do."""
        unbanned = self.bans.trust_named_seeds(endpoint.ip for endpoint in message.endpoints)
        if unbanned:
            self._on_unbanned(unbanned, rules.SEED_TRUSTED)

    def receiveMsg_UnbanAddress(self, message: UnbanAddress, sender: Any) -> None:
        """End a ban by hand."""
        try:
            ip = self.bans.unban(message.ip)
            if ip is None:
                raise ValueError(f"{message.ip[:64]} is not banned")
        except ValueError as error:
            self._answer(sender, message.request_id, Failed(message.request_id, Misuse(str(error))))
            return
        self._on_unbanned([ip], rules.BY_HAND)
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
        tests_at = self._tests_seen_at + TESTS_EVERY_S if self.book.pending_tests() else None
        return earliest(unban_at, save_at, tests_at)

    def on_time(self, now: float) -> None:
        """Bans may have ended, something may have to be written."""
        ended = self.bans.take_ended(self.environment.wall_now())
        if ended:
            self._on_unbanned(ended, rules.BAN_ENDED)
        if now >= self._tests_seen_at + TESTS_EVERY_S:
            self._tests_seen_at = now
            self._told(self.book.expire_tests(self._wall()))
            self._report()
        if self._keeper is not None:
            self._keeper.on_time(self.book.changes, now, self._snapshot)
            self._tell_closer()

    def _on_unbanned(self, ips: list[str], rule: Rule) -> None:
        now = self._wall()
        self._told(decide(ip, DecisionKind.UNBANNED, rule, now) for ip in ips)
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
        self._anchors = storage.take_anchors()
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
        self.send(sender, PeerList(message.request_id, tuple(map(peer_info, self.book.tried()))))

    def receiveMsg_ListKnownPeers(self, message: ListKnownPeers, sender: Any) -> None:
        """All entries, without some."""
        peers = tuple(peer_info(entry) for entry in self.book.all() if entry.endpoint not in message.without)
        self.send(sender, PeerList(message.request_id, peers))

    # ---- inside ----

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


def _ban_event(ban: Ban, message: BanAddress) -> BanPeer:
    return BanPeer(
        peer_id=message.peer_id, ip_address=ban.ip, until=ban.until, reason=ban.reason, dry_run=message.dry_run
    )
