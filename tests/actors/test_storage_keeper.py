"""When the PeerBook writes, what it hears of it, and how it ends. With a disk that does as it is told."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from actors.storage_keeper import CHECK_S, CLOSING_CHECK_S, LET_GO_TIMEOUT_S, Keeper
from core.ids import Endpoint
from core.stored import SOON_S, Snapshot
from tests.actors.storage_tools import snapshot

INTERVAL_S = 60.0
CONTENT = snapshot(3, 1)


class ObedientStorage:
    """Settled and closed when the test says so."""

    def __init__(self) -> None:
        self.saved: list[Snapshot] = []
        self.anchors: list[tuple[Endpoint, ...]] = []
        self.is_settled = True
        self.can_close = True
        self.problems: list[str] = []
        self.close_timeouts: list[float] = []

    def save(self, snapshot: Snapshot) -> None:
        assert not self.close_timeouts, "saved after the end"
        self.saved.append(snapshot)

    def save_anchors(self, anchors: Sequence[Endpoint]) -> None:
        assert not self.close_timeouts, "saved after the end"
        self.anchors.append(tuple(anchors))

    def take_anchors(self) -> tuple[Endpoint, ...]:
        raise AssertionError("not the keeper's business")

    def take_problem(self) -> str | None:
        return self.problems.pop() if self.problems else None

    def close(self, timeout_s: float = 0.0) -> bool:
        self.close_timeouts.append(timeout_s)
        return self.can_close


@pytest.fixture
def storage() -> ObedientStorage:
    return ObedientStorage()


@pytest.fixture
def keeper(storage: ObedientStorage) -> Keeper:
    return Keeper(storage, INTERVAL_S, 0.0, logging.getLogger("ensemble.test"))


def take() -> Snapshot:
    return CONTENT


def no_snapshot() -> Snapshot:
    raise AssertionError("a snapshot was taken for nothing")


def test_it_writes_at_intervals_and_only_what_changed(keeper: Keeper, storage: ObedientStorage) -> None:
    assert keeper.next_due(1) == INTERVAL_S
    keeper.on_time(1, INTERVAL_S - 0.1, no_snapshot)
    keeper.on_time(1, INTERVAL_S, take)
    assert storage.saved == [CONTENT]
    assert keeper.next_due(1) == INTERVAL_S + CHECK_S
    keeper.on_time(1, INTERVAL_S + CHECK_S, no_snapshot)
    assert keeper.next_due(1) is None
    assert keeper.next_due(2) == 2 * INTERVAL_S


def test_what_is_urgent_is_written_soon(keeper: Keeper, storage: ObedientStorage) -> None:
    keeper.hurry()
    assert keeper.next_due(0) == SOON_S
    keeper.on_time(0, SOON_S, take)
    assert storage.saved == [CONTENT]


def test_a_slow_disk_is_asked_again(keeper: Keeper, storage: ObedientStorage) -> None:
    keeper.on_time(1, INTERVAL_S, take)
    storage.is_settled = False
    keeper.on_time(1, INTERVAL_S + CHECK_S, no_snapshot)
    assert keeper.next_due(1) == INTERVAL_S + 2 * CHECK_S
    storage.is_settled = True
    keeper.on_time(1, INTERVAL_S + 2 * CHECK_S, no_snapshot)
    assert keeper.next_due(1) is None


def test_what_could_not_be_written_is_told_and_tried_again(
    keeper: Keeper, storage: ObedientStorage, caplog: pytest.LogCaptureFixture
) -> None:
    keeper.on_time(1, INTERVAL_S, take)
    storage.problems.append("the disk is full")
    keeper.on_time(1, INTERVAL_S + CHECK_S, no_snapshot)
    assert [record.getMessage() for record in caplog.records] == ["the disk is full"]
    assert keeper.next_due(1) == 2 * INTERVAL_S
    keeper.on_time(1, 2 * INTERVAL_S, take)
    assert storage.saved == [CONTENT, CONTENT]


def test_the_end_writes_what_there_is_and_is_asked_for_often(keeper: Keeper, storage: ObedientStorage) -> None:
    storage.can_close = False
    assert not keeper.is_finished()
    keeper.finish(5.0, take)
    assert storage.saved == [CONTENT]
    keeper.finish(5.0, no_snapshot)
    assert keeper.next_due(9) == 5.0
    keeper.on_time(9, 5.0, no_snapshot)
    assert keeper.next_due(9) == 5.0 + CLOSING_CHECK_S
    assert not keeper.is_finished()
    storage.can_close = True
    keeper.on_time(9, 6.0, no_snapshot)
    assert keeper.next_due(9) is None
    assert keeper.is_finished()
    assert set(storage.close_timeouts) == {0.0}  # it never waited


def test_before_the_end_nothing_is_finished(keeper: Keeper, storage: ObedientStorage) -> None:
    assert not keeper.is_finished()
    assert storage.close_timeouts == []


def test_an_actor_that_crashed_takes_no_snapshot_and_waits_for_so_long_at_most(
    keeper: Keeper, storage: ObedientStorage, caplog: pytest.LogCaptureFixture
) -> None:
    storage.can_close = False
    storage.problems.append("a last problem")
    keeper.let_go()
    assert storage.saved == []
    assert storage.close_timeouts == [LET_GO_TIMEOUT_S]
    assert keeper.next_due(9) is None
    told = [record.getMessage() for record in caplog.records]
    assert told == ["storage: still writing after 1 s, going on without waiting", "a last problem"]


def test_anchors_are_written_at_once_asked_about_later_and_not_after_the_end(
    keeper: Keeper, storage: ObedientStorage
) -> None:
    anchors = (Endpoint("1.2.3.4", 5001),)
    keeper.keep_anchors(anchors, 10.0)
    assert storage.anchors == [anchors]
    assert keeper.next_due(0) == 10.0 + CHECK_S
    keeper.finish(11.0, take)
    keeper.keep_anchors((), 12.0)
    assert storage.anchors == [anchors]
