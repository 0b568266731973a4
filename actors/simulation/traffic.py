"""The program that runs on every node of an experiment: passes messages on, answers requests, and notes both.

A message carries its name and the hops it has made; the rest is filling. A node passes on what it gets for the first
time, as its group's relay rule says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from actors.simulation.recorder import Arrival, MessageLog, RequestLog
from core import messages as m
from core.events import Event, MessageReceived
from core.ids import PeerId
from core.scenario.actions import Publish, Relay, Request

if TYPE_CHECKING:
    from random import Random

    from actors.bases.sim_nodes import SimNode
    from actors.simulation.lab import Laboratory

EVENT: Final = "lab"
"""The event name of a scenario's messages, and the procedure of its requests."""


def payload(name: str, hops: int, size_bytes: int) -> bytes:
    """A message: its name, the hops it will have made on arrival, filling up to its size."""
    head = f"{name} {hops} ".encode()
    return head + bytes(max(0, size_bytes - len(head)))


def read_payload(data: bytes | None) -> tuple[str, int] | None:
    """Name and hops of a message; None for what is none of ours."""
    parts = (data or b"").split(b" ", 2)
    if len(parts) != 3 or not parts[1].isdigit() or not parts[0].isascii():
        return None
    return parts[0].decode(), int(parts[1])


class Traffic:
    """All messages and requests of one run."""

    def __init__(self, lab: Laboratory) -> None:
        self._lab = lab
        self._relays: dict[str, Relay] = {}
        self._delays: dict[str, Callable[[], float]] = {}
        self._streams: dict[str, Random] = {}
        self._numbers: dict[str, int] = {}

    def serve(self, node: SimNode, relay: Relay, delay: Callable[[], float] | None) -> None:
        """Let a node take part. ``delay()``: seconds it needs before it passes a message on."""
        self._relays[node.name] = relay
        if delay is not None:
            self._delays[node.name] = delay
        node.listeners.append(self.on_event)
        node.answerers[EVENT] = _answer

    # ---- messages

    def publish(self, action: Publish, origins: Iterable[SimNode], several: bool) -> None:
        """Let each of these nodes send a new message. ``several``: names are numbered from the first one on."""
        for node in origins:
            number = self._numbers[action.id] = self._numbers.get(action.id, 0) + 1
            name = f"{action.id}-{number}" if several or number > 1 else action.id
            population = sum(one.is_running for one in self._lab.honest())
            log = MessageLog(name, node.name, self._lab.now, action.size_bytes, population)
            self._lab.recorder.messages[name] = log
            log.first[node.name] = Arrival(self._lab.now, node.name, 0)
            self._send(node, log, 1, None)

    def on_event(self, node: SimNode, event: Event) -> None:
        """A node heard something."""
        if type(event) is not MessageReceived or event.event != EVENT:
            return
        read = read_payload(event.data)
        log = self._lab.recorder.messages.get(read[0]) if read is not None else None
        if read is None or log is None:
            self._lab.count("foreign_messages")
            return
        name = node.name
        if name in log.first:
            log.copies[name] = log.copies.get(name, 0) + 1
            return
        log.first[name] = Arrival(self._lab.now, event.peer_id, read[1])
        delay = self._delays.get(name)
        if delay is None:
            self._send(node, log, read[1] + 1, event.peer_id)
        else:
            self._lab.at(self._lab.now + delay(), lambda: self._send(node, log, read[1] + 1, event.peer_id))

    def _send(self, node: SimNode, log: MessageLog, hops: int, sender: PeerId | None) -> None:
        relay = self._relays[node.name]
        if relay.targets == "none" and sender is not None:
            return
        if not node.is_running:
            return
        data = payload(log.id, hops, log.size_bytes)
        if relay.targets == "all":
            node.broadcast(EVENT, data)
        elif relay.targets == "uniform":
            for peer in self._any_peers(node, relay, sender):
                node.send(EVENT, data, peer)
        else:
            node.send(EVENT, data)

    def _any_peers(self, node: SimNode, relay: Relay, sender: PeerId | None) -> list[PeerId]:
        peers = list(dict.fromkeys(self._lab.recorder.peers_of(node)))
        if relay.skip_sender and sender in peers:
            peers.remove(sender)
        rng = self._streams.get(node.name)
        if rng is None:
            rng = self._streams[node.name] = self._lab.rng("relay", node.name)
        return rng.sample(peers, min(relay.fanout, len(peers)))

    # ---- requests

    def ask(self, action: Request, nodes: Iterable[SimNode], targets: list[SimNode] | None, rng: Random) -> None:
        """Let each of these nodes send a request, to one of ``targets`` or to a peer of its own choice."""
        question = f"{action.answer_bytes} ".encode()
        question += bytes(max(0, action.size_bytes - len(question)))
        for node in nodes:
            peer = None if targets is None else rng.choice(targets).peer_id if targets else None
            log = RequestLog(self._lab.now, node.name)
            self._lab.recorder.requests.append(log)
            pending = node.later(m.SendRequest(0, EVENT, question, action.timeout_s, peer))
            pending.then = _noting(log, lambda: self._lab.now)


def _noting(log: RequestLog, clock: Callable[[], float]) -> Callable[[m.Query], None]:
    def note(answer: m.Query) -> None:
        if isinstance(answer, m.Failed):
            log.error = type(answer.error).__name__
        else:
            log.answered_at_s = clock()

    return note


def _answer(request: Any) -> bytes:
    size = (request.data or b"").partition(b" ")[0]
    return bytes(int(size)) if size.isdigit() and len(size) < 9 else b""
