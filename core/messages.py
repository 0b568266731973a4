"""The messages between a program and its node: typed, frozen, picklable, without addresses.

Those between the node's own actors are in :mod:`core.house_messages` and keep the same rules.

Commands are in the imperative, events in the past tense, queries carry a ``request_id`` which the answer repeats.
Messages that must hold an actor's address (who to answer, who to tell) are the few in :mod:`actors.wiring`.
Times are seconds: ``_s`` durations, ``_at``/``until`` Unix time. Everything here crosses process boundaries in the
multi-process deployment, so nothing may hold a socket, a lock, a callable or a reference to shared state.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from core.config import NodeConfig
from core.decisions import Decisions
from core.events import Event, PeerInfo
from core.ids import Endpoint, PeerId
from core.wire.payloads import NodeInfo


class ActorMessage(msgspec.Struct, frozen=True):
    """Base of all messages."""


class Query(ActorMessage, frozen=True):
    """A message that is answered: by its own answer type, by :class:`Done`, or by :class:`Failed`."""

    request_id: int


# ---- answers to a program ---------------------------------------------------------------------------------------


class Done(Query, frozen=True):
    """The command was carried out."""


class Failed(Query, frozen=True):
    """The command could not be carried out; ``error`` (an :class:`core.errors.EnsembleError`) is raised there."""

    error: Exception


class Answers(ActorMessage, frozen=True):
    """Several answers at once: from a Peer, to those who send it :class:`PeerCommands`."""

    answers: tuple[Query, ...]


# ---- program -> Node --------------------------------------------------------------------------------------------


class StartNode(Query, frozen=True):
    """Start everything. Answer: :class:`NodeStarted` or :class:`Failed`."""

    config: NodeConfig


class NodeStarted(Query, frozen=True):
    """The node runs. ``listening`` is the bound address, None if the node does not listen."""

    node_info: NodeInfo
    listening: Endpoint | None


class StopNode(Query, frozen=True):
    """Close all connections in order, flush storage. Answer: :class:`Done`."""


class Subscribe(Query, frozen=True):
    """Send events to the sender, in :class:`EventBatch` messages. ``names`` None: all. Answer: :class:`Done`.

    A later subscription of the same actor replaces its earlier one; an empty set ends it.
    """

    names: frozenset[str] | None


class EventBatch(ActorMessage, frozen=True):
    """Events for a subscriber, in order. The sender is the actor to which :class:`AnswerCall` goes."""

    events: tuple[Event, ...]


class HoldReading(ActorMessage, frozen=True):
    """To the sender of an EventBatch: too many events are waiting here. It reads no more from its peer for now."""


class ResumeReading(ActorMessage, frozen=True):
    """There is room again for the events of the peer to whose actor this goes."""


class ApplyNodeInfo(Query, frozen=True):
    """Replace the custom options of our node info and push it to every peer. Answer: :class:`NodeInfoAnswer`."""

    options: Mapping[str, object]


class GetNodeInfo(Query, frozen=True):
    """Answer: :class:`NodeInfoAnswer`."""


class NodeInfoAnswer(Query, frozen=True):
    """Our node info as it is pushed to peers."""

    node_info: NodeInfo


class GetConnectedPeers(Query, frozen=True):
    """Answer: :class:`PeerList`, outbound first."""


class GetDisconnectedPeers(Query, frozen=True):
    """Peers in the book that are not connected. Answer: :class:`PeerList`."""


class GetTriedPeers(Query, frozen=True):
    """Answer: :class:`PeerList` with the book's tried entries."""


class ListKnownPeers(Query, frozen=True):
    """PeerPool -> PeerBook: all entries but these. Answer: :class:`PeerList`."""

    without: frozenset[Endpoint]


class PeerList(Query, frozen=True):
    """Answer to the three queries above."""

    peers: tuple[PeerInfo, ...]


class GetNetworkStats(Query, frozen=True):
    """Answer: :class:`NetworkStats`."""


class NetworkStats(Query, frozen=True, kw_only=True):
    """Counters since start; keys come from a closed set, so that no peer can make them grow.

    ``..._connected`` are gauges; everything else only grows.
    """

    started_at: float
    inbound_connected: int = 0
    outbound_connected: int = 0
    inbound_connects_total: int = 0
    inbound_disconnects_total: int = 0
    outbound_connects_total: int = 0
    outbound_disconnects_total: int = 0
    outbound_dials_failed_total: int = 0
    banned_addresses: int = 0
    bans_total: int = 0
    errors_total: int = 0
    peers_discovered_total: int = 0
    peers_removed_total: int = 0
    messages_received_total: int = 0
    messages_sent_total: int = 0
    messages_dropped_total: int = 0
    requests_received_total: int = 0
    requests_sent_total: int = 0
    bytes_received_total: int = 0
    bytes_sent_total: int = 0
    known_new_peers: int = 0
    known_tried_peers: int = 0


class SendMessage(Query, frozen=True):
    """Send to ``peer_id``; None: to the peers that the selection rule picks (16). Answer: :class:`Done` or Failed.

    ``request_id`` 0 means that nobody waits for the answer.
    """

    event: str
    data: bytes | None
    peer_id: PeerId | None = None


class BroadcastMessage(Query, frozen=True):
    """Send to every connected peer. ``request_id`` 0: nobody waits for the answer."""

    event: str
    data: bytes | None


class Broadcasts(ActorMessage, frozen=True):
    """Several broadcasts at once, in order; each is answered as if it had come alone."""

    messages: tuple[BroadcastMessage, ...]


class SendRequest(Query, frozen=True):
    """Ask ``peer_id``; None: a peer picked by the selection rule. Answer: :class:`RequestAnswered` or :class:`Failed`.

    ``timeout_s`` None: the configured time for the connection's direction.
    """

    procedure: str
    data: bytes | None
    timeout_s: float | None = None
    peer_id: PeerId | None = None


class RequestAnswered(Query, frozen=True):
    """The answer of ``peer_id``."""

    peer_id: PeerId
    data: bytes | None


class FindPeer(Query, frozen=True):
    """Which actor is this peer? Answer: :class:`PeerFound`, or Failed.

    The peer's own actor answers, behind all that the asker had it sent through the Node before. From then on the asker
    may send it :class:`PeerCommands`, until :class:`PeerGone`.
    """

    peer_id: PeerId


class PeerFound(Query, frozen=True):
    """The sender is the actor of this peer."""

    peer_id: PeerId


class PeerGone(ActorMessage, frozen=True):
    """Peer -> everybody it was :class:`PeerFound` by: the connection has ended. Say :class:`PeerReleased`.

    ``crashed``: the PeerPool says it, for an actor that cannot any more; no answer.
    """

    peer_id: PeerId
    crashed: bool = False


class PeerReleased(ActorMessage, frozen=True):
    """The answer to :class:`PeerGone`: the sender will send this peer's actor nothing more."""


class ApplyPenalty(Query, frozen=True):
    """Subtract from a connected peer's reputation. Trusted peers are never banned. Answer: Done or Failed."""

    peer_id: PeerId
    penalty: int
    reason: str


class BanAddress(Query, frozen=True):
    """Ban an IP address for ``duration_s`` (None: the configured time). Answer: Done or Failed (trusted address).

    ``dry_run``: only report that it would be banned.
    """

    ip: str
    peer_id: PeerId
    reason: str
    duration_s: float | None = None
    dry_run: bool = False


class UnbanAddress(Query, frozen=True):
    """End a ban. Answer: Done, or Failed if the address is not banned."""

    ip: str


class GetBans(Query, frozen=True):
    """Answer: :class:`BanList`."""


class Ban(msgspec.Struct, frozen=True):
    """One banned address, until Unix time ``until``."""

    ip: str
    until: float
    reason: str


class BanList(Query, frozen=True):
    """All bans in force."""

    bans: tuple[Ban, ...]


class Explain(Query, frozen=True):
    """Why did the node do what it did to this peer? Answer: :class:`Story`.

    ``subject`` is a peer id or a bare IP address, in canonical form.
    """

    subject: str


class Story(Query, frozen=True):
    """Every decision about a peer that is still kept, in order."""

    decisions: Decisions


# ---- program -> Peer --------------------------------------------------------------------------------------------


class PeerCommands(ActorMessage, frozen=True):
    """Several commands for one peer's actor, in order: SendMessage, SendRequest, AnswerCall, RefuseCall."""

    commands: tuple[ActorMessage, ...]


class AnswerCall(ActorMessage, frozen=True):
    """Answer a peer's request. ``data`` None: an answer without payload."""

    call_id: int
    data: bytes | None


class RefuseCall(ActorMessage, frozen=True):
    """Answer a peer's request with an error."""

    call_id: int
    message: str

    @property
    def data(self) -> None:
        """Nothing, where other commands have a payload."""
        return None
