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

import itertools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec
from thespian.actors import ActorExitRequest

from actors.bases.sim_cell import Identity, Reordering, SimActorCell
from actors.bases.sim_environment import derive_rng
from actors.bases.sim_trace import LineSink
from actors.bases.simulation import WALL_START, SimulationBase
from actors.node import Node
from actors.peer_book import PeerBook
from actors.peer_pool import PeerPool
from actors.storage import MemoryDisk
from actors.transport.sim_links import Links
from actors.transport.simulated import Internet, SimNetwork
from core import messages as m
from core.config import NodeConfig
from core.errors import EnsembleError
from core.events import Event, PeerInfo, RequestReceived
from core.ids import Endpoint, PeerId

DEFAULT_PORT = 5001
FIRST_OCTET, LAST_OCTET = 20, 99
"""Nodes without an address of their own get 20.0.0.1, 20.1.0.1 ...: public ranges, and each another net group (/16)."""

ANSWER_LIMIT_S = 60.0
"""Virtual seconds that a call waits for its answer; every query of a node is answered long before."""

E = TypeVar("E", bound=Event)
Answerer = Callable[[RequestReceived], bytes | None]
"""Answers a request; what it raises is the refusal."""


class Pending:
    """An answer that may not have come yet."""

    def __init__(self) -> None:
        self._answer: m.Query | None = None

    @property
    def done(self) -> bool:
        return self._answer is not None

    def result(self) -> Any:
        """The answer. Raises the error that came instead, or RuntimeError if nothing came yet."""
        if self._answer is None:
            raise RuntimeError("there is no answer yet")
        if isinstance(self._answer, m.Failed):
            raise self._answer.error
        return self._answer

    def resolve(self, answer: m.Query) -> None:
        self._answer = answer


class SimNode:
    """One node; made by :meth:`Simulation.add_node`. It does nothing before :meth:`start` (or :meth:`launch`)."""

    def __init__(
        self, sim: Simulation, identity: Identity, config: NodeConfig, ip: str, collect: frozenset[str] | None
    ) -> None:
        self.sim = sim
        self.identity = identity
        self.name = identity.name
        self.config = config
        self.endpoint = Endpoint(ip, config.port)
        self.peer_id: PeerId = self.endpoint.peer_id
        self.answerers: dict[str, Answerer] = {}
        """Who answers requests, by procedure; others are refused, as by a program without a handler."""
        self.events: list[tuple[float, Event]] = []
        """What the node told its program, and when."""
        self._collect = collect
        self._numbers = itertools.count(1)
        self._pending: dict[int, Pending] = {}
        self._address: Any = None
        self._door = sim.base.open_endpoint(self._on_message)

    def __repr__(self) -> str:
        return f"<SimNode {self.name} at {self.peer_id}>"

    # ---- life

    @property
    def is_running(self) -> bool:
        """It was started, and has neither been stopped nor crashed."""
        return self._address is not None

    def launch(self) -> Pending:
        """Start without waiting; may be called from a scheduled call. Raises RuntimeError if it runs."""
        if self._address is not None:
            raise RuntimeError(f"{self.name} runs already")
        self.sim.internet.power_on(self.name)
        self._address = self.sim.base.create_on(self.identity, Node)
        self.later(m.Subscribe(0, self._collect))
        return self.later(m.StartNode(0, self.config))

    def start(self) -> m.NodeStarted:
        """Start and wait until the port is bound. Raises StartFailed."""
        started: m.NodeStarted = self.sim.wait(self.launch())
        return started

    def stop(self) -> None:
        """Close every connection in order, then end the actors. Raises EnsembleError if anything of it is left."""
        self.ask(m.StopNode(0))
        cell: SimActorCell = self._address.cell
        self.tell(ActorExitRequest())
        self.sim.base.run_until(lambda: cell.is_dead, ANSWER_LIMIT_S)
        left = [*self.sim.base.population(self.identity), *self.sim.internet.open_at(self.name)]
        self._forget()
        if left:
            raise EnsembleError(f"{self.name} has been stopped and leaves {', '.join(left)}")

    def crash(self, *, silent: bool = False) -> None:
        """The program dies: its actors vanish and its connections are reset. What it had written to ``data_dir`` is
        there when it starts again. ``silent``: the whole machine loses power, so that the others only notice that
        nothing comes any more."""
        self.sim.base.trace.note(f"{self.name} crashes{' silently' if silent else ''}")
        self.sim.internet.crash(self.name, silent=silent)
        if self.config.data_dir is not None:
            self.identity.storage.crash(self.config.data_dir)
        self._forget()

    def _forget(self) -> None:
        self.sim.base.vanish(self.identity)
        self.identity.environment.run += 1
        self._address = None
        self._pending.clear()

    # ---- talking

    def tell(self, message: m.ActorMessage | ActorExitRequest) -> None:
        """Send to the Node actor. Raises RuntimeError if it does not run."""
        if self._address is None:
            raise RuntimeError(f"{self.name} does not run")
        self.sim.base.post_from_outside(self._address, message, self._door.address)

    def later(self, query: m.Query) -> Pending:
        """Send a query; its ``request_id`` is filled in."""
        number = next(self._numbers)
        pending = self._pending[number] = Pending()
        self.tell(msgspec.structs.replace(query, request_id=number))
        return pending

    def ask(self, query: m.Query) -> Any:
        """Send a query, let virtual time pass until its answer is here, and return it. Raises what the node answers."""
        return self.sim.wait(self.later(query))

    def send(self, event: str, data: bytes | None, to: PeerId | None = None) -> None:
        """A one-way message, to one peer or a selection."""
        self.tell(m.SendMessage(0, event, data, to))

    def broadcast(self, event: str, data: bytes | None) -> None:
        """A one-way message to every connected peer."""
        self.tell(m.BroadcastMessage(0, event, data))

    def request(self, procedure: str, data: bytes | None, to: PeerId | None = None) -> m.RequestAnswered:
        """Ask one peer, or one that the node picks, and wait."""
        answer: m.RequestAnswered = self.ask(m.SendRequest(0, procedure, data, None, to))
        return answer

    # ---- looking

    def child(self, actor_class: type) -> Any:
        """The Node's child of this class, as the Python object that it is. Raises LookupError if there is none."""
        cell = getattr(self._address, "cell", None)
        children = cell.children.values() if isinstance(cell, SimActorCell) else ()
        for child in children:
            if child.actor_class is actor_class and child.instance is not None:
                return child.instance
        raise LookupError(f"{self.name} has no {actor_class.__name__} now")

    def connected(self) -> tuple[PeerInfo, ...]:
        """Its connected peers, outbound first; none if it does not run. Asks nobody."""
        try:
            peers: tuple[PeerInfo, ...] = self.child(PeerPool).pool.connected_peers()
        except (LookupError, RuntimeError):  # stopped, or not started yet
            return ()
        return peers

    def is_connected_to(self, other: SimNode) -> bool:
        """Whether this node counts the other among its connected peers."""
        return any(peer.endpoint == other.endpoint for peer in self.connected())

    def known(self) -> tuple[Endpoint, ...]:
        """The addresses in its peer book."""
        book: PeerBook = self.child(PeerBook)
        return tuple(entry.endpoint for entry in book.book.all())

    def told(self, kind: type[E]) -> list[E]:
        """The events of one kind, oldest first."""
        return [event for _, event in self.events if isinstance(event, kind)]

    def _on_message(self, message: Any, sender: Any) -> None:
        if isinstance(message, m.EventBatch):
            now = self.sim.now
            for event in message.events:
                self.events.append((now, event))
                if isinstance(event, RequestReceived) and event.call_id is not None:
                    self._answer(event, event.call_id, sender)
        elif isinstance(message, m.Query):
            pending = self._pending.pop(message.request_id, None)
            if pending is not None:
                pending.resolve(message)

    def _answer(self, request: RequestReceived, call_id: int, peer: Any) -> None:
        answer: m.ActorMessage
        try:
            answer = m.AnswerCall(call_id, self.answerers[request.procedure](request))
        except KeyError:
            answer = m.RefuseCall(call_id, f"nothing handles the procedure {request.procedure!r}")
        except Exception as error:
            answer = m.RefuseCall(call_id, str(error))
        self.sim.base.post_from_outside(peer, answer, self._door.address)


class Simulation:
    """A network of nodes in virtual time. Times are virtual seconds since the simulation began.

    ``links``: see :class:`~actors.transport.sim_links.Links`. ``reordering`` makes the message passing between actors
    unkind; ``strict`` pickles every message. ``keep_trace`` gets every line of the trace (``list.extend``, say).
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
    ) -> None:
        self.seed = seed
        self.base = SimulationBase(
            seed, wall_start=wall_start, reordering=reordering, strict=strict, keep_trace=keep_trace
        )
        base = self.base
        self.internet = Internet(
            base.clock,
            base.timers,
            base.kernel,
            links if links is not None else Links(),
            lambda *names: derive_rng(seed, "links", *names),
            base.trace.note,
        )
        self.nodes: dict[str, SimNode] = {}

    def __enter__(self) -> Simulation:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

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
        clock_offset_s: float = 0.0,
        collect: Iterable[str] | None = None,
        **options: Any,
    ) -> SimNode:
        """Make a node. ``options`` are those of :class:`core.config.NodeConfig`.

        ``collect``: the names of the events to keep in ``events`` (None: all). Raises ValueError for a name or address
        that is taken, ConfigError for options that are wrong.
        """
        number = len(self.nodes)
        name = f"n{number}" if name is None else name
        ip = default_ip(number) if ip is None else ip
        config = NodeConfig(**({"port": DEFAULT_PORT} | options))
        network: SimNetwork = self.internet.add_host(name, [ip])
        identity = Identity(name, self.base.make_environment(name, clock_offset_s), network, MemoryDisk())
        wanted = None if collect is None else frozenset(collect)
        node = self.nodes[name] = SimNode(self, identity, config, network.host.ips[0], wanted)
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

    # ---- the network

    def partition(self, *groups: Iterable[SimNode], reset: bool = False) -> None:
        """Cut all links between these groups; nodes in none of them form one more. See :mod:`..transport.simulated`."""
        self.internet.partition([[node.name for node in group] for group in groups], reset=reset)

    def heal(self) -> None:
        """End the partition."""
        self.internet.heal()

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
