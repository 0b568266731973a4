"""How much an address counts in a draw: a net group counts for a few of its addresses, however many of it are known.

Under LIP 0004's rule a draw is uniform over addresses, so that whoever has many addresses in few networks has as much
of the draw as he has addresses: addresses of one network are cheap, and the buckets of `new` let hundreds of them in.
Here a group of up to ``limit`` addresses counts for all of them, and a larger one for ``limit``: the attacker has to
pay in networks for every draw, as he has to for every bucket (Heilman et al. 2015 measure the price of an eclipse in
groups for the same reason). An honest peer in a crowded network is drawn less often for it, one alone in its network
more often; that is the price (docs/validation.md gives it in figures).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from operator import attrgetter
from random import Random

from core.book.entry import Entry
from core.netgroup import NetGroup

MAX_TRIES = 64
"""Draws of one entry before its table is weighed in full: hardly ever needed while more than one draw in ten counts."""


_GROUP_OF = attrgetter("info.group")


class Weights:
    """The weights of one table's entries, as they stand. ``limit`` 0: every entry counts for one.

    Entries exempt from grouping (loopback) count for one each.
    """

    __slots__ = ("_crowded", "_entries", "_limit", "total")

    def __init__(self, entries: Sequence[Entry], limit: int) -> None:
        self._entries = entries
        self._limit = limit
        self._crowded: dict[NetGroup, int] = {}
        """Groups with more entries than count."""
        self.total = float(len(entries))
        """The weight of the whole table."""
        # In most simulations, and in small books, everybody is alone in a group: that is seen soonest.
        if limit and len(set(map(_GROUP_OF, entries))) < len(entries):
            counts = Counter(entry.info.group for entry in entries if not entry.exempt_port)
            self._crowded = {group: count for group, count in counts.items() if count > limit}
            self.total -= sum(count - limit for count in self._crowded.values())

    def of(self, entry: Entry) -> float:
        """Between 0 and 1."""
        if entry.exempt_port:
            return 1.0
        count = self._crowded.get(entry.info.group)
        return 1.0 if count is None else self._limit / count

    def draw(self, rng: Random) -> Entry | None:
        """One entry, by weight; None from an empty table."""
        entries = self._entries
        if not entries:
            return None
        if not self._crowded:
            return entries[int(rng.random() * len(entries))]
        for _ in range(MAX_TRIES):
            entry = entries[int(rng.random() * len(entries))]
            weight = self.of(entry)
            if weight == 1.0 or rng.random() < weight:
                return entry
        return self.draw_from(entries, rng)

    def draw_from(self, entries: Sequence[Entry], rng: Random) -> Entry:
        """One of these entries of the table, of which there must be one, by weight."""
        if not self._crowded:
            return entries[int(rng.random() * len(entries))]
        sums = list(accumulate(map(self.of, entries)))
        target = rng.random() * sums[-1]
        return next(entry for entry, reached in zip(entries, sums, strict=True) if target < reached)

    def sum_of(self, entries: Sequence[Entry]) -> float:
        """The weight of these entries of the table."""
        return sum(map(self.of, entries)) if self._crowded else float(len(entries))
