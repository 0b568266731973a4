"""An application that is an actor: its node, its questions, its events, its time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from thespian.actors import ActorExitRequest

from actors.application import Application
from actors.node import Node
from core.config import NodeConfig
from core.errors import Misuse, NotActive
from core.events import MessageReceived, NetworkReady, NewInboundPeer, RequestReceived
from core.messages import (
    ActorMessage,
    BroadcastMessage,
    Done,
    Failed,
    GetConnectedPeers,
    NodeInfoAnswer,
    NodeStarted,
    PeerList,
    RequestAnswered,
    SendRequest,
)
from tests.actors.nodes import TestNode
from tests.actors.world import Complaints, Probe, World

SCHEMA = {"$id": "/x", "type": "object", "properties": {"mood": {"dataType": "string", "fieldNumber": 1}}}


class Do(ActorMessage, frozen=True):
    """Call a method of the application."""

    method: str
    arguments: tuple[object, ...] = ()


class App(Application):
    """Does what it is told, and tells who told it last what happens."""

    def __init__(self) -> None:
        super().__init__()
        self.happened: list[Any] = []

    def receiveMsg_Do(self, message: Do, sender: Any) -> None:
        getattr(self, message.method)(*message.arguments)

    def node_started(self, started: NodeStarted) -> None:
        self.happened.append(started)

    def receiveMsg_NetworkReady(self, event: NetworkReady, sender: Any) -> None:
        self.happened.append(event)

    def receiveMsg_MessageReceived(self, event: MessageReceived, sender: Any) -> None:
        self.happened.append(event)

    def receiveMsg_RequestReceived(self, event: RequestReceived, sender: Any) -> None:
        self.happened.append(event)
        if event.procedure == "no":
            self.refuse(event, sender, ValueError("never"))
        else:
            self.reply(event, sender, {"at": self.now()})

    def heard(self, message: Any) -> None:
        self.happened.append(message)

    def of(self, kind: type) -> list[Any]:
        return [one for one in self.happened if isinstance(one, kind)]


class Patient(App):
    """Goes on without its node."""

    def node_failed(self, error: Exception) -> None:
        self.happened.append(error)


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """What actors complain about; a test that causes a complaint takes it out with ``expect``."""
    complaints = Complaints()
    logging.getLogger("ensemble").addHandler(complaints)
    yield complaints
    logging.getLogger("ensemble").removeHandler(complaints)
    assert complaints.texts() == []


@pytest.fixture
def world(complaints: Complaints) -> Iterator[World]:
    world = World()
    yield world
    world.close()


class Rig:
    """An application at an address, and a hand to move it."""

    def __init__(self, world: World, kind: type[App] = App, **options: Any) -> None:
        self.world = world
        self.config = NodeConfig(port=5001, **options)
        self.address = world.create(kind, "10.0.0.1")
        self.hand: Probe = world.probe()

    @property
    def app(self) -> App:
        found: App = self.world.instance(self.address)
        return found

    def do(self, method: str, *arguments: object) -> None:
        self.hand.tell(self.address, Do(method, arguments))
        self.world.until(lambda: False, 0.01)

    def call(self, function: Any) -> None:
        """Run a function with the application inside one of its handlers: for what cannot be pickled."""
        self.app.after(0.0, lambda: function(self.app))
        self.do("deadline")
        self.world.run(0.1)

    def start(self) -> Rig:
        self.do("start_node", self.config)
        assert self.world.until(lambda: bool(self.app.of(NodeStarted)))
        return self


def connected(world: World, **options: Any) -> tuple[Rig, TestNode]:
    other = TestNode(world, "10.0.0.2", **options).start()
    rig = Rig(world, seed_peers=["10.0.0.2:5001"], **options).start()
    assert world.until(lambda: bool(rig.app.of(NetworkReady)))
    return rig, other


def test_it_starts_a_node_and_hears_what_it_has_methods_for(world: World) -> None:
    rig, _ = connected(world)
    (started,) = rig.app.of(NodeStarted)
    assert started.listening.port == 5001
    subscribers = rig.world.instance(rig.app.node).subscribers
    assert [one.names for one in subscribers] == [
        frozenset({NetworkReady.NAME, MessageReceived.NAME, RequestReceived.NAME})
    ]
    assert NewInboundPeer.NAME not in subscribers[0].names


def test_messages_and_requests_both_ways(world: World) -> None:
    rig, other = connected(world)
    other.tell(BroadcastMessage(0, "greeting", b'"hi"'))
    assert world.until(lambda: bool(rig.app.of(MessageReceived)))
    assert rig.app.of(MessageReceived)[0].json() == "hi"

    answer = other.ask(SendRequest, "time", None, 5.0, "10.0.0.1:5001")
    assert isinstance(answer, RequestAnswered)
    assert b'"at"' in (answer.data or b"")
    error = other.fails(SendRequest, "no", None, 5.0, "10.0.0.1:5001")
    assert "never" in str(error)

    rig.do("broadcast", "news", {"n": 1})
    rig.do("send_message", "letter", b"raw", "10.0.0.2:5001")
    assert world.until(lambda: len(other.events(MessageReceived)) == 2)
    assert [event.data for event in other.events(MessageReceived)] == [b'{"n":1}', b"raw"]
    rig.call(lambda app: app.request("any", None, app.heard, peer_id="10.0.0.2:5001", timeout_s=1.0))
    assert world.until(lambda: bool(rig.app.of(Failed)), 5.0), "the other node's program answers nothing"


def test_questions_are_answered_where_they_were_asked(world: World) -> None:
    rig, _ = connected(world, custom_node_info_schema=SCHEMA, node_info={"options": {"mood": "fine"}})
    rig.call(lambda app: app.ask(GetConnectedPeers(0), app.heard))
    (peers,) = rig.app.of(PeerList)
    assert [peer.peer_id for peer in peers.peers] == ["10.0.0.2:5001"]
    rig.call(lambda app: app.apply_node_info({"mood": "sad"}, app.heard))
    assert rig.app.of(NodeInfoAnswer)[0].node_info.options == {"mood": "sad"}
    rig.call(lambda app: app.apply_node_info({"weather": "sad"}, app.heard))
    assert "weather" in str(rig.app.of(Failed)[0].error)


def test_a_failure_that_nobody_waits_for_is_logged(world: World, complaints: Complaints) -> None:
    rig = Rig(world).start()
    rig.do("apply_node_info", {"mood": "sad"})
    world.run(1.0)
    complaints.expect("App: the node answers: node info cannot be applied")


def test_things_happen_after_a_while_in_order(world: World) -> None:
    rig = Rig(world)
    began = world.time
    rig.call(lambda app: [app.after(wait, lambda wait=wait: app.heard(wait)) for wait in (5.0, 1.0, 3.0)])
    assert world.until(lambda: len(rig.app.happened) == 3)
    assert rig.app.happened == [1.0, 3.0, 5.0]
    assert world.time - began == pytest.approx(5.0, abs=0.2)


def test_stopping_closes_connections_and_forgets_the_node(world: World) -> None:
    rig, other = connected(world)
    rig.call(lambda app: app.stop_node(app.heard))
    rig.call(lambda app: app.stop_node(app.heard))
    assert world.until(lambda: len(rig.app.of(Done)) == 2 and len(world.alive(Node)) == 1)  # the other's
    assert rig.app.node is None
    world.run(1.0)
    assert other.peers() == []
    with pytest.raises(NotActive):
        rig.app.tell_node(GetConnectedPeers(0))
    rig.app.happened.clear()
    rig.start()
    assert rig.app.node is not None


def test_a_second_node_is_refused(world: World) -> None:
    rig = Rig(world).start()
    with pytest.raises(Misuse, match="has a node"):
        rig.app.start_node(rig.config)


def test_a_node_that_cannot_start_or_dies_is_told_once(world: World, complaints: Complaints) -> None:
    first = TestNode(world, "10.0.0.1").start()
    rig = Rig(world, Patient)
    rig.do("start_node", rig.config)
    assert world.until(lambda: bool(rig.app.happened))
    assert "5001" in str(rig.app.happened[0])
    first.stop()
    rig.app.happened.clear()
    rig.start()
    rig.call(lambda app: app.ask(GetConnectedPeers(0), app.heard))
    rig.app.happened.clear()
    rig.app._questions[99] = rig.app.heard  # one that is still open
    rig.hand.tell(rig.app.node, ActorExitRequest())
    assert world.until(lambda: len(rig.app.happened) == 2)
    assert isinstance(rig.app.happened[0], Failed)
    assert "crashed" in str(rig.app.happened[1])


def test_without_a_say_in_it_the_application_ends_with_its_node(world: World, complaints: Complaints) -> None:
    rig = Rig(world).start()
    rig.hand.tell(rig.app.node, ActorExitRequest())
    assert world.until(lambda: not world.alive(App))
    assert not world.alive(Node)
    complaints.expect("App ends with its node: the node has crashed")
