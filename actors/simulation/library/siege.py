"""One real node among scripted peers, honest ones by the thousand and an attacker's: the stage of the attacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import msgspec

from actors.bases.sim_node import SimNode
from actors.bases.sim_nodes import Simulation
from actors.peer_book import PeerBook
from actors.simulation.attackers_host import PORT, Conduct, Line, ScriptedHost
from actors.transport.sim_links import Links
from core.book.entry import Table
from core.config import NodeConfig
from core.events import PeerInfo
from core.ids import Direction, Endpoint
from core.measures.shares import held, places

VICTIM_IP = "20.0.0.1"
HONEST_OCTETS = range(21, 100)
HOSTILE_OCTETS = range(130, 169)
QUIET: dict[str, Any] = {
    "keepalive_interval_s": 600.0,
    "keepalive_timeout_s": 1800.0,
    "ping_interval_min_s": 600.0,
    "ping_interval_max_s": 1800.0,
    "decisions_kept": 0,
}
"""Pings are rare: days of virtual time pass in seconds, and nothing of what is measured depends on them."""


def spread_out(octets: range, groups: int, each: int = 1) -> list[str]:
    """Addresses in ``groups`` net groups, groups in turns. Raises ValueError if there are not that many groups."""
    if groups > len(octets) * 256 or each > 250 * 250:
        raise ValueError(f"expected at most {len(octets) * 256} groups, got {groups}")
    names = [f"{octets[group % len(octets)]}.{group // len(octets)}" for group in range(groups)]
    return [f"{name}.{host // 250}.{host % 250 + 1}" for host in range(each) for name in names]


def gathered(octets: range, groups: int, count: int) -> list[str]:
    """``count`` addresses in ``groups`` net groups as uneven as real networks are: the k-th largest group has 1/k of
    the largest one's (Zipf's law), and each has one at least. In an order that does not depend on the group.

    Raises ValueError if there are fewer addresses than groups.
    """
    if count < groups:
        raise ValueError(f"expected at least {groups} addresses, got {count}")
    names = spread_out(octets, groups)
    scale = (count - groups) / sum(1.0 / rank for rank in range(1, groups + 1))
    reached, ips = 0.0, []
    for rank, name in enumerate(names, 1):
        before, reached = round(reached), reached + scale / rank
        prefix = name.rsplit(".", 2)[0]
        each = 1 + round(reached) - before
        ips += [f"{prefix}.{host // 250}.{host % 250 + 1}" for host in range(each)]
    Random("gathered").shuffle(ips)
    return ips


def is_hostile(ip: str) -> bool:
    """Whether an address is the attacker's."""
    return int(ip.partition(".")[0]) in HOSTILE_OCTETS


class Crowd(Conduct):
    """Honest peers, each a little further away than the host that they share: answers come up to 0.1 s late."""

    def __init__(self, others: Sequence[Endpoint]) -> None:
        super().__init__(others)
        self.silenced: set[str] = set()
        """Addresses at which nobody answers any more."""
        self._delays: dict[str, float] = {}

    def takes(self, line: Line) -> bool:
        return line.ip not in self.silenced

    def answer_delay_s(self, line: Line) -> float:
        delay = self._delays.get(line.ip)
        if delay is None:
            delay = self._delays[line.ip] = 0.001 + 0.1 * line.host.rng.random()
        return delay


class Siege:
    """The stage. ``honest``: so many addresses, ``alive`` of them with somebody there. Each is in a net group of its
    own, or they are in ``honest_groups`` as :func:`gathered`.

    The victim is a real node with the options given; it knows nobody until it is told.
    """

    def __init__(
        self,
        name: str,
        *,
        honest: int = 400,
        alive: float = 1.0,
        honest_groups: int | None = None,
        links: Links | None = None,
        **options: Any,
    ) -> None:
        self.sim = Simulation(name, links=links)
        addresses = spread_out(HONEST_OCTETS, honest)
        if honest_groups is not None:
            addresses = gathered(HONEST_OCTETS, honest_groups, honest)
        living = addresses[: max(1, round(alive * honest))]
        self.honest = [Endpoint(ip, PORT) for ip in addresses]
        self.living = [Endpoint(ip, PORT) for ip in living]
        self._crowd = Crowd(self.honest)
        self.crowd = ScriptedHost(self.sim, "crowd", living, self._crowd)
        self.victim: SimNode = self.sim.add_node(
            "victim", ip=VICTIM_IP, collect=(), data_dir="victim's", **(QUIET | options)
        )
        self.timeline: list[tuple[float, float, float]] = []
        """(time, share of outbound, share of inbound that the attacker holds), as :meth:`watch` saw it."""

    def __enter__(self) -> Siege:
        return self

    def __exit__(self, *error: object) -> None:
        self.sim.close()

    def start_knowing(self, known: Sequence[Endpoint]) -> None:
        """Start the victim with these addresses in its book as tried; after a restart they come from storage."""
        options = self.victim.config
        self.victim.config = msgspec.structs.replace(options, previous_peers=tuple(known))
        self.victim.start()
        self.victim.config = options

    def restart(self, away_s: float = 60.0) -> None:
        """Stop the victim in order, and start it again after a while."""
        self.victim.stop()
        self.sim.run_for(away_s)
        self.victim.start()

    def fill_inbound(self, count: int, every_s: float = 1.0) -> None:
        """Honest peers connect to the victim, one after the other."""
        for endpoint in self.living[:count]:
            self.crowd.dial(endpoint.ip, self.victim.endpoint)
            self.sim.run_for(every_s)

    def silence(self, peers: Iterable[Endpoint]) -> None:
        """From now on nobody answers at these addresses; connections that are open stay."""
        self._crowd.silenced.update(peer.ip for peer in peers)

    # ---- what the attacker has

    def peers(self, direction: Direction) -> list[PeerInfo]:
        """The victim's connected peers of one direction."""
        return [peer for peer in self.victim.connected() if peer.direction is direction]

    def outbound_share(self) -> float:
        """The attacker's share of the victim's outbound connections."""
        return held(self.victim.connected(), Direction.OUTBOUND, is_hostile).share

    def inbound_share(self) -> float:
        """The attacker's share of the victim's inbound connections."""
        return held(self.victim.connected(), Direction.INBOUND, is_hostile).share

    def honest_inbound(self) -> int:
        """Honest inbound connections of the victim."""
        found = held(self.victim.connected(), Direction.INBOUND, is_hostile)
        return found.total - found.attackers

    def book_share(self, table: Table) -> float:
        """The attacker's share of the entries of one table: that of a uniform draw from it."""
        actor: PeerBook = self.victim.child(PeerBook)
        return places(actor.book.all(), table, 1, is_hostile).share

    def drawn_share(self, draws: int = 3000) -> float:
        """The attacker's share of the choices of an outbound peer that find somebody there, as the victim's book is
        now: what shuffling leads to in the long run, and a restart at once."""
        actor: PeerBook = self.victim.child(PeerBook)
        now = actor.environment.wall_now()
        living = set(self.living)
        chosen = [endpoint for _ in range(draws) for endpoint in actor.book.choose(1, now).endpoints]
        hostile = sum(is_hostile(endpoint.ip) for endpoint in chosen)
        answering = hostile + sum(endpoint in living for endpoint in chosen)
        return hostile / answering if answering else 0.0

    def watch(self, until_s: float, every_s: float) -> None:
        """Let time pass, and note the attacker's shares at intervals."""
        while self.sim.now < until_s:
            self.sim.run_for(min(every_s, until_s - self.sim.now))
            self.timeline.append((self.sim.now, self.outbound_share(), self.inbound_share()))


def endpoints(ips: Sequence[str]) -> list[Endpoint]:
    """Addresses as peers listen on them."""
    return [Endpoint(ip, PORT) for ip in ips]


def with_options(config: NodeConfig, **options: Any) -> NodeConfig:
    """Another configuration of the same node."""
    return msgspec.structs.replace(config, **options)
