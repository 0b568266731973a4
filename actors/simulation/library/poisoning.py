"""What getPeers can be used for: poison for whoever looks for peers, and a map of the book for whoever asks often.

Poison: a node that lacks peers asks again and again, also the one who tells it addresses at which nobody is. Spying: an
observer connects from many addresses and lays the answers side by side.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from actors.simulation.attackers_conduct import Observer, Poisoner
from actors.simulation.attackers_host import ScriptedHost
from actors.simulation.library.experiment import Experiment, Samples, about, between, register
from actors.simulation.library.siege import HOSTILE_OCTETS, Siege, endpoints, is_hostile, spread_out
from core.events import ConnectAbortOutbound, DiscoveredPeer, Event
from core.ids import Direction, Endpoint

POISONED_S = 6 * 3600.0
FEW_HONEST = 12
"""Fewer than there are slots: the node goes on looking."""
NEWCOMERS = 8
"""Honest peers that appear when the six hours are over: as many as there are free slots."""
LOOKED_FOR_S = 2 * 3600.0
STEP_S = 5.0


class Poisoned(NamedTuple):
    """What six hours with a poisoner cost. ``taken``: poison taken into the book; ``wasted``: dials to it; ``honest``:
    honest outbound peers; ``found_after_s``: until the node is connected to all honest peers that appear then."""

    taken: int
    wasted: int
    honest: int
    found_after_s: float


def poison(seed: int, **options: Any) -> Poisoned:
    """A node among 12 honest peers and one poisoner, for six hours; then eight honest newcomers are told to it by the
    other honest ones."""
    name = f"poison {sorted(options.items())} {seed}"
    with Siege(name, honest=FEW_HONEST + NEWCOMERS, max_inbound_connections=0) as siege:
        sim = siege.sim
        siege.crowd.conduct.others = siege.honest[:FEW_HONEST]
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

        def honest() -> int:
            outbound = [peer for peer in victim.connected() if peer.direction is Direction.OUTBOUND]
            return sum(not is_hostile(peer.ip_address) for peer in outbound)

        victim.listeners.append(on_event)
        victim.start()
        sim.run_for(POISONED_S)
        found = taken, wasted, honest()
        siege.crowd.conduct.others = siege.honest
        while honest() < FEW_HONEST + NEWCOMERS and sim.now < POISONED_S + LOOKED_FOR_S:
            sim.run_for(STEP_S)
        return Poisoned(*found, sim.now - POISONED_S)


def _poisoned(seed: int) -> Samples:
    limited, free = poison(seed), poison(seed, address_intake_per_s=0.0)
    return {
        "poison-taken-with-limit": [float(limited.taken)],
        "poison-taken-without": [float(free.taken)],
        "poison-dials-with-limit": [float(limited.wasted)],
        "poison-dials-without": [float(free.wasted)],
        "poison-honest-outbound": [float(limited.honest), float(free.honest)],
        "poison-found-with-limit-s": [limited.found_after_s],
        "poison-found-without-s": [free.found_after_s],
    }


register(
    Experiment(
        "address-poisoning",
        "six hours with a poisoner as seed, while a node lacks peers: poison taken, dials wasted, honest peers found",
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
