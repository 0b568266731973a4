"""The data directory on disk: damage, age, rights, locks, and faults of the disk itself."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors import storage_schema as schema
from actors.storage_sqlite import SqliteDisk, SqliteStorage
from core.errors import StartFailed
from core.ids import Endpoint
from core.stored import MAX_ENTRIES, Snapshot
from tests.actors.storage_tools import (
    NOW_S,
    PATIENCE_S,
    SECRET,
    database,
    fill,
    opened,
    same,
    settle,
    snapshot,
    stored_in,
)

CONTENT = snapshot(200, 10)
OTHER_SECRET = bytes(32)
ASIDE = f"ensemble.db.damaged-{int(NOW_S)}"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def filled(data: Path) -> Path:
    fill(data, CONTENT)
    return data


# ---- files ----


def test_the_files_are_for_the_owner_only(data: Path) -> None:
    old = os.umask(0)
    try:
        fill(data, CONTENT)
    finally:
        os.umask(old)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (data, *data.iterdir())}
    assert modes == {"data": 0o700, "ensemble.db": 0o600, "ensemble.lock": 0o600}


def test_rights_of_others_are_taken_away(filled: Path) -> None:
    (filled / "ensemble.db").chmod(0o644)
    stored_in(filled)
    assert (filled / "ensemble.db").stat().st_mode & 0o777 == 0o600


def test_the_journal_has_the_rights_of_the_database(filled: Path) -> None:
    with database(filled) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM entries")
        journal = filled / "ensemble.db-journal"
        assert journal.stat().st_mode & 0o777 == 0o600
        connection.execute("ROLLBACK")


def test_directories_on_the_way_are_made(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "b" / "c", CONTENT)
    assert same(stored_in(tmp_path / "a" / "b" / "c").snapshot, CONTENT)


def test_a_relative_path_is_relative_to_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fill(Path("some/where"), CONTENT)
    assert (tmp_path / "some" / "where" / "ensemble.db").is_file()


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    fill(Path("~/ensemble"), CONTENT)
    assert (tmp_path / "ensemble" / "ensemble.db").is_file()


def test_a_file_that_was_never_finished_is_no_damage(data: Path) -> None:
    """Killed while the first database was being made."""
    data.mkdir()
    (data / "ensemble.db.new").write_bytes(b"half a database")
    (data / "ensemble.db.new-journal").write_bytes(b"and its journal")
    assert stored_in(data).notices == ()
    assert sorted(path.name for path in data.iterdir()) == ["ensemble.db", "ensemble.lock"]


# ---- locks ----


def test_a_second_process_is_told_who_has_the_directory(data: Path) -> None:
    program = (
        "import sys; from actors.storage_sqlite import SqliteDisk\n"
        "try: SqliteDisk().open(sys.argv[1], fresh_secret=bytes(32), wall_now=0.0)\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    with opened(data):
        said = subprocess.run(
            [sys.executable, "-c", program, str(data)], capture_output=True, text=True, timeout=PATIENCE_S, check=True
        ).stdout
    assert said.startswith(f"StartFailed data_dir {data} is in use by another node (process {os.getpid()})")


def test_a_lock_file_without_its_process_locks_nothing(filled: Path) -> None:
    (filled / "ensemble.lock").write_text("1\n")
    assert same(stored_in(filled).snapshot, CONTENT)


def test_a_lock_file_with_nonsense_names_nobody(filled: Path) -> None:
    with opened(filled):
        (filled / "ensemble.lock").write_text("nonsense")
        with pytest.raises(StartFailed, match=r"in use by another node: give"):
            stored_in(filled)


def test_a_start_that_failed_leaves_the_directory_free(filled: Path) -> None:
    with database(filled) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    for _ in range(2):
        with pytest.raises(StartFailed, match="newer"):
            stored_in(filled)


# ---- damage ----


def spoil_tables(statement: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with database(path.parent) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(statement)

    return spoil


def garbage(path: Path) -> None:
    path.write_bytes(b"\x00garbage" * 1000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_in_a_page(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def header_only(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def zeroed_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192:12288] = bytes(4096)
    path.write_bytes(content)


def flipped_bits(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for position in range(4096, len(content), 997):
        content[position] ^= 0xFF
    path.write_bytes(content)


def foreign(path: Path) -> None:
    path.unlink()
    with database(path.parent) as connection:
        connection.execute("CREATE TABLE wallets (key BLOB)")


def too_large(path: Path) -> None:
    os.truncate(path, schema.MAX_FILE_BYTES + 1)


ENDLESS_VIEW = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT x, x, '' FROM n"


def view_for_a_table(path: Path) -> None:
    """Reading it would never end."""
    with database(path.parent) as connection:
        connection.execute("DROP TABLE bans")
        connection.execute(f"CREATE VIEW bans(ip, until, reason) AS {ENDLESS_VIEW}")


DAMAGES = (
    garbage,
    empty,
    truncated,
    cut_in_a_page,
    header_only,
    zeroed_page,
    flipped_bits,
    foreign,
    too_large,
    view_for_a_table,
    spoil_tables("DROP TABLE entries"),
    spoil_tables("ALTER TABLE bans ADD COLUMN note TEXT"),
    spoil_tables("CREATE TABLE more (x)"),
    spoil_tables("CREATE TRIGGER t AFTER DELETE ON bans BEGIN DELETE FROM entries; END"),
    spoil_tables("PRAGMA user_version = 0"),
    spoil_tables("PRAGMA user_version = 1"),
    spoil_tables("PRAGMA user_version = -5"),
    spoil_tables("PRAGMA application_id = 0"),
    spoil_tables("UPDATE sqlite_master SET rootpage = 70000 WHERE name = 'entries'"),
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_set_aside_and_the_node_starts_anew(filled: Path, damage: Callable[[Path], None]) -> None:
    path = filled / "ensemble.db"
    damage(path)
    spoilt = path.stat().st_size, path.read_bytes()[:4096]
    with opened(filled, OTHER_SECRET) as (storage, stored):
        (notice,) = stored.notices
        assert str(path) in notice
        assert "is damaged (" in notice
        assert f"set aside as {ASIDE}" in notice
        assert (stored.secret, stored.snapshot) == (OTHER_SECRET, Snapshot())
        storage.save(CONTENT)
    aside = filled / ASIDE
    assert (aside.stat().st_size, aside.read_bytes()[:4096]) == spoilt
    again = stored_in(filled)
    assert same(again.snapshot, CONTENT)
    assert (again.secret, again.notices) == (OTHER_SECRET, ())


def test_what_was_set_aside_before_stays(filled: Path) -> None:
    for _ in range(3):
        garbage(filled / "ensemble.db")
        stored_in(filled)
    aside = sorted(path.name for path in filled.iterdir() if "damaged" in path.name)
    assert aside == [ASIDE, f"{ASIDE}.1", f"{ASIDE}.2"]


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_files_at_the_side_go_with_the_database(filled: Path, suffix: str) -> None:
    """SQLite would play them into the new file of the same name."""
    too_large(filled / "ensemble.db")  # and therefore not touched by SQLite, which would tidy up
    (filled / f"ensemble.db{suffix}").write_bytes(b"x" * 600)
    stored_in(filled)
    assert (filled / f"{ASIDE}{suffix}").read_bytes() == b"x" * 600
    assert not (filled / f"ensemble.db{suffix}").exists()


def test_a_journal_without_its_database_is_set_aside(filled: Path) -> None:
    (filled / "ensemble.db").unlink()
    (filled / "ensemble.db-journal").write_bytes(b"x" * 600)
    stored = stored_in(filled)
    assert stored.snapshot == Snapshot()
    assert "its journal is not" in stored.notices[0]
    assert (filled / f"{ASIDE}-journal").exists()


BAD_ROWS = (
    "UPDATE entries SET ip = 'nonsense' WHERE ip = '1.5.0.1'",
    "UPDATE entries SET port = 99999 WHERE ip = '1.6.0.1'",
    "UPDATE entries SET placed_at = 9e999 WHERE ip = '1.7.0.1'",
    "UPDATE entries SET source_group = x'400102030405' WHERE ip = '1.8.0.1'",
    "UPDATE entries SET book = CAST(x'ff' AS TEXT) WHERE ip = '1.9.0.1'",
    "UPDATE bans SET until = 'soon' WHERE ip = '2001:db8::1'",
    "UPDATE bans SET reason = x'00' WHERE ip = '2001:db8::2'",
)


def test_bad_rows_are_left_out_with_one_warning_and_the_rest_is_kept(filled: Path) -> None:
    with database(filled) as connection:
        for statement in BAD_ROWS:
            assert connection.execute(statement).rowcount == 1
    with opened(filled) as (storage, stored):
        (notice,) = stored.notices
        assert f"{len(BAD_ROWS)} stored rows are unusable and left out" in notice
        assert str(filled / "ensemble.db") in notice
        assert stored.secret == SECRET
        good = Snapshot(
            tuple(entry for entry in CONTENT.entries if entry.ip not in {f"1.{n}.0.1" for n in range(5, 10)}),
            tuple(ban for ban in CONTENT.bans if ban.ip not in {"2001:db8::1", "2001:db8::2"}),
        )
        assert same(stored.snapshot, good)
        storage.save(CONTENT)
    clean = stored_in(filled)
    assert clean.notices == ()
    assert same(clean.snapshot, CONTENT)


def test_a_value_of_absurd_length_is_damage(filled: Path) -> None:
    with database(filled) as connection:
        connection.execute(f"UPDATE bans SET reason = zeroblob({schema.MAX_VALUE_BYTES * 2})")
    (notice,) = stored_in(filled).notices
    assert "is damaged (string or blob too big)" in notice


def test_more_rows_than_we_ever_write_are_not_read(filled: Path) -> None:
    with database(filled) as connection:
        connection.execute(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 25000) INSERT INTO entries "
            "SELECT '200.1.' || (x / 250) || '.' || (x % 250), 5001, 'new', x'', 0, x, NULL, NULL, 1 FROM n"
        )
    with opened(filled) as (storage, stored):
        assert len(stored.snapshot.entries) == MAX_ENTRIES
        assert set(CONTENT.entries) <= set(stored.snapshot.entries)  # tried, or seen at all: worth more
        assert stored.notices[0].endswith("5200 stored rows are unusable and left out; the first: entries: there are "
                                          f"{25_200}, more than {MAX_ENTRIES}")  # fmt: skip
        storage.save(CONTENT)
    assert same(stored_in(filled).snapshot, CONTENT)


@pytest.mark.parametrize("statement", ["DELETE FROM meta", "UPDATE meta SET value = x'0102'"])
def test_a_lost_secret_is_replaced_for_good(filled: Path, statement: str) -> None:
    with database(filled) as connection:
        connection.execute(statement)
    with opened(filled, OTHER_SECRET) as (_, stored):
        assert stored.secret == OTHER_SECRET
        assert "secret: expected 32 bytes; a new one was made" in stored.notices[0]
        assert same(stored.snapshot, CONTENT)
    assert stored_in(filled).secret == OTHER_SECRET


def test_a_bad_anchor_is_left_out_and_said(filled: Path) -> None:
    with database(filled) as connection:
        connection.execute("INSERT INTO anchors VALUES (0, 'nonsense', 1), (1, '1.2.3.4', 5001), (2, '1.2.3.5', 5001)")
    with opened(filled) as (storage, _):
        assert storage.take_anchors() == (Endpoint("1.2.3.4", 5001), Endpoint("1.2.3.5", 5001))
        assert "unusable" in (storage.take_problem() or "")
        assert storage.take_problem() is None


# ---- versions ----


def make_v1(directory: Path) -> None:
    """A file as the first schema had it: the book and its secret."""
    directory.mkdir()
    with database(directory) as connection:
        connection.execute("BEGIN")
        schema.migrate(connection, 0, target=1)
        connection.execute("INSERT INTO meta VALUES ('secret', ?)", (SECRET,))
        connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", CONTENT.entries)
        connection.execute("COMMIT")
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert sorted(tables) == [("entries",), ("meta",)]


def test_an_older_schema_is_migrated_and_loses_nothing(data: Path) -> None:
    make_v1(data)
    with opened(data, OTHER_SECRET) as (storage, stored):
        assert stored.secret == SECRET
        assert same(stored.snapshot, Snapshot(CONTENT.entries))
        assert stored.notices == ()
        storage.save(CONTENT)
        storage.save_anchors([Endpoint("1.2.3.4", 5001)])
    with database(data) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    assert same(stored_in(data).snapshot, CONTENT)


def test_a_migration_that_fails_changes_nothing(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_v1(data)
    before = (data / "ensemble.db").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(schema, "STEPS", (*schema.STEPS[:1], (*schema.STEPS[1], "SELECT raise_an_error()")))
        with database(data) as connection, pytest.raises(sqlite3.OperationalError), schema.transaction(connection):
            schema.migrate(connection, 1)
    assert (data / "ensemble.db").read_bytes() == before
    assert same(stored_in(data).snapshot, Snapshot(CONTENT.entries))


def test_a_newer_schema_is_refused_and_left_alone(filled: Path) -> None:
    path = filled / "ensemble.db"
    with database(filled) as connection:
        connection.execute("CREATE TABLE of_the_future (x)")
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    before = path.read_bytes()
    expected = rf"{path}: schema version {schema.VERSION + 1}, this version of Ensemble knows up to {schema.VERSION}"
    with pytest.raises(StartFailed, match=expected):
        stored_in(filled)
    assert path.read_bytes() == before
    assert sorted(found.name for found in filled.iterdir()) == ["ensemble.db", "ensemble.lock"]


def test_statistics_that_a_tool_left_are_no_damage(filled: Path) -> None:
    with database(filled) as connection:
        connection.execute("ANALYZE")
        connection.execute("VACUUM")
    stored = stored_in(filled)
    assert stored.notices == ()
    assert same(stored.snapshot, CONTENT)


# ---- faults of the surroundings ----


def test_a_directory_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StartFailed, match=rf"data_dir {wrong} cannot be used: Not a directory"):
            stored_in(wrong)


def test_a_database_that_is_no_file_is_refused_and_left_alone(data: Path) -> None:
    (data / "ensemble.db").mkdir(parents=True)
    with pytest.raises(StartFailed, match=r"data_dir .* cannot be used: .*ensemble.db is not a regular file"):
        stored_in(data)
    assert (data / "ensemble.db").is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_the_right_to_write_is_refused(filled: Path) -> None:
    for path, mode in ((filled / "ensemble.db", 0o400), (filled / "ensemble.lock", 0o400), (filled, 0o500)):
        before = path.stat().st_mode & 0o777
        path.chmod(mode)
        try:
            with pytest.raises(StartFailed, match=rf"data_dir {filled} cannot be used"):
                stored_in(filled)
        finally:
            path.chmod(before)


def test_a_file_locked_by_a_tool_is_no_damage(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "BUSY_TIMEOUT_S", 0.01)
    with database(filled) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StartFailed, match=r"cannot be used: database is locked"):
            stored_in(filled)
    assert same(stored_in(filled).snapshot, CONTENT)


def busy_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "BUSY_TIMEOUT_S", 0.01)


def wait_for_problem(storage: Any) -> str:
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / 0.001)):
        problem: str | None = storage.take_problem()
        if problem is not None:
            return problem
        pause.wait(0.001)
    raise AssertionError("no problem was reported")


def test_a_write_that_fails_is_reported_and_the_next_one_makes_up_for_it(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy_writer(monkeypatch)
    later = snapshot(150, 7, first=100)
    with opened(filled) as (storage, _):
        with database(filled) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            storage.save(snapshot(10, 10))
            problem = wait_for_problem(storage)
        assert str(filled / "ensemble.db") in problem
        assert "database is locked" in problem
        storage.save(later)
        settle(storage)
    assert same(stored_in(filled).snapshot, later)


def test_a_full_disk_is_reported_and_costs_nothing_that_was_stored(filled: Path) -> None:
    with opened(filled) as (storage, _):
        assert isinstance(storage, SqliteStorage)
        pages = storage._connection.execute("PRAGMA page_count").fetchone()[0]
        storage._connection.execute(f"PRAGMA max_page_count = {pages}")
        storage.save(snapshot(5000, 10))
        assert "database or disk is full" in wait_for_problem(storage)
    assert same(stored_in(filled).snapshot, CONTENT)


def test_anchors_that_the_disk_does_not_let_go_of_are_not_used(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy_writer(monkeypatch)
    with opened(filled) as (storage, _):
        storage.save_anchors([Endpoint("1.2.3.4", 5001)])
        settle(storage)
        with database(filled) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            assert storage.take_anchors() == ()
            assert "the anchors cannot be taken" in (storage.take_problem() or "")
        assert storage.take_anchors() == (Endpoint("1.2.3.4", 5001),)


# ---- the thread ----


def storage_threads() -> int:
    return sum(thread.name == "ensemble-storage" for thread in threading.enumerate())


def test_a_storage_that_writes_nothing_has_no_thread_and_one_that_is_closed_none_any_more(data: Path) -> None:
    before = storage_threads()
    with opened(data) as (storage, _):
        assert storage_threads() == before
        storage.save(CONTENT)
        assert storage_threads() == before + 1
    assert storage_threads() == before


def test_snapshots_do_not_queue_up_behind_a_slow_disk(data: Path) -> None:
    with opened(data) as (storage, _):
        assert isinstance(storage, SqliteStorage)
        written: list[Snapshot | None] = []
        write = storage._write
        storage._write = lambda snapshot, anchors: (written.append(snapshot), write(snapshot, anchors))[1]  # type: ignore[method-assign, func-returns-value]
        with storage._connection_use:  # the disk is slow: the thread waits for this
            storage.save(snapshot(1, 0))
            for count in range(2, 50):
                storage.save(snapshot(count, 0))
            assert not storage.is_settled
        settle(storage)
    assert len(written) <= 2
    assert written[-1] == snapshot(49, 0)
    assert same(stored_in(data).snapshot, snapshot(49, 0))


def test_closing_is_bounded_and_goes_on_by_itself(filled: Path) -> None:
    storage, _ = SqliteDisk().open(str(filled), fresh_secret=SECRET, wall_now=NOW_S)
    assert isinstance(storage, SqliteStorage)
    with storage._connection_use:
        storage.save(snapshot(3, 1))
        assert not storage.close(0.01)
        with pytest.raises(StartFailed, match="in use"):
            stored_in(filled)
    assert storage.close(PATIENCE_S)
    assert same(stored_in(filled).snapshot, snapshot(3, 1))


def test_no_thread_to_be_had_is_a_problem_and_not_a_crash(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with opened(data) as (storage, _):
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            storage.save(CONTENT)
        assert "can't start new thread" in (storage.take_problem() or "")
        storage.save(CONTENT)
        settle(storage)
    assert same(stored_in(data).snapshot, CONTENT)
