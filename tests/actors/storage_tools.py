"""Snapshots to store, and waiting for a storage to have stored them."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from actors.storage import Storage
from actors.storage_sqlite import SqliteDisk
from core.book import EntryRecord
from core.messages import (
    Ban,
)
from core.netgroup import net_group
from core.stored import Snapshot, Stored

NOW_S = 1_700_000_000.0
SECRET = bytes(range(32))
PATIENCE_S = 20.0
"""A test that waits for this has failed; nothing waits for it otherwise."""

_POLL_S = 0.001


def record(number: int, **other: object) -> EntryRecord:
    """Entry number ``number`` (up to 65,535): every field differs from its neighbours'."""
    ip = f"{1 + number // 250}.{1 + number % 250}.0.1"
    entry = EntryRecord(
        ip=ip,
        port=5001 + number % 7,
        table="tried" if number % 3 else "new",
        source_group=bytes(net_group(f"9.{number % 250}.1.1")) if number % 5 else b"",
        failures=number % 3,
        placed_at=NOW_S + number / 8,
        last_connected=NOW_S + number if number % 3 else None,
        last_seen=NOW_S + number / 2 if number % 2 else None,
        advertise=number % 4 != 0,
    )
    return entry._replace(**other)  # type: ignore[arg-type]


def ban(number: int) -> Ban:
    """Ban number ``number``."""
    return Ban(f"2001:db8::{number + 1:x}", NOW_S + 3600 + number, f"reason {number}")


def snapshot(entries: int, bans: int, first: int = 0) -> Snapshot:
    """A state of the book."""
    numbers = range(first, first + entries)
    return Snapshot(tuple(map(record, numbers)), tuple(map(ban, range(first, first + bans))))


def same(one: Snapshot, other: Snapshot) -> bool:
    """Whether two snapshots hold the same, in whatever order."""
    return sorted(one.entries, key=lambda entry: entry[:2]) == sorted(
        other.entries, key=lambda entry: entry[:2]
    ) and sorted(one.bans, key=lambda ban: ban.ip) == sorted(other.bans, key=lambda ban: ban.ip)


def settle(storage: Storage) -> None:
    """Wait until everything handed over is on disk; fails if writing failed."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / _POLL_S)):
        if storage.is_settled:
            break
        pause.wait(_POLL_S)
    assert storage.is_settled
    assert storage.take_problem() is None


@contextlib.contextmanager
def opened(directory: Path, secret: bytes = SECRET, wall_now: float = NOW_S) -> Iterator[tuple[Storage, Stored]]:
    """A data directory on disk in use; the body must leave nothing unwritten that matters."""
    storage, stored = SqliteDisk().open(str(directory), fresh_secret=secret, wall_now=wall_now)
    try:
        yield storage, stored
    finally:
        assert storage.close(PATIENCE_S)


def stored_in(directory: Path) -> Stored:
    """What a start would find."""
    with opened(directory) as (_, stored):
        return stored


def fill(directory: Path, content: Snapshot) -> None:
    """Make a data directory that holds this."""
    with opened(directory) as (storage, _):
        storage.save(content)


@contextlib.contextmanager
def database(directory: Path) -> Iterator[sqlite3.Connection]:
    """The database of a directory that is not in use, to be looked at or spoilt."""
    with contextlib.closing(sqlite3.connect(directory / "ensemble.db", isolation_level=None)) as connection:
        yield connection
