"""Link: one connection, the whole peer protocol as a state machine.

Three drivers call it, each with the time: what arrives (``on_packets``, ``on_opened``, ``on_closed``), what the node
wants (``send``, ``request``, ``answer``, ``close``, ...), and the clock (``on_time`` at ``next_deadline``). Every call
returns effects; nothing happens by itself, and nothing more after ``on_closed``.

An outbound link goes CONNECTING -> UPGRADING -> HANDSHAKE -> NODE_INFO -> PEERS -> READY -> CLOSING -> CLOSED, an
inbound link CONNECTING -> READY, because the server made the handshake checks. Threats met here and in the layers
below: a remote that stays mute at any step (each has a deadline), that never answers a ping, that asks more than we can
hold (open calls are capped), that sends what no correct peer sends (:mod:`core.penalties`), or that counts on being
acted upon before it is judged: a packet is decoded and validated as a whole first.

Sources: LIP 0004; the behaviour of lisk-p2p 0.10 on the wire (docs/protocol.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.calls import PendingRequests
from core.effects import CloseChannel, Effect, SendPacket, SendPackets
from core.empty import NO_ITEMS
from core.events import FailedToSendMessage, InvalidMessageReceived, MessageReceived, NewInboundPeer
from core.ids import CloseCode, Direction
from core.link_base import Stage
from core.link_calls import PING
from core.link_extras import AT_REST, End, Retirement
from core.link_introduction import HANDSHAKE, POST_NODE_INFO, LinkIntroduction
from core.messages import SendMessage
from core.wire.once import encode_all
from core.wire.packets import (
    Disconnect,
    ErrorResponse,
    KeepAlivePing,
    MalformedRequest,
    Message,
    Packet,
    PacketFault,
    Request,
    Response,
)
from core.wire.payloads import NodeInfo

MAX_STATUS_TEXT_CHARACTERS = 200

RETIRE_STEP_S = 0.5
"""How often a connection that is to end looks whether it is free to: longer than a request is under way, mostly."""

# Members of an enumeration take longer to look up than to compare: those that each message needs.
_HANDSHAKE, _READY, _CLOSING, _CLOSED = Stage.HANDSHAKE, Stage.READY, Stage.CLOSING, Stage.CLOSED


class Link(LinkIntroduction):
    """The peer protocol over one connection. See the module; construction as :class:`core.link_base.LinkBase`."""

    __slots__ = ()

    # ---- start ----

    def start_outbound(self, now: float) -> list[Effect]:
        """The channel is connecting."""
        self._enter(Stage.CONNECTING, now + self._settings.connect_timeout_s)
        return self._flush()

    def on_connected(self, now: float) -> list[Effect]:
        """TCP stands; the HTTP upgrade is under way."""
        if self.stage is Stage.CONNECTING:
            self._enter(Stage.UPGRADING, now + self._settings.upgrade_timeout_s)
        return self._flush()

    def on_opened(self, now: float) -> list[Effect]:
        """The WebSocket is open: shake hands."""
        if self.stage < Stage.HANDSHAKE:
            self._enter(Stage.HANDSHAKE, None)  # the open request has the deadline
            handshake = self._requests().add(HANDSHAKE, None, self._settings.handshake_timeout_s, now)
            self._send(self._dialect.encode_handshake(handshake.cid))
        return self._flush()

    def expect_hand_over(self, now: float) -> list[Effect]:
        """The server is about to hand the connection over; without it this link ends by itself."""
        self._enter(Stage.CONNECTING, now + self._settings.hand_over_timeout_s)
        return self._flush()

    def start_inbound(self, announced: NodeInfo, cid: int | None, session_id: str, now: float) -> list[Effect]:
        """The server's checks are passed: tell our node info, acknowledge the handshake ``cid``, carry messages.

        ``announced`` is what the opener said of itself in its query, ``session_id`` any text (20 characters of
        base64url from real nodes). Too late, if the link has ended meanwhile.
        """
        if self.stage >= Stage.CLOSING:
            return self._flush()
        self._remote = announced
        self._push_own_info(now)
        self.start_heartbeat(now, beats=self._dialect.keep_alive_ping is not None)
        if cid:
            self._send(self._dialect.encode_ack(cid, session_id, round(self.timeout_s * 1000)))
        self._become_ready(now)
        self._emit(NewInboundPeer(peer=self.info()))
        return self._flush()

    # ---- what arrives ----

    def on_packets(self, messages: Sequence[tuple[bytes, bool]], now: float) -> list[Effect]:
        """Whole WebSocket messages as (payload, is binary), in order of arrival.

        What follows a packet that ends the connection is not acted upon (lisk-p2p executes first and judges later).
        """
        if not _HANDSHAKE <= self.stage < _CLOSING:
            return self._flush()
        self.heard_at = now
        penalty = self.count_packets(len(messages), now)
        if penalty:
            self._punish(penalty, "packet_rate", now)
        for payload, binary in messages:
            if self.stage >= _CLOSING:
                break
            if self.stage is _HANDSHAKE:
                self._dialect = self._dialect.settle(payload, self._own)
            try:
                packets = self._dialect.decode_packets(payload, binary=binary)
            except PacketFault as fault:
                self._on_fault(fault, now)
                packets = ()
            if len(packets) > 1:  # the message itself is counted already
                self._punish(self.count_packets(len(packets) - 1, now), "packet_rate", now)
            self._handle(packets, now)
        # Keep-alives alone are not worth a report: the bytes of a connection at rest are told with its next message.
        if self._traffic_at is None and self.traffic.has_packets():
            self._count_traffic(now)
        if self.is_over_rate:
            self.sooner = True
        return self._flush()

    def _handle(self, packets: Sequence[Packet], now: float) -> None:
        """Act upon packets until one of them ends the connection. The hot path of receiving."""
        if self.stage >= _CLOSING:
            return
        if self._events is NO_ITEMS:
            self._events = []
        handlers, peer_id, add_event = _PACKET_HANDLERS, self._told.peer_id, self._events.append
        messages = 0
        for packet in packets:
            if type(packet) is Message and packet.event != POST_NODE_INFO:
                messages += 1
                add_event(MessageReceived(peer_id=peer_id, event=packet.event, data=packet.data))
                continue
            handler = handlers.get(type(packet))
            if handler is not None:
                handler(self, packet, now)
                if self.stage >= _CLOSING:
                    break
        self.traffic.messages_received += messages

    def on_control_frame(self, now: float) -> list[Effect]:
        """A WebSocket PING or PONG: not part of this protocol, in either direction."""
        if Stage.HANDSHAKE <= self.stage < Stage.CLOSING:
            self._count_traffic(now)
            self._on_fault(PacketFault("control_frame", "a WebSocket ping or pong"), now)
        return self._flush()

    def on_refused(self, status: int, body: str, now: float) -> list[Effect]:
        """The remote refused the upgrade with an HTTP status; the channel closes."""
        extras = self._extra()
        extras.end = extras.end or End(status, f"HTTP {status}: {body[:MAX_STATUS_TEXT_CHARACTERS]}", by_us=False)
        return self._flush()

    def _on_fault(self, fault: PacketFault, now: float) -> None:
        self.traffic.errors += 1
        self._emit(InvalidMessageReceived(peer_id=self.peer_id, rule=fault.rule, detail=fault.detail))
        self._break_rule(fault.rule, now)

    def _on_node_info_message(self, packet: Message, now: float) -> None:
        self._on_node_info_pushed(packet.data, now)

    def _on_keep_alive(self, packet: KeepAlivePing, now: float) -> None:
        if self.direction is Direction.OUTBOUND:
            if self._dialect.keep_alive_pong is not None:
                self._send(self._dialect.keep_alive_pong)
            self._tell_standing()
        else:
            self._on_fault(PacketFault("keep_alive_from_opener", "#1 is the listener's to send"), now)

    def _on_disconnect(self, packet: Disconnect, now: float) -> None:
        code = packet.code or CloseCode.NORMAL
        extras = self._extra()
        extras.end = End(code, packet.reason, by_us=False)
        extras.said_goodbye = True
        if self.stage is Stage.HANDSHAKE:
            extras.last = CloseChannel(CloseCode.HANDSHAKE_REFUSED)
        else:
            if self.direction is Direction.OUTBOUND:
                self._send(self._dialect.encode_disconnect(code, packet.reason))
            # lisk-p2p listeners leave the socket open here and stop counting it (40 sockets with a limit of 5 were
            # seen); we always follow up, and on_time() destroys what does not close.
            extras.last = CloseChannel(code)
        self._enter(Stage.CLOSING, now + self._settings.close_timeout_s)

    # ---- what the node wants ----

    def send(self, event: str, data: bytes | None, now: float) -> list[Effect]:
        """Send a one-way message. What cannot be sent any more, or not yet, is reported, not kept."""
        if self.stage is _READY:
            if self._traffic_at is None:
                self._count_traffic(now)
            self.traffic.messages_sent += 1
            packet = SendPacket(self._dialect.encode_message(event, data))
            if self._corked is None:
                return [packet]  # nothing else is ever left of an earlier input
            self._put(packet)
        else:
            self.traffic.messages_dropped += 1
            reason = "the connection is closing" if self.stage >= Stage.CLOSING else "the connection is not ready"
            self._emit(FailedToSendMessage(peer_id=self.peer_id, event=event, reason=reason))
        return self._flush()

    def send_all(self, messages: Sequence[SendMessage], now: float) -> list[Effect]:
        """Send several one-way messages, as :meth:`send` does each: one effect for all (1.0 us less a message)."""
        if not self.is_connected:
            return [effect for message in messages for effect in self.send(message.event, message.data, now)]
        self._count_traffic(now)
        self.traffic.messages_sent += len(messages)
        self._put(SendPackets(encode_all(self._dialect.encode_message, messages)))
        return self._flush()

    def retire(self, code: int, reason: str, now: float) -> list[Effect]:
        """Close in order when every request on this connection, ours and the remote's, is answered.

        Not before :data:`RETIRE_STEP_S`, for some may be under way; at the latest after a request's time. A connection
        that does not carry messages is closed at once.
        """
        if self.is_connected:
            until = now + self._request_timeout_s()
            self._extra().retirement = Retirement(code, reason, min(now + RETIRE_STEP_S, until), until)
            self.sooner = True
            return self._flush()
        return self.close(code, reason, now)

    def _retire_if_free(self, retirement: Retirement, now: float) -> None:
        extras = self._extra()
        if now < retirement.until and (len(self._pending) or extras.calls):
            extras.retirement = retirement._replace(look_at=min(now + RETIRE_STEP_S, retirement.until))
        else:
            extras.retirement = None
            self._close(retirement.code, retirement.reason, now)

    def on_overflow(self, now: float) -> list[Effect]:
        """The send queue is full: a remote that does not read is dropped, not buffered."""
        self._abort(CloseCode.ABNORMAL, "send queue is full: the peer does not read")
        return self._flush()

    def hold(self, held: bool, now: float) -> list[Effect]:
        """Nothing is read from the remote while those who want its messages have too many already.

        That it is not heard then is not its fault: silence and pings without an answer do not count.
        """
        self._extra().is_held = held
        if not held:
            self.heard_at = now
        return self._flush()

    # ---- the clock ----

    def on_time(self, now: float) -> list[Effect]:
        """Do everything that is due at ``now``."""
        self.sooner = True
        if self.stage is _CLOSED:
            return self._flush()
        # One object tells that a connection is at rest, and has nothing of all that the two look at.
        if self._extras is not AT_REST:
            self._give_up_if_stuck(now)
        if type(self._pending) is PendingRequests:
            for request in self._pending.take_expired(now):
                self._on_request_timed_out(request, now)
        if self.is_over_rate and _HANDSHAKE < self.stage < _CLOSING:
            self._punish(self.settle_packets(now), "packet_rate", now)
        if _HANDSHAKE < self.stage < _CLOSING:
            self._on_heartbeat(now)
        if self._extras is not AT_REST:
            self._do_what_was_put_off(now)
        if self._traffic_at is not None and self._traffic_at <= now:
            self._report_traffic()
        return self._flush()

    def _give_up_if_stuck(self, now: float) -> None:
        extras = self._extras
        if extras.step_deadline is not None and extras.step_deadline <= now:
            self._abort(CloseCode.ABNORMAL, self._overdue())
        stalls_at = extras.outflow.stalls_at
        if stalls_at is not None and stalls_at <= now:
            self._abort(CloseCode.ABNORMAL, f"the peer has read nothing for {self._settings.send_stall_timeout_s:g} s")

    def _do_what_was_put_off(self, now: float) -> None:
        extras = self._extras
        if extras.push_at is not None and extras.push_at <= now and _HANDSHAKE < self.stage < _CLOSING:
            self._push_own_info(now)
        if extras.retirement is not None and extras.retirement.look_at <= now:
            self._retire_if_free(extras.retirement, now)

    def _overdue(self) -> str:
        if self.stage is Stage.CONNECTING:
            return "connect timed out" if self.direction is Direction.OUTBOUND else "hand-over timed out"
        return "HTTP upgrade timed out" if self.stage is Stage.UPGRADING else "close timed out"

    def _on_heartbeat(self, now: float) -> None:
        is_held = self._extras.is_held
        if is_held:
            self.heard_at = now
        if self.silent_at() <= now:
            outbound = self.direction is Direction.OUTBOUND
            code = CloseCode.KEEPALIVE_MISSED_BY_LISTENER if outbound else CloseCode.KEEPALIVE_MISSED_BY_OPENER
            self._close(code, "silent for too long", now, announce=False)
            return
        if self.beat_at is not None and self.beat_at <= now:
            if self._dialect.keep_alive_ping is not None:
                self._send(self._dialect.keep_alive_ping)
            self.beaten(now)
        if self.ping_at is not None and self.ping_at <= now:
            self.pinged()
            if is_held:
                self.put_off(now)
            else:
                self._ask(PING, now)


_PACKET_HANDLERS: dict[type, Callable[[Link, Any, float], None]] = {
    Message: Link._on_node_info_message,  # every other is an event
    Request: Link._on_request,
    Response: Link._on_response,
    ErrorResponse: Link._on_error_response,
    KeepAlivePing: Link._on_keep_alive,
    Disconnect: Link._on_disconnect,
    MalformedRequest: Link._on_malformed_request,
}
"""Packets without a row need no action: ``#2`` (heard), a second ``#handshake``, unknown events, malformed messages."""
