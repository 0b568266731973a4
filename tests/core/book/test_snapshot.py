"""What goes to storage and comes back."""

from __future__ import annotations

import pickle

from core.book import EntryRecord, Table
from core.decisions import DecisionKind
from tests.core.book.tools import (
    DAY_S,
    NOW_S,
    CheckedBook,
    at,
    make_book,
    named,
    one_bucket_book,
    spread,
    table_of,
    view,
)

SOURCE = "9.8.7.6"


def lived_in_book(seed: int = 1) -> CheckedBook:
    book = make_book(seed)
    for n, peer in enumerate(spread(80)):
        book.add(peer, f"66.{n}.1.1", NOW_S + n)
        if n % 2:
            book.connected(peer, NOW_S + 100 + n)
        if n % 10 == 1:
            book.dial_failed(peer, NOW_S + 300)
        book.set_advertise(peer, n % 5 != 0)
    book.add(at("2a01:4f8::1"), None, NOW_S)
    book.inbound_seen(at("127.0.0.1", 5005), NOW_S + 7, advertise=False)
    return book


def test_a_book_comes_back_as_it_was() -> None:
    book = lived_in_book()
    copy = make_book(seed=2)
    assert copy.restore(pickle.loads(pickle.dumps(book.snapshot())), NOW_S + 1_000) == ()
    assert {entry.endpoint: entry for entry in copy.all()} == {entry.endpoint: entry for entry in book.all()}
    assert sorted(copy.snapshot()) == sorted(book.snapshot())


def test_a_snapshot_is_plain_data() -> None:
    for record in lived_in_book().snapshot():
        assert all(type(value) in (str, int, bytes, float, bool, type(None)) for value in record)


def test_ages_go_on_across_a_restart() -> None:
    book = one_bucket_book(size=3)
    old, young, younger, newcomer = spread(4)
    book.add(younger, SOURCE, NOW_S + 10 * DAY_S)
    book.add(old, SOURCE, NOW_S + 11 * DAY_S)
    book.add(young, SOURCE, NOW_S + 12 * DAY_S)
    copy = one_bucket_book(seed=3, size=3)
    copy.restore(reversed(book.snapshot()), NOW_S + 20 * DAY_S)
    decisions = copy.add(newcomer, SOURCE, NOW_S + 40 * DAY_S + 1)
    assert named(decisions)[0] == (younger.peer_id, "evicted", "new_bucket_full_oldest")


def test_a_time_from_the_future_does_not_make_an_entry_immune() -> None:
    book = make_book()
    book.restore([EntryRecord("1.2.3.4", 5001, "new", b"", 0, NOW_S + 900 * DAY_S, None, None, True)], NOW_S)
    assert view(book, at("1.2.3.4")).placed_at == NOW_S


def test_damaged_and_foreign_records_are_skipped() -> None:
    good = EntryRecord("1.2.3.4", 5001, "tried", b"", 1, NOW_S, NOW_S, NOW_S, True)
    book = make_book()
    decisions = book.restore(
        [
            good,
            good,
            good._replace(port=5002, placed_at=NOW_S + 1),
            good._replace(ip="nonsense"),
            good._replace(ip="5.6.7.8", port=99_999),
            good._replace(ip="6.6.6.6", failures=1_000_000),
            good._replace(ip="7.7.7.7", failures=-4),
            good._replace(ip="8.8.8.8", table="no such table"),
            good._replace(ip="9.9.9.9", source_group=b"junk of any length at all"),
        ],
        NOW_S + 5,
    )
    assert sorted(made.rule for made in decisions) == ["address_unusable", "address_unusable", "port_kept"]
    assert {made.decision for made in decisions} == {DecisionKind.REFUSED}
    assert len(book) == 5
    assert view(book, at("6.6.6.6")).failures == 2
    assert view(book, at("7.7.7.7")).failures == 0
    assert table_of(book, at("8.8.8.8")) is Table.NEW


def test_a_smaller_book_keeps_what_fits() -> None:
    book = make_book()
    for peer in spread(300):
        book.connected(peer, NOW_S)
    small = make_book(tried_bucket_count=2, new_bucket_count=2)
    decisions = small.restore(book.snapshot(), NOW_S)
    assert small.counts() == (64, 64)
    assert {made.decision for made in decisions} == {DecisionKind.MOVED_TO_NEW, DecisionKind.EVICTED}


def test_a_whitelisted_peer_is_whitelisted_by_configuration_not_by_storage() -> None:
    book = make_book()
    book.whitelist(at("1.2.3.4"), NOW_S)
    copy = make_book()
    copy.restore(book.snapshot(), NOW_S)
    assert table_of(copy, at("1.2.3.4")) is Table.TRIED
    assert view(copy, at("1.2.3.4")).whitelisted is False


def test_changes_tell_whether_there_is_anything_to_store() -> None:
    book = make_book()
    seen = [book.changes]

    def changed() -> bool:
        seen.append(book.changes)
        return seen[-1] != seen[-2]

    peer = at("1.2.3.4")
    assert (book.add(peer, SOURCE, NOW_S), changed())[1]
    assert not (book.add(peer, SOURCE, NOW_S), changed())[1]
    assert (book.connected(peer, NOW_S), changed())[1]
    assert (book.dial_failed(peer, NOW_S), changed())[1]
    assert (book.set_advertise(peer, False), changed())[1]
    assert not (book.set_advertise(peer, False), changed())[1]
    assert not (book.choose(1, NOW_S), book.sample_for_getpeers(), book.snapshot(), changed())[-1]
    assert (book.remove(peer, NOW_S), changed())[1]
