"""Who holds what: the shares of connection slots and of bucket places that belong to an attacker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from core.book.entry import EntryView, Table
from core.events import PeerInfo
from core.ids import Direction


class Held(NamedTuple):
    """Connections of one direction, and how many of them lead to the attacker."""

    attackers: int
    total: int

    @property
    def share(self) -> float:
        """The attacker's share of the connections there are; 0 of none."""
        return self.attackers / self.total if self.total else 0.0


def held(peers: Iterable[PeerInfo], direction: Direction, is_attacker: Callable[[str], bool]) -> Held:
    """How many connections of one direction there are, and lead to addresses for which ``is_attacker`` says so."""
    mine = [is_attacker(peer.ip_address) for peer in peers if peer.direction is direction]
    return Held(sum(mine), len(mine))


class Places(NamedTuple):
    """Entries of one table of a peer book, and how many are the attacker's; ``capacity``: places there are."""

    attackers: int
    total: int
    capacity: int

    @property
    def owned(self) -> float:
        """The attacker's share of all places, empty ones included."""
        return self.attackers / self.capacity

    @property
    def share(self) -> float:
        """The attacker's share of the entries, which is that of a uniform draw; 0 of none."""
        return self.attackers / self.total if self.total else 0.0


def places(entries: Iterable[EntryView], table: Table, capacity: int, is_attacker: Callable[[str], bool]) -> Places:
    """How much of one table is the attacker's. Raises ValueError for a capacity below 1."""
    if capacity < 1:
        raise ValueError(f"expected a capacity of 1 or more, got {capacity!r}")
    mine = [is_attacker(entry.endpoint.ip) for entry in entries if entry.table is table]
    return Places(sum(mine), len(mine), capacity)


def bucket_heights(entries: Iterable[EntryView], table: Table, buckets: int) -> Sequence[int]:
    """How many entries each bucket of one table holds."""
    counts = Counter(entry.bucket for entry in entries if entry.table is table)
    return [counts[bucket] for bucket in range(buckets)]
