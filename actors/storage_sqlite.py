"""A data directory on the machine's disk: one SQLite file, written by one thread.

An fsync takes 10 ms and more on many disks, too long for a loop that also carries messages. So to save is only to
leave a snapshot for the storage's own thread; one that waits is replaced by a newer one, never queued behind it. The
thread writes the difference to what it wrote before, in one transaction: a node that is killed at any moment finds the
last whole snapshot. Differences keep writes short where it matters: SQLite gives up the interpreter's lock for every
row, and under load it takes milliseconds to get it back.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence

from actors import storage_files as files
from actors import storage_schema as schema
from actors.storage import Storage
from core.book.entry import EntryRecord
from core.config.protections import MAX_ANCHORS
from core.errors import StartFailed
from core.ids import Endpoint
from core.messages import (
    Ban,
)
from core.stored import (
    MAX_ENTRIES,
    MAX_STORED_BANS,
    RowReader,
    Snapshot,
    Stored,
    anchor_from_row,
    ban_from_row,
    entry_from_row,
    secret_from,
)

_ENTRY_COLUMNS = "ip, port, book, source_group, failures, placed_at, last_connected, last_seen, advertise"


class SqliteDisk:
    """The machine's disk."""

    def open(self, data_dir: str, *, fresh_secret: bytes, wall_now: float) -> tuple[Storage, Stored]:
        """See :class:`actors.storage.Disk`."""
        try:
            directory = files.make_directory(data_dir)
            lock = files.DirectoryLock(directory)
        except OSError as error:
            raise StartFailed(f"data_dir {data_dir} cannot be used: {error.strerror or error}") from None
        opener = _Opener(os.path.join(directory, files.DATABASE), fresh_secret, int(wall_now))
        try:
            connection, stored, is_clean = opener.open()
        except BaseException as error:
            lock.release()
            if isinstance(error, schema.NewerFile):
                raise StartFailed(f"{opener.path}: {error}; nothing was changed: use a newer version") from None
            if isinstance(error, OSError | sqlite3.Error):
                raise StartFailed(f"data_dir {directory} cannot be used: {error}") from None
            raise
        return SqliteStorage(connection, lock.release, opener.path, stored.snapshot if is_clean else None), stored


class _Opener:
    """Opens the database of a directory that is locked: checks it, brings it up to date, replaces it if damaged."""

    def __init__(self, path: str, fresh_secret: bytes, unix_time: int) -> None:
        self.path = path
        self._fresh_secret = fresh_secret
        self._unix_time = unix_time

    def open(self) -> tuple[sqlite3.Connection, Stored, bool]:
        """The connection, what is stored, and whether the file holds just that (no unusable rows besides).

        Raises NewerFile, OSError or sqlite3.Error (its surroundings are at fault, not the file).
        """
        size = files.size_of(self.path)
        if size is None:
            return self._start_anew(())
        try:
            if size > schema.MAX_FILE_BYTES:
                raise schema.DamagedFile(f"it has {size} bytes, {schema.MAX_FILE_BYTES} is the most it ever takes")
            files.make_private(self.path)
            return self._load()
        except sqlite3.Error as error:
            if not schema.is_damage(error):
                raise
            reason = str(error)
        except schema.DamagedFile as error:
            reason = str(error)
        aside = files.set_aside(self.path, self._unix_time)
        notice = f"{self.path} is damaged ({reason}): it was set aside as {os.path.basename(aside)}, all is forgotten"
        return self._start_anew((notice,))

    def _start_anew(self, notices: tuple[str, ...]) -> tuple[sqlite3.Connection, Stored, bool]:
        """A file gets its name when it is complete: an empty or half-made ``ensemble.db`` is always damage."""
        if any(os.path.lexists(self.path + suffix) for suffix in files.SIDE_SUFFIXES):
            aside = files.set_aside(self.path, self._unix_time)  # or SQLite would play it into the new file
            notices = (*notices, f"{self.path} is gone, its journal is not: that was set aside as {aside}-*")
        new = self.path + files.NEW_SUFFIX
        files.create_private(new)
        with contextlib.closing(schema.connect(new)) as connection:
            schema.prepare_to_write(connection)
            with schema.transaction(connection):
                schema.migrate(connection, 0)
                _write_secret(connection, self._fresh_secret)
        files.put_in_place(new, self.path)
        connection, stored, is_clean = self._load()
        return connection, Stored(stored.secret, stored.snapshot, (*notices, *stored.notices)), is_clean

    def _load(self) -> tuple[sqlite3.Connection, Stored, bool]:
        connection = schema.connect(self.path)
        try:
            version = schema.verified_version(connection)
            schema.prepare_to_write(connection)
            with schema.transaction(connection):
                # Writes even if there is nothing to migrate: a disk that does not let us is found out now, not later.
                schema.migrate(connection, version)
            stored, is_clean = self._read(connection)
        except BaseException:
            connection.close()
            raise
        return connection, stored, is_clean

    def _read(self, connection: sqlite3.Connection) -> tuple[Stored, bool]:
        reader = RowReader()
        # What was seen last is worth most, should there be more rows than we ever wrote.
        entries = reader.read(
            connection.execute(
                f"SELECT {_ENTRY_COLUMNS} FROM entries ORDER BY book = 'tried' DESC, last_seen DESC LIMIT {MAX_ENTRIES}"
            ),
            entry_from_row,
            "entries",
        )
        bans = reader.read(
            connection.execute(f"SELECT ip, until, reason FROM bans ORDER BY until DESC LIMIT {MAX_STORED_BANS}"),
            ban_from_row,
            "bans",
        )
        for table, cap in (("entries", MAX_ENTRIES), ("bans", MAX_STORED_BANS)):
            (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            if count > cap:
                reader.skip(f"{table}: there are {count}, more than {cap}", count - cap)
        is_clean = not reader.skipped
        secret = self._read_secret(connection, reader)
        notices = tuple(f"{self.path}: {notice}" for notice in reader.notices())
        return Stored(secret, Snapshot(tuple(entries), tuple(bans)), notices), is_clean

    def _read_secret(self, connection: sqlite3.Connection, reader: RowReader) -> bytes:
        row = connection.execute("SELECT value FROM meta WHERE name = 'secret'").fetchone()
        try:
            return secret_from(row[0] if row else None)
        except ValueError as error:
            reader.skip(f"meta: {error}; a new one was made")
        with schema.transaction(connection):
            _write_secret(connection, self._fresh_secret)
        return self._fresh_secret


class SqliteStorage:
    """One data directory in use; see the module and :class:`actors.storage.Storage`. Made by :class:`SqliteDisk`.

    ``let_go`` unlocks the directory. ``written`` is what the file holds; None if it holds something else besides.
    """

    def __init__(
        self, connection: sqlite3.Connection, let_go: Callable[[], None], path: str, written: Snapshot | None
    ) -> None:
        self._connection = connection
        self._let_go = let_go
        self._path = path
        self._written = written
        self._connection_use = threading.Lock()
        self._changed = threading.Condition()  # guards everything below
        self._snapshot: Snapshot | None = None
        self._anchors: tuple[Endpoint, ...] | None = None
        self._writing = False
        self._closing = False
        self._closed = False
        self._problem: str | None = None
        self._thread: threading.Thread | None = None

    # ---- the owner's side ----

    def save(self, snapshot: Snapshot) -> None:
        """See :class:`actors.storage.Storage`. Nothing happens once it is closing."""
        with self._changed:
            if not self._closing:
                self._snapshot = snapshot
                self._wake()

    def save_anchors(self, anchors: Sequence[Endpoint]) -> None:
        """See :class:`actors.storage.Storage`. Nothing happens once it is closing."""
        with self._changed:
            if not self._closing:
                self._anchors = tuple(anchors[:MAX_ANCHORS])
                self._wake()

    def take_anchors(self) -> tuple[Endpoint, ...]:
        """See :class:`actors.storage.Storage`. Waits for the disk."""
        reader = RowReader()
        with self._connection_use:
            if self._closed:
                return ()
            try:
                with schema.transaction(self._connection):
                    query = f"SELECT ip, port FROM anchors ORDER BY position LIMIT {MAX_ANCHORS}"
                    anchors = reader.read(self._connection.execute(query).fetchall(), anchor_from_row, "anchors")
                    self._connection.execute("DELETE FROM anchors")
            except sqlite3.Error as error:
                self._complain(f"{self._path}: the anchors cannot be taken, so there are none: {error}")
                return ()
        for notice in reader.notices():
            self._complain(f"{self._path}: {notice}")
        return tuple(anchors)

    @property
    def is_settled(self) -> bool:
        """See :class:`actors.storage.Storage`."""
        with self._changed:
            return not self._writing and self._snapshot is None and self._anchors is None

    def take_problem(self) -> str | None:
        """See :class:`actors.storage.Storage`."""
        with self._changed:
            problem, self._problem = self._problem, None
            return problem

    def close(self, timeout_s: float = 0.0) -> bool:
        """See :class:`actors.storage.Storage`."""
        with self._changed:
            self._closing = True
            thread = self._thread
            self._changed.notify_all()
        if thread is None:
            self._end()
        elif timeout_s > 0:
            thread.join(timeout_s)
        return self._closed

    # ---- the thread's side ----

    def _wake(self) -> None:
        if self._thread is None:
            # A daemon: a program that forgets to stop its node still ends, with a loss of one interval at most.
            thread = threading.Thread(target=self._run, name="ensemble-storage", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the process has all the threads it may have; the next save tries again
                self._problem = f"{self._path} cannot be written: {error}"
                return
            self._thread = thread
        self._changed.notify_all()

    def _run(self) -> None:
        while (work := self._take_work()) is not None:
            snapshot, anchors = work
            try:
                with self._connection_use:
                    self._write(snapshot.bounded() if snapshot is not None else None, anchors)
            except Exception as error:  # whatever it is, the operator must hear of it and the thread go on
                self._written = None  # unknown: the next write replaces everything
                self._complain(f"{self._path} cannot be written: {error}")
        self._end()

    def _take_work(self) -> tuple[Snapshot | None, tuple[Endpoint, ...] | None] | None:
        """Wait for something to write; None when there is nothing more, ever."""
        with self._changed:
            self._writing = False
            while self._snapshot is None and self._anchors is None:
                if self._closing:
                    return None
                self._changed.wait()
            work = self._snapshot, self._anchors
            self._snapshot = self._anchors = None
            self._writing = True
            return work

    def _write(self, snapshot: Snapshot | None, anchors: tuple[Endpoint, ...] | None) -> None:
        with schema.transaction(self._connection):
            if snapshot is not None:
                if self._written is None:
                    self._connection.execute("DELETE FROM entries")
                    self._connection.execute("DELETE FROM bans")
                _write_difference(self._connection, self._written or Snapshot(), snapshot)
            if anchors is not None:
                self._connection.execute("DELETE FROM anchors")
                rows = ((number, *anchor) for number, anchor in enumerate(anchors))
                self._connection.executemany("INSERT INTO anchors (position, ip, port) VALUES (?, ?, ?)", rows)
        if snapshot is not None:
            self._written = snapshot

    def _complain(self, problem: str) -> None:
        with self._changed:
            self._problem = problem

    def _end(self) -> None:
        with self._connection_use:
            if not self._closed:
                self._connection.close()
                self._let_go()
                self._closed = True


def _write_secret(connection: sqlite3.Connection, secret: bytes) -> None:
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('secret', ?)", (secret,))


def _write_difference(connection: sqlite3.Connection, old: Snapshot, new: Snapshot) -> None:
    """Make the tables that hold ``old`` hold ``new``."""
    old_entries, new_entries = _by_key(old.entries), _by_key(new.entries)
    gone = [key for key in old_entries if key not in new_entries]
    connection.executemany("DELETE FROM entries WHERE ip = ? AND port = ?", gone)
    changed = [record for key, record in new_entries.items() if old_entries.get(key) != record]
    connection.executemany(
        f"INSERT OR REPLACE INTO entries ({_ENTRY_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", changed
    )
    old_bans, new_bans = _by_ip(old.bans), _by_ip(new.bans)
    connection.executemany("DELETE FROM bans WHERE ip = ?", [(ip,) for ip in old_bans if ip not in new_bans])
    bans = [(ban.ip, ban.until, ban.reason) for ip, ban in new_bans.items() if old_bans.get(ip) != ban]
    connection.executemany("INSERT OR REPLACE INTO bans (ip, until, reason) VALUES (?, ?, ?)", bans)


def _by_key(entries: tuple[EntryRecord, ...]) -> dict[tuple[str, int], EntryRecord]:
    return {record[:2]: record for record in entries}


def _by_ip(bans: tuple[Ban, ...]) -> dict[str, Ban]:
    return {ban.ip: ban for ban in bans}
