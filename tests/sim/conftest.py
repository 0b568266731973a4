"""Simulations for tests: watched by a monitor, closed afterwards, and no actor of theirs may have failed.

A test that fails says how far its simulations have come, and how to run it again.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from actors.bases.sim_monitor import Rules
from actors.bases.sim_nodes import SimNode, Simulation
from actors.peer_pool import PeerPool
from core.deadlines import earliest

MakeSimulation = Callable[..., Simulation]


_MADE = pytest.StashKey[list[Simulation]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for sim in item.stash.get(_MADE, []):
            report.sections.append(("simulation", sim.how_to_replay()))
    return report


def look_at_the_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each message the pool's appointment, which it works out only when it may be another, is not too late."""
    arm = PeerPool._arm

    def arm_and_look(self: PeerPool) -> None:
        arm(self)
        if self._pool is not None and not self.has_ended:
            due_at, kept = earliest(self._pool.next_deadline(), self._refill_at), self.deadline()
            if due_at is not None and (kept is None or kept > due_at):
                raise AssertionError(f"something of the pool is due at {due_at}, it will look at {kept}")

    monkeypatch.setattr(PeerPool, "_arm", arm_and_look)


@pytest.fixture
def simulate(
    caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeSimulation]:
    """Make simulations: ``simulate(seed=7, links=...)``. An error that any actor logs fails the test.

    ``rules`` are the monitor's; with ``monitor=False`` there is none.
    """
    look_at_the_pools(monkeypatch)
    made = request.node.stash[_MADE] = []
    replay = f"python -m pytest {shlex.quote(request.node.nodeid)}"

    def make(seed: int | str = 1, *, monitor: bool = True, rules: Rules | None = None, **options: Any) -> Simulation:
        sim = Simulation(seed, **({"replay": replay} | options))
        made.append(sim)
        if monitor:
            sim.monitor(rules)
        return sim

    with caplog.at_level(logging.ERROR):
        yield make
        for sim in made:
            assert sim.base.living == len(sim.base.cells)
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
