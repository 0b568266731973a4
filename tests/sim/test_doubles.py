"""Two nodes that dial each other at the same moment: one of the two connections goes, and no request goes with it."""

from __future__ import annotations

from typing import Any

import pytest

from actors.bases.sim_node import Pending
from actors.bases.sim_nodes import SimNode, Simulation
from actors.transport.sim_links import Constant, Links
from core import messages as m
from core.events import CloseInbound, CloseOutbound, ConnectOutbound, NewInboundPeer
from core.ids import CloseCode
from tests.sim.conftest import MakeSimulation

DELAY_S = 0.05


ALICE, BOB = "10.1.0.1", "10.1.0.2"


def dial_each_other(sim: Simulation, **options: Any) -> tuple[SimNode, SimNode]:
    """Two nodes that start at the same instant and know each other."""
    alice = sim.add_node("alice", ip=ALICE, fixed_peers=[f"{BOB}:5000"], port=5000, **options)
    bob = sim.add_node("bob", ip=BOB, fixed_peers=[f"{ALICE}:5000"], port=5000, **options)
    for node in (alice, bob):
        node.answerers["echo"] = lambda request: request.data
    sim.start_all()
    return alice, bob


def doubles_closed(node: SimNode) -> int:
    closed = [*node.told(CloseOutbound), *node.told(CloseInbound)]
    return sum(event.code == CloseCode.DUPLICATE for event in closed)


@pytest.mark.parametrize("native", [False, True])
def test_requests_on_the_connection_that_goes_are_answered(simulate: MakeSimulation, native: bool) -> None:
    sim = simulate(links=Links(Constant(DELAY_S)))
    alice, bob = dial_each_other(sim, network={"native": native})
    asked: list[Pending] = []
    while sim.now < 3.0:
        for node, other in ((alice, bob), (bob, alice)):
            if node.told(ConnectOutbound) or node.told(NewInboundPeer):
                asked.append(node.later(m.SendRequest(0, "echo", b"x", None, other.peer_id)))
        sim.run_for(DELAY_S / 5)
    sim.run_for(5.0)
    assert len(asked) > 100
    for pending in asked:
        assert pending.result().data == b"x"
    assert doubles_closed(alice) == doubles_closed(bob) == 1
    for node in (alice, bob):
        assert len(node.connected()) == 1
