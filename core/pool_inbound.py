"""Whom a pool lets in: room, trust, bans, duplicates, and how many one host may send.

Sources: LIP 0004, "Static lists" and "Inbound eviction"; the codes are lisk-p2p's (docs/protocol.md, "Close codes").
The attacker in mind wants all inbound slots, from one host or from many.
"""

from __future__ import annotations

from random import Random

from core import evict, rules
from core.avoid import Avoided
from core.decisions import DecisionKind, Rule
from core.effects import CreateInbound, Effect, Reply, Room
from core.events import PeerInfo, PenaltyApplied
from core.house_messages import (
    InboundRefused,
    PeerMisbehaved,
)
from core.ids import CloseCode, Direction, Endpoint, PeerKind
from core.netgroup import is_exempt
from core.news import News
from core.penalties import FATAL
from core.pool_base import PoolBase
from core.pool_settings import PoolSettings
from core.rate import AddressRate
from core.seeding import Seeds
from core.select import Selection
from core.slots import Slot

DUPLICATE = "Peer has a duplicate connection"
NOBODY_TO_EVICT = "No inbound connection can be evicted"
CROWDED = "Too many connections from this address"

GOODBYE_RATE = "disconnect_rate"
MAX_GOODBYES = 10
GOODBYE_WINDOW_S = 1.0
"""lisk-p2p's limit on ``#disconnect`` packets of one address."""

TRUSTED = frozenset({PeerKind.FIXED, PeerKind.WHITELISTED})


class InboundPool(PoolBase):
    """Admission of openers, and what it needs to know: trust, and whom to avoid."""

    def __init__(self, settings: PoolSettings, secret: bytes, rng: Random, selection: Selection) -> None:
        super().__init__(settings, rng, selection)
        self._secret = secret
        self._seeds = Seeds(settings)
        self._kinds = self._seeds.kinds()
        self._avoided = Avoided(settings.populator_interval_s)
        self._spared = News()
        self._goodbyes = AddressRate(GOODBYE_WINDOW_S)

    def on_admit(self, peer: PeerInfo, ask_id: int) -> list[Effect]:
        """The server asks for room for a checked opener. Answer: CreateInbound, or Reply with a refusal."""
        endpoint, limits = peer.endpoint, self._settings
        taken = self._slots.get(endpoint, Direction.INBOUND)
        dialled = self._slots.get(endpoint, Direction.OUTBOUND)
        # A dial of ours to the same peer that is not through yet does not count: both sides dialling at once would
        # refuse each other (as lisk-p2p nodes do). If both get through, on_connected() ends one of them.
        if taken is not None or (dialled is not None and dialled.info is not None):
            return self._refuse(endpoint, ask_id, CloseCode.DUPLICATE, DUPLICATE, rules.DUPLICATE)
        if self._stopping:
            return self._refuse(endpoint, ask_id, CloseCode.TRY_AGAIN_LATER, "Node is stopping", rules.STOPPING)
        if self._avoided.is_banned(endpoint.ip):
            return self._refuse(endpoint, ask_id, CloseCode.FORBIDDEN, "Peer is not allowed to connect", rules.BANNED)
        kind = self._kinds.get(endpoint, PeerKind.NONE)
        if self._is_crowded_inbound(endpoint.ip, kind):
            figures = (("from_host", self._slots.inbound_of_host(endpoint.ip)), ("limit", limits.max_inbound_per_ip))
            return self._refuse(endpoint, ask_id, CloseCode.TRY_AGAIN_LATER, CROWDED, rules.HOST_FULL, *figures)
        if not self._make_room(kind):
            full = ("limit", limits.max_inbound_connections)
            return self._refuse(
                endpoint, ask_id, CloseCode.TRY_AGAIN_LATER, NOBODY_TO_EVICT, rules.NOBODY_TO_EVICT, full
            )
        self._slots.add(Slot(endpoint, Direction.INBOUND, kind))
        self._out.append(CreateInbound(endpoint, kind, ask_id))
        return self._flush()

    def _refuse(
        self, endpoint: Endpoint, ask_id: int, code: int, reason: str, rule: Rule, *numbers: tuple[str, float]
    ) -> list[Effect]:
        self._record(endpoint, DecisionKind.REFUSED, rule, ("code", code), *numbers)
        self._out.append(Reply(ask_id, InboundRefused(0, code, reason)))
        return self._flush()

    def _is_crowded_inbound(self, ip: str, newcomer: PeerKind) -> bool:
        """Ports are only announced, so one host could come as thousands of peers (in lisk-p2p it can). The newcomer is
        refused and nobody evicted: a neighbour behind the same NAT must not throw out who came first."""
        settings = self._settings
        if newcomer in TRUSTED or is_exempt(ip, settings.private_networks_exempt):
            return False
        return self._slots.inbound_of_host(ip) >= settings.max_inbound_per_ip

    def _make_room(self, newcomer: PeerKind) -> bool:
        if self._slots.inbound_tally.staying < self._settings.max_inbound_connections:
            return True
        candidates = [slot.info for slot in self._slots.of(Direction.INBOUND) if slot.info is not None]
        settings = self._settings
        verdict = evict.judge(candidates, settings.protection, self._secret, self._rng, settings.victim_rule)
        if verdict.victim is None and newcomer in TRUSTED:
            # LIP 0004: a whitelisted peer is let in while there is an ordinary one, however well that one is protected.
            verdict = evict.judge(candidates, evict.NO_PROTECTION, self._secret, self._rng, settings.victim_rule)
        victim = verdict.victim
        slot = self._slots.get(victim.endpoint, Direction.INBOUND) if victim is not None else None
        if slot is None:
            return False
        limit = ("limit", settings.max_inbound_connections)
        self._record(slot.endpoint, DecisionKind.EVICTED, verdict.rule, *verdict.numbers, limit)
        # Under a flood there are thousands of evictions: that the same peer is spared for the same reason is told once.
        self._decisions += self._spared.of(verdict.protected)
        self._end(slot, CloseCode.EVICTED, f"Evicted inbound peer {slot.endpoint.peer_id}", rules.EVICTED)
        return True

    def _on_goodbye(self, slot: Slot, now: float) -> None:
        """An opener said ``#disconnect``. More than 10 of one address within a second are a ban, in lisk-p2p too: who
        connects and leaves at that pace only keeps us busy.

        Exempt as from the other limits for one address: all nodes of one machine may well stop at once.
        """
        ip = slot.endpoint.ip
        if self._stopping or is_exempt(ip, self._settings.private_networks_exempt):
            return
        # Once for each window: what comes after it is ended by the ban, or was only to be reported.
        if self._goodbyes.add(ip, now) != MAX_GOODBYES + 1 or slot.kind is not PeerKind.NONE:
            return
        peer_id, dry_run = slot.endpoint.peer_id, self._settings.dry_run
        figures = (("points", FATAL), ("goodbyes", MAX_GOODBYES + 1), ("limit", MAX_GOODBYES))
        self._record(slot.endpoint, DecisionKind.PENALISED, rules.misconduct(GOODBYE_RATE), *figures)
        self._emit(PenaltyApplied(peer_id=peer_id, penalty=FATAL, reputation=0, reason=GOODBYE_RATE, dry_run=dry_run))
        self._tell(Room.NODE, PeerMisbehaved(peer_id, ip, slot.kind, GOODBYE_RATE))
