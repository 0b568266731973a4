"""What getPeers can be used for: poison for whoever looks for peers, and a map of the book for whoever asks often.

Poison: a node that lacks peers asks again and again, also the one who tells it addresses at which nobody is. Spying: an
observer connects from many addresses and lays the answers side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actors.simulation.attackers_conduct import Poisoner
from actors.simulation.attackers_host import DIALECT, Conduct, Line, ScriptedHost
from actors.simulation.library.experiment import Experiment, Samples, about, between, register
from actors.simulation.library.siege import HOSTILE_OCTETS, Siege, endpoints, is_hostile, spread_out
from core.events import ConnectAbortOutbound, DiscoveredPeer, Event
from core.ids import Direction, Endpoint
from core.wire import packets as p
from core.wire.peerlist import decode_peers

POISONED_S = 6 * 3600.0
FEW_HONEST = 12
"""Fewer than there are slots: the node goes on looking."""


def poison(seed: int, **options: Any) -> tuple[int, int, int]:
    """A node among 12 honest peers and one poisoner, for six hours: poison taken into the book, dials wasted on it,
    honest outbound peers at the end."""
    with Siege(f"poison {sorted(options.items())} {seed}", honest=FEW_HONEST, max_inbound_connections=0) as siege:
        sim = siege.sim
        dead = endpoints(spread_out(HOSTILE_OCTETS, 400, 20)[400:])
        ScriptedHost(sim, "poisoner", ["130.0.0.1"], Poisoner(dead))
        seeds = [siege.honest[0].peer_id, Endpoint("130.0.0.1", 5001).peer_id]
        victim = sim.add_node(
            "hungry",
            ip="20.1.0.1",
            collect=(),
            listen_to=[DiscoveredPeer.NAME, ConnectAbortOutbound.NAME],
            seed_peers=seeds,
            decisions_kept=0,
            **options,
        )
        taken = wasted = 0

        def on_event(node: object, event: Event) -> None:
            nonlocal taken, wasted
            if isinstance(event, DiscoveredPeer):
                taken += is_hostile(event.endpoint.ip)
            elif isinstance(event, ConnectAbortOutbound):
                wasted += is_hostile(event.peer_id)

        victim.listeners.append(on_event)
        victim.start()
        sim.run_for(POISONED_S)
        outbound = [peer for peer in victim.connected() if peer.direction is Direction.OUTBOUND]
        return taken, wasted, sum(not is_hostile(peer.ip_address) for peer in outbound)


def _poisoned(seed: int) -> Samples:
    limited, wasted_limited, honest_limited = poison(seed)
    free, wasted_free, honest_free = poison(seed, address_intake_per_s=0.0)
    return {
        "poison-taken-with-limit": [float(limited)],
        "poison-taken-without": [float(free)],
        "poison-dials-with-limit": [float(wasted_limited)],
        "poison-dials-without": [float(wasted_free)],
        "poison-honest-outbound": [float(honest_limited), float(honest_free)],
    }


register(
    Experiment(
        "address-poisoning",
        "six hours with a poisoner as seed, while a node lacks peers: addresses taken, dials wasted, honest peers kept",
        "nodes",
        _poisoned,
        (
            between("poison-taken-with-limit", 200.0, 1000.0 + 0.1 * POISONED_S, "1,000 at once, then 0.1/s"),
            between("poison-taken-without", 3200.0, 200_000.0, "as many as it is asked for"),
            between("poison-honest-outbound", FEW_HONEST - 1, FEW_HONEST, "all that there are"),
        ),
        runs=2,
        quick_runs=0,
    )
)

KNOWN = 1000
ASKING = 40


class Observer(Conduct):
    """Connects, asks for peers once, writes down what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.learned: set[Endpoint] = set()

    def on_ready(self, line: Line) -> None:
        if line.is_opener:
            line.send(DIALECT.encode_request("getPeers", None, 77))

    def on_answer(self, line: Line, answer: p.Response) -> None:
        if answer.rid == 77 and answer.data is not None:
            self.learn(decode_peers(answer.data))
            line.close()

    def learn(self, found: Sequence[Endpoint]) -> None:
        """One answer."""
        self.learned.update(found)


def scrape(seed: int, **options: Any) -> float:
    """The share of a node's 1,000 honest addresses that an observer learns who asks from 40 addresses."""
    with Siege(
        f"scrape {sorted(options.items())} {seed}", honest=KNOWN, max_outbound_connections=1, **options
    ) as siege:
        siege.start_knowing(siege.honest)
        siege.sim.run_for(20.0)
        observer = Observer()
        host = ScriptedHost(siege.sim, "observer", spread_out(HOSTILE_OCTETS, ASKING), observer)
        for ip in host.ips:
            host.dial(ip, siege.victim.endpoint)
            siege.sim.run_for(30.0)
        return len(observer.learned & set(siege.honest)) / KNOWN


def _scraped(seed: int) -> Samples:
    return {"scraped-kept": [scrape(seed)], "scraped-fresh": [scrape(seed, keep_getpeers_answer=False)]}


register(
    Experiment(
        "book-scraping",
        "an observer asks from 40 addresses for the peers of a node that knows 1,000: share of them learned",
        "nodes",
        _scraped,
        (
            about("scraped-kept", 0.2, 0.004, "one answer of 200 for everybody", slack=0.01),
            about("scraped-fresh", 1.0 - 0.8**ASKING, 0.002, "1 - 0.8^40: a fresh fifth each time", slack=0.005),
        ),
        runs=5,
        quick_runs=1,
    )
)
