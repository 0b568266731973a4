"""The only messages that hold actor addresses: who talks to whom, told once, and queries passed on for somebody else.

Everything else about the messages of :mod:`core.messages` holds here too: frozen, picklable, no sockets.
"""

from __future__ import annotations

from typing import Any

from actors.transport.handover import HandOver
from core.config import NodeConfig
from core.ids import Endpoint, PeerKind
from core.messages import (
    ActorMessage,
    Query,
)
from core.wire.payloads import NodeInfo

Address = Any
"""A Thespian ActorAddress: opaque, compared with ``==`` only, neither hashed nor shown."""


class Rooms(ActorMessage, frozen=True):
    """The node's own actors. ``server`` is None in a node that does not listen."""

    node: Address
    pool: Address
    book: Address
    server: Address | None


class Subscriber(ActorMessage, frozen=True):
    """An actor (or the program's endpoint) that wants events; ``names`` None: all of them."""

    address: Address
    names: frozenset[str] | None


class Charter(ActorMessage, frozen=True):
    """What every actor of a node starts with. ``secret`` keys everything that an attacker must not foresee."""

    config: NodeConfig
    node_info: NodeInfo
    listening_port: int
    secret: bytes
    rooms: Rooms
    subscribers: tuple[Subscriber, ...]

    @property
    def own_port(self) -> int | None:
        """The port that the node listens at; None if it does not listen (and only announces one)."""
        return self.listening_port if self.rooms.server is not None else None


class Listen(ActorMessage, frozen=True):
    """Node -> PeerServer: bind this port (0: any) and say ServerListening or ServerFailed. ``again``: after a crash."""

    host_ip: str
    port: int
    again: bool = False


class Init(ActorMessage, frozen=True):
    """Node -> PeerServer, PeerPool, PeerBook: begin."""

    charter: Charter


class SubscribersChanged(ActorMessage, frozen=True):
    """Node -> its children, PeerPool -> Peers."""

    subscribers: tuple[Subscriber, ...]


class Forwarded(ActorMessage, frozen=True):
    """A query passed on: ``message`` is to be answered to ``asker``, not to who sent this."""

    asker: Address
    message: ActorMessage


class StartOutbound(ActorMessage, frozen=True):
    """PeerPool -> OutboundPeer: dial."""

    charter: Charter
    endpoint: Endpoint
    kind: PeerKind


class PrepareInbound(ActorMessage, frozen=True):
    """PeerPool -> InboundPeer: a connection of this peer is about to be handed over."""

    charter: Charter
    endpoint: Endpoint
    kind: PeerKind


class InboundAdmitted(Query, frozen=True):
    """PeerPool -> PeerServer: there is room, this is the peer's actor."""

    peer: Address


class TakeOver(ActorMessage, frozen=True):
    """PeerServer -> InboundPeer: the connection, and what the opener said of itself.

    ``cid`` is its handshake's number, ``dialect`` the name of what the upgrade agreed on.
    """

    hand_over: HandOver
    announced: NodeInfo
    cid: int | None
    dialect: str


class TakenOver(ActorMessage, frozen=True):
    """InboundPeer -> PeerServer: the socket has been copied (or is lost): close yours."""

    token: int


class SettleNow(ActorMessage, frozen=True):
    """A Peer to itself, behind what already waits in its mailbox: hand everything queued to the socket."""
