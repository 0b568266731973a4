"""A link without a network: packets as Python values in, what it did out, and a clock that is moved by hand.

The rig plays the actor: it carries out effects the way :mod:`actors.peer` does (an abort ends the channel at once), and
after every call it checks what must always hold: no deadline is left behind, nothing happens after the end, the peer is
reported connected at most once and closed at most once.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar

from core.effects import AbortChannel, CloseChannel, Effect, Emit, Record, Reply, Room, SendPacket, Tell
from core.events import Event
from core.house_messages import (
    PeerClosed,
    PeerConnected,
)
from core.ids import Direction, Endpoint, PeerKind
from core.link import Link
from core.link_base import Review, Stage
from core.link_settings import LinkSettings
from core.messages import (
    ActorMessage,
)
from core.wire.dialect import Dialect
from core.wire.payloads import NodeInfo
from tests.spoken import dialect as dialect_of
from tests.spoken import message_of, packet_of

CHAIN = b"\0\0\0\1"
OURS = NodeInfo(CHAIN, "1.1", "0000000000000001")
THEIRS = NodeInfo(CHAIN, "1.1", "0000000000000002")
REMOTE = Endpoint("10.20.30.40", 5001)
SESSION_ID = "abcdefghijklmnopqrst"
WALL_S = 1_700_000_000.0

ABORT = "abort"
"""Stands for a destroyed connection among the close codes."""

E = TypeVar("E", bound=Event)
M = TypeVar("M", bound=ActorMessage)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def info_bytes(info: NodeInfo = THEIRS) -> bytes:
    return dialect_of().encode_node_info(info)


def peers_bytes(*endpoints: Endpoint) -> bytes:
    return dialect_of().encode_peers(endpoints)


class Fixed(Random):
    """A source of randomness whose ``uniform`` is always ``share`` of the way from the lower to the upper bound."""

    def __init__(self, share: float = 0.0) -> None:
        super().__init__(0)
        self.share = share

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * self.share


class Rig:
    """One link; see the module. ``sent`` and the other lists grow, ``take_sent`` and so on empty them."""

    def __init__(
        self,
        direction: Direction = Direction.INBOUND,
        *,
        kind: PeerKind = PeerKind.NONE,
        endpoint: Endpoint = REMOTE,
        dialect: Dialect | None = None,
        own: NodeInfo = OURS,
        rng: Random | None = None,
        review: Review | None = None,
        now: float = 1000.0,
        **settings: Any,
    ) -> None:
        self.now = now
        self.link = Link(
            direction=direction,
            endpoint=endpoint,
            kind=kind,
            dialect=dialect_of(dialect),
            own=own,
            settings=LinkSettings(**settings),
            rng=rng or Fixed(),
            wall_offset_s=WALL_S,
            review=review,
        )
        self.sent: list[str | bytes] = []
        self.ends: list[int | str] = []  # close codes sent and ABORT, in order
        self.events: list[Event] = []
        self.told: list[tuple[Room, ActorMessage]] = []
        self.replies: list[tuple[int, Any]] = []
        self.decisions: list[str] = []
        self._connected = self._closed = 0

    # ---- the actor's part ----

    def do(self, effects: Sequence[Effect]) -> None:
        """Carry out effects and check what must always hold."""
        for effect in effects:
            match effect:
                case SendPacket(packet):
                    assert not self.ends, f"{packet!r} after the close frame"
                    self.sent.append(packet)
                case CloseChannel(code):
                    self.ends.append(code)
                case AbortChannel():
                    self.ends.append(ABORT)
                    self.do(self.link.on_closed(1006, "", self.now))
                case Emit(events):
                    assert events
                    self.events.extend(events)
                case Tell(room, message):
                    self.told.append((room, message))
                    self._connected += type(message) is PeerConnected
                    self._closed += type(message) is PeerClosed
                case Record(decisions):
                    assert decisions
                    self.decisions += map(str, decisions)
                case Reply(ask_id, message):
                    self.replies.append((ask_id, message))
                case _:
                    raise AssertionError(f"a link must not ask for {effect}")
        self.check()

    def check(self) -> None:
        assert self._connected == (self.link.info().connected_at is not None)
        assert self._closed == (self.link.stage is Stage.CLOSED)
        if self.link.stage is Stage.CLOSED:
            assert self.link.next_deadline() is None
        assert 0 <= self.link.reputation <= 100

    # ---- inputs ----

    def receive(self, *packets: object, binary: bool = False) -> None:
        """One batch: dicts become packets of the dialect, str and bytes go as they are."""
        messages = [message_of(packet) for packet in packets]
        self.do(self.link.on_packets([(payload, binary or is_binary) for payload, is_binary in messages], self.now))

    def call(self, procedure: str, data: bytes | None = None, cid: int | None = 1) -> None:
        """The remote asks."""
        self.receive(request_packet(procedure, data, cid))

    def message(self, event: str, data: bytes | None = None) -> None:
        """The remote sends a one-way message."""
        self.receive(message_packet(event, data))

    def reply(self, rid: int, data: bytes | None) -> None:
        """The remote answers."""
        self.receive(answer_packet(rid, data))

    def reply_error(self, rid: int, message: str = "no") -> None:
        """The remote answers with an error."""
        self.receive({"rid": rid, "error": {"message": message}})

    def advance(self, seconds: float) -> None:
        """Let time pass; everything that falls due on the way is done at its time."""
        end = self.now + seconds
        while (due := self.link.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.do(self.link.on_time(self.now))
            following = self.link.next_deadline()
            assert following is None or following > self.now, "on_time leaves nothing that is due"
        self.now = end

    def wait_for_deadline(self) -> None:
        """Let time pass until something is due, and do it."""
        due = self.link.next_deadline()
        assert due is not None
        self.advance(due - self.now)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.do(self.link.close(code, reason, self.now))

    def closed(self, code: int = 1000, error: str = "") -> None:
        """The channel is gone."""
        self.do(self.link.on_closed(code, error, self.now))

    def request(
        self, procedure: str = "echo", data: bytes | None = b"x", timeout_s: float | None = None, ask_id: int = 7
    ) -> None:
        self.do(self.link.request(ask_id, procedure, data, timeout_s, self.now))

    # ---- outputs ----

    def take_sent(self) -> list[Any]:
        """What was sent since the last time, decoded; keep-alives stay text."""
        sent, self.sent = self.sent, []
        return [packet_of(packet, self.link.peer_id) for packet in sent]

    def of(self, kind: type[E]) -> list[E]:
        """The events of one class."""
        return [event for event in self.events if isinstance(event, kind)]

    def tells(self, kind: type[M]) -> list[M]:
        """The messages of one class to other actors."""
        return [message for _, message in self.told if isinstance(message, kind)]

    def forget(self) -> None:
        """Empty the lists of outputs, but not that of the ends."""
        self.sent.clear()
        self.events.clear()
        self.replies.clear()
        self.told.clear()


def request_packet(procedure: str, data: bytes | None = None, cid: int | None = 1) -> dict[str, Any]:
    packet: dict[str, Any] = {"event": "rpc-request", "data": {"procedure": procedure}}
    if data is not None:
        packet["data"]["data"] = b64(data)
    if cid is not None:
        packet["cid"] = cid
    return packet


def message_packet(event: str, data: bytes | None = None) -> dict[str, Any]:
    packet: dict[str, Any] = {"event": "remote-message", "data": {"event": event}}
    if data is not None:
        packet["data"]["data"] = b64(data)
    return packet


def answer_packet(rid: int, data: bytes | None) -> dict[str, Any]:
    packet: dict[str, Any] = {"rid": rid, "data": {"peerId": "127.0.0.1:5001"}}
    if data is not None:
        packet["data"]["data"] = b64(data)
    return packet


def ack_packet(rid: int = 1, ping_timeout_ms: int = 20_000) -> dict[str, Any]:
    return {"rid": rid, "data": {"id": SESSION_ID, "pingTimeout": ping_timeout_ms, "isAuthenticated": False}}


def inbound(*, cid: int | None = 1, announced: NodeInfo = THEIRS, **options: Any) -> Rig:
    """A connected inbound link; what it sent and told so far is forgotten."""
    rig = Rig(Direction.INBOUND, **options)
    rig.do(rig.link.expect_hand_over(rig.now))
    rig.do(rig.link.start_inbound(announced, cid, SESSION_ID, rig.now))
    rig.forget()
    return rig


def outbound(stage: Stage = Stage.READY, *, theirs: NodeInfo = THEIRS, **options: Any) -> Rig:
    """An outbound link that got as far as ``stage``; what it sent and told so far is forgotten."""
    rig = Rig(Direction.OUTBOUND, **options)
    rig.do(rig.link.start_outbound(rig.now))
    if stage >= Stage.UPGRADING:
        rig.do(rig.link.on_connected(rig.now))
    if stage >= Stage.HANDSHAKE:
        rig.do(rig.link.on_opened(rig.now))
    if stage >= Stage.NODE_INFO:
        rig.receive(ack_packet())
    if stage >= Stage.PEERS:
        rig.reply(2, dialect_of(options.get("dialect")).encode_node_info(theirs))
    if stage >= Stage.READY:
        rig.reply(3, peers_bytes())
    assert rig.link.stage is stage
    rig.forget()
    return rig
