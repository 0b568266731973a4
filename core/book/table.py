"""Buckets, with a dense array beside them.

Buckets bound what an attacker can fill; the dense array makes a uniform draw over the whole table O(1). A bucket is a
list in the order of arrival, so that its oldest entry is its first; it has 32 entries at most, mostly few, for which
a list takes a third of what an ordered set would. The dense array removes by swapping its last element into the gap,
and each entry knows its position there.
"""

from __future__ import annotations

from random import Random

from core.book.entry import Entry, Table
from core.book.weights import GroupCounts, Weights, crowds
from core.empty import NO_ITEMS

_numbers: list[int] = []


def _number(value: int) -> int:
    """``value``, but one object for each number in the process: positions above 256 would be two of 32 bytes each for
    every address that is known."""
    while len(_numbers) <= value:
        _numbers.append(len(_numbers))
    return _numbers[value]


class BucketTable:
    """One of the two collections. A bucket holds ``bucket_size`` entries; more only if all of them are whitelisted."""

    __slots__ = ("bucket_size", "buckets", "entries", "groups", "kind", "whitelisted_count")

    def __init__(self, kind: Table, bucket_count: int, bucket_size: int) -> None:
        self.kind = kind
        self.bucket_size = bucket_size
        self.buckets: list[list[Entry]] = [NO_ITEMS] * bucket_count
        self.entries: list[Entry] = []
        self.whitelisted_count = 0
        self.groups: GroupCounts | None = None
        """Kept from the first draw on that finds two entries of one net group."""

    def __len__(self) -> int:
        return len(self.entries)

    def is_full(self, bucket: int) -> bool:
        """Whether an entry must leave ``bucket`` before another comes in."""
        return len(self.buckets[bucket]) >= self.bucket_size

    def place(self, entry: Entry, bucket: int, now: float) -> None:
        """Put an entry that is in no table into ``bucket``."""
        entry.table = self.kind
        entry.bucket = bucket
        entry.table_pos = _number(len(self.entries))
        entry.placed_at = now
        if self.buckets[bucket]:
            self.buckets[bucket].append(entry)
        else:
            self.buckets[bucket] = [entry]
        self.entries.append(entry)
        self.whitelisted_count += entry.whitelisted
        if self.groups is not None:
            self.groups.add(entry)

    def take(self, entry: Entry) -> None:
        """Take an entry of this table out of it."""
        bucket = self.buckets[entry.bucket]
        bucket.remove(entry)
        if not bucket:
            self.buckets[entry.bucket] = NO_ITEMS
        last = self.entries.pop()
        if last is not entry:
            last.table_pos = entry.table_pos
            self.entries[entry.table_pos] = last
        self.whitelisted_count -= entry.whitelisted
        if self.groups is not None:
            self.groups.remove(entry)

    def weights(self, limit: int) -> Weights:
        """What the entries count for in a draw if a net group counts for ``limit`` of its addresses; 0: for all."""
        if self.groups is None or self.groups.limit != limit:
            self.groups = crowds(self.entries, limit)
        return Weights(self.entries, self.groups)

    def random_victim(self, bucket: int, rng: Random) -> Entry | None:
        """A uniformly chosen occupant that may be evicted; None if all are whitelisted."""
        occupants = self.buckets[bucket]
        if self.whitelisted_count:
            occupants = [entry for entry in occupants if not entry.whitelisted]
            if not occupants:
                return None
        return occupants[int(rng.random() * len(occupants))]

    def oldest(self, bucket: int) -> Entry:
        """The occupant that has been in the bucket for longest. The bucket must not be empty."""
        return self.buckets[bucket][0]


class AdvertisedPool:
    """Dense array of the entries that may be given to others; whoever asked not to be advertised is not in it."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Put in an entry that is in no pool."""
        entry.pool_pos = _number(len(self.entries))
        self.entries.append(entry)

    def take(self, entry: Entry) -> None:
        """Take an entry of this pool out of it."""
        last = self.entries.pop()
        if last is not entry:
            last.pool_pos = entry.pool_pos
            self.entries[entry.pool_pos] = last
        entry.pool_pos = -1
