"""Three nodes find one another and say hi; whoever is greeted answers. It ends after ten answers.

Run it with ``scripts/example echo``. All three nodes live in this process, each with its own sockets on loopback; the
second and the third know only the first, their seed, and learn of each other through it.
"""

from __future__ import annotations

import itertools

from actors import P2P
from actors.client import IncomingRequest
from core.errors import ConnectionLost
from core.events import ConnectOutbound, NewInboundPeer

GREETINGS = 10
TIMEOUT_S = 30.0
ATTEMPTS = 3


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
        """Say hi to a peer and wait for what it answers.

        Nodes that dialled each other at the same moment have two connections, of which one is given up: whoever was
        waiting on that one asks again.
        """
        for attempt in range(ATTEMPTS):
            try:
                reply = self.p2p.request_from_peer(peer_id, "hi", {"from": self.name, "text": "hi!"}, timeout_s=10)
                break
            except ConnectionLost:
                if attempt == ATTEMPTS - 1:
                    raise
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
            # One after the other: of two that ask Ann at the same moment neither would hear of the other.
            greeter.p2p.wait_for_peers(timeout_s=TIMEOUT_S)
        for greeter in greeters:
            greeter.p2p.wait_for_peers(len(greeters) - 1, timeout_s=TIMEOUT_S)
        answered = greet_all(greeters)
    finally:
        for greeter in greeters:
            greeter.p2p.stop()
    print(f"{answered} of {GREETINGS} greetings were answered.")
    return 0 if answered == GREETINGS else 1


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
