"""Whole nodes in a world: started, asked, and looked into."""

from __future__ import annotations

from typing import Any

from actors.node import Node
from actors.peer_book import PeerBook
from actors.peer_pool import PeerPool
from actors.peer_server import PeerServer
from core.config import NodeConfig
from core.events import Event, PeerInfo
from core.ids import Direction, Endpoint
from core.messages import (
    ActorMessage,
    EventBatch,
    Failed,
    GetConnectedPeers,
    NodeStarted,
    PeerList,
    Query,
    StartNode,
    StopNode,
    Subscribe,
)
from tests.actors.world import AnyWorld, lives_as


class TestNode:
    """A node, and the program that uses it (``program``, a probe that subscribed to everything)."""

    __test__ = False

    def __init__(self, world: AnyWorld, ip: str, *, node_class: type[Node] = Node, **options: Any) -> None:
        self.world = world
        self.ip = ip
        self.options = {"port": 5001, **options}
        self.address = world.create(node_class, ip)
        self.program = world.probe()
        self._numbers = iter(range(1000, 1_000_000))
        self.ask(Subscribe, None)

    def __repr__(self) -> str:
        return f"TestNode({self.ip})"

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.ip, self.options["port"])

    @property
    def node(self) -> Node:
        found: Node = self.world.instance(self.address)
        return found

    def start(self) -> TestNode:
        answer = self.ask(StartNode, NodeConfig(**self.options))
        assert isinstance(answer, NodeStarted), answer
        return self

    def stop(self) -> Any:
        return self.ask(StopNode)

    def ask(self, kind: type[Query], *arguments: Any, seconds: float = 60.0) -> Any:
        """Send a query of this type and wait for its answer."""
        number = next(self._numbers)
        self.tell(kind(number, *arguments))
        return self.answer(number, seconds)

    def tell(self, message: ActorMessage) -> None:
        self.program.tell(self.address, message)

    def answer(self, number: int, seconds: float = 60.0) -> Any:
        def answers() -> list[Any]:
            return [m for m in self.program.got if isinstance(m, Query) and m.request_id == number]

        assert self.world.until(lambda: bool(answers()), seconds), f"query {number} is not answered"
        assert len(answers()) == 1
        return answers()[0]

    def fails(self, kind: type[Query], *arguments: Any) -> Exception:
        """Ask and return the error that is the answer."""
        answer = self.ask(kind, *arguments)
        assert isinstance(answer, Failed), answer
        return answer.error

    def events(self, kind: type[Event] = Event) -> list[Any]:
        """The events of one type that the program got."""
        batches = self.program.of(EventBatch)
        return [event for batch in batches for event in batch.events if isinstance(event, kind)]

    def sender_of(self, kind: type[Event]) -> Any:
        """Who sent the last batch with such an event."""
        for message, sender in zip(reversed(self.program.got), reversed(self.program.senders), strict=True):
            if isinstance(message, EventBatch) and any(isinstance(event, kind) for event in message.events):
                return sender
        raise AssertionError(f"no {kind.__name__}")

    def peers(self, direction: Direction | None = None) -> list[PeerInfo]:
        answer = self.ask(GetConnectedPeers)
        assert isinstance(answer, PeerList), answer
        return [peer for peer in answer.peers if direction in (None, peer.direction)]

    def is_connected_to(self, other: TestNode) -> bool:
        return other.endpoint in {peer.endpoint for peer in self.peers()}

    # ---- inside ----

    def child(self, kind: type) -> Any:
        """The node's only living child (or grandchild) of a class."""
        (found,) = self.children(kind)
        return found

    def children(self, kind: type) -> list[Any]:
        root = str(self.address.addressDetails)
        cells = self.world.base.cells.values()
        return [cell.instance for cell in cells if cell.text.startswith(root + "/") and lives_as(cell, kind)]

    def poison(self, kind: type, message: ActorMessage) -> None:
        """Send a message to a child of the node that its handler cannot bear."""
        self.program.tell(self.child(kind).myAddress, message)

    @property
    def pool(self) -> PeerPool:
        found: PeerPool = self.child(PeerPool)
        return found

    @property
    def book(self) -> PeerBook:
        found: PeerBook = self.child(PeerBook)
        return found

    @property
    def server(self) -> PeerServer:
        found: PeerServer = self.child(PeerServer)
        return found


def connect(first: TestNode, *others: TestNode) -> None:
    """Wait until the first node is connected to all the others."""
    world = first.world
    for other in others:
        for _ in range(100):
            world.run(1)  # two connections at once may just have become one
            if first.is_connected_to(other) and other.is_connected_to(first):
                break
        else:
            raise AssertionError(f"{first} is not connected to {other}")
