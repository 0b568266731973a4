"""Application: a program's own actor, with a node of its own as its child.

    class Clock(Application):
        def receiveMsg_Begin(self, message: Begin, sender: Any) -> None:
            self.start_node(NodeConfig(port=5001, seed_peers=message.seeds))

        def receiveMsg_MessageReceived(self, event: MessageReceived, sender: Any) -> None:
            print(event.peer_id, "says", event.event, event.json())

        def receiveMsg_RequestReceived(self, event: RequestReceived, sender: Any) -> None:
            self.reply(event, sender, {"now": self.now()})

It talks to its node with the same messages that :class:`actors.api.P2P` and :class:`actors.aio.P2P` send for their
callers (:mod:`core.messages`), so everything they can do it can do. Nothing here waits: an answer comes to a function,
later. In return it runs wherever actors run: in one process with its node, in several, and in a simulation, where
:meth:`~actors.base.HouseActor.now` is virtual and a run can be repeated.

Parent: whoever creates it, or none. Children: its Node, and what it creates itself. Accepts: its own messages, every
event of :mod:`core.events` that it has a method for, and the answers to its questions.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from thespian.actors import ActorExitRequest, ChildActorExited

from actors.base import HouseActor
from actors.commands import Commands
from actors.incoming import error_text
from core.config import NodeConfig
from core.errors import EnsembleError, Misuse, NotActive
from core.events import EVENTS, NodeFailed, RequestReceived
from core.messages import (
    AnswerCall,
    Done,
    EventBatch,
    Failed,
    NodeStarted,
    Query,
    RefuseCall,
    StartNode,
    StopNode,
    Subscribe,
)

Then = Callable[[Any], object]
"""Gets an answer: of the type that :mod:`core.messages` names for the question, or Failed with the error."""

UNANSWERED = 0
"""The number of a message for whose answer nobody waits."""


class Application(HouseActor):
    """See the module. Subclasses write ``receiveMsg_X(message, sender)`` for their messages, and for events.

    The node tells exactly the events that there are methods for. ``sender`` of an event is the actor of the peer that
    caused it: :meth:`reply` and :meth:`refuse` need it. As in every actor of the house, a handler that raises is
    logged and ends the actor, and its node with it; the parent hears of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.node: Any = None
        """The address of the Node, None without one."""
        self.commands = Commands(NodeConfig())
        self._questions: dict[int, Then] = {}
        self._numbers = itertools.count(UNANSWERED + 1)
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []
        self._agenda_numbers = itertools.count()

    # ---- what subclasses override ----

    def node_started(self, started: NodeStarted) -> None:
        """The node runs; ``started.listening`` is where it listens, None if it does not."""

    def node_failed(self, error: Exception) -> None:
        """The node could not start, or has ended by itself. It is gone; all open questions have been answered Failed.

        By default that is this actor's end as well.
        """
        self.log.error("%s ends with its node: %s", type(self).__name__, error)
        self.leave()

    # ---- the node's life ----

    def start_node(self, config: NodeConfig) -> None:
        """Make a node and start it; :meth:`node_started` or :meth:`node_failed` follows. Raises Misuse for a second."""
        if self.node is not None:
            raise Misuse("this application has a node")
        from actors.node import Node  # an application's module loads without the actors of a node

        self.commands = Commands(config)
        self.node = self.createActor(Node)
        wanted = frozenset(name for name, event in EVENTS.items() if hasattr(self, f"receiveMsg_{event.__name__}"))
        self.tell_node(Subscribe(UNANSWERED, wanted))
        self.ask(StartNode(UNANSWERED, config), self._on_started)

    def stop_node(self, then: Then | None = None) -> None:
        """Close every connection in order and end the node; ``then`` gets Done, at once if there is no node."""

        def stopped(answer: Query) -> None:
            self._drop_node()
            if then is not None:
                then(answer)

        if self.node is not None:
            self.ask(StopNode(UNANSWERED), stopped)
        elif then is not None:
            then(Done(UNANSWERED))

    # ---- talking to the node ----

    def tell_node(self, message: Query) -> None:
        """Send a message of :mod:`core.messages` to the node, without waiting for an answer. Raises NotActive."""
        if self.node is None:
            raise NotActive("this application has no node now: start_node() makes one")
        self.send(self.node, message)

    def ask(self, question: Query, then: Then | None = None) -> None:
        """Ask the node; ``then`` gets the answer, :class:`core.messages.Failed` included.

        Without ``then`` a failure is logged. ``question.request_id`` is filled in. Raises NotActive without a node.
        """
        number = next(self._numbers)
        self.tell_node(msgspec.structs.replace(question, request_id=number))
        self._questions[number] = self._report_failure if then is None else then

    def broadcast(self, event: str, data: object = None) -> None:
        """Send a message to every connected peer; ``data`` is bytes, or anything JSON can hold. Raises Misuse."""
        self.tell_node(self.commands.broadcast(event, data))

    def send_message(self, event: str, data: object = None, peer_id: str | None = None) -> None:
        """Send a message to one peer, or to those that the selection rule picks. Raises Misuse."""
        self.tell_node(self.commands.message(event, data, peer_id))

    def request(
        self,
        procedure: str,
        data: object,
        then: Then,
        *,
        peer_id: str | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """Ask a peer (None: one that the rule picks); ``then`` gets RequestAnswered or Failed. Raises Misuse."""
        self.ask(self.commands.request(procedure, data, timeout_s, peer_id).message, then)

    def apply_node_info(self, options: Mapping[str, object], then: Then | None = None) -> None:
        """Replace the custom options of our node info and tell every peer; ``then`` gets NodeInfoAnswer or Failed."""
        self.ask(self.commands.apply_node_info(options).message, then)

    def reply(self, request: RequestReceived, peer: Any, data: object = None) -> None:
        """Answer a request, once; ``peer`` is the sender of the event. Raises Misuse for data that cannot be sent."""
        if request.call_id is not None:
            self.send(peer, AnswerCall(request.call_id, self.commands.encode(data)))

    def refuse(self, request: RequestReceived, peer: Any, reason: str | BaseException) -> None:
        """Answer a request with an error."""
        if request.call_id is not None:
            self.send(peer, RefuseCall(request.call_id, error_text(reason)))

    # ---- time ----

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Call ``action()`` once, after so many seconds (virtual ones in a simulation)."""
        heapq.heappush(self._agenda, (self.now() + max(0.0, seconds), next(self._agenda_numbers), action))

    def deadline(self) -> float | None:
        """When the next :meth:`after` is due."""
        return self._agenda[0][0] if self._agenda else None

    def on_time(self, now: float) -> None:
        """Do what is due."""
        due = []
        while self._agenda and self._agenda[0][0] <= now:
            due.append(heapq.heappop(self._agenda)[2])
        for action in due:
            action()

    # ---- messages of the node ----

    def receiveMsg_EventBatch(self, batch: EventBatch, sender: Any) -> None:
        """Events: each goes to the method for its class, unless the node is gone and they come late."""
        for event in batch.events:
            if self.node is None:
                return
            if type(event) is NodeFailed:  # told to every subscriber
                self._end_node(NotActive(event.reason))
            handler = getattr(self, f"receiveMsg_{type(event).__name__}", None)
            if handler is not None:
                handler(event, sender)

    def receiveMsg_Query(self, answer: Query, sender: Any) -> None:
        """An answer: it goes to the function that waits for it."""
        then = self._questions.pop(answer.request_id, None)
        if then is not None:
            then(answer)

    def receiveMsg_ChildActorExited(self, message: ChildActorExited, sender: Any) -> None:
        """A child is gone; if it is the node, nobody asked for that. Overriders pass on what is not theirs."""
        if self.node is not None and message.childAddress == self.node:
            self._end_node(EnsembleError("the node has crashed; the log says why"))

    # ---- inside ----

    def _on_started(self, answer: Query) -> None:
        if isinstance(answer, NodeStarted):
            self.node_started(answer)
        elif isinstance(answer, Failed):
            self._end_node(answer.error)

    def _end_node(self, error: Exception) -> None:
        if self.node is not None:
            self._drop_node()
            self.node_failed(error)

    def _drop_node(self) -> None:
        node, self.node = self.node, None
        if node is None:
            return  # stopped twice
        questions, self._questions = self._questions, {}
        self.send(node, ActorExitRequest())
        for then in questions.values():
            then(Failed(UNANSWERED, NotActive("the node has ended")))

    def _report_failure(self, answer: Query) -> None:
        if isinstance(answer, Failed):
            self.log.warning("%s: the node answers: %s", type(self).__name__, answer.error)
