"""The other end of a connection, played by the test: an opener, or a listener, that does just what it is told."""

from __future__ import annotations

import json
from typing import Any

import tests.spoken
from actors.transport.channel import Channel
from actors.transport.events import ChannelEvent, Closed, MessageReceived, UpgradeRequested
from actors.transport.websocket import ListenerChannel, OpenerChannel
from core.ids import Endpoint
from core.wire.native import HEADER, VERSION
from core.wire.payloads import NodeInfo
from tests.actors.world import HomeNetwork, World


class CurrentDialect:
    """The dialect that the tests speak at the moment (:mod:`tests.spoken`)."""

    def __getattr__(self, name: str) -> Any:
        return getattr(tests.spoken.dialect(), name)


DIALECT = CurrentDialect()
CHAIN = b"\x00\x00\x00\x01"


def node_info(nonce: str = "remote0123456789", **more: Any) -> NodeInfo:
    """A node info that a default node accepts."""
    return NodeInfo(more.pop("chain_id", CHAIN), more.pop("network_version", "1.1"), nonce, **more)


class Remote:
    """A channel in the test's hands. ``texts`` are the packets that came, in the form of lisk-0.10 whatever is spoken;
    ``events`` all channel events."""

    def __init__(self, world: World, channel: Channel) -> None:
        channel.join = DIALECT.join
        self.world = world
        self.channel = channel
        self.events: list[ChannelEvent] = []

    @property
    def texts(self) -> list[str]:
        return [text for event in self.events if isinstance(event, MessageReceived) for text in texts_of(event)]

    @property
    def closed(self) -> Closed | None:
        return next((event for event in self.events if isinstance(event, Closed)), None)

    def step(self) -> None:
        """Send and read what can be sent and read now."""
        if self.channel.closed:
            return
        self.events += self.channel.on_writable()
        if not self.channel.closed:
            self.channel.flush()
            self.events += self.channel.on_readable()

    def run(self, seconds: float = 0.5) -> None:
        """Let both sides talk for so long (virtual seconds)."""
        ends = self.world.time + seconds
        while True:
            self.step()
            self.world.base.poll()
            self.step()
            left = ends - self.world.time
            if left < 1e-6:
                return
            self.world.run(min(0.05, left))

    def send(self, packet: str | bytes) -> None:
        assert self.channel.send(packet)
        self.step()

    def packet(self, key: str) -> Any:
        """The first JSON packet that came with this key (``event``, ``rid``, ...)."""
        packets = (json.loads(text) for text in self.texts if text.startswith("{"))
        return next((packet for packet in packets if key in packet), None)

    def disconnect_code(self) -> int | None:
        """The code in the ``#disconnect`` that came."""
        for text in self.texts:
            packet = json.loads(text) if text.startswith("{") else {}
            if packet.get("event") == "#disconnect":
                code: int = packet["data"]["code"]
                return code
        return None

    def hang_up(self) -> None:
        """End the connection without a word."""
        self.channel.abort()


def texts_of(message: MessageReceived) -> list[str]:
    """The packets of a message as JSON text."""
    if not message.binary:
        return [message.payload.decode()]
    packets = tests.spoken.packets_of(message.payload, "")
    return [json.dumps(packet, separators=(",", ":")) for packet in packets]


def native_headers() -> tuple[tuple[str, str], ...]:
    """What an upgrade says on either side."""
    return ((HEADER, VERSION),) if tests.spoken.is_native() else ()


def opener(
    world: World, ip: str, to: Endpoint, *, port: int = 5001, info: NodeInfo | None = None, handshake: bool = True
) -> Remote:
    """An opener at ``ip`` that says it listens on ``port``, upgraded and, if wanted, past its #handshake."""
    target = DIALECT.request_target(info or node_info(), port)
    channel = OpenerChannel(HomeNetwork(world.net, ip), to, target, extra_headers=native_headers())
    remote = Remote(world, channel)
    remote.run(0.1)
    if handshake and not channel.closed:
        remote.send(DIALECT.encode_handshake(1))
        remote.run(0.1)
    return remote


class Listener:
    """A listening address in the test's hands."""

    def __init__(self, world: World, endpoint: Endpoint) -> None:
        self.world = world
        self.endpoint = endpoint
        self.socket = HomeNetwork(world.net, endpoint.ip).listen("0.0.0.0", endpoint.port, 1)
        self.remotes: list[Remote] = []

    def accept(self) -> Remote:
        """Wait for a connection."""
        assert self.world.until(lambda: bool(self.socket.queue), 60)
        stream = self.socket.accept()
        assert stream is not None
        remote = Remote(self.world, ListenerChannel(stream, path=DIALECT.path))
        self.remotes.append(remote)
        return remote

    def upgraded(self) -> Remote:
        """Wait for a connection and its upgrade request, and accept it; the first packet is read."""
        remote = self.accept()
        remote.run(0.1)
        assert isinstance(remote.events[-1], UpgradeRequested)
        assert isinstance(remote.channel, ListenerChannel)
        remote.events += remote.channel.accept(native_headers())
        remote.run(0.1)
        remote.channel.resume_reading()
        return remote

    def acknowledged(self) -> Remote:
        """The same, and the handshake is acknowledged."""
        remote = self.upgraded()
        remote.send(DIALECT.encode_ack(json.loads(remote.texts[0])["cid"], "session", 20_000))
        remote.run(0.1)
        return remote

    def introduced_until_node_info(self, info: NodeInfo | None = None) -> Remote:
        """The same, and getNodeInfo is answered."""
        remote = self.acknowledged()
        self.answer(remote, "getNodeInfo", DIALECT.encode_node_info(info or node_info()))
        return remote

    def introduced(self, info: NodeInfo | None = None, peers: tuple[Endpoint, ...] = ()) -> Remote:
        """The same, and getPeers is answered: the opener counts itself as connected."""
        remote = self.introduced_until_node_info(info)
        self.answer(remote, "getPeers", DIALECT.encode_peers(peers))
        return remote

    def answer(self, remote: Remote, procedure: str, data: bytes) -> None:
        """Answer the opener's last request for this procedure."""
        asked = [json.loads(text) for text in remote.texts if procedure in text][-1]
        remote.send(DIALECT.encode_response(asked["cid"], data, self.endpoint.peer_id))
        remote.run(0.1)

    def close(self) -> None:
        for remote in self.remotes:
            remote.hang_up()
        self.socket.close()
