"""ServerGroup: to its node the PeerServer; it stands for one EdgeServer on each edge host, and watches over the hosts.

It learns of hosts from Thespian's convention, starts a server on each, and pings it every second. A host that is silent
for ``HOST_LOST_S`` is lost: Thespian itself would notice after 22 minutes. The pool is told which hosts take peers; one
that is not named any more is lost with all that lives there, and has to begin anew.
"""

from __future__ import annotations

from typing import Any

from thespian.actors import ActorSystemConventionUpdate, ChildActorExited, PoisonMessage

from actors.base import HouseActor
from actors.edge import (
    EDGE,
    HOST,
    HOST_LOST_S,
    INCARNATION,
    STARTING_S,
    BeginAnew,
    EdgeServer,
    HostPing,
    HostPong,
    HostsChanged,
    ServedBy,
    ServersKnown,
)
from actors.wiring import Init, Listen, Rooms, SubscribersChanged
from core.deadlines import earliest
from core.house_messages import (
    AddressBanned,
    AddressUnbanned,
    BansInForce,
    NamedSeedsChanged,
    NodeInfoChanged,
    ServerFailed,
    ServerListening,
)
from core.ids import Endpoint
from core.messages import ActorMessage

PING_INTERVAL_S = 1.0

KNOWN_WAIT_S = 2.0
"""How long a group that replaces another waits for the pool's word about the servers that are there."""

GOODBYE_S = 1.0
"""A host that says goodbye, or of which Thespian says so, has so long to prove the contrary."""


class Edge:
    """What the group knows of one edge host."""

    __slots__ = (
        "admin",
        "answered_at",
        "incarnation",
        "ip",
        "is_listening",
        "is_used",
        "name",
        "said_goodbye",
        "server",
    )

    def __init__(self, name: str, ip: str, incarnation: str, admin: Any, server: Any, now: float) -> None:
        self.name = name
        self.incarnation = incarnation
        self.said_goodbye = False
        self.ip = ip
        self.admin = admin
        self.server = server
        self.is_listening = False
        self.is_used = False  # it has listened: what lives there lives on while its server is replaced
        self.answered_at = now + STARTING_S - HOST_LOST_S


class ServerGroup(HouseActor):
    """Stands for all servers of a node. Parent: Node. Children: one EdgeServer on each edge host."""

    def __init__(self) -> None:
        super().__init__()
        self._edges: dict[str, Edge] = {}
        self._lost: dict[str, str] = {}  # host -> the incarnation that was lost last
        self._node: Any = None
        self._listen: Listen | None = None
        self._init: Init | None = None
        self._latest: dict[type, ActorMessage] = {}  # what a new server has to be told
        self._bans: dict[str, AddressBanned] = {}
        self._ping_at: float | None = None
        self._number = 0
        self._found: dict[str, Any] | None = None  # host -> a server that was there before this group
        self._look_by: float | None = None

    # ---- what the node, the book and the pool tell their server ----

    def receiveMsg_Listen(self, message: Listen, sender: Any) -> None:
        """From now on hosts are used as they come; after a crash not before it is known what is there."""
        self._listen, self._node = message, sender
        if message.again and self._found is None:
            self._look_by = self.now() + KNOWN_WAIT_S
        else:
            self.notifyOnSystemRegistrationChanges(True)

    def receiveMsg_ServersKnown(self, message: ServersKnown, sender: Any) -> None:
        """What the group before had made."""
        if self._found is None:
            self._found = dict(message.servers)
            if self._look_by is not None:
                self.notifyOnSystemRegistrationChanges(True)
            self._look_by = self.now() + KNOWN_WAIT_S

    def receiveMsg_Init(self, message: Init, sender: Any) -> None:
        """The charter for all."""
        self._adopt_charter(message.charter)
        self._init = message
        for edge in self._edges.values():
            if edge.is_listening:
                self.send(edge.server, message)
        self._tell_pool()

    def receiveMsg_Rooms(self, message: Rooms, sender: Any) -> None:
        """Pass it on; a new pool knows no hosts."""
        super().receiveMsg_Rooms(message, sender)
        if self._init is not None:
            self._init = Init(self.need_charter())
        self._tell_servers(message)
        self._tell_pool()

    def receiveMsg_SubscribersChanged(self, message: SubscribersChanged, sender: Any) -> None:
        """Pass it on."""
        super().receiveMsg_SubscribersChanged(message, sender)
        self._keep_and_tell(message)

    def receiveMsg_NodeInfoChanged(self, message: NodeInfoChanged, sender: Any) -> None:
        """Pass it on."""
        self._keep_and_tell(message)

    def receiveMsg_NamedSeedsChanged(self, message: NamedSeedsChanged, sender: Any) -> None:
        """Pass it on."""
        self._keep_and_tell(message)

    def receiveMsg_AddressBanned(self, message: AddressBanned, sender: Any) -> None:
        """Pass it on."""
        self._bans[message.ban.ip] = message
        self._tell_servers(message)

    def receiveMsg_AddressUnbanned(self, message: AddressUnbanned, sender: Any) -> None:
        """Pass it on."""
        self._bans.pop(message.ip, None)
        self._tell_servers(message)

    def receiveMsg_BansInForce(self, message: BansInForce, sender: Any) -> None:
        """Pass it on."""
        self._bans = {ban.ip: AddressBanned(ban) for ban in message.bans}
        self._tell_servers(message)

    def _keep_and_tell(self, message: ActorMessage) -> None:
        self._latest[type(message)] = message
        self._tell_servers(message)

    def _tell_servers(self, message: ActorMessage) -> None:
        for edge in self._edges.values():
            self.send(edge.server, message)

    def _tell_pool(self) -> None:
        if self.charter is not None and not self._found:  # a host that is not named is lost
            hosts = tuple(sorted(edge.name for edge in self._edges.values() if edge.is_used))
            self.send(self.charter.rooms.pool, HostsChanged(hosts))

    # ---- hosts ----

    def receiveMsg_ActorSystemConventionUpdate(self, message: ActorSystemConventionUpdate, sender: Any) -> None:
        """A host has come, or says goodbye."""
        capabilities = message.remoteCapabilities
        name, ip, incarnation = (capabilities.get(one) for one in (HOST, EDGE, INCARNATION))
        if not isinstance(name, str) or not isinstance(ip, str) or not isinstance(incarnation, str):
            return
        known = self._edges.get(name)
        is_known = known is not None and known.incarnation == incarnation
        if not message.remoteAdded:
            if known is not None and is_known:
                self._doubt(known)
        elif self._lost.get(name) == incarnation:
            self.send(self.createActor(EdgeServer, {HOST: name}), BeginAnew())
        elif not is_known and self._listen is not None:
            if known is not None:
                self._lose(known, "it has come anew")
            self._use(name, ip, incarnation, message.remoteAdminAddress)

    def _doubt(self, edge: Edge) -> None:
        """Ask whether it is still there."""
        edge.said_goodbye = True
        edge.answered_at = min(edge.answered_at, self.now() + GOODBYE_S - HOST_LOST_S)
        if edge.is_listening:
            self.send(edge.server, HostPing(self._number))

    def _use(self, name: str, ip: str, incarnation: str, admin: Any) -> None:
        """Start a server there, or go on with the one that is there."""
        self._ping_at = self._ping_at or self.now()
        found = self._found.pop(name, None) if self._found else None
        if found is not None:
            self.log.info("the server of host %s goes on", name)
            self._edges[name] = edge = Edge(name, ip, incarnation, admin, found, self.now())
            edge.answered_at = self.now()
            self.receiveMsg_ServerListening(ServerListening(Endpoint(ip, self._need_listen().port)), found)
            return
        self.log.info("host %s joins: listening at %s", name, ip)
        server = self.createActor(EdgeServer, {HOST: name})
        self._edges[name] = Edge(name, ip, incarnation, admin, server, self.now())
        self.send(server, ServedBy(name))
        self.send(server, Listen(ip, self._need_listen().port))

    def receiveMsg_ServerListening(self, message: ServerListening, sender: Any) -> None:
        """A host is ready. The first one starts the node."""
        edge = self._edge_of(sender)
        if edge is None:
            return
        edge.is_listening = edge.is_used = True
        edge.answered_at = self.now()
        if self._init is None:
            self.send(self._node, message)
            return
        self.send(sender, self._init)
        for kept in [*self._latest.values(), *self._bans.values()]:
            self.send(sender, kept)
        self._tell_pool()

    def receiveMsg_ServerFailed(self, message: ServerFailed, sender: Any) -> None:
        """A host cannot listen: it tries again when it has begun anew, with what lives there."""
        edge = self._edge_of(sender)
        if edge is not None:
            self.log.error("host %s: %s", edge.name, message.reason)
            self._lost[edge.name] = edge.incarnation
            self._lose(edge, "it cannot listen")
            self.send(sender, BeginAnew())

    def receiveMsg_HostPong(self, message: HostPong, sender: Any) -> None:
        """It is alive."""
        edge = self._edge_of(sender)
        if edge is not None:
            edge.said_goodbye = False
            edge.answered_at = max(edge.answered_at, self.now())

    def receiveMsg_ChildActorExited(self, message: ChildActorExited, sender: Any) -> None:
        """A server has crashed; its host may be well."""
        edge = self._edge_of(message.childAddress)
        if edge is not None:
            edge.answered_at = self.now() + STARTING_S - HOST_LOST_S
            self._replace_server(edge)

    def receiveMsg_PoisonMessage(self, message: PoisonMessage, sender: Any) -> None:
        """A server is dead that another group has made. Should its host be so, too, it will be silent."""
        edge = self._edge_of(sender)
        if edge is not None and isinstance(message.poisonMessage, HostPing):
            self._replace_server(edge)
        elif not isinstance(message.poisonMessage, HostPing):
            super().receiveMsg_PoisonMessage(message, sender)

    def _replace_server(self, edge: Edge) -> None:
        self.log.warning("the server of host %s crashed and is replaced", edge.name)
        edge.server = self.createActor(EdgeServer, {HOST: edge.name})
        edge.is_listening = False
        self.send(edge.server, ServedBy(edge.name))
        self.send(edge.server, Listen(edge.ip, self._need_listen().port))

    def _need_listen(self) -> Listen:
        if self._listen is None:
            raise RuntimeError("a host before the node listens")
        return self._listen

    def _edge_of(self, address: Any) -> Edge | None:
        return next((edge for edge in self._edges.values() if edge.server == address), None)

    def _lose(self, edge: Edge, why: str) -> None:
        self.log.warning("host %s is lost: %s", edge.name, why)
        del self._edges[edge.name]
        self._tell_pool()

    # ---- the clock ----

    def deadline(self) -> float | None:
        """The next ping, the end of a wait, or when the first host is silent for too long."""
        lost_at = min((edge.answered_at + HOST_LOST_S for edge in self._edges.values()), default=None)
        return earliest(earliest(self._ping_at, self._look_by), lost_at)

    def on_time(self, now: float) -> None:
        """Ping everybody; give up who is silent."""
        if self._look_by is not None and self._look_by <= now:
            self._look_by = None  # the pool is new, too; or a host that it knows is gone
            if self._found is None:
                self.notifyOnSystemRegistrationChanges(True)
            self._found = {}
            self._tell_pool()
        is_ping_due = self._ping_at is not None and self._ping_at <= now
        if is_ping_due:
            self._ping_at = now + PING_INTERVAL_S
            self._number += 1
        for edge in list(self._edges.values()):
            if edge.answered_at + HOST_LOST_S <= now:
                self._lost[edge.name] = edge.incarnation
                self._lose(edge, "it has gone" if edge.said_goodbye else f"silent for {HOST_LOST_S:g} s")
                self.deRegisterRemoteSystem(edge.admin)
            elif is_ping_due and edge.is_listening:
                self.send(edge.server, HostPing(self._number))
