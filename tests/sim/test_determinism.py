"""One seed, one history: in another process, with another hash seed, and with every option."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actors.bases.sim_cell import Reordering
from actors.transport.sim_links import Links, LogNormal, Uniform
from tests.sim.conftest import MakeSimulation, all_connected, one_seed_network

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
from actors.bases.sim_cell import Reordering
from actors.bases.sim_nodes import Simulation
from actors.transport.sim_links import Links, LogNormal, Uniform

links = Links(LogNormal(0.06), Uniform(0.0, 0.01), bandwidth_bytes_per_s=1e6)
with Simulation("a seed", links=links, reordering=Reordering(0.005)) as sim:
    hub = sim.add_node("hub")
    sim.add_nodes(5, seed_peers=[hub.peer_id], outbound_shuffle_interval_s=20.0)
    sim.start_all()
    sim.run_for(30.0)
    hub.crash()
    sim.run_for(10.0)
    hub.start()
    hub.broadcast("news", bytes(100_000))
    sim.run_for(30.0)
    print(sim.base.trace.count, sim.digest())
"""


def run_script(hash_seed: int) -> str:
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_two_processes_with_different_hash_seeds_agree() -> None:
    first = run_script(1)
    assert int(first.split()[0]) > 1000, "nothing happened"
    assert run_script(2) == first


def history(simulate: MakeSimulation, seed: int, **options: object) -> list[str]:
    lines: list[str] = []
    sim = simulate(seed, keep_trace=lines.extend, **options)
    nodes = one_seed_network(sim, 5)
    sim.start_all()
    assert sim.run_until(lambda: all_connected(nodes), 60.0)
    sim.run_for(30.0)
    digest = sim.digest()
    assert len(lines) == sim.base.trace.count
    return [*lines, digest]


OPTIONS: list[dict[str, object]] = [
    {},
    {"links": Links(LogNormal(0.05), Uniform(0.0, 0.02))},
    {"reordering": Reordering(0.01, True)},
    {"strict": True},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_same_seed_gives_the_same_history(simulate: MakeSimulation, options: dict[str, object]) -> None:
    first = history(simulate, 5, **options)
    assert history(simulate, 5, **options) == first
    assert history(simulate, 6, **options)[-1] != first[-1]


def test_keeping_and_looking_change_nothing(simulate: MakeSimulation) -> None:
    digests = []
    for is_curious in (False, True):
        sim = simulate(9, keep_trace=(lambda lines: None) if is_curious else None)
        nodes = one_seed_network(sim, 4)
        sim.start_all()
        for _ in range(20):
            sim.run_for(1.0)
            if is_curious:
                assert [node.connected() for node in nodes]
                assert nodes[0].known() is not None
                sim.digest()
        digests.append(sim.digest())
    assert digests[0] == digests[1]
