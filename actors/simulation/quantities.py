"""Measures that every experiment can use: reach, hops, propagation, connections, books, bans.

Arguments called ``who`` are selectors as in files (``full``, ``hub|full-3``); a message is meant by its name, or, where
the name was given to several, by what they share (``m`` means ``m-1``, ``m-2`` ...); without one, all messages count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from actors.bases.sim_nodes import SimNode
from actors.peer_book import PeerBook
from actors.simulation.recorder import MessageLog
from actors.simulation.roles import Lab, measure
from core.ids import Direction
from core.measures import graph


def logs(lab: Lab, message: str) -> list[MessageLog]:
    """The messages meant."""
    known: dict[str, MessageLog] = lab.recorder.messages
    if not message:
        return list(known.values())
    if message in known:
        return [known[message]]
    return [log for name, log in known.items() if name.rpartition("-")[0] == message]


def nodes(lab: Lab, who: str, *, only_running: bool = True) -> list[SimNode]:
    """The nodes meant, as far as they run."""
    chosen = lab.select(who, "measure") if who else lab.honest()
    return [node for node in chosen if node.is_running or not only_running]


@measure("reach", "reach(message): share of the nodes that ran when it was published which have it")
def reach(lab: Lab, message: str = "") -> float:
    found = logs(lab, message)
    return _mean([log.reach for log in found])


@measure("reached", "reached(message, who): share of these nodes that have it")
def reached(lab: Lab, message: str, who: str) -> float:
    chosen = nodes(lab, who, only_running=False)
    found = logs(lab, message)
    return _mean([sum(node.name in log.first for node in chosen) / max(len(chosen), 1) for log in found])


@measure("hops", "hops(message): hops of the first copy, for each node but the origin")
def hops(lab: Lab, message: str = "") -> tuple[float, ...]:
    return tuple(float(one.hops) for log in logs(lab, message) for one in log.first.values() if one.hops)


@measure("propagation", "propagation(message): seconds from publication to first copy, for each node but the origin")
def propagation(lab: Lab, message: str = "") -> tuple[float, ...]:
    return tuple(delay for log in logs(lab, message) for delay in log.delays_s())


@measure("time_to", "time_to(share, message): seconds until so large a share of the nodes had it, for each message")
def time_to(lab: Lab, share: float, message: str = "") -> tuple[float, ...]:
    found = []
    for log in logs(lab, message):
        needed = share * log.population
        times = sorted(one.at_s - log.at_s for one in log.first.values())
        reached_at = next((time for count, time in enumerate(times, 1) if count >= needed - 1e-9), float("inf"))
        found.append(reached_at)
    return tuple(found)


@measure("duplicates", "duplicates(message): further copies of it, for each node that has it")
def duplicates(lab: Lab, message: str = "") -> tuple[float, ...]:
    return tuple(float(log.copies.get(name, 0)) for log in logs(lab, message) for name in log.first)


@measure("published", "published(message): how many messages were published")
def published(lab: Lab, message: str = "") -> float:
    return float(len(logs(lab, message)))


@measure("connections", "connections(who): open connections of each running node")
def connections(lab: Lab, who: str = "") -> tuple[float, ...]:
    return _degrees(lab, who, None)


@measure("outbound", "outbound(who): outbound connections of each running node")
def outbound(lab: Lab, who: str = "") -> tuple[float, ...]:
    return _degrees(lab, who, Direction.OUTBOUND)


@measure("inbound", "inbound(who): inbound connections of each running node")
def inbound(lab: Lab, who: str = "") -> tuple[float, ...]:
    return _degrees(lab, who, Direction.INBOUND)


@measure("connected", "connected(one, other): 1 if a node counts the other among its peers")
def connected(lab: Lab, one: str, other: str) -> float:
    peers = set(lab.recorder.peers_of(lab.node(one)))
    return float(lab.node(other).peer_id in peers)


@measure("running", "running(who): how many nodes run")
def running(lab: Lab, who: str = "") -> float:
    return float(len(nodes(lab, who)))


@measure("known", "known(who): addresses in the book of each running node")
def known(lab: Lab, who: str = "") -> tuple[float, ...]:
    return tuple(float(len(book)) for book in _books(lab, who))


@measure("tried", "tried(who): tried addresses in the book of each running node")
def tried(lab: Lab, who: str = "") -> tuple[float, ...]:
    return tuple(float(book.counts().tried) for book in _books(lab, who))


@measure("components", "components(who): parts into which the running nodes fall by their connections; 1 is connected")
def components(lab: Lab, who: str = "") -> float:
    return float(len(parts(lab, nodes(lab, who))))


@measure("largest_component", "largest_component(who): share of the running nodes in the largest part")
def largest_component(lab: Lab, who: str = "") -> float:
    chosen = nodes(lab, who)
    return max(parts(lab, chosen), default=0) / max(len(chosen), 1)


@measure("bans", "bans(who): addresses that these nodes ban now, all together")
def bans(lab: Lab, who: str = "") -> float:
    return float(sum(len(lab.recorder.banned_by(node)) for node in nodes(lab, who)))


@measure("bans_total", "bans_total(who): bans that these nodes have imposed so far")
def bans_total(lab: Lab, who: str = "") -> float:
    names = {node.name for node in nodes(lab, who, only_running=False)}
    return float(sum(ban.node in names and ban.until > 0.0 for ban in lab.recorder.bans))


@measure("evictions", "evictions(who): inbound peers that these nodes have evicted so far")
def evictions(lab: Lab, who: str = "") -> float:
    names = {node.name for node in nodes(lab, who, only_running=False)}
    return float(sum(one.node in names and one.direction == "inbound" for one in lab.recorder.evictions))


@measure("shuffles", "shuffles(who): outbound peers that these nodes have shuffled out so far")
def shuffles(lab: Lab, who: str = "") -> float:
    names = {node.name for node in nodes(lab, who, only_running=False)}
    return float(sum(one.node in names and one.direction == "outbound" for one in lab.recorder.evictions))


@measure("answered", "answered: share of the requests that were answered")
def answered(lab: Lab) -> float:
    asked = lab.recorder.requests
    return _mean([float(one.answered_at_s is not None) for one in asked])


@measure("request_time", "request_time: seconds from question to answer, for each answered request")
def request_time(lab: Lab) -> tuple[float, ...]:
    asked = lab.recorder.requests
    return tuple(one.answered_at_s - one.at_s for one in asked if one.answered_at_s is not None)


@measure("counter", "counter(name): a counter of an attacker or of the laboratory")
def counter(lab: Lab, name: str) -> float:
    return float(lab.recorder.counters.get(name, 0.0))


@measure("now", "now: virtual seconds since the beginning")
def now(lab: Lab) -> float:
    return lab.now


@measure("failures", "failures: nodes that could not start, or ended by themselves")
def failures(lab: Lab) -> float:
    return float(len(lab.recorder.failures))


@measure("outbound_held", "outbound_held(who, attacker): share of outbound connections to this attacker, or to any")
def outbound_held(lab: Lab, who: str, attacker: str = "") -> tuple[float, ...]:
    return _held(lab, who, attacker, Direction.OUTBOUND)


@measure("inbound_held", "inbound_held(who, attacker): share of inbound connections from this attacker, or from any")
def inbound_held(lab: Lab, who: str, attacker: str = "") -> tuple[float, ...]:
    return _held(lab, who, attacker, Direction.INBOUND)


def held_by(lab: Lab, node: SimNode, direction: Direction) -> dict[str, int]:
    """Who owns the peers of a node: how many of one direction belong to each attacker, and to ``honest``."""
    found: dict[str, int] = {}
    for peer in lab.recorder.peers_of(node, direction):
        owner = lab.owner_of(peer)
        found[owner] = found.get(owner, 0) + 1
    return found


def parts(lab: Lab, chosen: list[SimNode]) -> list[int]:
    """Sizes of the connected parts of the overlay of these nodes, largest first, by what they count as connections."""
    place = {node.peer_id: index for index, node in enumerate(chosen)}
    edges = (
        (index, place[peer])
        for index, node in enumerate(chosen)
        for peer in lab.recorder.peers_of(node)
        if peer in place
    )
    return graph.components(graph.masks_of(len(chosen), edges))


def _held(lab: Lab, who: str, attacker: str, direction: Direction) -> tuple[float, ...]:
    wanted = set(attacker.split("|")) if attacker else None
    shares = []
    for node in nodes(lab, who):
        owners = held_by(lab, node, direction)
        total = sum(owners.values())
        mine = sum(n for owner, n in owners.items() if (owner in wanted if wanted else owner != "honest"))
        shares.append(mine / total if total else 0.0)
    return tuple(shares)


def _degrees(lab: Lab, who: str, direction: Direction | None) -> tuple[float, ...]:
    return tuple(float(lab.recorder.degree(node, direction)) for node in nodes(lab, who))


def _books(lab: Lab, who: str) -> Iterable[Any]:
    for node in nodes(lab, who):
        try:
            yield node.child(PeerBook).book
        except LookupError:  # it starts, or its book has crashed this very moment
            continue


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
