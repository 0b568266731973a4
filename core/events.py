"""What a program is told: every event of the seed and of lisk-p2p 0.10 as a typed class.

``NAME`` is lisk-p2p's constant, which is also its value there since 0.6. Times are Unix seconds. Payload bytes are
handed out as they came: whoever sent JSON made them JSON (see :func:`core.events.decode_json`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from core.decisions import Decision
from core.ids import Direction, Endpoint, PeerId, PeerKind, shared_endpoint


class PeerInfo(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known about one peer.

    ``chain_id``, ``network_version``, ``nonce`` and ``options`` are what the peer said of itself; they are empty for a
    peer that was never connected. A peer of an older generation of lisk-p2p names its network by a text instead of a
    chain id: ``network_identifier`` (0.6 to 0.8) or ``network_id`` (0.4 and 0.5). ``dialect`` is what the connection
    speaks, as ``lisk-0.10`` or ``native``; empty without one. ``latency_ms`` is the smallest round trip measured on
    this connection, None before the first. ``response_rate`` is the share of our requests that it answered, None before
    the first.
    ``reputation`` starts at 100 and falls with penalties (LIP 0004).
    """

    peer_id: PeerId
    ip_address: str
    port: int
    dialect: str = ""
    chain_id: bytes = b""
    network_identifier: str = ""
    network_id: str = ""
    network_version: str = ""
    nonce: str = ""
    options: Mapping[str, object] = {}
    advertise_address: bool = True
    direction: Direction | None = None
    kind: PeerKind = PeerKind.NONE
    latency_ms: float | None = None
    response_rate: float | None = None
    reputation: int = 100
    connected_at: float | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Address and port as an endpoint."""
        return shared_endpoint(self.ip_address, self.port)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all events."""

    NAME: ClassVar[str] = ""


class NetworkReady(Event, frozen=True, kw_only=True):
    """The first outbound connection of this run stands (once per start)."""

    NAME: ClassVar[str] = "EVENT_NETWORK_READY"


class NodeFailed(Event, frozen=True, kw_only=True):
    """The node has ended by itself, and why (not in lisk-p2p). Every subscriber is told; it is the run's last event."""

    NAME: ClassVar[str] = "EVENT_NODE_FAILED"
    reason: str


class NewInboundPeer(Event, frozen=True, kw_only=True):
    """A peer connected to us and passed all checks."""

    NAME: ClassVar[str] = "EVENT_NEW_INBOUND_PEER"
    peer: PeerInfo


class FailedToAddInboundPeer(Event, frozen=True, kw_only=True):
    """A connection to us was refused. ``code`` is the close code, or the HTTP status if it never became a WebSocket."""

    NAME: ClassVar[str] = "EVENT_FAILED_TO_ADD_INBOUND_PEER"
    ip_address: str
    code: int
    reason: str


class NewInboundPeerConnection(Event, frozen=True, kw_only=True):
    """A peer passed the handshake checks of the server, before the pool decided whether there is room."""

    NAME: ClassVar[str] = "EVENT_NEW_INBOUND_PEER_CONNECTION"
    peer: PeerInfo


class ConnectOutbound(Event, frozen=True, kw_only=True):
    """We connected to a peer: handshake acknowledged, node info and peers fetched."""

    NAME: ClassVar[str] = "EVENT_CONNECT_OUTBOUND"
    peer: PeerInfo


class ConnectAbortOutbound(Event, frozen=True, kw_only=True):
    """A dial failed before the peer counted as connected."""

    NAME: ClassVar[str] = "EVENT_CONNECT_ABORT_OUTBOUND"
    peer_id: PeerId
    reason: str
    code: int | None = None


class CloseOutbound(Event, frozen=True, kw_only=True):
    """A connection that we opened is closed."""

    NAME: ClassVar[str] = "EVENT_CLOSE_OUTBOUND"
    peer: PeerInfo
    code: int
    reason: str


class CloseInbound(Event, frozen=True, kw_only=True):
    """A connection that the peer opened is closed."""

    NAME: ClassVar[str] = "EVENT_CLOSE_INBOUND"
    peer: PeerInfo
    code: int
    reason: str


class OutboundSocketError(Event, frozen=True, kw_only=True):
    """The transport of a connection that we opened failed."""

    NAME: ClassVar[str] = "EVENT_OUTBOUND_SOCKET_ERROR"
    peer_id: PeerId
    error: str


class InboundSocketError(Event, frozen=True, kw_only=True):
    """The transport of a connection that the peer opened failed."""

    NAME: ClassVar[str] = "EVENT_INBOUND_SOCKET_ERROR"
    peer_id: PeerId
    error: str


class RemovePeer(Event, frozen=True, kw_only=True):
    """The pool let a peer go, for whatever reason; the connection is closed or closing."""

    NAME: ClassVar[str] = "EVENT_REMOVE_PEER"
    peer_id: PeerId
    reason: str


class UpdatedPeerInfo(Event, frozen=True, kw_only=True):
    """A peer told its node info, for the first time or anew."""

    NAME: ClassVar[str] = "EVENT_UPDATED_PEER_INFO"
    peer: PeerInfo


class FailedPeerInfoUpdate(Event, frozen=True, kw_only=True):
    """A peer's node info could not be used."""

    NAME: ClassVar[str] = "EVENT_FAILED_PEER_INFO_UPDATE"
    peer_id: PeerId
    reason: str


class FailedToFetchPeerInfo(Event, frozen=True, kw_only=True):
    """``getNodeInfo`` failed on an outbound connection; the connection is given up."""

    NAME: ClassVar[str] = "EVENT_FAILED_TO_FETCH_PEER_INFO"
    peer_id: PeerId
    reason: str


class FailedToFetchPeers(Event, frozen=True, kw_only=True):
    """``getPeers`` failed on an outbound connection; the connection goes on without."""

    NAME: ClassVar[str] = "EVENT_FAILED_TO_FETCH_PEERS"
    peer_id: PeerId
    reason: str


class FailedToCollectPeerDetailsOnConnect(Event, frozen=True, kw_only=True):
    """Details of a peer could not be collected after the connection was made."""

    NAME: ClassVar[str] = "EVENT_FAILED_TO_COLLECT_PEER_DETAILS_ON_CONNECT"
    peer_id: PeerId
    reason: str


class FailedToPushNodeInfo(Event, frozen=True, kw_only=True):
    """Our changed node info could not be sent to a peer."""

    NAME: ClassVar[str] = "EVENT_FAILED_TO_PUSH_NODE_INFO"
    peer_id: PeerId
    reason: str


class FailedToSendMessage(Event, frozen=True, kw_only=True):
    """A message could not be handed to a peer (gone, or its queue is full)."""

    NAME: ClassVar[str] = "EVENT_FAILED_TO_SEND_MESSAGE"
    peer_id: PeerId | None
    event: str
    reason: str


class DiscoveredPeer(Event, frozen=True, kw_only=True):
    """An address that was not known before was advertised by a peer."""

    NAME: ClassVar[str] = "EVENT_DISCOVERED_PEER"
    endpoint: Endpoint
    source: PeerId


class MessageReceived(Event, frozen=True, kw_only=True):
    """A one-way message of a peer. ``data`` is None when it carried no payload."""

    NAME: ClassVar[str] = "EVENT_MESSAGE_RECEIVED"
    peer_id: PeerId
    event: str
    data: bytes | None

    def json(self) -> object:
        """The payload read as JSON; None if there is none. Raises ValueError if it is no JSON text."""
        return decode_json(self.data)


class RequestReceived(Event, frozen=True, kw_only=True):
    """A request of a peer, as it travels between actors; programs see :class:`actors.client.IncomingRequest`.

    ``call_id`` identifies the call at the peer actor that sent the event; None when the peer wants no answer.
    """

    NAME: ClassVar[str] = "EVENT_REQUEST_RECEIVED"
    peer_id: PeerId
    procedure: str
    data: bytes | None
    call_id: int | None


class InvalidMessageReceived(Event, frozen=True, kw_only=True):
    """A packet of a peer was no message that the protocol knows."""

    NAME: ClassVar[str] = "EVENT_INVALID_MESSAGE_RECEIVED"
    peer_id: PeerId
    rule: str
    detail: str


class InvalidRequestReceived(Event, frozen=True, kw_only=True):
    """A request of a peer was malformed; it has been answered with an error."""

    NAME: ClassVar[str] = "EVENT_INVALID_REQUEST_RECEIVED"
    peer_id: PeerId
    detail: str


class BanPeer(Event, frozen=True, kw_only=True):
    """An address was banned. ``until`` is Unix time in seconds.

    ``dry_run``: it was not; with ``ban_mode: enforce`` it would have been. Said once for each connection.
    """

    NAME: ClassVar[str] = "EVENT_BAN_PEER"
    peer_id: PeerId
    ip_address: str
    until: float
    reason: str
    dry_run: bool = False


class UnbanPeer(Event, frozen=True, kw_only=True):
    """A ban ended, by time or by hand."""

    NAME: ClassVar[str] = "EVENT_UNBAN_PEER"
    ip_address: str


class PenaltyApplied(Event, frozen=True, kw_only=True):
    """A penalty was subtracted from a peer's reputation (not in lisk-p2p; it has no such event).

    ``dry_run``: it has no consequences, even where it leaves nothing (``ban_mode: dry-run``).
    """

    NAME: ClassVar[str] = "EVENT_PENALTY_APPLIED"
    peer_id: PeerId
    penalty: int
    reputation: int
    reason: str
    dry_run: bool = False


class DecisionTaken(Event, frozen=True, kw_only=True):
    """The node decided something about a peer; the record says what, by which rule, and on which numbers (ours)."""

    NAME: ClassVar[str] = "EVENT_DECISION_TAKEN"
    decision: Decision


EVENTS: Mapping[str, type[Event]] = {cls.NAME: cls for cls in Event.__subclasses__()}
"""Every event class by its name."""


def decode_json(data: bytes | None) -> object:
    """Read a payload that was sent as JSON. None for an absent payload. Raises ValueError if it is no JSON text."""
    if data is None:
        return None
    value: object = json.loads(data)
    return value
