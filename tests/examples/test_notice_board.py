"""examples/notice_board: boards in virtual time, and three on real sockets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actors.simulation.network import SimulatedNetwork
from actors.simulation.programs import SimAioP2P
from examples.notice_board.board import Board
from tests.examples.conftest import RunExample

SimNetwork = Callable[..., SimulatedNetwork[SimAioP2P]]


def test_a_notice_reaches_all_boards_within_a_second(sim_network: SimNetwork) -> None:
    network = sim_network(n=16, seed=7, form="asyncio")
    boards = [Board(p2p) for p2p in network]
    network.run(boards[11].pin("free: a kitten"))
    assert network.run_until(lambda: all(board.notices for board in boards), 1.0)


def test_boards_that_were_cut_off_read_what_they_missed(sim_network: SimNetwork) -> None:
    network = sim_network(n=10, form="asyncio")
    boards = [Board(p2p) for p2p in network]
    network.partition(network[:5], network[5:], reset=True)
    network.run(boards[0].pin("on the left"))
    network.run(boards[9].pin("on the right"))
    network.run_for(60.0)
    assert {text for board in boards[:5] for text in board.notices} == {"on the left"}
    network.heal()
    assert network.run_until(lambda: all(len(board.notices) == 2 for board in boards), 600.0)


def test_who_comes_late_reads_everything(sim_network: SimNetwork) -> None:
    network = sim_network(n=5, form="asyncio")
    boards = [Board(p2p) for p2p in network]
    network.run(boards[1].pin("lost: one umbrella"))
    late = Board(network.add())
    network.start()
    assert late.notices == ["lost: one umbrella"]


@pytest.mark.sockets
def test_the_example_runs(run_example: RunExample) -> None:
    done = run_example("notice_board")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["found: one umbrella", "lost: one umbrella"]
