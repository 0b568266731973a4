"""examples/find_city: three actor applications that meet in one city."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from actors.bases.sim_cell import Identity, Reordering
from actors.bases.sim_nodes import Simulation
from actors.node import Node
from examples.find_city.game import Game, GameOver, Play, Player, Said
from tests.examples.conftest import RunExample


class Table:
    """A game in virtual time, with all messages pickled and out of order as far as Thespian allows it."""

    def __init__(self, seed: int) -> None:
        self.sim = Simulation(seed, reordering=Reordering(0.02), strict=True)
        base = self.sim.base
        network = self.sim.internet.add_host("host", ["20.0.0.1"])
        self.told: list[Any] = []
        door = base.open_endpoint(lambda message, sender: self.told.append(message))
        game = base.create_on(Identity("host", base.make_environment("host"), network), Game)
        base.post_from_outside(game, Play(("here", "there", "elsewhere")), door.address)

    def over(self) -> GameOver | None:
        return next((message for message in self.told if isinstance(message, GameOver)), None)

    def actors(self, kind: type) -> list[Any]:
        return [cell.instance for cell in self.sim.base.cells.values() if isinstance(cell.instance, kind)]


@pytest.fixture
def tables() -> Iterator[list[Table]]:
    made: list[Table] = []
    yield made
    for table in made:
        table.sim.close()


@pytest.mark.parametrize("seed", range(6))
def test_they_meet_in_one_city_and_stop(tables: list[Table], seed: int) -> None:
    table = Table(seed)
    tables.append(table)
    assert table.sim.run_until(lambda: table.over() is not None, 30.0)
    over = table.over()
    assert over is not None
    assert (over.city in ("here", "there", "elsewhere"), over.reason) == (True, "")
    where = {}
    for message in table.told:
        if isinstance(message, Said):
            where[message.name] = message.text.rsplit(" ", 1)[1]
    assert where == dict.fromkeys(("Ann", "Bob", "Cid"), over.city)
    table.sim.run_for(1.0)
    assert not table.actors(Node), "all nodes have been stopped"


def test_a_game_whose_node_fails_says_so(tables: list[Table]) -> None:
    table = Table(1)
    tables.append(table)
    assert table.sim.run_until(lambda: len(table.actors(Player)) == 3, 10.0)
    table.actors(Player)[1].node_failed(RuntimeError("on purpose"))
    assert table.sim.run_until(lambda: table.over() is not None, 10.0)
    over = table.over()
    assert over is not None
    assert (over.city, "failed" in over.reason) == ("", True)
    table.sim.run_for(5.0)
    assert not table.actors(Player)


def test_the_same_seed_is_the_same_game(run_example: RunExample) -> None:
    games = [run_example("find_city", "--simulate", seed) for seed in ("7", "7", "8")]
    assert [game.returncode for game in games] == [0, 0, 0]
    assert games[0].stdout == games[1].stdout != games[2].stdout


@pytest.mark.sockets
@pytest.mark.parametrize("where", [(), pytest.param(("--processes",), marks=pytest.mark.slow)])
def test_on_the_real_network(run_example: RunExample, where: tuple[str, ...]) -> None:
    done = run_example("find_city", *where)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"All are in \w+, after \d+ moves\.", done.stdout.splitlines()[-1])
