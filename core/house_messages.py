"""The messages between a node's own actors: typed, frozen, picklable, without addresses.

What a program says to its node is in :mod:`core.messages`, whose rules hold here too. Messages that must hold an
actor's address are the few in :mod:`actors.wiring`.
"""

from __future__ import annotations

import msgspec

from core.decisions import Decisions
from core.events import PeerInfo
from core.ids import Direction, Endpoint, PeerId, PeerKind
from core.messages import ActorMessage, Ban, Query
from core.wire.payloads import NodeInfo

# ---- Node -> children, children -> Node -------------------------------------------------------------------------


class NodeInfoChanged(ActorMessage, frozen=True):
    """Our node info is now this; Peers push it to their remotes."""

    node_info: NodeInfo


class ServerListening(ActorMessage, frozen=True):
    """PeerServer -> Node: the port is bound."""

    endpoint: Endpoint


class ServerFailed(ActorMessage, frozen=True):
    """PeerServer -> Node: the port could not be bound; the text is for the operator."""

    reason: str


class OpenStorage(ActorMessage, frozen=True):
    """Node -> PeerBook, before Init: use this data directory. Answer: StorageOpened or StorageFailed.

    ``secret`` becomes that of a new directory; ``interval_s`` is the time between two writes.
    """

    data_dir: str
    secret: bytes
    interval_s: float


class StorageOpened(ActorMessage, frozen=True):
    """PeerBook -> Node: what was stored is read. ``secret`` is the directory's."""

    secret: bytes


class StorageFailed(ActorMessage, frozen=True):
    """PeerBook -> Node: the directory cannot be used; the text is for the operator."""

    reason: str


class CloseStorage(ActorMessage, frozen=True):
    """Node -> PeerBook: write the last state and let go of the directory, then say :class:`StorageClosed`."""


class StorageClosed(ActorMessage, frozen=True):
    """PeerBook -> Node."""


class DecisionsTaken(ActorMessage, frozen=True):
    """PeerBook, PeerServer, PeerPool, Peer -> Node: what was decided, and why; in order, stamped with Unix time."""

    decisions: Decisions


class CloseAllPeers(ActorMessage, frozen=True):
    """Node -> PeerPool: close every connection in order, dial no more, then say :class:`AllPeersClosed`."""


class AllPeersClosed(ActorMessage, frozen=True):
    """PeerPool -> Node."""


class PoolCounts(ActorMessage, frozen=True):
    """PeerPool -> Node, whenever one of them changes. The first two are gauges, the next five totals.

    ``changed``: the peer whose connection in this ``direction`` has come (``stands``) or gone.
    """

    inbound_connected: int
    outbound_connected: int
    inbound_connects: int
    outbound_connects: int
    inbound_disconnects: int
    outbound_disconnects: int
    dials_failed: int
    changed: Endpoint | None = None
    direction: Direction | None = None
    stands: bool = False


class BookCounts(ActorMessage, frozen=True):
    """PeerBook -> Node, whenever one of them changes. The first three are gauges, the others totals."""

    new_peers: int
    tried_peers: int
    banned_addresses: int
    bans: int
    discovered: int


# ---- PeerServer <-> PeerPool ------------------------------------------------------------------------------------


class AdmitInbound(Query, frozen=True):
    """PeerServer -> PeerPool: this peer passed the checks; is there room? Answer: Admitted (wiring) or Refused."""

    peer: PeerInfo


class InboundRefused(Query, frozen=True):
    """PeerPool -> PeerServer: close with this code and reason."""

    code: int
    reason: str


class AddressBanned(ActorMessage, frozen=True):
    """PeerBook -> PeerServer, PeerPool: refuse this address until then."""

    ban: Ban


class AddressUnbanned(ActorMessage, frozen=True):
    """PeerBook -> PeerServer, PeerPool."""

    ip: str


class BansInForce(ActorMessage, frozen=True):
    """PeerBook -> PeerServer, PeerPool: these are all, whatever was said before. Told when one of them is new.

    ``is_new_book``: the book has just begun. Whoever knows of bans that are not among these says :class:`KeepBans`.
    """

    bans: tuple[Ban, ...]
    is_new_book: bool = False


class KeepBans(ActorMessage, frozen=True):
    """PeerPool -> PeerBook: you are new, and these were in force. Nobody is to be set free by a crash of the book."""

    bans: tuple[Ban, ...]


# ---- PeerPool <-> PeerBook --------------------------------------------------------------------------------------


class ChoosePeers(Query, frozen=True):
    """PeerPool -> PeerBook: whom to dial? Answer: :class:`ChosenPeers`.

    ``excluded`` are endpoints in use; ``group_counts`` says how many outbound connections each net group has, ``ips``
    which addresses are connected in either direction.
    """

    count: int
    excluded: frozenset[Endpoint]
    group_counts: tuple[tuple[bytes, int], ...] = ()
    ips: frozenset[str] = frozenset()


class ChosenPeers(Query, frozen=True):
    """PeerBook -> PeerPool: at most ``count`` endpoints, and how much the book knows."""

    endpoints: tuple[Endpoint, ...]
    tried_count: int
    known_count: int


class ChooseFeeler(Query, frozen=True):
    """PeerPool -> PeerBook: which address is to be tried out? Answer: :class:`FeelerChosen`.

    ``excluded`` are endpoints not to be dialled now, ``ips`` the addresses that are connected. ``connected``: peers of
    either direction, who need no test to be seen alive.
    """

    excluded: frozenset[Endpoint]
    ips: frozenset[str]
    connected: frozenset[Endpoint]


class FeelerChosen(Query, frozen=True):
    """PeerBook -> PeerPool: this one, if there is any. ``is_test``: it is tried, and a newcomer waits for its place."""

    endpoint: Endpoint | None
    is_test: bool = False


class KeepAnchors(ActorMessage, frozen=True):
    """PeerPool -> PeerBook: dial these first after a restart."""

    anchors: tuple[Endpoint, ...]


class DialAnchors(ActorMessage, frozen=True):
    """PeerBook -> PeerPool, at the start and before it answers anything: these were the anchors of the last run."""

    anchors: tuple[Endpoint, ...]


class OutboundSucceeded(ActorMessage, frozen=True):
    """PeerPool -> PeerBook: an outbound handshake succeeded (new -> tried, failures 0)."""

    endpoint: Endpoint
    advertise: bool


class OutboundFailed(ActorMessage, frozen=True):
    """PeerPool -> PeerBook: a dial failed."""

    endpoint: Endpoint


class InboundSeen(ActorMessage, frozen=True):
    """PeerPool -> PeerBook: this peer connected to us; its listening port is what it claims."""

    endpoint: Endpoint
    advertise: bool


class ForgetPeer(ActorMessage, frozen=True):
    """PeerPool -> PeerBook: this endpoint is ourselves, or otherwise never to be dialled again."""

    endpoint: Endpoint


# ---- PeerPool <-> SeedResolver ----------------------------------------------------------------------------------


class ResolveHosts(ActorMessage, frozen=True):
    """PeerPool -> SeedResolver: look these host names up. Each is answered, in one HostsResolved or several."""

    hosts: tuple[str, ...]


class ResolvedHost(msgspec.Struct, frozen=True):
    """What a name stands for, as a resolver told it; no address: it could not be looked up."""

    host: str
    addresses: tuple[str, ...]


class HostsResolved(ActorMessage, frozen=True):
    """SeedResolver -> PeerPool."""

    hosts: tuple[ResolvedHost, ...]


class NamedSeedsChanged(ActorMessage, frozen=True):
    """PeerPool -> PeerBook, PeerServer: the seeds given by name stand for these; trust them, and no earlier ones."""

    endpoints: tuple[Endpoint, ...]


# ---- Peer -> PeerBook -------------------------------------------------------------------------------------------


class PeersAdvertised(ActorMessage, frozen=True):
    """A peer's answer to getPeers."""

    source: PeerId
    source_ip: str
    endpoints: tuple[Endpoint, ...]


class GetSample(Query, frozen=True):
    """The remote at ``requester_ip`` asked getPeers. Answer: :class:`PeerSample`."""

    requester_ip: str


class PeerSample(Query, frozen=True):
    """What may be told to a remote."""

    endpoints: tuple[Endpoint, ...]


# ---- PeerPool -> Peer -------------------------------------------------------------------------------------------


class ClosePeer(ActorMessage, frozen=True):
    """Close in order: ``#disconnect`` with code and reason, then a close frame.

    ``when_answered``: not before the requests on it are answered, for a moment at least and a request's time at most.
    """

    code: int
    reason: str
    when_answered: bool = False


class PeerDismissed(ActorMessage, frozen=True):
    """The pool knows that it is closed, and sends it no more: it may go when nobody else will either."""


class AskForPeers(ActorMessage, frozen=True):
    """Ask the remote for its peers again (rediscovery)."""


# ---- Peer -> PeerPool -------------------------------------------------------------------------------------------


class PeerConnected(ActorMessage, frozen=True):
    """The connection carries messages now. ``direction`` tells who opened it."""

    peer: PeerInfo


class PeerUpdated(ActorMessage, frozen=True):
    """Node info, latency or reputation of a connected peer changed."""

    peer: PeerInfo


class PeerClosed(ActorMessage, frozen=True):
    """The connection is gone; last message of a Peer. ``was_connected``: it had reported :class:`PeerConnected`.

    ``code`` is the close code seen or sent. ``by_us`` tells that we decided to close, ``said_goodbye`` that the remote
    did, with a ``#disconnect`` packet.
    """

    endpoint: Endpoint
    direction: Direction
    was_connected: bool
    code: int
    reason: str
    by_us: bool
    said_goodbye: bool = False


class PeerMisbehaved(ActorMessage, frozen=True):
    """Peer -> Node: its reputation is used up; the connection is being closed. Leads to :class:`BanAddress`.

    In a dry run the connection stays, and this is said once.
    """

    peer_id: PeerId
    ip: str
    kind: PeerKind
    reason: str


class PeerTraffic(ActorMessage, frozen=True, kw_only=True):
    """Peer -> Node, once a second while there is traffic, and at the end: what was counted since the last one."""

    messages_received: int = 0
    messages_sent: int = 0
    messages_dropped: int = 0
    requests_received: int = 0
    requests_sent: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    errors: int = 0
