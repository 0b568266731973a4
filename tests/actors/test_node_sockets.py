"""The few things about a node that only real sockets can show: binding, accepting, and leaving nothing open."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from core.config import NodeConfig
from core.errors import StartFailed
from core.events import ConnectOutbound, MessageReceived, NewInboundPeer, RequestReceived
from core.messages import (
    AnswerCall,
    BroadcastMessage,
    Done,
    NodeStarted,
    RequestAnswered,
    SendRequest,
    StartNode,
)
from tests.actors.bases.conftest import open_descriptors
from tests.actors.nodes import TestNode
from tests.actors.world import Complaints, RealWorld

pytestmark = pytest.mark.sockets


def start(node: TestNode, **options: Any) -> int:
    """Start on a free port of loopback; returns the port."""
    answer = node.ask(StartNode, NodeConfig(host_ip="127.0.0.1", port=0, **options))
    assert isinstance(answer, NodeStarted), answer
    assert answer.listening is not None
    assert answer.listening.ip == "127.0.0.1"
    return answer.listening.port


def test_two_nodes_talk_over_loopback(real_world: RealWorld) -> None:
    first, second = TestNode(real_world, "first"), TestNode(real_world, "second")
    port = start(first)
    start(second, seed_peers=[f"127.0.0.1:{port}"])
    assert real_world.until(lambda: bool(first.events(NewInboundPeer) and second.events(ConnectOutbound)), 20)
    assert isinstance(second.ask(BroadcastMessage, "hello", b"x" * 100_000), Done)
    assert real_world.until(lambda: bool(first.events(MessageReceived)), 20)
    assert first.events(MessageReceived)[0].data == b"x" * 100_000
    first.tell(SendRequest(5, "sum", b"1+1"))
    assert real_world.until(lambda: bool(second.events(RequestReceived)), 20)
    (request,) = second.events(RequestReceived)
    second.program.tell(second.sender_of(RequestReceived), AnswerCall(request.call_id, b"2"))
    answer = first.answer(5)
    assert isinstance(answer, RequestAnswered)
    assert answer.data == b"2"
    for node in (first, second):
        assert isinstance(node.stop(), Done)


def test_a_port_that_another_program_has_is_named(real_world: RealWorld, complaints: Complaints) -> None:
    other = socket.create_server(("127.0.0.1", 0))
    port = other.getsockname()[1]
    node = TestNode(real_world, "node")
    before = open_descriptors()
    error = node.fails(StartNode, NodeConfig(host_ip="127.0.0.1", port=port))
    assert isinstance(error, StartFailed)
    assert f"127.0.0.1:{port}" in str(error)
    assert real_world.until(lambda: node.children(object) == [], 10)
    assert open_descriptors() <= before
    other.close()
    assert isinstance(node.ask(StartNode, NodeConfig(host_ip="127.0.0.1", port=port)), NodeStarted)


def test_an_address_that_is_not_ours_is_named(real_world: RealWorld, complaints: Complaints) -> None:
    error = TestNode(real_world, "node").fails(StartNode, NodeConfig(host_ip="192.0.2.1", port=5001))
    assert isinstance(error, StartFailed)
    assert "192.0.2.1:5001" in str(error)
    assert "this machine does not have that address" in str(error)


def test_stop_and_start_give_everything_back(real_world: RealWorld) -> None:
    node = TestNode(real_world, "node")
    port = start(node)
    for _ in range(3):
        assert isinstance(node.stop(), Done)
        assert real_world.until(lambda: node.children(object) == [], 10)
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), 1)
        answer = node.ask(StartNode, NodeConfig(host_ip="127.0.0.1", port=port))
        assert isinstance(answer, NodeStarted), answer
        socket.create_connection(("127.0.0.1", port), 1).close()


def test_who_comes_when_another_leaves_is_heard(real_world: RealWorld) -> None:
    """Both in one turn: the newcomer gets the very descriptor number of the one that left."""
    node = TestNode(real_world, "node")
    port = start(node, upgrade_timeout_s=60.0)
    leaving = socket.create_connection(("127.0.0.1", port), timeout=10)
    leaving.sendall(b"GET")
    real_world.run(0.1)
    leaving.close()
    coming = socket.create_connection(("127.0.0.1", port), timeout=10)
    coming.sendall(b"GET /wrong HTTP/1.1\r\n")
    real_world.run(0.1)
    coming.sendall(b"Host: x\r\n\r\n")
    coming.setblocking(False)
    answer: list[bytes] = []

    def came() -> bool:
        try:
            answer.append(coming.recv(4096))
        except BlockingIOError:
            return False
        return True

    assert real_world.until(came, 5), "the newcomer is not read"
    assert answer[0].startswith(b"HTTP/1.1 4")
    coming.close()
    assert isinstance(node.stop(), Done)
