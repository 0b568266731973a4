"""What is in ``ensemble.db``: the schema, its history, and the check that a file really is one of ours.

A schema is defined by the chain of steps that leads to it: a new file goes through all of them, an older one through
those it lacks, in one transaction. So the step that migrates a user's file is the step that every start of a new node
has run. Steps that were released are never changed.

v1: the secret and the book. v2: bans and anchors.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Iterator

APPLICATION_ID = 0x456E736D
"""``Ensm``, in the header of the file (SQLite: PRAGMA application_id)."""

STEPS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE entries (ip TEXT NOT NULL, port INTEGER NOT NULL, book TEXT NOT NULL, source_group BLOB NOT NULL,"
        " failures INTEGER NOT NULL, placed_at REAL NOT NULL, last_connected REAL, last_seen REAL,"
        " advertise INTEGER NOT NULL, PRIMARY KEY (ip, port)) WITHOUT ROWID",
    ),
    (
        "CREATE TABLE bans (ip TEXT PRIMARY KEY NOT NULL, until REAL NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE anchors (position INTEGER PRIMARY KEY NOT NULL, ip TEXT NOT NULL, port INTEGER NOT NULL)",
    ),
)

VERSION = len(STEPS)
"""The version of the schema (PRAGMA user_version) that this code reads and writes."""

MAX_FILE_BYTES = 128 * 2**20
"""Four times what the longest lists take. A larger file is not ours, and is not read to find that out."""

MAX_VALUE_BYTES = 100_000
"""No text or blob of ours comes near; one that is longer is not loaded into memory."""

BUSY_TIMEOUT_S = 2.0
"""How long to wait for somebody who reads the file with a tool of SQLite."""

_DAMAGE_CODES = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_NOTADB,
    }
)
"""Primary result codes that blame the content of the file. The others (disk full, no permission, locked, I/O error)
blame its surroundings: then the file may be whole, and must stay where it is."""


class DamagedFile(Exception):
    """The file is not one of ours, or not whole any more; the text says how that shows."""


class NewerFile(Exception):
    """The file was written by a later version of this program."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error of SQLite blames the content of the file."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and (code & 0xFF) in _DAMAGE_CODES


def connect(path: str) -> sqlite3.Connection:
    """Open a file. Raises sqlite3.Error; most faults of a file show only when it is read.

    A rollback journal, synchronised to the last step (``EXTRA``): a commit is on the disk when it returns, even if the
    power fails then, and when nothing is being written everything is in one file. There is one writer and no reader,
    so a write-ahead log would have nothing to offer.
    """
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.text_factory = _text
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def prepare_to_write(connection: sqlite3.Connection) -> None:
    """Settings for writing, on a connection that has been checked."""
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = EXTRA")
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    connection.execute(f"PRAGMA max_page_count = {MAX_FILE_BYTES // int(page_bytes)}")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the body, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def migrate(connection: sqlite3.Connection, version: int, target: int = VERSION) -> None:
    """Run the steps from ``version`` to ``target``; within a transaction of the caller."""
    for step in STEPS[version:target]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {target}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def verified_version(connection: sqlite3.Connection) -> int:
    """The schema version of an open file, after a look at every page of it.

    Tables must be exactly those that our steps make: a view or trigger in their place could keep us busy for ever.
    Raises DamagedFile, NewerFile, or sqlite3.Error.
    """
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != APPLICATION_ID:
        raise DamagedFile("it is a database of another program")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise NewerFile(f"schema version {version}, this version of Ensemble knows up to {VERSION}")
    if version < 1 or _schema(connection) != _expected_schema(version):
        raise DamagedFile(f"its tables are not those of schema version {version}")
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise DamagedFile(str(verdict)[:200])
    return int(version)


def _schema(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    # Names with this prefix are SQLite's own (statistics, automatic indices); nobody else can make them.
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' LIMIT 100"
    return sorted(connection.execute(query))


@functools.cache
def _expected_schema(version: int) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection, 0, version)
        return _schema(connection)


def _text(data: bytes) -> str:
    """Text that is no UTF-8 must not stop the reading of its table; the check of its row finds it."""
    return data.decode("utf-8", errors="replace")
