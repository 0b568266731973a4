"""The invariants of the peer book, checked from scratch. Tests call this after every operation."""

from __future__ import annotations

from collections.abc import Iterator

from core.book.config import Identity
from core.book.entry import Table
from core.book.rows import ADVERTISED, EXEMPT, IPV4, NO_BUCKET, OF_IP, WHITELISTED
from core.book.shelves import Shelves
from core.book.table import BucketTable
from core.book.weights import GroupCounts

_ALL_FLAGS = ADVERTISED | EXEMPT | IPV4 | OF_IP | WHITELISTED


def problems(shelves: Shelves) -> list[str]:
    """Every invariant that does not hold, in words; an empty list if all is well."""
    rows = shelves.rows
    lengths = {len(column) for column in rows.columns}
    of_tried = {len(rows.failures), len(rows.connected_at), rows.tried_count}
    if len(lengths) > 1 or len(of_tried) > 1 or not 0 <= rows.tried_count <= min(lengths):
        return [f"columns of {sorted(lengths)} rows, {sorted(of_tried)} of them tried"]
    return [
        *_index_problems(shelves),
        *_group_problems(shelves),
        *_table_problems(shelves.new),
        *_table_problems(shelves.tried),
        *(f"{rows.endpoints[row]}: {text}" for row in range(len(rows)) for text in _faults(shelves, row)),
    ]


def _index_problems(shelves: Shelves) -> Iterator[str]:
    rows = shelves.rows
    keys = {rows.key(row): row for row in range(len(rows))}
    if len(keys) < len(rows):
        yield "an address is in more than one row"
    if keys != rows.index:
        yield "the index and the rows hold different entries"
    if any(keys.get(key, -1) < rows.tried_count for key in rows.once_connected):
        yield "a time of a connection is kept for somebody who is not in `new`"


def _group_problems(shelves: Shelves) -> Iterator[str]:
    groups = list(shelves.rows.groups(slice(None)))
    if shelves.rows.nobody_shares and len(set(groups)) < len(groups):
        yield "some share a net group"


def _table_problems(table: BucketTable) -> Iterator[str]:
    rows, kind = table.rows, table.kind.value
    whitelisted = [0] * len(table.sizes)
    counted = [0] * len(table.sizes)
    for row in table.extent:
        bucket = rows.buckets[row]
        if bucket >= len(counted):
            yield f"{kind}: {rows.endpoints[row]} is in no bucket"
            continue
        counted[bucket] += 1
        whitelisted[bucket] += rows.has(row, WHITELISTED)
    if counted != list(table.sizes):
        yield f"{kind}: wrong sizes of buckets"
    for bucket, count in enumerate(counted):
        if count > table.bucket_size and whitelisted[bucket] < count:
            yield f"{kind}: bucket {bucket} holds {count} entries"
    kept = table.groups
    if kept is not None:
        anew = GroupCounts(rows.groups(slice(table.extent.start, table.extent.stop)), kept.limit)
        if (kept.of, kept.beyond) != (anew.of, anew.beyond):
            yield f"{kind}: wrong counts of net groups"


def _faults(shelves: Shelves, row: int) -> Iterator[str]:
    config, rows = shelves.config, shelves.rows
    table, flags = rows.table(row), rows.flags[row]
    info = shelves.usable(rows.endpoints[row])
    if info is None:
        yield "unusable address"
        return
    exempt, trusted = shelves.is_exempt(info.net_class), bool(flags & WHITELISTED)
    if bool(flags & EXEMPT) != exempt:
        yield "exempt from grouping or not, against the rule"
    if bool(flags & IPV4) != (len(info.packed) == 4):
        yield "of the other family"
    if bool(flags & OF_IP) != (config.identity is Identity.IP and not exempt and not trusted):
        yield "the only entry of its IP address or not, against the rule"
    if flags & ~_ALL_FLAGS:
        yield "unknown flags"
    bucket = shelves.tried_bucket(row) if table is Table.TRIED else shelves.new_bucket(row)
    if rows.buckets[row] not in (NO_BUCKET, bucket):
        yield f"wrong {table.value} bucket"
    if table is Table.TRIED and rows.failures[row] >= config.max_failures and not trusted:
        yield f"{rows.failures[row]} failures in tried"
    if table is Table.NEW and trusted:
        yield "whitelisted, but not in tried"
