"""Simulations for tests: closed afterwards, and no actor of theirs may have failed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from actors.bases.sim_nodes import SimNode, Simulation

MakeSimulation = Callable[..., Simulation]


@pytest.fixture
def simulate(caplog: pytest.LogCaptureFixture) -> Iterator[MakeSimulation]:
    """Make simulations: ``simulate(seed=7, links=...)``. An error that any actor logs fails the test."""
    made: list[Simulation] = []

    def make(seed: int | str = 1, **options: Any) -> Simulation:
        made.append(Simulation(seed, **options))
        return made[-1]

    with caplog.at_level(logging.ERROR):
        yield make
        for sim in made:
            sim.close()
    errors = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not errors, f"actors failed: {errors[:5]}"


@pytest.fixture
def pair(simulate: MakeSimulation) -> tuple[Simulation, SimNode, SimNode]:
    """Two running nodes, the second connected to the first."""
    return connected_pair(simulate())


def connected_pair(sim: Simulation, **options: Any) -> tuple[Simulation, SimNode, SimNode]:
    alice = sim.add_node("alice", **options)
    bob = sim.add_node("bob", **({"seed_peers": [alice.peer_id]} | options))
    sim.start_all()
    assert sim.run_until(lambda: alice.is_connected_to(bob) and bob.is_connected_to(alice), 10.0)
    return sim, alice, bob


def one_seed_network(sim: Simulation, count: int, **options: Any) -> list[SimNode]:
    """``count`` nodes that know nobody but the first of them; not started."""
    hub = sim.add_node("hub", **options)
    return [hub, *sim.add_nodes(count - 1, seed_peers=[hub.peer_id], **options)]


def all_connected(nodes: list[SimNode]) -> bool:
    """Whether each is connected to each."""
    return all(len(node.connected()) == len(nodes) - 1 for node in nodes)
