"""Measures of peer books and bans for scenarios: whose the entries are."""

from __future__ import annotations

from collections.abc import Iterator

from actors.bases.sim_nodes import SimNode
from actors.peer_book import PeerBook
from actors.simulation.quantities import nodes
from actors.simulation.roles import HONEST, Lab, measure
from core.book.entry import Table
from core.measures.shares import places


@measure("tried_held", "tried_held(who, attacker): an attacker's (or all attackers') share of the tried entries")
def tried_held(lab: Lab, who: str, attacker: str = "") -> tuple[float, ...]:
    return _held(lab, who, attacker, Table.TRIED)


@measure("new_held", "new_held(who, attacker): an attacker's (or all attackers') share of the new entries")
def new_held(lab: Lab, who: str, attacker: str = "") -> tuple[float, ...]:
    return _held(lab, who, attacker, Table.NEW)


@measure("honest_banned", "honest_banned(who): honest addresses that these nodes ban now, all together")
def honest_banned(lab: Lab, who: str = "") -> float:
    addresses = {node.endpoint.ip for node in lab.honest()}
    return float(sum(ip in addresses for node in nodes(lab, who) for ip in lab.recorder.banned_by(node)))


def _held(lab: Lab, who: str, attacker: str, table: Table) -> tuple[float, ...]:
    def is_his(ip: str) -> bool:
        owner = lab.owner_of(ip)
        return owner == attacker if attacker else owner != HONEST

    return tuple(places(book.book.all(), table, 1, is_his).share for book in _books(nodes(lab, who)))


def _books(chosen: list[SimNode]) -> Iterator[PeerBook]:
    for node in chosen:
        try:
            book: PeerBook = node.child(PeerBook)
        except LookupError:  # it starts, or its book has crashed this very moment
            continue
        yield book
