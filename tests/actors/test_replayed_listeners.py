"""A whole node that dials misbehaving listeners, byte by byte: the recorded cases that are not made of packets.

What packets lead to is in tests/core/test_link_misbehaviour_listeners.py; these are about HTTP, frames and sizes. Each
recorded listener met a fresh lisk-p2p 0.10.0 node; here it meets a node whose only fixed peer's place it takes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.events import BanPeer, ConnectAbortOutbound, ConnectOutbound, OutboundSocketError, PenaltyApplied
from core.house_messages import (
    PeersAdvertised,
)
from core.ids import Endpoint
from core.messages import (
    GetBans,
)
from tests.actors.nodes import TestNode
from tests.actors.raw_wire import RawEnd, RawListener
from tests.actors.transport.fakes import PING, PONG, SWITCHING, TEXT, frame
from tests.actors.world import World
from tests.core.link_rig import ack_packet, answer_packet, info_bytes
from tests.core.test_link_misbehaviour_listeners import CASES, NOT_REPLAYED

NODE = Endpoint("10.1.0.1", 5001)
THERE = Endpoint("10.2.0.1", 5001)
MAX_MESSAGE = 3_048_576


class Scene:
    """A node that was told of one listener by a third party, and that listener."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.listener = RawListener(world, THERE)
        self.node = TestNode(
            world, NODE.ip, connect_timeout_s=3.0, upgrade_timeout_s=3.0, ack_timeout_s=3.0, populator_interval_s=1.0
        ).start()
        source = Endpoint("10.3.0.1", 5001)
        self.node.program.tell(self.node.book.myAddress, PeersAdvertised(source.peer_id, source.ip, (THERE,)))
        self.ends: list[RawEnd] = []

    def accept(self) -> RawEnd:
        self.ends.append(self.listener.accept())
        return self.ends[-1]

    def connected(self) -> RawEnd:
        """A connection that the node counts as connected."""
        end = self.listener.upgraded()
        self.ends.append(end)
        for packet in (ack_packet(), answer_packet(2, info_bytes()), answer_packet(3, b"")):
            end.send(end.text(packet))
            end.run()
        assert self.node.events(ConnectOutbound)
        end.frames.clear()
        return end

    def is_banned(self) -> bool:
        banned = bool(self.node.ask(GetBans).bans)
        assert banned == bool(self.node.events(BanPeer))
        return banned

    def close(self) -> None:
        for end in self.ends:
            end.close()
        self.listener.close()


@pytest.fixture
def scene(world: World) -> Iterator[Scene]:
    made = Scene(world)
    yield made
    made.close()


def aborted(scene: Scene, end: RawEnd) -> list[Any]:
    """The node has given up: no frame, no ban, no penalty; the events that say so."""
    assert end.ended
    assert end.frames == []
    assert not scene.is_banned()
    assert not scene.node.events(PenaltyApplied)
    assert scene.node.peers() == []
    return scene.node.events(ConnectAbortOutbound)


def http_401(scene: Scene) -> None:
    end = scene.accept()
    end.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nnope")
    end.run()
    (event,) = aborted(scene, end)
    assert event.code == 401, "lisk-p2p says 1006, 'Socket hung up', and keeps the reason to itself"


def http_never(scene: Scene) -> None:
    end = scene.accept()
    end.run(2.9)
    assert not end.ended
    end.run(0.2)
    (event,) = aborted(scene, end)
    assert "timed out" in event.reason


def bad_accept(scene: Scene) -> None:
    end = scene.accept()
    end.send(SWITCHING)  # the answer to another key
    end.run()
    assert len(aborted(scene, end)) == 1


def deflate_response(scene: Scene) -> None:
    """The real node understands compressed frames if a listener selects them. Ours never offered to, and refuses."""
    end = scene.listener.upgraded(b"Sec-WebSocket-Extensions: permessage-deflate\r\n")
    scene.ends.append(end)
    assert b"Sec-WebSocket-Extensions" not in end.head
    compressed = next(entry["sent"] for entry in CASES["deflate_response"]["transcript"] if entry["t"] == 2228)
    end.send(bytes.fromhex(compressed))
    end.run()
    assert aborted(scene, end)


def payload_max_plus1(scene: Scene) -> None:
    end = scene.connected()
    empty = b'{"event":"remote-message","data":{"event":"x"}}'
    end.send(frame(TEXT, empty + b" " * (MAX_MESSAGE - len(empty)), mask=None))
    end.run()
    assert not end.ended, "exactly the greatest size is accepted"
    end.send(frame(TEXT, empty + b" " * (MAX_MESSAGE + 1 - len(empty)), mask=None))
    end.run()
    assert end.ended
    assert end.frames == []
    assert scene.node.events(OutboundSocketError)
    assert not scene.is_banned()


REPLAYS: dict[str, Callable[[Scene], None]] = {
    replay.__name__: replay for replay in (http_401, http_never, bad_accept, deflate_response, payload_max_plus1)
}


@pytest.mark.parametrize("name", REPLAYS)
def test_a_listener_is_treated_by_a_node_as_by_a_real_one(scene: Scene, name: str) -> None:
    assert not CASES[name]["banned"]
    REPLAYS[name](scene)


def test_every_case_is_replayed() -> None:
    assert set(REPLAYS) == set(NOT_REPLAYED)


@pytest.mark.parametrize(("opcode", "name"), [(PING, "ping_frame"), (PONG, "pong_frame")])
def test_a_control_frame_of_a_listener_is_a_raw_ban(scene: Scene, opcode: int, name: str) -> None:
    assert CASES[name]["banned"]
    end = scene.connected()
    end.send(frame(opcode, b"", mask=None))
    end.run()
    assert end.ended
    assert end.frames == [], "neither a PONG nor a close frame"
    assert scene.is_banned()
    assert not scene.node.book.book.all()


def test_the_node_does_not_dial_a_banned_listener(scene: Scene) -> None:
    end = scene.connected()
    end.send(end.text({"event": "remote-message", "data": {"event": "postNodeInfo"}}))
    end.run()
    assert [json.loads(text) for text in end.texts] == [{"event": "#disconnect", "data": {"code": 1000}}]
    assert end.close_code == 1000
    assert scene.is_banned()
    source = Endpoint("10.3.0.1", 5001)
    scene.node.program.tell(scene.node.book.myAddress, PeersAdvertised(source.peer_id, source.ip, (THERE,)))
    scene.world.run(60)
    assert not scene.listener.socket.queue
