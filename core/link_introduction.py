"""Introduction: what two nodes tell each other about themselves, and the questions that an opener asks first.

An opener is acknowledged, pushes its node info, asks ``getNodeInfo``, checks that both belong together, asks
``getPeers``, and only then counts as connected (lisk-p2p's order, docs/protocol.md). Threats: a listener that is mute
or incompatible and would hold an outbound slot for ever (it is given up), node infos and peer lists that are too large,
undecodable or absent (LIP 0004: 100 points, whichever side sends them), and a remote that changes its identity later.
"""

from __future__ import annotations

from dataclasses import fields, replace
from operator import attrgetter

from core.calls import PendingRequest
from core.effects import CloseChannel, Effect, Room
from core.events import (
    ConnectOutbound,
    FailedPeerInfoUpdate,
    FailedToCollectPeerDetailsOnConnect,
    FailedToFetchPeerInfo,
    FailedToFetchPeers,
    FailedToPushNodeInfo,
    UpdatedPeerInfo,
)
from core.house_messages import (
    PeersAdvertised,
)
from core.ids import CloseCode, PeerKind
from core.link_base import Stage
from core.link_calls import GET_NODE_INFO, GET_PEERS, PING, LinkCalls
from core.link_extras import OWN_INFO_PER_WINDOW, OWN_INFO_WINDOW_S, End
from core.rate import pace
from core.wire.codec import CodecError
from core.wire.packets import ErrorResponse, PacketFault, Response
from core.wire.payloads import MAX_PEERS, NodeInfo
from core.wire.socketcluster import sendable_close_code

POST_NODE_INFO = "postNodeInfo"
HANDSHAKE = "#handshake"
"""Stands for the handshake among our open requests."""

MAX_PING_TIMEOUT_S = 600.0
"""A listener's ``pingTimeout`` beyond this would let a dead connection hold its slot; real ones say 20 s."""

MAX_REASON_CHARACTERS = 200
"""What a remote's text may take of a reason of ours."""


# A lookup in an enumeration takes five times as long.
_HANDSHAKE, _NODE_INFO, _PEERS, _CLOSING = Stage.HANDSHAKE, Stage.NODE_INFO, Stage.PEERS, Stage.CLOSING
_FEELER = PeerKind.FEELER

_IDENTITY = attrgetter(*(field.name for field in fields(NodeInfo) if field.name != "options"))
"""Of a node info: all that cannot change while a connection lasts."""


class LinkIntroduction(LinkCalls):
    """The layer of node infos and peer lists."""

    __slots__ = ()

    # ---- our node info ----

    def push_node_info(self, own: NodeInfo, now: float) -> list[Effect]:
        """Our node info changed: tell the remote, at most 3 times in any 10 s, the last state always."""
        self._own = own
        if _HANDSHAKE < self.stage < _CLOSING:
            self._push_own_info(now)
        elif self.stage is _CLOSING:
            self._emit(FailedToPushNodeInfo(peer_id=self.peer_id, reason="the connection is closing"))
        return self._flush()

    def _push_own_info(self, now: float) -> None:
        extras = self._extra()
        if extras.push_at is not None and now < extras.push_at:
            return
        extras.own_pushes, extras.push_at = pace(extras.own_pushes, OWN_INFO_PER_WINDOW, OWN_INFO_WINDOW_S, now)
        self.sooner = True
        if extras.push_at is None:
            self._send(self._dialect.encode_message(POST_NODE_INFO, self._dialect.encode_node_info(self._own)))

    # ---- theirs ----

    def _on_node_info_pushed(self, data: bytes | None, now: float) -> None:
        if self._dialect.limits_node_infos and self.node_info_pushed(now):
            self._break_rule("node_info_rate", now)
            if self.stage >= _CLOSING:
                return
        info = self._decode_node_info(data, now)
        if info is None:
            return
        # Only the options of a pushed node info count: chain, version and nonce were settled at the handshake, and a
        # remote must not be able to change them afterwards.
        known = self._remote
        if known is None or _IDENTITY(known) == _IDENTITY(info):
            self._remote = info  # decoded, it may be one object for many links
        else:
            self._remote = replace(known, options=info.options)
        if self.is_connected:
            self._tell_update()
        self._emit(UpdatedPeerInfo(peer=self._told if self.is_connected else self.info()))

    def _decode_node_info(self, data: bytes | None, now: float) -> NodeInfo | None:
        try:
            if data is None:
                raise CodecError("node info", "is missing")
            if len(data) > self._settings.max_node_info_bytes:
                raise CodecError("node info", f"{len(data)} bytes, {self._settings.max_node_info_bytes} are allowed")
            return self._dialect.decode_node_info(data)
        except (CodecError, PacketFault) as error:
            self._emit(FailedPeerInfoUpdate(peer_id=self.peer_id, reason=str(error)))
            self._break_rule("invalid_node_info", now)
            return None

    # ---- answers ----

    def _on_response(self, packet: Response, now: float) -> None:
        request = self._pending.take(packet.rid)
        if request is None:
            return  # answered before, timed out, or never ours: lisk-p2p ignores it too
        if request.ask_id is not None:
            self._on_application_answer(request.ask_id, request, packet)
            return
        if request.procedure == HANDSHAKE:
            self._on_acknowledged(packet, now)
        elif request.procedure == PING:
            self._on_pong(request, now)  # whatever it holds: an odd one crashes a lisk-p2p listener
        elif packet.bare:
            self._on_own_request_failed(request, "the answer has no data", now)
        elif request.procedure == GET_NODE_INFO:
            self.measured(now - request.sent_at)
            self._on_node_info_answer(packet.data, now)
        else:
            self._on_peers_answer(packet.data, now)
        self._rest(now)

    def _on_error_response(self, packet: ErrorResponse, now: float) -> None:
        request = self._pending.take(packet.rid)
        if request is None:
            return
        if request.ask_id is not None:
            self._on_application_refusal(request.ask_id, packet)
        elif request.procedure == HANDSHAKE:
            self._on_handshake_refused(packet, now)
        elif request.procedure == PING:
            self._on_pong(request, now)  # an error is an answer: the remote lives
        else:
            self._on_own_request_failed(request, packet.message, now)

    def _on_request_timed_out(self, request: PendingRequest, now: float) -> None:
        if request.ask_id is not None:
            self._on_application_timeout(request.ask_id, request)
        elif request.procedure == PING:
            if self._extras.is_held:
                self.put_off(now)  # the answer may be waiting to be read
            else:
                self._close(CloseCode.KEEPALIVE_MISSED_BY_OPENER, "ping was not answered", now)
        else:
            self._on_own_request_failed(request, "no answer in time", now)

    def _on_pong(self, request: PendingRequest, now: float) -> None:
        self.ponged(now - request.sent_at, now)
        self._may_be_sooner(self.next_beat())
        self._tell_standing()

    def _on_own_request_failed(self, request: PendingRequest, why: str, now: float) -> None:
        if self.stage >= _CLOSING:
            return
        if request.procedure == HANDSHAKE:
            self._close(CloseCode.HANDSHAKE_REFUSED, "handshake timed out", now)
        elif request.procedure == GET_NODE_INFO:
            self._give_up(why, now)
        else:
            self._fetch_failed(FailedToFetchPeers, why)
            self._introduced(now)

    # ---- the opener's questions ----

    def _on_acknowledged(self, packet: Response, now: float) -> None:
        try:
            timeout_ms = self._dialect.accept_ack(packet)
        except PacketFault as fault:
            self._close(CloseCode.HANDSHAKE_REFUSED, str(fault), now)
            return
        self.start_heartbeat(now, min(timeout_ms / 1000.0, MAX_PING_TIMEOUT_S))
        self._enter(_NODE_INFO, None)
        self._push_own_info(now)
        self._ask(GET_NODE_INFO, now)

    def _on_handshake_refused(self, packet: ErrorResponse, now: float) -> None:
        """Leave with the code that the listener gives, as a real opener does, unless no close frame may carry it."""
        code = packet.code if packet.code is not None and sendable_close_code(packet.code) else None
        extras = self._extra()
        extras.end = End(code or CloseCode.HANDSHAKE_REFUSED, packet.message, by_us=False)
        self._close(extras.end.code, "", now)
        extras.last = CloseChannel(extras.end.code)

    def _on_node_info_answer(self, data: bytes | None, now: float) -> None:
        info = self._decode_node_info(data, now)
        if info is None:
            if self.stage < _CLOSING:  # a trusted peer is not banned for it, but of no use
                self._give_up("node info is unusable", now)
            return
        refusal = self._dialect.check_compatibility(info, self._own)
        review = self._extras.review
        if review is not None:
            refusal = review(info, self._own, refusal)
        if refusal is not None:
            # lisk-p2p keeps such a connection and its outbound slot for ever.
            self._fetch_failed(FailedToFetchPeerInfo, refusal.reason)
            self._close(refusal.code, refusal.reason, now)
            return
        self._remote = info
        self._emit(UpdatedPeerInfo(peer=self.info()))
        self._enter(_PEERS, None)
        if self.kind is _FEELER:
            # As in Bitcoin Core: it is not there to be told addresses, or it would be worth while to be felt.
            self._introduced(now)
        else:
            self._ask(GET_PEERS, now)

    def _fetch_failed(self, kind: type[FailedToFetchPeerInfo | FailedToFetchPeers], why: str) -> None:
        """Tell it twice, as lisk-p2p does: by what was asked for, and under the name for both."""
        self._emit(kind(peer_id=self.peer_id, reason=why))
        self._emit(FailedToCollectPeerDetailsOnConnect(peer_id=self.peer_id, reason=why))

    def _give_up(self, why: str, now: float) -> None:
        self._fetch_failed(FailedToFetchPeerInfo, why)
        self._close(CloseCode.NORMAL, f"getNodeInfo failed: {why}"[:MAX_REASON_CHARACTERS], now)

    def ask_for_peers(self, now: float) -> list[Effect]:
        """Ask the remote for its peers again."""
        if self.is_connected:
            self._ask(GET_PEERS, now)
        return self._flush()

    def _on_peers_answer(self, data: bytes | None, now: float) -> None:
        limit = self._settings.max_peers_per_answer
        try:
            if data is None:
                raise CodecError("peers", "is missing")
            # Whoever keeps to the protocol's own limit is not punished for a lower one of ours.
            endpoints = self._dialect.decode_peers(data, max(limit, MAX_PEERS))
        except (CodecError, PacketFault) as error:
            self._fetch_failed(FailedToFetchPeers, str(error))
            self._break_rule("invalid_peer_list", now)
        else:
            self._tell(Room.BOOK, PeersAdvertised(self.peer_id, self.endpoint.ip, endpoints[:limit]))
        self._introduced(now)

    def _introduced(self, now: float) -> None:
        if self.stage is _PEERS:
            self._become_ready(now)
            if self.kind is not _FEELER:  # of no use to a program: it ends at once
                self._emit(ConnectOutbound(peer=self._told))
