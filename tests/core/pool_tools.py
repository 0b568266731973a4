"""A pool driven in virtual time, and a dumb twin of it that knows only what went in and what came out.

The twin checks after every call what must hold whatever the history: see :meth:`Driven.check`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from core.effects import (
    CreateInbound,
    DialPeer,
    Effect,
    Emit,
    ForwardToPeer,
    Record,
    Reply,
    ResolveSeedNames,
    Room,
    Tell,
    TellPeer,
    TellPeers,
)
from core.events import Event, PeerInfo
from core.house_messages import (
    AllPeersClosed,
    ChoosePeers,
    ChosenPeers,
    ClosePeer,
    PeerClosed,
    PoolCounts,
)
from core.ids import CloseCode, Direction, Endpoint, PeerId, PeerKind
from core.messages import (
    ActorMessage,
    Ban,
    BroadcastMessage,
    SendMessage,
    SendRequest,
)
from core.netgroup import host_key, is_exempt, net_group
from core.pool_guarded import GuardedPool
from core.pool_outbound import MAX_SEED_GUESTS
from core.pool_settings import PoolSettings
from core.select import OWN_RULES, Selection

OWN_NONCE = "m" * 16
IN, OUT = Direction.INBOUND, Direction.OUTBOUND
MAX_STEPS = 10_000
"""More appointments than any test has: reaching it means a loop that spins."""


def at(number: int, port: int = 5001) -> Endpoint:
    """Endpoint number ``number``; each has a net group of its own."""
    return Endpoint(f"{1 + number // 250}.{1 + number % 250}.0.1", port)


def info(endpoint: Endpoint, direction: Direction = OUT, nonce: str = "z" * 16, **more: Any) -> PeerInfo:
    """A connected peer."""
    return PeerInfo(
        peer_id=endpoint.peer_id,
        ip_address=endpoint.ip,
        port=endpoint.port,
        direction=direction,
        nonce=nonce,
        **more,
    )


@dataclass
class Twin:
    """One connection as it looks from outside."""

    kind: PeerKind
    connected: bool = False
    leaving: bool = False
    in_peace: bool = False


@dataclass
class Log:
    """What came out of the pool."""

    dials: list[tuple[float, Endpoint, PeerKind]] = field(default_factory=list)
    told: dict[Room, list[ActorMessage]] = field(default_factory=lambda: {room: [] for room in Room})
    peers_told: list[tuple[Endpoint, Direction, ActorMessage]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    answers: dict[int, list[Effect]] = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)
    look_ups: list[tuple[float, str]] = field(default_factory=list)

    def to(self, room: Room, kind: type) -> list[Any]:
        """Messages of one type to one room."""
        return [message for message in self.told[room] if isinstance(message, kind)]

    def closes(self) -> dict[Endpoint, ClosePeer]:
        """Who was told to close, by endpoint (the last word counts)."""
        return {endpoint: said for endpoint, _, said in self.peers_told if isinstance(said, ClosePeer)}

    def sent_to(self, event: str) -> list[tuple[Endpoint, Direction]]:
        """Who got the message called ``event``."""
        return [
            (endpoint, direction)
            for endpoint, direction, said in self.peers_told
            if isinstance(said, SendMessage) and said.event == event
        ]


class Driven:
    """A pool, its clock, and its twin."""

    def __init__(self, *, seed: int = 1, selection: Selection = OWN_RULES, **settings: Any) -> None:
        self.settings = PoolSettings(**settings)
        self.rng = Random(seed)
        self.now = 1000.0
        self.log = Log()
        self.slots: dict[tuple[Endpoint, Direction], Twin] = {}
        self.banned: set[str] = set()
        self.own: set[Endpoint] = set()
        self.closed_at: dict[Endpoint, float] = {}
        self.stopped = False
        self.next_ask = 1
        self.pool = GuardedPool(
            self.settings, own_nonce=OWN_NONCE, secret=b"s" * 32, rng=Random(seed + 1), selection=selection
        )

    # ---- in ----

    def start(self) -> Driven:
        self.apply(self.pool.start(self.now))
        return self

    def advance(self, seconds: float) -> None:
        """Let time pass, stopping at every appointment that the pool has."""
        end = self.now + seconds
        for _ in range(MAX_STEPS):
            due = self.pool.next_deadline()
            if due is None or due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            self.apply(self.pool.on_time(self.now))
            later = self.pool.next_deadline()
            assert later is None or later > self.now, "an appointment that is due stays due"
        raise AssertionError("the pool spins")

    def question(self) -> ChoosePeers:
        """The pool's last question to the book."""
        asked: ChoosePeers = self.log.to(Room.BOOK, ChoosePeers)[-1]
        return asked

    def answer_book(self, *endpoints: Endpoint, tried: int = 200, request_id: int | None = None) -> None:
        number = self.question().request_id if request_id is None else request_id
        self.apply(self.pool.on_chosen(ChosenPeers(number, tuple(endpoints), tried, tried), self.now))

    def connected(self, endpoint: Endpoint, direction: Direction = OUT, nonce: str = "z" * 16, **more: Any) -> None:
        slot = self.slots.get((endpoint, direction))
        if slot is not None:
            slot.connected = True
        kind = PeerKind.NONE if slot is None else slot.kind
        peer = info(endpoint, direction, nonce, kind=kind, connected_at=self.now, **more)
        self.apply(self.pool.on_connected(peer, self.now))

    def closed(self, endpoint: Endpoint, direction: Direction = OUT, code: int = CloseCode.ABNORMAL) -> None:
        slot = self.slots.pop((endpoint, direction), None)
        if slot is not None and direction is OUT:
            self.closed_at[endpoint] = self.now
            if code == CloseCode.OWN_NONCE:
                self.own.add(endpoint)
        was_connected = slot is not None and slot.connected
        closed = PeerClosed(endpoint, direction, was_connected, code, "gone", False)
        self.apply(self.pool.on_closed(closed, self.now))

    def admit(self, endpoint: Endpoint) -> Effect:
        """Ask for room; returns CreateInbound or the Reply that refuses."""
        ask_id = self.ask()
        self.apply(self.pool.on_admit(info(endpoint, IN), ask_id))
        return self.answer(ask_id)

    def let_in(self, endpoint: Endpoint, nonce: str = "z" * 16, **more: Any) -> None:
        """Admitted and connected."""
        assert isinstance(self.admit(endpoint), CreateInbound)
        self.connected(endpoint, IN, nonce, **more)

    def fill_outbound(self, count: int, first: int = 0) -> list[Endpoint]:
        """Answer the open question with ``count`` peers and connect them all."""
        endpoints = [at(number) for number in range(first, first + count)]
        self.answer_book(*endpoints)
        for endpoint in endpoints:
            self.connected(endpoint)
        return endpoints

    def ban(self, ip: str) -> None:
        self.banned.add(ip)
        self.apply(self.pool.on_banned(Ban(ip, 0.0, "test")))

    def unban(self, ip: str) -> None:
        self.banned.discard(ip)
        self.apply(self.pool.on_unbanned(ip))

    def send(self, event: str, peer_id: PeerId | None = None) -> Effect:
        ask_id = self.ask()
        self.apply(self.pool.send(SendMessage(ask_id, event, b"x", peer_id), ask_id))
        return self.answer(ask_id)

    def broadcast(self, event: str) -> Effect:
        ask_id = self.ask()
        self.apply(self.pool.broadcast(BroadcastMessage(ask_id, event, b"x"), ask_id))
        return self.answer(ask_id)

    def request(self, procedure: str, peer_id: PeerId | None = None) -> Effect:
        ask_id = self.ask()
        self.apply(self.pool.request(SendRequest(ask_id, procedure, None, None, peer_id), ask_id))
        return self.answer(ask_id)

    def stop(self) -> None:
        self.stopped = True
        self.apply(self.pool.stop())

    def ask(self) -> int:
        self.next_ask += 1
        self.log.answers[self.next_ask] = []
        return self.next_ask

    def answer(self, ask_id: int) -> Effect:
        """The one answer to a query."""
        answers = self.log.answers[ask_id]
        assert len(answers) == 1, f"query {ask_id} has {len(answers)} answers"
        return answers[0]

    # ---- out ----

    def apply(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, DialPeer):
                self._on_dial(effect)
            elif isinstance(effect, CreateInbound):
                assert (effect.endpoint, IN) not in self.slots
                self.slots[effect.endpoint, IN] = Twin(effect.kind)
                self.log.answers[effect.ask_id].append(effect)
            elif isinstance(effect, Reply):
                self.log.answers[effect.ask_id].append(effect)
            elif isinstance(effect, ForwardToPeer):
                assert self.slots[effect.endpoint, effect.direction].connected
                self.log.answers[effect.ask_id].append(effect)
            elif isinstance(effect, TellPeers):
                for to in effect.slots:
                    self.apply([TellPeer(to.endpoint, to.direction, effect.message)])
            elif isinstance(effect, TellPeer):
                slot = self.slots[effect.endpoint, effect.direction]
                self.log.peers_told.append((effect.endpoint, effect.direction, effect.message))
                if isinstance(effect.message, ClosePeer):
                    assert not slot.leaving or slot.in_peace, "told to close twice"
                    slot.in_peace = effect.message.when_answered
                    slot.leaving = True
            elif isinstance(effect, Tell):
                self.log.told[effect.room].append(effect.message)
            elif isinstance(effect, Record):
                self.log.decisions += map(str, effect.decisions)
            elif isinstance(effect, ResolveSeedNames):
                self.log.look_ups += [(self.now, host) for host in effect.hosts]
            else:
                assert isinstance(effect, Emit)
                self.log.events += effect.events
        self.check()

    def _on_dial(self, effect: DialPeer) -> None:
        endpoint, kind = effect.endpoint, effect.kind
        assert not self.stopped, "dialled after the stop"
        assert endpoint.ip not in self.banned, "dialled a banned address"
        assert endpoint not in self.own, "dialled itself"
        assert not any((endpoint, direction) in self.slots for direction in Direction), "dialled a busy endpoint"
        if kind in (PeerKind.NONE, PeerKind.WHITELISTED):
            # No hot loop: whoever was lost rests for an interval.
            rested = self.now - self.closed_at.get(endpoint, float("-inf"))
            assert rested >= self.settings.populator_interval_s, f"dialled again after {rested} s"
            self._check_limits_of_dial(endpoint)
        self.slots[endpoint, OUT] = Twin(kind)
        self.log.dials.append((self.now, endpoint, kind))

    def _check_limits_of_dial(self, endpoint: Endpoint) -> None:
        """LIP 0004, "Connections": at most 3 outbound of a group, inbound and outbound disjoint."""
        if is_exempt(endpoint.ip, self.settings.private_networks_exempt):
            return
        assert not self.settings.fixed_only, "dialled somebody who is no fixed peer"
        assert endpoint.ip not in {there.ip for there, _ in self.slots}, "dialled an address that is connected"
        outbound = [net_group(there.ip) for there, direction in self.slots if direction is OUT]
        assert outbound.count(net_group(endpoint.ip)) < self.settings.max_outbound_per_group

    def dialled(self) -> list[Endpoint]:
        """Whom it dialled, in order."""
        return [endpoint for _, endpoint, _ in self.log.dials]

    def count(self, direction: Direction, *kinds: PeerKind) -> int:
        """Connections that are not leaving, of these kinds (none: of all)."""
        return sum(
            not slot.leaving and (not kinds or slot.kind in kinds)
            for (_, its), slot in self.slots.items()
            if its is direction
        )

    def check(self) -> None:
        """What holds at every moment."""
        settings = self.settings
        assert self.count(OUT, PeerKind.NONE, PeerKind.WHITELISTED) <= settings.max_outbound_connections
        assert self.count(OUT, PeerKind.SEED) <= MAX_SEED_GUESTS + settings.max_outbound_connections
        assert self.count(IN) <= settings.max_inbound_connections
        strangers = Counter(
            host_key(endpoint.ip)
            for (endpoint, direction), slot in self.slots.items()
            if direction is IN and not slot.leaving and slot.kind is PeerKind.NONE
            if not is_exempt(endpoint.ip, settings.private_networks_exempt)
        )
        assert not strangers or max(strangers.values()) <= settings.max_inbound_per_ip
        open_peers = {key for key, slot in self.slots.items() if slot.connected and not slot.leaving}
        shown = [(peer.endpoint, peer.direction) for peer in self.pool.connected_peers()]
        assert set(shown) == open_peers
        assert len(shown) == len(open_peers)
        assert all(len(answers) <= 1 for answers in self.log.answers.values())
        ends = len(self.log.to(Room.NODE, AllPeersClosed))
        assert ends == (1 if self.stopped and not self.slots else 0)
        reports = self.log.to(Room.NODE, PoolCounts)
        if reports and not any(slot.leaving for slot in self.slots.values()):
            by_direction = Counter(direction for _, direction in open_peers)
            assert (reports[-1].inbound_connected, reports[-1].outbound_connected) == (
                by_direction[IN],
                by_direction[OUT],
            )
