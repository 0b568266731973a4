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
from collections.abc import Iterable, Sequence
from itertools import accumulate
from random import Random

from core.book.rows import EXEMPT, Rows
from core.netgroup import NetGroup, address_info

MAX_TRIES = 64
"""Draws of one entry before its table is weighed in full: hardly ever needed while more than one draw in ten counts."""


class GroupCounts:
    """How many entries of a table each net group has, and how many of them are beyond ``limit``.

    A table that is drawn from keeps them up to date (:class:`core.book.table.BucketTable`): to count 6,000 entries for
    every draw took 50 times as long as the draw. Entries exempt from grouping (loopback) are in no group.
    """

    __slots__ = ("beyond", "limit", "of")

    def __init__(self, groups: Iterable[NetGroup], limit: int) -> None:
        """``groups``: those of the entries, one for each."""
        self.limit = limit
        self.of = dict(Counter(groups))
        self.beyond = sum(max(0, count - limit) for count in self.of.values())

    def add(self, group: NetGroup) -> None:
        """An entry of this group came into the table."""
        count = self.of[group] = self.of.get(group, 0) + 1
        self.beyond += count > self.limit

    def remove(self, group: NetGroup) -> None:
        """An entry of this group has left the table."""
        count = self.of[group]
        self.beyond -= count > self.limit
        if count > 1:
            self.of[group] = count - 1
        else:
            del self.of[group]


class Weights:
    """The weights of ``count`` rows from ``first`` on, which are a table. ``counts`` None: every one counts for one.

    Good until the table changes.
    """

    __slots__ = ("_counts", "_first", "_flags", "_is_even", "_known", "count", "total")

    def __init__(self, rows: Rows, first: int, count: int, counts: GroupCounts | None) -> None:
        self._known = rows.endpoints
        self._flags = rows.flags
        self._first = first
        self._counts = counts
        self._is_even = counts is None or not counts.beyond
        self.count = count
        self.total = float(count if counts is None else count - counts.beyond)
        """The weight of the whole table."""

    def of(self, row: int) -> float:
        """Between 0 and 1."""
        counts = self._counts
        if counts is None or self._flags[row] & EXEMPT:
            return 1.0
        count = counts.of[address_info(self._known[row].ip).group]
        return 1.0 if count <= counts.limit else counts.limit / count

    def draw(self, rng: Random) -> int | None:
        """One row, by weight; None from an empty table."""
        first, count = self._first, self.count
        if not count:
            return None
        if self._is_even:
            return first + int(rng.random() * count)
        for _ in range(MAX_TRIES):
            row = first + int(rng.random() * count)
            weight = self.of(row)
            if weight == 1.0 or rng.random() < weight:
                return row
        return self.draw_from(range(first, first + count), rng)

    def draw_from(self, some: Sequence[int], rng: Random) -> int:
        """One of these rows of the table, of which there must be one, by weight."""
        if self._is_even:
            return some[int(rng.random() * len(some))]
        sums = list(accumulate(map(self.of, some)))
        target = rng.random() * sums[-1]
        return next(row for row, reached in zip(some, sums, strict=True) if target < reached)

    def sum_of(self, some: Sequence[int]) -> float:
        """The weight of these rows of the table."""
        return float(len(some)) if self._is_even else sum(map(self.of, some))
