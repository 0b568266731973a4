"""A simulated network for programs: nodes with the surface of ``P2P``, started, connected, in virtual time.

    with SimulatedNetwork(10, seed=7) as network:
        for p2p in network:
            p2p.procedure("time", lambda request: "noon")
        assert network[3].request("time").data == b"noon"

The pytest fixture ``sim_network`` makes and closes them (:mod:`actors.pytest_plugin`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, Generic, Literal, TypeVar, overload

from actors.bases.sim_node import SimNode
from actors.bases.sim_nodes import Simulation
from actors.simulation.programs import SimAioP2P, SimP2P
from actors.simulation.stage import Stage
from actors.simulation.virtual_loop import VirtualLoop
from actors.transport.sim_links import Links, LogNormal
from core.errors import EnsembleError
from core.measures import graph

ProgramT = TypeVar("ProgramT", SimP2P, SimAioP2P)
T = TypeVar("T")

CONNECT_LIMIT_S = 300.0
"""Virtual seconds within which a network of any size has grown together."""

LOOK_EVERY_S = 0.25
"""Looking after each event costs more than the simulation itself."""

USUAL_LINKS = Links(LogNormal(0.05))

ENOUGH = 8
"""Connections of each node of a network that counts as connected (or to all others, if they are fewer)."""


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]!r}"
        self.found.append(text)


class SimulatedNetwork(Generic[ProgramT]):
    """``count`` nodes on a simulation of their own.

    ``form``: ``"threads"`` gives each the surface of :class:`actors.P2P`, ``"asyncio"`` that of :class:`actors.aio.P2P`
    (see :meth:`run`). ``start``: they are started and have grown together when this returns. All know the first node as
    their seed. ``links``: see :class:`~actors.transport.sim_links.Links`; ``options`` are those of every node's
    configuration (``docs/configuration.md``).
    """

    def __init__(
        self,
        count: int,
        *,
        seed: int | str = 1,
        form: Literal["threads", "asyncio"] = "threads",
        start: bool = True,
        links: Links = USUAL_LINKS,
        **options: Any,
    ) -> None:
        if count < 1:
            raise ValueError(f"expected one node or more, got {count}")
        self.sim = Simulation(seed, links=links)
        self.seed = seed
        self.loop = VirtualLoop(self.sim)
        self._stage = Stage(self.sim)
        self._form = form
        self._options = options
        self._programs: list[ProgramT] = []
        self._log = _Errors()
        logging.getLogger().addHandler(self._log)
        try:
            for _ in range(count):
                self.add()
            if start:
                self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> SimulatedNetwork[ProgramT]:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # ---- its nodes

    def __len__(self) -> int:
        return len(self._programs)

    def __iter__(self) -> Iterator[ProgramT]:
        return iter(self._programs)

    @overload
    def __getitem__(self, index: int) -> ProgramT: ...
    @overload
    def __getitem__(self, index: slice) -> list[ProgramT]: ...
    def __getitem__(self, index: int | slice) -> ProgramT | list[ProgramT]:
        return self._programs[index]

    def add(self, **options: Any) -> ProgramT:
        """One more node, not started. It knows the first one as its seed, unless ``options`` say otherwise."""
        first = [self._programs[0].peer_id] if self._programs else []
        node = self.sim.add_node(collect=(), **({"seed_peers": first} | self._options | options))
        program: Any = SimP2P(node, self._stage) if self._form == "threads" else SimAioP2P(node)
        self._programs.append(program)
        return self._programs[-1]

    def by_peer_id(self, peer_id: str) -> ProgramT:
        """The node that others know by this peer id. Raises LookupError."""
        for program in self._programs:
            if program.peer_id == peer_id:
                return program
        raise LookupError(f"no node of this network is {peer_id}")

    def start(self) -> None:
        """Start every node that does not run, and wait until they have grown together. Raises StartFailed."""
        for program in self._programs:
            if not program.is_active and not program.node.is_running:
                if isinstance(program, SimP2P):
                    program.start()
                else:
                    self.loop.run_until_complete(program.start(), CONNECT_LIMIT_S)
        self.wait_until_connected()

    def wait_until_connected(self, limit_s: float = CONNECT_LIMIT_S) -> None:
        """Let time pass until :meth:`is_connected`, looked at four times a second. Raises EnsembleError."""
        deadline = self.now + limit_s
        while not self.is_connected():
            if self.now >= deadline:
                raise EnsembleError(f"the nodes have not grown together within {limit_s:g} virtual seconds")
            self.run_for(LOOK_EVERY_S)

    def is_connected(self) -> bool:
        """Whether every node that runs has at least eight peers (or all others), and all hang together."""
        nodes = [program.node for program in self._programs if program.node.is_running]
        enough = min(ENOUGH, len(nodes) - 1)
        place = {node.peer_id: index for index, node in enumerate(nodes)}
        peers = [[place[peer.peer_id] for peer in node.connected() if peer.peer_id in place] for node in nodes]
        if any(len(mine) < enough for mine in peers):
            return False
        edges = ((index, other) for index, mine in enumerate(peers) for other in mine)
        return len(graph.components(graph.masks_of(len(nodes), edges))) <= 1

    # ---- time

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.sim.now

    def run_for(self, seconds: float) -> None:
        """Let so much virtual time pass."""
        self.sim.run_for(seconds)

    def run_until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Run until ``condition()`` holds, looked at after each event; False if ``limit_s`` passed first."""
        return self.sim.run_until(condition, limit_s)

    def sleep(self, seconds: float) -> None:
        """Wait: in a test, in a handler, in an action of :meth:`at`."""
        self._stage.wait(lambda: False, seconds)

    def at(self, when_s: float, action: Callable[[], object]) -> None:
        """Have ``action()`` called at that time (now, if it has passed). Unlike ``sim.at``, it may wait."""
        player = self._stage.add("action", action, once=True)
        self.sim.at(when_s, player.wake)

    def run(self, coroutine: Coroutine[Any, Any, T], limit_s: float | None = None) -> T:
        """Run a coroutine on the virtual loop until it is done; return its result (the asyncio form).

        Raises what it raises, TimeoutError after ``limit_s`` virtual seconds.
        """
        result: T = self.loop.run_until_complete(coroutine, limit_s)
        return result

    # ---- trouble

    def partition(self, *groups: Iterable[ProgramT], reset: bool = False) -> None:
        """Cut all links between these groups of nodes; those in none form one more."""
        self.sim.partition(*[[program.node for program in group] for group in groups], reset=reset)

    def heal(self) -> None:
        """End the partition and every cut."""
        self.sim.heal()

    def nodes(self) -> list[SimNode]:
        """The nodes under the programs: for faults (freeze, read_slowly), and for what only a simulation can see."""
        return [program.node for program in self._programs]

    @property
    def errors(self) -> list[str]:
        """What actors and handlers have logged as errors so far. The fixture fails a test that leaves any here."""
        return self._log.found

    def digest(self) -> str:
        """SHA-256 (hex) of everything that has happened: the same for the same seed and program."""
        return self.sim.digest()

    def close(self) -> None:
        """Drop everything, where it stands. Idempotent."""
        if self._stage.is_closed:
            return
        self._stage.close()
        self.loop.close()
        self.sim.close()
        logging.getLogger().removeHandler(self._log)
