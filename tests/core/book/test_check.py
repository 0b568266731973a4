"""``check()`` itself: each kind of damage is found, or the other tests would prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from core.book import Book, BookConfig, Table
from core.book.entry import Entry
from core.book.shelves import Shelves
from core.netgroup import net_group
from tests.core.book.tools import NOW_S, SECRET, at, spread


def lived_in() -> tuple[Book, Shelves]:
    book = Book(BookConfig(), SECRET, Random(1))
    for peer in spread(20):
        book.add(peer, "66.1.1.1", NOW_S)
    for peer in spread(10):
        book.connected(peer, NOW_S)
    book.inbound_seen(at("2a01:4f8::1"), NOW_S, advertise=False)
    return book, book._shelves


def some(shelves: Shelves, table: Table) -> Entry:
    return next(entry for entry in shelves.by_endpoint.values() if entry.table is table)


def ghost_in_index(shelves: Shelves) -> None:
    entry = some(shelves, Table.NEW)
    shelves.new.take(entry)


def ghost_by_ip(shelves: Shelves) -> None:
    shelves.by_ip["9.9.9.9"] = some(shelves, Table.NEW)


def ghost_in_pool(shelves: Shelves) -> None:
    entry = some(shelves, Table.NEW)
    shelves.new.take(entry)
    del shelves.by_endpoint[entry.endpoint]
    del shelves.by_ip[entry.endpoint.ip]


def in_both_tables(shelves: Shelves) -> None:
    entry = some(shelves, Table.NEW)
    shelves.tried.place(entry, shelves.hash.tried_bucket(entry.info, 0), NOW_S)


def in_a_wrong_bucket(shelves: Shelves) -> None:
    entry = some(shelves, Table.TRIED)
    shelves.tried.take(entry)
    shelves.tried.place(entry, (entry.bucket + 1) % 64, NOW_S)


def with_another_source(shelves: Shelves) -> None:
    some(shelves, Table.NEW).source_group = net_group("99.9.9.9")


def with_failures_in_new(shelves: Shelves) -> None:
    some(shelves, Table.NEW).failures = 1


def with_too_many_failures(shelves: Shelves) -> None:
    some(shelves, Table.TRIED).failures = 3


def hidden_but_told(shelves: Shelves) -> None:
    some(shelves, Table.NEW).advertise = False


def whitelisted_in_new(shelves: Shelves) -> None:
    some(shelves, Table.NEW).whitelisted = True


def under_another_key(shelves: Shelves) -> None:
    entry = some(shelves, Table.NEW)
    shelves.by_endpoint[at("9.9.9.9")] = entry


def with_an_unusable_address(shelves: Shelves) -> None:
    entry = some(shelves, Table.NEW)
    shelves.change_port(entry, at(entry.endpoint.ip, 70_000))


def in_an_overfull_bucket(shelves: Shelves) -> None:
    shelves.tried.bucket_size = 0


def at_a_wrong_position(shelves: Shelves) -> None:
    shelves.tried.entries.reverse()


def at_a_wrong_position_of_the_pool(shelves: Shelves) -> None:
    shelves.pool_4.entries.reverse()


def in_the_pool_of_the_other_family(shelves: Shelves) -> None:
    entry = some(shelves, Table.NEW)
    shelves.pool_4.take(entry)
    shelves.pool_6.add(entry)


@pytest.mark.parametrize(
    "damage",
    [
        *(ghost_in_index, ghost_by_ip, ghost_in_pool, in_both_tables, in_a_wrong_bucket, with_another_source),
        *(with_failures_in_new, with_too_many_failures, hidden_but_told, whitelisted_in_new, under_another_key),
        *(with_an_unusable_address, in_an_overfull_bucket, at_a_wrong_position, at_a_wrong_position_of_the_pool),
        in_the_pool_of_the_other_family,
    ],
)
def test_check_finds_an_entry(damage: Callable[[Shelves], None]) -> None:
    book, shelves = lived_in()
    assert book.check() == []
    damage(shelves)
    assert book.check()
