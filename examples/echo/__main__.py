"""Three nodes find one another and say hi; whoever is greeted answers. It ends after ten answers.

Run it with ``scripts/example echo``. All three nodes live in this process, each with its own sockets on loopback; the
second and the third know only the first, their seed, and learn of each other through it.
"""

from __future__ import annotations

import itertools
import threading

from actors import P2P
from actors.client import IncomingRequest
from core.events import ConnectOutbound, NewInboundPeer

GREETINGS = 10
TIMEOUT_S = 30.0


class Greeter:
    """A node with a name: it introduces its peers and answers "hi"."""

    def __init__(self, name: str, seeds: list[str]) -> None:
        self.name = name
        self.p2p = P2P(host_ip="127.0.0.1", port=0, seed_peers=seeds, populator_interval_s=0.2)
        self.p2p.on(ConnectOutbound, lambda event: print(f"{name} connected to {event.peer.peer_id}"))
        self.p2p.on(NewInboundPeer, lambda event: print(f"{name} was joined by {event.peer.peer_id}"))
        self.p2p.procedure("hi")(self.answer)

    def answer(self, request: IncomingRequest) -> dict[str, str]:
        """Somebody says hi: what is returned is sent back."""
        greeting = request.json()
        print(f"{self.name} heard {greeting['from']} say {greeting['text']!r}")
        return {"from": self.name, "text": f"hi {greeting['from']}"}

    def greet(self, peer_id: str) -> None:
        """Say hi to a peer and wait for what it answers."""
        reply = self.p2p.request_from_peer(peer_id, "hi", {"from": self.name, "text": "hi!"})
        print(f"{self.name} was answered: {reply.json()['text']!r}")


def main() -> int:
    """Start the nodes, let them greet, stop them; 0 if all ten greetings were answered."""
    seed = Greeter("Ann", seeds=[])
    seed.p2p.start()
    ip, port = seed.p2p.listen_address or ("", 0)
    address = f"{ip}:{port}"
    greeters = [seed, Greeter("Bob", seeds=[address]), Greeter("Cid", seeds=[address])]
    try:
        for greeter in greeters[1:]:
            greeter.p2p.start()
        answered = greet_all(greeters) if wait_until_met([greeter.p2p for greeter in greeters]) else 0
    finally:
        for greeter in greeters:
            greeter.p2p.stop()
    print(f"{answered} of {GREETINGS} greetings were answered.")
    return 0 if answered == GREETINGS else 1


def wait_until_met(nodes: list[P2P]) -> bool:
    """Wait, without polling, until every node is connected to both others."""
    met = threading.Event()

    def look(_event: object) -> None:
        if all(len(node.get_connected_peers()) == len(nodes) - 1 for node in nodes):
            met.set()

    for node in nodes:
        node.on(ConnectOutbound, look)
        node.on(NewInboundPeer, look)
    look(None)
    return met.wait(TIMEOUT_S)


def greet_all(greeters: list[Greeter]) -> int:
    """Each node in turn says hi to each of its peers; return how many greetings were answered."""
    greetings = (
        (greeter, peer.peer_id) for greeter in itertools.cycle(greeters) for peer in greeter.p2p.get_connected_peers()
    )
    answered = 0
    for greeter, peer_id in itertools.islice(greetings, GREETINGS):
        greeter.greet(peer_id)
        answered += 1
    return answered


if __name__ == "__main__":
    raise SystemExit(main())
