"""Where on several hosts a process system runs: what a host is called, where it listens, whom it belongs to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class HostPlace:
    """One host of a deployment. ``P2P(config, system=place)`` runs a node whose root is on this host, its leader.

    ``address`` and ``admin_port``: where Thespian's processes on this host listen, in the private network; ``leader``:
    the same of the leader, as ``ip:port``. ``edge_ip``: where a PeerServer on this host listens for peers; None: this
    host holds no sockets. ``store``: the peer book may be here; if that is true of the leader, it is there. ``key``: 32
    bytes that all hosts share.
    """

    name: str
    address: str
    admin_port: int
    leader: str
    key: bytes = dataclasses.field(repr=False)
    edge_ip: str | None = None
    store: bool = False

    @property
    def is_leader(self) -> bool:
        """Whether the node's root is here."""
        return self.leader == f"{self.address}:{self.admin_port}"

    def system_options(self) -> dict[str, Any]:
        """What :class:`actors.bases.process_system.ProcessSystem` needs to know."""
        capabilities: dict[str, Any] = {
            "Admin Port": self.admin_port,
            "Convention Address.IPv4": self.leader,
            "host": self.name,
            "store": self.store,
        }
        if self.edge_ip is not None:
            capabilities["edge"] = self.edge_ip
        return {
            "interface": self.address,
            "key": self.key,
            "capabilities": capabilities,
            "preloaded": ["actors.store_away"],
        }

    def root_of(self, node_class: type[Any]) -> type[Any]:
        """The root actor: the plain node becomes one on several hosts."""
        from actors.deployed import DeployedNode
        from actors.node import Node
        from actors.store_away import AwayNode

        if node_class is not Node:
            return node_class
        return DeployedNode if self.store else AwayNode
