"""Three players change their city at random, and stop when all of them are in the same one.

Run it with ``scripts/example find_city``. The players are Thespian actors, and so are the nodes through which they tell
one another where they are: three nodes with real sockets on loopback. The very same actors run elsewhere too: with
``--processes`` each of them, down to every single connection, is a process of its own; with ``--simulate SEED`` all run
in virtual time, without a socket, and the same seed gives the same game.
"""

from __future__ import annotations

import argparse
import queue
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
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--processes", action="store_true", help="every actor in a process of its own, some 25 of them")
    where.add_argument("--simulate", metavar="SEED", help="in virtual time, reproducible; any text is a seed")
    parsed = parser.parse_args(arguments)
    if parsed.simulate is not None:
        game = simulate(parsed.simulate)
    else:
        game = play_in_processes() if parsed.processes else play()
    for message in game:
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


def play_in_processes() -> Iterator[Any]:
    """Play with every actor in a process of its own. Yields as :func:`play`."""
    from actors.bases.process_system import ProcessSystem

    told: queue.Queue[Any] = queue.Queue()
    system = ProcessSystem(Game, lambda message, sender: told.put(message))
    try:
        system.tell_root(Play(CITIES, move_interval_s=1.0))  # a message between processes takes its time
        message = told.get(timeout=TIMEOUT_S)
        while isinstance(message, Said):
            yield message
            message = told.get(timeout=TIMEOUT_S)
        yield message
    except queue.Empty:
        yield None
    finally:
        system.close()


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
