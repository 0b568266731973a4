"""Seeds by DNS name in a simulated world: its names are those of its own internet, never the machine's."""

from __future__ import annotations

import logging

import pytest

from core.events import ConnectOutbound
from core.ids import PeerKind
from tests.sim.conftest import MakeSimulation


def test_a_simulated_node_finds_its_seed_by_name(simulate: MakeSimulation) -> None:
    sim = simulate()
    alice = sim.add_node("alice")
    bob = sim.add_node("bob", seed_peers=[f"seed.example:{alice.endpoint.port}"])
    sim.internet.names["seed.example"] = [alice.endpoint.ip]
    sim.start_all()
    assert sim.run_until(lambda: bool(bob.told(ConnectOutbound)), 10.0)
    peer = bob.told(ConnectOutbound)[0].peer
    assert (peer.endpoint, peer.kind) == (alice.endpoint, PeerKind.SEED)


def test_a_simulated_node_does_not_know_the_machines_names(
    simulate: MakeSimulation, caplog: pytest.LogCaptureFixture
) -> None:
    sim = simulate()
    bob = sim.add_node("bob", seed_peers=["localhost:5001"])
    with caplog.at_level(logging.WARNING):
        sim.start_all()
        sim.run_for(100.0)
    assert bob.connected() == ()
    said = [record.getMessage() for record in caplog.records]
    assert said == ["seed_peers: localhost cannot be resolved: no such name"]


def test_runs_with_names_repeat(simulate: MakeSimulation) -> None:
    digests = []
    for _ in range(2):
        sim = simulate(seed=7)
        alice = sim.add_node("alice")
        sim.internet.names["seed.example"] = [alice.endpoint.ip]
        for name in ("bob", "carol"):
            sim.add_node(name, seed_peers=[f"seed.example:{alice.endpoint.port}"])
        sim.start_all()
        sim.run_for(60.0)
        digests.append(sim.digest())
    assert digests[0] == digests[1]
