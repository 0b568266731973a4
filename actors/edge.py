"""What lives on a member: a server and peers, or the peer book, and the messages by which they are known.

See :mod:`actors.deployed` and :mod:`actors.store_away`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from thespian.actors import ActorExitRequest, PoisonMessage

from actors.base import HouseActor
from actors.bases.watch import Watch
from actors.peer import InboundPeer, OutboundPeer
from actors.peer_actor import PeerActor
from actors.peer_book import PeerBook
from actors.peer_server import PeerServer
from actors.wiring import Init, PrepareInbound, Rooms, StartOutbound
from core.deadlines import earliest
from core.messages import ActorMessage

HOST_LOST_S = 4.0
"""A lost host is to be noticed within 5 s: four pings without an answer, and a little for the news to travel."""

STARTING_S = 10.0
"""A new server has so long for its first answer: its process has to be made first."""

ASK_INTERVAL_S = 2.0
"""How often a peer asks for its pool; should both pool and server have died at once, nobody else ends it."""

EDGE = "edge"
"""Capability of a host that may hold sockets: the IP address to listen at."""

INCARNATION = "incarnation"
"""Capability of every host: a number drawn when its actor system starts. Thespian knows systems by their addresses, and
so takes a farewell that a cut link has held back for the word of the system that is there by then."""

STORE = "store"
"""Capability of a host that may hold the peer book."""

HOST = "host"
"""Capability of every host, and requirement of an actor that is to live there: its name."""


class HostPing(ActorMessage, frozen=True):
    """ServerGroup -> EdgeServer, AwayNode -> StoredBook, every second."""

    RETURNS_IF_DEAD: ClassVar[bool] = True
    """Comes back as a PoisonMessage: who took over what another has made is not its parent."""

    number: int


class HostPong(ActorMessage, frozen=True):
    """Their answer: still here."""

    number: int


class BeginAnew(ActorMessage, frozen=True):
    """ServerGroup -> EdgeServer, AwayNode -> StoredBook, and nothing after it: this host was lost and is back, with
    actors that nobody knows."""


class HostsChanged(ActorMessage, frozen=True):
    """ServerGroup -> DeployedPool: these hosts take peers now. What lived on others is lost."""

    hosts: tuple[str, ...]


class PeerPlaced(ActorMessage, frozen=True):
    """DeployedPool -> EdgeServer: this peer of mine is on your host. Should I crash, end it: on another host
    a child does not die with its parent."""

    peer: Any


class PeerLeft(ActorMessage, frozen=True):
    """DeployedPool -> EdgeServer: it has ended."""

    peer: Any


class ServersKnown(ActorMessage, frozen=True):
    """DeployedPool -> ServerGroup, to one that replaces another: these hosts have servers, which go on."""

    servers: tuple[tuple[str, Any], ...]


class ServedBy(ActorMessage, frozen=True):
    """EdgeServer -> DeployedPool, when it begins: connections that I ask room for are on this host."""

    host: str


def lives_at(capabilities: dict[str, Any], requirements: dict[str, Any] | None) -> bool:
    """Whether a host is the one that an actor is to live on."""
    wanted = (requirements or {}).get(HOST)
    return wanted is None or capabilities.get(HOST) == wanted


class StillThere(ActorMessage, frozen=True):
    """EdgeOutbound, EdgeInbound -> DeployedPool: nothing to do. Who gets it back has outlived its pool."""

    RETURNS_IF_DEAD: ClassVar[bool] = True


class Lodger(PeerActor):
    """A peer on another host than its pool: it does not outlive it, though no parent's death is told it."""

    def __init__(self) -> None:
        super().__init__()
        self._ask_at: float | None = None

    @staticmethod
    def actorSystemCapabilityCheck(capabilities: dict[str, Any], requirements: dict[str, Any] | None) -> bool:
        """Thespian asks."""
        return lives_at(capabilities, requirements)

    def deadline(self) -> float | None:
        """The peer's, or when the pool is to be asked for."""
        return earliest(super().deadline(), self._ask_at)

    def on_time(self, now: float) -> None:
        """Ask whether the pool is there."""
        if self._ask_at is not None and self._ask_at <= now:
            self._ask_at = now + ASK_INTERVAL_S
            self.send(self.need_charter().rooms.pool, StillThere())
        super().on_time(now)

    def receiveMsg_PoisonMessage(self, message: PoisonMessage, sender: Any) -> None:
        """The pool is dead."""
        if isinstance(message.poisonMessage, StillThere):
            self.leave()
        else:
            super().receiveMsg_PoisonMessage(message, sender)


class EdgeOutbound(Lodger, OutboundPeer):
    """An OutboundPeer on an edge host."""

    def receiveMsg_StartOutbound(self, message: StartOutbound, sender: Any) -> None:
        """Dial."""
        super().receiveMsg_StartOutbound(message, sender)
        self._ask_at = self.now() + ASK_INTERVAL_S


class EdgeInbound(Lodger, InboundPeer):
    """An InboundPeer on the host where its connection was accepted."""

    def receiveMsg_PrepareInbound(self, message: PrepareInbound, sender: Any) -> None:
        """Wait for the connection."""
        super().receiveMsg_PrepareInbound(message, sender)
        self._ask_at = self.now() + ASK_INTERVAL_S


class Guest(HouseActor):
    """An actor on a host of its own, which ends that host's actors when it hears nothing of the node any more."""

    def __init__(self) -> None:
        super().__init__()
        self._silent_at: float | None = None

    @staticmethod
    def actorSystemCapabilityCheck(capabilities: dict[str, Any], requirements: dict[str, Any] | None) -> bool:
        """Thespian asks."""
        return lives_at(capabilities, requirements)

    def receiveMessage(self, message: Any, sender: Any) -> Watch | None:
        """What concerns the host does not wait for Init."""
        if self.has_ended or not isinstance(message, HostPing | BeginAnew):
            return super().receiveMessage(message, sender)
        held, self._before_init = self._before_init, None
        try:
            return super().receiveMessage(message, sender)
        finally:
            if not self.has_ended:
                self._before_init = held

    def receiveMsg_HostPing(self, message: HostPing, sender: Any) -> None:
        """The node is there."""
        self._silent_at = self.now() + HOST_LOST_S
        self.send(sender, HostPong(message.number))

    def receiveMsg_BeginAnew(self, message: BeginAnew, sender: Any) -> None:
        """What is here is of a time before."""
        self._begin_anew("the node had lost this host")

    def deadline(self) -> float | None:
        """The actor's own, or when the node has been silent for too long."""
        return earliest(super().deadline(), self._silent_at)

    def on_time(self, now: float) -> None:
        """Time-outs."""
        if self._silent_at is not None and self._silent_at <= now:
            self._begin_anew(f"nothing was heard of the node for {HOST_LOST_S:g} s")
            return
        super().on_time(now)

    def _begin_anew(self, why: str) -> None:
        self.log.warning("all actors of this host end: %s", why)
        self._silent_at = None
        self.end()
        self.actorSystemShutdown()


class StoredBook(Guest, PeerBook):
    """A PeerBook on a member with ``store``."""


class EdgeServer(Guest, PeerServer):
    """A PeerServer on an edge host."""

    def __init__(self) -> None:
        super().__init__()
        self._pool: Any = None
        self._host = ""
        self._placed: list[Any] = []  # the pool's peers on this host

    def receiveMsg_ServedBy(self, message: ServedBy, sender: Any) -> None:
        """How this host is called."""
        self._host = message.host

    def receiveMsg_Init(self, message: Init, sender: Any) -> None:
        """Begin to accept, and tell the pool where."""
        super().receiveMsg_Init(message, sender)
        self._pool = message.charter.rooms.pool
        self.send(self._pool, ServedBy(self._host))

    def receiveMsg_Rooms(self, message: Rooms, sender: Any) -> None:
        """With another pool the peers here end: they belong to the old one."""
        super().receiveMsg_Rooms(message, sender)
        if self._pool is not None and self._pool != message.pool:
            for peer in self._placed:
                self.send(peer, ActorExitRequest())
            self._placed = []
            self._pool = message.pool
            self.send(self._pool, ServedBy(self._host))

    def receiveMsg_PeerPlaced(self, message: PeerPlaced, sender: Any) -> None:
        """One more."""
        if sender == self._pool:
            self._placed.append(message.peer)
        else:
            self.send(message.peer, ActorExitRequest())

    def receiveMsg_PeerLeft(self, message: PeerLeft, sender: Any) -> None:
        """One less."""
        self._placed = [peer for peer in self._placed if peer != message.peer]
