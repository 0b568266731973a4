"""The invariants of the peer book, checked from scratch. Tests call this after every operation."""

from __future__ import annotations

from collections.abc import Iterator

from core.book.config import Identity
from core.book.entry import Entry, Table
from core.book.shelves import Shelves
from core.book.table import BucketTable
from core.book.weights import GroupCounts


def problems(shelves: Shelves) -> list[str]:
    """Every invariant that does not hold, in words; an empty list if all is well."""
    return [
        *_table_problems(shelves.new, Table.NEW),
        *_table_problems(shelves.tried, Table.TRIED),
        *_index_problems(shelves),
        *_pool_problems(shelves),
        *(f"{entry.endpoint}: {text}" for entry in shelves.by_endpoint.values() for text in _faults(shelves, entry)),
    ]


def _table_problems(table: BucketTable, kind: Table) -> Iterator[str]:
    if sum(map(len, table.buckets)) != len(table.entries):
        yield f"{kind.value}: buckets and dense array differ in size"
    for bucket, occupants in enumerate(table.buckets):
        if len(occupants) > table.bucket_size and not all(entry.whitelisted for entry in occupants):
            yield f"{kind.value}: bucket {bucket} holds {len(occupants)} entries"
        for entry in occupants:
            if (entry.table, entry.bucket) != (kind, bucket):
                yield f"{kind.value}: {entry.endpoint} in bucket {bucket} believes it is elsewhere"
    for position, entry in enumerate(table.entries):
        if entry.table_pos != position:
            yield f"{kind.value}: {entry.endpoint} at {position} of the dense array believes it is elsewhere"
    if table.whitelisted_count != sum(entry.whitelisted for entry in table.entries):
        yield f"{kind.value}: wrong count of whitelisted entries"
    kept = table.groups
    if kept is not None:
        counted = GroupCounts(table.entries, kept.limit)
        if (kept.of, kept.beyond) != (counted.of, counted.beyond):
            yield f"{kind.value}: wrong counts of net groups"


def _index_problems(shelves: Shelves) -> Iterator[str]:
    placed = [entry for table in (shelves.new, shelves.tried) for entry in table.entries]
    if len({id(entry) for entry in placed}) != len(placed):
        yield "an entry is in more than one place"
    if {id(entry) for entry in placed} != {id(entry) for entry in shelves.by_endpoint.values()}:
        yield "the index by endpoint and the tables hold different entries"
    for endpoint, entry in shelves.by_endpoint.items():
        if entry.endpoint != endpoint:
            yield f"{endpoint} is the key of {entry.endpoint}"
    for ip, entry in shelves.by_ip.items():
        if entry.endpoint.ip != ip or shelves.by_endpoint.get(entry.endpoint) is not entry:
            yield f"the index by IP has a ghost of {ip}"


def _pool_problems(shelves: Shelves) -> Iterator[str]:
    for pool in (shelves.pool_4, shelves.pool_6):
        for position, entry in enumerate(pool.entries):
            if entry.pool_pos != position:
                yield f"{entry.endpoint} at {position} of its pool believes it is elsewhere"
            if shelves.by_endpoint.get(entry.endpoint) is not entry:
                yield f"a pool has a ghost of {entry.endpoint}"
            if (len(entry.info.packed) == 4) != (pool is shelves.pool_4):
                yield f"{entry.endpoint} is in the pool of the other family"


def _faults(shelves: Shelves, entry: Entry) -> Iterator[str]:
    config = shelves.config
    exempt = shelves.is_exempt(entry.info)
    if shelves.usable(entry.endpoint) != entry.info:
        yield "unusable address, or not the one it was parsed from"
    if entry.exempt_port != (entry.endpoint.port if exempt else 0):
        yield "wrong port in its bucket hash"
    if entry.table is Table.TRIED:
        if entry.bucket != shelves.hash.tried_bucket(entry.info, entry.exempt_port):
            yield "wrong tried bucket"
        if entry.failures >= config.max_failures and not entry.whitelisted:
            yield f"{entry.failures} failures in tried"
    else:
        if entry.bucket != shelves.hash.new_bucket(entry.info, entry.source_group, entry.exempt_port):
            yield "wrong new bucket"
        if entry.failures:
            yield "failures in new"
        if entry.whitelisted:
            yield "whitelisted, but not in tried"
    covered = config.identity is Identity.IP and not exempt and not entry.whitelisted
    if (shelves.by_ip.get(entry.endpoint.ip) is entry) != covered:
        yield "more than one entry for its IP address, or missing from the index"
    if (entry.pool_pos >= 0) != entry.advertise:
        yield "in the pool of advertised entries against its wish, or missing from it"
