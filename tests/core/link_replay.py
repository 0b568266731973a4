"""Plays one side of a recorded connection of real lisk-p2p nodes with our minds, and lets the recording be the other.

What the other side sent is fed in at its recorded time. What the application of our side did (sent a message, answered
a call, closed, banned) is read off the recording as well and done at that time. The result is everything that our side
put on the wire, to be compared with what the real node did. The WebSocket layer's own part, echoing a close frame, is
played here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple

from core.admission import Admission, AdmissionSettings, Step
from core.dialects import Languages
from core.effects import (
    AbortChannel,
    AcceptUpgrade,
    CloseChannel,
    Effect,
    HandOver,
    RejectUpgrade,
    Room,
    SendPacket,
    Tell,
)
from core.house_messages import (
    InboundRefused,
)
from core.ids import CloseCode, Direction, Endpoint, PeerKind
from core.link import Link
from core.link_base import Stage
from core.link_settings import LinkSettings
from core.wire.dialect import Dialect
from core.wire.packets import Message, Request, Response
from core.wire.payloads import NodeInfo
from core.wire.query import PeerQuery

OWN_PROCEDURES = ("getNodeInfo", "getPeers", "ping")


class Sent(NamedTuple):
    """Something our side put on the wire: a text, a close frame or an HTTP status; ``t`` in seconds."""

    t: float
    what: str


class At(Random):
    """A source of randomness whose every ``uniform`` is one value: the recorded moment of the ping."""

    def __init__(self, value: float) -> None:
        super().__init__(0)
        self.value = value

    def uniform(self, a: float, b: float) -> float:
        return self.value


class Replay:
    """One side of one connection; see the module. ``side`` is ``c2s`` for the opener's side, ``s2c`` for the other.

    ``reads`` is the dialect of the recording, if we begin with another.
    """

    def __init__(
        self,
        connection: dict[str, Any],
        side: str,
        *,
        own: NodeInfo,
        dialect: Dialect,
        banned: bool,
        ping_after_s: float,
        reads: Dialect | None = None,
    ) -> None:
        self.side = side
        self.events: list[dict[str, Any]] = connection["events"]
        self.sent: list[Sent] = []
        self.now = 0.0
        self._own = own
        self._dialect = dialect
        self._reads = reads or dialect
        self._banned = banned
        self._rng = At(ping_after_s)
        self._link: Link | None = None
        self._admission: Admission | None = None
        self._closing = self._over = False
        self._they_left = False  # they sent #disconnect
        self._own_infos = 0
        if side == "c2s":
            self._link = self._make_link(Endpoint("127.0.0.1", connection["proxy_port"]))

    def run(self) -> list[Sent]:
        """Play to the end, and a little further for what is due by the clock."""
        for event in self.events:
            self._advance(event["t"] / 1000)
            if event["dir"] == self.side:
                self._on_own(event)
            else:
                self._on_theirs(event)
        self._advance(self.now + 0.5)
        return self.sent

    def _make_link(self, endpoint: Endpoint) -> Link:
        direction = Direction.OUTBOUND if self.side == "c2s" else Direction.INBOUND
        return Link(
            direction=direction,
            endpoint=endpoint,
            kind=PeerKind.NONE,
            dialect=self._dialect,
            own=self._own,
            settings=LinkSettings(),
            rng=self._rng,
        )

    @property
    def link(self) -> Link:
        assert self._link is not None
        return self._link

    # ---- effects and clock ----

    def _do(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendPacket(str(text)):
                    self._put(text)
                case CloseChannel(code):
                    self._closing = True
                    self._put(f"close {code}")
                case AbortChannel():
                    self._put("abort")
                    self._end(1006)
                case AcceptUpgrade():
                    self._put("HTTP 101")
                case RejectUpgrade(status, _):
                    self._put(f"HTTP {status}")
                    self._end(1006)
                case HandOver(cid):
                    self._take_over(cid)
                case Tell(Room.POOL, message) if type(message).__name__ == "AdmitInbound":
                    self._on_admit()

    def _put(self, what: str) -> None:
        self.sent.append(Sent(self.now, what))

    def _minds(self) -> list[Link | Admission]:
        return [mind for mind in (self._admission, self._link) if mind is not None]

    def _advance(self, until: float) -> None:
        while not self._over:
            dues = [(due, mind) for mind in self._minds() if (due := mind.next_deadline()) is not None]
            due, mind = min(dues, key=lambda pair: pair[0], default=(until + 1, None))
            if mind is None or due > until:
                break
            self.now = max(self.now, due)
            self._do(mind.on_time(self.now))
        self.now = until

    def _end(self, code: int) -> None:
        self._over = True
        if self._admission is not None:
            self._admission.on_closed()
        if self._link is not None and self._link.stage is not Stage.CLOSED:
            self._do(self._link.on_closed(code, "", self.now))

    # ---- the listener's beginning ----

    def _on_upgrade(self, target: str) -> None:
        self._admission = Admission(
            ticket=1,
            remote_ip="127.0.0.1",
            banned=self._banned,
            trusted=False,
            own=self._own,
            languages=Languages(self._dialect),
            settings=AdmissionSettings(),
            now=self.now,
        )
        self._do(self._admission.on_upgrade(target, {}, self.now))

    def _on_admit(self) -> None:
        """The pool decides as the real node did."""
        assert self._admission is not None
        refusal = self._recorded_disconnect()
        if refusal is not None and refusal[0] == CloseCode.DUPLICATE:
            self._do(self._admission.on_refused(InboundRefused(1, *refusal), self.now))
        else:
            self._do(self._admission.on_admitted(self.now))

    def _take_over(self, cid: int | None) -> None:
        assert self._admission is not None
        announced = self._admission.announced
        assert announced is not None
        self._admission.on_closed()
        self._admission = None
        self._link = self._make_link(Endpoint("127.0.0.1", self._port()))
        answers = [packet.get("data") for packet in self._packets(self.side) if "rid" in packet]
        session_id = next(answer["id"] for answer in answers if isinstance(answer, dict) and "id" in answer)
        self._do(self.link.start_inbound(announced, cid, session_id, self.now))

    # ---- what the recording says ----

    def _target(self) -> str:
        request = next(event for event in self.events if event["kind"] == "http-request")
        target: str = request["start"].split(" ")[1]
        return target

    def _port(self) -> int:
        query = self._reads.parse_query(self._target(), source_ip="127.0.0.1", own_nonce="nobody's")
        assert isinstance(query, PeerQuery)
        return query.port

    def _packets(self, side: str) -> list[dict[str, Any]]:
        texts = [event["text"] for event in self.events if event["dir"] == side and event.get("type") == "text"]
        return [json.loads(text) for text in texts if not text.startswith("#")]

    def _recorded_disconnect(self) -> tuple[int, str] | None:
        for packet in self._packets(self.side):
            if packet.get("event") == "#disconnect":
                return packet["data"]["code"], packet["data"].get("data", "")
        return None

    # ---- their side ----

    def _on_theirs(self, event: dict[str, Any]) -> None:
        if self._over:
            return
        if event["kind"] == "http-request":
            self._on_upgrade(event["start"].split(" ")[1])
        elif event["kind"] == "http-response":
            if " 101 " in event["start"]:
                self._do(self.link.on_opened(self.now))
            else:
                self._do(self.link.on_refused(int(event["start"].split(" ")[1]), "", self.now))
        elif event["kind"] == "tcp-end":
            self._end(1006)
        elif event["type"] == "close":
            if not self._closing:
                self._put(f"close {event['close_code']}")
            self._end(event["close_code"])
        else:
            self._they_left = self._they_left or '"#disconnect"' in event["text"]
            payload = event["text"].encode()
            if self._admission is not None and self._admission.step is Step.HANDSHAKE:
                self._do(self._admission.on_packet(payload, False, self.now))
            elif self._link is not None:
                self._do(self._link.on_packets([(payload, False)], self.now))

    # ---- our application ----

    def _on_own(self, event: dict[str, Any]) -> None:
        if event["kind"] == "http-request":
            self._do(self.link.start_outbound(self.now))
            self._do(self.link.on_connected(self.now))
            self._put(self._dialect.request_target(self._own, self._port()))
        elif event.get("type") == "text" and not event["text"].startswith("#") and self._link is not None:
            self._on_own_packet(json.loads(event["text"]), event["text"])

    def _on_own_packet(self, packet: dict[str, Any], text: str) -> None:
        link, body, kind = self.link, packet.get("data", {}), packet.get("event")
        (read,) = self._reads.decode_packets(text.encode(), binary=False)
        data = read.data if isinstance(read, Message | Request | Response) else None
        if kind == "rpc-request" and body["procedure"] not in OWN_PROCEDURES:
            self._do(link.request(packet["cid"], body["procedure"], data, None, self.now))
        elif kind == "remote-message" and body["event"] != "postNodeInfo":
            self._do(link.send(body["event"], data, self.now))
        elif kind == "remote-message":
            self._own_infos += 1
            if self._own_infos > 1 and data is not None:
                info = replace(self._reads.decode_node_info(data), port=self._own.port)
                self._do(link.push_node_info(info, self.now))
        elif kind == "#disconnect" and not self._they_left:
            self._leave(body["code"], body.get("data", ""))
        elif "error" in packet:
            self._do(link.refuse(packet["rid"], packet["error"]["message"]))
        elif "rid" in packet and isinstance(body, dict) and "id" not in body:
            self._on_own_answer(packet["rid"], data)

    def _leave(self, code: int, reason: str) -> None:
        if code == CloseCode.NORMAL and not reason:
            self._do(self.link.apply_penalty(100, "by the application", self.now))
        else:
            self._do(self.link.close(code, reason, self.now))

    def _on_own_answer(self, rid: int, data: bytes | None) -> None:
        other = "s2c" if self.side == "c2s" else "c2s"
        asked = next(
            packet
            for packet in self._packets(other)
            if packet.get("cid") == rid and "procedure" in packet.get("data", {})
        )
        procedure = asked["data"]["procedure"]
        if procedure == "getPeers":
            assert data is not None
            self._do(self.link.on_sample(rid, self._reads.decode_peers(data)))
        elif procedure not in OWN_PROCEDURES:
            self._do(self.link.answer(rid, data))
