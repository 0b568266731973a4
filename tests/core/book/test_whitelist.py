"""LIP 0004, "Static lists", as far as the book is concerned: whitelisted peers."""

from __future__ import annotations

from core.book import Table
from core.decisions import DecisionKind
from tests.core.book.tools import NOW_S, at, kinds, make_book, named, one_bucket_book, spread, table_of, view

FRIEND = at("1.2.3.4")


def test_lip_a_whitelisted_peer_is_in_tried_from_the_start() -> None:
    book = make_book()
    assert named(book.whitelist(FRIEND, NOW_S)) == [("1.2.3.4:5001", "moved_to_tried", "whitelisted")]
    assert table_of(book, FRIEND) is Table.TRIED
    assert view(book, FRIEND).whitelisted
    assert book.whitelist(FRIEND, NOW_S) == ()


def test_lip_a_known_peer_that_is_whitelisted_moves_to_tried() -> None:
    book = make_book()
    book.add(FRIEND, "9.9.9.9", NOW_S)
    book.whitelist(FRIEND, NOW_S)
    assert book.counts() == (0, 1)
    other = at("5.6.7.8")
    book.connected(other, NOW_S)
    book.whitelist(other, NOW_S)
    assert view(book, other).whitelisted
    assert book.counts() == (0, 2)


def test_lip_a_whitelisted_peer_is_never_removed_from_tried_by_failures() -> None:
    book = make_book()
    book.whitelist(FRIEND, NOW_S)
    decisions = [book.dial_failed(FRIEND, NOW_S) for _ in range(10)]
    assert kinds(decisions[-1]) == [DecisionKind.KEPT]
    assert table_of(book, FRIEND) is Table.TRIED


def test_lip_a_whitelisted_peer_is_never_removed_from_tried_by_eviction() -> None:
    for seed in range(5):
        book = one_bucket_book(seed, size=4)
        book.whitelist(FRIEND, NOW_S)
        for peer in spread(60):
            book.connected(peer, NOW_S)
        assert table_of(book, FRIEND) is Table.TRIED
        assert book.counts().tried == 4


def test_lip_a_whitelisted_peer_is_never_removed_by_a_ban() -> None:
    book = make_book()
    book.whitelist(FRIEND, NOW_S)
    assert named(book.remove(FRIEND, NOW_S)) == [("1.2.3.4:5001", "kept", "whitelisted")]
    assert kinds(book.remove_ip(FRIEND.ip, NOW_S)) == [DecisionKind.KEPT]
    assert table_of(book, FRIEND) is Table.TRIED


def test_a_whitelisted_newcomer_evicts_an_ordinary_occupant() -> None:
    book = one_bucket_book(size=2)
    for peer in spread(2):
        book.connected(peer, NOW_S)
    assert kinds(book.whitelist(FRIEND, NOW_S)) == [DecisionKind.MOVED_TO_NEW, DecisionKind.MOVED_TO_TRIED]
    assert book.counts() == (1, 2)


def test_a_bucket_full_of_whitelisted_peers_takes_one_more_and_turns_others_away() -> None:
    book = one_bucket_book(size=2)
    friends = spread(4)
    for friend in friends:
        book.whitelist(friend, NOW_S)
    assert book.counts().tried == 4
    stranger = at("200.1.2.3")
    decisions = book.connected(stranger, NOW_S)
    assert named(decisions)[0] == (stranger.peer_id, "refused", "tried_bucket_all_whitelisted")
    assert table_of(book, stranger) is Table.NEW
    assert kinds(book.connected(stranger, NOW_S)) == [DecisionKind.REFUSED], "asked again, refused again"


def test_trust_is_for_one_port_only() -> None:
    """What happens on another port of a trusted address has an entry of its own, and no trust."""
    book = make_book()
    stranger = at(FRIEND.ip, 6666)
    second_friend = at(FRIEND.ip, 5002)
    book.add(stranger, "9.9.9.9", NOW_S)
    book.whitelist(FRIEND, NOW_S)
    book.whitelist(second_friend, NOW_S)
    assert table_of(book, stranger) is Table.NEW
    assert len(book.find_ip(FRIEND.ip)) == 3
    assert kinds(book.add(at(FRIEND.ip, 7777), "9.9.9.9", NOW_S)) == [DecisionKind.REFUSED]
    assert sorted(named(book.remove_ip(FRIEND.ip, NOW_S))) == [
        ("1.2.3.4:5001", "kept", "whitelisted"),
        ("1.2.3.4:5002", "kept", "whitelisted"),
        ("1.2.3.4:6666", "forgotten", "removed_on_ban"),
    ]
    book.connected(at(FRIEND.ip, 8888), NOW_S)
    assert view(book, FRIEND).endpoint == FRIEND, "a handshake with another port does not change the trusted one"
    assert view(book, at(FRIEND.ip, 8888)).whitelisted is False


def test_what_is_known_of_a_peer_stays_when_it_is_whitelisted() -> None:
    book = make_book()
    demoted, failed = spread(2)
    for peer in (demoted, failed):
        book.connected(peer, NOW_S)
    for _ in range(3):
        book.dial_failed(demoted, NOW_S + 1)
    book.dial_failed(failed, NOW_S + 1)
    assert (table_of(book, demoted), view(book, demoted).last_connected) == (Table.NEW, NOW_S)
    for peer in (demoted, failed):
        book.whitelist(peer, NOW_S + 2)
        assert (table_of(book, peer), view(book, peer).last_connected) == (Table.TRIED, NOW_S)
        assert view(book, peer).whitelisted
    assert (view(book, demoted).failures, view(book, failed).failures) == (0, 1)
    assert book._shelves.rows.once_connected == {}
