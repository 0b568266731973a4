"""What is gone leaves no cycles: its memory is free at once, whatever Python's collector does."""

from __future__ import annotations

import gc
from collections import Counter

from tests.sim.conftest import MakeSimulation


def test_dials_refused_connections_and_their_end_leave_nothing_for_the_collector(simulate: MakeSimulation) -> None:
    sim = simulate(seed=5)
    nodes = sim.add_nodes(4, ack_timeout_s=1.0)
    # A neighbour that refuses connections, and one that never answers.
    absent = sim.add_node("absent")
    seeds = [node.peer_id for node in nodes] + [absent.peer_id, "99.9.9.9:5001"]
    seeker = sim.add_node("seeker", previous_peers=seeds)
    for node in (*nodes, seeker):
        node.start()
    assert sim.run_until(lambda: len(seeker.connected()) == 4, 30.0)
    nodes[0].stop()
    nodes[1].crash()
    nodes[2].crash(silent=True)
    gc.collect()
    gc.disable()
    try:
        born = sim.base.delivered
        nodes[0].start()
        nodes[1].start()
        assert sim.run_until(lambda: not seeker.is_connected_to(nodes[2]), 200.0)
        seeker.stop()
        sim.run_for(60.0)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = Counter(type(one).__name__ for one in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert sim.base.delivered > born + 100
    assert not left
