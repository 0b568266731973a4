"""A pytest plugin for programs built on Ensemble: the fixture ``sim_network``. Installed with the package.

    def test_the_time_spreads(sim_network):
        network = sim_network(n=50)
        ...

Loading it imports nothing of Ensemble; the first call of the fixture does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from actors.simulation.network import SimulatedNetwork

OPTION = "--sim-seed"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The seed of simulated networks, for all tests of a run."""
    group = parser.getgroup("ensemble", "Ensemble: programs on simulated networks")
    group.addoption(OPTION, default=None, metavar="N", help="seed of simulated networks")


@pytest.fixture
def sim_network(request: pytest.FixtureRequest) -> Iterator[Callable[..., SimulatedNetwork[Any]]]:
    """Make networks of simulated nodes: ``sim_network(n=50, seed=7, form="threads", **options)``.

    The arguments are those of :class:`actors.simulation.network.SimulatedNetwork`, with ``n`` for the number of nodes.
    All are closed after the test. A test in which an actor or a handler logged an error fails, unless it has cleared
    ``network.errors``. A failed test tells the seed and how to run it again.
    """
    made: list[SimulatedNetwork[Any]] = []
    chosen = request.config.getoption(OPTION)

    def make(n: int = 10, *, seed: int | str = 1, **options: Any) -> SimulatedNetwork[Any]:
        from actors.simulation.network import SimulatedNetwork

        network: SimulatedNetwork[Any] = SimulatedNetwork(n, seed=seed if chosen is None else int(chosen), **options)
        made.append(network)
        story = f"{n} nodes, seed {network.seed}\nreplay: pytest {request.node.nodeid!r} {OPTION}={network.seed}"
        request.node.add_report_section("call", "simulated network", story)
        return network

    yield make
    errors = [error for network in made for error in network.errors]
    for network in made:
        network.close()
    assert not errors, f"actors or handlers failed: {errors[:5]}"
