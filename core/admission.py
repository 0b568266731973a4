"""Admission: an accepted connection from its first byte to the peer actor that takes it over.

HTTP upgrade, ``#handshake``, then the checks of docs/protocol.md ("Checks of the listener") in lisk-p2p's order and
with its close codes, then the pool is asked for room. Everything is judged before anything of it is acted upon.

Threats: mute connections (every step has a deadline, and the server caps how many there are), banned addresses (401, as
lisk-p2p answers), oversized or malformed first packets.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

import msgspec

from core import rules
from core.decisions import DecisionKind, Rule, decided
from core.dialects import Languages
from core.effects import (
    AbortChannel,
    AcceptUpgrade,
    CloseChannel,
    Effect,
    Emit,
    HandOver,
    Record,
    RejectUpgrade,
    Room,
    SendPacket,
    Tell,
)
from core.events import Event, FailedToAddInboundPeer, NewInboundPeerConnection, PeerInfo, PenaltyApplied
from core.house_messages import (
    AdmitInbound,
    InboundRefused,
    PeerMisbehaved,
)
from core.ids import CloseCode, Direction, Endpoint, PeerId, PeerKind, shared_endpoint
from core.penalties import FATAL
from core.wire.packets import Handshake, PacketFault
from core.wire.payloads import NodeInfo
from core.wire.query import PeerQuery, Refusal

BANNED_STATUS = 401
BANNED_BODY = "Peer is not allowed to connect"
BAD_PATH_STATUS = 400
BAD_PATH_BODY = "Bad Request"
NO_QUERY = Refusal(CloseCode.INVALID_QUERY, "no upgrade yet")


class AdmissionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds; the defaults are lisk-p2p 0.10's where it has such a time.

    ``pool_timeout_s`` is the pool's time to answer, ``hand_over_timeout_s`` the peer actor's to take the connection:
    whoever was to do it may have crashed. ``dry_run``: misbehaviour is reported, and nobody is banned.
    """

    upgrade_timeout_s: float = 5.0
    handshake_timeout_s: float = 10.0
    keep_alive_interval_s: float = 8.0
    close_timeout_s: float = 2.0
    pool_timeout_s: float = 5.0
    dry_run: bool = False
    hand_over_timeout_s: float = 10.0


class Step(enum.IntEnum):
    """How far the connection is."""

    UPGRADE = 0
    HANDSHAKE = 1
    POOL = 2
    HANDED_OVER = 3
    CLOSING = 4
    CLOSED = 5


# A lookup in the enumeration takes five times as long.
_UPGRADE, _HANDSHAKE, _POOL = Step.UPGRADE, Step.HANDSHAKE, Step.POOL
_HANDED_OVER, _CLOSING, _CLOSED = Step.HANDED_OVER, Step.CLOSING, Step.CLOSED


class Admission:
    """One accepted connection. ``ticket`` is the request id for the pool; ``banned`` refuses it with HTTP 401,
    and so does ``blacklisted``."""

    __slots__ = (
        *("_ban_reported", "_banned", "_banned_by", "_beat_at", "_deadline", "_dialect", "_handshake_cid"),
        *("_languages", "_own", "_query", "_review", "_settings", "_trusted"),
        *("announced", "remote_ip", "step", "ticket"),
    )

    def __init__(
        self,
        *,
        ticket: int,
        remote_ip: str,
        banned: bool,
        trusted: bool,
        own: NodeInfo,
        languages: Languages,
        settings: AdmissionSettings,
        now: float,
        review: Callable[[PeerQuery, NodeInfo, Refusal | None], Refusal | None] | None = None,
        blacklisted: bool = False,
    ) -> None:
        self.ticket = ticket
        self.remote_ip = remote_ip
        self.step = _UPGRADE
        self.announced: NodeInfo | None = None
        self._banned = banned or blacklisted
        self._ban_reported = False  # the ban that a dry run did not make
        self._banned_by = rules.BLACKLISTED if blacklisted else rules.BANNED
        self._trusted = trusted
        self._own = own
        self._languages = languages
        self._dialect = languages.main  # until the upgrade says more
        self._settings = settings
        self._review = review
        self._deadline: float | None = now + settings.upgrade_timeout_s
        self._beat_at: float | None = None
        self._query: PeerQuery | Refusal = NO_QUERY
        self._handshake_cid: int | None = None

    def next_deadline(self) -> float | None:
        """When :meth:`on_time` wants to be called."""
        if self._deadline is None or self._beat_at is None:
            return self._deadline
        return min(self._deadline, self._beat_at)

    # ---- HTTP ----

    @property
    def dialect(self) -> str:
        """The name of what the connection speaks."""
        return self._dialect.name

    def on_upgrade(self, target: str, headers: Mapping[str, str], now: float) -> list[Effect]:
        """The upgrade request is read; ``headers`` have their names in lower case.

        Its query is judged now, but refused after the handshake, as lisk-p2p does.
        """
        if self.step is not _UPGRADE:
            return []
        if self._banned:
            return self._reject(BANNED_STATUS, BANNED_BODY, now, self._banned_by)
        agreement = self._languages.of_listener(target, headers)
        if agreement is None:
            return self._reject(BAD_PATH_STATUS, BAD_PATH_BODY, now, rules.WRONG_PATH)
        self._dialect = agreement.dialect
        self._query = self._dialect.parse_query(target, source_ip=self.remote_ip, own_nonce=self._own.nonce)
        self.step = _HANDSHAKE
        self._deadline = now + self._settings.handshake_timeout_s
        if self._dialect.keep_alive_ping is not None:
            self._beat_at = now + self._settings.keep_alive_interval_s
        return [AcceptUpgrade(agreement.headers)]

    def _reject(self, status: int, body: str, now: float, rule: Rule) -> list[Effect]:
        self._to(_CLOSING, now + self._settings.close_timeout_s)
        record = self._record(DecisionKind.REFUSED, rule, ("http_status", status))
        return [RejectUpgrade(status, body), record, Emit((self._failed(status, body),))]

    # ---- the first packet ----

    def on_packet(self, payload: bytes, binary: bool, now: float) -> list[Effect]:
        """The first WebSocket message, which must be ``#handshake``."""
        if self.step is not _HANDSHAKE:
            return []
        try:
            packets = self._dialect.decode_packets(payload, binary=binary)
        except PacketFault as fault:
            punished = self._punish(fault.rule)
            return [*punished, *self._refuse_first_packet(now)] if self._spares else punished
        packet = packets[0] if len(packets) == 1 else None
        if not isinstance(packet, Handshake):
            return self._refuse_first_packet(now)
        self._handshake_cid = packet.cid
        query = self._query
        if isinstance(query, Refusal):
            return self._refuse(query.code, query.reason, now)
        incompatible = self._dialect.check_compatibility(query, self._own)
        if self._review is not None:
            incompatible = self._review(query, self._own, incompatible)
        if incompatible is not None:
            return self._refuse(incompatible.code, incompatible.reason, now)
        return self._ask_pool(query, now)

    def on_control_frame(self, now: float) -> list[Effect]:
        """A WebSocket PING or PONG: not part of this protocol, at any time."""
        return self._punish("control_frame") if self.step in (_HANDSHAKE, _POOL) else []

    def _refuse_first_packet(self, now: float) -> list[Effect]:
        return self._refuse(CloseCode.NOT_HANDSHAKE, "first packet was not #handshake", now, announce=False)

    def _ask_pool(self, query: PeerQuery, now: float) -> list[Effect]:
        self.announced = query.node_info()
        self._to(_POOL, now + self._settings.pool_timeout_s)
        endpoint = shared_endpoint(self.remote_ip, query.port)
        peer = PeerInfo(
            peer_id=endpoint.peer_id,
            ip_address=endpoint.ip,
            port=endpoint.port,
            dialect=self._dialect.name,
            chain_id=query.chain_id,
            network_identifier=query.network_identifier,
            network_id=query.network_id,
            network_version=query.network_version,
            nonce=query.nonce,
            advertise_address=query.advertise_address,
            direction=Direction.INBOUND,
        )
        events: tuple[Event, ...] = (NewInboundPeerConnection(peer=peer),)
        return [Tell(Room.POOL, AdmitInbound(self.ticket, peer)), Emit(events)]

    def on_banned(self, now: float) -> list[Effect]:
        """The address was banned meanwhile. What is handed over already is the pool's to close."""
        self._banned = True  # before the upgrade: it is refused then
        if self.step not in (_HANDSHAKE, _POOL):
            return []
        return self._refuse(CloseCode.FORBIDDEN, BANNED_BODY, now)

    # ---- the pool's answer ----

    def on_admitted(self, now: float) -> list[Effect]:
        """There is room: hand the connection over. It is destroyed if nobody takes it in time."""
        if self.step is not _POOL:
            return []
        self._to(_HANDED_OVER, now + self._settings.hand_over_timeout_s)
        return [HandOver(self._handshake_cid)]

    def on_refused(self, answer: InboundRefused, now: float) -> list[Effect]:
        """There is no room, or the peer is connected already."""
        if self.step is not _POOL:
            return []
        return self._refuse(answer.code, answer.reason, now, recorded=True)  # by the pool, which knows the numbers

    # ---- the end ----

    def on_time(self, now: float) -> list[Effect]:
        """Do what is due."""
        if self._deadline is not None and self._deadline <= now:
            if self.step is _HANDSHAKE:
                return self._refuse(CloseCode.HANDSHAKE_TIMEOUT, "", now)
            if self.step is _POOL:
                return self._refuse(CloseCode.TRY_AGAIN_LATER, "Node is too busy", now, rule=rules.POOL_SILENT)
            waited = ("waited_s", self._settings.upgrade_timeout_s)
            mute = [self._record(DecisionKind.REFUSED, rules.MUTE, waited)] if self.step is _UPGRADE else []
            self._to(_CLOSING, None)
            return [AbortChannel(), *mute]
        beat = self._dialect.keep_alive_ping
        if beat is not None and self._beat_at is not None and self._beat_at <= now:
            self._beat_at = now + self._settings.keep_alive_interval_s
            return [SendPacket(beat)]
        return []

    def on_closed(self) -> None:
        """The channel is gone."""
        self._to(_CLOSED, None)

    def _refuse(
        self,
        code: int,
        reason: str,
        now: float,
        *,
        announce: bool = True,
        rule: Rule | None = None,
        recorded: bool = False,
    ) -> list[Effect]:
        """Close with a code. ``rule`` None: the one that the code stands for. ``recorded``: by who decided it."""
        self._to(_CLOSING, now + self._settings.close_timeout_s)
        effects: list[Effect] = [SendPacket(self._dialect.encode_disconnect(code, reason or None))] if announce else []
        if not recorded:
            effects.append(self._record(DecisionKind.REFUSED, rule or rules.refusal(code), ("code", code)))
        return [*effects, CloseChannel(code), Emit((self._failed(code, reason),))]

    # ---- judgement ----

    @property
    def _spares(self) -> bool:
        return self._trusted or self._settings.dry_run

    def _punish(self, rule: str) -> list[Effect]:
        """All points are gone: destroy the connection without a word and have the address banned.

        Who is spared loses the packet only: a trusted address, because what breaks a rule there is perhaps not the
        trusted peer, and everybody in a dry run.
        """
        standing = ("reputation", 0)
        records = [self._record(DecisionKind.PENALISED, rules.misconduct(rule), ("points", FATAL), standing)]
        if self._trusted:
            records.append(self._record(DecisionKind.KEPT, rules.NEVER_BANNED, standing))
            return [*records, Emit((self._penalty(rule),))]
        # Records come at once, and so before the ban that follows from them.
        misbehaved = Tell(Room.NODE, PeerMisbehaved(self._peer_id(), self.remote_ip, PeerKind.NONE, rule))
        if self._settings.dry_run:
            records.append(self._record(DecisionKind.KEPT, rules.DRY_RUN, standing))
            told = [] if self._ban_reported else [misbehaved]
            self._ban_reported = True
            return [*records, *told, Emit((self._penalty(rule),))]
        self._to(_CLOSING, None)
        failed = self._failed(CloseCode.ABNORMAL, rule)
        return [AbortChannel(), *records, misbehaved, Emit((self._penalty(rule), failed))]

    def _penalty(self, rule: str) -> PenaltyApplied:
        dry_run = self._settings.dry_run
        return PenaltyApplied(peer_id=self._peer_id(), penalty=FATAL, reputation=0, reason=rule, dry_run=dry_run)

    # ---- output ----

    def _peer_id(self) -> PeerId:
        """The announced listening port where one is known, never the ephemeral source port: bans and statistics keyed
        by the latter grow without bound and miss trusted peers (as in lisk-p2p)."""
        port = self._query.port if isinstance(self._query, PeerQuery) else 0
        return Endpoint(self.remote_ip, port).peer_id

    def _record(self, decision: DecisionKind, rule: Rule, *numbers: tuple[str, float]) -> Record:
        # Who has announced no port has no peer id: what is decided is about the address.
        subject = self._peer_id() if isinstance(self._query, PeerQuery) else self.remote_ip
        return Record((decided(subject, decision, rule, *numbers),))

    def _failed(self, code: int, reason: str) -> FailedToAddInboundPeer:
        return FailedToAddInboundPeer(ip_address=self.remote_ip, code=code, reason=reason)

    def _to(self, step: Step, deadline: float | None) -> None:
        self.step = step
        self._deadline = deadline
        self._beat_at = None
