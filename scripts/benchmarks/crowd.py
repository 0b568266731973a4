"""Many light peers in one process: they open connections to one node, introduce themselves, and count what comes.

Commands (JSON lines, as for :mod:`scripts.benchmarks.worker`): ``connect`` (peer_id, count, side_by_side, native) opens
connections, so many at a time, and answers when all are ready; ``churn`` (the same) closes each as soon as it is ready;
``await_marker`` (marker) waits until that text has come on every connection; ``leave`` (keep) ends all connections but
so many; ``usage``.

A peer here is the project's own link and channel without an actor. While it waits for a marker it only looks for that
text in the bytes that come, so that one process can take in what a node sends to a hundred peers.
"""

from __future__ import annotations

import itertools
import json
import selectors
import sys
import time
from random import Random
from typing import Any

from actors.transport.events import Closed, MessageReceived, Opened
from actors.transport.tcp import TcpNetwork
from actors.transport.websocket import OpenerChannel
from core.config import NodeConfig
from core.dialects import Languages, languages_of
from core.effects import AbortChannel, CloseChannel, SendPacket
from core.ids import CloseCode, Direction, Endpoint, PeerKind
from core.link import Link
from core.link_settings import LinkSettings
from core.wire.payloads import NodeInfo
from scripts.benchmarks.usage import usage

FIRST_PORT = 10_000
LIMIT_S = 60.0
RECV_BYTES = 256 * 1024


class Visitor:
    """One connection."""

    def __init__(self, endpoint: Endpoint, port: int, languages: Languages) -> None:
        own = NodeInfo(bytes.fromhex("00000001"), "1.1", f"{port:016x}", True, {})
        self._languages = languages
        self.link = Link(
            direction=Direction.OUTBOUND,
            endpoint=endpoint,
            kind=PeerKind.NONE,
            dialect=languages.main,
            own=own,
            settings=LinkSettings(max_packet_rate=1e9),
            rng=Random(port),
        )
        offer = languages.offer(own, port)
        now = time.monotonic()
        self._apply(self.link.start_outbound(now))
        self.channel = OpenerChannel(TcpNetwork(), endpoint, offer.target, extra_headers=offer.headers)
        self.problem = ""
        self.tail = b""

    def work(self, mask: int) -> None:
        """The socket can be read or written."""
        channel, now = self.channel, time.monotonic()
        events = list(channel.on_writable()) if mask & selectors.EVENT_WRITE else []
        if mask & selectors.EVENT_READ and not channel.closed:
            events += channel.on_readable()
        for event in events:
            if isinstance(event, Opened):
                dialect = self._languages.of_opener(event.headers)
                self.link.speak(dialect)
                channel.join = dialect.join
                self._apply(self.link.on_opened(now))
            elif isinstance(event, MessageReceived):
                self._apply(self.link.on_packets([(event.payload, event.binary)], now))
            elif isinstance(event, Closed):
                self.problem = f"closed with {event.code} {event.reason}"
        if channel.queued_bytes and channel.is_connected:
            channel.flush()

    def close(self) -> None:
        """With a close frame and no word: a node bans an address that says ``#disconnect`` more than ten times."""
        self.channel.close(CloseCode.NORMAL)
        self.channel.abort()

    def _apply(self, effects: Any) -> None:
        for effect in effects:
            if isinstance(effect, SendPacket):
                self.channel.send(effect.packet)
            elif isinstance(effect, CloseChannel):
                self.channel.close(effect.code)
            elif isinstance(effect, AbortChannel):
                self.problem = "ended by its own link"


class Crowd:
    """All connections."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._visitors: list[Visitor] = []
        self._ports = itertools.count(FIRST_PORT)

    def _open(self, peer_id: str, languages: Languages) -> Visitor:
        visitor = Visitor(Endpoint.parse(peer_id), next(self._ports), languages)
        self._selector.register(visitor.channel.fileno(), selectors.EVENT_READ | selectors.EVENT_WRITE, visitor)
        return visitor

    def _let_in(self, peer_id: str, count: int, side_by_side: int, native: bool, *, stay: bool) -> dict[str, Any]:
        languages = languages_of(NodeConfig.from_mapping({"network": {"native": native}}))
        started_at = time.monotonic()
        opened = ready = 0
        while ready < count:
            while opened < count and opened - ready < side_by_side:
                self._open(peer_id, languages)
                opened += 1
            for key, mask in self._selector.select(LIMIT_S):
                visitor: Visitor = key.data
                was_ready = visitor.link.is_connected
                visitor.work(mask)
                if visitor.problem:
                    raise RuntimeError(f"visitor {visitor.channel.fileno()} {visitor.problem}")
                waits = selectors.EVENT_WRITE if visitor.channel.wants_write else 0
                if waits != key.events & selectors.EVENT_WRITE:
                    self._selector.modify(key.fd, selectors.EVENT_READ | waits, visitor)
                if visitor.link.is_connected and not was_ready:
                    ready += 1
                    if stay:
                        self._visitors.append(visitor)
                    else:
                        self._selector.unregister(key.fd)
                        visitor.close()
        return {"elapsed": time.monotonic() - started_at}

    def do_connect(self, peer_id: str, count: int, side_by_side: int, native: bool) -> dict[str, Any]:
        """More connections that stay."""
        return self._let_in(peer_id, count, side_by_side, native, stay=True)

    def do_churn(self, peer_id: str, count: int, side_by_side: int, native: bool) -> dict[str, Any]:
        """Connections that leave when they are ready."""
        return self._let_in(peer_id, count, side_by_side, native, stay=False)

    def do_await_marker(self, marker: str) -> dict[str, Any]:
        """Take in everything until the marker has come everywhere."""
        wanted, waiting = marker.encode(), set(self._visitors)
        first_at = 0.0
        while waiting:
            ready = self._selector.select(LIMIT_S)
            if not ready:
                raise TimeoutError(f"{len(waiting)} of {len(self._visitors)} did not get the last message")
            first_at = first_at or time.monotonic()
            for key, _ in ready:
                visitor = key.data
                data = visitor.channel._stream.recv(RECV_BYTES)
                if not data:
                    raise RuntimeError("the node closed a connection")
                if wanted in visitor.tail + data:
                    waiting.discard(visitor)
                visitor.tail = data[-len(wanted) :]
        return {"firstAt": first_at, "lastAt": time.monotonic()}

    def do_leave(self, keep: int) -> dict[str, Any]:
        """All but so many end their connections."""
        for visitor in self._visitors[keep:]:
            self._selector.unregister(visitor.channel.fileno())
            visitor.close()
        del self._visitors[keep:]
        return {}

    def do_usage(self) -> dict[str, Any]:
        """See :func:`scripts.benchmarks.usage.usage`."""
        return usage()


def main() -> None:
    """Carry out the commands of stdin, one after the other."""
    crowd = Crowd()
    for line in sys.stdin:
        command = json.loads(line)
        answer: dict[str, Any] = {"id": command.pop("id")}
        try:
            answer["result"] = getattr(crowd, f"do_{command.pop('command')}")(**command)
        except Exception as error:
            answer["error"] = repr(error)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
