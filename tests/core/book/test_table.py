"""A table finds who is in a bucket, and draws one of them, in one column that both tables share."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from core.book import BookConfig, Table
from core.book.hashing import NO_SOURCE
from core.book.rows import WHITELISTED, Rows
from core.book.table import BucketTable
from tests.core.book.tools import NOW_S, spread

BUCKETS = 3


class Drawn(Random):
    """Draws what it is told to."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def random(self) -> float:
        return self.number


def two_tables(tried: list[int], new: list[int]) -> tuple[BucketTable, BucketTable]:
    """With an entry for each number, in the bucket of that number."""
    rows, config = Rows(), BookConfig()
    tables = tuple(BucketTable(kind, rows, BUCKETS, config) for kind in (Table.TRIED, Table.NEW))
    peers = spread(len(tried) + len(new))
    for peer, bucket in zip(peers, tried, strict=False):
        tables[0].place(rows.to_tried(rows.add(peer, NO_SOURCE, 0)), bucket, NOW_S)
    for peer, bucket in zip(peers[len(tried) :], new, strict=True):
        tables[1].place(rows.add(peer, NO_SOURCE, 0), bucket, NOW_S)
    return tables[0], tables[1]


NUMBERS = st.lists(st.integers(0, BUCKETS - 1), max_size=40)


@given(NUMBERS, NUMBERS, st.floats(0.0, 1.0, exclude_max=True))
def test_a_victim_is_the_occupant_whose_turn_it_is(tried: list[int], new: list[int], drawn: float) -> None:
    for table, numbers in zip(two_tables(tried, new), (tried, new), strict=True):
        for bucket in set(numbers):
            occupants = [table.first + place for place, number in enumerate(numbers) if number == bucket]
            assert table.occupants(bucket) == occupants
            assert table.random_victim(bucket, Drawn(drawn)) == occupants[int(drawn * len(occupants))]


@given(NUMBERS.filter(len), st.floats(0.0, 1.0, exclude_max=True), st.sets(st.integers(0, 39)))
def test_whoever_is_whitelisted_is_no_victim(tried: list[int], drawn: float, trusted: set[int]) -> None:
    table, _ = two_tables(tried, [])
    for row in trusted & set(table.extent):
        table.rows.flags[row] |= WHITELISTED
    victim = table.random_victim(tried[0], Drawn(drawn))
    others = [row for row, number in enumerate(tried) if number == tried[0] and row not in trusted]
    assert (victim is None) == (not others)
    assert victim is None or victim in others


STEPS = st.lists(st.tuples(st.integers(0, 9), st.integers(-90, 90), st.integers(-90, 90)), max_size=40)


@given(STEPS, st.integers(1, 60))
def test_who_is_overdue_is_the_oldest_of_the_bucket_if_old_enough(
    steps: list[tuple[int, int, int]], max_age: int
) -> None:
    """Also if the clock was set back, and wherever somebody asked before."""
    table, _ = two_tables([0] * 10, [])
    rows = table.rows
    for row, placed_at, now in steps:
        table.take(row)
        table.place(row, 0, NOW_S + placed_at)
        oldest = min(rows.placed_at)
        victim = table.overdue(0, NOW_S + now, max_age)
        assert (victim is not None) == (NOW_S + now - oldest > max_age)
        assert victim is None or rows.placed_at[victim] == oldest
