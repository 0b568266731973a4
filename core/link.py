"""Link: one connection, the whole peer protocol as a state machine.

Three drivers call it, each with the time: what arrives (``on_packets``, ``on_opened``, ``on_closed``), what the node
wants (``send``, ``request``, ``answer``, ``close``, ...), and the clock (``on_time`` at ``next_deadline``). Every call
returns effects; nothing happens by itself.

An outbound link goes CONNECTING -> UPGRADING -> HANDSHAKE -> NODE_INFO -> PEERS -> READY -> CLOSING -> CLOSED, an
inbound link starts at READY, because the server made the handshake checks. Threats met here: a remote that stays mute
at any step (each has a deadline), that never answers a ping, that asks more than we can hold (open calls are capped),
that sends what no correct peer sends (:mod:`core.penalties`), or that counts on being acted upon before it is judged:
a packet is decoded and validated as a whole first.

Sources: LIP 0004; the behaviour of lisk-p2p 0.10 on the wire (docs/protocol.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from core.calls import PendingRequest
from core.effects import CloseChannel, Effect, Reply, Room
from core.errors import RequestFailed, RequestRefused, RequestTimedOut
from core.events import (
    ConnectOutbound,
    FailedPeerInfoUpdate,
    FailedToFetchPeerInfo,
    FailedToFetchPeers,
    InvalidMessageReceived,
    InvalidRequestReceived,
    MessageReceived,
    NewInboundPeer,
    RequestReceived,
    UpdatedPeerInfo,
)
from core.ids import CloseCode, Direction, Endpoint
from core.link_base import Ending, LinkBase, Stage
from core.messages import (
    Failed,
    GetSample,
    PeerConnected,
    PeersAdvertised,
    PeerUpdated,
    RequestAnswered,
)
from core.rate import WindowCounter
from core.wire.codec import CodecError
from core.wire.packets import (
    Disconnect,
    ErrorResponse,
    KeepAlivePing,
    MalformedRequest,
    Message,
    PacketFault,
    Request,
    Response,
)
from core.wire.payloads import NodeInfo
from core.wire.query import check_compatibility

GET_NODE_INFO = "getNodeInfo"
GET_PEERS = "getPeers"
POST_NODE_INFO = "postNodeInfo"
PING = "ping"
OWN_INFO_PER_WINDOW = 3
"""LIP 0004, "Penalties and bans": we ourselves send at most 3 postNodeInfo within 10 s."""
OWN_INFO_WINDOW_S = 10.0
MAX_PING_TIMEOUT_S = 600.0
"""A listener's ``pingTimeout`` beyond this would let a dead connection hold its slot; real ones say 20 s."""


class Link(LinkBase):
    """The peer protocol over one connection. See the module's docstring; construction as :class:`LinkBase`."""

    def __init__(self, **base: Any) -> None:
        super().__init__(**base)
        self._own_infos_sent = WindowCounter(OWN_INFO_WINDOW_S)
        self._push_at: float | None = None

    # ---- start ----

    def start_outbound(self, now: float) -> list[Effect]:
        """The channel is connecting."""
        self._enter(Stage.CONNECTING, now + self._settings.connect_timeout_s)
        return self._flush()

    def on_connected(self, now: float) -> list[Effect]:
        """TCP stands; the HTTP upgrade is under way."""
        self._enter(Stage.UPGRADING, now + self._settings.upgrade_timeout_s)
        return self._flush()

    def on_opened(self, now: float) -> list[Effect]:
        """The WebSocket is open: shake hands."""
        self._enter(Stage.HANDSHAKE, now + self._settings.handshake_timeout_s)
        self._heartbeat.heard(now)
        handshake = self._pending.add("#handshake", 0, self._settings.handshake_timeout_s, now)
        self._send(self._dialect.encode_handshake(handshake.cid))
        return self._flush()

    def start_inbound(self, announced: NodeInfo, cid: int | None, session_id: str, now: float) -> list[Effect]:
        """The server's checks are passed: tell our node info, acknowledge the handshake ``cid``, carry messages.

        ``announced`` is what the opener said of itself in its query, ``session_id`` any text (20 characters of
        base64url from real nodes).
        """
        self._remote = announced
        self._push_own_info(now)
        if cid:
            timeout_ms = round(self._settings.keep_alive_timeout_s * 1000)
            self._send(self._dialect.encode_ack(cid, session_id, timeout_ms))
        self._heartbeat.start(now)
        self._become_ready(now)
        self._events.append(NewInboundPeer(peer=self.info()))
        return self._flush()

    def expect_hand_over(self, now: float) -> list[Effect]:
        """The server is about to hand the connection over; without it this link ends by itself."""
        self._enter(Stage.CONNECTING, now + self._settings.close_timeout_s)
        return self._flush()

    def _become_ready(self, now: float) -> None:
        self._enter(Stage.READY, None)
        self._connected_at = now
        self._tell(Room.POOL, PeerConnected(self.info()))

    # ---- what arrives ----

    def on_packets(self, packets: Sequence[tuple[bytes, bool]], now: float) -> list[Effect]:
        """Whole WebSocket messages as (payload, is binary), in order of arrival."""
        self._heartbeat.heard(now)
        self._count_traffic(now)
        self._punish(self._conduct.packets(len(packets), now), "packet_rate", now)
        decode = self._dialect.decode_packet
        handlers = _PACKET_HANDLERS
        for payload, binary in packets:
            if self.stage >= Stage.CLOSING:
                break
            try:
                packet = decode(payload, binary=binary)
            except PacketFault as fault:
                self._on_fault(fault, now)
                continue
            handler = handlers.get(type(packet))
            if handler is not None:
                handler(self, packet, now)
        return self._flush()

    def on_control_frame(self, now: float) -> list[Effect]:
        """A WebSocket PING or PONG: not part of this protocol."""
        self._events.append(InvalidMessageReceived(peer_id=self.peer_id, rule="control_frame", detail="ping or pong"))
        self._break_rule("control_frame", now)
        return self._flush()

    def on_refused(self, status: int, body: str, now: float) -> list[Effect]:
        """The remote refused the upgrade with an HTTP status; the channel closes."""
        self._end = self._end or (status, f"HTTP {status}: {body[:200]}", Ending.BY_REMOTE)
        return self._flush()

    def _on_fault(self, fault: PacketFault, now: float) -> None:
        self.traffic.errors += 1
        self._events.append(InvalidMessageReceived(peer_id=self.peer_id, rule=fault.rule, detail=fault.detail))
        if self.stage is Stage.HANDSHAKE:
            self._close(CloseCode.HANDSHAKE_REFUSED, f"unusable packet in the handshake: {fault.rule}", now)
        else:
            self._break_rule(fault.rule, now)

    def _on_keep_alive(self, packet: KeepAlivePing, now: float) -> None:
        if self.direction is Direction.OUTBOUND:
            self._send(self._dialect.keep_alive_pong)
        else:
            self._on_fault(PacketFault("keep_alive_from_opener", "#1 is the listener's to send"), now)

    def _on_disconnect(self, packet: Disconnect, now: float) -> None:
        code = packet.code or CloseCode.NORMAL
        self._end = self._end or (code, packet.reason, Ending.BY_REMOTE)
        if self.direction is Direction.OUTBOUND and self.stage is not Stage.HANDSHAKE:
            self._send(self._dialect.encode_disconnect(code, packet.reason))
        # lisk-p2p listeners leave the socket open here and stop counting it (40 sockets with a limit of 5 were seen);
        # we always follow up, and on_time() destroys what does not close.
        self._out.append(CloseChannel(CloseCode.HANDSHAKE_REFUSED if self.stage is Stage.HANDSHAKE else code))
        self._enter(Stage.CLOSING, now + self._settings.close_timeout_s)

    def _on_message(self, packet: Message, now: float) -> None:
        if packet.event == POST_NODE_INFO:
            self._on_node_info_pushed(packet.data, now)
            return
        self.traffic.messages_received += 1
        self._events.append(MessageReceived(peer_id=self.peer_id, event=packet.event, data=packet.data))

    def _on_request(self, packet: Request, now: float) -> None:
        self.traffic.requests_received += 1
        protocol = _PROTOCOL_PROCEDURES.get(packet.procedure)
        if protocol is not None:
            protocol(self, packet, now)
            return
        call_id = packet.cid or None
        if call_id is not None and not self._calls.open(call_id, now):
            self._send(self._dialect.encode_error(call_id, "Too many unanswered requests on this connection"))
            return
        self._events.append(
            RequestReceived(peer_id=self.peer_id, procedure=packet.procedure, data=packet.data, call_id=call_id)
        )

    def _on_malformed_request(self, packet: MalformedRequest, now: float) -> None:
        detail = "RPC request format is invalid."
        self._events.append(InvalidRequestReceived(peer_id=self.peer_id, detail=detail))
        if packet.cid:
            self._send(self._dialect.encode_error(packet.cid, detail))

    # ---- the protocol's own procedures ----

    def _on_get_node_info(self, packet: Request, now: float) -> None:
        if packet.data:
            self._break_rule("protocol_request_with_data", now)
            return
        if self._conduct.node_info_asked():
            self._break_rule("get_node_info_repeated", now)
        self._respond(packet.cid, self._dialect.encode_node_info(self._own))

    def _on_get_peers(self, packet: Request, now: float) -> None:
        if packet.data:
            self._break_rule("protocol_request_with_data", now)
            return
        if self._conduct.peers_asked(now):
            self._break_rule("get_peers_repeated", now)
        if packet.cid and self._calls.open(packet.cid, now):
            self._tell(Room.BOOK, GetSample(packet.cid))

    def on_sample(self, call_id: int, endpoints: Sequence[Endpoint]) -> list[Effect]:
        """The book's answer to a remote's getPeers."""
        if self.is_connected and self._calls.close(call_id):
            self._respond(call_id, self._dialect.encode_peers(endpoints))
        return self._flush()

    def _on_ping(self, packet: Request, now: float) -> None:
        self._respond(packet.cid, self._dialect.ping_answer())

    def _respond(self, cid: int | None, data: bytes | None) -> None:
        if cid and self.stage < Stage.CLOSING:
            self._send(self._dialect.encode_response(cid, data, self.peer_id))

    def _on_node_info_pushed(self, data: bytes | None, now: float) -> None:
        if self._conduct.node_info_pushed(now):
            self._break_rule("node_info_rate", now)
        info = self._decode_node_info(data, now)
        if info is None or self.stage >= Stage.CLOSING:
            return
        # Only the options of a pushed node info count: chain, version and nonce were settled at the handshake, and a
        # remote must not be able to change them afterwards.
        known = self._remote
        self._remote = info if known is None else replace(known, options=info.options)
        if self.is_connected:
            self._tell(Room.POOL, PeerUpdated(self.info()))
        self._events.append(UpdatedPeerInfo(peer=self.info()))

    def _decode_node_info(self, data: bytes | None, now: float) -> NodeInfo | None:
        try:
            if data is None:
                raise CodecError("node info", "is missing")
            if len(data) > self._settings.max_node_info_bytes:
                raise CodecError("node info", f"{len(data)} bytes, {self._settings.max_node_info_bytes} are allowed")
            return self._dialect.decode_node_info(data)
        except (CodecError, PacketFault) as error:
            self._events.append(FailedPeerInfoUpdate(peer_id=self.peer_id, reason=str(error)))
            self._break_rule("invalid_node_info", now)
            return None

    # ---- answers to our requests ----

    def _on_response(self, packet: Response, now: float) -> None:
        request = self._pending.take(packet.rid)
        if request is None:
            return  # answered before, timed out, or never ours: lisk-p2p ignores it too
        if request.ask_id:
            self._on_application_answer(request, packet)
        elif self.stage is Stage.HANDSHAKE:
            self._on_acknowledged(packet, now)
        elif request.procedure == PING:
            self._heartbeat.ponged(now - request.sent_at, now)
            self._tell(Room.POOL, PeerUpdated(self.info()))
        elif request.procedure == GET_NODE_INFO:
            self._heartbeat.measured(now - request.sent_at)
            self._on_node_info_answer(packet.data, now)
        elif request.procedure == GET_PEERS:
            self._on_peers_answer(packet, now)

    def _on_error_response(self, packet: ErrorResponse, now: float) -> None:
        request = self._pending.take(packet.rid)
        if request is None:
            return
        if request.ask_id:
            self._out.append(Reply(request.ask_id, Failed(0, RequestRefused(packet.message, self.peer_id))))
        elif self.stage is Stage.HANDSHAKE:
            self._close(packet.code or CloseCode.HANDSHAKE_REFUSED, packet.message, now)
        else:
            self._on_own_request_failed(request, packet.message, now)

    def _on_application_answer(self, request: PendingRequest, packet: Response) -> None:
        if packet.malformed or packet.bare:
            error = RequestFailed(f"{self.peer_id} answered {request.procedure!r} in an unknown form", self.peer_id)
            self._out.append(Reply(request.ask_id, Failed(0, error)))
        else:
            self._out.append(Reply(request.ask_id, RequestAnswered(0, self.peer_id, packet.data)))

    def _on_acknowledged(self, packet: Response, now: float) -> None:
        try:
            timeout_ms = self._dialect.accept_ack(packet)
        except PacketFault as fault:
            self._on_fault(fault, now)
            return
        self._heartbeat.start(now, min(timeout_ms / 1000.0, MAX_PING_TIMEOUT_S))
        self._enter(Stage.NODE_INFO, None)
        self._push_own_info(now)
        self._ask(GET_NODE_INFO, now)

    def _on_node_info_answer(self, data: bytes | None, now: float) -> None:
        info = self._decode_node_info(data, now)
        if info is None:
            if self.stage < Stage.CLOSING:  # a trusted peer is not banned for it, but of no use
                self._give_up("node info is unusable", now)
            return
        refusal = check_compatibility(info, self._own)
        if refusal is not None:
            # lisk-p2p keeps such a connection and its outbound slot for ever.
            self._events.append(FailedToFetchPeerInfo(peer_id=self.peer_id, reason=refusal.reason))
            self._close(refusal.code, refusal.reason, now)
            return
        self._remote = info
        if self.stage is Stage.NODE_INFO:
            self._enter(Stage.PEERS, None)
            self._ask(GET_PEERS, now)

    def _on_peers_answer(self, packet: Response, now: float) -> None:
        try:
            if packet.data is None:
                raise CodecError("peers", "is missing")
            endpoints = self._dialect.decode_peers(packet.data)
        except (CodecError, PacketFault) as error:
            self._events.append(FailedToFetchPeers(peer_id=self.peer_id, reason=str(error)))
            self._break_rule("invalid_peer_list", now)
        else:
            self._tell(Room.BOOK, PeersAdvertised(self.peer_id, self.endpoint.ip, tuple(endpoints)))
        self._introduced(now)

    def _introduced(self, now: float) -> None:
        if self.stage is Stage.PEERS:
            self._become_ready(now)
            self._events.append(ConnectOutbound(peer=self.info()))

    def _on_own_request_failed(self, request: PendingRequest, why: str, now: float) -> None:
        if request.procedure == GET_NODE_INFO:
            self._give_up(why, now)
        elif request.procedure == GET_PEERS:
            self._events.append(FailedToFetchPeers(peer_id=self.peer_id, reason=why))
            self._introduced(now)
        elif request.procedure == PING:
            # An error is an answer: the remote lives. (lisk-p2p listeners hand "ping" to their application.)
            self._heartbeat.ponged(now - request.sent_at, now)

    def _give_up(self, why: str, now: float) -> None:
        self._events.append(FailedToFetchPeerInfo(peer_id=self.peer_id, reason=why))
        self._close(CloseCode.NORMAL, f"getNodeInfo failed: {why}"[:200], now)

    # ---- what the node wants ----

    def send(self, event: str, data: bytes | None, now: float) -> list[Effect]:
        """Send a one-way message. Only for a connected link."""
        self._count_traffic(now)
        self.traffic.messages_sent += 1
        self._send(self._dialect.encode_message(event, data))
        return self._flush()

    def request(
        self, ask_id: int, procedure: str, data: bytes | None, timeout_s: float | None, now: float
    ) -> list[Effect]:
        """Ask the remote; the answer comes as :class:`Reply` to ``ask_id`` (at least 1)."""
        if not self.is_connected:
            error: RequestFailed = RequestFailed(f"{self.peer_id} is not connected", self.peer_id)
            return [Reply(ask_id, Failed(0, error))]
        if len(self._pending) >= self._settings.max_pending_requests:
            error = RequestFailed(f"{len(self._pending)} requests to {self.peer_id} wait for an answer", self.peer_id)
            return [Reply(ask_id, Failed(0, error))]
        self._count_traffic(now)
        self.traffic.requests_sent += 1
        request = self._pending.add(procedure, ask_id, timeout_s or self._request_timeout_s(), now)
        self._send(self._dialect.encode_request(procedure, data, request.cid))
        return self._flush()

    def answer(self, call_id: int, data: bytes | None) -> list[Effect]:
        """Answer a remote's request; a second answer, or one to a call that is not open, is ignored."""
        if self._calls.close(call_id):
            self._respond(call_id, data)
        return self._flush()

    def refuse(self, call_id: int, message: str) -> list[Effect]:
        """Answer a remote's request with an error."""
        if self._calls.close(call_id) and self.stage < Stage.CLOSING:
            self._send(self._dialect.encode_error(call_id, message))
        return self._flush()

    def on_overflow(self, now: float) -> list[Effect]:
        """The send queue is full: a remote that does not read is dropped, not buffered."""
        self._abort(CloseCode.ABNORMAL, "send queue is full: the peer does not read")
        return self._flush()

    def ask_for_peers(self, now: float) -> list[Effect]:
        """Ask the remote for its peers again."""
        if self.is_connected:
            self._ask(GET_PEERS, now)
        return self._flush()

    def push_node_info(self, own: NodeInfo, now: float) -> list[Effect]:
        """Our node info changed: tell the remote, at most 3 times within 10 s, the last state always."""
        self._own = own
        if Stage.HANDSHAKE < self.stage < Stage.CLOSING:
            self._push_own_info(now)
        return self._flush()

    def _push_own_info(self, now: float) -> None:
        if self._push_at is not None:
            return
        if self._own_infos_sent.add(now) > OWN_INFO_PER_WINDOW:
            self._push_at = self._own_infos_sent.ends_at()
            return
        self._send(self._dialect.encode_message(POST_NODE_INFO, self._dialect.encode_node_info(self._own)))

    def _ask(self, procedure: str, now: float) -> None:
        request = self._pending.add(procedure, 0, self._request_timeout_s(), now)
        self._send(self._dialect.encode_request(procedure, None, request.cid))

    def _request_timeout_s(self) -> float:
        if self.direction is Direction.OUTBOUND:
            return self._settings.request_timeout_outbound_s
        return self._settings.request_timeout_inbound_s

    # ---- the clock ----

    def next_deadline(self) -> float | None:
        """As :meth:`LinkBase.next_deadline`, with the delayed push of our node info."""
        deadline = super().next_deadline()
        if self._push_at is not None and self.stage < Stage.CLOSING:
            return self._push_at if deadline is None else min(deadline, self._push_at)
        return deadline

    def on_time(self, now: float) -> list[Effect]:
        """Do everything that is due at ``now``."""
        if self._step_deadline is not None and self._step_deadline <= now:
            self._on_step_timed_out()
        for request in self._pending.take_expired(now):
            self._on_request_timed_out(request, now)
        if Stage.HANDSHAKE < self.stage < Stage.CLOSING:
            self._punish(self._conduct.settle_packets(now), "packet_rate", now)
            self._on_heartbeat(now)
        if self._push_at is not None and self._push_at <= now:
            self._push_at = None
            if self.stage < Stage.CLOSING:
                self._push_own_info(now)
        if self._traffic_at is not None and self._traffic_at <= now:
            self._report_traffic()
        return self._flush()

    def _on_step_timed_out(self) -> None:
        what = {
            Stage.CONNECTING: "connect timed out",
            Stage.UPGRADING: "HTTP upgrade timed out",
            Stage.HANDSHAKE: "handshake timed out",
        }.get(self.stage, "close timed out")
        self._abort(CloseCode.ABNORMAL, what)

    def _on_request_timed_out(self, request: PendingRequest, now: float) -> None:
        if request.ask_id:
            text = f"{self.peer_id} did not answer {request.procedure!r} in {request.deadline - request.sent_at:g} s"
            self._out.append(Reply(request.ask_id, Failed(0, RequestTimedOut(text, self.peer_id))))
        elif request.procedure == PING:
            self._close(CloseCode.KEEPALIVE_MISSED_BY_OPENER, "ping was not answered", now)
        elif self.stage > Stage.HANDSHAKE:
            self._on_own_request_failed(request, "no answer in time", now)

    def _on_heartbeat(self, now: float) -> None:
        if self.stage >= Stage.CLOSING:
            return
        heartbeat = self._heartbeat
        if heartbeat.silent_at() <= now:
            outbound = self.direction is Direction.OUTBOUND
            code = CloseCode.KEEPALIVE_MISSED_BY_LISTENER if outbound else CloseCode.KEEPALIVE_MISSED_BY_OPENER
            self._close(code, "silent for too long", now, announce=False)
            return
        if heartbeat.beat_at is not None and heartbeat.beat_at <= now:
            self._send(self._dialect.keep_alive_ping)
            heartbeat.beaten(now)
        if heartbeat.ping_at is not None and heartbeat.ping_at <= now:
            heartbeat.pinged()
            self._ask(PING, now)


_PACKET_HANDLERS: dict[type, Callable[[Link, Any, float], None]] = {
    Message: Link._on_message,
    Request: Link._on_request,
    Response: Link._on_response,
    ErrorResponse: Link._on_error_response,
    KeepAlivePing: Link._on_keep_alive,
    Disconnect: Link._on_disconnect,
    MalformedRequest: Link._on_malformed_request,
}
"""Packets without a row need no action: ``#2`` (it was heard), a second ``#handshake``, unknown events, bad messages."""

_PROTOCOL_PROCEDURES: dict[str, Callable[[Link, Request, float], None]] = {
    GET_NODE_INFO: Link._on_get_node_info,
    GET_PEERS: Link._on_get_peers,
    PING: Link._on_ping,
}
