"""The book as plain records, and back: what a storage keeps.

The secret that keys the buckets is kept apart, by whoever made it; where an entry stands is computed anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import nan

from core.book import rules
from core.book.entry import EntryRecord, Table
from core.book.refusals import port_kept, unusable
from core.book.rows import ADVERTISED, time_or_none
from core.book.shelves import Shelves
from core.decisions import Decision, DecisionKind
from core.ids import Endpoint
from core.netgroup import NetGroup


def snapshot(shelves: Shelves) -> tuple[EntryRecord, ...]:
    """Every entry as plain data, tried ones first."""
    # Thousands are made in the loop that carries messages too: what can be outside the loop is.
    rows = shelves.rows
    tables = [Table.TRIED.value] * len(shelves.tried) + [Table.NEW.value] * len(shelves.new)
    ips = [endpoint.ip for endpoint in rows.endpoints]
    ports = [endpoint.port for endpoint in rows.endpoints]
    connected_at = map(time_or_none, map(rows.last_connected, range(len(rows))))
    failures = [*rows.failures, *bytes(len(shelves.new))]
    times = (rows.placed_at, connected_at, map(time_or_none, rows.seen_at))
    advertised = [flags & ADVERTISED == ADVERTISED for flags in rows.flags]
    columns = (tables, rows.sources, failures, *times, advertised)
    return tuple(map(EntryRecord._make, zip(ips, ports, *columns, strict=True)))


def restore(shelves: Shelves, records: Iterable[EntryRecord], now: float, max_failures: int) -> list[Decision]:
    """Put stored entries back, in buckets by today's secret and settings; meant for an empty book.

    Stored data may be old, foreign or damaged: a record that names no usable address, or one already known, is
    skipped; a full bucket evicts as always. Returns the refusals and evictions.
    """
    decisions: list[Decision] = []
    # Buckets keep the order of arrival: the oldest goes in first.
    for record in sorted(records, key=lambda record: record.placed_at):
        decisions += _restore_one(shelves, record, now, max_failures)
    return decisions


def _restore_one(shelves: Shelves, record: EntryRecord, now: float, max_failures: int) -> list[Decision]:
    endpoint = Endpoint(record.ip, record.port)
    info = shelves.usable(endpoint)
    if info is None:
        return [unusable(endpoint, now)]
    rows = shelves.rows
    if rows.find(endpoint) is not None:
        return []
    occupant = rows.index.get(endpoint.ip)
    if occupant is not None:
        return [port_kept(rows.endpoints[occupant], endpoint, now)]
    decisions: list[Decision] = []
    row = shelves.create(endpoint, info, NetGroup(record.source_group), bool(record.advertise))
    if record.table == Table.TRIED.value:
        row = shelves.enter_tried(row, shelves.tried_bucket(row), decisions, now, rules.RESTORED)
    else:
        row = shelves.enter_new(row, decisions, now)
    if rows.table(row) is Table.TRIED:
        rows.failures[row] = max(0, min(record.failures, max_failures - 1))
    # A stored time from the future (the clock was set back) would make an entry immune to eviction by age.
    shelves.table_of(row).date(row, min(record.placed_at, now))
    rows.set_connected(row, nan if record.last_connected is None else record.last_connected)
    rows.seen_at[row] = nan if record.last_seen is None else record.last_seen
    return [made for made in decisions if made.decision is not DecisionKind.MOVED_TO_TRIED]
