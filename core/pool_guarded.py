"""A pool with the protections against eclipse that Bitcoin Core has added to what LIP 0004 asks for.

* Feelers (:mod:`core.feelers`), which also make the tests that come before an eviction from `tried`.
* Anchors: some outbound peers outlast a restart, half of them by default. Against the attacker who has filled the peer
  book, and waits for, or causes, a restart, which would choose all outbound peers anew from it (Heilman et al. 2015,
  countermeasure 5; Bitcoin Core, PR #17428, `src/net.h`: MAX_BLOCK_RELAY_ONLY_ANCHORS, 2 of 10). He has to take the
  anchors over as well, and those were there before him. The other half is drawn anew, so that a restart is still a way
  out for a node that is surrounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from random import Random

from core import rules, select
from core.decisions import DecisionKind
from core.effects import Effect, Room
from core.events import PeerInfo
from core.feelers import Feelers
from core.house_messages import (
    ChooseFeeler,
    FeelerChosen,
    KeepAnchors,
    OutboundSucceeded,
    PeerClosed,
)
from core.ids import CloseCode, Direction, Endpoint, PeerKind
from core.pool import Pool
from core.pool_settings import PoolSettings
from core.slots import Slot

ANCHOR_AGE_S = 300.0
"""A peer becomes an anchor of a running node after so long. Anchors are dialled at every start: one that makes the node
crash when it is connected must not be written down before it does."""


class GuardedPool(Pool):
    """The PeerPool's whole mind; see :class:`core.pool.Pool` for its arguments."""

    def __init__(
        self,
        settings: PoolSettings,
        *,
        own_nonce: str,
        secret: bytes,
        rng: Random,
        selection: select.Selection = select.OWN_RULES,
    ) -> None:
        super().__init__(settings, own_nonce=own_nonce, secret=secret, rng=rng, selection=selection)
        # Without outbound peers every slot is taken at all times.
        wanted = settings.max_outbound_connections > 0 and not settings.fixed_only
        self._feelers = Feelers(settings.feeler_interval_s if wanted else 0.0, rng)
        self._connected_since: dict[Endpoint, float] = {}
        self._kept: tuple[Endpoint, ...] = ()
        self._judged_at_change = -1  # how often outbound peers had changed when anchors were last looked for
        self._next_since = inf  # when the peer was connected that is the next one, once it is old enough

    # ---- start, clock, stop ----

    def start(self, now: float) -> list[Effect]:
        """See :meth:`core.pool.Pool.start`."""
        self._feelers.start(now)
        return super().start(now)

    def next_deadline(self) -> float | None:
        """When :meth:`on_time` wants to be called."""
        planned, feeler_at = super().next_deadline(), self._feelers.next_deadline()
        return planned if planned is None or feeler_at is None else min(planned, feeler_at)

    def on_time(self, now: float) -> list[Effect]:
        """Do what is due."""
        if self._stopping:
            return []
        effects = super().on_time(now)
        if self._feelers.is_due(now):
            self._ask_for_feeler(now)
        self._keep_anchors(now - ANCHOR_AGE_S)
        if self._out:
            effects += self._flush()
        return effects

    def stop(self) -> list[Effect]:
        """Close every connection, the anchors of the next start written down before."""
        if not self._stopping:
            self._keep_anchors(float("inf"))
        return super().stop()

    # ---- feelers ----

    def _ask_for_feeler(self, now: float) -> None:
        """While a slot is free every dial tries somebody out anyway. One feeler at a time."""
        slots = self._slots
        if self._free_outbound() > 0:
            return
        guests = slots.of(Direction.OUTBOUND) if slots.outbound_tally.guests else ()
        if any(slot.kind is PeerKind.FEELER for slot in guests):
            return
        excluded = slots.endpoints().union(self._avoided.endpoints(now), self._kinds)
        connected = frozenset([slot.endpoint for slot in slots.connected_slots()])
        question = self._feelers.ask(now)
        self._tell(Room.BOOK, ChooseFeeler(question, frozenset(excluded), slots.ips(), connected))

    def on_feeler_chosen(self, answer: FeelerChosen, now: float) -> list[Effect]:
        """The book's choice: dial it, unless a slot has become free, or it must not be dialled any more."""
        endpoint = answer.endpoint
        if not self._feelers.accepts(answer.request_id, now) or self._stopping or endpoint is None:
            return []
        if self._free_outbound() <= 0 and not self._avoided.is_resting(endpoint, now):
            self._dial(endpoint, PeerKind.FEELER, rules.TESTED if answer.is_test else rules.FEELER)
        return self._flush()

    def _on_first_connected(self, slot: Slot, peer: PeerInfo, now: float) -> None:
        """A feeler has learned what it wanted, and leaves."""
        if slot.kind is not PeerKind.FEELER:
            if slot.direction is Direction.OUTBOUND:
                self._connected_since.setdefault(slot.endpoint, now)
            super()._on_first_connected(slot, peer, now)
        elif not slot.leaving:
            self._record(slot.endpoint, DecisionKind.CONNECTED, rules.FEELER)
            self._tell(Room.BOOK, OutboundSucceeded(slot.endpoint, peer.advertise_address))
            self._end(slot, CloseCode.NORMAL, "", rules.FEELER)

    def on_closed(self, closed: PeerClosed, now: float) -> list[Effect]:
        """A connection is gone."""
        if closed.direction is Direction.OUTBOUND:
            self._connected_since.pop(closed.endpoint, None)
        return super().on_closed(closed, now)

    # ---- anchors ----

    def on_anchors(self, anchors: Iterable[Endpoint], now: float) -> list[Effect]:
        """The anchors of the last run: dial them, before the book is asked for anybody else."""
        settings = self._settings
        wanted = () if self._stopping or settings.fixed_only else tuple(anchors)[: settings.anchor_connections]
        for endpoint in wanted:
            obstacle = self._obstacle(endpoint, now)
            if obstacle is not None:
                self._record(endpoint, DecisionKind.PASSED_OVER, obstacle)
            elif self._free_outbound() > 0:
                self._dial(endpoint, self._kinds.get(endpoint, PeerKind.NONE), rules.ANCHOR)
        return self._flush()

    def on_book_replaced(self, now: float) -> list[Effect]:
        """A new book has taken the anchors out of storage, and does not know the present ones."""
        self._kept, self._judged_at_change = (), -1
        self._keep_anchors(now - ANCHOR_AGE_S)
        return super().on_book_replaced(now)

    def _keep_anchors(self, connected_until: float) -> None:
        """Tell the book the outbound peers that have stayed longest, those connected before ``connected_until``."""
        wanted, changes = self._settings.anchor_connections, self._slots.outbound_changes
        if not wanted or (changes == self._judged_at_change and connected_until < self._next_since):
            return  # as at the last look: asked at every appointment, and each peer is a place in memory
        self._judged_at_change, self._next_since = changes, inf
        staying: list[Endpoint] = []
        # In the order in which they were connected: those that come first are nearly always the ones.
        for endpoint, since in self._connected_since.items():
            if len(staying) == wanted:
                break
            if self._may_anchor(endpoint):
                if since > connected_until:
                    self._next_since = since
                    break
                staying.append(endpoint)
        anchors = tuple(staying)
        # Nobody connected, as in an outage, is no reason to forget who was.
        if anchors and anchors != self._kept:
            self._kept = anchors
            self._tell(Room.BOOK, KeepAnchors(anchors))

    def _may_anchor(self, endpoint: Endpoint) -> bool:
        """Whether it is an outbound peer that stays. Fixed peers are dialled anyway, seeds are guests."""
        slot = self._slots.get(endpoint, Direction.OUTBOUND)
        if slot is None or slot.leaving or slot.info is None:
            return False
        return slot.kind in (PeerKind.NONE, PeerKind.WHITELISTED)
