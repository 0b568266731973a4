"""Peers learned through getPeers: a third node finds the first through the second, whatever each of them is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.events import DiscoveredPeer
from tests.interop.ensemble_node import EnsembleNode
from tests.interop.lisk_node import LiskNode

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nobody_complains")]

Node = EnsembleNode | LiskNode


@pytest.fixture
def make(lisk_node: Callable[..., LiskNode], ensemble_node: Callable[..., EnsembleNode]) -> Callable[..., Node]:
    """Makes a node of a kind whose only seed is another node."""

    def make_node(kind: str, *seeds: Node) -> Node:
        return ensemble_node(seed_peers=list(seeds)) if kind == "ours" else lisk_node(seedPeers=list(seeds))

    return make_node


@pytest.mark.parametrize(
    ("third_kind", "first_kind", "second_kind"),
    [("ours", "ours", "lisk"), ("ours", "lisk", "lisk"), ("lisk", "lisk", "ours"), ("lisk", "ours", "lisk")],
    ids=lambda kind: kind,
)
def test_a_third_node_finds_the_first_through_the_second(
    make: Callable[..., Node], third_kind: str, first_kind: str, second_kind: str
) -> None:
    second = make(second_kind)
    first = make(first_kind, second)
    first.wait_connected(second)
    second.wait_connected(first)
    third = make(third_kind, second)
    if isinstance(third, EnsembleNode):
        found = third.wait_event(DiscoveredPeer, lambda event: event.endpoint.peer_id == first.peer_id)
        assert found.source == second.peer_id
    else:
        third.wait_event("EVENT_DISCOVERED_PEER", lambda peer: peer["peerId"] == first.peer_id)
    third.wait_connected(first, second)
    first.wait_connected(third)
