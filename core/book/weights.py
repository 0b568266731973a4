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

MAX_TRIES = 64
"""Draws of one entry before its table is weighed in full: hardly ever needed while more than one draw in ten counts."""


_GROUP_OF = attrgetter("info.group")


class GroupCounts:
    """How many entries of a table each net group has, and how many of them are beyond ``limit``.

    A table that is drawn from keeps them up to date (:class:`core.book.table.BucketTable`): to count 6,000 entries for
    every draw took 50 times as long as the draw. Entries exempt from grouping (loopback) are in no group.
    """

    __slots__ = ("beyond", "limit", "of")

    def __init__(self, entries: Sequence[Entry], limit: int) -> None:
        self.limit = limit
        self.of = dict(Counter(entry.info.group for entry in entries if not entry.exempt_port))
        self.beyond = sum(max(0, count - limit) for count in self.of.values())

    def add(self, entry: Entry) -> None:
        """An entry came into the table."""
        if not entry.exempt_port:
            group = entry.info.group
            count = self.of[group] = self.of.get(group, 0) + 1
            self.beyond += count > self.limit

    def remove(self, entry: Entry) -> None:
        """An entry that was in the table has left it."""
        if not entry.exempt_port:
            group = entry.info.group
            count = self.of[group]
            self.beyond -= count > self.limit
            if count > 1:
                self.of[group] = count - 1
            else:
                del self.of[group]


def crowds(entries: Sequence[Entry], limit: int) -> GroupCounts | None:
    """The counts of these entries; None if nobody shares a group, or if groups do not matter (``limit`` 0)."""
    # In most simulations, and in small books, everybody is alone in a group: that is seen soonest, and takes no memory.
    if not limit or len(set(map(_GROUP_OF, entries))) == len(entries):
        return None
    return GroupCounts(entries, limit)


class Weights:
    """The weights of a table's entries. ``counts`` None: every entry counts for one.

    Good until the table changes.
    """

    __slots__ = ("_counts", "_entries", "_is_even", "total")

    def __init__(self, entries: Sequence[Entry], counts: GroupCounts | None) -> None:
        self._entries = entries
        self._counts = counts
        self._is_even = counts is None or not counts.beyond
        self.total = float(len(entries) if counts is None else len(entries) - counts.beyond)
        """The weight of the whole table."""

    def of(self, entry: Entry) -> float:
        """Between 0 and 1."""
        counts = self._counts
        if counts is None or entry.exempt_port:
            return 1.0
        count = counts.of[entry.info.group]
        return 1.0 if count <= counts.limit else counts.limit / count

    def draw(self, rng: Random) -> Entry | None:
        """One entry, by weight; None from an empty table."""
        entries = self._entries
        if not entries:
            return None
        if self._is_even:
            return entries[int(rng.random() * len(entries))]
        for _ in range(MAX_TRIES):
            entry = entries[int(rng.random() * len(entries))]
            weight = self.of(entry)
            if weight == 1.0 or rng.random() < weight:
                return entry
        return self.draw_from(entries, rng)

    def draw_from(self, entries: Sequence[Entry], rng: Random) -> Entry:
        """One of these entries of the table, of which there must be one, by weight."""
        if self._is_even:
            return entries[int(rng.random() * len(entries))]
        sums = list(accumulate(map(self.of, entries)))
        target = rng.random() * sums[-1]
        return next(entry for entry, reached in zip(entries, sums, strict=True) if target < reached)

    def sum_of(self, entries: Sequence[Entry]) -> float:
        """The weight of these entries of the table."""
        return float(len(entries)) if self._is_even else sum(map(self.of, entries))
