"""What every storage promises, on disk and in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from actors.storage import Disk, MemoryDisk, Storage, storage_of
from actors.storage_sqlite import SqliteDisk
from core.config.protections import MAX_ANCHORS
from core.errors import StartFailed
from core.ids import Endpoint
from core.messages import (
    Ban,
)
from core.stored import MAX_REASON_CHARACTERS, Snapshot, Stored
from tests.actors.storage_tools import NOW_S, PATIENCE_S, SECRET, ban, record, same, settle, snapshot

ANCHORS = (Endpoint("1.2.3.4", 5001), Endpoint("2001:db8::1", 5002))

Start = Callable[..., tuple[Storage, Stored]]


@pytest.fixture(params=[SqliteDisk, MemoryDisk])
def disk(request: pytest.FixtureRequest) -> Disk:
    made: Disk = request.param()
    return made


@pytest.fixture
def start(disk: Disk, tmp_path: Path) -> Iterator[Start]:
    """Start a node's storage; whatever is open at the end is closed."""
    made: list[Storage] = []

    def open_one(name: str = "data", secret: bytes = SECRET) -> tuple[Storage, Stored]:
        storage, stored = disk.open(str(tmp_path / name), fresh_secret=secret, wall_now=NOW_S)
        made.append(storage)
        return storage, stored

    yield open_one
    for storage in made:
        assert storage.close(PATIENCE_S)


def test_a_new_directory_holds_the_secret_and_nothing_else(start: Start) -> None:
    storage, stored = start()
    assert stored == Stored(SECRET, Snapshot())
    assert storage.take_anchors() == ()
    assert storage.is_settled
    assert storage.take_problem() is None


def test_the_secret_is_made_once_and_kept(start: Start) -> None:
    start()[0].close(PATIENCE_S)
    assert start(secret=bytes(32))[1].secret == SECRET


def test_directories_are_apart(start: Start) -> None:
    start("one")[0].save(snapshot(3, 1))
    assert start("two", secret=bytes(32))[1] == Stored(bytes(32), Snapshot())


def test_what_was_saved_comes_back(start: Start) -> None:
    storage, _ = start()
    storage.save(snapshot(300, 20))
    assert storage.close(PATIENCE_S)
    _, stored = start()
    assert same(stored.snapshot, snapshot(300, 20))
    assert stored.notices == ()


def test_the_last_snapshot_counts_in_every_respect(start: Start) -> None:
    storage, _ = start()
    later = snapshot(200, 10, first=100)
    changed = later.entries[0]._replace(failures=2, table="new", last_seen=None)
    later = Snapshot((changed, *later.entries[1:]), (*later.bans, Ban("5.5.5.5", NOW_S, "")))
    storage.save(snapshot(200, 10))
    settle(storage)
    storage.save(later)
    settle(storage)
    storage.close(PATIENCE_S)
    assert same(start()[1].snapshot, later)


def test_writing_goes_on_from_what_was_read(start: Start) -> None:
    for first in (0, 50, 20):
        storage, _ = start()
        storage.save(snapshot(100, 5, first))
        storage.close(PATIENCE_S)
        storage, stored = start()
        assert same(stored.snapshot, snapshot(100, 5, first))
        storage.close(PATIENCE_S)


def test_an_empty_snapshot_empties(start: Start) -> None:
    storage, _ = start()
    storage.save(snapshot(20, 5))
    settle(storage)
    storage.save(Snapshot())
    storage.close(PATIENCE_S)
    assert start()[1].snapshot == Snapshot()


def test_a_long_reason_is_cut(start: Start) -> None:
    storage, _ = start()
    storage.save(Snapshot((), (Ban("1.2.3.4", NOW_S, "\N{SNOWMAN}" * 1000),)))
    storage.close(PATIENCE_S)
    assert start()[1].snapshot.bans == (Ban("1.2.3.4", NOW_S, "\N{SNOWMAN}" * MAX_REASON_CHARACTERS),)


def test_anchors_are_gone_once_they_are_taken(start: Start) -> None:
    """As Bitcoin Core's anchors.dat: an anchor that kills the node is not dialled at the next start."""
    storage, _ = start()
    storage.save_anchors(ANCHORS)
    storage.close(PATIENCE_S)
    storage, _ = start()
    assert storage.take_anchors() == ANCHORS
    assert storage.take_anchors() == ()
    storage.close(PATIENCE_S)
    assert start()[0].take_anchors() == ()


def test_anchors_that_nobody_took_stay(start: Start) -> None:
    storage, _ = start()
    storage.save_anchors(ANCHORS[:1])
    settle(storage)
    storage.save(snapshot(5, 1))
    storage.close(PATIENCE_S)
    start()[0].close(PATIENCE_S)
    assert start()[0].take_anchors() == ANCHORS[:1]


def test_the_latest_anchors_count_and_there_are_64_at_most(start: Start) -> None:
    storage, _ = start()
    storage.save_anchors(ANCHORS)
    settle(storage)
    storage.save_anchors([Endpoint("5.5.5.5", port) for port in range(1, 100)])
    storage.close(PATIENCE_S)
    assert start()[0].take_anchors() == tuple(Endpoint("5.5.5.5", port) for port in range(1, MAX_ANCHORS + 1))


def test_one_node_at_a_time(start: Start, tmp_path: Path) -> None:
    storage, _ = start()
    with pytest.raises(StartFailed, match=r"data is in use by another node.*: give every node a data_dir of its own"):
        start()
    with pytest.raises(StartFailed, match=str(tmp_path)):
        start()
    storage.save(snapshot(3, 1))
    storage.close(PATIENCE_S)
    assert same(start()[1].snapshot, snapshot(3, 1))


def test_after_the_end_nothing_happens(start: Start) -> None:
    storage, _ = start()
    storage.save(snapshot(3, 1))
    assert storage.close(PATIENCE_S)
    storage.save(snapshot(9, 9))
    storage.save_anchors(ANCHORS)
    assert storage.take_anchors() == ()
    assert storage.close()
    assert storage.is_settled
    storage, stored = start()
    assert same(stored.snapshot, snapshot(3, 1))
    assert storage.take_anchors() == ()


def test_a_killed_node_of_a_simulation_can_be_started_again() -> None:
    disk = MemoryDisk()
    storage, _ = disk.open("data", fresh_secret=SECRET, wall_now=NOW_S)
    storage.save(Snapshot((record(1),), (ban(1),)))
    disk.crash("data")
    disk.crash("no such directory")
    storage.save(Snapshot())
    storage, stored = disk.open("data", fresh_secret=bytes(32), wall_now=NOW_S)
    assert stored == Stored(SECRET, Snapshot((record(1),), (ban(1),)))


def test_an_actor_gets_the_disk_of_its_base_or_the_machine_s() -> None:
    disk = MemoryDisk()
    assert storage_of(SimpleNamespace(_myRef=SimpleNamespace(storage=disk))) is disk
    assert isinstance(storage_of(SimpleNamespace(_myRef=SimpleNamespace())), SqliteDisk)
    assert isinstance(storage_of(object()), SqliteDisk)
