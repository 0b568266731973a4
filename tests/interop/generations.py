"""Real nodes of every generation of lisk-p2p, connected to nodes of ours in both directions.

One node of ours, the hub, speaks ``network.protocol: auto`` and dials a node of each version; the same nodes have
dialled another node of ours, the listener. So each version is met twice with few processes: each real node has one
inbound and one outbound connection. Nobody dials anybody else: the real nodes dial their seed only, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from core.ids import Direction
from tests.interop.ensemble_node import EnsembleNode
from tests.interop.links import LISK, LISK_OPTIONS, OURS, SCHEMA
from tests.interop.lisk_node import NETWORK_ID, NETWORK_IDENTIFIER, VERSIONS, LiskNode

NETWORKS: Final[Mapping[str, str]] = {"network_identifier": NETWORK_IDENTIFIER, "network_id": NETWORK_ID}
HUB_OPTIONS: Final = {"height": 7, "label": "hub"}
LISTENER_OPTIONS: Final = {"height": 8, "label": "listener"}
NEVER_MS: Final = 1_000_000_000

ADDRESS_TOLD: Final = "127.0.0.1:9"
"""What our listener knows, and tells who asks for peers. Nobody listens there, and nobody dials it."""


def address_known_to(version: str) -> str:
    """What only the real node of this version knows, and tells who asks for peers."""
    return f"127.0.0.1:{10 + VERSIONS.index(version)}"


def auto(options: Mapping[str, Any] | None = None, **names: Any) -> dict[str, Any]:
    """Options of a node of ours that speaks every generation."""
    said: dict[str, Any] = {**NETWORKS, **names}
    if options is not None:
        said["options"] = dict(options)
    return {"network": {"protocol": "auto"}, "node_info": said}


@dataclass(frozen=True, slots=True)
class Meeting:
    """A node of ours and a real one of some version; `direction` is the connection's as ours sees it."""

    ours: EnsembleNode
    lisk: LiskNode
    direction: Direction


@dataclass(frozen=True, slots=True)
class World:
    """All of them; see the module."""

    hub: EnsembleNode
    listener: EnsembleNode
    nodes: Mapping[str, LiskNode]

    def meeting(self, version: str, direction: Direction) -> Meeting:
        """The connection with the node of a version."""
        ours = self.hub if direction is Direction.OUTBOUND else self.listener
        return Meeting(ours, self.nodes[version], direction)


@contextmanager
def world() -> Iterator[World]:
    """Start everything and wait until all are connected."""
    common = {**OURS, "custom_node_info_schema": SCHEMA}
    with ExitStack() as stack:
        listener = stack.enter_context(
            EnsembleNode(
                **{**common, **auto(LISTENER_OPTIONS)}, max_outbound_connections=0, previous_peers=[ADDRESS_TOLD]
            )
        )
        nodes = {
            version: stack.enter_context(
                LiskNode(
                    version=version,
                    **_options(version),
                    seedPeers=[listener],
                    previousPeers=[address_known_to(version)],
                    populatorInterval=NEVER_MS,
                    fallbackSeedPeerDiscoveryInterval=NEVER_MS,
                )
            )
            for version in VERSIONS
        }
        hub = stack.enter_context(
            EnsembleNode(**{**common, **auto(HUB_OPTIONS)}, fixed_peers=list(nodes.values()), fixed_peers_only=True)
        )
        hub.wait_connected(*nodes.values())
        listener.wait_connected(*nodes.values())
        for node in nodes.values():
            node.wait_connected(hub, listener)
        yield World(hub, listener, nodes)


def _options(version: str) -> dict[str, Any]:
    if version == "0.5.0":  # it has no schemas, and its node info takes any member
        return {key: value for key, value in LISK.items() if key != "customNodeInfoSchema"}
    return {**LISK, "options": LISK_OPTIONS}
