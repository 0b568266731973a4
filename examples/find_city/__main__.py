"""Three players change their city at random, and stop when all of them are in the same one.

Run it with ``scripts/example find_city``. The players are Thespian actors, and so are the nodes through which they tell
one another where they are: three nodes with real sockets on loopback. With ``--simulate SEED`` the very same actors run
in virtual time, without a socket, and the same seed gives the same game.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from thespian.actors import ActorSystem

from actors.bases.inproc import InProcessBase
from examples.find_city.game import Game, GameOver, Play, Said

CITIES = ("Berlin", "Lagos", "Lima", "Osaka")
TIMEOUT_S = 60.0


def main(arguments: list[str] | None = None) -> int:
    """Play one game and show it; 0 if all players met."""
    parser = argparse.ArgumentParser(prog="scripts/example find_city", description=__doc__.split("\n\n")[0])
    parser.add_argument("--simulate", metavar="SEED", help="in virtual time, reproducible; any text is a seed")
    seed = parser.parse_args(arguments).simulate
    for message in play() if seed is None else simulate(seed):
        if isinstance(message, Said):
            print(f"{message.name} {message.text}", flush=True)
        elif isinstance(message, GameOver) and message.city:
            print(f"All are in {message.city}, after {message.moves} moves.")
            return 0
        else:
            print(f"the game failed: {getattr(message, 'reason', 'it took too long')}", file=sys.stderr)
            return 1
    return 1


def play() -> Iterator[Any]:
    """Play on the real network. Yields what the Game tells; None if it falls silent for too long."""
    system = ActorSystem(systemBase=InProcessBase(logDefs=False), transientUnique=True)
    try:
        game = system.createActor(Game)
        message = system.ask(game, Play(CITIES), TIMEOUT_S)
        while isinstance(message, Said):
            yield message
            message = system.listen(TIMEOUT_S)
        yield message
    finally:
        system.shutdown()


def simulate(seed: str) -> Iterator[Any]:
    """Play in virtual time: the same actors on another base."""
    from actors.bases.sim_cell import Identity
    from actors.bases.sim_nodes import Simulation

    with Simulation(seed) as sim:
        host = Identity("host", sim.base.make_environment("host"), sim.internet.add_host("host", ["20.0.0.1"]))
        game = sim.base.create_on(host, Game)
        told: list[Any] = []
        door = sim.base.open_endpoint(lambda message, sender: told.append(message))
        sim.base.post_from_outside(game, Play(CITIES), door.address)
        sim.run_until(lambda: any(isinstance(message, GameOver) for message in told), TIMEOUT_S)
        yield from told


if __name__ == "__main__":
    raise SystemExit(main())
