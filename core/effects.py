"""What a mind wants done. A state machine of ``core`` returns a list of these; its actor carries them out in order.

Decide first, commit last, return effects: nothing in ``core`` happens by itself (docs/architecture.md, "Minds and
actors"). Each effect is handled by a method ``do_<snake_case_name>`` of the actor.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from core.decisions import Decisions
from core.events import Event
from core.ids import Direction, Endpoint, PeerKind
from core.messages import (
    ActorMessage,
)
from core.slots import Slot


class Room(enum.Enum):
    """The actors that an effect can speak to without knowing an address. The values are fields of the node's Rooms."""

    NODE = "node"
    POOL = "pool"
    BOOK = "book"
    SERVER = "server"


class SendPacket(msgspec.Struct, frozen=True):
    """Queue one packet: text as a WebSocket text message of its own, bytes for a binary message."""

    packet: str | bytes


class SendPackets(msgspec.Struct, frozen=True):
    """Queue several packets, in order."""

    packets: list[str | bytes]


class CloseChannel(msgspec.Struct, frozen=True):
    """Send a close frame with this code and no reason, after what is queued."""

    code: int


class AbortChannel(msgspec.Struct, frozen=True):
    """Destroy the TCP connection, no close frame."""


class AcceptUpgrade(msgspec.Struct, frozen=True):
    """Answer the HTTP upgrade with 101 and these headers, as (name, value), besides the usual ones."""

    headers: tuple[tuple[str, str], ...] = ()


class RejectUpgrade(msgspec.Struct, frozen=True):
    """Answer the HTTP request with this status and text, then close."""

    status: int
    body: str


class HandOver(msgspec.Struct, frozen=True):
    """The connection passed all checks: give it to the peer actor that the pool names. ``cid`` as in Handshake."""

    cid: int | None


class Tell(msgspec.Struct, frozen=True):
    """Send a message to one of the node's own actors."""

    room: Room
    message: ActorMessage


AskId: TypeAlias = int | tuple[Any, int]
"""Who asked: the number under which the actor keeps that, 0 for nobody; or the address itself and its request id."""


def request_id_of(ask_id: AskId) -> int:
    """The number under which the asker waits; 0 where only the actor knows it."""
    return ask_id[1] if type(ask_id) is tuple else 0


class Reply(msgspec.Struct, frozen=True):
    """Answer an open query of ``ask_id``."""

    ask_id: AskId
    message: ActorMessage


class Emit(msgspec.Struct, frozen=True):
    """Give events to the subscribers, in order."""

    events: tuple[Event, ...]


class Record(msgspec.Struct, frozen=True):
    """Tell the node what was decided, and why. Records without a time get that of the moment."""

    decisions: Decisions


class DialPeer(msgspec.Struct, frozen=True):
    """Create an outbound peer and let it dial."""

    endpoint: Endpoint
    kind: PeerKind


class TellPeer(msgspec.Struct, frozen=True):
    """Send a message to the actor of a connected or connecting peer."""

    endpoint: Endpoint
    direction: Direction
    message: ActorMessage


class TellPeers(msgspec.Struct, frozen=True):
    """Send a message to the actors of several connected peers, which their slots name."""

    slots: Sequence[Slot]
    message: ActorMessage


class ForwardToPeer(msgspec.Struct, frozen=True):
    """Hand a query of ``ask_id``'s asker to a peer, which answers the asker itself."""

    endpoint: Endpoint
    direction: Direction
    message: ActorMessage
    ask_id: int


class CreateInbound(msgspec.Struct, frozen=True):
    """Create an inbound peer and tell the asker of ``ask_id`` (the PeerServer) its address."""

    endpoint: Endpoint
    kind: PeerKind
    ask_id: int


class ResolveSeedNames(msgspec.Struct, frozen=True):
    """Look these host names up; the answer is HostsResolved."""

    hosts: tuple[str, ...]


Effect: TypeAlias = (
    SendPacket
    | SendPackets
    | CloseChannel
    | AbortChannel
    | AcceptUpgrade
    | RejectUpgrade
    | HandOver
    | Tell
    | Reply
    | Emit
    | Record
    | DialPeer
    | TellPeer
    | TellPeers
    | ForwardToPeer
    | CreateInbound
    | ResolveSeedNames
)
