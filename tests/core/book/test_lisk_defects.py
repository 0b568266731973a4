"""The defects of lisk-p2p 0.10's peer book (docs/protocol.md) that this one must not have, by their numbers."""

from __future__ import annotations

from random import Random

from core.book import Book, BookConfig, Table, lisk_secret
from core.decisions import DecisionKind
from tests.core.book.tools import NOW_S, CheckedBook, at, kinds, make_book, one_bucket_book, spread, table_of, view

SOURCE = "9.8.7.6"


def lisk_like_book() -> Book:
    """The defects must be absent under lisk-p2p's options too."""
    return CheckedBook(BookConfig.like_lisk(), lisk_secret(7), Random(1))


def test_defect_10_an_evicted_address_is_forgotten_everywhere() -> None:
    """lisk-p2p: 500 offered, 32 in the bucket, 500 known for ever."""
    book = one_bucket_book()
    peers = spread(500)
    decisions = book.add_many(peers, SOURCE, NOW_S)
    assert kinds(decisions).count(DecisionKind.EVICTED) == 468
    assert len(book) == 32
    assert sum(book.has(peer) for peer in peers) == 32
    assert len(book.all()) == 32
    gone = next(peer for peer in peers if not book.has(peer))
    assert DecisionKind.ADDED in kinds(book.add(gone, SOURCE, NOW_S)), "it can be learned again"
    assert kinds(book.remove(gone, NOW_S)) == [DecisionKind.FORGOTTEN]


def test_defect_11_tried_eviction_moves_the_address_to_new() -> None:
    """lisk-p2p: 40 upgraded, 32 tried, 0 new."""
    book = one_bucket_book()
    for peer in spread(40):
        book.connected(peer, NOW_S)
    assert book.counts() == (8, 32)


def test_defect_12_a_success_resets_the_failure_counter() -> None:
    """lisk-p2p: 2 failures, a success and 1 failure demote."""
    for book in (make_book(), lisk_like_book()):
        peer = at("1.2.3.4")
        book.connected(peer, NOW_S)
        book.dial_failed(peer, NOW_S)
        book.dial_failed(peer, NOW_S)
        book.connected(peer, NOW_S)
        book.dial_failed(peer, NOW_S)
        assert table_of(book, peer) is Table.TRIED
        assert view(book, peer).failures == 1


def test_defect_13_an_inbound_peer_does_not_enter_tried_unverified() -> None:
    for book in (make_book(), lisk_like_book()):
        for _ in range(10):
            book.inbound_seen(at("1.2.3.4"), NOW_S)
        assert table_of(book, at("1.2.3.4")) is Table.NEW


def test_defect_14_an_outbound_peer_that_does_not_want_to_be_advertised_is_not() -> None:
    for book in (make_book(), lisk_like_book()):
        shy, open_ = at("1.2.3.4"), at("5.6.7.8")
        book.add_many([shy, open_], SOURCE, NOW_S)
        book.connected(shy, NOW_S)
        book.set_advertise(shy, False)  # as its node info says
        book.add(shy, SOURCE, NOW_S)
        book.connected(shy, NOW_S)
        assert book.sample_for_getpeers() == (open_,)
