"""A node on several hosts: its own actors on one, its servers and peers on edge hosts, each with an address of its own.

    Node (leader) -+- PeerBook, DeployedPool                  (leader)
                   '- ServerGroup (leader) -- EdgeServer      (one on each edge host)
                      DeployedPool (leader) -- EdgeInbound, EdgeOutbound   (on edge hosts)

The ServerGroup watches over the hosts (:mod:`actors.server_group`). When one is lost the pool drops its peers and dials
elsewhere; Thespian would never tell a parent that its children there are gone. The host itself, which may be alive
behind a cut link, ends all of its actors when no ping has come for as long, and comes back as a new member.
"""

from __future__ import annotations

from typing import Any

from thespian.actors import ChildActorExited

from actors.edge import (
    HOST,
    EdgeInbound,
    EdgeOutbound,
    HostsChanged,
    PeerLeft,
    PeerPlaced,
    ServedBy,
    ServersKnown,
    StillThere,
)
from actors.node import Node
from actors.peer_pool import PeerPool
from actors.server_group import ServerGroup
from actors.wiring import Rooms
from core.effects import CreateInbound, DialPeer
from core.house_messages import PeerClosed
from core.ids import CloseCode, Direction, Endpoint


class DeployedPool(PeerPool):
    """A PeerPool whose peers live on edge hosts."""

    def __init__(self) -> None:
        super().__init__()
        self._hosts: tuple[str, ...] = ()
        self._servers: list[tuple[Any, str]] = []  # which server is on which host: addresses have no hash
        self._host_of: dict[tuple[Direction, Endpoint], str] = {}

    def receiveMsg_Rooms(self, message: Rooms, sender: Any) -> None:
        """A new group does not know what the one before it has made."""
        before = self.charter
        super().receiveMsg_Rooms(message, sender)
        if before is not None and message.server is not None and before.rooms.server != message.server:
            known = tuple((host, server) for server, host in self._servers if host in self._hosts)
            self.send(message.server, ServersKnown(known))

    def receiveMsg_HostsChanged(self, message: HostsChanged, sender: Any) -> None:
        """Use these; the peers of others are lost."""
        self._hosts = message.hosts
        for (direction, endpoint), host in list(self._host_of.items()):
            if host not in message.hosts:
                self._forget_peer(direction, endpoint, "its host is lost")

    def receiveMsg_ServedBy(self, message: ServedBy, sender: Any) -> None:
        """Connections that this server asks room for are on that host."""
        self._servers = [(server, host) for server, host in self._servers if host != message.host]
        self._servers.append((sender, message.host))
        for key, host in self._host_of.items():
            peer = self._peer(*key)
            if host == message.host and peer is not None:
                self.send(sender, PeerPlaced(peer))

    def _tell_server(self, host: str | None, message: PeerPlaced | PeerLeft) -> None:
        for server, name in self._servers:
            if name == host:
                self.send(server, message)

    def receiveMsg_StillThere(self, message: StillThere, sender: Any) -> None:
        """Yes."""

    def do_dial_peer(self, effect: DialPeer) -> None:
        """On the host that has the fewest peers."""
        if not self._hosts:
            self._lose(PeerClosed(effect.endpoint, Direction.OUTBOUND, False, CloseCode.ABNORMAL, "no edge host", True))
            return
        loads = list(self._host_of.values())
        self._next_host = min(self._hosts, key=loads.count)
        self._host_of[(Direction.OUTBOUND, effect.endpoint)] = self._next_host
        super().do_dial_peer(effect)

    def do_create_inbound(self, effect: CreateInbound) -> None:
        """On the host where the connection is."""
        asked = self._asks.get(effect.ask_id)
        host = next((host for server, host in self._servers if asked is not None and server == asked[0]), None)
        if host is None:
            self.asker(effect.ask_id)
            self._lose(PeerClosed(effect.endpoint, Direction.INBOUND, False, CloseCode.ABNORMAL, "unknown host", True))
            return
        self._next_host = host
        self._host_of[(Direction.INBOUND, effect.endpoint)] = host
        super().do_create_inbound(effect)

    def _make_peer(self, direction: Direction) -> Any:
        peer = self.createActor(
            EdgeOutbound if direction is Direction.OUTBOUND else EdgeInbound, {HOST: self._next_host}
        )
        self._tell_server(self._next_host, PeerPlaced(peer))
        return peer

    def _count_wanted_spares(self) -> int:
        return 0

    def receiveMsg_PeerClosed(self, message: PeerClosed, sender: Any) -> None:
        """A peer's last message."""
        self._tell_server(self._host_of.get((message.direction, message.endpoint)), PeerLeft(sender))
        super().receiveMsg_PeerClosed(message, sender)
        self._tidy()

    def receiveMsg_ChildActorExited(self, message: ChildActorExited, sender: Any) -> None:
        """A peer's actor is gone."""
        for key, host in self._host_of.items():
            peer = self._peer(*key)
            if peer is not None and peer == message.childAddress:
                self._tell_server(host, PeerLeft(peer))
        super().receiveMsg_ChildActorExited(message, sender)
        self._tidy()

    def _tidy(self) -> None:
        for key in [key for key in self._host_of if self._peer(*key) is None]:
            del self._host_of[key]

    def _forget_peer(self, direction: Direction, endpoint: Endpoint, why: str) -> None:
        self._host_of.pop((direction, endpoint), None)
        if self._peer(direction, endpoint) is not None:
            self._lose(PeerClosed(endpoint, direction, True, CloseCode.ABNORMAL, why, False))

    def _lose(self, lost: PeerClosed) -> None:
        """A peer that says nothing itself. Whatever message this is part of, a fixed one is dialled again."""
        self.apply(self.pool.on_closed(lost, self.now()))
        self._is_as_before = False


class DeployedNode(Node):
    """The root of a node on several hosts."""

    SERVER = ServerGroup
    POOL = DeployedPool
