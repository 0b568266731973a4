"""``check()`` itself: each kind of damage is found, or the other tests would prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from core.book import Book, BookConfig, Table
from core.book.hashing import NO_SOURCE
from core.book.rows import EXEMPT, IPV4, OF_IP, WHITELISTED
from core.book.shelves import Shelves
from core.book.weights import GroupCounts
from core.netgroup import address_info, net_group
from tests.core.book.tools import NOW_S, SECRET, at, spread


def lived_in() -> tuple[Book, Shelves]:
    book = Book(BookConfig(), SECRET, Random(1))
    for peer in spread(20):
        book.add(peer, "66.1.1.1", NOW_S)
    for peer in spread(10):
        book.connected(peer, NOW_S)
    book.inbound_seen(at("2a01:4f8::1"), NOW_S, advertise=False)
    return book, book._shelves


def some(shelves: Shelves, table: Table) -> int:
    return next(row for row in range(len(shelves.rows)) if shelves.rows.table(row) is table)


def missing_in_the_index(shelves: Shelves) -> None:
    del shelves.rows.index[shelves.rows.key(some(shelves, Table.NEW))]


def ghost_in_the_index(shelves: Shelves) -> None:
    shelves.rows.index["9.9.9.9"] = some(shelves, Table.NEW)


def under_another_key(shelves: Shelves) -> None:
    index, row = shelves.rows.index, some(shelves, Table.NEW)
    del index[shelves.rows.key(row)]
    index[at("9.9.9.9")] = row


def at_a_wrong_row(shelves: Shelves) -> None:
    shelves.rows.endpoints.reverse()


def in_two_rows(shelves: Shelves) -> None:
    shelves.rows.endpoints[0] = shelves.rows.endpoints[1]


def in_no_bucket(shelves: Shelves) -> None:
    shelves.new.take(some(shelves, Table.NEW))


def in_a_wrong_bucket(shelves: Shelves) -> None:
    row = some(shelves, Table.TRIED)
    bucket = shelves.rows.buckets[row]
    shelves.tried.take(row)
    shelves.tried.place(row, (bucket + 1) % 64, NOW_S)


def beyond_the_border(shelves: Shelves) -> None:
    shelves.rows.tried_count = len(shelves.rows) + 1


def in_the_other_table(shelves: Shelves) -> None:
    shelves.rows.tried_count += 1


def with_a_column_too_short(shelves: Shelves) -> None:
    shelves.rows.seen_at.pop()


def counted_twice(shelves: Shelves) -> None:
    shelves.new.sizes[0] += 1


def with_another_source(shelves: Shelves) -> None:
    shelves.rows.sources[some(shelves, Table.NEW)] = net_group("99.9.9.9")


def with_failures_in_new(shelves: Shelves) -> None:
    shelves.rows.failures.append(1)


def with_a_connection_of_nobody(shelves: Shelves) -> None:
    shelves.rows.once_connected["9.9.9.9"] = NOW_S


def with_a_connection_noted_twice(shelves: Shelves) -> None:
    shelves.rows.once_connected[shelves.rows.key(some(shelves, Table.TRIED))] = NOW_S


def with_too_many_failures(shelves: Shelves) -> None:
    shelves.rows.failures[some(shelves, Table.TRIED)] = 3


def whitelisted_in_new(shelves: Shelves) -> None:
    row = some(shelves, Table.NEW)
    shelves.rows.set_flags(row, (shelves.rows.flags[row] | WHITELISTED) & ~OF_IP)


def with_an_unusable_address(shelves: Shelves) -> None:
    row = some(shelves, Table.NEW)
    shelves.rows.endpoints[row] = at(shelves.rows.endpoints[row].ip, 70_000)


def in_an_overfull_bucket(shelves: Shelves) -> None:
    shelves.tried.bucket_size = 0


def exempt_without_reason(shelves: Shelves) -> None:
    shelves.rows.flags[some(shelves, Table.NEW)] ^= EXEMPT


def of_the_other_family(shelves: Shelves) -> None:
    shelves.rows.flags[some(shelves, Table.NEW)] ^= IPV4


def with_an_unknown_flag(shelves: Shelves) -> None:
    shelves.rows.flags[some(shelves, Table.NEW)] |= 128


def one_of_several_of_its_address(shelves: Shelves) -> None:
    row = some(shelves, Table.NEW)
    shelves.rows.set_flags(row, shelves.rows.flags[row] & ~OF_IP)


def in_a_group_that_is_not_counted(shelves: Shelves) -> None:
    shelves.new.groups = GroupCounts([], 3)


def in_a_group_of_two_that_is_taken_for_one(shelves: Shelves) -> None:
    for last in (1, 2):
        rows, endpoint = shelves.rows, at(f"77.66.1.{last}")
        shelves.create(endpoint, address_info(endpoint.ip), NO_SOURCE, advertise=True)
        rows.buckets[rows.row(endpoint)] = bucket = shelves.new_bucket(rows.row(endpoint))
        shelves.new.sizes[bucket] += 1
    shelves.rows.nobody_shares = True


@pytest.mark.parametrize(
    "damage",
    [
        *(missing_in_the_index, ghost_in_the_index, under_another_key, at_a_wrong_row, in_two_rows, in_no_bucket),
        *(in_a_wrong_bucket, beyond_the_border, in_the_other_table, with_a_column_too_short, counted_twice),
        *(
            with_another_source,
            with_failures_in_new,
            with_a_connection_of_nobody,
            with_a_connection_noted_twice,
            with_too_many_failures,
            whitelisted_in_new,
        ),
        *(with_an_unusable_address, in_an_overfull_bucket, exempt_without_reason, of_the_other_family),
        *(with_an_unknown_flag, one_of_several_of_its_address, in_a_group_that_is_not_counted),
        in_a_group_of_two_that_is_taken_for_one,
    ],
)
def test_check_finds_an_entry(damage: Callable[[Shelves], None]) -> None:
    book, shelves = lived_in()
    assert book.check() == []
    damage(shelves)
    assert book.check()
