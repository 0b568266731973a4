"""How connections end: in order, with code and reason seen by the other side, or by a kill; and what fills the gap."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.events import CloseInbound, CloseOutbound, ConnectOutbound, RemovePeer
from tests.interop.ensemble_node import EnsembleNode, EnsembleProcess
from tests.interop.links import lisk_dials, we_dial
from tests.interop.lisk_node import LiskNode

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nobody_complains")]

MakeLisk = Callable[..., LiskNode]
MakeOurs = Callable[..., EnsembleNode]


@pytest.fixture
def our_process() -> Iterator[Callable[..., EnsembleProcess]]:
    """Makes nodes of ours in processes of their own and kills them at the end of the test."""
    processes: list[EnsembleProcess] = []

    def make(**config: Any) -> EnsembleProcess:
        process = EnsembleProcess(**config)
        processes.append(process)
        return process

    try:
        yield make
    finally:
        for process in processes:
            process.kill()


@pytest.mark.parametrize(
    ("connect", "seen_by_lisk", "seen_by_us"),
    [(we_dial, "EVENT_CLOSE_INBOUND", CloseOutbound), (lisk_dials, "EVENT_CLOSE_OUTBOUND", CloseInbound)],
    ids=["we dial", "lisk dials"],
)
def test_a_stop_is_seen_with_code_and_reason(
    connect: Any, seen_by_lisk: str, seen_by_us: type[CloseOutbound | CloseInbound]
) -> None:
    with connect({}, {}) as link:
        lisk = link.lisk
        assert lisk.stop_p2p()
        close = link.ours.wait_event(seen_by_us)
        assert close.peer.peer_id == lisk.peer_id
        assert (close.code, close.reason) == (1000, f"Intentionally removed peer {link.ours.peer_id}")
        assert link.ours.wait_event(RemovePeer).peer_id == lisk.peer_id
        assert link.ours.connected_ids() == set()
    with connect({}, {}) as link:
        our_id, lisk = link.ours.peer_id, link.lisk
        link.ours.stop()
        event = lisk.wait_event(seen_by_lisk, lambda close: close["peerInfo"]["peerId"] == our_id)
        assert (event["code"], event["reason"]) == (1000, f"Intentionally removed peer {lisk.peer_id}")
        lisk.wait_for(lambda: not lisk.connected_ids())


def test_a_killed_lisk_node_is_noticed_and_replaced(lisk_node: MakeLisk, ensemble_node: MakeOurs) -> None:
    spare = ensemble_node()
    killed = lisk_node(seedPeers=[spare])
    killed.wait_connected(spare)
    # One slot, and an hour until the populator looks for somebody: only the loss itself can fill it.
    ours = ensemble_node(previous_peers=[killed], max_outbound_connections=1, populator_interval_s=3600)
    ours.wait_event(ConnectOutbound, lambda event: event.peer.peer_id == killed.peer_id)
    killed.kill()
    assert killed.exit_code == -signal.SIGKILL
    assert ours.wait_event(CloseOutbound, lambda event: event.peer.peer_id == killed.peer_id).code == 1006
    assert spare.wait_event(CloseInbound, lambda event: event.peer.peer_id == killed.peer_id).code == 1006
    ours.wait_event(ConnectOutbound, lambda event: event.peer.peer_id == spare.peer_id)
    assert ours.connected_ids() == {spare.peer_id}


def test_our_killed_process_is_noticed_and_replaced(
    our_process: Callable[..., EnsembleProcess], lisk_node: MakeLisk, ensemble_node: MakeOurs
) -> None:
    spare = ensemble_node()
    killed = our_process(seed_peers=[spare])
    spare.wait_connected(killed)
    lisk = lisk_node(previousPeers=[killed], maxOutboundConnections=1)
    lisk.wait_event("EVENT_CONNECT_OUTBOUND", lambda peer: peer["peerId"] == killed.peer_id)
    dialling = our_process(seed_peers=[lisk], max_outbound_connections=1)
    lisk.wait_connected(killed, dialling)
    killed.kill()
    dialling.kill()
    for event, process in (("EVENT_CLOSE_OUTBOUND", killed), ("EVENT_CLOSE_INBOUND", dialling)):
        closed = {close["peerInfo"]["peerId"]: close["code"] for close in [lisk.wait_event(event)]}
        assert closed == {process.peer_id: 1006}
    lisk.wait_connected(spare)
