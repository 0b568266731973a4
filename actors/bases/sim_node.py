"""One node of a simulation, as a program (or a test) holds it: its life, its messages, what can be seen of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from thespian.actors import ActorExitRequest

from actors.bases.sim_cell import Identity, SimActorCell
from actors.node import Node
from actors.peer_book import PeerBook
from actors.peer_pool import PeerPool
from actors.storage import MemoryDisk
from core import messages as m
from core.config import NodeConfig
from core.config.derived import one_of_equals
from core.decisions import Decisions
from core.empty import NO_NAMES
from core.errors import EnsembleError
from core.events import Event, PeerInfo, RequestReceived
from core.ids import Endpoint, PeerId

if TYPE_CHECKING:
    from actors.bases.sim_nodes import Simulation

ANSWER_LIMIT_S = 60.0
"""Virtual seconds that a call waits for its answer; every query of a node is answered long before."""

LEAVE_CHECK_S = 0.01
"""How often it is looked whether the actors of a node that stops are gone: with reordering they need a while."""

E = TypeVar("E", bound=Event)
Answerer = Callable[[RequestReceived], bytes | None]
"""Answers a request; what it raises is the refusal."""


class Pending:
    """An answer that may not have come yet. ``query`` is what was asked, ``asked_at`` when (virtual seconds).

    ``then`` is called with the answer when it comes.
    """

    __slots__ = ("_answer", "asked_at", "query", "then")

    def __init__(self, query: m.Query, asked_at: float, then: Callable[[m.Query], None] | None = None) -> None:
        self.query = query
        self.asked_at = asked_at
        self.then = then
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
        if self.then is not None:
            self.then(answer)


class SimNode:
    """One node; made by :meth:`Simulation.add_node`. It does nothing before :meth:`start` (or :meth:`launch`)."""

    def __init__(
        self,
        sim: Simulation,
        identity: Identity,
        config: NodeConfig,
        ip: str,
        *,
        collect: frozenset[str] | None,
        listen_to: frozenset[str] | None = NO_NAMES,
        is_honest: bool = True,
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
        """What the node told its program, and when; as far as its names are collected."""
        self.listeners: list[Callable[[SimNode, Event], object]] = []
        """Called as ``listener(node, event)`` for each event that the node tells, at the instant at which it does.
        They may send (:meth:`send`, :meth:`later`), and must not wait for anything."""
        self.is_honest = is_honest
        """A monitor objects when an honest node is banned."""
        self._collect = collect
        self._subscribed = None if collect is None or listen_to is None else one_of_equals(collect | listen_to)
        self._numbers = itertools.count(1)
        self._pending: dict[int, Pending] = {}
        self.is_stopping = False
        """:meth:`shut_down` was called, and it is not gone yet."""
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
        self.boot()
        return self.later(m.StartNode(0, self.config))

    def boot(self) -> Any:
        """Make the actors and return the Node's address: for a program that sends the node its orders itself.

        Raises RuntimeError if it runs.
        """
        if self._address is not None:
            raise RuntimeError(f"{self.name} runs already")
        self.sim.internet.power_on(self.name)
        self._address = self.sim.base.create_on(self.identity, Node)
        self.later(m.Subscribe(0, self._subscribed))
        return self._address

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

    def shut_down(self) -> Pending:
        """:meth:`stop` without waiting: for scheduled calls. The answer is done when the actors are told to go; the
        node is not running any more a moment later. Raises RuntimeError if it does not run."""
        cell: SimActorCell | None = getattr(self._address, "cell", None)
        self.is_stopping = True

        def leave(answer: m.Query) -> None:
            if cell is not None and self._is_of_this_run(cell):
                self.leave()

        return self._ask(m.StopNode(0), leave)

    def leave(self) -> None:
        """Tell the actors to go, without waiting; the node is not running any more a moment later."""
        self.is_stopping = True
        self.tell(ActorExitRequest())
        self._when_gone(self._address.cell, None)

    def _is_of_this_run(self, cell: SimActorCell) -> bool:
        return getattr(self._address, "cell", None) is cell

    def _when_gone(self, cell: SimActorCell, _: Any) -> None:
        if not self._is_of_this_run(cell):
            return
        if cell.is_dead:
            self._forget()
        else:
            self.sim.base.timers.call_at(self.sim.now + LEAVE_CHECK_S, self._when_gone, cell)

    def crash(self, *, silent: bool = False) -> None:
        """The program dies: its actors vanish and its connections are reset. What it had written to ``data_dir`` is
        there when it starts again. ``silent``: the whole machine loses power, so that the others only notice that
        nothing comes any more."""
        self.sim.base.trace.note(f"{self.name} crashes{' silently' if silent else ''}")
        self.sim.internet.crash(self.name, silent=silent)
        if self.config.data_dir is not None:
            self.identity.storage.crash(self.config.data_dir)
        self._forget()

    def lose_storage(self) -> None:
        """Take what it has written from a node that does not run. Raises RuntimeError if it does."""
        if self.is_running:
            raise RuntimeError(f"{self.name} runs and holds its storage")
        self.identity.storage = MemoryDisk()

    # ---- faults

    def freeze(self, for_s: float | None = None) -> None:
        """Let the program stand still, as in a long pause of its machine: it handles nothing, and what the others
        send waits in its buffers. Ends after ``for_s`` seconds, with :meth:`thaw`, or with a crash."""
        base = self.sim.base
        base.trace.note(f"{self.name} freezes")
        base.freeze(self.identity)
        if for_s is not None:
            base.timers.call_at(base.now() + for_s, self._thaw_at, base.frozen[self.identity])

    def thaw(self) -> None:
        """Go on. Nothing happens if it does not stand still."""
        if self.sim.base.thaw(self.identity):
            self.sim.base.trace.note(f"{self.name} thaws")

    def _thaw_at(self, which: Any, _: Any) -> None:
        if self.sim.base.frozen.get(self.identity) is which:  # not of a later freeze
            self.thaw()

    @property
    def is_frozen(self) -> bool:
        return self.identity in self.sim.base.frozen

    def read_slowly(self, bytes_per_s: float | None) -> None:
        """Let the program read no faster from each connection (None: at once again). Raises ValueError."""
        if bytes_per_s is not None and not bytes_per_s > 0.0:
            raise ValueError(f"expected bytes_per_s above 0, got {bytes_per_s!r}")
        self.sim.internet.set_read_rate(self.name, bytes_per_s)

    def step_clock(self, by_s: float) -> None:
        """Set the node's calendar forward (or back). Its monotonic clock, by which delays go, does not change."""
        self.sim.base.trace.note(f"{self.name} steps its clock")
        self.identity.environment.wall_start += by_s

    @property
    def clock_offset_s(self) -> float:
        """How wrong its calendar is."""
        return self.identity.environment.wall_start - self.sim.base.wall_start

    def _forget(self) -> None:
        self.sim.base.vanish(self.identity)
        self.identity.environment.run += 1
        self._address = None
        self.is_stopping = False
        self._pending.clear()

    # ---- talking

    def tell(self, message: m.ActorMessage | ActorExitRequest) -> None:
        """Send to the Node actor. Raises RuntimeError if it does not run."""
        if self._address is None:
            raise RuntimeError(f"{self.name} does not run")
        self.sim.base.post_from_outside(self._address, message, self._door.address)

    def later(self, query: m.Query) -> Pending:
        """Send a query; its ``request_id`` is filled in."""
        return self._ask(query, None)

    def _ask(self, query: m.Query, then: Callable[[m.Query], None] | None) -> Pending:
        number = next(self._numbers)
        pending = Pending(query, self.sim.now, then)
        self.tell(msgspec.structs.replace(query, request_id=number))
        self._pending[number] = pending
        return pending

    def unanswered(self) -> list[Pending]:
        """What the node was asked and has not answered yet, oldest first."""
        return list(self._pending.values())

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
        children = cell.children if isinstance(cell, SimActorCell) else ()
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

    def story(self, subject: str) -> Decisions:
        """What the node has decided about a peer (or a bare address), as ``explain`` tells it. Asks nobody.

        Raises ValueError if it is neither; nothing is known of a node that does not run.
        """
        instance = getattr(getattr(self._address, "cell", None), "instance", None)
        return () if instance is None else instance.decisions_about(subject)

    def told(self, kind: type[E]) -> list[E]:
        """The events of one kind, oldest first."""
        return [event for _, event in self.events if isinstance(event, kind)]

    def _on_message(self, message: Any, sender: Any) -> None:
        if isinstance(message, m.EventBatch):
            collect = self._collect
            for event in message.events:
                if collect is None or event.NAME in collect:
                    self.events.append((self.sim.now, event))
                for listener in self.listeners:
                    listener(self, event)
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
