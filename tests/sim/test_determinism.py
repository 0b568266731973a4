"""One seed, one history: in another process, with another hash seed, and with every option."""

from __future__ import annotations

import configparser
import glob
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from actors.bases.sim_cell import Reordering
from actors.bases.sim_check import NotDeterministic, check_determinism
from actors.bases.sim_nodes import Simulation
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


def run_script(hash_seed: int, python: str = sys.executable) -> str:
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(ROOT)}
    command = [python, "-c", SCRIPT]
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


def small_network(sim: Simulation) -> None:
    one_seed_network(sim, 4)
    sim.start_all()
    sim.run_for(20.0)


def test_a_script_that_is_deterministic_passes_the_check() -> None:
    with Simulation(5) as sim:
        small_network(sim)
        digest = sim.digest()
    assert check_determinism(small_network, 5) == digest


def test_the_check_shows_the_first_difference() -> None:
    runs = itertools.count()

    def script(sim: Simulation) -> None:
        small_network(sim)
        sim.nodes["n1"].crash(silent=bool(next(runs)))
        sim.run_for(20.0)

    with pytest.raises(NotDeterministic) as caught:
        check_determinism(script, 5)
    assert (caught.value.first, caught.value.second) == ("n1 crashes", "n1 crashes silently")
    assert "before that, in both:\n    " in str(caught.value)


def test_a_run_that_is_longer_differs_too() -> None:
    runs = itertools.count()

    def script(sim: Simulation) -> None:
        small_network(sim)
        sim.run_for(10.0 * next(runs))

    with pytest.raises(NotDeterministic, match="first run:  the end"):
        check_determinism(script, 5)


def other_pythons() -> list[str]:
    """Interpreters of other versions from 3.11 on, wherever they are usually installed."""
    found = {}
    for pattern in ("/usr/bin/python3.1[1-9]", "/usr/local/bin/python3.1[1-9]", "/opt/python*/bin/python3.1[1-9]"):
        for path in glob.glob(pattern):
            found[Path(path).name] = path
    for path in glob.glob(str(Path.home() / ".pyenv/versions/3.1[1-9]*/bin/python")):
        found[".".join(["python3", Path(path).parents[1].name.split(".")[1]])] = path
    found.pop(f"python3.{sys.version_info.minor}", None)
    return [found[name] for name in sorted(found)]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_other_python_versions_agree(tmp_path: Path) -> None:
    pythons = other_pythons()
    if not pythons:
        pytest.skip("no other Python from 3.11 on is here")
    expected = run_script(1)
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    needed = parser["options"]["install_requires"].split()
    for python in pythons:
        venv = tmp_path / Path(python).name
        subprocess.run([python, "-m", "venv", str(venv)], check=True, timeout=60)
        install = [str(venv / "bin/python"), "-m", "pip", "install", "-q", *needed]
        subprocess.run(install, check=True, timeout=180)
        assert run_script(1, str(venv / "bin/python")) == expected, python
