"""Whole nodes in a simulation: make them, start them, talk to them, break them, look at them.

    with Simulation(seed=7) as sim:
        hub = sim.add_node("hub")
        others = sim.add_nodes(9, seed_peers=[hub.peer_id])
        sim.start_all()
        assert sim.run_until(lambda: all(len(node.connected()) == 9 for node in sim.nodes.values()), 60.0)

Every node is the same Node actor that runs on a real network, with an address, a clock and a stream of randomness of
its own. Looking (``connected``, ``events``) changes nothing; telling and asking are messages like any program's.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Literal

from actors.bases.sim_cell import Identity, Reordering
from actors.bases.sim_environment import StreamSeeds, derive_rng
from actors.bases.sim_monitor import Monitor, Rules
from actors.bases.sim_node import ANSWER_LIMIT_S, Pending, SimNode
from actors.bases.sim_trace import LineSink
from actors.bases.simulation import WALL_START, SimulationBase
from actors.storage import MemoryDisk
from actors.transport.sim_cuts import Cut
from actors.transport.sim_links import Links
from actors.transport.simulated import Internet, SimNetwork
from core.config import NodeConfig
from core.config.derived import one_of_equals
from core.errors import EnsembleError

__all__ = ["Pending", "SimNode", "Simulation", "default_ip"]

DEFAULT_PORT = 5001
FIRST_OCTET, LAST_OCTET = 20, 99
"""Nodes without an address of their own get 20.0.0.1, 20.1.0.1 ...: public ranges, and each another net group (/16)."""


class Simulation:
    """A network of nodes in virtual time. Times are virtual seconds since the simulation began.

    ``links``: see :class:`~actors.transport.sim_links.Links`. ``reordering`` makes the message passing between actors
    unkind; ``strict`` pickles every message. ``keep_trace`` gets every line of the trace (``list.extend``, say).
    ``replay``: the command that does all of this again, for whoever reads of a failure; without it, that of the running
    program.
    """

    def __init__(
        self,
        seed: int | str = 0,
        *,
        links: Links | None = None,
        reordering: Reordering | None = None,
        wall_start: float = WALL_START,
        strict: bool = False,
        keep_trace: LineSink | None = None,
        replay: str | None = None,
    ) -> None:
        self.seed = seed
        self.replay = replay if replay is not None else shlex.join(sys.orig_argv)
        self._monitor: Monitor | None = None
        self.base = SimulationBase(
            seed, wall_start=wall_start, reordering=reordering, strict=strict, keep_trace=keep_trace
        )
        base = self.base
        self.internet = Internet(
            base.clock,
            base.timers,
            base.kernel,
            links if links is not None else Links(),
            StreamSeeds(seed, "links"),
            base.trace.note,
        )
        self.nodes: dict[str, SimNode] = {}

    def __enter__(self) -> Simulation:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> Literal[False]:
        if error is not None:
            error.add_note(self.how_to_replay())
        self.close()
        return False

    def how_to_replay(self) -> str:
        """Which run this is, how far it has come, and the one command that does it again."""
        return f"seed {self.seed!r}, {self.now:g} s, digest {self.digest()}\nreplay: {self.replay}"

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.base.now()

    # ---- nodes

    def add_node(
        self,
        name: str | None = None,
        *,
        ip: str | None = None,
        region: str | None = None,
        clock_offset_s: float = 0.0,
        uplink_bytes_per_s: float | None = None,
        collect: Iterable[str] | None = None,
        listen_to: Iterable[str] | None = (),
        is_honest: bool = True,
        **options: Any,
    ) -> SimNode:
        """Make a node. ``options`` are those of :class:`core.config.NodeConfig`.

        ``region``: where it is, if the links have regions; drawn by their shares if not given. ``collect``: the names
        of the events to keep in ``events`` (None: all); ``listen_to``: names of further events for its ``listeners``.
        ``is_honest``: a monitor objects when an honest node is banned. Raises ValueError for a name or address that is
        taken, or an unknown region, ConfigError for options that are wrong.
        """
        number = len(self.nodes)
        name = f"n{number}" if name is None else name
        ip = default_ip(number) if ip is None else ip
        config = NodeConfig(**({"port": DEFAULT_PORT} | options))
        network: SimNetwork = self.internet.add_host(name, [ip])
        if region is not None:
            self.internet.links.place(name, region)
        if uplink_bytes_per_s is not None:
            self.internet.links.uplinks[name] = uplink_bytes_per_s
        identity = Identity(name, self.base.make_environment(name, clock_offset_s), network, MemoryDisk())
        node = self.nodes[name] = SimNode(
            self,
            identity,
            config,
            network.host.ips[0],
            collect=None if collect is None else one_of_equals(frozenset(collect)),
            listen_to=None if listen_to is None else one_of_equals(frozenset(listen_to)),
            is_honest=is_honest,
        )
        return node

    def add_nodes(self, count: int, **options: Any) -> list[SimNode]:
        """Make ``count`` nodes with the same options."""
        return [self.add_node(**options) for _ in range(count)]

    def start_all(self) -> None:
        """Start every node that does not run, at this instant. Raises StartFailed."""
        starts = [node.launch() for node in self.nodes.values() if not node.is_running]
        for pending in starts:
            self.wait(pending)

    # ---- time

    def run_for(self, seconds: float) -> None:
        """Let so much virtual time pass."""
        self.base.run_for(seconds)

    def run_until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Run until ``condition()`` holds, looked at after each event; False if ``limit_s`` passed first."""
        return self.base.run_until(condition, limit_s)

    def step(self) -> bool:
        """Let one event happen, with all that follows from it at the same instant. False: there is none."""
        return self.base.step()

    def wait(self, pending: Pending) -> Any:
        """Let time pass until an answer is here; return it. Raises what came instead, EnsembleError for silence."""
        if not self.base.run_until(lambda: pending.done, ANSWER_LIMIT_S):
            raise EnsembleError(f"no answer within {ANSWER_LIMIT_S:g} virtual seconds")
        return pending.result()

    def at(self, when_s: float, action: Callable[[], object]) -> None:
        """Have ``action()`` called at that time (now, if it has passed). It must not wait for anything."""
        self.base.timers.call_at(when_s, _act, action)

    def rng(self, *names: int | str) -> Random:
        """A stream of randomness for what drives the simulation; the same names give the same stream."""
        return derive_rng(self.seed, "script", *names)

    # ---- the network

    def partition(self, *groups: Iterable[SimNode], reset: bool = False) -> None:
        """Cut all links between these groups; nodes in none of them form one more. See :mod:`..transport.simulated`."""
        self.internet.partition([[node.name for node in group] for group in groups], reset=reset)

    def cut(
        self,
        sources: Iterable[SimNode],
        targets: Iterable[SimNode] | None = None,
        *,
        one_way: bool = False,
        reset: bool = False,
        for_s: float | None = None,
    ) -> Cut:
        """Cut the links from some nodes to others (None: to everybody else).

        ``one_way``: what the targets send still arrives. ``reset``: connections over the cut end at once. ``for_s``:
        it heals by itself after so long (a clogged link), otherwise by :meth:`heal`.
        """
        names = None if targets is None else [node.name for node in targets]
        cut = self.internet.cut([node.name for node in sources], names, both_ways=not one_way, reset=reset)
        if for_s is not None:
            self.at(self.now + for_s, lambda: self.heal(cut))
        return cut

    def heal(self, cut: Cut | None = None) -> None:
        """End one cut; without an argument, the partition and every cut."""
        self.internet.heal(cut)

    # ---- what must always hold

    def monitor(self, rules: Rules | None = None) -> Monitor:
        """Have the invariants looked at while the simulation runs; see :mod:`.sim_monitor`. Replaces an earlier one.

        A run in which one does not hold stops with :class:`~actors.bases.sim_monitor.InvariantBroken`.
        """
        self._monitor = Monitor(self, rules if rules is not None else Rules())
        return self._monitor

    # ---- the end

    def digest(self) -> str:
        """SHA-256 (hex) over everything that has happened: the same for the same seed and script, on any machine."""
        return self.base.digest()

    def close(self) -> None:
        """Drop everything, where it stands. Idempotent."""
        for node in self.nodes.values():
            if node.is_running:
                node.crash(silent=True)
        self.base.shutdown()


def _act(action: Callable[[], object], _: Any) -> None:
    action()


def default_ip(number: int) -> str:
    """The address of the node with this number. Raises ValueError beyond 20,479."""
    first, second = divmod(number, 256)
    if FIRST_OCTET + first > LAST_OCTET:
        raise ValueError(f"node {number} needs an address of its own (ip=...)")
    return f"{FIRST_OCTET + first}.{second}.0.1"
