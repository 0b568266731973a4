"""A feeler of ours at a real lisk-p2p node: felt, proven, left in order, and nobody thinks the worse of us."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.interop.ensemble_node import EnsembleNode
from tests.interop.lisk_node import LiskNode

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nobody_complains")]


def test_a_lisk_node_is_felt_and_left(
    lisk_node: Callable[..., LiskNode], ensemble_node: Callable[..., EnsembleNode]
) -> None:
    first = lisk_node()
    second = lisk_node(seedPeers=[first])
    second.wait_connected(first)
    ours = ensemble_node(
        previous_peers=[first.peer_id],
        max_outbound_connections=1,
        feeler_interval_s=0.2,
        outbound_shuffle_interval_s=3600.0,
        node_info={"advertise_address": False},
    )
    ours.wait_connected(first)
    close = second.wait_event("EVENT_CLOSE_INBOUND")
    assert close["code"] == 1000
    ours.wait_for(lambda: second.peer_id in {peer.peer_id for peer in ours.p2p.get_tried_peers()}, what="proven")
    assert not second.events("EVENT_BAN_PEER")
    assert second.inspect()["bannedIPs"] == []
    rules = [made.rule for made in ours.p2p.explain(second.peer_id) if made.decision.value in ("dialled", "connected")]
    assert rules[:2] == ["feeler", "feeler"]
