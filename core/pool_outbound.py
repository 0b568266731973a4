"""OutboundPool: whom we dial, and when. Slots, seeds, fixed peers, shuffling.

The outbound half of the pool's decisions, over inbound admission (:mod:`core.pool_inbound`); :class:`core.pool.Pool`
adds the clock and what peers report. The peer book says whom one *could* dial; this says how many, and whom not.

Sources: LIP 0004 ("Selection", "Start-up and discovery", "Static lists"). The attacker in mind wants our outbound
slots, by many addresses of one network or by being the only seed that answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from core import rules, select
from core.decisions import DecisionKind, Rule
from core.effects import DialPeer, Effect, ResolveSeedNames, Room
from core.house_messages import (
    AskForPeers,
    ChoosePeers,
    ChosenPeers,
    NamedSeedsChanged,
    ResolvedHost,
)
from core.ids import CloseCode, Direction, Endpoint, PeerKind
from core.netgroup import is_exempt, net_group
from core.pool_inbound import InboundPool
from core.pool_settings import PoolSettings
from core.redial import Redial
from core.seeds import FRESH_S
from core.slots import Slot

SEED_DONE = "Disconnect from SeedPeer after discovery"

MAX_SEED_GUESTS = 32
"""Seeds connected at once, over and above the outbound slots. A configuration may name thousands."""

ASK_PAUSE_S = 11.0
"""One peer is asked for its peers at most this often: a second getPeers within 10 s costs 10 points of reputation."""


class OutboundPool(InboundPool):
    """See the module. ``secret`` keys the eviction's order of net groups; times are monotonic seconds."""

    def __init__(
        self,
        settings: PoolSettings,
        secret: bytes,
        rng: Random,
        selection: select.Selection,
    ) -> None:
        super().__init__(settings, secret, rng, selection)
        self._redial = Redial(settings.fixed_peers, settings.populator_interval_s)
        self._choosing = 0  # request id of the last question to the book
        self._choosing_since: float | None = None  # ... and when it was asked, while it is open
        self._book_known = False

    # ---- slots and the book ----

    def _free_outbound(self) -> int:
        # Seeds are guests: they do not take a slot from a peer of the network (in lisk-p2p, as many seeds as slots
        # make start() cancel its own seed connections). A fixed peer that is away keeps its slot free.
        # A feeler is gone as soon as it has been answered.
        outbound = self._slots.outbound_tally
        filled = outbound.staying - outbound.guests
        return self._settings.max_outbound_connections - filled - self._redial.waiting()

    def _populate(self, now: float) -> None:
        free = self._free_outbound()
        if free <= 0 or self._stopping or self._settings.fixed_only or not self._may_ask_book(now):
            return
        excluded = self._slots.endpoints().union(self._avoided.endpoints(now), self._settings.fixed_peers)
        self._choosing += 1
        self._choosing_since = now
        groups = tuple(sorted(self._slots.outbound_groups(self._settings.private_networks_exempt).items()))
        self._tell(Room.BOOK, ChoosePeers(self._choosing, free, frozenset(excluded), groups, self._slots.ips()))

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
            obstacle = self._obstacle(endpoint, now)
            if obstacle is not None:
                self._record(endpoint, DecisionKind.PASSED_OVER, obstacle)
                continue
            free = ("free_slots", self._free_outbound())
            self._dial(endpoint, self._kinds.get(endpoint, PeerKind.NONE), rules.SLOT_FREE, free)
        if first_answer and answer.tried_count < self._settings.min_tried_for_no_seeds:
            self._ask_seeds(now)
        return self._flush()

    def _obstacle(self, endpoint: Endpoint, now: float) -> Rule | None:
        """Why a peer that was chosen is not dialled: things may have changed since the question was asked."""
        avoided = self._avoided
        if self._kinds.get(endpoint) is PeerKind.FIXED:
            return rules.FIXED_PEER  # has its own pace
        if avoided.is_resting(endpoint, now):
            return rules.RESTING
        if avoided.is_own(endpoint):
            return rules.OWN_ADDRESS
        if avoided.is_banned(endpoint.ip):
            return rules.BANNED
        if self._slots.is_busy(endpoint):
            return rules.ALREADY_CONNECTED
        return rules.GROUP_FULL if self._is_crowded_outbound(endpoint.ip) else None

    def _is_crowded_outbound(self, ip: str) -> bool:
        """LIP 0004: at most 3 outbound of a group, no address that is connected. The book knew this as it was when it
        was asked, and a rule of the application need not care: the limits hold for whoever chose."""
        settings, slots = self._settings, self._slots
        if is_exempt(ip, settings.private_networks_exempt):
            return False
        # Exempt or not, all of one group are alike in that.
        return slots.outbound_of_group(net_group(ip)) >= settings.max_outbound_per_group or ip in slots.ips()

    def _dial(self, endpoint: Endpoint, kind: PeerKind, rule: Rule, *numbers: tuple[str, float]) -> bool:
        avoided = self._avoided
        if self._slots.is_busy(endpoint) or avoided.is_own(endpoint) or avoided.is_banned(endpoint.ip):
            return False
        self._slots.add(Slot(endpoint, Direction.OUTBOUND, kind))
        self._out.append(DialPeer(endpoint, kind))
        self._record(endpoint, DecisionKind.DIALLED, rule, *numbers)
        return True

    def _dial_fixed(self, now: float) -> None:
        for endpoint in self._redial.due(now):
            lost = ("losses", self._redial.losses(endpoint))
            if self._dial(endpoint, PeerKind.FIXED, rules.FIXED_PEER, lost):
                continue
            if self._avoided.is_own(endpoint):
                self._record(endpoint, DecisionKind.PASSED_OVER, rules.OWN_ADDRESS)
                continue
            # One that is connected, inbound perhaps, comes back to the redialling when it is lost.
            if not self._slots.is_busy(endpoint):
                self._redial_later(endpoint, now)

    def _redial_later(self, endpoint: Endpoint, now: float) -> None:
        pause_s = self._redial.lost(endpoint, now)
        figures = (("losses", self._redial.losses(endpoint)), ("pause_s", pause_s))
        self._record(endpoint, DecisionKind.DEFERRED, rules.BACK_OFF, *figures)

    def _ask_seeds(self, now: float) -> None:
        """Dial the seeds that are known, and those given by name as soon as their addresses are."""
        self._resolve(now)
        self._seeds.wanted = self._seeds.is_waiting
        self._dial_seeds()

    def _resolve(self, now: float, older_than_s: float = FRESH_S) -> None:
        hosts = self._seeds.to_resolve(now, older_than_s)
        if hosts:
            self._out.append(ResolveSeedNames(hosts))

    def on_resolved(self, hosts: Iterable[ResolvedHost], now: float) -> list[Effect]:
        """What seeds given by name stand for: trust these, and dial them if the seeds were being asked."""
        if self._seeds.on_resolved(hosts, now):
            self._kinds = self._seeds.kinds()
            self._tell_named_seeds()
        if self._seeds.wanted and not self._stopping:
            self._seeds.wanted = self._seeds.is_waiting
            if self._free_outbound() > 0:
                self._dial_seeds()
        return self._flush()

    def on_resolver_lost(self) -> list[Effect]:
        """Whoever looked names up crashed: they are looked up again when the seeds are asked."""
        self._seeds.on_resolver_lost()
        return []

    def on_gates_replaced(self) -> list[Effect]:
        """The server or the book is new, and does not know which addresses are trusted for a name."""
        if self._seeds.named:
            self._tell_named_seeds()
        return self._flush()

    def _tell_named_seeds(self) -> None:
        for room in (Room.BOOK, Room.SERVER):
            self._tell(room, NamedSeedsChanged(self._seeds.named))

    def _dial_seeds(self) -> None:
        # All seeds, in random order: lisk-p2p only ever uses as many as there are free slots, always the first ones.
        seeds = self._seeds.all()
        self._rng.shuffle(seeds)
        guests = sum(slot.kind is PeerKind.SEED for slot in self._slots.of(Direction.OUTBOUND))
        free = ("free_slots", self._free_outbound())
        for endpoint in seeds:
            if guests >= MAX_SEED_GUESTS:
                break
            # One that is whitelisted too is a guest all the same.
            guests += self._dial(endpoint, PeerKind.SEED, rules.SEED_ASKED, free)

    def _release_seeds(self) -> None:
        """LIP 0004: disconnect from the seeds after discovery. While slots are free they are kept, as by lisk-p2p."""
        outbound = self._slots.outbound_tally
        if not outbound.seeds:
            return
        if outbound.connected - outbound.seeds + self._redial.waiting() < self._settings.max_outbound_connections:
            return
        connected = [slot for slot in self._slots.of(Direction.OUTBOUND) if slot.info is not None]
        for slot in [slot for slot in connected if slot.kind is PeerKind.SEED]:
            self._end(slot, CloseCode.NORMAL, SEED_DONE, rules.SEED_RELEASED)

    def _rediscover(self, now: float) -> None:
        """LIP 0004: too few outbound connections after 30 s: ask the seeds again, and a connected peer as well."""
        if self._free_outbound() <= 0 or self._settings.fixed_only:
            return
        self._ask_seeds(now)
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
            figures = (("candidates", len(candidates)), ("limit", self._settings.max_outbound_connections))
            self._record(slot.endpoint, DecisionKind.SHUFFLED_OUT, rules.SHUFFLED, *figures)
            self._end(slot, CloseCode.EVICTED, f"Evicted outbound peer {slot.endpoint.peer_id}", rules.SHUFFLED)
