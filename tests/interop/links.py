"""A connection between a node of ours and a lisk-p2p node, made by the one or by the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from core.events import ConnectOutbound, NewInboundPeer
from core.ids import Direction
from tests.interop.ensemble_node import EnsembleNode
from tests.interop.lisk_node import LiskNode

SCHEMA: Final[Mapping[str, Any]] = {
    "$id": "/test/nodeInfo",
    "type": "object",
    "properties": {
        "height": {"dataType": "uint32", "fieldNumber": 1},
        "label": {"dataType": "string", "fieldNumber": 2},
    },
    "required": ["height", "label"],
}
OUR_OPTIONS: Final = {"height": 1, "label": "ours"}
LISK_OPTIONS: Final = {"height": 2, "label": "łisk"}

OURS: Final[Mapping[str, Any]] = {
    "custom_node_info_schema": SCHEMA,
    "node_info": {"options": OUR_OPTIONS},
    "ws_max_message_rate_per_s": 1e6,
    "peer_status_message_rate_per_10s": 1000,
    "ping_interval_min_s": 0.1,
    "ping_interval_max_s": 0.2,
}
LISK: Final[Mapping[str, Any]] = {
    "customNodeInfoSchema": SCHEMA,
    "options": LISK_OPTIONS,
    "wsMaxMessageRate": 1_000_000,
    "peerStatusMessageRate": 1000,
    "constants": {"DEFAULT_PING_INTERVAL_MIN": 100, "DEFAULT_PING_INTERVAL_MAX": 200},
}


@dataclass(frozen=True, slots=True)
class Link:
    """Two connected nodes; `direction` is the connection's as our node sees it."""

    ours: EnsembleNode
    lisk: LiskNode
    direction: Direction


@contextmanager
def we_dial(ours: Mapping[str, Any] = OURS, lisk: Mapping[str, Any] = LISK) -> Iterator[Link]:
    """Our node opened the connection."""
    with LiskNode(**lisk) as listener, EnsembleNode(**ours, seed_peers=[listener]) as opener:
        opener.wait_event(ConnectOutbound)
        listener.wait_connected(opener.peer_id)
        yield Link(opener, listener, Direction.OUTBOUND)


@contextmanager
def lisk_dials(ours: Mapping[str, Any] = OURS, lisk: Mapping[str, Any] = LISK) -> Iterator[Link]:
    """The lisk-p2p node opened the connection."""
    with EnsembleNode(**ours) as listener, LiskNode(**lisk, seedPeers=[listener]) as opener:
        listener.wait_event(NewInboundPeer)
        opener.wait_event("EVENT_CONNECT_OUTBOUND", lambda peer: peer["peerId"] == listener.peer_id)
        yield Link(listener, opener, Direction.INBOUND)
