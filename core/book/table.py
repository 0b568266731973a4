"""One of the two tables of a book: which rows are in it, how many are in each bucket, what a draw from it weighs.

Buckets bound what an attacker can fill. Who is in a bucket is asked only when it is full; then the column of bucket
numbers is searched, which takes 4 us in a full book. A list for each bucket would take 20 bytes for each address.
"""

from __future__ import annotations

from array import array
from math import inf
from random import Random

from core.book.config import BookConfig
from core.book.entry import Table
from core.book.rows import EXEMPT, NO_BUCKET, WHITELISTED, Rows
from core.book.weights import GroupCounts, Weights
from core.netgroup import address_info

_MARKS = tuple(bytes((bucket,)) for bucket in range(NO_BUCKET))


class BucketTable:
    """One of the two collections. A bucket holds ``bucket_size`` entries; more only if all of them are whitelisted."""

    __slots__ = ("_group_limit", "_is_tried", "_since", "bucket_size", "groups", "kind", "rows", "sizes")

    def __init__(self, kind: Table, rows: Rows, bucket_count: int, config: BookConfig) -> None:
        self.kind = kind
        self._is_tried = kind is Table.TRIED
        self.rows = rows
        self.bucket_size = config.bucket_size
        self.sizes = array("H", bytes(2 * bucket_count))
        """How many entries each bucket has."""
        self.groups: GroupCounts | None = None
        """Kept from the first draw on that finds two entries of one net group, in either table."""
        self._since: dict[int, float] = {}
        """Of buckets that have been full: nobody in it came before."""
        self._group_limit = config.max_weight_per_group

    def __len__(self) -> int:
        return self._place[1]

    @property
    def first(self) -> int:
        """The number of its first row."""
        return self._place[0]

    @property
    def extent(self) -> range:
        """The numbers of its rows."""
        first, count = self._place
        return range(first, first + count)

    @property
    def _place(self) -> tuple[int, int]:
        tried = self.rows.tried_count
        return (0, tried) if self._is_tried else (tried, len(self.rows.endpoints) - tried)

    def is_full(self, bucket: int) -> bool:
        """Whether an entry must leave ``bucket`` before another comes in."""
        return self.sizes[bucket] >= self.bucket_size

    def place(self, row: int, bucket: int, now: float) -> None:
        """Put a row of this table that is in no bucket into ``bucket``."""
        rows = self.rows
        rows.buckets[row] = bucket
        rows.placed_at[row] = now
        self.sizes[bucket] += 1
        if self._since and now < self._since.get(bucket, now):
            self._since[bucket] = now
        if self.groups is not None and not rows.flags[row] & EXEMPT:
            self.groups.add(address_info(rows.endpoints[row].ip).group)

    def date(self, row: int, at: float) -> None:
        """Let a row have come into its bucket at this time."""
        self.rows.placed_at[row] = at
        bucket = self.rows.buckets[row]
        if at < self._since.get(bucket, at):
            self._since[bucket] = at

    def take(self, row: int) -> None:
        """Take a row of this table out of its bucket."""
        rows = self.rows
        self.sizes[rows.buckets[row]] -= 1
        rows.buckets[row] = NO_BUCKET
        if self.groups is not None and not rows.flags[row] & EXEMPT:
            self.groups.remove(address_info(rows.endpoints[row].ip).group)

    def occupants(self, bucket: int) -> list[int]:
        """The rows in a bucket."""
        find, extent = self.rows.buckets.find, self.extent
        stop = extent.stop
        found = []
        row = find(bucket, extent.start, stop)
        while row >= 0:
            found.append(row)
            row = find(bucket, row + 1, stop)
        return found

    def random_victim(self, bucket: int, rng: Random) -> int | None:
        """A uniformly chosen occupant that may be evicted; None if all are whitelisted."""
        rows, count = self.rows, self.sizes[bucket]
        (first, length), number = self._place, int(rng.random() * count)
        # To cut the column at each occupant takes half the time of a search for one after the other.
        end, mark = first + length, _MARKS[bucket]
        if 2 * number < count:
            row = end - 1 - len(rows.buckets[first:end].split(mark, number + 1)[-1])
        else:
            row = first + len(rows.buckets[first:end].rsplit(mark, count - number)[0])
        if not rows.flags[row] & WHITELISTED:
            return row
        # Once more, among the others: each of them is as likely as before.
        occupants = [row for row in self.occupants(bucket) if not rows.flags[row] & WHITELISTED]
        return occupants[int(rng.random() * len(occupants))] if occupants else None

    def overdue(self, bucket: int, now: float, max_age_s: float) -> int | None:
        """The occupant that has been in the bucket for longest, if that is longer than ``max_age_s``."""
        # A search takes three times as long as all else of an eviction, and is in vain for a month after the last one.
        if now - self._since.get(bucket, -inf) <= max_age_s:
            return None
        placed_at = self.rows.placed_at
        oldest = min(self.occupants(bucket), key=placed_at.__getitem__)
        self._since[bucket] = placed_at[oldest]
        return oldest if now - placed_at[oldest] > max_age_s else None

    def weights(self) -> Weights:
        """What the entries count for in a draw."""
        rows, (first, count) = self.rows, self._place
        # In most simulations, and in small books, everybody is alone in a group: that takes no memory.
        if self.groups is None and self._group_limit and not rows.all_alone():
            self.groups = GroupCounts(rows.groups(slice(first, first + count)), self._group_limit)
        return Weights(rows, first, count, self.groups)
