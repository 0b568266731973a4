"""What every connection has, whatever it carries: its stages, its deadlines, its way to the end.

The peer protocol is built on it in layers, each on the one before: :mod:`core.link_calls` (requests both ways),
:mod:`core.link_introduction` (node infos, and what an opener asks first), :mod:`core.link` (what drives it all). What
it decides goes out by :mod:`core.link_output`.
"""

from __future__ import annotations

import enum
from random import Random

from core import rules
from core.calls import NoRequests, PendingRequests, no_requests
from core.deadlines import earliest
from core.decisions import DecisionKind, Rule
from core.effects import AbortChannel, CloseChannel, Effect, Reply, Room
from core.errors import ConnectionLost
from core.events import (
    CloseInbound,
    CloseOutbound,
    ConnectAbortOutbound,
    Event,
    FailedToAddInboundPeer,
    InboundSocketError,
    OutboundSocketError,
    PeerInfo,
    PenaltyApplied,
)
from core.house_messages import (
    PeerClosed,
    PeerConnected,
    PeerMisbehaved,
    PeerUpdated,
)
from core.ids import CloseCode, Direction, Endpoint, PeerKind, shared_peer_id
from core.link_extras import AT_REST, End, Extras, Review
from core.link_output import LinkOutput
from core.link_settings import LinkSettings
from core.messages import (
    Failed,
)
from core.outflow import FREE, Outflow
from core.traffic import TrafficCount
from core.wire.dialect import Dialect
from core.wire.payloads import NodeInfo

TRUSTED = frozenset({PeerKind.FIXED, PeerKind.WHITELISTED, PeerKind.SEED})
"""LIP 0004: fixed, whitelisted and seed peers are never banned."""


class Stage(enum.IntEnum):
    """How far a connection is; it only ever moves up."""

    CONNECTING = 0
    UPGRADING = 1
    HANDSHAKE = 2
    NODE_INFO = 3
    PEERS = 4
    READY = 5
    CLOSING = 6
    CLOSED = 7


# A lookup in the enumeration takes five times as long.
_HANDSHAKE, _READY, _CLOSING, _CLOSED = Stage.HANDSHAKE, Stage.READY, Stage.CLOSING, Stage.CLOSED


class LinkBase(LinkOutput):
    """Stages, deadlines, conduct and the end of one connection.

    ``review`` may overrule the dialect's verdict on a remote's node info; None: the verdict stands.
    ``wall_offset_s`` is Unix time minus the monotonic time of the ``now`` arguments.
    """

    __slots__ = (
        "_dialect",
        "_own",
        "_pending",
        "_remote",
        "_said_at",
        "_traffic_at",
        "endpoint",
        "sooner",
        "stage",
        "traffic",
    )

    def __init__(
        self,
        *,
        direction: Direction,
        endpoint: Endpoint,
        kind: PeerKind,
        dialect: Dialect,
        own: NodeInfo,
        settings: LinkSettings,
        rng: Random,
        wall_offset_s: float = 0.0,
        review: Review | None = None,
    ) -> None:
        told = PeerInfo(
            peer_id=shared_peer_id(endpoint),
            ip_address=endpoint.ip,
            port=endpoint.port,
            direction=direction,
            kind=kind,
        )
        super().__init__(told, direction, settings, rng)
        self._extras = Extras(wall_offset_s, review)
        self.endpoint = endpoint
        self.stage = Stage.CONNECTING
        self.traffic = TrafficCount()
        self._dialect = dialect
        self._own = own
        self._remote: NodeInfo | None = None
        self._pending: PendingRequests = no_requests(1)
        self._traffic_at: float | None = None
        self._said_at: float | None = None  # what next_deadline() last said
        self.sooner = True
        """Something may be due earlier than :meth:`next_deadline` last said. Whoever has asked sets it back."""

    # ---- what others may know ----

    @property
    def is_connected(self) -> bool:
        """The connection carries messages."""
        return self.stage is _READY

    @property
    def kind(self) -> PeerKind:
        """What the remote is to the node."""
        return self._told.kind

    @property
    def outflow(self) -> Outflow:
        """What waits to be read by the remote."""
        return self._extras.outflow

    def info(self) -> PeerInfo:
        """What is known about the remote."""
        return self._info(self._told.connected_at)

    def _info(self, connected_at: float | None) -> PeerInfo:
        remote = self._remote
        return PeerInfo(
            peer_id=self.peer_id,
            ip_address=self.endpoint.ip,
            port=self.endpoint.port,
            dialect=self._dialect.name,
            chain_id=remote.chain_id if remote else b"",
            network_identifier=remote.network_identifier if remote else "",
            network_id=remote.network_id if remote else "",
            network_version=remote.network_version if remote else "",
            nonce=remote.nonce if remote else "",
            options=remote.options if remote else {},
            advertise_address=remote.advertise_address if remote else True,
            direction=self.direction,
            kind=self.kind,
            latency_ms=self.latency_ms,
            response_rate=self._answered_share(),
            reputation=self.reputation,
            connected_at=connected_at,
        )

    def _answered_share(self) -> float | None:
        rate = self._extras.response_rate
        return None if rate is None else rate.share()

    def speak(self, dialect: Dialect) -> None:
        """What the HTTP upgrade agreed on, for everything that follows. Raises RuntimeError after the handshake."""
        if self.stage >= Stage.HANDSHAKE:
            raise RuntimeError(f"the dialect of {self.peer_id} cannot change any more")
        self._dialect = dialect

    def next_deadline(self) -> float | None:
        """When :meth:`on_time` wants to be called (monotonic seconds); None: only after the next input."""
        self._said_at = None
        if self.stage is _CLOSED:
            return None
        # Asked after every message that may have changed one, so without helpers: 1 us less of 3.
        is_open = _HANDSHAKE < self.stage < _CLOSING
        first = self._traffic_at
        if is_open:
            beats_at = self.next_beat()
            if first is None or beats_at < first:
                first = beats_at
            if self.is_over_rate:
                first = earliest(first, self.packets_due_at())
        pending = self._pending
        if type(pending) is PendingRequests:
            expires_at = pending.next_deadline()
            if expires_at is not None and (first is None or expires_at < first):
                first = expires_at
        extras = self._extras
        if extras is not AT_REST:
            if extras.step_deadline is not None and (first is None or extras.step_deadline < first):
                first = extras.step_deadline
            retires_at = None if extras.retirement is None else extras.retirement.look_at
            first = earliest(first, retires_at, extras.push_at if is_open else None, extras.outflow.stalls_at)
        self._said_at = first
        return first

    def _become_ready(self, now: float) -> None:
        self._enter(Stage.READY, None)
        extras = self._extra()
        self._told = self._info(now + extras.wall_offset_s)
        extras.wall_offset_s, extras.review = 0.0, None
        self._tell(Room.POOL, PeerConnected(self._told))

    def _tell_standing(self) -> None:
        """Latency, response rate and reputation: told when one of them changed, at moments that are not many."""
        told = self._told
        if not self.is_connected:
            return
        standing = self.latency_ms, self._answered_share(), self.reputation
        if standing != (told.latency_ms, told.response_rate, told.reputation):
            self._tell_update()

    def _tell_update(self) -> None:
        self._told = self.info()
        self._tell(Room.POOL, PeerUpdated(self._told))

    def _rest(self, now: float) -> None:
        """The connection may be at rest for long: give up what it can do without. Of thousands nearly all are."""
        pending = self._pending
        if type(pending) is PendingRequests and not len(pending):
            self._pending = no_requests(pending.next_cid)
        self.rest_conduct(now)
        if self._extras is not AT_REST and self._extras.rest(now):
            self._extras = AT_REST

    def _requests(self) -> PendingRequests:
        """Our requests, to be added to."""
        if type(self._pending) is NoRequests:
            self._pending = PendingRequests(self._pending.next_cid)
        return self._pending

    def note_outflow(self, queued_bytes: int, sent_bytes: int, now: float) -> None:
        """``queued_bytes`` wait to be read by the remote now; ``sent_bytes``: see :meth:`core.outflow.Outflow.note`."""
        if self._extras.outflow is FREE and not queued_bytes:
            return
        extras = self._extra()
        if extras.outflow is FREE:
            extras.outflow = Outflow(self._settings.send_stall_timeout_s, self._settings.max_send_queue_bytes)
        extras.outflow.note(queued_bytes, sent_bytes, now)
        if extras.outflow.is_free:
            extras.outflow = FREE
            if extras.rest(now):
                self._extras = AT_REST
        self.sooner = True

    # ---- the end ----

    def close(self, code: int, reason: str, now: float) -> list[Effect]:
        """Close in order: ``#disconnect`` with code and reason, then a close frame.

        A connection that is not open yet is destroyed. ``code`` must be one that a close frame may carry.
        """
        self._close(code, reason, now)
        return self._flush()

    def on_closed(self, code: int, error: str, now: float) -> list[Effect]:
        """The channel is gone. ``error`` is the transport's, empty for an orderly close. A second call does nothing."""
        if self.stage is Stage.CLOSED:
            return []
        was_connected, extras = self._told.connected_at is not None, self._extra()
        if error and extras.end is None and was_connected:
            socket_error = OutboundSocketError if self.direction is Direction.OUTBOUND else InboundSocketError
            self._emit(socket_error(peer_id=self.peer_id, error=error))
        end = extras.end or End(code, error, by_us=False)
        self._enter(Stage.CLOSED, None)
        for request in self._pending.take_all():
            if request.ask_id is not None:
                lost = ConnectionLost(f"the connection to {self.peer_id} closed ({end.code})", self.peer_id)
                self._put(Reply(request.ask_id, Failed(0, lost)))
        if not (was_connected and self.kind is PeerKind.FEELER):
            self._emit(self._close_event(was_connected, end))
        self._report_traffic()
        last = PeerClosed(
            self.endpoint, self.direction, was_connected, end.code, end.reason, end.by_us, extras.said_goodbye
        )
        self._tell(Room.POOL, last)
        extras.last = None
        return self._flush()

    def _close_event(self, was_connected: bool, end: End) -> Event:
        if self.direction is Direction.OUTBOUND:
            if was_connected:
                return CloseOutbound(peer=self.info(), code=end.code, reason=end.reason)
            return ConnectAbortOutbound(peer_id=self.peer_id, reason=end.reason, code=end.code)
        if was_connected:
            return CloseInbound(peer=self.info(), code=end.code, reason=end.reason)
        return FailedToAddInboundPeer(ip_address=self.endpoint.ip, code=end.code, reason=end.reason)

    def _close(self, code: int, reason: str, now: float, *, announce: bool = True) -> None:
        """Begin to close. ``announce`` False leaves ``#disconnect`` out."""
        if self.stage >= Stage.CLOSING:
            return
        extras = self._extra()
        extras.end = extras.end or End(code, reason, by_us=True)
        if self.stage < Stage.HANDSHAKE:
            extras.last = AbortChannel()
        elif self.stage is Stage.HANDSHAKE:
            # Whatever the reason, a real opener leaves with 4003 and no word until it is acknowledged.
            extras.last = CloseChannel(CloseCode.HANDSHAKE_REFUSED)
        else:
            if announce:
                self._send(self._dialect.encode_disconnect(code, reason))
            extras.last = CloseChannel(code)
        self._enter(Stage.CLOSING, now + self._settings.close_timeout_s)

    def _abort(self, code: int, reason: str) -> None:
        """Destroy the connection; the channel's end comes back as :meth:`on_closed`."""
        if self.stage is Stage.CLOSED:
            return
        extras = self._extra()
        extras.end = extras.end or End(code, reason, by_us=True)
        extras.last = AbortChannel()
        self._enter(Stage.CLOSING, None)

    # ---- judgement ----

    def apply_penalty(self, penalty: int, reason: str, now: float) -> list[Effect]:
        """The application's penalty; at 0 the peer is banned unless it is trusted."""
        self._punish(penalty, reason, now, rule=rules.APPLICATION)
        return self._flush()

    def _break_rule(self, rule: str, now: float) -> None:
        punishment = self.punishment(rule)
        if punishment is not None:
            self._punish(punishment.penalty, rule, now, raw=punishment.raw)

    def _punish(self, penalty: int, reason: str, now: float, *, raw: bool = False, rule: Rule | None = None) -> None:
        """Subtract points for breaking ``rule`` (None: the one that ``reason`` names); at 0, have the peer banned."""
        if penalty <= 0 or self.stage >= Stage.CLOSING:
            return
        was_spent = self.is_spent
        self.punish(penalty)
        standing, dry_run = self.reputation, self._settings.dry_run
        self._emit(
            PenaltyApplied(peer_id=self.peer_id, penalty=penalty, reputation=standing, reason=reason, dry_run=dry_run)
        )
        if was_spent:
            return  # it stays although it has no points to lose, and must not fill the journal with that
        points, left = ("points", penalty), ("reputation", standing)
        self._record(DecisionKind.PENALISED, rule or rules.misconduct(reason), points, left)
        if not self.is_spent:
            self._tell_standing()
        elif self.kind in TRUSTED:
            self._record(DecisionKind.KEPT, rules.NEVER_BANNED, left)
            self._tell_standing()
        elif dry_run:
            self._record(DecisionKind.KEPT, rules.DRY_RUN, left)
            self._tell(Room.NODE, PeerMisbehaved(self.peer_id, self.endpoint.ip, self.kind, reason))
            self._tell_standing()
        else:
            self._have_banned(reason, now, raw=raw)

    def _have_banned(self, reason: str, now: float, *, raw: bool) -> None:
        # LIP 0004: a banned peer is dropped without being told why.
        self._tell(Room.NODE, PeerMisbehaved(self.peer_id, self.endpoint.ip, self.kind, reason))
        if raw:
            self._abort(CloseCode.ABNORMAL, f"banned: {reason}")
        else:
            self._extra().end = End(CloseCode.NORMAL, f"banned: {reason}", by_us=True)
            self._close(CloseCode.NORMAL, "", now)

    # ---- output ----

    def _enter(self, stage: Stage, deadline: float | None) -> None:
        self.stage = stage
        if deadline is not None or self._extras.step_deadline is not None:
            self._extra().step_deadline = deadline
        self.sooner = True

    def _may_be_sooner(self, at: float) -> None:
        """Something is due at ``at`` that was not before."""
        if self._said_at is None or at < self._said_at:
            self.sooner = True

    def _count_traffic(self, now: float) -> None:
        if self._traffic_at is None:
            self._traffic_at = now + self._settings.traffic_report_interval_s
            self.sooner = True

    def _report_traffic(self) -> None:
        self._traffic_at = None
        report = self.traffic.take()
        if report is not None:
            self._tell(Room.NODE, report)
