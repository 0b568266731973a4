"""What happens in an experiment, noted as it happens: messages, connections, bans, evictions, curves, a story.

Everything comes from what nodes tell their programs; nothing here looks into an actor, sends anything, or draws a
random number, so a run is the same with and without it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from core.events import (
    BanPeer,
    CloseInbound,
    CloseOutbound,
    ConnectOutbound,
    Event,
    NewInboundPeer,
    NodeFailed,
    UnbanPeer,
)
from core.ids import CloseCode, Direction, PeerId

if TYPE_CHECKING:
    from actors.bases.sim_nodes import SimNode

NOTED: Final = (ConnectOutbound, NewInboundPeer, CloseOutbound, CloseInbound, BanPeer, UnbanPeer, NodeFailed)
"""The events that are noted; nodes of an experiment tell these and the messages of its workload."""

MAX_EDGES: Final = 2_000_000
"""Opened and closed connections that are kept; what comes after is counted only."""

MAX_STORY: Final = 10_000


class Arrival(NamedTuple):
    """The first copy of a message at a node."""

    at_s: float
    source: str
    hops: int


class EdgeEvent(NamedTuple):
    """A connection as one of its ends sees it. ``code`` is 0 for an opened one."""

    at_s: float
    node: str
    peer: PeerId
    direction: str
    what: str
    code: int
    reason: str


class BanEvent(NamedTuple):
    """An address was banned (``until`` Unix time) or freed (``until`` 0)."""

    at_s: float
    node: str
    ip: str
    until: float
    reason: str


class EvictionEvent(NamedTuple):
    """An inbound peer had to go for another, or an outbound one was shuffled out."""

    at_s: float
    node: str
    peer: PeerId
    direction: str


class StoryLine(NamedTuple):
    """Something that was done to the network."""

    at_s: float
    text: str


@dataclass(slots=True)
class MessageLog:
    """One message of the workload. ``population``: nodes that ran when it was published, its origin included."""

    id: str
    origin: str
    at_s: float
    size_bytes: int
    population: int
    first: dict[str, Arrival] = field(default_factory=dict)
    copies: dict[str, int] = field(default_factory=dict)
    """Further copies, by node."""

    @property
    def reach(self) -> float:
        """Share of the nodes that have it."""
        return len(self.first) / max(self.population, 1)

    def delays_s(self) -> list[float]:
        """Seconds from publication to arrival, for every node but the origin, sorted."""
        return sorted(one.at_s - self.at_s for one in self.first.values() if one.hops)


@dataclass(slots=True)
class RequestLog:
    """One request of the workload. ``answered_at_s`` is None for one that failed, or is open."""

    at_s: float
    node: str
    answered_at_s: float | None = None
    error: str = ""


class Recorder:
    """All records of one run. ``clock()`` is virtual time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.messages: dict[str, MessageLog] = {}
        self.requests: list[RequestLog] = []
        self.edges: list[EdgeEvent] = []
        self.bans: list[BanEvent] = []
        self.evictions: list[EvictionEvent] = []
        self.failures: list[StoryLine] = []
        """Nodes that ended by themselves."""
        self.story: deque[StoryLine] = deque(maxlen=MAX_STORY)
        self.series: dict[str, list[tuple[float, float]]] = {}
        self.counters: dict[str, float] = {}
        self._held: dict[str, dict[tuple[PeerId, str], float]] = {}
        self._outbound: dict[str, int] = {}
        self._runs: dict[str, int] = {}
        self._banned_now: dict[str, set[str]] = {}

    # ---- what nodes tell

    def on_event(self, node: SimNode, event: Event) -> None:
        """Note an event; others than :data:`NOTED` are passed over."""
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            self._forget_earlier_run(node)
            handler(self, node, event)

    def _forget_earlier_run(self, node: SimNode) -> None:
        """A node that crashed and came back has none of the connections and bans that it had."""
        run = node.identity.environment.run
        if self._runs.get(node.name) == run:
            return
        self._runs[node.name] = run
        now = self._clock()
        self._outbound.pop(node.name, None)
        for peer, direction in self._held.pop(node.name, {}):
            self._edge(EdgeEvent(now, node.name, peer, direction, "closed", CloseCode.ABNORMAL, "the node was gone"))
        self._banned_now.pop(node.name, None)

    def _opened(self, node: SimNode, event: Any) -> None:
        direction = "outbound" if type(event) is ConnectOutbound else "inbound"
        now = self._clock()
        held = self._held.setdefault(node.name, {})
        if direction == "outbound" and (event.peer.peer_id, direction) not in held:
            self._outbound[node.name] = self._outbound.get(node.name, 0) + 1
        held[event.peer.peer_id, direction] = now
        self._edge(EdgeEvent(now, node.name, event.peer.peer_id, direction, "opened", 0, ""))

    def _closed(self, node: SimNode, event: Any) -> None:
        direction = "outbound" if type(event) is CloseOutbound else "inbound"
        peer = event.peer.peer_id
        was_open = self._held.get(node.name, {}).pop((peer, direction), None) is not None
        if was_open and direction == "outbound":
            self._outbound[node.name] -= 1
        now = self._clock()
        self._edge(EdgeEvent(now, node.name, peer, direction, "closed", event.code, event.reason))
        # Both ends see the code; the reason tells who decided.
        if event.code == CloseCode.EVICTED and event.reason.startswith(f"Evicted {direction} peer"):
            self.evictions.append(EvictionEvent(now, node.name, peer, direction))

    def _edge(self, edge: EdgeEvent) -> None:
        if len(self.edges) < MAX_EDGES:
            self.edges.append(edge)

    def _banned(self, node: SimNode, event: Any) -> None:
        self.bans.append(BanEvent(self._clock(), node.name, event.ip_address, event.until, event.reason))
        if not event.dry_run:
            self._banned_now.setdefault(node.name, set()).add(event.ip_address)

    def _unbanned(self, node: SimNode, event: Any) -> None:
        self.bans.append(BanEvent(self._clock(), node.name, event.ip_address, 0.0, "ended"))
        self._banned_now.get(node.name, set()).discard(event.ip_address)

    def _failed(self, node: SimNode, event: Any) -> None:
        self.fail(f"{node.name} failed: {event.reason}")

    # ---- what the laboratory does

    def note(self, text: str) -> None:
        """A line of the story."""
        self.story.append(StoryLine(self._clock(), text))

    def fail(self, text: str) -> None:
        """A node could not start, or ended by itself."""
        self.failures.append(StoryLine(self._clock(), text))

    def count(self, name: str, amount: float) -> None:
        """Add to a counter."""
        self.counters[name] = self.counters.get(name, 0.0) + amount

    def sample(self, name: str, value: float) -> None:
        """A point of a curve, now."""
        self.series.setdefault(name, []).append((self._clock(), value))

    # ---- looking

    def held(self, node: SimNode) -> dict[tuple[PeerId, str], float]:
        """Open connections of a node: (peer, direction), in the order in which they opened, and since when."""
        if not node.is_running or self._runs.get(node.name) != node.identity.environment.run:
            return {}
        return self._held.get(node.name, {})

    def degree(self, node: SimNode, direction: Direction | None = None) -> int:
        """How many connections a node has, of one direction or of both."""
        held = self.held(node)
        if direction is None or not held:
            return len(held)
        outbound = self._outbound.get(node.name, 0)
        return outbound if direction is Direction.OUTBOUND else len(held) - outbound

    def peers_of(self, node: SimNode, direction: Direction | None = None) -> list[PeerId]:
        """The peers of a node, in the order in which they connected."""
        return [peer for peer, way in self.held(node) if direction is None or way == direction.value]

    def banned_by(self, node: SimNode) -> set[str]:
        """The addresses that a node bans now."""
        return self._banned_now.get(node.name, set()) if self.held(node) or node.is_running else set()


_HANDLERS: Final[dict[type[Event], Callable[[Recorder, SimNode, Any], None]]] = {
    ConnectOutbound: Recorder._opened,
    NewInboundPeer: Recorder._opened,
    CloseOutbound: Recorder._closed,
    CloseInbound: Recorder._closed,
    BanPeer: Recorder._banned,
    UnbanPeer: Recorder._unbanned,
    NodeFailed: Recorder._failed,
}
