"""Buckets, with a dense array beside them.

Buckets bound what an attacker can fill; the dense array makes a uniform draw over the whole table O(1). A bucket is a
dictionary used as an ordered set: it removes in O(1) and keeps the order of arrival, so that its oldest entry is its
first. The dense array removes by swapping its last element into the gap, and each entry knows its position there.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from random import Random

from core.book.entry import Entry, Table


class BucketTable:
    """One of the two collections. A bucket holds ``bucket_size`` entries; more only if all of them are whitelisted."""

    __slots__ = ("bucket_size", "buckets", "entries", "kind", "whitelisted_count")

    def __init__(self, kind: Table, bucket_count: int, bucket_size: int) -> None:
        self.kind = kind
        self.bucket_size = bucket_size
        self.buckets: list[dict[Entry, None]] = [{} for _ in range(bucket_count)]
        self.entries: list[Entry] = []
        self.whitelisted_count = 0

    def __len__(self) -> int:
        return len(self.entries)

    def is_full(self, bucket: int) -> bool:
        """Whether an entry must leave ``bucket`` before another comes in."""
        return len(self.buckets[bucket]) >= self.bucket_size

    def place(self, entry: Entry, bucket: int, now: float) -> None:
        """Put an entry that is in no table into ``bucket``."""
        entry.table = self.kind
        entry.bucket = bucket
        entry.table_pos = len(self.entries)
        entry.placed_at = now
        self.buckets[bucket][entry] = None
        self.entries.append(entry)
        self.whitelisted_count += entry.whitelisted

    def take(self, entry: Entry) -> None:
        """Take an entry of this table out of it."""
        del self.buckets[entry.bucket][entry]
        last = self.entries.pop()
        if last is not entry:
            last.table_pos = entry.table_pos
            self.entries[entry.table_pos] = last
        self.whitelisted_count -= entry.whitelisted

    def random_victim(self, bucket: int, rng: Random) -> Entry | None:
        """A uniformly chosen occupant that may be evicted; None if all are whitelisted."""
        occupants: Collection[Entry] = self.buckets[bucket]
        if self.whitelisted_count:
            occupants = [entry for entry in occupants if not entry.whitelisted]
            if not occupants:
                return None
        return next(islice(occupants, int(rng.random() * len(occupants)), None))

    def oldest(self, bucket: int) -> Entry:
        """The occupant that has been in the bucket for longest. The bucket must not be empty."""
        return next(iter(self.buckets[bucket]))


class AdvertisedPool:
    """Dense array of the entries that may be given to others; whoever asked not to be advertised is not in it."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Put in an entry that is in no pool."""
        entry.pool = self
        entry.pool_pos = len(self.entries)
        self.entries.append(entry)

    def take(self, entry: Entry) -> None:
        """Take an entry of this pool out of it."""
        last = self.entries.pop()
        if last is not entry:
            last.pool_pos = entry.pool_pos
            self.entries[entry.pool_pos] = last
        entry.pool = None
