"""Requests over one connection: ours to the remote, and the remote's to us, each answered once, refused, or timed out.

Threats: a remote that asks more than we answer, or never answers (both queues are capped and expire), and one that
repeats the protocol's own questions to keep us busy (LIP 0004: each costs points).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.calls import OpenCalls, PendingRequest, ResponseRate
from core.effects import AskId, Effect, Reply, Room, request_id_of
from core.errors import RequestFailed, RequestRefused, RequestTimedOut
from core.events import InvalidRequestReceived, RequestReceived
from core.house_messages import (
    GetSample,
)
from core.ids import Direction, Endpoint
from core.link_base import LinkBase, Stage
from core.messages import (
    Failed,
    RequestAnswered,
)
from core.wire.packets import ErrorCode, ErrorResponse, MalformedRequest, Request, Response

GET_NODE_INFO = "getNodeInfo"
GET_PEERS = "getPeers"
PING = "ping"

TOO_MANY_CALLS = "Too many unanswered requests on this connection"
BAD_CALL = "RPC request format is invalid."
"""lisk-p2p's text."""

_OUTBOUND, _CLOSING = Direction.OUTBOUND, Stage.CLOSING  # a lookup in an enumeration takes longer than a comparison


class LinkCalls(LinkBase):
    """The layer of requests and answers."""

    __slots__ = ()

    # ---- ours ----

    def request(
        self, ask_id: AskId, procedure: str, data: bytes | None, timeout_s: float | None, now: float
    ) -> list[Effect]:
        """Ask the remote; the answer comes as :class:`Reply` to ``ask_id`` (0: nobody waits for it).

        ``timeout_s`` None: the configured time for the connection's direction.
        """
        if self.stage is not Stage.READY:
            error: RequestFailed = RequestFailed(f"{self.peer_id} is not connected", self.peer_id)
            self._put(Reply(ask_id, Failed(0, error)))
            return self._flush()
        if len(self._pending) >= self._settings.max_pending_requests:
            error = RequestFailed(f"{len(self._pending)} requests to {self.peer_id} wait for an answer", self.peer_id)
            self._put(Reply(ask_id, Failed(0, error)))
            return self._flush()
        if self._traffic_at is None:
            self._count_traffic(now)
        self.traffic.requests_sent += 1
        request = self._requests().add(procedure, ask_id, timeout_s or self._request_timeout_s(), now)
        self._may_be_sooner(request.deadline)
        self._send(self._dialect.encode_request(procedure, data, request.cid))
        return self._flush()

    def _ask(self, procedure: str, now: float) -> None:
        """Ask on the link's own behalf."""
        cid = self._requests().add(procedure, None, self._request_timeout_s(), now).cid
        self.sooner = True
        encode_ping, encode_request = self._dialect.encode_ping, self._dialect.encode_request
        self._send(encode_ping(cid) if procedure == PING else encode_request(procedure, None, cid))

    def _request_timeout_s(self) -> float:
        if self.direction is _OUTBOUND:
            return self._settings.request_timeout_outbound_s
        return self._settings.request_timeout_inbound_s

    def _on_application_answer(self, ask_id: AskId, request: PendingRequest, packet: Response) -> None:
        self._settled_requests().answered += 1
        if packet.malformed or packet.bare:
            error = RequestFailed(f"{self.peer_id} answered {request.procedure!r} in an unknown form", self.peer_id)
            self._put(Reply(ask_id, Failed(0, error)))
        else:
            self._put(Reply(ask_id, RequestAnswered(request_id_of(ask_id), self.peer_id, packet.data)))

    def _on_application_refusal(self, ask_id: AskId, packet: ErrorResponse) -> None:
        self._settled_requests().answered += 1
        self._put(Reply(ask_id, Failed(0, RequestRefused(packet.message, self.peer_id, packet.code))))

    def _on_application_timeout(self, ask_id: AskId, request: PendingRequest) -> None:
        self._settled_requests().unanswered += 1
        text = f"{self.peer_id} did not answer {request.procedure!r} in {request.deadline - request.sent_at:g} s"
        self._put(Reply(ask_id, Failed(0, RequestTimedOut(text, self.peer_id))))

    def _settled_requests(self) -> ResponseRate:
        extras = self._extra()
        if extras.response_rate is None:
            extras.response_rate = ResponseRate()
        return extras.response_rate

    # ---- the remote's ----

    def answer(self, call_id: int, data: bytes | None) -> list[Effect]:
        """Answer a remote's request; a second answer, or one to a call that is not open, is ignored."""
        if self._close_call(call_id):
            self._respond(call_id, data)
        return self._flush()

    def refuse(self, call_id: int, message: str) -> list[Effect]:
        """Answer a remote's request with an error."""
        if self._close_call(call_id) and self.stage < _CLOSING:
            self._send(self._dialect.encode_error(call_id, message, ErrorCode.PROGRAM))
        return self._flush()

    def on_sample(self, call_id: int, endpoints: Sequence[Endpoint]) -> list[Effect]:
        """The book's answer to a remote's getPeers."""
        if self._close_call(call_id):
            self._respond(call_id, self._dialect.encode_peers(endpoints[: self._settings.max_peers_per_answer]))
        return self._flush()

    def _on_request(self, packet: Request, now: float) -> None:
        self.traffic.requests_received += 1
        protocol = _PROTOCOL_PROCEDURES.get(packet.procedure)
        if protocol is not None:
            protocol(self, packet, now)
        elif not packet.cid or self._open_call(packet.cid, now):
            self._emit(
                RequestReceived(
                    peer_id=self.peer_id,
                    procedure=packet.procedure,
                    data=packet.data,
                    call_id=packet.cid or None,
                )
            )

    def _open_call(self, cid: int, now: float) -> bool:
        extras = self._extra()
        if extras.calls is None:
            extras.calls = OpenCalls(self._settings.max_open_calls, self._settings.open_call_expiry_s)
        if extras.calls.open(cid, now):
            return True
        self._send(self._dialect.encode_error(cid, TOO_MANY_CALLS, ErrorCode.OVERLOADED))
        return False

    def _close_call(self, call_id: int) -> bool:
        calls = self._extras.calls
        return calls is not None and calls.close(call_id)

    def _on_malformed_request(self, packet: MalformedRequest, now: float) -> None:
        self.traffic.errors += 1
        self._emit(InvalidRequestReceived(peer_id=self.peer_id, detail=BAD_CALL))
        if packet.cid:
            self._send(self._dialect.encode_error(packet.cid, BAD_CALL, ErrorCode.MALFORMED))

    def _on_get_node_info(self, packet: Request, now: float) -> None:
        if packet.data:
            self._break_rule("protocol_request_with_data", now)
            return
        if self.node_info_asked():
            self._break_rule("get_node_info_repeated", now)
        self._respond(packet.cid, self._dialect.encode_node_info(self._own))

    def _on_get_peers(self, packet: Request, now: float) -> None:
        if packet.data:
            self._break_rule("protocol_request_with_data", now)
            return
        if self.peers_asked(now):
            self._break_rule("get_peers_repeated", now)
        if packet.cid and self.stage < _CLOSING and self._open_call(packet.cid, now):
            self._tell(Room.BOOK, GetSample(packet.cid, self.endpoint.ip))

    def _on_ping(self, packet: Request, now: float) -> None:
        # lisk-p2p listeners hand "ping" to their application; a program has better things to answer.
        if packet.cid and self.stage < _CLOSING:
            self._send(self._dialect.encode_pong(packet.cid, self.peer_id))
        self._rest(now)

    def _respond(self, cid: int | None, data: bytes | None) -> None:
        if cid and self.stage < _CLOSING:
            self._send(self._dialect.encode_response(cid, data, self.peer_id))


_PROTOCOL_PROCEDURES: dict[str, Callable[[Any, Request, float], None]] = {
    GET_NODE_INFO: LinkCalls._on_get_node_info,
    GET_PEERS: LinkCalls._on_get_peers,
    PING: LinkCalls._on_ping,
}
"""What the link answers by itself; every other procedure is the program's."""
