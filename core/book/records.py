"""The book as plain records, and back: what a storage keeps.

The secret that keys the buckets is kept apart, by whoever made it; where an entry stands is computed anew.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.book import rules
from core.book.entry import EntryRecord, Table
from core.book.refusals import port_kept, unusable
from core.book.shelves import Shelves
from core.decisions import Decision, DecisionKind
from core.ids import Endpoint
from core.netgroup import NetGroup


def snapshot(shelves: Shelves) -> tuple[EntryRecord, ...]:
    """Every entry as plain data, tried ones first."""
    # Thousands are made in the loop that carries messages too: what can be outside the loop is.
    return tuple(
        [
            EntryRecord(
                entry.endpoint.ip,
                entry.endpoint.port,
                kind,
                entry.source_group,
                entry.failures,
                entry.placed_at,
                entry.last_connected,
                entry.last_seen,
                entry.advertise,
            )
            for kind, entries in (
                (Table.TRIED.value, shelves.tried.entries),
                (Table.NEW.value, shelves.new.entries),
            )
            for entry in entries
        ]
    )


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
    if endpoint in shelves.by_endpoint:
        return []
    occupant = shelves.by_ip.get(endpoint.ip)
    if occupant is not None:
        return [port_kept(occupant, endpoint, now)]
    decisions: list[Decision] = []
    entry = shelves.create(endpoint, info, NetGroup(record.source_group), bool(record.advertise))
    if record.table == Table.TRIED.value:
        shelves.enter_tried(entry, decisions, now, rules.RESTORED)
        entry.failures = max(0, min(record.failures, max_failures - 1))
    else:
        shelves.enter_new(entry, decisions, now)
    # A stored time from the future (the clock was set back) would make an entry immune to eviction by age.
    entry.placed_at = min(record.placed_at, now)
    entry.last_connected = record.last_connected
    entry.last_seen = record.last_seen
    return [made for made in decisions if made.decision is not DecisionKind.MOVED_TO_TRIED]
