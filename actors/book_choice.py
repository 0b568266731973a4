"""The part of the PeerBook actor that chooses: whom the pool dials, and whom it tries out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from actors.base import HouseActor
from actors.hooks import Rule as Hook
from core.book.book import Book
from core.book.choice import Constraints
from core.book.entry import EntryView, Table
from core.decisions import Decision
from core.events import PeerInfo
from core.house_messages import (
    ChooseFeeler,
    ChoosePeers,
    ChosenPeers,
    FeelerChosen,
)
from core.ids import Endpoint
from core.netgroup import NetGroup
from core.news import News


class ChoosingBook(HouseActor):
    """Answers ChoosePeers and ChooseFeeler. Whoever builds on it makes the book, at Init."""

    def __init__(self) -> None:
        super().__init__()
        self._book: Book | None = None
        self._news = News()
        self._choose_rule: Hook | None = None

    @property
    def book(self) -> Book:
        """The tables; there are some from Init on."""
        if self._book is None:
            raise RuntimeError("PeerBook got work before Init")
        return self._book

    def receiveMsg_ChoosePeers(self, message: ChoosePeers, sender: Any) -> None:
        """Whom to dial."""
        counts = self.book.counts()
        known = counts.new + counts.tried
        self.send(sender, ChosenPeers(message.request_id, self._choose(message), counts.tried, known))

    def _choose(self, message: ChoosePeers) -> tuple[Endpoint, ...]:
        config = self.need_charter().config
        limits = Constraints(
            endpoints=message.excluded,
            ips=message.ips,
            group_counts=cast("dict[NetGroup, int]", dict(message.group_counts)),
            group_limit=config.max_outbound_per_netgroup,
        )
        chosen = self._choose_by_rule(message, limits)
        if chosen is not None:
            return chosen
        choice = self.book.choose(message.count, self._wall(), limits)
        self._told(choice.decisions)
        return choice.endpoints

    def _choose_by_rule(self, message: ChoosePeers, limits: Constraints) -> tuple[Endpoint, ...] | None:
        """What the application's rule chooses, as far as it names known peers; None if there is none, or it is mute.

        It chooses among those that may be dialled now; the pool sees to the limits if it chooses too many of a group.
        """
        if self._choose_rule is None:
            return None
        private_too = self.book.config.private_networks_exempt
        known = {entry.endpoint: entry for entry in self.book.all() if limits.allow(entry, private_too)}
        tried = tuple(peer_info(entry) for entry in known.values() if entry.table is Table.TRIED)
        new = tuple(peer_info(entry) for entry in known.values() if entry.table is Table.NEW)
        chosen = self._choose_rule(tried, new, message.count)
        if chosen is None:
            return None
        named = (peer.endpoint if isinstance(peer, PeerInfo) else peer for peer in chosen)
        wanted = dict.fromkeys(endpoint for endpoint in named if isinstance(endpoint, Endpoint))
        return tuple(endpoint for endpoint in wanted if endpoint in known)[: message.count]

    def receiveMsg_ChooseFeeler(self, message: ChooseFeeler, sender: Any) -> None:
        """Whom to try out: a tried address under test, or else a new one."""
        book, now = self.book, self._wall()
        for endpoint in book.pending_tests():
            if endpoint in message.connected:
                self._told(book.connected(endpoint, now))
        tests = [endpoint for endpoint in book.pending_tests() if endpoint not in message.excluded]
        if tests:
            self.send(sender, FeelerChosen(message.request_id, tests[0], is_test=True))
            return
        limits = Constraints(endpoints=message.excluded, ips=message.ips)
        choice = book.choose(1, now, limits, Table.NEW)
        self._told(choice.decisions)
        self.send(sender, FeelerChosen(message.request_id, next(iter(choice.endpoints), None)))

    def _wall(self) -> float:
        """The book's clock is Unix time, so that ages survive a restart."""
        return self.environment.wall_now()

    def _told(self, decisions: Iterable[Decision]) -> None:
        """Tell the node what was decided, if anything was."""
        if decisions:
            self.tell_decisions(self._news.of(decisions))


def peer_info(entry: EntryView) -> PeerInfo:
    """A known address as programs see it."""
    endpoint: Endpoint = entry.endpoint
    return PeerInfo(
        peer_id=endpoint.peer_id,
        ip_address=endpoint.ip,
        port=endpoint.port,
        advertise_address=entry.advertise,
    )
